//! Pipelines as [tower](https://docs.rs/tower) layers.
//!
//! The layer makes each attempt on a clone of the service with a clone of the request, and waits for that clone to be
//! ready within the attempt: readiness is part of what is timed, limited and counted. So the service in front is always
//! ready, and there is no place for a `Buffer` or a `ConcurrencyLimit` to be taken and not given back.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context as Task, Poll},
};

use tower_layer::Layer;
use tower_service::Service;

use crate::{
    clock::{Clock, DefaultClock},
    context::Context,
    error::Error,
    fallback::{Fallback, NoFallback},
    outcome::{Classify, ErrorsAreTransient},
    pipeline::{MakeUp, NothingMadeUp, Pipeline, Policy},
};

/// Puts a pipeline around a service.
///
/// The second argument says of each request which [`Context`] its call has; above all, whether it may be made twice.
///
/// ```
/// use patterns::{Context, ErrorsAreTransient, Pipeline, Retry, tower::PipelineLayer};
/// use std::time::Duration;
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let pipeline = Pipeline::builder("users").retry(Retry::exponential(Duration::from_millis(10))).build()?;
/// let mut service = ServiceBuilder::new()
///     .layer(PipelineLayer::new(pipeline.classify(ErrorsAreTransient), |_: &String| Context::idempotent()))
///     .service(service_fn(|name: String| async move { Ok::<_, std::io::Error>(format!("hello {name}")) }));
/// assert_eq!(service.ready().await?.call("Ada".into()).await?, "hello Ada");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PipelineLayer<X, C: Clock = DefaultClock, K = ErrorsAreTransient, B = NoFallback, M = NothingMadeUp> {
    shared: Arc<Shared<X, C, K, B, M>>,
}

struct Shared<X, C: Clock, K, B, M> {
    policy: Policy<C, K, B, M>,
    context: X,
}

/// A service with a pipeline around it. Made by [`PipelineLayer`].
pub struct PipelineService<S, X, C: Clock = DefaultClock, K = ErrorsAreTransient, B = NoFallback, M = NothingMadeUp> {
    inner: S,
    shared: Arc<Shared<X, C, K, B, M>>,
}

impl<X, C: Clock, K, B, M> PipelineLayer<X, C, K, B, M> {
    /// A layer of this policy; `context` says which context the call for a request has.
    pub fn new<Request>(policy: Policy<C, K, B, M>, context: X) -> Self
    where
        X: Fn(&Request) -> Context,
    {
        Self { shared: Arc::new(Shared { policy, context }) }
    }

    /// The pipeline.
    #[must_use]
    pub fn pipeline(&self) -> &Pipeline<C> {
        self.shared.policy.pipeline()
    }
}

impl<S, X, C: Clock, K, B, M> Layer<S> for PipelineLayer<X, C, K, B, M> {
    type Service = PipelineService<S, X, C, K, B, M>;

    fn layer(&self, inner: S) -> Self::Service {
        PipelineService { inner, shared: Arc::clone(&self.shared) }
    }
}

impl<S, X, C, K, B, M, Request> Service<Request> for PipelineService<S, X, C, K, B, M>
where
    S: Service<Request> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Response: Send + Sync + 'static,
    S::Error: Send + Sync + 'static,
    Request: Clone + Send + Sync + 'static,
    C: Clock,
    X: Fn(&Request) -> Context + Send + Sync + 'static,
    K: Classify<S::Response, S::Error> + Send + Sync + 'static,
    B: Fallback<S::Response, S::Error> + Send + Sync + 'static,
    M: MakeUp<S::Response, S::Error> + Send + Sync + 'static,
{
    type Response = S::Response;
    type Error = Error<S::Error>;
    /// Boxed: that is the one allocation of a call.
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, Error<S::Error>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (inner, shared) = (self.inner.clone(), Arc::clone(&self.shared));
        Box::pin(async move {
            let context = (shared.context)(&request);
            let attempt = |_| {
                let (mut service, request) = (inner.clone(), request.clone());
                async move {
                    poll_fn(|task| service.poll_ready(task)).await?;
                    service.call(request).await
                }
            };
            shared.policy.call(&context, attempt).await
        })
    }
}

impl<X, C: Clock, K, B, M> Clone for PipelineLayer<X, C, K, B, M> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S: Clone, X, C: Clock, K, B, M> Clone for PipelineService<S, X, C, K, B, M> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<X, C: Clock, K, B, M> fmt::Debug for PipelineLayer<X, C, K, B, M> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("PipelineLayer").field(self.pipeline()).finish()
    }
}

impl<S: fmt::Debug, X, C: Clock, K, B, M> fmt::Debug for PipelineService<S, X, C, K, B, M> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("PipelineService").field(&self.inner).field(self.shared.policy.pipeline()).finish()
    }
}
