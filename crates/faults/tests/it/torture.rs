//! Torture: random experiments with several faults at once, whose runner, guardian, or both are killed or hung, at random
//! instants and after any record of the journal. Then the kernel's view must be what it was.
//!
//! `TORTURE_POINTS` says how many points there are, `TORTURE_SEED` with which one they begin: a point is repeated by its seed.
//! `cargo xtask torture` sets both.

use std::{
    collections::BTreeMap,
    fs,
    hash::{BuildHasher as _, RandomState},
    io::{BufRead, BufReader},
    panic::{self, AssertUnwindSafe},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use faults::{journal::is_held, process::Process};
use model::{
    catalogue::Reversibility,
    event::{Cleanliness, InjectionId},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use rustix::process::Signal;

use crate::{
    crash::count_records,
    harness::{View, World, find_guardian, host, needed, only, privileged, until},
    http::serving,
    victim::{object_of_environment, with_world},
};

const POINTS: &str = "TORTURE_POINTS";
const SEED: &str = "TORTURE_SEED";

/// What a user's machine is troubled with by the way; CI asks for more.
const USUAL: u64 = 12;
/// What CI runs, each time.
const IN_CI: u64 = 300;
/// Processes that torture side by side, for each processor: most of a point is waiting.
const SHARDS: u64 = 4;
/// So short that a runner that hangs is noticed soon; renewed five times within it.
const LEASE: Duration = Duration::from_millis(1500);
/// A runner that has not ended by then hangs, which is a finding.
const PATIENCE: Duration = Duration::from_secs(90);

/// A number that is different each time.
fn any_seed() -> u64 {
    // The standard library seeds its hashers from the system's randomness. Small enough to be typed.
    RandomState::new().hash_one(0) % 1_000_000_000
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// What is done to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Blow {
    /// The runner is killed.
    Runner,
    /// The guardian is killed, and the runner goes on.
    Guardian,
    /// Both are killed at once.
    Both,
    /// The runner is stopped and does not go on.
    Hang,
    /// Nothing: it ends by itself.
    Nothing,
}

/// When.
#[derive(Debug, Clone, Copy)]
enum When {
    /// As soon as the journal has so many records.
    Records(usize),
    /// So long after the start.
    After(Duration),
}

/// One point of the torture.
#[derive(Debug)]
struct Point {
    seed: u64,
    blow: Blow,
    when: When,
}

impl Point {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let blow = match random.random_range(0..20) {
            0..8 => Blow::Runner,
            8..12 => Blow::Guardian,
            12..17 => Blow::Both,
            17..19 => Blow::Hang,
            _ => Blow::Nothing,
        };
        let when = if random.random_bool(0.6) {
            // One for the runner itself, then up to three for each of four injections.
            When::Records(random.random_range(0..=13))
        } else {
            When::After(Duration::from_micros(random.random_range(0..1_500_000)))
        };
        Self { seed, blow, when }
    }
}

/// Not a test: the process that injects and is tortured.
#[test]
#[ignore = "the process that is tortured, started by the test here"]
fn the_runner() {
    let (object, journal) = object_of_environment();
    let mut random = StdRng::seed_from_u64(from_environment(SEED).expect("told by who started it"));
    let kinds: Vec<&str> = faults::catalogue()
        .iter()
        .filter(|entry| matches!(entry.reversibility, Reversibility::SelfEnding | Reversibility::Undoable))
        // What is tortured is an instance.
        .filter(|entry| entry.targets.iter().any(|target| target.key == "Instances"))
        .map(|entry| entry.id)
        .collect();
    let chosen: Vec<(InjectionId, &str)> = (1..=random.random_range(1..=4))
        .map(|id| (InjectionId(id), *kinds.choose(&mut random).expect("some")))
        .collect();
    let ids: Vec<InjectionId> = chosen.iter().map(|(id, _)| *id).collect();
    let undone: Vec<InjectionId> = ids.iter().copied().filter(|_| random.random_bool(0.5)).collect();
    let host = host(&journal);
    let (stop, stopped) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let (host, ids) = (&host, &ids);
        scope.spawn(move || {
            while matches!(stopped.recv_timeout(LEASE / 5), Err(RecvTimeoutError::Timeout)) {
                host.renew(ids);
            }
        });
        thread::scope(|injecting| {
            for (id, fault) in chosen {
                let object = &object;
                injecting.spawn(move || {
                    // Some do not go together with others, or take no hold on a machine as busy as this: that is no leak.
                    let outcome = host.inject(id, fault, &needed(fault), object, LEASE);
                    println!("\n{fault}: {}", if outcome.is_ok() { "injected" } else { "not injected" });
                });
            }
        });
        for id in undone {
            host.undo(id).expect("it can be undone");
        }
        drop(stop);
    });
    drop(host);
}

