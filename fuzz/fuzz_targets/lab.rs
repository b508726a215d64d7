//! Lab files.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let read = formats::read_lab("fuzz.yaml", bytes);
    let shown = formats::render::terminal(&read.findings, &read.source, false);
    assert_eq!(shown.is_empty(), read.findings.is_empty());
    if let Some(lab) = read.lab {
        assert!(lab.groups.values().all(|group| group.min <= group.desired && group.desired <= group.max));
    }
});
