//! `instance:terminate`: an instance goes, for good.

use engine::provider::{InjectError, Undone};
use model::{
    catalogue::{Entry, Need, Reversibility},
    event::{Cleanliness, Proof},
    resource::ResourceId,
};

use super::{INSTANCES, dispatch::order_error};
use crate::{
    lab::Lab,
    plane::{Carried, Order},
};

/// The action's entry in the catalogue.
pub(crate) const ENTRY: Entry = Entry {
    id: "instance:terminate",
    about: "Kills all processes of an instance at once; it does not come back.",
    targets: INSTANCES,
    parameters: &[],
    reversibility: Reversibility::Irreversible,
    undone_by: "Nothing: its group has to replace it.",
    proven_by: "Its first process is gone, and its address accepts no connection.",
    needs: &[Need::Signal],
    exclusive: &[],
    fis: &["aws:ec2:terminate-instances"],
    chaos_mesh: Some("PodChaos pod-kill"),
};

pub(super) async fn inject(lab: &Lab, instance: &ResourceId) -> Result<Proof, InjectError> {
    let Carried { before, .. } = lab.order(instance, Order::Terminate).await.map_err(order_error)?;
    let (achieved, holds) = lab.is_gone(instance, before).await;
    Ok(Proof { configured: "terminated".to_owned(), achieved, holds })
}

/// What is gone leaves nothing: its namespace goes with its processes.
pub(super) const fn undo() -> Undone {
    Undone { cleanliness: Cleanliness::Gone, proof: None }
}
