//! The kernel's own interfaces: netlink, namespaces, processes. The only unsafe code of the workspace is in here.

#![expect(unsafe_code, reason = "system calls that rustix does not cover; each use says why it is sound")]

pub mod namespace;
pub mod netlink;
pub mod spawn;
