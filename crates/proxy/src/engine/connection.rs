//! A connection that is carried: two sides and two flows.

use std::{os::fd::OwnedFd, sync::Arc};

use model::Moment;

use super::{
    flow::{Fate, Flow, Tools},
    now,
    side::Side,
};
use crate::{
    relay::Core,
    toxic::{Applied, Stream},
};

/// A connection, both sides of it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) relay: Arc<Core>,
    pub(super) number: u64,
    /// When its worker is to look at it.
    pub(super) due: Option<Moment>,
    worker: usize,
    client: Side,
    upstream: Side,
    /// From the client to the upstream.
    up: Flow,
    /// From the upstream to the client.
    down: Flow,
}

/// Which of the flows there may be something to do for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Which {
    pub(super) up: bool,
    pub(super) down: bool,
}

impl Which {
    pub(super) const BOTH: Self = Self { up: true, down: true };
}

impl Connection {
    /// A connection that has just come about, on that worker.
    pub(super) fn new(
        relay: Arc<Core>,
        number: u64,
        worker: usize,
        (client, upstream): (OwnedFd, OwnedFd),
        toxics: &[Applied],
    ) -> Self {
        let now = now();
        let (client, upstream) = (Side::new(client), Side::new(upstream));
        client.be_prompt();
        upstream.be_prompt();
        let [up, down] = Stream::ALL.map(|stream| Flow::new(stream, toxics, now, relay.seed(number, stream)));
        Self { relay, number, due: None, worker, client, upstream, up, down }
    }

    pub(super) const fn sides(&mut self) -> (&mut Side, &mut Side) {
        (&mut self.client, &mut self.upstream)
    }

    /// Its toxics have changed.
    pub(super) fn set(&mut self, toxics: &[Applied]) {
        let now = now();
        self.up.set(toxics, now);
        self.down.set(toxics, now);
    }

    /// Carries what can be carried now.
    pub(super) fn carry(&mut self, which: Which, tools: &mut Tools<'_>) -> Fate {
        let Self { client, upstream, up, down, .. } = self;
        let mut again = false;
        if which.up {
            match up.carry(client, upstream, self.relay.counter(self.worker, Stream::Upstream), tools) {
                Fate::Waits => {}
                Fate::Again => again = true,
                over => return over,
            }
        }
        if which.down {
            match down.carry(upstream, client, self.relay.counter(self.worker, Stream::Downstream), tools) {
                Fate::Waits => {}
                Fate::Again => again = true,
                over => return over,
            }
        }
        if up.has_ended() && down.has_ended() {
            Fate::Closed
        } else if again {
            Fate::Again
        } else {
            Fate::Waits
        }
    }

    /// When something happens to it by itself.
    pub(super) fn next_due(&self) -> Option<Moment> {
        [self.up.next_due(), self.down.next_due()].into_iter().flatten().min()
    }

    /// Ends it, the way its fate says.
    pub(super) fn end(mut self, fate: Fate, tools: &mut Tools<'_>) {
        self.up.give_back(tools);
        self.down.give_back(tools);
        self.relay.has_ended(self.number);
        if fate == Fate::Reset {
            self.client.reset();
            self.upstream.reset();
        }
    }
}
