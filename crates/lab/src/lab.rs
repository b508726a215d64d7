//! A running lab: up, look, down.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use engine::{Recorder, provider::Provider};
use faults::sys::namespace::NetworkNamespace;
use model::{event::InjectionId, resource::ResourceId};
use observe::{
    Measurements,
    url::{Host, Hosts},
};
use tokio::{
    net::TcpStream,
    runtime::{self, Runtime},
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use crate::{
    addresses::{AddressError, Addresses},
    balancer::{self, Listener},
    builder::{Builder, Ground},
    fabric::Fabric,
    group::Shortage,
    identity::Identity,
    loopback::Loopback,
    newcomers::Newcomers,
    place,
    plane::{self, Boot, Carried, Message, Order, OrderError, Parts, Progress, Seen},
    prepare::Prepared,
    provider::LabProvider,
    spawner::Spawner,
    status::{BalancerStatus, Status},
};

/// Threads of the lab's own runtime: its balancers are the one busy thing, and two of them keep up with any load that the
/// instances beside them on one machine can answer.
const THREADS: usize = 2;

/// How long a lab may take to come up besides the longest grace period of its groups.
const UP_LIMIT: Duration = Duration::from_secs(30);

/// How long a connection to what should be gone may take to be refused.
const SILENCE: Duration = Duration::from_millis(200);

/// How long a lab that is dropped may take to end.
const DROP_LIMIT: Duration = Duration::from_secs(6);

/// Where a lab writes what happens, and what it needs besides its file.
#[derive(Debug, Clone)]
pub struct LabOptions {
    /// From which its ids are derived.
    pub seed: u64,
    /// Takes its events.
    pub recorder: Recorder,
    /// Takes its gauges and its balancers' figures.
    pub measurements: Measurements,
    /// The program that runs [`shim::main`](crate::shim::main), [`faults::helper::main`] and [`faults::guardian::main`] under
    /// their subcommands and [`demo_app::run`](crate::demo_app::run) under `demo-app`; this very program unless said otherwise.
    pub program: Option<PathBuf>,
}

/// Why a lab does not come up.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// It has more of something than there are addresses.
    #[error(transparent)]
    Addresses(#[from] AddressError),
    /// The machine refused something.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// An instance ended before the lab was up.
    #[error("the lab does not come up: {why}")]
    Instance {
        /// Which, how, and what it wrote last.
        why: String,
    },
    /// Not all instances answered in time.
    #[error("the lab is not up after {} s: {missing}", limit.as_secs())]
    Late {
        /// How long it was waited for.
        limit: Duration,
        /// What was missing.
        missing: String,
    },
}

impl UpError {
    fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }
}

/// A running lab. Cheap to clone; it goes down with its last clone, if not before.
#[derive(Debug, Clone)]
pub struct Lab {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) spec: Arc<model::lab::Lab>,
    pub(crate) identity: Identity,
    network: String,
    fabric: Option<Arc<NetworkNamespace>>,
    pub(crate) loopback: Option<Arc<Loopback>>,
    pub(crate) subnets: BTreeMap<String, Ipv4Addr>,
    pub(crate) fabric_address: Ipv4Addr,
    pub(crate) balancers: BTreeMap<String, balancer::Handle>,
    pub(crate) messages: mpsc::UnboundedSender<Message>,
    pub(crate) recorder: Recorder,
    /// Told of by the control plane.
    pub(crate) newcomers: Newcomers,
    /// Injects what happens inside instances.
    host: Arc<faults::Host>,
    progress: watch::Receiver<Progress>,
    /// Taken when the lab goes down.
    runtime: Mutex<Option<Runtime>>,
    handle: runtime::Handle,
}

