//! Lenses are read or refused, and one that is read is printed as an equal document.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shaketable_fuzz::read_or_refused;

fuzz_target!(|bytes: &[u8]| {
    let read = formats::read_lens("fuzz.json", bytes);
    read_or_refused(read.lens.as_ref(), &read.findings, &read.source);
    if let Some(lens) = read.lens {
        let again = formats::read_lens("printed.json", formats::lens::print(&lens).as_bytes());
        assert_eq!(again.lens, Some(lens), "{:?}", again.findings);
    }
});
