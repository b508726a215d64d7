//! Our own documents.

use formats::{Kind, Options};
use model::{limits::Limits, load::Load, metric::Unit, target::SelectionMode};

const DOCUMENT: &str = r#"
description: Validate-ASG-Resilience-on-Instance-Termination
hypothesis:
  statement: When one instance dies, the balancer routes around it and the group replaces it within 5 minutes.
  steadyState:
    - { metric: group.healthy, of: web, is: "== 2" }
    - { metric: http.latency.p99, is: "< 200ms" }
  during:
    - { metric: http.latency.p99, is: "<= 500ms" }
    - { metric: http.errors.5xx, is: "== 0" }
  recovery:
    - { metric: group.healthy, of: web, is: "== 2", within: PT5M }
load:
  - http: { url: "http://web.lab/", rate: 200/s }
targets:
  one-web-instance:
    resourceType: aws:ec2:instance
    resourceTags: { app: web }
    selectionMode: COUNT(1)
actions:
  Terminate-One-Instance:
    actionId: aws:ec2:terminate-instances
    targets: { Instances: one-web-instance }
stopConditions:
  - { source: "aws:cloudwatch:alarm", value: too-many-5xx }
alarms:
  too-many-5xx: { metric: http.errors.5xx, statistic: Sum, period: 60, evaluationPeriods: 1, threshold: 5, comparisonOperator: GreaterThanThreshold }
lab: labs/two-zones.yaml
"#;

#[test]
fn the_document_of_the_design_is_read_without_a_finding() {
    let catalogue = crate::no_catalogue();
    let read = formats::read_experiment("termination.yaml", DOCUMENT.as_bytes(), &Options::new(&catalogue));
    assert_eq!(formats::render::terminal(&read.findings, &read.source, false), "");
    assert_eq!(read.kind, Kind::Experiment);
    let experiment = read.experiment.unwrap();
    assert_eq!(experiment.targets["one-web-instance"].selection_mode, SelectionMode::Count(1));
    assert_eq!(experiment.hypothesis.recovery[0].to_string(), "group.healthy of web == 2 within PT5M");
    assert_eq!(experiment.hypothesis.during[0].is.quantity.unit, Unit::Seconds);
    let Load::Http(load) = &experiment.load[0] else { panic!("{:?}", experiment.load) };
    assert_eq!((load.rate, load.keep_alive, load.connections), (200.0, true, 512));
    assert_eq!(experiment.stop_conditions[0].alarm_name(), Some("too-many-5xx"));
    assert_eq!(experiment.alarms["too-many-5xx"].datapoints_to_alarm, 1);
}

#[test]
fn a_short_duration_is_a_warning_in_a_fis_template_and_a_note_in_our_own() {
    let catalogue = crate::no_catalogue();
    let template = r#"
description: x
roleArn: arn:aws:iam::123456789012:role/fis
actions: { w: { actionId: "aws:fis:wait", parameters: { duration: PT1S } } }
stopConditions: [{ source: none }]
"#;
    let own = format!("{template}windows: {{ fault: PT1S }}\n");
    for (text, severity) in [(template, formats::Severity::Warning), (&own, formats::Severity::Note)] {
        let checked = formats::check("x.yaml", text.as_bytes(), &Options::new(&catalogue));
        let found: Vec<_> = checked.findings.iter().map(|finding| (finding.code.id, finding.severity)).collect();
        assert_eq!(found, [("F015", severity)]);
    }
}

#[test]
fn limits_of_an_experiment_are_read_and_refused_where_they_are_wrong() {
    let catalogue = crate::no_catalogue();
    let read = |limits: &str| {
        let text = format!("{DOCUMENT}limits: {limits}\n");
        let read = formats::read_experiment("x.yaml", text.as_bytes(), &Options::new(&catalogue));
        let found = formats::render::terminal(&read.findings, &read.source, false);
        (read.experiment.map(|experiment| experiment.limits), found)
    };
    let (limits, found) = read("{ maxResources: 2, maxPercentOfGroup: 50%, minHealthy: 1 }");
    assert_eq!(found, "");
    let right = Limits {
        max_resources: Some(2),
        max_percent_of_group: Some(50.0),
        max_percent_of_zone: None,
        min_healthy: Some(1),
    };
    assert_eq!(limits, Some(right));
    for (wrong, says) in [
        ("{ maxResource: 2 }", "did you mean `maxResources`?"),
        ("{ maxResources: 0 }", "maxResources must be a whole number from 1"),
        ("{ maxPercentOfZone: 0% }", "maxPercentOfZone must be above 0"),
        ("{ maxPercentOfGroup: half }", "not `half`"),
        ("{}", "limits nothing"),
    ] {
        let (limits, found) = read(wrong);
        assert!(limits.is_none() && found.contains(says), "{wrong}: {found}");
    }
}

