//! What nobody should write is answered within a bound of memory: each file is read by a process of its own that may not have
//! more.

use std::process::Command;

/// The variable that names what a child is to read.
const FILE: &str = "SHAKETABLE_READS";

/// Most address space of the child, in KiB. Of a file of 16 MiB the bytes and the text are kept, a million values of some 200
/// bytes, as much again while a list of them grows, and what the findings need; the rest is for the program itself.
const MOST: u32 = 1_000_000;

/// A file: its name, its bytes, and a finding that says what is the matter; none where it is right as it is.
type Strange = (&'static str, fn() -> Vec<u8>, Option<&'static str>);

const HUNDRED_MB: usize = 100_000_000;

/// As many of a text as fit into the largest file that is read.
fn full(text: &str) -> Vec<u8> {
    text.repeat(formats::MAX_BYTES / text.len()).into_bytes()
}

fn with(before: &str, text: &str, bytes: usize) -> Vec<u8> {
    (before.to_owned() + &text.repeat(bytes / text.len())).into_bytes()
}

/// Aliases of aliases, so many levels of them.
fn laughs(levels: usize) -> Vec<u8> {
    let line =
        |n: usize| format!("a{n}: &a{n} [*a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}]\n", n - 1);
    ("a0: &a0 [x]\n".to_owned() + &(1..levels).map(line).collect::<String>()).into_bytes()
}

fn utf_16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Larger than anything that is read.
const LARGE: &[Strange] = &[
    ("plain.yaml", || with("", "key: value\n", HUNDRED_MB), Some("R950")),
    ("line.yaml", || with("a: ", "x", HUNDRED_MB), Some("R950")),
    ("script.sh", || with("", "echo a\n", HUNDRED_MB), Some("R950")),
    ("table.csv", || with("title,began,duration\n", "a,2024-01-02,1h\n", HUNDRED_MB), Some("R950")),
];

/// As large as may be, and made of as much as can be.
const MANY: &[Strange] = &[
    ("values.yaml", || full("- 1\n"), Some("R950")),
    ("values.json", || [b"[".to_vec(), full("1,")].concat(), Some("R950")),
    ("one-value.yaml", || with("a: ", "x", 15 << 20), None),
    ("fields.csv", || with("title,began,duration\n", ",", 15 << 20), Some("R950")),
    ("words.sh", || full("a\n"), Some("R950")),
    ("lines.py", || full("a\n"), Some("R950")),
];

/// Small, and large or deep by what they mean.
const DEEP: &[Strange] = &[
    ("laughs.yaml", || laughs(10), Some("F005")),
    ("many-laughs.yaml", || laughs(100_000), Some("F005")),
    // Few values, and each of them large.
    ("large-alias.yaml", || with(&format!("a: &a {}\nb:\n", "x".repeat(1 << 20)), "- *a\n", 1 << 18), Some("F005")),
    ("flow.yaml", || "[".repeat(100_000).into_bytes(), Some("F00")),
    ("block.yaml", || "- ".repeat(100_000).into_bytes(), Some("F00")),
    ("keys.json", || "{\"a\":".repeat(100_000).into_bytes(), Some("F005")),
    ("query.sh", || with("aws ec2 describe-instances --query '", "[", 100_000), None),
    ("substitutions.sh", || "$(".repeat(100_000).into_bytes(), None),
];

/// Many documents in one, and many findings.
const REPEATED: &[Strange] = &[
    ("fences.md", || "```yaml\na: 1\n```\n".repeat(100_000).into_bytes(), Some("R950")),
    ("findings.md", || full("`aws:ec2:stop-x` "), Some("F000")),
];

/// No text as others know it.
const ODD: &[Strange] = &[
    ("marked-16.yaml", || [vec![0xFF, 0xFE], utf_16("a: 1\n")].concat(), Some("F001")),
    ("marked-32.yaml", || [vec![0, 0, 0xFE, 0xFF], vec![0, 0, 0, b'a']].concat(), Some("F001")),
    ("sixteen.yaml", || utf_16("a: 1\n"), Some("F001")),
    ("latin.yaml", || b"a: caf\xE9\n".to_vec(), Some("F001")),
    ("zero.sh", || b"echo a\0b\n".to_vec(), Some("F001")),
    ("returns.yaml", || b"a: 1\rb: 2\r".to_vec(), None),
];

/// Only as a child: reads what it is told, and says what it found.
#[test]
fn a_child_reads_what_it_is_told() {
    let Ok(wanted) = std::env::var(FILE) else { return };
    let (name, make, _) = [LARGE, MANY, DEEP, REPEATED, ODD, ENTANGLED, NAMED]
        .into_iter()
        .flatten()
        .find(|(name, ..)| *name == wanted)
        .unwrap();
    let checked = crate::defects::check(name, &make());
    let shown = formats::render::terminal(&checked.findings, &checked.source, false);
    assert_eq!(shown.is_empty(), checked.findings.is_empty());
    println!("found {}", crate::codes(&checked.findings).join(" "));
}

