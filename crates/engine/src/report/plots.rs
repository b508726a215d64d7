//! Which plots a record deserves.

use model::{
    event::Event,
    metric::{MetricKind, Unit},
    moment::Moment,
    verdict::Window,
};

use super::{
    plot::{Frame, Lane, Lanes, Limit, Mark, Plot, Point, Shape, Stretch, Trace},
    sentence::{is_landmark, sentence},
};
use crate::record::{Claim, ClauseResult, Record, Series};

/// A trace has one of this many styles; plots with more traces start again from the first.
const STYLES: usize = 6;

/// The events that plots mark, in order of time; the first has number 1.
pub(crate) fn landmarks(record: &Record) -> Vec<&Event> {
    record.events.iter().filter(|event| is_landmark(event, record.times.first_injection)).collect()
}

/// The time, the windows and the landmarks of a record, without margins. The time starts with the first window: what came before is the
/// lab coming up.
fn frame(record: &Record) -> Frame {
    let from = record.windows.first().map_or(Moment::ZERO, |window| window.from).as_secs_f64();
    let to = record.windows.last().map_or(record.ended, |window| window.to.max(record.ended)).as_secs_f64();
    let stretches = record
        .windows
        .iter()
        .map(|span| Stretch {
            label: span.window.to_string(),
            span: (span.from.as_secs_f64(), span.to.as_secs_f64()),
            fault: span.window == Window::Fault,
        })
        .collect();
    let marks = (1..)
        .zip(landmarks(record))
        .map(|(number, event)| Mark {
            at: event.at.as_secs_f64(),
            number,
            text: format!("{} {}", event.at, sentence(&event.what)),
        })
        .collect();
    Frame { span: (from, to), stretches, marks, margins: (0.0, 0.0) }
}

/// All pictures of a record, above each other on one time axis.
pub(crate) struct Pictures {
    /// What was in effect when; none where nothing was injected.
    pub(crate) lanes: Option<Lanes>,
    /// The series, most telling first.
    pub(crate) plots: Vec<Plot>,
}

/// Draws up the pictures of a record.
pub(crate) fn pictures(record: &Record) -> Pictures {
    let mut frame = frame(record);
    let mut plots = plots(record, &frame);
    let margins = plots.iter().map(Plot::margins);
    // Eight pixels, so that the first and last label of the time axis are not cut off where there is no plot.
    frame.margins = margins.fold((8.0, 12.0), |most, one| (most.0.max(one.0), most.1.max(one.1)));
    for plot in &mut plots {
        plot.frame.margins = frame.margins;
    }
    Pictures { lanes: lanes(record, frame), plots }
}

/// What was in effect when, one lane for each action that injected something.
fn lanes(record: &Record, frame: Frame) -> Option<Lanes> {
    let mut lanes: Vec<Lane> = Vec::new();
    let mut about = vec!["When each fault was in effect.".to_owned()];
    for action in &record.actions {
        let mine: Vec<_> = record.injections.iter().filter(|injection| injection.action == action.name).collect();
        let Some(first) = mine.first() else { continue };
        let on = if mine.len() == 1 { first.resource.to_string() } else { format!("{} resources", mine.len()) };
        let bars: Vec<_> = mine
            .iter()
            .map(|injection| {
                let (from, to) = (injection.begun, injection.undone.unwrap_or(record.ended));
                (
                    from.as_secs_f64(),
                    to.as_secs_f64(),
                    format!("{} on {}: {}", injection.id, injection.resource, injection.fault),
                )
            })
            .collect();
        for (from, to, what) in &bars {
            about.push(format!("{what}, from {from:.1} s to {to:.1} s."));
        }
        lanes.push(Lane { label: format!("{}: {} on {on}", action.name, first.fault), bars });
    }
    (!lanes.is_empty()).then(|| Lanes { about: about.join(" "), lanes, frame })
}

