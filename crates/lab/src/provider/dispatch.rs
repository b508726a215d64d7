//! Who carries out an order: the control plane, the host, or links.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use engine::provider::{Boxed, InjectError, Order, Provider, UndoError, Undone};
use faults::{Host, Object, Peer};
use model::{
    event::{Cleanliness, InjectionId, Proof, What},
    lab::DISK,
    resource::{Resource, ResourceId},
};
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{
    group_capacity, instance_reboot, instance_restart, instance_stop, instance_terminate, links, network_disrupt,
    parts, resources, zone::Spread, zone_isolate, zone_latency, zone_loss, zone_power_off,
};
use crate::{
    lab::Lab,
    newcomers::Newcomer,
    plane::{OrderError, Seen},
    status::InstanceState,
};

/// A lab as a provider. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct LabProvider {
    lab: Lab,
    /// Injects what happens inside instances, and keeps the journal of it.
    host: Arc<Host>,
    books: Arc<Mutex<Books>>,
}

/// What the provider knows of injections. Under one lock, so that an order is either called off before it notes what it is
/// about to do, and does nothing, or found by its undo.
#[derive(Debug, Default)]
struct Books {
    /// What is needed to undo. In memory: what the lab's own actions do to instances ends with this process, which the
    /// instances do not outlive; nobody who comes later has anything to undo.
    undos: BTreeMap<InjectionId, Undo>,
    /// The orders being carried out, whole or in part; cancelled when they are called off.
    under_way: BTreeMap<InjectionId, CancellationToken>,
    /// What goes on to instances launched meanwhile, until it is called off, and what became of that.
    following: BTreeMap<InjectionId, Vec<(ResourceId, Proof)>>,
}

impl Books {
    /// Calls off whatever is under way of an injection; whether something is. And how it is undone, as far as that is known.
    fn call_off(&self, injection: InjectionId) -> (bool, Option<Undo>) {
        let undo = self.undos.get(&injection).cloned();
        let parts = match &undo {
            Some(Undo::Parts(parts)) => parts.as_slice(),
            _ => &[],
        };
        let mut still = false;
        for called_off in parts.iter().chain([&injection]).filter_map(|one| self.under_way.get(one)) {
            called_off.cancel();
            still = true;
        }
        (still, undo)
    }
}

/// An order being carried out, until the last of these is dropped: work that goes on after nobody waits for it has its own.
#[derive(Debug, Clone)]
struct UnderWay(Arc<Entered>);

#[derive(Debug)]
struct Entered {
    books: Arc<Mutex<Books>>,
    injection: InjectionId,
    called_off: CancellationToken,
}

impl UnderWay {
    /// Enters an order, before anything else is done; none, if one of its number is still under way.
    fn enter(books: &Arc<Mutex<Books>>, injection: InjectionId) -> Option<Self> {
        let called_off = CancellationToken::new();
        match lock(books).under_way.entry(injection) {
            btree_map::Entry::Occupied(_) => return None,
            btree_map::Entry::Vacant(vacant) => drop(vacant.insert(called_off.clone())),
        }
        Some(Self(Arc::new(Entered { books: Arc::clone(books), injection, called_off })))
    }

    /// Notes how an injection, this one or a part of it, is undone, before anything is done. An error if it was called off:
    /// then nothing may be done.
    fn note(&self, injection: InjectionId, undo: Undo) -> Result<(), InjectError> {
        let mut books = lock(&self.0.books);
        if self.0.called_off.is_cancelled() {
            return Err(called_off());
        }
        books.undos.insert(injection, undo);
        Ok(())
    }

    /// Has the injection go on to instances launched from now on, unless it was called off.
    fn goes_on(&self) {
        let mut books = lock(&self.0.books);
        if !self.0.called_off.is_cancelled() {
            books.following.insert(self.0.injection, Vec::new());
        }
    }

    /// Makes this a part of a whole that goes on, before anything is done; whether it still goes on.
    fn join(&self, whole: InjectionId) -> bool {
        let mut books = lock(&self.0.books);
        match books.following.contains_key(&whole).then(|| books.undos.get_mut(&whole)) {
            Some(Some(Undo::Parts(parts))) => {
                parts.push(self.0.injection);
                true
            }
            _ => false,
        }
    }