impl Lab {
    /// Brings a lab up, and returns when all its groups are complete and its balancers find every instance healthy.
    ///
    /// # Errors
    ///
    /// When the machine refuses something, an instance ends, or not everything answers within 30 s and the longest grace
    /// period. Then nothing is left of it.
    pub async fn up(spec: &model::lab::Lab, prepared: &Prepared, options: LabOptions) -> Result<Self, UpError> {
        let spec = Arc::new(spec.clone());
        let program = match options.program {
            Some(program) => program,
            None => env::current_exe().map_err(UpError::system("find this program"))?,
        };
        let (ground, addresses) = ground(&spec, prepared, options.seed)?;
        let home = match &ground {
            Ground::Fabric(fabric) => Some(Arc::clone(fabric.network())),
            Ground::Loopback(_) => None,
        };
        let loopback = match &ground {
            Ground::Fabric(_) => None,
            Ground::Loopback(loopback) => Some(Arc::clone(loopback)),
        };
        let (own, name) = (program.clone(), spec.name.clone());
        let host = tokio::task::spawn_blocking(move || place::open_host(own, &name));
        let host = host.await.map_err(io::Error::other).and_then(|host| host);
        let host = host.map_err(UpError::system("open the journal of faults"))?;
        // Here, because the caller's thread is in the host's network.
        let published = publish(&spec)?;
        let spawner = Spawner::start(home.clone()).map_err(UpError::system("start a thread in the lab's network"))?;
        let runtime = runtime(home.clone()).map_err(UpError::system("start the lab's threads"))?;
        let handle = runtime.handle().clone();
        let mut runtime = Background(Some(runtime));
        let balancers =
            balance(&handle, &spec, &addresses, published, &options.recorder, &options.measurements).await?;
        let identity = Identity::new(options.seed);
        let builder = Builder {
            spec: Arc::clone(&spec),
            identity,
            ground,
            program,
            balancers: balancers
                .iter()
                .filter_map(|(name, one)| Some((name.clone(), *one.addresses().first()?)))
                .collect(),
            interfaces: 0,
        };
        let zones = spec.regions.iter().flat_map(|region| &region.zones);
        let subnets = zones.filter_map(|zone| Some((zone.clone(), addresses.subnet(zone)?))).collect();
        let fabric_address = addresses.fabric();
        let (recorder, newcomers) = (options.recorder, Newcomers::default());
        let parts = Parts {
            spec: Arc::clone(&spec),
            balancers: balancers.clone(),
            builder,
            addresses,
            spawner,
            recorder: recorder.clone(),
            measurements: options.measurements,
            newcomers: newcomers.clone(),
        };
        // Its tasks belong to the lab's runtime.
        let entered = handle.enter();
        let (messages, progress) = plane::start(parts);
        drop(entered);
        let network = match prepared {
            Prepared::Networks { .. } => "a network namespace per instance".to_owned(),
            Prepared::Loopback { because } => format!("loopback addresses, because {because}"),
        };
        let lab = Self {
            inner: Arc::new(Inner {
                spec,
                identity,
                network,
                fabric: home,
                loopback,
                subnets,
                fabric_address,
                balancers,
                messages,
                recorder,
                newcomers,
                host: Arc::new(host),
                progress,
                runtime: Mutex::new(runtime.0.take()),
                handle,
            }),
        };
        let complete = lab.until_complete().await;
        if complete.is_err() {
            lab.down().await;
        }
        complete.map(|()| lab)
    }

    async fn until_complete(&self) -> Result<(), UpError> {
        let graces = self.inner.spec.groups.values().map(|group| group.grace_period.get());
        let limit = UP_LIMIT + graces.max().unwrap_or_default();
        let mut progress = self.inner.progress.clone();
        let reached = progress.wait_for(|now| now.complete || now.failure.is_some());
        let state = match timeout(limit, reached).await {
            Ok(Ok(state)) => state.clone(),
            Ok(Err(_)) => Progress { failure: Some("its control plane has ended".to_owned()), ..Progress::default() },
            Err(_) => {
                let missing = self.inner.progress.borrow().missing.clone();
                return Err(UpError::Late { limit, missing });
            }
        };
        state.failure.map_or(Ok(()), |why| Err(UpError::Instance { why }))
    }

    /// The runtime whose threads live in the lab's network: load and probes that are spawned on it reach `NAME.lab`.
    #[must_use]
    pub fn handle(&self) -> runtime::Handle {
        self.inner.handle.clone()
    }

    /// What another thread calls first, to be in the lab's network as well.
    #[must_use]
    pub fn enter(&self) -> Arc<dyn Fn() -> io::Result<()> + Send + Sync> {
        let fabric = self.inner.fabric.clone();
        Arc::new(move || fabric.as_ref().map_or(Ok(()), |fabric| fabric.enter()))
    }

    /// The names of the lab's balancers (`web.lab`), and where within the lab they listen.
    #[must_use]
    pub fn hosts(&self) -> Hosts {
        let at = |(name, one): (&String, &balancer::Handle)| {
            let address = one.addresses().first()?;
            // An ordinary user without a namespace cannot listen on port 80.
            let wanted = self.inner.spec.balancers.get(name)?.port;
            let port = (address.port() != wanted).then(|| address.port());
            Some((format!("{name}.lab"), Host { ip: address.ip(), port }))
        };
        self.inner.balancers.iter().filter_map(at).collect()
    }

    /// What the lab's file says.
    #[must_use]
    pub fn spec(&self) -> &model::lab::Lab {
        &self.inner.spec
    }

