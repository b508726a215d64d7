//! One stretch of years, from one sequence of random numbers.

use std::{
    cmp::Ordering,
    collections::{BinaryHeap, VecDeque},
};

use super::{
    lengths::Counting,
    machine::{Count, Machine, NONE},
    notes::Note,
    random::Random,
};
use crate::availability::{downtime::YEAR, structure::Takeover};

/// What is to be told of a batch by itself, because batches are compared with each other.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Batch {
    /// Its length.
    pub(super) years: u32,
    /// Seconds in which the workload did not work, and in which it did not work in full.
    pub(super) down: f64,
    pub(super) not_in_full: f64,
    /// Outages that began, and how long they were altogether, in seconds, to their end even if the years ended before.
    pub(super) outages: u64,
    pub(super) length: f64,
    /// Years with no more downtime than is allowed.
    pub(super) good_years: u32,
    /// Failures, repairs not counted.
    pub(super) failures: u64,
}

/// What may be added up in any order: whole numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tally {
    pub(super) lengths: Counting,
    /// Of every event, the outages that it began.
    pub(super) begun: Vec<Begun>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Begun {
    pub(super) outages: u64,
    /// How long they were altogether.
    pub(super) microseconds: u128,
}

impl Tally {
    pub(super) fn new(machine: &Machine) -> Self {
        Self { lengths: Counting::new(), begun: vec![Begun::default(); machine.causes.len()] }
    }

    pub(super) fn join(&mut self, other: &Self) {
        self.lengths.join(&other.lengths);
        for (begun, other) in self.begun.iter_mut().zip(&other.begun) {
            begun.outages += other.outages;
            begun.microseconds += other.microseconds;
        }
    }
}

/// Runs through so many years. `allowed`: how many seconds of downtime a good year has at most.
pub(super) fn run(machine: &Machine, random: Random, years: u32, allowed: f64, tally: &mut Tally) -> Batch {
    let mut running = Running::new(machine, random, years, tally);
    running.begin();
    running.go();
    running.end(allowed)
}

/// Something that will happen at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    /// Seconds from the beginning of the years.
    pub(super) at: f64,
    pub(super) what: What,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    /// The event is over.
    Restored(u32),
    /// Planned downtime, by its place in the machine.
    PlannedBegins(u32),
    PlannedEnds(u32),
    /// A spare has taken over.
    TookOver(u32),
}

impl Ord for Due {
    /// The earliest is the greatest, which is what the heap hands out.
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.total_cmp(&self.at)
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

/// Units that wait for crews.
#[derive(Debug, Clone, Default)]
struct Queue {
    under_repair: u32,
    waiting: VecDeque<u32>,
}

/// What a unit of a group with failover does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    InUse,
    Spare,
    /// In use until it failed, and no spare takes over.
    Missed,
}

#[derive(Debug, Clone)]
struct Taking {
    roles: Vec<Role>,
    /// Takeovers under way, and units that are missed: while there are any, the group does not work.
    interruptions: u32,
}

/// Since when something does not work, and which event made it so.
#[derive(Debug, Clone, Copy)]
struct Outage {
    since: f64,
    event: u32,
}

pub(super) struct Running<'m> {
    pub(super) machine: &'m Machine,
    tally: &'m mut Tally,
    random: Random,
    pub(super) now: f64,
    /// The seconds that count, from 0 on.
    length: f64,
    /// Events that happened and count, which those do not that are noted.
    pub(super) happened: Vec<bool>,
    pub(super) gates: Vec<Count>,
    pub(super) due: BinaryHeap<Due>,
    queues: Vec<Queue>,
    takings: Vec<Taking>,
    /// Units with failover that failed or came back just now.
    changed: Vec<u32>,
    /// Gates that changed and whose gates have not been told.
    open: Vec<u32>,
    outage: Option<Outage>,
    /// Since when it does not work in full.
    not_in_full: Option<f64>,
    down_of_year: Vec<f64>,
    batch: Batch,
}

impl<'m> Running<'m> {
    fn new(machine: &'m Machine, random: Random, years: u32, tally: &'m mut Tally) -> Self {
        let roles = |units: usize, enough: u32| {
            (0..units).map(|unit| if unit < enough as usize { Role::InUse } else { Role::Spare }).collect()
        };
        let taking = |of: &Takeover| Taking { roles: roles(of.units.len(), of.enough), interruptions: 0 };
        Self {
            machine,
            tally,
            random,
            now: -machine.warm_up,
            length: f64::from(years) * YEAR,
            happened: vec![false; machine.parts.len()],
            gates: machine.gates.initially.clone(),
            due: BinaryHeap::new(),
            queues: vec![Queue::default(); machine.crews.len()],
            takings: machine.takeovers.iter().map(taking).collect(),
            changed: Vec::new(),
            open: Vec::new(),
            outage: None,
            not_in_full: None,
            down_of_year: vec![0.0; years as usize],
            batch: Batch { years, ..Batch::default() },
        }
    }

