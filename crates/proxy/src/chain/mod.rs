//! One stream of a connection: a chain of stages, one for each toxic, and at its end what may be written.
//!
//! ```text
//!   push ──▶ stage ──▶ stage ──▶ output ──▶ front, written
//! ```
//!
//! Pure: the present moment is passed in, and so is the source of chance. Whatever the toxics are and however they change, four
//! things hold (and are tested as properties): what comes out is a prefix of what went in, and all of it in the end unless
//! a toxic is there to lose it; nothing comes out before it is due; what is held is bounded; and nothing follows an end.

mod stage;

use std::collections::VecDeque;

use bytes::Bytes;
use model::Moment;
use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::toxic::{Applied, Stream};
use stage::{Emitted, Stage};

/// Held before what is in front waits: one read from a socket, so that a stage always has the next one at hand and a
/// sender feels a slow toxic at once.
pub(crate) const ROOM: usize = 64 * 1024;

/// What a piece of data weighs besides its bytes, so that many small ones cannot fill the memory: about the size of the
/// structures around it.
const WEIGHT: usize = 64;

/// What goes through a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// Some bytes; never none.
    Data(Bytes),
    /// The source has ended; the other stream may go on.
    End,
    /// A toxic closes the connection.
    Close,
    /// The source has broken off, or a toxic resets the connection.
    Reset,
}

impl Item {
    fn weight(&self) -> usize {
        match self {
            Self::Data(bytes) => bytes.len() + WEIGHT,
            Self::End | Self::Close | Self::Reset => 0,
        }
    }

    const fn is_last(&self) -> bool {
        !matches!(self, Self::Data(_))
    }
}

/// One stream of a connection.
#[derive(Debug)]
pub(crate) struct Chain {
    stages: Vec<Stage>,
    output: VecDeque<Item>,
    /// Weight of the output.
    held: usize,
    /// The last item has come in, or a toxic has put one of its own in the place of whatever comes.
    finished: bool,
    dice: SmallRng,
}

impl Chain {
    /// A stream with those of the toxics that concern it.
    pub(crate) fn new(toxics: &[Applied], stream: Stream, now: Moment, seed: u64) -> Self {
        let mut chain = Self {
            stages: Vec::new(),
            output: VecDeque::new(),
            held: 0,
            finished: false,
            dice: SmallRng::seed_from_u64(seed),
        };
        chain.set(toxics, stream, now);
        chain
    }

    /// Whether bytes pass as they come and nothing is on its way.
    pub(crate) fn is_clear(&self) -> bool {
        self.output.is_empty() && !self.finished && !self.stages.iter().any(Stage::is_active)
    }

    /// Whether something of the source may be pushed. Where bytes pass as they come, they wait in the sockets and not here.
    pub(crate) fn has_room(&self) -> bool {
        let holds = self.stages.iter().any(Stage::is_active);
        !self.finished && if holds { self.accepts(0) } else { self.output.is_empty() }
    }

    /// Takes in what has just been read. What comes after an end goes nowhere.
    pub(crate) fn push(&mut self, item: Item, now: Moment) {
        if self.finished {
            return;
        }
        self.finished = item.is_last();
        self.hand_on(0, item, now);
        self.advance(now);
    }

    /// What may be written now, or done.
    pub(crate) fn front(&self) -> Option<&Item> {
        self.output.front()
    }

    /// So many bytes of the front have been written.
    pub(crate) fn written(&mut self, count: usize, now: Moment) {
        let Some(Item::Data(bytes)) = self.output.front_mut() else { return };
        let count = count.min(bytes.len());
        bytes::Buf::advance(bytes, count);
        self.held -= count;
        if bytes.is_empty() {
            self.held -= WEIGHT;
            self.output.pop_front();
        }
        self.advance(now);
    }

    /// Whether the connection is to be reset: bytes that could not be written until now do not hold that up.
    pub(crate) fn is_reset(&self) -> bool {
        self.output.back() == Some(&Item::Reset)
    }

    /// When something happens next if nothing is pushed and nothing written.
    pub(crate) fn next_due(&self) -> Option<Moment> {
        let open = (0..self.stages.len()).filter(|place| self.accepts(place + 1));
        open.filter_map(|place| self.stages[place].next_due()).min()
    }

    /// Moves everything on that may go by now.
    pub(crate) fn advance(&mut self, now: Moment) {
        let mut moved = true;
        while moved {
            moved = false;
            for place in 0..self.stages.len() {
                while self.accepts(place + 1) {
                    match self.stages[place].emit(now, &mut self.dice) {
                        Some(Emitted::Passed(item)) => self.hand_on(place + 1, item, now),
                        Some(Emitted::Made(last)) => self.cut(place, last, now),
                        None => break,
                    }
                    moved = true;
                }
            }
        }
    }

    /// Puts other toxics in the place of those it has. One with the name of one it has is that one, changed; what one that is
    /// gone held goes on.
    pub(crate) fn set(&mut self, toxics: &[Applied], stream: Stream, now: Moment) {
        let new: Vec<_> = toxics.iter().filter(|applied| applied.stream == stream).collect();
        self.remove(|stage| !new.iter().any(|applied| stage.is(applied)), now);
        let kept = new.iter().filter(|applied| self.stages.iter().any(|stage| stage.is(applied)));
        if !kept.zip(&self.stages).all(|(applied, stage)| stage.is(applied)) {
            // In another order: bytes in later stages must not come to lie before others, so all begin with nothing.
            self.remove(|_| true, now);
        }
        for (place, applied) in new.into_iter().enumerate() {
            if self.stages.get(place).is_some_and(|stage| stage.is(applied)) {
                if !self.stages[place].change(applied, now) {
                    self.release(place, now);
                }
            } else {
                let mut stage = Stage::new(applied, self.dice.random(), now);
                if self.finished && self.stages[..place].iter().all(Stage::is_empty) {
                    // The end has passed this place already.
                    stage.kill();
                }
                self.stages.insert(place, stage);
            }
        }
        self.advance(now);
    }

    /// Takes out stages, the last first, so that what they held goes on in its order.
    fn remove(&mut self, which: impl Fn(&Stage) -> bool, now: Moment) {
        for place in (0..self.stages.len()).rev() {
            if which(&self.stages[place]) {
                self.release(place, now);
                self.stages.remove(place);
            }
        }
    }

    /// A stage does nothing any more: what it held goes on.
    fn release(&mut self, place: usize, now: Moment) {
        let (held, last) = self.stages[place].release();
        for item in held {
            self.hand_on(place + 1, item, now);
        }
        if let Some(last) = last {
            self.cut(place, last, now);
        }
    }

    /// A stage ends the stream by itself: what lies before it has nowhere to go.
    fn cut(&mut self, place: usize, last: Item, now: Moment) {
        self.finished = true;
        self.stages[..=place].iter_mut().for_each(Stage::kill);
        self.hand_on(place + 1, last, now);
    }

    fn hand_on(&mut self, place: usize, item: Item, now: Moment) {
        if let Some(stage) = self.stages.get_mut(place) {
            stage.take(item, now, &mut self.dice);
        } else {
            self.held += item.weight();
            self.output.push_back(item);
        }
    }

    /// Whether a stage, or the output after the last of them, takes more.
    fn accepts(&self, place: usize) -> bool {
        self.stages.get(place).map_or(self.held < ROOM, Stage::accepts)
    }
}

#[cfg(test)]
mod tests;
