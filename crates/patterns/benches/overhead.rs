//! What a call through a pipeline costs, beside the bare call, tower, tower-resilience and backon; in one run.
//!
//! ```text
//! cargo bench -p shaketable-patterns
//! cargo bench -p shaketable-patterns -- listener     # only contestants with this in their name, and only one thread
//! ```
//!
//! Contestants take turns, round by round, and each has its best round counted: what else the machine does hits all of
//! them, and the best round least. *Ready* calls end when first asked; *pending* ones wait once, as every real call does,
//! so that timeouts need their timer. Allocations are counted, not timed.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and stops when it cannot go on")]

use std::{
    future::{Future, Ready},
    hint::{black_box, spin_loop},
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use backon::Retryable;
use patterns::{
    Breaker, Bulkhead, Clock, Context, ErrorsAreTransient, Event, Pipeline, Retry, TokioClock, metrics::Metrics,
    pipeline::Builder, tower::PipelineLayer, trace::Tracing,
};
use tokio::runtime::Runtime;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, retry::Policy, service_fn};
use tower_resilience::{
    bulkhead::BulkheadLayer, circuitbreaker::CircuitBreakerLayer, retry::RetryLayer, timelimiter::TimeLimiterLayer,
};

/// Calls of one round: about a millisecond to ten.
const CALLS: u32 = 20_000;
/// Enough that each contestant meets a quiet moment.
const ROUNDS: u32 = 25;

/// Rounds with threads are short and many: all of them must meet the quiet moment at once.
const SHORT_CALLS: u32 = 5_000;
const SHORT_ROUNDS: u32 = 200;

const SECOND: Duration = Duration::from_secs(1);
static CONTEXT: Context = Context::idempotent();

#[derive(Clone, Copy, Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("broken")
    }
}

impl std::error::Error for Broken {}

/// The call: ready at once, or after one wait.
async fn work(pending: bool) -> Result<u32, Broken> {
    if pending {
        tokio::task::yield_now().await;
    }
    Ok(black_box(1))
}

type Run = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()>>>>;

struct Contestant {
    name: &'static str,
    run: Run,
    /// Nanoseconds per call, in the best round.
    best: f64,
    allocations: f64,
}

/// A contestant whose round is `CALLS` times the expression.
macro_rules! contestant {
    ($name:expr, $state:expr, |$each:pat_param| $call:expr) => {{
        let state = $state;
        let run: Run = Box::new(move || {
            let $each = state.clone();
            Box::pin(async move {
                for _ in 0..CALLS {
                    assert!(black_box($call).is_ok(), "nothing fails here");
                }
            })
        });
        Contestant { name: $name, run, best: f64::INFINITY, allocations: 0.0 }
    }};
}

fn builder() -> Builder {
    Pipeline::builder("bench")
}

fn retry() -> Retry {
    Retry::exponential(Duration::from_millis(100))
}

fn full() -> Builder {
    builder()
        .retry(retry())
        .breaker(Breaker::failure_rate(0.5).last_calls(100))
        .bulkhead(Bulkhead::of(100))
        .attempt_timeout(SECOND)
}

fn pipeline(name: &'static str, builder: Builder, pending: bool) -> Contestant {
    contestant!(name, builder.build().unwrap(), |pipeline| pipeline.call(&CONTEXT, |_| work(pending)).await)
}

/// tower's retry never retries here; that it asks is what is measured.
#[derive(Clone)]
struct Never;

impl Policy<(), u32, BoxError> for Never {
    type Future = Ready<()>;

    fn retry(&mut self, (): &mut (), _: &mut Result<u32, BoxError>) -> Option<Ready<()>> {
        None
    }

    fn clone_request(&mut self, (): &()) -> Option<()> {
        Some(())
    }
}

