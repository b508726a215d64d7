//! The JSON reader agrees with serde_json on what is JSON, and on what it means.
#![no_main]

use formats::json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut findings = Vec::new();
    let node = json::parse(text, &mut findings);
    assert_eq!(node.is_none(), findings.iter().any(|finding| finding.code.id != "F004"));
    // Of two equal keys serde_json keeps the last; it reads no byte order mark, and nests deeper.
    if let Some(node) = node
        && findings.is_empty()
        && !text.starts_with('\u{feff}')
    {
        let theirs: serde_json::Value = serde_json::from_str(text).expect("what we read is JSON");
        assert_eq!(node.to_json(), theirs);
    }
});
