//! Which target a request goes to: a pure choice over a snapshot of the targets.

use std::sync::Arc;

/// The targets as requests see them; replaced whole when anything changes, never edited.
#[derive(Debug)]
pub(super) struct Routes<T> {
    candidates: Vec<Arc<T>>,
}

impl<T> Default for Routes<T> {
    fn default() -> Self {
        Self { candidates: Vec::new() }
    }
}

impl<T> Routes<T> {
    /// Routes to the healthy ones of these targets or, when none is healthy, to all of them: like an ALB, a balancer whose
    /// checks all fail would rather trust the targets than turn everybody away ("fail open").
    pub(super) fn new(registered: Vec<Arc<T>>, is_healthy: impl Fn(&T) -> bool) -> Self {
        let healthy: Vec<_> = registered.iter().filter(|target| is_healthy(target)).cloned().collect();
        Self { candidates: if healthy.is_empty() { registered } else { healthy } }
    }

    /// The target that `sticks` names if it is a candidate, else the candidate whose `turn` it is; in either case one that
    /// has not been `tried` for this request. After a failure a target that shares no `fate` (zone) with those tried comes
    /// first: what took one down may have taken its neighbours down in the same moment.
    pub(super) fn pick(
        &self,
        turn: usize,
        sticks: impl Fn(&T) -> bool,
        fate: impl Fn(&T, &T) -> bool,
        tried: &[Arc<T>],
    ) -> Option<&Arc<T>> {
        let untried = |target: &&Arc<T>| !tried.iter().any(|one| Arc::ptr_eq(one, target));
        let elsewhere = |target: &&Arc<T>| !tried.iter().any(|one| fate(one, target));
        let bound = self.candidates.iter().find(|target| sticks(target)).filter(untried);
        bound.or_else(|| {
            let first = turn.checked_rem(self.candidates.len())?;
            let (before, from) = self.candidates.split_at(first);
            let mut in_turn = from.iter().chain(before).filter(untried);
            in_turn.clone().find(elsewhere).or_else(|| in_turn.next())
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn routes(healthy: &[bool]) -> Routes<(usize, bool)> {
        Routes::new(healthy.iter().enumerate().map(|(number, up)| Arc::new((number, *up))).collect(), |target| target.1)
    }

    fn picks(routes: &Routes<(usize, bool)>, turns: usize) -> Vec<usize> {
        (0..turns).filter_map(|turn| routes.pick(turn, |_| false, |_, _| false, &[])).map(|target| target.0).collect()
    }

    #[test]
    fn healthy_targets_take_turns() {
        assert_eq!(picks(&routes(&[true, false, true, true]), 6), [0, 2, 3, 0, 2, 3]);
    }

    #[test]
    fn all_targets_take_turns_when_none_is_healthy() {
        assert_eq!(picks(&routes(&[false, false]), 4), [0, 1, 0, 1]);
    }

    #[test]
    fn without_targets_there_is_nothing_to_pick() {
        assert!(routes(&[]).pick(7, |_| true, |_, _| false, &[]).is_none());
    }

    #[test]
    fn a_bound_client_keeps_its_target_until_that_is_unhealthy_or_tried() {
        let all = routes(&[true, true, true]);
        let to_last = |target: &(usize, bool)| target.0 == 2;
        let alone = |_: &(usize, bool), _: &(usize, bool)| false;
        let bound = all.pick(0, to_last, alone, &[]).unwrap();
        assert_eq!(bound.0, 2);
        assert_eq!(all.pick(0, to_last, alone, std::slice::from_ref(bound)).unwrap().0, 0);
        assert_eq!(routes(&[true, true, false]).pick(1, to_last, alone, &[]).unwrap().0, 1);
    }

    #[test]
    fn a_retry_goes_to_another_zone_first() {
        let four = routes(&[true, true, true, true]);
        // 0 and 1 share a zone, 2 and 3 another one.
        let zone = |a: &(usize, bool), b: &(usize, bool)| a.0 / 2 == b.0 / 2;
        let mut tried = Vec::new();
        while let Some(target) = four.pick(0, |_| false, zone, &tried) {
            tried.push(Arc::clone(target));
        }
        assert_eq!(tried.iter().map(|target| target.0).collect::<Vec<_>>(), [0, 2, 1, 3]);
    }

    proptest! {
        #[test]
        fn every_candidate_is_tried_once_and_then_nothing_is_left(
            healthy in proptest::collection::vec(any::<bool>(), 1..9), turn in any::<usize>(),
        ) {
            let routes = routes(&healthy);
            let mut tried = Vec::new();
            while let Some(target) = routes.pick(turn, |_| false, |_, _| false, &tried) {
                prop_assert!(tried.len() < healthy.len(), "a target was picked twice");
                tried.push(Arc::clone(target));
            }
            let up = healthy.iter().filter(|up| **up).count();
            prop_assert_eq!(tried.len(), if up == 0 { healthy.len() } else { up });
        }
    }
}
