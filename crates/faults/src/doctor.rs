//! What this machine and this user can do, found out by doing it: in a throw-away network namespace, in a helper that then ends.

use std::{
    env, fs, io,
    net::{IpAddr, Ipv4Addr},
    process::{Command, Stdio},
};

use model::catalogue::{Entry, Need};
use rustix::net::{AddressFamily, SocketType};
use serde::{Deserialize, Serialize};

use crate::{
    cgroup, container,
    fault::{Failed, Program, Tools, seed},
    helper::{self, Answer, Job},
    network::engine::{ENGINE, Lateness},
    service,
    sys::{
        calls::{self, Stop},
        namespace::{self, NetworkNamespace},
        nfqueue::{Mode, Queue},
        nft::{Action, Hook, Match, Protocol, Table},
        option, ptrace, realtime,
    },
};

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is called: `network-namespace`, `nfqueue`.
    pub name: String,
    /// Whether it works here.
    pub available: bool,
    /// What was seen.
    pub detail: String,
    /// What to do about it when it does not work; or nothing.
    pub remedy: Option<String>,
}

/// The name that facts go by between helper and doctor.
pub(crate) type Finding = Fact;

/// Whether a fault can be injected here.
#[derive(Debug, Clone, PartialEq)]
pub struct Ability {
    /// Its catalogue entry.
    pub fault: &'static Entry,
    /// What is missing, and what would make it work; empty: it can.
    pub missing: Vec<String>,
    /// With what less it works, and what would make it work with all.
    pub less: Vec<String>,
}

/// What a doctor says.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnosis {
    /// All that was tried.
    pub facts: Vec<Fact>,
    /// Fault by fault.
    pub faults: Vec<Ability>,
}

impl Diagnosis {
    /// Whether an action can be carried out here: a fault of this crate, or one that is made of such.
    #[must_use]
    pub fn ability(&self, entry: &'static Entry) -> Ability {
        ability(entry, &self.facts)
    }
}

/// Examines this machine and user. The helper is this very program.
///
/// # Errors
///
/// When no helper can be started.
pub fn doctor() -> Result<Diagnosis, Failed> {
    doctor_with(Program::this().map_err(Failed::to("find this program's own file"))?)
}

/// Like [`doctor`], with another program as the helper.
///
/// # Errors
///
/// When no helper can be started.
pub fn doctor_with(program: Program) -> Result<Diagnosis, Failed> {
    let tools = Tools { program };
    let mut child = helper::command(&tools, seed()).spawn().map_err(Failed::to("start the helper"))?;
    let mut pipes = child.stdin.take().zip(child.stdout.take());
    let answer =
        pipes.as_mut().ok_or_else(|| Failed("the helper has no pipes".to_owned())).and_then(|(input, output)| {
            helper::give(input, &Job::Examine)?;
            helper::hear(output)
        });
    drop(pipes);
    child.kill().ok();
    child.wait().map_err(Failed::to("end the helper"))?;
    match answer? {
        Answer::Found(facts) => {
            Ok(Diagnosis { faults: crate::catalogue().iter().map(|fault| ability(fault, &facts)).collect(), facts })
        }
        Answer::Cannot(why) => Err(Failed(why)),
        _ => Err(Failed("the helper is of another version".to_owned())),
    }
}

fn ability(fault: &'static Entry, facts: &[Fact]) -> Ability {
    let lacks = |name: &str| match facts.iter().find(|fact| fact.name == name) {
        Some(fact) if fact.available => None,
        Some(Fact { detail, remedy: Some(remedy), .. }) => Some(format!("{name}: {detail}; {remedy}")),
        Some(Fact { detail, .. }) => Some(format!("{name}: {detail}")),
        None => Some(format!("{name}: not examined")),
    };
    let lacking = fault.needs.iter().filter_map(|need| lacks(fact_of(*need)?));
    // Only what holds packets is the later the less it is preferred.
    let holds_packets = fault.needs.contains(&Need::Nfqueue);
    let mut less: Vec<String> = holds_packets.then(|| lacks(PUNCTUAL)).flatten().into_iter().collect();
    let by_netem = fault.parameters.iter().any(|parameter| parameter.name == ENGINE.name) && lacks(NETEM).is_none();
    let (instead, missing): (Vec<_>, Vec<_>) =
        lacking.partition(|why| by_netem && [OWNER, QUEUE].iter().any(|name| why.starts_with(name)));
    if !instead.is_empty() {
        less.push(format!("by netem alone, for all packets of a link: {}", instead.join("; ")));
    }
    Ability { fault, missing, less }
}

