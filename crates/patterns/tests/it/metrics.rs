//! Metrics, and the format in which they are scraped.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use patterns::{
    Breaker, Context, ErrorsAreTransient, Jitter, Pipeline, Retry, VirtualClock,
    fallback::Value,
    metrics::Metrics,
    testing::{Script, ScriptedDependency},
};

use crate::script::millis;

static IDEMPOTENT: Context = Context::idempotent();

/// A line with a value.
#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// Reads a line as the format's grammar says.
fn sample(line: &str) -> Sample {
    let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
    assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{line}");
    let mut labels = BTreeMap::new();
    let mut rest = rest;
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap();
            assert!(label.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{line}");
            let mut value = String::new();
            let mut characters = after.char_indices();
            let end = loop {
                match characters.next().unwrap() {
                    (at, '"') => break at,
                    (_, '\\') => {
                        let escape = characters.next().unwrap().1;
                        assert!(matches!(escape, 'n' | '\\' | '"'), "\\{escape} is no escape: {line}");
                        value.push(if escape == 'n' { '\n' } else { escape });
                    }
                    (_, other) => value.push(other),
                }
            };
            assert_eq!(labels.insert(label.to_owned(), value), None, "a label twice: {line}");
            rest = &after[end + 1..];
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix('}').unwrap();
    }
    let value = rest.strip_prefix(' ').unwrap();
    Sample { name: name.to_owned(), labels, value: value.parse().unwrap() }
}

/// What `promtool check metrics` looks at, and what a scrape would refuse.
pub(crate) fn check_exposition(text: &str) -> usize {
    let mut types = BTreeMap::new();
    let (mut helped, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let mut current = String::new();
    let mut samples = Vec::new();
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
        } else if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap();
            assert!(helped.contains(name), "a type without help: {line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert_eq!(types.insert(name.to_owned(), kind.to_owned()), None, "a family twice: {line}");
            name.clone_into(&mut current);
        } else {
            let sample = sample(line);
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| sample.name.strip_suffix(end));
            let family = family.filter(|_| types.get(&current).is_some_and(|kind| kind == "histogram"));
            assert_eq!(family.unwrap_or(&sample.name), current, "a sample outside its family: {line}");
            assert!(seen.insert((sample.name.clone(), sample.labels.clone())), "a series twice: {line}");
            samples.push(sample);
        }
    }
    check_histograms(&samples);
    samples.len()
}

fn check_histograms(samples: &[Sample]) {
    for (index, count) in samples.iter().enumerate().filter(|(_, sample)| sample.name.ends_with("_count")) {
        let family = count.name.strip_suffix("_count").unwrap();
        let buckets: Vec<(f64, f64)> = samples[..index]
            .iter()
            .filter(|sample| sample.name == format!("{family}_bucket"))
            .filter(|sample| sample.labels["pipeline"] == count.labels["pipeline"])
            .map(|sample| (sample.labels["le"].parse().unwrap(), sample.value))
            .collect();
        assert!(buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1), "{buckets:?}");
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, count.value)), "{family}");
    }
}

/// A pipeline that meets nearly everything.
fn metrics_of(name: &str) -> String {
    let (clock, metrics) = (VirtualClock::new(), Arc::new(Metrics::new()));
    let script = Script::fail(2).then_answer(1).then_hang(1).then_fail(20).taking(millis(20));
    let dependency = ScriptedDependency::new(&clock, script);
    let pipeline = Pipeline::builder(name)
        .clock(clock.clone())
        .retry(Retry::exponential(millis(10)).jitter(Jitter::None))
        .breaker(Breaker::consecutive_failures(4))
        .attempt_timeout(millis(100))
        .build()
        .unwrap();
    pipeline.listen(metrics.clone());
    let policy = pipeline.classify(ErrorsAreTransient).fallback(Value(0));
    for _ in 0..4 {
        let _answer = clock.run(policy.call(&IDEMPOTENT, |_| dependency.call()));
    }
    metrics.render()
}

#[test]
fn what_is_scraped_is_in_the_format_and_says_what_happened() {
    let text = metrics_of("users");
    assert!(check_exposition(&text) > 40, "{text}");
    let expected = [
        "patterns_calls_total{pipeline=\"users\",outcome=\"success\"} 1",
        "patterns_calls_total{pipeline=\"users\",outcome=\"breaker_open\"} 2",
        "patterns_attempts_total{pipeline=\"users\",outcome=\"success\"} 1",
        "patterns_attempts_total{pipeline=\"users\",outcome=\"timeout\"} 1",
        "patterns_attempt_duration_seconds_bucket{pipeline=\"users\",le=\"0.01\"} 2",
        "patterns_fallbacks_total{pipeline=\"users\",served=\"true\"} 3",
        "patterns_gave_up_total{pipeline=\"users\",reason=\"rejected\"} 2",
        "patterns_breaker_changes_total{pipeline=\"users\",to=\"open\"} 1",
        "patterns_events_total{pipeline=\"users\",strategy=\"breaker\",event=\"breaker\",severity=\"error\"} 1",
        "patterns_events_total{pipeline=\"users\",strategy=\"timeout\",event=\"attempt\",severity=\"warning\"} 1",
    ];
    for line in expected {
        assert!(text.lines().any(|there| there == line), "{line} is not in\n{text}");
    }
}

#[test]
fn names_with_quotes_and_lines_are_escaped() {
    let name = "a \"b\" \\ c\nd";
    let text = metrics_of(name);
    check_exposition(&text);
    assert!(text.contains("{pipeline=\"a \\\"b\\\" \\\\ c\\nd\","), "{text}");
    assert!(text.lines().filter(|line| !line.starts_with('#')).all(|line| sample(line).labels["pipeline"] == name));
}

#[test]
fn the_table_of_the_documentation_names_every_metric() {
    let documented = include_str!("../../src/metrics/mod.rs");
    for line in metrics_of("users").lines() {
        if let Some(name) = line.strip_prefix("# TYPE ").and_then(|line| line.split(' ').next()) {
            assert!(documented.contains(&format!("| `{name}` |")), "{name}");
        }
    }
}
