//! Our own document, or anything else that is taken for one.
#![no_main]

use formats::Options;
use libfuzzer_sys::fuzz_target;
use model::catalogue::Catalogue;

fuzz_target!(|bytes: &[u8]| {
    let catalogue = Catalogue::default();
    let read = formats::read_experiment("fuzz.yaml", bytes, &Options::new(&catalogue));
    let shown = formats::render::terminal(&read.findings, &read.source, true);
    assert_eq!(shown.is_empty(), read.findings.is_empty());
    assert!(read.experiment.is_some() || formats::has_errors(&read.findings));
});