    /// As at any moment in the long run: each part is down with its share of time, and maintenance comes at some time of its own.
    fn begin(&mut self) {
        let machine = self.machine;
        for event in &machine.always {
            self.set(*event, true);
        }
        for part in &machine.random {
            if self.random.unit() <= part.share {
                self.fail(part.event);
            }
        }
        for (number, planned) in (0..).zip(&machine.planned) {
            let passed = self.random.unit() * planned.every;
            if passed < planned.takes {
                self.set(planned.event, true);
                self.due.push(Due { at: self.now + planned.takes - passed, what: What::PlannedEnds(number) });
            } else {
                self.due.push(Due { at: self.now + planned.every - passed, what: What::PlannedBegins(number) });
            }
        }
        // What is down at the beginning began before: it counts as downtime, and not as an outage that began.
        self.outage = self.outage.map(|outage| Outage { since: f64::NEG_INFINITY, ..outage });
        self.not_in_full = self.not_in_full.map(|_| f64::NEG_INFINITY);
        self.batch.failures = 0;
    }

    /// To the end of the years, and of the outage in which they end, but not longer than twice the years.
    fn go(&mut self) {
        let between = if self.machine.rate > 0.0 { 1.0 / self.machine.rate } else { f64::INFINITY };
        let mut failure = self.now + self.random.exponential(between);
        loop {
            let due = self.due.peek().map_or(f64::INFINITY, |due| due.at);
            self.now = due.min(failure);
            if self.now >= self.length && (self.outage.is_none() || self.now >= 2.0 * self.length) {
                return;
            }
            if due <= failure {
                if let Some(due) = self.due.pop() {
                    self.happen(due.what);
                }
            } else {
                failure += self.random.exponential(between);
                // What has failed already does not fail.
                if let Some(event) = self.machine.which.draw(self.random.bits())
                    && !self.is_down(event)
                {
                    self.fail(event);
                }
            }
        }
    }

