//! The catalogue of actions: one entry per action, from which help, docs, checks, listings and tests are derived.
//!
//! The entries live next to the code that carries them out (`faults/src/*.rs`, `engine`); this module says what an entry
//! is. A [`Catalogue`] is put together by the binary from those parts.

use serde::Serialize;

use crate::claim::Claim;

/// Everything there is to know about one action.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// `network:latency`, or a FIS id.
    pub id: &'static str,
    /// One sentence: what it does.
    pub about: &'static str,
    /// What it hits; empty: nothing (`aws:fis:wait`).
    pub targets: &'static [TargetKind],
    /// Its parameters.
    pub parameters: &'static [Parameter],
    /// Whether and how it ends.
    pub reversibility: Reversibility,
    /// How it is undone, one sentence.
    pub undone_by: &'static str,
    /// How its effect is proven, one sentence.
    pub proven_by: &'static str,
    /// What it needs of kernel and user.
    pub needs: &'static [Need],
    /// What of a resource it has to itself while it is in effect.
    pub exclusive: &'static [Claim],
    /// Its equivalent in AWS FIS, if any: an action id, or `aws:ssm:send-command DOCUMENT`.
    pub fis: &'static [&'static str],
    /// Its equivalent in Chaos Mesh, if any: `NetworkChaos delay`.
    pub chaos_mesh: Option<&'static str>,
}

/// A target that an action takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetKind {
    /// The key under the action's `targets`: `Instances`.
    pub key: &'static str,
    /// The resource types it may have.
    pub resource_types: &'static [&'static str],
}

/// A parameter of an action.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameter {
    /// Its key.
    pub name: &'static str,
    /// What its text must be.
    pub kind: ParameterKind,
    /// Whether it must be given.
    pub required: bool,
    /// What it is when absent.
    pub default: Option<&'static str>,
    /// One sentence.
    pub about: &'static str,
}

/// What the text of a parameter must be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum ParameterKind {
    /// Anything.
    Text,
    /// One of these.
    OneOf {
        /// The choices.
        values: &'static [&'static str],
    },
    /// Comma-separated items, each one of these.
    ListOf {
        /// The choices.
        values: &'static [&'static str],
    },
    /// `true` or `false`.
    Boolean,
    /// A whole number in a range (inclusive).
    Integer {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// A number in a range (inclusive).
    Number {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// An ISO 8601 duration in a range of seconds (inclusive).
    Duration {
        /// Shortest, in seconds, that AWS FIS accepts; ours may be shorter.
        min_seconds: u64,
        /// Longest, in seconds.
        max_seconds: u64,
    },
    /// An ISO 8601 duration with a sign, of this many seconds at most either way: `-PT24H`.
    SignedDuration {
        /// Longest, in seconds.
        max_seconds: u64,
    },
    /// A size such as `512MiB`, or a share such as `80%`.
    Size,
    /// Comma-separated addresses, CIDR blocks or names.
    Addresses,
    /// Comma-separated addresses, or this word alone.
    IpAddresses {
        /// The word.
        or: &'static str,
    },
    /// Comma-separated names: `example.com`, `*.example.com` for all below it, `*` for all.
    Names,
    /// The path of a folder from the root on, without `..`.
    Folder,
    /// Comma-separated ports and ranges of them: `80,443,8000-8100`.
    Ports,
    /// A JSON object as text.
    Json,
    /// An ARN.
    Arn,
}

/// Whether and how an action's effect ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reversibility {
    /// It ends by itself when the injector dies.
    SelfEnding,
    /// It is undone from its undo record.
    Undoable,
    /// What it does cannot be taken back (a killed process); the system must replace what was lost.
    Irreversible,
    /// It harms nothing.
    Harmless,
}

/// What an action needs of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// A network namespace we may administer (root, or a user namespace).
    NetworkNamespace,
    /// nf_tables with tables that die with their owner (Linux 5.12).
    NftablesOwner,
    /// NFQUEUE through nft_compat.
    Nfqueue,
    /// nf_tables that divert connections to a listener (`tproxy`, `fib`).
    Diversion,
    /// Permission to signal the target's processes.
    Signal,
    /// Permission to trace the target's processes (ptrace).
    Ptrace,
    /// Intercepting the target's system calls (ptrace, Linux 5.3, x86-64).
    SystemCalls,
    /// Control groups that limit CPU time, in which we may make others.
    CpuController,
    /// Control groups that limit memory, in which we may make others.
    MemoryController,
    /// Control groups that limit numbers of processes, in which we may make others.
    PidsController,
    /// Control groups that can be frozen.
    Freezer,
    /// systemd, and permission to have it start and stop units.
    ServiceManager,
    /// The socket of Docker's API, or of podman's.
    ContainerRuntime,
}

/// The actions a build of Shaketable knows.
#[derive(Debug, Clone, Default)]
pub struct Catalogue(Vec<&'static Entry>);

impl Catalogue {
    /// A catalogue of these entries, ordered by id.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = &'static Entry>) -> Self {
        let mut entries: Vec<_> = entries.into_iter().collect();
        entries.sort_by_key(|entry| entry.id);
        Self(entries)
    }

    /// The entry with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&'static Entry> {
        self.0.iter().find(|entry| entry.id == id).copied()
    }

    /// All entries, ordered by id.
    pub fn iter(&self) -> impl Iterator<Item = &'static Entry> {
        self.0.iter().copied()
    }
}
