//! What `check` says of a document is what the command says that reads it.

use formats::{Finding, Kind, Options, cost, incidents, lens, review, suite};

/// What the command of a kind finds in a file.
type Command = fn(&str, &[u8]) -> Vec<Finding>;

/// A kind that has a reader of its own: the name of a file, a right document, what to replace in it by what, the finding
/// that this gives, and the command.
struct Case {
    kind: Kind,
    path: &'static str,
    text: &'static str,
    wrong: (&'static str, &'static str),
    code: &'static str,
    command: Command,
}

const LENS: &str = r#"{"schemaVersion": "2021-11-01", "name": "N", "description": "D", "pillars": [
{"id": "pil", "name": "P", "questions": [{"id": "que", "title": "T", "description": "", "choices": [
{"id": "one", "title": "One", "improvementPlan": {"displayText": "Do it."}},
{"id": "que_no", "title": "None of these"}],
"riskRules": [{"condition": "one", "risk": "NO_RISK"}, {"condition": "default", "risk": "HIGH_RISK"}]}]}]}"#;

const EXPERIMENT: &str = "
description: one instance ends
targets: { web: { resourceType: aws:ec2:instance, resourceTags: { app: web }, selectionMode: COUNT(1) } }
actions: { stop: { actionId: aws:ec2:stop-instances, targets: { Instances: web } } }
stopConditions: [{ source: aws:cloudwatch:alarm, value: 'arn:aws:cloudwatch:us-east-1:111122223333:alarm:errors' }]
roleArn: arn:aws:iam::111122223333:role/fis
";

fn cases() -> Vec<Case> {
    let case = |kind, path, text, wrong, code, command| Case { kind, path, text, wrong, code, command };
    let experiment: Command = |path, bytes| {
        let catalogue = crate::no_catalogue();
        formats::read_experiment(path, bytes, &Options::new(&catalogue)).findings
    };
    vec![
        case(Kind::FisTemplate, "e.yaml", EXPERIMENT, ("COUNT(1)", "COUNT(0)"), "F036", experiment),
        case(
            Kind::Lab,
            "l.yaml",
            "regions: [{ name: here, zones: [a] }]\ngroups: { web: { zones: [a], desired: 1, run: { demoApp: {} } } }\n",
            ("zones: [a], desired", "zones: [b], desired"),
            "F090",
            |path, bytes| formats::read_lab(path, bytes).findings,
        ),
        case(
            Kind::Policy,
            "p.yaml",
            "limits: { maxResources: 3 }\nforbidIrreversible: true\n",
            ("3", "none"),
            "F013",
            |path, bytes| formats::read_policy(path, bytes).findings,
        ),
        case(Kind::Lens, "lens.json", LENS, ("\"one\", \"risk\"", "\"on\", \"risk\""), "L005", |path, bytes| {
            lens::read_lens(path, bytes).findings
        }),
        case(
            Kind::Review,
            "r.yaml",
            "review: 1\nworkload: { name: Shop, rto: PT15M }\nanswers: {}\n",
            ("PT15M", "15 minuts"),
            "F013",
            |path, bytes| review::read_review(path, bytes).findings,
        ),
        case(
            Kind::Workload,
            "w.yaml",
            "objectives: { availability: 99%, rto: PT4H }\ncomponents:\n  queue: { mtbf: P10D, mttr: PT10M }\n",
            ("mttr: PT10M", "mttr: soon"),
            "F013",
            |path, bytes| formats::read_workloads(path, bytes).findings,
        ),
        case(
            Kind::Inventory,
            "i.yaml",
            "workload_name: shop\navailability_requirement: 99.9%\nrto_requirement: 30 minutes\n",
            ("99.9%", "very high"),
            "F013",
            |path, bytes| formats::read_workloads(path, bytes).findings,
        ),
        case(
            Kind::Inventory,
            "s.yaml",
            "services:\n  web: { rto: 15 minutes, rpo: 5 minutes }\n",
            ("15 minutes", "at once"),
            "F013",
            |path, bytes| formats::read_workloads(path, bytes).findings,
        ),
        case(
            Kind::History,
            "h.yaml",
            "observed: { from: 2024-01-01, length: 30 days }\nincidents:\n  - { title: a, began: 2024-01-02, duration: 1h }\n",
            ("1h", "an hour"),
            "F013",
            |path, bytes| incidents::read_history(path, bytes, &incidents::Given::default()).findings,
        ),
        case(
            Kind::History,
            "h.csv",
            "title,began,duration\na,2024-01-02,1h\n",
            ("2024-01-02", "2024-13-02"),
            "F013",
            |path, bytes| {
                let day = |text: &str| Some(text.parse().unwrap());
                let given = incidents::Given { from: day("2024-01-01"), to: day("2024-02-01"), ..Default::default() };
                incidents::read_history(path, bytes, &given).findings
            },
        ),
        case(
            Kind::Costs,
            "c.yaml",
            "hour: { revenue: 100000 }\noutage: { duration: 2 hours }\n",
            ("2 hours", "long"),
            "F013",
            |path, bytes| cost::read_costs(path, bytes).findings,
        ),
        case(
            Kind::Suite,
            "u.yaml",
            "systems:\n  compute (and elasticity):\n    checks:\n      cells die: { stage: crawl }\n",
            ("crawl", "craw"),
            "F013",
            |path, bytes| suite::read_suite(path, bytes).findings,
        ),
    ]
}

