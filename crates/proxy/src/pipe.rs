//! One direction of a connection: what has been read and when it is due. Pure: the present moment and chance are passed in.
//!
//! Whatever the faults are and however they change, three things hold (and are tested as properties): what comes out is
//! what went in, in the same order; nothing comes out before it is due; and what is held is bounded.

use std::{collections::VecDeque, time::Duration};

use model::Moment;

use crate::faults::{Impairment, RETRANSMISSION};

/// Bytes a pipe holds before its source is no longer read: what a delay of 100 ms needs to let 84 Mbit/s through.
pub(crate) const CAPACITY: usize = 1 << 20;

/// What goes through a pipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// Bytes; `from` is how many of them have been written already.
    Data {
        /// All of them.
        bytes: Vec<u8>,
        /// The first that has not been written.
        from: usize,
    },
    /// The source has closed its direction.
    End,
    /// The source has broken off.
    Reset,
}

/// What was read at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parcel {
    pub(crate) content: Content,
    /// When it was read, or when the connection was open if that came later.
    arrived: Moment,
    /// When it may be written.
    pub(crate) due: Moment,
}

/// How a parcel fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passage {
    /// Bytes of it.
    pub(crate) bytes: usize,
    /// From being read to being written.
    pub(crate) residence: Duration,
    /// From being due to being written.
    pub(crate) lateness: Duration,
}

/// One direction of a connection.
#[derive(Debug)]
pub(crate) struct Pipe {
    parcels: VecDeque<Parcel>,
    held: usize,
    /// No parcel is due before this: the end of the handshake, and what was due before it.
    not_before: Moment,
    opens: Moment,
}

impl Pipe {
    /// An empty pipe through which nothing can have come before `opens`.
    pub(crate) const fn new(opens: Moment) -> Self {
        Self { parcels: VecDeque::new(), held: 0, not_before: opens, opens }
    }

    /// Takes in what has just been read. Says for how long it waits for retransmissions.
    pub(crate) fn push(
        &mut self,
        content: Content,
        now: Moment,
        impairment: &Impairment,
        mut dice: impl FnMut() -> f64,
    ) -> Duration {
        let bytes = content.len();
        let arrived = now.max(self.opens);
        let stall = impairment.stall(bytes, RETRANSMISSION, &mut dice);
        let place = if impairment.jitter.is_zero() { 0.5 } else { dice() };
        let due = self.not_before.max(arrived + impairment.delay_at(place) + stall);
        self.not_before = due;
        self.held += bytes;
        self.parcels.push_back(Parcel { content, arrived, due });
        stall
    }

    /// The first parcel, if it is due.
    pub(crate) fn first_due(&mut self, now: Moment) -> Option<&mut Parcel> {
        self.parcels.front_mut().filter(|parcel| parcel.due <= now)
    }

    /// When the first parcel is due.
    pub(crate) fn next_due(&self) -> Option<Moment> {
        self.parcels.front().map(|parcel| parcel.due)
    }

    /// So many bytes of the first parcel have been written. Says how it fared when those were the last.
    pub(crate) fn written(&mut self, count: usize, now: Moment) -> Option<Passage> {
        let first = self.parcels.front_mut()?;
        if let Content::Data { bytes, from } = &mut first.content {
            *from += count;
            self.held -= count;
            if *from < bytes.len() {
                return None;
            }
        }
        let done = self.parcels.pop_front()?;
        Some(Passage { bytes: done.content.total(), residence: now.since(done.arrived), lateness: now.since(done.due) })
    }

    /// The faults have changed: nothing waits longer than it would have if they had always been as they are now. (What
    /// waits already does not begin to wait longer, either.)
    pub(crate) fn adapt(&mut self, to: &Impairment) {
        let longest = to.delay_at(1.0);
        let mut latest = Moment::ZERO;
        for parcel in &mut self.parcels {
            parcel.due = parcel.due.min(parcel.arrived + longest).max(latest);
            latest = parcel.due;
        }
        self.not_before = latest.max(self.opens);
    }

    /// Whether there is room to read more.
    pub(crate) const fn has_room(&self) -> bool {
        self.held < CAPACITY
    }

    /// Whether nothing is on its way.
    pub(crate) fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }
}

impl Content {
    /// Bytes that have yet to be written.
    fn len(&self) -> usize {
        match self {
            Self::Data { bytes, from } => bytes.len() - from,
            Self::End | Self::Reset => 0,
        }
    }

