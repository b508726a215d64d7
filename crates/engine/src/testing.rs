//! Builders for the tests of this crate.

use std::collections::BTreeMap;

use model::{
    catalogue::Reversibility,
    event::{InjectionId, Proof},
    experiment::Windows,
    period::Period,
    resource::{Resource, ResourceId},
};

use crate::plan::{Fault, Injection, Plan, PlannedAction, Work};

/// An instance of the group `web`, as a lab offers it.
pub(crate) fn instance(id: &str, zone: &str) -> Resource {
    Resource {
        id: ResourceId(id.to_owned()),
        types: vec!["lab:instance".to_owned(), "aws:ec2:instance".to_owned()],
        arn: format!("arn:aws:ec2:local-1:000000000000:instance/{id}"),
        tags: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
        zone: Some(zone.to_owned()),
        group: Some("web".to_owned()),
        attributes: BTreeMap::from([
            ("Placement.AvailabilityZone".to_owned(), vec![zone.to_owned()]),
            ("State.Name".to_owned(), vec!["running".to_owned()]),
        ]),
        disposable: true,
        ..Resource::default()
    }
}

/// An action that injects a fault into resources `r1`, `r2` ... by their injections' numbers.
pub(crate) fn fault(
    name: &str,
    start_after: &[&str],
    ids: impl IntoIterator<Item = u32>,
    duration: Option<Period>,
    reversibility: Reversibility,
) -> PlannedAction {
    PlannedAction {
        name: name.to_owned(),
        action_id: "network:latency".to_owned(),
        start_after: start_after.iter().map(|&before| before.to_owned()).collect(),
        work: Work::Fault(Fault {
            fault: "network:latency".to_owned(),
            parameters: BTreeMap::from([("delay".to_owned(), "100ms".to_owned())]),
            target: "some".to_owned(),
            injections: ids
                .into_iter()
                .map(|id| Injection { id: InjectionId(id), resource: instance(&format!("r{id}"), "a") })
                .collect(),
            follow: false,
            duration,
            reversibility,
            undone_by: "The delay is taken away.".to_owned(),
        }),
    }
}

/// A plan of these actions with short windows.
pub(crate) fn plan(actions: Vec<PlannedAction>) -> Plan {
    Plan {
        seed: 1,
        targets: Vec::new(),
        actions,
        guards: Vec::new(),
        bounds: Vec::new(),
        unguarded: None,
        windows: Windows {
            baseline: Period::from_secs(10),
            fault: Period::from_secs(10),
            recovery: Period::from_secs(30),
            settle: Period::from_secs(3),
        },
        lease: Period::from_secs(15),
        deadline: Period::from_secs(600),
    }
}

/// A measurement that a fault of 100 ms took hold, or did not.
pub(crate) fn proof(holds: bool) -> Proof {
    let achieved = if holds { "+100.1 ms" } else { "+0.0 ms" };
    Proof { configured: "latency 100 ms".to_owned(), achieved: achieved.to_owned(), holds }
}
