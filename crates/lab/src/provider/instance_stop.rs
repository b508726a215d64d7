//! `instance:stop`: an instance's processes go; it is started again.

use engine::provider::{InjectError, Order as Injection, UndoError, Undone};
use model::{
    catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility},
    event::{Cleanliness, Proof},
    resource::ResourceId,
};

use super::{INSTANCES, dispatch::order_error};
use crate::{
    lab::Lab,
    plane::{Carried, Order, OrderError},
    status::InstanceState,
};

/// The action's entry in the catalogue.
pub(crate) const ENTRY: Entry = Entry {
    id: "instance:stop",
    about: "Kills all processes of an instance at once; it keeps its address and can be started again.",
    targets: INSTANCES,
    parameters: &[
        Parameter {
            name: "startAfter",
            // FIS: one minute to twelve hours.
            kind: ParameterKind::Duration { min_seconds: 60, max_seconds: 43_200 },
            required: false,
            default: None,
            about: "When it is started again; without it, at the end of the experiment.",
        },
        Parameter {
            name: "completeIfTerminated",
            kind: ParameterKind::Boolean,
            required: false,
            default: Some("false"),
            about: "Whether it is as well when its group has terminated and replaced it meanwhile.",
        },
    ],
    reversibility: Reversibility::Undoable,
    undone_by: "It is started again, with the same address.",
    proven_by: "Its first process is gone, and its address accepts no connection.",
    needs: &[Need::Signal],
    exclusive: &[],
    fis: &["aws:ec2:stop-instances"],
    chaos_mesh: Some("PodChaos pod-failure"),
};

/// What is needed to undo it.
#[derive(Debug, Clone)]
pub(super) struct Stopped {
    instance: ResourceId,
    complete_if_terminated: bool,
}

impl Stopped {
    pub(super) fn plan(order: &Injection) -> Self {
        let complete = order.parameters.get("completeIfTerminated").is_some_and(|text| text == "true");
        Self { instance: order.resource.clone(), complete_if_terminated: complete }
    }

    pub(super) async fn inject(&self, lab: &Lab) -> Result<Proof, InjectError> {
        let Carried { before, .. } = lab.order(&self.instance, Order::Stop).await.map_err(order_error)?;
        let (achieved, holds) = lab.is_gone(&self.instance, before).await;
        Ok(Proof { configured: "stopped".to_owned(), achieved, holds })
    }

    pub(super) async fn undo(&self, lab: &Lab) -> Result<Undone, UndoError> {
        match lab.order(&self.instance, Order::Start).await {
            Ok(_) => Ok(Undone { cleanliness: Cleanliness::Clean, proof: None }),
            // It was undone before, or was never stopped.
            Err(OrderError::NotNow(_, state)) if state == InstanceState::Running.name() => {
                Ok(Undone { cleanliness: Cleanliness::Clean, proof: None })
            }
            // On its way to a state in which it can be started, or started by somebody else: gone it is not.
            Err(OrderError::NotNow(_, state))
                if [InstanceState::Stopping.name(), InstanceState::Pending.name()].contains(&state) =>
            {
                Err(UndoError {
                    why: format!("instance {} is still {state}", self.instance),
                    repair: format!("shaketable lab down {0} && shaketable lab up {0}", lab.inner.spec.name),
                })
            }
            // The lab goes down: the instance with it.
            Err(OrderError::Down) => Ok(Undone { cleanliness: Cleanliness::Gone, proof: None }),
            Err(OrderError::Gone(_) | OrderError::NotNow(..)) => {
                Ok(Undone { cleanliness: Cleanliness::Gone, proof: self.replaced() })
            }
            Err(OrderError::Failed(why)) => Err(UndoError {
                why: format!("instance {} does not start again: {why}", self.instance),
                repair: format!("shaketable lab down {0} && shaketable lab up {0}", lab.inner.spec.name),
            }),
        }
    }

    /// For FIS the action has failed when it cannot start what it had stopped, unless it was told that this is as well.
    fn replaced(&self) -> Option<Proof> {
        (!self.complete_if_terminated).then(|| Proof {
            configured: "stopped, then started again".to_owned(),
            achieved: "its group terminated it meanwhile; `completeIfTerminated: true` accepts that".to_owned(),
            holds: false,
        })
    }
}
