//! Every finding there is: a document that gives it, and how it is shown.

use formats::{CODES, Options};

/// A FIS template of which a part is left open.
fn fis(part: &str) -> String {
    format!(
        r#"{{
  "description": "x",
  "roleArn": "arn:aws:iam::123456789012:role/fis",
  {part}
}}"#
    )
}

/// A FIS template with this target, used by an action that fits.
fn target(target: &str) -> String {
    fis(&format!(
        r#""targets": {{ "t": {target} }},
  "actions": {{ "a": {{ "actionId": "aws:ec2:terminate-instances", "targets": {{ "Instances": "t" }} }} }},
  "stopConditions": [{{ "source": "aws:cloudwatch:alarm", "value": "arn:aws:cloudwatch:r:1:alarm:x" }}]"#
    ))
}

/// A FIS template with this action on a target of tagged instances.
fn action(action: &str) -> String {
    fis(&format!(
        r#""targets": {{ "t": {{ "resourceType": "aws:ec2:instance", "resourceTags": {{ "app": "web" }}, "selectionMode": "COUNT(1)" }} }},
  "actions": {{ "a": {action} }},
  "stopConditions": [{{ "source": "aws:cloudwatch:alarm", "value": "arn:aws:cloudwatch:r:1:alarm:x" }}]"#
    ))
}

const WAIT: &str = r#""actions": { "w": { "actionId": "aws:fis:wait", "parameters": { "duration": "PT1M" } } }"#;
const INSTANCES: &str = r#""targets": { "Instances": "t" }"#;

/// A document of our own with these lines at its end.
fn own(lines: &str) -> String {
    format!(
        "description: x\nactions:\n  w: {{ actionId: wait, parameters: {{ duration: PT1S }} }}\nstopConditions:\n  - {{ source: none, why: nothing is broken }}\n{lines}\n"
    )
}

fn clause(clause: &str) -> String {
    own(&format!("load:\n  - http: {{ url: \"http://web.lab/\", rate: 1/s }}\nhypothesis:\n  during:\n    - {clause}"))
}

fn lab(groups: &str) -> String {
    format!("regions:\n  - {{ name: local-1, zones: [a, b] }}\ngroups:\n{groups}\n")
}

fn stack(alarm: &str) -> String {
    format!(
        r#"Parameters:
  Stage: {{ Type: String, Default: test, AllowedValues: [test, prod] }}
Resources:
  Errors:
    Type: AWS::CloudWatch::Alarm
    Properties: {{ {alarm}, Period: 60, EvaluationPeriods: 1, Threshold: 1, ComparisonOperator: GreaterThanThreshold }}
  Wait:
    Type: AWS::FIS::ExperimentTemplate
    Properties:
      Description: x
      RoleArn: arn:aws:iam::123456789012:role/fis
      StopConditions: [{{ Source: "aws:cloudwatch:alarm", Value: !GetAtt Errors.Arn }}]
      Actions: {{ w: {{ ActionId: "aws:fis:wait", Parameters: {{ duration: PT1M }} }} }}
"#
    )
}

const ALARM: &str = "Namespace: AWS/ApplicationELB, MetricName: RequestCount, Statistic: Sum, Dimensions: [{ Name: LoadBalancer, Value: web }]";

/// Code, file name, text. More than one row where a code has several causes.
fn table() -> Vec<(&'static str, &'static str, String)> {
    let mut rows = shapes();
    rows.extend(actions_and_targets());
    rows.extend(targets_and_order());
    rows.extend(guards_and_claims());
    rows.extend(seen_elsewhere());
    rows.extend(stacks_and_labs());
    rows
}

