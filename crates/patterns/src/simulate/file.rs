//! The file of a simulation: pipelines as in a registry, and the scenario they are put through.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    pipeline::Options,
    registry::document::{
        Node, PIPELINE, Problem, Problems, Value, pipelines, read_yaml,
        shape::{Field, Shape, Table, join, nearest},
    },
    testing::Window,
};

/// Pipelines, and what they are put through: each by itself, with the same calls at the same moments.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulation {
    /// What it is about.
    pub title: String,
    /// The pipelines in the order of the document.
    pub pipelines: Vec<(String, Options)>,
    /// What they are put through.
    pub scenario: Scenario,
}

/// What pipelines are put through.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// How long it lasts.
    pub duration: Duration,
    /// How finely it is looked at.
    pub step: Duration,
    /// Of all that is random.
    pub seed: u64,
    /// How many processes call, each with a breaker, a budget and a bulkhead of its own.
    pub clients: u32,
    /// Calls per second of all clients together.
    pub rate: f64,
    /// How calls are spread over time.
    pub arrivals: Arrivals,
    /// Whether calls may be made twice.
    pub idempotent: bool,
    /// The pipelines whose callers have something else to show when a call fails.
    pub fallback: Vec<String>,
    /// What is called.
    pub dependency: Dependency,
    /// What happens to it.
    pub script: Vec<Window>,
}

/// How calls are spread over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// At random, independent of one another: what many users do.
    Poisson,
    /// One after the other at the same distance.
    Even,
}

/// What is called.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependency {
    /// It works on so many calls at a time.
    pub capacity: u32,
    /// How long it works on a call, in the mean.
    pub latency: Duration,
    /// How that time is spread.
    pub spread: Spread,
    /// So many calls more wait; others are refused at once.
    pub queue: u32,
    /// Whether it notices that a caller has gone, and does not begin to work for it.
    pub drops_the_gone: bool,
}

/// How the time for a call is spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Always the same.
    Constant,
    /// Exponentially.
    Exponential,
}

/// Most calls of a simulation: when every one of them hangs, each is a future of a few kilobytes.
const MAX_CALLS: f64 = 200_000.0;
/// An hour in steps of a second is as much as a chart can show.
const MAX_DURATION: Duration = Duration::from_secs(3600);
/// More steps than this are no picture.
const MAX_STEPS: u128 = 3600;
/// Each has a breaker with its window, up to 32 KiB.
const MAX_CLIENTS: u64 = 1000;
/// More are not compared in one picture.
const MAX_PIPELINES: usize = 16;

/// More attempts or hedges of one call than this are a mistake, and take long to follow.
const MAX_TRIES: u32 = 100;

const FILE: &[Field] = &[
    Field { name: "title", shape: Shape::Text, about: "What it is about." },
    Field {
        name: "pipelines",
        shape: Shape::Map(&Shape::Table(PIPELINE)),
        about: "Pipelines by name; each is put through the scenario by itself.",
    },
    Field { name: "scenario", shape: Shape::Table(SCENARIO), about: "What they are put through." },
];

const SCENARIO: &[Field] = &[
    Field {
        name: "duration",
        shape: Shape::Duration,
        about: "How long it lasts: at most 1h. 60s unless told otherwise.",
    },
    Field {
        name: "step",
        shape: Shape::Duration,
        about: "How finely it is looked at. A sixtieth of the duration unless told otherwise.",
    },
    Field {
        name: "seed",
        shape: Shape::Whole { min: 0, max: u64::MAX },
        about: "Of all that is random. 1 unless told otherwise.",
    },
    Field {
        name: "clients",
        shape: Shape::Whole { min: 1, max: MAX_CLIENTS },
        about: "How many processes call, each with its own breaker and budget. 10 unless told otherwise.",
    },
    Field {
        name: "rate",
        shape: Shape::Number,
        about: "Calls per second of all clients together. 100 unless told otherwise.",
    },
    Field {
        name: "arrivals",
        shape: Shape::Word(&["poisson", "even"]),
        about: "How calls are spread over time. As a Poisson process unless told otherwise.",
    },
    Field {
        name: "idempotent",
        shape: Shape::Bool,
        about: "Whether calls may be made twice. true unless told otherwise.",
    },
    Field {
        name: "fallback",
        shape: Shape::List(&Shape::Text),
        about: "The pipelines whose callers have something else to show when a call fails.",
    },
    Field { name: "dependency", shape: Shape::Table(DEPENDENCY), about: "What is called." },
    Field {
        name: "script",
        shape: Shape::List(&Shape::Sentence),
        about: "What happens to it: `from 10s to 30s: error 50%`, `hang`, `latency 2s`, `capacity 1`.",
    },
];