fn plots(record: &Record, frame: &Frame) -> Vec<Plot> {
    let mut families: Vec<(Family, Vec<&Series>)> = Vec::new();
    for series in &record.series {
        let family = Family::of(series);
        match families.iter_mut().find(|(known, _)| *known == family) {
            Some((_, members)) => members.push(series),
            None => families.push((family, vec![series])),
        }
    }
    // Stable: within a rank the record's order stays.
    families.sort_by_key(|(family, _)| family.rank());
    families.into_iter().map(|(family, members)| plot(record, frame, &family, &members)).collect()
}

/// Series that belong into one plot.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Family {
    /// `http.latency.*`
    Latency,
    /// Requests and answers per second.
    Rate,
    /// `http.errors*`, counted.
    Errors,
    /// `group.*`: how many instances.
    Instances,
    /// Any other metric, of everything it is measured on.
    Other(String, Unit),
}

impl Family {
    fn of(series: &Series) -> Self {
        let name = series.metric.name.as_str();
        match (series.kind, series.unit) {
            (_, Unit::Seconds) if name.starts_with("http.latency") => Self::Latency,
            (MetricKind::Rate | MetricKind::Count, _) if matches!(name, "http.rate" | "http.requests") => Self::Rate,
            (MetricKind::Count, _) if name.starts_with("http.errors") => Self::Errors,
            (MetricKind::Gauge, Unit::Count) if name.starts_with("group.") => Self::Instances,
            (_, unit) => Self::Other(name.to_owned(), unit),
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Latency => 0,
            Self::Errors => 1,
            Self::Rate => 2,
            Self::Instances => 3,
            Self::Other(..) => 4,
        }
    }

    fn title(&self) -> String {
        match self {
            Self::Latency => "Response time".to_owned(),
            Self::Rate => "Requests per second".to_owned(),
            Self::Errors => "Failed requests per second".to_owned(),
            Self::Instances => "Instances".to_owned(),
            Self::Other(name, _) => name.clone(),
        }
    }

    /// What a series is called within its plot.
    fn label(&self, series: &Series) -> String {
        let name = series.metric.name.as_str();
        let of = series.metric.of.as_deref();
        match self {
            Self::Latency => name.trim_start_matches("http.latency.").to_owned(),
            Self::Rate => if name == "http.rate" { "answered" } else { "sent" }.to_owned(),
            Self::Errors => {
                if name == "http.errors" { "all" } else { name.trim_start_matches("http.errors.") }.to_owned()
            }
            Self::Instances => {
                let state = name.trim_start_matches("group.").replace('_', " ");
                of.map_or_else(|| state.clone(), |of| format!("{of} {state}"))
            }
            // A metric of the whole system is alone in its plot, which has its name.
            Self::Other(..) => of.unwrap_or_default().to_owned(),
        }
    }
}

fn plot(record: &Record, frame: &Frame, family: &Family, members: &[&Series]) -> Plot {
    // Counts of buckets become rates, so that the height of a line does not depend on the width of the buckets.
    let per_second = matches!(family, Family::Rate | Family::Errors);
    let unit = if per_second { Unit::PerSecond } else { members.first().map_or(Unit::Count, |series| series.unit) };
    let traces: Vec<Trace> = (0..)
        .zip(members)
        .map(|(number, series)| {
            let scale = if per_second && series.kind == MetricKind::Count { 1.0 / series.bucket_seconds } else { 1.0 };
            let shape = match series.kind {
                MetricKind::Gauge => Shape::Step,
                MetricKind::Count if *family != Family::Rate => Shape::Bars,
                _ => Shape::Line,
            };
            Trace {
                label: family.label(series),
                shape,
                style: style(family, series, number),
                peak: *family == Family::Latency && series.metric.name.ends_with("p99"),
                points: points(series, shape, scale, frame.span),
            }
        })
        .collect();
    let limits = record
        .clauses
        .iter()
        .filter(|clause| {
            members.iter().any(|series| series.metric == clause.metric && series.kind != MetricKind::Count)
        })
        .filter_map(|clause| limit(record, family, clause))
        .collect();
    let about = about(record, family, &traces, unit);
    Plot { title: family.title(), about, unit, traces, limits, frame: frame.clone() }
}

