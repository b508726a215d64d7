//! A pipeline for one kind of result: with a judgement of results, and something to give in place of a failure.

use std::future::Future;

use super::{Pipeline, call};
use crate::{
    clock::{Clock, DefaultClock},
    context::{Attempt, Context},
    error::Error,
    event::{Event, Kind, Outcome},
    fallback::{Fallback, NoFallback},
    outcome::{Class, Classify},
};

/// A pipeline with a judgement of results ([`Classify`]) and a [`Fallback`]. Made by [`Pipeline::classify`].
#[derive(Clone, Debug)]
pub struct Policy<C: Clock = DefaultClock, K = crate::ErrorsAreTransient, B = NoFallback> {
    pipeline: Pipeline<C>,
    classify: K,
    fallback: B,
}

impl<C: Clock, K> Policy<C, K> {
    pub(super) const fn new(pipeline: Pipeline<C>, classify: K) -> Self {
        Self { pipeline, classify, fallback: NoFallback }
    }

    /// Gives something else in place of a failure or a refusal. Not in place of a result that is
    /// [`Invalid`](Class::Invalid): that is an answer.
    pub fn fallback<B>(self, fallback: B) -> Policy<C, K, B> {
        Policy { pipeline: self.pipeline, classify: self.classify, fallback }
    }
}

impl<C: Clock, K, B> Policy<C, K, B> {
    /// The pipeline.
    #[must_use]
    pub const fn pipeline(&self) -> &Pipeline<C> {
        &self.pipeline
    }

    /// Makes a call, as [`Pipeline::call`] does.
    ///
    /// # Errors
    ///
    /// The operation's error from its last attempt, or the refusal of a strategy, if the fallback has nothing to give.
    pub async fn call<'a, T, E, F, Fut>(&self, context: &'a Context, operation: F) -> Result<T, Error<E>>
    where
        F: Fn(Attempt<'a>) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        K: Classify<T, E>,
        B: Fallback<T, E>,
    {
        let inner = &*self.pipeline.inner;
        let ended = call::run(inner, &self.classify, context, &operation).await;
        if let (Outcome::Done(Class::Success), Ok(value)) = (ended.outcome, &ended.result) {
            self.fallback.succeeded(context, value, ended.at);
        }
        if !B::GIVES || !wants_fallback(ended.outcome) {
            return ended.result;
        }
        let instead = self.fallback.instead(context, ended.result.as_ref().err(), ended.at).await;
        let kind = Kind::Fallback { served: instead.is_some() };
        let live = inner.live.load();
        live.listeners.tell(&Event { pipeline: &inner.name, context: Some(context), at: inner.clock.now(), kind });
        instead.map_or(ended.result, Ok)
    }
}

const fn wants_fallback(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Done(class) => class.is_failure(),
        Outcome::TimedOut(_) | Outcome::Rejected(_) | Outcome::Injected => true,
        Outcome::Cancelled => false,
    }
}
