//! `instance:reboot`: an instance's processes go and come again.

use engine::provider::{InjectError, Undone};
use model::{
    catalogue::{Entry, Need, Reversibility},
    event::{Cleanliness, Proof},
    resource::ResourceId,
};

use super::{INSTANCES, dispatch::order_error};
use crate::{
    lab::Lab,
    plane::{Boot, Carried, Order},
};

/// The action's entry in the catalogue.
pub(crate) const ENTRY: Entry = Entry {
    id: "instance:reboot",
    about: "Kills all processes of an instance at once and starts it again; it keeps its address.",
    targets: INSTANCES,
    parameters: &[],
    reversibility: Reversibility::Irreversible,
    undone_by: "It comes up again by itself.",
    proven_by: "Its number of starts is one higher, and its first process is another.",
    needs: &[Need::Signal],
    exclusive: &[],
    fis: &["aws:ec2:reboot-instances"],
    chaos_mesh: None,
};

pub(super) async fn inject(lab: &Lab, instance: &ResourceId) -> Result<Proof, InjectError> {
    Ok(proof("rebooted", lab.order(instance, Order::Reboot).await.map_err(order_error)?))
}

/// That it has been started once more.
pub(super) fn proof(configured: &str, Carried { before, after }: Carried) -> Proof {
    let words = |boot: Option<Boot>| {
        boot.map_or_else(|| "not running".to_owned(), |boot| format!("start {}, process {}", boot.number, boot.pid))
    };
    let holds =
        before.zip(after).is_some_and(|(before, after)| after.number > before.number && after.pid != before.pid);
    Proof {
        configured: configured.to_owned(),
        achieved: format!("before: {}; now: {}", words(before), words(after)),
        holds,
    }
}

/// There is nothing to put back: it runs.
pub(super) const fn undo() -> Undone {
    Undone { cleanliness: Cleanliness::Clean, proof: None }
}
