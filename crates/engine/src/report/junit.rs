//! `junit.xml`: the verdict in the words of build servers.
//!
//! One test suite for the experiment; one test case for each clause, and one for each safety property: every guard, every fault's having
//! taken hold, every fault's having left nothing behind. What was claimed and is not so is a *failure*; what makes the run worthless as
//! evidence (no steady state, a fault that was not achieved, too few samples, an interruption) is an *error*; what was never reached is
//! *skipped*. Structure and order of elements are those of the Jenkins JUnit plugin's schema (`jenkins-junit.xsd`).

use std::fmt::{self, Formatter};

use model::{
    event::{Cleanliness, What},
    verdict::Verdict,
};

use super::{escape::Markup, words::wanted};
use crate::record::{Claim, ClauseResult, Held, InjectionRecord, Record};

/// The test suite of a record; prints as an XML document.
#[derive(Debug, Clone, Copy)]
pub struct Suite<'a>(pub &'a Record);

/// One test case.
struct Case {
    class: String,
    name: String,
    seconds: f64,
    outcome: Ending,
}

/// How a test case ended.
enum Ending {
    Passed,
    Skipped(String),
    Failure { kind: &'static str, message: String },
    Error { kind: &'static str, message: String },
}

impl fmt::Display for Suite<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let record = self.0;
        let cases = cases(record);
        let count = |wanted: fn(&Ending) -> bool| cases.iter().filter(|case| wanted(&case.outcome)).count();
        let failures = count(|ending| matches!(ending, Ending::Failure { .. }));
        let errors = count(|ending| matches!(ending, Ending::Error { .. }));
        let skipped = count(|ending| matches!(ending, Ending::Skipped(_)));
        let tests = cases.len();
        let time = record.ended.as_secs_f64();
        writeln!(f, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
        writeln!(
            f,
            "<testsuites name=\"shaketable\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{time:.3}\">"
        )?;
        writeln!(
            f,
            "  <testsuite name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"{time:.3}\" timestamp=\"{}\">",
            Markup(suite_name(record)),
            Markup(&record.started)
        )?;
        writeln!(f, "    <properties>")?;
        for (name, value) in [
            ("verdict", record.verdict.to_string()),
            ("document", record.document.name.clone()),
            ("document.sha256", record.document.hash.clone()),
            ("seed", record.seed.to_string()),
            ("status", record.status.to_string()),
        ] {
            writeln!(f, "      <property name=\"{name}\" value=\"{}\"/>", Markup(value))?;
        }
        writeln!(f, "    </properties>")?;
        cases.iter().try_for_each(|case| write!(f, "{case}"))?;
        writeln!(f, "    <system-out>{}: {}</system-out>", record.verdict, Markup(&record.reason))?;
        writeln!(f, "  </testsuite>\n</testsuites>")
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
            Markup(&self.class),
            Markup(&self.name),
            self.seconds
        )?;
        match &self.outcome {
            Ending::Passed => writeln!(f, "/>"),
            Ending::Skipped(why) => writeln!(f, ">\n      <skipped message=\"{}\"/>\n    </testcase>", Markup(why)),
            Ending::Failure { kind, message } => {
                writeln!(
                    f,
                    ">\n      <failure type=\"{kind}\" message=\"{0}\">{0}</failure>\n    </testcase>",
                    Markup(message)
                )
            }
            Ending::Error { kind, message } => {
                writeln!(
                    f,
                    ">\n      <error type=\"{kind}\" message=\"{0}\">{0}</error>\n    </testcase>",
                    Markup(message)
                )
            }
        }
    }
}

fn suite_name(record: &Record) -> &str {
    if record.experiment.description.is_empty() { &record.document.name } else { &record.experiment.description }
}

fn cases(record: &Record) -> Vec<Case> {
    let suite = suite_name(record);
    let mut cases: Vec<Case> = record
        .clauses
        .iter()
        .map(|clause| Case {
            class: format!("{suite}.{}", clause.claim),
            name: clause.clause.clone(),
            seconds: clause.held_after_seconds.unwrap_or_default(),
            outcome: clause_ending(clause),
        })
        .collect();
    let class = format!("{suite}.safety");
    let safety = |name: String, seconds: f64, outcome: Ending| Case { class: class.clone(), name, seconds, outcome };
    cases.extend(record.plan.guards.iter().map(|guard| {
        let fired = record.events.iter().find_map(|event| match &event.what {
            What::GuardFired { alarm, reason } if *alarm == guard.name => Some((event.at, reason)),
            _ => None,
        });
        let outcome = fired.map_or(Ending::Passed, |(at, reason)| Ending::Failure {
            kind: "guard",
            message: format!("fired at {at}: {reason}"),
        });
        safety(format!("guard {} does not fire", guard.name), 0.0, outcome)
    }));
    for (action, fault, planned) in record.plan.injections() {
        let title = format!("{} {}: {} on {}", planned.id, action.name, fault.fault, planned.resource.id);
        let injection = record.injections.iter().find(|one| one.id == planned.id);
        let seconds =
            injection.and_then(|one| Some(one.undone?.since(one.injected?).as_secs_f64())).unwrap_or_default();
        let never = || Ending::Skipped("it was never begun".to_owned());
        cases.push(safety(format!("{title} takes hold"), seconds, injection.map_or_else(never, achieved)));
        cases.push(safety(format!("{title} leaves nothing behind"), 0.0, injection.map_or_else(never, clean)));
    }
    let ending = match record.verdict {
        _ if record.interrupted => Ending::Error { kind: "interrupted", message: record.status_reason.clone() },
        Verdict::Invalid => Ending::Error { kind: "invalid", message: record.reason.clone() },
        Verdict::Inconclusive => Ending::Error { kind: "inconclusive", message: record.reason.clone() },
        Verdict::Green | Verdict::Yellow | Verdict::Red => Ending::Passed,
    };
    cases.push(safety("the run is evidence".to_owned(), record.ended.as_secs_f64(), ending));
    cases
}

