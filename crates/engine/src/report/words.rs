//! Small wordings that all reports share.

use std::time::Duration;

use model::metric::{Quantity, Unit};

use crate::record::ClauseResult;

/// The condition with what goes with it: `== 2 within PT5M`.
pub(super) fn wanted(clause: &ClauseResult) -> String {
    // The clause in words begins with the metric; the rest is the condition with `every` and `within`.
    let metric = clause.metric.to_string();
    clause.clause.strip_prefix(&metric).map_or_else(|| clause.wanted.to_string(), |rest| rest.trim().to_owned())
}

/// A length of time as people say it: `850 ms`, `8.42 s`, `5 min 12 s`.
pub(super) fn seconds(seconds: f64) -> String {
    if seconds < 120.0 {
        return Quantity { value: seconds, unit: Unit::Seconds }.to_string();
    }
    let whole = Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    format!("{} min {} s", whole / 60, whole % 60)
}

/// A text that begins with a capital letter; unless it begins with a name, such as that of a metric.
pub(super) fn sentence_case(text: &str) -> String {
    let first = text.split(' ').next().unwrap_or_default();
    if first.trim_end_matches(['.', ':', ',']).contains(['.', ':', '_']) {
        return text.to_owned();
    }
    let mut characters = text.chars();
    characters.next().into_iter().flat_map(char::to_uppercase).chain(characters).collect()
}

/// A wall time (RFC 3339) without the fraction of its second.
pub(super) fn whole_seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((whole, fraction)) => whole.to_owned() + fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn times_and_reasons_are_written_for_people() {
        assert_eq!(whole_seconds("2026-11-22T02:48:48.423967712Z"), "2026-11-22T02:48:48Z");
        assert_eq!(whole_seconds("2026-11-22T02:48:48.5+01:00"), "2026-11-22T02:48:48+01:00");
        assert_eq!(whole_seconds("2026-11-22T02:48:48Z"), "2026-11-22T02:48:48Z");
        assert_eq!(
            (sentence_case("every clause held").as_str(), sentence_case("").as_str()),
            ("Every clause held", "")
        );
        assert_eq!([seconds(0.85), seconds(8.42), seconds(312.4)], ["850 ms", "8.42 s", "5 min 12 s"]);
    }

    #[test]
    fn what_is_wanted_is_the_clause_without_its_metric() {
        let wanted: Vec<_> = sample::green().clauses.iter().map(wanted).collect();
        assert_eq!(wanted, ["== 2", "< 200 ms", "<= 500 ms", "== 0", "== 2 within PT5M"]);
    }
}