fn contestants(pending: bool) -> Vec<Contestant> {
    let tower = ServiceBuilder::new()
        .retry(Never)
        .concurrency_limit(100)
        .timeout(SECOND)
        .service(service_fn(move |()| work(pending)));
    let breaker = CircuitBreakerLayer::builder().failure_rate_threshold(0.5).sliding_window_size(100).build().unwrap();
    let resilience = ServiceBuilder::new()
        .layer(RetryLayer::builder().max_attempts(3).exponential_backoff(Duration::from_millis(100)).build())
        .layer(breaker)
        .layer(BulkheadLayer::builder().max_concurrent_calls(100).build().unwrap())
        .layer(TimeLimiterLayer::builder().timeout_duration(SECOND).build())
        .service(service_fn(move |()| work(pending)));
    let layered = ServiceBuilder::new()
        .layer(PipelineLayer::new(full().build().unwrap().classify(ErrorsAreTransient), |(): &()| CONTEXT.clone()))
        .service(service_fn(move |()| work(pending)));
    let backoff = backon::ExponentialBuilder::default();
    let busy = full().listener(|event: &Event<'_>| {
        black_box(event.kind.severity());
    });
    vec![
        contestant!(BARE, (), |()| work(pending).await),
        contestant!("one look at the clock", (), |()| Ok::<_, Broken>(TokioClock.now())),
        pipeline("patterns: no strategy", builder(), pending),
        pipeline("patterns: timeout", builder().attempt_timeout(SECOND), pending),
        pipeline("patterns: retry", builder().retry(retry()), pending),
        contestant!("backon: retry", backoff, |backoff| (|| work(pending)).retry(backoff).await),
        pipeline("patterns: breaker (rate)", builder().breaker(Breaker::failure_rate(0.5)), pending),
        pipeline("patterns: breaker (consecutive)", builder().breaker(Breaker::consecutive_failures(5)), pending),
        pipeline("patterns: bulkhead", builder().bulkhead(Bulkhead::of(100)), pending),
        pipeline(FULL, full(), pending),
        pipeline("patterns: all four, with a listener", busy, pending),
        pipeline("patterns: all four, with metrics as listener", full().listener(Metrics::new()), pending),
        pipeline("patterns: all four, with tracing as listener", full().listener(Tracing), pending),
        contestant!("patterns: all four, as a tower layer", layered, |mut service| service
            .ready()
            .await
            .unwrap()
            .call(())
            .await),
        contestant!("tower: all but the breaker", tower, |mut service| service.ready().await.unwrap().call(()).await),
        contestant!(RESILIENCE, resilience, |mut service| service.ready().await.unwrap().call(()).await),
    ]
}

const BARE: &str = "bare call";
const FULL: &str = "patterns: timeout + retry + breaker + bulkhead";
const RESILIENCE: &str = "tower-resilience: all four";

fn contest(runtime: &Runtime, pending: bool, only: &str) -> Vec<Contestant> {
    let mut contestants = contestants(pending);
    contestants.retain(|contestant| [BARE, FULL].contains(&contestant.name) || contestant.name.contains(only));
    for contestant in &mut contestants {
        let info = allocation_counter::measure(|| runtime.block_on((contestant.run)()));
        // The round itself is boxed once.
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let allocations = info.count_total.saturating_sub(1) as f64;
        contestant.allocations = (allocations / f64::from(CALLS) * 100.0).round() / 100.0;
    }
    for _ in 0..ROUNDS {
        for contestant in &mut contestants {
            let start = Instant::now();
            runtime.block_on((contestant.run)());
            let nanos = start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS);
            contestant.best = contestant.best.min(nanos);
        }
    }
    contestants
}

fn print(title: &str, contestants: &[Contestant]) -> f64 {
    let bare = of(contestants, BARE).best;
    let all = of(contestants, FULL);
    println!("\n{title:<48} {:>9} {:>12} {:>13} {:>12}", "ns/call", "over bare", "of patterns", "allocations");
    for Contestant { name, best, allocations, .. } in contestants {
        let over = best - bare;
        println!("{name:<48} {best:>9.1} {over:>12.1} {:>12.2}x {allocations:>12.2}", over / (all.best - bare));
    }
    all.best - bare
}

fn of<'c>(contestants: &'c [Contestant], name: &str) -> &'c Contestant {
    contestants.iter().find(|contestant| contestant.name == name).unwrap()
}

/// A call that works for about a microsecond, as one that reads a small answer does.
async fn busy_work() -> Result<u32, Broken> {
    Ok((0..1000_u32).fold(1, |sum, number| black_box(sum.wrapping_mul(31).wrapping_add(number))))
}