    /// Forgets what was noted, because nothing was done.
    fn forget(&self, injection: InjectionId) {
        lock(&self.0.books).undos.remove(&injection);
    }

    async fn until_called_off(&self) {
        self.0.called_off.cancelled().await;
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        lock(&self.books).under_way.remove(&self.injection);
    }
}

fn called_off() -> InjectError {
    InjectError::Failed("it was called off while it was being injected".to_owned())
}

/// How often an undo looks whether what it has called off is still being injected: far below what an abort may take.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// How an injection is undone.
#[derive(Debug, Clone)]
enum Undo {
    Terminated,
    Stopped(instance_stop::Stopped),
    Rebooted,
    /// By the host.
    Host,
    Links(links::Undo),
    Power,
    Capacity,
    /// All of the injections that it is made of.
    Parts(Vec<InjectionId>),
}

impl Provider for LabProvider {
    fn resources(&self) -> Boxed<'_, Vec<Resource>> {
        Box::pin(resources::resources(&self.lab))
    }

    fn foresee(&self, orders: Vec<Order>) -> Boxed<'_, BTreeMap<InjectionId, String>> {
        Box::pin(async move {
            let mut against = BTreeMap::new();
            for order in orders {
                let injection = order.injection;
                if let Err(why) = self.foresee_one(order).await {
                    against.insert(injection, why.to_string());
                }
            }
            against
        })
    }

    fn inject(&self, order: Order) -> Boxed<'_, Result<Proof, InjectError>> {
        // Now, not when it is polled: an undo that comes from now on finds it.
        let under_way = UnderWay::enter(&self.books, order.injection);
        Box::pin(async move {
            let exists = || InjectError::Refused(format!("injection {} is being made already", order.injection));
            self.carry_out(order.clone(), &under_way.ok_or_else(exists)?).await
        })
    }

    fn undo(&self, injection: InjectionId) -> Boxed<'_, Result<Undone, UndoError>> {
        Box::pin(self.call_off(injection))
    }

    fn renew(&self, injections: &[InjectionId]) {
        let books = self.books();
        let wholes = injections.iter().flat_map(|injection| match books.undos.get(injection) {
            Some(Undo::Parts(parts)) => parts.clone(),
            _ => vec![*injection],
        });
        let by_host: Vec<_> = wholes.filter(|part| matches!(books.undos.get(part), Some(Undo::Host))).collect();
        drop(books);
        self.host.renew(&by_host);
    }
}

impl LabProvider {
    pub(crate) fn new(lab: Lab, host: Arc<Host>) -> Self {
        Self { lab, host, books: Arc::default() }
    }

    /// Undoes an injection, be it done or still being done.
    async fn call_off(&self, injection: InjectionId) -> Result<Undone, UndoError> {
        self.lab.inner.newcomers.forget(injection);
        let joined = self.books().following.remove(&injection).unwrap_or_default();
        let joined = (!joined.is_empty()).then(|| parts::later(&joined));
        loop {
            let (still, noted) = self.books().call_off(injection);
            // What has not begun will not, and what cannot be taken back is not waited for.
            let final_at_once = matches!(noted, None | Some(Undo::Terminated | Undo::Rebooted));
            // While it is under way, too: that ends the measurement which it may be waiting for.
            let undone = self.take_back(injection, noted).await;
            if !still || final_at_once {
                return undone.map(|undone| Undone { proof: joined.or(undone.proof), ..undone });
            }
            // A thread of the runtime's, because whoever asks may have a runtime without a clock.
            let pause = self.lab.handle().spawn(tokio::time::sleep(LOOK_AGAIN));
            let _lab_is_down = pause.await;
        }
    }

