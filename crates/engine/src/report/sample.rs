//! Records as runs would leave them, for the tests of the reports: one for each kind of ending.

use std::{collections::BTreeMap, time::Duration};

use model::{
    alarm::{Alarm, AlarmState, Statistic, TreatMissingData},
    catalogue::Reversibility,
    event::{Cleanliness, Event, InjectionId, InstanceChange, Proof, What},
    experiment::{Experiment, Windows},
    hypothesis::Hypothesis,
    metric::{Comparison, Concern, Condition, Metric, MetricKind, Unit},
    moment::Moment,
    period::Period,
    resource::{Resource, ResourceId},
    status::{ActionStatus, ExperimentStatus},
    verdict::{Verdict, Window},
};

use crate::{
    plan::{Fault, Guard, Injection, Plan, PlannedAction, ResolvedTarget, Work},
    record::{
        ActionRecord, Change, Changes, Claim, ClauseResult, Document, FORMAT, Held, InjectionRecord, Point, Record,
        Residue, Series, Suggestion, Times, Took, WindowSpan, WindowValue,
    },
};

const VICTIM: &str = "i-0a1b2c3d4e5f60718";
const OTHER: &str = "i-0b7c21f09d3e8a642";
const SPARE: &str = "i-0c93de18fa4b7d205";

fn at(seconds: f64) -> Moment {
    Moment::from(seconds)
}

fn id(text: &str) -> ResourceId {
    ResourceId(text.to_owned())
}

fn resource(text: &str, zone: &str) -> Resource {
    Resource {
        id: id(text),
        types: vec!["lab:instance".to_owned(), "aws:ec2:instance".to_owned()],
        arn: format!("arn:aws:ec2:eu-lab-1:000000000000:instance/{text}"),
        tags: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
        zone: Some(zone.to_owned()),
        group: Some("web".to_owned()),
        disposable: true,
        ..Resource::default()
    }
}

fn value(text: &str, value: f64, held: Held) -> Option<WindowValue> {
    Some(WindowValue { text: text.to_owned(), value: Some(value), samples: 2000, held })
}

/// A clause with its three windows; the fourth column of a report is `held`.
fn clause(
    claim: Claim,
    metric: Metric,
    is: &str,
    windows: [Option<WindowValue>; 3],
    held: Option<Held>,
    why: &str,
) -> ClauseResult {
    let (condition, within) = is.split_once(" within").unwrap_or((is, ""));
    let wanted: Condition = condition.parse().expect("the fixture's conditions are well formed");
    let within = if within.is_empty() { String::new() } else { format!(" within{within}") };
    let [baseline, fault, recovery] = windows;
    ClauseResult {
        claim,
        clause: format!("{metric} {wanted}{within}"),
        wanted,
        concern: metric.entry().map_or(Concern::Performance, |entry| entry.concern),
        metric,
        baseline,
        fault,
        recovery,
        held,
        why: why.to_owned(),
        doubtful: false,
        held_after_seconds: None,
    }
}

fn plan() -> Plan {
    Plan {
        seed: 42,
        targets: vec![ResolvedTarget {
            name: "one-web-instance".to_owned(),
            resource_type: "aws:ec2:instance".to_owned(),
            matching: 2,
            chosen: vec![resource(VICTIM, "eu-lab-1a")],
            how: "COUNT(1) of 2 is 1".to_owned(),
        }],
        actions: vec![PlannedAction {
            name: "Terminate-One-Instance".to_owned(),
            action_id: "aws:ec2:terminate-instances".to_owned(),
            start_after: Vec::new(),
            work: Work::Fault(Fault {
                fault: "instance:terminate".to_owned(),
                parameters: BTreeMap::new(),
                target: "one-web-instance".to_owned(),
                injections: vec![Injection { id: InjectionId(1), resource: resource(VICTIM, "eu-lab-1a") }],
                follow: false,
                duration: None,
                reversibility: Reversibility::Irreversible,
                undone_by: "It cannot be taken back; the group replaces the instance.".to_owned(),
            }),
        }],
        guards: vec![Guard {
            name: "too-many-5xx".to_owned(),
            alarm: Alarm {
                metric: Metric::new("http.errors.5xx"),
                statistic: Statistic::Sum,
                period: Period::from_secs(60),
                evaluation_periods: 1,
                datapoints_to_alarm: 1,
                threshold: 5.0,
                comparison: Comparison::Greater,
                treat_missing_data: TreatMissingData::NotBreaching,
                cloudwatch: None,
            },
        }],
        bounds: Vec::new(),
        unguarded: None,
        windows: Windows::default(),
        lease: Period::from_secs(10),
        deadline: Period::from_secs(330),
    }
}

