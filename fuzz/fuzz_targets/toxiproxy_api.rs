//! Requests to the proxy's API: a method, a path and a body, separated by line ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proxy::{
    http::Rule,
    toxic::{Applied, Stream, Toxic},
    toxiproxy::{Call, ToxicChange},
};
use std::time::Duration;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
    let mut next = || parts.next().unwrap_or_default();
    let (method, path, body) = (next(), next(), next());
    let (Ok(method), Ok(path)) = (std::str::from_utf8(method), std::str::from_utf8(path)) else { return };
    match Call::read(method, path, body) {
        Ok(Call::AddToxic(_, Ok(toxic))) => {
            assert!((0.0..=1.0).contains(&toxic.toxicity) && !toxic.name.is_empty());
            // What describes a toxic changes it into itself.
            let changed = ToxicChange::read(body).and_then(|change| change.of(&toxic));
            assert_eq!(changed, Ok(toxic));
        }
        Ok(Call::UpdateToxic(_, _, Ok(change))) => {
            for toxic in toxics() {
                let toxic = Applied { name: "a".to_owned(), toxic, stream: Stream::Upstream, toxicity: 1.0 };
                if let Ok(changed) = change.of(&toxic) {
                    assert_eq!(std::mem::discriminant(&changed.toxic), std::mem::discriminant(&toxic.toxic));
                }
            }
        }
        Ok(Call::AddRule(_, Ok(rule)) | Call::PutRule(_, Ok(rule))) => {
            assert_eq!(Rule::from_json(&rule.to_json()), Ok(rule));
        }
        Ok(Call::Create(Ok(proxy))) => assert!(!proxy.name.is_empty() && !proxy.upstream.is_empty()),
        Ok(_) => {}
        Err(error) => assert!(error.status().is_client_error()),
    }
});

/// One of each type.
fn toxics() -> [Toxic; 7] {
    let time = Duration::from_millis(7);
    [
        Toxic::Bandwidth { bytes_per_second: 1000 },
        Toxic::Latency { latency: time, jitter: time },
        Toxic::LimitData { bytes: 1 },
        Toxic::ResetPeer { timeout: time },
        Toxic::Slicer { average_size: 1, size_variation: 1, delay: time },
        Toxic::SlowClose { delay: time },
        Toxic::Timeout { timeout: time },
    ]
}
