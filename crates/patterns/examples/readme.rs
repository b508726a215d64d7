//! The call of the README, word for word.
//!
//! ```text
//! cargo run -p shaketable-patterns --example readme
//! ```
//!
//! There is no `users.internal` where you are: `http_proxy=http://localhost:8080` sends it to a server of yours.

#![expect(clippy::print_stdout, reason = "it is what an example is for")]

use std::time::Duration;

use patterns::{Breaker, Bulkhead, Class, Context, Pipeline, Retry, fallback::StaleCache};

/// What is worth another attempt, and what is the dependency's fault? You say so once, for all strategies.
fn judge(result: Result<&String, &reqwest::Error>) -> Class {
    match result {
        Ok(_) => Class::Success,
        Err(error) => match error.status() {
            Some(status) => Class::of_http_status(status.as_u16(), None),
            None if error.is_connect() => Class::not_executed(),
            None => Class::transient(),
        },
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Once, at the start. Clones are the same pipeline: one breaker, one bulkhead.
    let users = Pipeline::builder("users")
        .overall_timeout(Duration::from_secs(3))
        .retry(Retry::exponential(Duration::from_millis(100)))
        .breaker(Breaker::failure_rate(0.5).open_for(Duration::from_secs(10)))
        .bulkhead(Bulkhead::of(20).queue(20, Duration::from_millis(200)))
        .attempt_timeout(Duration::from_secs(1))
        .build()?
        .classify(judge)
        .fallback(StaleCache::new(1000, Duration::from_secs(300)));

    // For each call: may it be made twice, and what is asked for?
    let client = reqwest::Client::new();
    let context = Context::idempotent().key("ada");
    let body = users
        .call(&context, |_attempt| {
            let request = client.get("http://users.internal/ada");
            async move { request.send().await?.error_for_status()?.text().await }
        })
        .await?;
    println!("{body}");
    Ok(())
}
