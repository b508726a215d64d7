//! What a hedge does to the slowest answers: the same dependency with and without, in a thousand calls.
//!
//! ```text
//! cargo run -p shaketable-patterns --example hedge
//! ```

#![expect(clippy::print_stdout, reason = "it is what an example is for")]

use std::{cell::Cell, time::Duration};

use patterns::{
    Clock, Context, Hedge, InvalidOption, Pipeline, VirtualClock,
    random::{Random, SplitMix64},
    retry::Budget,
};

fn main() -> Result<(), InvalidOption> {
    let hedge = Hedge::at_percentile(0.95, Duration::from_millis(50));
    let budget = Budget { ratio_permille: 100, min_per_second: 1, burst: 10 };
    for (name, hedge) in [("without", None), ("with", Some(hedge.budget(budget)))] {
        let clock = VirtualClock::new();
        let mut builder = Pipeline::builder("search").clock(clock.clone());
        if let Some(hedge) = hedge {
            builder = builder.hedge(hedge);
        }
        let search = builder.build()?;
        // 10 to 20 ms, and one answer in thirty takes half a second.
        let random = SplitMix64::seeded(42);
        let requests = Cell::new(0_u32);
        let ask = || async {
            requests.set(requests.get() + 1);
            let slow = (&random).unit() < 1.0 / 30.0;
            let answer = if slow { 0.5 } else { 0.01 + 0.01 * (&random).unit() };
            clock.sleep_until(clock.now() + Duration::from_secs_f64(answer)).await;
            Ok::<_, &str>(())
        };
        let mut latencies: Vec<Duration> = (0..1000)
            .map(|_| {
                let start = clock.now();
                let answered = clock.run(search.call(&Context::idempotent(), |_| ask()));
                assert!(answered.is_ok(), "nothing here fails");
                clock.now().since(start)
            })
            .collect();
        latencies.sort_unstable();
        let [median, slowest] = [500, 989].map(|at| latencies[at].as_secs_f64() * 1000.0);
        println!("{name:<8} hedge: p50 {median:>5.1} ms, p99 {slowest:>5.1} ms, {} requests", requests.get());
    }
    Ok(())
}
