//! What holds for every document.

use std::{collections::BTreeMap, path::Path};

use formats::{
    Options, Source, Template,
    incidents::{Given, read_history},
    json, yaml,
};
use model::{
    Period,
    experiment::{
        AccountTargeting, Action, EmptyTargets, Experiment, LogConfiguration, ReportConfiguration, S3Location,
        StopCondition, StopSource,
    },
    target::{Filter, SelectionMode, Target},
};
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    sample::{Index, select},
};
use serde_json::Value;

/// Reads bytes in every way there is; whatever comes of it, it ends, and can be shown.
fn read_in_every_way(name: &str, bytes: &[u8]) {
    let catalogue = crate::some_catalogue();
    let mut options = Options::new(&catalogue);
    for params in [&[][..], &[("Stage", "prod"), ("Nothing", "x")]] {
        options.params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let checked = formats::check(name, bytes, &options);
        let shown = formats::render::terminal(&checked.findings, &checked.source, true);
        assert_eq!(shown.is_empty(), checked.findings.is_empty());
        for finding in &checked.findings {
            assert!(finding.line >= 1 && finding.column >= 1);
            assert!(checked.source.text().get(finding.span.range()).is_some(), "{finding:?}");
        }
        let programs = formats::render::json(&checked.findings, &checked.source);
        assert_eq!(programs.as_array().map(Vec::len), Some(checked.findings.len()));
    }
    let lab = formats::read_lab(name, bytes);
    assert_eq!(lab.lab.is_none(), formats::has_errors(&lab.findings));
    let lens = formats::read_lens(name, bytes);
    assert_eq!(lens.lens.is_none(), formats::has_errors(&lens.findings));
    let review = formats::read_review(name, bytes);
    assert_eq!(review.review.is_none(), formats::has_errors(&review.findings));
    if let Some(review) = review.review {
        let again = formats::read_review("printed.yaml", formats::review::print(&review).as_bytes());
        assert_eq!(again.review, Some(review), "{:?}", again.findings);
    }
    let workloads = formats::read_workloads(name, bytes);
    assert!(workloads.workloads.is_empty() || !formats::has_errors(&workloads.findings));
    let costs = formats::cost::read_costs(name, bytes);
    assert_eq!(costs.costs.is_none(), formats::has_errors(&costs.findings));
    let suite = formats::suite::read_suite(name, bytes);
    assert_eq!(suite.suite.is_none(), formats::has_errors(&suite.findings));
    let given = Given { from: "2024-01-01".parse().ok(), to: "2025-01-01".parse().ok(), ..Given::default() };
    let history = read_history(name, bytes, &given);
    assert_eq!(history.history.is_none(), formats::has_errors(&history.findings));
    let experiment = formats::read_experiment(name, bytes, &options);
    assert!(experiment.experiment.is_some() || formats::has_errors(&experiment.findings), "nothing, and no word why");
}

/// Documents of all kinds, to be damaged.
fn documents() -> Vec<(String, Vec<u8>)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<_> =
        ["costs", "experiments", "fis", "incidents", "labs", "policies", "reviews", "suites", "workloads"]
            .map(|name| here.join("../../examples").join(name))
            .into();
    folders.extend(crate::corpus::shared().map(|shared| shared.join("corpus/fis")));
    let mut files: Vec<_> = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|path| (path.to_string_lossy().into_owned(), std::fs::read(path).unwrap())).collect()
}

/// Texts that mean something to one of the readers.
const TOKENS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ": ",
    ",",
    "\"",
    "'",
    "\n",
    "\n  ",
    "- ",
    "&a ",
    "*a",
    "!Ref ",
    "!Sub ",
    "!GetAtt ",
    "${",
    "}",
    "|",
    ">",
    "#",
    "---\n",
    "null",
    "~",
    "true",
    "1e999",
    "-0",
    "\\u12",
    "\\ud800",
    "：",
    "é",
    "\u{feff}",
    "\t",
    "PT",
    "COUNT(",
    "PERCENT(0)",
    "<X>",
    "{{",
    "<<: *a",
    "? ",
    "%YAML 1.2\n",
    "Fn::If",
    "AWS::NoValue",
    "startAfter",
    "targets",
    "arn:",
    "```yaml\n",
    "```\n",
    "```bash\n",
    "$(",
    "<<E\n",
    "aws ec2 describe-instances --query '",
    "[?",
    "`",
    " | ",
    "while true; do\n",
    "@retry(",
    "try:\n",
    "except Exception:\n",
    "graph TD\n",
    "-->",
    "A[",
    ",",
    "began",
    "2024-01-02",
];

