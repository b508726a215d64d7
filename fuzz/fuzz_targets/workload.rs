//! Workloads, inventories and classifications are read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shaketable_fuzz::shown;

fuzz_target!(|bytes: &[u8]| {
    for head in ["", "components:\n  a: {}\n", "workload_name: a\n", "services:\n"] {
        let text = [head.as_bytes(), bytes].concat();
        let read = formats::read_workloads("fuzz.yaml", &text);
        assert!(read.workloads.is_empty() || !formats::has_errors(&read.findings));
        shown(&read.findings, &read.source);
    }
});
