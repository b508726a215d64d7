//! Quantities as people write them: `30 seconds`, `< 5 分鐘`, `99.95%`, `2000ms`, `15 minutes`.

/// Units of time and their length in seconds, longest word first where one begins with the other.
const TIMES: &[(&str, f64)] = &[
    ("milliseconds", 0.001),
    ("millisecond", 0.001),
    ("microseconds", 0.000_001),
    ("毫秒", 0.001),
    ("ミリ秒", 0.001),
    ("ms", 0.001),
    ("seconds", 1.0),
    ("second", 1.0),
    ("secs", 1.0),
    ("sec", 1.0),
    ("秒", 1.0),
    ("minutes", 60.0),
    ("minute", 60.0),
    ("mins", 60.0),
    ("min", 60.0),
    ("分鐘", 60.0),
    ("分钟", 60.0),
    ("分", 60.0),
    ("hours", 3_600.0),
    ("hour", 3_600.0),
    ("hrs", 3_600.0),
    ("hr", 3_600.0),
    ("小時", 3_600.0),
    ("小时", 3_600.0),
    ("時間", 3_600.0),
    ("days", 86_400.0),
    ("day", 86_400.0),
    ("天", 86_400.0),
    ("日", 86_400.0),
    ("weeks", 604_800.0),
    ("week", 604_800.0),
    ("週間", 604_800.0),
    ("週", 604_800.0),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3_600.0),
    ("d", 86_400.0),
];

/// The first number of a text and what follows it.
pub(crate) fn number(text: &str) -> Option<(f64, &str)> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let rest = &text[start..];
    let end = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ','))).unwrap_or(rest.len());
    let digits: String = rest[..end].trim_end_matches(['.', ',']).chars().filter(|c| *c != ',').collect();
    let kept = rest[..end].trim_end_matches(['.', ',']).len();
    Some((digits.parse().ok()?, &rest[kept..]))
}

/// The first length of time of a text, in seconds; nothing where its number has no unit of time.
pub(crate) fn seconds(text: &str) -> Option<f64> {
    let (number, rest) = number(text)?;
    let rest = rest.trim_start_matches([' ', '-', '\u{a0}']).to_lowercase();
    let (_, factor) = TIMES.iter().find(|(unit, _)| {
        rest.strip_prefix(unit).is_some_and(|after| {
            // A short unit is a word of its own: `5 m`, not `5 machines`.
            !unit.is_ascii() || !after.starts_with(|c: char| c.is_ascii_alphabetic())
        })
    })?;
    Some(number * factor)
}

/// The first percentage of a text: 99.9 of `99.9% (monthly)`.
pub(crate) fn percent(text: &str) -> Option<f64> {
    let (number, rest) = number(text)?;
    rest.trim_start().starts_with(['%', '％']).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_in_the_words_people_use() {
        for (text, wanted) in [
            ("30 seconds", Some(30.0)),
            ("< 5 分鐘", Some(300.0)),
            ("延遲 < 5 分鐘", Some(300.0)),
            ("2000ms (95th percentile)", Some(2.0)),
            ("15 minutes", Some(900.0)),
            ("4 hours (business hours)", Some(14_400.0)),
            ("1.5h", Some(5_400.0)),
            ("5 machines", None),
            ("3 次", None),
            ("none", None),
            ("1,000 s", Some(1_000.0)),
        ] {
            assert_eq!(seconds(text), wanted, "{text}");
        }
    }

    #[test]
    fn percentages_need_their_sign() {
        assert_eq!(percent("99.95%"), Some(99.95));
        assert_eq!(percent("> 1% of total"), Some(1.0));
        assert_eq!(percent("50"), None);
    }
}