    fn end(mut self, allowed: f64) -> Batch {
        self.now = self.now.min(2.0 * self.length);
        if let Some(outage) = self.outage.take() {
            self.over(outage);
        }
        if let Some(since) = self.not_in_full.take() {
            self.batch.not_in_full += self.counted(since);
        }
        let good = self.down_of_year.iter().filter(|down| **down <= allowed).count();
        self.batch.good_years = u32::try_from(good).unwrap_or(u32::MAX);
        self.batch
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Restored(event) => self.restored(event),
            What::TookOver(takeover) => self.interrupted(takeover, false),
            What::PlannedBegins(number) => {
                let planned = self.machine.planned[number as usize];
                self.set(planned.event, true);
                self.due.push(Due { at: self.now + planned.takes, what: What::PlannedEnds(number) });
            }
            What::PlannedEnds(number) => {
                let planned = self.machine.planned[number as usize];
                self.set(planned.event, false);
                self.due.push(Due { at: self.now + planned.every - planned.takes, what: What::PlannedBegins(number) });
            }
        }
    }

    fn fail(&mut self, event: u32) {
        self.batch.failures += 1;
        let part = self.machine.parts[event as usize];
        if part.held_by != NONE && self.gates[part.held_by as usize].takes_note(self.now) {
            let until = self.now + self.random.exponential(part.restore);
            self.gates[part.held_by as usize].note = Note { until, event };
            return;
        }
        self.set(event, true);
        if part.queue != NONE {
            let queue = &mut self.queues[part.queue as usize];
            if queue.under_repair >= self.machine.crews[part.queue as usize] {
                queue.waiting.push_back(event);
                return;
            }
            queue.under_repair += 1;
        }
        self.repair(event, part.restore);
    }

    fn repair(&mut self, event: u32, mean: f64) {
        let takes = self.random.exponential(mean);
        self.due.push(Due { at: self.now + takes, what: What::Restored(event) });
    }

    fn restored(&mut self, event: u32) {
        let queue = self.machine.parts[event as usize].queue;
        if queue != NONE {
            let queue = &mut self.queues[queue as usize];
            match queue.waiting.pop_front() {
                Some(next) => self.repair(next, self.machine.parts[next as usize].restore),
                None => queue.under_repair -= 1,
            }
        }
        self.set(event, false);
    }

    /// An event happens, or is over: with everything that follows from it at the same moment.
    fn set(&mut self, event: u32, happens: bool) {
        self.climb(event, happens);
        // Spares are looked for when everything that fails with a zone has failed.
        while let Some(unit) = self.changed.pop() {
            let (takeover, unit) = self.machine.gates.units[unit as usize];
            if happens { self.unit_failed(takeover, unit as usize) } else { self.unit_back(takeover, unit as usize) }
        }
    }

    /// Tells the gates above an event, and those above them as far as anything changes.
    fn climb(&mut self, event: u32, happens: bool) {
        let machine = self.machine;
        let gates = &machine.gates;
        self.happened[event as usize] = happens;
        let mut above = gates.above_event(event);
        loop {
            for gate in above {
                if happens && self.gates[*gate as usize].note.until > self.now {
                    self.count_noted(*gate);
                }
                let count = &mut self.gates[*gate as usize];
                // With the last failure that was too many it changes, and without it again.
                let changes = if happens {
                    count.failed += 1;
                    count.failed == count.fails_at
                } else {
                    count.failed -= 1;
                    count.failed + 1 == count.fails_at
                };
                if changes {
                    self.open.push(*gate);
                }
            }
            let Some(gate) = self.open.pop() else { break };
            let unit = gates.unit[gate as usize];
            if unit != NONE {
                self.changed.push(unit);
            }
            if gate == gates.top {
                self.top_changed(event, happens);
            }
            if Some(gate) == gates.full {
                self.full_changed(happens);
            }
            above = gates.above_gate(gate);
        }
    }

    fn top_changed(&mut self, event: u32, fails: bool) {
        if fails {
            self.outage = Some(Outage { since: self.now, event });
        } else if let Some(outage) = self.outage.take() {
            self.over(outage);
        }
    }

    fn full_changed(&mut self, fails: bool) {
        if fails {
            self.not_in_full = Some(self.now);
        } else if let Some(since) = self.not_in_full.take() {
            self.batch.not_in_full += self.counted(since);
        }
    }

    /// How much of the time until now lies in the years that count.
    fn counted(&self, since: f64) -> f64 {
        (self.now.min(self.length) - since.max(0.0)).max(0.0)
    }

    fn over(&mut self, outage: Outage) {
        self.batch.down += self.counted(outage.since);
        let (mut from, to) = (outage.since.max(0.0), self.now.min(self.length));
        let mut year = whole_years(from);
        while from < to
            && let Some(down) = self.down_of_year.get_mut(year)
        {
            let until = to.min((year + 1) as f64 * YEAR);
            *down += (until - from).max(0.0);
            (from, year) = (until, year + 1);
        }
        if (0.0..self.length).contains(&outage.since) {
            let length = self.now - outage.since;
            self.batch.outages += 1;
            self.batch.length += length;
            self.tally.lengths.add(length);
            let begun = &mut self.tally.begun[outage.event as usize];
            begun.outages += 1;
            begun.microseconds += std::time::Duration::try_from_secs_f64(length).unwrap_or_default().as_micros();
        }
    }

    /// Of a unit in use: a spare takes over, if there is one and it does.
    fn unit_failed(&mut self, takeover: u32, unit: usize) {
        let of = &self.machine.takeovers[takeover as usize];
        let roles = &mut self.takings[takeover as usize].roles;
        if roles[unit] != Role::InUse {
            return;
        }
        let works = |unit: usize| !self.gates[of.units[unit].0 as usize].fails();
        let Some(spare) = (0..roles.len()).find(|spare| roles[*spare] == Role::Spare && works(*spare)) else {
            // There is nothing to take over to; whichever comes back first is in use again.
            roles[unit] = Role::Spare;
            return;
        };
        if self.random.unit() <= of.coverage {
            (roles[unit], roles[spare]) = (Role::Spare, Role::InUse);
            self.due.push(Due { at: self.now + of.delay, what: What::TookOver(takeover) });
        } else {
            roles[unit] = Role::Missed;
        }
        self.interrupted(takeover, true);
    }

    fn unit_back(&mut self, takeover: u32, unit: usize) {
        let of = &self.machine.takeovers[takeover as usize];
        let roles = &mut self.takings[takeover as usize].roles;
        match roles[unit] {
            Role::InUse => {}
            Role::Missed => {
                roles[unit] = Role::InUse;
                self.interrupted(takeover, false);
            }
            Role::Spare => {
                let spares = roles.iter().filter(|role| **role == Role::Spare).count();
                if roles.len() - spares < of.enough as usize {
                    roles[unit] = Role::InUse;
                }
            }
        }
    }

    /// One interruption more, or less.
    fn interrupted(&mut self, takeover: u32, more: bool) {
        let event = self.machine.takeovers[takeover as usize].event.0;
        let interruptions = &mut self.takings[takeover as usize].interruptions;
        if more {
            *interruptions += 1;
            if *interruptions == 1 {
                self.climb(event, true);
            }
        } else {
            *interruptions -= 1;
            if *interruptions == 0 {
                self.climb(event, false);
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times are at most as many years as 32 bits hold"
)]
fn whole_years(seconds: f64) -> usize {
    (seconds / YEAR) as usize
}

#[cfg(test)]
mod tests;
