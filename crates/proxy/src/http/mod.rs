//! HTTP faults: a reverse proxy that does to exchanges what its [`Rules`] say.
//!
//! ```text
//!   client ──▶ Front ──▶ request ──▶ rules: delay, abort, change ──▶ ┐
//!          ◀────────────response ◀── rules: delay, abort, change ◀── ┘ upstream      Rules change at any time
//! ```
//!
//! Without rules nothing of an exchange changes but what concerns one connection only (RFC 9110 section 7.6.1). Bodies are
//! passed on as they come, with their trailers; only a body that is to be patched is held, up to [`BODY_LIMIT`]. Upgrades
//! (WebSocket) and CONNECT become tunnels. We add no `Via`: it stands for a network, and there are servers (nginx) that
//! compress no longer when they see one.
//!
//! A [`Front`] stands before one upstream, or, without their knowledge, between clients and whatever they connect to: then
//! somebody (a rule of nf_tables) leads their connections to it, and a [`Road`] says where each was going.
//!
//! Each connection of a client has one of its own to the upstream, in the same version of HTTP, and both end together:
//! the upstream sees as many connections as it would without us.

mod body;
mod document;
mod exchange;
mod front;
mod glob;
mod headers;
mod rule;
mod rules;
mod upstream;

pub use body::{BODY_LIMIT, merge};
pub use front::Front;
pub use glob::Glob;
pub use headers::remove_hop_by_hop;
pub use rule::{Abort, BodyChange, Change, Delay, Matches, Phase, Problem, Rule};
pub use rules::{Done, Rules};
pub use upstream::Road;
