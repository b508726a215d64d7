//! The templates in the source documents give exactly the findings that the inventory lists.

use formats::{Kind, Options, Severity};

use crate::{codes, corpus::shared};

/// The text of a seed, where the source documents lie beside the project.
pub(crate) fn seed(number: &str) -> Option<String> {
    let files = std::fs::read_dir(shared()?.join("seeds")).ok()?;
    let mut paths = files.filter_map(|entry| Some(entry.ok()?.path()));
    let path = paths.find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(number)));
    std::fs::read_to_string(path?).ok()
}

/// The fenced code block of a seed that holds a text.
fn block(number: &str, holding: &str) -> Option<String> {
    let text = seed(number)?;
    let block = text.split("```").skip(1).step_by(2).find(|block| block.contains(holding));
    let block = block.unwrap_or_else(|| panic!("no block of seed {number} holds {holding}"));
    block.split_once('\n').map(|(_, body)| body.to_owned())
}

/// The JSON documents that a script writes with `cat > NAME << 'EOF'`.
fn here_documents(script: &str) -> Vec<(String, String)> {
    let mut parts = script.split("cat > ").skip(1);
    let mut found = Vec::new();
    for part in &mut parts {
        let (name, rest) = part.split_once(" << 'EOF'\n").unwrap();
        found.push((name.to_owned(), rest.split_once("\nEOF").unwrap().0.to_owned()));
    }
    found
}

fn check(path: &str, text: &str) -> (Kind, Vec<&'static str>, bool) {
    let catalogue = crate::no_catalogue();
    let checked = formats::check(path, text.as_bytes(), &Options::new(&catalogue));
    println!("{}", formats::render::terminal(&checked.findings, &checked.source, false));
    (checked.kind, codes(&checked.findings), formats::has_errors(&checked.findings))
}

#[test]
fn the_first_seeds_cloudformation_template_can_be_used_and_names_its_missing_alarm() {
    let Some(text) = block("000", "EC2StopExperiment") else { return };
    // M-017: HighErrorRateAlarm is not defined. M-016: the restart of an instance that was replaced. That the role is
    // for experiments of any account is worth a note.
    assert_eq!(check("seed.yaml", &text), (Kind::CloudFormation, vec!["F080", "F060", "R312"], false));
    let catalogue = crate::no_catalogue();
    let read = formats::read_experiment("seed.yaml", text.as_bytes(), &Options::new(&catalogue));
    let experiment = read.experiment.unwrap();
    assert_eq!(experiment.stop_conditions[0].alarm_name(), Some("HighErrorRateAlarm"));
    assert_eq!(experiment.targets["tagged-instances"].resource_tags["ChaosTest"], "enabled");
    assert_eq!(experiment.actions["StopRandomInstances"].parameters["startInstancesAfterDuration"], "PT5M");
}

#[test]
fn the_first_seeds_fragment_has_an_action_that_does_not_exist() {
    let Some(text) = block("000", "InjectNetworkLatency") else { return };
    // M-014: no such action, no latency, `service` is missing, operations with a prefix. M-017: ApplicationRole.
    assert_eq!(check("seed.yaml", &text), (Kind::Fragment, vec!["F016", "F022", "F061", "F020", "F024", "F080"], true));
}

#[test]
fn the_third_seeds_template_is_no_document() {
    let Some(text) = block("002", "ExperimentTemplate:") else { return };
    // M-064: wrong root, no roleArn, `cluster` in the wrong place, the target inline and without a selector. M-017.
    assert_eq!(check("seed.yaml", &text), (Kind::Fragment, vec!["F016", "F015", "F021", "F037", "F039", "F080"], true));
}

#[test]
fn one_of_the_fifth_seeds_four_templates_is_valid() {
    let (Some(first), Some(others)) =
        (block("004", "cat > ec2-stop-experiment.json"), block("004", "cat > network-latency"))
    else {
        return;
    };
    let documents: Vec<(String, String)> = here_documents(&first).into_iter().chain(here_documents(&others)).collect();
    let found: Vec<(&str, Vec<&str>, bool)> = documents
        .iter()
        .map(|(name, text)| {
            let (kind, codes, errors) = check(name, text);
            assert_eq!(kind, Kind::FisTemplate);
            (name.as_str(), codes, errors)
        })
        .collect();
    assert_eq!(
        found,
        [
            // M-016 and M-161: a warning and a note.
            ("ec2-stop-experiment.json", vec!["F060", "F062"], false),
            // M-156: no stopConditions, undefined target. M-157: not latency, and durationMinutes.
            ("network-latency-experiment.json", vec!["F050", "F061", "F021", "F032"], true),
            // M-156, M-158.
            ("database-failure-experiment.json", vec!["F050", "F020", "F032"], true),
            // M-156, M-159.
            ("memory-stress-experiment.json", vec!["F050", "F022", "F032"], true),
        ]
    );
}

#[test]
fn the_ids_in_the_second_seeds_prose_are_explained() {
    for (id, wanted) in [
        ("aws:network:add-latency", "network:latency"),
        ("aws:ssm:send-command/AWSFIS-Run-CPU-Stress", "document/AWSFIS-Run-CPU-Stress"),
        ("aws:rds:stop-db-cluster", "aws:rds:failover-db-cluster"),
    ] {
        let text = format!(
            r#"{{"description": "x", "roleArn": "arn:aws:iam::1:role/x", "stopConditions": [],
                "actions": {{"a": {{"actionId": "{id}"}}}}}}"#
        );
        let catalogue = crate::no_catalogue();
        let checked = formats::check("x.json", text.as_bytes(), &Options::new(&catalogue));
        let finding = checked.findings.iter().find(|finding| finding.code.id == "F020").unwrap();
        assert!(finding.help.as_deref().unwrap().contains(wanted), "{finding:?}");
        assert_eq!(finding.severity, Severity::Error);
    }
}

#[test]
fn full_width_colons_are_recognised() {
    let Some(text) = block("001", "従来の障害処理の問題点：") else { return };
    let (_, codes, _) = check("seed.yaml", &text);
    assert_eq!(codes, ["F007"]);
}
