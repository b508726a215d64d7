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
    for part in [
        "6 of 13 questions have a high risk",
        "To be answered anew",
        "load test 2025-11 expired on",
        "Since the milestone",
        "Quick wins",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let json: Value = serde_json::from_slice(&call(&["--json"]).stdout).unwrap();
    assert_eq!(json["standing"]["counts"]["high"], 6);
    assert_eq!(
        json["monthly"]["figures"][0]["value"],
        serde_json::json!({ "share": 1.0 - 7500.0 / (31.0 * 86_400.0) })
    );
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
        ("validation", "Recovery takes at most 1 h, measured"),
        ("month", "| Availability | 99.72 % | 99.653 % (better now) | 99.9 % | ✗ no |"),
        ("playbook", "shop-oncall@example.com and Dana Okafor"),
    ] {
        let output = review(&["page", page, &shop(), "--at", "2026-11-22"]);
        let said = text(&output.stdout);
        assert!(output.status.success() && said.contains(part), "{page}: {said}");
    }
    let page = |form: &str| text(&review(&["page", "month", &shop(), "--at", "2026-11-22", form]).stdout);
    assert!(page("--html").contains("<td>99.653 % (better now)</td>") && !page("--html").contains("<script"));
    assert!(page("--csv").contains("\r\nFigures of October 2026,row,Error budget used,280 %,"), "{}", page("--csv"));
    let sheet: Value = serde_json::from_str(&page("--json")).unwrap();
    assert_eq!(sheet["sections"][1]["title"], "Figures of October 2026");
    let plan: Value = serde_json::from_slice(&review(&["plan", &shop(), "--json"]).stdout).unwrap();
    let tasks = plan["schedule"]["tasks"].as_array().unwrap();
    assert!(tasks.iter().any(|task| task["owner"] == "Priya Raman" && task["start"] == "2026-11-23"));
}

#[test]
fn the_figures_of_a_month_come_from_incidents_and_what_is_missing_is_said() {
    let folder = folder("first: selected");
    let file = path(folder.path(), "review.yaml");
    let month = |more: &[&str]| review(&[&["page", "month", file.as_str()], more].concat());
    assert!(text(&month(&[]).stdout).contains("Nothing is known of the month"));
    let history = example("incidents/web-shop.yaml").display().to_string();
    let said = text(&month(&["--history", &history, "--month", "2026-09"]).stdout);
    for part in
        ["Figures of September 2026", "| Mean time to detect | 19 min |", "Replica fell behind", "no error budget"]
    {
        // The review promises nothing, the history does.
        assert_eq!(said.contains(part), part != "no error budget", "{part}: {said}");
    }
    let said = text(&month(&["--history", &history, "--month", "2025-01"]).stdout);
    assert!(said.contains("observes 2026-08-01 to 2026-11-01"), "{said}");
    assert_eq!(month(&["--history", &path(folder.path(), "none.yaml")]).status.code(), Some(2));
    assert_eq!(month(&["--month", "last"]).status.code(), Some(2));
    fs::write(folder.path().join("bad.yaml"), "incidents: 3\n").unwrap();
    assert_eq!(month(&["--history", &path(folder.path(), "bad.yaml")]).status.code(), Some(2));
}