    /// Decides on an order as [`carry_out`](Self::carry_out) would, and does nothing.
    async fn foresee_one(&self, mut order: Order) -> Result<(), InjectError> {
        let lab = &self.lab;
        match order.fault.as_str() {
            // What is against these is that an instance is not there, which may be otherwise in a moment.
            "instance:terminate" | "instance:reboot" | "instance:stop" | "zone:power-off" => Ok(()),
            _ if instance_restart::is_meant(&order) => Ok(()),
            "network:disrupt" => network_disrupt::plan(lab, &order).map(drop),
            "zone:isolate" => zone_isolate::plan(lab, &order).map(drop),
            "zone:latency" => zone_latency::plan(lab, &order).map(drop),
            "zone:loss" => zone_loss::plan(lab, &order).map(drop),
            "group:no-capacity" => group_capacity::plan(lab, &order).map(drop),
            _ => {
                let Ok(seen) = running(lab, &order.resource).await else { return Ok(()) };
                resolve(lab, &mut order, &seen).await?;
                if let (Some(loopback), true) = (&lab.inner.loopback, links::are_meant(&order)) {
                    return links::Undo::plan(loopback, &order, &seen, lab).map(drop);
                }
                let (host, object) = (Arc::clone(&self.host), object(&seen, lab));
                let look = tokio::task::spawn_blocking(move || host.foresee(&order.fault, &order.parameters, &object));
                // What breaks off here breaks off again when it matters, and is told then.
                look.await.unwrap_or(Ok(())).map_err(|why| InjectError::Refused(why.to_string()))
            }
        }
    }

    async fn carry_out(&self, order: Order, under_way: &UnderWay) -> Result<Proof, InjectError> {
        let (lab, id) = (&self.lab, order.injection);
        let instance = &order.resource;
        match order.fault.as_str() {
            "instance:terminate" => {
                under_way.note(id, Undo::Terminated)?;
                instance_terminate::inject(lab, instance).await
            }
            "instance:reboot" => {
                under_way.note(id, Undo::Rebooted)?;
                instance_reboot::inject(lab, instance).await
            }
            _ if instance_restart::is_meant(&order) => {
                under_way.note(id, Undo::Rebooted)?;
                instance_restart::inject(lab, &order).await
            }
            "instance:stop" => {
                let plan = instance_stop::Stopped::plan(&order);
                under_way.note(id, Undo::Stopped(plan.clone()))?;
                let injected = plan.inject(lab).await;
                if matches!(injected, Err(InjectError::Refused(_))) {
                    // Undoing it would start what another injection has stopped.
                    under_way.forget(id);
                }
                injected
            }
            "network:disrupt" => self.spread(network_disrupt::plan(lab, &order)?, order, under_way).await,
            "zone:isolate" => self.spread(zone_isolate::plan(lab, &order)?, order, under_way).await,
            "zone:latency" => self.spread(zone_latency::plan(lab, &order)?, order, under_way).await,
            "zone:loss" => self.spread(zone_loss::plan(lab, &order)?, order, under_way).await,
            "zone:power-off" => self.power_off(&order, under_way).await,
            "group:no-capacity" => {
                let plan = group_capacity::plan(lab, &order)?;
                under_way.note(id, Undo::Capacity)?;
                plan.inject(lab, id).await
            }
            _ => self.inside(order, under_way).await,
        }
    }

    /// A fault inside an instance.
    async fn inside(&self, mut order: Order, under_way: &UnderWay) -> Result<Proof, InjectError> {
        let seen = running(&self.lab, &order.resource).await?;
        resolve(&self.lab, &mut order, &seen).await?;
        if let (Some(loopback), true) = (&self.lab.inner.loopback, links::are_meant(&order)) {
            let plan = links::Undo::plan(loopback, &order, &seen, &self.lab)?;
            under_way.note(order.injection, Undo::Links(plan.clone()))?;
            let handle = self.lab.handle();
            return tokio::select! {
                injected = plan.inject(loopback, &handle) => injected,
                // What it measures may take a multiple of the delay.
                () = under_way.until_called_off() => {
                    plan.undo(loopback);
                    Err(called_off())
                }
            };
        }
        under_way.note(order.injection, Undo::Host)?;
        self.by_host(order, object(&seen, &self.lab), under_way.clone()).await
    }

