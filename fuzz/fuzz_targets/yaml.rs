//! The YAML reader ends, and every value of its tree stands within the text.
#![no_main]

use formats::yaml;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut findings = Vec::new();
    let Some(root) = yaml::parse(text, &mut findings) else {
        assert!(!findings.is_empty());
        return;
    };
    let mut open = vec![&root];
    while let Some(node) = open.pop() {
        assert!(text.get(node.span.range()).is_some() && text.get(node.head.range()).is_some());
        open.extend(node.as_sequence().unwrap_or_default());
        open.extend(node.as_mapping().unwrap_or_default().iter().map(|entry| &entry.value));
    }
});
