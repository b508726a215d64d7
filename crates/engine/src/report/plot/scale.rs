//! From values to places on the paper, and which values deserve a tick.

use model::metric::{Quantity, Unit};

/// A linear scale: a range of values drawn along a range of places. Both ranges are finite and the values' is never
/// empty, so that every place computed is finite too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    values: (f64, f64),
    places: (f64, f64),
}

impl Scale {
    /// A scale that shows `low..=high` along `places`. A range that is empty, reversed or not finite is replaced by one
    /// of length 1 from its finite end, because a flat series still has to be drawn somewhere.
    pub(crate) fn new(low: f64, high: f64, places: (f64, f64)) -> Self {
        let low = if low.is_finite() { low } else { 0.0 };
        let high = if high.is_finite() && high > low { high } else { low + low.abs().max(1.0) };
        Self { values: (low, high), places }
    }

    /// Where a value lies. Values beyond the range are drawn at its edge.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let (low, high) = self.values;
        let share = ((value.clamp(low, high) - low) / (high - low)).clamp(0.0, 1.0);
        self.places.0 + share * (self.places.1 - self.places.0)
    }

    /// The values at both ends.
    pub(crate) const fn values(&self) -> (f64, f64) {
        self.values
    }
}

/// Values at equal distances whose distance is 1, 2 or 5 times a power of ten: the largest set of at most `most` (at
/// least 2) that lies within `low..=high`.
pub(crate) fn ticks(low: f64, high: f64, most: u32) -> Vec<f64> {
    multiples(low, high, step(low, high, most))
}

/// The nice distance for [`ticks`]; not finite and positive where the range is empty.
fn step(low: f64, high: f64, most: u32) -> f64 {
    let rough = (high - low) / f64::from(most.max(2) - 1);
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|nice| nice * power).find(|nice| *nice >= rough).unwrap_or(10.0 * power)
}

/// Ticks for a time axis in seconds: below a minute as [`ticks`], above it at distances that clocks have names for.
pub(crate) fn time_ticks(low: f64, high: f64, most: u32) -> Vec<f64> {
    /// 15 s to 1 day.
    const STEPS: [f64; 14] =
        [15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0];
    let rough = (high - low) / f64::from(most.max(2) - 1);
    if rough <= 10.0 {
        return ticks(low, high, most);
    }
    match STEPS.into_iter().find(|step| *step >= rough) {
        Some(step) => multiples(low, high, step),
        // Longer than most days: whole days, in nice numbers of them.
        None => ticks(low / 86_400.0, high / 86_400.0, most).into_iter().map(|days| days * 86_400.0).collect(),
    }
}

/// All multiples of `step` within `low..=high`. At most 1,000, whatever the caller did wrong.
fn multiples(low: f64, high: f64, step: f64) -> Vec<f64> {
    if !(step.is_finite() && step > 0.0 && low.is_finite() && high.is_finite()) {
        return Vec::new();
    }
    // A thousandth of a step keeps the last tick when the division is off by a rounding error.
    let (first, last) = ((low / step - 1e-3).ceil(), (high / step + 1e-3).floor());
    std::iter::successors(Some(first), |number| Some(number + 1.0))
        .take_while(|number| *number <= last)
        .take(1000)
        // Adding zero turns a negative zero into zero.
        .map(|number| number * step + 0.0)
        .collect()
}

/// The top of a value axis from zero that leaves room above `highest`: the next tick above it.
pub(crate) fn nice_top(highest: f64, most: u32) -> f64 {
    if !(highest.is_finite() && highest > 0.0) {
        return 1.0;
    }
    let step = step(0.0, highest, most);
    let top = (highest / step - 1e-3).ceil() * step;
    // Less than a tenth of a step of air would glue the line to the frame.
    if top - highest < step * 0.1 { top + step } else { top }
}

/// How the values of one axis are written: one unit and one number of decimals for all its ticks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Notation {
    factor: f64,
    suffix: &'static str,
    decimals: usize,
}

impl Notation {
    /// For an axis of this unit with these ticks.
    pub(crate) fn of(unit: Unit, ticks: &[f64]) -> Self {
        let highest = ticks.iter().fold(0.0_f64, |highest, tick| highest.max(tick.abs()));
        let (factor, suffix) = match unit {
            Unit::Count => (1.0, ""),
            Unit::Percent => (1.0, " %"),
            Unit::PerSecond => (1.0, "/s"),
            Unit::Seconds if highest < 1e-3 => (1e6, " µs"),
            Unit::Seconds if highest < 1.0 => (1e3, " ms"),
            Unit::Seconds => (1.0, " s"),
            Unit::Bytes => {
                let grain = Self::grain(unit, highest);
                let suffix = [(1024.0, " B"), (1_048_576.0, " KiB"), (1_073_741_824.0, " MiB")];
                (1.0 / grain, suffix.into_iter().find(|(next, _)| grain < *next).map_or(" GiB", |(_, suffix)| suffix))
            }
        };
        let decimals = (0..4)
            .find(|decimals| {
                let grain = 10_f64.powi(*decimals);
                ticks.iter().all(|tick| {
                    let scaled = tick * factor * grain;
                    (scaled - scaled.round()).abs() < 1e-6 * scaled.abs().max(1.0)
                })
            })
            .unwrap_or(4);
        Self { factor, suffix, decimals: usize::try_from(decimals).unwrap_or_default() }
    }

