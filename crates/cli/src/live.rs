//! What a run shows while it goes on, on standard error.
//!
//! On a terminal, three lines are drawn again and again, and what happens scrolls by above them:
//!
//! ```text
//!   +14.040s  #1 is injected: configured latency 300 ms; achieved median +300.6 ms
//!   fault     ━━━━━━━━━━━━━━━━━────────────  6 s left of this window, at most 4 min 52 s in all
//!   web 2 healthy   198/s   p99 312 ms ▁▁▁▁▂▇█▇▇   0 errors
//!   in effect: network:latency on 1
//! ```
//!
//! Elsewhere, and with `--plain`, there is one line for each event and nothing is drawn again.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use engine::{
    Recorder,
    progress::{Phase, Progress},
    report::sentence::{Tone, sentence},
};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use model::{
    event::Event,
    metric::{Quantity, Unit},
};
use tokio::{sync::watch, task::JoinHandle};

use crate::terminal::{self, Style};

/// Drawings per second, at most. The engine publishes four times a second; events may come faster.
const DRAWINGS: u8 = 10;
/// Seconds of the little curve.
const CURVE: usize = 24;
/// The width of the bar.
const BAR: usize = 30;
/// What the lines are drawn with, from low to high.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The news of a run. When it is dropped, what has not been told yet is told, and the drawn lines go.
#[derive(Debug)]
pub(crate) struct News {
    teller: Arc<Teller>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// Begins to tell what is recorded; `plain` asks for lines even where there is a terminal.
pub(crate) fn start(recorder: &Recorder, style: Style, plain: bool) -> News {
    let screen = (style.live && !plain).then(|| Screen::new(style.colour));
    let teller = Arc::new(Teller { recorder: recorder.clone(), told: Mutex::new(0), screen, colour: style.colour });
    let telling = Arc::clone(&teller);
    let events = tokio::spawn(async move {
        let mut length = telling.recorder.watch();
        loop {
            telling.catch_up();
            if length.changed().await.is_err() {
                return;
            }
        }
    });
    News { teller, tasks: Mutex::new(vec![events]) }
}

impl News {
    /// Shows where the run stands, as often as that is published.
    pub(crate) fn follow(&self, mut progress: watch::Receiver<Option<Progress>>) {
        if self.teller.screen.is_none() {
            return;
        }
        let teller = Arc::clone(&self.teller);
        let task = tokio::spawn(async move {
            let mut curve = Curve::default();
            while progress.changed().await.is_ok() {
                let now = progress.borrow_and_update().clone();
                if let (Some(now), Some(screen)) = (now, &teller.screen) {
                    curve.add(&now);
                    screen.show(&now, &curve);
                }
            }
        });
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }
}

impl Drop for News {
    fn drop(&mut self) {
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
        self.teller.catch_up();
        if let Some(screen) = &self.teller.screen {
            screen.clear();
        }
    }
}

/// Tells every event once, in order.
#[derive(Debug)]
struct Teller {
    recorder: Recorder,
    told: Mutex<usize>,
    screen: Option<Screen>,
    colour: bool,
}

impl Teller {
    fn catch_up(&self) {
        // Held while lines are written: two callers must not tell the same event, or out of order.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for event in self.recorder.since(*told) {
            *told += 1;
            let line = line(&event, self.colour);
            match &self.screen {
                Some(screen) => screen.print(&line),
                None => terminal::err(&format!("{line}\n")),
            }
        }
    }
}

/// An event as a line.
fn line(event: &Event, colour: bool) -> String {
    // Reasons may quote what a process has written; a terminal must not obey it.
    let said: String = sentence(&event.what).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let at = format!("{:>9}", event.at.to_string());
    let codes = match Tone::of(&event.what) {
        Tone::Plain => "",
        Tone::Good => "32",
        Tone::Bad => "31",
    };
    match (colour, codes) {
        (false, _) => format!("{at}  {said}"),
        (true, "") => format!("\u{1b}[2m{at}\u{1b}[0m  {said}"),
        (true, codes) => format!("\u{1b}[2m{at}\u{1b}[0m  \u{1b}[{codes}m{said}\u{1b}[0m"),
    }
}

