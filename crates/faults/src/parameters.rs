//! The texts of a fault's parameters: checked against its catalogue entry, read as what they mean.

use std::{collections::BTreeMap, net::IpAddr, ops::RangeInclusive, str::FromStr};

use model::{
    Period,
    catalogue::{Entry, ParameterKind},
    nearest::nearest,
};
use serde::{Deserialize, Serialize};

use crate::fault::Refused;

/// A fault's parameters, as documents have them: texts by name.
pub type Parameters = BTreeMap<String, String>;

/// Parameters that fit their catalogue entry: all are known, of the right kind and in range, and none that is required is
/// missing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checked<'a> {
    entry: &'static Entry,
    given: &'a Parameters,
}

impl<'a> Checked<'a> {
    /// Checks parameters against a catalogue entry.
    ///
    /// # Errors
    ///
    /// All that is wrong with them, in one text.
    pub(crate) fn new(entry: &'static Entry, given: &'a Parameters) -> Result<Self, Refused> {
        let mut wrong = Vec::new();
        for name in given.keys().filter(|name| entry.parameters.iter().all(|known| known.name != **name)) {
            let known = entry.parameters.iter().map(|parameter| parameter.name);
            wrong.push(match nearest(name, known) {
                Some(near) => format!("no parameter is named `{name}`; did you mean `{near}`?"),
                None => format!("no parameter is named `{name}`"),
            });
        }
        for parameter in entry.parameters {
            match given.get(parameter.name) {
                Some(text) => {
                    wrong.extend(check(parameter.kind, text).err().map(|why| match parameter.kind {
                        // What it is for may say why something is not among the choices.
                        ParameterKind::OneOf { .. } => format!("`{}`: {why}. {}", parameter.name, parameter.about),
                        _ => format!("`{}`: {why}", parameter.name),
                    }));
                }
                None if parameter.required => {
                    wrong.push(format!("`{}` is missing: {}", parameter.name, parameter.about));
                }
                None => {}
            }
        }
        if wrong.is_empty() {
            Ok(Self { entry, given })
        } else {
            Err(Refused(format!("{}: {}", entry.id, wrong.join("; "))))
        }
    }

    /// The text of a parameter: what was given, or its default.
    pub(crate) fn text(self, name: &str) -> Option<&'a str> {
        let default = || self.entry.parameters.iter().find(|parameter| parameter.name == name)?.default;
        self.given.get(name).map(String::as_str).or_else(default)
    }

    /// A parameter read as something.
    ///
    /// # Errors
    ///
    /// When it neither was given nor has a default, or does not read as a `T`.
    pub(crate) fn read<T: FromStr>(self, name: &str) -> Result<T, Refused> {
        self.maybe(name)?.ok_or_else(|| Refused(format!("{}: `{name}` is missing", self.entry.id)))
    }

    /// A parameter read as something, if there is one.
    ///
    /// # Errors
    ///
    /// When it does not read as a `T`.
    pub(crate) fn maybe<T: FromStr>(self, name: &str) -> Result<Option<T>, Refused> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let parsed =
            text.trim().parse().map_err(|_| Refused(format!("{}: `{name}` cannot be `{text}`", self.entry.id)))?;
        Ok(Some(parsed))
    }

    /// Whether a parameter was given, be it as its default.
    pub(crate) fn is_given(self, name: &str) -> bool {
        self.given.contains_key(name)
    }
}

fn check(kind: ParameterKind, text: &str) -> Result<(), String> {
    let one_of = |text: &str, values: &[&str]| {
        if values.contains(&text) { Ok(()) } else { Err(format!("`{text}` is none of {}", values.join(", "))) }
    };
    match kind {
        ParameterKind::Text | ParameterKind::Addresses | ParameterKind::Arn | ParameterKind::Json => Ok(()),
        ParameterKind::SignedDuration { .. }
        | ParameterKind::IpAddresses { .. }
        | ParameterKind::Names
        | ParameterKind::Folder => kind.objection(text).map_or(Ok(()), Err),
        ParameterKind::Ports => ports(text).map(drop),
        ParameterKind::OneOf { values } => one_of(text, values),
        ParameterKind::ListOf { values } => text.split(',').try_for_each(|item| one_of(item.trim(), values)),
        ParameterKind::Boolean => one_of(text, &["true", "false"]),
        ParameterKind::Integer { min, max } => match text.trim().parse::<i64>() {
            Ok(number) if (min..=max).contains(&number) => Ok(()),
            _ => Err(format!("`{text}` is not a whole number from {min} to {max}")),
        },
        ParameterKind::Number { min, max } => match text.trim().parse::<f64>() {
            Ok(number) if (min..=max).contains(&number) => Ok(()),
            _ => Err(format!("`{text}` is not a number from {min} to {max}")),
        },
        ParameterKind::Duration { max_seconds, .. } => match text.parse::<Period>() {
            Ok(period) if period.get().as_secs() <= max_seconds => Ok(()),
            Ok(_) => Err(format!("`{text}` is longer than {}", Period::from_secs(max_seconds))),
            Err(why) => Err(why.to_string()),
        },
        ParameterKind::Size => text.parse::<Size>().map(drop),
    }
}

