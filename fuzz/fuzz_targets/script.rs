//! Shell scripts, and what stands in their options and here-documents.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shaketable_fuzz::checked;

fuzz_target!(|bytes: &[u8]| {
    checked("fuzz.sh", bytes);
    let query = [b"aws ec2 describe-instances --output text --query '", bytes, b"' | sort\n"].concat();
    checked("fuzz.sh", &query);
});