/// The lines that are drawn again and again.
#[derive(Debug)]
struct Screen {
    all: MultiProgress,
    phase: ProgressBar,
    figures: ProgressBar,
    faults: ProgressBar,
    colour: bool,
}

impl Screen {
    fn new(colour: bool) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWINGS));
        let text = || {
            let bar = ProgressBar::no_length();
            bar.set_style(ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar()));
            all.add(bar)
        };
        let (phase, figures, faults) = (text(), text(), text());
        phase.set_message("preparing ...");
        Self { phase, figures, faults, all, colour }
    }

    fn show(&self, progress: &Progress, curve: &Curve) {
        self.phase.set_message(phase_line(progress, self.colour));
        self.figures.set_message(figures_line(progress, curve));
        self.faults.set_message(faults_line(progress, self.colour));
    }

    fn print(&self, line: &str) {
        // A terminal that has gone is no reason to stop.
        drop(self.all.println(line));
    }

    fn clear(&self) {
        for bar in [&self.phase, &self.figures, &self.faults] {
            bar.finish_and_clear();
        }
        drop(self.all.clear());
        // A task that is just drawing draws into nothing from here on.
        self.all.set_draw_target(ProgressDrawTarget::hidden());
    }
}

/// The last seconds of the 99th percentile, the highest value of each.
#[derive(Debug, Default)]
struct Curve {
    second: u64,
    values: VecDeque<f64>,
}

impl Curve {
    fn add(&mut self, progress: &Progress) {
        let second = progress.now.since_start().as_secs();
        let value = progress.p99.unwrap_or(0.0);
        match self.values.back_mut() {
            Some(last) if second == self.second => *last = last.max(value),
            _ => self.values.push_back(value),
        }
        self.second = second;
        while self.values.len() > CURVE {
            self.values.pop_front();
        }
    }
}

impl std::fmt::Display for Curve {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let highest = self.values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        self.values.iter().try_for_each(|value| {
            let share = value / highest;
            // The lowest character whose share of the height the value does not exceed.
            let steps = (1_u8..).map(|step| f64::from(step) / 8.0);
            let height =
                HEIGHTS.iter().zip(steps).find(|(_, step)| share <= *step).map_or(HEIGHTS[7], |(height, _)| *height);
            write!(f, "{height}")
        })
    }
}

const fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "pending",
        Phase::Baseline => "baseline",
        Phase::Judging => "judging",
        Phase::Running => "fault",
        Phase::Stopping => "undoing",
        Phase::Recovering => "recovery",
        Phase::Ended => "ended",
    }
}

/// `fault     ━━━━━━━─────  6 s left of this window, at most 5 min 2 s in all`
fn phase_line(progress: &Progress, colour: bool) -> String {
    let name = format!("{:<9}", name(progress.phase));
    let Some(until) = progress.until.filter(|until| *until > progress.since) else {
        return format!("{name} for {}", length(progress.now.since(progress.since)));
    };
    let (whole, done) = (until.since(progress.since), progress.now.min(until).since(progress.since));
    let share = done.as_secs_f64() / whole.as_secs_f64();
    // A cell is full when the time has passed its middle.
    let full = (0_u32..).take(BAR).filter(|cell| (f64::from(*cell) + 0.5) / 30.0 < share).count();
    let (past, rest) = ("━".repeat(full), "─".repeat(BAR - full));
    let bar = if colour { format!("\u{1b}[36m{past}\u{1b}[0m\u{1b}[2m{rest}\u{1b}[0m") } else { past + &rest };
    let window = format!("{} left of this window", length(until.since(progress.now)));
    match progress.left.filter(|left| *left > until.since(progress.now)) {
        Some(left) => format!("{name} {bar}  {window}, at most {} in all", length(left)),
        None => format!("{name} {bar}  {window}"),
    }
}

