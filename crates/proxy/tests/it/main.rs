//! Links, relays and what is in front of them, over loopback with real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod accuracy;
mod http_faults;
mod link;
mod relay;
mod toxiproxy;
