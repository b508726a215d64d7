//! `group:no-capacity`: launches of a group fail in some zones.

use std::collections::BTreeSet;

use engine::provider::{InjectError, Order, Undone};
use model::{
    catalogue::{Entry, Parameter, ParameterKind, Reversibility},
    event::{Cleanliness, InjectionId, Proof},
};

use super::{
    GROUPS,
    zone::{self, text},
};
use crate::{group::Shortage, lab::Lab};

/// The action's entry in the catalogue.
pub(crate) const ENTRY: Entry = Entry {
    id: "group:no-capacity",
    about: "Lets a group's launches in some zones fail for insufficient capacity; the group tries its other zones, and later again.",
    targets: GROUPS,
    parameters: &[
        zone::DURATION,
        Parameter {
            name: "zones",
            kind: ParameterKind::Text,
            required: true,
            default: None,
            about: "The zones without capacity, separated by commas.",
        },
        Parameter {
            name: "percentage",
            kind: ParameterKind::Integer { min: 1, max: 100 },
            required: false,
            default: Some("100"),
            about: "How many of a hundred launches fail, evenly: of four at 50 % the second and the fourth.",
        },
    ],
    reversibility: Reversibility::Undoable,
    undone_by: "Launches succeed again, and those that wait for it are made at once.",
    proven_by: "A hundred launches that are only tried, in each of the zones, of which as many are denied; at the end it is counted how \
                many real ones were.",
    needs: &[],
    exclusive: &[],
    fis: &["aws:ec2:asg-insufficient-instance-capacity-error"],
    chaos_mesh: None,
};

/// What is to be done.
#[derive(Debug)]
pub(super) struct Plan {
    group: String,
    zones: BTreeSet<String>,
    percent: u8,
}

/// Reads an order.
pub(super) fn plan(lab: &Lab, order: &Order) -> Result<Plan, InjectError> {
    let inner = &lab.inner;
    let refused = |why: String| InjectError::Refused(format!("{}: {why}", order.fault));
    let group = inner.spec.groups.keys().find(|name| inner.identity.group(name) == order.resource);
    let group = group.ok_or_else(|| refused(format!("the lab has no group {}", order.resource)))?;
    let given = text(order, "zones").unwrap_or_default();
    let zones: BTreeSet<String> =
        given.split(',').map(str::trim).filter(|zone| !zone.is_empty()).map(str::to_owned).collect();
    if let Some(unknown) = zones.iter().find(|zone| !inner.subnets.contains_key(*zone)) {
        let near = model::nearest::nearest(unknown, inner.subnets.keys().map(String::as_str));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        return Err(refused(format!("`{unknown}` is no zone of lab `{}`{hint}", inner.spec.name)));
    }
    if zones.is_empty() {
        return Err(refused("it names no `zones`".to_owned()));
    }
    let percent = text(order, "percentage").unwrap_or("100");
    let percent = percent.parse().ok().filter(|percent| (1..=100).contains(percent));
    let percent = percent.ok_or_else(|| refused("`percentage` is a whole number from 1 to 100".to_owned()))?;
    Ok(Plan { group: group.clone(), zones, percent })
}

impl Plan {
    pub(super) async fn inject(self, lab: &Lab, injection: InjectionId) -> Result<Proof, InjectError> {
        let Self { group, zones, percent } = self;
        let shortage = Shortage::new(zones.clone(), percent);
        let tried = lab.lack(injection, &group, shortage).await;
        let tried = tried.ok_or_else(|| InjectError::Refused("the lab is going down".to_owned()))?;
        let words = tried.iter().map(|(zone, denied)| format!("{denied} of 100 launches tried in {zone} are denied"));
        let names = zones.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        Ok(Proof {
            configured: format!("{percent} % of the launches of group {group} in {names} fail"),
            achieved: words.collect::<Vec<_>>().join("; "),
            holds: tried.len() == zones.len() && tried.iter().all(|(_, denied)| *denied == usize::from(percent)),
        })
    }
}

/// Has launches succeed again.
pub(super) async fn undo(lab: &Lab, injection: InjectionId) -> Undone {
    match lab.relieve(injection).await {
        Some(denied) => {
            let proof = Proof {
                configured: "launches fail".to_owned(),
                achieved: format!("{denied} launches were denied"),
                // None is no failure: the group may have had nothing to launch.
                holds: true,
            };
            Undone { cleanliness: Cleanliness::Clean, proof: Some(proof) }
        }
        None => Undone { cleanliness: Cleanliness::Gone, proof: None },
    }
}
