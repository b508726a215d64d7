//! Availabilities with their intervals, as SVG: on a scale on which one nine more is always the same step.
//!
//! ```text
//!             99 %          99.9 %     ┊   99.99 %
//!   2024-01    ├───────●───────┤       ┊                99.77 %
//!   whole           ├──────●──────┤    ┊                99.91 %
//! ```

use assess::history::{Estimate, Period, Report};
use model::figures::percent;

use crate::paper::{
    Markup, SHEETS, Sheet,
    lettering::{BOLD, fit, width},
    write,
};

const LETTERS: f64 = 12.0;
const ROW: f64 = 26.0;
const HEAD: f64 = 24.0;
/// Nines beyond which nobody measures: a second in 30 years.
const MOST_NINES: f64 = 9.0;

/// The drawing for every sheet; none where no availability is less than all.
pub(super) fn drawing(report: &Report, periods: &[Period]) -> Option<String> {
    let whole = [("whole", &report.whole.availability)];
    let parts = periods.iter().map(|period| (period.name.as_str(), &period.figures.availability));
    let rows: Vec<(&str, &Estimate)> = if periods.len() > 1 { parts.chain(whole).collect() } else { whole.to_vec() };
    let ends = rows.iter().flat_map(|(_, estimate)| [estimate.value, estimate.low, estimate.high]).flatten();
    let shown: Vec<f64> =
        ends.chain(report.target.map(|target| target.availability)).filter(|one| *one < 1.0).map(nines).collect();
    let most = shown.iter().copied().fold(f64::NEG_INFINITY, f64::max).ceil();
    let least = shown.iter().copied().fold(f64::INFINITY, f64::min).floor();
    if shown.is_empty() {
        return None;
    }
    let scale = Scale { least, most: most.max(least + 1.0) };
    let mut text = "<figure>".to_owned();
    for (sheet, paper) in SHEETS {
        draw(&mut text, sheet, paper, report, &rows, scale);
    }
    text.push_str("</figure>\n");
    Some(text)
}

/// How many nines an availability has: 99.9 % has three.
fn nines(availability: f64) -> f64 {
    (-(1.0 - availability).log10()).clamp(0.0, MOST_NINES)
}

/// Nines at the left and at the right end.
#[derive(Clone, Copy)]
struct Scale {
    least: f64,
    most: f64,
}

impl Scale {
    /// From 0 to 1.
    fn place(self, availability: f64) -> f64 {
        ((nines(availability) - self.least) / (self.most - self.least)).clamp(0.0, 1.0)
    }

    /// Whole nines.
    fn ticks(self) -> impl Iterator<Item = f64> {
        std::iter::successors(Some(self.least), |nines| Some(nines + 1.0))
            .take_while(move |nines| *nines <= self.most)
            .map(|nines| 1.0 - 10_f64.powf(-nines))
    }
}

fn draw(text: &mut String, sheet: Sheet, paper: f64, report: &Report, rows: &[(&str, &Estimate)], scale: Scale) {
    let value = |estimate: &Estimate| estimate.value.map_or_else(|| "–".to_owned(), percent);
    let widest = |texts: &mut dyn Iterator<Item = f64>| texts.fold(0.0, f64::max);
    let left = widest(&mut rows.iter().map(|(name, _)| width(name, LETTERS))) + 22.0;
    let right = widest(&mut rows.iter().map(|(_, estimate)| width(&value(estimate), LETTERS * BOLD))) + 16.0;
    let room = (paper - left - right).max(60.0);
    let height = rows.iter().fold(HEAD, |height, _| height + ROW);
    let said: Vec<String> = rows.iter().map(|(name, estimate)| format!("{name}: {}", value(estimate))).collect();
    write(
        text,
        format_args!(
            "<svg class=\"plot {sheet}\" viewBox=\"0 0 {paper} {height:.0}\" role=\"img\"><title>Availability with its interval</title><desc>{}</desc>",
            Markup(said.join("; "))
        ),
    );
    let mut free = 0.0;
    for tick in scale.ticks() {
        let (x, words) = (left + scale.place(tick) * room, percent(tick));
        write(text, format_args!("<path class=\"grid\" d=\"M{x:.1} {HEAD}V{height:.0}\"/>"));
        let half = width(&words, LETTERS) / 2.0;
        if x - half >= free {
            write(
                text,
                format_args!("<text class=\"axis\" x=\"{x:.1}\" y=\"14\" text-anchor=\"middle\">{words}</text>"),
            );
            free = x + half + 6.0;
        }
    }
    if let Some(target) = &report.target {
        let x = left + scale.place(target.availability) * room;
        write(
            text,
            format_args!(
                "<path class=\"limit\" d=\"M{x:.1} {HEAD}V{height:.0}\"><title>target {}</title></path>",
                percent(target.availability)
            ),
        );
    }
    let mut y = HEAD;
    for (name, estimate) in rows {
        whisker(text, estimate, report, (left, y + ROW / 2.0, room), scale);
        let base = y + ROW / 2.0 + 4.5;
        write(
            text,
            format_args!(
                "<text x=\"0\" y=\"{base:.1}\">{}</text><text class=\"value\" x=\"{:.1}\" y=\"{base:.1}\">{}</text>",
                Markup(fit(name, LETTERS, left - 12.0)),
                left + room + 12.0,
                Markup(value(estimate))
            ),
        );
        y += ROW;
    }
    text.push_str("</svg>");
}

fn whisker(text: &mut String, estimate: &Estimate, report: &Report, (left, y, room): (f64, f64, f64), scale: Scale) {
    let Some(value) = estimate.value else { return };
    let place = |availability: f64| left + scale.place(availability) * room;
    if let (Some(low), Some(high)) = (estimate.low, estimate.high) {
        let (from, to) = (place(low), place(high));
        write(
            text,
            format_args!(
                "<path class=\"whisker\" d=\"M{from:.1} {y:.1}H{to:.1}M{from:.1} {:.1}v8M{to:.1} {:.1}v8\"><title>{} to {}</title></path>",
                y - 4.0,
                y - 4.0,
                percent(low),
                percent(high)
            ),
        );
    }
    let missed = report.target.is_some_and(|target| value < target.availability);
    let class = if missed { "dot missed" } else { "dot" };
    write(text, format_args!("<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4.5\"/>", place(value)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_nine_more_is_always_the_same_step() {
        let scale = Scale { least: 1.0, most: 4.0 };
        for (availability, place) in
            [(0.9, 0.0), (0.99, 1.0 / 3.0), (0.999, 2.0 / 3.0), (0.9999, 1.0), (1.0, 1.0), (0.0, 0.0)]
        {
            assert!((scale.place(availability) - place).abs() < 1e-9, "{availability}");
        }
        assert_eq!(scale.ticks().map(percent).collect::<Vec<_>>(), ["90 %", "99 %", "99.9 %", "99.99 %"]);
    }
}
