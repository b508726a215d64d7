//! One stream of a connection, from socket to socket.
//!
//! Three ways, chosen read by read:
//!
//! - A toxic is there: bytes are read into the [`Chain`] as long as it has room, and written as it lets them go.
//! - None is: what was read is written at once, through a buffer that all connections of a worker share. What the sink does not
//!   take waits in the chain, and nothing more is read until it has gone.
//! - None is, and much comes: `splice`, which does not copy, through a pipe that is lent for as long as that lasts.

use bytes::Bytes;
use model::Moment;

use super::{
    mailbox::Mailbox,
    now,
    side::{Done, Side},
    tunnel::Tunnel,
};
use crate::{
    chain::{Chain, Item},
    relay::Counter,
    toxic::{Applied, Stream},
};

/// Read at once: a stream that fills it has more to come.
pub(super) const BUFFER: usize = 64 * 1024;

/// Reads in a row that filled the buffer before a stream is spliced.
const LARGE_READS: u8 = 2;
/// Bytes below which `recv` and `send` are cheaper than two calls of `splice` and the pages they pass.
const SMALL: usize = 16 * 1024;
/// Small reads in a row before a stream is not spliced any more.
const SMALL_READS: u8 = 16;

/// Reads before another connection has its turn: at most 1 MiB through the buffer, which takes less than a millisecond.
const TURN: usize = 16;

/// What flows have from their worker.
pub(super) struct Tools<'worker> {
    pub(super) buffer: &'worker mut [u8],
    pub(super) tunnels: &'worker mut Vec<Tunnel>,
    pub(super) mailbox: &'worker Mailbox,
}

/// What is to become of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It waits for an event or a moment.
    Waits,
    /// It has more to do at once, but others have waited long enough.
    Again,
    /// It is closed.
    Closed,
    /// It is reset.
    Reset,
}

/// One stream of a connection.
#[derive(Debug)]
pub(super) struct Flow {
    stream: Stream,
    chain: Chain,
    tunnel: Option<Tunnel>,
    /// Reads in a row that speak for the other way of carrying: large ones without a tunnel, small ones with one.
    reads: u8,
    /// What was read when messages came that may concern it.
    unsettled: Option<Item>,
    ended: bool,
}

impl Flow {
    pub(super) fn new(stream: Stream, toxics: &[Applied], now: Moment, seed: u64) -> Self {
        let chain = Chain::new(toxics, stream, now, seed);
        Self { stream, chain, tunnel: None, reads: 0, unsettled: None, ended: false }
    }