fn shapes() -> Vec<(&'static str, &'static str, String)> {
    vec![
        ("F002", "x.json", "{\n  \"description\": \"x\",\n}".to_owned()),
        ("F002", "x.json", "{\n  \"roleArn\": \"arn:aws:iam::1:role/fis”,\n  \"description\": \"x\"\n}".to_owned()),
        ("F002", "x.json", "{\n  // which ones\n  \"targets\": {}\n}".to_owned()),
        ("F003", "x.yaml", "a: [1, 2\nb: 3\n".to_owned()),
        (
            "F003",
            "x.yaml",
            "hypothesis:\n  during:\n    - metric: http.errors\n      is: >= 2\n      of: x\n\tb: 3\n".to_owned(),
        ),
        ("F004", "x.yaml", "Resources:\n  A: { Type: X }\nResources:\n  B: { Type: Y }\n".to_owned()),
        ("F005", "x.json", format!("{}{}", "[".repeat(200), "]".repeat(200))),
        ("F006", "x.yaml", own("---\ndescription: y")),
        ("F007", "x.yaml", "目的：x\n手順：y\n".to_owned()),
        ("F008", "x.yaml", "menu: dinner\ncourse: soup\n".to_owned()),
        ("F008", "x.yaml", "desciption: x\n".to_owned()),
        (
            "F010",
            "x.json",
            target(r#"{ "resourceType": "aws:ec2:instance", "resourceTag": { "a": "b" }, "selectionMode": "ALL" }"#),
        ),
        ("F011", "x.json", target(r#"{ "resourceType": "aws:ec2:instance", "resourceTags": { "a": "b" } }"#)),
        (
            "F012",
            "x.json",
            target(r#"{ "resourceType": "aws:ec2:instance", "resourceTags": ["a"], "selectionMode": "ALL" }"#),
        ),
        (
            "F012",
            "x.json",
            target(r#"{ "resourceType": "aws:ec2:instance", "resourceTags": { "n": 5 }, "selectionMode": "ALL" }"#),
        ),
        (
            "F013",
            "x.json",
            target(r#"{ "resourceType": "aws:ec2:instance", "resourceArns": ["i-0a1b"], "selectionMode": "ALL" }"#),
        ),
        (
            "F013",
            "x.json",
            target(
                r#"{ "resourceType": "aws:ec2:instance", "filters": [{ "path": "state.name", "values": ["running"] }], "selectionMode": "ALL" }"#,
            ),
        ),
        ("F013", "x.yaml", own("windows: { baseline: 10s }")),
        (
            "F014",
            "x.json",
            action(&format!(
                r#"{{ "actionId": "aws:ec2:terminate-instances", {INSTANCES}, "resourceTags": {{ "a": "b" }} }}"#
            )),
        ),
        (
            "F015",
            "x.json",
            fis(&format!(
                r#"{}, "stopConditions": [{{ "source": "aws:cloudwatch:alarm", "value": "errors" }}]"#,
                WAIT.replace("PT1M", "PT10S")
            )),
        ),
        (
            "F016",
            "x.yaml",
            "Actions:\n  w: { ActionId: \"aws:fis:wait\", Parameters: { duration: PT1M } }\n".to_owned(),
        ),
    ]
}

fn actions_and_targets() -> Vec<(&'static str, &'static str, String)> {
    let command = |arn: &str, parameters: &str| {
        let document = format!("arn:aws:ssm:us-east-1::document/{arn}");
        let parameters = serde_json::Value::String(parameters.to_owned());
        action(&format!(
            r#"{{ "actionId": "aws:ssm:send-command", {INSTANCES}, "parameters": {{ "documentArn": "{document}", "duration": "PT5M",
      "documentParameters": {parameters} }} }}"#
        ))
    };
    vec![
        ("F020", "x.json", action(&format!(r#"{{ "actionId": "aws:ec2:terminate-instance", {INSTANCES} }}"#))),
        ("F020", "x.json", action(&format!(r#"{{ "actionId": "aws:network:add-latency", {INSTANCES} }}"#))),
        (
            "F021",
            "x.json",
            action(&format!(
                r#"{{ "actionId": "aws:ec2:stop-instances", {INSTANCES}, "parameters": {{ "startInstancesAfter": "PT5M" }} }}"#
            )),
        ),
        ("F021", "x.json", command("AWSFIS-Run-CPU-Stress", r#"{"DurationSeconds": "60", "Load": "50"}"#)),
        ("F022", "x.json", command("AWSFIS-Run-Memory-Stress", r#"{"DurationSeconds": "60"}"#)),
        (
            "F023",
            "x.json",
            action(&format!(
                r#"{{ "actionId": "aws:ec2:stop-instances", {INSTANCES}, "parameters": {{ "startInstancesAfterDuration": "300", "completeIfInstancesTerminated": "true" }} }}"#
            )),
        ),
        ("F023", "x.json", command("AWSFIS-Run-CPU-Stress", r#"{"DurationSeconds": "60", "LoadPercent": "150"}"#)),
        (
            "F024",
            "x.json",
            fis(
                r#""targets": { "r": { "resourceType": "aws:iam:role", "resourceArns": ["arn:aws:iam::1:role/x"], "selectionMode": "ALL" } },
  "actions": { "a": { "actionId": "aws:fis:inject-api-throttle-error", "targets": { "Roles": "r" },
    "parameters": { "duration": "PT1M", "service": "ec2", "percentage": "50", "operations": "ec2:DescribeInstances" } } },
  "stopConditions": [{ "source": "aws:cloudwatch:alarm", "value": "arn:aws:cloudwatch:r:1:alarm:x" }]"#,
            ),
        ),
        ("F025", "x.json", command("AWSFIS-Run-CPU-Stress", r#"{"DurationSeconds": 60"#)),
        ("F026", "x.json", command("AWSFIS-Run-Network-Latency", r#"{"DurationSeconds": "60", "Interface": "ens6"}"#)),
        ("F026", "x.json", command("AWSFIS-Run-Disk-Fill", r#"{"DurationSeconds": "60", "Percent": "0"}"#)),
        (
            "F026",
            "x.json",
            command("AWSFIS-Run-Network-Latency-Sources", r#"{"DurationSeconds": "60", "Sources": "10.0.0.0/8,S3"}"#),
        ),
        ("F030", "x.json", action(r#"{ "actionId": "aws:ec2:terminate-instances", "targets": { "instances": "t" } }"#)),
        ("F031", "x.json", action(r#"{ "actionId": "aws:ec2:terminate-instances" }"#)),
    ]
}

fn targets_and_order() -> Vec<(&'static str, &'static str, String)> {
    vec![
        ("F032", "x.json", action(r#"{ "actionId": "aws:ec2:terminate-instances", "targets": { "Instances": "T" } }"#)),
        ("F033", "x.json", action(r#"{ "actionId": "aws:fis:wait", "parameters": { "duration": "PT1M" } }"#)),
        (
            "F034",
            "x.json",
            target(
                r#"{ "resourceType": "aws:ec2:spot-instance", "resourceTags": { "a": "b" }, "selectionMode": "ALL" }"#,
            ),
        ),
        (
            "F035",
            "x.json",
            target(r#"{ "resourceType": "aws:ec2:instances", "resourceTags": { "a": "b" }, "selectionMode": "ALL" }"#),
        ),
        (
            "F036",
            "x.json",
            target(
                r#"{ "resourceType": "aws:ec2:instance", "resourceTags": { "a": "b" }, "selectionMode": "PERCENT(0)" }"#,
            ),
        ),
        (
            "F036",
            "x.json",
            target(r#"{ "resourceType": "aws:ec2:instance", "resourceTags": { "a": "b" }, "selectionMode": "25%" }"#),
        ),
        (
            "F037",
            "x.json",
            target(r#"{ "resourceType": "aws:ec2:instance", "resourceTags": {}, "selectionMode": "ALL" }"#),
        ),
        (
            "F038",
            "x.json",
            target(
                r#"{ "resourceType": "aws:ec2:instance", "resourceTags": { "a": "b" }, "resourceArns": ["arn:aws:ec2:r:1:instance/i-1"], "selectionMode": "ALL" }"#,
            ),
        ),
        (
            "F039",
            "x.json",
            action(
                r#"{ "actionId": "aws:ec2:terminate-instances", "targets": { "Instances": { "resourceType": "aws:ec2:instance", "resourceTags": { "a": "b" }, "selectionMode": "ALL" } } }"#,
            ),
        ),
        (
            "F040",
            "x.json",
            target(
                r#"{ "resourceType": "aws:ec2:instance", "resourceTags": { "a": "b" }, "selectionMode": "ALL", "disjointFrom": ["u"] }"#,
            ),
        ),
        (
            "F041",
            "x.json",
            target(
                r#"{ "resourceType": "aws:ec2:instance", "parameters": { "availabilityZoneIdentifier": "local-1a" }, "selectionMode": "ALL" }"#,
            ),
        ),
        (
            "F045",
            "x.json",
            action(&format!(r#"{{ "actionId": "aws:ec2:terminate-instances", {INSTANCES}, "startAfter": ["b"] }}"#)),
        ),
        (
            "F046",
            "x.json",
            action(&format!(
                r#"{{ "actionId": "aws:ec2:terminate-instances", {INSTANCES}, "startAfter": ["b"] }},
    "b": {{ "actionId": "aws:fis:wait", "parameters": {{ "duration": "PT1M" }}, "startAfter": ["a"] }}"#
            )),
        ),
        (
            "F060",
            "x.json",
            action(&format!(
                r#"{{ "actionId": "aws:ec2:stop-instances", {INSTANCES}, "parameters": {{ "startInstancesAfterDuration": "PT5M" }} }}"#
            )),
        ),
        (
            "F061",
            "x.json",
            fis(
                r#""targets": { "s": { "resourceType": "aws:ec2:spot-instance", "resourceTags": { "a": "b" }, "selectionMode": "COUNT(1)" } },
  "actions": { "add-latency": { "actionId": "aws:ec2:send-spot-instance-interruptions", "targets": { "SpotInstances": "s" }, "parameters": { "durationBeforeInterruption": "PT2M" } } },
  "stopConditions": [{ "source": "aws:cloudwatch:alarm", "value": "arn:aws:cloudwatch:r:1:alarm:x" }]"#,
            ),
        ),
        (
            "F062",
            "x.json",
            target(
                r#"{ "resourceType": "aws:ec2:instance", "resourceTags": { "Environment": "prod" }, "selectionMode": "PERCENT(50)" }"#,
            ),
        ),
    ]
}

fn guards_and_claims() -> Vec<(&'static str, &'static str, String)> {
    let alarm = |alarm: &str| {
        own(&format!("alarms:\n  x: {{ {alarm}, period: 10, threshold: 1, comparisonOperator: GreaterThanThreshold }}"))
    };
    vec![
        ("F050", "x.json", fis(WAIT)),
        ("F051", "x.json", action(&format!(r#"{{ "actionId": "aws:ec2:terminate-instances", {INSTANCES} }}"#))
            .replace(r#""source": "aws:cloudwatch:alarm", "value": "arn:aws:cloudwatch:r:1:alarm:x""#, r#""source": "none""#)),
        ("F051", "x.yaml", "description: x\nlab: l.yaml\ntargets: { t: { resourceType: \"aws:ec2:instance\", resourceTags: { a: b }, selectionMode: ALL } }\nactions: { a: { actionId: \"aws:ec2:reboot-instances\", targets: { Instances: t } } }\nstopConditions:\n  - source: none\n".to_owned()),
        ("F052", "x.json", fis(&format!(r#"{WAIT}, "stopConditions": [{{ "source": "aws:cloudwatch:alarm" }}]"#))),
        ("F053", "x.yaml", own("lab: l.yaml").replace("{ source: none, why: nothing is broken }", "{ source: \"aws:cloudwatch:alarm\", value: errors }")),
        ("F070", "x.yaml", clause("{ metric: http.latency.p98, is: \"< 1s\" }")),
        ("F070", "x.yaml", clause("{ metric: scrape.queue, is: \"< 1\" }")),
        ("F071", "x.yaml", clause("{ metric: group.healthy, is: \"== 2\" }")),
        ("F071", "x.yaml", clause("{ metric: http.errors, of: web, is: \"== 0\" }")),
        ("F072", "x.yaml", clause("{ metric: http.latency.p99, is: 500ms }")),
        ("F072", "x.yaml", clause("{ metric: http.errors, is: \">= 0\" }")),
        ("F073", "x.yaml", clause("{ metric: http.latency.p99, is: \"<= 1%\" }")),
        ("F074", "x.yaml", clause("{ metric: http.errors, is: \"== 0\", within: PT1M }")),
        ("F075", "x.yaml", "description: x\nlab: l.yaml\ntargets: { t: { resourceType: \"aws:ec2:instance\", resourceTags: { a: b }, selectionMode: ALL } }\nactions: { a: { actionId: \"aws:ec2:reboot-instances\", targets: { Instances: t } } }\nstopConditions:\n  - { source: none, why: test }\n".to_owned()),
        ("F076", "x.yaml", own("hypothesis:\n  during:\n    - { metric: http.errors, is: \"== 0\" }")),
        ("F013", "x.yaml", alarm("metric: group.healthy, of: web, statistic: Sum")),
        ("F013", "x.yaml", own("load:\n  - http: { url: web.lab, rate: 100 }")),
        ("F012", "x.yaml", own("load:\n  - command: k6 run x.js")),
    ]
}

/// Mistakes of published templates.
fn seen_elsewhere() -> Vec<(&'static str, &'static str, String)> {
    let subnets = r#"{ "actionId": "aws:network:disrupt-connectivity", "parameters": { "scope": "all", "duration": "PT5M" }, "targets": { "Instances": "t" } }"#;
    let document = |arn: &str| {
        action(&format!(
            r#"{{ "actionId": "aws:ssm:send-command", "parameters": {{ "documentArn": "{arn}", "duration": "PT1M" }}, {INSTANCES} }}"#
        ))
    };
    vec![
        ("F030", "x.json", action(subnets)),
        ("F023", "x.json", document("arn:aws:ssm:us-east-1::AWSFIS-Run-Network-Latency-Sources")),
        (
            "F036",
            "x.json",
            target(
                r#"{ "resourceType": "aws:ec2:instance", "resourceTags": { "env": "production" }, "selectionMode": "RANDOM(1)" }"#,
            ),
        ),
        (
            "F021",
            "x.json",
            action(&format!(
                r#"{{ "actionId": "aws:ec2:stop-instances", "parameters": {{ "commands": ["dd"] }}, {INSTANCES} }}"#
            )),
        ),
        (
            "F032",
            "x.yaml",
            stack(ALARM).replace(
                "Parameters: { duration: PT1M }",
                "Parameters: { duration: PT1M }, Targets: { Instances: web }",
            ),
        ),
    ]
}

fn stacks_and_labs() -> Vec<(&'static str, &'static str, String)> {
    vec![
        (
            "F017",
            "x.yaml",
            stack(ALARM).replace("      Description: x", "      Description: x\n      Tags: { Key: Team, Value: SRE }"),
        ),
        (
            "F012",
            "x.yaml",
            stack(ALARM)
                .replace("      Description: x", "      Description: x\n      Tags: [{ Key: Team, Value: SRE }]"),
        ),
        ("F080", "x.yaml", stack(ALARM).replace("!GetAtt Errors.Arn", "!GetAtt Error.Arn")),
        ("F081", "x.yaml", stack(ALARM).replace("Description: x", "Description: !Select [7, [a, b]]")),
        ("F081", "x.yaml", stack(ALARM).replace("Description: x", "Description: !Jion [\"\", [a, b]]")),
        ("F082", "x.yaml", stack(ALARM).replace("Default: test", "Default: staging")),
        ("F084", "x.yaml", {
            let one = stack(ALARM);
            let (_, second) = one.split_once("  Wait:").unwrap_or_default();
            format!("{one}  Second:{second}")
        }),
        ("F085", "x.yaml", stack(&ALARM.replace("RequestCount", "ConsumedLCUs"))),
        ("F010", "x.yaml", stack(ALARM).replace("StopConditions:", "StopCondition:")),
        ("F090", "lab.yaml", lab("  web: { desired: 2, zones: [a, c] }")),
        ("F091", "lab.yaml", lab("  web: { desired: 2 }\nbalancers:\n  web: { group: wbe }")),
        ("F092", "lab.yaml", lab("  web: { min: 3, desired: 2, max: 4 }")),
        ("F093", "lab.yaml", lab("  Web_Tier: { desired: 2 }")),
        ("F013", "lab.yaml", lab("  web: { desired: 2, memory: lots, run: { command: [] } }")),
        (
            "F013",
            "lab.yaml",
            lab(
                "  web: { desired: 2 }\nbalancers:\n  web: { group: web, publish: here, healthCheck: { timeout: PT5S, codes: ok } }",
            ),
        ),
    ]
}

#[test]
fn every_code_has_a_document_that_gives_it_and_is_shown_like_this() {
    let catalogue = crate::some_catalogue();
    let mut seen = std::collections::BTreeSet::new();
    let mut all = String::new();
    for (code, name, text) in table() {
        // Our own short documents wait with the native action, which the catalogue of this test does not have.
        let text =
            text.replace("actionId: wait,", "actionId: \"aws:fis:wait\",").replace("duration: PT1S", "duration: PT1M");
        let checked = formats::check(name, text.as_bytes(), &Options::new(&catalogue));
        let shown = formats::render::terminal(&checked.findings, &checked.source, false);
        let found = crate::codes(&checked.findings);
        assert!(found.contains(&code), "{code} is not among {found:?}:\n{text}\n{shown}");
        seen.insert(code);
        all.extend([format!("=== {code}\n"), shown]);
    }
    let bytes = formats::check("x.yaml", b"description: \xff", &Options::new(&catalogue));
    assert_eq!(crate::codes(&bytes.findings), ["F001"]);
    seen.insert("F001");
    let keys: Vec<String> = (0..600).map(|n| format!("\"key{n}\": {n}")).collect();
    let many = formats::check("x.json", fis(&keys.join(", ")).as_bytes(), &Options::new(&catalogue));
    let last = many.findings.last().unwrap();
    assert_eq!((many.findings.len(), last.code.id, last.severity), (501, "F000", formats::Severity::Error));
    assert!(last.message.contains("102 findings more"), "{}", last.message);
    seen.insert("F000");
    // A template without an experiment is right, but cannot be run.
    let stack = b"Resources:\n  VPC: { Type: \"AWS::EC2::VPC\" }\n";
    assert!(formats::check("x.yaml", stack, &Options::new(&catalogue)).findings.is_empty());
    assert_eq!(crate::codes(&formats::read_experiment("x.yaml", stack, &Options::new(&catalogue)).findings), ["F083"]);
    seen.insert("F083");
    let large = vec![b' '; (16 << 20) + 1];
    assert_eq!(crate::codes(&formats::check("x.yaml", &large, &Options::new(&catalogue)).findings), ["R950"]);
    seen.insert("R950");
    seen.extend(crate::resilience::codes());
    // Incidents, lenses, reviews and workloads have readers, and tests, of their own.
    let here = |id: &str| id.starts_with('F') || id >= "R100" && id.starts_with('R');
    for code in CODES.iter().filter(|code| here(code.id)) {
        assert!(seen.contains(code.id), "no document gives {}", code.id);
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_long_line_is_shown_in_part_and_a_place_inside_a_text_is_found() {
    let catalogue = crate::some_catalogue();
    let pad = "x".repeat(5000);
    let text = format!(r#"{{"description": "{pad}", "roleArn": "r", "colour": 1, "stopConditions": [], {WAIT}}}"#);
    let checked = formats::check("x.json", text.as_bytes(), &Options::new(&catalogue));
    let shown = formats::render::terminal(&checked.findings, &checked.source, false);
    assert!(shown.contains("x.json:1:5037") && shown.len() < 3000, "{shown}");
}

#[test]
fn misspelt_targets_of_an_action_are_one_mistake() {
    let catalogue = crate::some_catalogue();
    let text = action(r#"{ "actionId": "aws:ec2:terminate-instances", "target": { "Instances": "t" } }"#);
    let checked = formats::check("x.json", text.as_bytes(), &Options::new(&catalogue));
    assert_eq!(crate::codes(&checked.findings), ["F010"]);
}

#[test]
fn the_programs_forms_have_the_same_findings() {
    let catalogue = crate::some_catalogue();
    let text = fis(WAIT);
    let checked = formats::check("x.json", text.as_bytes(), &Options::new(&catalogue));
    let json = formats::render::json(&checked.findings, &checked.source);
    let finding = &json[0];
    assert_eq!(
        (&finding["code"], &finding["name"], &finding["severity"]),
        (&"F050".into(), &"no-stop-condition".into(), &"error".into())
    );
    assert_eq!((&finding["line"], &finding["column"], &finding["endColumn"]), (&1.into(), &1.into(), &2.into()));
    let sarif = formats::render::sarif([(checked.findings.as_slice(), &checked.source)], "/work");
    let run = &sarif["runs"][0];
    assert_eq!(run["tool"]["driver"]["rules"].as_array().map(Vec::len), Some(CODES.len()));
    let result = &run["results"][0];
    assert_eq!((&result["ruleId"], &result["level"]), (&"F050".into(), &"error".into()));
    let index = result["ruleIndex"].as_u64().and_then(|index| usize::try_from(index).ok());
    assert_eq!(index.map(|index| CODES[index].id), Some("F050"));
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "x.json");
    assert_eq!(place["region"]["startLine"], 1);
    // Lines before it change nothing of how a result is known again.
    let fingerprint = |text: &str| {
        let checked = formats::check("x.yaml", text.as_bytes(), &Options::new(&catalogue));
        let sarif = formats::render::sarif([(checked.findings.as_slice(), &checked.source)], "/work");
        let of = |result: &serde_json::Value| result["partialFingerprints"]["primaryLocationLineHash"].clone();
        sarif["runs"][0]["results"].as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    let before = fingerprint("limits: { a: 1 }\nhours: 5\n");
    assert_eq!(before.len(), 2);
    assert_ne!(before[0], before[1]);
    assert_eq!(fingerprint("# a comment\n\nlimits: { a: 1 }\nhours: 5\n"), before);
}