/// Ports and ranges of them, as a list: `80,443,8000-8100`.
pub(crate) fn ports(text: &str) -> Result<Vec<RangeInclusive<u16>>, String> {
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    let range = |item: &str| {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let range = port(first).zip(port(last)).filter(|(first, last)| first <= last);
        range
            .map(|(first, last)| first..=last)
            .ok_or_else(|| format!("`{}` is neither a port from 1 to 65535 nor a range such as 8000-8100", item.trim()))
    };
    text.split(',').map(range).collect()
}

/// A size: bytes, or a share of something.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Size {
    /// This many bytes.
    Bytes(u64),
    /// This many percent of what there is.
    Percent(f64),
}

impl Size {
    /// How many bytes that is when there are `whole`.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "0 < percent <= 100, and a rounding of one part in 2^52 is below a page"
    )]
    pub fn of(self, whole: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Percent(percent) => (whole as f64 * percent / 100.0) as u64,
        }
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a size; write for example 80%, 512MiB or 1GB");
        let text = text.trim();
        if let Some(number) = text.strip_suffix('%') {
            return match number.trim().parse::<f64>() {
                Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(Self::Percent(percent)),
                _ => Err(wrong()),
            };
        }
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor: u64 = match unit.trim() {
            "" | "B" => 1,
            "kB" | "KB" => 1_000,
            "KiB" | "Ki" => 1 << 10,
            "MB" => 1_000_000,
            "MiB" | "Mi" => 1 << 20,
            "GB" => 1_000_000_000,
            "GiB" | "Gi" => 1 << 30,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(factor).filter(|bytes| *bytes > 0).map(Self::Bytes).ok_or_else(wrong)
    }
}

/// An address, or a block of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its first address (host bits are zero).
    pub address: IpAddr,
    /// How many leading bits an address shares with it.
    pub prefix: u8,
}

impl Network {
    /// This address alone.
    #[must_use]
    pub const fn only(address: IpAddr) -> Self {
        Self { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// Whether the address lies within.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
                mask(address, self.prefix) == self.address
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let wrong = || format!("`{text}` is neither an address nor a network such as 10.0.1.0/24");
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(longest), |prefix| prefix.parse().map_err(|_| wrong()))?;
        if prefix > longest {
            return Err(wrong());
        }
        Ok(Self { address: mask(address, prefix), prefix })
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

fn mask(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let keep = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & keep).into())
        }
        IpAddr::V6(address) => {
            let keep = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & keep).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_shares_or_bytes() {
        for (text, bytes) in [("80%", 800), ("1", 1), ("2KiB", 2048), ("512MiB", 512 << 20), ("1GB", 1_000_000_000)] {
            assert_eq!(text.parse::<Size>().unwrap().of(1000), bytes, "{text}");
        }
        for text in ["", "0", "0%", "101%", "-5%", "MiB", "5 parsecs", "99999999999999GiB", "NaN%"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn networks_cut_off_their_host_bits() {
        assert_eq!("10.1.2.3/24".parse::<Network>().unwrap().to_string(), "10.1.2.0/24");
        assert_eq!("10.1.2.3".parse::<Network>().unwrap().to_string(), "10.1.2.3/32");
        assert_eq!("0.0.0.0/0".parse::<Network>().unwrap().to_string(), "0.0.0.0/0");
        assert_eq!("fd00::1:2/112".parse::<Network>().unwrap().to_string(), "fd00::1:0/112");
        for text in ["", "10.0.0", "10.0.0.1/33", "web", "::/129", "10.0.0.1/"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn ports_are_single_or_ranges() {
        assert_eq!(ports("80, 443,8000-8100").unwrap(), [80..=80, 443..=443, 8000..=8100]);
        for text in ["", "0", "80,", "65536", "8100-8000", "80-", "http", "1-2-3"] {
            assert!(ports(text).is_err(), "{text}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let given = [("delayMiliseconds", "100"), ("duration", "five"), ("jitterMilliseconds", "-1")];
        let given: Parameters = given.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        let Refused(why) = Checked::new(&crate::network::latency::ENTRY, &given).unwrap_err();
        for part in ["did you mean `delayMilliseconds`", "`duration`", "`jitterMilliseconds`: `-1`"] {
            assert!(why.contains(part), "{why}");
        }
    }

    proptest! {
        #[test]
        fn a_network_contains_what_shares_its_prefix(address in any::<u32>(), prefix in 0u8..=32, other in any::<u32>()) {
            let network: Network = format!("{}/{prefix}", std::net::Ipv4Addr::from(address)).parse().unwrap();
            let same = prefix == 0 || (address ^ other) >> (32 - prefix) == 0;
            prop_assert_eq!(network.contains(IpAddr::V4(other.into())), same);
        }
    }
}