#[test]
fn a_right_document_of_every_kind_is_recognised_and_clean() {
    for Case { kind, path, text, .. } in cases() {
        let checked = crate::defects::check(path, text.as_bytes());
        assert_eq!(checked.kind, kind, "{path}");
        assert!(checked.findings.is_empty(), "{path}: {:?}", checked.findings);
    }
}

#[test]
fn a_wrong_document_of_every_kind_has_the_findings_of_its_reader() {
    for Case { kind, path, text, wrong: (right, wrong), code, command } in cases() {
        let text = text.replacen(right, wrong, 1);
        let checked = crate::defects::check(path, text.as_bytes());
        let read = command(path, text.as_bytes());
        assert_eq!(checked.kind, kind, "{path}");
        assert_eq!(crate::codes(&read), [code], "{path}: {read:?}");
        assert_eq!(checked.findings, read, "{path}");
    }
}

#[test]
fn a_document_in_a_document_is_checked_by_the_same_reader() {
    // A lens is JSON, and a table has no block of its own.
    for Case { kind, path, text, wrong: (right, wrong), code, .. } in cases().into_iter().filter(|c| c.path != "h.csv")
    {
        let word = if path.ends_with(".json") { "json" } else { "yaml" };
        let within = |text: &str| format!("# Notes\n\n```{word}\n{text}\n```\n");
        let checked = crate::defects::check("notes.md", within(text).as_bytes());
        assert_eq!(checked.parts.iter().map(|part| part.kind).collect::<Vec<_>>(), [kind], "{path}");
        assert!(checked.findings.is_empty(), "{path}: {:?}", checked.findings);
        let checked = crate::defects::check("notes.md", within(&text.replacen(right, wrong, 1)).as_bytes());
        assert_eq!(crate::codes(&checked.findings), [code], "{path}");
    }
}

#[test]
fn what_a_call_may_add_to_a_history_may_be_missing_in_its_file() {
    let document = b"incidents:\n  - { title: a, began: 2024-01-02, duration: 1h }\n";
    let checked = crate::defects::check("h.yaml", document);
    assert_eq!((checked.kind, formats::has_errors(&checked.findings)), (Kind::History, false));
    assert_eq!(crate::codes(&checked.findings), ["F011"]);
    let read = incidents::read_history("h.yaml", document, &incidents::Given::default());
    assert!(formats::has_errors(&read.findings));
}

#[test]
fn what_looks_like_ours_and_is_others_is_left_alone() {
    for (path, text) in [
        ("compose.yaml", "services:\n  web: { image: nginx, ports: ['80:80'] }\n"),
        ("api.yaml", "openapi: 3.1.0\ncomponents:\n  schemas: { Order: { type: object } }\n"),
        ("prices.csv", "name,price\napple,1\n"),
        ("films.csv", "title;duration\nMetropolis;153\n"),
        ("post.yaml", "title: On reviews\nreview: monthly\n"),
        ("status.yaml", "incidents:\n  - { id: 5, status: resolved }\n"),
        ("fleet.yaml", "systems:\n  - { host: a }\n"),
        ("shop.yaml", "hour: 12\noptions: { gift: { price: 5 } }\n"),
    ] {
        let checked = crate::defects::check(path, text.as_bytes());
        assert_eq!(checked.kind, Kind::Unknown, "{path}");
        assert!(!formats::has_errors(&checked.findings), "{path}: {:?}", checked.findings);
    }
}

#[test]
fn the_examples_are_what_their_folders_say() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for (folder, kinds) in [
        ("costs", &[Kind::Costs][..]),
        ("incidents", &[Kind::History]),
        ("labs", &[Kind::Lab]),
        ("policies", &[Kind::Policy]),
        ("reviews", &[Kind::Review, Kind::Lens]),
        ("suites", &[Kind::Suite]),
        ("workloads", &[Kind::Workload]),
    ] {
        for entry in std::fs::read_dir(examples.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let checked = crate::defects::check(&path.to_string_lossy(), &std::fs::read(&path).unwrap());
            assert!(kinds.contains(&checked.kind), "{}: {}", path.display(), checked.kind);
            assert!(!formats::has_errors(&checked.findings), "{}: {:?}", path.display(), checked.findings);
        }
    }
}

