//! What holds for every reader of what others wrote, whatever it is given.

use formats::{Finding, Options, Source, check, has_errors, render};
use model::catalogue::Catalogue;

/// Most findings of an input that are drawn for people, which takes longer than to read it; the next input begins with others.
const DRAWN: usize = 30;

/// A reader gives a value or errors, never both and never neither; what it found can be [`shown`].
///
/// # Panics
///
/// If not.
pub fn read_or_refused<T>(value: Option<&T>, findings: &[Finding], source: &Source) {
    assert_eq!(value.is_none(), has_errors(findings), "{findings:?}");
    shown(findings, source);
}

/// A document of any kind is checked, and what is found can be [`shown`].
///
/// # Panics
///
/// If not.
pub fn checked(path: &str, bytes: &[u8]) {
    let catalogue = Catalogue::default();
    let checked = check(path, bytes, &Options::new(&catalogue));
    shown(&checked.findings, &checked.source);
}

/// Every finding stands in the text, and can be shown to people and to programs.
///
/// # Panics
///
/// If not.
pub fn shown(findings: &[Finding], source: &Source) {
    for finding in findings {
        assert!(source.text().get(finding.span.range()).is_some(), "{finding:?}");
    }
    let first = &findings[..findings.len().min(DRAWN)];
    assert_eq!(render::terminal(first, source, true).is_empty(), first.is_empty());
    assert_eq!(render::json(findings, source).as_array().map(Vec::len), Some(findings.len()));
}
