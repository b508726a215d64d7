//! Pipelines as tower layers, under tokio's stopped clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use patterns::{
    Breaker, Context, Error, ErrorsAreTransient, Jitter, Pipeline, Rejected, Retry, fallback::Value,
    tower::PipelineLayer,
};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

fn pipeline() -> Pipeline {
    Pipeline::builder("tower")
        .retry(Retry::exponential(Duration::from_millis(10)).jitter(Jitter::None))
        .breaker(Breaker::consecutive_failures(4))
        .attempt_timeout(Duration::from_secs(1))
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn requests_are_repeated_cut_off_and_refused() {
    let calls = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&calls);
    // The first request fails, the second hangs, the third is answered; then all fail.
    let dependency = service_fn(move |name: &'static str| {
        let number = seen.fetch_add(1, Ordering::Relaxed);
        async move {
            match number {
                1 => std::future::pending().await,
                2 => Ok(name),
                _ => Err("broken"),
            }
        }
    });
    let layer = PipelineLayer::new(pipeline().classify(ErrorsAreTransient), |_: &&'static str| Context::idempotent());
    let mut service = ServiceBuilder::new().layer(layer.clone()).service(dependency);
    assert_eq!(service.ready().await.unwrap().call("Ada").await, Ok("Ada"));
    assert_eq!(service.call("Ada").await, Err(Error::Failed("broken")));
    let refused = service.call("Ada").await;
    assert!(matches!(refused, Err(Error::Rejected(Rejected::BreakerOpen { .. }))), "{refused:?}");
    assert_eq!(calls.load(Ordering::Relaxed), 7, "three, three, and one that opened the breaker");
    assert!(layer.pipeline().status().breaker.is_some());
}

#[tokio::test(start_paused = true)]
async fn the_request_says_whether_it_may_be_repeated_and_a_fallback_answers() {
    let calls = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&calls);
    let dependency = service_fn(move |_: bool| {
        seen.fetch_add(1, Ordering::Relaxed);
        async { Err::<&str, _>("broken") }
    });
    let context = |get: &bool| if *get { Context::idempotent() } else { Context::not_idempotent() };
    let policy = pipeline().classify(ErrorsAreTransient).fallback(Value("default"));
    let mut service = ServiceBuilder::new().layer(PipelineLayer::new(policy, context)).service(dependency);
    assert_eq!(service.call(false).await, Ok("default"));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(service.call(true).await, Ok("default"));
    assert_eq!(calls.load(Ordering::Relaxed), 4);
}
