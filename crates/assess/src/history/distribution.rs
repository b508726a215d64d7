//! The distributions that intervals and tests of a history need: chi-square, F, beta, binomial, normal.
//!
//! They are a hundred lines on three functions (gamma, incomplete gamma, incomplete beta), and no crate is used for them:
//! the small ones have no quantiles, the ones that have bring linear algebra along. Sources: Lanczos' approximation with the
//! coefficients of P. Godfrey (2001, g = 7, n = 9); series and continued fractions as in Abramowitz & Stegun 6.5.29, 6.5.31 and
//! 26.5.8 (DLMF 8.7.1, 8.9.2, 8.17.22), evaluated by the modified Lentz method. The tests compare with values of 30 digits.

use std::f64::consts::PI;

/// Where a sum or a continued fraction has converged: nothing that an `f64` can hold would change.
const EPSILON: f64 = 1e-16;
/// Stands for a divisor that would be zero in Lentz' method.
const TINY: f64 = 1e-300;
/// Most terms of a sum or fraction. They converge within about the square root of the larger parameter, so this is enough
/// for hundreds of millions of incidents.
const MOST_TERMS: u32 = 100_000;

/// The natural logarithm of the gamma function, for `x > 0`.
pub(crate) fn ln_gamma(x: f64) -> f64 {
    const G: f64 = 7.0;
    const COEFFICIENTS: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        // Reflection, where the approximation is poor.
        return (PI / (PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let mut sum = COEFFICIENTS[0];
    for (offset, coefficient) in (1_u32..).zip(&COEFFICIENTS[1..]) {
        sum += coefficient / (x + f64::from(offset));
    }
    let t = x + G + 0.5;
    (x + 0.5).mul_add(t.ln(), 0.5 * (2.0 * PI).ln()) - t + sum.ln()
}

/// The regularised lower incomplete gamma function P(a, x), for `a > 0`.
fn gamma_p(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x.is_infinite() {
        return 1.0;
    }
    let front = (a.mul_add(x.ln(), -x) - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum) = (1.0 / a, 1.0 / a);
        for n in 1..MOST_TERMS {
            term *= x / (a + f64::from(n));
            sum += term;
            if term < sum * EPSILON {
                break;
            }
        }
        return front * sum;
    }
    let mut fraction = Lentz::new(x + 1.0 - a);
    for n in 1..MOST_TERMS {
        let n = f64::from(n);
        if fraction.step(-n * (n - a), 2.0f64.mul_add(n, x + 1.0 - a)) {
            break;
        }
    }
    1.0 - front / fraction.value
}

/// The regularised incomplete beta function I_x(a, b), for `a, b > 0`: the beta distribution.
pub(crate) fn beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    // The fraction converges fast on this side of the mean.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta(1.0 - x, b, a);
    }
    let front = (a.mul_add(x.ln(), b * (-x).ln_1p()) + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b)).exp() / a;
    let mut fraction = Lentz::new(1.0);
    for m in 0..MOST_TERMS {
        let m = f64::from(m);
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let k = m + 1.0;
        let even = k * (b - k) * x / ((a + 2.0 * k - 1.0) * (a + 2.0 * k));
        fraction.step(odd, 1.0);
        if fraction.step(even, 1.0) {
            break;
        }
    }
    front / fraction.value
}

/// A continued fraction `b0 + a1/(b1 + a2/(b2 + ...))`, by the modified Lentz method.
struct Lentz {
    value: f64,
    c: f64,
    d: f64,
}

impl Lentz {
    fn new(b0: f64) -> Self {
        let value = if b0 == 0.0 { TINY } else { b0 };
        Self { value, c: value, d: 0.0 }
    }

    /// Takes the next pair; true when nothing changes any more.
    fn step(&mut self, a: f64, b: f64) -> bool {
        let apart = |x: f64| if x.abs() < TINY { TINY } else { x };
        self.d = 1.0 / apart(a.mul_add(self.d, b));
        self.c = apart(b + a / self.c);
        let factor = self.c * self.d;
        self.value *= factor;
        (factor - 1.0).abs() < EPSILON
    }
}

/// The point below which a growing function from 0 to 1 has the value `p`, between `low` and `high`.
///
/// Halving needs no derivative and no good start, and ends after at most as many steps as an `f64` has values to tell apart.
fn inverse(p: f64, mut low: f64, mut high: f64, cumulative: impl Fn(f64) -> f64) -> f64 {
    loop {
        let middle = low.midpoint(high);
        if middle <= low || middle >= high {
            return middle;
        }
        if cumulative(middle) < p { low = middle } else { high = middle }
    }
}

/// The chance that a chi-square variable with so many degrees of freedom is at most `x`.
pub(crate) fn chi_square(x: f64, degrees: f64) -> f64 {
    gamma_p(degrees / 2.0, x / 2.0)
}