/// A series with a value each second where `of` has one.
fn series(metric: Metric, kind: MetricKind, unit: Unit, until: u32, of: impl Fn(f64) -> Option<f64>) -> Series {
    let mut points: Vec<Point> = (4..until)
        .filter_map(|second| of(f64::from(second)).map(|value| Point { at: at(f64::from(second)), value }))
        .collect();
    let bucket_seconds = match kind {
        MetricKind::Gauge => {
            // Of a gauge the changes are kept.
            points.dedup_by(|later, earlier| later.value.total_cmp(&earlier.value).is_eq());
            0.0
        }
        _ => 1.0,
    };
    Series { metric, kind, unit, bucket_seconds, points }
}

/// A repeatable wobble between 0 and 1, so that lines look measured.
fn wobble(second: f64, salt: f64) -> f64 {
    (second * 12.989_8 + salt * 78.233).sin().mul_add(43_758.545_3, 0.0).fract().abs()
}

fn all_series(until: u32, fault: f64, back: f64, peak: f64, errors: f64) -> Vec<Series> {
    let hit = move |second: f64| if second >= fault && second < back { (-(second - fault) / 6.0).exp() } else { 0.0 };
    vec![
        series(Metric::new("http.latency.p50"), MetricKind::Quantile(500_000), Unit::Seconds, until, move |second| {
            Some(0.010 + 0.002 * wobble(second, 1.0) + hit(second) * peak * 0.05)
        }),
        series(Metric::new("http.latency.p99"), MetricKind::Quantile(990_000), Unit::Seconds, until, move |second| {
            Some(0.022 + 0.012 * wobble(second, 2.0) + hit(second) * peak)
        }),
        series(Metric::new("http.errors"), MetricKind::Count, Unit::Count, until, move |second| {
            Some(if hit(second) > 0.5 { (errors * hit(second)).round() } else { 0.0 })
        }),
        series(Metric::new("http.rate"), MetricKind::Rate, Unit::PerSecond, until, move |second| {
            Some(200.0 - 4.0 * wobble(second, 3.0) - if hit(second) > 0.5 { errors * hit(second) } else { 0.0 })
        }),
        series(Metric::of("group.healthy", "web"), MetricKind::Gauge, Unit::Count, until, move |second| {
            Some(if second >= fault + 2.0 && second < back { 1.0 } else { 2.0 })
        }),
        series(Metric::of("group.running", "web"), MetricKind::Gauge, Unit::Count, until, move |second| {
            Some(if second >= fault && second < fault + 4.0 { 1.0 } else { 2.0 })
        }),
    ]
}

fn instance(instance: &str, zone: &str, change: InstanceChange, reason: &str) -> What {
    What::Instance {
        instance: id(instance),
        group: "web".to_owned(),
        zone: zone.to_owned(),
        change,
        reason: reason.to_owned(),
    }
}

fn target(instance: &str, healthy: bool, reason: &str) -> What {
    What::Target { balancer: "web-lb".to_owned(), instance: id(instance), healthy, reason: reason.to_owned() }
}

fn experiment(status: ExperimentStatus, reason: &str) -> What {
    What::Experiment { status, reason: reason.to_owned() }
}

fn action(status: ActionStatus, reason: &str) -> What {
    What::Action { action: "Terminate-One-Instance".to_owned(), status, reason: reason.to_owned() }
}

fn proof() -> Proof {
    Proof {
        configured: "instance terminated".to_owned(),
        achieved: "process 48121 is gone after 3.1 ms; its address answers with a reset".to_owned(),
        holds: true,
    }
}

