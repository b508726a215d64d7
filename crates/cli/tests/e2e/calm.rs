//! Whether this machine left a run in peace.
//!
//! A run on a virtual machine whose neighbours take its processors for a second is frozen for that second: load, system and
//! faults alike. What is then measured says something of the machine and nothing of the product, whose own verdict is then
//! `inconclusive` or `invalid`, rightly. So a test that ends otherwise than expected looks whether the machine was to blame,
//! and if so, tries again. On a machine that was calm there is no second try.

use std::{
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
pub(crate) fn undisturbed<T>(mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let mut left = TRIES;
    loop {
        left -= 1;
        let sleeper = Sleeper::start();
        let result = attempt();
        let stall = sleeper.wake();
        match result {
            Ok(done) => return done,
            Err(why) if left == 0 || stall < STALL && !why.contains(GENERATOR_LATE) => panic!("{why}"),
            Err(why) => eprintln!("this machine stood still for {stall:?}; once more, after:\n{why}"),
        }
    }
}

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
        undisturbed(|| {
            tries += 1;
            Err::<(), _>("it is broken".to_owned())
        });
    });
    assert!(std::panic::catch_unwind(failing).is_err());
    // Not once, should the machine have stood still just now.
    assert!(tries < TRIES, "{tries}");
    let mut tries = 0;
    let done = undisturbed(|| {
        tries += 1;
        if tries < 3 { Err(format!("inconclusive: {GENERATOR_LATE} to send 3 of 4 requests")) } else { Ok(tries) }
    });
    assert_eq!(done, 3);
}
