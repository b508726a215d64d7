//! `shaketable review`: from questions to a plan, on documents that a user would have.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Output, Stdio},
};

use serde_json::Value;

use crate::harness::{User, example, root};

fn review(arguments: &[&str]) -> Output {
    let mut whole = vec!["review"];
    whole.extend(arguments);
    User::me().command(&whole).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn shop() -> String {
    example("reviews/web-shop.yaml").display().to_string()
}

/// A lens without a flaw, about one question with two practices.
const LENS: &str = r#"{ "schemaVersion": "2021-11-01", "name": "Two", "description": "Two practices.", "pillars": [
  { "id": "pillar", "name": "Pillar", "questions": [
    { "id": "question", "title": "How?", "choices": [
        { "id": "first", "title": "First", "improvementPlan": { "displayText": "Do the first." } },
        { "id": "second", "title": "Second", "improvementPlan": { "displayText": "Do the second." } },
        { "id": "question_no", "title": "None of these" } ],
      "riskRules": [ { "condition": "first && second", "risk": "NO_RISK" },
                     { "condition": "first", "risk": "MEDIUM_RISK" },
                     { "condition": "default", "risk": "HIGH_RISK" } ] } ] } ] }"#;

/// A folder with that lens and a review of it with an answer.
fn folder(answer: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("lens.json"), LENS).unwrap();
    let text = format!(
        "review: 1\nworkload: {{ name: W }}\nlens: {{ file: lens.json }}\nanswers:\n  question:\n    choices: {{ {answer} }}\n"
    );
    fs::write(folder.path().join("review.yaml"), text).unwrap();
    folder
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

#[test]
fn the_exit_code_says_the_worst_risk() {
    for (answer, code) in [
        ("first: selected, second: selected", 0),
        ("first: selected, second: unselected", 3),
        ("second: selected", 1),
        ("", 3),
        ("first: selected, question_no: selected", 2),
        ("first: perhaps", 2),
    ] {
        let folder = folder(answer);
        let output = review(&[&path(folder.path(), "review.yaml")]);
        assert_eq!(output.status.code(), Some(code), "{answer}: {}{}", text(&output.stdout), text(&output.stderr));
    }
}

#[test]
fn the_example_is_told_in_every_form() {
    let at = ["--at", "2026-11-22"];
    let call = |more: &[&str]| review(&[&[shop().as_str()], at.as_slice(), more].concat());
    let said = text(&call(&[]).stdout);
    for part in ["6 of 13 questions have a high risk", "To be answered anew", "Since the milestone", "Quick wins"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let json: Value = serde_json::from_slice(&call(&["--json"]).stdout).unwrap();
    assert_eq!(json["standing"]["counts"]["high"], 6);
    assert_eq!(json["monthly"]["figures"][0]["value"], "99.711 %");
    let items = json["items"].as_array().unwrap().len();
    let csv = text(&call(&["--csv"]).stdout);
    assert_eq!(csv.lines().count(), items + 1);
    assert!(text(&call(&["--markdown"]).stdout).contains("### Quick wins"));
    let folder = tempfile::tempdir().unwrap();
    let page = path(folder.path(), "review.html");
    call(&["--html", &page]);
    let page = fs::read_to_string(page).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n") && !page.contains("<script"));
    // Before the experiment that spoke against it was made, the answer was believed.
    let earlier: Value = serde_json::from_slice(&review(&[&shop(), "--at", "2026-11-01", "--json"]).stdout).unwrap();
    assert_eq!(earlier["standing"]["practices"]["contradicted"], Value::Null);
}

#[test]
fn pages_and_plan_are_filled_from_the_review() {
    for (page, part) in [
        ("preparation", "| Review lead | Dana Okafor |"),
        ("validation", "Recovery takes at most PT1H, measured"),
        ("month", "| Availability | 99.711 % | 99.9 % | **no** |"),
        ("playbook", "shop-oncall@example.com and Dana Okafor"),
    ] {
        let output = review(&["page", page, &shop(), "--at", "2026-11-22"]);
        let said = text(&output.stdout);
        assert!(output.status.success() && said.contains(part), "{page}: {said}");
    }
    let plan: Value = serde_json::from_slice(&review(&["plan", &shop(), "--json"]).stdout).unwrap();
    let tasks = plan["schedule"]["tasks"].as_array().unwrap();
    assert!(tasks.iter().any(|task| task["owner"] == "Priya Raman" && task["start"] == "2026-11-23"));
}

#[test]
fn answers_are_asked_for_kept_as_a_milestone_and_carried_over() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("lens.json"), LENS).unwrap();
    let file = path(folder.path(), "review.yaml");
    let mut asking = User::me()
        .command(&["review", "ask", &file, "--lens", "lens.json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    asking.stdin.take().unwrap().write_all(b"Shop\n1\nas agreed\n").unwrap();
    let said = text(&asking.wait_with_output().unwrap().stdout);
    assert!(said.contains("0 high, 1 medium, 0 without risk, 0 unanswered"), "{said}");
    assert_eq!(review(&[&file]).status.code(), Some(3));
    assert!(review(&["milestone", &file, "first"]).status.success());
    assert_eq!(review(&["milestone", &file, "first"]).status.code(), Some(2));
    // In the next edition the second practice has another id.
    fs::write(folder.path().join("next.json"), LENS.replace("second", "other")).unwrap();
    let from = path(folder.path(), "lens.json");
    let said = text(&review(&["upgrade", &file, "--from", &from, "--to", "next.json"]).stdout);
    assert!(said.contains("second -> other"), "{said}");
    let written = fs::read_to_string(&file).unwrap();
    assert!(written.contains("other: unselected") && written.contains("notes: as agreed"), "{written}");
    assert_eq!(review(&[&file]).status.code(), Some(3));
}

#[test]
fn lenses_are_analysed_and_exported_strictly() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(folder.path(), "out.json");
    let output = review(&["lens", "--export", &out]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("Shaketable reliability lens, edition 2026.1: 13 questions"));
    // A rule behind another, a choice without effect, and no default.
    let flawed = LENS
        .replace("\"first\", \"risk\": \"MEDIUM", "\"first && second && first\", \"risk\": \"MEDIUM")
        .replace("\"default\"", "\"!first\"");
    let file = path(folder.path(), "flawed.json");
    fs::write(&file, flawed).unwrap();
    let said = text(&review(&["lens", &file]).stdout);
    for code in ["L006", "L020", "L022"] {
        assert!(said.contains(code), "{code}: {said}");
    }
    fs::remove_file(&out).unwrap();
    assert_eq!(review(&["lens", &file, "--export", &out]).status.code(), Some(2));
    assert!(!Path::new(&out).exists());
    assert!(review(&["lens", &file, "--export", &out, "--as-read"]).status.success());
    let value = |file: &str| serde_json::from_slice::<Value>(&fs::read(file).unwrap()).unwrap();
    assert_eq!(value(&out), value(&file));
    // The checker says the same.
    let checked = User::me().command(&["check", &file]).output().unwrap();
    assert!(text(&checked.stdout).contains("L022"));
}

#[test]
fn the_documentation_names_commands_that_there_are() {
    let page = fs::read_to_string(root().join("docs/review.md")).unwrap();
    for verb in ["ask", "milestone", "plan", "page", "upgrade", "lens"] {
        assert!(page.contains(&format!("`review {verb}")), "{verb}");
        assert!(review(&[verb, "--help"]).status.success(), "{verb}");
    }
}