    /// Whether its end has been passed on.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn set(&mut self, toxics: &[Applied], now: Moment) {
        self.chain.set(toxics, self.stream, now);
    }

    pub(super) fn next_due(&self) -> Option<Moment> {
        self.chain.next_due()
    }

    /// Carries what can be carried now.
    pub(super) fn carry(
        &mut self,
        source: &mut Side,
        sink: &mut Side,
        counter: &Counter,
        tools: &mut Tools<'_>,
    ) -> Fate {
        if self.ended {
            return Fate::Waits;
        }
        if self.unsettled.is_some() && tools.mailbox.is_pending() {
            return Fate::Again;
        }
        if let Some(item) = self.unsettled.take() {
            self.chain.push(item, now());
        } else if !self.chain.is_clear() {
            self.chain.advance(now());
            self.give_back(tools);
        }
        for _ in 0..TURN {
            match self.write(sink, counter, tools) {
                Fate::Waits => {}
                fate => return fate,
            }
            match self.read(source, sink, counter, tools) {
                Read::Some => {}
                Read::Nothing => return Fate::Waits,
                Read::Broken => return Fate::Reset,
                Read::Unsettled => return Fate::Again,
            }
        }
        Fate::Again
    }

    /// Writes all that may be written, as far as the sink takes it.
    fn write(&mut self, sink: &mut Side, counter: &Counter, tools: &mut Tools<'_>) -> Fate {
        if self.chain.is_reset() {
            return Fate::Reset;
        }
        if let Some(tunnel) = self.tunnel.as_mut().filter(|tunnel| tunnel.held() > 0) {
            while tunnel.held() > 0 && sink.writable {
                match tunnel.empty(sink) {
                    Done::Bytes(count) => counter.sent(count),
                    Done::Blocked => {}
                    Done::Ended | Done::Broken => return Fate::Reset,
                }
            }
            if tunnel.held() > 0 {
                return Fate::Waits;
            }
        }
        while let Some(item) = self.chain.front() {
            match item {
                Item::Data(_) if !sink.writable => return Fate::Waits,
                Item::Data(bytes) => match sink.write(bytes) {
                    Done::Bytes(count) => {
                        counter.sent(count);
                        self.chain.written(count, now());
                    }
                    Done::Blocked => return Fate::Waits,
                    Done::Ended | Done::Broken => return Fate::Reset,
                },
                Item::End => {
                    sink.end();
                    self.ended = true;
                    self.give_back(tools);
                    return Fate::Waits;
                }
                Item::Close => return Fate::Closed,
                Item::Reset => return Fate::Reset,
            }
        }
        Fate::Waits
    }

    /// Reads once, and writes at once what nothing is to happen to.
    fn read(&mut self, source: &mut Side, sink: &mut Side, counter: &Counter, tools: &mut Tools<'_>) -> Read {
        let clear = self.chain.is_clear();
        if !source.readable || self.ended || !if clear { sink.writable } else { self.chain.has_room() } {
            return Read::Nothing;
        }
        if clear && let Some(tunnel) = &mut self.tunnel {
            let done = tunnel.fill(source);
            return self.has_spliced(&done, counter, tools);
        }
        let item = match source.read(tools.buffer) {
            Done::Bytes(count) => {
                counter.received(count);
                let bytes = &tools.buffer[..count];
                self.reads = if count == BUFFER { self.reads.saturating_add(1) } else { 0 };
                if clear && !tools.mailbox.is_pending() {
                    return self.pass(bytes.len(), sink, counter, tools);
                }
                Item::Data(Bytes::copy_from_slice(bytes))
            }
            Done::Blocked => return Read::Nothing,
            Done::Ended => Item::End,
            Done::Broken => Item::Reset,
        };
        if tools.mailbox.is_pending() {
            // It may have been sent after its toxics were changed, which it must then meet.
            self.unsettled = Some(item);
            return Read::Unsettled;
        }
        self.chain.push(item, now());
        Read::Some
    }

    /// Writes so many bytes of the buffer at once.
    fn pass(&mut self, count: usize, sink: &mut Side, counter: &Counter, tools: &mut Tools<'_>) -> Read {
        let bytes = &tools.buffer[..count];
        let written = match sink.write(bytes) {
            Done::Bytes(count) => count,
            Done::Blocked => 0,
            Done::Ended | Done::Broken => return Read::Broken,
        };
        counter.sent(written);
        if written < bytes.len() {
            self.chain.push(Item::Data(Bytes::copy_from_slice(&bytes[written..])), Moment::ZERO);
        }
        if self.reads >= LARGE_READS {
            // Without one (too many descriptors are open) it goes on as before.
            self.tunnel = tools.tunnels.pop().or_else(|| Tunnel::new().ok());
            self.reads = 0;
        }
        Read::Some
    }

    fn has_spliced(&mut self, done: &Done, counter: &Counter, tools: &mut Tools<'_>) -> Read {
        match done {
            Done::Bytes(count) => {
                counter.received(*count);
                self.reads = if *count < SMALL { self.reads + 1 } else { 0 };
                Read::Some
            }
            Done::Blocked => {
                if self.reads >= SMALL_READS {
                    self.give_back(tools);
                }
                Read::Nothing
            }
            Done::Ended | Done::Broken => {
                self.chain.push(if *done == Done::Ended { Item::End } else { Item::Reset }, Moment::ZERO);
                Read::Some
            }
        }
    }

    /// Lends its tunnel no longer, if it is empty: one with bytes in it goes with the flow.
    pub(super) fn give_back(&mut self, tools: &mut Tools<'_>) {
        self.reads = 0;
        if let Some(tunnel) = self.tunnel.take_if(|tunnel| tunnel.held() == 0)
            && tools.tunnels.len() < SPARE_TUNNELS
        {
            tools.tunnels.push(tunnel);
        }
    }
}

/// Empty pipes a worker keeps: making one costs a few microseconds, keeping one two descriptors.
const SPARE_TUNNELS: usize = 16;

/// What came of reading.
enum Read {
    /// Something, or an end.
    Some,
    /// Nothing now.
    Nothing,
    /// The sink has broken off.
    Broken,
    /// Something, but there are messages to look at first.
    Unsettled,
}