const DEPENDENCY: &[Field] = &[
    Field {
        name: "capacity",
        shape: Shape::Whole { min: 1, max: 1_000_000 },
        about: "It works on so many calls at a time. 10 unless told otherwise.",
    },
    Field {
        name: "latency",
        shape: Shape::Duration,
        about: "How long it works on a call, in the mean. 50ms unless told otherwise.",
    },
    Field {
        name: "spread",
        shape: Shape::Word(&["constant", "exponential"]),
        about: "How that time is spread. Exponentially unless told otherwise.",
    },
    Field {
        name: "queue",
        shape: Shape::Whole { min: 0, max: 1_000_000 },
        about: "So many calls more wait. 1000 unless told otherwise.",
    },
    Field {
        name: "drops_the_gone",
        shape: Shape::Bool,
        about: "Whether it notices that a caller has gone, before it begins to work. false unless told otherwise.",
    },
];

impl Simulation {
    /// Reads YAML or JSON.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn from_yaml(text: &str) -> Result<Self, Problems> {
        let node = read_yaml(text)?;
        let mut problems = Vec::new();
        Shape::Table(FILE).check(&node, "", &mut problems);
        if let Some(problems) = Problems::from_list(problems) {
            return Err(problems);
        }
        let mut options: BTreeMap<String, Options> = pipelines(&node)?;
        let mut problems = Vec::new();
        let names = node.get("pipelines").map(Node::entries).unwrap_or_default();
        let pipelines: Vec<(String, Options)> =
            names.iter().filter_map(|entry| options.remove_entry(&entry.key)).collect();
        if pipelines.is_empty() || pipelines.len() > MAX_PIPELINES {
            let what = format!("must name 1 to {MAX_PIPELINES} pipelines; `none: {{}}` is one that does nothing");
            problem(&mut problems, &node, "pipelines", what);
        }
        for (name, options) in &pipelines {
            refuse_endless(name, options, &node, &mut problems);
        }
        let empty = Node::new(Value::Null);
        let scenario = scenario(node.get("scenario").unwrap_or(&empty), &pipelines, &mut problems);
        let title = Table(&node).text("title").unwrap_or("simulation").to_owned();
        Problems::from_list(problems).map_or(Ok(Self { title, pipelines, scenario }), Err)
    }

    /// The JSON Schema (draft 2020-12) of such files: `schema/simulation.schema.json` of this crate.
    #[must_use]
    pub fn json_schema() -> String {
        crate::registry::document::schema_of(
            "Simulation",
            "Pipelines, and a scenario they are put through: shaketable patterns simulate FILE.",
            FILE,
        )
    }
}

impl Scenario {
    /// How many steps there are; the last may be shorter.
    #[must_use]
    pub fn steps(&self) -> usize {
        usize::try_from(self.duration.as_nanos().div_ceil(self.step.as_nanos().max(1))).unwrap_or(usize::MAX)
    }
}

fn problem(problems: &mut Vec<Problem>, node: &Node, path: &str, what: impl Into<String>) {
    problems.push(Problem { path: path.to_owned(), place: node.place, what: what.into() });
}

/// What would keep a simulation busy for no insight.
fn refuse_endless(name: &str, options: &Options, node: &Node, problems: &mut Vec<Problem>) {
    let at = node.get("pipelines").and_then(|node| node.get(name)).unwrap_or(node);
    let path = |option: &str| join(&join("pipelines", name), option);
    if options.retry.as_ref().is_some_and(|retry| retry.max_attempts > MAX_TRIES) {
        problem(problems, at, &path("retry"), format!("may have at most {MAX_TRIES} max_attempts in a simulation"));
    }
    if options.hedge.as_ref().is_some_and(|hedge| hedge.max_hedges > MAX_TRIES) {
        problem(problems, at, &path("hedge"), format!("may have at most {MAX_TRIES} max_hedges in a simulation"));
    }
    if options.chaos.is_some() {
        problem(problems, at, &path("chaos"), "has no place in a simulation: what happens is said by scenario.script");
    }
}