fn baseline_events() -> Vec<(f64, What)> {
    vec![
        (0.02, instance(VICTIM, "eu-lab-1a", InstanceChange::Launched, "desired 2, running 0")),
        (0.03, instance(OTHER, "eu-lab-1b", InstanceChange::Launched, "desired 2, running 1")),
        (1.21, instance(VICTIM, "eu-lab-1a", InstanceChange::Ready, "GET /health answered 200")),
        (1.24, instance(OTHER, "eu-lab-1b", InstanceChange::Ready, "GET /health answered 200")),
        (2.21, target(VICTIM, true, "2 health checks passed")),
        (2.24, target(OTHER, true, "2 health checks passed")),
        (2.30, experiment(ExperimentStatus::Initiating, "")),
        (
            2.31,
            What::TargetResolved {
                target: "one-web-instance".to_owned(),
                matching: 2,
                resources: vec![id(VICTIM)],
                how: "COUNT(1) of 2 is 1".to_owned(),
            },
        ),
        (4.0, What::WindowBegan { window: Window::Baseline }),
    ]
}

fn fault_events() -> Vec<(f64, What)> {
    vec![
        (14.0, What::SteadyState { held: true, reason: "2 of 2 clauses held over 10 s".to_owned() }),
        (14.0, What::WindowBegan { window: Window::Fault }),
        (14.01, experiment(ExperimentStatus::Running, "")),
        (14.01, action(ActionStatus::Initiating, "")),
        (
            14.02,
            What::Injecting {
                injection: InjectionId(1),
                action: "Terminate-One-Instance".to_owned(),
                resource: id(VICTIM),
                fault: "terminate the instance".to_owned(),
            },
        ),
        (14.03, instance(VICTIM, "eu-lab-1a", InstanceChange::Terminated, "by injection #1")),
        (14.04, What::Injected { injection: InjectionId(1), proof: proof() }),
    ]
}

fn record(
    verdict: Verdict,
    reason: &str,
    ended: f64,
    status: (ExperimentStatus, &str),
    clauses: Vec<ClauseResult>,
    events: Vec<(f64, What)>,
) -> Record {
    Record {
        format: FORMAT,
        document: Document::new("instance-termination.yaml", b"instance-termination"),
        experiment: Experiment {
            description: "Validate-ASG-Resilience-on-Instance-Termination".to_owned(),
            hypothesis: Hypothesis {
                statement: Some(
                    "When one instance dies, the balancer routes around it and the group replaces it within 5 minutes."
                        .to_owned(),
                ),
                ..Hypothesis::default()
            },
            ..Experiment::default()
        },
        seed: 42,
        started: "2026-11-22T01:17:13Z".to_owned(),
        ended: at(ended),
        status: status.0,
        status_reason: status.1.to_owned(),
        interrupted: false,
        verdict,
        reason: reason.to_owned(),
        windows: Vec::new(),
        clauses,
        times: Times::default(),
        plan: plan(),
        actions: Vec::new(),
        injections: Vec::new(),
        residue: Vec::new(),
        suggestions: Vec::new(),
        previous: None,
        series: Vec::new(),
        events: events.into_iter().map(|(seconds, what)| Event { at: at(seconds), what }).collect(),
    }
}

fn windows(spans: &[(Window, f64, f64)]) -> Vec<WindowSpan> {
    spans.iter().map(|(window, from, to)| WindowSpan { window: *window, from: at(*from), to: at(*to) }).collect()
}

fn injection(undone: Option<f64>, cleanliness: Option<Cleanliness>) -> InjectionRecord {
    InjectionRecord {
        id: InjectionId(1),
        action: "Terminate-One-Instance".to_owned(),
        resource: id(VICTIM),
        fault: "terminate the instance".to_owned(),
        begun: at(14.02),
        injected: Some(at(14.04)),
        undone: undone.map(at),
        proof: Some(proof()),
        life_proof: None,
        failure: None,
        cleanliness,
    }
}

fn action_record(status: ActionStatus, ended: f64, reason: &str) -> ActionRecord {
    ActionRecord {
        name: "Terminate-One-Instance".to_owned(),
        status,
        reason: reason.to_owned(),
        began: Some(at(14.01)),
        ended: Some(at(ended)),
    }
}

fn suggestion(what: &str, why: &str, change: Option<&str>) -> Suggestion {
    Suggestion { what: what.to_owned(), why: why.to_owned(), change: change.map(str::to_owned) }
}

