//! Whether this machine left a run in peace.
//!
//! A run on a virtual machine whose neighbours take its processors for a second is frozen for that second: load, system and
//! faults alike. What is then measured says something of the machine and nothing of the product, whose own verdict is then
//! `inconclusive` or `invalid`, rightly. So a test that ends otherwise than expected looks whether the machine was to blame,
//! and if so, tries again. On a machine that was calm there is no second try.

use std::{
    cell::Cell,
    env,
    fs::File,
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::harness::Finished;

/// How often something is tried on a machine that disturbs it each time.
const TRIES: u32 = 4;

/// How long a thread that only sleeps may oversleep on a calm machine. Compilers beside it cost some milliseconds; the
/// examples promise latencies from 100 ms on.
const STALL: Duration = Duration::from_millis(100);

/// How often it wakes up.
const BEAT: Duration = Duration::from_millis(10);

/// A thread that does nothing but sleep, and notes how long it was kept from waking up.
struct Sleeper {
    enough: Arc<AtomicBool>,
    longest: JoinHandle<Duration>,
}

impl Sleeper {
    fn start() -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&enough);
        let longest = thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !told.load(Ordering::Relaxed) {
                let begun = Instant::now();
                thread::sleep(BEAT);
                longest = longest.max(begun.elapsed().saturating_sub(BEAT));
            }
            longest
        });
        Self { enough, longest }
    }

    /// How long it was kept from waking up at most.
    fn wake(self) -> Duration {
        self.enough.store(true, Ordering::Relaxed);
        self.longest.join().unwrap()
    }
}

/// Does something that should succeed, and does it again if it did not and the machine was to blame.
///
/// # Panics
///
/// With the last reason, if it did not succeed on a calm machine, or on one that is never calm.
#[track_caller]
pub(crate) fn undisturbed<T>(attempt: impl FnMut() -> Result<T, String>) -> T {
    persist(attempt, note)
}

#[track_caller]
fn persist<T>(mut attempt: impl FnMut() -> Result<T, String>, note: impl Fn(Duration, &str)) -> T {
    let mut left = TRIES;
    loop {
        left -= 1;
        let sleeper = Sleeper::start();
        let result = attempt();
        let stall = sleeper.wake();
        match result {
            Ok(done) => return done,
            Err(why) if left == 0 || stall < STALL && !why.contains(GENERATOR_LATE) => panic!("{why}"),
            Err(why) => {
                eprintln!("this machine stood still for {stall:?}; once more, after:\n{why}");
                note(stall, &why);
            }
        }
    }
}

/// Names the file that gathers what was tried a second time, for who runs the whole suite (`xtask/src/suite.rs`): a test that
/// passes in the end says nothing of it.
const SECOND_TRIES: &str = "SHAKETABLE_SECOND_TRIES";

/// Adds a line to that file, if there is one.
fn note(stall: Duration, why: &str) {
    let Some(path) = env::var_os(SECOND_TRIES) else { return };
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
    let why: String = why.chars().take(WORDS).collect();
    // One write, so that tests that do this at once do not mix.
    let line = format!("{test}: stood still for {stall:?}; {why}\n");
    let file = File::options().create(true).append(true).open(&path);
    file.and_then(|mut file| file.write_all(line.as_bytes())).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
}

/// As much of a reason as names it; the test's own output has all.
const WORDS: usize = 300;

/// What the product says of a run that this machine disturbed.
const GENERATOR_LATE: &str = "the load's own generator was late";

/// Runs an experiment, and again if this machine disturbed it, until it ends with this exit code and this verdict.
#[track_caller]
pub(crate) fn ends_with(code: i32, verdict: &str, mut run: impl FnMut() -> Finished) -> Finished {
    undisturbed(|| {
        let finished = run();
        finished.ended_with(code, verdict).map(|()| finished)
    })
}

#[test]
fn what_fails_on_a_calm_machine_is_not_tried_again() {
    let mut tries = 0;
    let failing = std::panic::AssertUnwindSafe(|| {
        let broken = || {
            tries += 1;
            Err::<(), _>("it is broken".to_owned())
        };
        persist(broken, |_, _| {});
    });
    assert!(std::panic::catch_unwind(failing).is_err());
    // Not once, should the machine have stood still just now.
    assert!(tries < TRIES, "{tries}");
    let mut tries = 0;
    let disturbed = || {
        tries += 1;
        if tries < 3 { Err(format!("inconclusive: {GENERATOR_LATE} to send 3 of 4 requests")) } else { Ok(tries) }
    };
    let noted = Cell::new(0);
    assert_eq!(persist(disturbed, |_, why| noted.set(noted.get() + usize::from(why.contains("3 of 4")))), 3);
    assert_eq!(noted.get(), 2);
}
