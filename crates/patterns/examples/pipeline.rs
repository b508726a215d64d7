//! A pipeline around a dependency that fails, breaks down, and comes back; prints every event.
//!
//! ```text
//! cargo run -p shaketable-patterns --example pipeline
//! ```
//!
//! It runs on a virtual clock, so that half a minute of outage takes no time and every run prints the same.

#![expect(clippy::print_stdout, reason = "it is what an example is for")]

use std::{error::Error, time::Duration};

use patterns::{Breaker, Bulkhead, Clock, Context, Event, Jitter, Moment, Pipeline, Retry, VirtualClock};

fn main() -> Result<(), Box<dyn Error>> {
    let clock = VirtualClock::new();
    let users = Pipeline::builder("users")
        .clock(clock.clone())
        .overall_timeout(Duration::from_secs(2))
        .retry(Retry::exponential(Duration::from_millis(100)).jitter(Jitter::Equal))
        .breaker(Breaker::consecutive_failures(5).open_for(Duration::from_secs(10)))
        .bulkhead(Bulkhead::of(20).queue(10, Duration::from_millis(50)))
        .attempt_timeout(Duration::from_millis(500))
        .seed(1)
        .listener(|event: &Event<'_>| {
            println!("{:>6} ms  {:<8} {:?}", event.at.as_millis(), event.kind.severity().as_str(), event.kind);
        })
        .build()?;

    // Away from the fifth second to the twentieth.
    let outage = Moment::from_millis(5_000)..Moment::from_millis(20_000);
    let query = || async {
        clock.sleep_until(clock.now() + Duration::from_millis(30)).await;
        if outage.contains(&clock.now()) { Err("connection refused") } else { Ok("Ada") }
    };
    for second in (0..30).step_by(3) {
        clock.advance_to(Moment::from_millis(second * 1000));
        match clock.run(users.call(&Context::idempotent(), |_| query())) {
            Ok(user) => println!("second {second}: {user}"),
            Err(error) => println!("second {second}: {error}"),
        }
    }
    Ok(())
}