fn green_clauses() -> Vec<ClauseResult> {
    use Claim::{During, Recovery, SteadyState};
    use Held::{No, Yes};
    vec![
        clause(
            SteadyState,
            Metric::of("group.healthy", "web"),
            "== 2",
            [value("2", 2.0, Yes), value("1 to 2", 1.0, No), value("2", 2.0, Yes)],
            Some(Yes),
            "",
        ),
        clause(
            SteadyState,
            Metric::new("http.latency.p99"),
            "< 200ms",
            [value("33.6 ms", 0.0336, Yes), value("187 ms", 0.187, Yes), value("34.1 ms", 0.0341, Yes)],
            Some(Yes),
            "",
        ),
        clause(
            During,
            Metric::new("http.latency.p99"),
            "<= 500ms",
            [value("33.6 ms", 0.0336, Yes), value("187 ms", 0.187, Yes), value("34.1 ms", 0.0341, Yes)],
            Some(Yes),
            "",
        ),
        clause(
            During,
            Metric::new("http.errors.5xx"),
            "== 0",
            [value("0", 0.0, Yes), value("0", 0.0, Yes), value("0", 0.0, Yes)],
            Some(Yes),
            "",
        ),
        clause(
            Recovery,
            Metric::of("group.healthy", "web"),
            "== 2 within PT5M",
            [value("2", 2.0, Yes), value("1 to 2", 1.0, No), value("2", 2.0, Yes)],
            Some(Yes),
            "held again 8.42 s after the first injection",
        ),
    ]
}

/// Everything held.
pub(crate) fn green() -> Record {
    let mut events = baseline_events();
    events.extend(fault_events());
    events.extend([
        (14.05, What::Undone { injection: InjectionId(1), cleanliness: Cleanliness::Gone, proof: None }),
        (14.06, action(ActionStatus::Completed, "")),
        (15.0, instance(SPARE, "eu-lab-1a", InstanceChange::Launched, "desired 2, running 1")),
        (16.12, target(VICTIM, false, "2 health checks failed: connection refused")),
        (20.4, instance(SPARE, "eu-lab-1a", InstanceChange::Ready, "GET /health answered 200")),
        (22.44, target(SPARE, true, "2 health checks passed")),
        (24.0, What::WindowBegan { window: Window::Recovery }),
        (27.0, What::Recovered { reason: "1 of 1 recovery clauses held for 3 s".to_owned() }),
        (27.01, experiment(ExperimentStatus::Completed, "")),
        (27.02, What::Verdict { verdict: Verdict::Green, reason: "every clause held".to_owned() }),
    ]);
    let mut record = record(
        Verdict::Green,
        "Every clause held: the balancer routed around the dead instance and the group replaced it in 6.37 s.",
        27.02,
        (ExperimentStatus::Completed, "all actions ended as planned"),
        green_clauses(),
        events,
    );
    record.windows =
        windows(&[(Window::Baseline, 4.0, 14.0), (Window::Fault, 14.0, 24.0), (Window::Recovery, 24.0, 27.02)]);
    record.times = Times {
        first_injection: Some(at(14.02)),
        last_undo: Some(at(14.05)),
        detect_by_balancer: Some(Took::between(
            at(14.02),
            at(16.12),
            "first injection to web-lb sending no more requests to i-0a1b2c3d4e5f60718",
        )),
        detect_by_alarm: None,
        replace: Some(Took::between(
            at(14.03),
            at(20.4),
            "i-0a1b2c3d4e5f60718 terminated to i-0c93de18fa4b7d205 ready",
        )),
        recover: Some(Took::between(at(14.02), at(22.44), "first injection to the recovery clauses holding")),
        abort: None,
    };
    record.actions = vec![action_record(ActionStatus::Completed, 14.06, "")];
    record.injections = vec![injection(Some(14.05), Some(Cleanliness::Gone))];
    record.suggestions = vec![
        suggestion(
            "Enlarge the blast radius.",
            "One of two instances was lost and every clause held with room: p99 peaked at 187 ms of 500 ms.",
            Some("selectionMode: PERCENT(50)"),
        ),
        suggestion(
            "Make it harder: load the CPU of half the group, then terminate another quarter three minutes later.",
            "A single fault is the easiest case.",
            None,
        ),
    ];
    record.previous = Some(Changes {
        started: "2026-11-21T16:40:02Z".to_owned(),
        verdict: Verdict::Yellow,
        seed: 7,
        report: Some("history/20261121T164002Z-9f2a6c1b/report.html".to_owned()),
        lines: vec![
            Change { what: "verdict".to_owned(), before: "yellow".to_owned(), now: "green".to_owned() },
            Change {
                what: "during: http.latency.p99 <= 500 ms".to_owned(),
                before: "1.5 s, not held".to_owned(),
                now: "187 ms, held".to_owned(),
            },
            Change { what: "time to recover".to_owned(), before: "3 min 2 s".to_owned(), now: "8.42 s".to_owned() },
        ],
    });
    record.series = all_series(27, 14.0, 22.0, 0.16, 0.0);
    record
}

