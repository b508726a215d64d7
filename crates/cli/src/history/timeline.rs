//! Incidents in the calendar, as SVG: a row for each period, a bar for each incident, as high as the share that was lost.
//!
//! ```text
//!            1       5         10        15        20        25        30
//!   2024-01  ────────────█────────────────────────────────────▂──────────   99.77 %
//!   2024-02  ────────────────────────▃─────────────────────────             99.91 %
//! ```

use assess::history::{By, Period, Report, Share};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use model::figures::{part, percent, span};

use crate::paper::{
    Markup, SHEETS, Sheet,
    lettering::{BOLD, fit, width},
    write,
};

/// Rows beyond which a drawing is not read any more.
pub(super) const MOST_ROWS: usize = 62;
const LETTERS: f64 = 12.0;
/// From one row to the next, and the height of a bar of an incident that took everything.
const ROW: f64 = 30.0;
const FULL: f64 = 20.0;
/// Above the rows: the days.
const HEAD: f64 = 20.0;
/// An incident of a minute is seen in a month, too.
const THINNEST: f64 = 4.0;

/// The drawing for every sheet. `periods` are those of `by`.
pub(super) fn drawing(report: &Report, periods: &[Period], by: By, zone: &TimeZone) -> String {
    let mut text = "<figure>".to_owned();
    for (sheet, paper) in SHEETS {
        draw(&mut text, sheet, paper, &Calendar { report, periods, by, zone });
    }
    text.push_str("</figure>\n");
    text
}

struct Calendar<'a> {
    report: &'a Report,
    periods: &'a [Period],
    by: By,
    zone: &'a TimeZone,
}

impl Calendar<'_> {
    /// The longest period, which is as long as a row.
    const fn longest(&self) -> SignedDuration {
        SignedDuration::from_hours(match self.by {
            By::Month => 31 * 24,
            By::Week => 7 * 24,
            By::Day => 24,
        })
    }

    /// Where in its row an instant lies, from 0 to 1.
    fn place(&self, period: &Period, at: Timestamp) -> f64 {
        let day = self.by.beginning(self.zone.to_datetime(period.stretch.from).date());
        let first = day.and_then(|day| self.zone.to_timestamp(day.at(0, 0, 0, 0)).ok());
        let since = at.duration_since(first.unwrap_or(period.stretch.from));
        (since.as_secs_f64() / self.longest().as_secs_f64()).clamp(0.0, 1.0)
    }

    /// What stands above the rows, and where.
    fn ticks(&self) -> Vec<(f64, String)> {
        match self.by {
            By::Month => [1, 5, 10, 15, 20, 25, 30].map(|day| (f64::from(day - 1) / 31.0, day.to_string())).into(),
            By::Week => {
                let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
                (0..).zip(days).map(|(at, day)| (f64::from(at) / 7.0, day.to_owned())).collect()
            }
            By::Day => [0, 6, 12, 18].map(|hour| (f64::from(hour) / 24.0, format!("{hour}:00"))).into(),
        }
    }

    /// What there is to see, in a sentence.
    fn about(&self) -> String {
        let one = |share: &Share| format!("{}: {}, {} lost", share.title, span(share.seconds), part(share.lost));
        let incidents: Vec<String> = self.report.counted().map(one).collect();
        if incidents.is_empty() { "No incidents.".to_owned() } else { incidents.join("; ") }
    }
}

fn draw(text: &mut String, sheet: Sheet, paper: f64, calendar: &Calendar<'_>) {
    let values: Vec<String> =
        calendar.periods.iter().map(|period| percent(period.figures.availability.value.unwrap_or(1.0))).collect();
    let widest = |texts: &mut dyn Iterator<Item = &str>| texts.map(|text| width(text, LETTERS)).fold(0.0, f64::max);
    let left = widest(&mut calendar.periods.iter().map(|period| period.name.as_str())) + 10.0;
    let room = (paper - left - widest(&mut values.iter().map(String::as_str)) * BOLD - 10.0).max(60.0);
    let height = calendar.periods.iter().fold(HEAD, |height, _| height + ROW);
    write(
        text,
        format_args!(
            "<svg class=\"plot {sheet}\" viewBox=\"0 0 {paper} {height:.0}\" role=\"img\"><title>Incidents in the calendar</title><desc>{}</desc>",
            Markup(calendar.about())
        ),
    );
    for (at, name) in calendar.ticks() {
        let x = left + at * room;
        write(
            text,
            format_args!(
                "<path class=\"grid\" d=\"M{x:.1} {HEAD}V{height:.0}\"/><text class=\"axis\" x=\"{x:.1}\" y=\"13\">{name}</text>"
            ),
        );
    }
    let mut y = HEAD;
    for (period, value) in calendar.periods.iter().zip(&values) {
        row(text, calendar, period, (left, y, room));
        let base = y + ROW / 2.0 + 4.5;
        let missed = calendar
            .report
            .target
            .is_some_and(|target| period.figures.availability.value.is_some_and(|value| value < target.availability));
        let name = fit(&period.name, LETTERS, left);
        write(
            text,
            format_args!(
                "<text x=\"0\" y=\"{base:.1}\">{}</text><text class=\"value{}\" x=\"{:.1}\" y=\"{base:.1}\">{}</text>",
                Markup(name),
                if missed { " missed" } else { "" },
                left + room + 8.0,
                Markup(value)
            ),
        );
        y += ROW;
    }
    text.push_str("</svg>");
}

fn row(text: &mut String, calendar: &Calendar<'_>, period: &Period, (left, y, room): (f64, f64, f64)) {
    let place = |at: Timestamp| left + calendar.place(period, at) * room;
    let (from, to) = (place(period.stretch.from), place(period.stretch.to));
    let bottom = y + ROW - (ROW - FULL) / 2.0;
    write(
        text,
        format_args!(
            "<rect class=\"observed\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{FULL}\"/>",
            bottom - FULL,
            (to - from).max(0.0)
        ),
    );
    for share in calendar.report.counted() {
        let Some(within) = share.stretch.meet(period.stretch) else { continue };
        let (from, to) = (place(within.from), place(within.to));
        let high = (FULL * share.lost).max(THINNEST);
        let wide = (to - from).max(THINNEST);
        write(
            text,
            format_args!(
                "<rect class=\"incident {}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{wide:.1}\" height=\"{high:.1}\"><title>{}: {}, {} lost</title></rect>",
                share.kind,
                from.min(left + room - wide),
                bottom - high,
                Markup(&share.title),
                span(share.seconds),
                part(share.lost)
            ),
        );
    }
}
