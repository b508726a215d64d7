//! Measuring on a busy machine.
//!
//! A fault that is there must be found to be there, also where neighbours take the machine's time away for a while; one that is
//! not there must never be. So a measurement that shows what is wanted is enough, and one that does not is made again. None of
//! them is made easier to pass for that.

use std::time::{Duration, Instant};

use crate::fault::{Abort, Failed};

/// How long a machine may be too busy to measure: while a hundred faults are measured at once, for one, or while others have its
/// CPUs.
const BUSY: Duration = Duration::from_secs(4);
/// How often is measured at least.
const TRIES: u32 = 3;
/// Windows of measurement, each twice as long as the one before.
const WINDOWS: u32 = 4;
/// Within this time what is read is of one moment: far less than any window.
const MOMENT: Duration = Duration::from_millis(1);
/// How often a reading is made again that took longer.
const READINGS: u32 = 20;

/// Measures, and measures again if the result is not as it should be: on a busy machine a measurement may be disturbed, and one
/// that was not is enough to show that the effect is there.
pub(crate) fn patiently(abort: &Abort, mut measure: impl FnMut() -> Result<(String, bool), Failed>) -> (String, bool) {
    let begun = Instant::now();
    let mut tries = 0;
    loop {
        let last = measure().unwrap_or_else(|why| (why.to_string(), false));
        tries += 1;
        // Quick measurements for as long as a machine may well be busy.
        if last.1 || abort.is_aborted() || tries >= TRIES && begun.elapsed() >= BUSY {
            return last;
        }
    }
}

/// Measures what evens out with time (a share, a rate) over a window, and if the result is not as it should be, over another one
/// twice as long, and so on: a pause of the machine, and what is made up for after it, weigh the less, the longer the window.
pub(crate) fn longer_and_longer(
    abort: &Abort,
    shortest: Duration,
    mut measure: impl FnMut(Duration) -> Result<(String, bool), Failed>,
) -> (String, bool) {
    let mut window = shortest;
    for _ in 1..WINDOWS {
        match measure(window) {
            Ok((_, false)) if !abort.is_aborted() => window *= 2,
            Ok(last) => return last,
            Err(why) => return (why.to_string(), false),
        }
    }
    measure(window).unwrap_or_else(|why| (why.to_string(), false))
}

/// Reads something, and when: again if so much time went by meanwhile that it cannot be said when it was so.
pub(crate) fn at_a_moment<T>(mut read: impl FnMut() -> T) -> (Instant, T) {
    let mut timed = || {
        let begun = Instant::now();
        let value = read();
        (begun, value, begun.elapsed())
    };
    let mut best = timed();
    for _ in 1..READINGS {
        if best.2 <= MOMENT {
            break;
        }
        let next = timed();
        if next.2 < best.2 {
            best = next;
        }
    }
    let (begun, value, took) = best;
    (begun + took / 2, value)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_disturbed_measurement_is_made_again_and_one_that_shows_it_is_enough() {
        let mut measured = 0;
        let (words, held) = patiently(&Abort::default(), || {
            measured += 1;
            if measured == 1 { Err(Failed("cannot".to_owned())) } else { Ok((measured.to_string(), measured == 3)) }
        });
        assert_eq!((words.as_str(), held), ("3", true));
    }

    #[test]
    fn windows_grow_until_it_shows_and_what_never_shows_is_not_there() {
        let over = |right: u64| {
            let mut windows = Vec::new();
            let (_, held) = longer_and_longer(&Abort::default(), Duration::from_millis(500), |window| {
                windows.push(window.as_millis());
                Ok((String::new(), window >= Duration::from_secs(right)))
            });
            (windows, held)
        };
        assert_eq!(over(0), (vec![500], true));
        assert_eq!(over(2), (vec![500, 1000, 2000], true));
        assert_eq!(over(60), (vec![500, 1000, 2000, 4000], false));
    }

    #[test]
    fn what_is_not_wanted_any_more_is_not_measured_again() {
        let abort = Abort::default();
        abort.abort();
        let mut measured = 0;
        longer_and_longer(&abort, Duration::ZERO, |_| {
            measured += 1;
            Ok((String::new(), false))
        });
        patiently(&abort, || {
            measured += 1;
            Ok((String::new(), false))
        });
        assert_eq!(measured, 2);
    }

    #[test]
    fn a_reading_that_was_interrupted_is_made_again() {
        let mut readings = 0;
        let before = Instant::now();
        let (when, value) = at_a_moment(|| {
            readings += 1;
            if readings == 1 {
                thread::sleep(20 * MOMENT);
            }
            readings
        });
        assert!(value > 1);
        assert!(before < when && when < Instant::now());
    }
}
