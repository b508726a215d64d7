//! Faults of services: units of systemd, asked for over D-Bus.

pub mod restart;
pub mod stop;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use model::{catalogue::TargetKind, event::Cleanliness};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::{
    SERVICES, boot, cgroup,
    fault::{Abort, Refused, UndoError},
    object::{Kind, Object},
    ourselves,
    process::Process,
    sys::dbus::{Call, Connection, Error, Value},
};

/// What these faults hit.
const TARGETS: &[TargetKind] = &[SERVICES];

const MANAGER: &str = "org.freedesktop.systemd1";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";

/// Without these the machine, or this program's own undo, has no ground to stand on.
const VITAL: &[&str] = &["dbus-broker", "dbus", "systemd-journald", "systemd-logind", "systemd-udevd"];

/// Which service manager a unit belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Manager {
    /// The machine's.
    System,
    /// The one of the user with this id.
    User(u32),
}

impl Manager {
    /// By a path of control groups: a user's own units lie inside the unit that is the user's manager.
    fn of_group(path: &str) -> Self {
        let mut parts = path.split('/');
        let user = parts.find_map(|part| part.strip_prefix("user@")?.strip_suffix(".service")?.parse().ok());
        // The manager itself is a unit of the machine's.
        user.filter(|_| parts.next().is_some_and(|next| next != "init.scope")).map_or(Self::System, Self::User)
    }

    /// Its own socket, and that of the bus it is on.
    fn sockets(self) -> [(PathBuf, bool); 2] {
        let (own, bus) = match self {
            Self::System => ("/run/systemd/private".to_owned(), "/run/dbus/system_bus_socket".to_owned()),
            Self::User(id) => (format!("/run/user/{id}/systemd/private"), format!("/run/user/{id}/bus")),
        };
        [(own.into(), false), (bus.into(), true)]
    }

    pub(crate) fn connect(self) -> Result<Connection, Error> {
        let [(own, _), (bus, _)] = self.sockets();
        // An ordinary user may talk to the bus alone.
        Connection::open(&own, false).or_else(|first| Connection::open(&bus, true).map_err(|_| first))
    }
}

/// A unit: what its record has of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unit {
    manager: Manager,
    name: String,
    /// Which boot it was seen in: what ran in another has ended with it.
    boot: String,
}

/// A unit and a connection to its manager.
struct Asked {
    connection: Connection,
    path: String,
    name: String,
}

/// What a unit is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    /// `active`, `inactive`, `failed`, `activating`, `deactivating`, `reloading`.
    active: String,
    /// Its first process, or 0.
    main: u64,
    /// Which of its lives this is.
    invocation: Vec<u8>,
    /// Whether something is being done to it.
    has_job: bool,
}

impl State {
    fn is_active(&self) -> bool {
        self.active == "active" && !self.has_job
    }

    fn is_stopped(&self) -> bool {
        matches!(self.active.as_str(), "inactive" | "failed") && !self.has_job
    }

    fn words(&self) -> String {
        match self.main {
            0 => format!("{}, no process", self.active),
            pid => format!("{}, process {pid}", self.active),
        }
    }
}

impl Unit {
    /// The unit that an object is, if it may be stopped and will start again.
    fn plan(object: &Object) -> Result<Self, Refused> {
        if object.kind != Kind::Service {
            return Err(Refused(format!("{} is not a service", object.name)));
        }
        let unit = Self::of(object.process()?)
            .ok_or_else(|| Refused(format!("{} is in no control group of a service", object.name)))?;
        let mut asked = unit.ask().map_err(|why| Refused(format!("{} cannot be asked for: {why}", unit.name)))?;
        asked.check().map_err(|why| match why {
            Unfit::Refused(why) => Refused(format!("{} is not stopped: {why}", unit.name)),
            Unfit::Unasked(why) => Refused(format!("{} cannot be asked for: {why}", unit.name)),
        })?;
        Ok(unit)
    }

    /// The unit that a process is in.
    fn of(process: Process) -> Option<Self> {
        let paths = cgroup::of(process).paths;
        let (manager, name) = paths.iter().find_map(|path| Some((Manager::of_group(path), unit_of(path)?)))?;
        Some(Self { manager, name, boot: boot::id().to_owned() })
    }

    fn ask(&self) -> Result<Asked, Error> {
        let mut connection = self.manager.connect()?;
        let answer = manager_call(&mut connection, "LoadUnit", &[&self.name])?;
        let Some(Value::Text(path)) = answer.into_iter().next() else { return Err(unexpected("LoadUnit")) };
        Ok(Asked { connection, path, name: self.name.clone() })
    }

    fn state(&self) -> Result<State, Error> {
        self.ask()?.state()
    }

    /// The command that a person would give.
    fn command(&self, verb: &str) -> String {
        match self.manager {
            Manager::System => format!("systemctl {verb} {}", self.name),
            Manager::User(id) => format!("systemctl --user -M {id}@ {verb} {}", self.name),
        }
    }

