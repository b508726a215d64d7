//! One fault on one object on this host, its proof and its undo. The only crate with unsafe code.
//!
//! ```text
//!   Host::inject ── plan ──▶ Undo ── journal: Planned ──▶ inject ── journal: Injected ──▶ prove
//!   Host::undo ── end ──▶ compare with before ── journal: Undone
//! ```
//!
//! A fault is one file ([`network_latency`], [`cpu_stress`], ...) with its catalogue entry and the four verbs. The mechanisms
//! are chosen so that the kernel ends them with the process that made them: nf_tables that belong to a socket, packets held
//! by a queue that is bypassed without its listener, tracees that run on without their tracer, children that read a pipe.
//! The [journal], the [guardian] that undoes from it when this process dies or hangs, and the [recovery] at the next start
//! are for what that leaves open.

pub mod boot;
mod cgroup;
pub mod cpu_stress;
pub mod cpu_throttle;
mod disk_calls;
pub mod disk_error;
pub mod disk_fill;
pub mod disk_latency;
mod disk_probe;
pub mod disk_read_only;
pub mod disk_stress;
mod dns;
mod dns_engine;
pub mod dns_fail;
pub mod dns_lie;
mod dns_packet;
mod dns_stream;
pub mod dns_wire;
pub mod doctor;
mod fault;
mod file_call;
mod folder;
pub mod guardian;
pub mod helper;
mod host;
mod intercept;
pub mod journal;
mod limit;
mod load;
mod lock;
pub mod memory_limit;
pub mod memory_stress;
mod network;
pub mod network_bandwidth;
pub mod network_blackhole;
pub mod network_corrupt;
pub mod network_duplicate;
mod network_filter;
mod network_gate;
pub mod network_latency;
mod network_link;
pub mod network_loss;
mod network_netem;
mod network_owner;
pub mod network_partition;
mod network_probe;
pub mod network_refuse;
pub mod network_reorder;
pub mod network_reset;
mod network_site;
mod network_turn;
mod object;
mod ourselves;
mod packet;
mod parameters;
mod pause;
#[cfg(test)]
mod planted;
pub mod process;
pub mod process_exhaust_descriptors;
pub mod process_exhaust_pids;
pub mod process_kill;
pub mod process_pause;
pub mod recovery;
mod skew_stub;
mod standstill;
pub mod state;
mod stress;
pub mod sys;
pub mod time_skew;

use model::catalogue::{Entry, TargetKind};

pub use doctor::{Ability, Diagnosis, Fact, doctor};
pub use fault::{Failed, InjectError, Program, Refused, Undo, UndoError, Undone};
pub use host::Host;
pub use object::{Kind, Object, Peer};
pub use parameters::{Network, Parameters, Size};
pub use recovery::Leftover;
pub use state::State;

/// The faults of this crate, ordered by id.
const FAULTS: &[&dyn fault::Fault] = &[
    &cpu_stress::CpuStress,
    &cpu_throttle::CpuThrottle,
    &disk_error::DiskError,
    &disk_fill::DiskFill,
    &disk_latency::DiskLatency,
    &disk_read_only::DiskReadOnly,
    &disk_stress::DiskStress,
    &dns_fail::Fail,
    &dns_lie::Lie,
    &memory_limit::MemoryLimit,
    &memory_stress::MemoryStress,
    &network_bandwidth::Bandwidth,
    &network_blackhole::Blackhole,
    &network_corrupt::Corrupt,
    &network_duplicate::Duplicate,
    &network_latency::Latency,
    &network_loss::Loss,
    &network_partition::Partition,
    &network_refuse::Refuse,
    &network_reorder::Reorder,
    &network_reset::Reset,
    &process_exhaust_descriptors::ExhaustDescriptors,
    &process_exhaust_pids::ExhaustPids,
    &process_kill::Kill,
    &process_pause::Pause,
    &time_skew::Skew,
];

/// Their entries in the catalogue, in the same order.
const ENTRIES: &[&Entry] = &[
    &cpu_stress::ENTRY,
    &cpu_throttle::ENTRY,
    &disk_error::ENTRY,
    &disk_fill::ENTRY,
    &disk_latency::ENTRY,
    &disk_read_only::ENTRY,
    &disk_stress::ENTRY,
    &dns_fail::ENTRY,
    &dns_lie::ENTRY,
    &memory_limit::ENTRY,
    &memory_stress::ENTRY,
    &network_bandwidth::ENTRY,
    &network_blackhole::ENTRY,
    &network_corrupt::ENTRY,
    &network_duplicate::ENTRY,
    &network_latency::ENTRY,
    &network_loss::ENTRY,
    &network_partition::ENTRY,
    &network_refuse::ENTRY,
    &network_reorder::ENTRY,
    &network_reset::ENTRY,
    &process_exhaust_descriptors::ENTRY,
    &process_exhaust_pids::ENTRY,
    &process_kill::ENTRY,
    &process_pause::ENTRY,
    &time_skew::ENTRY,
];

/// What faults of processes hit: an instance, under its native type and the AWS type it stands for, and what runs on this host.
const TARGETS: &[TargetKind] = &[
    TargetKind { key: "Instances", resource_types: &["lab:instance", "aws:ec2:instance"] },
    TargetKind { key: "Processes", resource_types: &["host:process"] },
    TargetKind { key: "Services", resource_types: &["host:service"] },
    TargetKind { key: "Containers", resource_types: &["host:container"] },
];

/// What this crate can do: the entries of its faults, ordered by id.
#[must_use]
pub const fn catalogue() -> &'static [&'static Entry] {
    ENTRIES
}