    async fn by_host(&self, order: Order, object: Object, under_way: UnderWay) -> Result<Proof, InjectError> {
        let host = Arc::clone(&self.host);
        let injected = tokio::task::spawn_blocking(move || {
            let injected = host.inject(order.injection, &order.fault, &order.parameters, &object, order.term);
            // It goes on when whoever waited for it has gone: only now is an undo final.
            drop(under_way);
            injected
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

    /// A fault on all instances of a place, those too that are launched there until it is called off.
    async fn spread(&self, spread: Spread, whole: Order, under_way: &UnderWay) -> Result<Proof, InjectError> {
        let newcomers = &self.lab.inner.newcomers;
        // Before it is looked who runs, so that nobody is missed who comes in between.
        let coming = newcomers.follow(whole.injection);
        let injected = match spread.running(&self.lab, &whole).await {
            Ok(parts) => {
                let hit = parts.iter().map(|part| part.resource.clone()).collect();
                self.all(parts, &whole, under_way).await.map(|proof| (proof, hit))
            }
            Err(why) => Err(why),
        };
        match injected {
            Ok((proof, hit)) if proof.holds => {
                under_way.goes_on();
                tokio::spawn(self.clone().go_on(spread, whole, hit, coming));
                Ok(proof)
            }
            other => {
                newcomers.forget(whole.injection);
                other.map(|(proof, _)| proof)
            }
        }
    }

    /// Hits whoever comes to a place, until nobody is told of any more.
    async fn go_on(
        self,
        spread: Spread,
        whole: Order,
        mut hit: BTreeSet<ResourceId>,
        mut coming: mpsc::UnboundedReceiver<Newcomer>,
    ) {
        while let Some(newcomer) = coming.recv().await {
            let next = hit.len();
            // One that was stopped and comes again is hit already: its network has stayed.
            if !hit.contains(&newcomer.id)
                && let Some(part) = spread.on(&self.lab, &whole, next, &newcomer.id).await
            {
                hit.insert(newcomer.id.clone());
                self.reach(part, &whole).await;
            }
        }
    }

    /// Hits one more instance, unless the whole is called off.
    async fn reach(&self, part: Order, whole: &Order) {
        let Some(under_way) = UnderWay::enter(&self.books, part.injection).filter(|part| part.join(whole.injection))
        else {
            return;
        };
        let instance = part.resource.clone();
        let proof = match self.inside(part, &under_way).await {
            Ok(proof) => proof,
            // It has gone again, which is no failure of the fault's.
            Err(InjectError::Refused(why)) => return tracing::info!(%instance, why, "it is not hit"),
            Err(InjectError::Failed(why)) => Proof { configured: whole.fault.clone(), achieved: why, holds: false },
        };
        let (fault, achieved) = (&whole.fault, &proof.achieved);
        let how = if proof.holds { "reaches" } else { "does not reach" };
        let text = format!("{fault} {how} {instance}, which was launched meanwhile: {achieved}");
        if let Some(joined) = self.books().following.get_mut(&whole.injection) {
            joined.push((instance, proof));
            self.lab.inner.recorder.record(What::Note { text });
        }
    }

    /// A fault that is made of others: all or none.
    async fn all(&self, parts: Vec<Order>, whole: &Order, under_way: &UnderWay) -> Result<Proof, InjectError> {
        let ids: Vec<_> = parts.iter().map(|part| part.injection).collect();
        under_way.note(whole.injection, Undo::Parts(ids.clone()))?;
        match self.inject_all(parts, under_way).await {
            Ok(proofs) => Ok(parts::proof(&whole.fault, &proofs)),
            Err(why) => parts::broken_off(why, self.take_back_all(ids).await),
        }
    }

    /// A zone goes dark: first nothing is heard of its instances any more, so that nobody is told of what comes then.
    async fn power_off(&self, order: &Order, under_way: &UnderWay) -> Result<Proof, InjectError> {
        let (zones, silences) = zone_power_off::parts(&self.lab, order).await?;
        let power = parts::number(order, silences.len());
        let ids: Vec<_> = silences.iter().map(|part| part.injection).chain([power]).collect();
        under_way.note(order.injection, Undo::Parts(ids.clone()))?;
        match self.go_dark(zones, silences, power, under_way).await {
            Err(why) => parts::broken_off(why, self.take_back_all(ids).await),
            proof => proof,
        }
    }

    async fn go_dark(
        &self,
        zones: BTreeSet<String>,
        silences: Vec<Order>,
        power: InjectionId,
        under_way: &UnderWay,
    ) -> Result<Proof, InjectError> {
        let silent = self.inject_all(silences, under_way).await?;
        under_way.note(power, Undo::Power)?;
        zone_power_off::inject(&self.lab, power, zones, &silent).await
    }

    /// Injects parts of one fault at once, and returns when all are through; the proofs in the order of the parts, or the
    /// first error.
    async fn inject_all(
        &self,
        parts: Vec<Order>,
        under_way: &UnderWay,
    ) -> Result<Vec<(ResourceId, Proof)>, InjectError> {
        let mut all = JoinSet::new();
        for (at, part) in parts.into_iter().enumerate() {
            let (provider, under_way) = (self.clone(), under_way.clone());
            all.spawn(async move { (at, part.resource.clone(), provider.inside(part, &under_way).await) });
        }
        let mut proofs = BTreeMap::new();
        let mut first = None;
        for (at, instance, injected) in all.join_all().await {
            match injected {
                Ok(proof) => drop(proofs.insert(at, (instance, proof))),
                Err(why) => drop(first.get_or_insert(why)),
            }
        }
        first.map_or_else(|| Ok(proofs.into_values().collect()), Err)
    }

    async fn take_back(&self, injection: InjectionId, undo: Option<Undo>) -> Result<Undone, UndoError> {
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
            Some(Undo::Host) => self.undo_by_host(injection).await,
            Some(Undo::Power) => zone_power_off::undo(&self.lab, injection).await,
            Some(Undo::Capacity) => Ok(group_capacity::undo(&self.lab, injection).await),
            Some(Undo::Parts(parts)) => self.take_back_all(parts).await,
        }
    }

    /// Undoes the parts of one fault. At once, not one after the other: an abort does not wait.
    async fn take_back_all(&self, parts: Vec<InjectionId>) -> Result<Undone, UndoError> {
        let all: Vec<_> = parts.into_iter().map(|part| self.take_back_part(part)).collect();
        let mut whole = Undone { cleanliness: Cleanliness::Gone, proof: None };
        for part in all {
            let undone = part.await.map_err(|panic| self.undo_broke_off(&panic))??;
            whole.cleanliness = parts::worse(whole.cleanliness, undone.cleanliness);
        }
        Ok(whole)
    }

    /// Starts undoing a part of an injection.
    fn take_back_part(&self, part: InjectionId) -> JoinHandle<Result<Undone, UndoError>> {
        let provider = self.clone();
        let taking_back: Boxed<'static, _> = Box::pin(async move {
            let undo = provider.books().undos.get(&part).cloned();
            provider.take_back(part, undo).await
        });
        tokio::spawn(taking_back)
    }

