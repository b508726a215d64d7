//! The demo application: a small HTTP service with something to depend on, so that experiments have something to bite.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | after the configured work, and the downstream call if there is one: JSON with who answered and what the downstream said; 503 when the downstream failed and there is no fallback; 500 when the request could not be kept on disk meanwhile, if it is to be |
//! | `GET /health` | 200 once the startup time has passed, else 503; 503 as well while told to fail |
//! | `POST /health?fail=true` | tells it to fail its health checks; `fail=false` ends that |
//! | `GET /work?ms=50` | sleeps so many milliseconds |
//! | `GET /work?cpu=50` | burns so many milliseconds of CPU time: takes longer when the CPU is contended |
//! | `GET /metrics` | Prometheus text: requests, downstream requests and attempts, breaker state, and the `patterns_` metrics of its pipeline |
//!
//! It is one thread and a few megabytes, since a lab runs dozens of it. [`Options`] says how it is configured and how that
//! is written on a command line; [`run`] is the process.

mod downstream;
mod options;
mod server;
mod spool;

pub use options::{HOSTS_ENV, Hosts, Options};
pub use server::run;
