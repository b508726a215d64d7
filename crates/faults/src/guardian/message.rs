//! What runner and guardian say to each other, over a socket that keeps messages apart.
//!
//! ```text
//! version 1 byte | kind 1 byte | number u64 | body
//!   hello     the journal's path; comes with two descriptors, the journal's and one of the runner's process
//!   leased    (token u64, until u64, end u64)*: in ns since boot, the largest number is never
//!   renewed   (token u64, until u64)*; none at all is a sign of life
//!   released  token u64 *
//!   farewell
//!   heard     from the guardian: the number of the last message it has acted on
//! ```
//!
//! Numbers are in little-endian order. Whatever is not exactly this is no message.

use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::PathBuf, time::Duration};

use crate::grant::Grant;

/// The version of this protocol. The two ends are the same program, but the file may be replaced between their starts.
const VERSION: u8 = 2;
const HEAD: usize = 10;
/// No message is longer: paths have 4096 bytes, and more leases than [`MOST`] go in several messages.
pub(crate) const LONGEST: usize = 16 << 10;
/// What stands for no end.
const NEVER: u64 = u64::MAX;
/// Leases in one message.
pub(crate) const MOST: usize = 500;

/// A message, and its number in the order of those of its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) number: u64,
    pub(crate) says: Says,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Says {
    /// The runner introduces itself.
    Hello(PathBuf),
    /// These injections may live until then.
    Leased(Vec<(u64, Grant)>),
    /// The leases of these last until then.
    Renewed(Vec<(u64, Duration)>),
    /// These need no watching any more.
    Released(Vec<u64>),
    /// The runner goes.
    Farewell,
    /// The guardian has acted on the message of this number.
    Heard,
}

impl Message {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (kind, body) = match &self.says {
            Says::Hello(path) => (1, path.as_os_str().as_encoded_bytes().to_vec()),
            Says::Leased(leases) => (
                2,
                bytes(
                    leases
                        .iter()
                        .flat_map(|(token, Grant { until, end })| [*token, nanos(*until), end.map_or(NEVER, nanos)]),
                ),
            ),
            Says::Renewed(leases) => (3, bytes(leases.iter().flat_map(|(token, until)| [*token, nanos(*until)]))),
            Says::Released(tokens) => (4, bytes(tokens.iter().copied())),
            Says::Farewell => (5, Vec::new()),
            Says::Heard => (6, Vec::new()),
        };
        let mut bytes = Vec::with_capacity(HEAD + body.len());
        bytes.extend_from_slice(&[VERSION, kind]);
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Reads a message; `None` when it is none of this version.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, body) = bytes.split_at_checked(HEAD)?;
        let [VERSION, kind, number @ ..] = head else { return None };
        let number = u64::from_le_bytes(*number.first_chunk()?);
        let says = match kind {
            1 if !body.is_empty() => Says::Hello(OsString::from_vec(body.to_vec()).into()),
            2 => {
                let numbers = numbers(body)?;
                let (leases, []) = numbers.as_chunks::<3>() else { return None };
                let end = |end: u64| (end != NEVER).then(|| Duration::from_nanos(end));
                let grant = |until, last| Grant { until: Duration::from_nanos(until), end: end(last) };
                Says::Leased(leases.iter().map(|[token, until, end]| (*token, grant(*until, *end))).collect())
            }
            3 => {
                let numbers = numbers(body)?;
                let (pairs, []) = numbers.as_chunks::<2>() else { return None };
                Says::Renewed(pairs.iter().map(|[token, until]| (*token, Duration::from_nanos(*until))).collect())
            }
            4 => Says::Released(numbers(body)?),
            5 if body.is_empty() => Says::Farewell,
            6 if body.is_empty() => Says::Heard,
            _ => return None,
        };
        Some(Self { number, says })
    }
}

fn numbers(body: &[u8]) -> Option<Vec<u64>> {
    let (numbers, []) = body.as_chunks::<8>() else { return None };
    Some(numbers.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect())
}

fn bytes(numbers: impl Iterator<Item = u64>) -> Vec<u8> {
    numbers.flat_map(u64::to_le_bytes).collect()
}

/// 584 years since boot fit; a later end is as good as that, which is none.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn says() -> impl Strategy<Value = Says> {
        let time = || any::<u64>().prop_map(|nanos| Duration::from_nanos(nanos.min(NEVER - 1)));
        let grant = (time(), proptest::option::of(time())).prop_map(|(until, end)| Grant { until, end });
        prop_oneof![
            "[^\0]{1,100}".prop_map(|path| Says::Hello(path.into())),
            proptest::collection::vec((any::<u64>(), grant), 0..MOST).prop_map(Says::Leased),
            proptest::collection::vec((any::<u64>(), time()), 0..MOST).prop_map(Says::Renewed),
            proptest::collection::vec(any::<u64>(), 0..MOST).prop_map(Says::Released),
            Just(Says::Farewell),
            Just(Says::Heard),
        ]
    }

    proptest! {
        #[test]
        fn what_is_said_is_understood_and_fits(number in any::<u64>(), says in says()) {
            let message = Message { number, says };
            let bytes = message.encode();
            prop_assert!(bytes.len() <= LONGEST);
            prop_assert_eq!(Message::decode(&bytes), Some(message));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Some(message) = Message::decode(&bytes) {
                prop_assert_eq!(message.encode(), bytes);
            }
        }

        #[test]
        fn a_message_that_is_cut_short_is_none(number in any::<u64>(), token in any::<u64>(), cut in 1usize..8) {
            let bytes = Message { number, says: Says::Released(vec![token]) }.encode();
            prop_assert_eq!(Message::decode(&bytes[..bytes.len() - cut]), None);
        }
    }
}
