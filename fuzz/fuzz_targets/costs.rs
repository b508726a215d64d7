//! Calculations of costs and suites of experiments are read or refused.
#![no_main]

use formats::{Finding, Source};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let costs = [b"hour: { revenue: 100 }\noutage: { duration: 1h }\n", bytes].concat();
    for text in [bytes, costs.as_slice()] {
        let read = formats::cost::read_costs("fuzz.yaml", text);
        assert_eq!(read.costs.is_none(), formats::has_errors(&read.findings));
        shown(&read.findings, &read.source);
    }
    let suite = [b"systems:\n", bytes].concat();
    for text in [bytes, suite.as_slice()] {
        let read = formats::suite::read_suite("fuzz.yaml", text);
        assert_eq!(read.suite.is_none(), formats::has_errors(&read.findings));
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
