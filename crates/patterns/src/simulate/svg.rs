//! The picture as SVG: one panel per pipeline, dark or light as the reader's screen is, with a title and a description
//! for those who cannot see it.

use std::fmt::Write as _;

use super::{
    chart::{millis, percent, plain, rates, recovery, round_up, series, short, top_of_load},
    report::{Report, Run},
};

const WIDTH: f64 = 880.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const HEADER: f64 = 74.0;
/// Of the load's chart.
const LOAD: f64 = 130.0;
/// Of the latency's chart.
const LATENCY: f64 = 46.0;
/// A panel: its headline, both charts, the axis of time, and air.
const PANEL: f64 = 40.0 + LOAD + 16.0 + LATENCY + 38.0;

/// Colours of both schemes have at least the contrast of 4.5:1 (text) and 3:1 (graphics) that WCAG 2.2 asks for.
const STYLE: &str = "\
svg { background: var(--ground); color: var(--ink); font: 13px system-ui, sans-serif;
  --ground: #ffffff; --ink: #1f2328; --faint: #59636e; --line: #d1d9e0;
  --load: #0969da; --ok: #1a7f37; --bad: #cf222e; --instead: #8250df; --late: #9a6700; --disturbed: #fff1e5; }
@media (prefers-color-scheme: dark) { svg { --ground: #0d1117; --ink: #e6edf3; --faint: #9198a1; --line: #30363d;
  --load: #58a6ff; --ok: #3fb950; --bad: #ff7b72; --instead: #bc8cff; --late: #d29922; --disturbed: #2d1f12; } }
text { fill: currentColor } .faint { fill: var(--faint); font-size: 11px } .name { font-weight: 600; font-size: 14px }
.end { text-anchor: end } .middle { text-anchor: middle } .disturbed { fill: var(--disturbed) }
.axis { stroke: var(--line); fill: none } .open { fill: var(--bad); opacity: .8 }
.load { fill: var(--load); fill-opacity: .25; stroke: var(--load); stroke-width: 1.5 }
.calls { stroke: var(--faint); stroke-dasharray: 4 3; fill: none } .ok { stroke: var(--ok); stroke-width: 1.5; fill: none }
.bad { stroke: var(--bad); stroke-width: 1.5; fill: none } .instead { stroke: var(--instead); stroke-width: 1.5; fill: none }
.late { stroke: var(--late); stroke-width: 1.5; fill: none }
text.load { fill: var(--load); stroke: none; fill-opacity: 1 } text.ok { fill: var(--ok); stroke: none }
text.bad { fill: var(--bad); stroke: none } text.instead { fill: var(--instead); stroke: none }
text.late { fill: var(--late); stroke: none } text.calls { fill: var(--faint); stroke: none }";

/// The picture.
#[must_use]
pub fn render(report: &Report) -> String {
    let height = HEADER + PANEL * report.runs.len() as f64;
    let mut svg = Svg { out: String::new(), report };
    svg.put(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title desc\">"
    ));
    svg.put(format_args!("<title id=\"title\">{}</title>", escaped(&report.title)));
    svg.put(format_args!("<desc id=\"desc\">{}</desc>", escaped(&description(report))));
    svg.put(format_args!("<style>{STYLE}</style>"));
    svg.put(format_args!("<text x=\"{LEFT}\" y=\"24\" class=\"name\">{}</text>", escaped(&report.title)));
    svg.put(format_args!("<text x=\"{LEFT}\" y=\"42\" class=\"faint\">{}</text>", escaped(&report.scenario)));
    svg.put(format_args!("<text x=\"{LEFT}\" y=\"58\" class=\"faint\">{}</text>", escaped(&report.script.join("; "))));
    for (number, run) in report.runs.iter().enumerate() {
        svg.panel(run, HEADER + PANEL * number as f64);
    }
    svg.put(format_args!("</svg>"));
    svg.out
}

/// What a person says who sees the picture.
fn description(report: &Report) -> String {
    let mut text = format!("{}. {}.", report.scenario, report.script.join("; "));
    for run in &report.runs {
        let totals = &run.totals;
        let failed = totals.errors + totals.rejected + totals.unfinished;
        // Writing to a string cannot fail.
        let _written = write!(
            text,
            " {}: {} requests per call, at most {} per second, {} of calls failed, well again after: {}.",
            run.pipeline,
            short(totals.amplification),
            short(totals.peak_load),
            percent(failed, totals.calls),
            recovery(run, report),
        );
    }
    text
}

struct Svg<'r> {
    out: String,
    report: &'r Report,
}

