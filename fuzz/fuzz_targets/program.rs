//! Programs in Python and diagrams of Mermaid.
#![no_main]

use formats::{Finding, Options, Source};
use libfuzzer_sys::fuzz_target;
use model::catalogue::Catalogue;

fuzz_target!(|bytes: &[u8]| {
    let catalogue = Catalogue::default();
    let options = Options::new(&catalogue);
    let graph = [b"graph TD\n", bytes].concat();
    for (name, text) in [("fuzz.py", bytes), ("fuzz.mmd", graph.as_slice())] {
        let checked = formats::check(name, text, &options);
        shown(&checked.findings, &checked.source);
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
