//! What a link has measured: the proof that its faults take hold.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::pipe::Passage;

/// As many passages are remembered for the quantiles: the last few seconds of a busy link.
const REMEMBERED: usize = 4096;

/// What a link has done since its faults were last changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Connections that were accepted and carried.
    pub connections: u64,
    /// Connections that were accepted but held without an answer, because nothing passes.
    pub held: u64,
    /// Connections that were broken off because the end of a blackhole found something stuck in them.
    pub broken: u64,
    /// From the client to the target.
    pub forward: Traffic,
    /// From the target to the client.
    pub backward: Traffic,
}

/// What went one way. Reads from a socket are counted as parcels; a request or response of a few kilobytes is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes written.
    pub bytes: u64,
    /// Parcels written.
    pub parcels: u64,
    /// Parcels that were held back on purpose.
    pub delayed: u64,
    /// Parcels that waited for a retransmission.
    pub stalled: u64,
    /// Median time from being read to being written, over the last parcels; nothing before the first.
    pub residence_p50: Option<Duration>,
    /// 99th percentile of the same.
    pub residence_p99: Option<Duration>,
    /// Median time from being due to being written: the link's own inaccuracy (and the slowness of the reader).
    pub lateness_p50: Option<Duration>,
    /// 99th percentile of the same.
    pub lateness_p99: Option<Duration>,
}

/// Gathers [`Statistics`].
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    counts: Mutex<Counts>,
    forward: Mutex<Tally>,
    backward: Mutex<Tally>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    connections: u64,
    held: u64,
    broken: u64,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Forward,
    Backward,
}

#[derive(Debug, Default)]
struct Tally {
    bytes: u64,
    parcels: u64,
    delayed: u64,
    stalled: u64,
    /// (residence, lateness); once full, the oldest is overwritten.
    recent: Vec<(Duration, Duration)>,
    next: usize,
}

impl Gathered {
    pub(crate) fn connected(&self) {
        lock(&self.counts).connections += 1;
    }

    pub(crate) fn held(&self) {
        lock(&self.counts).held += 1;
    }

    pub(crate) fn broken(&self) {
        lock(&self.counts).broken += 1;
    }

    pub(crate) fn stalled(&self, way: Way) {
        self.tally(way).stalled += 1;
    }

    pub(crate) fn passed(&self, way: Way, passage: Passage) {
        self.tally(way).add(passage);
    }

    pub(crate) fn read(&self) -> Statistics {
        let Counts { connections, held, broken } = *lock(&self.counts);
        let (forward, backward) = (self.tally(Way::Forward).read(), self.tally(Way::Backward).read());
        Statistics { connections, held, broken, forward, backward }
    }

    /// Reads, and starts from nothing.
    pub(crate) fn take(&self) -> Statistics {
        let Counts { connections, held, broken } = std::mem::take(&mut *lock(&self.counts));
        let forward = std::mem::take(&mut *self.tally(Way::Forward)).read();
        let backward = std::mem::take(&mut *self.tally(Way::Backward)).read();
        Statistics { connections, held, broken, forward, backward }
    }

    fn tally(&self, way: Way) -> MutexGuard<'_, Tally> {
        lock(match way {
            Way::Forward => &self.forward,
            Way::Backward => &self.backward,
        })
    }
}

impl Tally {
    fn add(&mut self, passage: Passage) {
        self.bytes += passage.bytes as u64;
        self.parcels += 1;
        // Due later than read: somebody wanted it so.
        self.delayed += u64::from(passage.residence > passage.lateness);
        let both = (passage.residence, passage.lateness);
        if self.recent.len() < REMEMBERED {
            self.recent.push(both);
        } else {
            self.recent[self.next] = both;
            self.next = (self.next + 1) % REMEMBERED;
        }
    }

    fn read(&self) -> Traffic {
        let sorted = |of: fn(&(Duration, Duration)) -> Duration| {
            let mut all: Vec<_> = self.recent.iter().map(of).collect();
            all.sort_unstable();
            all
        };
        let (residence, lateness) = (sorted(|both| both.0), sorted(|both| both.1));
        Traffic {
            bytes: self.bytes,
            parcels: self.parcels,
            delayed: self.delayed,
            stalled: self.stalled,
            residence_p50: quantile(&residence, 50),
            residence_p99: quantile(&residence, 99),
            lateness_p50: quantile(&lateness, 50),
            lateness_p99: quantile(&lateness, 99),
        }
    }
}

/// The smallest value that at least so many percent of all do not exceed.
fn quantile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(residence: u64, lateness: u64) -> Passage {
        let millis = Duration::from_millis;
        Passage { bytes: 10, residence: millis(residence), lateness: millis(lateness) }
    }

    #[test]
    fn quantiles_are_those_of_the_values_themselves() {
        let gathered = Gathered::default();
        for value in 1..=200 {
            gathered.passed(Way::Forward, passage(100 + value, value));
        }
        gathered.passed(Way::Backward, passage(3, 3));
        let read = gathered.take();
        let forward = &read.forward;
        assert_eq!((forward.bytes, forward.parcels, forward.delayed), (2000, 200, 200));
        assert_eq!(forward.residence_p50, Some(Duration::from_millis(200)));
        assert_eq!(forward.lateness_p99, Some(Duration::from_millis(198)));
        assert_eq!((read.backward.parcels, read.backward.delayed), (1, 0));
        assert_eq!(gathered.read(), Statistics::default());
    }

    #[test]
    fn only_the_last_passages_count_for_the_quantiles_and_all_for_the_sums() {
        let mut tally = Tally::default();
        (0..REMEMBERED).for_each(|_| tally.add(passage(500, 0)));
        (0..REMEMBERED).for_each(|_| tally.add(passage(1, 0)));
        let read = tally.read();
        assert_eq!((read.parcels, read.residence_p99), (2 * REMEMBERED as u64, Some(Duration::from_millis(1))));
    }
}
