//! Lenses are read or refused, and one that is read is printed as an equal document.
#![no_main]

use formats::{Finding, Source};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let read = formats::read_lens("fuzz.json", bytes);
    assert_eq!(read.lens.is_none(), formats::has_errors(&read.findings));
    shown(&read.findings, &read.source);
    if let Some(lens) = read.lens {
        let again = formats::read_lens("printed.json", formats::lens::print(&lens).as_bytes());
        assert_eq!(again.lens, Some(lens), "{:?}", again.findings);
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
