//! Histories of incidents are read or refused, as documents and as tables.
#![no_main]

use formats::incidents::{Given, read_history};
use libfuzzer_sys::fuzz_target;
use shaketable_fuzz::read_or_refused;

fuzz_target!(|bytes: &[u8]| {
    let given = Given { from: "2024-01-01".parse().ok(), to: "2025-01-01".parse().ok(), ..Given::default() };
    let table = [b"title,kind,began,detected,restored,duration,lost\n", bytes].concat();
    let document = [b"observed: { from: 2024-01-01, length: 30 days }\nincidents:\n", bytes].concat();
    for (name, text) in
        [("f.yaml", bytes), ("f.csv", bytes), ("f.csv", table.as_slice()), ("f.yaml", document.as_slice())]
    {
        let read = read_history(name, text, &given);
        read_or_refused(read.history.as_ref(), &read.findings, &read.source);
    }
});
