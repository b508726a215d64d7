//! Figures as people read them: shares, lengths of time, numbers. One rule for all pages, texts and messages.
//!
//! What is measured or estimated has three digits: more would claim what nobody knows. What follows exactly from what was
//! written down, a [design's availability](crate::workload::Availability), has five. Of a share near the whole the digits are
//! those of what is *missing*: 99.9 and 99.99999 are not both `100.0`. A unit stands apart from its number (SI brochure,
//! section 5.4.3).

/// Digits of what was measured or estimated.
const MEASURED: usize = 3;
/// Decimals beyond which `100 - x` has no digits left in a float that holds 15 in all.
const FLOAT_DECIMALS: usize = 12;
/// Seconds of the units that lengths of time are told in.
const UNITS: [(f64, &str); 4] = [(86_400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s")];

/// A share from 0 to 1 of a whole that is aimed at, as percent, so exactly that three digits of what is missing are seen:
/// `99.711 %`.
#[must_use]
pub fn percent(share: f64) -> String {
    percent_without(1.0 - share, MEASURED)
}

/// The whole without a share `missing`, from 0 to 1, as percent with so many digits of what is missing. Exact however small
/// that is.
pub(crate) fn percent_without(missing: f64, digits: usize) -> String {
    let missing = 100.0 * missing;
    if missing <= 0.0 {
        return "100 %".to_owned();
    }
    let decimals = decimals(missing, digits, 20);
    let text = if decimals <= FLOAT_DECIMALS {
        format!("{:.decimals$}", 100.0 - missing)
    } else {
        nines_complement(&format!("{missing:.decimals$}"))
    };
    format!("{} %", short(&text))
}

/// A part of something as percent, with three digits: `12.5 %`.
#[must_use]
pub fn part(share: f64) -> String {
    format!("{} %", number(share * 100.0))
}

/// A number with three significant digits, as few as it needs: `0.3`, `1.25`, `12.5`, `340`, `48200`.
#[must_use]
pub fn number(value: f64) -> String {
    if value == 0.0 {
        // Also what is written as -0.
        return "0".to_owned();
    }
    if !value.is_finite() {
        return format!("{value}");
    }
    let text = format!("{value:.*}", decimals(value.abs(), MEASURED, 9));
    short(&text).to_owned()
}

/// A chance that something is luck: `p = 0.03`, `p < 0.001`.
#[must_use]
pub fn chance(p: f64) -> String {
    if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {}", number((p * 1000.0).round() / 1000.0)) }
}

/// A length of time in seconds, in its two largest units, `2 h 5 min`; below a minute with three digits, `6.05 s`.
#[must_use]
pub fn span(seconds: f64) -> String {
    if seconds < 0.0 {
        return format!("-{}", span(-seconds));
    }
    if seconds < 59.95 {
        return match seconds {
            _ if seconds == 0.0 => "0 s".to_owned(),
            // A millionth of a second in a year is nobody's concern.
            ..1e-6 => "< 1 µs".to_owned(),
            ..1e-3 => format!("{} µs", number(seconds * 1e6)),
            ..1.0 => format!("{} ms", number(seconds * 1e3)),
            _ => format!("{} s", number(seconds)),
        };
    }
    let first = UNITS.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(UNITS.len() - 1);
    let Some((smaller, small_name)) = UNITS.get(first + 1) else { return "1 min".to_owned() };
    // Rounded to the smaller unit first, so that there are never 60 of it.
    let (unit, name) = UNITS[first];
    let rounded = (seconds / smaller).round() * smaller;
    let (large, small) = ((rounded / unit).floor(), (rounded % unit / smaller).round());
    if first > 0 && rounded >= UNITS[first - 1].0 {
        return format!("1 {}", UNITS[first - 1].1);
    }
    if small > 0.0 { format!("{large:.0} {name} {small:.0} {small_name}") } else { format!("{large:.0} {name}") }
}

/// Decimals with which so many digits of a positive value are seen.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 to 20")]
fn decimals(value: f64, digits: usize, most: u32) -> usize {
    let leading = f64::from(u32::try_from(digits).unwrap_or(1)) - 1.0;
    (leading - value.log10().floor()).clamp(0.0, f64::from(most.min(20))) as usize
}

/// A decimal without zeros at its end.
fn short(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// `100 - x` for a decimal text `0.…`, digit by digit: `100 - 1e-15` has no float of its own.
fn nines_complement(missing: &str) -> String {
    let fraction = missing.split_once('.').map_or("", |(_, fraction)| fraction);
    let last = fraction.trim_end_matches('0').len();
    let digit = |(at, byte): (usize, u8)| match (at + 1).cmp(&last) {
        std::cmp::Ordering::Less => char::from(b'0' + (b'9' - byte)),
        std::cmp::Ordering::Equal => char::from(b'0' + (b'9' - byte) + 1),
        std::cmp::Ordering::Greater => '0',
    };
    format!("99.{}", fraction.bytes().enumerate().map(digit).collect::<String>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
            (3_153_600.0, "36 d 12 h"),
            (7500.0, "2 h 5 min"),
            (2592.0, "43 min 12 s"),
            (2500.0, "41 min 40 s"),
            (3600.0, "1 h"),
            (3599.7, "1 h"),
            (86_399.0, "1 d"),
            (861_500.0, "9 d 23 h"),
            (59.96, "1 min"),
            (59.0, "59 s"),
            (25.92, "25.9 s"),
            (0.25, "250 ms"),
            (0.000_315_4, "315 µs"),
            (1e-9, "< 1 µs"),
            (0.0, "0 s"),
            (-5400.0, "-1 h 30 min"),
        ] {
            assert_eq!(span(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn numbers_have_three_digits_and_no_zeros_behind() {
        assert_eq!([0.3, 1.25, 12.54, 340.2, 0.0].map(number), ["0.3", "1.25", "12.5", "340", "0"]);
        assert_eq!([0.0421, 0.9999, 0.000_01].map(chance), ["p = 0.042", "p = 1", "p < 0.001"]);
        assert_eq!([0.125, 1.0, -0.02].map(part), ["12.5 %", "100 %", "-2 %"]);
    }

    proptest! {
        #[test]
        fn no_length_has_sixty_of_a_unit_that_sixty_make_the_next(seconds in 0.0..1e7_f64) {
            let text = span(seconds);
            for wrong in ["60 s", "60 min", "24 h"] {
                prop_assert!(!text.split(' ').collect::<Vec<_>>().windows(2).any(|pair| pair.join(" ") == wrong), "{text}");
            }
        }
    }
}
