//! The exact engine against SCRAM, a program of others for the same purpose (Debian's package `scram`).
//!
//! SCRAM prints six digits. To compare more, it is given the *difference* to our result as the question: the importance of an
//! event `v` for "if v then S else R" is `P(S) - P(R)`, and `R` is an event whose probability is ours, less a millionth. SCRAM
//! computes that difference in full precision, and of a number of that size six digits are enough for 1e-12. For the importance of
//! an event `x` the same is asked of "x and S", which happens with the probability `p (P + (1 - p) m)`.
//!
//! Of a group with common causes, what a member does by itself and what all do at once are events that SCRAM makes, and about which
//! nothing can be asked. But that the first of them has happened is the tree in which the member has failed and the others have
//! what they have in common; that the second has is the tree in which all have failed. So SCRAM is asked for these trees, and the
//! importance of an event is `(P(1) - P) / (1 - p)`.
//!
//! Votes among gates are written out for SCRAM as all their ways of coming about: 0.16.2 miscounts them as votes. That ours are right
//! is seen here, and by counting all cases.

use std::{
    fmt::Write,
    fs,
    process::{Command, Stdio},
};

use assess::availability::{Analysis, EventId, FaultTree, GateId, Input, Limits, analyse, probability, structure};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

use crate::{
    architecture::architecture,
    open_psa::{open_psa, ways},
};

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
        let fails_at = random.random_range(1..=inputs.len());
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

    /// The same tree in which these events have happened: `None` where that is enough to fail.
    fn given(&self, happened: &[usize]) -> Option<Self> {
        let mut gates = Vec::new();
        // Of each gate that was, its place among those that are left; none: it has failed.
        let mut places: Vec<Option<usize>> = Vec::new();
        for gate in &self.gates {
            let left: Vec<Source> = gate
                .inputs
                .iter()
                .filter_map(|source| match source {
                    Source::Event(event) => (!happened.contains(event)).then_some(*source),
                    Source::Gate(gate) => places[*gate].map(Source::Gate),
                })
                .collect();
            let fails_at = gate.fails_at.saturating_sub(gate.inputs.len() - left.len());
            places.push((fails_at > 0).then_some(gates.len()));
            if fails_at > 0 {
                gates.push(Gate { fails_at, inputs: left });
            }
        }
        places.last().copied().flatten().map(|_| Self { gates, ..self.clone() })
    }

    /// The gates as SCRAM's, with names that begin like this; gives back that of the top.
    fn write_gates(&self, number: usize, prefix: &str, trees: &mut String) -> String {
        let name = |source: &Source| match source {
            Source::Event(event) => format!("<basic-event name=\"t{number}e{event}\"/>"),
            Source::Gate(gate) => format!("<gate name=\"{prefix}{gate}\"/>"),
        };
        for (at, gate) in self.gates.iter().enumerate() {
            let inputs: Vec<String> = gate.inputs.iter().map(name).collect();
            let all = inputs.concat();
            let of_events = gate.inputs.iter().all(|input| matches!(input, Source::Event(_)));
            let rule = match gate.fails_at {
                // An operator of SCRAM has two inputs at least.
                _ if inputs.len() == 1 => all,
                1 => format!("<or>{all}</or>"),
                every if every == inputs.len() => format!("<and>{all}</and>"),
                some if of_events => format!("<atleast min=\"{some}\">{all}</atleast>"),
                some => {
                    let ways = ways(&inputs, some).into_iter().map(|way| format!("<and>{}</and>", way.concat()));
                    format!("<or>{}</or>", ways.collect::<String>())
                }
            };
            writeln!(trees, "<define-gate name=\"{prefix}{at}\">{rule}</define-gate>").unwrap();
        }
        format!("<gate name=\"{prefix}{}\"/>", self.gates.len() - 1)
    }

    /// As SCRAM's: the tree, and questions about the differences to `ours`.
    fn write(&self, number: usize, ours: &Analysis, trees: &mut String, events: &mut String) {
        let t = number;
        writeln!(trees, "<define-fault-tree name=\"T{t}\">").unwrap();
        let top = self.write_gates(t, &format!("t{t}g"), trees);
        ask(trees, &format!("P{t}"), &top, &format!("t{t}R"));
        define(events, &format!("t{t}R"), ours.probability - BIT);
        for event in 0..self.probabilities.len() {
            let (name, both) = (format!("t{t}e{event}"), joint(self, event, ours));
            let asked = format!("<basic-event name=\"{name}\"/>{top}");
            ask(trees, &format!("I{t}e{event}"), &asked, &format!("t{t}B{event}"));
            define(events, &format!("t{t}B{event}"), both.given * (both.probability - BIT));
            if !self.is_common(event) {
                define(events, &name, self.probabilities[event]);
            }
        }
        for (cause, own) in self.causes_of_group().iter().enumerate() {
            // Where they are enough by themselves there is nothing to ask.
            if let Some(given) = self.given(&own.members) {
                let top = given.write_gates(t, &format!("t{t}c{cause}g"), trees);
                ask(trees, &format!("C{t}c{cause}"), &top, &format!("t{t}C{cause}"));
                define(events, &format!("t{t}C{cause}"), self.failing_given(own) - BIT);
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

    /// What SCRAM makes of its group: each member by itself, and all at once.
    fn causes_of_group(&self) -> Vec<OfGroup> {
        let Some(Common { members, probability, beta }) = &self.common else { return Vec::new() };
        let own = members.iter().map(|member| OfGroup {
            members: vec![*member],
            event: *member,
            probability: probability * (1.0 - beta),
        });
        let all =
            OfGroup { members: members.clone(), event: self.probabilities.len(), probability: probability * beta };
        own.chain([all]).collect()
    }

    /// Our probability of failure when a cause of the group has happened.
    fn failing_given(&self, cause: &OfGroup) -> f64 {
        let (tree, top) = self.tree();
        let event = tree.events().nth(cause.event).unwrap();
        probability(&tree.with(event, 1.0), top, &Limits::default()).unwrap()
    }
}

/// An event that SCRAM makes of a group.
struct OfGroup {
    /// Which members it fails.
    members: Vec<usize>,
    /// Our event.
    event: usize,
    probability: f64,
}

/// The question by how much the probability of what is asked differs from that of an event.
fn ask(trees: &mut String, name: &str, asked: &str, other: &str) {
    writeln!(
        trees,
        "<define-gate name=\"{name}\"><or><and><basic-event name=\"v\"/>{asked}</and>\
         <and><not><basic-event name=\"v\"/></not><basic-event name=\"{other}\"/></and></or></define-gate>"
    )
    .unwrap();
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

/// On a user's machine it need not be.
fn not_installed() {
    assert!(std::env::var_os("CI").is_none(), "scram is not installed; apt-get install scram");
    println!("skipped: scram is not installed; apt-get install scram");
}

/// The first number of this name.
fn attribute(text: &str, name: &str) -> f64 {
    let value = text.split(&format!("{name}=\"")).nth(1).unwrap();
    value[..value.find('"').unwrap()].parse().unwrap()
}

/// The importance (MIF) of an event for a gate, from a report.
fn importance(report: &str, gate: &str, event: &str) -> f64 {
    let section = report.find(&format!("<importance name=\"{gate}\"")).unwrap_or_else(|| panic!("no {gate}"));
    let section = &report[section..];
    let section = &section[..section.find("</importance>").unwrap()];
    // What SCRAM does not list is in no product: it makes no difference.
    let Some(at) = section.find(&format!("<basic-event name=\"{event}\" occurrence")) else { return 0.0 };
    attribute(&section[at..], "MIF")
}

/// SCRAM's importance of the individual and of the common events of a group, in the order of its report, with six digits.
fn of_group(report: &str, gate: &str, group: &str, order: usize) -> Vec<f64> {
    let section = &report[report.find(&format!("<importance name=\"{gate}\"")).unwrap()..];
    let section = &section[..section.find("</importance>").unwrap()];
    section
        .split(&format!("<ccf-event ccf-group=\"{group}\" order=\"{order}\""))
        .skip(1)
        .map(|event| attribute(event, "MIF"))
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
            return not_installed();
        };
        for ((number, sketch), ours) in sketches.iter().zip(&ours) {
            let difference = importance(&report, &format!("P{number}"), "v") - BIT.min(ours.probability);
            assert!(difference.abs() < READING, "tree {number}: {difference:e} of {}\n{sketch:?}", ours.probability);
            for event in 0..sketch.probabilities.len() {
                let both = joint(sketch, event, ours);
                let theirs = importance(&report, &format!("I{number}e{event}"), "v");
                // What an event makes of the probability of failure: an error of it is one of its importance.
                let off = theirs / both.given - BIT.min(both.probability);
                assert!(off.abs() < READING, "tree {number}, event {event}: {off:e}\n{sketch:?}");
                compared += 1;
            }
            grouped += usize::from(sketch.common.is_some());
            for (cause, own) in sketch.causes_of_group().iter().enumerate() {
                let ours_given = sketch.failing_given(own);
                let theirs_given = match sketch.given(&own.members) {
                    // What SCRAM says the difference is.
                    Some(_) => {
                        let asked = importance(&report, &format!("C{number}c{cause}"), "v");
                        ours_given + asked - BIT.min(ours_given)
                    }
                    None => 1.0,
                };
                let birnbaum = (theirs_given - (ours.probability + difference)) / (1.0 - own.probability);
                let off = birnbaum - ours.importance[own.event].birnbaum;
                assert!(off.abs() < 10.0 * READING, "tree {number}, {:?}: {off:e}\n{sketch:?}", own.members);
                compared += 1;
            }
            if let Some(common) = &sketch.common {
                // And what SCRAM prints of them itself: six digits of half of it, since `v` decides whether they matter.
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

/// To the six digits that it prints: a tree as workloads make them, with zones that services share.
#[test]
fn scram_agrees_on_an_architecture() {
    let built = structure(&architecture(1, 6, 1)).unwrap();
    let ours = analyse(&built.tree, built.top, &Limits::default()).unwrap();
    let Some(report) = scram(&open_psa(&built.tree, built.top)) else { return not_installed() };
    let near = |theirs: f64, ours: f64| (theirs - ours).abs() <= 1e-5 * ours;
    let (_, probability) = report.split_once("<sum-of-products name=\"top\"").unwrap();
    let theirs = attribute(probability, "probability");
    assert!(near(theirs, ours.probability), "{theirs} is not {}", ours.probability);
    for event in built.tree.events() {
        let birnbaum = ours.importance[event.index()].birnbaum;
        let theirs = importance(&report, "top", &format!("e{}", event.index()));
        assert!(near(theirs, birnbaum), "{:?}: {theirs} is not {birnbaum}", built.causes[event.index()]);
    }
}

/// Votes among gates included, and with the groups' events.
#[test]
fn the_same_trees_agree_with_counting_all_cases() {
    let mut random = StdRng::seed_from_u64(20_261_122);
    let mut votes = 0;
    for number in 0..TREES {
        let sketch = sketch(&mut random);
        let (tree, top) = sketch.tree();
        let analysis = analyse(&tree, top, &Limits::default()).unwrap();
        let (whole, given) = counted(&tree, top);
        assert!((analysis.probability - whole).abs() < 1e-12, "tree {number}: {whole}\n{sketch:?}");
        for ((event, importance), [without, with]) in tree.events().zip(&analysis.importance).zip(given) {
            let p = tree.probability(event);
            let off = importance.birnbaum - (with / p - without / (1.0 - p));
            assert!(off.abs() < 1e-10, "tree {number}, event {event:?}: {off:e}\n{sketch:?}");
        }
        let of_gates = |gate: &Gate| gate.inputs.iter().filter(|input| matches!(input, Source::Gate(_))).count() > 1;
        let vote = |gate: &&Gate| gate.fails_at > 1 && gate.fails_at < gate.inputs.len() && of_gates(gate);
        votes += sketch.gates.iter().filter(vote).count();
    }
    assert!(votes > TREES / 10, "{votes} votes among gates");
}

/// The probability of failure by adding up all cases, and for each event that of failing without it and with it.
fn counted(tree: &FaultTree, top: GateId) -> (f64, Vec<[f64; 2]>) {
    let probabilities: Vec<f64> = tree.events().map(|event| tree.probability(event)).collect();
    let (mut whole, mut given) = (0.0, vec![[0.0; 2]; tree.len()]);
    for case in 0..1_usize << tree.len() {
        let happened = |event: usize| case >> event & 1;
        if !tree.fails(top, |event| happened(event) == 1) {
            continue;
        }
        let of = |(event, p): (usize, &f64)| if happened(event) == 1 { *p } else { 1.0 - p };
        let chance: f64 = probabilities.iter().enumerate().map(of).product();
        whole += chance;
        given.iter_mut().enumerate().for_each(|(event, given)| given[happened(event)] += chance);
    }
    (whole, given)
}