#[test]
fn comments_and_order_survive_every_command_that_writes() {
    let folder = folder("first: selected");
    let file = path(folder.path(), "review.yaml");
    let written = "# ours\nreview: 1\nanswers: # since May\n  question:\n    # the better one\n    choices: { second: unselected }   # Ann\n\
                   lens: { file: lens.json }\nworkload: { name: 'W' }\n# end";
    fs::write(&file, written).unwrap();
    assert!(review(&["milestone", &file, "one"]).status.success());
    let mut asking = User::me()
        .command(&["review", "ask", &file, "--all"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    asking.stdin.take().unwrap().write_all(b"1 2\n\n").unwrap();
    assert!(asking.wait_with_output().unwrap().status.success());
    fs::write(folder.path().join("next.json"), LENS.replace("second", "other")).unwrap();
    let from = path(folder.path(), "lens.json");
    assert!(review(&["upgrade", &file, "--from", &from, "--to", "next.json"]).status.success());
    let now = fs::read_to_string(&file).unwrap();
    assert!(
        now.starts_with(
            "# ours\nreview: 1\nanswers: # since May\n  question:\n    # the better one\n    \
             choices: { other: selected, first: selected, question_no: unselected }   # Ann\n\
             lens: { file: next.json }\nworkload: { name: 'W' }\n"
        ),
        "{now}"
    );
    assert!(now.contains("\nmilestones:\n  - name: one\n") && now.contains("# end"), "{now}");
}

#[test]
fn what_is_wrong_with_a_call_or_a_document_is_said_and_nothing_is_written() {
    let folder = folder("first: selected");
    let file = path(folder.path(), "review.yaml");
    let before = fs::read_to_string(&file).unwrap();
    let none = path(folder.path(), "none.yaml");
    for (call, said) in [
        (vec![none.as_str()], "cannot read"),
        (vec!["milestone", &none, "x"], "cannot read"),
        (vec!["ask", &file, "--lens", "lens.json"], "leave --lens away"),
        (vec!["upgrade", &file, "--from", &none], "cannot read"),
        (vec![&file, "--since", "never"], "no milestone `never`, nor any other"),
        (vec![&file, "--at", "tomorrow"], "is no time"),
        (vec!["plan", &none], "cannot read"),
        (vec!["page", "agenda", &file], "possible values"),
        (vec!["lens", &file], "a lens"),
    ] {
        let output = review(&call);
        let told = text(&output.stderr) + &text(&output.stdout);
        assert!(output.status.code() == Some(2) && told.contains(said), "{call:?}: {told}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    let dry = review(&["upgrade", &file, "--from", &path(folder.path(), "lens.json"), "--dry-run"]);
    assert!(dry.status.success() && text(&dry.stdout).contains("DELETED   question"), "{}", text(&dry.stdout));
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
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
    // Nothing was lost since, and the milestone itself can be looked at.
    assert!(text(&review(&[&file, "--since", "first"]).stdout).contains("Nothing has changed."));
    assert!(!text(&review(&[&file, "--of", "first"]).stdout).contains("Since the milestone"));
    assert_eq!(review(&[&file, "--of", "second"]).status.code(), Some(2));
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
    // Published lenses go without a default. A practice without a plan is another matter.
    assert!(review(&["lens", &file, "--export", &out]).status.success());
    fs::remove_file(&out).unwrap();
    let planless = LENS.replace("\"improvementPlan\": { \"displayText\": \"Do the first.\" }", "\"_todo\": \"plan\"");
    fs::write(&file, planless).unwrap();
    let refused = review(&["lens", &file, "--export", &out]);
    assert_eq!(refused.status.code(), Some(2));
    assert!((text(&refused.stderr) + &text(&refused.stdout)).contains("L008"));
    assert!(!Path::new(&out).exists());
    assert!(review(&["lens", &file, "--export", &out, "--as-read"]).status.success());
    let value = |file: &str| serde_json::from_slice::<Value>(&fs::read(file).unwrap()).unwrap();
    assert_eq!(value(&out), value(&file));
    // The checker says the same.
    let checked = User::me().command(&["check", &file]).output().unwrap();
    assert!(text(&checked.stdout).contains("L008"));
}

#[test]
fn the_documentation_names_commands_that_there_are() {
    let page = fs::read_to_string(root().join("docs/review.md")).unwrap();
    for verb in ["ask", "milestone", "plan", "page", "upgrade", "lens"] {
        assert!(page.contains(&format!("`review {verb}")), "{verb}");
        assert!(review(&[verb, "--help"]).status.success(), "{verb}");
    }
}
