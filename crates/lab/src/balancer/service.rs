//! A running balancer: its listeners, its targets and their health checks, and what it reports.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use engine::Recorder;
use http::HeaderMap;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use model::{event::What, metric::Metric, resource::ResourceId};
use observe::{Measurements, measurements::TARGET_RESPONSE_TIME};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime,
    sync::watch,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    check::check,
    forward::forward,
    headers,
    health::State,
    routes::Routes,
    target::{Change, Member, Target, TargetStatus},
};

/// How often counts and response times are handed to the measurements: rarely enough to cost nothing, often enough that
/// a guard learns of an error within a twentieth of a second.
const REPORT_EVERY: Duration = Duration::from_millis(50);

/// How long clients may take to finish what is in flight when the balancer is stopped.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// Pause after a failed `accept`: it fails for want of file descriptors, and trying at once would only burn the CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Where a balancer listens.
#[derive(Debug)]
pub enum Listener {
    /// An address of the network namespace in which the runtime's threads live; port 0 takes any free one.
    Address(SocketAddr),
    /// A listening socket, which stays in the network namespace it was made in.
    Socket(std::net::TcpListener),
}

/// Starts a balancer on the present runtime.
///
/// # Errors
///
/// When it cannot listen; then nothing has been started.
pub async fn start(
    name: &str,
    spec: &model::lab::Balancer,
    listeners: Vec<Listener>,
    recorder: Recorder,
    measurements: Measurements,
) -> io::Result<Handle> {
    // In a task, not here: the caller may be a thread outside of the runtime (`block_on`), in another network namespace.
    let bound = tokio::spawn(bind(listeners)).await.map_err(io::Error::other)??;
    let addresses = bound.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
    let shared = Arc::new(Shared {
        name: name.to_owned(),
        spec: spec.clone(),
        recorder,
        measurements,
        runtime: runtime::Handle::current(),
        members: Mutex::default(),
        routes: RwLock::default(),
        turn: AtomicUsize::new(0),
        requests: AtomicU64::new(0),
        target_errors: AtomicU64::new(0),
        own_errors: AtomicU64::new(0),
        healthy: watch::Sender::new(0),
        stop: CancellationToken::new(),
        tasks: TaskTracker::new(),
    });
    // That there are no targets yet is known from the beginning, and measured.
    shared.reroute();
    for listener in bound {
        shared.tasks.spawn(accept(Arc::clone(&shared), listener));
    }
    shared.tasks.spawn(report(Arc::clone(&shared)));
    Ok(Handle { running: Arc::new(Running { shared, addresses }) })
}

/// A running balancer. It stops when [`Handle::stop`] is called or the last clone of its handle is dropped.
#[derive(Debug, Clone)]
pub struct Handle {
    running: Arc<Running>,
}

#[derive(Debug)]
struct Running {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl Handle {
    /// The addresses it listens on, in the order of the listeners it was given.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.running.addresses
    }

    /// Registers a target; its health is checked from now on. Registering the same target again changes nothing; one with
    /// the same id and another address takes the place of the earlier, which drains.
    pub fn add(&self, target: Target) {
        let shared = &self.running.shared;
        if shared.stop.is_cancelled() {
            return;
        }
        let earlier = shared.registered(&target.id);
        if earlier.as_ref().is_some_and(|member| member.target == target) {
            return;
        }
        if let Some(earlier) = earlier {
            shared.deregister(&earlier);
        }
        let member = Arc::new(Member::new(target, CancellationToken::new()));
        shared.members().push(Arc::clone(&member));
        shared.reroute();
        shared.tasks.spawn_on(watch_health(Arc::clone(shared), member), &shared.runtime);
    }

    /// Deregisters a target: it gets no new requests; those in flight may finish within the draining time, then their
    /// connections are closed. A target that is not registered is none of its business.
    pub fn remove(&self, id: &ResourceId) {
        let shared = &self.running.shared;
        if let Some(member) = shared.registered(id) {
            shared.deregister(&member);
        }
    }

    /// What it knows of its targets, those that are draining included.
    #[must_use]
    pub fn targets(&self) -> Vec<TargetStatus> {
        self.running.shared.members().iter().map(|member| member.status()).collect()
    }

    /// How many targets are healthy, as it changes.
    #[must_use]
    pub fn healthy(&self) -> watch::Receiver<usize> {
        self.running.shared.healthy.subscribe()
    }

    /// Stops: accepts no more, lets what is in flight finish for up to a second, reports the last figures.
    pub async fn stop(&self) {
        let shared = &self.running.shared;
        shared.stop.cancel();
        shared.tasks.close();
        shared.tasks.wait().await;
        shared.report_figures();
    }
}

