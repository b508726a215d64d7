//! Workloads, inventories and classifications are read or refused.
#![no_main]

use formats::{Finding, Source};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for head in ["", "components:\n  a: {}\n", "workload_name: a\n", "services:\n"] {
        let text = [head.as_bytes(), bytes].concat();
        let read = formats::read_workloads("fuzz.yaml", &text);
        assert!(read.workloads.is_empty() || !formats::has_errors(&read.findings));
        shown(&read.findings, &read.source);
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