/// Reads each of them in a process of its own.
fn read_within_bounds(files: &[Strange]) {
    for (name, _, code) in files {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("ulimit -v {MOST} && exec \"$0\" --exact --nocapture \"$1\""));
        shell.arg(std::env::current_exe().unwrap()).arg("bounds::a_child_reads_what_it_is_told");
        let done = shell.env(FILE, name).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success(), "{name}: {said}{}", String::from_utf8_lossy(&done.stderr));
        let found = said.lines().find_map(|line| line.split_once("found ")).map(|(_, codes)| codes);
        let found = found.unwrap_or_else(|| panic!("{name} was not read: {said}"));
        match code {
            Some(code) => assert!(found.contains(code), "{name}: {found}"),
            // That it is somebody's own document is no mistake.
            None => {
                assert!(found.split(' ').all(|code| ["", "F008", "R701", "R708"].contains(&code)), "{name}: {found}");
            }
        }
    }
}

#[test]
fn a_hundred_megabytes_are_refused_in_any_language() {
    read_within_bounds(LARGE);
}

#[test]
fn a_file_full_of_values_words_or_lines_is_held_to_a_number_of_them() {
    read_within_bounds(MANY);
}

#[test]
fn aliases_of_aliases_and_a_hundred_thousand_levels_end_early() {
    read_within_bounds(DEEP);
}

#[test]
fn documents_and_findings_without_end_are_counted_and_not_kept() {
    read_within_bounds(REPEATED);
}

#[test]
fn other_encodings_are_named() {
    read_within_bounds(ODD);
}

/// So many numbered lines behind a head.
fn numbered(head: &str, count: usize, line: impl Fn(usize) -> String) -> Vec<u8> {
    (head.to_owned() + &(0..count).map(line).collect::<String>()).into_bytes()
}

/// What asks for each other: a reader that looks at all of them for each, or follows every way there is, would not come to its end.
const ENTANGLED: &[Strange] = &[
    // Each leads on to the next and back to the first: every one of them closes a circle.
    (
        "circles.yaml",
        || {
            let action = |n: usize| {
                format!(
                    "  a{n}:\n    actionId: aws:fis:wait\n    parameters: {{ duration: PT1M }}\n    startAfter: [a{}, a0]\n",
                    n + 1
                )
            };
            numbered("description: a\nstopConditions: [{ source: none }]\ntargets: {}\nactions:\n", 15_000, action)
        },
        Some("F046"),
    ),
    // Each asks twice for the one before.
    (
        "conditions.yaml",
        || {
            let condition = |n: usize| format!("  C{}: !And [!Condition C{n}, !Condition C{n}]\n", n + 1);
            let mut text = numbered("Conditions:\n  C0: !Equals [a, a]\n", 45, condition);
            text.extend(b"Resources:\n  E: { Type: AWS::FIS::ExperimentTemplate, Condition: C45, Properties: {} }\n");
            text
        },
        Some("F050"),
    ),
    (
        "attributes.yaml",
        || {
            let resource = |n: usize| {
                format!("  R{}: {{ Type: A::B::C, Properties: {{ X: !Sub '${{R{n}.X}}${{R{n}.X}}' }} }}\n", n + 1)
            };
            let mut text = numbered("Resources:\n  R0: { Type: A::B::C, Properties: { X: '' } }\n", 45, resource);
            text.extend(b"  E: { Type: AWS::FIS::ExperimentTemplate, Properties: { Description: !GetAtt R45.X } }\n");
            text
        },
        Some("F005"),
    ),
    (
        "role.yaml",
        || {
            let experiment = |n: usize| {
                format!(
                    "  E{n}: {{ Type: AWS::FIS::ExperimentTemplate, Properties: {{ RoleArn: !GetAtt R.Arn, Actions: {{ a: {{ ActionId: aws:ec2:stop-instances }} }} }} }}\n"
                )
            };
            let stars = "ec2:*e".to_owned() + &"*e".repeat(5_000) + "x";
            let patterns = format!("'{stars}', ").repeat(20);
            let head = format!(
                "Resources:\n  R:\n    Type: AWS::IAM::Role\n    Properties:\n      AssumeRolePolicyDocument: {{ Statement: [{{ Effect: Allow, Principal: {{ Service: fis.amazonaws.com }}, Action: 'sts:AssumeRole' }}] }}\n      Policies: [{{ PolicyName: p, PolicyDocument: {{ Statement: [{{ Effect: Allow, Resource: '*', Action: [{patterns}] }}] }} }}]\n"
            );
            numbered(&head, 300, experiment)
        },
        Some("R"),
    ),
    (
        "budgets.yaml",
        || {
            let pair = |n: usize| {
                format!(
                    "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: d{n} }}\nspec: {{ template: {{ metadata: {{ labels: {{ a: b }} }}, spec: {{ containers: [] }} }} }}\n---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nspec: {{ minAvailable: 1, selector: {{ matchLabels: {{ a: b }} }} }}\n"
                )
            };
            numbered("", 10_000, pair)
        },
        None,
    ),
    (
        "records.json",
        || {
            let record = |n: usize| {
                format!(
                    "{{\"Action\":\"UPSERT\",\"ResourceRecordSet\":{{\"Name\":\"{n}.a\",\"Type\":\"A\",\"SetIdentifier\":\"s\",\"Failover\":\"SECONDARY\",\"HealthCheckId\":\"{n}\",\"TTL\":60,\"ResourceRecords\":[{{\"Value\":\"192.0.2.1\"}}]}}}},"
                )
            };
            let mut text = numbered("{\"Changes\":[", 20_000, record);
            text.pop();
            text.extend(b"]}");
            text
        },
        None,
    ),
    (
        "condition.json",
        || {
            let ids: String = (0..20_000).map(|n| format!("c{n} || ")).collect();
            let choices: String = (0..10_000).map(|n| format!("{{\"id\":\"d{n}\",\"title\":\"t\"}},")).collect();
            format!(
                "{{\"schemaVersion\":\"2021-11-01\",\"name\":\"n\",\"pillars\":[{{\"id\":\"ppp\",\"name\":\"p\",\"questions\":[{{\"id\":\"qqq\",\"title\":\"t\",\"choices\":[{}],\"riskRules\":[{{\"condition\":\"{ids}d1\",\"risk\":\"HIGH_RISK\"}}]}}]}}]}}",
                choices.trim_end_matches(',')
            )
            .into_bytes()
        },
        Some("L008"),
    ),
];

