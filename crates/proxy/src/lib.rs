//! Carries TCP and adds the faults it is told to. No root needed.
//!
//! Two things carry connections from an address they listen on to another:
//!
//! - A [`Relay`] does to them what its [toxics](toxic) say: the data plane of `shaketable proxy`, whose API is that of
//!   Toxiproxy ([`toxiproxy`]), with faults in HTTP beside it ([`http`]).
//! - A [`Link`] is a piece of network: in a lab without network namespaces every path between two things is a link, so that
//!   delay, jitter, loss and blackholes can be put on it by an ordinary user.
//!
//! In both, what bytes do on their way is decided by pure code over a present moment that is passed in, and both wait on
//! kernel timers: those of a runtime would be a millisecond or two late.
//!
//! # Relays
//!
//! ```text
//!   client ──▶ listen ──▶ ┌ chain of toxics ──▶ ┐ ──▶ upstream      Relay::set_toxics reaches
//!          ◀──────────────└ ◀── chain of toxics ┘ ◀──               every chain at once
//! ```
//!
//! [`Workers`] are threads of their own, each with an epoll instance; a connection stays with one of them. No call on a relay
//! waits for a connection: toxics change under load, on connections that are stuck, and whatever a toxic held goes on its way
//! when it is removed. What cannot be had in user space: the handshake of a client is answered by the kernel, so that toxics
//! begin with the first byte; and a connection that the upstream refuses is reset instead.
//!
//! # Links: what is modelled, and what cannot be
//!
//! A task per connection reads, writes and waits as its two pipes say.
//!
//! - **Delay and jitter** are added in each direction, also to the handshake: the kernel answers a client's SYN at once, so the
//!   link charges the round trip to the first bytes instead. Order is kept.
//! - **Loss** in a stream shows as waiting: data of which a segment is lost arrives after the retransmission timeout, and all
//!   later data waits behind it (see [`RETRANSMISSION`]).
//! - **Blackhole.** On a connection that exists, no byte moves any more; what peers send stays in the kernel's buffers. A new
//!   connection is accepted, because the kernel has done so already, and then held without an answer; the target never
//!   hears of it. When the blackhole ends, connections in which something got stuck, and those held, are reset: their peers
//!   have missed answers, and a reset lets them begin anew at once where real ones might wait out a long retransmission.
//!   Connections that were idle all the time go on.
//! - **Ends and resets** of one side reach the other in their turn, delayed like data.
//! - A target that refuses shows to the client as a reset right after connecting.
//!
//! A link can lead its connections through a [front](http::Front) on their way to the target: its [`Course`] says through which,
//! and which connections there are. So faults in HTTP come on top of those of the network, as they do between machines.

mod carry;
mod chain;
mod course;
mod engine;
mod faults;
pub mod http;
mod link;
mod pipe;
mod relay;
mod statistics;
mod timer;
pub mod toxic;
pub mod toxiproxy;
mod upstream;

pub use course::{Course, Detour, Passing};
pub use engine::Workers;
pub use faults::{Faults, HANDSHAKE_RETRANSMISSION, Impairment, RETRANSMISSION};
pub use link::Link;
pub use relay::{Connection, Relay, Transferred};
pub use statistics::{Statistics, Traffic};
