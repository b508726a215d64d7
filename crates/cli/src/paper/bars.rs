//! Lengths side by side, drawn as SVG.
//!
//! ```text
//!   payment   ████████████████████████|███████  4 h 23 min      a mark stands for a limit
//!   database  ██████████                        1 h 12 min
//! ```
//!
//! Drawn for every sheet.

use std::fmt::{self, Display, Formatter};

use super::{
    Markup, SHEETS, Sheet,
    lettering::{BOLD, fit, width},
};

/// Letters, in CSS pixels at the size the page shows the drawing.
const LETTERS: f64 = 12.5;
/// From one bar to the next.
const ROW: f64 = 26.0;
/// The height of a bar.
const THICK: f64 = 14.0;
/// Room between a bar and its words.
const GAP: f64 = 8.0;

/// How a bar is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shade {
    /// As bars usually are.
    Plain,
    /// What is allowed or aimed at.
    Aim,
    /// Too much.
    Bad,
    /// What would be.
    Other,
}

impl Shade {
    const fn class(self) -> &'static str {
        match self {
            Self::Plain => "bar",
            Self::Aim => "bar aim",
            Self::Bad => "bar bad",
            Self::Other => "bar other",
        }
    }
}

/// One bar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bar {
    /// What it is the length of.
    pub(crate) label: String,
    /// Its length; below zero it is drawn as nothing.
    pub(crate) value: f64,
    /// Its length in words.
    pub(crate) text: String,
    /// How it is painted.
    pub(crate) shade: Shade,
}

/// Bars below each other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bars {
    /// What is shown, in a few words.
    pub(crate) title: String,
    /// What there is to see, in a sentence, for those who cannot see it.
    pub(crate) about: String,
    /// The bars.
    pub(crate) bars: Vec<Bar>,
    /// A limit across all of them, and what it is.
    pub(crate) mark: Option<(f64, String)>,
}

impl Display for Bars {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("<figure>")?;
        SHEETS.into_iter().try_for_each(|(sheet, width)| self.draw(f, sheet, width))?;
        f.write_str("</figure>\n")
    }
}

impl Bars {
    fn draw(&self, f: &mut Formatter<'_>, sheet: Sheet, paper: f64) -> fmt::Result {
        let widest = |texts: &mut dyn Iterator<Item = f64>| texts.fold(0.0, f64::max);
        let label = widest(&mut self.bars.iter().map(|bar| width(&bar.label, LETTERS))).min(paper * 0.4);
        let text = widest(&mut self.bars.iter().map(|bar| width(&bar.text, LETTERS * BOLD))).min(paper * 0.4);
        let (left, room) = (label + GAP, paper - label - text - 2.0 * GAP);
        let marked = self.mark.iter().map(|(at, _)| *at);
        let most = widest(&mut self.bars.iter().map(|bar| bar.value).chain(marked));
        let scale = |value: f64| if most > 0.0 { (value.max(0.0) / most).min(1.0) * room } else { 0.0 };
        let head = if self.mark.is_some() { 22.0 } else { 4.0 };
        let height = self.bars.iter().fold(head, |height, _| height + ROW);
        write!(
            f,
            "<svg class=\"plot {sheet}\" viewBox=\"0 0 {paper} {height:.0}\" role=\"img\"><title>{}</title><desc>{}</desc>",
            Markup(&self.title),
            Markup(&self.about)
        )?;
        let rows = || std::iter::successors(Some(head), |y| Some(y + ROW)).zip(&self.bars);
        for (y, bar) in rows() {
            // What is there at all is seen.
            let long = if bar.value > 0.0 { scale(bar.value).max(1.5) } else { 0.0 };
            write!(
                f,
                "<rect class=\"{}\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{long:.1}\" height=\"{THICK}\" rx=\"2\"><title>{}: {}</title></rect>",
                bar.shade.class(),
                y + (ROW - THICK) / 2.0,
                Markup(&bar.label),
                Markup(&bar.text),
            )?;
        }
        if let Some((at, what)) = &self.mark {
            let x = left + scale(*at);
            // The words stand on the side on which there is more room.
            let (anchor, shift) = if x > paper / 2.0 { ("end", -5.0) } else { ("start", 5.0) };
            let most = if x > paper / 2.0 { x - 5.0 } else { paper - x - 5.0 };
            write!(
                f,
                "<path class=\"limit\" d=\"M{x:.1} 4V{height:.0}\"/><text class=\"axis\" x=\"{:.1}\" y=\"14\" text-anchor=\"{anchor}\">{}</text>",
                x + shift,
                Markup(fit(what, LETTERS, most))
            )?;
        }
        // Over bars and limit, which may end or pass where they stand.
        for (y, bar) in rows() {
            let base = y + ROW / 2.0 + 4.5;
            write!(
                f,
                "<text x=\"{label:.1}\" y=\"{base:.1}\" text-anchor=\"end\">{}</text><text class=\"value\" x=\"{:.1}\" y=\"{base:.1}\">{}</text>",
                Markup(fit(&bar.label, LETTERS, label)),
                left + scale(bar.value) + GAP,
                Markup(fit(&bar.text, LETTERS * BOLD, text))
            )?;
        }
        f.write_str("</svg>")
    }
}

#[cfg(test)]
mod tests {
    use super::{super::well_formed::flaw, *};

    #[test]
    fn bars_are_well_formed_and_within_the_paper_whatever_their_values_are() {
        let bar = |value| Bar {
            label: "<a name that is far too long for any drawing of a report & more>".repeat(3),
            value,
            text: "12 d 23 h of downtime".to_owned(),
            shade: Shade::Plain,
        };
        for values in [vec![], vec![0.0], vec![1.0, -3.0, 1e300], vec![f64::NAN, 2.0]] {
            let bars = Bars {
                title: "<t>".to_owned(),
                about: String::new(),
                bars: values.into_iter().map(bar).collect(),
                mark: Some((0.5, "allowed".to_owned())),
            };
            let svg = bars.to_string();
            assert_eq!(flaw(&svg), None, "{svg}");
            for value in svg.split(" width=\"").skip(1) {
                let value: f64 = value.split('"').next().unwrap().parse().unwrap();
                assert!((0.0..=960.0).contains(&value), "{value}");
            }
        }
    }
}
