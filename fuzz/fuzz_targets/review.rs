//! Reviews are read or refused, and one that is read is printed as an equal document.
#![no_main]

use formats::{Finding, Source};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // So that most inputs are taken for one.
    let text = [b"review: 1\nworkload: { name: Shop }\n", bytes].concat();
    for text in [bytes, text.as_slice()] {
        let read = formats::read_review("fuzz.yaml", text);
        assert_eq!(read.review.is_none(), formats::has_errors(&read.findings));
        shown(&read.findings, &read.source);
        if let Some(review) = read.review.clone() {
            let again = formats::read_review("printed.yaml", formats::review::print(&review).as_bytes());
            assert_eq!(again.review, Some(review), "{:?}", again.findings);
            let fitting = read.against(&formats::lens::reliability());
            shown(&fitting.findings, &fitting.source);
        }
    }
});

/// Every finding stands in the text and can be shown in every form.
fn shown(findings: &[Finding], source: &Source) {
    for finding in findings {
        assert!(source.text().get(finding.span.range()).is_some(), "{finding:?}");
    }
    let text = formats::render::terminal(findings, source, true);
    assert_eq!(text.is_empty(), findings.is_empty());
    assert_eq!(formats::render::json(findings, source).as_array().map(Vec::len), Some(findings.len()));
}
