//! The control plane: one task that knows all instances of a lab, decides by their groups' rules, and performs.
//!
//! ```text
//!   orders (faults, status, down) ──┐                       ┌─▶ Instance: start, kill
//!   processes (started, ended) ─────┼─▶ Message ─▶ Group::step ─▶ Effect ─┼─▶ balancers: add, remove
//!   balancers (health changed) ─────┘                       └─▶ Recorder, Measurements
//! ```
//!
//! Nothing else changes an instance's state, so that an instance which was stopped on purpose is never taken for one that
//! crashed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use engine::Recorder;
use faults::process::Process;
use model::{
    event::{InjectionId, InstanceChange, What},
    metric::Metric,
    resource::ResourceId,
};
use observe::Measurements;
use rustix::process::Signal;
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot, watch},
    time::{interval, sleep, sleep_until, timeout},
};

use crate::{
    addresses::Addresses,
    balancer::{self, State as Health},
    builder::Builder,
    group::{Effect, Event, Group, Ordinal, Rules, Shortage},
    instance::Instance,
    newcomers::Newcomers,
    spawner::Spawner,
    status::{InstanceState, InstanceStatus},
};

/// How often gauges are repeated though nothing has changed: a guard that waits for a sample waits no longer.
const GAUGE_EVERY: Duration = Duration::from_millis(250);

/// How often it is tried whether a new instance accepts connections.
const ANSWER_EVERY: Duration = Duration::from_millis(20);

/// How long a connection to a new instance may take; it is at most two interfaces away.
const ANSWER_LIMIT: Duration = Duration::from_millis(500);

/// An instance that does not listen after this long is registered with its balancers all the same, which find it unhealthy.
const REGISTER_LIMIT: Duration = Duration::from_secs(2);

/// How long the instances of a lab that goes down may take. They are killed, so this only bounds what cannot happen.
const DOWN_LIMIT: Duration = Duration::from_secs(5);

/// What is asked of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// It goes, for good.
    Terminate,
    /// Its process goes; its address stays.
    Stop,
    /// A stopped instance runs again.
    Start,
    /// Its process goes, and comes again.
    Reboot,
    /// Its process is asked to end, is killed when it has not after this time, and comes again.
    Restart(Duration),
}

/// What an order has changed: the instance's process and how often it has been started, before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Carried {
    /// Before.
    pub(crate) before: Option<Boot>,
    /// Now.
    pub(crate) after: Option<Boot>,
}

/// One life of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Boot {
    /// Counted from 1.
    pub(crate) number: u32,
    /// Its process.
    pub(crate) pid: i32,
}

/// Why an order is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OrderError {
    /// There is no such instance, or not any more.
    #[error("instance {0} is terminated")]
    Gone(ResourceId),
    /// The instance is in a state in which that cannot be done.
    #[error("instance {0} is {1}")]
    NotNow(ResourceId, &'static str),
    /// It was tried.
    #[error("{0}")]
    Failed(String),
    /// The lab goes down.
    #[error("the lab is going down")]
    Down,
}

type Reply = oneshot::Sender<Result<Carried, OrderError>>;

/// What the control plane is told.
#[derive(Debug)]
pub(crate) enum Message {
    /// A process runs, or cannot.
    Started(ResourceId, u32, Result<i32, String>),
    /// A process has ended, and how, if it was not killed by the lab.
    Ended(ResourceId, u32, Option<String>),
    /// An instance accepts connections; or it does not, and its balancers shall say so.
    Answered(ResourceId, u32, bool),
    /// A balancer may have changed its mind.
    Health,
    /// Somebody wants something of an instance.
    Order(ResourceId, Order, Reply),
    /// Zones lose their power: all their instances stop, and nothing is launched or started there. The reply says what has
    /// been stopped.
    PowerOff(InjectionId, BTreeSet<String>, oneshot::Sender<Vec<Carried>>),
    /// They have it again: what lost it is started, if its group has not replaced it. The reply says what that is.
    PowerOn(InjectionId, oneshot::Sender<Vec<ResourceId>>),
    /// Launches of a group fail in some zones. The reply says how many of a hundred would, by zone.
    Lack(InjectionId, String, Shortage, oneshot::Sender<Option<Vec<(String, usize)>>>),
    /// They do not fail any more. The reply says how many have.
    Relieve(InjectionId, oneshot::Sender<u64>),
    /// Somebody wants to know all instances.
    Look(oneshot::Sender<Vec<Seen>>),
    /// The lab goes down.
    Down(oneshot::Sender<()>),
}

