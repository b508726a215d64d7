//! Plots of series over time, drawn as SVG without any script.
//!
//! ```text
//!   baseline      fault                recovery          the windows; the fault window is shaded
//!                 (1)      (2)         (3)               what happened, by its number in the timeline
//!  500 ms ┤- - - - - - - - - - - - - - - - - - -         a clause, where it applies
//!         │        ╭╮
//!         │────────╯╰──────────────────────── p99        traces, named at their ends
//!       0 ┼────┬────┬────┬────┬────┬────┬────
//!         0 s  10 s 20 s 30 s 40 s 50 s 60 s
//! ```
//!
//! A plot is data ([`Plot`]); [`Plot::draw`] puts it on a [`Paper`]. A page carries every plot on two papers, for wide and for
//! narrow windows, because text in a scaled drawing shrinks with it.

mod draw;
mod lanes;
mod scale;
mod thin;

pub(crate) use self::{
    draw::Drawing,
    lanes::{Lane, Lanes},
    thin::{Point, thin},
};

use model::metric::Unit;

/// No drawing shows more points of a series than this: there are about as many pixels.
pub(crate) const MOST_POINTS: usize = 600;

/// Series over one stretch of time, with what explains them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plot {
    /// What is shown, in a few words.
    pub(crate) title: String,
    /// What there is to see, in a sentence, for those who cannot see it.
    pub(crate) about: String,
    /// The unit of all traces.
    pub(crate) unit: Unit,
    /// The series.
    pub(crate) traces: Vec<Trace>,
    /// Values that clauses demand.
    pub(crate) limits: Vec<Limit>,
    /// What the plots of a page have in common.
    pub(crate) frame: Frame,
}

/// What all plots of a page have in common: the time, its windows, and what happened.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Frame {
    /// First and last second shown.
    pub(crate) span: (f64, f64),
    /// The windows, in order.
    pub(crate) stretches: Vec<Stretch>,
    /// What happened, in order of time.
    pub(crate) marks: Vec<Mark>,
    /// Room left and right of the traces, the same for all plots of a page: what happens at one time stands below each other.
    pub(crate) margins: (f64, f64),
}

/// One series of a plot.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trace {
    /// Its name.
    pub(crate) label: String,
    /// How it is drawn.
    pub(crate) shape: Shape,
    /// Which of the page's line styles (colour and dashes), see `report.css`.
    pub(crate) style: usize,
    /// Whether its highest point is marked with its value.
    pub(crate) peak: bool,
    /// Its values in order of time.
    pub(crate) points: Vec<Point>,
}

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// From value to value: a quantity that changes gradually.
    Line,
    /// A level that stays until it changes: a gauge.
    Step,
    /// One bar for each value: counts of events.
    Bars,
}

/// A value that a clause demands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Limit {
    /// The clause: `p99 <= 500 ms`.
    pub(crate) label: String,
    /// The value, in the plot's unit.
    pub(crate) value: f64,
    /// The seconds between which it is demanded.
    pub(crate) span: (f64, f64),
}

/// A window of the run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stretch {
    /// Its name.
    pub(crate) label: String,
    /// Its first and last second.
    pub(crate) span: (f64, f64),
    /// Whether faults were in effect, which is shaded.
    pub(crate) fault: bool,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mark {
    /// When, in seconds.
    pub(crate) at: f64,
    /// Its number in the timeline.
    pub(crate) number: usize,
    /// What, in a sentence.
    pub(crate) text: String,
}

/// What a plot is drawn on. Sizes are in CSS pixels at the size the page shows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Paper {
    /// Its CSS class, by which the page shows one of the two.
    pub(crate) class: &'static str,
    /// Its width.
    pub(crate) width: f64,
    /// The height of the part where the traces are.
    pub(crate) height: f64,
    /// Ticks on the time axis, at most.
    pub(crate) time_ticks: u32,
    /// The most points of one trace.
    pub(crate) points: usize,
}

impl Paper {
    /// For windows of 760 px and more.
    pub(crate) const WIDE: Self =
        Self { class: "wide", width: 960.0, height: 190.0, time_ticks: 11, points: MOST_POINTS };
    /// For phones.
    pub(crate) const NARROW: Self =
        Self { class: "narrow", width: 400.0, height: 170.0, time_ticks: 6, points: MOST_POINTS / 2 };
}

impl Plot {
    /// The room this plot needs left and right of its traces: for the values and for the traces' names.
    pub(crate) fn margins(&self) -> (f64, f64) {
        draw::margins(self)
    }

    /// The drawing, as an `<svg>` element.
    pub(crate) const fn draw(&self, paper: Paper) -> Drawing<'_> {
        Drawing::new(self, paper)
    }
}
