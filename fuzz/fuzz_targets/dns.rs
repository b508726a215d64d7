//! DNS messages, and patterns of names.
#![no_main]

use faults::dns::wire::{Code, Pattern, Query, Reply};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(query) = Query::read(bytes) {
        let answer = query.fail(Code::ServFail);
        let reply = Reply::read(&answer).expect("our own answers are read");
        assert_eq!((reply.id, reply.code), (query.id, 2));
        assert!(answer.len() <= 512);
        if let Some(answer) = query.resolve(&["192.0.2.1".parse().expect("an address")], 0) {
            assert!(Reply::read(&answer).expect("our own answers are read").addresses.len() <= 1);
        }
    }
    let _nothing = Reply::read(bytes);
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(pattern) = text.parse::<Pattern>()
    {
        assert_eq!(pattern.to_string().parse(), Ok(pattern.clone()));
        assert!(pattern.matches(&pattern.example("probe")));
    }
});
