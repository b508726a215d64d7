//! The exact engine against SCRAM, a program of others for the same purpose (Debian's package `scram`).
//!
//! SCRAM prints six digits. To compare more, it is given the *difference* to our result as the question: the importance of an
//! event `v` for "if v then S else R" is `P(S) - P(R)`, and `R` is an event whose probability is ours, less a millionth. SCRAM
//! computes that difference in full precision, and of a number of that size six digits are enough for 1e-12. For the importance of
//! an event `x` the same is asked of "x and S", which happens with the probability `p (P + (1 - p) m)`.

use std::{
    fmt::Write,
    fs,
    process::{Command, Stdio},
};

use assess::availability::{Analysis, EventId, FaultTree, GateId, Input, Limits, analyse, probability};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

/// What is subtracted, so that the difference has digits.
const BIT: f64 = 1e-6;
/// What both agree to: six digits of a number of the size of [`BIT`], and what either may round. Far below the 1e-9 that is asked.
const READING: f64 = 1e-11;

const TREES: usize = 240;

/// A gate as the format of Open-PSA writes it.
#[derive(Debug, Clone)]
struct Gate {
    fails_at: usize,
    inputs: Vec<Source>,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    Event(usize),
    Gate(usize),
}

/// Units that have a part of their failures in common.
#[derive(Debug, Clone)]
struct Common {
    members: Vec<usize>,
    probability: f64,
    beta: f64,
}

/// A tree, as we and as SCRAM read it.
#[derive(Debug, Clone)]
struct Sketch {
    probabilities: Vec<f64>,
    gates: Vec<Gate>,
    common: Option<Common>,
}

/// A random tree: events and gates that are used by several gates, and in two of three trees a group with a beta factor.
fn sketch(random: &mut StdRng) -> Sketch {
    let events = random.random_range(4..14);
    // From the improbable to the likely, as availabilities are spread.
    let probabilities: Vec<f64> = (0..events).map(|_| 10_f64.powf(random.random_range(-4.0..-0.2))).collect();
    let common = (random.random_range(0..3) > 0).then(|| {
        let mut members: Vec<usize> = (0..events).collect();
        members.shuffle(random);
        members.truncate(random.random_range(2..=4.min(events)));
        let probability = 10_f64.powf(random.random_range(-3.0..-0.5));
        Common { members, probability, beta: random.random_range(0.01..0.4) }
    });
    let mut gates: Vec<Gate> = Vec::new();
    let mut unused: Vec<Source> = (0..events).map(Source::Event).collect();
    unused.shuffle(random);
    // Everything is used at least once, and something is used again at every gate.
    while unused.len() > 1 || gates.is_empty() {
        let take = random.random_range(1..=4.min(unused.len()));
        let mut inputs: Vec<Source> = unused.drain(..take).collect();
        for _ in 0..random.random_range(2..4) {
            let again = match random.random_range(0..events + gates.len()) {
                at if at < events => Source::Event(at),
                at => Source::Gate(at - events),
            };
            let same = |one: &Source| match (one, again) {
                (Source::Event(a), Source::Event(b)) | (Source::Gate(a), Source::Gate(b)) => *a == b,
                _ => false,
            };
            if !inputs.iter().any(same) {
                inputs.push(again);
            }
        }
        if inputs.len() < 2 {
            unused.extend(inputs);
            continue;
        }
        // Votes are of events: SCRAM 0.16.2 miscounts votes among gates that share events. Of gates one or all must fail.
        let votes = inputs.iter().all(|input| matches!(input, Source::Event(_)));
        let fails_at = match random.random_range(1..=inputs.len()) {
            between if votes || between == 1 => between,
            _ => inputs.len(),
        };
        gates.push(Gate { fails_at, inputs });
        unused.push(Source::Gate(gates.len() - 1));
        let last = unused.len() - 1;
        let other = random.random_range(0..=last);
        unused.swap(other, last);
    }
    Sketch { probabilities, gates, common }
}

impl Sketch {
    /// As ours: a member of the group fails by itself, or with all of them.
    fn tree(&self) -> (FaultTree, GateId) {
        let mut tree = FaultTree::new();
        let of_event = |event: usize| match &self.common {
            Some(common) if common.members.contains(&event) => common.probability * (1.0 - common.beta),
            _ => self.probabilities[event],
        };
        let events: Vec<EventId> = (0..self.probabilities.len()).map(|event| tree.event(of_event(event))).collect();
        let mut inputs: Vec<Input> = events.iter().map(|event| Input::from(*event)).collect();
        if let Some(common) = &self.common {
            let all = tree.event(common.probability * common.beta);
            for member in &common.members {
                inputs[*member] = tree.any([events[*member].into(), all.into()]).into();
            }
        }
        let mut gates: Vec<GateId> = Vec::new();
        for gate in &self.gates {
            let inputs: Vec<Input> = gate
                .inputs
                .iter()
                .map(|source| match source {
                    Source::Event(event) => inputs[*event],
                    Source::Gate(gate) => gates[*gate].into(),
                })
                .collect();
            gates.push(tree.at_least(u32::try_from(gate.fails_at).unwrap(), inputs));
        }
        (tree, *gates.last().unwrap())
    }

