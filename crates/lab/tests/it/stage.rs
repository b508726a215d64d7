//! What the tests share: a small lab, and ways to look at it and to wait for it.

#[path = "../../examples/support/mod.rs"]
mod support;

use std::{env, fs, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use engine::{
    Recorder,
    provider::{Order, Provider},
};
use lab::{
    Lab, LabOptions, Prepared, UpError,
    status::{InstanceState, InstanceStatus},
};
use model::{
    event::{Event, InjectionId},
    lab::Network,
    resource::ResourceId,
};
use observe::{Clock, Measurements};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program that is shim and demo application: the example `stage`, built beside the tests.
pub(crate) fn program() -> PathBuf {
    let tests = env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples/stage");
    assert!(program.exists(), "{} is missing: build it with `cargo build --examples`", program.display());
    program
}

/// The lab of the examples.
pub(crate) fn web(instances: u32) -> model::lab::Lab {
    support::web("web", instances)
}

/// The networks a test can be run on here: each of the two, where it is to be had.
pub(crate) fn grounds() -> Vec<Prepared> {
    [Network::Netns, Network::Loopback].into_iter().filter_map(|wanted| lab::prepare(wanted).ok()).collect()
}

/// The ground on which instances have networks of their own; none, with the reason printed, where that cannot be.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
pub(crate) fn networks() -> Option<Prepared> {
    let ground = grounds().into_iter().find(|ground| matches!(ground, Prepared::Networks { .. }));
    if ground.is_none() {
        assert!(env::var_os("CI").is_none(), "CI must be able to make network namespaces");
        println!("skipped: network namespaces cannot be made by this user");
    }
    ground
}

/// A lab that is up, and its record.
pub(crate) struct Stage {
    pub(crate) lab: Lab,
    pub(crate) recorder: Recorder,
    pub(crate) measurements: Measurements,
    pub(crate) provider: Arc<dyn Provider>,
}

impl Stage {
    pub(crate) async fn up(spec: &model::lab::Lab, ground: &Prepared) -> Result<Self, UpError> {
        Self::up_by(program(), spec, ground).await
    }

    /// With another program that is shim and demo application.
    pub(crate) async fn up_by(program: PathBuf, spec: &model::lab::Lab, ground: &Prepared) -> Result<Self, UpError> {
        let recorder = Recorder::new(Clock::start());
        let measurements = Measurements::new();
        let options = LabOptions {
            seed: 7,
            recorder: recorder.clone(),
            measurements: measurements.clone(),
            program: Some(program),
        };
        let lab = Lab::up(spec, ground, options).await?;
        Ok(Self { provider: lab.provider(), lab, recorder, measurements })
    }

    pub(crate) async fn instances(&self) -> Vec<InstanceStatus> {
        self.lab.status().await.instances
    }

    /// Instances that run and are healthy.
    pub(crate) async fn healthy(&self) -> Vec<InstanceStatus> {
        let mut all = self.instances().await;
        all.retain(|one| one.state == InstanceState::Running && one.health.as_deref() == Some("healthy"));
        all
    }

    /// The status line of a response to a request through a balancer, sent from within the lab's network.
    pub(crate) async fn get(&self, balancer: &str) -> String {
        let status = self.lab.status().await;
        let address = status.balancers.iter().find(|one| one.name == balancer).unwrap().address;
        self.ask(address).await
    }

    /// The same of whoever listens there; empty when nobody answers.
    pub(crate) async fn ask(&self, address: SocketAddr) -> String {
        let asking = self.lab.handle().spawn(async move {
            let mut stream = TcpStream::connect(address).await.ok()?;
            stream.write_all(b"GET / HTTP/1.1\r\nhost: web.lab\r\nconnection: close\r\n\r\n").await.ok()?;
            let mut text = String::new();
            stream.read_to_string(&mut text).await.ok()?;
            text.lines().next().map(str::to_owned)
        });
        timeout(PATIENCE, asking).await.unwrap().unwrap().unwrap_or_default()
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.recorder.since(0)
    }
}

/// An order as the engine gives it.
pub(crate) fn order(number: u32, fault: &str, resource: &ResourceId, parameters: &[(&str, &str)]) -> Order {
    Order {
        injection: InjectionId(number),
        fault: fault.to_owned(),
        parameters: parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        resource: resource.clone(),
        term: PATIENCE.into(),
    }
}

/// Waits until a condition holds, and gives back what it found.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut condition: impl FnMut() -> F) -> T {
    let waiting = async {
        loop {
            if let Some(found) = condition().await {
                return found;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect(what)
}

/// What this comes to, which it does long before patience ends.
pub(crate) async fn soon<T>(what: &str, of: impl Future<Output = T>) -> T {
    timeout(PATIENCE, of).await.expect(what)
}

/// Whether a process exists and is more than an entry in the process table that nobody has read yet.
pub(crate) fn lives(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// The children of this process.
pub(crate) fn children() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}
