//! Forms of texts that several formats share.

use super::Form;

/// A duration of Go: `1h30m`, `-10m`, `0`.
pub(crate) const GO_DURATION: Form = Form { what: "a duration such as 30s or 1h30m", near: &[], holds: go_duration };

/// A duration of Go that is not negative.
pub(crate) const GO_LENGTH: Form = Form {
    what: "a duration such as 30s or 1h30m",
    near: &[],
    holds: |text| !text.starts_with('-') && go_duration(text),
};

/// One number with one unit.
pub(crate) const ONE_DURATION: Form = Form {
    what: "one number with its unit (ns, us, ms, s, m or h), such as 90ms",
    near: &[],
    holds: |text| {
        let number = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        go_duration(text) && number.chars().all(|c| c.is_ascii_digit() || c == '.') && text.len() > number.len()
    },
};

/// A percentage as a text.
pub(crate) const PERCENTAGE: Form = Form {
    what: "a percentage from 0 to 100 without the sign, such as \"25\"",
    near: &[],
    holds: |text| text.parse::<f64>().is_ok_and(|number| (0.0..=100.0).contains(&number)),
};

/// A rate of traffic as `tc` writes it.
pub(crate) const RATE: Form = Form {
    what: "a rate such as 1mbps (bytes per second) or 1mbit",
    near: &[],
    holds: |text| {
        let lower = text.to_ascii_lowercase();
        let unit = lower.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let number = &lower[..lower.len() - unit.len()];
        number.parse::<f64>().is_ok() && RATES.contains(&unit.trim_start())
    },
};

/// Units of [`RATE`].
const RATES: &[&str] = &[
    "", "bit", "kbit", "mbit", "gbit", "tbit", "kibit", "mibit", "gibit", "tibit", "bps", "kbps", "mbps", "gbps",
    "tbps", "kibps", "mibps", "gibps", "tibps",
];

/// An amount of memory: bytes with a unit, or a share.
pub(crate) const MEMORY: Form = Form {
    what: "an amount such as 256MB, or a percentage such as 50%",
    near: &[],
    holds: |text| {
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let number = &text[..text.len() - unit.len()];
        let unit = unit.trim_start().to_ascii_lowercase();
        number.parse::<f64>().is_ok()
            && matches!(
                unit.as_str(),
                "" | "%" | "b" | "k" | "kb" | "kib" | "m" | "mb" | "mib" | "g" | "gb" | "gib" | "t" | "tb" | "tib"
            )
    },
};

/// Go's `time.ParseDuration`.
fn go_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        if number.parse::<f64>().is_err() || !matches!(unit, "ns" | "us" | "µs" | "μs" | "ms" | "s" | "m" | "h") {
            return false;
        }
        rest = after;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for right in ["30s", "1h30m", "-10m", "+1.5s", "0", "100us", ".5s"] {
            assert!(go_duration(right), "{right}");
        }
        for wrong in ["", "30", "30 s", "5min", "1d", "PT5M", "s", "1h30"] {
            assert!(!go_duration(wrong), "{wrong}");
        }
        assert!((ONE_DURATION.holds)("90ms") && (ONE_DURATION.holds)("1.5s"));
        assert!(!(ONE_DURATION.holds)("1h30m") && !(ONE_DURATION.holds)("-1s") && !(ONE_DURATION.holds)("0"));
        assert!(!(GO_LENGTH.holds)("-1s"));
    }

    #[test]
    fn amounts_have_units_that_their_readers_know() {
        for right in ["1mbps", "10 kbit", "1gibit", "100"] {
            assert!((RATE.holds)(right), "{right}");
        }
        assert!(!(RATE.holds)("1mb/s") && !(RATE.holds)("fast"));
        assert!((MEMORY.holds)("256MB") && (MEMORY.holds)("50%") && (MEMORY.holds)("1 GiB"));
        assert!(!(MEMORY.holds)("lots") && !(MEMORY.holds)("1Q"));
        assert!((PERCENTAGE.holds)("99.5") && !(PERCENTAGE.holds)("50%") && !(PERCENTAGE.holds)("101"));
    }
}
