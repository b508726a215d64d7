//! The picture as text, for a terminal of 60 to 120 columns.

use super::{
    chart::{millis, percent, plain, rates, recovery, series, short, top_of_load},
    report::{Report, Run},
};

/// The room for names left of the charts.
const LABEL: usize = 11;
/// The room for figures right of them.
const FIGURE: usize = 10;
/// Lines of the load's chart: enough to tell twice the load from three times.
const HEIGHT: usize = 5;
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The picture: the load on the dependency for each pipeline, what became of the calls, and a table. Narrower than 60
/// columns it is not drawn; wider than 120 helps nobody.
#[must_use]
pub fn render(report: &Report, columns: usize) -> String {
    let columns = columns.clamp(60, 120);
    let mut out = Out { text: String::new(), width: columns - LABEL - FIGURE };
    out.wrapped(&report.title, columns);
    out.wrapped(&report.scenario, columns);
    for line in &report.script {
        out.line(&format!("  {line}"));
    }
    for run in &report.runs {
        out.run(run, report);
    }
    out.table(report, columns);
    out.text
}

struct Out {
    text: String,
    width: usize,
}

impl Out {
    fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    fn wrapped(&mut self, text: &str, columns: usize) {
        let mut line = String::new();
        for word in text.split_whitespace() {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > columns {
                self.line(&line);
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.line(&line);
    }

    fn run(&mut self, run: &Run, report: &Report) {
        let step = report.step;
        self.line("");
        self.line(&run.pipeline);
        let top = top_of_load(report);
        let attempts = self.columns(&rates(run, step, |step| step.attempts), f64::max);
        for level in (0..HEIGHT).rev() {
            let label = if level + 1 == HEIGHT { format!("{}/s", plain(top)) } else { String::new() };
            let label = if level == 0 { "load".to_owned() } else { label };
            let cells: String = attempts.iter().map(|value| cell(value / top * HEIGHT as f64 - level as f64)).collect();
            self.row(
                &label,
                &cells,
                &if level == 0 { format!("x{}", short(run.totals.amplification)) } else { String::new() },
            );
        }
        let totals = &run.totals;
        let served = [
            ("answered", rates(run, step, |step| step.ok), percent(totals.ok, totals.calls)),
            ("fallback", rates(run, step, |step| step.fallback), percent(totals.fallback, totals.calls)),
            ("errors", rates(run, step, |step| step.errors), percent(totals.errors, totals.calls)),
            ("no end", rates(run, step, |step| step.unfinished), percent(totals.unfinished, totals.calls)),
            ("refused", rates(run, step, |step| step.rejected), percent(totals.rejected, totals.calls)),
        ];
        let most = rates(run, step, |step| step.calls).into_iter().fold(1.0, f64::max);
        for (label, values, figure) in served {
            if values.iter().any(|value| *value > 0.0) {
                self.sparkline(label, &values, most, &figure);
            }
        }
        let slowest = series(run, |step| step.p99_ms);
        let most = slowest.iter().copied().fold(1.0, f64::max);
        self.sparkline("p99", &slowest, most, &millis(totals.p99_ms));
        let open = series(run, |step| f64::from(step.breakers_open));
        if open.iter().any(|value| *value > 0.0) {
            let most = open.iter().copied().fold(1.0, f64::max);
            self.sparkline("open", &open, most, &format!("{} max", plain(most)));
        }
        if !report.disturbed.is_empty() {
            self.disturbances(report);
        }
    }

    /// When something happens to the dependency.
    fn disturbances(&mut self, report: &Report) {
        let at = |column: usize| (column as f64 + 0.5) / self.width as f64 * report.duration;
        let disturbed = |at: f64| report.disturbed.iter().any(|(from, to)| (*from..*to).contains(&at));
        let cells: String = (0..self.width).map(|column| if disturbed(at(column)) { '▒' } else { '·' }).collect();
        self.row("script", &cells, &format!("{}s", plain(report.duration)));
    }

    fn sparkline(&mut self, label: &str, values: &[f64], top: f64, figure: &str) {
        let cells: String = self.columns(values, f64::max).iter().map(|value| cell(value / top)).collect();
        self.row(label, &cells, figure);
    }

    fn row(&mut self, label: &str, cells: &str, figure: &str) {
        self.line(&format!("{label:>width$} {cells} {figure}", width = LABEL - 1));
    }

    /// One value per column, of all the steps that fall into it.
    fn columns(&self, steps: &[f64], join: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        (0..self.width)
            .map(|column| {
                let from = column * steps.len() / self.width;
                let to = ((column + 1) * steps.len()).div_ceil(self.width).clamp(from, steps.len());
                steps[from..to].iter().copied().fold(0.0, &join)
            })
            .collect()
    }

    /// What a reader compares, a line for each pipeline.
    fn table(&mut self, report: &Report, columns: usize) {
        let longest = report.runs.iter().map(|run| run.pipeline.chars().count()).max().unwrap_or(0);
        // 48 are taken by the figures.
        let name = longest.clamp(8, columns - 48);
        self.line("");
        self.line(&format!(
            "{:name$} {:>6} {:>7} {:>7} {:>8} {:>7} {:>7}",
            "", "load", "peak/s", "errors", "fallback", "p99", "well"
        ));
        for run in &report.runs {
            let totals = &run.totals;
            let label: String = run.pipeline.chars().take(name).collect();
            let failed = totals.errors + totals.rejected + totals.unfinished;
            self.line(&format!(
                "{label:name$} {:>6} {:>7} {:>7} {:>8} {:>7} {:>7}",
                format!("x{}", short(totals.amplification)),
                short(totals.peak_load),
                percent(failed, totals.calls),
                percent(totals.fallback, totals.calls),
                millis(totals.p99_ms),
                recovery(run, report),
            ));
        }
        self.line("");
        let notes = "load: requests to the dependency per call; errors: calls that failed, were refused or never ended; \
                     well: how long after the last disturbance 95% of the calls of every step were answered again";
        self.wrapped(notes, columns);
    }
}

/// The block for a height between 0 and 1. What is not nothing can be seen.
fn cell(height: f64) -> char {
    if height <= 0.0 {
        return ' ';
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 8")]
    let eighths = (height * 8.0).round().clamp(1.0, 8.0) as usize;
    BLOCKS[eighths]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::Simulation;

    fn report() -> Report {
        let simulation = Simulation::from_yaml(
            "title: A title that is longer than sixty columns can hold, so that it must be broken somewhere
pipelines: { plain: , a-pipeline-with-a-rather-long-name-that-nobody-would-give: { retry: { budget: none, base_delay: 10ms } } }
scenario: { duration: 10s, rate: 50, script: [from 2s to 4s: error] }",
        );
        simulation.unwrap().run().unwrap()
    }

    #[test]
    fn the_picture_fits_its_columns() {
        let report = report();
        for columns in [0, 60, 77, 100, 120, 500] {
            let text = render(&report, columns);
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= columns.clamp(60, 120), "{widest} of {columns}\n{text}");
        }
    }

    #[test]
    fn blocks_grow_with_the_value_and_nothing_is_blank() {
        let cells: String = [-1.0, 0.0, 0.01, 0.5, 1.0, 7.0].into_iter().map(cell).collect();
        assert_eq!(cells, "  ▁▄██");
    }
}
