//! Markdown: blocks in every language, documents in documents, prose.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shaketable_fuzz::checked;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    checked("fuzz.md", text.as_bytes());
    // And as the block of every language that is looked into.
    for language in ["yaml", "json", "bash", "python", "mermaid", "markdown"] {
        let block = format!("RTO < 5 min\n```{language}\n{text}\n```\naws:ec2:x\n");
        checked("fuzz.md", block.as_bytes());
    }
});