/// An instance as it is now.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) instance: Arc<Instance>,
    pub(crate) status: InstanceStatus,
}

/// How far the lab has come up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Whether all groups have all their instances, and all of these have answered.
    pub(crate) complete: bool,
    /// What is still missing, for people.
    pub(crate) missing: String,
    /// An instance that ended or could not be started, and why.
    pub(crate) failure: Option<String>,
}

/// What the control plane works with.
#[derive(Debug)]
pub(crate) struct Plane {
    pub(crate) spec: Arc<model::lab::Lab>,
    pub(crate) balancers: BTreeMap<String, balancer::Handle>,
    pub(crate) builder: Builder,
    pub(crate) addresses: Addresses,
    pub(crate) spawner: Spawner,
    pub(crate) recorder: Recorder,
    pub(crate) measurements: Measurements,
    pub(crate) newcomers: Newcomers,
    pub(crate) progress: watch::Sender<Progress>,
    /// To itself: handed to the tasks that watch processes.
    pub(crate) messages: mpsc::UnboundedSender<Message>,
    groups: BTreeMap<String, Group>,
    instances: BTreeMap<ResourceId, Entry>,
    /// Zones without power, by what took it.
    dark: BTreeMap<InjectionId, BTreeSet<String>>,
    /// Launched so far: the order in which resources are listed.
    launches: u64,
}

/// An instance, and what is known of it.
#[derive(Debug)]
struct Entry {
    instance: Arc<Instance>,
    launch: u64,
    state: InstanceState,
    /// How often it has been started.
    boot: u32,
    /// Its running process.
    pid: Option<i32>,
    /// Whether it starts again when its zone has power.
    waits_for_power: bool,
    /// The process before the order that is being carried out.
    before: Option<Boot>,
    reply: Option<Reply>,
}

impl Entry {
    fn now(&self) -> Option<Boot> {
        self.pid.map(|pid| Boot { number: self.boot, pid })
    }

    /// Asks its process to end, and kills it when it does not.
    fn ask_to_end(&self, grace: Duration) {
        let instance = Arc::clone(&self.instance);
        let Some(process) = self.pid.and_then(|pid| Process::find(pid).ok()) else { return instance.kill() };
        if !process.signal(Signal::TERM).is_ok_and(|sent| sent) {
            return instance.kill();
        }
        tokio::spawn(async move {
            sleep(grace).await;
            // By then it may be another life of it that runs.
            if process.is_alive() {
                instance.kill();
            }
        });
    }

    fn answer(&mut self, outcome: Result<(), OrderError>) {
        if let Some(reply) = self.reply.take() {
            let carried = Carried { before: self.before, after: self.now() };
            // Whoever asked may have lost interest.
            let _nobody_waits = reply.send(outcome.map(|()| carried));
        }
    }
}

/// The parts of a [`Plane`] that are given.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) spec: Arc<model::lab::Lab>,
    pub(crate) balancers: BTreeMap<String, balancer::Handle>,
    pub(crate) builder: Builder,
    pub(crate) addresses: Addresses,
    pub(crate) spawner: Spawner,
    pub(crate) recorder: Recorder,
    pub(crate) measurements: Measurements,
    pub(crate) newcomers: Newcomers,
}

