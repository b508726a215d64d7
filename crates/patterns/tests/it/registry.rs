//! Named pipelines from documents.

use std::{fs, time::Duration};

use patterns::{
    Breaker, Bulkhead, Context, Error, Jitter, Rejected, Retry, VirtualClock,
    pipeline::Options,
    registry::{Document, FileWatch, Force, NotForced, Registry, ReloadError, watch},
    testing::{Script, ScriptedDependency, Tasks},
};

use crate::script::millis;

static IDEMPOTENT: Context = Context::idempotent();

const EVERYTHING: &str = r#"
pipelines:
  users:
    overall_timeout: 2s
    attempt_timeout: 500ms
    retry:
      max_attempts: 4
      backoff: linear
      base_delay: 50ms
      max_delay: PT1S
      jitter: [0.5, 1.5]
      max_retry_after: 30s
      budget: { ratio: 20%, min_per_second: 2, burst: 5 }
    breaker:
      failure_rate: 50%
      window: 10s
      minimum_calls: 20
      slow_calls: { from: 1s, rate: 0.8 }
      open_for: 5s
      open_growth: 2
      max_open_for: 1m
      trials: 3
    bulkhead: { limit: 20, queue: 10, queue_timeout: 100ms, controlled_delay: 10ms }
    hedge: { after: 100ms, percentile: 95%, max_hedges: 2, budget: none }
    rate_limit: { calls: 100, per: 1m, burst: 5, max_wait: 50ms }
    shed: { max_in_flight: 1000, normal: 0.8, sheddable: 0.4 }
    chaos: { latency_rate: 1%, min_latency: 10ms, max_latency: 20ms, error_rate: 0.5% }
  nothing: {}
  defaults: { retry: , breaker: }
"#;

fn everything() -> Document {
    Document::from_yaml(EVERYTHING).unwrap()
}

#[test]
fn every_option_is_read() {
    let document = everything();
    let users = &document.pipelines["users"];
    let second = Duration::from_secs(1);
    assert_eq!((users.overall_timeout, users.attempt_timeout), (Some(2 * second), Some(millis(500))));
    let retry = users.retry.as_ref().unwrap();
    assert_eq!((retry.max_attempts, retry.base_delay, retry.max_delay), (4, millis(50), second));
    assert_eq!(retry.jitter, Jitter::Proportional { low: 0.5, high: 1.5 });
    assert_eq!(
        retry.budget.map(|budget| (budget.ratio_permille, budget.min_per_second, budget.burst)),
        Some((200, 2, 5))
    );
    let breaker = Breaker::failure_rate(0.5).last_time(10 * second).minimum_calls(20).slow_calls(second, 0.8);
    let breaker = breaker.open_for(5 * second).open_longer(2.0, 60 * second).trials(3);
    assert_eq!(users.breaker, Some(breaker));
    assert_eq!(users.bulkhead, Some(Bulkhead::of(20).queue(10, millis(100)).controlled_delay(millis(10))));
    assert_eq!(users.hedge.as_ref().map(|hedge| (hedge.max_hedges, hedge.budget)), Some((2, None)));
    assert_eq!(users.rate_limit.as_ref().map(|limit| (limit.calls, limit.per)), Some((100, 60 * second)));
    assert_eq!(users.shed.as_ref().map(|shed| shed.max_in_flight), Some(1000));
    assert_eq!(users.chaos.map(|chaos| chaos.latency_rate), Some(0.01));
    assert_eq!(document.pipelines["nothing"], Options::default());
    let defaults = &document.pipelines["defaults"];
    assert_eq!(defaults.retry, Some(Retry::exponential(millis(100))));
    assert_eq!(defaults.breaker, Some(Breaker::consecutive_failures(5)));
}