    /// Has its manager do something, and waits until that is done.
    fn job(&self, method: &str, abort: &Abort) -> Result<State, Error> {
        let mut asked = self.ask()?;
        // As `systemctl` has it: a job that is queued for the unit and says otherwise gives way.
        manager_call(&mut asked.connection, method, &[&self.name, "replace"])?;
        asked.settled(abort)
    }

    /// It ran when it was planned: it runs again, or the machine has been started anew since.
    fn restore(&self) -> Result<Cleanliness, UndoError> {
        if self.boot != boot::id() {
            return Ok(Cleanliness::Gone);
        }
        let repair = || self.command("start");
        let error = |why: String| UndoError { why, repair: repair() };
        let mut asked = self.ask().map_err(|why| error(format!("{} cannot be asked for: {why}", self.name)))?;
        if asked.text(UNIT, "LoadState").is_ok_and(|state| state != "loaded") {
            return Ok(Cleanliness::Gone);
        }
        let patient = Abort::default();
        let mut state = asked.settled(&patient).map_err(|why| error(why.to_string()))?;
        if !state.is_active() {
            state = self.job("StartUnit", &patient).map_err(|why| error(format!("{} stays down: {why}", self.name)))?;
        }
        if state.is_active() {
            return Ok(Cleanliness::Clean);
        }
        Ok(Cleanliness::Dirty {
            residue: format!("{} was active and is {}", self.name, state.active),
            repair: repair(),
        })
    }
}

/// Why a unit is not stopped.
enum Unfit {
    Refused(String),
    Unasked(Error),
}

impl From<Error> for Unfit {
    fn from(why: Error) -> Self {
        Self::Unasked(why)
    }
}

/// How long a manager may take over a job: as `TimeoutStartSec` and `TimeoutStopSec` are by default.
const JOB: Duration = Duration::from_secs(90);

impl Asked {
    fn get(&mut self, interface: &str, property: &str) -> Result<Value, Error> {
        let call = Call {
            destination: MANAGER,
            path: &self.path,
            interface: "org.freedesktop.DBus.Properties",
            method: "Get",
            arguments: &[interface, property],
        };
        self.connection.call(call)?.into_iter().next().ok_or_else(|| unexpected(property))
    }

    fn text(&mut self, interface: &str, property: &str) -> Result<String, Error> {
        match self.get(interface, property)? {
            Value::Text(text) => Ok(text),
            _ => Err(unexpected(property)),
        }
    }

    fn flag(&mut self, property: &str) -> Result<bool, Error> {
        Ok(self.get(UNIT, property)? == Value::Boolean(true))
    }

    fn state(&mut self) -> Result<State, Error> {
        // Asked first: when no job is left, what is asked after that is how it ended.
        let job = self.get(UNIT, "Job")?;
        let has_job = !matches!(&job, Value::Many(of) if of.first() == Some(&Value::Number(0)));
        let active = self.text(UNIT, "ActiveState")?;
        let Value::Number(main) = self.get(SERVICE, "MainPID")? else { return Err(unexpected("MainPID")) };
        let Value::Many(invocation) = self.get(UNIT, "InvocationID")? else { return Err(unexpected("InvocationID")) };
        let byte = |value: Value| match value {
            Value::Number(byte) => u8::try_from(byte).ok(),
            _ => None,
        };
        Ok(State { active, main, invocation: invocation.into_iter().filter_map(byte).collect(), has_job })
    }

    /// Its state when nothing is being done to it any more, or it has taken too long.
    fn settled(&mut self, abort: &Abort) -> Result<State, Error> {
        let mut last = self.state()?;
        let settled = abort.until(JOB, || match self.state() {
            Ok(state) => {
                last = state;
                let moving = last.has_job || matches!(last.active.as_str(), "activating" | "deactivating");
                (!moving).then_some(Ok(()))
            }
            Err(why) => Some(Err(why)),
        });
        settled.unwrap_or(Ok(()))?;
        Ok(last)
    }

    /// Whether it may be stopped, and will start again.
    fn check(&mut self) -> Result<(), Unfit> {
        let refused = |why: String| Err(Unfit::Refused(why));
        let stem = self.name.trim_end_matches(".service");
        if VITAL.contains(&stem) || stem.starts_with("user@") {
            return refused("the machine does not do without it".to_owned());
        }
        let state = self.state()?;
        if !state.is_active() {
            return refused(format!("it is {}", state.active));
        }
        if self.flag("RefuseManualStop")? || !self.flag("CanStop")? {
            return refused("its unit refuses to be stopped by hand".to_owned());
        }
        if self.flag("RefuseManualStart")? || !self.flag("CanStart")? || self.flag("Transient")? {
            return refused(
                "its unit could not be started again: it is transient, or refuses to be started".to_owned(),
            );
        }
        let group = self.text(SERVICE, "ControlGroup")?;
        if holds_us(&group) {
            return refused("this very process, or one that it was started by, runs in it".to_owned());
        }
        let name = self.name.clone();
        let mut dragged = self.dragged()?;
        dragged.remove(&name);
        if !dragged.is_empty() {
            let names = dragged.into_iter().collect::<Vec<_>>().join(", ");
            return refused(format!("with it would stop what needs it and nobody has named: {names}"));
        }
        Ok(())
    }