    fn total(&self) -> usize {
        match self {
            Self::Data { bytes, .. } => bytes.len(),
            Self::End | Self::Reset => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng, rngs::SmallRng};

    use super::*;

    fn data(bytes: &[u8]) -> Content {
        Content::Data { bytes: bytes.to_vec(), from: 0 }
    }

    fn late(millis: u64) -> Impairment {
        Impairment { delay: Duration::from_millis(millis), ..Impairment::default() }
    }

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn no_chance() -> f64 {
        panic!("nothing here depends on chance")
    }

    #[test]
    fn without_faults_everything_is_due_at_once() {
        let mut pipe = Pipe::new(Moment::ZERO);
        pipe.push(data(b"a"), at(5), &Impairment::default(), no_chance);
        assert_eq!(pipe.next_due(), Some(at(5)));
        assert!(pipe.first_due(at(5)).is_some());
    }

    #[test]
    fn a_delay_counts_from_arrival_and_the_first_bytes_wait_for_the_handshake() {
        let mut pipe = Pipe::new(at(200));
        pipe.push(data(b"a"), at(0), &late(100), no_chance);
        assert_eq!(pipe.next_due(), Some(at(300)));
        assert!(pipe.first_due(at(299)).is_none());
    }

    #[test]
    fn what_is_written_in_part_stays_until_all_of_it_is() {
        let mut pipe = Pipe::new(Moment::ZERO);
        pipe.push(data(b"abc"), at(0), &late(10), no_chance);
        assert_eq!(pipe.written(2, at(11)), None);
        assert_eq!(pipe.first_due(at(11)).unwrap().content, Content::Data { bytes: b"abc".to_vec(), from: 2 });
        let passage = Passage { bytes: 3, residence: Duration::from_millis(12), lateness: Duration::from_millis(2) };
        assert_eq!(pipe.written(1, at(12)), Some(passage));
        assert!(pipe.is_empty());
    }

    #[test]
    fn a_fault_that_ends_frees_what_waits_and_one_that_begins_does_not_hold_it() {
        let mut pipe = Pipe::new(Moment::ZERO);
        pipe.push(data(b"a"), at(0), &late(100), no_chance);
        pipe.adapt(&late(500));
        assert_eq!(pipe.next_due(), Some(at(100)));
        pipe.adapt(&Impairment::default());
        assert_eq!(pipe.next_due(), Some(at(0)));
        pipe.push(data(b"b"), at(7), &Impairment::default(), no_chance);
        assert_eq!(pipe.parcels[1].due, at(7));
    }

    #[test]
    fn a_full_pipe_takes_no_more_until_something_has_left_it() {
        let mut pipe = Pipe::new(Moment::ZERO);
        pipe.push(data(&vec![0; CAPACITY]), at(0), &late(10), no_chance);
        assert!(!pipe.has_room());
        pipe.written(1, at(10));
        assert!(pipe.has_room());
    }

    fn impairment() -> impl Strategy<Value = Impairment> {
        (0_u64..300, 0_u64..100, prop_oneof![Just(0.0), 0.0..0.6]).prop_map(|(delay, jitter, loss)| Impairment {
            delay: Duration::from_millis(delay),
            jitter: Duration::from_millis(jitter),
            loss,
            blackhole: false,
        })
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push(Vec<u8>),
        Write(usize),
        Change(Impairment),
        Pass(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => proptest::collection::vec(any::<u8>(), 1..40).prop_map(Step::Push),
            3 => (1_usize..40).prop_map(Step::Write),
            1 => impairment().prop_map(Step::Change),
            3 => (0_u64..150).prop_map(Step::Pass),
        ]
    }

    /// A pipe with everything needed to see whether it keeps its promises.
    struct Observed {
        pipe: Pipe,
        now: Moment,
        impairment: Impairment,
        into: Vec<u8>,
        out: Vec<u8>,
        /// The shortest delay that was in force since each waiting parcel arrived.
        earliest: VecDeque<Moment>,
    }

    impl Observed {
        fn step(&mut self, step: Step, dice: &mut SmallRng) {
            match step {
                Step::Push(bytes) => {
                    self.into.extend_from_slice(&bytes);
                    self.earliest.push_back(self.now + self.impairment.delay_at(0.0));
                    let stall = self.pipe.push(data(&bytes), self.now, &self.impairment, || dice.random());
                    assert!(stall.is_zero() || self.impairment.loss > 0.0);
                }
                Step::Write(most) => self.write(most),
                Step::Change(to) => {
                    for (earliest, parcel) in self.earliest.iter_mut().zip(&self.pipe.parcels) {
                        *earliest = (*earliest).min(parcel.arrived + to.delay_at(0.0));
                    }
                    self.pipe.adapt(&to);
                    self.impairment = to;
                }
                Step::Pass(millis) => self.now = self.now + Duration::from_millis(millis),
            }
        }

        fn write(&mut self, most: usize) {
            let now = self.now;
            let Some(parcel) = self.pipe.first_due(now) else { return };
            let Content::Data { bytes, from } = &parcel.content else { return };
            let count = most.min(bytes.len() - from);
            self.out.extend_from_slice(&bytes[*from..*from + count]);
            assert!(now >= self.earliest[0], "written at {now}, not due before {}", self.earliest[0]);
            if self.pipe.written(count, now).is_some() {
                self.earliest.pop_front();
            }
        }
    }

    proptest! {
        #[test]
        fn what_comes_out_is_what_went_in_and_never_early(
            steps in proptest::collection::vec(step(), 0..120), first in impairment(), seed in any::<u64>(),
        ) {
            let mut dice = SmallRng::seed_from_u64(seed);
            let mut observed = Observed {
                pipe: Pipe::new(Moment::ZERO),
                now: Moment::ZERO,
                impairment: first,
                into: Vec::new(),
                out: Vec::new(),
                earliest: VecDeque::new(),
            };
            for step in steps {
                observed.step(step, &mut dice);
                prop_assert!(observed.into.starts_with(&observed.out));
                let due: Vec<_> = observed.pipe.parcels.iter().map(|parcel| parcel.due).collect();
                prop_assert!(due.is_sorted(), "{due:?}");
                prop_assert_eq!(observed.into.len() - observed.out.len(), observed.pipe.held);
            }
            while let Some(due) = observed.pipe.next_due() {
                observed.now = observed.now.max(due);
                observed.write(usize::MAX);
            }
            prop_assert_eq!(observed.into, observed.out);
        }
    }
}
