//! Other people's files <-> the model. Every finding has file, line and column.
//!
//! ```text
//!            ┌ json ┐           ┌ fis ────────────┐
//!   bytes ──▶│      │──▶ Node ─▶│ cloudformation  │──▶ Experiment ──▶ check ──▶ findings ──▶ render
//!            └ yaml ┘  (spans)  │ document, lab   │    Lab
//!                               └─────────────────┘
//! ```
//!
//! Readers collect *all* problems of a file instead of stopping at the first, and never guess: an unknown key is an
//! error, and a target without a selector is an error, never "everything".

mod backup;
mod balancer;
mod chaos_mesh;
mod check;
mod circles;
mod cloudformation;
pub mod codes;
pub mod cost;
mod dashboard;
mod decode;
mod document;
pub mod explain;
pub mod finding;
pub mod fis;
mod iam;
pub mod incidents;
pub mod json;
mod kind;
mod kubernetes;
mod lab_file;
pub mod lens;
pub mod node;
mod python;
mod read;
pub mod render;
pub mod review;
mod route53;
mod script;
mod semantics;
mod shape;
pub mod source;
mod ssm;
pub mod suite;
mod within;
mod workload;
pub mod yaml;

pub use codes::CODES;
pub use finding::{Code, Finding, Severity};
pub use fis::Template;
pub use kind::Kind;
pub use lens::{ReadLens, read_lens};
pub use read::{
    Checked, Options, Part, Read, ReadLab, ReadPolicy, ReadTemplate, check, has_errors, read_experiment, read_lab,
    read_policy, read_template,
};
pub use review::{ReadReview, read_review};
pub use source::{MAX_BYTES, Source};
pub use workload::{ReadWorkloads, read_workloads};
