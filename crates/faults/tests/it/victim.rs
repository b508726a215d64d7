//! Processes that inject a fault, say so, and are killed by the test that started them.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::fd::{AsFd, AsRawFd},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use faults::{Object, Parameters, Peer, process::Process, sys::namespace::NetworkNamespace};
use rustix::process::Signal;

use crate::harness::{FIRST, INSTANCE, LEASE, World, guardian_of, host, needed, only, until};

/// What such a process is told, in its environment: the fault, its parameters (`name=value`, a line each), and where the world is.
const FAULT: &str = "VICTIM_FAULT";
const PARAMETERS: &str = "VICTIM_PARAMETERS";
const JOURNAL: &str = "VICTIM_JOURNAL";
const NETWORKS: &str = "VICTIM_NETWORKS";
const PID: &str = "VICTIM_PID";

/// Not a test: the process that injects, says so, and waits to be killed.
#[test]
#[ignore = "the process that is killed, started by the tests that use it"]
fn the_victim() {
    let (object, journal) = object_of_environment();
    let given: Parameters = told(PARAMETERS)
        .lines()
        .map(|line| line.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let host = host(&journal);
    host.inject(FIRST, &told(FAULT), &given, &object, LEASE).unwrap();
    println!("\ninjected");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn told(name: &str) -> String {
    std::env::var(name).expect("told by the test that started it")
}

/// The world that the environment describes, and where its journal is: see [`with_world`].
pub(crate) fn object_of_environment() -> (Object, PathBuf) {
    let networks = told(NETWORKS);
    let (instance, router) = networks.split_once(' ').unwrap();
    let object = Object {
        name: "i-1".to_owned(),
        pid: Some(told(PID).parse().unwrap()),
        network: Some(open(instance).into()),
        peer: Some(Peer { network: open(router).into(), interface: "v0".to_owned() }),
        addresses: vec![INSTANCE.into()],
        memory_bytes: 64 << 20,
        ..Object::default()
    };
    (object, told(JOURNAL).into())
}

/// Tells a process that is about to be started where the world is.
pub(crate) fn with_world<'a>(command: &'a mut Command, world: &World) -> &'a mut Command {
    let own = std::process::id();
    let descriptor = |network: &NetworkNamespace| format!("/proc/{own}/fd/{}", network.as_fd().as_raw_fd());
    command
        .env(JOURNAL, world.journal())
        .env(NETWORKS, format!("{} {}", descriptor(&world.instance), descriptor(&world.router)))
        .env(PID, world.object.pid.unwrap().to_string())
}

fn open(path: &str) -> NetworkNamespace {
    let file = fs::File::open(path).unwrap();
    let look = || {
        rustix::thread::move_into_link_name_space(file.as_fd(), None).unwrap();
        NetworkNamespace::current().unwrap()
    };
    std::thread::scope(|scope| scope.spawn(look).join().unwrap())
}

/// Such a process.
pub(crate) struct Victim(Child);

impl Victim {
    /// Starts one that injects a fault with no more parameters than it needs, on the record of the world's own journal.
    pub(crate) fn start(world: &World, fault: &str) -> Self {
        Self::start_with(world, &world.journal(), fault, &needed(fault))
    }

    pub(crate) fn start_with(world: &World, journal: &Path, fault: &str, given: &Parameters) -> Self {
        let given: String = given.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        let mut command = Command::new(std::env::current_exe().unwrap());
        let child = with_world(&mut command, world)
            .args(only("victim::the_victim"))
            .env(FAULT, fault)
            .env(PARAMETERS, given)
            .env(JOURNAL, journal)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Waits until the fault is in effect.
    pub(crate) fn injected(mut self) -> Self {
        let output = BufReader::new(self.0.stdout.take().unwrap());
        assert!(output.lines().any(|line| line.unwrap() == "injected"), "it ended without a fault in effect");
        self
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    pub(crate) fn process(&self) -> Process {
        Process::find(self.0.id().cast_signed()).unwrap()
    }

    /// Kills it; its guardian hears of it.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Kills it and its guardian, so that neither hears of the other's death; looks in between, while both are stopped.
    pub(crate) fn kill_with_guardian(self, meanwhile: impl FnOnce()) {
        let runner = self.process();
        let guardian = guardian_of(runner);
        for process in [guardian, runner] {
            process.signal(Signal::STOP).unwrap();
        }
        meanwhile();
        guardian.signal(Signal::KILL).unwrap();
        self.kill();
        until("the guardian has ended", || !guardian.is_alive());
    }
}
