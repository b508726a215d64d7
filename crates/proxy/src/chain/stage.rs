//! A stage: one toxic on one stream of one connection.

use std::{collections::VecDeque, time::Duration};

use model::Moment;
use rand::{Rng, rngs::SmallRng};

use super::{Item, ROOM};
use crate::toxic::{Applied, Toxic};

/// Held by a latency at most, which is what a delay of 100 ms needs to let 335 Mbit/s through.
const LATENCY_ROOM: usize = 4 << 20;

/// A slow line is served in slices of so much time: short enough that a stream flows evenly, long enough that the wake-ups
/// of a connection (a hundred a second) cost nothing that shows.
const SLICE: Duration = Duration::from_millis(10);

/// What leaves a stage.
#[derive(Debug)]
pub(super) enum Emitted {
    /// What has come in.
    Passed(Item),
    /// An end of the stage's own making.
    Made(Item),
}

/// One toxic on one stream of one connection.
#[derive(Debug)]
pub(super) struct Stage {
    name: String,
    toxic: Toxic,
    /// What chance has drawn, from 0 to 1: the toxic concerns the connection if its toxicity is greater.
    lot: f64,
    active: bool,
    /// Whether it ever was active.
    concerned: bool,
    /// The stream has ended here: the last item has passed, or everything up to here has been cut off.
    dead: bool,
    queue: VecDeque<Held>,
    /// Weight of the queue.
    held: usize,
    memory: Memory,
}

/// Something that waits in a stage.
#[derive(Debug)]
struct Held {
    item: Item,
    arrived: Moment,
    /// When it may leave, as far as that is known when it comes.
    due: Moment,
}

/// What a stage remembers.
#[derive(Debug, Default)]
struct Memory {
    /// Bandwidth: when the line is free. Slicer: when the next piece may go. Latency: when the last item is due. Timeout:
    /// since when nothing has come.
    since: Moment,
    /// Slicer: the sizes of the pieces of the first item, the last first.
    pieces: Vec<usize>,
    /// Limit: bytes that have passed.
    passed: u64,
    /// Limit: those that have passed reached it.
    full: bool,
}

impl Stage {
    pub(super) fn new(applied: &Applied, lot: f64, now: Moment) -> Self {
        let active = lot < applied.toxicity;
        Self {
            name: applied.name.clone(),
            toxic: applied.toxic,
            lot,
            active,
            concerned: active,
            dead: false,
            queue: VecDeque::new(),
            held: 0,
            memory: Memory { since: now, ..Memory::default() },
        }
    }

    /// Whether it is the stage of that toxic.
    pub(super) fn is(&self, applied: &Applied) -> bool {
        self.name == applied.name && std::mem::discriminant(&self.toxic) == std::mem::discriminant(&applied.toxic)
    }

    /// Whether it does anything.
    pub(super) const fn is_active(&self) -> bool {
        self.active
    }

    /// Whether it holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Its toxic has changed. `false` when it does not concern this connection any more: then what it holds is to be released.
    pub(super) fn change(&mut self, applied: &Applied, now: Moment) -> bool {
        let was_active = std::mem::replace(&mut self.active, self.lot < applied.toxicity);
        self.concerned |= self.active;
        let before = std::mem::replace(&mut self.toxic, applied.toxic);
        if !was_active || before != self.toxic {
            // A line is free, and a silence begins, now.
            self.memory = Memory { since: now, passed: self.memory.passed, ..Memory::default() };
        }
        if let Toxic::Latency { latency, jitter } = self.toxic {
            let mut latest = Moment::ZERO;
            for held in &mut self.queue {
                // Nothing waits longer than it would have if the delay had always been what it is now, nor longer than it
                // would have without the change.
                held.due = held.due.min(held.arrived + latency + jitter).max(latest);
                latest = held.due;
            }
            self.memory.since = latest;
        }
        self.active || !was_active
    }

    /// Gives up what it holds, and says how the stream ends if it cannot go on.
    pub(super) fn release(&mut self) -> (Vec<Item>, Option<Item>) {
        self.held = 0;
        let held = self.queue.drain(..).map(|held| held.item).collect();
        let swallowed = matches!(self.toxic, Toxic::Timeout { .. }) && self.concerned && !self.dead;
        (held, swallowed.then_some(Item::Close))
    }

    /// Cuts it off.
    pub(super) fn kill(&mut self) {
        self.dead = true;
        self.queue.clear();
        self.held = 0;
    }

    /// Whether it takes more.
    pub(super) const fn accepts(&self) -> bool {
        let room = if matches!(self.toxic, Toxic::Latency { .. }) { LATENCY_ROOM } else { ROOM };
        self.held < room
    }

    /// Takes in what comes.
    pub(super) fn take(&mut self, item: Item, now: Moment, dice: &mut SmallRng) {
        if self.dead {
            return;
        }
        let mut due = now;
        match self.toxic {
            Toxic::Latency { latency, jitter } if self.active => {
                due = if item.is_last() { now } else { now + delay(latency, jitter, dice) };
                due = due.max(self.memory.since);
                self.memory.since = due;
            }
            Toxic::Timeout { .. } if self.active && !item.is_last() => {
                self.memory.since = now;
                return;
            }
            _ => {}
        }
        self.held += item.weight();
        self.queue.push_back(Held { item, arrived: now, due });
    }

