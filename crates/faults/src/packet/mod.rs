//! The packet engine: holds, drops and passes packets that the kernel hands over.
//!
//! ```text
//!   chain ── rule ──▶ queue ──▶ Schedule::arrive(packet, now) ─▶ pass, drop, damage, double, or hold until
//!                                Schedule::due(now)            ─▶ those whose time has come
//! ```
//!
//! What happens to a packet is decided by the pure [`Schedule`](schedule::Schedule); [`Engine`](engine::Engine) is the thin
//! thread around it that reads the queue, keeps the time and hands the verdicts back.

pub(crate) mod bucket;
pub(crate) mod chance;
pub(crate) mod copier;
pub(crate) mod delay;
pub(crate) mod engine;
pub(crate) mod flow;
pub(crate) mod histogram;
pub(crate) mod loss;
pub(crate) mod schedule;
