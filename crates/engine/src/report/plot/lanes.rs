//! Lanes: what was in effect when, one lane for each action.

use std::fmt::{self, Formatter};

use super::{
    Frame, Paper,
    draw::{Axes, Px, fitted, text_width},
};
use crate::report::escape::Markup;

/// The height of one lane: its name, its bar, and air.
const LANE: f64 = 34.0;
/// A bar is never narrower, so that what is over at once can be seen.
const LEAST_BAR: f64 = 4.0;

/// What was in effect when.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lanes {
    /// What there is to see, in a sentence, for those who cannot see it.
    pub(crate) about: String,
    /// The lanes from top to bottom.
    pub(crate) lanes: Vec<Lane>,
    /// What the plots of a page have in common.
    pub(crate) frame: Frame,
}

/// One lane.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lane {
    /// Its name.
    pub(crate) label: String,
    /// When it was in effect: first and last second, and on what.
    pub(crate) bars: Vec<(f64, f64, String)>,
}

impl Lanes {
    /// The drawing, as an `<svg>` element.
    pub(crate) const fn draw(&self, paper: Paper) -> Drawn<'_> {
        Drawn { lanes: self, paper }
    }
}

/// Lanes on a paper.
#[derive(Debug)]
pub(crate) struct Drawn<'a> {
    lanes: &'a Lanes,
    paper: Paper,
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { lanes, paper } = self;
        let count = u32::try_from(lanes.lanes.len()).unwrap_or(u32::MAX);
        let axes = Axes::new(&lanes.frame, paper.width, f64::from(count) * LANE + 6.0);
        write!(
            f,
            r#"<svg class="plot {}" viewBox="0 0 {} {}" role="img" aria-label="{}">"#,
            paper.class,
            Px(paper.width),
            Px(axes.paper_height()),
            Markup(&lanes.about)
        )?;
        axes.windows(f, &lanes.frame)?;
        write!(f, r#"<path class="grid" d="M{} {}H{}"/>"#, Px(axes.left), Px(axes.bottom), Px(axes.right))?;
        axes.times(f, paper.time_ticks)?;
        axes.marks(f, &lanes.frame.marks)?;
        for (number, lane) in (0_u32..).zip(&lanes.lanes) {
            let top = axes.top + 4.0 + f64::from(number) * LANE;
            let begins = lane.bars.iter().map(|bar| axes.time.place(bar.0)).fold(axes.right, f64::min);
            let label = fitted(&lane.label, paper.width - axes.left - 4.0);
            // The name begins where its bar does, unless it would leave the paper.
            let x = begins.min(paper.width - 4.0 - text_width(&label)).max(axes.left);
            write!(f, r#"<text class="lane" x="{}" y="{}">{}</text>"#, Px(x), Px(top + 12.0), Markup(&label))?;
            for (from, to, what) in &lane.bars {
                let (from, to) = (axes.time.place(*from), axes.time.place(*to));
                write!(
                    f,
                    r#"<rect class="effect" x="{}" y="{}" width="{}" height="9" rx="2"><title>{}</title></rect>"#,
                    Px(from.min(axes.right - LEAST_BAR)),
                    Px(top + 17.0),
                    Px((to - from).max(LEAST_BAR)),
                    Markup(what)
                )?;
            }
        }
        f.write_str("</svg>")
    }
}
