//! Answers queries for some names before they reach any resolver, and lets all others pass.
//!
//! ```text
//!   process ── query ──▶ chain ── rule ──▶ queue ──▶ Judge::of(message) ─▶ pass
//!                                                                        ─▶ drop: nobody ever answers
//!                                                                        ─▶ replace by the answer, which the kernel
//!                                                                           sends where it is addressed: back
//! ```

use std::{
    io,
    net::IpAddr,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, eventfd, poll},
    io::Errno,
};
use serde::{Deserialize, Serialize};

use crate::{
    dns::{
        packet::Datagram,
        wire::{A, AAAA, Code, Pattern, Query},
    },
    fault,
    sys::nfqueue::{Queue, Verdict},
};

/// What is answered to queries for names that are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Saying {
    /// This code, and nothing else.
    Fail(Code),
    /// Nothing, ever.
    Silence,
    /// These addresses.
    Lie(Vec<IpAddr>),
    /// One address that is nobody's, another each time.
    Random,
}

/// Which names are meant, and what is said of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Judge {
    pub(crate) names: Vec<Pattern>,
    pub(crate) saying: Saying,
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It goes where it was going.
    Pass,
    /// It is lost.
    Lose,
    /// This is the answer.
    Answer(Vec<u8>),
}

/// For how many seconds a lie may be remembered: not at all, so that it ends with the fault.
const REMEMBERED: u32 = 0;

impl Judge {
    /// What becomes of a message; `lot` says which random address.
    pub(crate) fn of(&self, message: &[u8], lot: u64) -> Judgement {
        let Some(query) = Query::read(message) else { return Judgement::Pass };
        if !self.names.iter().any(|pattern| pattern.matches(&query.name)) {
            return Judgement::Pass;
        }
        let resolved =
            |addresses: &[IpAddr]| query.resolve(addresses, REMEMBERED).map_or(Judgement::Pass, Judgement::Answer);
        match &self.saying {
            Saying::Fail(code) => Judgement::Answer(query.fail(*code)),
            Saying::Silence => Judgement::Lose,
            Saying::Lie(addresses) => resolved(addresses),
            Saying::Random => resolved(&nobody(query.kind, lot).into_iter().collect::<Vec<_>>()),
        }
    }
}

/// An address that is nobody's: of those that are kept for documentation (RFC 5737, RFC 3849).
fn nobody(kind: u16, lot: u64) -> Option<IpAddr> {
    let [a, b, c, d, ..] = lot.to_ne_bytes();
    match kind {
        A => Some([[192, 0, 2], [198, 51, 100], [203, 0, 113]][usize::from(a % 3)])
            .map(|[x, y, z]| IpAddr::from([x, y, z, b])),
        AAAA => Some(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d])])),
        _ => None,
    }
}

/// What an engine counts.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Queries that were answered, or lost.
    pub(crate) judged: AtomicU64,
    /// Packets that passed.
    pub(crate) passed: AtomicU64,
}

/// A running engine. Dropping it lets everything pass.
#[derive(Debug)]
pub(crate) struct Engine {
    stop: Arc<Bell>,
    thread: Option<JoinHandle<bool>>,
    pub(crate) counts: Arc<Counts>,
}

#[derive(Debug)]
struct Bell {
    rung: AtomicBool,
    wake: OwnedFd,
}

impl Engine {
    /// Starts a thread that judges the packets of this queue.
    pub(crate) fn start(queue: Queue, judge: Judge) -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let stop = Arc::new(Bell { rung: AtomicBool::new(false), wake });
        let counts = Arc::<Counts>::default();
        let mut driver = Driver { queue, judge, lot: fault::seed(), counts: Arc::clone(&counts) };
        let bell = Arc::clone(&stop);
        let work = move || {
            if let Err(why) = driver.run(&bell) {
                // The queue is bypassed once it closes; the undo will tell that the fault ended early.
                tracing::error!(%why, "the engine for names stopped");
            }
            driver.finish()
        };
        let thread = thread::Builder::new().name("names".to_owned()).spawn(work)?;
        Ok(Self { stop, thread: Some(thread), counts })
    }

    /// Ends it: what waits passes, and the queue is given back. The rules that fill it must be gone. Whether all that worked.
    pub(crate) fn stop(mut self) -> bool {
        self.end()
    }

    fn end(&mut self) -> bool {
        self.stop.rung.store(true, Ordering::Release);
        // The counter cannot overflow by two rings, and nothing else can go wrong.
        rustix::io::write(&self.stop.wake, &1u64.to_ne_bytes()).ok();
        self.thread.take().is_none_or(|thread| thread.join().unwrap_or(false))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end();
    }
}