    /// When something leaves next.
    pub(super) fn next_due(&self) -> Option<Moment> {
        if self.dead {
            return None;
        }
        let Some(first) = self.queue.front() else {
            return match self.toxic {
                Toxic::Timeout { timeout } if self.active && !timeout.is_zero() => Some(self.memory.since + timeout),
                Toxic::LimitData { .. } if self.memory.full => Some(self.memory.since),
                _ => None,
            };
        };
        if !self.active {
            return Some(first.arrived);
        }
        match (self.toxic, &first.item) {
            (Toxic::Bandwidth { bytes_per_second: 0 }, Item::Data(_)) => None,
            (Toxic::Bandwidth { bytes_per_second }, Item::Data(bytes)) => Some(
                self.memory.since.max(first.arrived) + time_of(slice(bytes.len(), bytes_per_second), bytes_per_second),
            ),
            (Toxic::SlowClose { delay }, item) if item.is_last() => Some(first.arrived + delay),
            (Toxic::ResetPeer { timeout }, _) => Some(first.arrived + timeout),
            (Toxic::Slicer { .. }, _) => Some(self.memory.since.max(first.arrived)),
            _ => Some(first.due),
        }
    }

    /// What leaves it now.
    pub(super) fn emit(&mut self, now: Moment, dice: &mut SmallRng) -> Option<Emitted> {
        let due = self.next_due().filter(|due| *due <= now)?;
        if !self.active {
            return self.pop().map(Emitted::Passed);
        }
        match self.toxic {
            Toxic::Latency { .. } | Toxic::SlowClose { .. } | Toxic::Noop => self.pop().map(Emitted::Passed),
            Toxic::Timeout { .. } => Some(self.pop().map_or(Emitted::Made(Item::Close), Emitted::Passed)),
            Toxic::ResetPeer { .. } => Some(Emitted::Made(Item::Reset)),
            Toxic::Bandwidth { bytes_per_second } => {
                self.memory.since = due;
                let most = self.first_length().map(|length| slice(length, bytes_per_second));
                self.pop_part(most).map(Emitted::Passed)
            }
            Toxic::Slicer { average_size, size_variation, delay } => {
                let piece = self.first_length().map(|length| self.piece(length, average_size, size_variation, dice));
                // From now, not from when it was due: pieces keep their distance even when they are late.
                self.memory.since = now + delay;
                self.pop_part(piece).map(Emitted::Passed)
            }
            Toxic::LimitData { bytes } => Some(self.limit(bytes)),
        }
    }

    fn limit(&mut self, bytes: u64) -> Emitted {
        let left = usize::try_from(bytes.saturating_sub(self.memory.passed)).unwrap_or(usize::MAX);
        if self.memory.full || (left == 0 && self.first_length().is_some()) {
            return Emitted::Made(Item::Close);
        }
        match self.pop_part(Some(left)) {
            Some(Item::Data(passed)) => {
                self.memory.passed += passed.len() as u64;
                self.memory.full = self.memory.passed >= bytes;
                Emitted::Passed(Item::Data(passed))
            }
            last => Emitted::Passed(last.unwrap_or(Item::End)),
        }
    }

    /// The size of the next piece of a first item of that length.
    fn piece(&mut self, length: usize, average: u64, variation: u64, dice: &mut SmallRng) -> usize {
        if self.memory.pieces.is_empty() {
            self.memory.pieces = cut(length, average, variation, dice);
        }
        self.memory.pieces.pop().unwrap_or(length)
    }

    /// Bytes of the first item, if it is data.
    fn first_length(&self) -> Option<usize> {
        match &self.queue.front()?.item {
            Item::Data(bytes) => Some(bytes.len()),
            Item::End | Item::Close | Item::Reset => None,
        }
    }

    fn pop(&mut self) -> Option<Item> {
        let item = self.queue.pop_front()?.item;
        self.held -= item.weight();
        self.dead |= item.is_last();
        Some(item)
    }

    /// The first so many bytes, when the first item is data of more than that; otherwise the first item.
    fn pop_part(&mut self, most: Option<usize>) -> Option<Item> {
        let first = self.queue.front_mut()?;
        match (&mut first.item, most) {
            (Item::Data(bytes), Some(most)) if most < bytes.len() => {
                self.held -= most;
                Some(Item::Data(bytes.split_to(most)))
            }
            _ => self.pop(),
        }
    }
}

/// A delay with its jitter, even over the whole range and never less than nothing.
fn delay(latency: Duration, jitter: Duration, dice: &mut SmallRng) -> Duration {
    if jitter.is_zero() {
        return latency;
    }
    (latency + jitter.mul_f64(2.0 * dice.random::<f64>())).saturating_sub(jitter)
}

/// As many bytes as pass a line in a slice of time, of so many; at least one.
fn slice(bytes: usize, per_second: u64) -> usize {
    let most = u128::from(per_second) * SLICE.as_nanos() / 1_000_000_000;
    bytes.min(usize::try_from(most).unwrap_or(usize::MAX).max(1))
}

/// How long so many bytes take.
fn time_of(bytes: usize, per_second: u64) -> Duration {
    let nanos = bytes as u128 * 1_000_000_000 / u128::from(per_second.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Sizes that data of so many bytes is cut into, the last first: it is halved, give or take the variation, until no part is
/// larger than the average and the variation.
fn cut(length: usize, average: u64, variation: u64, dice: &mut SmallRng) -> Vec<usize> {
    let average = usize::try_from(average).unwrap_or(usize::MAX).max(1);
    let variation = usize::try_from(variation).unwrap_or(usize::MAX).min(average - 1);
    let (mut sizes, mut left) = (Vec::new(), vec![length]);
    // Depth first, the second half first.
    while let Some(length) = left.pop() {
        if length <= average.saturating_add(variation) {
            sizes.push(length);
        } else {
            // Neither half is empty: the length is at least twice the variation and two.
            let first = length / 2 + dice.random_range(0..=2 * variation) - variation;
            left.push(first);
            left.push(length - first);
        }
    }
    sizes
}