/// Calls per second and thread, of so many threads on one pipeline, in the best round. A round lasts from when the first
/// thread begins to when the last has ended, so that one in which they took turns is not taken for one without contention.
fn throughput(threads: usize, round: &(impl Fn(&Runtime) + Sync)) -> f64 {
    let fastest = (0..SHORT_ROUNDS).map(|_| {
        let here = AtomicUsize::new(0);
        let timed = || {
            let runtime = runtime();
            // Not a barrier of the operating system: to be woken by one takes a good part of a round.
            here.fetch_add(1, Ordering::SeqCst);
            while here.load(Ordering::SeqCst) < threads {
                spin_loop();
            }
            let start = Instant::now();
            round(&runtime);
            (start, Instant::now())
        };
        thread::scope(|scope| {
            let mut running = Vec::new();
            for _ in 0..threads {
                running.push(scope.spawn(timed));
            }
            let (starts, ends): (Vec<_>, Vec<_>) = running.into_iter().map(|thread| thread.join().unwrap()).unzip();
            *ends.iter().max().unwrap() - *starts.iter().min().unwrap()
        })
    });
    f64::from(SHORT_CALLS) / fastest.min().unwrap().as_secs_f64()
}

/// What each of two threads keeps of the speed of one, on one shared pipeline.
fn scaling(name: &str, round: impl Fn(&Runtime) + Sync) -> f64 {
    let (one, two) = (throughput(1, &round), throughput(2, &round));
    let kept = two / one;
    println!("{name:<48} {:>9.2} {:>12.2} {:>12.2}x", one / 1e6, 2.0 * two / 1e6, 2.0 * kept);
    2.0 * kept
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

fn calls<T, E, F: Future<Output = Result<T, E>>>(runtime: &Runtime, call: impl Fn() -> F) {
    runtime.block_on(async {
        for _ in 0..SHORT_CALLS {
            assert!(call().await.is_ok(), "nothing fails here");
        }
    });
}

/// The same pipeline behind one mutex, held while a call asks and while it reports: what this crate does without.
fn behind_a_mutex() -> impl Fn(&Runtime) + Sync {
    let (mutex, pipeline) = (std::sync::Mutex::new(0_u64), full().build().unwrap());
    move |runtime: &Runtime| {
        calls(runtime, || async {
            *mutex.lock().unwrap() += 1;
            let result = pipeline.call(&CONTEXT, |_| work(false)).await;
            *mutex.lock().unwrap() += 1;
            result
        });
    }
}

fn main() {
    // `cargo test --benches` only asks whether it runs.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let runtime = runtime();
    let ready_calls = contest(&runtime, false, &only);
    let pending_calls = contest(&runtime, true, &only);
    let over_ready = print("calls that are ready at once", &ready_calls);
    let over_pending = print("calls that wait once", &pending_calls);
    if !only.is_empty() {
        return;
    }

    println!("\n{:<48} {:>9} {:>12} {:>13}", "threads on one pipeline, million calls/s", "one", "two", "scaling");
    scaling("bare call", |runtime| calls(runtime, || work(false)));
    let pipeline = full().build().unwrap();
    let scaled = scaling(FULL, |runtime| calls(runtime, || pipeline.call(&CONTEXT, |_| work(false))));
    scaling("bare call of a microsecond", |runtime| calls(runtime, busy_work));
    let worked = full().build().unwrap();
    let scaled_work = scaling("patterns: all four, calls of a microsecond", |runtime| {
        calls(runtime, || worked.call(&CONTEXT, |_| busy_work()));
    });
    let separate = scaling("patterns: all four, a pipeline per thread", |runtime| {
        let own = full().build().unwrap();
        calls(runtime, || own.call(&CONTEXT, |_| work(false)));
    });
    scaling("patterns: all four, behind a mutex", behind_a_mutex());

    let allocations = of(&ready_calls, FULL).allocations.max(of(&pending_calls, FULL).allocations);
    let others = of(&ready_calls, RESILIENCE).best / of(&ready_calls, FULL).best;
    println!(
        "\nsummary: timeout + retry + breaker + bulkhead cost {over_ready:.0} ns per ready call and {over_pending:.0} ns per \
         pending one, {allocations} allocations; {others:.1} times as fast as tower-resilience; two threads on one \
         pipeline make {scaled_work:.2} times the calls of one ({scaled:.2} if the calls do nothing, {separate:.2} with a \
         pipeline each)"
    );
}