/// A file in every language.
const NAMES: &[&str] = &["x.json", "x.yaml", "x", "x.csv", "x.md", "x.sh", "x.py", "x.mmd"];

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..400), name in select(NAMES)) {
        read_in_every_way(name, &bytes);
    }

    #[test]
    fn no_sequence_of_tokens_makes_a_reader_panic(tokens in vec(select(TOKENS), 0..60), name in select(NAMES)) {
        read_in_every_way(name, tokens.concat().as_bytes());
    }

    #[test]
    fn no_damage_to_a_document_makes_a_reader_panic(
        which in any::<Index>(),
        damage in vec((any::<Index>(), 0usize..12, select(TOKENS)), 1..6),
    ) {
        let documents = documents();
        let (name, bytes) = which.get(&documents);
        let mut bytes = bytes.clone();
        for (at, cut, token) in damage {
            let at = at.index(bytes.len() + 1);
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, token.bytes());
        }
        read_in_every_way(name, &bytes);
    }

    #[test]
    fn json_is_read_as_serde_json_reads_it_and_yaml_reads_the_same(value in any_json()) {
        let mut findings = Vec::new();
        for text in [serde_json::to_string(&value).unwrap(), serde_json::to_string_pretty(&value).unwrap()] {
            let from_json = json::parse(&text, &mut findings).unwrap();
            prop_assert_eq!(from_json.to_json(), value.clone());
            let from_yaml = yaml::parse(&text, &mut findings).unwrap();
            prop_assert_eq!(from_yaml.to_json(), value.clone());
        }
        let block = yaml::parse(&block_style(&value, 0), &mut findings).unwrap();
        prop_assert_eq!(block.to_json(), value);
        prop_assert!(findings.is_empty());
    }

    #[test]
    fn every_value_stands_where_the_tree_says(value in any_json()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        let source = Source::new("x", text.clone());
        let root = json::parse(&text, &mut Vec::new()).unwrap();
        let mut open = vec![&root];
        while let Some(node) = open.pop() {
            let again: Value = serde_json::from_str(source.slice(node.span)).unwrap();
            prop_assert_eq!(again, node.to_json());
            open.extend(node.as_sequence().unwrap_or_default());
            open.extend(node.as_mapping().unwrap_or_default().iter().map(|entry| &entry.value));
        }
    }

    #[test]
    fn an_experiment_that_is_printed_reads_back_equal(experiment in any_experiment()) {
        let template = Template::from(experiment);
        let text = serde_json::to_string(&template.to_json()).unwrap();
        let catalogue = crate::no_catalogue();
        let read = formats::read_template("x.json", text.as_bytes(), &Options::new(&catalogue));
        let shown = formats::render::terminal(&read.findings, &read.source, false);
        let read = read.template.ok_or_else(|| TestCaseError::fail(shown))?;
        prop_assert_eq!(&read.experiment, &template.experiment);
        prop_assert_eq!(read.to_json(), template.to_json());
    }
}

/// Any JSON value; numbers are whole, because text of a float has several spellings.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        select(&["", "no", "null", "1", "a: b", "- x", "#", "it's", "tab\there", "line\nbreak", " pad "])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map("[a-z :#'\"é]{0,6}", inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A value as block-style YAML.
fn block_style(value: &Value, indent: usize) -> String {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(map) if !map.is_empty() => map
            .iter()
            .map(|(key, value)| {
                let key = Value::from(key.as_str());
                match value {
                    Value::Object(inner) if !inner.is_empty() => {
                        format!("{pad}{key}:\n{}", block_style(value, indent + 2))
                    }
                    Value::Array(inner) if !inner.is_empty() => format!("{pad}{key}:\n{}", block_style(value, indent)),
                    leaf => format!("{pad}{key}: {leaf}\n"),
                }
            })
            .collect(),
        Value::Array(items) if !items.is_empty() => items
            .iter()
            .map(|item| format!("{pad}- {}", block_style(item, indent + 2).trim_start_matches(' ')))
            .collect(),
        leaf => format!("{leaf}\n"),
    }
}