#[test]
fn a_key_that_documents_of_all_kinds_have_makes_no_experiment() {
    let catalogue = crate::no_catalogue();
    for text in [
        r#"{"tags": [{"key": "a", "value": "b"}], "update": {"id": "x"}}"#,
        r#"{"Targets": [{"Key": "InstanceIds", "Values": ["i-1"]}], "WindowId": "mw-1"}"#,
        r#"{"description": "a task", "taskDefinition": {"family": "web"}}"#,
        r#"{"version": 0.0, "Resources": [{"TargetService": {"Type": "AWS::ECS::Service"}}]}"#,
    ] {
        let checked = formats::check("a.json", text.as_bytes(), &Options::new(&catalogue));
        assert_eq!(checked.kind, Kind::Unknown, "{text}");
        assert!(checked.findings.iter().all(|finding| finding.code.id == "F008"), "{text}: {:?}", checked.findings);
    }
}

/// What a document is, and the codes of what is found in it.
fn looked_at(name: &str, text: &str) -> (Kind, Vec<&'static str>) {
    let catalogue = crate::no_catalogue();
    let checked = formats::check(name, text.as_bytes(), &Options::new(&catalogue));
    (checked.kind, checked.findings.iter().map(|finding| finding.code.id).collect())
}

#[test]
fn answers_of_other_calls_are_nobodys_documents() {
    let change_set = r#"{"StackName": "web", "ChangeSetName": "more", "Status": "CREATE_COMPLETE",
        "Changes": [{"Type": "Resource", "ResourceChange": {"Action": "Modify", "LogicalResourceId": "Web"}}]}"#;
    assert_eq!(looked_at("c.json", change_set), (Kind::Unknown, vec!["F008"]));
    let empty = r#"{"StackName": "web", "ChangeSetName": "more", "Status": "FAILED", "Changes": []}"#;
    assert_eq!(looked_at("c.json", empty), (Kind::Unknown, vec!["F008"]));
    let actions = r#"{"actions": [{"id": "aws:ec2:stop-instances", "arn": "arn:aws:fis:eu-west-1::action/a",
        "description": "Stops.", "targets": {"Instances": {"resourceType": "aws:ec2:instance"}}, "tags": {}}]}"#;
    assert_eq!(looked_at("a.json", actions), (Kind::Unknown, vec!["F008"]));
    let templates = r#"{"experimentTemplates": [{"id": "EXT1", "description": "one ends", "tags": {}}]}"#;
    assert_eq!(looked_at("l.json", templates), (Kind::Unknown, vec!["F008"]));
    let catalogue = crate::no_catalogue();
    for answer in [actions, templates, r#"{"experiments": [{"id": "EXP1", "state": {"status": "completed"}}]}"#] {
        let checked = formats::check("a.json", answer.as_bytes(), &Options::new(&catalogue));
        assert!(!formats::has_errors(&checked.findings), "{:?}", checked.findings);
    }
    // A template whose actions became a list is one all the same.
    let list = "description: d\nstopConditions: [{ source: none }]\nactions: [{ actionId: aws:ec2:stop-instances }]\n";
    assert_eq!(looked_at("t.yaml", list).0, Kind::FisTemplate);
}

#[test]
fn a_template_as_the_service_answers_with_it_is_a_template() {
    let answer = r#"{"experimentTemplate": {"id": "EXT1", "arn": "arn:aws:fis:eu-west-1:111122223333:experiment-template/EXT1",
        "description": "one ends", "creationTime": "2026-01-01T00:00:00Z", "lastUpdateTime": 1767225600.0,
        "targets": {"web": {"resourceType": "aws:ec2:instance", "resourceTags": {"app": "web"}, "selectionMode": "COUNT(1)"}},
        "actions": {"end": {"actionId": "aws:ec2:terminate-instances", "targets": {"Instances": "web"}}},
        "stopConditions": [{"source": "aws:cloudwatch:alarm", "value": "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:a"}],
        "roleArn": "arn:aws:iam::111122223333:role/fis", "tags": {}, "targetAccountConfigurationsCount": 0}}"#;
    assert_eq!(looked_at("t.json", answer), (Kind::FisTemplate, Vec::new()));
    let wrong = answer.replace("\"Instances\": \"web\"", "\"Instances\": \"wbe\"");
    let (kind, codes) = looked_at("t.json", &wrong);
    assert_eq!((kind, codes.first()), (Kind::FisTemplate, Some(&"F032")), "{codes:?}");
    let catalogue = crate::no_catalogue();
    let read = formats::read_experiment("t.json", answer.as_bytes(), &Options::new(&catalogue));
    assert!(read.experiment.is_some(), "{:?}", read.findings);
    // What somebody wrote has no id.
    let inner = answer.replace("\"creationTime\": \"2026-01-01T00:00:00Z\", ", "");
    assert!(looked_at("t.json", &inner).1.contains(&"F010"));
}
