//! Faults on purpose for one tenant, to see what the pipeline makes of them; nobody else notices.
//!
//! ```text
//! cargo run -p shaketable-patterns --example chaos
//! ```

#![expect(clippy::print_stdout, reason = "it is what an example is for")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use patterns::{Chaos, Context, InvalidOption, Pipeline, Retry, VirtualClock, retry::Budget};

fn main() -> Result<(), InvalidOption> {
    let on = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&on);
    let faults = Chaos::none().errors(0.3).latency(0.2, Duration::from_millis(100), Duration::from_millis(400));
    let clock = VirtualClock::new();
    let orders = Pipeline::builder("orders")
        .clock(clock.clone())
        .seed(1)
        .retry(Retry::exponential(Duration::from_millis(50)).budget(Budget { burst: 50, ..Budget::standard() }))
        .attempt_timeout(Duration::from_millis(300))
        .chaos_when(move |context| {
            (switch.load(Ordering::Relaxed) && context.get_tenant() == Some("canary")).then_some(faults)
        })
        .build()?;
    let succeeded = |tenant: &'static str| {
        let context = Context::idempotent().tenant(tenant);
        let call = || clock.run(orders.call(&context, |_| async { Ok::<_, &str>("shipped") }));
        (0..100).filter(|_| call().is_ok()).count()
    };
    for switched in [false, true] {
        on.store(switched, Ordering::Relaxed);
        let [canary, acme] = ["canary", "acme"].map(succeeded);
        println!("chaos {switched:<5}: of 100 calls succeed {canary:>3} of canary, {acme:>3} of acme");
    }
    Ok(())
}
