//! `zone:power-off`: a zone or region goes dark.
//!
//! A host without power says nothing, not even that it is gone: its callers wait in vain. So its network goes first (as by
//! [`zone_isolate`](super::zone_isolate), but from everything), then its processes, all between two decisions of the control
//! plane, which neither launches nor starts anything there until the power is back.

use std::{collections::BTreeSet, path::Path, time::Duration};

use engine::provider::{InjectError, Order, UndoError, Undone};
use model::{
    catalogue::{Entry, Need, Reversibility},
    event::{Cleanliness, InjectionId, Proof},
    resource::ResourceId,
};

use super::{
    PLACES, parts,
    zone::{self, Place},
};
use crate::{lab::Lab, plane::Seen, status::InstanceState};

/// The action's entry in the catalogue.
pub(crate) const ENTRY: Entry = Entry {
    id: "zone:power-off",
    about: "Takes the power of a zone or region: all instances there fall silent and stop at once, and none is launched or started there \
            while it lasts, as in the scenario AZ Availability: Power Interruption of AWS FIS.",
    targets: PLACES,
    parameters: &[zone::DURATION],
    reversibility: Reversibility::Undoable,
    undone_by: "Launches there succeed again, and what was stopped is started with the same address, unless its group has replaced \
                it; what was launched elsewhere stays there.",
    proven_by: "As network:blackhole is, for every instance that ran there; then all their processes are gone, and nothing runs \
                there.",
    needs: &[Need::NetworkNamespace, Need::NftablesOwner, Need::Signal],
    exclusive: &[],
    fis: &[],
    chaos_mesh: None,
};

/// How long killed processes may take to be gone: the kernel needs milliseconds, a busy machine more.
const GONE_LIMIT: Duration = Duration::from_secs(5);

/// How long instances may take to run again: little more than two forks each.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How often it is looked whether they have.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The zones, and the blackholes that make their running instances fall silent.
pub(super) async fn parts(lab: &Lab, order: &Order) -> Result<(BTreeSet<String>, Vec<Order>), InjectError> {
    let place = Place::of(lab, &order.resource)?;
    let silence = [("direction".to_owned(), "both".to_owned())].into();
    let silences = parts::orders(order, "network:blackhole", &silence, place.running(lab).await)?;
    Ok((place.zones, silences))
}

/// Takes the power of zones whose instances are silent already.
pub(super) async fn inject(
    lab: &Lab,
    power: InjectionId,
    zones: BTreeSet<String>,
    silent: &[(ResourceId, Proof)],
) -> Result<Proof, InjectError> {
    let stopped = lab.power_off(power, zones.clone()).await;
    let stopped = stopped.ok_or_else(|| InjectError::Refused("the lab is going down".to_owned()))?;
    let processes: Vec<_> = stopped.iter().filter_map(|one| one.before).map(|boot| boot.pid).collect();
    let left = || processes.iter().filter(|pid| Path::new(&format!("/proc/{pid}")).exists()).count();
    let running =
        |seen: &[Seen]| seen.iter().filter(|one| zones.contains(&one.status.zone) && !is_off(one.status.state)).count();
    let (dark, seen) = until(lab, GONE_LIMIT, |seen| left() == 0 && running(seen) == 0).await;
    let names = zones.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    Ok(Proof {
        configured: format!("power off in {names}: {} instances", stopped.len()),
        achieved: format!(
            "{} of {} processes are gone, {} instances run there; {}",
            processes.len() - left(),
            processes.len(),
            running(&seen),
            if silent.is_empty() { "nothing ran before".to_owned() } else { parts::achieved(silent) }
        ),
        holds: dark && silent.iter().all(|(_, proof)| proof.holds),
    })
}

const fn is_off(state: InstanceState) -> bool {
    matches!(state, InstanceState::Stopped | InstanceState::Terminated)
}

/// Gives the power back, and waits until what had been stopped runs again.
pub(super) async fn undo(lab: &Lab, power: InjectionId) -> Result<Undone, UndoError> {
    let clean = |cleanliness| Ok(Undone { cleanliness, proof: None });
    // A lab that is down has nothing that could be dark.
    let Some(started) = lab.power_on(power).await else { return clean(Cleanliness::Gone) };
    let late = |seen: &[Seen]| -> Vec<String> {
        let on_its_way =
            |state| matches!(state, InstanceState::Pending | InstanceState::Stopping | InstanceState::Stopped);
        let ours = seen.iter().filter(|one| started.contains(&one.status.id) && on_its_way(one.status.state));
        ours.map(|one| one.status.id.to_string()).collect()
    };
    let (in_time, seen) = until(lab, START_LIMIT, |seen| late(seen).is_empty()).await;
    if in_time {
        return clean(Cleanliness::Clean);
    }
    Err(UndoError {
        why: format!("the power is back, but these do not start: {}", late(&seen).join(", ")),
        repair: format!("shaketable lab down {0} && shaketable lab up {0}", lab.inner.spec.name),
    })
}

/// Looks until a condition holds; whether it does in time, and what was seen last.
async fn until(lab: &Lab, limit: Duration, condition: impl Fn(&[Seen]) -> bool) -> (bool, Vec<Seen>) {
    let mut seen = lab.look().await;
    // Counted, not timed: whoever asks may have a runtime without a clock.
    for _ in 0..limit.as_millis() / LOOK_EVERY.as_millis() {
        if condition(&seen) {
            return (true, seen);
        }
        let _lab_is_down = lab.handle().spawn(tokio::time::sleep(LOOK_EVERY)).await;
        seen = lab.look().await;
    }
    (condition(&seen), seen)
}
