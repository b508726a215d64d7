//! Our own document, or anything else that is taken for one.
#![no_main]

use formats::Options;
use libfuzzer_sys::fuzz_target;
use model::catalogue::Catalogue;
use shaketable_fuzz::read_or_refused;

fuzz_target!(|bytes: &[u8]| {
    let catalogue = Catalogue::default();
    let read = formats::read_experiment("fuzz.yaml", bytes, &Options::new(&catalogue));
    read_or_refused(read.experiment.as_ref(), &read.findings, &read.source);
});