/// `web 2 healthy   198/s   p99 312 ms ▁▁▂▇   0 errors`
fn figures_line(progress: &Progress, curve: &Curve) -> String {
    let text = |value, unit| Quantity { value, unit }.to_string();
    let mut parts: Vec<String> = progress
        .healthy
        .iter()
        .map(|(group, count)| format!("{group} {} healthy", text(*count, Unit::Count)))
        .collect();
    parts.extend(progress.rate.map(|rate| text(rate.round(), Unit::PerSecond)));
    parts.extend(progress.p99.map(|p99| format!("p99 {} {curve}", text(p99, Unit::Seconds))));
    parts.extend(progress.errors.map(|errors| match errors {
        1.0 => "1 error".to_owned(),
        _ => format!("{} errors", text(errors, Unit::Count)),
    }));
    parts.join("   ")
}

/// `in effect: network:latency on 1`
fn faults_line(progress: &Progress, colour: bool) -> String {
    match (progress.active.is_empty(), colour) {
        (true, false) => "nothing in effect".to_owned(),
        (true, true) => "\u{1b}[2mnothing in effect\u{1b}[0m".to_owned(),
        (false, false) => format!("in effect: {}", progress.active.join(", ")),
        (false, true) => format!("\u{1b}[33min effect: {}\u{1b}[0m", progress.active.join(", ")),
    }
}

/// `6 s`, `4 min 52 s`. A part of a second counts as a whole one: there is time left until there is none.
fn length(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use model::{Moment, event::What, status::ExperimentStatus};

    use super::*;

    fn progress(now: u64, p99: f64) -> Progress {
        Progress {
            phase: Phase::Running,
            status: ExperimentStatus::Running,
            since: Moment::from_secs(10),
            now: Moment::from_secs(now),
            until: Some(Moment::from_secs(20)),
            healthy: vec![("web".to_owned(), 2.0)],
            rate: Some(198.4),
            p99: Some(p99),
            errors: Some(0.0),
            active: vec!["network:latency on 1".to_owned()],
            left: Some(Duration::from_secs(292)),
        }
    }

    #[test]
    fn the_bar_fills_and_the_time_runs_out() {
        assert_eq!(
            phase_line(&progress(15, 0.1), false),
            "fault     ━━━━━━━━━━━━━━━───────────────  5 s left of this window, at most 4 min 52 s in all"
        );
        assert!(phase_line(&progress(10, 0.1), false).contains(&"─".repeat(BAR)));
        let late = Progress { left: None, ..progress(25, 0.1) };
        assert_eq!(phase_line(&late, false), format!("fault     {}  0 s left of this window", "━".repeat(BAR)));
        let open = Progress { until: None, ..progress(72, 0.1) };
        assert_eq!(phase_line(&open, false), "fault     for 1 min 2 s");
    }

    #[test]
    fn the_curve_keeps_the_highest_of_each_second_and_forgets_the_oldest() {
        let mut curve = Curve::default();
        for (second, p99) in [(1, 0.1), (1, 0.8), (2, 0.05), (3, 0.4)] {
            curve.add(&progress(second, p99));
        }
        assert_eq!(curve.to_string(), "█▁▄");
        assert_eq!(figures_line(&progress(3, 0.4), &curve), "web 2 healthy   198/s   p99 400 ms █▁▄   0 errors");
        for second in 4..100 {
            curve.add(&progress(second, 0.0));
        }
        assert_eq!(curve.to_string(), "▁".repeat(CURVE));
    }

    #[test]
    fn a_reason_cannot_command_the_terminal() {
        let event = Event { at: Moment::from_secs(3), what: What::Note { text: "a\u{1b}[2Jb\nc".to_owned() } };
        assert_eq!(line(&event, false), "  +3.000s  a [2Jb c");
    }

    #[tokio::test]
    async fn what_was_recorded_at_the_very_end_is_told_too() {
        let recorder = Recorder::new(observe::Clock::start());
        let news = start(&recorder, Style { colour: false, live: false, width: 80 }, true);
        recorder.record(What::Note { text: "the last word".to_owned() });
        let teller = Arc::clone(&news.teller);
        drop(news);
        assert_eq!(*teller.told.lock().unwrap(), 1);
    }
}