fn scenario(node: &Node, pipelines: &[(String, Options)], problems: &mut Vec<Problem>) -> Scenario {
    let table = Table(node);
    let duration = table.duration("duration").unwrap_or(Duration::from_secs(60));
    let step = table.duration("step").unwrap_or_else(|| sixtieth(duration));
    let rate = table.number("rate").unwrap_or(100.0);
    let mut wrong = |name: &str, what: String| {
        let node = node.get(name).unwrap_or(node);
        problem(problems, node, &format!("scenario.{name}"), what);
    };
    if duration.is_zero() || duration > MAX_DURATION {
        wrong("duration", "must be above zero and at most 1h: a chart shows no more".to_owned());
    }
    if step.is_zero() || duration.as_nanos() / step.as_nanos().max(1) > MAX_STEPS {
        wrong("step", format!("must be above zero, and give at most {MAX_STEPS} steps"));
    }
    let calls = rate * duration.as_secs_f64();
    if rate <= 0.0 || calls > MAX_CALLS {
        let what =
            format!("must be above zero, and make at most {MAX_CALLS} calls in all; here it would make {calls:.0}");
        wrong("rate", what);
    }
    let fallback = node.get("fallback").map(Node::items).unwrap_or_default();
    let names: Vec<&str> = pipelines.iter().map(|(name, _)| name.as_str()).collect();
    for name in fallback.iter().filter_map(Node::text).filter(|name| !names.contains(name)) {
        let hint = nearest(name, &names).map(|name| format!(": did you mean `{name}`?")).unwrap_or_default();
        wrong("fallback", format!("names `{name}`, which is no pipeline of this file{hint}"));
    }
    let mut script = Vec::new();
    for (number, line) in node.get("script").map(Node::items).unwrap_or_default().iter().enumerate() {
        match Window::parse(&sentence(line)) {
            Ok(window) => script.push(window),
            Err(why) => problem(problems, line, &format!("scenario.script[{number}]"), why.to_string()),
        }
    }
    Scenario {
        duration,
        step,
        seed: table.whole("seed").unwrap_or(1),
        clients: table.small("clients").unwrap_or(10),
        rate,
        arrivals: if table.text("arrivals") == Some("even") { Arrivals::Even } else { Arrivals::Poisson },
        idempotent: table.bool("idempotent").unwrap_or(true),
        fallback: fallback.iter().filter_map(Node::text).map(str::to_owned).collect(),
        dependency: dependency(table.table("dependency")),
        script,
    }
}

/// A sixtieth, rounded up so that there are not sixty-one steps.
fn sixtieth(duration: Duration) -> Duration {
    let nanos = duration.as_nanos().div_ceil(60).max(1);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// A line of the script, which YAML reads as a key with a value.
fn sentence(node: &Node) -> String {
    match node.entries() {
        [entry] => format!("{}: {}", entry.key, entry.value.text().unwrap_or_default()),
        _ => node.text().unwrap_or_default().to_owned(),
    }
}

fn dependency(table: Option<Table<'_>>) -> Dependency {
    let empty = Node::new(Value::Null);
    let table = table.unwrap_or(Table(&empty));
    Dependency {
        capacity: table.small("capacity").unwrap_or(10),
        latency: table.duration("latency").unwrap_or(Duration::from_millis(50)),
        spread: if table.text("spread") == Some("constant") { Spread::Constant } else { Spread::Exponential },
        queue: table.small("queue").unwrap_or(1000),
        drops_the_gone: table.bool("drops_the_gone").unwrap_or(false),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_script_reads_the_same_as_lines_and_as_texts() {
        let file =
            |script: &str| Simulation::from_yaml(&format!("pipelines: {{ a: }}\nscenario:\n  script:\n{script}"));
        let lines = file("    - from 1s to 2s: error 50%\n    - from 3s: hang").unwrap();
        let texts = file("    - \"from 1s to 2s: error 50%\"\n    - 'from 3s: hang'").unwrap();
        assert_eq!(lines, texts);
        assert_eq!(lines.scenario.script.len(), 2);
    }

    #[test]
    fn limits_are_told_with_their_reason() {
        let table = [
            ("scenario: {}", "pipelines must name 1 to 16"),
            ("pipelines: { a: }\nscenario: { duration: 2h }", "line 2, column 23: scenario.duration must be"),
            (
                "pipelines: { a: }\nscenario: { rate: 1000000 }",
                "at most 200000 calls in all; here it would make 60000000",
            ),
            ("pipelines: { a: }\nscenario: { rate: 0 }", "scenario.rate must be above zero"),
            ("pipelines: { a: }\nscenario: { step: 1us }", "at most 3600 steps"),
            (
                "pipelines: { a: }\nscenario: { clients: 0 }",
                "scenario.clients cannot be 0: it must be a whole number from 1 to 1000",
            ),
            ("pipelines: { abc: }\nscenario: { fallback: [abd] }", "did you mean `abc`?"),
            ("pipelines: { a: }\nscenario: { script: [from 5s to 1s: hang] }", "scenario.script[0] cannot be"),
            ("pipelines: { a: }\nscenario: { scrpt: [] }", "did you mean `script`?"),
        ];
        for (text, expected) in table {
            let problems = Simulation::from_yaml(text).unwrap_err().to_string();
            assert!(problems.contains(expected), "{text}\n{problems}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(pipelines: \\{ a: \\{(retry|breaker|bulkhead): \\{[a-z_]{0,12}: [0-9a-z%.-]{0,6}\\}\\}\\}\n)?[a-z: {}\\[\\]&*0-9%\n-]{0,60}|\\PC{0,60}") {
            let _read = Simulation::from_yaml(&text);
        }
    }
}
