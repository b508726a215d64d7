//! The drawing of one [`Plot`].

use std::fmt::{self, Formatter};

use model::metric::Unit;
use unicode_width::UnicodeWidthStr as _;

use super::{
    Frame, Limit, Mark, Paper, Plot, Shape, Trace,
    scale::{Notation, Scale, clock_face, nice_top, ticks, time_ticks},
    thin::{Point, thin},
};
use crate::report::escape::Markup;

/// Room above the traces: the names of the windows, and the numbers of the marks.
const HEAD: f64 = 44.0;
/// Room below them: the times.
const FOOT: f64 = 24.0;
/// The width of one character of the labels at 12 px, on average over the fonts a browser may choose.
const CHARACTER: f64 = 6.6;
/// How much wider bold labels are.
const BOLD: f64 = 1.16;
/// The least distance between the middles of two labels that stand one above the other.
const LINE: f64 = 14.0;
/// Value ticks, at most.
const VALUE_TICKS: u32 = 5;
/// A limit further above the data than this is not drawn to scale: the traces would be a line along the bottom.
const LIMIT_IN_SIGHT: f64 = 4.0;

/// A plot on a paper; prints as an `<svg>` element.
#[derive(Debug)]
pub(crate) struct Drawing<'a> {
    plot: &'a Plot,
    paper: Paper,
}

impl<'a> Drawing<'a> {
    pub(super) const fn new(plot: &'a Plot, paper: Paper) -> Self {
        Self { plot, paper }
    }
}

/// A coordinate: a tenth of a pixel is finer than any screen shows.
pub(super) struct Px(pub(super) f64);

impl fmt::Display for Px {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // A drawing never contains `NaN` or `inf`, whatever was measured.
        let tenths = if self.0.is_finite() { (self.0 * 10.0).round() / 10.0 + 0.0 } else { 0.0 };
        write!(f, "{tenths}")
    }
}

/// The axes of one drawing.
pub(super) struct Axes {
    pub(super) time: Scale,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    paper_width: f64,
}

impl Axes {
    pub(super) fn new(frame: &Frame, width: f64, height: f64) -> Self {
        // However long a name is, most of the paper is for the traces.
        let (left, right) = (frame.margins.0.min(width * 0.25), width - frame.margins.1.min(width * 0.3));
        let time = Scale::new(frame.span.0, frame.span.1, (left, right));
        Self { time, left, right, top: HEAD, bottom: HEAD + height, paper_width: width }
    }

    /// The height of the whole paper.
    pub(super) fn paper_height(&self) -> f64 {
        self.bottom + FOOT
    }