    /// What it looks like now.
    pub async fn status(&self) -> Status {
        let balancers = self.inner.balancers.iter().filter_map(|(name, one)| {
            let targets = one.targets();
            Some(BalancerStatus {
                name: name.clone(),
                group: self.inner.spec.balancers.get(name)?.group.clone(),
                address: *one.addresses().first()?,
                published: one.addresses().get(1).copied(),
                healthy: targets.iter().filter(|target| target.state == balancer::State::Healthy).count(),
                targets: targets.len(),
            })
        });
        Status {
            name: self.inner.spec.name.clone(),
            network: self.inner.network.clone(),
            pid: std::process::id(),
            balancers: balancers.collect(),
            instances: self.look().await.into_iter().map(|seen| seen.status).collect(),
        }
    }

    /// The lab as a provider of resources and of faults on them.
    #[must_use]
    pub fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(LabProvider::new(self.clone(), Arc::clone(&self.inner.host)))
    }

    /// Has the control plane carry something out, and waits until it is.
    pub(crate) async fn order(&self, id: &ResourceId, order: Order) -> Result<Carried, OrderError> {
        let (reply, carried) = oneshot::channel();
        let message = Message::Order(id.clone(), order, reply);
        self.inner.messages.send(message).map_err(|_| OrderError::Down)?;
        carried.await.unwrap_or(Err(OrderError::Down))
    }

    /// Takes the power of zones; what has been stopped by it.
    pub(crate) async fn power_off(&self, by: InjectionId, zones: BTreeSet<String>) -> Option<Vec<Carried>> {
        self.ask(|reply| Message::PowerOff(by, zones, reply)).await
    }

    /// Gives them the power back; what starts again.
    pub(crate) async fn power_on(&self, by: InjectionId) -> Option<Vec<ResourceId>> {
        self.ask(|reply| Message::PowerOn(by, reply)).await
    }

    /// Has launches of a group fail in some zones; how many of a hundred would, by zone.
    pub(crate) async fn lack(&self, by: InjectionId, group: &str, shortage: Shortage) -> Option<Vec<(String, usize)>> {
        self.ask(|reply| Message::Lack(by, group.to_owned(), shortage, reply)).await.flatten()
    }

    /// Has them succeed again; how many have failed.
    pub(crate) async fn relieve(&self, by: InjectionId) -> Option<u64> {
        self.ask(|reply| Message::Relieve(by, reply)).await
    }

    /// Asks the control plane; none when the lab is down.
    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Message) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.inner.messages.send(question(reply)).ok()?;
        answer.await.ok()
    }

    /// Whether nothing is left of a life of an instance, in words and as a verdict: its process is gone, and its address
    /// accepts no connection.
    pub(crate) async fn is_gone(&self, id: &ResourceId, life: Option<Boot>) -> (String, bool) {
        let process = life.is_none_or(|boot| !Path::new(&format!("/proc/{}", boot.pid)).exists());
        let seen = self.look().await.into_iter().find(|seen| seen.status.id == *id);
        let silent = match seen {
            Some(seen) => {
                let connect = TcpStream::connect(seen.instance.socket());
                let attempt = self.inner.handle.spawn(async move { timeout(SILENCE, connect).await });
                !matches!(attempt.await, Ok(Ok(Ok(_))))
            }
            // Its group has let go of it: its network is no more.
            None => true,
        };
        let of = life.map_or_else(String::new, |boot| format!(" {}", boot.pid));
        let process_words = if process { "is gone" } else { "still exists" };
        let address = if silent { "accepts no connection" } else { "still accepts connections" };
        (format!("process{of} {process_words}, its address {address}"), process && silent)
    }

    pub(crate) async fn look(&self) -> Vec<Seen> {
        // A lab that is down has no instances.
        self.ask(Message::Look).await.unwrap_or_default()
    }

    /// Takes the lab down: kills all instances, stops the balancers, and returns when all are gone. May be called twice.
    pub async fn down(&self) {
        let (done, gone) = oneshot::channel();
        if self.inner.messages.send(Message::Down(done)).is_ok() {
            // An error says that the plane has ended.
            let _down = gone.await;
        }
        let runtime = self.inner.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(Background(runtime));
    }
}

impl Inner {
    /// The address of a name such as `web.lab`.
    pub(crate) fn address_of(&self, name: &str) -> Option<IpAddr> {
        let balancer = self.balancers.get(name.strip_suffix(".lab")?)?;
        balancer.addresses().first().map(SocketAddr::ip)
    }

    /// Who calls the instances of a group: its balancers, which send from the fabric's address where they have none.
    pub(crate) fn callers_of(&self, group: &str) -> Vec<IpAddr> {
        self.balancers_of(group).into_iter().chain([IpAddr::V4(self.fabric_address)]).collect()
    }

