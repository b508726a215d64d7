//! Figures as people read them: shares, lengths of time, amounts.

/// A share from 0 to 1 as percent, so exactly that three digits of what is missing to the whole are seen: 99.9 and 99.99999 are
/// not both `100.0`.
pub(crate) fn percent(share: f64) -> String {
    let missing = 100.0 * (1.0 - share);
    if missing <= 0.0 {
        return "100 %".to_owned();
    }
    let digits = (2.0 - missing.log10().floor()).clamp(0.0, 9.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 to 9")]
    let text = format!("{:.*}", digits as usize, share * 100.0);
    let short = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{short} %")
}

/// A length of time in seconds, in its two largest units: `2 h 5 min`.
pub(crate) fn span(seconds: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(86_400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s")];
    if seconds < 1.0 {
        return if seconds <= 0.0 { "0 s".to_owned() } else { format!("{:.0} ms", seconds * 1000.0) };
    }
    let first = UNITS.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(UNITS.len() - 1);
    let Some((smaller, small_name)) = UNITS.get(first + 1) else { return format!("{seconds:.0} s") };
    // Rounded to the smaller unit first, so that there are never 60 of it.
    let (unit, name) = UNITS[first];
    let rounded = (seconds / smaller).round() * smaller;
    let (large, small) = ((rounded / unit).floor(), (rounded % unit / smaller).round());
    if first > 0 && rounded >= UNITS[first - 1].0 {
        return format!("1 {}", UNITS[first - 1].1);
    }
    if small > 0.0 { format!("{large:.0} {name} {small:.0} {small_name}") } else { format!("{large:.0} {name}") }
}

/// A number with three significant digits, as few as it needs: `0.3`, `1.25`, `12.5`, `340`.
pub(crate) fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let digits = (2.0 - value.abs().log10().floor()).clamp(0.0, 9.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 to 9")]
    let text = format!("{value:.*}", digits as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A chance that something is luck: `p = 0.03`, `p < 0.001`.
pub(crate) fn chance(p: f64) -> String {
    if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {}", number((p * 1000.0).round() / 1000.0)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_show_what_is_missing_to_the_whole() {
        for (share, text) in [
            (0.997_106_48, "99.711 %"),
            (0.999, "99.9 %"),
            (0.999_999_9, "99.99999 %"),
            (1.0, "100 %"),
            (0.5, "50 %"),
            (0.0, "0 %"),
            (0.985_012, "98.5 %"),
        ] {
            assert_eq!(percent(share), text);
        }
    }

    #[test]
    fn lengths_have_their_two_largest_units() {
        for (seconds, text) in [
            (7500.0, "2 h 5 min"),
            (2500.0, "41 min 40 s"),
            (3600.0, "1 h"),
            (3599.7, "1 h"),
            (86_399.0, "1 d"),
            (861_500.0, "9 d 23 h"),
            (59.0, "59 s"),
            (0.25, "250 ms"),
            (0.0, "0 s"),
        ] {
            assert_eq!(span(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn numbers_have_three_digits_and_no_zeros_behind() {
        assert_eq!([0.3, 1.25, 12.54, 340.2, 0.0].map(number), ["0.3", "1.25", "12.5", "340", "0"]);
        assert_eq!([0.0421, 0.9999, 0.000_01].map(chance), ["p = 0.042", "p = 1", "p < 0.001"]);
    }
}
