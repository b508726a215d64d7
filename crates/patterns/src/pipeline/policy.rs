//! A pipeline for one kind of result: with a judgement of results, and something to give in place of a failure.

use std::future::Future;

use super::{
    Pipeline,
    call::{self, Judge},
};
use crate::{
    clock::{Clock, DefaultClock},
    context::{Attempt, Context},
    error::Error,
    event::{Event, Kind, Outcome},
    fallback::{Fallback, NoFallback},
    outcome::{Class, Classify, ErrorsAreTransient},
};

/// A pipeline with a judgement of results ([`Classify`]), a [`Fallback`], and results for [chaos](crate::chaos) to make
/// up. Made by [`Pipeline::classify`].
#[derive(Clone, Debug)]
pub struct Policy<C: Clock = DefaultClock, K = ErrorsAreTransient, B = NoFallback, M = NothingMadeUp> {
    pipeline: Pipeline<C>,
    classify: K,
    fallback: B,
    made_up: M,
}

impl<C: Clock, K> Policy<C, K> {
    pub(super) const fn new(pipeline: Pipeline<C>, classify: K) -> Self {
        Self { pipeline, classify, fallback: NoFallback, made_up: NothingMadeUp }
    }
}

impl<C: Clock, K, B, M> Policy<C, K, B, M> {
    /// Gives something else in place of a failure or a refusal. Not in place of a result that is
    /// [`Invalid`](Class::Invalid): that is an answer.
    pub fn fallback<N>(self, fallback: N) -> Policy<C, K, N, M> {
        let Self { pipeline, classify, fallback: _, made_up } = self;
        Policy { pipeline, classify, fallback, made_up }
    }

    /// Lets chaos make up results with a closure `Fn(&Context) -> Result<T, E>`, at its
    /// [`outcome_rate`](crate::Chaos::outcome_rate).
    pub fn made_up<N>(self, made_up: N) -> Policy<C, K, B, N> {
        let Self { pipeline, classify, fallback, made_up: _ } = self;
        Policy { pipeline, classify, fallback, made_up }
    }

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
        M: MakeUp<T, E>,
    {
        let inner = &*self.pipeline.inner;
        let judge = Judge { classify: &self.classify, made_up: &self.made_up };
        let ended = call::run(inner, &judge, context, &operation).await;
        if let (Outcome::Done(Class::Success), Ok(value)) = (ended.outcome, &ended.result) {
            self.fallback.succeeded(context, value, ended.at);
        }
        if !B::GIVES || !wants_fallback(ended.outcome) {
            return ended.result;
        }
        let instead = self.fallback.instead(context, ended.result.as_ref().err(), ended.at).await;
        let kind = Kind::Fallback { served: instead.is_some() };
        let event = Event { pipeline: &inner.name, context: Some(context), at: inner.clock.now(), kind };
        inner.live.load().listeners.tell(&event);
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

/// Makes up results for [chaos](crate::chaos). Closures `Fn(&Context) -> Result<T, E>` do, as does [`NothingMadeUp`].
pub trait MakeUp<T, E> {
    /// A result, if it makes up any.
    fn make_up(&self, context: &Context) -> Option<Result<T, E>>;
}

impl<T, E, F: Fn(&Context) -> Result<T, E>> MakeUp<T, E> for F {
    fn make_up(&self, context: &Context) -> Option<Result<T, E>> {
        Some(self(context))
    }
}

/// Makes up no results.
#[derive(Clone, Copy, Debug, Default)]
pub struct NothingMadeUp;

impl<T, E> MakeUp<T, E> for NothingMadeUp {
    fn make_up(&self, _: &Context) -> Option<Result<T, E>> {
        None
    }
}
