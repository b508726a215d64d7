//! The threads that carry the connections of relays.
//!
//! ```text
//!   Relay ──message──▶ Mailbox ──▶ Worker: epoll, timers ──▶ Connection ─▶ Flow (client → upstream) ─▶ Chain
//!                                                                       └▶ Flow (upstream → client) ─▶ Chain
//! ```
//!
//! A connection belongs to one worker from its beginning to its end, so that nothing that carries bytes takes a lock. A
//! worker never waits for anything but its epoll instance; whoever wants something of it leaves a message and goes on.
//! That is why no call on a relay can hang on a stuck connection.
//!
//! What happens to bytes is decided in [`chain`](crate::chain). Where that is nothing they are carried from socket to socket
//! at once, small ones by `recv` and `send` through a buffer that the worker's connections share, large ones by `splice`
//! (see [`flow`]).

mod connection;
mod flow;
mod mailbox;
mod opening;
mod side;
mod slots;
mod timers;
mod tunnel;
mod worker;
mod workers;

use std::time::Duration;

use model::Moment;
use rustix::time::{ClockId, clock_gettime};

pub(crate) use mailbox::Message;
pub use workers::Workers;

/// The present moment of the kernel's monotonic clock, on which timers run, too.
pub(crate) fn now() -> Moment {
    Moment::after(Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default())
}
