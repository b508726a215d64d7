//! DNS messages (RFC 1035), as far as a fault of names must understand them: what is asked, and answers to it.
//!
//! Strict: whatever is not a plain query for one name is not understood, and so is left alone.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

/// A name: labels in lower case, each of 1 to 63 bytes, of 253 bytes in all with the dots between them. The root has none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(Vec<Vec<u8>>);

/// A query for one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query<'a> {
    /// The number by which its answer is found.
    pub id: u16,
    /// The name that is asked for.
    pub name: Name,
    /// What is asked of it: [`A`], [`AAAA`], ...
    pub kind: u16,
    /// Whether the resolver shall ask others.
    recursion: bool,
    /// Whether it may answer what it has not verified.
    unchecked: bool,
    /// The question as it came: an answer repeats it, with the case of its letters.
    question: &'a [u8],
    /// Whether it speaks EDNS (RFC 6891), and wants signatures: then the answer must speak it too.
    extended: Option<bool>,
}

/// The address of a name.
pub const A: u16 = 1;
/// The IPv6 address of a name.
pub const AAAA: u16 = 28;
/// What serves a name, with addresses (RFC 9460).
pub const SVCB: u16 = 64;
/// What serves a name by HTTP, with addresses (RFC 9460).
pub const HTTPS: u16 = 65;
/// What EDNS is written in.
const OPT: u16 = 41;
/// The internet.
const IN: u16 = 1;

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Code {
    /// All is well.
    NoError = 0,
    /// The resolver could not find out.
    ServFail = 2,
    /// There is no such name.
    NxDomain = 3,
    /// The resolver will not tell us.
    Refused = 5,
}

impl Name {
    /// Whether it is this name or, if that is meant, below it.
    fn ends_with(&self, other: &Self) -> bool {
        self.0.ends_with(&other.0)
    }

    /// Reads a name without pointers, and how long it was.
    fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let (mut labels, mut at) = (Vec::new(), 0);
        loop {
            let length = usize::from(*bytes.get(at)?);
            at += 1;
            // 255 bytes on the wire, lengths and the last zero included.
            if length > 63 || at + length > 255 {
                return None;
            }
            if length == 0 {
                return Some((Self(labels), at));
            }
            labels.push(bytes.get(at..at + length)?.to_ascii_lowercase());
            at += length;
        }
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = text.strip_suffix('.').unwrap_or(text);
        let label = |label: &str| {
            let fits = (1..=63).contains(&label.len());
            let known = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
            (fits && known).then(|| label.to_ascii_lowercase().into_bytes())
        };
        let labels: Option<Vec<Vec<u8>>> = plain.split('.').map(label).collect();
        labels.filter(|_| plain.len() <= 253).map(Self).ok_or_else(|| {
            format!("`{text}` is not a name: labels of 1 to 63 letters, digits, `-` and `_`, with dots between, 253 in all (other scripts as xn--...)")
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Vec<_> = self.0.iter().map(|label| String::from_utf8_lossy(label)).collect();
        f.write_str(&labels.join("."))
    }
}

/// Which names are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Pattern {
    /// This one: `example.com`.
    Exactly(Name),
    /// All below it: `*.example.com`.
    Below(Name),
    /// All: `*`.
    All,
}

impl Pattern {
    /// Whether a name is meant.
    #[must_use]
    pub fn matches(&self, name: &Name) -> bool {
        match self {
            Self::Exactly(only) => name == only,
            Self::Below(parent) => name.0.len() > parent.0.len() && name.ends_with(parent),
            Self::All => true,
        }
    }

    /// A name that is meant, with this label in it where it is not the only one.
    #[must_use]
    pub fn example(&self, label: &str) -> Name {
        let label = label.to_ascii_lowercase().into_bytes();
        match self {
            Self::Exactly(only) => only.clone(),
            // Names with long parents have no room for one more; those are not asked for anyway.
            Self::Below(parent) => Name([vec![label], parent.0.clone()].concat()),
            Self::All => Name(vec![label, b"invalid".to_vec()]),
        }
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text.strip_prefix('*') {
            Some("") => Ok(Self::All),
            Some(rest) => {
                let parent =
                    rest.strip_prefix('.').ok_or_else(|| format!("`{text}`: behind `*` comes a dot, or nothing"))?;
                // With one label of one letter before it, it must still be a name.
                parent.parse().map(Self::Below).and_then(|pattern| match pattern {
                    Self::Below(ref parent) if parent.to_string().len() > 200 => {
                        Err(format!("`{text}` is too long: 200 letters below `*.`"))
                    }
                    pattern => Ok(pattern),
                })
            }
            None => text.parse().map(Self::Exactly),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(name) => name.fmt(f),
            Self::Below(name) => write!(f, "*.{name}"),
            Self::All => f.write_str("*"),
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.to_string()
    }
}

impl<'a> Query<'a> {
    /// Reads a message. `None`: it is no plain query for one name of the internet.
    #[must_use]
    pub fn read(message: &'a [u8]) -> Option<Self> {
        let number = |at: usize| Some(u16::from_be_bytes(*message.get(at..)?.first_chunk()?));
        let flags = number(2)?;
        // Not an answer, not truncated, and a standard query: QR, opcode and TC are zero; one question, no records but OPT.
        let counts = (number(4)?, number(6)?, number(8)?, number(10)?);
        if flags & 0xfa00 != 0 || !matches!(counts, (1, 0, 0, 0..=4)) {
            return None;
        }
        let (name, length) = Name::read(message.get(HEADER..)?)?;
        let end = HEADER + length + 4;
        let (kind, class) = (number(end - 4)?, number(end - 2)?);
        if class != IN {
            return None;
        }
        Some(Self {
            id: number(0)?,
            name,
            kind,
            recursion: flags & RECURSION_DESIRED != 0,
            unchecked: flags & CHECKING_DISABLED != 0,
            question: message.get(HEADER..end)?,
            extended: extended(message.get(end..)?, counts.3)?,
        })
    }

