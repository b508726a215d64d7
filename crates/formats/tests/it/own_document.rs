//! Our own documents.

use formats::{Kind, Options};
use model::{load::Load, metric::Unit, target::SelectionMode};

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