/// Where a chart is, and what its top means.
#[derive(Clone, Copy)]
struct Area {
    top: f64,
    height: f64,
    most: f64,
}

impl Svg<'_> {
    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _written = writeln!(self.out, "{text}");
    }

    fn x(&self, seconds: f64) -> f64 {
        LEFT + seconds / self.report.duration * (WIDTH - LEFT - RIGHT)
    }

    fn panel(&mut self, run: &Run, top: f64) {
        let totals = &run.totals;
        let failed = totals.errors + totals.rejected + totals.unfinished;
        self.put(format_args!(
            "<g><text x=\"{LEFT}\" y=\"{}\" class=\"name\">{}</text>",
            top + 16.0,
            escaped(&run.pipeline)
        ));
        self.put(format_args!(
            "<text x=\"{}\" y=\"{}\" class=\"faint end\">load x{} · failed {} · p99 {} · well after {}</text>",
            WIDTH - RIGHT,
            top + 16.0,
            short(totals.amplification),
            percent(failed, totals.calls),
            millis(totals.p99_ms),
            recovery(run, self.report),
        ));
        let load = Area { top: top + 40.0, height: LOAD, most: top_of_load(self.report) };
        let late = Area { top: load.top + LOAD + 16.0, height: LATENCY, most: round_up(most_late(run)) };
        self.disturbances(load.top, LOAD + 16.0 + LATENCY);
        self.legend(run, top + 33.0);
        self.load(run, load);
        let slowest = series(run, |step| step.p99_ms);
        self.curve(&slowest, late, "late", false);
        self.frame(load, &format!("{}/s", plain(load.most)));
        self.frame(late, &millis(late.most));
        self.times(late.top + LATENCY);
        self.put(format_args!("</g>"));
    }

    fn load(&mut self, run: &Run, area: Area) {
        let step = self.report.step;
        self.curve(&rates(run, step, |step| step.attempts), area, "load", true);
        self.curve(&rates(run, step, |step| step.calls), area, "calls", false);
        self.curve(&rates(run, step, |step| step.errors + step.rejected + step.unfinished), area, "bad", false);
        if run.totals.fallback > 0 {
            self.curve(&rates(run, step, |step| step.fallback), area, "instead", false);
        }
        self.curve(&rates(run, step, |step| step.ok), area, "ok", false);
        for (number, at) in run.steps.iter().enumerate().filter(|(_, step)| step.breakers_open > 0) {
            let (from, to) =
                (self.x(number as f64 * step), self.x(((number + 1) as f64 * step).min(self.report.duration)));
            self.put(format_args!(
                "<rect x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"5\" class=\"open\"><title>{} breakers open</title></rect>",
                area.top + area.height + 4.0,
                to - from,
                at.breakers_open,
            ));
        }
    }

    /// A line of one value per step, drawn in steps, for that is what the figures are.
    fn curve(&mut self, values: &[f64], area: Area, class: &str, filled: bool) {
        let y = |value: f64| area.top + area.height * (1.0 - (value / area.most).clamp(0.0, 1.0));
        let ground = area.top + area.height;
        let mut path = String::new();
        let mut last = None;
        for (number, value) in values.iter().enumerate() {
            let y = y(*value);
            if last == Some(y.to_bits()) {
                continue;
            }
            last = Some(y.to_bits());
            let x = self.x(number as f64 * self.report.step);
            // Writing to a string cannot fail.
            let _written = if number == 0 {
                if filled { write!(path, "M{x:.1} {ground:.1}V{y:.1}") } else { write!(path, "M{x:.1} {y:.1}") }
            } else {
                write!(path, "H{x:.1}V{y:.1}")
            };
        }
        let close = if filled { format!("V{ground:.1}Z") } else { String::new() };
        self.put(format_args!("<path d=\"{path}H{:.1}{close}\" class=\"{class}\"/>", WIDTH - RIGHT));
    }

    fn frame(&mut self, area: Area, most: &str) {
        let (top, bottom) = (area.top, area.top + area.height);
        self.put(format_args!("<path d=\"M{LEFT} {top}V{bottom}H{}\" class=\"axis\"/>", WIDTH - RIGHT));
        self.put(format_args!("<text x=\"{}\" y=\"{}\" class=\"faint end\">{most}</text>", LEFT - 6.0, top + 9.0));
        self.put(format_args!("<text x=\"{}\" y=\"{bottom}\" class=\"faint end\">0</text>", LEFT - 6.0));
    }

    fn disturbances(&mut self, top: f64, height: f64) {
        for (number, (from, to)) in self.report.disturbed.iter().enumerate() {
            let (x, width) = (self.x(*from), self.x(*to) - self.x(*from));
            let what = self.report.script.get(number).map(|what| escaped(what)).unwrap_or_default();
            self.put(format_args!(
                "<rect x=\"{x:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"{height}\" class=\"disturbed\"><title>{what}</title></rect>"
            ));
        }
    }

    fn legend(&mut self, run: &Run, y: f64) {
        let mut entries =
            vec![("load", "requests to the dependency"), ("calls", "calls"), ("ok", "answered"), ("bad", "failed")];
        if run.totals.fallback > 0 {
            entries.push(("instead", "fallback"));
        }
        entries.push(("late", "p99 (below)"));
        if run.steps.iter().any(|step| step.breakers_open > 0) {
            entries.push(("bad", "▬ a breaker is open"));
        }
        let mut text = format!("<text x=\"{LEFT}\" y=\"{y}\" font-size=\"11\">");
        for (class, name) in entries {
            // Writing to a string cannot fail.
            let _written = write!(
                text,
                "<tspan class=\"{class}\" style=\"stroke:none;fill-opacity:1;fill:var(--{})\" dx=\"10\">{name}</tspan>",
                colour(class)
            );
        }
        self.put(format_args!("{text}</text>"));
    }

    /// Seconds below the charts.
    fn times(&mut self, bottom: f64) {
        // About eight marks, at round numbers.
        let gap = round_time(self.report.duration / 8.0);
        let mut at = 0.0;
        while at <= self.report.duration * (1.0 + 1e-9) {
            let class = if at > self.report.duration * 0.97 { "end" } else { "middle" };
            self.put(format_args!(
                "<text x=\"{:.1}\" y=\"{}\" class=\"faint {class}\">{}s</text>",
                self.x(at),
                bottom + 15.0,
                plain(at)
            ));
            at += gap;
        }
    }
}

