//! Resources that appear while a fault is in effect, and those that go.

use std::{collections::BTreeSet, sync::Arc};

use model::{
    event::{InjectionId, What},
    moment::Moment,
    resource::ResourceId,
};

use super::{Effect, InjectionRun, Phase, Run, Since, State};
use crate::plan::Work;

impl Run {
    /// Takes in what fits a target that follows and is not hit yet, and lets go what is not there any more.
    pub(super) fn seen(
        &mut self,
        target: &str,
        fit: &[ResourceId],
        present: &BTreeSet<ResourceId>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        if self.phase != Phase::Running {
            return;
        }
        let plan = Arc::clone(&self.plan);
        for (action, planned) in plan.actions.iter().enumerate() {
            let Work::Fault(fault) = &planned.work else { continue };
            // Before it is in effect nobody has been left out, and after it nobody is taken in.
            let Some(since) = self.joining(action).filter(|_| fault.follow && fault.target == target) else { continue };
            self.let_go(action, present, now, out);
            for resource in fit {
                if self.injections.iter().any(|one| one.action == action && one.resource == *resource) {
                    continue;
                }
                let id = self.next_injection();
                let resource = resource.clone();
                self.injections.push(InjectionRun { id, action, resource, since, state: State::Waiting });
                self.begin(id, &planned.name, fault, now, out);
            }
        }
    }

    /// How a newcomer joins what an action has in effect, which ends with the last of it; `None` when that is nothing.
    fn joining(&self, action: usize) -> Option<Since> {
        let mine = self.injections.iter().filter(|one| one.action == action);
        let untils = mine.filter_map(|one| if let State::Active { until } = one.state { Some(until) } else { None });
        untils.reduce(|one, other| Some(one?.max(other?))).map(|ends| Since::Appearance { ends })
    }

    /// Undoes what an action has in effect on what is not there any more: the undo finds out that it is gone.
    fn let_go(&mut self, action: usize, present: &BTreeSet<ResourceId>, now: Moment, out: &mut Vec<Effect>) {
        let gone = |one: &&mut InjectionRun| one.action == action && !present.contains(&one.resource);
        for one in self.injections.iter_mut().filter(gone) {
            if matches!(one.state, State::Active { .. }) {
                out.push(Effect::Record(What::Note { text: format!("{} has gone and is let go", one.resource) }));
                one.undo(now);
                out.push(Effect::Undo(one.id));
            }
        }
    }

    fn next_injection(&self) -> InjectionId {
        InjectionId(self.injections.iter().map(|one| one.id.0).max().unwrap_or_default() + 1)
    }
}

#[cfg(test)]
mod tests {
    use model::{
        catalogue::Reversibility,
        event::Cleanliness,
        period::Period,
        status::{ActionStatus, ExperimentStatus},
    };

    use super::*;
    use crate::run::Steady;
    use crate::{
        provider::Undone,
        run::Event,
        testing::{fault, plan, proof},
    };

    fn id(name: &str) -> ResourceId {
        ResourceId(name.to_owned())
    }

    fn seconds(at: u64) -> Moment {
        Moment::ZERO + std::time::Duration::from_secs(at)
    }

    /// A run with latency on `r1` and `r2`, in effect since second 10, for ten seconds or until the fault window ends.
    fn in_effect(follow: bool, duration: Option<u64>) -> Run {
        let duration = duration.map(Period::from_secs);
        let mut action = fault("Slow", &[], [1, 2], duration, Reversibility::SelfEnding);
        if let Work::Fault(fault) = &mut action.work {
            fault.follow = follow;
        }
        let mut run = Run::new(Arc::new(plan(vec![action])));
        run.step(Event::Start, Moment::ZERO);
        run.step(Event::Tick, seconds(10));
        run.step(Event::SteadyState { found: Steady::Held, reason: String::new() }, seconds(10));
        for injection in [1, 2] {
            run.step(Event::Injected { injection: InjectionId(injection), proof: proof(true) }, seconds(10));
        }
        run
    }