    fn is_common(&self, event: usize) -> bool {
        self.common.as_ref().is_some_and(|common| common.members.contains(&event))
    }

    /// As SCRAM's: the tree, and questions about the differences to `ours`.
    fn write(&self, number: usize, ours: &Analysis, trees: &mut String, events: &mut String) {
        let t = number;
        writeln!(trees, "<define-fault-tree name=\"T{t}\">").unwrap();
        for (at, gate) in self.gates.iter().enumerate() {
            let rule = match gate.fails_at {
                1 => ("<or>".to_owned(), "</or>"),
                all if all == gate.inputs.len() => ("<and>".to_owned(), "</and>"),
                some => (format!("<atleast min=\"{some}\">"), "</atleast>"),
            };
            let inputs: String = gate
                .inputs
                .iter()
                .map(|source| match source {
                    Source::Event(event) => format!("<basic-event name=\"t{t}e{event}\"/>"),
                    Source::Gate(gate) => format!("<gate name=\"t{t}g{gate}\"/>"),
                })
                .collect();
            writeln!(trees, "<define-gate name=\"t{t}g{at}\">{}{inputs}{}</define-gate>", rule.0, rule.1).unwrap();
        }
        let top = format!("<gate name=\"t{t}g{}\"/>", self.gates.len() - 1);
        let mut question = |name: &str, asked: &str, other: &str| {
            writeln!(
                trees,
                "<define-gate name=\"{name}\"><or><and><basic-event name=\"v\"/>{asked}</and>\
                 <and><not><basic-event name=\"v\"/></not>{other}</and></or></define-gate>"
            )
            .unwrap();
        };
        question(&format!("P{t}"), &top, &format!("<basic-event name=\"t{t}R\"/>"));
        define(events, &format!("t{t}R"), ours.probability - BIT);
        for event in 0..self.probabilities.len() {
            let (name, both) = (format!("t{t}e{event}"), joint(self, event, ours));
            let asked = format!("<basic-event name=\"{name}\"/>{top}");
            question(&format!("I{t}e{event}"), &asked, &format!("<basic-event name=\"t{t}B{event}\"/>"));
            define(events, &format!("t{t}B{event}"), both.given * (both.probability - BIT));
            if !self.is_common(event) {
                define(events, &name, self.probabilities[event]);
            }
        }
        writeln!(trees, "</define-fault-tree>").unwrap();
        if let Some(Common { members, probability, beta }) = &self.common {
            let names: String = members.iter().map(|member| format!("<basic-event name=\"t{t}e{member}\"/>")).collect();
            writeln!(
                trees,
                "<define-CCF-group name=\"C{t}\" model=\"beta-factor\"><members>{names}</members>\
                 <distribution><float value=\"{probability:e}\"/></distribution>\
                 <factor level=\"{}\"><float value=\"{beta:e}\"/></factor></define-CCF-group>",
                members.len()
            )
            .unwrap();
        }
    }
}

/// That an event and failure come together.
struct Joint {
    /// The probability of the event.
    given: f64,
    /// The probability of failure when it has happened.
    probability: f64,
}

/// By our importance of the event, and of a member of a group by that of the cause that it shares.
fn joint(sketch: &Sketch, event: usize, ours: &Analysis) -> Joint {
    let given_event = |event: usize, p: f64| ours.probability + (1.0 - p) * ours.importance[event].birnbaum;
    match sketch.common.as_ref().filter(|_| sketch.is_common(event)) {
        None => {
            let given = sketch.probabilities[event];
            Joint { given, probability: given_event(event, given) }
        }
        Some(common) => {
            // Either all members fail at once, or not and this one by itself: then what remains is to be counted anew.
            let (all, own) = (common.probability * common.beta, common.probability * (1.0 - common.beta));
            let (tree, top) = sketch.tree();
            let events: Vec<EventId> = tree.events().collect();
            let cause = events[sketch.probabilities.len()];
            let with = |all: f64, own: f64| {
                let tree = tree.clone().with(cause, all).with(events[event], own);
                probability(&tree, top, &Limits::default()).unwrap()
            };
            let both = all * with(1.0, own) + (1.0 - all) * own * with(0.0, 1.0);
            let given = all + (1.0 - all) * own;
            Joint { given, probability: both / given }
        }
    }
}

fn define(events: &mut String, name: &str, probability: f64) {
    // Seventeen digits are all that a float has. An event that is not important at all gives a question of its own sign.
    let probability = probability.max(0.0);
    writeln!(events, "<define-basic-event name=\"{name}\"><float value=\"{probability:.17e}\"/></define-basic-event>")
        .unwrap();
}

