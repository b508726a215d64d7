//! What both pictures share: series, round numbers for axes, numbers as people read them.

use super::report::{Report, Run, Step};

/// A series of a run, one value per step.
pub(super) fn series(run: &Run, value: impl Fn(&Step) -> f64) -> Vec<f64> {
    run.steps.iter().map(value).collect()
}

/// Per second.
pub(super) fn rates(run: &Run, step: f64, number: impl Fn(&Step) -> u64) -> Vec<f64> {
    series(run, |at| number(at) as f64 / step)
}

/// The top of the axis for the load, the same for all runs of a report: comparing is what the picture is for.
pub(super) fn top_of_load(report: &Report) -> f64 {
    let steps = report.runs.iter().flat_map(|run| &run.steps);
    round_up(steps.map(|step| step.attempts.max(step.calls) as f64 / report.step).fold(1.0, f64::max))
}

/// The next 1, 1.5, 2, 2.5, 3, 4, 5, 6 or 8 times a power of ten.
pub(super) fn round_up(value: f64) -> f64 {
    if !(value.is_finite() && value > 0.0) {
        return 1.0;
    }
    let power = 10_f64.powi(exponent(value));
    let steps = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    // The smallest that is not less, but for what rounding has done to the quotient.
    steps.into_iter().map(|step| step * power).find(|top| *top >= value * (1.0 - 1e-9)).unwrap_or(power * 10.0)
}

#[expect(clippy::cast_possible_truncation, reason = "the exponent of a finite number has at most three digits")]
fn exponent(value: f64) -> i32 {
    value.log10().floor() as i32
}

/// Three digits that matter, no more.
pub(super) fn short(value: f64) -> String {
    match value {
        value if value >= 99.95 || value == 0.0 => format!("{value:.0}"),
        value if value >= 9.995 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// The same without zeros at the end: a time, a count.
pub(super) fn plain(value: f64) -> String {
    let text = short(value);
    let trimmed = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    trimmed.to_owned()
}

/// Milliseconds as people read them.
pub(super) fn millis(value: f64) -> String {
    if value >= 1000.0 { format!("{}s", plain(value / 1000.0)) } else { format!("{}ms", plain(value)) }
}

/// A part of a whole as a percentage.
pub(super) fn percent(part: u64, of: u64) -> String {
    if of == 0 { "-".to_owned() } else { format!("{:.1}%", part as f64 / of as f64 * 100.0) }
}

/// When it was well again.
pub(super) fn recovery(run: &Run, report: &Report) -> String {
    match run.totals.recovered_after {
        Some(seconds) => format!("{}s", plain(seconds)),
        None if report.disturbed.iter().any(|(_, end)| *end < report.duration) => "never".to_owned(),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        let table =
            [(0.0, 1.0), (1.0, 1.0), (1.01, 1.5), (99.0, 100.0), (101.0, 150.0), (420.0, 500.0), (8_001.0, 10_000.0)];
        for (value, top) in table {
            assert!((round_up(value) - top).abs() < 1e-6, "{value}: {}", round_up(value));
        }
        assert!((round_up(f64::NAN) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!([0.0, 0.123, 9.99, 10.04, 99.9, 1234.5].map(short), ["0", "0.12", "9.99", "10.0", "99.9", "1234"]);
        assert_eq!([12.0, 1500.0, 100.0].map(millis), ["12ms", "1.5s", "100ms"]);
    }
}
