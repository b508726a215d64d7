//! The plan for people: who would be hit by what, in which order, and how it is undone.

use std::fmt;

use model::{catalogue::Reversibility, experiment::Windows, period::Period};

use super::{Plan, PlannedAction, Work, build};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed      {} (--seed {} repeats the choice)", self.seed, self.seed)?;
        let Windows { baseline, fault, recovery, settle } = self.windows;
        writeln!(
            f,
            "windows   baseline {baseline}; fault at least {fault}; recovery at most {recovery}, settled for {settle}"
        )?;
        writeln!(f, "deadline  {}; then everything is undone, finished or not", self.deadline)?;
        writeln!(f, "lease     {}; what nobody renews ends by itself", self.lease)?;
        self.describe_targets(f)?;
        self.describe_actions(f)?;
        self.describe_guards(f)?;
        self.describe_bounds(f)
    }
}

impl Plan {
    fn describe_targets(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\ntargets")?;
        if self.targets.is_empty() {
            writeln!(f, "  none")?;
        }
        for target in &self.targets {
            writeln!(f, "  {} ({}): {}", target.name, target.resource_type, target.how)?;
            let cell = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            let rows: Vec<Vec<String>> =
                target.chosen.iter().map(|one| vec![one.id.to_string(), cell(&one.group), cell(&one.zone)]).collect();
            table(f, "    ", &rows)?;
        }
        Ok(())
    }

    fn describe_actions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nactions, in order")?;
        let rows: Vec<Vec<String>> = build::starts(&self.actions)
            .into_iter()
            .zip(&self.actions)
            .map(|(start, action)| {
                let when = if action.start_after.is_empty() {
                    "at the start".to_owned()
                } else {
                    format!("after {} (+{})", action.start_after.join(" and "), Period::new(start))
                };
                vec![action.name.clone(), when, action.does()]
            })
            .collect();
        table(f, "  ", &rows)?;
        writeln!(f, "\nundoing")?;
        let rows: Vec<Vec<String>> = self
            .actions
            .iter()
            .filter_map(|action| match &action.work {
                Work::Fault(fault) => Some(vec![
                    action.name.clone(),
                    reversibility(fault.reversibility).to_owned(),
                    fault.aftermath().to_owned(),
                ]),
                Work::Wait { .. } | Work::AssertAlarms { .. } | Work::Skip { .. } => None,
            })
            .collect();
        if rows.is_empty() { writeln!(f, "  nothing to undo") } else { table(f, "  ", &rows) }
    }

    fn describe_guards(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nstop conditions")?;
        let rows: Vec<Vec<String>> = self
            .guards
            .iter()
            .map(|guard| {
                let alarm = &guard.alarm;
                vec![
                    guard.name.clone(),
                    format!(
                        "{} of {} {} {} in {} of {} periods of {}",
                        alarm.statistic,
                        alarm.metric,
                        alarm.comparison.sign(),
                        alarm.threshold,
                        alarm.datapoints_to_alarm,
                        alarm.evaluation_periods,
                        alarm.period,
                    ),
                ]
            })
            .collect();
        match &self.unguarded {
            Some(why) => writeln!(f, "  none: {why}"),
            None if rows.is_empty() => writeln!(f, "  none: nothing is harmed"),
            None => table(f, "  ", &rows),
        }
    }
}

impl Plan {
    /// What the run is held to, which is looked at again at each injection.
    fn describe_bounds(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bounds.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nlimits")?;
        let rows: Vec<Vec<String>> =
            self.bounds.iter().map(|bound| vec![bound.source.clone(), bound.in_words()]).collect();
        table(f, "  ", &rows)
    }
}

impl PlannedAction {
    /// What it does, in words.
    #[must_use]
    pub fn does(&self) -> String {
        match &self.work {
            Work::Fault(fault) => {
                let lasts = match (fault.duration, fault.reversibility) {
                    (Some(duration), _) => format!("for {duration}"),
                    (None, Reversibility::Irreversible | Reversibility::Harmless) => "once".to_owned(),
                    (None, Reversibility::Undoable | Reversibility::SelfEnding) => {
                        "until the fault window ends".to_owned()
                    }
                };
                let count = fault.injections.len();
                let resources = if count == 1 { "resource" } else { "resources" };
                format!("{} {lasts}, on {} ({count} {resources})", fault.in_words(), fault.target)
            }
            Work::Wait { duration } => format!("waits {duration}"),
            Work::AssertAlarms { alarms, states } => {
                let states: Vec<String> = states.iter().map(ToString::to_string).collect();
                format!("requires {} to be {}", alarms.join(", "), states.join(" or "))
            }
            Work::Skip { reason } => format!("skipped: {reason}"),
        }
    }
}

/// What a reversibility class means for whoever is about to start.
#[must_use]
pub const fn reversibility(class: Reversibility) -> &'static str {
    match class {
        Reversibility::SelfEnding => "ends by itself",
        Reversibility::Undoable => "undone",
        Reversibility::Irreversible => "cannot be undone",
        Reversibility::Harmless => "harmless",
    }
}

/// Rows whose columns line up; the last column is as wide as it likes.
fn table(f: &mut fmt::Formatter<'_>, indent: &str, rows: &[Vec<String>]) -> fmt::Result {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    for row in rows {
        f.write_str(indent)?;
        for (at, cell) in row.iter().enumerate() {
            if at + 1 == row.len() {
                writeln!(f, "{cell}")?;
            } else {
                write!(f, "{cell:<width$}  ", width = widths.get(at).copied().unwrap_or_default())?;
            }
        }
    }
    Ok(())
}
