//! Who carries out an order: the control plane, the host, or links.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use engine::provider::{Boxed, InjectError, Order, Provider, UndoError, Undone};
use faults::{Object, Peer};
use model::{
    event::{Cleanliness, InjectionId, Proof},
    resource::{Resource, ResourceId},
};

use super::{instance_reboot, instance_stop, instance_terminate, links, network_disrupt, resources};
use crate::{
    lab::Lab,
    place::OwnHost,
    plane::{OrderError, Seen},
    status::InstanceState,
};

/// A lab as a provider.
#[derive(Debug)]
pub(crate) struct LabProvider {
    lab: Lab,
    /// Injects what happens inside instances, and keeps the journal of it.
    host: Arc<OwnHost>,
    /// What is needed to undo. In memory: what the lab's own actions do to instances ends with this process, which the
    /// instances do not outlive; nobody who comes later has anything to undo.
    undos: Mutex<BTreeMap<InjectionId, Undo>>,
    /// The orders being carried out, and whether each has been called off meanwhile.
    under_way: Mutex<BTreeMap<InjectionId, bool>>,
}

/// An order being carried out, until this is dropped.
struct UnderWay<'a> {
    provider: &'a LabProvider,
    injection: InjectionId,
}

impl UnderWay<'_> {
    fn called_off(&self) -> Result<(), InjectError> {
        match self.provider.under_way().get(&self.injection) {
            Some(true) => Err(InjectError::Failed("it was called off while it was being injected".to_owned())),
            _ => Ok(()),
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.provider.under_way().remove(&self.injection);
    }
}

/// How often an undo looks whether what it has called off is still being injected: far below what an abort may take.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// How an injection is undone.
#[derive(Debug, Clone)]
enum Undo {
    Terminated,
    Stopped(instance_stop::Stopped),
    Rebooted,
    /// By the host: the injections it is made of.
    Host(Vec<InjectionId>),
    Links(links::Undo),
}

impl Provider for LabProvider {
    fn resources(&self) -> Boxed<'_, Vec<Resource>> {
        Box::pin(resources::resources(&self.lab))
    }

    fn inject(&self, order: Order) -> Boxed<'_, Result<Proof, InjectError>> {
        // Before anything else is done: an undo that comes from now on finds it.
        let under_way = self.enter(order.injection);
        Box::pin(async move { self.carry_out(order, &under_way).await })
    }

    fn undo(&self, injection: InjectionId) -> Boxed<'_, Result<Undone, UndoError>> {
        Box::pin(self.call_off(injection))
    }

    fn renew(&self, injections: &[InjectionId]) {
        let undos = self.undos();
        let parts = injections.iter().filter_map(|injection| match undos.get(injection) {
            Some(Undo::Host(parts)) => Some(parts.clone()),
            _ => None,
        });
        let parts: Vec<_> = parts.flatten().collect();
        drop(undos);
        self.host.renew(&parts);
    }
}

impl LabProvider {
    pub(crate) fn new(lab: Lab, host: Arc<OwnHost>) -> Self {
        Self { lab, host, undos: Mutex::default(), under_way: Mutex::default() }
    }

