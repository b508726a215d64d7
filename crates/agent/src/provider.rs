//! The host as a provider.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use engine::{
    orders::{Orders, Ticket},
    provider::{Boxed, InjectError, Order, Provider, UndoError, Undone},
};
use faults::{Host, Object};
use model::{
    event::{InjectionId, Proof},
    resource::{Resource, ResourceId},
};

use crate::{
    census::Census,
    claim::Claim,
    resources::{self, Found},
};

/// What of this host can be hit, and who hits it.
#[derive(Debug)]
pub struct HostProvider {
    host: Arc<Host>,
    orders: Orders,
    /// Held until the run is over: between two of its faults, a resource is still in an experiment.
    claims: Mutex<BTreeMap<ResourceId, Claim>>,
}

impl HostProvider {
    /// With the host that injects and keeps the journal.
    #[must_use]
    pub fn new(host: Arc<Host>) -> Self {
        Self { host, orders: Orders::default(), claims: Mutex::default() }
    }

    /// The resource as it is now: who was chosen when the run was planned may have ended, and somebody else have its number.
    async fn find(&self, id: &ResourceId) -> Result<Found, InjectError> {
        let id = id.clone();
        let found = tokio::task::spawn_blocking(move || {
            let all = resources::found(&Census::take());
            all.into_iter().find(|one| one.resource.id == id).ok_or_else(|| format!("{id} is not there any more"))
        });
        let found = found.await.map_err(|broke| InjectError::Failed(format!("looking for it broke off: {broke}")))?;
        found.map_err(InjectError::Refused)
    }

    fn claim(&self, id: &ResourceId) -> Result<(), InjectError> {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        if claims.contains_key(id) {
            return Ok(());
        }
        match Claim::of(&id.0) {
            Ok(Some(claim)) => drop(claims.insert(id.clone(), claim)),
            Ok(None) => {
                let why = format!("{id} is in another experiment; `shaketable status` says which");
                return Err(InjectError::Refused(why));
            }
            Err(why) => return Err(InjectError::Failed(format!("cannot claim {id}: {why}"))),
        }
        Ok(())
    }

    async fn carry_out(&self, order: Order, ticket: Ticket) -> Result<Proof, InjectError> {
        self.claim(&order.resource)?;
        let object = self.find(&order.resource).await?.object();
        let host = Arc::clone(&self.host);
        let injected = tokio::task::spawn_blocking(move || {
            if ticket.is_called_off() {
                return Err(InjectError::Failed("it was called off while it was being injected".to_owned()));
            }
            let injected = host.inject(order.injection, &order.fault, &order.parameters, &object, order.term);
            // Until here: an undo that came meanwhile waits for it.
            drop(ticket);
            injected.map_err(|why| match why {
                faults::InjectError::Refused(why) => InjectError::Refused(why.to_string()),
                faults::InjectError::Failed(why) => InjectError::Failed(why.to_string()),
            })
        });
        match injected.await {
            Ok(outcome) => outcome,
            // Not a failure, of which nothing would be left: whoever called finds the injection lost, and undoes it.
            Err(broke) => match broke.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(cancelled) => Err(InjectError::Failed(format!("injecting did not begin: {cancelled}"))),
            },
        }
    }

    /// Undoes what is there; that ends a measurement that an injection may be waiting for.
    async fn take_back(&self, injection: InjectionId) -> Result<Undone, UndoError> {
        let host = Arc::clone(&self.host);
        let repair = || "shaketable undo --all".to_owned();
        match tokio::task::spawn_blocking(move || host.undo(injection)).await {
            Ok(Ok(faults::Undone { cleanliness, proof })) => Ok(Undone { cleanliness, proof }),
            Ok(Err(faults::UndoError { why, repair })) => Err(UndoError { why, repair }),
            Err(broke) => Err(UndoError { why: format!("undoing broke off: {broke}"), repair: repair() }),
        }
    }
}

impl Provider for HostProvider {
    fn resources(&self) -> Boxed<'_, Vec<Resource>> {
        Box::pin(async {
            let found = tokio::task::spawn_blocking(|| resources::found(&Census::take())).await;
            found.unwrap_or_default().into_iter().map(|one| one.resource).collect()
        })
    }

    fn foresee(&self, orders: Vec<Order>) -> Boxed<'_, BTreeMap<InjectionId, String>> {
        let mut against = BTreeMap::new();
        for order in &orders {
            // From now on, so that nobody takes it between plan and injection.
            if let Err(why) = self.claim(&order.resource) {
                against.insert(order.injection, why.to_string());
            }
        }
        let host = Arc::clone(&self.host);
        Box::pin(async move {
            let look = tokio::task::spawn_blocking(move || {
                let objects: BTreeMap<ResourceId, Object> = resources::found(&Census::take())
                    .into_iter()
                    .map(|one| (one.resource.id.clone(), one.object()))
                    .collect();
                let refused = orders.into_iter().filter_map(|order| {
                    // One that has gone since is missed when it is to be hit: it may be another's work.
                    let object = objects.get(&order.resource)?;
                    let why = host.foresee(&order.fault, &order.parameters, object).err()?;
                    Some((order.injection, why.to_string()))
                });
                refused.collect::<BTreeMap<_, _>>()
            });
            // What breaks off here breaks off again when it matters, and is told then.
            against.extend(look.await.unwrap_or_default());
            against
        })
    }

    fn inject(&self, order: Order) -> Boxed<'_, Result<Proof, InjectError>> {
        // Before anything else is done: an undo that comes from now on finds it.
        let ticket = self.orders.enter(order.injection);
        Box::pin(self.carry_out(order, ticket))
    }

    fn undo(&self, injection: InjectionId) -> Boxed<'_, Result<Undone, UndoError>> {
        Box::pin(async move {
            if self.orders.call_off(injection) {
                // The first one ends a measurement; what comes of the injection after that, the second one finds.
                drop(self.take_back(injection).await);
                self.orders.ended(injection).await;
            }
            self.take_back(injection).await
        })
    }

    fn renew(&self, injections: &[InjectionId]) {
        self.host.renew(injections);
    }
}
