//! Pipelines on a runtime with threads.

use std::time::Duration;

use patterns::{Breaker, Bulkhead, Context, Error, Pipeline, Retry, fallback::StaleCache};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_spawned_like_any_other_future() {
    let pipeline = Pipeline::builder("spawned")
        .overall_timeout(Duration::from_secs(60))
        .retry(Retry::exponential(Duration::from_millis(1)).max_attempts(5).without_budget())
        .breaker(Breaker::consecutive_failures(10_000))
        .bulkhead(Bulkhead::of(4).queue(1000, Duration::from_secs(60)))
        .attempt_timeout(Duration::from_secs(30))
        .build()
        .unwrap();
    let policy = pipeline.classify(patterns::ErrorsAreTransient).fallback(StaleCache::new(10, Duration::from_secs(1)));
    let calls: Vec<_> = (0..200_u32)
        .map(|number| {
            let policy = policy.clone();
            tokio::spawn(async move {
                let context = Context::idempotent().key("sum");
                policy
                    .call(&context, |attempt| async move {
                        tokio::task::yield_now().await;
                        if attempt.number() < 3 { Err(number) } else { Ok(number) }
                    })
                    .await
            })
        })
        .collect();
    for (number, call) in (0..).zip(calls) {
        let result: Result<u32, Error<u32>> = call.await.unwrap();
        assert_eq!(result, Ok(number));
    }
    let bulkhead = pipeline.status().bulkhead.unwrap();
    assert_eq!((bulkhead.taken, bulkhead.waiting), (0, 0));
}
