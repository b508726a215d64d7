//! A vigil: whether a runner that still has its journal, and has no guardian to end it, is to be ended by who comes next.
//!
//! It is when all of this holds:
//!
//! - something that is not undone is on record;
//! - the runner lives, so that its journal is locked, and its guardian does not: dead, or stopped. A guardian at work ends a
//!   runner that hangs, and does it sooner;
//! - its last sign of life is older than the longest lease on record and the guardian's [`GRACE`]. Signs come twice a second. By
//!   the contract of leases nothing of it may be in effect any more: had the runner done its work, it would have renewed or
//!   undone; and had there been a guardian, it would have ended it by now;
//! - and [`WATCHED`] longer, under our own eyes, none comes. Where the time of the last sign is not known, because its book could not
//!   be written, all of that time passes under our own eyes.
//!
//! The last point is for a runner that is merely slow, or was asleep with the whole machine: the time since its last sign is then
//! long at our first look, but it wakes when we do, and has ten turns to say so. All times are of the clock since boot, which
//! nobody sets. Ending is by a descriptor of the process that was started when the journal says, and undoing begins when
//! that has died and the journal's lock is ours: even a judgement that errs ends a run, and never lets two undo beside each other.
//!
//! Pure: a look and the time in, a judgement out. [`State`](crate::State) looks, and a model checker drives the same code.

use std::time::Duration;

use crate::guardian::watch::GRACE;

/// What is seen of a runner and its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Look {
    /// The longest lease of what is on record and not undone; `None`: all is undone.
    pub lease: Option<Duration>,
    /// Whether the runner lives.
    pub runner_lives: bool,
    /// Whether its guardian lives, and is not stopped.
    pub guarded: bool,
    /// Its last sign of life: since boot, by the book, or of another clock and good for nothing but a comparison.
    pub sign: Sign,
}

/// A sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sign {
    /// At this time since boot.
    At(Duration),
    /// At an unknown time; another number is another sign.
    Unknown(u128),
}

/// What is to be done about a runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Judgement {
    /// It is none of our business.
    Leave,
    /// It is to be looked at again, no later than then.
    Watch(Duration),
    /// It is to be ended; then what it has on record is undone.
    End,
}

/// A vigil over one runner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Vigil {
    /// The sign it was at when the vigil began, and when that was.
    began: Option<(Sign, Duration)>,
}

/// How long no sign may come under our own eyes: ten of them.
pub const WATCHED: Duration = Duration::from_secs(5);

impl Vigil {
    /// Judges by what is seen now.
    pub fn step(&mut self, look: &Look, now: Duration) -> Judgement {
        let Some(lease) = look.lease.filter(|_| look.runner_lives && !look.guarded) else { return Judgement::Leave };
        let watched = match look.sign {
            // It may come back: nobody is hurried within its lease.
            Sign::At(sign) if sign + lease + GRACE > now => return Judgement::Leave,
            Sign::At(_) => WATCHED,
            Sign::Unknown(_) => lease + GRACE + WATCHED,
        };
        let (first, began) = *self.began.get_or_insert((look.sign, now));
        if look.sign != first {
            return Judgement::Leave;
        }
        if began + watched <= now { Judgement::End } else { Judgement::Watch(began + watched) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(15);

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A runner that hangs since second 100.
    const HANGS: Look = Look { lease: Some(LEASE), runner_lives: true, guarded: false, sign: Sign::At(at(100)) };

    #[test]
    fn who_hangs_longer_than_its_lease_is_ended_after_it_was_watched() {
        let mut vigil = Vigil::default();
        assert_eq!(vigil.step(&HANGS, at(118)), Judgement::Watch(at(123)));
        assert_eq!(vigil.step(&HANGS, at(122)), Judgement::Watch(at(123)));
        assert_eq!(vigil.step(&HANGS, at(123)), Judgement::End);
    }

    #[test]
    fn who_may_still_come_back_is_left_alone() {
        assert_eq!(Vigil::default().step(&HANGS, at(117)), Judgement::Leave);
        for look in [
            Look { lease: None, ..HANGS },
            Look { runner_lives: false, ..HANGS },
            Look { guarded: true, ..HANGS },
            Look { lease: Some(at(3600)), ..HANGS },
        ] {
            assert_eq!(Vigil::default().step(&look, at(1000)), Judgement::Leave);
        }
    }

    #[test]
    fn who_was_asleep_with_the_machine_wakes_before_it_is_judged() {
        let mut vigil = Vigil::default();
        let morning = at(8 * 3600);
        assert_eq!(vigil.step(&HANGS, morning), Judgement::Watch(morning + WATCHED));
        let awake = Look { sign: Sign::At(morning + at(1)), ..HANGS };
        assert_eq!(vigil.step(&awake, morning + at(1)), Judgement::Leave);
        // Also when its sign is so old that it was made before the machine slept.
        let mut vigil = Vigil::default();
        vigil.step(&HANGS, morning);
        assert_eq!(vigil.step(&Look { sign: Sign::At(at(101)), ..HANGS }, morning + WATCHED), Judgement::Leave);
    }

    #[test]
    fn a_guardian_that_comes_meanwhile_takes_over() {
        let mut vigil = Vigil::default();
        vigil.step(&HANGS, at(200));
        assert_eq!(vigil.step(&Look { guarded: true, ..HANGS }, at(205)), Judgement::Leave);
    }

    #[test]
    fn where_no_time_is_known_the_whole_judgement_is_by_what_we_see() {
        let mut vigil = Vigil::default();
        let unknown = Look { sign: Sign::Unknown(7), ..HANGS };
        assert_eq!(vigil.step(&unknown, at(10)), Judgement::Watch(at(33)));
        assert_eq!(vigil.step(&Look { sign: Sign::Unknown(8), ..HANGS }, at(33)), Judgement::Leave);
        assert_eq!(vigil.step(&unknown, at(33)), Judgement::End);
    }
}
