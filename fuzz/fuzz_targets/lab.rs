//! Lab files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shaketable_fuzz::read_or_refused;

fuzz_target!(|bytes: &[u8]| {
    let read = formats::read_lab("fuzz.yaml", bytes);
    read_or_refused(read.lab.as_ref(), &read.findings, &read.source);
    if let Some(lab) = read.lab {
        assert!(lab.groups.values().all(|group| group.min <= group.desired && group.desired <= group.max));
    }
});