struct Driver {
    queue: Queue,
    judge: Judge,
    lot: u64,
    counts: Arc<Counts>,
}

impl Driver {
    fn run(&mut self, bell: &Bell) -> Result<(), Errno> {
        while !bell.rung.load(Ordering::Acquire) {
            let mut watched = [PollFd::new(&self.queue, PollFlags::IN), PollFd::new(&bell.wake, PollFlags::IN)];
            rustix::io::retry_on_intr(|| poll(&mut watched, None))?;
            while self.take_in()? {}
        }
        Ok(())
    }

    /// Judges what has arrived, one datagram of it. Whether there was any.
    fn take_in(&mut self) -> Result<bool, Errno> {
        let Self { queue, judge, lot, counts } = self;
        let mut judged = Vec::new();
        let received = queue.receive(|packet| {
            // A linear congruence (Knuth, MMIX): each lot is another.
            *lot = lot.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let datagram = Datagram::read(packet.head);
            let judgement = datagram.map_or(Judgement::Pass, |datagram| judge.of(datagram.payload, *lot >> 32));
            let replaced = match (judgement, datagram) {
                (Judgement::Answer(message), Some(datagram)) => Some(datagram.answer(&message)),
                (Judgement::Lose, _) => Some(None),
                _ => None,
            };
            judged.push((packet.id, replaced));
        })?;
        for (id, replaced) in judged {
            let counter = if replaced.is_some() { &counts.judged } else { &counts.passed };
            counter.fetch_add(1, Ordering::Relaxed);
            match &replaced {
                None => queue.decide(id, Verdict::Accept)?,
                Some(None) => queue.decide(id, Verdict::Drop)?,
                Some(Some(answer)) => queue.decide(id, Verdict::Replace(answer))?,
            }
        }
        queue.flush()?;
        Ok(received)
    }

    fn finish(mut self) -> bool {
        let mut waiting = Vec::new();
        while self.queue.receive(|packet| waiting.push(packet.id)).unwrap_or(false) {}
        let released = waiting.iter().try_for_each(|id| self.queue.decide(*id, Verdict::Accept));
        let released = released.and_then(|()| self.queue.flush());
        self.queue.unbind().is_ok() && released.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::wire::{Reply, ask};

    fn judged(saying: Saying, name: &str, kind: u16) -> Judgement {
        let judge = Judge { names: vec!["*.lab".parse().unwrap()], saying };
        judge.of(&ask(1, &name.parse().unwrap(), kind), 0x0102_0304)
    }

    #[test]
    fn names_that_are_not_meant_pass() {
        for saying in [Saying::Fail(Code::NxDomain), Saying::Silence, Saying::Lie(Vec::new()), Saying::Random] {
            assert_eq!(judged(saying, "web.elsewhere", A), Judgement::Pass);
        }
        let judge = Judge { names: vec![Pattern::All], saying: Saying::Silence };
        assert_eq!(judge.of(b"no message", 0), Judgement::Pass);
    }

    #[test]
    fn those_that_are_meant_are_answered_as_is_said() {
        let code = |judgement| match judgement {
            Judgement::Answer(message) => Reply::read(&message).unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(code(judged(Saying::Fail(Code::ServFail), "web.lab", AAAA)).code, 2);
        assert_eq!(judged(Saying::Silence, "web.lab", A), Judgement::Lose);
        let address = IpAddr::from([10, 0, 0, 1]);
        assert_eq!(code(judged(Saying::Lie(vec![address]), "web.lab", A)).addresses, [address]);
        assert_eq!(code(judged(Saying::Lie(vec![address]), "web.lab", AAAA)).addresses, Vec::<IpAddr>::new());
        assert_eq!(judged(Saying::Lie(vec![address]), "web.lab", 16), Judgement::Pass);
        for kind in [A, AAAA] {
            assert_eq!(code(judged(Saying::Random, "web.lab", kind)).addresses.len(), 1);
        }
    }
}
