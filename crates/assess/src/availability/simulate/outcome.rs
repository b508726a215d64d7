//! All batches together.

use std::{
    num::NonZeroUsize,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use model::workload::Workload;
use serde::Serialize;

use super::{
    batch::{self, Batch, Tally},
    estimate::{self, ENOUGH},
    lengths::Lengths,
    machine::{Machine, NotSimulated},
    random::Random,
};
use crate::{
    availability::{downtime::YEAR, structure::Cause},
    history::Estimate,
};

/// Most batches. A thousand show their spread well, and beginning one costs about a random number for each part.
const BATCHES: u32 = 1000;

/// How far a workload is followed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Years of 365 days, at least 1.
    pub years: u32,
    /// Which of all possible pasts: the same seed gives the same.
    pub seed: u64,
    /// The confidence of all intervals, above 0 and below 1.
    pub confidence: f64,
    /// How many threads do the work; the outcome does not depend on it.
    pub threads: NonZeroUsize,
}

/// What became of a workload in many years.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Simulated {
    /// How many, and of which seed.
    pub years: u32,
    /// The seed.
    pub seed: u64,
    /// The confidence of all intervals, from 0 to 1.
    pub confidence: f64,
    /// Years times the parts that fail at random: units, places, shared causes.
    pub component_years: f64,
    /// How many failures of parts there were.
    pub failures: u64,
    /// The share of time in which it works. Like all that is estimated, without an interval where there were too few outages.
    pub availability: Estimate,
    /// Seconds of downtime per year.
    pub downtime_per_year: Estimate,
    /// The share of time in which it works in full; none: there is nothing that it can do without.
    pub in_full: Option<Estimate>,
    /// How many outages began.
    pub outages: u64,
    /// Outages per year; where there were few, as if they came independently of each other.
    pub outages_per_year: Estimate,
    /// The mean length of an outage, in seconds.
    pub outage_seconds: Estimate,
    /// How long outages are; none: there were none.
    pub lengths: Option<Lengths>,
    /// What began the outages, most of them first.
    pub begun_by: Vec<Origin>,
    /// The share of years with no more downtime than is promised; none: nothing is promised.
    pub good_years: Option<Estimate>,
    /// What is not known, and was taken for perfect.
    pub unknown: Vec<String>,
}

/// A cause that began outages: the last straw, which others may have prepared.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// What failed.
    pub cause: Cause,
    /// How many outages it began.
    pub outages: u64,
    /// What part of all outages that is, from 0 to 1.
    pub share: f64,
    /// What part of all downtime they are, from 0 to 1.
    pub share_of_downtime: f64,
}

/// Follows a workload through many years.
///
/// # Errors
/// When it is not described soundly, or it is not known how long something that it needs fails for.
///
/// # Panics
/// When the system gives no thread.
pub fn simulate(workload: &Workload, plan: &Plan) -> Result<Simulated, NotSimulated> {
    let machine = Machine::of(workload)?;
    let target = workload.objectives.availability;
    // A year in which all of the promise is used up is a good one, also after rounding.
    let allowed = target.map_or(0.0, |target| target.down() * YEAR * (1.0 + 1e-12));
    let (batches, tally) = all(&machine, plan, allowed);
    let outcome = Outcome { plan, batches, tally, machine: &machine };
    Ok(outcome.tell(target.is_some()))
}

/// Every batch in its order, and what they have in common.
fn all(machine: &Machine, plan: &Plan, allowed: f64) -> (Vec<Batch>, Tally) {
    let count = plan.years.clamp(1, BATCHES);
    let (short, longer) = (plan.years / count, plan.years % count);
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut done, mut tally) = (Vec::new(), Tally::new(machine));
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count as usize {
                return (done, tally);
            }
            let years = short.max(1) + u32::from(number < longer as usize);
            let random = Random::of(plan.seed, number as u64);
            done.push((number, batch::run(machine, random, years, allowed, &mut tally)));
        }
    };
    let mut batches = vec![Batch::default(); count as usize];
    let mut tally = Tally::new(machine);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..plan.threads.get()).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            let (done, own) = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            done.into_iter().for_each(|(number, batch)| batches[number] = batch);
            tally.join(&own);
        }
    });
    (batches, tally)
}

struct Outcome<'m> {
    plan: &'m Plan,
    batches: Vec<Batch>,
    tally: Tally,
    machine: &'m Machine,
}

impl Outcome<'_> {
    fn tell(&self, promised: bool) -> Simulated {
        let years = f64::from(self.plan.years);
        let outages: u64 = self.batches.iter().map(|batch| batch.outages).sum();
        let down = self.per_second(|batch| batch.down, outages);
        let not_in_full = self.machine.gates.full.map(|_| self.per_second(|batch| batch.not_in_full, outages));
        let per_year = if outages < ENOUGH {
            estimate::rare(outages as f64, years, self.plan.confidence)
        } else {
            self.ratio(|batch| (batch.outages as f64, f64::from(batch.years)), outages)
        };
        let good: u32 = self.batches.iter().map(|batch| batch.good_years).sum();
        Simulated {
            years: self.plan.years,
            seed: self.plan.seed,
            confidence: self.plan.confidence,
            component_years: years * self.machine.random.len() as f64,
            failures: self.batches.iter().map(|batch| batch.failures).sum(),
            availability: up(down),
            downtime_per_year: down.map(|share| share * YEAR),
            in_full: not_in_full.map(up),
            outages,
            outages_per_year: per_year,
            outage_seconds: self.ratio(|batch| (batch.length, batch.outages as f64), outages),
            lengths: self.tally.lengths.lengths(),
            begun_by: self.begun_by(outages),
            good_years: promised.then(|| estimate::share(f64::from(good), years, self.plan.confidence)),
            unknown: self.machine.unknown.clone(),
        }
    }

    /// A share of the time.
    fn per_second(&self, seconds: impl Fn(&Batch) -> f64, outages: u64) -> Estimate {
        self.ratio(|batch| (seconds(batch), f64::from(batch.years) * YEAR), outages)
    }

    fn ratio(&self, of: impl Fn(&Batch) -> (f64, f64), outages: u64) -> Estimate {
        let estimate = estimate::ratio(self.batches.iter().map(&of), self.plan.confidence);
        if outages < ENOUGH { Estimate { low: None, high: None, ..estimate } } else { estimate }
    }

    fn begun_by(&self, outages: u64) -> Vec<Origin> {
        let length: u128 = self.tally.begun.iter().map(|begun| begun.microseconds).sum();
        let share = |part: f64, all: f64| if all > 0.0 { part / all } else { 0.0 };
        let mut origins: Vec<Origin> = self
            .tally
            .begun
            .iter()
            .zip(&self.machine.causes)
            .filter(|(begun, _)| begun.outages > 0)
            .map(|(begun, cause)| Origin {
                cause: cause.clone(),
                outages: begun.outages,
                share: share(begun.outages as f64, outages as f64),
                share_of_downtime: share(begun.microseconds as f64, length as f64),
            })
            .collect();
        origins.sort_by(|one, other| other.outages.cmp(&one.outages).then_with(|| one.cause.cmp(&other.cause)));
        origins
    }
}

/// Of the share of time in which something does not work, the share in which it does.
fn up(down: Estimate) -> Estimate {
    let up = |down: Option<f64>| down.map(|down| (1.0 - down).clamp(0.0, 1.0));
    Estimate { value: up(down.value), low: up(down.high), high: up(down.low) }
}