    async fn undo_by_host(&self, injection: InjectionId) -> Result<Undone, UndoError> {
        let host = Arc::clone(&self.host);
        match tokio::task::spawn_blocking(move || undone(host.undo(injection))).await {
            Ok(outcome) => outcome,
            Err(panic) => Err(self.undo_broke_off(&panic)),
        }
    }

    fn undo_broke_off(&self, panic: &JoinError) -> UndoError {
        UndoError {
            why: format!("undoing broke off: {panic}"),
            repair: format!("shaketable lab down {}", self.lab.inner.spec.name),
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        lock(&self.books)
    }
}

fn lock(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

fn undone(outcome: Result<faults::Undone, faults::UndoError>) -> Result<Undone, UndoError> {
    match outcome {
        Ok(faults::Undone { cleanliness, proof }) => Ok(Undone { cleanliness, proof }),
        Err(faults::UndoError { why, repair }) => Err(UndoError { why, repair }),
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
        links: lab.inner.loopback.as_ref().map(|loopback| links::paths(loopback, seen, lab)).unwrap_or_default(),
        addresses: vec![IpAddr::V4(instance.address)],
        memory_bytes: spec.map_or(0, |group| group.memory),
        disk: spec.and_then(|group| group.disk).map(|_| DISK.into()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_called_off_before_it_notes_anything_or_found_with_what_it_noted() {
        let books = Arc::default();
        let id = InjectionId(1);
        let first = UnderWay::enter(&books, id).unwrap();
        assert!(UnderWay::enter(&books, id).is_none(), "one at a time");
        first.note(id, Undo::Terminated).unwrap();
        let work = first.clone();
        drop(first);
        lock(&books).under_way[&id].cancel();
        assert_eq!(work.note(id, Undo::Rebooted), Err(called_off()));
        assert!(matches!(lock(&books).undos[&id], Undo::Terminated));
        drop(work);
        assert!(lock(&books).under_way.is_empty(), "its last part is through");
        assert!(UnderWay::enter(&books, id).is_some_and(|next| next.note(id, Undo::Rebooted).is_ok()));
    }
}
