//! What the text of a parameter must be, where that is more than a number: said once, for whoever checks a document and for
//! whoever carries it out.

use std::net::IpAddr;

use crate::{Period, catalogue::ParameterKind};

impl ParameterKind {
    /// What is wrong with a text that should be of this kind. `None`: nothing, or it is one of the kinds about which nothing is
    /// known here.
    #[must_use]
    pub fn objection(self, text: &str) -> Option<String> {
        match self {
            Self::SignedDuration { max_seconds } => signed_duration(text, max_seconds).err(),
            Self::Folder => folder(text).err(),
            Self::Names => text.split(',').find_map(|item| names(item.trim()).err()),
            Self::IpAddresses { or } if text.trim() == or => None,
            Self::IpAddresses { or } => {
                let wrong = text.split(',').map(str::trim).find(|item| item.parse::<IpAddr>().is_err())?;
                Some(format!("`{wrong}` is no address; write for example 192.0.2.1, or {or}"))
            }
            Self::Text
            | Self::OneOf { .. }
            | Self::ListOf { .. }
            | Self::Boolean
            | Self::Integer { .. }
            | Self::Number { .. }
            | Self::Duration { .. }
            | Self::Size
            | Self::Addresses
            | Self::Ports
            | Self::Json
            | Self::Arn => None,
        }
    }
}

/// A length of time, and whether it goes backwards: `PT1H`, `+PT1H`, `-PT24H`.
///
/// # Errors
///
/// When it is no ISO 8601 duration behind its sign, nothing at all, or longer than `max_seconds`.
pub fn signed_duration(text: &str, max_seconds: u64) -> Result<(bool, Period), String> {
    let text = text.trim();
    let backwards = text.starts_with('-');
    let length = text.strip_prefix(['-', '+']).unwrap_or(text);
    let period: Period = length
        .parse()
        .map_err(|_| format!("`{text}` is no ISO 8601 duration with a sign; write for example PT1H or -PT24H"))?;
    if period == Period::ZERO {
        return Err(format!("`{text}` is no offset"));
    }
    if period > Period::from_secs(max_seconds) {
        return Err(format!("`{text}` is more than {} days", max_seconds / 86_400));
    }
    Ok((backwards, period))
}

/// A folder, from the root on, which nothing leads out of.
fn folder(text: &str) -> Result<(), String> {
    if !text.starts_with('/') {
        return Err(format!("`{text}` must begin with `/`: it is looked up in the target's root folder"));
    }
    if text.split('/').any(|part| part == "..") {
        return Err(format!("`{text}` must not contain `..`"));
    }
    Ok(())
}

/// A name (RFC 1035, and `_`), all below one, or all.
fn names(text: &str) -> Result<(), String> {
    if text == "*" {
        return Ok(());
    }
    let name = text.strip_prefix("*.").unwrap_or(text);
    let plain = name.strip_suffix('.').unwrap_or(name);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if plain.len() <= 253 && plain.split('.').all(label) {
        return Ok(());
    }
    Err(format!("`{text}` is neither a name such as example.com, nor `*.` and one, nor `*`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(kind: ParameterKind, text: &str) -> bool {
        kind.objection(text).is_none()
    }

    #[test]
    fn an_offset_is_a_duration_with_a_sign() {
        let hour = Period::from_secs(3_600);
        assert_eq!(signed_duration("PT1H", 3_600), Ok((false, hour)));
        assert_eq!(signed_duration(" +PT1H ", 3_600), Ok((false, hour)));
        assert_eq!(signed_duration("-PT1H", 3_600), Ok((true, hour)));
        for text in ["1h", "", "-", "--PT1H", "PT0S", "PT1H1S"] {
            assert!(signed_duration(text, 3_600).is_err(), "{text}");
        }
    }

    #[test]
    fn a_folder_is_absolute_and_does_not_climb() {
        for text in ["/", "/var/lib/app", "/a..b/c"] {
            assert!(fits(ParameterKind::Folder, text), "{text}");
        }
        for text in ["", "data", "./data", "/var/../etc", "/.."] {
            assert!(!fits(ParameterKind::Folder, text), "{text}");
        }
    }

    #[test]
    fn names_are_single_or_all_below_one() {
        for text in ["example.com", "*.example.com, a_b.example.", "*", "localhost"] {
            assert!(fits(ParameterKind::Names, text), "{text}");
        }
        for text in ["", "*example.com", "a..b", "*.", "example.com,", "exa mple", "*.*"] {
            assert!(!fits(ParameterKind::Names, text), "{text}");
        }
    }

    #[test]
    fn addresses_are_numbers_or_the_word() {
        let kind = ParameterKind::IpAddresses { or: "random" };
        for text in ["192.0.2.1", "192.0.2.1, 2001:db8::1", "random"] {
            assert!(fits(kind, text), "{text}");
        }
        for text in ["", "example.com", "192.0.2.0/24", "192.0.2.1,random"] {
            assert!(!fits(kind, text), "{text}");
        }
    }
}
