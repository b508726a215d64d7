//! The packet engine: holds, drops and passes packets that the kernel hands over.
//!
//! ```text
//!   table ── rule ──▶ queue ──▶ Schedule::arrive(packet, now) ─▶ pass, drop, or hold until
//!                                Schedule::due(now)            ─▶ those whose time has come
//! ```
//!
//! What happens to a packet is decided by the pure [`Schedule`](schedule::Schedule); [`Engine`](engine::Engine) is the thin
//! thread around it that reads the queue, keeps the time and hands the verdicts back.

pub(crate) mod engine;
pub(crate) mod flow;
pub(crate) mod histogram;
pub(crate) mod schedule;