/// The fact that tells whether a need is met; signalling one's own processes always works.
const fn fact_of(need: Need) -> Option<&'static str> {
    match need {
        Need::NetworkNamespace => Some(NETWORK),
        Need::NftablesOwner => Some(OWNER),
        Need::Nfqueue => Some(QUEUE),
        Need::Diversion => Some(DIVERSION),
        Need::Ptrace => Some(PTRACE),
        Need::SystemCalls => Some(CALLS),
        Need::CpuController => Some(CPU),
        Need::MemoryController => Some(MEMORY),
        Need::PidsController => Some(PIDS),
        Need::Freezer => Some(FREEZER),
        Need::ServiceManager => Some(SERVICES),
        Need::ContainerRuntime => Some(CONTAINERS),
        Need::Signal => None,
    }
}

const NETWORK: &str = "network-namespace";
const OWNER: &str = "nftables-owner";
const PACKETS: &str = "packet-engine";
const NETEM: &str = "netem";
const QUEUE: &str = "nfqueue";
const DIVERSION: &str = "nftables-tproxy";
const PTRACE: &str = "ptrace";
const CALLS: &str = "system-calls";
const CPU: &str = "cgroup-cpu";
const MEMORY: &str = "cgroup-memory";
const PIDS: &str = "cgroup-pids";
const FREEZER: &str = "cgroup-freezer";
const SERVICES: &str = "service-manager";
const CONTAINERS: &str = "container-runtime";
const PUNCTUAL: &str = "realtime-priority";

/// Tries everything, in the helper.
pub(crate) fn examine() -> Vec<Finding> {
    let mut found = Vec::new();
    let made = NetworkNamespace::create().or_else(|first| {
        let user = namespace::enter_user_namespace();
        found.push(fact(
            "user-namespace",
            &user,
            "an ordinary user can be root in a namespace of its own",
            "allow them: `sysctl user.max_user_namespaces=10000`, on Ubuntu also `sysctl kernel.apparmor_restrict_unprivileged_userns=0`; or be root",
        ));
        user.and_then(|()| NetworkNamespace::create()).map_err(|_| first)
    });
    let remedy =
        "be root, or allow unprivileged user namespaces; the lab runs without, with links carried by its proxy";
    found.push(fact(NETWORK, &made.as_ref().map(drop), "network namespaces can be made", remedy));
    if let Ok(network) = made {
        let inside = |what: fn() -> io::Result<()>| network.run(what);
        found.push(fact(
            OWNER,
            &inside(owned_table),
            "nf_tables has tables that die with their owner",
            "use Linux 5.12 or later with CONFIG_NF_TABLES and CONFIG_NF_TABLES_INET (`modprobe nf_tables`)",
        ));
        found.push(fact(
            QUEUE,
            &inside(queue),
            "packets can be queued to user space, and pass when nobody listens",
            "load the modules: `modprobe -a nfnetlink_queue nft_queue` or `nft_compat xt_NFQUEUE`",
        ));
        found.push(fact(
            DIVERSION,
            &inside(diversion),
            "connections can be diverted to a listener of ours",
            "load the modules: `modprobe -a nft_tproxy nft_fib_inet`",
        ));
        found.extend(engines(&network));
    }
    found.push(fact(
        PTRACE,
        &trace(),
        "processes can be traced",
        "be root, or `sysctl kernel.yama.ptrace_scope=1` (or 0)",
    ));
    found.push(fact(
        CALLS,
        &intercept(),
        "system calls of other processes can be intercepted",
        "be root, or `sysctl kernel.yama.ptrace_scope=1` (or 0); use Linux 5.3 or later on x86-64",
    ));
    for (name, controller) in [(CPU, "cpu"), (MEMORY, "memory"), (PIDS, "pids")] {
        found.push(fact(
            name,
            &cgroup::try_controller(controller),
            "control groups with this controller can be made",
            "be root; with version 2, have the controller delegated (`systemd-run --user --scope -p Delegate=yes`)",
        ));
    }
    found.push(fact(
        FREEZER,
        &cgroup::try_freezer(),
        "control groups can be frozen",
        "be root, on Linux 5.2 or later with version 2, or with version 1's freezer; process:pause works without",
    ));
    found.push(fact(
        SERVICES,
        &service::try_manager(),
        "systemd answers over D-Bus",
        "only where systemd is the first process are there services to stop; be root, or have a manager of your own (`loginctl enable-linger`)",
    ));
    found.push(fact(
        CONTAINERS,
        &container::try_runtime(),
        "a container runtime answers over its API",
        "start docker, or podman's API (`systemctl start podman.socket`), and be root or in its group; killing and pausing containers works without",
    ));
    let punctual = if realtime::be_punctual() { Ok(()) } else { Err(io::Error::from(io::ErrorKind::PermissionDenied)) };
    found.push(fact(
        PUNCTUAL,
        &punctual,
        "the packet engine runs at real-time priority: late by some microseconds",
        "raise RLIMIT_RTPRIO (`ulimit -r 10`) or be root; without it delays are some 50 us less exact",
    ));
    found
}

