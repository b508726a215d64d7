//! The simulator: its figures add up, repeat themselves, and show what they are there to show.

use std::{fs, path::Path};

use patterns::simulate::{Report, Run, Simulation, svg, text};
use proptest::prelude::*;

fn example(name: &str) -> Simulation {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/patterns").join(name);
    Simulation::from_yaml(&fs::read_to_string(path).unwrap()).unwrap()
}

fn run<'r>(report: &'r Report, name: &str) -> &'r Run {
    report.runs.iter().find(|run| run.pipeline == name).unwrap()
}

#[test]
fn retries_without_a_budget_keep_an_overload_going_and_a_budget_ends_it() {
    let report = example("retry-storm.yaml").run().unwrap();
    let totals = |name| &run(&report, name).totals;
    assert_eq!(totals("no-retry").attempts, totals("no-retry").calls);
    for storm in ["retry", "retry-with-jitter"] {
        assert!(totals(storm).amplification > 1.8, "{storm}: {:?}", totals(storm));
        assert_eq!(totals(storm).recovered_after, None, "{storm}");
    }
    for calm in ["no-retry", "retry-with-budget"] {
        assert!(totals(calm).amplification < 1.2, "{calm}: {:?}", totals(calm));
        assert!(totals(calm).recovered_after.is_some(), "{calm}");
    }
}

#[test]
fn a_breaker_relieves_the_dependency_and_a_fallback_hides_it() {
    let report = example("breaker.yaml").run().unwrap();
    let totals = |name| &run(&report, name).totals;
    let during = |name| -> u64 { run(&report, name).steps.iter().skip(20).take(15).map(|step| step.attempts).sum() };
    assert!(during("breaker") * 5 < during("timeout"), "{} and {}", during("breaker"), during("timeout"));
    assert!(totals("none").p99_ms > 5.0 * totals("timeout").p99_ms || totals("none").unfinished > 0);
    assert!(totals("breaker").rejected > 0);
    assert_eq!(totals("breaker-and-fallback").errors + totals("breaker-and-fallback").rejected, 0);
    assert!(run(&report, "breaker").steps[25].breakers_open > 0);
}

#[test]
fn jitter_lays_waves_flat() {
    let report = example("jitter.yaml").run().unwrap();
    let peak = |name| run(&report, name).totals.peak_load;
    assert!(peak("full") < 0.8 * peak("without"), "{} and {}", peak("full"), peak("without"));
}

#[test]
fn every_example_draws_a_picture() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/patterns");
    let mut examples = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let report = example(&name).run().unwrap();
        let drawn = text::render(&report, 100);
        assert!(report.runs.iter().all(|run| drawn.contains(&run.pipeline)), "{name}\n{drawn}");
        assert!(svg::render(&report).contains("</svg>"), "{name}");
        examples += 1;
    }
    assert!(examples >= 4);
}

#[test]
fn the_same_seed_gives_the_same_figures_and_another_does_not() {
    let simulation = |seed: u64| {
        let text = format!(
            "pipelines: {{ a: {{ retry: , breaker: , attempt_timeout: 100ms }} }}
scenario: {{ duration: 10s, seed: {seed}, script: [from 2s to 4s: error 50%, from 5s to 6s: hang 50%] }}"
        );
        Simulation::from_yaml(&text).unwrap().run().unwrap()
    };
    assert_eq!(simulation(7), simulation(7));
    assert_ne!(simulation(7), simulation(8));
}

#[test]
fn clients_that_retry_without_end_are_stopped() {
    let text = "pipelines: { mad: { retry: { max_attempts: 100, backoff: constant, base_delay: 0s, jitter: none, budget: none } } }
scenario: { duration: 1h, rate: 50, script: [from 0s: error] }";
    let error = Simulation::from_yaml(text).unwrap().run().unwrap_err();
    assert!(error.to_string().contains("`mad` made more than 2000000 attempts"), "{error}");
}

fn any_file() -> impl Strategy<Value = String> {
    let timeout = prop_oneof![Just(String::new()), (1_u32..500).prop_map(|ms| format!("attempt_timeout: {ms}ms, "))];
    let retry = prop_oneof![
        Just(String::new()),
        (1_u32..6, 0_u32..200, prop_oneof![Just("none"), Just("{ }")]).prop_map(|(attempts, delay, budget)| {
            format!("retry: {{ max_attempts: {attempts}, base_delay: {delay}ms, budget: {budget} }}, ")
        })
    ];
    let breaker = prop_oneof![
        Just(String::new()),
        (1_u32..9).prop_map(|n| format!("breaker: {{ consecutive_failures: {n}, open_for: 1s }}, "))
    ];
    let bulkhead = prop_oneof![
        Just(String::new()),
        (1_u32..9, 1_u32..9).prop_map(|(limit, queue)| {
            format!("bulkhead: {{ limit: {limit}, queue: {queue}, queue_timeout: 100ms }}, ")
        })
    ];
    let hedge = prop_oneof![Just(String::new()), (1_u32..100).prop_map(|ms| format!("hedge: {{ after: {ms}ms }}, "))];
    let script = prop_oneof![Just("error 50%"), Just("hang"), Just("latency 200ms"), Just("capacity 0"), Just("error")];
    let world = (1_u32..20, 1_u32..200, 0_u32..20, any::<bool>(), any::<u32>());
    (timeout, retry, breaker, bulkhead, hedge, script, world).prop_map(
        |(timeout, retry, breaker, bulkhead, hedge, script, (capacity, rate, queue, drops, seed))| {
            format!(
                "pipelines: {{ a: {{ {timeout}{retry}{breaker}{bulkhead}{hedge} }} }}
scenario:
  duration: 8s
  rate: {rate}
  seed: {seed}
  fallback: [{}]
  dependency: {{ capacity: {capacity}, latency: 30ms, queue: {queue}, drops_the_gone: {drops} }}
  script: [ from 2s to 4s: {script} ]
",
                if drops { "a" } else { "" }
            )
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every call ends in exactly one way, and attempts stay within what retries and hedges allow.
    #[test]
    fn the_figures_add_up(file in any_file()) {
        let simulation = Simulation::from_yaml(&file).unwrap();
        let report = simulation.run().unwrap();
        let run = &report.runs[0];
        for step in &run.steps {
            prop_assert_eq!(step.calls, step.ok + step.fallback + step.errors + step.rejected + step.unfinished);
            prop_assert!(step.p50_ms <= step.p99_ms);
        }
        let totals = &run.totals;
        prop_assert_eq!(totals.calls, run.steps.iter().map(|step| step.calls).sum::<u64>());
        prop_assert_eq!(totals.attempts, run.steps.iter().map(|step| step.attempts).sum::<u64>());
        let options = &simulation.pipelines[0].1;
        let tries = options.retry.as_ref().map_or(1, |retry| u64::from(retry.max_attempts));
        let hedges = options.hedge.as_ref().map_or(1, |hedge| 1 + u64::from(hedge.max_hedges));
        prop_assert!(totals.attempts <= totals.calls * tries * hedges);
        let _drawn = (text::render(&report, 80), svg::render(&report));
    }
}
