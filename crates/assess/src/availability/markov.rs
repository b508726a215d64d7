//! Small groups that repair makes dependent: continuous-time Markov chains, solved exactly.
//!
//! Units of a group are independent only while each has a repair crew to itself. Where failed units queue for repair, the
//! number of units that are down is a Markov chain, if times to fail and to restore are taken for exponential.

/// A chain of states and rates between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    /// `rates[i][j]`: how often state `i` turns into `j`, per second in `i`.
    rates: Vec<Vec<f64>>,
}

impl Chain {
    /// So many states, and nothing that leads from one to another.
    #[must_use]
    pub fn new(states: usize) -> Self {
        Self { rates: vec![vec![0.0; states]; states] }
    }

    /// Adds to the rate from one state to another. A state does not turn into itself.
    ///
    /// # Panics
    /// When there is no such state, or the rate is negative or not a number.
    pub fn add(&mut self, from: usize, to: usize, rate: f64) {
        assert!(rate >= 0.0, "a rate is not negative");
        if from != to {
            self.rates[from][to] += rate;
        }
    }

    /// The share of time spent in each state in the long run, for chains in which each state can be reached from each.
    ///
    /// By the algorithm of Grassmann, Taksar and Heyman (Operations Research 33, 1985): states are removed one by one, and
    /// what went through them is added to what goes around. It never subtracts, so that every share, however small, is
    /// exact to nearly all digits; solving the balance equations directly loses the small ones, which are those that count here.
    #[must_use]
    pub fn steady(&self) -> Vec<f64> {
        let mut rates = self.rates.clone();
        let count = rates.len();
        for last in (1..count).rev() {
            let out: f64 = rates[last][..last].iter().sum();
            if out <= 0.0 {
                continue;
            }
            for from in 0..last {
                let into = rates[from][last] / out;
                rates[from][last] = into;
                if into > 0.0 {
                    for to in (0..last).filter(|to| *to != from) {
                        let around = into * rates[last][to];
                        rates[from][to] += around;
                    }
                }
            }
        }
        let mut shares = vec![0.0; count];
        if count > 0 {
            shares[0] = 1.0;
        }
        for state in 1..count {
            shares[state] = (0..state).map(|from| shares[from] * rates[from][state]).sum();
        }
        let all: f64 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= all);
        shares
    }
}

/// Units that are alike, fail at a constant rate while they work, and share repair crews.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Group {
    /// How many there are.
    pub units: u32,
    /// How many must work.
    pub enough: u32,
    /// How often a working unit fails, per second.
    pub failure_rate: f64,
    /// How often a unit under repair is restored, per second.
    pub repair_rate: f64,
    /// How many can be repaired at a time.
    pub crews: u32,
}

/// What a group does in the long run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Steady {
    /// The share of time in which too few units work.
    pub down: f64,
    /// How often this begins, per second.
    pub frequency: f64,
}

impl Group {
    /// State `j`: `j` units are down.
    #[must_use]
    pub fn chain(&self) -> Chain {
        let mut chain = Chain::new(self.units as usize + 1);
        for down in 0..self.units {
            let at = down as usize;
            chain.add(at, at + 1, f64::from(self.units - down) * self.failure_rate);
            chain.add(at + 1, at, f64::from((down + 1).min(self.crews)) * self.repair_rate);
        }
        chain
    }

    /// What it does in the long run.
    #[must_use]
    pub fn steady(&self) -> Steady {
        let shares = self.chain().steady();
        // The most failures with which it works.
        let Some(spare) = self.units.checked_sub(self.enough) else { return Steady { down: 1.0, frequency: 0.0 } };
        let down = shares.iter().skip(spare as usize + 1).sum();
        let frequency = shares[spare as usize] * f64::from(self.enough) * self.failure_rate;
        Steady { down, frequency }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn choose(n: u32, k: u32) -> f64 {
        (0..k).map(|i| f64::from(n - i) / f64::from(i + 1)).product()
    }

    proptest! {
        #[test]
        fn with_a_crew_each_units_are_independent(
            units in 1..12_u32, enough in 1..12_u32, failure in 1e-6..1e-2_f64, repair in 1e-3..1.0_f64,
        ) {
            let enough = enough.min(units);
            let group = Group { units, enough, failure_rate: failure, repair_rate: repair, crews: units };
            let down = failure / (failure + repair);
            let wanted: f64 = (units - enough + 1..=units)
                .map(|failed| {
                    choose(units, failed)
                        * down.powi(i32::try_from(failed).unwrap())
                        * (1.0 - down).powi(i32::try_from(units - failed).unwrap())
                })
                .sum();
            let steady = group.steady();
            prop_assert!((steady.down / wanted - 1.0).abs() < 1e-12, "{} {wanted}", steady.down);
        }

        #[test]
        fn with_one_crew_it_is_the_machine_repair_problem(
            units in 1..10_u32, failure in 1e-5..1e-2_f64, repair in 1e-3..1.0_f64,
        ) {
            // The share with j down is proportional to n! / (n - j)! (failure / repair)^j.
            let weight = |down: u32| (0..down).map(|i| f64::from(units - i) * failure / repair).product::<f64>();
            let all: f64 = (0..=units).map(weight).sum();
            let shares = Group { units, enough: 1, failure_rate: failure, repair_rate: repair, crews: 1 }.chain().steady();
            for (down, share) in (0..).zip(shares) {
                prop_assert!((share / (weight(down) / all) - 1.0).abs() < 1e-12);
            }
        }

        #[test]
        fn what_flows_into_a_state_flows_out_of_it(rates in prop::collection::vec(0.01..10.0_f64, 30)) {
            let mut chain = Chain::new(6);
            let pairs = (0..6).flat_map(|from| (0..6).map(move |to| (from, to))).filter(|(from, to)| from != to);
            for ((from, to), rate) in pairs.zip(&rates) {
                chain.add(from, to, *rate);
            }
            let shares = chain.steady();
            for state in 0..6 {
                let into: f64 = (0..6).map(|from| shares[from] * chain.rates[from][state]).sum();
                let out: f64 = chain.rates[state].iter().sum::<f64>() * shares[state];
                prop_assert!((into / out - 1.0).abs() < 1e-12);
            }
            prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn the_smallest_share_keeps_its_digits() {
        // Twelve failures at a millionth each: 1e-72, which a solver that subtracts would return as noise.
        let group = Group { units: 12, enough: 1, failure_rate: 1e-6, repair_rate: 1.0 - 1e-6, crews: 12 };
        assert!((group.steady().down / 1e-72 - 1.0).abs() < 1e-9);
    }

    #[test]
    fn outages_times_their_length_are_the_downtime() {
        // One unit: down as often as it fails, for as long as its repair takes.
        let group = Group { units: 1, enough: 1, failure_rate: 0.001, repair_rate: 0.1, crews: 1 };
        let steady = group.steady();
        assert!((steady.frequency / 0.1 - steady.down).abs() < 1e-15);
    }
}