    /// An answer without records.
    #[must_use]
    pub fn fail(&self, code: Code) -> Vec<u8> {
        self.answer(code, &[])
    }

    /// The answer that the name has these addresses, to be remembered for so many seconds; or that it has none of the kind
    /// that is asked for. `None`: something else is asked.
    #[must_use]
    pub fn resolve(&self, addresses: &[IpAddr], seconds: u32) -> Option<Vec<u8>> {
        let data: Vec<Vec<u8>> = match self.kind {
            A => addresses.iter().filter_map(|address| four(*address)).map(|four| four.octets().to_vec()).collect(),
            AAAA => addresses.iter().filter_map(|address| six(*address)).map(|six| six.octets().to_vec()).collect(),
            SVCB | HTTPS => Vec::new(),
            _ => return None,
        };
        let record = |data: &Vec<u8>| {
            // The name is that of the question: a pointer to it.
            let mut record = vec![0xc0, 12];
            record.extend(self.kind.to_be_bytes());
            record.extend(IN.to_be_bytes());
            record.extend(seconds.to_be_bytes());
            record.extend(if self.kind == A { [0, 4] } else { [0, 16] });
            record.extend(data);
            record
        };
        Some(self.answer(Code::NoError, &data.iter().map(record).collect::<Vec<_>>()))
    }

    fn answer(&self, code: Code, records: &[Vec<u8>]) -> Vec<u8> {
        // The code is the last four bits; an answer, and recursion is available.
        let mut flags = 0x8080 | u16::from(code as u8);
        flags |= if self.recursion { RECURSION_DESIRED } else { 0 };
        flags |= if self.unchecked { CHECKING_DISABLED } else { 0 };
        let mut message = Vec::with_capacity(64);
        let count = u16::try_from(records.len()).unwrap_or(u16::MAX);
        for number in [self.id, flags, 1, count, 0, u16::from(self.extended.is_some())] {
            message.extend(number.to_be_bytes());
        }
        message.extend(self.question);
        message.extend(records.iter().flatten());
        if let Some(signatures) = self.extended {
            // The root; OPT; up to 1232 bytes at once; no extension of the code, version 0, flags; no options.
            message.push(0);
            message.extend(OPT.to_be_bytes());
            message.extend(1232u16.to_be_bytes());
            message.extend([0, 0, if signatures { 0x80 } else { 0 }, 0, 0, 0]);
        }
        message
    }
}

/// Whether these additional records have one of EDNS, and whether that wants signatures. `None`: they are not understood.
#[expect(clippy::option_option, reason = "the one is about understanding, the other about what is understood")]
fn extended(mut records: &[u8], count: u16) -> Option<Option<bool>> {
    let mut found = None;
    for _ in 0..count {
        let (_, length) = Name::read(records)?;
        let fixed = records.get(length..length + 10)?;
        let data = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        if fixed[..2] == OPT.to_be_bytes() {
            found = Some(fixed[6] & 0x80 != 0);
        }
        records = records.get(length + 10 + data..)?;
    }
    records.is_empty().then_some(found)
}

/// How an answer is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The number of the query.
    pub id: u16,
    /// The code: 0, 2, 3, 5, or another.
    pub code: u8,
    /// The addresses in it.
    pub addresses: Vec<IpAddr>,
}

impl Reply {
    /// Reads an answer such as those that are made here.
    #[must_use]
    pub fn read(message: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u16::from_be_bytes(*message.get(at..)?.first_chunk()?));
        let flags = number(2)?;
        if flags & 0x8000 == 0 || number(4)? != 1 {
            return None;
        }
        let (_, length) = Name::read(message.get(HEADER..)?)?;
        let mut rest = message.get(HEADER + length + 4..)?;
        let mut addresses = Vec::new();
        for _ in 0..number(6)? {
            // A pointer, type, class, time to live, length.
            let data = usize::from(u16::from_be_bytes(*rest.get(10..)?.first_chunk()?));
            let data = rest.get(12..12 + data)?;
            addresses.extend(match data.len() {
                4 => data.first_chunk::<4>().map(|four| IpAddr::from(*four)),
                16 => data.first_chunk::<16>().map(|six| IpAddr::from(*six)),
                _ => None,
            });
            rest = rest.get(12 + data.len()..)?;
        }
        Some(Self { id: number(0)?, code: (flags & 0xf).to_le_bytes()[0], addresses })
    }
}

