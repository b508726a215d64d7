//! Reviews are read or refused, and one that is read is printed as an equal document.
#![no_main]

use std::sync::LazyLock;

use formats::lens;
use libfuzzer_sys::fuzz_target;
use model::lens::Lens;
use shaketable_fuzz::{read_or_refused, shown};

/// Read once: it is larger than most reviews.
static LENS: LazyLock<Lens> = LazyLock::new(lens::reliability);

fuzz_target!(|bytes: &[u8]| {
    // So that most inputs are taken for one.
    let text = [b"review: 1\nworkload: { name: Shop }\n", bytes].concat();
    for text in [bytes, text.as_slice()] {
        let read = formats::read_review("fuzz.yaml", text);
        read_or_refused(read.review.as_ref(), &read.findings, &read.source);
        if let Some(review) = read.review.clone() {
            let again = formats::read_review("printed.yaml", formats::review::print(&review).as_bytes());
            assert_eq!(again.review, Some(review), "{:?}", again.findings);
            let fitting = read.against(&LENS);
            shown(&fitting.findings, &fitting.source);
        }
    }
});