    fn seen(fit: &[&str]) -> Event {
        let fit: Vec<ResourceId> = fit.iter().map(|name| id(name)).collect();
        Event::Seen { target: "some".to_owned(), present: fit.iter().cloned().collect(), fit }
    }

    fn injected(effects: &[Effect]) -> Vec<(u32, &str)> {
        effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Inject(order) => Some((order.injection.0, order.resource.0.as_str())),
                _ => None,
            })
            .collect()
    }

    fn undone(effects: &[Effect]) -> Vec<u32> {
        let id = |effect: &Effect| if let Effect::Undo(id) = effect { Some(id.0) } else { None };
        effects.iter().filter_map(id).collect()
    }

    #[test]
    fn a_newcomer_is_hit_once_and_ends_with_the_others() {
        let mut run = in_effect(true, Some(10));
        assert_eq!(injected(&run.step(seen(&["r1", "r2", "r3"]), seconds(15))), [(3, "r3")]);
        assert!(injected(&run.step(seen(&["r1", "r2", "r3"]), seconds(16))).is_empty());
        run.step(Event::Injected { injection: InjectionId(3), proof: proof(true) }, seconds(16));
        assert_eq!(undone(&run.step(Event::Tick, seconds(20))), [1, 2, 3]);
        assert!(injected(&run.step(seen(&["r1", "r2", "r3", "r4"]), seconds(21))).is_empty());
    }

    #[test]
    fn a_newcomer_lasts_as_long_as_what_lasts() {
        let mut run = in_effect(true, None);
        assert_eq!(injected(&run.step(seen(&["r1", "r2", "r3"]), seconds(15))), [(3, "r3")]);
        run.step(Event::Injected { injection: InjectionId(3), proof: proof(true) }, seconds(16));
        assert_eq!(undone(&run.step(Event::Tick, seconds(20))), [1, 2, 3]);
    }

    #[test]
    fn nobody_is_taken_in_who_was_not_asked_for() {
        assert!(injected(&in_effect(false, None).step(seen(&["r1", "r2", "r3"]), seconds(15))).is_empty());
        let mut run = in_effect(true, None);
        let other =
            Event::Seen { target: "another".to_owned(), fit: vec![id("r3")], present: BTreeSet::from([id("r3")]) };
        assert!(injected(&run.step(other, seconds(15))).is_empty());
        run.step(Event::Stop { by: "Ctrl-C".to_owned() }, seconds(15));
        assert!(injected(&run.step(seen(&["r1", "r2", "r3"]), seconds(15))).is_empty());
    }

    #[test]
    fn what_has_gone_is_let_go_and_what_merely_fits_no_more_is_not() {
        let mut run = in_effect(true, Some(10));
        let unwell =
            Event::Seen { target: "some".to_owned(), fit: Vec::new(), present: BTreeSet::from([id("r1"), id("r2")]) };
        assert!(undone(&run.step(unwell, seconds(12))).is_empty());
        assert_eq!(undone(&run.step(seen(&["r2"]), seconds(13))), [1]);
    }

    #[test]
    fn a_newcomer_that_cannot_be_hit_is_left_out_and_fails_nothing() {
        let mut run = in_effect(true, Some(10));
        run.step(seen(&["r1", "r2", "r3"]), seconds(15));
        run.step(Event::InjectFailed { injection: InjectionId(3), why: "it is gone".to_owned() }, seconds(15));
        run.step(Event::Tick, seconds(20));
        for injection in [1, 2] {
            let undone = Undone { cleanliness: Cleanliness::Clean, proof: None };
            run.step(Event::Undone { injection: InjectionId(injection), undone }, seconds(20));
        }
        assert_eq!((run.phase(), run.status()), (Phase::Recovering, ExperimentStatus::Completed));
        assert_eq!(run.actions[0].status, ActionStatus::Completed);
    }
}
