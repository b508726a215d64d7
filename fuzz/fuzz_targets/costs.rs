//! Calculations of costs and suites of experiments are read or refused.
#![no_main]

use formats::{cost::read_costs, suite::read_suite};
use libfuzzer_sys::fuzz_target;
use shaketable_fuzz::read_or_refused;

fuzz_target!(|bytes: &[u8]| {
    let costs = [b"hour: { revenue: 100 }\noutage: { duration: 1h }\n", bytes].concat();
    for text in [bytes, costs.as_slice()] {
        let read = read_costs("fuzz.yaml", text);
        read_or_refused(read.costs.as_ref(), &read.findings, &read.source);
    }
    let suite = [b"systems:\n", bytes].concat();
    for text in [bytes, suite.as_slice()] {
        let read = read_suite("fuzz.yaml", text);
        read_or_refused(read.suite.as_ref(), &read.findings, &read.source);
    }
});