/// Not a test: a share of the points, in a world of its own.
#[test]
#[ignore = "a share of the torture, started by the test here"]
fn a_shard() {
    let (first, points) = (from_environment(SEED).expect("told"), from_environment(POINTS).expect("told"));
    let mut world = serving();
    let mut before = everything(&world);
    let mut injected = BTreeMap::<String, u64>::new();
    let mut blows = BTreeMap::<Blow, u64>::new();
    for seed in first..first + points {
        let point = Point::new(seed);
        println!("{point:?}");
        let tortured = panic::catch_unwind(AssertUnwindSafe(|| {
            torture(&world, &before, &point, &mut injected);
            is_as_before(&world, &before, &point);
        }));
        if let Err(why) = tortured {
            eprintln!(
                "{point:?}: what its processes said:\n{}",
                fs::read_to_string(world.errors()).unwrap_or_default()
            );
            panic::resume_unwind(why);
        }
        *blows.entry(point.blow).or_default() += 1;
        // A fresh one now and then: a world that has seen much is not what users have.
        if seed % 50 == 49 {
            world = serving();
            before = everything(&world);
        }
    }
    println!("\nblows {blows:?}; injected {injected:?}");
}

/// The kernel's view, and everybody who lives in the instance.
fn everything(world: &World) -> (View, usize) {
    let pid = world.object.pid.expect("a world has a process");
    (world.view(), Process::find(pid).map_or(0, |process| process.members().len()))
}

/// Waits until nothing shows that a point was there; a residue is named.
fn is_as_before(world: &World, before: &(View, usize), point: &Point) {
    // As long as anything else is waited for here.
    let limit = Instant::now() + PATIENCE;
    loop {
        let now = everything(world);
        if now == *before {
            return;
        }
        assert!(Instant::now() < limit, "{point:?}: it is not as before: {}", difference(before, &now));
        thread::yield_now();
    }
}

/// What is not as it was, line by line.
fn difference((before, members): &(View, usize), (now, members_now): &(View, usize)) -> String {
    let changed = now.iter().filter(|(what, how)| before.get(*what) != Some(how)).map(|(what, how)| {
        let was = before.get(what).map_or("not there", String::as_str);
        format!("{what}: it was {was}, and is {how}")
    });
    let all: Vec<String> = changed.chain([format!("members: {members}, now {members_now}")]).collect();
    all.join("\n  ")
}

/// Whether a fault shows; that there is a runner is none.
fn is_something_in_effect(world: &World, (before, members): &(View, usize)) -> bool {
    let (now, members_now) = everything(world);
    members_now != *members || now.iter().any(|(what, how)| what != "children" && before.get(what) != Some(how))
}

fn torture(world: &World, before: &(View, usize), point: &Point, injected: &mut BTreeMap<String, u64>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    with_world(&mut command, world).args(only("torture::the_runner")).env(SEED, point.seed.to_string());
    // In a file, and not in a pipe: its guardian and helpers write there, too, some of them after its end.
    let errors = fs::File::create(world.errors()).unwrap();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
    let said = lines_of(&mut child);
    wait_for(point.when, world, &mut child, &said, injected);
    let runner = i32::try_from(child.id()).unwrap();
    match (point.blow, Process::find(runner)) {
        // It was faster.
        (_, Err(_)) => {}
        (Blow::Runner, Ok(_)) => child.kill().unwrap(),
        (Blow::Guardian, Ok(runner)) => {
            if let Some(guardian) = find_guardian(runner) {
                guardian.signal(Signal::KILL).unwrap();
            }
        }
        (Blow::Both, Ok(runner)) => {
            // Stopped first: otherwise one of the two might notice that the other has died.
            let guardian = find_guardian(runner);
            for process in guardian.into_iter().chain([runner]) {
                process.signal(Signal::STOP).unwrap();
            }
            for process in guardian.into_iter().chain([runner]) {
                process.signal(Signal::KILL).unwrap();
            }
        }
        (Blow::Hang, Ok(runner)) => {
            runner.signal(Signal::STOP).unwrap();
            // Its guardian kills it when a lease has ended, or an undo takes half a minute; one that has nothing in effect, or not
            // yet a guardian, may hang.
            let limit = Instant::now() + PATIENCE;
            while runner.is_alive() && is_something_in_effect(world, before) {
                assert!(Instant::now() < limit, "{point:?}: a runner that hangs leaves something in effect");
                thread::yield_now();
            }
            child.kill().unwrap();
        }
        (Blow::Nothing, Ok(_)) => {}
    }
    end_of(&mut child, &said, injected, point);
    let journal = world.journal();
    until(&format!("{point:?}: nobody has the journal"), || !is_held(&journal).is_ok_and(|held| held));
    if journal.exists() {
        recover(world, point);
    }
}