/// Starts the control plane on the present runtime: launches everything, and then keeps it.
pub(crate) fn start(parts: Parts) -> (mpsc::UnboundedSender<Message>, watch::Receiver<Progress>) {
    // Unbounded: every sender is an instance's process, a balancer or a person, and none of them floods.
    let (messages, inbox) = mpsc::unbounded_channel();
    let (progress, watching) = watch::channel(Progress::default());
    for balancer in parts.balancers.values() {
        tokio::spawn(report_health(balancer.clone(), messages.clone()));
    }
    let Parts { spec, balancers, builder, addresses, spawner, recorder, measurements, newcomers } = parts;
    let groups = spec.groups.iter().map(|(name, group)| (name.clone(), Group::new(Rules::from(group)))).collect();
    let plane = Plane {
        spec,
        balancers,
        builder,
        addresses,
        spawner,
        recorder,
        measurements,
        newcomers,
        progress,
        messages: messages.clone(),
        groups,
        instances: BTreeMap::new(),
        dark: BTreeMap::new(),
        launches: 0,
    };
    tokio::spawn(plane.run(inbox));
    (messages, watching)
}

/// Says so whenever a balancer may have changed its mind, until the lab is down.
async fn report_health(balancer: balancer::Handle, messages: mpsc::UnboundedSender<Message>) {
    let mut healthy = balancer.healthy();
    // Only a weak interest: the plane itself looks at every tick as well.
    while healthy.changed().await.is_ok() && messages.send(Message::Health).is_ok() {}
}

