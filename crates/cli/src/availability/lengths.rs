//! How long simulated outages are, as SVG: a column for each range of lengths, on a scale on which ten times as long is always the
//! same step.
//!
//! ```text
//!                 half ┊      ┊ 90 %
//!                  ▃▅█▇┊▅▃▂   ┊
//!            ▁▂▂▃▅▇████┊████▇▅┊▃▂▁
//!        ───┴─────┴─────┴─────┴─────┴──
//!          10 s  1 min 10 min 1 h  10 h
//! ```

use assess::availability::simulate::{Bin, Lengths};
use model::figures::{part, span};

use crate::paper::{
    Markup, SHEETS, Sheet,
    lettering::{BOLD, fit, width},
    write,
};

const LETTERS: f64 = 12.0;
/// The height of the highest column.
const HIGH: f64 = 130.0;
/// A line of words above the columns, one for each mark; and the room for lengths below them.
const LINE: f64 = 16.0;
const FOOT: f64 = 22.0;
/// Lengths that have a name, in seconds, with room between each two of them.
const NAMED: [f64; 13] = [
    1e-3,
    1e-2,
    0.1,
    1.0,
    10.0,
    60.0,
    600.0,
    3600.0,
    36_000.0,
    86_400.0 * 4.0,
    86_400.0 * 30.0,
    86_400.0 * 365.0,
    86_400.0 * 3650.0,
];

/// The drawing for every sheet. `rto` is the longest time, in seconds, until a failed workload should work again.
pub(super) fn drawing(lengths: &Lengths, rto: Option<f64>) -> String {
    let mut marks = vec![
        (lengths.p50, format!("half are over after {}", span(lengths.p50))),
        (lengths.p90, format!("90 % after {}", span(lengths.p90))),
        (lengths.p99, format!("99 % after {}", span(lengths.p99))),
    ];
    marks.extend(rto.map(|rto| (rto, format!("the RTO is {}", span(rto)))));
    let mut text = "<figure>".to_owned();
    for (sheet, paper) in SHEETS {
        draw(&mut text, sheet, paper, &lengths.histogram, &marks);
    }
    text.push_str("</figure>\n");
    text
}

/// From lengths to places between the left and the right end.
#[derive(Debug, Clone, Copy)]
struct Scale {
    ends: (f64, f64),
    left: f64,
    room: f64,
    /// Where the columns stand.
    bottom: f64,
}

impl Scale {
    fn place(self, seconds: f64) -> f64 {
        let (low, high) = (self.ends.0.ln(), self.ends.1.ln());
        self.left + ((seconds.max(f64::MIN_POSITIVE).ln() - low) / (high - low)).clamp(0.0, 1.0) * self.room
    }
}

fn draw(text: &mut String, sheet: Sheet, paper: f64, bins: &[Bin], marks: &[(f64, String)]) {
    let (Some(first), Some(last)) = (bins.first(), bins.last()) else { return };
    let bottom = marks.iter().fold(6.0, |head, _| head + LINE) + HIGH;
    // Half a word hangs over at either end.
    let scale = Scale { ends: (first.from, last.to), left: 24.0, room: paper - 48.0, bottom };
    let said: Vec<&str> = marks.iter().map(|(_, words)| words.as_str()).collect();
    write(
        text,
        format_args!(
            "<svg class=\"plot {sheet}\" viewBox=\"0 0 {paper} {:.0}\" role=\"img\"><title>How long outages are</title><desc>Of the outages {}.</desc>",
            bottom + FOOT,
            Markup(said.join("; "))
        ),
    );
    columns(text, bins, scale);
    axis(text, paper, scale);
    self::marks(text, paper, marks, scale);
    text.push_str("</svg>");
}

fn columns(text: &mut String, bins: &[Bin], scale: Scale) {
    let most = bins.iter().map(|bin| bin.outages).max().unwrap_or_default().max(1);
    let all = bins.iter().map(|bin| bin.outages).sum::<u64>().max(1);
    for bin in bins.iter().filter(|bin| bin.outages > 0) {
        let (from, to) = (scale.place(bin.from), scale.place(bin.to));
        // A single outage among millions is seen.
        let tall = (bin.outages as f64 / most as f64 * HIGH).max(1.0);
        write(
            text,
            format_args!(
                "<rect class=\"bar\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\"><title>{} to {}: {} of the outages</title></rect>",
                scale.bottom - tall,
                (to - from - 1.0).max(1.0),
                span(bin.from),
                span(bin.to),
                part(bin.outages as f64 / all as f64)
            ),
        );
    }
}

fn axis(text: &mut String, paper: f64, scale: Scale) {
    let Scale { ends, left, room, bottom } = scale;
    write(text, format_args!("<path class=\"tick\" d=\"M{left} {bottom:.1}H{:.1}\"/>", left + room));
    let mut free = 0.0;
    for named in NAMED.into_iter().filter(|named| (ends.0..=ends.1).contains(named)) {
        let (x, words) = (scale.place(named), span(named));
        let (half, y) = (width(&words, LETTERS) / 2.0, bottom + 17.0);
        write(text, format_args!("<path class=\"tick\" d=\"M{x:.1} {bottom:.1}v4\"/>"));
        if x - half > free && x + half < paper {
            write(
                text,
                format_args!("<text class=\"axis\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{words}</text>"),
            );
            free = x + half + 8.0;
        }
    }
}

/// A line for each mark, from its words down to the axis.
fn marks(text: &mut String, paper: f64, marks: &[(f64, String)], scale: Scale) {
    let levels = std::iter::successors(Some(LINE), |y| Some(y + LINE));
    let lines: Vec<(f64, f64)> = levels.zip(marks).map(|(y, (seconds, _))| (scale.place(*seconds), y)).collect();
    // All lines lie behind all words.
    for (x, y) in &lines {
        write(text, format_args!("<path class=\"limit\" d=\"M{x:.1} {:.1}V{:.1}\"/>", y - 10.0, scale.bottom));
    }
    for ((x, y), (_, words)) in lines.into_iter().zip(marks) {
        // On the side on which there is more room.
        let (anchor, at, room) =
            if x > paper / 2.0 { ("end", x - 6.0, x - 6.0) } else { ("start", x + 6.0, paper - x - 6.0) };
        let words = fit(words, LETTERS * BOLD, room);
        write(
            text,
            format_args!(
                "<text class=\"value\" x=\"{at:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
                Markup(words)
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paper::well_formed::flaw;

    #[test]
    fn columns_stand_beside_each_other_within_the_sheet() {
        let bin = |from: f64, outages| Bin { from, to: from * 10.0, outages };
        let lengths = Lengths {
            p50: 120.0,
            p90: 4000.0,
            p99: 9000.0,
            longest: 90_000.0,
            histogram: vec![bin(10.0, 5), bin(100.0, 100), bin(1000.0, 0), bin(10_000.0, 1)],
        };
        let svg = drawing(&lengths, Some(1800.0));
        assert_eq!(flaw(&svg), None, "{svg}");
        assert_eq!(svg.matches("<rect class=\"bar\"").count(), 3 * SHEETS.len());
        for part in ["half are over after 2 min", "the RTO is 30 min", "94.3 % of the outages", ">10 min</text>"] {
            assert!(svg.contains(part), "no {part} in {svg}");
        }
    }
}