/// A query for a name, as a resolver of a C library sends it.
#[must_use]
pub fn ask(id: u16, name: &Name, kind: u16) -> Vec<u8> {
    let mut message = Vec::new();
    for number in [id, RECURSION_DESIRED, 1, 0, 0, 0] {
        message.extend(number.to_be_bytes());
    }
    for label in &name.0 {
        message.extend(u8::try_from(label.len()));
        message.extend(label);
    }
    message.push(0);
    message.extend(kind.to_be_bytes());
    message.extend(IN.to_be_bytes());
    message
}

const HEADER: usize = 12;
const RECURSION_DESIRED: u16 = 0x0100;
const CHECKING_DISABLED: u16 = 0x0010;

const fn four(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

const fn six(address: IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V6(address) => Some(address),
        IpAddr::V4(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn patterns_mean_a_name_or_all_below_it() {
        let matches = |pattern: &str, text: &str| pattern.parse::<Pattern>().unwrap().matches(&name(text));
        assert!(matches("example.com", "Example.COM."));
        assert!(!matches("example.com", "www.example.com"));
        assert!(matches("*.example.com", "www.example.com"));
        assert!(matches("*.example.com", "a.b.example.com"));
        assert!(!matches("*.example.com", "example.com"));
        assert!(!matches("*.example.com", "notexample.com"));
        assert!(matches("*", "anything"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = format!("{}.com", "a".repeat(64));
        let longer = ["a"; 130].join(".");
        let below = format!("*.{}", ["abcdefgh"; 25].join("."));
        for text in ["", ".", "a..b", "a b", "*a", "a.*", "*.", "*.*.a", "bücher.de", "a/b", &long, &longer, &below] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_query_is_read_and_answered() {
        let asked = ask(7, &name("www.example.com"), A);
        let query = Query::read(&asked).unwrap();
        assert_eq!((query.id, query.name.to_string().as_str(), query.kind), (7, "www.example.com", A));
        let failed = Reply::read(&query.fail(Code::NxDomain)).unwrap();
        assert_eq!(failed, Reply { id: 7, code: 3, addresses: Vec::new() });
        let addresses = [IpAddr::from([192, 0, 2, 1]), "2001:db8::1".parse().unwrap()];
        let lied = Reply::read(&query.resolve(&addresses, 0).unwrap()).unwrap();
        assert_eq!(lied, Reply { id: 7, code: 0, addresses: vec![addresses[0]] });
        let asked = ask(7, &name("www.example.com"), AAAA);
        let lied = Reply::read(&Query::read(&asked).unwrap().resolve(&addresses, 0).unwrap()).unwrap();
        assert_eq!(lied.addresses, [addresses[1]]);
        let text = ask(7, &name("www.example.com"), 16);
        assert_eq!(Query::read(&text).unwrap().resolve(&addresses, 0), None);
    }

    #[test]
    fn whoever_speaks_edns_is_answered_with_it() {
        let mut asked = ask(7, &name("a.b"), HTTPS);
        asked[11] = 1;
        asked.extend([0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 4, 0, 10, 0, 0]);
        let query = Query::read(&asked).unwrap();
        let answer = query.resolve(&[], 0).unwrap();
        assert_eq!(answer[10..12], [0, 1]);
        assert_eq!(answer[answer.len() - 11..], [0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0]);
        asked.push(0);
        assert_eq!(Query::read(&asked), None, "garbage behind it");
    }

    #[test]
    fn what_is_no_plain_query_is_left_alone() {
        let asked = ask(7, &name("a.b"), A);
        for (at, byte) in [(2, 0x80), (2, 0x28), (5, 2), (7, 1), (12, 0xc0), (asked.len() - 1, 3)] {
            let mut other = asked.clone();
            other[at] = byte;
            assert_eq!(Query::read(&other), None, "{at}");
        }
        assert_eq!(Query::read(&asked[..asked.len() - 1]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic_and_answers_are_read_back(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
            label in "[a-zA-Z0-9_-]{1,63}",
            id in any::<u16>(),
        ) {
            let _nothing = (Query::read(&bytes), Reply::read(&bytes));
            let asked = [&ask(id, &label.parse().unwrap(), A)[..12], &bytes[..]].concat();
            if let Some(query) = Query::read(&asked) {
                prop_assert_eq!(Reply::read(&query.fail(Code::Refused)), Some(Reply { id, code: 5, addresses: vec![] }));
            }
            prop_assert_eq!(Query::read(&ask(id, &label.parse().unwrap(), A)).unwrap().name.to_string(), label.to_ascii_lowercase());
        }

        #[test]
        fn patterns_are_read_as_they_are_written(text in "(\\*\\.)?[a-z0-9_-]{1,20}(\\.[a-z0-9_-]{1,20}){0,3}") {
            let pattern: Pattern = text.parse().unwrap();
            prop_assert_eq!(pattern.to_string(), text);
            prop_assert!(pattern.matches(&pattern.example("probe")));
        }
    }
}
