//! What was seen in simulated years.

use model::figures::{part, percent, span};

use super::{ROWS, Subject, sentence_case};
use crate::{
    availability::{lengths, simulated::figures},
    paper::{Paper, Table, Td},
};

impl Subject<'_> {
    pub(super) fn simulated(&self, paper: &mut Paper) {
        let Some(seen) = self.seen else { return };
        let mut table = Table::new(["", "Seen", "Low", "High"]);
        for (name, estimate, shown) in figures(seen) {
            let end = |end: Option<f64>| end.map_or_else(Td::default, |end| Td::figure(&shown(end)));
            let value = estimate.value.map_or_else(|| "none".to_owned(), shown);
            table.row([Td::text(&sentence_case(name)), Td::strong(&value), end(estimate.low), end(estimate.high)]);
        }
        let mut begun = Table::new(["What began them", "Of the outages", "Of the downtime"]);
        for origin in seen.begun_by.iter().take(ROWS) {
            begun.row([
                Td::text(&origin.cause.to_string()),
                Td::strong(&part(origin.share)),
                Td::figure(&part(origin.share_of_downtime)),
            ]);
        }
        let supposed = if self.supposed.is_empty() { "" } else { ", with the figures that were supposed" };
        let lead = format!(
            "Played out failure by failure through {} years (seed {}){supposed}; the truth lies between low and high with a confidence of {}.",
            seen.years,
            seen.seed,
            percent(seen.confidence)
        );
        paper.section("simulated", "Outages in simulated years", &lead, |paper| {
            paper.add(format_args!("{table}"));
            if let Some(lengths) = &seen.lengths {
                let rto = self.workload.objectives.rto.map(model::Period::as_secs_f64);
                let title = format!("How long outages are; the longest took {}", span(lengths.longest));
                paper.add(format_args!("<h3 class=\"aside\">{title}</h3>\n{}", lengths::drawing(lengths, rto)));
            }
            if !begun.is_empty() {
                paper.add(format_args!(
                    "<h3 class=\"aside\">What began them: the last straw, which others may have prepared</h3>\n{begun}"
                ));
            }
        });
    }
}