/// Slower than promised, and late: no outage.
pub(crate) fn yellow() -> Record {
    use Claim::{During, Recovery, SteadyState};
    use Held::{Late, No, Yes};
    let clauses = vec![
        clause(
            SteadyState,
            Metric::new("http.latency.p99"),
            "< 200ms",
            [value("33.6 ms", 0.0336, Yes), value("1.53 s", 1.53, No), value("34.1 ms", 0.0341, Yes)],
            Some(Yes),
            "",
        ),
        clause(
            During,
            Metric::new("http.latency.p99"),
            "<= 500ms",
            [value("33.6 ms", 0.0336, Yes), value("1.53 s", 1.53, No), value("34.1 ms", 0.0341, Yes)],
            Some(No),
            "1.53 s over the fault window of 2,000 requests, three times what was promised",
        ),
        clause(
            During,
            Metric::new("http.errors.5xx"),
            "== 0",
            [value("0", 0.0, Yes), value("0", 0.0, Yes), value("0", 0.0, Yes)],
            Some(Yes),
            "",
        ),
        clause(
            Recovery,
            Metric::of("group.healthy", "web"),
            "== 2 within PT1M",
            [value("2", 2.0, Yes), value("1 to 2", 1.0, No), value("1 to 2", 1.0, Yes)],
            Some(Late),
            "held again after 182 s, two minutes late",
        ),
    ];
    let mut events = baseline_events();
    events.extend(fault_events());
    events.extend([
        (14.05, What::Undone { injection: InjectionId(1), cleanliness: Cleanliness::Gone, proof: None }),
        (44.1, target(VICTIM, false, "10 health checks failed: connection refused")),
        (24.0, What::WindowBegan { window: Window::Recovery }),
        (194.0, instance(SPARE, "eu-lab-1a", InstanceChange::Ready, "GET /health answered 200")),
        (196.0, target(SPARE, true, "2 health checks passed")),
        (199.0, What::Recovered { reason: "1 of 1 recovery clauses held for 3 s".to_owned() }),
        (199.1, What::Verdict { verdict: Verdict::Yellow, reason: "p99 was 1.53 s".to_owned() }),
    ]);
    events.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut record = record(
        Verdict::Yellow,
        "It stayed up, but slower than promised: p99 was 1.53 s where at most 500 ms was claimed, and recovery came 2 min late.",
        199.1,
        (ExperimentStatus::Completed, "all actions ended as planned"),
        clauses,
        events,
    );
    record.windows =
        windows(&[(Window::Baseline, 4.0, 14.0), (Window::Fault, 14.0, 24.0), (Window::Recovery, 24.0, 199.1)]);
    record.times.first_injection = Some(at(14.02));
    record.times.detect_by_balancer = Some(Took::between(
        at(14.02),
        at(44.1),
        "first injection to web-lb sending no more requests to i-0a1b2c3d4e5f60718",
    ));
    record.times.replace =
        Some(Took::between(at(14.03), at(194.0), "i-0a1b2c3d4e5f60718 terminated to i-0c93de18fa4b7d205 ready"));
    record.times.recover = Some(Took::between(at(14.02), at(196.0), "first injection to the recovery clauses holding"));
    record.actions = vec![action_record(ActionStatus::Completed, 14.06, "")];
    record.injections = vec![injection(Some(14.05), Some(Cleanliness::Gone))];
    record.suggestions = vec![
        suggestion(
            "Shorten the balancer's health check.",
            "30.1 s passed between the loss and the balancer's noticing it.",
            Some("healthCheck: { interval: PT2S, unhealthyThreshold: 2 }"),
        ),
        suggestion(
            "Look at what a new instance does before it answers.",
            "180 s passed until the replacement was ready.",
            None,
        ),
    ];
    record.series = all_series(199, 14.0, 196.0, 1.5, 0.0);
    record
}