/// The value that a chi-square variable stays below with the chance `p`; `p` within (0, 1).
pub(crate) fn chi_square_quantile(p: f64, degrees: f64) -> f64 {
    let mut high = degrees.max(1.0);
    while chi_square(high, degrees) < p {
        high *= 2.0;
    }
    inverse(p, 0.0, high, |x| chi_square(x, degrees))
}

/// The value that a beta variable stays below with the chance `p`; `p` within (0, 1).
pub(crate) fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    inverse(p, 0.0, 1.0, |x| beta(x, a, b))
}

/// The chance that an F variable with these degrees of freedom is at most `x`.
pub(crate) fn f(x: f64, above: f64, below: f64) -> f64 {
    if x <= 0.0 { 0.0 } else { beta(above * x / above.mul_add(x, below), above / 2.0, below / 2.0) }
}

/// The value that an F variable stays below with the chance `p`; `p` within (0, 1).
pub(crate) fn f_quantile(p: f64, above: f64, below: f64) -> f64 {
    let x = beta_quantile(p, above / 2.0, below / 2.0);
    below * x / (above * (1.0 - x))
}

/// The chance of at most `k` successes of `n`, each with the chance `p`.
pub(crate) fn binomial(k: u64, n: u64, p: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of incidents are far below 2^53")]
    let (k, n) = (k as f64, n as f64);
    if k >= n { 1.0 } else { beta(1.0 - p, n - k, k + 1.0) }
}

/// The chance that a standard normal variable is at most `z`.
pub(crate) fn normal(z: f64) -> f64 {
    // The square of a normal variable is chi-square with one degree of freedom.
    let within = chi_square(z * z, 1.0);
    if z < 0.0 { (1.0 - within) / 2.0 } else { f64::midpoint(1.0, within) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn near(value: f64, wanted: f64) {
        assert!((value - wanted).abs() <= 2e-13 * wanted.abs().max(1e-3), "{value} is not {wanted}");
    }

    /// Values of mpmath with 30 digits.
    #[test]
    fn values_agree_with_those_of_thirty_digits() {
        near(ln_gamma(0.5), 0.572_364_942_924_700_1);
        near(ln_gamma(3.0), std::f64::consts::LN_2);
        near(ln_gamma(10.5), 13.940_625_219_403_76);
        near(ln_gamma(171.5), 709.143_163_030_928_2);
        near(gamma_p(3.0, 2.5), 0.456_186_884_116_670_5);
        near(beta(0.3, 2.0, 5.0), 0.579_825);
        near(normal(1.96), 0.975_002_104_851_779_6);
        near(normal(-3.0), 0.001_349_898_031_630_095);
    }

    #[test]
    fn quantiles_agree_with_those_of_thirty_digits() {
        near(chi_square_quantile(0.025, 2.0), 0.050_635_615_968_579_8);
        near(chi_square_quantile(0.975, 2.0), 7.377_758_908_227_87);
        near(chi_square_quantile(0.025, 6.0), 1.237_344_245_791_2);
        near(chi_square_quantile(0.975, 8.0), 17.534_546_139_484_6);
        near(chi_square_quantile(0.95, 60.0), 79.081_944_487_848_7);
        near(chi_square_quantile(0.005, 1.0), 3.927_042_222_051_59e-5);
        near(chi_square_quantile(0.975, 400.0), 457.305_481_966_065);
        near(beta_quantile(0.025, 3.0, 8.0), 0.066_739_511_177_734_5);
        near(beta_quantile(0.5, 1.5, 200.0), 0.005_890_146_245_855_67);
        near(f_quantile(0.975, 6.0, 6.0), 5.819_756_578_960_78);
        near(f_quantile(0.025, 8.0, 6.0), 0.214_975_376_608_662);
        near(f_quantile(0.95, 40.0, 20.0), 1.993_819_098_672_56);
    }

    #[test]
    fn the_binomial_distribution_is_the_sum_of_its_terms() {
        // (1/2)^5 * (1 + 5 + 10), and 0.9^3.
        near(binomial(2, 5, 0.5), 0.5);
        near(binomial(0, 3, 0.1), 0.729);
        near(binomial(3, 3, 0.1), 1.0);
    }

    proptest! {
        #[test]
        fn a_quantile_is_where_its_chance_is_reached(p in 0.001..0.999f64, a in 0.5..500.0f64, b in 0.5..500.0f64) {
            prop_assert!((chi_square(chi_square_quantile(p, a), a) - p).abs() < 1e-10);
            prop_assert!((beta(beta_quantile(p, a, b), a, b) - p).abs() < 1e-9);
            prop_assert!((f(f_quantile(p, a, b), a, b) - p).abs() < 1e-9);
        }
    }
}