fn fact<E: std::fmt::Display>(name: &str, outcome: &Result<(), E>, works: &str, remedy: &str) -> Fact {
    Fact {
        name: name.to_owned(),
        available: outcome.is_ok(),
        detail: outcome.as_ref().err().map_or_else(|| works.to_owned(), ToString::to_string),
        remedy: outcome.is_err().then(|| remedy.to_owned()),
    }
}

fn owned_table() -> io::Result<()> {
    table_with(Action::Drop)
}

fn queue() -> io::Result<()> {
    let mut queue = Queue::open(Mode { whole_segments: true, all_bytes: false })?;
    table_with(Action::Queue(queue.number()))?;
    queue.unbind().map_err(io::Error::from)
}

/// What the faults in HTTP do.
fn diversion() -> io::Result<()> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    option::take_diverted(&socket, IpAddr::V4(Ipv4Addr::LOCALHOST))?;
    let packets = Match { protocol: Some(Protocol::Tcp), local: true, unless_marks: Some(1..=2), ..Match::default() };
    table_of((packets, Action::Divert((Ipv4Addr::LOCALHOST, 9).into())))
}

/// Makes a table with one rule, and removes it.
fn table_with(action: Action) -> io::Result<()> {
    table_of((Match::default(), action))
}

fn table_of(rule: (Match, Action)) -> io::Result<()> {
    let mut table = Table::create("shaketable-doctor")?;
    table.add_chain("in", Hook::Arriving, 0)?;
    table.add(("in", Hook::Arriving), &[rule], "doctor")?;
    table.delete().map_err(io::Error::from)
}

/// Tries both packet engines on a delay, each in the network after the other.
fn engines(network: &NetworkNamespace) -> [Fact; 2] {
    let (own, netem) = (network.run(Lateness::of_own), network.run(Lateness::of_netem));
    let measured =
        |lateness: &io::Result<Lateness>| lateness.as_ref().map_or_else(ToString::to_string, Lateness::words);
    let who = match (&own, &netem) {
        (Err(_), Ok(_)) => "the kernel's netem, for all packets of a link",
        _ => "our own, with all filters",
    };
    let best = if own.is_ok() { &own } else { &netem };
    let packets = Fact {
        name: PACKETS.to_owned(),
        available: best.is_ok(),
        detail: format!("`engine: auto` is {who}: {}; proofs allow for 5 % and 5 ms", measured(best)),
        remedy: best.is_err().then(|| "see nftables-owner and nfqueue".to_owned()),
    };
    let kernel = Fact {
        name: NETEM.to_owned(),
        available: netem.is_ok(),
        detail: measured(&netem),
        remedy: netem.is_err().then(|| "`modprobe sch_netem`; not needed where our own packet engine works".to_owned()),
    };
    [packets, kernel]
}

/// Traces a process that is not our child's child but one like those of a lab: a helper that waits for a job.
fn trace() -> io::Result<()> {
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    if scope.trim() == "3" {
        return Err(io::Error::other("tracing is switched off until the next boot (kernel.yama.ptrace_scope is 3)"));
    }
    with_another(|pid| {
        ptrace::seize(pid)?;
        ptrace::interrupt(pid)?;
        ptrace::wait(pid).map(drop)
    })
}

/// Sees the first system call that such a process makes, and lets it fail.
fn intercept() -> io::Result<()> {
    with_another(|pid| {
        calls::seize(pid)?;
        ptrace::interrupt(pid)?;
        loop {
            match calls::next()? {
                Some((thread, Stop::Call)) if thread == pid && calls::begun(thread)?.is_some() => {
                    return calls::fail(thread, libc::EIO);
                }
                Some((thread, Stop::Ended)) if thread == pid => return Err(io::Error::other("it makes no calls")),
                Some((_, Stop::Ended)) | None => {}
                Some((thread, _)) => calls::resume(thread, 0)?,
            }
        }
    })
}

fn with_another(what: impl FnOnce(i32) -> io::Result<()>) -> io::Result<()> {
    let arguments = env::args_os().skip(1);
    let mut other =
        Command::new(env::current_exe()?).args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let outcome = i32::try_from(other.id()).map_err(io::Error::other).and_then(what);
    other.kill()?;
    other.wait()?;
    outcome
}
