//! Incidents that overlap, laid side by side: at every instant the worst of them counts, once.

use std::{borrow::Borrow, collections::BTreeMap, ops::Add};

use jiff::Timestamp;
use model::incident::{Incident, Stretch};

/// When a service was down, and how much of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Downtime {
    /// In order, not overlapping: a stretch, and the share that was lost in it.
    pieces: Vec<(Stretch, f64)>,
    /// In order, not touching: stretches without a gap between what was down.
    interruptions: Vec<Stretch>,
}

impl Downtime {
    /// The downtime of these incidents, in any order.
    pub fn of(incidents: impl IntoIterator<Item: Borrow<Incident>>) -> Self {
        let mut edges: Vec<(Timestamp, bool, f64)> = Vec::new();
        for incident in incidents {
            let Incident { began, restored, lost, .. } = *incident.borrow();
            if began < restored {
                edges.extend([(began, true, lost), (restored, false, lost)]);
            }
        }
        edges.sort_by_key(|(at, ..)| *at);
        let mut down = Self::default();
        // How many incidents are open with each share; shares are not negative, so that their bits are in order.
        let mut open: BTreeMap<u64, usize> = BTreeMap::new();
        let mut since = None;
        for (at, begins, lost) in edges {
            if let (Some(since), Some((worst, _))) = (since, open.last_key_value()) {
                down.push(Stretch { from: since, to: at }, f64::from_bits(*worst));
            }
            let count = open.entry(lost.abs().to_bits()).or_default();
            *count = if begins { *count + 1 } else { count.saturating_sub(1) };
            if *count == 0 {
                open.remove(&lost.abs().to_bits());
            }
            since = Some(at);
        }
        down
    }

    fn push(&mut self, stretch: Stretch, lost: f64) {
        if stretch.from >= stretch.to {
            return;
        }
        self.pieces.push((stretch, lost));
        match self.interruptions.last_mut() {
            Some(last) if last.to == stretch.from => last.to = stretch.to,
            _ => self.interruptions.push(stretch),
        }
    }

    /// Seconds of service that were lost within a stretch: an hour in which a third was lost are twenty minutes.
    #[must_use]
    pub fn lost_within(&self, stretch: Stretch) -> f64 {
        let first = self.pieces.partition_point(|(piece, _)| piece.to <= stretch.from);
        let pieces = self.pieces[first..].iter().take_while(|(piece, _)| piece.from < stretch.to);
        // Folded from 0, because the empty sum of floats is -0.
        pieces.filter_map(|(piece, lost)| Some(piece.meet(stretch)?.length().as_secs_f64() * lost)).fold(0.0, Add::add)
    }

    /// Seconds within a stretch in which anything was lost.
    #[must_use]
    pub fn down_within(&self, stretch: Stretch) -> f64 {
        let within = self.interruptions_within(stretch).filter_map(|one| Some(one.meet(stretch)?.length()));
        within.map(|length| length.as_secs_f64()).fold(0.0, Add::add)
    }

    /// The interruptions that lie at least partly within a stretch, whole and in order. Incidents that overlap or follow
    /// each other without a gap are one interruption.
    pub fn interruptions_within(&self, stretch: Stretch) -> impl Iterator<Item = Stretch> + '_ {
        let first = self.interruptions.partition_point(|one| one.to <= stretch.from);
        self.interruptions[first..].iter().copied().take_while(move |one| one.from < stretch.to)
    }

    /// The interruptions that begin within a stretch, whole and in order.
    pub fn begun_within(&self, stretch: Stretch) -> impl Iterator<Item = Stretch> + '_ {
        self.interruptions_within(stretch).filter(move |one| one.from >= stretch.from)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use model::incident::Kind;
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn stretch(from: i64, to: i64) -> Stretch {
        Stretch { from: Timestamp::from_second(from).unwrap(), to: Timestamp::from_second(to).unwrap() }
    }

    pub(crate) fn incident(from: i64, to: i64, lost: f64) -> Incident {
        let Stretch { from, to } = stretch(from, to);
        Incident {
            title: "it".to_owned(),
            kind: Kind::Outage,
            began: from,
            detected: None,
            restored: to,
            lost,
            cause: None,
        }
    }

    fn near(value: f64, wanted: f64) {
        assert!((value - wanted).abs() < 1e-6, "{value} is not {wanted}");
    }

    #[test]
    fn what_overlaps_is_counted_once_as_the_worst_of_it() {
        let incidents = [incident(0, 60, 0.5), incident(30, 90, 1.0), incident(40, 50, 0.1)];
        let down = Downtime::of(&incidents);
        near(down.lost_within(stretch(-100, 100)), 30.0 * 0.5 + 60.0);
        near(down.down_within(stretch(-100, 100)), 90.0);
        assert_eq!(down.interruptions_within(stretch(-100, 100)).collect::<Vec<_>>(), [stretch(0, 90)]);
    }

    #[test]
    fn a_stretch_has_what_lies_in_it_and_begins_what_begins_in_it() {
        let incidents = [incident(0, 60, 1.0), incident(100, 160, 1.0), incident(190, 260, 1.0)];
        let down = Downtime::of(&incidents);
        near(down.lost_within(stretch(30, 200)), 30.0 + 60.0 + 10.0);
        assert_eq!(down.begun_within(stretch(30, 200)).count(), 2);
        assert_eq!(down.begun_within(stretch(0, 100)).count(), 1, "the end does not belong to it");
        near(down.lost_within(stretch(60, 100)), 0.0);
    }

    #[test]
    fn incidents_without_a_length_and_none_at_all_lose_nothing() {
        near(Downtime::of(&[incident(5, 5, 1.0), incident(9, 3, 1.0)]).lost_within(stretch(0, 10)), 0.0);
        near(Downtime::default().down_within(stretch(0, 10)), 0.0);
    }

    proptest! {
        /// Second by second, as slowly as one would do it by hand.
        #[test]
        fn it_is_what_one_counts_second_by_second(
            spans in prop::collection::vec((0_i64..200, 0_i64..80, 0_u8..5), 0..12),
            from in 0_i64..150,
            length in 1_i64..150,
        ) {
            let incidents: Vec<_> =
                spans.iter().map(|(at, long, quarter)| incident(*at, at + long, f64::from(*quarter) / 4.0)).collect();
            let worst = |second: i64| {
                spans
                    .iter()
                    .filter(|(at, long, _)| (*at..at + long).contains(&second))
                    .map(|(.., quarter)| f64::from(*quarter) / 4.0)
                    .fold(None, |worst: Option<f64>, lost| Some(worst.unwrap_or(0.0).max(lost)))
            };
            let seconds = from..from + length;
            let down = Downtime::of(&incidents);
            let whole = stretch(from, from + length);
            let lost: f64 = seconds.clone().filter_map(worst).sum();
            prop_assert!((down.lost_within(whole) - lost).abs() < 1e-6);
            let count = u32::try_from(seconds.filter(|second| worst(*second).is_some()).count()).unwrap();
            prop_assert!((down.down_within(whole) - f64::from(count)).abs() < 1e-6);
        }
    }
}
