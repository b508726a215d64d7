//! `container:stop`: a container is down for a time.

use std::path::PathBuf;

use model::{
    Period,
    catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility},
    event::{Cleanliness, Proof},
};
use serde::{Deserialize, Serialize};

use super::{Container, TARGETS, runtime};
use crate::{
    boot,
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    network::DURATION,
    object::Object,
    parameters::Checked,
    process::Process,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "container:stop",
    about: "Stops a container as `docker stop` does, so that its restart policy does not bring it back, and starts it again at the end. One that Kubernetes looks after is refused, and one that is removed when it ends.",
    targets: TARGETS,
    parameters: &[
        DURATION,
        Parameter {
            name: "grace",
            kind: ParameterKind::Duration { min_seconds: 1, max_seconds: 600 },
            required: false,
            default: Some("PT10S"),
            about: "How long its first process may take to end after it was asked to, before all are killed.",
        },
    ],
    reversibility: Reversibility::Undoable,
    undone_by: "Its runtime starts it, and says that it runs. After a reboot the machine's own start has decided.",
    proven_by: "Its runtime says that it does not run, and its first process has ended; at the end, that nobody has started it meanwhile.",
    needs: &[Need::ContainerRuntime],
    exclusive: &[],
    fis: &[],
    chaos_mesh: None,
};

pub(crate) struct Stop;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    socket: PathBuf,
    id: String,
    /// What people call it.
    name: String,
    init: Process,
    grace: u64,
    boot: String,
}

impl Fault for Stop {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let refused = |why: &str| Refused(format!("{} is not stopped: {why}", object.name));
        let container = Container::of(object)?;
        let id = container.id.ok_or_else(|| refused("no runtime is known to have made it; container:kill ends it"))?;
        let (socket, known) = runtime::find(&id)
            .map_err(|why| Refused(format!("{} is not stopped: no runtime can be asked: {why}", object.name)))?;
        if !known.state.running || known.state.status == "paused" {
            return Err(refused(&format!("it is {}", known.state.status)));
        }
        if known.is_fleeting() {
            return Err(refused("it is removed when it ends, and could not be started again"));
        }
        let grace = parameters.read::<Period>("grace")?.get().as_secs();
        let name = known.name.trim_start_matches('/').to_owned();
        let (init, boot) = (container.init, boot::id().to_owned());
        fault::written(&Plan { socket, id: id.digits, name, init, grace, boot })
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Plan = undo.plan()?;
        if let Err(why) = runtime::stop(&plan.socket, &plan.id, plan.grace) {
            let left = plan.restore().err().map(|left| format!("; and {left}")).unwrap_or_default();
            return Err(Failed(format!("cannot stop container {}: {why}{left}", plan.name)));
        }
        Ok(Box::new(plan))
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        let plan: Plan =
            undo.plan().map_err(|Failed(why)| UndoError { why, repair: "docker start CONTAINER".to_owned() })?;
        plan.restore()
    }
}

impl Plan {
    /// The command that a person would give.
    fn repair(&self) -> String {
        let socket = self.socket.display();
        format!("curl --unix-socket {socket} -X POST http://localhost/containers/{}/start", self.name)
    }

    /// It ran when it was planned: it runs again, or it has been removed, or the machine been started anew.
    fn restore(&self) -> Result<Cleanliness, UndoError> {
        if self.boot != boot::id() {
            return Ok(Cleanliness::Gone);
        }
        let runs = || runtime::inspect(&self.socket, &self.id).map(|known| known.state.running);
        let runs_again = runs().and_then(|running| {
            if running {
                return Ok(true);
            }
            runtime::start(&self.socket, &self.id)?;
            runs()
        });
        match runs_again {
            Ok(true) => Ok(Cleanliness::Clean),
            Ok(false) => Ok(Cleanliness::Dirty {
                residue: format!("container {} was started and has ended again", self.name),
                repair: self.repair(),
            }),
            Err(why) if why.is_gone() => Ok(Cleanliness::Gone),
            Err(why) => {
                Err(UndoError { why: format!("container {} stays down: {why}", self.name), repair: self.repair() })
            }
        }
    }

    fn proof(&self) -> Proof {
        let ended = if self.init.is_alive() { "its first process lives" } else { "its first process has ended" };
        let (status, stopped) = match runtime::inspect(&self.socket, &self.id) {
            Ok(known) => (known.state.status, !known.state.running),
            Err(why) => (why.to_string(), false),
        };
        Proof {
            configured: format!("container {} stopped", self.name),
            achieved: format!("{status}; {ended}"),
            holds: stopped && !self.init.is_alive(),
        }
    }
}

impl Injection for Plan {
    fn prove(&mut self, _: &Abort) -> Proof {
        self.proof()
    }

    fn end(self: Box<Self>) -> Result<Undone, UndoError> {
        let proof = self.proof();
        Ok(Undone { cleanliness: self.restore()?, proof: Some(proof) })
    }
}