fn clause_ending(clause: &ClauseResult) -> Ending {
    let values: Vec<_> = [("baseline", &clause.baseline), ("fault", &clause.fault), ("recovery", &clause.recovery)]
        .into_iter()
        .filter_map(|(window, value)| value.as_ref().map(|value| format!("{window} {}", value.text)))
        .collect();
    let mut message = format!(
        "wanted {}; measured {}",
        wanted(clause),
        if values.is_empty() { "nothing".to_owned() } else { values.join(", ") }
    );
    if !clause.why.is_empty() {
        message = format!("{message}; {}", clause.why);
    }
    match (clause.held, clause.claim) {
        (Some(Held::Yes), _) => Ending::Passed,
        // Without a steady state there is nothing to compare with: the run is invalid, the system is not at fault.
        (Some(Held::No), Claim::SteadyState) => Ending::Error { kind: "invalid", message },
        // Nor where it may be our own delay.
        (Some(Held::No), _) if clause.doubtful => Ending::Error { kind: "inconclusive", message },
        (Some(Held::No), _) => Ending::Failure { kind: "not-held", message },
        (Some(Held::Late), _) => Ending::Failure { kind: "late", message },
        (Some(Held::NotEnough), _) => Ending::Error { kind: "inconclusive", message },
        (None, _) => Ending::Skipped(if clause.why.is_empty() {
            "the run never got that far".to_owned()
        } else {
            clause.why.clone()
        }),
    }
}

fn achieved(injection: &InjectionRecord) -> Ending {
    let wrong = [&injection.proof, &injection.life_proof].into_iter().flatten().find(|proof| !proof.holds);
    match (&injection.proof, wrong, &injection.failure) {
        (_, Some(proof), _) => Ending::Error {
            kind: "not-achieved",
            message: format!("configured {}; achieved {}", proof.configured, proof.achieved),
        },
        (Some(_), None, _) => Ending::Passed,
        (None, None, failure) => {
            let why = failure.clone().unwrap_or_else(|| "it was begun and never measured".to_owned());
            Ending::Error { kind: "not-achieved", message: why }
        }
    }
}

fn clean(injection: &InjectionRecord) -> Ending {
    match &injection.cleanliness {
        Some(Cleanliness::Clean | Cleanliness::Gone) => Ending::Passed,
        Some(Cleanliness::Dirty { residue, repair }) => {
            Ending::Failure { kind: "dirty", message: format!("{residue} is left; repair it by: {repair}") }
        }
        // What was never in effect has left nothing.
        None if injection.injected.is_none() => Ending::Skipped("it was never in effect".to_owned()),
        None => {
            let why = injection.failure.clone().unwrap_or_else(|| "it is not undone".to_owned());
            Ending::Failure { kind: "dirty", message: why }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{markup, sample};

    #[test]
    fn a_red_run() {
        insta::assert_snapshot!(Suite(&sample::red()).to_string());
    }

    #[test]
    fn an_invalid_run() {
        insta::assert_snapshot!(Suite(&sample::invalid()).to_string());
    }

    #[test]
    fn the_counts_are_those_of_the_cases_and_the_xml_is_well_formed() {
        for (name, record) in sample::all() {
            let xml = Suite(&record).to_string();
            let tags = markup::read(&xml).unwrap_or_else(|error| panic!("{name}: {error}"));
            let elements = |wanted: &str| tags.iter().filter(|tag| tag.name == wanted).count().to_string();
            let suite = tags.iter().find(|tag| tag.name == "testsuite").unwrap();
            for (attribute, element) in
                [("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")]
            {
                assert_eq!(suite.attribute(attribute), Some(elements(element).as_str()), "{name}: {attribute}");
            }
        }
    }

    #[test]
    fn only_a_green_or_yellow_run_has_no_error() {
        let errors = |record: &Record| Suite(record).to_string().matches("<error ").count();
        assert_eq!((errors(&sample::green()), errors(&sample::yellow()), errors(&sample::red())), (0, 0, 0));
        assert_eq!(errors(&sample::invalid()), 3, "no steady state, too few samples, and no evidence");
    }

    #[test]
    fn a_clause_that_may_be_broken_by_our_own_delay_is_no_failure_of_the_system() {
        let mut record = sample::yellow();
        let broken = record.clauses.iter_mut().find(|one| one.held == Some(Held::No)).unwrap();
        let ending = |clause: &ClauseResult| match clause_ending(clause) {
            Ending::Failure { kind, .. } | Ending::Error { kind, .. } => kind,
            Ending::Passed | Ending::Skipped(_) => "",
        };
        assert_eq!(ending(broken), "not-held");
        broken.doubtful = true;
        assert_eq!(ending(broken), "inconclusive");
    }
}
