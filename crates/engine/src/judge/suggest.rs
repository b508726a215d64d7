//! What to do next, chosen by what happened: after green a larger experiment, after yellow the causes of slowness, after
//! red a review.

use model::{
    event::{InstanceChange, What},
    metric::Concern,
    target::SelectionMode,
    verdict::Verdict,
};

use super::{Evidence, clauses::period, clauses::seconds};
use crate::{
    plan::ResolvedTarget,
    record::{Claim, ClauseResult, Held, Suggestion, Times},
};

/// What is worth doing after this run, most important first.
pub(crate) fn suggest(
    evidence: &Evidence<'_>,
    clauses: &[ClauseResult],
    times: &Times,
    verdict: Verdict,
    reason: &str,
) -> Vec<Suggestion> {
    let mut out: Vec<Suggestion> = evidence
        .timeline
        .residue
        .iter()
        .map(|residue| Suggestion {
            what: format!("Repair {} before anything else.", residue.resource),
            why: residue.what.clone(),
            change: Some(residue.repair.clone()),
        })
        .collect();
    if evidence.interrupted {
        out.push(suggestion("Run the experiment again, to its end.", reason));
        return out;
    }
    match verdict {
        Verdict::Green => after_green(evidence, &mut out),
        Verdict::Yellow => after_yellow(evidence, clauses, times, &mut out),
        Verdict::Red => after_red(evidence, clauses, times, reason, &mut out),
        Verdict::Invalid => after_invalid(evidence, &mut out),
        Verdict::Inconclusive => after_inconclusive(evidence, clauses, &mut out),
    }
    out
}

fn suggestion(what: impl Into<String>, why: impl Into<String>) -> Suggestion {
    Suggestion { what: what.into(), why: why.into(), change: None }
}

fn after_green(evidence: &Evidence<'_>, out: &mut Vec<Suggestion>) {
    for target in &evidence.plan.targets {
        let Some(asked) = evidence.experiment.targets.get(&target.name) else { continue };
        out.extend(larger(target, asked.selection_mode));
    }
    if evidence.plan.injections().map(|(action, ..)| &action.name).collect::<std::collections::BTreeSet<_>>().len() == 1
    {
        out.push(Suggestion {
            what: "Combine the fault with another one, on other resources.".to_owned(),
            why: "One fault at a time held; outages are seldom alone.".to_owned(),
            change: Some("add an action with `startAfter`, and a target with `disjointFrom`".to_owned()),
        });
    }
    if evidence.experiment.hypothesis.is_empty() {
        out.push(suggestion(
            "Write down what should hold, as clauses of a hypothesis.",
            "Only the stop conditions were watched; whether users noticed is not known.",
        ));
    }
    out.push(suggestion(
        "Keep the report as evidence, and run the same document regularly.",
        "What held today is a fact about today's system.",
    ));
}

/// The next larger blast radius of a target: a quarter, then a half. Everything at once is no experiment but an outage, so
/// a group that is too small for the next step should grow first.
fn larger(target: &ResolvedTarget, mode: SelectionMode) -> Option<Suggestion> {
    let (matching, taken) = (target.matching, target.chosen.len());
    if taken == 0 || taken >= matching {
        return None;
    }
    let share = |percent: u32| SelectionMode::Percent(f64::from(percent)).take_of(matching);
    let held = format!("With {mode}, that is {taken} of {matching}, it held");
    let quarter = format!("PERCENT(25) of {matching} is {}", share(25));
    let Some(next) = [25, 50].into_iter().find(|percent| share(*percent) > taken) else {
        // The smallest group of which a quarter is more than now.
        let enough = (taken + 1) * 4;
        return Some(Suggestion {
            what: format!("Run it with {enough} instances or more, to hit a quarter of {}.", target.name),
            why: format!("{held}; {quarter}, no more than now."),
            change: Some(format!(
                "in the lab, desired: {enough}; then targets.{}.selectionMode: PERCENT(25)",
                target.name
            )),
        });
    };
    let note = if next == 25 { String::new() } else { format!(" ({quarter}: no more than now)") };
    Some(Suggestion {
        what: format!("Widen the blast radius of {}: {} of {matching} instead of {taken}.", target.name, share(next)),
        why: format!("{held}{note}."),
        change: Some(format!("targets.{}.selectionMode: PERCENT({next})", target.name)),
    })
}

fn after_yellow(evidence: &Evidence<'_>, clauses: &[ClauseResult], times: &Times, out: &mut Vec<Suggestion>) {
    for clause in clauses.iter().filter(|one| one.claim == Claim::During && one.held == Some(Held::No)) {
        let worst = clause.fault.as_ref().map_or_else(|| "not measured".to_owned(), |value| value.text.clone());
        let calm = clause.baseline.as_ref().map_or_else(|| "not measured".to_owned(), |value| value.text.clone());
        out.push(suggestion(
            format!("Find out what {} waits for while the fault lasts.", clause.metric),
            format!("It was {calm} before the fault and {worst} during it; {} was promised.", clause.wanted),
        ));
    }
    if let Some(detect) = &times.detect_by_balancer {
        out.push(Suggestion {
            what: "Make the health check notice sooner.".to_owned(),
            why: format!("It took {} {}; until then requests went there.", seconds(detect.seconds), detect.what),
            change: Some(
                "in the balancer's healthCheck: a shorter interval or timeout, a lower unhealthyThreshold".to_owned(),
            ),
        });
    } else if !evidence.timeline.injections.is_empty() {
        out.push(Suggestion {
            what: "Let the health check see slowness, or limit it at the caller by timeouts and hedging.".to_owned(),
            why: "No balancer took the affected target out: its health check was answered all the time.".to_owned(),
            change: Some("in the balancer's healthCheck: a timeout nearer to what users are promised".to_owned()),
        });
    }
    if let Some(startup) = startup(evidence) {
        out.push(Suggestion {
            what: "Shorten the start of an instance: a smaller image, a pre-warmed one, less work before it answers."
                .to_owned(),
            why: format!("A replacement took {} from launch to ready.", seconds(startup)),
            change: Some(
                "and set the group's gracePeriod a little above that, so that it is not replaced while it starts"
                    .to_owned(),
            ),
        });
    }
    for clause in clauses.iter().filter(|one| one.held == Some(Held::Late)) {
        out.push(suggestion("Speed up recovery, or promise less.", format!("{}: {}", clause.clause, clause.why)));
    }
}