fn name() -> impl Strategy<Value = String> {
    "[A-Za-z][A-Za-z0-9/~_-]{0,10}"
}

fn tags() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map("[a-zA-Z:]{1,8}", "[ -~é]{0,8}", 1..3)
}

fn any_target() -> impl Strategy<Value = Target> {
    let mode = prop_oneof![
        Just(SelectionMode::All),
        (1u32..100).prop_map(SelectionMode::Count),
        (1u32..=400).prop_map(|quarters| SelectionMode::Percent(f64::from(quarters) / 4.0)),
    ];
    let filter = ("[A-Z][a-z]{0,5}(\\.[A-Z][a-z]{0,5})?", vec("[a-z-]{1,6}", 1..3))
        .prop_map(|(path, values)| Filter { path, values });
    let chosen = prop_oneof![
        vec("arn:aws:ec2:r:1:instance/i-[0-9a-f]{8}", 1..5)
            .prop_map(|resource_arns| Target { resource_arns, ..Target::default() }),
        (tags(), vec(filter, 0..3)).prop_map(|(resource_tags, filters)| Target {
            resource_tags,
            filters,
            ..Target::default()
        }),
    ];
    (chosen, mode).prop_map(|(target, selection_mode)| Target {
        resource_type: "aws:ec2:instance".to_owned(),
        selection_mode,
        ..target
    })
}

fn any_experiment() -> impl Strategy<Value = Experiment> {
    let s3 =
        ("[a-z]{3,8}", option::of("[a-z/]{1,8}")).prop_map(|(bucket_name, prefix)| S3Location { bucket_name, prefix });
    let log = (1i64..=2, option::of("arn:[a-z]{1,8}"), option::of(s3.clone()))
        .prop_map(|(log_schema_version, log_group_arn, s3)| LogConfiguration { log_schema_version, log_group_arn, s3 });
    let period = option::of((0u64..100_000).prop_map(Period::from_secs));
    let report = (option::of(s3), vec("arn:[a-z]{1,8}", 0..3), period.clone(), period).prop_map(
        |(s3, dashboards, pre_experiment_duration, post_experiment_duration)| ReportConfiguration {
            s3,
            dashboards,
            pre_experiment_duration,
            post_experiment_duration,
        },
    );
    let options = (
        option::of(select(&[AccountTargeting::SingleAccount, AccountTargeting::MultiAccount])),
        option::of(select(&[EmptyTargets::Fail, EmptyTargets::Skip])),
    )
        .prop_map(|(account_targeting, empty_target_resolution_mode)| model::experiment::Options {
            account_targeting,
            empty_target_resolution_mode,
        });
    let optional =
        (option::of(options), option::of(log), option::of(report), option::of("arn:aws:iam::1:role/[a-z]{1,6}"));
    let plan = (btree_map(name(), any_target(), 1..4), btree_map(name(), any::<Index>(), 1..6));
    ("[ -~é]{1,30}", option::of(tags()), plan, optional).prop_map(
        |(description, tags, (targets, uses), (options, log_configuration, report_configuration, role_arn))| {
            let names: Vec<String> = targets.keys().cloned().collect();
            let mut earlier: Vec<String> = Vec::new();
            let mut actions = BTreeMap::new();
            for (name, index) in uses {
                let wait = index.index(3) == 0;
                let action = Action {
                    action_id: if wait { "aws:fis:wait" } else { "aws:ec2:reboot-instances" }.to_owned(),
                    description: wait.then(|| "waits".to_owned()),
                    parameters: wait.then(|| ("duration".to_owned(), "PT1M".to_owned())).into_iter().collect(),
                    targets: (!wait).then(|| ("Instances".to_owned(), index.get(&names).clone())).into_iter().collect(),
                    start_after: if earlier.is_empty() { Vec::new() } else { vec![index.get(&earlier).clone()] },
                };
                earlier.push(name.clone());
                actions.insert(name, action);
            }
            let value = Some("arn:aws:cloudwatch:r:1:alarm:a".to_owned());
            Experiment {
                description,
                tags: tags.unwrap_or_default(),
                role_arn,
                targets,
                actions,
                stop_conditions: vec![StopCondition { source: StopSource::Alarm, value, why: None }],
                options,
                log_configuration,
                report_configuration,
                ..Experiment::default()
            }
        },
    )
}