    /// The balancers that lead to a group.
    pub(crate) fn balancers_of(&self, group: &str) -> Vec<IpAddr> {
        let of_group = self.spec.balancers.iter().filter(|(_, one)| one.group == group);
        of_group.filter_map(|(name, _)| self.address_of(&format!("{name}.lab"))).collect()
    }

    /// All names that stand for addresses.
    pub(crate) fn names(&self) -> Vec<String> {
        let balancers = self.balancers.keys().map(|name| format!("{name}.lab"));
        balancers.chain(self.subnets.keys().cloned()).chain(self.spec.groups.keys().cloned()).collect()
    }
}

impl Drop for Inner {
    /// For whoever leaves without [`Lab::down`]: waits as well, for at most six seconds, so that no process is left unreaped.
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.get_mut().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let (done, gone) = oneshot::channel();
        let told = self.messages.send(Message::Down(done));
        // On another thread: this one may be one of a runtime's, which must not wait for another.
        let waited = thread::Builder::new().name("lab down".to_owned()).spawn(move || {
            if told.is_ok() {
                let _late = runtime.block_on(async { timeout(DROP_LIMIT, gone).await });
            }
            runtime.shutdown_background();
        });
        if let Ok(thread) = waited {
            let _panicked = thread.join();
        }
    }
}

/// A runtime that ends without waiting: the default waits, and may not be dropped by a runtime's thread.
struct Background(Option<Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn ground(spec: &model::lab::Lab, prepared: &Prepared, seed: u64) -> Result<(Ground, Addresses), UpError> {
    match prepared {
        Prepared::Networks { .. } => {
            let addresses = Addresses::networks(spec)?;
            let fabric = Fabric::new(&addresses).map_err(UpError::system("make the lab's network"))?;
            Ok((Ground::Fabric(fabric), addresses))
        }
        Prepared::Loopback { .. } => {
            let loopback = Loopback::claim(seed).map_err(UpError::system("claim loopback addresses"))?;
            let addresses = Addresses::loopback(spec, loopback.slot())?;
            Ok((Ground::Loopback(Arc::new(loopback)), addresses))
        }
    }
}

/// Listens on the addresses of this host that balancers are published on.
fn publish(spec: &model::lab::Lab) -> Result<BTreeMap<String, TcpListener>, UpError> {
    let mut published = BTreeMap::new();
    for (name, balancer) in &spec.balancers {
        if let Some(address) = &balancer.publish {
            let listener = TcpListener::bind(address);
            let listener = listener.map_err(UpError::system(format!("publish balancer `{name}` on {address}")))?;
            published.insert(name.clone(), listener);
        }
    }
    Ok(published)
}

fn runtime(home: Option<Arc<NetworkNamespace>>) -> io::Result<Runtime> {
    runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("lab")
        .enable_all()
        .on_thread_start(move || {
            if let Some(home) = &home {
                home.enter().expect("the spawner has entered this namespace before, with the same rights");
            }
        })
        .build()
}

async fn balance(
    handle: &runtime::Handle,
    spec: &model::lab::Lab,
    addresses: &Addresses,
    mut published: BTreeMap<String, TcpListener>,
    recorder: &Recorder,
    measurements: &Measurements,
) -> Result<BTreeMap<String, balancer::Handle>, UpError> {
    let mut balancers = BTreeMap::new();
    for (name, balancer) in &spec.balancers {
        let what = || UpError::system(format!("start balancer `{name}`"));
        let unknown = || UpError::system(format!("start balancer `{name}`"))(io::ErrorKind::AddrNotAvailable.into());
        let address = *addresses.balancers().get(name).ok_or_else(unknown)?;
        let (name, balancer) = (name.clone(), balancer.clone());
        let (recorder, measurements, published) = (recorder.clone(), measurements.clone(), published.remove(&name));
        let named = name.clone();
        let started = handle.spawn(async move {
            let mut listeners = vec![own_listener((address, balancer.port).into())];
            listeners.extend(published.map(Listener::Socket));
            balancer::start(&named, &balancer, listeners, recorder, measurements).await
        });
        let started = started.await.map_err(io::Error::other).and_then(|started| started);
        balancers.insert(name.clone(), started.map_err(what())?);
    }
    Ok(balancers)
}

/// The balancer's own address and port; where the port is refused, as low ones are to ordinary users, any port.
fn own_listener(address: SocketAddr) -> Listener {
    match TcpListener::bind(address) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Listener::Address((address.ip(), 0).into()),
        // Bound anew there, which reports what is wrong.
        Ok(_) | Err(_) => Listener::Address(address),
    }
}
