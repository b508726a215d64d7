//! Histories of incidents are read or refused, as documents and as tables.
#![no_main]

use formats::{
    Finding, Source,
    incidents::{Given, read_history},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let given = Given { from: "2024-01-01".parse().ok(), to: "2025-01-01".parse().ok(), ..Given::default() };
    let table = [b"title,kind,began,detected,restored,duration,lost\n", bytes].concat();
    let document = [b"observed: { from: 2024-01-01, length: 30 days }\nincidents:\n", bytes].concat();
    for (name, text) in
        [("f.yaml", bytes), ("f.csv", bytes), ("f.csv", table.as_slice()), ("f.yaml", document.as_slice())]
    {
        let read = read_history(name, text, &given);
        assert_eq!(read.history.is_none(), formats::has_errors(&read.findings));
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