#[test]
fn all_formats_say_the_same() {
    let toml = r#"
[pipelines.users]
attempt_timeout = "500ms"
[pipelines.users.retry]
max_attempts = 4
jitter = [0.5, 1.5]
[pipelines.users.breaker]
failure_rate = 0.5
"#;
    let json = r#"{ "pipelines": { "users": {
        "attempt_timeout": "500ms",
        "retry": { "max_attempts": 4, "jitter": [0.5, 1.5] },
        "breaker": { "failure_rate": 0.5 } } } }"#;
    let document = Document::from_toml(toml).unwrap();
    assert_eq!(document.pipelines.len(), 1);
    assert_eq!(Document::from_json(json).unwrap(), document);
    assert_eq!(Document::from_yaml(json).unwrap(), document);
    let embedded: Document = serde_json::from_str(json).unwrap();
    assert_eq!(embedded, document);
}

#[test]
fn everything_that_is_wrong_is_told_with_path_place_and_what_is_right() {
    let table = [
        (
            "pipelines:\n  users:\n    retry: { max_attempts: 0 }",
            vec![
                "line 3, column 28: pipelines.users.retry.max_attempts cannot be 0: it must be a whole number from 1 to 4294967295",
            ],
        ),
        (
            "pipelines:\n  users:\n    retry: { max_atempts: 3 }\n    braker: {}",
            vec![
                "line 3, column 14: pipelines.users.retry.max_atempts is not an option: did you mean `max_attempts`?",
                "line 4, column 5: pipelines.users.braker is not an option: did you mean `breaker`?",
            ],
        ),
        (
            "pipelines: { a: { attempt_timeout: 5 } }",
            vec![
                "line 1, column 36: pipelines.a.attempt_timeout cannot be 5: it must be a duration such as 250ms, 2s, 1m30s or PT2S",
            ],
        ),
        (
            "pipelines: { a: { attempt_timeout: 5x } }",
            vec![
                "line 1, column 36: pipelines.a.attempt_timeout cannot be \"5x\": a duration is written 250ms, 2s, 1m30s, or PT1M30S",
            ],
        ),
        (
            "pipelines: { a: { attempt_timeout: 0s } }",
            vec!["line 1, column 36: pipelines.a.attempt_timeout cannot be 0ns: it must be above zero"],
        ),
        (
            "pipelines: { a: { retry: { base_delay: 5s, max_delay: 1s } } }",
            vec!["line 1, column 40: pipelines.a.retry.base_delay cannot be 5s: it must be at most retry.max_delay"],
        ),
        (
            "pipelines: { a: { breaker: { consecutive_failures: 3, failure_rate: 50% } } }",
            vec![
                "line 1, column 52: pipelines.a.breaker.consecutive_failures cannot stand beside failure_rate: a breaker opens on the one or the other",
            ],
        ),
        (
            "pipelines: { a: { breaker: { window: 10s } } }",
            vec![
                "line 1, column 38: pipelines.a.breaker.window means nothing without failure_rate: consecutive failures have no window",
            ],
        ),
        (
            "pipelines: { a: { bulkhead: { queue: 3 } } }",
            vec!["line 1, column 29: pipelines.a.bulkhead needs `limit`: how many calls may be under way"],
        ),
        (
            "pipelines: { a b: { retry: { jitter: some } } }",
            vec![
                "line 1, column 38: pipelines.\"a b\".retry.jitter cannot be \"some\": it must be none or full or equal or decorrelated, or two numbers such as [0.5, 1.5]",
            ],
        ),
        ("pipelines: [a]", vec!["line 1, column 12: pipelines cannot be a list of 1: it must be a table of names"]),
        ("pipelines: { a: , a: }", vec!["line 1, column 19: the key `a` is there twice"]),
        ("pipelines: { a: *b }", vec!["line 1, column 17: no anchor `&b` stands before this alias"]),
    ];
    for (text, expected) in table {
        let problems = Document::from_yaml(text).unwrap_err();
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        // Of a duration that is no text it is not known where its problem begins but in its shape.
        assert_eq!(lines[..expected.len()], expected, "{text}");
    }
}

