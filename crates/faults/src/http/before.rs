//! Connections that stood before: they do not come to us, and must end for their clients to come.
//!
//! Each is ended at a moment when nothing seems to be under way on it, as if its server had closed an idle connection, which
//! clients that keep connections have to bear anyway. Only one that has no such moment within a second is broken off.
//!
//! The kernel's connections are watched from outside; those that a link carries know themselves whether they rest.

use std::{
    collections::BTreeSet,
    io, thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use proxy::{Detour, Passing};

use crate::{
    fault::Failed,
    http::doors::Concern,
    sys::{
        connection::{Activity, Connection, States, active_connections, destroy},
        namespace::NetworkNamespace,
    },
};

/// What becomes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Open {
    /// They are ended.
    Reset,
    /// They go on, past us.
    Leave,
}

/// The connections of a network that a fault concerns.
pub(crate) struct Standing<'a> {
    pub(crate) network: &'a NetworkNamespace,
    pub(crate) concern: &'a Concern,
    /// The numbers of the object's sockets.
    pub(crate) own: BTreeSet<u32>,
    /// What those that have come to us are marked with.
    pub(crate) mark: u32,
}

/// How many there were, and what became of them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Were ended while nothing was under way.
    pub(crate) resting: usize,
    /// Were broken off.
    pub(crate) busy: usize,
}

/// The connections that go over links, but not through us.
pub(crate) struct Beside<'a>(pub(crate) &'a [Detour]);

/// How long it is waited for a moment when nothing is under way.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked for: a fraction of the pauses of a connection that is busy, and not much work.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// Nothing has been heard for so long: two ticks of most kernels' clock (HZ=250), by which what they say may be wrong.
const QUIET: Duration = Duration::from_millis(10);

impl Standing<'_> {
    /// Those that there are now, and what goes on on them.
    pub(crate) fn list(&self) -> io::Result<Vec<(Connection, Activity)>> {
        let all = self.network.run(|| Ok(active_connections(States::ESTABLISHED)?))?;
        let concerned = all.into_iter().filter(|(one, _)| one.mark != self.mark && self.concern.covers(one, &self.own));
        Ok(concerned.collect())
    }

    /// Ends those that are still there of `before`.
    pub(crate) fn end(&self, before: &[(Connection, Activity)]) -> Result<Ended, Failed> {
        let end_resting = || {
            let mut left = self.list().map_err(Failed::to("list the connections that stand"))?;
            left.retain(|(one, _)| before.iter().any(|(other, _)| other == one));
            let (resting, busy): (Vec<_>, Vec<_>) = left.into_iter().partition(|(_, activity)| self.rests(activity));
            Ok((self.destroy(resting)?, busy))
        };
        end_when_resting(end_resting, |busy| self.destroy(busy))
    }

    fn destroy(&self, connections: Vec<(Connection, Activity)>) -> Result<usize, Failed> {
        if connections.is_empty() {
            return Ok(0);
        }
        let connections: Vec<_> = connections.into_iter().map(|(one, _)| one).collect();
        self.network.run(|| Ok(destroy(&connections)?)).map_err(Failed::to("end the connections that stand"))
    }

    fn rests(&self, activity: &Activity) -> bool {
        let Activity { pending, round_trip, sent, received } = *activity;
        // The object's end is listed: it answers those who come, and is answered by others.
        let (request, answer) = match self.concern {
            Concern::To { .. } => (received, sent),
            Concern::From { .. } | Concern::Over { .. } => (sent, received),
        };
        !pending && rests(request, answer, round_trip)
    }
}

impl Beside<'_> {
    /// Those that there are now.
    pub(crate) fn list(&self) -> Vec<Passing> {
        self.0.iter().flat_map(|detour| detour.passing().1).collect()
    }

    /// Ends them all: no new ones come.
    pub(crate) fn end(&self) -> Result<Ended, Failed> {
        let end_resting = || {
            let (resting, busy): (Vec<_>, Vec<_>) = self.list().into_iter().partition(|one| one.end_at_rest(QUIET));
            Ok((resting.len(), busy))
        };
        end_when_resting(end_resting, |busy| {
            busy.iter().for_each(Passing::break_off);
            Ok(busy.len())
        })
    }
}

/// Ends connections: `end_resting` those that rest, of which it says how many, and which others are left; what does not rest within
/// a second is broken off.
fn end_when_resting<C>(
    mut end_resting: impl FnMut() -> Result<(usize, Vec<C>), Failed>,
    break_off: impl FnOnce(Vec<C>) -> Result<usize, Failed>,
) -> Result<Ended, Failed> {
    let mut ended = Ended::default();
    let begun = Instant::now();
    loop {
        let late = begun.elapsed() >= PATIENCE;
        let (count, busy) = end_resting()?;
        ended.resting += count;
        if late {
            ended.busy = break_off(busy)?;
        } else if !busy.is_empty() {
            thread::sleep(LOOK_AGAIN);
            continue;
        }
        return Ok(ended);
    }
}

/// Whether the last that was said was an answer, so long ago that it has arrived; or nothing, yet.
fn rests(request: Duration, answer: Duration, round_trip: Duration) -> bool {
    request.min(answer) >= QUIET + round_trip && answer <= request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_rests_when_the_last_word_was_an_answer() {
        let look = |request, answer| {
            let millis = Duration::from_millis;
            rests(millis(request), millis(answer), millis(20))
        };
        assert!(look(120, 100));
        assert!(look(100, 100));
        assert!(!look(28, 24), "it may be on its way still");
        assert!(!look(100, 120), "a request waits for its answer");
    }
}