/// The importance (MIF) of an event for a gate, from a report.
fn importance(report: &str, gate: &str, event: &str) -> f64 {
    let section = report.find(&format!("<importance name=\"{gate}\"")).unwrap_or_else(|| panic!("no {gate}"));
    let section = &report[section..];
    let section = &section[..section.find("</importance>").unwrap()];
    // What SCRAM does not list is in no product: it makes no difference.
    let Some(at) = section.find(&format!("<basic-event name=\"{event}\" occurrence")) else { return 0.0 };
    let value = section[at..].split("MIF=\"").nth(1).unwrap();
    value[..value.find('"').unwrap()].parse().unwrap()
}

/// SCRAM's importance of the individual and of the common events of a group, in the order of its report, with six digits.
fn of_group(report: &str, gate: &str, group: &str, order: usize) -> Vec<f64> {
    let section = &report[report.find(&format!("<importance name=\"{gate}\"")).unwrap()..];
    let section = &section[..section.find("</importance>").unwrap()];
    section
        .split(&format!("<ccf-event ccf-group=\"{group}\" order=\"{order}\""))
        .skip(1)
        .map(|event| {
            let value = event.split("MIF=\"").nth(1).unwrap();
            value[..value.find('"').unwrap()].parse().unwrap()
        })
        .collect()
}

fn scram(model: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("model.xml"), folder.path().join("report.xml"));
    fs::write(&input, model).unwrap();
    let mut command = Command::new("scram");
    command.args(["--bdd", "--probability", "1", "--importance", "1", "--ccf", "1"]);
    command.arg(&input).arg("-o").arg(&output).stdin(Stdio::null());
    let done = match command.output() {
        Ok(done) => done,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return None,
        Err(why) => panic!("scram does not start: {why}"),
    };
    assert!(done.status.success(), "scram: {}", String::from_utf8_lossy(&done.stderr));
    Some(fs::read_to_string(&output).unwrap())
}

#[test]
fn scram_agrees_on_random_trees_with_common_causes() {
    let mut random = StdRng::seed_from_u64(20_261_122);
    let (mut compared, mut grouped) = (0, 0);
    // Forty trees at a time: a start of the program costs more than a tree.
    for batch in 0..TREES / 40 {
        let sketches: Vec<(usize, Sketch)> = (0..40).map(|at| (batch * 40 + at, sketch(&mut random))).collect();
        let (mut trees, mut events) = (String::new(), String::new());
        define(&mut events, "v", 0.5);
        let mut ours = Vec::new();
        for (number, sketch) in &sketches {
            let (tree, top) = sketch.tree();
            let analysis = analyse(&tree, top, &Limits::default()).unwrap();
            sketch.write(*number, &analysis, &mut trees, &mut events);
            ours.push(analysis);
        }
        let model =
            format!("<?xml version=\"1.0\"?>\n<opsa-mef>\n{trees}<model-data>\n{events}</model-data>\n</opsa-mef>\n");
        let Some(report) = scram(&model) else {
            assert!(std::env::var_os("CI").is_none(), "scram is not installed; apt-get install scram");
            println!("skipped: scram is not installed; apt-get install scram");
            return;
        };
        for ((number, sketch), ours) in sketches.iter().zip(&ours) {
            let difference = importance(&report, &format!("P{number}"), "v") - BIT.min(ours.probability);
            assert!(difference.abs() < READING, "tree {number}: {difference:e} of {}\n{sketch:?}", ours.probability);
            for event in 0..sketch.probabilities.len() {
                let both = joint(sketch, event, ours);
                let theirs = importance(&report, &format!("I{number}e{event}"), "v");
                // What an event makes of the probability of failure: an error of it is one of its importance.
                let difference = theirs / both.given - BIT.min(both.probability);
                assert!(difference.abs() < READING, "tree {number}, event {event}: {difference:e}\n{sketch:?}");
                compared += 1;
            }
            grouped += usize::from(sketch.common.is_some());
            if let Some(common) = &sketch.common {
                // Members and the common cause are SCRAM's own events, about which no question can be asked: six digits.
                let half = |theirs: &f64, ours: f64| (theirs - ours / 2.0).abs() <= 1e-5 * ours.max(1e-6);
                let all = ours.importance[sketch.probabilities.len()].birnbaum;
                let theirs = of_group(&report, &format!("P{number}"), &format!("C{number}"), common.members.len());
                assert!(
                    theirs.iter().all(|theirs| half(theirs, all)),
                    "tree {number}: {theirs:?} is not half of {all}"
                );
                let theirs = of_group(&report, &format!("P{number}"), &format!("C{number}"), 1);
                let own: Vec<f64> = common.members.iter().map(|member| ours.importance[*member].birnbaum).collect();
                assert!(
                    theirs.iter().all(|theirs| own.iter().any(|own| half(theirs, *own))),
                    "tree {number}: {theirs:?} are not half of {own:?}"
                );
            }
        }
    }
    assert!(compared > 1000 && grouped > TREES / 2, "{compared} events, {grouped} groups");
    println!("{TREES} trees, {compared} events, {grouped} groups: agreed to {READING:e}");
}