    /// The windows: names in the head, boundaries and the shade of the fault window behind the traces.
    pub(super) fn windows(&self, f: &mut Formatter<'_>, frame: &Frame) -> fmt::Result {
        for stretch in &frame.stretches {
            let (from, to) = (self.time.place(stretch.span.0), self.time.place(stretch.span.1));
            if stretch.fault {
                let (x, y, width, height) = (Px(from), Px(self.top), Px(to - from), Px(self.bottom - self.top));
                write!(f, r#"<rect class="shade" x="{x}" y="{y}" width="{width}" height="{height}"/>"#)?;
            }
            let class = if stretch.fault { "strip fault" } else { "strip" };
            write!(
                f,
                r#"<g class="{class}"><rect x="{}" y="0" width="{}" height="18" rx="2"/>"#,
                Px(from + 0.5),
                Px((to - from - 1.0).max(0.0))
            )?;
            if to - from > text_width(&stretch.label) + 8.0 {
                write!(
                    f,
                    r#"<text x="{}" y="13" text-anchor="middle">{}</text>"#,
                    Px(f64::midpoint(from, to)),
                    Markup(&stretch.label)
                )?;
            }
            write!(f, "<title>{}</title></g>", Markup(&stretch.label))?;
            if from > self.left + 1.0 {
                write!(f, r#"<path class="boundary" d="M{} {}V{}"/>"#, Px(from), Px(18.0), Px(self.bottom))?;
            }
        }
        Ok(())
    }

    /// The times below.
    pub(super) fn times(&self, f: &mut Formatter<'_>, most: u32) -> fmt::Result {
        let (low, high) = self.time.values();
        for tick in time_ticks(low, high, most) {
            let x = self.time.place(tick);
            write!(f, r#"<path class="tick" d="M{} {}v4"/>"#, Px(x), Px(self.bottom))?;
            // The label of a tick at the very edge would be cut off.
            let anchor = if x > self.right - 12.0 { "end" } else { "middle" };
            write!(
                f,
                r#"<text class="axis" x="{}" y="{}" text-anchor="{anchor}">{}</text>"#,
                Px(x),
                Px(self.bottom + 17.0),
                clock_face(tick, high - low)
            )?;
        }
        Ok(())
    }

    /// Numbers of what happened, with a line down through the traces. Neighbours that would overlap share a badge.
    pub(super) fn marks(&self, f: &mut Formatter<'_>, marks: &[Mark]) -> fmt::Result {
        let mut rest = marks;
        while let Some(first) = rest.first() {
            let x = self.time.place(first.at);
            let together = rest.iter().take_while(|mark| self.time.place(mark.at) < x + 27.0).count();
            let (badge, later) = rest.split_at(together);
            rest = later;
            let label = match badge {
                [one] => one.number.to_string(),
                [.., last] => format!("{}–{}", first.number, last.number),
                [] => String::new(),
            };
            let half = (text_width(&label) / 2.0 + 4.0).max(8.0);
            let middle = x.clamp(self.left + half, (self.right - half).max(self.left + half));
            f.write_str(r#"<g class="mark">"#)?;
            for mark in badge {
                write!(f, r#"<path d="M{} {}V{}"/>"#, Px(self.time.place(mark.at)), Px(self.top), Px(self.bottom))?;
            }
            write!(
                f,
                r#"<rect x="{}" y="23" width="{}" height="16" rx="8"/><text x="{}" y="35" text-anchor="middle">{label}</text><title>"#,
                Px(middle - half),
                Px(half * 2.0),
                Px(middle)
            )?;
            for mark in badge {
                writeln!(f, "{}  {}", mark.number, Markup(&mark.text))?;
            }
            f.write_str("</title></g>")?;
        }
        Ok(())
    }
}

/// About how wide a text is; ideographs count twice.
pub(super) fn text_width(text: &str) -> f64 {
    f64::from(u32::try_from(text.width()).unwrap_or(u32::MAX)) * CHARACTER
}

/// The value axis of a plot: its limits that are in sight, its top, its ticks, and how they are written.
struct ValueAxis<'a> {
    limits: Vec<&'a Limit>,
    top: f64,
    ticks: Vec<f64>,
    notation: Notation,
}

impl<'a> ValueAxis<'a> {
    fn of(plot: &'a Plot) -> Self {
        let values = plot.traces.iter().flat_map(|trace| &trace.points).filter_map(|point| point.value);
        let highest = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        let in_sight =
            |limit: &&Limit| limit.value.is_finite() && (highest <= 0.0 || limit.value <= highest * LIMIT_IN_SIGHT);
        let limits: Vec<_> = plot.limits.iter().filter(in_sight).collect();
        // Nice numbers of the unit that is written: 512 MiB, not 500,000,000 B.
        let grain = Notation::grain(plot.unit, highest);
        let highest = limits.iter().map(|limit| limit.value).fold(highest, f64::max);
        let top = nice_top(highest / grain, VALUE_TICKS) * grain;
        let ticks: Vec<f64> = match plot.unit {
            // There is no half instance.
            Unit::Count if top < f64::from(VALUE_TICKS) => {
                ticks(0.0, top.ceil(), 6).into_iter().filter(|tick| tick.fract() == 0.0).collect()
            }
            _ => ticks(0.0, top / grain, VALUE_TICKS + 1).into_iter().map(|tick| tick * grain).collect(),
        };
        let notation = Notation::of(plot.unit, &ticks);
        Self { limits, top, ticks, notation }
    }
}

/// See [`Plot::margins`].
pub(super) fn margins(plot: &Plot) -> (f64, f64) {
    let axis = ValueAxis::of(plot);
    let ticks = axis.ticks.iter().map(|tick| text_width(&axis.notation.write(*tick))).fold(0.0, f64::max);
    let names = plot.traces.iter().map(|trace| text_width(&trace.label) * BOLD).fold(0.0, f64::max);
    (ticks + 12.0, names + 12.0)
}

/// A text that is at most this wide, with an ellipsis where some of it is left out.
pub(super) fn fitted(text: &str, width: f64) -> String {
    if text_width(text) <= width {
        return text.to_owned();
    }
    let mut used = CHARACTER;
    let kept = text.chars().take_while(|character| {
        used += text_width(character.encode_utf8(&mut [0; 4]));
        used <= width
    });
    kept.chain(std::iter::once('…')).collect()
}

impl fmt::Display for Drawing<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { plot, paper } = self;
        let axis = ValueAxis::of(plot);
        let traces: Vec<(&Trace, Vec<Point>)> =
            plot.traces.iter().map(|trace| (trace, thin(&measured(&trace.points), paper.points))).collect();
        let axes = Axes::new(&plot.frame, paper.width, paper.height);
        let values = Scale::new(0.0, axis.top, (axes.bottom, axes.top));

        write!(
            f,
            r#"<svg class="plot {}" viewBox="0 0 {} {}" role="img" aria-label="{}">"#,
            paper.class,
            Px(paper.width),
            Px(axes.paper_height()),
            Markup(&plot.about)
        )?;
        axes.windows(f, &plot.frame)?;
        for tick in &axis.ticks {
            let y = values.place(*tick);
            write!(f, r#"<path class="grid" d="M{} {}H{}"/>"#, Px(axes.left), Px(y), Px(axes.right))?;
            write!(
                f,
                r#"<text class="axis" x="{}" y="{}" text-anchor="end">{}</text>"#,
                Px(axes.left - 7.0),
                Px(y + 4.0),
                axis.notation.write(*tick)
            )?;
        }
        axes.times(f, paper.time_ticks)?;
        axes.marks(f, &plot.frame.marks)?;
        for (trace, points) in &traces {
            draw_trace(f, trace, points, &axes, &values)?;
        }
        for limit in axis.limits {
            draw_limit(f, limit, &axes, &values)?;
        }
        for (trace, points) in traces.iter().filter(|(trace, _)| trace.peak) {
            draw_peak(f, trace, points, &axes, &values, axis.notation)?;
        }
        draw_names(f, &traces, &axes, &values)?;
        f.write_str("</svg>")
    }
}

/// The points without values that are no numbers: those are gaps.
fn measured(points: &[Point]) -> Vec<Point> {
    points
        .iter()
        .filter(|point| point.at.is_finite())
        .map(|point| Point { at: point.at, value: point.value.filter(|value| value.is_finite()) })
        .collect()
}

fn draw_trace(f: &mut Formatter<'_>, trace: &Trace, points: &[Point], axes: &Axes, values: &Scale) -> fmt::Result {
    let shape = if trace.shape == Shape::Bars { "bars" } else { "line" };
    write!(f, r#"<path class="{shape} s{}" d=""#, trace.style)?;
    let half = bar_width(points, axes) / 2.0;
    let mut open = false;
    let mut at_height = 0.0;
    for point in points {
        let Some(value) = point.value else {
            open = false;
            continue;
        };
        let (x, y) = (axes.time.place(point.at), values.place(value));
        match trace.shape {
            // A bar of nothing is not drawn; the zero line is there already.
            Shape::Bars if value > 0.0 => {
                write!(f, "M{} {}V{}H{}V{}Z", Px(x - half), Px(axes.bottom), Px(y), Px(x + half), Px(axes.bottom))?;
            }
            Shape::Bars => {}
            // The `h0` makes a value between two gaps a visible dot.
            Shape::Line | Shape::Step if !open => write!(f, "M{} {}h0", Px(x), Px(y))?,
            Shape::Line => write!(f, "L{} {}", Px(x), Px(y))?,
            Shape::Step if y == at_height => write!(f, "H{}", Px(x))?,
            Shape::Step => write!(f, "H{}V{}", Px(x), Px(y))?,
        }
        open = true;
        at_height = y;
    }
    write!(f, r#""><title>{}</title></path>"#, Markup(&trace.label))
}

/// Bars nearly touch where the samples are dense and stay visible where they are not.
fn bar_width(points: &[Point], axes: &Axes) -> f64 {
    let closest = points
        .windows(2)
        .map(|pair| axes.time.place(pair[1].at) - axes.time.place(pair[0].at))
        .filter(|distance| *distance > 0.0)
        .fold(f64::MAX, f64::min);
    (closest * 0.8).clamp(1.5, 12.0)
}

fn draw_limit(f: &mut Formatter<'_>, limit: &Limit, axes: &Axes, values: &Scale) -> fmt::Result {
    let (from, to, y) = (axes.time.place(limit.span.0), axes.time.place(limit.span.1), values.place(limit.value));
    write!(f, r#"<path class="limit" d="M{} {}H{}"/>"#, Px(from), Px(y), Px(to))?;
    // Above the line, unless that is where the marks are; beginning where the line begins, unless it would leave the paper.
    let baseline = if y - LINE < axes.top { y + LINE - 2.0 } else { y - 5.0 };
    let (x, anchor) = if from + text_width(&limit.label) + 6.0 > axes.right {
        (axes.right - 4.0, "end")
    } else {
        (from + 4.0, "start")
    };
    write!(
        f,
        r#"<text class="limit" x="{}" y="{}" text-anchor="{anchor}">{}</text>"#,
        Px(x),
        Px(baseline),
        Markup(&limit.label)
    )
}

/// The highest point, with its value.
fn draw_peak(
    f: &mut Formatter<'_>,
    trace: &Trace,
    points: &[Point],
    axes: &Axes,
    values: &Scale,
    notation: Notation,
) -> fmt::Result {
    let highest = points
        .iter()
        .filter_map(|point| point.value.map(|value| (point.at, value)))
        .max_by(|one, other| one.1.total_cmp(&other.1));
    let Some((at, value)) = highest else { return Ok(()) };
    let label = notation.finer(value);
    let (x, y) = (axes.time.place(at), values.place(value));
    let (beside, anchor) =
        if x + text_width(&label) + 8.0 > axes.right { (x - 7.0, "end") } else { (x + 7.0, "start") };
    write!(f, r#"<circle class="peak s{}" cx="{}" cy="{}" r="3"/>"#, trace.style, Px(x), Px(y))?;
    write!(
        f,
        r#"<text class="peak" x="{}" y="{}" text-anchor="{anchor}">{label}</text>"#,
        Px(beside),
        Px((y - 1.0).max(axes.top + 10.0))
    )
}

/// The traces' names beside their last values, moved apart where they would overlap.
fn draw_names(f: &mut Formatter<'_>, traces: &[(&Trace, Vec<Point>)], axes: &Axes, values: &Scale) -> fmt::Result {
    let mut names: Vec<(f64, &Trace)> = traces
        .iter()
        .map(|(trace, points)| {
            (points.iter().rev().find_map(|point| point.value).map_or(axes.bottom, |value| values.place(value)), *trace)
        })
        .collect();
    names.sort_by(|one, other| one.0.total_cmp(&other.0));
    // From the top each label pushes the next down; then from the bottom back up into the paper.
    let mut least = axes.top + 4.0;
    for (y, _) in &mut names {
        *y = y.max(least);
        least = *y + LINE;
    }
    let mut most = axes.bottom;
    let room = (axes.paper_width - axes.right - 8.0) / BOLD;
    for (y, trace) in names.iter_mut().rev() {
        *y = y.min(most);
        most = *y - LINE;
        write!(
            f,
            r#"<text class="name s{}" x="{}" y="{}">{}</text>"#,
            trace.style,
            Px(axes.right + 7.0),
            Px(*y + 4.0),
            Markup(fitted(&trace.label, room))
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use model::metric::Unit;
    use proptest::prelude::*;

    use super::*;
    use crate::report::plot::Stretch;

    fn plot(points: Vec<Point>, shape: Shape) -> Plot {
        Plot {
            title: "Latency".to_owned(),
            about: "p99 over \"time\" <b>".to_owned(),
            unit: Unit::Seconds,
            traces: vec![Trace { label: "p99".to_owned(), shape, style: 0, peak: true, points }],
            limits: vec![Limit { label: "<= 500 ms".to_owned(), value: 0.5, span: (10.0, 30.0) }],
            frame: Frame {
                span: (0.0, 30.0),
                stretches: vec![Stretch { label: "fault".to_owned(), span: (10.0, 20.0), fault: true }],
                marks: vec![Mark { at: 12.0, number: 1, text: "<i>terminated".to_owned() }],
                margins: (60.0, 40.0),
            },
        }
    }

    fn point(at: f64, value: impl Into<Option<f64>>) -> Point {
        Point { at, value: value.into() }
    }

    #[test]
    fn a_gap_interrupts_the_line() {
        let drawing = plot(vec![point(0.0, 0.1), point(5.0, 0.1), point(10.0, None), point(20.0, 0.1)], Shape::Line);
        let svg = drawing.draw(Paper::WIDE).to_string();
        let path = svg.split(r#"class="line s0" d=""#).nth(1).unwrap().split('"').next().unwrap();
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 1), "{path}");
    }

    #[test]
    fn a_gauge_is_drawn_in_steps_and_errors_in_bars() {
        let points = vec![point(0.0, 2.0), point(5.0, 1.0), point(10.0, 0.0)];
        let path = |shape| {
            let svg = plot(points.clone(), shape).draw(Paper::NARROW).to_string();
            svg.split(r#" s0" d=""#).nth(1).unwrap().split('"').next().unwrap().to_owned()
        };
        assert!(!path(Shape::Step).contains('L') && path(Shape::Step).matches('V').count() == 2);
        assert_eq!(path(Shape::Bars).matches('Z').count(), 2, "a bar of nothing is not drawn");
    }

    #[test]
    fn a_limit_far_above_the_data_does_not_flatten_it() {
        let svg = plot(vec![point(0.0, 0.01), point(10.0, 0.02)], Shape::Line).draw(Paper::WIDE).to_string();
        assert!(!svg.contains("class=\"limit\"") && svg.contains("20 ms"), "{svg}");
        let svg = plot(vec![point(0.0, 0.3)], Shape::Line).draw(Paper::WIDE).to_string();
        assert!(svg.contains("class=\"limit\"") && svg.contains("&lt;= 500 ms"), "{svg}");
    }

    #[test]
    fn text_from_outside_stays_text() {
        let svg = plot(Vec::new(), Shape::Line).draw(Paper::WIDE).to_string();
        assert!(!svg.contains("<b>") && !svg.contains("<i>"));
    }

    proptest! {
        #[test]
        fn every_number_in_a_drawing_is_finite(
            values in prop::collection::vec((any::<f64>(), prop::option::of(any::<f64>())), 0..50),
            limit in any::<f64>(),
            span in (any::<f64>(), any::<f64>()),
        ) {
            for shape in [Shape::Line, Shape::Step, Shape::Bars] {
                let mut plot = plot(values.iter().map(|(at, value)| point(*at, *value)).collect(), shape);
                plot.limits[0].value = limit;
                plot.frame.span = span;
                let svg = plot.draw(Paper::WIDE).to_string();
                for attribute in ["x=\"", "y=\"", "width=\"", "height=\"", "d=\"", "cx=\"", "cy=\"", "viewBox=\""] {
                    for value in svg.split(&format!(" {attribute}")).skip(1) {
                        let value = value.split('"').next().unwrap();
                        prop_assert!(!value.contains("NaN") && !value.contains("inf"), "{attribute}{value}");
                    }
                }
            }
        }
    }
}
