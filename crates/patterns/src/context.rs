//! What a call carries through all strategies: deadline, idempotency, priority, tenant and labels.

use std::{sync::Arc, time::Duration};

use crate::clock::Moment;

/// The context of one call, made by the caller and seen by every strategy, listener and attempt.
///
/// Whether the call is idempotent has no default, because a wrong guess either loses retries or books a payment twice:
/// begin with [`Context::idempotent`] or [`Context::not_idempotent`].
///
/// ```
/// use patterns::{Context, Priority};
///
/// let context = Context::idempotent().tenant("acme").priority(Priority::Sheddable).label("request", "7f3a");
/// assert_eq!(context.get("request"), Some("7f3a"));
/// ```
#[derive(Clone, Debug)]
pub struct Context {
    idempotent: bool,
    priority: Priority,
    deadline: Option<Moment>,
    labels: Option<Arc<Labels>>,
}

#[derive(Clone, Debug, Default)]
struct Labels {
    tenant: Option<Arc<str>>,
    key: Option<Arc<str>>,
    others: Vec<(Arc<str>, Arc<str>)>,
}

/// Who goes first when not everybody can: the criticality of *Site Reliability Engineering*, chapter 21.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Work nobody waits for: it is shed first.
    Sheddable,
    /// What is not said to be anything else.
    #[default]
    Normal,
    /// Work whose loss users notice at once: it is shed last.
    Critical,
}

impl Context {
    /// A call that may be made twice with the effect of once: reads, deletions, writes with an idempotency key.
    #[must_use]
    pub const fn idempotent() -> Self {
        Self { idempotent: true, priority: Priority::Normal, deadline: None, labels: None }
    }

    /// A call that must not be made twice. It is retried only after a failure that says the call was never executed
    /// ([`Transient::not_executed`](crate::Transient::not_executed)), and never hedged.
    #[must_use]
    pub const fn not_idempotent() -> Self {
        Self { idempotent: false, priority: Priority::Normal, deadline: None, labels: None }
    }

    /// Nothing this call does may last beyond the moment; deadlines of a pipeline can only be nearer. Hand
    /// [`Attempt::context`] on to the calls an attempt makes, and they share its deadline.
    #[must_use]
    pub fn deadline(mut self, moment: Moment) -> Self {
        self.deadline = Some(self.deadline.map_or(moment, |already| already.min(moment)));
        self
    }

    /// Who goes first when load is shed.
    #[must_use]
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// On whose behalf the call is made.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<Arc<str>>) -> Self {
        self.labels_mut().tenant = Some(tenant.into());
        self
    }

    /// What is asked for: calls with the same key may be answered from the same stale value
    /// ([`StaleCache`](crate::fallback::StaleCache)).
    #[must_use]
    pub fn key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.labels_mut().key = Some(key.into());
        self
    }

    /// Anything else that listeners, classifiers and chaos want to know, such as a request id. A name that is given
    /// again has its last value.
    #[must_use]
    pub fn label(mut self, name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        let (name, value) = (name.into(), value.into());
        let others = &mut self.labels_mut().others;
        match others.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => others.push((name, value)),
        }
        self
    }

    /// Whether the call may be made twice.
    #[must_use]
    pub const fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// Who goes first when load is shed.
    #[must_use]
    pub const fn get_priority(&self) -> Priority {
        self.priority
    }

    /// The moment the call must be over, if the caller said one.
    #[must_use]
    pub const fn get_deadline(&self) -> Option<Moment> {
        self.deadline
    }

    /// On whose behalf the call is made.
    #[must_use]
    pub fn get_tenant(&self) -> Option<&str> {
        self.labels.as_ref()?.tenant.as_deref()
    }

    /// What is asked for.
    #[must_use]
    pub fn get_key(&self) -> Option<&str> {
        self.labels.as_ref()?.key.as_deref()
    }

    /// The value of a label.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.labels.as_ref()?.others.iter().find(|(known, _)| &**known == name).map(|(_, value)| &**value)
    }

    fn labels_mut(&mut self) -> &mut Labels {
        Arc::make_mut(self.labels.get_or_insert_default())
    }
}

/// One attempt of a call, handed to the operation.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    context: &'a Context,
    number: u32,
    hedge: u32,
    started: Moment,
    deadline: Option<Moment>,
}

impl<'a> Attempt<'a> {
    pub(crate) const fn new(
        context: &'a Context,
        number: u32,
        hedge: u32,
        started: Moment,
        deadline: Option<Moment>,
    ) -> Self {
        Self { context, number, hedge, started, deadline }
    }

    /// Which attempt this is, beginning with 1.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.number
    }

    /// Zero for the attempt itself, 1 and up for the hedges sent after it.
    #[must_use]
    pub const fn hedge(self) -> u32 {
        self.hedge
    }

    /// When the attempt began.
    #[must_use]
    pub const fn started(self) -> Moment {
        self.started
    }

    /// When the attempt will be cut off, if ever.
    #[must_use]
    pub const fn deadline(self) -> Option<Moment> {
        self.deadline
    }

    /// How long the attempt may last from its beginning, to be told to the dependency (`grpc-timeout`, a header of
    /// yours), so that it does not work for a caller who has gone.
    #[must_use]
    pub fn time_limit(self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.since(self.started))
    }

    /// The context the caller gave.
    #[must_use]
    pub const fn caller(self) -> &'a Context {
        self.context
    }

    /// The context for calls made by this attempt: that of the caller, with this attempt's deadline.
    #[must_use]
    pub fn context(self) -> Context {
        let context = self.context.clone();
        match self.deadline {
            Some(deadline) => context.deadline(deadline),
            None => context,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_can_only_come_nearer() {
        let context = Context::idempotent().deadline(Moment::from_millis(5)).deadline(Moment::from_millis(9));
        assert_eq!(context.get_deadline(), Some(Moment::from_millis(5)));
    }

    #[test]
    fn a_label_given_twice_has_its_last_value_and_clones_do_not_share_changes() {
        let first = Context::not_idempotent().label("request", "1").tenant("acme");
        let second = first.clone().label("request", "2");
        assert_eq!((first.get("request"), second.get("request")), (Some("1"), Some("2")));
        assert_eq!(second.get_tenant(), Some("acme"));
        assert_eq!(second.get("nothing"), None);
        assert!(!second.is_idempotent());
    }

    #[test]
    fn what_an_attempt_calls_shares_its_deadline() {
        let context = Context::idempotent().deadline(Moment::from_millis(50));
        let attempt = Attempt::new(&context, 1, 0, Moment::from_millis(10), Some(Moment::from_millis(30)));
        assert_eq!(attempt.context().get_deadline(), Some(Moment::from_millis(30)));
        assert_eq!(attempt.time_limit(), Some(Duration::from_millis(20)));
    }
}