/// A guard fired, everything was undone early, and something is left.
pub(crate) fn red() -> Record {
    use Claim::{During, Recovery, SteadyState};
    use Held::{No, Yes};
    let clauses = vec![
        clause(
            SteadyState,
            Metric::of("group.healthy", "web"),
            "== 2",
            [value("2", 2.0, Yes), value("1 to 2", 1.0, No), value("1", 1.0, No)],
            Some(Yes),
            "",
        ),
        clause(
            During,
            Metric::new("http.errors.5xx"),
            "== 0",
            [value("0", 0.0, Yes), value("412", 412.0, No), value("0", 0.0, Yes)],
            Some(No),
            "412 of 1,120 requests were answered with a 5xx status",
        ),
        clause(
            Recovery,
            Metric::of("group.healthy", "web"),
            "== 2 within PT5M",
            [value("2", 2.0, Yes), None, None],
            None,
            "the guard fired before the recovery window",
        ),
    ];
    let mut events = baseline_events();
    events.extend(fault_events());
    events.extend([
        (
            17.0,
            What::Alarm {
                alarm: "too-many-5xx".to_owned(),
                from: AlarmState::Ok,
                to: AlarmState::Alarm,
                reason: "Sum of http.errors.5xx was 6 > 5 in 1 of 1 periods of 60 s".to_owned(),
            },
        ),
        (17.0, What::GuardFired { alarm: "too-many-5xx".to_owned(), reason: "Sum 6 > 5".to_owned() }),
        (17.0, experiment(ExperimentStatus::Stopping, "guard too-many-5xx fired")),
        (
            17.02,
            What::Undone {
                injection: InjectionId(1),
                cleanliness: Cleanliness::Dirty {
                    residue: "nftables table inet shaketable_1".to_owned(),
                    repair: "shaketable undo --journal lab.journal 1".to_owned(),
                },
                proof: None,
            },
        ),
        (17.03, action(ActionStatus::Stopped, "guard too-many-5xx fired")),
        (17.04, experiment(ExperimentStatus::Stopped, "guard too-many-5xx fired")),
        (17.1, What::Verdict { verdict: Verdict::Red, reason: "guard too-many-5xx fired".to_owned() }),
    ]);
    let mut record = record(
        Verdict::Red,
        "Guard too-many-5xx fired 2.98 s after the injection: 412 requests failed with a 5xx status.",
        20.0,
        (ExperimentStatus::Stopped, "guard too-many-5xx fired"),
        clauses,
        events,
    );
    record.windows =
        windows(&[(Window::Baseline, 4.0, 14.0), (Window::Fault, 14.0, 17.02), (Window::Recovery, 17.02, 20.0)]);
    record.times.first_injection = Some(at(14.02));
    record.times.detect_by_alarm = Some(Took::between(at(14.02), at(17.0), "first injection to alarm too-many-5xx"));
    record.times.abort = Some(Took::between(at(17.0), at(17.02), "guard too-many-5xx to the last undo"));
    record.actions = vec![action_record(ActionStatus::Stopped, 17.03, "guard too-many-5xx fired")];
    let dirty = Cleanliness::Dirty {
        residue: "nftables table inet shaketable_1".to_owned(),
        repair: "shaketable undo --journal lab.journal 1".to_owned(),
    };
    record.injections = vec![injection(Some(17.02), Some(dirty))];
    record.residue = vec![Residue {
        injection: InjectionId(1),
        resource: id(VICTIM),
        what: "nftables table inet shaketable_1".to_owned(),
        repair: "shaketable undo --journal lab.journal 1".to_owned(),
    }];
    record.suggestions = vec![suggestion(
        "Hold a blameless review now, and run this same experiment again until it is green.",
        "A single lost instance of two led to 412 failed requests.",
        Some("shaketable run instance-termination.yaml --seed 42"),
    )];
    record.series = all_series(20, 14.0, 40.0, 0.9, 160.0);
    record
}

