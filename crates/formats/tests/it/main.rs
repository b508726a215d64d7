//! The readers on whole documents.

mod corpus;
mod own_document;

use formats::{Finding, Options};
use model::catalogue::Catalogue;

/// A catalogue without native actions.
fn no_catalogue() -> Catalogue {
    Catalogue::default()
}

/// The ids of findings, in the order of their places.
fn codes(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.code.id).collect()
}

/// Reads a document and gives what was found, for people.
fn rendered(path: &str, text: &str) -> String {
    let catalogue = no_catalogue();
    let checked = formats::check(path, text.as_bytes(), &Options::new(&catalogue));
    formats::render::terminal(&checked.findings, &checked.source, false)
}
