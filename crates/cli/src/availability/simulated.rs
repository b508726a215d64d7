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

impl Text {
    /// The part about simulated years.
    pub(super) fn simulated(&mut self, simulated: &Simulated) {
        self.part(&format!("In {} simulated years (seed {})", simulated.years, simulated.seed));
        let up = |share: f64| Availability::from_down(1.0 - share).to_string();
        let interval = format!("{} interval", percent(simulated.confidence));
        let mut rows = Vec::new();
        let mut add = |name: &str, estimate: &Estimate, shown: &dyn Fn(f64) -> String| {
            let value = estimate.value.map_or_else(|| "none".to_owned(), shown);
            let interval = match (estimate.low, estimate.high) {
                (Some(low), Some(high)) => format!("{} to {}", shown(low), shown(high)),
                _ => "too few outages".to_owned(),
            };
            rows.push([
                Cell::new(name, Paint::Plain),
                Cell::new(&value, Paint::Bold),
                Cell::new(&interval, Paint::Plain),
            ]);
        };
        add("availability", &simulated.availability, &up);
        if let Some(in_full) = &simulated.in_full {
            add("in full", in_full, &up);
        }
        add("down a year", &simulated.downtime_per_year, &span);
        add("outages a year", &simulated.outages_per_year, &number);
        add("mean outage", &simulated.outage_seconds, &span);
        if let Some(good) = &simulated.good_years {
            add("years that keep the promise", good, &part);
        }
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
