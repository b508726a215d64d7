//! What was seen in simulated years, as text.

use assess::{
    availability::simulate::{Origin, Simulated},
    history::Estimate,
};
use engine::report::columns::{Cell, Paint};
use model::{
    figures::{number, part, percent, span},
    workload::Availability,
};

use super::{ROWS, Text};

/// What was estimated: its name, the estimate, and how its figures are written.
pub(super) fn figures(seen: &Simulated) -> impl Iterator<Item = (&'static str, &Estimate, fn(f64) -> String)> {
    let up: fn(f64) -> String = |share| Availability::from_down(1.0 - share).to_string();
    let [number, span, part]: [fn(f64) -> String; 3] = [number, span, part];
    [
        ("availability", Some(&seen.availability), up),
        ("in full", seen.in_full.as_ref(), up),
        ("down a year", Some(&seen.downtime_per_year), span),
        ("outages a year", Some(&seen.outages_per_year), number),
        ("mean outage", Some(&seen.outage_seconds), span),
        ("years that keep the promise", seen.good_years.as_ref(), part),
    ]
    .into_iter()
    .filter_map(|(name, estimate, shown)| Some((name, estimate?, shown)))
}

impl Text {
    /// The part about simulated years.
    pub(super) fn simulated(&mut self, simulated: &Simulated) {
        self.part(&format!("In {} simulated years (seed {})", simulated.years, simulated.seed));
        let interval = format!("{} interval", percent(simulated.confidence));
        let row = |(name, estimate, shown): (&str, &Estimate, fn(f64) -> String)| {
            let value = estimate.value.map_or_else(|| "none".to_owned(), shown);
            let interval = match (estimate.low, estimate.high) {
                (Some(low), Some(high)) => format!("{} to {}", shown(low), shown(high)),
                _ => "too few outages".to_owned(),
            };
            [Cell::new(name, Paint::Plain), Cell::new(&value, Paint::Bold), Cell::new(&interval, Paint::Plain)]
        };
        let rows: Vec<_> = figures(simulated).map(row).collect();
        self.table(Some(["", "seen", &interval]), &rows);
        if let Some(lengths) = &simulated.lengths {
            let text = format!(
                "half of the outages are over after {}, 90 % after {}, 99 % after {}; the longest took {}",
                span(lengths.p50),
                span(lengths.p90),
                span(lengths.p99),
                span(lengths.longest)
            );
            self.line(&text, Paint::Plain, 2);
        }
        self.begun(simulated);
    }

    fn begun(&mut self, simulated: &Simulated) {
        if simulated.begun_by.is_empty() {
            return;
        }
        let origin = |origin: &Origin| {
            [
                Cell::new(&origin.cause.to_string(), Paint::Plain),
                Cell::new(&part(origin.share), Paint::Plain),
                Cell::new(&part(origin.share_of_downtime), Paint::Plain),
            ]
        };
        let rows: Vec<_> = simulated.begun_by.iter().take(ROWS).map(origin).collect();
        self.text.push('\n');
        self.table(Some(["what began them", "of the outages", "of the downtime"]), &rows);
        self.more(simulated.begun_by.len());
    }
}