/// The next start.
fn recover(world: &World, point: &Point) {
    let next = host(&world.journal());
    for leftover in next.leftovers() {
        assert!(matches!(leftover.outcome, Ok(Cleanliness::Clean | Cleanliness::Gone)), "{point:?}: {leftover:?}");
    }
    drop(next);
    assert!(!world.journal().exists(), "{point:?}");
}

fn lines_of(child: &mut Child) -> Receiver<String> {
    let output = BufReader::new(child.stdout.take().unwrap());
    let (tell, said) = mpsc::channel();
    thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
    said
}

fn note(line: &str, injected: &mut BTreeMap<String, u64>) {
    if line.ends_with("injected") {
        *injected.entry(line.to_owned()).or_default() += 1;
    }
}

/// Waits for the instant of a point, or until the runner has ended.
fn wait_for(
    when: When,
    world: &World,
    child: &mut Child,
    said: &Receiver<String>,
    injected: &mut BTreeMap<String, u64>,
) {
    match when {
        When::Records(records) => {
            let written = || fs::read(world.journal()).is_ok_and(|bytes| count_records(&bytes) >= records);
            let limit = Instant::now() + PATIENCE;
            while !written() && child.try_wait().unwrap().is_none() {
                assert!(Instant::now() < limit, "the runner neither goes on nor ends");
                thread::yield_now();
            }
        }
        When::After(time) => {
            let end = Instant::now() + time;
            while let Ok(line) = said.recv_timeout(end.saturating_duration_since(Instant::now())) {
                note(&line, injected);
            }
        }
    }
}

/// Waits until the runner has ended, by whatever.
fn end_of(child: &mut Child, said: &Receiver<String>, injected: &mut BTreeMap<String, u64>, point: &Point) {
    let limit = Instant::now() + PATIENCE;
    // Its output ends with it.
    let ended = loop {
        match said.recv_timeout(limit.saturating_duration_since(Instant::now())) {
            Ok(line) => note(&line, injected),
            Err(RecvTimeoutError::Disconnected) => break true,
            Err(RecvTimeoutError::Timeout) => break false,
        }
    };
    if !ended {
        child.kill().unwrap();
    }
    assert!(ended, "{point:?}: the runner does not end");
    let status = child.wait().unwrap();
    let unharmed = matches!(point.blow, Blow::Guardian | Blow::Nothing);
    assert!(status.success() || !unharmed, "{point:?}: {status}");
}

#[test]
fn whatever_dies_and_whenever_nothing_is_left() {
    if !privileged() {
        return;
    }
    let usual = if std::env::var_os("CI").is_some() { IN_CI } else { USUAL };
    let points = from_environment(POINTS).unwrap_or(usual);
    let first = from_environment(SEED).unwrap_or_else(any_seed);
    println!("{points} points from seed {first}");
    let processors = thread::available_parallelism().map_or(1, |number| number.get() as u64);
    let side_by_side = SHARDS * processors;
    let share = points.div_ceil(side_by_side);
    let shards: Vec<(u64, Child)> = (0..side_by_side)
        .map(|shard| first + shard * share)
        .map(|seed| {
            let left = (first + points).saturating_sub(seed).min(share);
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(only("torture::a_shard")).env(SEED, seed.to_string()).env(POINTS, left.to_string());
            (seed, command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        })
        .collect();
    let mut wrong = Vec::new();
    for (seed, shard) in shards {
        let output = shard.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        if output.status.success() {
            println!("{}", text.lines().find(|line| line.starts_with("blows")).unwrap_or_default());
        } else {
            let last: Vec<&str> = text.lines().rev().take(3).collect();
            wrong.push(format!("from seed {seed}: {last:?}\n{}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
