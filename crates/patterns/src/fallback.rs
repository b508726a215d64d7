//! Fallback: something to give in place of a failure.
//!
//! A default ([`Value`]), another call ([`Call`]), or the last good answer while it is not too old ([`StaleCache`], the
//! `stale-if-error` of [RFC 5861][rfc], section 4).
//!
//! [rfc]: https://www.rfc-editor.org/rfc/rfc5861#section-4

use std::{
    collections::HashMap,
    fmt,
    future::{Future, ready},
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use crate::{
    clock::Moment,
    context::Context,
    error::Error,
    sync::{Mutex, lock},
};

/// Gives something in place of a failure, if it has anything.
pub trait Fallback<T, E> {
    /// Whether it ever gives anything.
    const GIVES: bool = true;

    /// A call succeeded with this value, which is as of this moment or later.
    fn succeeded(&self, _context: &Context, _value: &T, _now: Moment) {}

    /// What to give in place of the error, or in place of an `Ok` that was classified as a failure (then there is no
    /// error). `None` leaves the failure as it is.
    fn instead(
        &self,
        context: &Context,
        error: Option<&Error<E>>,
        now: Moment,
    ) -> impl Future<Output = Option<T>> + Send;
}

/// No fallback.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFallback;

impl<T: Send, E> Fallback<T, E> for NoFallback {
    const GIVES: bool = false;

    fn instead(&self, _: &Context, _: Option<&Error<E>>, _: Moment) -> impl Future<Output = Option<T>> + Send {
        ready(None)
    }
}

/// Always the same value.
#[derive(Clone, Copy, Debug)]
pub struct Value<T>(pub T);

impl<T: Clone + Send, E> Fallback<T, E> for Value<T> {
    fn instead(&self, _: &Context, _: Option<&Error<E>>, _: Moment) -> impl Future<Output = Option<T>> + Send {
        ready(Some(self.0.clone()))
    }
}

/// What another call brings: another region, a simpler query. It is not limited in time by the pipeline, whose overall
/// timeout may be over; give it a pipeline of its own.
#[derive(Clone, Copy, Debug)]
pub struct Call<F>(pub F);

impl<T, E, F, Fut> Fallback<T, E> for Call<F>
where
    F: Fn(&Context) -> Fut,
    Fut: Future<Output = Option<T>> + Send,
{
    fn instead(&self, context: &Context, _: Option<&Error<E>>, _: Moment) -> impl Future<Output = Option<T>> + Send {
        (self.0)(context)
    }
}

/// The last good answer to a call with the same key ([`Context::key`]), while it is not too old. Clones share it.
///
/// Calls without a key are neither remembered nor answered. It keeps `capacity` answers at most; past that the oldest go.
pub struct StaleCache<T> {
    shared: Arc<Shards<T>>,
    max_staleness: Duration,
}

/// Answers by key, each with the moment it came.
type Shard<T> = Mutex<HashMap<Box<str>, (T, Moment)>>;

struct Shards<T> {
    shards: Vec<Shard<T>>,
    hasher: RandomState,
    /// Of each shard.
    capacity: usize,
}

/// Enough that two threads seldom want the same one.
const SHARDS: usize = 16;

impl<T> StaleCache<T> {
    /// An empty cache of so many answers, each good for so long.
    #[must_use]
    pub fn new(capacity: usize, max_staleness: Duration) -> Self {
        let shards = Shards {
            shards: (0..SHARDS).map(|_| Mutex::new(HashMap::new())).collect(),
            hasher: RandomState::new(),
            capacity: capacity.div_ceil(SHARDS).max(1),
        };
        Self { shared: Arc::new(shards), max_staleness }
    }

    /// How many answers it keeps at present.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Whether it keeps none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, key: &str) -> &Shard<T> {
        #[expect(clippy::cast_possible_truncation, reason = "any bits of the hash will do")]
        let hash = self.shared.hasher.hash_one(key) as usize;
        &self.shared.shards[hash % SHARDS]
    }
}

impl<T: Clone> StaleCache<T> {
    /// Remembers an answer.
    pub fn remember(&self, key: &str, value: T, now: Moment) {
        let mut shard = lock(self.shard(key));
        if let Some(entry) = shard.get_mut(key) {
            *entry = (value, now);
            return;
        }
        if shard.len() >= self.shared.capacity
            && let Some(oldest) = shard.iter().min_by_key(|(_, (_, at))| *at).map(|(key, _)| key.clone())
        {
            shard.remove(&oldest);
        }
        shard.insert(key.into(), (value, now));
    }

    /// The answer of this key and how old it is, unless it is too old.
    #[must_use]
    pub fn recall(&self, key: &str, now: Moment) -> Option<(T, Duration)> {
        let shard = lock(self.shard(key));
        let (value, at) = shard.get(key)?;
        let age = now.since(*at);
        (age <= self.max_staleness).then(|| (value.clone(), age))
    }
}

impl<T: Clone + Send, E> Fallback<T, E> for StaleCache<T> {
    fn succeeded(&self, context: &Context, value: &T, now: Moment) {
        if let Some(key) = context.get_key() {
            self.remember(key, value.clone(), now);
        }
    }

    fn instead(&self, context: &Context, _: Option<&Error<E>>, now: Moment) -> impl Future<Output = Option<T>> + Send {
        ready(context.get_key().and_then(|key| self.recall(key, now)).map(|(value, _)| value))
    }
}

impl<T> Clone for StaleCache<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), max_staleness: self.max_staleness }
    }
}

impl<T> fmt::Debug for StaleCache<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("StaleCache")
            .field("answers", &self.len())
            .field("max_staleness", &self.max_staleness)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_good_until_it_is_too_old() {
        let cache = StaleCache::new(10, Duration::from_secs(60));
        cache.remember("a", 1, Moment::ZERO);
        let at = |second: u64| cache.recall("a", Moment::from_millis(second * 1000));
        assert_eq!(at(60), Some((1, Duration::from_secs(60))));
        assert_eq!(at(61), None);
        cache.remember("a", 2, Moment::from_millis(61_000));
        assert_eq!(at(61), Some((2, Duration::ZERO)));
        assert_eq!(cache.recall("b", Moment::ZERO), None);
    }

    #[test]
    fn the_oldest_answers_go_first_and_never_more_are_kept_than_was_said() {
        let cache = StaleCache::new(SHARDS, Duration::from_secs(60));
        for number in 0..1000_u64 {
            cache.remember(&number.to_string(), number, Moment::from_millis(number));
        }
        assert!(cache.len() <= SHARDS);
        assert!(cache.recall("999", Moment::from_millis(1000)).is_some());
    }
}