#[test]
fn problems_of_toml_and_json_have_their_places() {
    let toml = Document::from_toml("[pipelines.users.retry]\nmax_attempts = 3\njiter = \"full\"\n").unwrap_err();
    assert_eq!(
        toml.to_string(),
        "line 3, column 1: pipelines.users.retry.jiter is not an option: did you mean `jitter`?"
    );
    assert!(Document::from_toml("a = ").unwrap_err().to_string().starts_with("line 1, column 5: this is not TOML: "));
    assert!(
        Document::from_json("{\n  \"a\": }")
            .unwrap_err()
            .to_string()
            .starts_with("line 2, column 8: this is not JSON: ")
    );
    assert!(Document::from_yaml("a: [").unwrap_err().to_string().contains("this is not YAML: "));
    let twice = Document::from_json("{ \"pipelines\": {}, \"pipelines\": {} }").unwrap_err();
    assert!(twice.to_string().contains("the key `pipelines` is there twice"), "{twice}");
}

#[test]
fn hostile_documents_are_refused() {
    let bomb = (0..40).fold("a0: &a0 [x, x, x, x]\n".to_owned(), |text, level| {
        format!("{text}a{n}: &a{n} [*a{level}, *a{level}, *a{level}, *a{level}]\n", n = level + 1)
    });
    assert!(Document::from_yaml(&bomb).unwrap_err().to_string().contains("aliases repeat more than"));
    let deep = "[".repeat(100_000);
    assert!(Document::from_yaml(&deep).is_err());
    assert!(Document::from_json(&deep).is_err());
    assert!(Document::from_toml(&format!("a = {deep}")).is_err());
    let long = format!("# {}", "x".repeat(5 << 20));
    assert!(Document::from_yaml(&long).unwrap_err().to_string().contains("longer than 4 MiB"));
    assert!(Document::from_yaml("").unwrap().pipelines.is_empty());
}

/// `UPDATE_SCHEMAS=1 cargo test -p shaketable-patterns schemas` writes them.
#[test]
fn the_schemas_that_are_checked_in_are_those_of_the_code() {
    let schemas = [
        ("schema/pipelines.schema.json", Document::json_schema()),
        ("schema/simulation.schema.json", patterns::simulate::Simulation::json_schema()),
    ];
    for (path, text) in schemas {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            fs::write(&path, &text).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap();
        assert_eq!(written, text, "{}: write it anew with UPDATE_SCHEMAS=1", path.display());
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed["additionalProperties"], false);
    }
    let schema: serde_json::Value = serde_json::from_str(&Document::json_schema()).unwrap();
    let pipeline = &schema["properties"]["pipelines"]["additionalProperties"]["properties"];
    assert_eq!(pipeline["retry"]["properties"]["max_attempts"]["minimum"], 1);
}

#[test]
fn a_reload_keeps_breakers_adds_and_removes_and_is_all_or_nothing() {
    let clock = VirtualClock::new();
    let registry = Registry::new(clock.clone());
    let document = |text: &str| Document::from_yaml(text).unwrap();
    registry.reload(&document("pipelines: { a: { breaker: { consecutive_failures: 1 } }, b: {} }")).unwrap();
    let a = registry.get("a").unwrap();
    let dependency = ScriptedDependency::new(&clock, Script::fail(1));
    let failed = clock.run(a.call(&IDEMPOTENT, |_| dependency.call()));
    assert!(matches!(failed, Err(Error::Failed(_))));

    let next = document("pipelines: { a: { attempt_timeout: 1s, breaker: { consecutive_failures: 9 } }, c: {} }");
    let changes = registry.reload(&next).unwrap();
    assert_eq!(
        (changes.added, changes.changed, changes.removed),
        (vec!["c".into()], vec!["a".into()], vec!["b".into()])
    );
    assert_eq!(registry.names(), ["a", "c"]);
    let refused = clock.run(a.call(&IDEMPOTENT, |_| dependency.call()));
    assert!(matches!(refused, Err(Error::Rejected(Rejected::BreakerOpen { .. }))), "it is still open: {refused:?}");
    assert!(registry.reload(&next).unwrap().is_empty());

    let mut wrong = next;
    wrong.pipelines.insert("d".into(), Options { attempt_timeout: Some(millis(0)), ..Options::default() });
    wrong.pipelines.get_mut("a").unwrap().attempt_timeout = None;
    assert_eq!(registry.reload(&wrong).unwrap_err().option, "attempt_timeout");
    assert_eq!(registry.names(), ["a", "c"]);
    assert_eq!(a.options().attempt_timeout, Some(Duration::from_secs(1)), "nothing has changed");
}