/// Failures look like failures in every report, and p99 like p99; the rest is numbered through.
fn style(family: &Family, series: &Series, number: usize) -> usize {
    match (family, series.metric.name.as_str()) {
        (Family::Latency, "http.latency.p99") | (Family::Rate, "http.rate") => 0,
        (Family::Latency, "http.latency.p50") => 1,
        (Family::Errors, _) => [4, 5, 2, 3][number % 4],
        // 0 and 1 are taken by the two above.
        (Family::Latency, _) => 2 + number % (STYLES - 2),
        _ => number % STYLES,
    }
}

/// The points of a series within the time shown, as its shape wants them.
fn points(series: &Series, shape: Shape, scale: f64, span: (f64, f64)) -> Vec<Point> {
    let point = |at: f64, value: f64| Point { at, value: Some(value * scale) };
    let all = series.points.iter().map(|one| (one.at.as_secs_f64(), one.value));
    if shape == Shape::Step {
        return held(all.map(|(at, value)| point(at, value)).collect(), span);
    }
    let bucket = series.bucket_seconds;
    // What is measured over a bucket is drawn in its middle.
    let mut points: Vec<Point> = all
        // The last bucket of a run is cut short; a rate over a fraction of a second says nothing.
        .filter(|(at, _)| series.kind != MetricKind::Rate || at + bucket <= span.1)
        .map(|(at, value)| point(at + bucket / 2.0, value))
        .filter(|one| (span.0..=span.1).contains(&one.at))
        .collect();
    if shape == Shape::Line {
        points = interrupted(points, bucket);
    }
    points
}

/// Levels: each holds until the next one, and the last one to the end. The one before the time shown is what it begins with.
fn held(mut changes: Vec<Point>, span: (f64, f64)) -> Vec<Point> {
    changes.retain(|change| change.at <= span.1);
    let before = changes.iter().rposition(|change| change.at <= span.0).unwrap_or(0);
    changes.drain(..before);
    if let Some(first) = changes.first_mut() {
        first.at = first.at.max(span.0);
    }
    if let Some(last) = changes.last().copied() {
        changes.push(Point { at: span.1, ..last });
    }
    changes
}

/// A line with a gap where samples are missing that are otherwise there.
fn interrupted(points: Vec<Point>, bucket: f64) -> Vec<Point> {
    let mut distances: Vec<f64> = points.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    distances.sort_by(f64::total_cmp);
    // Something asked every five seconds has one sample in five buckets, and no gap.
    let usual = distances.get(distances.len() / 2).copied().unwrap_or_default().max(bucket);
    let mut line: Vec<Point> = Vec::with_capacity(points.len());
    for point in points {
        // Half a bucket of tolerance, because buckets may be rounded.
        if let Some(last) = line.last().copied()
            && point.at - last.at > usual * 1.5
        {
            line.push(Point { at: last.at + usual / 2.0, value: None });
        }
        line.push(point);
    }
    line
}

/// A clause as a dashed line over the windows it speaks of.
fn limit(record: &Record, family: &Family, clause: &ClauseResult) -> Option<Limit> {
    let (first, last) = match clause.claim {
        Claim::SteadyState => (Window::Baseline, Window::Baseline),
        Claim::During => (Window::Fault, Window::Recovery),
        Claim::Recovery => (Window::Recovery, Window::Recovery),
    };
    let first = record.window(first)?;
    let last = record.window(last).unwrap_or(first);
    let name = match family {
        Family::Latency => clause.metric.name.trim_start_matches("http.latency.").to_owned(),
        _ => clause.metric.of.clone().unwrap_or_else(|| clause.metric.name.clone()),
    };
    Some(Limit {
        label: format!("{name} {}", clause.wanted),
        value: clause.wanted.quantity.value,
        span: (first.from.as_secs_f64(), last.to.as_secs_f64()),
    })
}