/// The steady state was not there, so that nothing was injected.
pub(crate) fn invalid() -> Record {
    use Claim::{During, SteadyState};
    use Held::{No, NotEnough};
    let clauses = vec![
        clause(
            SteadyState,
            Metric::new("http.latency.p99"),
            "< 20ms",
            [value("33.6 ms", 0.0336, No), None, None],
            Some(No),
            "33.6 ms over the baseline of 2,000 requests",
        ),
        clause(
            SteadyState,
            Metric::of("balancer.target_response_time.p99", "web-lb"),
            "< 200ms",
            [value("12 ms", 0.012, NotEnough), None, None],
            Some(NotEnough),
            "41 samples; a p99 needs at least 100",
        ),
        clause(
            During,
            Metric::new("http.errors.5xx"),
            "== 0",
            [value("0", 0.0, Held::Yes), None, None],
            None,
            "nothing was injected",
        ),
    ];
    let mut events = baseline_events();
    events.extend([
        (14.0, What::SteadyState { held: false, reason: "http.latency.p99 was 33.6 ms, wanted < 20 ms".to_owned() }),
        (14.0, experiment(ExperimentStatus::Cancelled, "the steady state was not there")),
        (14.01, What::Verdict { verdict: Verdict::Invalid, reason: "the steady state was not there".to_owned() }),
    ]);
    let mut record = record(
        Verdict::Invalid,
        "The steady state was not there, and nothing was injected: p99 was 33.6 ms where less than 20 ms was claimed.",
        14.01,
        (ExperimentStatus::Cancelled, "the steady state was not there"),
        clauses,
        events,
    );
    record.windows = windows(&[(Window::Baseline, 4.0, 14.0)]);
    record.series = all_series(14, 100.0, 100.0, 0.0, 0.0);
    record
}

/// Many instances, faults that last, names in several scripts, and a text that tries to be markup.
pub(crate) fn crowded() -> Record {
    let mut record = green();
    record.document.name = "regional-<b>stress</b>.yaml".to_owned();
    "CPU on half of the 支払い group, then latency on the rest & \"more\""
        .clone_into(&mut record.experiment.description);
    record.interrupted = true;
    record.status = ExperimentStatus::Stopped;
    "Ctrl-C".clone_into(&mut record.status_reason);
    let latency = |number: u32, begun: f64, undone: f64| {
        let achieved = format!("median round trip +{}.2 ms over 20 probes", 99 + number);
        let proof = Proof { configured: "latency 100 ms ± 10 ms".to_owned(), achieved, holds: number != 3 };
        InjectionRecord {
            id: InjectionId(number),
            action: if number < 5 { "Latency-On-Half" } else { "Stress-CPU-支払い" }.to_owned(),
            resource: id(&format!("i-{number:017x}")),
            fault: "latency 100 ms ± 10 ms on traffic to 10.0.0.0/16".to_owned(),
            begun: at(begun),
            injected: Some(at(begun + 0.02)),
            undone: Some(at(undone)),
            life_proof: Some(Proof {
                achieved: "14,021 packets delayed by 100.1 ms at the median".to_owned(),
                ..proof.clone()
            }),
            proof: Some(proof),
            failure: None,
            cleanliness: Some(Cleanliness::Clean),
        }
    };
    record.injections = (1_u32..5)
        .map(|number| latency(number, 14.02, 19.0))
        .chain((5..9).map(|number| latency(number, 17.0, 23.9)))
        .collect();
    record.actions = vec![
        ActionRecord { name: "Latency-On-Half".to_owned(), ..action_record(ActionStatus::Completed, 19.0, "") },
        ActionRecord {
            name: "Stress-CPU-支払い".to_owned(), ..action_record(ActionStatus::Stopped, 23.9, "Ctrl-C")
        },
    ];
    for injection in &record.injections {
        record
            .events
            .push(Event { at: injection.begun, what: What::Injected { injection: injection.id, proof: proof() } });
        let undone = injection.undone.unwrap_or_default();
        record.events.push(Event {
            at: undone,
            what: What::Undone { injection: injection.id, cleanliness: Cleanliness::Clean, proof: None },
        });
    }
    record.events.sort_by_key(|event| event.at);
    record.series.push(series(Metric::of("group.healthy", "支払い"), MetricKind::Gauge, Unit::Count, 27, |second| {
        Some(if second > 17.0 { 3.0 } else { 4.0 })
    }));
    record
        .series
        .push(series(Metric::of("group.healthy", "orders"), MetricKind::Gauge, Unit::Count, 27, |_| Some(2.0)));
    record.series.push(series(
        Metric::new("scrape.jvm_memory_used_bytes"),
        MetricKind::Gauge,
        Unit::Bytes,
        27,
        |second| (!(15.0..=18.0).contains(&second)).then_some(3.1e8 + second * 4e6),
    ));
    record.ended = at(27.02) + Duration::from_millis(100);
    record
}

/// All of them, by name.
pub(crate) fn all() -> [(&'static str, Record); 5] {
    [("green", green()), ("yellow", yellow()), ("red", red()), ("invalid", invalid()), ("crowded", crowded())]
}