#[test]
fn breakers_are_forced_by_name_and_listed() {
    let registry = Registry::new(VirtualClock::new());
    registry
        .reload(
            &Document::from_yaml("pipelines: { users: { breaker: , retry: , bulkhead: { limit: 3 } }, plain: {} }")
                .unwrap(),
        )
        .unwrap();
    assert!(registry.health().is_well());
    registry.force("users", Force::Open).unwrap();
    let health = registry.health();
    assert!(!health.is_well());
    assert_eq!(
        health.to_string(),
        "pipeline  breaker      failed  bulkhead  retries left\n\
         plain     -            -       -         -\n\
         users     forced_open  0/0     0/3       10\n"
    );
    assert_eq!(
        serde_json::to_value(&health).unwrap()["pipelines"][1]["breaker"],
        serde_json::json!({ "state": "forced_open", "openings": 0, "calls": 0, "failures": 0, "slow": 0 })
    );
    let metrics = health.metrics();
    assert!(metrics.contains("patterns_breaker_state{pipeline=\"users\",state=\"forced_open\"} 1\n"), "{metrics}");
    assert!(metrics.contains("patterns_bulkhead_places{pipeline=\"users\"} 3\n"), "{metrics}");
    crate::metrics::check_exposition(&metrics);
    assert_eq!(registry.force("plain", Force::Open), Err(NotForced::NoBreaker { name: "plain".into() }));
    let unknown = registry.force("user", Force::Reset).unwrap_err();
    assert_eq!(unknown.to_string(), "there is no pipeline `user`: did you mean `users`?");
    registry.force("users", Force::Reset).unwrap();
    assert!(registry.health().is_well());
}

#[test]
fn a_file_is_read_when_it_changes_and_a_wrong_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipelines.toml");
    let clock = VirtualClock::new();
    let registry = Registry::new(clock.clone());
    let tasks = Tasks::new(&clock);
    let told = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let sheet = std::rc::Rc::clone(&told);
    let tell = move |result: Result<_, ReloadError>| {
        sheet.borrow_mut().push(result.map_err(|error| error.to_string()));
    };
    let file = FileWatch::new(&path);
    tasks.spawn(watch(registry.clone(), clock, file, Duration::from_secs(1), Document::from_toml, tell));
    let mut second = 0;
    let mut look = || {
        second += 1;
        tasks.run_until(patterns::Moment::from_millis(second * 1000));
        std::mem::take(&mut *told.borrow_mut())
    };
    assert!(look()[0].as_ref().unwrap_err().starts_with("cannot read "), "told once");
    fs::write(&path, "[pipelines.users]\n").unwrap();
    assert_eq!(look()[0].as_ref().unwrap().added, ["users"]);
    assert!(look().is_empty(), "nothing has changed");
    fs::write(&path, "[pipelines.users]\nretri = 1\n").unwrap();
    let wrong = look();
    assert!(
        wrong[0].as_ref().unwrap_err().contains("line 2, column 1: pipelines.users.retri is not an option"),
        "{wrong:?}"
    );
    assert_eq!(registry.names(), ["users"]);
    fs::write(&path, "[pipelines.users]\nattempt_timeout = '1s'\n").unwrap();
    assert_eq!(look()[0].as_ref().unwrap().changed, ["users"]);
}
