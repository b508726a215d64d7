//! `shaketable check`: what its output is worth to programs, and what it takes to read what nobody should write.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::harness::{User, clients, root, skipped};

/// Documents with findings of every severity, in places that are not plain ASCII.
const DOCUMENTS: &[(&str, &str)] = &[
    ("with space.yaml", "description: é\nactions: { a: { actionId: aws:fis:wait } }\nhypothesis: { clauses: 5 }\n"),
    (
        "notes.md",
        "# 日本語\n\n```bash\naws route53 get-health-check --health-check-id $id\ndate -d yesterday\n```\n\nThe action `aws:ec2:stop-instance`.\n",
    ),
    ("table.csv", "name,price\n"),
    ("latin.yaml", "a: caf\u{e9}\n"),
];

/// Whether the validator finds nothing wrong, and what it says.
fn valid(file: &Path, multitool: &Path, packages: &Path) -> (bool, String) {
    let mut python = Command::new("python3");
    let script = root().join("crates/cli/tests/clients/sarif_validator.py");
    python.args(["-s", "-B"]).arg(script).args([file, multitool]).env("PYTHONPATH", packages);
    let done = python.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    (done.status.success(), said)
}

#[test]
fn sarif_is_valid_by_its_schema_and_by_the_rules_of_code_scanning() {
    let multitool = clients().join("node/node_modules/@microsoft/sarif-multitool-linux");
    let packages = clients().join("python");
    if !multitool.is_dir() || !packages.join("jsonschema").is_dir() {
        return skipped("npm's sarif-multitool or PyPI's jsonschema is not installed; .ci/run does it");
    }
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = DOCUMENTS.iter().map(|(name, _)| folder.path().join(name)).collect();
    for (file, (_, text)) in files.iter().zip(DOCUMENTS) {
        // One letter of Latin-1 makes the last of them no UTF-8.
        let bytes = if file.ends_with("latin.yaml") {
            text.chars().map(|c| u8::try_from(c).unwrap()).collect()
        } else {
            text.as_bytes().to_vec()
        };
        fs::write(file, bytes).unwrap();
    }
    let mut arguments = vec!["check", "--format", "sarif"];
    arguments.extend(files.iter().map(|file| file.to_str().unwrap()));
    let finished = User::me().call(&arguments);
    assert_eq!(finished.code(), Some(2), "{}", finished.output());
    let file = folder.path().join("out.sarif");
    fs::write(&file, &finished.stdout).unwrap();
    let (right, said) = valid(&file, &multitool, &packages);
    assert!(right && !said.contains("results 0"), "{said}");
    // What the validator is worth: a level that the standard does not have, and a rule without its description.
    for (from, to) in [("\"level\": \"error\"", "\"level\": \"fatal\""), ("\"fullDescription\"", "\"properties\"")] {
        fs::write(&file, finished.stdout.replace(from, to)).unwrap();
        let (right, said) = valid(&file, &multitool, &packages);
        assert!(!right && said.contains("wrong"), "{to}: {said}");
    }
}
