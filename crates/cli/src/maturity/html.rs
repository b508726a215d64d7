//! How far a team has come as a page that one can hand over.

use assess::maturity::{CheckState, Phase, Reached, Report, State};

use super::word;
use crate::paper::{Glance, Paper, Table, Td, Tone};

/// The page.
pub(super) fn page(file: &str, report: &Report) -> String {
    let mut paper = Paper::new(&report.name, "maturity", file);
    banner(&mut paper, report);
    let figures: Vec<Glance> = report
        .stages
        .iter()
        .map(|stage| Glance::new(stage.stage.word(), format!("{} of {}", stage.passed, stage.checks), "checks passed"))
        .collect();
    paper.glance(&figures);
    paper.section(
        "check-up",
        "The check-up",
        "A check has passed when the last run of its experiment was green and is not older than a year.",
        |paper| {
            for system in &report.systems {
                let mut table = Table::new(["Check", "Stage", "State", "Last run"]);
                for check in &system.checks {
                    table.row(row(check));
                }
                let question = &system.question;
                paper.add(format_args!("<h3 class=\"aside\">{}</h3>\n", crate::paper::Markup(&system.name)));
                if !question.is_empty() {
                    paper.paragraph(question);
                }
                paper.add(format_args!("{table}"));
                for (check, how) in system.checks.iter().filter_map(|check| Some((check, check.yours.as_ref()?))) {
                    paper.paragraph(&format!("{} is yours to write: {how}", check.name));
                }
            }
        },
    );
    paper.section(
        "phases",
        "Phases of adoption",
        "Measures are computed where there are records; without any they are not known.",
        |paper| {
            for phase in &report.phases {
                self::phase(paper, phase);
            }
        },
    );
    paper.finish("Records are those of runs with their verdicts; what no record can show was declared.")
}

fn banner(paper: &mut Paper, report: &Report) {
    let (passed, checks) =
        report.stages.iter().fold((0, 0), |(passed, checks), stage| (passed + stage.passed, checks + stage.checks));
    let failed =
        report.systems.iter().flat_map(|system| &system.checks).filter(|check| check.state == State::Failed).count();
    // Phases are climbed in order: one that is reached above one that is not counts for nothing yet.
    let reached = report.phases.iter().take_while(|phase| phase.is_reached()).last();
    let next = report.phases.iter().find(|phase| !phase.is_reached());
    let (tone, verdict) = match (failed, reached, next) {
        (1.., ..) => (Tone::Bad, "checks failed"),
        (0, _, None) => (Tone::Good, "all phases reached"),
        (0, Some(_), Some(_)) => (Tone::Warn, "under way"),
        (0, None, Some(_)) => (Tone::Unknown, "at the beginning"),
    };
    let headline = match reached {
        Some(phase) => format!(
            "{}: the phase \"{}\" is reached, and {passed} of {checks} checks have passed.",
            report.name, phase.name
        ),
        None => format!("{}: no phase is reached yet, and {passed} of {checks} checks have passed.", report.name),
    };
    let missing = next.map(|phase| {
        let wanted: Vec<&str> = phase
            .measures
            .iter()
            .filter(|measure| measure.reached != Reached::Yes)
            .map(|measure| measure.wanted)
            .collect();
        format!("For \"{}\" there is missing: {}.", phase.name, wanted.join("; "))
    });
    paper.banner(tone, verdict, &headline, &missing.into_iter().collect::<Vec<_>>());
}

fn row(check: &CheckState) -> [Td; 4] {
    let tone = match check.state {
        State::Passed => Tone::Good,
        State::Stale => Tone::Warn,
        State::Failed => Tone::Bad,
        State::Undecided | State::NeverRun | State::NotWritten => Tone::Unknown,
    };
    let last = check.last.map(|at| at.strftime("%Y-%m-%d").to_string()).unwrap_or_default();
    [Td::text(&check.name), Td::text(check.stage.word()), Td::state(tone, word(check.state)), Td::text(&last)]
}

fn phase(paper: &mut Paper, phase: &Phase) {
    let mut table = Table::new(["Measure", "Reached", "What there is"]);
    for measure in &phase.measures {
        let (tone, word) = match measure.reached {
            Reached::Yes => (Tone::Good, "yes"),
            Reached::No => (Tone::Bad, "no"),
            Reached::Unknown => (Tone::Unknown, "not known"),
            Reached::Impossible => (Tone::Warn, "impossible"),
        };
        table.row([Td::text(measure.wanted), Td::state(tone, word), Td::text(&measure.found)]);
    }
    let state = if phase.is_reached() { "reached" } else { "not reached" };
    paper.add(format_args!("<h3 class=\"aside\">{}: {state}</h3>\n{table}", crate::paper::Markup(phase.name)));
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::paper::well_formed::flaw;

    #[test]
    fn a_check_up_without_records_says_where_to_begin() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/suites/check-up.yaml");
        let suite = formats::suite::read_suite("check-up.yaml", &std::fs::read(path).unwrap()).suite.unwrap();
        let now = "2026-01-10T00:00:00Z".parse().unwrap();
        let page = page("check-up.yaml", &assess::maturity::assess(&suite, &[], None, now));
        assert_eq!(flaw(&page), None, "{page}");
        for part in ["at the beginning", "no phase is reached yet, and 0 of", "never run", "3 experiments completed"] {
            assert!(page.contains(part), "no `{part}` in {page}");
        }
    }
}