/// Names, and what is said of them.
const NAMED: &[Strange] = &[
    // Names of a megabyte, one of which may have been meant by the other.
    (
        "long-name.json",
        || {
            let (known, wrong) = ("a".repeat(1 << 20), "b".repeat(1 << 20));
            format!(r#"{{"components": {{"{known}": {{"mtbf": "P1D", "mttr": "PT1H"}}}}, "needs": "{wrong}"}}"#)
                .into_bytes()
        },
        Some("W002"),
    ),
    ("unknown-key.json", || format!(r#"{{"{}": 1}}"#, "d".repeat(1 << 20)).into_bytes(), Some("F008")),
    (
        "long-key.json",
        || format!(r#"{{"actions": {{}}, "{}": 1}}"#, "description".repeat(100_000)).into_bytes(),
        Some("F010"),
    ),
    // A name of a megabyte in every message.
    (
        "quoted.yaml",
        || {
            let id = "R".repeat(1 << 20);
            let head = format!(
                "Resources:
  ? {id}
  : Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement: [{{ Effect: Allow, Principal: {{ Service: fis.amazonaws.com }}, Action: 'sts:AssumeRole' }}]
      Policies: []
  E:
    Type: AWS::FIS::ExperimentTemplate
    Properties:
      RoleArn: {{ Ref: {id} }}
      Actions:
"
            );
            numbered(&head, 3_000, |n| format!("        a{n}: {{ ActionId: aws:ec2:stop-instances }}\n"))
        },
        Some("R"),
    ),
    (
        "zones.json",
        || {
            let head = r#"{"components": {"a": {"mtbf": "P1D", "mttr": "PT1H", "zones": [""#;
            let mut text = numbered(head, 30_000, |n| format!("z{n}\", \""));
            text.extend(numbered(r#"z0"]}}, "zones": {"#, 30_000, |n| format!("\"z{n}\": null, ")));
            text.extend(br#""z": null}}"#);
            text
        },
        None,
    ),
    (
        "improvements.yaml",
        || {
            let mut text =
                numbered("components:\n  a: { mtbf: P1D, mttr: PT1H, needs: [", 20_000, |_| "b, ".to_owned());
            text.extend(b"] }\n  b: { mtbf: P1D, mttr: PT1H }\nimprovements:\n");
            text.extend(numbered("", 5_000, |n| {
                format!("  - {{ name: i{n}, components: {{ a: {{ count: 2 }} }} }}\n")
            }));
            text
        },
        Some("R950"),
    ),
    (
        "groups.yaml",
        || {
            let mut text = numbered("regions:\n  - name: r\n    zones: [", 20_000, |n| format!("z{n}, "));
            text.extend(numbered("]\ngroups:\n", 20_000, |n| format!("  g{n}: {{ desired: 1 }}\n")));
            text
        },
        Some("F013"),
    ),
    (
        "choices.yaml",
        || {
            let mut text = numbered(
                "Resources: {}\nParameters:\n  P:\n    Type: CommaDelimitedList\n    AllowedValues: [",
                30_000,
                |n| format!("v{n}, "),
            );
            text.extend(numbered("]\n    Default: '", 30_000, |n| format!("w{n},")));
            text.extend(b"'\n");
            text
        },
        Some("F082"),
    ),
];

#[test]
fn what_asks_for_each_other_is_followed_once() {
    read_within_bounds(ENTANGLED);
}

#[test]
fn names_without_end_are_looked_up_and_quoted_in_part() {
    read_within_bounds(NAMED);
}