/// The plot in words: each trace's range in each window.
fn about(record: &Record, family: &Family, traces: &[Trace], unit: Unit) -> String {
    let mut about = vec![format!("{} over time.", family.title())];
    for trace in traces {
        let mut ranges = Vec::new();
        for span in &record.windows {
            let values = || {
                trace
                    .points
                    .iter()
                    .filter(|point| (span.from.as_secs_f64()..span.to.as_secs_f64()).contains(&point.at))
                    .filter_map(|point| point.value)
            };
            let (low, high) = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
            if low <= high {
                let text = |value| model::metric::Quantity { value, unit }.to_string();
                ranges.push(format!("{} to {} in the {} window", text(low), text(high), span.window));
            }
        }
        if !ranges.is_empty() {
            about.push(format!("{}: {}.", trace.label, ranges.join(", ")));
        }
    }
    about.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn related_series_share_a_plot_and_all_plots_share_their_margins() {
        let pictures = pictures(&sample::crowded());
        let titles: Vec<_> = pictures.plots.iter().map(|plot| plot.title.as_str()).collect();
        assert_eq!(
            titles,
            [
                "Response time",
                "Failed requests per second",
                "Requests per second",
                "Instances",
                "scrape.jvm_memory_used_bytes"
            ]
        );
        let names: Vec<_> = pictures.plots[3].traces.iter().map(|trace| trace.label.as_str()).collect();
        assert_eq!(names, ["web healthy", "web running", "支払い healthy", "orders healthy"]);
        let lanes = pictures.lanes.unwrap();
        assert!(pictures.plots.iter().all(|plot| plot.frame == lanes.frame));
        assert_eq!(lanes.lanes.iter().map(|lane| lane.bars.len()).collect::<Vec<_>>(), [4, 4]);
    }

    #[test]
    fn a_line_has_gaps_where_samples_are_missing_and_only_there() {
        let p99 = |keep: fn(u64) -> bool| {
            let mut record = sample::green();
            record.series[1].points.retain(|point| keep(point.at.since_start().as_secs()));
            let points = pictures(&record).plots[0].traces[1].points.clone();
            points.iter().filter(|point| point.value.is_none()).count()
        };
        assert_eq!(p99(|_| true), 0);
        assert_eq!(p99(|second| !(15..18).contains(&second)), 1, "nothing was answered for three seconds");
        assert_eq!(p99(|second| second.is_multiple_of(5)), 0, "it was never asked more often");
    }

    #[test]
    fn a_level_holds_until_it_changes_and_to_the_end() {
        let record = sample::green();
        let healthy = &pictures(&record).plots[3].traces[0].points;
        let drawn: Vec<_> = healthy.iter().map(|point| (point.at, point.value.unwrap())).collect();
        assert_eq!(drawn, [(4.0, 2.0), (16.0, 1.0), (22.0, 2.0), (27.02, 2.0)]);
    }

    #[test]
    fn counts_are_drawn_as_rates_and_a_rate_over_a_fragment_is_not_drawn() {
        let mut record = sample::red();
        let total: f64 = record.series[2].points.iter().map(|point| point.value).sum();
        let drawn = |record: &Record, plot: usize| -> Vec<f64> {
            pictures(record).plots[plot].traces[0].points.iter().filter_map(|point| point.value).collect()
        };
        record.series[2].bucket_seconds = 0.5;
        assert!(total > 0.0 && (drawn(&record, 1).iter().sum::<f64>() * 0.5 - total).abs() < 1e-9);
        record.series[3].points.push(crate::record::Point { at: Moment::from_millis(19_900), value: 5196.0 });
        assert!(drawn(&record, 2).iter().all(|rate| *rate < 201.0));
    }

    #[test]
    fn a_clause_is_drawn_over_the_windows_it_speaks_of() {
        let record = sample::green();
        let limits: Vec<_> =
            pictures(&record).plots[0].limits.iter().map(|limit| (limit.label.clone(), limit.span)).collect();
        assert_eq!(limits, [("p99 < 200 ms".to_owned(), (4.0, 14.0)), ("p99 <= 500 ms".to_owned(), (14.0, 27.02))]);
    }

    #[test]
    fn a_run_that_got_nowhere_has_pictures_too() {
        let mut record = sample::invalid();
        record.windows.clear();
        record.series.clear();
        let pictures = pictures(&record);
        assert!(pictures.lanes.is_none() && pictures.plots.is_empty());
    }
}
