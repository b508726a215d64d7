//! A FIS template that is read prints back, and what is printed reads back equal.
#![no_main]

use formats::Options;
use libfuzzer_sys::fuzz_target;
use model::catalogue::Catalogue;
use shaketable_fuzz::read_or_refused;

fuzz_target!(|bytes: &[u8]| {
    let catalogue = Catalogue::default();
    let options = Options::new(&catalogue);
    let read = formats::read_template("fuzz.json", bytes, &options);
    read_or_refused(read.template.as_ref(), &read.findings, &read.source);
    let Some(template) = read.template else { return };
    if read.kind != formats::Kind::FisTemplate {
        return;
    }
    let printed = template.to_json();
    let again = formats::read_template("fuzz.json", printed.to_string().as_bytes(), &options);
    let again = again.template.expect("what is printed can be read");
    assert_eq!(again.to_json(), printed);
});
