//! A layer-7 load balancer: HTTP/1.1 in, round robin over the healthy targets, health checks, draining, sticky cookies.
//!
//! ```text
//!   client ──▶ accept ──▶ forward ──pick──▶ Routes (snapshot)          check ──▶ judge ──▶ Health (pure)
//!                            │                  ▲                                  │
//!                            └──lease──▶ Pool   └────────── rebuilt on change ◀────┘──▶ Recorder, Measurements
//! ```
//!
//! It behaves like an Application Load Balancer where that matters to an experiment: targets start *initial*; only health
//! checks change their state, never failed requests; when none is healthy all are tried (fail open); a removed target
//! drains; its own 5xx are counted apart from the targets'. Unlike an ALB it hides the death of a target from clients
//! whose requests can safely be repeated (idempotent, without a body, not yet answered). Connections are not upgraded (no
//! WebSocket), and there is no TLS.
//!
//! Everything runs on the tokio runtime that [`start`] is called on. Sockets are made by its tasks, so that a runtime whose
//! worker threads live in another network namespace listens and connects there.

mod answer;
mod check;
mod forward;
mod headers;
mod health;
mod routes;
mod service;
mod target;

pub use health::State;
pub use service::{Handle, Listener, start};
pub use target::{Target, TargetStatus};
