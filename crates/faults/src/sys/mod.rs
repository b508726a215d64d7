//! The kernel's own interfaces: netlink, namespaces, processes. The only unsafe code of the workspace is in here.

#![expect(unsafe_code, reason = "system calls that rustix does not cover; each use says why it is sound")]

pub mod apart;
pub mod calls;
pub mod connection;
pub mod cpu_clock;
pub mod daemon;
pub mod dbus;
pub mod ending;
pub mod link;
pub mod memory;
pub mod namespace;
pub mod netlink;
pub mod nfqueue;
pub mod nft;
pub mod nudge;
pub mod option;
pub mod ptrace;
pub mod qdisc;
pub mod realtime;
pub mod spawn;
pub mod vdso;