#[test]
fn a_policy_is_read_and_refused_where_it_is_wrong() {
    let read = |text: &str| {
        let read = formats::read_policy("policy.yaml", text.as_bytes());
        (read.policy, formats::render::terminal(&read.findings, &read.source, false))
    };
    let text = r#"
limits: { maxPercentOfZone: 100 }
protectedTags: [do-not-shake, { key: tier, value: payments }]
environments: { tag: env, allowed: [staging, test] }
hours: { timeZone: Europe/Berlin, allowed: "Mon-Fri 09:00-17:00" }
forbidIrreversible: true
"#;
    let (policy, found) = read(text);
    assert_eq!(found, "");
    let policy = policy.unwrap();
    let tags: Vec<String> = policy.protected_tags.iter().map(ToString::to_string).collect();
    assert_eq!(tags, ["do-not-shake", "tier=payments"]);
    assert_eq!(policy.hours.unwrap().to_string(), "Mon-Fri 09:00-17:00 (Europe/Berlin)");
    assert!(policy.forbid_irreversible && policy.environments.is_some());
    let kind = formats::check("policy.yaml", text.as_bytes(), &Options::new(&crate::no_catalogue())).kind;
    assert_eq!(kind, Kind::Policy);
    for (wrong, says) in [
        ("protectedTag: [a]", "did you mean `protectedTags`?"),
        ("maxResources: 3\nlimits: { minHealthy: 1 }", "it belongs into `limits`"),
        ("protectedTags: [tier=payments]", "write { key: tier, value: payments }"),
        ("hours: { timeZone: Europe/Berln, allowed: Mon 09:00-10:00 }", "is not a time zone"),
        ("hours: { timeZone: UTC, allowed: Mon 9-10 }", "`9` is no time"),
        ("hours: { timeZone: UTC, allowed: [] }", "nothing could ever run"),
        ("hours: { allowed: Mon 09:00-10:00 }", "no `timeZone`"),
        ("environments: { tag: env }", "no `allowed`"),
        ("limits: {}\nregions: []\ngroups: {}", "not a policy"),
    ] {
        let (policy, found) = read(wrong);
        assert!(policy.is_none() && found.contains(says), "{wrong}: {found}");
    }
}

#[test]
fn a_target_that_follows_takes_all() {
    let catalogue = crate::no_catalogue();
    let read = |lines: &str| {
        let text = DOCUMENT.replace("    selectionMode: COUNT(1)\n", lines);
        let read = formats::read_experiment("x.yaml", text.as_bytes(), &Options::new(&catalogue));
        (read.experiment, formats::render::terminal(&read.findings, &read.source, false))
    };
    let (experiment, found) = read("    selectionMode: ALL\n    follow: true\n");
    assert_eq!(found, "");
    assert!(experiment.unwrap().targets["one-web-instance"].follow);
    let (experiment, found) = read("    selectionMode: PERCENT(50)\n    follow: true\n");
    assert!(experiment.is_none() && found.contains("PERCENT(50) takes only some"), "{found}");
}

#[test]
fn a_recovery_window_must_have_room_for_what_has_to_settle_in_it() {
    let catalogue = crate::no_catalogue();
    let says = |windows: &str| {
        let text = format!("{DOCUMENT}windows: {{ {windows} }}\n");
        let read = formats::read_experiment("termination.yaml", text.as_bytes(), &Options::new(&catalogue));
        formats::render::terminal(&read.findings, &read.source, false)
    };
    assert_eq!(says("recovery: PT5S"), "");
    let short = says("recovery: PT4S");
    assert!(short.contains("too short to see that anything holds for `settle`"), "{short}");
    assert!(short.contains("make recovery (now PT4S) at least 5 s"), "{short}");
    assert!(says("settle: PT5M").contains("at least 302 s"));
}
