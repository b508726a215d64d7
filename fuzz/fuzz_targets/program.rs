//! Programs in Python and diagrams of Mermaid.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shaketable_fuzz::checked;

fuzz_target!(|bytes: &[u8]| {
    checked("fuzz.py", bytes);
    checked("fuzz.mmd", &[b"graph TD\n", bytes].concat());
});