impl Plane {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Message>) {
        for group in self.spec.clone().groups.keys() {
            self.step(group, Event::Begin);
        }
        let mut tick = interval(GAUGE_EVERY);
        loop {
            let now = self.recorder.clock().now();
            let due = self.groups.values().filter_map(|group| group.next_due(now)).min();
            // Without anything due the tick comes first anyhow.
            let due = self.recorder.clock().instant(due.unwrap_or(now + GAUGE_EVERY));
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(Message::Down(done)) => {
                        for done in self.down(&mut inbox, done).await {
                            let _nobody_waits = done.send(());
                        }
                        return;
                    }
                    Some(message) => self.take(message),
                    None => return,
                },
                _ = tick.tick() => self.take(Message::Health),
                () = sleep_until(due) => self.every_group(Event::Tick),
            }
            self.report();
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Started(id, boot, outcome) => self.started(&id, boot, outcome),
            Message::Ended(id, boot, how) => self.ended(&id, boot, how),
            Message::Answered(id, boot, accepts) => self.answered(&id, boot, accepts),
            Message::Health => self.look_at_health(),
            Message::Order(id, order, reply) => self.order(&id, order, reply),
            Message::PowerOff(by, zones, reply) => {
                let _nobody_waits = reply.send(self.power_off(by, &zones));
            }
            Message::PowerOn(by, reply) => {
                let _nobody_waits = reply.send(self.power_on(by));
            }
            Message::Lack(by, group, shortage, reply) => {
                let group = self.groups.get_mut(&group);
                let _nobody_waits = reply.send(group.map(|group| group.lack(by, shortage)));
            }
            Message::Relieve(by, reply) => {
                let _nobody_waits = reply.send(self.relieve(by));
            }
            Message::Look(reply) => {
                let _nobody_waits = reply.send(self.look());
            }
            // `run` has taken it.
            Message::Down(_) => {}
        }
    }

    /// Has a group take note of an event, and performs what it decides.
    fn step(&mut self, group: &str, event: Event) {
        let now = self.recorder.clock().now();
        let effects = self.groups.get_mut(group).map(|state| state.step(event, now)).unwrap_or_default();
        for effect in effects {
            match effect {
                Effect::Launch(ordinal, zone) => self.launch(group, ordinal, &zone),
                Effect::Terminate(ordinal, why) => self.retire(group, ordinal, why),
                Effect::Replacing(ordinal) => {
                    let id = self.builder.identity().instance(group, ordinal);
                    self.record(&id, InstanceChange::Replacing, "its group launches another in its place");
                }
                Effect::Forget(ordinal) => self.forget(&self.builder.identity().instance(group, ordinal)),
                Effect::Denied(zone) => {
                    let text = format!("group `{group}` cannot launch in {zone}: insufficient capacity");
                    self.recorder.record(What::Note { text });
                }
            }
        }
    }

    fn every_group(&mut self, event: Event) {
        for group in self.spec.clone().groups.keys() {
            self.step(group, event);
        }
    }

    fn launch(&mut self, group: &str, ordinal: Ordinal, zone: &str) {
        // Making a network takes the kernel a few milliseconds; other tasks move to other threads meanwhile.
        let made = tokio::task::block_in_place(|| self.builder.build(group, ordinal, zone, &mut self.addresses));
        let instance = match made {
            Ok(instance) => Arc::new(instance),
            Err(why) => {
                self.fail(format!("cannot launch an instance of group `{group}`: {why}"));
                self.step(group, Event::LaunchFailed(ordinal));
                return;
            }
        };
        self.launches += 1;
        let entry = Entry {
            instance: Arc::clone(&instance),
            launch: self.launches,
            state: InstanceState::Pending,
            boot: 1,
            pid: None,
            waits_for_power: false,
            before: None,
            reply: None,
        };
        self.instances.insert(instance.id.clone(), entry);
        self.boot(&instance, 1);
    }

    /// Starts an instance's process and watches it to its end.
    fn boot(&self, instance: &Arc<Instance>, boot: u32) {
        let (instance, spawner, messages) = (Arc::clone(instance), self.spawner.clone(), self.messages.clone());
        let newcomers = self.newcomers.clone();
        let tell = move |message| {
            // The lab may be down already.
            let _nobody_listens = messages.send(message);
        };
        tokio::spawn(async move {
            let id = || instance.id.clone();
            match instance.start(&spawner).await {
                Err(why) => tell(Message::Started(id(), boot, Err(why.to_string()))),
                Ok(started) => {
                    let pid = instance.process().as_ref().map(|process| process.app);
                    tell(Message::Started(id(), boot, Ok(pid.unwrap_or_default())));
                    let ended = started.until_ended();
                    tokio::pin!(ended);
                    let served = async {
                        newcomers.welcome(&instance.id).await;
                        report_answers(&instance, boot, &tell).await;
                    };
                    let how = tokio::select! {
                        how = &mut ended => how,
                        () = served => ended.await,
                    };
                    *instance.process() = None;
                    tell(Message::Ended(id(), boot, how));
                }
            }
        });
    }

    fn started(&mut self, id: &ResourceId, boot: u32, outcome: Result<i32, String>) {
        let Some(entry) = self.instances.get_mut(id).filter(|entry| entry.boot == boot) else { return };
        let (group, ordinal) = (entry.instance.group.clone(), entry.instance.ordinal);
        let pid = match outcome {
            Ok(pid) => pid,
            Err(why) => {
                entry.state = InstanceState::Terminated;
                entry.answer(Err(OrderError::Failed(why.clone())));
                self.record(id, InstanceChange::Terminated, &format!("it could not be started: {why}"));
                self.fail(format!("an instance of group `{group}` could not be started: {why}"));
                self.step(&group, Event::LaunchFailed(ordinal));
                return;
            }
        };
        entry.pid = Some(pid);
        if matches!(entry.state, InstanceState::ShuttingDown | InstanceState::Stopping) {
            // It was terminated, or its zone lost its power, before it ran.
            entry.instance.kill();
            return;
        }
        let first = entry.state == InstanceState::Pending && boot == 1;
        entry.state = InstanceState::Running;
        entry.answer(Ok(()));
        if first {
            self.record(id, InstanceChange::Launched, &format!("process {pid} runs"));
            self.step(&group, Event::Launched(ordinal));
        } else {
            self.record(id, InstanceChange::Started, &format!("process {pid} runs; boot {boot}"));
            self.step(&group, Event::Started(ordinal));
        }
    }

    /// Registers an instance with its balancers. Not before it listens: their first health check would fail for sure, and the
    /// next comes an interval later.
    fn answered(&mut self, id: &ResourceId, boot: u32, accepts: bool) {
        let Some(entry) = self.instances.get(id) else { return };
        if entry.boot != boot || entry.state != InstanceState::Running {
            return;
        }
        let instance = Arc::clone(&entry.instance);
        let target = balancer::Target {
            id: id.clone(),
            address: self.builder.reached_at(&instance),
            zone: instance.zone.clone(),
        };
        let mut balanced = false;
        for balancer in self.balancers_of(&instance.group) {
            balancer.add(target.clone());
            balanced = true;
        }
        if accepts && !balanced {
            self.ready(id, "it accepts connections");
        }
    }

    fn ended(&mut self, id: &ResourceId, boot: u32, how: Option<String>) {
        let Some(entry) = self.instances.get_mut(id).filter(|entry| entry.boot == boot) else { return };
        entry.pid = None;
        let (group, ordinal) = (entry.instance.group.clone(), entry.instance.ordinal);
        match entry.state {
            InstanceState::Stopping => {
                entry.state = InstanceState::Stopped;
                entry.answer(Ok(()));
                let why = if entry.waits_for_power { "its zone has lost its power" } else { "it was told to stop" };
                self.record(id, InstanceChange::Stopped, why);
                self.step(&group, Event::Stopped(ordinal));
                // The power may have come back while it ended.
                self.start_with_power(id);
            }
            InstanceState::Rebooting => {
                entry.boot += 1;
                let (instance, boot) = (Arc::clone(&entry.instance), entry.boot);
                self.boot(&instance, boot);
            }
            InstanceState::ShuttingDown => {
                entry.state = InstanceState::Terminated;
                entry.answer(Ok(()));
                self.record(id, InstanceChange::Terminated, "it was told to terminate");
                self.step(&group, Event::Gone(ordinal));
            }
            InstanceState::Pending | InstanceState::Running => {
                entry.state = InstanceState::Terminated;
                let how = how.unwrap_or_else(|| "its shim was killed".to_owned());
                let tail = entry.instance.log_tail();
                self.fail(format!("an instance of group `{group}` ended ({how}){tail}"));
                self.record(id, InstanceChange::Exited, &format!("its process ended: {how}"));
                self.step(&group, Event::Exited(ordinal));
            }
            InstanceState::Stopped | InstanceState::Terminated => {}
        }
    }

    fn order(&mut self, id: &ResourceId, order: Order, reply: Reply) {
        let refuse = |reply: Reply, why| {
            let _nobody_waits = reply.send(Err(why));
        };
        let dark = self.instances.get(id).is_some_and(|entry| self.is_dark(&entry.instance.zone));
        let Some(entry) = self.instances.get_mut(id).filter(|entry| entry.state != InstanceState::Terminated) else {
            return refuse(reply, OrderError::Gone(id.clone()));
        };
        if dark && (order, entry.state) == (Order::Start, InstanceState::Stopped) {
            // Two faults hold it: this one lets go, and it starts when the other does.
            entry.waits_for_power = true;
            let _nobody_waits = reply.send(Ok(Carried { before: None, after: None }));
            return;
        }
        let next = match (order, entry.state) {
            (Order::Terminate, InstanceState::Pending | InstanceState::Running | InstanceState::Stopped) => {
                InstanceState::ShuttingDown
            }
            (Order::Stop, InstanceState::Running) => InstanceState::Stopping,
            (Order::Reboot | Order::Restart(_), InstanceState::Running) => InstanceState::Rebooting,
            (Order::Start, InstanceState::Stopped) => InstanceState::Pending,
            (_, state) => return refuse(reply, OrderError::NotNow(id.clone(), state.name())),
        };
        let was = std::mem::replace(&mut entry.state, next);
        // Whoever has it started learns that it will not run.
        entry.answer(Err(OrderError::Gone(id.clone())));
        entry.before = entry.now();
        entry.reply = Some(reply);
        match (order, was) {
            (Order::Start, _) => {
                entry.boot += 1;
                let (instance, boot) = (Arc::clone(&entry.instance), entry.boot);
                self.boot(&instance, boot);
            }
            // There is no process whose end would tell.
            (Order::Terminate, InstanceState::Stopped) => {
                let boot = entry.boot;
                self.ended(id, boot, None);
            }
            (Order::Restart(grace), _) if !grace.is_zero() => entry.ask_to_end(grace),
            // One that is still starting is killed as soon as it runs.
            _ => entry.instance.kill(),
        }
    }

    fn is_dark(&self, zone: &str) -> bool {
        self.dark.values().any(|zones| zones.contains(zone))
    }

    /// All at once: between two messages nobody sees a zone that is half dark.
    fn power_off(&mut self, by: InjectionId, zones: &BTreeSet<String>) -> Vec<Carried> {
        self.dark.insert(by, zones.clone());
        for group in self.groups.values_mut() {
            group.lack(by, Shortage::new(zones.clone(), 100));
        }
        let mut stopped = Vec::new();
        for entry in self.instances.values_mut().filter(|entry| zones.contains(&entry.instance.zone)) {
            match entry.state {
                InstanceState::Pending | InstanceState::Running | InstanceState::Rebooting => {
                    let why = format!("zone {} has lost its power", entry.instance.zone);
                    entry.answer(Err(OrderError::Failed(why)));
                    entry.state = InstanceState::Stopping;
                    entry.waits_for_power = true;
                    stopped.push(Carried { before: entry.now(), after: None });
                    // One that is still starting is killed as soon as it runs.
                    entry.instance.kill();
                }
                // Whoever stopped it starts it, and whoever ends it does not.
                InstanceState::Stopping
                | InstanceState::Stopped
                | InstanceState::ShuttingDown
                | InstanceState::Terminated => {}
            }
        }
        stopped
    }

    fn power_on(&mut self, by: InjectionId) -> Vec<ResourceId> {
        self.dark.remove(&by);
        // First what is there already, so that its group does not launch in its place.
        let mut started: Vec<_> =
            self.instances.iter().filter(|(_, entry)| entry.waits_for_power).map(|(id, _)| id.clone()).collect();
        started.retain(|id| self.start_with_power(id));
        self.relieve(by);
        started
    }

    /// Starts an instance that waits for its zone's power, if there is some; whether it will run.
    fn start_with_power(&mut self, id: &ResourceId) -> bool {
        let Some(entry) = self.instances.get(id).filter(|entry| entry.waits_for_power) else { return false };
        if self.is_dark(&entry.instance.zone) {
            return false;
        }
        let Some(entry) = self.instances.get_mut(id) else { return false };
        match entry.state {
            InstanceState::Stopped => {
                entry.waits_for_power = false;
                entry.state = InstanceState::Pending;
                entry.boot += 1;
                let (instance, boot) = (Arc::clone(&entry.instance), entry.boot);
                self.boot(&instance, boot);
                true
            }
            // When it has ended.
            InstanceState::Stopping => true,
            InstanceState::Pending
            | InstanceState::Running
            | InstanceState::Rebooting
            | InstanceState::ShuttingDown
            | InstanceState::Terminated => false,
        }
    }

    fn relieve(&mut self, by: InjectionId) -> u64 {
        let denied = self.groups.values_mut().filter_map(|group| group.relieve(by)).map(|was| was.denied()).sum();
        self.every_group(Event::Tick);
        denied
    }

    /// Terminates an instance that its group does not want any more: out of the balancers first, then, when they have drained
    /// it, out of the world.
    fn retire(&mut self, group: &str, ordinal: Ordinal, why: &str) {
        let id = self.builder.identity().instance(group, ordinal);
        let balancers: Vec<_> = self.balancers_of(group).cloned().collect();
        let drainings = self.spec.balancers.values().filter(|one| one.group == group).map(|one| one.draining.get());
        let limit = drainings.max().unwrap_or_default();
        let Some(entry) = self.instances.get_mut(&id) else { return };
        for balancer in &balancers {
            balancer.remove(&id);
        }
        tracing::info!(instance = %id, group, why, "its group terminates it");
        match entry.state {
            InstanceState::Terminated | InstanceState::ShuttingDown => {}
            InstanceState::Stopped => {
                entry.state = InstanceState::Terminated;
                self.record(&id, InstanceChange::Terminated, why);
            }
            InstanceState::Pending | InstanceState::Running | InstanceState::Stopping | InstanceState::Rebooting => {
                // Whoever wants it to stop has what was wanted when it ends; whoever wants it to run never has.
                if entry.state != InstanceState::Stopping {
                    entry.answer(Err(OrderError::Gone(id.clone())));
                }
                entry.state = InstanceState::ShuttingDown;
                let instance = Arc::clone(&entry.instance);
                tokio::spawn(async move {
                    let drained = async {
                        while balancers.iter().any(|one| one.targets().iter().any(|known| known.target.id == id)) {
                            sleep(ANSWER_EVERY).await;
                        }
                    };
                    // After the limit the balancers have closed what was left.
                    let _in_time = timeout(limit, drained).await;
                    instance.kill();
                });
            }
        }
    }

    fn forget(&mut self, id: &ResourceId) {
        if let Some(entry) = self.instances.remove(id) {
            for balancer in self.balancers_of(&entry.instance.group) {
                balancer.remove(id);
            }
            self.builder.dismantle(&entry.instance, &mut self.addresses);
        }
    }

    fn ready(&mut self, id: &ResourceId, reason: &str) {
        let Some(entry) = self.instances.get(id) else { return };
        let (group, ordinal) = (entry.instance.group.clone(), entry.instance.ordinal);
        let running = entry.state == InstanceState::Running;
        if running && !self.groups.get(&group).is_some_and(|state| state.is_ready(ordinal)) {
            self.record(id, InstanceChange::Ready, reason);
            self.step(&group, Event::Ready(ordinal));
        }
    }

    /// Tells the groups what their balancers think. An instance is healthy when all its balancers say so, and unhealthy when
    /// one does.
    fn look_at_health(&mut self) {
        let mut opinions: BTreeMap<ResourceId, Vec<Health>> = BTreeMap::new();
        for balancer in self.balancers.values() {
            for known in balancer.targets() {
                opinions.entry(known.target.id).or_default().push(known.state);
            }
        }
        for (id, states) in opinions {
            let Some(entry) = self.instances.get(&id).filter(|one| one.state == InstanceState::Running) else {
                continue;
            };
            let (group, ordinal) = (entry.instance.group.clone(), entry.instance.ordinal);
            if states.iter().all(|&state| state == Health::Healthy) {
                self.ready(&id, "its balancer finds it healthy");
                self.step(&group, Event::Health(ordinal, true));
            } else if states.contains(&Health::Unhealthy) {
                self.step(&group, Event::Health(ordinal, false));
            }
        }
    }

    fn look(&self) -> Vec<Seen> {
        let health = |id: &ResourceId| {
            let all = self.balancers.values().flat_map(balancer::Handle::targets);
            let states: Vec<_> = all.filter(|known| known.target.id == *id).map(|known| known.state.as_str()).collect();
            states.first().copied().map(str::to_owned)
        };
        let mut entries: Vec<&Entry> = self.instances.values().collect();
        entries.sort_by_key(|entry| entry.launch);
        let seen = entries.into_iter().map(|entry| Seen {
            instance: Arc::clone(&entry.instance),
            status: InstanceStatus {
                id: entry.instance.id.clone(),
                group: entry.instance.group.clone(),
                zone: entry.instance.zone.clone(),
                address: entry.instance.socket(),
                state: entry.state,
                boot: entry.boot,
                pid: entry.pid,
                health: health(&entry.instance.id),
            },
        });
        seen.collect()
    }

    /// Gauges, and how far the lab has come up.
    fn report(&self) {
        let now = self.recorder.clock().now();
        let mut missing = Vec::new();
        for (name, group) in &self.groups {
            let balancers: Vec<_> = self.balancers_of(name).collect();
            let members: Vec<_> = self.instances.values().filter(|entry| entry.instance.group == *name).collect();
            let ready = members.iter().filter(|entry| group.is_ready(entry.instance.ordinal)).count();
            // Those that all balancers find healthy, which is at most what each of them finds.
            let healthy = balancers.iter().map(|balancer| *balancer.healthy().borrow()).min().unwrap_or(ready);
            let gauge = |metric: &str, level: usize| {
                let level = u32::try_from(level).map_or(f64::NAN, f64::from);
                self.measurements.gauge(&Metric::of(metric, name.as_str()), now, level);
            };
            gauge("group.healthy", healthy);
            gauge("group.in_service", group.in_service(now));
            gauge("group.running", group.running());
            if ready < group.desired() {
                missing.push(format!("group `{name}`: {ready} of {} instances answer", group.desired()));
            }
        }
        let progress = Progress { complete: missing.is_empty(), missing: missing.join("; "), failure: None };
        self.progress.send_if_modified(|shown| {
            let progress = Progress { failure: shown.failure.clone(), ..progress };
            let changed = *shown != progress;
            *shown = progress;
            changed
        });
    }

    fn fail(&self, why: String) {
        tracing::warn!("{why}");
        self.progress.send_modify(|progress| progress.failure = Some(why));
    }

    fn record(&self, id: &ResourceId, change: InstanceChange, reason: &str) {
        let Some(entry) = self.instances.get(id) else { return };
        self.recorder.record(What::Instance {
            instance: id.clone(),
            group: entry.instance.group.clone(),
            zone: entry.instance.zone.clone(),
            change,
            reason: reason.to_owned(),
        });
    }

    fn balancers_of<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a balancer::Handle> + 'a {
        let of_group = move |name: &String| self.spec.balancers.get(name).is_some_and(|one| one.group == group);
        self.balancers.iter().filter(move |(name, _)| of_group(name)).map(|(_, handle)| handle)
    }

    /// Kills all instances, waits until they are gone, and stops the balancers. Gives back whom to tell: the one who asked
    /// first, and all who asked meanwhile.
    async fn down(
        mut self,
        inbox: &mut mpsc::UnboundedReceiver<Message>,
        first: oneshot::Sender<()>,
    ) -> Vec<oneshot::Sender<()>> {
        let mut asked = vec![first];
        self.groups.clear();
        // Those that run, and those that are being started: they will say so, and be killed then.
        let mut left: Vec<_> = self
            .instances
            .values()
            .filter(|entry| {
                entry.pid.is_some()
                    || matches!(
                        entry.state,
                        InstanceState::Pending | InstanceState::Rebooting | InstanceState::ShuttingDown
                    )
            })
            .map(|entry| (entry.instance.id.clone(), entry.boot))
            .collect();
        for entry in self.instances.values_mut() {
            entry.state = InstanceState::ShuttingDown;
            entry.answer(Err(OrderError::Down));
            entry.instance.kill();
        }
        let all_ended = async {
            while !left.is_empty() {
                match inbox.recv().await {
                    Some(Message::Ended(id, boot, _) | Message::Started(id, boot, Err(_))) => {
                        left.retain(|one| *one != (id.clone(), boot));
                    }
                    Some(Message::Started(id, _, Ok(_))) => {
                        if let Some(entry) = self.instances.get(&id) {
                            entry.instance.kill();
                        }
                    }
                    Some(Message::Order(_, _, reply)) => {
                        let _nobody_waits = reply.send(Err(OrderError::Down));
                    }
                    Some(Message::Down(done)) => asked.push(done),
                    Some(_) => {}
                    None => return,
                }
            }
        };
        if timeout(DOWN_LIMIT, all_ended).await.is_err() {
            tracing::warn!("some instances have not ended; they end with this process");
        }
        for balancer in self.balancers.values() {
            balancer.stop().await;
        }
        asked
    }
}

/// Tells once when an instance has not accepted a connection for a while, and when it does.
async fn report_answers(instance: &Instance, boot: u32, tell: &impl Fn(Message)) {
    if timeout(REGISTER_LIMIT, until_it_answers(instance)).await.is_err() {
        tell(Message::Answered(instance.id.clone(), boot, false));
        until_it_answers(instance).await;
    }
    tell(Message::Answered(instance.id.clone(), boot, true));
}

async fn until_it_answers(instance: &Instance) {
    while !matches!(timeout(ANSWER_LIMIT, TcpStream::connect(instance.socket())).await, Ok(Ok(_))) {
        sleep(ANSWER_EVERY).await;
    }
}
