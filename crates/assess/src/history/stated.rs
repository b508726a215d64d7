//! An availability that somebody computed, checked against the incidents it was computed from.

use model::{
    incident::{Incident, Stretch},
    stated::Stated,
};
use serde::Serialize;

use super::availability;

/// Most incidents among which those are sought that were left out: each more doubles the work, and of more than a dozen some
/// set fits by chance.
const MOST_SEARCHED: usize = 12;

/// Whether a stated availability is the one of the incidents.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatedCheck {
    /// What was stated, from 0 to 1.
    pub stated: f64,
    /// What the incidents give.
    pub computed: f64,
    /// Stated minus computed, in percentage points.
    pub points: f64,
    /// Whether they are the same, as exactly as it was stated.
    pub agrees: bool,
    /// Which incidents must be left out for the stated figure to come out, by their place in the history: each of the
    /// smallest sets. Empty where it agrees, and where no set does it.
    pub left_out: Vec<Vec<usize>>,
}

impl StatedCheck {
    /// Checks a stated availability.
    #[must_use]
    pub fn of(stated: Stated, incidents: &[Incident], observed: Stretch) -> Self {
        let computed = availability(incidents, observed);
        let agrees = stated.is(computed);
        let left_out = if agrees { Vec::new() } else { left_out(incidents, observed, |value| stated.is(value)) };
        Self { stated: stated.value, computed, points: (stated.value - computed) * 100.0, agrees, left_out }
    }
}

/// The smallest sets of incidents without which the availability is as wanted.
fn left_out(incidents: &[Incident], observed: Stretch, wanted: impl Fn(f64) -> bool) -> Vec<Vec<usize>> {
    if incidents.len() > MOST_SEARCHED {
        return Vec::new();
    }
    let in_set = |set: u32, at: usize| set & (1 << at) != 0;
    let without = |set: u32| {
        let kept = incidents.iter().enumerate().filter(move |(at, _)| !in_set(set, *at)).map(|(_, one)| one);
        availability(kept, observed)
    };
    let mut fitting: Vec<u32> = (1..1_u32 << incidents.len()).filter(|set| wanted(without(*set))).collect();
    let fewest = fitting.iter().map(|set| set.count_ones()).min();
    fitting.retain(|set| Some(set.count_ones()) == fewest);
    fitting.into_iter().map(|set| (0..incidents.len()).filter(|at| in_set(set, *at)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::downtime::tests::{incident, stretch},
        *,
    };

    const MINUTE: i64 = 60;

    fn month() -> (Vec<Incident>, Stretch) {
        let minutes = |day: i64, long: i64| incident(day * 1440 * MINUTE, (day * 1440 + long) * MINUTE, 1.0);
        (vec![minutes(3, 45), minutes(10, 20), minutes(22, 60)], stretch(0, 30 * 1440 * MINUTE))
    }

    #[test]
    fn a_figure_that_leaves_an_incident_out_is_told_by_which() {
        let (incidents, observed) = month();
        let check = StatedCheck::of(Stated { value: 0.9985, rounding: 0.000_05 }, &incidents, observed);
        assert!(!check.agrees);
        assert!((check.computed - 0.997_106_481).abs() < 1e-8, "{}", check.computed);
        assert_eq!(check.left_out, [[2]]);
    }

    #[test]
    fn a_right_figure_agrees_as_exactly_as_it_was_written() {
        let (incidents, observed) = month();
        let check = StatedCheck::of(Stated { value: 0.9971, rounding: 0.000_05 }, &incidents, observed);
        assert!(check.agrees && check.left_out.is_empty());
        let sharper = StatedCheck::of(Stated { value: 0.9971, rounding: 0.000_005 }, &incidents, observed);
        assert!(!sharper.agrees && sharper.left_out.is_empty(), "no set of these gives 99.710 %");
    }
}
