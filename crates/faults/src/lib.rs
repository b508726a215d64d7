//! One fault on one object on this host, its proof and its undo. The only crate with unsafe code.

pub mod sys;