    fn enter(&self, injection: InjectionId) -> UnderWay<'_> {
        self.under_way().insert(injection, false);
        UnderWay { provider: self, injection }
    }

    /// Undoes an injection, be it done or still being done.
    async fn call_off(&self, injection: InjectionId) -> Result<Undone, UndoError> {
        loop {
            let still = self.under_way().get_mut(&injection).map(|called_off| *called_off = true).is_some();
            // While it is under way, too: that ends the measurement which it may be waiting for.
            let undone = self.take_back(injection).await;
            // What cannot be taken back is not waited for.
            let final_at_once = matches!(self.undos().get(&injection), Some(Undo::Terminated | Undo::Rebooted));
            if !still || final_at_once {
                return undone;
            }
            // A thread of the runtime's, because whoever asks may have a runtime without a clock.
            let pause = self.lab.handle().spawn(tokio::time::sleep(LOOK_AGAIN));
            let _lab_is_down = pause.await;
        }
    }

    async fn carry_out(&self, order: Order, under_way: &UnderWay<'_>) -> Result<Proof, InjectError> {
        let (lab, id) = (&self.lab, order.injection);
        let instance = &order.resource;
        match order.fault.as_str() {
            "instance:terminate" => {
                self.note(id, Undo::Terminated);
                instance_terminate::inject(lab, instance).await
            }
            "instance:reboot" => {
                self.note(id, Undo::Rebooted);
                instance_reboot::inject(lab, instance).await
            }
            "instance:stop" => {
                let plan = instance_stop::Stopped::plan(&order);
                self.note(id, Undo::Stopped(plan.clone()));
                plan.inject(lab).await
            }
            "network:disrupt" => {
                let parts = network_disrupt::parts(lab, &order).await?;
                self.note(id, Undo::Host(parts.iter().map(|part| part.injection).collect()));
                self.inject_all(parts, under_way).await
            }
            _ => self.inside(order, under_way).await,
        }
    }

    /// A fault inside an instance.
    async fn inside(&self, mut order: Order, under_way: &UnderWay<'_>) -> Result<Proof, InjectError> {
        let seen = running(&self.lab, &order.resource).await?;
        resolve(&self.lab, &mut order, &seen).await?;
        under_way.called_off()?;
        if let (Some(loopback), true) = (&self.lab.inner.loopback, order.fault.starts_with("network:")) {
            let plan = links::Undo::plan(loopback, &order, &seen, &self.lab)?;
            self.note(order.injection, Undo::Links(plan.clone()));
            return plan.inject(loopback, &self.lab.handle()).await;
        }
        self.note(order.injection, Undo::Host(vec![order.injection]));
        self.by_host(order, object(&seen, &self.lab)).await
    }

    async fn by_host(&self, order: Order, object: Object) -> Result<Proof, InjectError> {
        let host = Arc::clone(&self.host);
        let injected = tokio::task::spawn_blocking(move || {
            host.inject(order.injection, &order.fault, &order.parameters, &object, order.lease)
        });
        match injected.await {
            Ok(Ok(proof)) => Ok(proof),
            Ok(Err(faults::InjectError::Refused(why))) => Err(InjectError::Refused(why.to_string())),
            Ok(Err(faults::InjectError::Failed(why))) => Err(InjectError::Failed(why.to_string())),
            // Not a failure, of which nothing would be left: whoever called finds the injection lost, and undoes it.
            Err(broke) => match broke.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(cancelled) => Err(InjectError::Failed(format!("injecting did not begin: {cancelled}"))),
            },
        }
    }

    /// Several faults that are one: all or none.
    async fn inject_all(&self, parts: Vec<Order>, under_way: &UnderWay<'_>) -> Result<Proof, InjectError> {
        let mut proofs = Vec::new();
        let mut done = Vec::new();
        for part in parts {
            let (id, instance) = (part.injection, part.resource.clone());
            done.push(id);
            match Box::pin(self.inside(part, under_way)).await {
                Ok(proof) => proofs.push((instance, proof)),
                Err(why) => {
                    for id in done {
                        // It reports what it could not undo, too.
                        let undone = self.take_back(id).await;
                        tracing::debug!(injection = %id, ?undone, "undid part of a fault");
                    }
                    return Err(why);
                }
            }
        }
        let words: Vec<_> = proofs.iter().map(|(instance, proof)| format!("{instance}: {}", proof.achieved)).collect();
        Ok(Proof {
            configured: format!("cut off {} instances", proofs.len()),
            achieved: words.join("; "),
            holds: proofs.iter().all(|(_, proof)| proof.holds),
        })
    }

    async fn take_back(&self, injection: InjectionId) -> Result<Undone, UndoError> {
        let undo = self.undos().get(&injection).cloned();
        match undo {
            // Nothing was done under this number.
            None => Ok(Undone { cleanliness: Cleanliness::Clean, proof: None }),
            Some(Undo::Terminated) => Ok(instance_terminate::undo()),
            Some(Undo::Rebooted) => Ok(instance_reboot::undo()),
            Some(Undo::Stopped(stopped)) => stopped.undo(&self.lab).await,
            Some(Undo::Links(plan)) => Ok(match &self.lab.inner.loopback {
                Some(loopback) => plan.undo(loopback),
                None => Undone { cleanliness: Cleanliness::Gone, proof: None },
            }),
            Some(Undo::Host(parts)) if parts == [injection] => self.undo_by_host(injection).await,
            Some(Undo::Host(parts)) => {
                // At once, not one after the other: an abort does not wait.
                let all: Vec<_> = parts.into_iter().map(|part| self.take_back_part(part)).collect();
                let mut whole = Undone { cleanliness: Cleanliness::Gone, proof: None };
                for part in all {
                    let undone = part.await.map_err(|panic| UndoError {
                        why: format!("undoing broke off: {panic}"),
                        repair: format!("shaketable lab down {}", self.lab.inner.spec.name),
                    })??;
                    whole.cleanliness = worse(whole.cleanliness, undone.cleanliness);
                }
                Ok(whole)
            }
        }
    }

    /// Starts undoing a part of an injection.
    fn take_back_part(&self, part: InjectionId) -> tokio::task::JoinHandle<Result<Undone, UndoError>> {
        let host = Arc::clone(&self.host);
        let links = match (self.undos().get(&part), &self.lab.inner.loopback) {
            (Some(Undo::Links(plan)), Some(loopback)) => Some((plan.clone(), Arc::clone(loopback))),
            _ => None,
        };
        tokio::task::spawn_blocking(move || match links {
            Some((plan, loopback)) => Ok(plan.undo(&loopback)),
            None => undone(host.undo(part)),
        })
    }

    async fn undo_by_host(&self, injection: InjectionId) -> Result<Undone, UndoError> {
        let host = Arc::clone(&self.host);
        match tokio::task::spawn_blocking(move || undone(host.undo(injection))).await {
            Ok(outcome) => outcome,
            Err(panic) => Err(UndoError {
                why: format!("undoing broke off: {panic}"),
                repair: format!("shaketable lab down {}", self.lab.inner.spec.name),
            }),
        }
    }

    /// Notes how an injection is undone, before anything is done.
    fn note(&self, injection: InjectionId, undo: Undo) {
        self.undos().insert(injection, undo);
    }

    fn under_way(&self) -> MutexGuard<'_, BTreeMap<InjectionId, bool>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn undos(&self) -> MutexGuard<'_, BTreeMap<InjectionId, Undo>> {
        self.undos.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn undone(outcome: Result<faults::Undone, faults::UndoError>) -> Result<Undone, UndoError> {
    match outcome {
        Ok(faults::Undone { cleanliness, proof }) => Ok(Undone { cleanliness, proof }),
        Err(faults::UndoError { why, repair }) => Err(UndoError { why, repair }),
    }
}

/// Of two parts of one thing, what is to be said of the whole: dirty, if one is; clean, if one is still there to be.
fn worse(one: Cleanliness, other: Cleanliness) -> Cleanliness {
    match (one, other) {
        (Cleanliness::Dirty { residue, repair }, Cleanliness::Dirty { residue: more, repair: further }) => {
            Cleanliness::Dirty { residue: format!("{residue}; {more}"), repair: format!("{repair} && {further}") }
        }
        (dirty @ Cleanliness::Dirty { .. }, _) | (_, dirty @ Cleanliness::Dirty { .. }) => dirty,
        (Cleanliness::Clean, _) | (_, Cleanliness::Clean) => Cleanliness::Clean,
        (Cleanliness::Gone, Cleanliness::Gone) => Cleanliness::Gone,
    }
}

/// What the control plane says against an order.
pub(super) fn order_error(error: OrderError) -> InjectError {
    match error {
        OrderError::Failed(why) => InjectError::Failed(why),
        refused @ (OrderError::Gone(_) | OrderError::NotNow(..) | OrderError::Down) => {
            InjectError::Refused(refused.to_string())
        }
    }
}

async fn running(lab: &Lab, id: &ResourceId) -> Result<Seen, InjectError> {
    let seen = lab.look().await.into_iter().find(|seen| seen.status.id == *id);
    let seen = seen.ok_or_else(|| InjectError::Refused(format!("instance {id} is terminated")))?;
    match seen.status.state {
        InstanceState::Running => Ok(seen),
        state => Err(InjectError::Refused(format!("instance {id} is {}", state.name()))),
    }
}

/// The instance as the host's faults know it.
fn object(seen: &Seen, lab: &Lab) -> Object {
    let instance = &seen.instance;
    let spec = lab.inner.spec.groups.get(&instance.group);
    Object {
        name: instance.id.to_string(),
        pid: seen.status.pid,
        network: instance.home.as_ref().map(|home| Arc::clone(&home.network)),
        peer: instance
            .home
            .as_ref()
            .map(|home| Peer { network: Arc::clone(&home.fabric), interface: home.interface.clone() }),
        addresses: vec![IpAddr::V4(instance.address)],
        memory_bytes: spec.map_or(0, |group| group.memory),
        ..Object::default()
    }
}

/// Puts addresses in the place of names in `sources`: of balancers (`web.lab`), zones and groups. Addresses, networks and
/// ALL stay.
async fn resolve(lab: &Lab, order: &mut Order, of: &Seen) -> Result<(), InjectError> {
    let Some(sources) = order.parameters.get("sources") else { return Ok(()) };
    let inner = &lab.inner;
    let mut resolved = Vec::new();
    for name in sources.split(',').map(str::trim) {
        if let Some(address) = inner.address_of(name) {
            resolved.push(address.to_string());
        } else if let Some(block) = inner.subnets.get(name) {
            resolved.push(format!("{block}/24"));
        } else if inner.spec.groups.contains_key(name) {
            // Those it has now: its zones would be more than was asked for.
            let members = lab.look().await.into_iter().filter(|seen| seen.status.group == name);
            resolved.extend(members.map(|seen| seen.instance.address.to_string()));
        } else if name.eq_ignore_ascii_case("ALL")
            || name.starts_with(|first: char| first.is_ascii_digit())
            || name.contains(':')
        {
            resolved.push(name.to_owned());
        } else {
            let known = inner.names();
            let near = model::nearest::nearest(name, known.iter().map(String::as_str));
            let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            return Err(InjectError::Refused(format!(
                "`sources`: `{name}` is no address, and no balancer, zone or group of lab `{}`{hint} (for instance {})",
                inner.spec.name, of.status.id
            )));
        }
    }
    order.parameters.insert("sources".to_owned(), resolved.join(","));
    Ok(())
}
