//! One fault on one object on this host, its proof and its undo. The only crate with unsafe code.
//!
//! ```text
//!   Host::inject ── plan ──▶ Undo ── journal: Planned ──▶ inject ── journal: Injected ──▶ prove
//!   Host::undo ── end ──▶ compare with before ── journal: Undone
//! ```
//!
//! A fault is one file ([`network::latency`], [`cpu::stress`], ...) with its catalogue entry and the four verbs. The mechanisms
//! are chosen so that the kernel ends them with the process that made them: nf_tables that belong to a socket, packets held
//! by a queue that is bypassed without its listener, tracees that run on without their tracer, children that read a pipe.
//! The [journal], the [guardian] that undoes from it when this process dies or hangs, and the [recovery] at the next start
//! are for what that leaves open.

mod abandoned;
pub mod book;
pub mod boot;
mod cgroup;
pub mod container;
pub mod cpu;
pub mod disk;
pub mod dns;
pub mod doctor;
mod fault;
pub mod grant;
pub mod guardian;
pub mod helper;
mod host;
pub mod http;
mod intercept;
pub mod journal;
mod limit;
mod load;
mod lock;
mod measure;
pub mod memory;
pub mod network;
mod object;
mod ourselves;
mod packet;
mod parameters;
mod pause;
#[cfg(test)]
mod planted;
pub mod process;
mod ramp;
pub mod recovery;
pub mod service;
mod standstill;
pub mod state;
mod stress;
pub mod sys;
pub mod time;
pub mod vigil;

use model::catalogue::{Entry, TargetKind};

pub use doctor::{Ability, Diagnosis, Fact, doctor};
pub use fault::{Failed, InjectError, Program, Refused, Undo, UndoError, Undone};
pub use host::Host;
pub use object::{Kind, Object, Path, Peer};
pub use parameters::{Network, Parameters, Size};
pub use recovery::Leftover;
pub use state::State;

/// The faults of this crate, ordered by id.
const FAULTS: &[&dyn fault::Fault] = &[
    &container::kill::Kill,
    &container::pause::Pause,
    &container::stop::Stop,
    &cpu::stress::CpuStress,
    &cpu::throttle::CpuThrottle,
    &disk::error::DiskError,
    &disk::fill::DiskFill,
    &disk::latency::DiskLatency,
    &disk::read_only::DiskReadOnly,
    &disk::stress::DiskStress,
    &dns::fail::Fail,
    &dns::lie::Lie,
    &http::abort::FAULT,
    &http::body::FAULT,
    &http::delay::FAULT,
    &http::header::FAULT,
    &memory::limit::MemoryLimit,
    &memory::oom::MemoryOom,
    &memory::stress::MemoryStress,
    &network::bandwidth::Bandwidth,
    &network::blackhole::Blackhole,
    &network::corrupt::Corrupt,
    &network::duplicate::Duplicate,
    &network::latency::Latency,
    &network::loss::Loss,
    &network::partition::Partition,
    &network::refuse::Refuse,
    &network::reorder::Reorder,
    &network::reset::Reset,
    &process::exhaust_descriptors::ExhaustDescriptors,
    &process::exhaust_pids::ExhaustPids,
    &process::kill::Kill,
    &process::pause::Pause,
    &process::restart::Restart,
    &process::signal::SendSignal,
    &service::restart::Restart,
    &service::stop::Stop,
    &time::skew::Skew,
];

/// Their entries in the catalogue, in the same order.
const ENTRIES: &[&Entry] = &[
    &container::kill::ENTRY,
    &container::pause::ENTRY,
    &container::stop::ENTRY,
    &cpu::stress::ENTRY,
    &cpu::throttle::ENTRY,
    &disk::error::ENTRY,
    &disk::fill::ENTRY,
    &disk::latency::ENTRY,
    &disk::read_only::ENTRY,
    &disk::stress::ENTRY,
    &dns::fail::ENTRY,
    &dns::lie::ENTRY,
    &http::abort::ENTRY,
    &http::body::ENTRY,
    &http::delay::ENTRY,
    &http::header::ENTRY,
    &memory::limit::ENTRY,
    &memory::oom::ENTRY,
    &memory::stress::ENTRY,
    &network::bandwidth::ENTRY,
    &network::blackhole::ENTRY,
    &network::corrupt::ENTRY,
    &network::duplicate::ENTRY,
    &network::latency::ENTRY,
    &network::loss::ENTRY,
    &network::partition::ENTRY,
    &network::refuse::ENTRY,
    &network::reorder::ENTRY,
    &network::reset::ENTRY,
    &process::exhaust_descriptors::ENTRY,
    &process::exhaust_pids::ENTRY,
    &process::kill::ENTRY,
    &process::pause::ENTRY,
    &process::restart::ENTRY,
    &process::signal::ENTRY,
    &service::restart::ENTRY,
    &service::stop::ENTRY,
    &time::skew::ENTRY,
];

const INSTANCES: TargetKind = TargetKind { key: "Instances", resource_types: &["lab:instance", "aws:ec2:instance"] };
const PROCESSES: TargetKind = TargetKind { key: "Processes", resource_types: &["host:process"] };
const SERVICES: TargetKind = TargetKind { key: "Services", resource_types: &["host:service"] };
const CONTAINERS: TargetKind = TargetKind { key: "Containers", resource_types: &["host:container"] };
const MACHINES: TargetKind = TargetKind { key: "Machines", resource_types: &["host:machine"] };

/// What faults of processes hit: an instance, under its native type and the AWS type it stands for, and what runs on this host.
const TARGETS: &[TargetKind] = &[INSTANCES, PROCESSES, SERVICES, CONTAINERS];

/// What a load can be put on: the same, and this host itself.
const TARGETS_AND_MACHINES: &[TargetKind] = &[INSTANCES, PROCESSES, SERVICES, CONTAINERS, MACHINES];

/// What this crate can do: the entries of its faults, ordered by id.
#[must_use]
pub const fn catalogue() -> &'static [&'static Entry] {
    ENTRIES
}