/// Of this run alone: a run without a time limit would flatten all others.
fn most_late(run: &Run) -> f64 {
    run.steps.iter().map(|step| step.p99_ms).fold(1.0, f64::max)
}

/// The next 1, 2, 5 or 10 times a power of ten.
fn round_time(seconds: f64) -> f64 {
    let power = 10_f64.powf(seconds.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|step| step * power).find(|gap| *gap >= seconds).unwrap_or(power * 10.0)
}

fn colour(class: &str) -> &str {
    if class == "calls" { "faint" } else { class }
}

/// Text that means itself in XML; characters XML does not allow are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::Simulation;

    #[test]
    fn names_from_the_file_cannot_break_the_picture() {
        let simulation = Simulation::from_yaml(
            "title: \"<script>alert(1)</script> & \\\"co\\\"\\u0007\"\npipelines: { \"<b>\": }\nscenario: { duration: 2s, rate: 10 }",
        );
        let svg = render(&simulation.unwrap().run().unwrap());
        assert!(!svg.contains("<script") && !svg.contains("<b>") && !svg.contains('\u{7}'), "{svg}");
        assert!(svg.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;co&quot;"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        let open = svg.matches("<text").count();
        assert_eq!(open, svg.matches("</text>").count());
        assert!(svg.contains("<title id=\"title\">") && svg.contains("prefers-color-scheme: dark"));
    }
}
