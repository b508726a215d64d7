//! What is known against a plan before anything starts: the refusals that would come when its faults are injected.
//!
//! A run that learns in the middle that a fault cannot be made has loaded and watched a system for nothing. So whoever would
//! inject is asked beforehand, for all actions at once, about resources and machine as they are now.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use model::{
    catalogue::Reversibility,
    event::InjectionId,
    resource::{Resource, ResourceId},
};

use crate::{
    plan::{Fault, Plan, PlannedAction, Problem, Work},
    provider::{Order, Provider},
};

/// Every refusal that can be foreseen, one problem per action and reason.
pub(crate) async fn problems(plan: &Plan, resources: &[(Resource, Arc<dyn Provider>)]) -> Vec<Problem> {
    let owners: HashMap<&ResourceId, &Arc<dyn Provider>> = resources.iter().map(|(one, of)| (&one.id, of)).collect();
    let mut asked: Vec<(&Arc<dyn Provider>, Vec<Order>)> = Vec::new();
    for (_, fault) in foreseeable(plan) {
        for injection in &fault.injections {
            let Some(owner) = owners.get(&injection.resource.id) else { continue };
            let order = Order {
                injection: injection.id,
                fault: fault.fault.clone(),
                parameters: fault.parameters.clone(),
                resource: injection.resource.id.clone(),
                term: plan.lease().into(),
            };
            match asked.iter_mut().find(|(of, _)| Arc::ptr_eq(of, owner)) {
                Some((_, orders)) => orders.push(order),
                None => asked.push((owner, vec![order])),
            }
        }
    }
    let mut against = BTreeMap::new();
    for (owner, orders) in asked {
        against.extend(owner.foresee(orders).await);
    }
    foreseeable(plan).into_iter().flat_map(|(action, fault)| told(action, fault, &against)).collect()
}

/// The actions about which something can be known now: not those behind one that takes away for good what is there, because
/// what comes in its place is not known.
fn foreseeable(plan: &Plan) -> Vec<(&PlannedAction, &Fault)> {
    let mut unknown: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    // In the plan's order each follows those of its `startAfter`.
    for action in &plan.actions {
        let follows = action.start_after.iter().any(|before| unknown.contains(&before.as_str()));
        let fault = if let Work::Fault(fault) = &action.work { Some(fault) } else { None };
        if follows || fault.is_some_and(|fault| fault.reversibility == Reversibility::Irreversible) {
            unknown.push(&action.name);
        }
        found.extend(fault.filter(|_| !follows).map(|fault| (action, fault)));
    }
    found
}

/// The problems of one action: resources of which the same is said are told together.
fn told(action: &PlannedAction, fault: &Fault, against: &BTreeMap<InjectionId, String>) -> Vec<Problem> {
    let mut reasons: Vec<(String, &str, Vec<&ResourceId>)> = Vec::new();
    for injection in &fault.injections {
        let Some(why) = against.get(&injection.id) else { continue };
        let why = why.strip_prefix(&format!("{}: ", fault.fault)).unwrap_or(why);
        let id = &injection.resource.id;
        let of_any = why.replace(&id.0, "\0");
        match reasons.iter_mut().find(|(reason, ..)| *reason == of_any) {
            Some((.., others)) => others.push(id),
            None => reasons.push((of_any, why, vec![id])),
        }
    }
    let problem = |(_, why, of): (String, &str, Vec<&ResourceId>)| {
        let others = of.len() - 1;
        let too = match of.as_slice() {
            [_] | [] => String::new(),
            [_, other] => format!(" (the same goes for {other})"),
            [_, other, ..] => format!(" (the same goes for {other} and {} more)", others - 1),
        };
        let first = of.first().map_or_else(String::new, ToString::to_string);
        Problem::new(format!("actions.{}", action.name), format!("`{}` on {first}: {why}{too}", fault.fault))
    };
    reasons.into_iter().map(problem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        provider::{Boxed, InjectError, UndoError, Undone},
        testing,
    };
    use model::event::Proof;

    /// Refuses everything on some resources.
    struct Refuses(&'static [&'static str]);

    impl Provider for Refuses {
        fn resources(&self) -> Boxed<'_, Vec<Resource>> {
            Box::pin(async { Vec::new() })
        }

        fn foresee(&self, orders: Vec<Order>) -> Boxed<'_, BTreeMap<InjectionId, String>> {
            let refused = orders.into_iter().filter(|order| self.0.contains(&order.resource.0.as_str()));
            let found = refused.map(|order| (order.injection, format!("{} has no disk of its own", order.resource)));
            let found: BTreeMap<_, _> = found.collect();
            Box::pin(async { found })
        }

        fn inject(&self, _: Order) -> Boxed<'_, Result<Proof, InjectError>> {
            panic!("nothing is injected to find out")
        }

        fn undo(&self, _: InjectionId) -> Boxed<'_, Result<Undone, UndoError>> {
            panic!("nothing is undone")
        }

        fn renew(&self, _: &[InjectionId]) {}
    }

    async fn found(actions: Vec<PlannedAction>, refused: &'static [&'static str]) -> Vec<String> {
        let provider: Arc<dyn Provider> = Arc::new(Refuses(refused));
        let resources: Vec<_> =
            (1..=9).map(|id| (testing::instance(&format!("r{id}"), "a"), Arc::clone(&provider))).collect();
        problems(&testing::plan(actions), &resources).await.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn all_refusals_are_told_at_once_and_like_ones_together() {
        let undoable = |name, ids: std::ops::Range<u32>| testing::fault(name, &[], ids, None, Reversibility::Undoable);
        let found =
            found(vec![undoable("A", 1..5), undoable("B", 5..6), undoable("C", 6..7)], &["r1", "r2", "r4", "r5"]);
        let told = found.await;
        assert_eq!(
            told,
            [
                "actions.A: `network:latency` on r1: r1 has no disk of its own (the same goes for r2 and 1 more)",
                "actions.B: `network:latency` on r5: r5 has no disk of its own",
            ]
        );
    }

    #[tokio::test]
    async fn nothing_is_said_of_what_comes_in_the_place_of_what_is_lost() {
        let actions = vec![
            testing::fault("Kill", &[], [1], None, Reversibility::Irreversible),
            testing::fault("Slow", &["Kill"], [2], None, Reversibility::Undoable),
            testing::fault("Slower", &["Slow"], [3], None, Reversibility::Undoable),
        ];
        assert_eq!(found(actions.clone(), &["r2", "r3"]).await, [""; 0]);
        assert_eq!(found(actions, &["r1"]).await.len(), 1);
    }
}