/// What all requests of a balancer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) spec: model::lab::Balancer,
    pub(super) recorder: Recorder,
    measurements: Measurements,
    runtime: runtime::Handle,
    members: Mutex<Vec<Arc<Member>>>,
    routes: RwLock<Arc<Routes<Member>>>,
    turn: AtomicUsize,
    /// Since the last report, as the next two.
    pub(super) requests: AtomicU64,
    pub(super) target_errors: AtomicU64,
    pub(super) own_errors: AtomicU64,
    healthy: watch::Sender<usize>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Shared {
    /// The target for a request with these headers that has been tried on those targets.
    pub(super) fn pick(&self, headers: &HeaderMap, tried: &[Arc<Member>]) -> Option<Arc<Member>> {
        let routes = Arc::clone(&self.routes.read().unwrap_or_else(PoisonError::into_inner));
        let cookie = self.spec.sticky.and_then(|_| headers::sticky_cookie(headers));
        let turn = self.turn.fetch_add(1, Relaxed);
        let bound = |member: &Member| cookie.is_some_and(|cookie| member.cookie == cookie);
        routes.pick(turn, bound, |one, other| one.target.zone == other.target.zone, tried).cloned()
    }

    fn registered(&self, id: &ResourceId) -> Option<Arc<Member>> {
        let members = self.members();
        members.iter().find(|member| member.target.id == *id && member.state() != State::Draining).cloned()
    }

    fn deregister(self: &Arc<Self>, member: &Arc<Member>) {
        let Some(change) = member.drain() else { return };
        self.changed(member, change);
        member.pool.clear();
        let (shared, member) = (Arc::clone(self), Arc::clone(member));
        let drain = async move {
            tokio::select! {
                () = member.until_idle() => {}
                () = sleep(shared.spec.draining.get()) => {}
                () = shared.stop.cancelled() => {}
            }
            member.gone.cancel();
            shared.report_figures();
            shared.members().retain(|one| !Arc::ptr_eq(one, &member));
        };
        self.tasks.spawn_on(drain, &self.runtime);
    }

    /// Puts a change of mind into effect first and on record then: what the record says is already so.
    fn changed(&self, member: &Member, change: Change) {
        self.reroute();
        let counted = |state| state == State::Healthy;
        // Leaving the state "initial" for the worse is worth recording, leaving it by deregistration is not.
        if counted(change.from) || counted(change.to) || change.to == State::Unhealthy {
            self.recorder.record(What::Target {
                balancer: self.name.clone(),
                instance: member.target.id.clone(),
                healthy: counted(change.to),
                reason: change.reason,
            });
        }
    }

    /// Makes new routes of the targets as they are now.
    fn reroute(&self) {
        // The lock is held to the end, so that of two calls the later one also has the last word.
        let members = self.members();
        let registered: Vec<_> = members.iter().filter(|member| member.state() != State::Draining).cloned().collect();
        let healthy = registered.iter().filter(|member| member.state() == State::Healthy).count();
        let routes = Arc::new(Routes::new(registered, |member| member.state() == State::Healthy));
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = routes;
        self.report_healthy(healthy);
        self.healthy.send_if_modified(|known| std::mem::replace(known, healthy) != healthy);
    }

    fn report_healthy(&self, healthy: usize) {
        // Targets are counted in dozens; a u32 holds them, and an f64 every u32.
        let level = f64::from(u32::try_from(healthy).unwrap_or(u32::MAX));
        self.measurements.gauge(&Metric::of("balancer.healthy", &self.name), self.recorder.clock().now(), level);
    }

    fn report_figures(&self) {
        let now = self.recorder.clock().now();
        let counts = [
            ("balancer.requests", &self.requests),
            ("balancer.errors.target_5xx", &self.target_errors),
            ("balancer.errors.own_5xx", &self.own_errors),
        ];
        for (name, count) in counts {
            self.measurements.count(&Metric::of(name, &self.name), now, count.swap(0, Relaxed));
        }
        let members = self.members().clone();
        for (at, took) in members.iter().flat_map(|member| member.take_times()) {
            self.measurements.latency(TARGET_RESPONSE_TIME, Some(&self.name), at, took);
        }
    }

    fn members(&self) -> MutexGuard<'_, Vec<Arc<Member>>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn bind(listeners: Vec<Listener>) -> io::Result<Vec<TcpListener>> {
    let mut bound = Vec::with_capacity(listeners.len());
    for listener in listeners {
        bound.push(match listener {
            Listener::Address(address) => TcpListener::bind(address)
                .await
                .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?,
            Listener::Socket(socket) => {
                socket.set_nonblocking(true)?;
                TcpListener::from_std(socket)?
            }
        });
    }
    Ok(bound)
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, client)) => {
                shared.tasks.spawn(serve(Arc::clone(&shared), stream, client.ip()));
            }
            Err(error) => {
                tracing::warn!(balancer = shared.name, %error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One connection of a client, from its first request to its end.
async fn serve(shared: Arc<Shared>, stream: TcpStream, client: IpAddr) {
    // A response is written whole; waiting for more would only add delay. Failure shows again when it is written.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let answering = Arc::clone(&shared);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&answering);
        async move { Ok::<_, Infallible>(forward(&shared, client, request).await) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shared.stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(STOP_LIMIT, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(balancer = shared.name, %client, %error, "a client's connection failed");
    }
}

/// Checks a target's health at its interval until it is deregistered.
async fn watch_health(shared: Arc<Shared>, member: Arc<Member>) {
    let rule = &shared.spec.health_check;
    // An interval of zero would be no interval; the file reader refuses it, and a millisecond harms nobody.
    let mut ticks = interval(rule.interval.get().max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while member.state() != State::Draining {
        let answer = tokio::select! {
            answer = async { ticks.tick().await; check(member.target.address, rule).await } => answer,
            () = member.gone.cancelled() => return,
            () = shared.stop.cancelled() => return,
        };
        if let Some(change) = member.judge(answer, rule) {
            tracing::debug!(balancer = shared.name, target = %member.target.id, ?change, "a target's health changed");
            shared.changed(&member, change);
        }
    }
}

/// Hands the figures over at a steady rate.
async fn report(shared: Arc<Shared>) {
    let mut ticks = interval(REPORT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => shared.report_figures(),
            () = shared.stop.cancelled() => return,
        }
    }
}
