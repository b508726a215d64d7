//! Markdown: blocks in every language, documents in documents, prose.
#![no_main]

use formats::{Finding, Options, Source};
use libfuzzer_sys::fuzz_target;
use model::catalogue::Catalogue;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let catalogue = Catalogue::default();
    let options = Options::new(&catalogue);
    // Alone, and as the block of every language that is looked into.
    for word in ["", "yaml", "json", "bash", "python", "mermaid", "markdown"] {
        let text = if word.is_empty() {
            text.to_string()
        } else {
            format!("RTO < 5 min\n```{word}\n{text}\n```\naws:ec2:x\n")
        };
        let checked = formats::check("fuzz.md", text.as_bytes(), &options);
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