    /// The active units that stop when it does, and those that stop when they do.
    fn dragged(&mut self) -> Result<BTreeSet<String>, Error> {
        let mut found = BTreeSet::new();
        let mut looked = vec![self.path.clone()];
        let first = self.path.clone();
        while let Some(path) = looked.pop() {
            self.path = path;
            for relation in ["RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf"] {
                let Value::Many(names) = self.get(UNIT, relation)? else { return Err(unexpected(relation)) };
                for name in names {
                    let Value::Text(name) = name else { return Err(unexpected(relation)) };
                    // One that is not loaded is not active.
                    let Ok(answer) = manager_call(&mut self.connection, "GetUnit", &[&name]) else { continue };
                    let Some(Value::Text(path)) = answer.into_iter().next() else { return Err(unexpected("GetUnit")) };
                    let own = std::mem::replace(&mut self.path, path.clone());
                    let active = self.text(UNIT, "ActiveState");
                    self.path = own;
                    if active? == "active" && found.insert(name) {
                        looked.push(path);
                    }
                }
            }
        }
        self.path = first;
        Ok(found)
    }
}

fn manager_call(connection: &mut Connection, method: &str, arguments: &[&str]) -> Result<Vec<Value>, Error> {
    let interface = "org.freedesktop.systemd1.Manager";
    connection.call(Call { destination: MANAGER, path: "/org/freedesktop/systemd1", interface, method, arguments })
}

fn unexpected(what: &str) -> Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, format!("the answer about {what} is of another kind")).into()
}

/// The unit to which a control group belongs: the innermost, because a user's own lie inside that of the user's manager.
fn unit_of(path: &str) -> Option<String> {
    path.rsplit('/').find(|part| part.ends_with(".service")).map(str::to_owned)
}

/// Whether this process, or one that it was started by, is in a control group, or in one in it.
fn holds_us(group: &str) -> bool {
    let ours = Process::all().into_iter().filter(|process| ourselves::is_among(*process));
    !group.is_empty()
        && ours.flat_map(|process| cgroup::of(process).paths).any(|path| Path::new(&path).starts_with(group))
}

/// Whether the manager of the unit whose first process this is starts another when a signal has ended it. `None`: it is in none,
/// or is not the first one, or the manager cannot be asked.
pub(crate) fn comes_again(process: Process, signal: Signal) -> Option<bool> {
    let mut asked = Unit::of(process)?.ask().ok()?;
    if asked.state().ok()?.main != u64::try_from(process.pid).ok()? {
        return None;
    }
    Some(policy_starts(&asked.text(SERVICE, "Restart").ok()?, signal))
}

/// By the table of `Restart=` in systemd.service(5), where SIGTERM is a clean end and SIGKILL is none.
fn policy_starts(policy: &str, signal: Signal) -> bool {
    match policy {
        "always" => true,
        "on-success" => signal == Signal::TERM,
        "on-failure" | "on-abnormal" | "on-abort" => signal != Signal::TERM,
        _ => false,
    }
}

/// Whether a service manager answers, for the doctor.
pub(crate) fn try_manager() -> Result<(), Error> {
    let own = Manager::User(rustix::process::geteuid().as_raw());
    let mut connection = Manager::System.connect().or_else(|first| own.connect().map_err(|_| first))?;
    manager_call(&mut connection, "GetUnit", &["-.slice"]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_belongs_to_the_manager_in_whose_unit_it_lies() {
        let user = "/user.slice/user-1000.slice/user@1000.service";
        for (path, manager) in [
            ("/system.slice/nginx.service", Manager::System),
            (&format!("{user}/app.slice/web.service"), Manager::User(1000)),
            (user, Manager::System),
            (&format!("{user}/init.scope"), Manager::System),
            ("", Manager::System),
        ] {
            assert_eq!(Manager::of_group(path), manager, "{path}");
        }
    }

    #[test]
    fn a_restart_policy_brings_back_what_it_was_made_for() {
        for (policy, after_term, after_kill) in [
            ("no", false, false),
            ("always", true, true),
            ("on-success", true, false),
            ("on-failure", false, true),
            ("on-abnormal", false, true),
            ("on-watchdog", false, false),
        ] {
            assert_eq!(policy_starts(policy, Signal::TERM), after_term, "{policy}");
            assert_eq!(policy_starts(policy, Signal::KILL), after_kill, "{policy}");
        }
    }

    #[test]
    fn we_are_in_our_own_control_group() {
        let own = cgroup::of(Process::own().unwrap()).paths;
        assert!(own.iter().all(|group| holds_us(group)));
        assert!(!holds_us("/nobody/lives.here"));
    }
}
