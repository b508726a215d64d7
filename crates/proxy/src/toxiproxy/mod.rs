//! Toxiproxy's HTTP API in front of our relays, so that its clients work unchanged.
//!
//! ```text
//!   client ──▶ Api ──▶ Call ──▶ Proxies ──▶ Relay (toxics) ──▶ upstream
//!                                       └─▶ Relay (toxics) ──▶ http::Front (rules) ──▶ upstream
//! ```
//!
//! Paths, fields, defaults, status codes and texts of errors are those of Toxiproxy 2; paths under `/shaketable/v1` are ours:
//! HTTP rules. What differs from Toxiproxy, and why, is in `docs/proxy.md`.

mod call;
mod error;
mod fields;
mod metrics;
mod proxies;
mod server;
mod wire;

pub use call::Call;
pub use error::Error;
pub use metrics::Metrics;
pub use proxies::Proxies;
pub use server::Api;
pub use wire::{NewProxy, ProxyChange, ToxicChange};
