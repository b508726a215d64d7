//! `shaketable availability`, `history`, `cost` and `maturity`: figures from documents, as text, JSON and pages.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::Value;

use crate::{
    harness::{User, example, root},
    well_formed::{flaw, words},
};

fn call(arguments: &[&str]) -> Output {
    User::me().command(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What a command prints for a terminal of so many columns.
fn shown(arguments: &[&str], columns: usize) -> String {
    text(&User::me().command(arguments).env("COLUMNS", columns.to_string()).output().unwrap().stdout)
}

/// Without line breaks and columns.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A path for the command line.
fn said(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// A document of our own.
fn written(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    said(&path)
}

/// A block of the fifth seed between two lines, where the seeds are there.
fn seed(from: &str, to: &str) -> Option<String> {
    let folder = root().join("../shared/seeds");
    let file = fs::read_dir(folder).ok()?.flatten().find(|e| e.file_name().to_string_lossy().starts_with("004_"))?;
    let text = fs::read_to_string(file.path()).ok()?;
    let start = text.find(from)? + from.len();
    Some(text[start..start + text[start..].find(to)?].to_owned())
}

/// Every command with a document that it reads, and the exit code for it.
fn calls() -> Vec<(Vec<String>, i32)> {
    let of = |command: &str, file: PathBuf, more: &[&str], code| {
        let mut arguments = vec![command.to_owned(), said(&file)];
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        (arguments, code)
    };
    let year = ["--from", "2024-01-01", "--to", "2025-01-01", "--target", "99.95%", "--by", "month"];
    vec![
        of("availability", example("workloads/web-shop.yaml"), &["--what-if", "payment=99.99%"], 0),
        of("availability", example("workloads/web-shop.yaml"), &[], 1),
        of("availability", example("workloads/queue.yaml"), &["--simulate", "200"], 0),
        of("history", example("incidents/thirty-days.yaml"), &[], 0),
        of("history", example("incidents/year.csv"), &year, 0),
        of("cost", example("costs/high-availability.yaml"), &[], 0),
        of("cost", example("costs/outage.yaml"), &[], 0),
        of("maturity", example("suites/check-up.yaml"), &[], 0),
    ]
}

fn borrowed(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

#[test]
fn text_fits_terminals_of_eighty_and_of_forty_columns_and_is_not_painted_where_nobody_wants_it() {
    for (arguments, _) in calls() {
        for columns in [80, 40] {
            let shown = shown(&borrowed(&arguments), columns);
            let widest = shown.lines().max_by_key(|line| line.chars().count()).unwrap();
            assert!(widest.chars().count() <= columns, "{arguments:?} at {columns}: {widest:?}\n{shown}");
            assert!(!shown.contains('\u{1b}'), "{arguments:?}: {shown}");
        }
        let mut painted = borrowed(&arguments);
        painted.extend(["--color", "always"]);
        assert!(text(&call(&painted).stdout).contains("\u{1b}[1"), "{arguments:?}");
    }
}

#[test]
fn every_command_says_the_same_as_json_and_as_a_page() {
    let folder = tempfile::tempdir().unwrap();
    for (at, (arguments, code)) in calls().into_iter().enumerate() {
        let page = said(&folder.path().join(format!("{at}.html")));
        let mut whole = borrowed(&arguments);
        whole.extend(["--json", "--html", &page]);
        let output = call(&whole);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
        assert!(serde_json::from_slice::<Value>(&output.stdout).is_ok(), "{arguments:?}");
        let page = fs::read_to_string(&page).unwrap();
        assert_eq!(flaw(&page), None, "{arguments:?}");
        assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"), "{arguments:?}");
        assert!(page.contains("<h1>") && page.contains("prefers-color-scheme: dark") && page.contains("@media print"));
    }
    let nowhere = call(&["cost", &said(&example("costs/outage.yaml")), "--html", "/no/such/folder/page.html"]);
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(text(&nowhere.stderr).contains("cannot write /no/such/folder/page.html"));
}

#[test]
fn what_cannot_be_read_is_said_with_its_place_and_nothing_is_computed() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = [
        ("availability", "components:\n  web: { availability: 101% }\n", ":2:24"),
        ("availability", "components:\n  web: { needs: databse }\n  database: {}\n", "did you mean `database`"),
        (
            "history",
            "name: shop\nobserved: { from: 2024-01-05, length: 30 days }\nincidents:\n  - { title: a, began: yesterday }\n",
            ":4:24",
        ),
        ("cost", "name: shop\nhour: { revenue: much }\n", ":2:18"),
        ("maturity", "name: a\nsystems:\n  one:\n    checks:\n      a: { stage: fly }\n", ":5:19"),
    ];
    for (at, (command, document, part)) in wrong.into_iter().enumerate() {
        let file = written(&folder, &format!("{at}.yaml"), document);
        let page = said(&folder.path().join("page.html"));
        let output = call(&[command, &file, "--html", &page]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{command}: {said}");
        assert!(said.contains(part) && said.contains("nothing was computed"), "{command}: no {part} in {said}");
        assert!(output.stdout.is_empty() && !Path::new(&page).exists(), "{command}");
    }
    for command in ["availability", "history", "cost", "maturity"] {
        for (name, document) in
            [("empty.yaml", ""), ("list.yaml", "- 1\n- 2\n"), ("other.yaml", "kind: Deployment\nspec: {}\n")]
        {
            let output = call(&[command, &written(&folder, name, document)]);
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{command} {name}: {said}");
            assert!(said.contains(name) && output.stdout.is_empty(), "{command} {name}: {said}");
        }
        let output = call(&[command, "/no/such/file.yaml"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("cannot read /no/such/file.yaml"), "{command}");
    }
}

#[test]
fn a_design_is_met_missed_or_open_by_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let workload = |target: &str, of_web: &str| {
        format!("workload: Shop\nobjectives: {{ availability: {target} }}\ncomponents: {{ web: {{ {of_web} }} }}\n")
    };
    for (name, document, code, part) in [
        ("met", workload("99%", "availability: 99.5%"), 0, "met: 99.5 % is to be expected, 99 % is promised"),
        ("missed", workload("99.9%", "availability: 99.5%"), 1, "missed: 99.5 % is to be expected, 99.9 % is promised"),
        ("open", workload("99.9%", ""), 4, "open: at most 100 % is to be expected"),
        ("free", "components: { web: { availability: 99% } }".to_owned(), 0, "99 % is to be expected"),
    ] {
        let output = call(&["availability", &written(&folder, &format!("{name}.yaml"), &document)]);
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{name}: {said}");
        assert!(said.contains(part), "{name}: no {part} in {said}");
    }
    let file = written(&folder, "better.yaml", &workload("99.9%", "availability: 99.5%"));
    assert_eq!(call(&["availability", &file, "--what-if", "web=99.95%"]).status.code(), Some(0));
    let output = call(&["availability", &file, "--what-if", "wbe=99.95%"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("did you mean `web`?"));
}

#[test]
fn the_documentation_tells_what_is_printed() {
    let file = said(&example("workloads/web-shop.yaml"));
    for (page, arguments) in [
        ("docs/availability.md", ["availability", file.as_str()]),
        ("docs/history.md", ["history", &said(&example("incidents/thirty-days.yaml"))]),
    ] {
        let shown = shown(&arguments, 100);
        let text = fs::read_to_string(root().join(page)).unwrap();
        let (_, rest) = text.split_once("```text\n").unwrap();
        let (told, _) = rest.split_once("```").unwrap();
        assert!(flat(&shown).contains(&flat(told)), "{page} tells\n{told}\nbut it is\n{shown}");
    }
    let json: Value = serde_json::from_slice(&call(&["availability", &file, "--json"]).stdout).unwrap();
    let now = &json[0]["now"];
    assert_eq!((&now["workload"], &now["verdict"]), (&Value::from("Web shop"), &Value::from("missed")));
    let used = now["expected"]["budget"]["used"].as_f64().unwrap();
    let year = now["expected"]["downtime"]["year"].as_f64().unwrap();
    assert!((used - year / (0.001 * 365.0 * 86_400.0)).abs() < 1e-9, "{used} {year}");
}

/// Rows "M-125", "M-126" and "N-37": the inventory promises what its externals and its RTO do not allow.
#[test]
fn an_inventory_that_people_have_is_judged_as_it_is() {
    let Some(document) = seed("cat > architecture_inventory.yaml << 'EOF'\n", "\nEOF") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (file, page) =
        (written(&folder, "architecture_inventory.yaml", &document), said(&folder.path().join("page.html")));
    let output = call(&["availability", &file, "--html", &page]);
    assert_eq!(output.status.code(), Some(1));
    let page = fs::read_to_string(page).unwrap();
    assert_eq!(flaw(&page), None);
    for part in ["99.85005 %", "99.9 %", "43 min 12 s"] {
        assert!(
            flat(&text(&output.stdout)).contains(part) && page.contains(part),
            "no {part}: {}",
            text(&output.stdout)
        );
    }
}

/// Row "M-126": of four services one promises what its RTO breaks.
#[test]
fn a_list_of_services_that_people_have_becomes_one_page() {
    let Some(document) = seed("**Service Classification:**\n```yaml\n", "\n```") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (file, page) = (written(&folder, "services.yaml", &document), said(&folder.path().join("page.html")));
    assert_eq!(call(&["availability", &file, "--html", &page]).status.code(), Some(1));
    let page = fs::read_to_string(page).unwrap();
    assert_eq!(flaw(&page), None);
    for part in ["1 of 4 promises cannot be kept as they are", "customer_facing_web", "reporting_system", "1.44"] {
        assert!(page.to_lowercase().contains(part), "no {part} in {page}");
    }
}

#[test]
fn names_of_any_kind_stay_in_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let document = "workload: \"<img src=x onerror=alert(1)>\"\nobjectives: { availability: 99.9% }\nzones: { \"東京\": { availability: 99.9% } }\ncomponents:\n\
        \x20 \"支払いサービス\": { availability: 99.9%, zones: [\"東京\"] }\n  \"a component of a very long name that no box of a diagram could ever hold\": {}\n  \"\\e[31mred\": { availability: 99% }\n";
    let (file, page) = (written(&folder, "names.yaml", document), said(&folder.path().join("page.html")));
    let output = call(&["availability", &file, "--html", &page]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let page = fs::read_to_string(page).unwrap();
    assert_eq!(flaw(&page), None);
    assert!(page.contains("&lt;img src=x") && page.contains("支払いサービス") && !page.contains('\u{1b}'));
    assert!(!text(&output.stdout).contains('\u{1b}'));
}

/// Rows "M-120" and "N-25": thirty days with three incidents were 99.711 %, and not 99.85 %.
#[test]
fn a_history_says_what_was_stated_wrongly() {
    let file = said(&example("incidents/thirty-days.yaml"));
    let json: Value = serde_json::from_slice(&call(&["history", &file, "--json"]).stdout).unwrap();
    assert!((json["whole"]["availability"]["value"].as_f64().unwrap() - (1.0 - 7500.0 / 2_592_000.0)).abs() < 1e-12);
    let shown = flat(&text(&call(&["history", &file]).stdout));
    for part in ["availability 99.711 %", "wrong: 99.85 % was stated; the incidents give 99.711 %"] {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
    let table = said(&example("incidents/year.csv"));
    let unsaid = call(&["history", &table]);
    assert_eq!(unsaid.status.code(), Some(2));
    assert!(text(&unsaid.stderr).contains("--from"), "{}", text(&unsaid.stderr));
}

#[test]
fn a_calculation_puts_wrong_sums_right() {
    let shown = flat(&text(&call(&["cost", &said(&example("costs/high-availability.yaml"))]).stdout));
    for part in ["$1,125 was stated; it is $1,150", "13 was stated; it is 8.76", "1963 % was stated; it is 1290 %"] {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
    let json: Value =
        serde_json::from_slice(&call(&["cost", &said(&example("costs/outage.yaml")), "--json"]).stdout).unwrap();
    assert_eq!(json["outage"]["cost"], 204_000.0);
}

#[test]
fn a_check_up_counts_the_records_of_runs() {
    let folder = tempfile::tempdir().unwrap();
    let record = |name: &str, verdict: &str| {
        let started = jiff::Timestamp::now().to_string();
        serde_json::json!({ "document": { "name": name, "hash": "1" }, "started": started, "verdict": verdict })
            .to_string()
    };
    for (at, (name, verdict)) in
        [("instance-termination.yaml", "green"), ("cpu-stress.yaml", "red")].into_iter().enumerate()
    {
        let run = folder.path().join(format!("records/{at}"));
        fs::create_dir_all(&run).unwrap();
        fs::write(run.join("report.json"), record(name, verdict)).unwrap();
    }
    let records = said(&folder.path().join("records"));
    let page = said(&folder.path().join("page.html"));
    let output = call(&["maturity", &said(&example("suites/check-up.yaml")), "--records", &records, "--html", &page]);
    let shown = flat(&text(&output.stdout));
    assert!(output.status.success() && shown.contains("crawl 1 of 3"), "{shown}");
    let page = words(&fs::read_to_string(page).unwrap());
    for part in ["checks failed", "1 of 11 checks have passed"] {
        assert!(page.contains(part), "no {part} in {page}");
    }
    let nowhere = call(&["maturity", &said(&example("suites/check-up.yaml")), "--records", "/no/such/folder"]);
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(text(&nowhere.stderr).contains("cannot read the folder /no/such/folder"));
}
