//! CloudFormation: functions end, whatever refers to whatever.
#![no_main]

use formats::Options;
use libfuzzer_sys::fuzz_target;
use model::catalogue::Catalogue;
use shaketable_fuzz::shown;

fuzz_target!(|bytes: &[u8]| {
    let catalogue = Catalogue::default();
    let mut options = Options::new(&catalogue);
    options.params.insert("Stage".to_owned(), "test".to_owned());
    // So that most inputs are taken for a template.
    let text = [b"Resources:\n", bytes].concat();
    for text in [&text, bytes] {
        let checked = formats::check("fuzz.yaml", text, &options);
        shown(&checked.findings, &checked.source);
    }
});