    /// The size of the unit in which values up to `highest` are written, where it is no power of ten.
    pub(crate) fn grain(unit: Unit, highest: f64) -> f64 {
        match unit {
            Unit::Bytes => {
                [1_073_741_824.0, 1_048_576.0, 1024.0].into_iter().find(|grain| highest >= *grain).unwrap_or(1.0)
            }
            Unit::Count | Unit::Seconds | Unit::Percent | Unit::PerSecond => 1.0,
        }
    }

    /// A value in this notation.
    pub(crate) fn write(&self, value: f64) -> String {
        if value == 0.0 {
            return "0".to_owned();
        }
        format!("{:.*}{}", self.decimals, value * self.factor, self.suffix)
    }

    /// A measured value in this notation, with three significant places.
    pub(crate) fn finer(&self, value: f64) -> String {
        let scaled = value * self.factor;
        let decimals = match scaled.abs() {
            _ if scaled.fract() == 0.0 => 0,
            100.0.. => 0,
            10.0.. => 1,
            _ => 2,
        };
        format!("{scaled:.decimals$}{}", self.suffix)
    }
}

/// A time on an axis of `length` seconds: `40 s`, from two minutes on `3:20`, from an hour on `1:03:20`.
pub(crate) fn clock_face(seconds: f64, length: f64) -> String {
    if length <= 120.0 {
        return Quantity { value: seconds, unit: Unit::Count }.to_string() + " s";
    }
    // Times of a run are positive and far below 2^53 seconds, so that the rounding is exact.
    let whole = std::time::Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default().as_secs();
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_are_the_numbers_a_person_would_choose() {
        assert_eq!(ticks(0.0, 0.9, 6), [0.0, 0.2, 0.4, 0.600_000_000_000_000_1, 0.8]);
        assert_eq!(ticks(0.0, 100.0, 6), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(ticks(0.0, 2.0, 4), [0.0, 1.0, 2.0]);
        assert_eq!(time_ticks(0.0, 300.0, 6), [0.0, 60.0, 120.0, 180.0, 240.0, 300.0]);
        assert_eq!(time_ticks(0.0, 42.0, 6), [0.0, 10.0, 20.0, 30.0, 40.0]);
    }

    #[test]
    fn an_axis_has_one_unit() {
        let notation = Notation::of(Unit::Bytes, &[0.0, 209_715_200.0, 419_430_400.0]);
        assert_eq!(notation.write(209_715_200.0), "200 MiB");
        let notation = Notation::of(Unit::Seconds, &[0.0, 0.25, 0.5, 0.75]);
        assert_eq!([0.0, 0.25, 0.5].map(|tick| notation.write(tick)), ["0", "250 ms", "500 ms"]);
        let notation = Notation::of(Unit::Seconds, &[0.0, 0.5, 1.0, 1.5]);
        assert_eq!([0.5, 1.0].map(|tick| notation.write(tick)), ["0.5 s", "1.0 s"]);
        assert_eq!(
            [(40.0, 60.0), (200.0, 300.0), (3800.0, 7000.0)].map(|(at, of)| clock_face(at, of)),
            ["40 s", "3:20", "1:03:20"]
        );
    }

    proptest! {
        #[test]
        fn ticks_are_few_ordered_equally_spaced_and_inside(low in -1e6_f64..1e6, length in 1e-6_f64..1e9, most in 2_u32..20) {
            let high = low + length;
            prop_assume!(length > low.abs() * 1e-9);
            for ticks in [ticks(low, high, most), time_ticks(low, high, most)] {
                prop_assert!(ticks.len() <= usize::try_from(most).unwrap(), "{} of {most}", ticks.len());
                let air = length * 1e-2;
                prop_assert!(ticks.iter().all(|tick| tick.is_finite() && *tick >= low - air && *tick <= high + air));
                for pair in ticks.windows(3) {
                    prop_assert!(pair[0] < pair[1]);
                    prop_assert!(((pair[1] - pair[0]) - (pair[2] - pair[1])).abs() <= (pair[2] - pair[1]) * 1e-3);
                }
            }
        }

        #[test]
        fn an_axis_from_zero_has_at_least_two_ticks_and_room_for_its_highest_value(highest in 1e-9_f64..1e12, most in 3_u32..10) {
            let top = nice_top(highest, most);
            prop_assert!(top > highest && top <= highest * 3.0, "{top} for {highest}");
            prop_assert!(ticks(0.0, top, most + 2).len() >= 2);
        }

        #[test]
        fn every_place_is_finite_and_on_the_paper(low in any::<f64>(), high in any::<f64>(), value in any::<f64>()) {
            prop_assume!(!value.is_nan() && (high - low).is_finite());
            let place = Scale::new(low, high, (10.0, 90.0)).place(value);
            prop_assert!((10.0..=90.0).contains(&place), "{place}");
        }
    }
}
