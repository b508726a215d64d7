//! Load shedding: refusing early what could not be done in time anyway, the least important first.
//!
//! After *Site Reliability Engineering*, chapters [21][overload] (criticality) and 22. It counts calls that are anywhere in
//! the pipeline, pausing between attempts and waiting in queues included; a [bulkhead](crate::Bulkhead) counts only those
//! the dependency is working on, and its queue can be controlled by its delay
//! ([`Bulkhead::controlled_delay`](crate::Bulkhead::controlled_delay)).
//!
//! [overload]: https://sre.google/sre-book/handling-overload/

use crate::{
    context::Priority,
    error::{InvalidOption, Rejected},
    sync::{AtomicU32, Ordering},
};

/// How much may be under way before calls are refused.
///
/// ```
/// use patterns::Shed;
///
/// // From 400 calls under way on, sheddable ones are refused, from 800 on normal ones, from 1000 on all.
/// let shed = Shed::at(1000).normal(0.8).sheddable(0.4);
/// assert!(shed.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Shed {
    /// How many calls may be under way: at least 1.
    pub max_in_flight: u32,
    /// Up to which part of them [`Priority::Normal`] calls are let in: above 0, at most 1.
    pub normal: f64,
    /// Up to which part of them [`Priority::Sheddable`] calls are let in: above 0, at most `normal`.
    pub sheddable: f64,
}

impl Shed {
    /// So many calls; the last tenth is for critical ones, and sheddable ones get no more than half.
    #[must_use]
    pub const fn at(calls: u32) -> Self {
        Self { max_in_flight: calls, normal: 0.9, sheddable: 0.5 }
    }

    /// Lets in normal calls up to this part.
    #[must_use]
    pub const fn normal(mut self, part: f64) -> Self {
        self.normal = part;
        self
    }

    /// Lets in sheddable calls up to this part.
    #[must_use]
    pub const fn sheddable(mut self, part: f64) -> Self {
        self.sheddable = part;
        self
    }

    /// Checks that the options make sense.
    ///
    /// # Errors
    ///
    /// The first option that does not.
    pub fn validate(&self) -> Result<(), InvalidOption> {
        if self.max_in_flight == 0 {
            return Err(InvalidOption::new("shed.max_in_flight", 0, "at least 1"));
        }
        if !(self.normal > 0.0 && self.normal <= 1.0) {
            return Err(InvalidOption::new("shed.normal", self.normal, "above 0 and at most 1"));
        }
        if !(self.sheddable > 0.0 && self.sheddable <= self.normal) {
            return Err(InvalidOption::new("shed.sheddable", self.sheddable, "above 0 and at most shed.normal"));
        }
        Ok(())
    }

    /// How many calls may be under way for one of this priority to be let in: at least 1.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most max_in_flight, a u32")]
    fn limit(&self, priority: Priority) -> u32 {
        let part = |part: f64| ((f64::from(self.max_in_flight) * part) as u32).max(1);
        match priority {
            Priority::Critical => self.max_in_flight,
            Priority::Normal => part(self.normal),
            Priority::Sheddable => part(self.sheddable),
        }
    }
}

/// How many calls are under way.
#[derive(Debug, Default)]
pub struct InFlight(AtomicU32);

impl InFlight {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets a call in, which must [`leave`](InFlight::leave).
    ///
    /// # Errors
    ///
    /// [`Rejected::Shed`].
    pub fn enter(&self, shed: &Shed, priority: Priority) -> Result<(), Rejected> {
        let limit = shed.limit(priority);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |calls| (calls < limit).then(|| calls + 1))
            .map(drop)
            .map_err(|_| Rejected::Shed)
    }

    /// A call is over.
    pub fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many calls are under way.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_important_go_first() {
        let (shed, calls) = (Shed::at(10).normal(0.8).sheddable(0.3), InFlight::new());
        let let_in = |priority| (0..20).take_while(|_| calls.enter(&shed, priority).is_ok()).count();
        assert_eq!(let_in(Priority::Sheddable), 3);
        assert_eq!(let_in(Priority::Normal), 5);
        assert_eq!(let_in(Priority::Critical), 2);
        assert_eq!((calls.count(), calls.enter(&shed, Priority::Critical)), (10, Err(Rejected::Shed)));
        calls.leave();
        assert!(calls.enter(&shed, Priority::Normal).is_err() && calls.enter(&shed, Priority::Critical).is_ok());
    }

    #[test]
    fn everybody_is_let_in_when_nothing_is_under_way() {
        let (shed, calls) = (Shed::at(1).sheddable(0.1), InFlight::new());
        assert!(calls.enter(&shed, Priority::Sheddable).is_ok());
    }

    #[test]
    fn wrong_options_are_named() {
        assert_eq!(Shed::at(0).validate().unwrap_err().option, "shed.max_in_flight");
        assert_eq!(Shed::at(1).normal(1.1).validate().unwrap_err().option, "shed.normal");
        assert_eq!(Shed::at(1).normal(0.4).validate().unwrap_err().option, "shed.sheddable");
    }
}
