//! Durations as people write them: `250ms`, `2s`, `1m30s`; and ISO 8601's `PT1M30S`.

use std::time::Duration;

/// Units from the longest; in nanoseconds.
const UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoDuration {
    /// A number alone.
    NoUnit,
    /// Something else.
    Unreadable,
    /// More than 584 years.
    TooLong,
}

impl std::fmt::Display for NoDuration {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::NoUnit => "a duration needs its unit: write 250ms, 2s, 5m or 1h",
            Self::Unreadable => "a duration is written 250ms, 2s, 1m30s, or PT1M30S",
            Self::TooLong => "no duration may be longer than 584 years",
        })
    }
}

/// Reads `250ms`, `1.5s`, `1h 30m`, `PT1M30S`, `P1DT12H`. Each unit at most once, the longest first; a fraction only in the
/// last.
///
/// # Errors
///
/// When it is none of these.
pub fn parse_duration(text: &str) -> Result<Duration, NoDuration> {
    let text = text.trim();
    let nanos = match text.strip_prefix('P') {
        Some(iso) => iso_8601(iso)?,
        None => amounts(text, &UNITS, |unit| if unit == "µs" || unit == "μs" { "us" } else { unit })?,
    };
    Ok(Duration::from_nanos(nanos))
}

/// What follows the `P`. Months and years are refused: they have no length of their own.
fn iso_8601(text: &str) -> Result<u64, NoDuration> {
    let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
    let days = if date.is_empty() { 0 } else { amounts(date, &UNITS[..1], lower)? };
    let rest = match time {
        Some(time) => amounts(time, &UNITS[1..4], lower)?,
        None if date.is_empty() => return Err(NoDuration::Unreadable),
        None => 0,
    };
    days.checked_add(rest).ok_or(NoDuration::TooLong)
}

fn lower(unit: &str) -> &str {
    match unit {
        "D" => "d",
        "H" => "h",
        "M" => "m",
        "S" => "s",
        _ => "",
    }
}

/// The sum of amounts with their units, each later unit shorter than the one before.
fn amounts(text: &str, units: &[(&str, u64)], name: impl Fn(&str) -> &str) -> Result<u64, NoDuration> {
    let mut left = text;
    let mut units = units;
    let mut sum = 0_u64;
    while !left.is_empty() {
        let digits = left.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or(NoDuration::NoUnit)?;
        let (amount, rest) = left.split_at(digits);
        let rest = rest.trim_start();
        let end = rest.find(|c: char| c.is_ascii_digit() || c == ' ').unwrap_or(rest.len());
        let (unit, rest) = rest.split_at(end);
        let unit = name(unit);
        let index = units.iter().position(|(known, _)| *known == unit).ok_or(NoDuration::Unreadable)?;
        left = rest.trim_start();
        let nanos = scaled(amount, units[index].1, left.is_empty())?;
        units = &units[index + 1..];
        sum = sum.checked_add(nanos).ok_or(NoDuration::TooLong)?;
    }
    if text.is_empty() { Err(NoDuration::Unreadable) } else { Ok(sum) }
}

/// An amount of units in nanoseconds, exactly; what is less than a nanosecond is dropped.
fn scaled(amount: &str, unit: u64, fraction_allowed: bool) -> Result<u64, NoDuration> {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    if whole.is_empty()
        || fraction.contains('.')
        || (amount.contains('.') && (fraction.is_empty() || !fraction_allowed))
    {
        return Err(NoDuration::Unreadable);
    }
    let whole: u64 = whole.parse().map_err(|_| NoDuration::TooLong)?;
    let nanos = whole.checked_mul(unit).ok_or(NoDuration::TooLong)?;
    // Digits past the 18th are less than a nanosecond, also of a day.
    let digits = &fraction[..fraction.len().min(18)];
    let value = digits.bytes().fold(0_u128, |value, digit| value * 10 + u128::from(digit - b'0'));
    let scale = digits.bytes().fold(1_u128, |scale, _| scale * 10);
    let below = value * u128::from(unit) / scale;
    u64::try_from(below).ok().and_then(|below| nanos.checked_add(below)).ok_or(NoDuration::TooLong)
}

/// The shortest text that reads back as the duration: `1m30s`, `250ms`, `1500us`.
#[must_use]
pub fn write_duration(duration: Duration) -> String {
    let mut left = duration.as_nanos();
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, nanos) in UNITS {
        let nanos = u128::from(nanos);
        let amount = left / nanos;
        if amount > 0 {
            text = format!("{text}{amount}{unit}");
            left %= nanos;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn people_and_standards_write_durations() {
        let table = [
            ("250ms", 250_000_000),
            ("2s", 2_000_000_000),
            ("1.5s", 1_500_000_000),
            ("1m30s", 90_000_000_000),
            ("1h 30m", 5_400_000_000_000),
            ("100µs", 100_000),
            ("7 ns", 7),
            ("0s", 0),
            ("PT1M30S", 90_000_000_000),
            ("PT0.25S", 250_000_000),
            ("P1DT12H", 129_600_000_000_000),
            ("P2D", 172_800_000_000_000),
            ("0.000000001s", 1),
            ("1.000000000000000000000000001s", 1_000_000_000),
        ];
        for (text, nanos) in table {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_told_why() {
        for text in ["5", "5.0", "1m30"] {
            assert_eq!(parse_duration(text), Err(NoDuration::NoUnit), "{text}");
        }
        for text in
            ["", "s", "-1s", "1x", "1s1m", "1s1s", "1.s", ".5s", "1.5m30s", "P", "PT", "P1M", "PT1D", "1..5s", "p1d"]
        {
            assert_eq!(parse_duration(text), Err(NoDuration::Unreadable), "{text}");
        }
        for text in ["999999999999d", "99999999999999999999s"] {
            assert_eq!(parse_duration(text), Err(NoDuration::TooLong), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanos: u64) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse_duration(&write_duration(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "[PTDHMS0-9.a-zµ ]{0,20}|\\PC{0,20}") {
            let _read = parse_duration(&text);
        }
    }
}