/// How long the first instance that was launched during the run took to be ready, in seconds.
fn startup(evidence: &Evidence<'_>) -> Option<f64> {
    let start = evidence.timeline.first_injection()?;
    let change = |wanted: InstanceChange, of: Option<&model::resource::ResourceId>| {
        evidence.events.iter().filter(|event| event.at >= start).find_map(|event| match &event.what {
            What::Instance { instance, change, .. } if *change == wanted && of.is_none_or(|of| of == instance) => {
                Some((event.at, instance))
            }
            _ => None,
        })
    };
    let (launched, instance) = change(InstanceChange::Launched, None)?;
    let (ready, _) = change(InstanceChange::Ready, Some(instance))?;
    Some(ready.since(launched).as_secs_f64())
}

fn after_red(
    evidence: &Evidence<'_>,
    clauses: &[ClauseResult],
    times: &Times,
    reason: &str,
    out: &mut Vec<Suggestion>,
) {
    let hit: Vec<String> =
        evidence.timeline.injections.iter().map(|one| format!("{} on {}", one.fault, one.resource)).collect();
    out.push(suggestion(
        "Review what happened, soon and without blame: why did the system react so, not whose code was it.",
        format!("{reason}. What was done to it: {}.", hit.join("; ")),
    ));
    let errors = clauses
        .iter()
        .filter(|one| one.concern == Concern::Availability && one.held == Some(Held::No))
        .map(|one| format!("{}: {}", one.metric, one.why))
        .collect::<Vec<_>>();
    if !errors.is_empty() {
        out.push(suggestion(
            "Look for a core dependency without a substitute: a timeout, a circuit breaker, a cache, a fallback.",
            errors.join("; "),
        ));
    }
    if evidence.timeline.recovered.is_none() && evidence.timeline.window(model::verdict::Window::Recovery).is_some() {
        let why = times.replace.as_ref().map_or_else(
            || "No replacement became ready during the whole run.".to_owned(),
            |replace| format!("A replacement came after {}, and that was not enough.", seconds(replace.seconds)),
        );
        out.push(Suggestion {
            what: "Make it repair itself.".to_owned(),
            why,
            change: Some(
                "check that the group replaces what dies (`replace`, min, desired, max, launchDelay)".to_owned(),
            ),
        });
    }
    out.push(suggestion(
        "Check configuration: health checks, security groups, network rules, retries.",
        times.detect_by_balancer.as_ref().map_or_else(
            || "No balancer noticed anything.".to_owned(),
            |detect| format!("It took {} {}.", seconds(detect.seconds), detect.what),
        ),
    ));
    out.push(Suggestion {
        what: "Fix it, then run the same document again until it is green.".to_owned(),
        why: "The same document is the proof; the report compares both runs.".to_owned(),
        change: Some(format!("--seed {} hits the same resources", evidence.plan.seed)),
    });
}

fn after_invalid(evidence: &Evidence<'_>, out: &mut Vec<Suggestion>) {
    if evidence.timeline.first_injection().is_none() {
        out.push(suggestion(
            "Bring the system into its steady state first, or correct what the document says about it.",
            "What a fault does to a system that was not steady before cannot be told from what it did anyway.",
        ));
    } else {
        out.push(Suggestion {
            what: "Make the fault possible, or choose one that is.".to_owned(),
            why: "A fault that was not there tells nothing about what would happen if it were.".to_owned(),
            change: Some("`shaketable doctor` says what this machine can do, fault by fault".to_owned()),
        });
    }
}

fn after_inconclusive(evidence: &Evidence<'_>, clauses: &[ClauseResult], out: &mut Vec<Suggestion>) {
    if evidence.experiment.hypothesis.is_empty() {
        out.push(suggestion("Write down what should hold, as clauses of a hypothesis.", "Nothing was claimed."));
    }
    if let Some(clause) = clauses.iter().find(|one| one.doubtful) {
        out.push(Suggestion {
            what: "Give the load's generator room: less beside it on this machine, or a lower rate.".to_owned(),
            why: format!("{}: {}", clause.clause, clause.why),
            change: None,
        });
    }
    for clause in clauses.iter().filter(|one| one.held == Some(Held::NotEnough)) {
        let windows = evidence.plan.windows;
        // There was something to measure, until the fault came.
        let [before, after] =
            [&clause.baseline, &clause.recovery].map(|window| window.as_ref().map_or(0, |window| window.samples));
        if clause.metric.name.starts_with("http.latency") && before > 0 && after == 0 {
            out.push(Suggestion {
                what: "Say what must hold when nothing is answered, too.".to_owned(),
                why: format!("{}: {}; what is not answered is not slow.", clause.clause, clause.why),
                change: Some("a clause on `http.success` or `http.errors`".to_owned()),
            });
            continue;
        }
        out.push(Suggestion {
            what: format!("Collect more samples of {}.", clause.metric),
            why: format!("{}: {}", clause.clause, clause.why),
            change: Some(format!(
                "a higher `load` rate, or windows longer than {} and {}",
                period(windows.baseline),
                period(windows.fault)
            )),
        });
    }
}
