//! Where resources come from, and who hits them: the seam between the engine and the world.

use std::{collections::BTreeMap, future::Future, pin::Pin};

use model::{
    event::{Cleanliness, InjectionId, Proof},
    resource::{Resource, ResourceId},
    term::Term,
};

/// A boxed future, so that [`Provider`] can be a trait object: one run may draw on several providers.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One fault on one resource, as the plan has decided it.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Which injection of the run.
    pub injection: InjectionId,
    /// The action's id in the catalogue of native actions (`network:latency`); FIS ids are translated before.
    pub fault: String,
    /// Its parameters, checked against the catalogue.
    pub parameters: BTreeMap<String, String>,
    /// What is hit.
    pub resource: ResourceId,
    /// How long the injection may live.
    pub term: Term,
}

/// Why an order was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InjectError {
    /// The plan is wrong for this resource or machine; trying again will not help.
    #[error("{0}")]
    Refused(String),
    /// The mechanism took no hold, or failed half-way; whatever was done is undone.
    #[error("{0}")]
    Failed(String),
}

/// Why an undo did not finish.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}; by hand: {repair}")]
pub struct UndoError {
    /// What went wrong.
    pub why: String,
    /// The command that repairs it.
    pub repair: String,
}

/// What an undo found.
#[derive(Debug, Clone, PartialEq)]
pub struct Undone {
    /// What the fingerprints say.
    pub cleanliness: Cleanliness,
    /// Measured over the fault's life, where the mechanism can.
    pub proof: Option<Proof>,
}

/// Where resources come from, and who hits them.
///
/// A provider injects only what it has journaled, and `undo` may be called twice, late, or for something that has gone. An
/// undo that comes while the inject is still at work, from the call of [`inject`](Provider::inject) on, cancels it, or waits
/// for it: when `undo` returns `Ok`, the fault is
/// not in effect and will not be.
pub trait Provider: Send + Sync {
    /// All resources that could be hit, as they are now, in the order of their launch: ids are often random, and this order
    /// is what makes a seed repeatable.
    fn resources(&self) -> Boxed<'_, Vec<Resource>>;

    /// Why these orders would be refused if they came now; nothing is said of those against which nothing is known. Touches
    /// nothing; resources may be set aside for this run.
    fn foresee(&self, orders: Vec<Order>) -> Boxed<'_, BTreeMap<InjectionId, String>> {
        drop(orders);
        Box::pin(std::future::ready(BTreeMap::new()))
    }

    /// Carries out an order: journals the undo, injects, and measures that the effect is there.
    fn inject(&self, order: Order) -> Boxed<'_, Result<Proof, InjectError>>;

    /// Undoes an injection.
    fn undo(&self, injection: InjectionId) -> Boxed<'_, Result<Undone, UndoError>>;

    /// Extends the leases of these injections.
    fn renew(&self, injections: &[InjectionId]);
}
