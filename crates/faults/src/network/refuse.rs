//! `network:refuse`: nobody seems to listen.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener},
    time::Duration,
};

use model::{
    catalogue::{Entry, Need, Reversibility},
    event::{Cleanliness, Proof},
};
use serde::{Deserialize, Serialize};

use crate::{
    TARGETS,
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    measure,
    network::{
        self,
        both::Both,
        filter::{Course, DIRECTION, DURATION, Filter, PORT, SOURCES, Way},
        gate::Gate,
        link::Link,
        probe::{Answer, connect},
        site::Site,
        turn::Turn,
    },
    object::Object,
    parameters::Checked,
    sys::nft::{Action, Match, Protocol},
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "network:refuse",
    about: "Refuses new TCP connections to a target or from it, by a reset, as if nobody listened; those that exist go on.",
    targets: TARGETS,
    parameters: &[DURATION, SOURCES, PORT, DIRECTION],
    reversibility: Reversibility::SelfEnding,
    undone_by: "The rules go, which is the kernel's to do when this process dies.",
    proven_by: "A connection attempt to a port of ours that was accepted before is refused now; so is one to the port named.",
    needs: &[Need::NetworkNamespace, Need::NftablesOwner],
    exclusive: &[],
    fis: &[],
    chaos_mesh: None,
};

pub(crate) struct Refuse;

#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    filter: Filter,
}

struct Live {
    lanes: Vec<Lane>,
    links: Both<Link>,
    plan: Plan,
    object: Object,
    /// Until it is proven.
    turn: Option<Turn>,
}

/// One course.
struct Lane {
    course: Course,
    gate: Gate,
    /// What connections are tried to, from the other end of the link.
    door: Door,
    /// The port named by the filter, when somebody listened there before.
    port: Option<u16>,
}

/// A port of ours at the receiving end of a link.
struct Door {
    address: SocketAddr,
    /// Accepts nothing: the kernel does, until the backlog is full.
    _listener: TcpListener,
}

/// Across a link of one machine everything is answered within a millisecond; the rest is for busy machines.
const PATIENCE: Duration = Duration::from_millis(500);

impl Fault for Refuse {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let filter = Filter::plan(object, parameters)?.of_tcp();
        if filter.ways.contains(&Way::Out) && Site::of(object, &filter)?.answers(Way::Out) {
            return Err(Refused(format!(
                "the connections that {} opens cannot be told from those of others in its network: choose the direction ingress, or a \
                 service or container with a control group of the second version",
                object.name
            )));
        }
        fault::written(&Plan { filter })
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Plan = undo.plan()?;
        let (site, courses) = network::scene(undo, &plan.filter)?;
        let turn = Some(Turn::wait(site.network())?);
        let links = Both::open(&courses, |over| Link::open(&site, undo.token, over))?;
        let mut lanes = Vec::new();
        for course in courses {
            let (link, way) = (links.of(course), course.way);
            let far = link.far_address()?;
            let door = Door::open(link, way, far)?;
            let accepts = |port| Ok(connect(link, way, far, port, PATIENCE)? == Answer::Accepted);
            if !accepts(door.address.port())? {
                return Err(Failed(format!("connections {course} of {} are not accepted before", site.name)));
            }
            let port = match plan.filter.only_port() {
                Some(port) if plan.filter.reaches(far) && accepts(port)? => Some(port),
                _ => None,
            };
            let (network, hook) = site.hook(course);
            let gate = Gate::open(network, hook, undo.token)?;
            let ours = door.address.port();
            let probed =
                Match { protocol: Some(Protocol::Tcp), destination_ports: Some(ours..=ours), ..link.packets(way) };
            let all = plan.filter.matches(course, &site).into_iter().chain([probed]);
            let rules: Vec<_> = all.map(|packets| (Match { opening: true, ..packets }, Action::Reject)).collect();
            gate.catch(&rules)?;
            lanes.push(Lane { course, gate, door, port });
        }
        Ok(Box::new(Live { lanes, links, plan, object: undo.object.clone(), turn }))
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        network::undo_record(undo)
    }
}

impl Door {
    fn open(link: &Link, way: Way, far: IpAddr) -> Result<Self, Failed> {
        let (near_end, far_end) = link.ends();
        let (at, address) = match way {
            Way::In => (near_end, link.near_address),
            Way::Out => (far_end, far),
        };
        let open = || -> io::Result<Self> {
            let listener = TcpListener::bind((address, 0))?;
            Ok(Self { address: listener.local_addr()?, _listener: listener })
        };
        at.run(open).map_err(Failed::to(format_args!("listen at the receiving end of the link of {}", link.name)))
    }
}

impl Live {
    fn measure(&self, lane: &Lane) -> Result<(String, bool), Failed> {
        let try_port =
            |port| connect(self.links.of(lane.course), lane.course.way, lane.door.address.ip(), port, PATIENCE);
        let ours = try_port(lane.door.address.port())?;
        let mut words = format!("{}: a connection to a probe port, accepted before, is {}", lane.course, told(ours));
        let mut holds = ours == Answer::Refused;
        if let Some(port) = lane.port {
            let named = try_port(port)?;
            words = format!("{words}, one to port {port}, accepted before too, is {}", told(named));
            holds &= named == Answer::Refused;
        }
        Ok((words, holds))
    }

    fn configured(&self) -> String {
        format!("refusal of new connections: {}", self.plan.filter)
    }
}

const fn told(answer: Answer) -> &'static str {
    match answer {
        Answer::Accepted => "still accepted",
        Answer::Refused => "refused",
        Answer::Silence => "not answered",
    }
}

impl Injection for Live {
    fn prove(&mut self, abort: &Abort) -> Proof {
        let measured = self.lanes.iter().map(|lane| measure::patiently(abort, || self.measure(lane))).collect();
        self.turn = None;
        network::proof(self.configured(), measured)
    }

    fn end(self: Box<Self>) -> Result<Undone, UndoError> {
        let configured = self.configured();
        let refused: Option<u64> =
            self.lanes.iter().map(|lane| lane.gate.counted().ok().map(|counts| counts.iter().sum::<u64>())).sum();
        let achieved = refused.map_or_else(
            || "the kernel does not say how many".to_owned(),
            |refused| format!("{refused} connection attempts refused"),
        );
        let proof = Proof { configured, achieved, holds: refused.is_some_and(|refused| refused > 0) };
        let gates = self.lanes.into_iter().map(|lane| lane.gate).collect();
        Ok(Undone {
            cleanliness: network::close(gates, self.links.into_iter().map(Link::close), &self.object),
            proof: Some(proof),
        })
    }
}
