//! What happens in the years, by examples whose figures can be computed by hand.

use std::num::NonZeroUsize;

use model::{
    Period,
    workload::{Availability, Component, Failover, Figures, Need, Objectives, Place, Planned, Workload},
};

use crate::{
    availability::{
        Cause,
        simulate::{Plan, Simulated, simulate},
    },
    history::Estimate,
};

const HOUR: u64 = 3600;

fn hours(hours: u64) -> Period {
    Period::from_secs(hours * HOUR)
}

fn figures(mtbf: u64, mttr: u64) -> Option<Figures> {
    let (mtbf, mttr) = (hours(mtbf), hours(mttr));
    Some(Figures { availability: Availability::from_times(mtbf, mttr), mttr: Some(mttr), detect: None })
}

fn times(name: &str, mtbf: u64, mttr: u64) -> Component {
    Component { figures: figures(mtbf, mttr), ..Component::named(name) }
}

/// All of them are needed.
fn workload(components: Vec<Component>) -> Workload {
    let needs = components.iter().map(|component| Need::Component(component.name.clone())).collect();
    Workload {
        name: "shop".to_owned(),
        criticality: None,
        objectives: Objectives::default(),
        places: Vec::new(),
        components,
        needs: Need::All(needs),
        improvements: Vec::new(),
    }
}

fn place(name: &str, mtbf: u64, mttr: u64) -> Place {
    Place { name: name.to_owned(), region: None, figures: figures(mtbf, mttr) }
}

fn run_on(workload: &Workload, years: u32, threads: usize) -> Simulated {
    let threads = NonZeroUsize::new(threads).unwrap();
    simulate(workload, &Plan { years, seed: 1, confidence: 0.95, threads }).unwrap()
}

fn run(workload: &Workload, years: u32) -> Simulated {
    run_on(workload, years, 1)
}

/// The value, which is near what it should be: within the interval's length of it.
fn near(estimate: Estimate, wanted: f64) {
    let (value, low, high) = (estimate.value.unwrap(), estimate.low.unwrap(), estimate.high.unwrap());
    assert!((value - wanted).abs() < high - low, "{estimate:?}, not {wanted}");
    assert!(high - low < 0.2 * wanted.abs(), "{estimate:?} says too little");
}

#[test]
fn the_outcome_is_that_of_the_seed_whatever_the_number_of_threads() {
    let pair = Component { count: 3, enough: 2, beta: 0.1, crews: Some(1), ..times("pair", 99, 2) };
    let shop = workload(vec![pair, times("one", 500, 3)]);
    let alone = run_on(&shop, 103, 1);
    assert_eq!(alone, run_on(&shop, 103, 4));
    assert_eq!(alone, run_on(&shop, 103, 1));
    let threads = NonZeroUsize::MIN;
    let other = simulate(&shop, &Plan { years: 103, seed: 2, confidence: 0.95, threads }).unwrap();
    assert_ne!(alone.availability, other.availability);
}

#[test]
fn one_component_fails_as_often_and_for_as_long_as_it_says() {
    let one = run(&workload(vec![times("one", 999, 1)]), 2000);
    near(one.outages_per_year, 8.76);
    near(one.outage_seconds, 3600.0);
    near(one.downtime_per_year, 8.76 * 3600.0);
    let lengths = one.lengths.unwrap();
    // Of an exponential length: ln 2, ln 10 and ln 100 times the mean.
    for (quantile, factor) in [(lengths.p50, 2.0_f64), (lengths.p90, 10.0), (lengths.p99, 100.0)] {
        assert!((quantile / (3600.0 * factor.ln()) - 1.0).abs() < 0.1, "{quantile}");
    }
    assert_eq!(one.outages, one.failures);
}

#[test]
fn maintenance_comes_at_its_times_and_takes_what_it_takes() {
    let planned = Planned { every: hours(100), takes: hours(1) };
    let mut shop = workload(vec![Component { planned: Some(planned), ..Component::named("one") }]);
    shop.objectives.availability = "98.9%".parse().ok();
    let one = run(&shop, 50);
    // Fifty years of 8760 hours, and where in a hundred hours they begin makes one more or less.
    assert!((50 * 86..=50 * 88).contains(&one.outages), "{}", one.outages);
    let lengths = one.lengths.unwrap();
    assert!((lengths.longest - 3600.0).abs() < 1e-3 && (lengths.p50 / 3600.0 - 1.0).abs() < 0.02, "{lengths:?}");
    // 88 hours of 8760 at most, and 1.1 % are allowed.
    assert_eq!(one.good_years.unwrap().value, Some(1.0));
    assert_eq!(one.unknown, ["one"]);
}

#[test]
fn a_good_year_is_one_that_keeps_the_promise() {
    let mut shop = workload(vec![times("one", 8759, 1)]);
    // No failure at all is a good year: e^-1 of them; of 31536 seconds all but one in e.
    shop.objectives.availability = Some(Availability::PERFECT);
    near(run(&shop, 4000).good_years.unwrap(), (-1.0_f64).exp());
}

#[test]
fn a_takeover_interrupts_for_its_delay() {
    let failover = Failover { coverage: 1.0, delay: Period::from_secs(36) };
    let pair = Component { count: 2, failover: Some(failover), ..times("pair", 9999, 1) };
    let outcome = run(&workload(vec![pair]), 3000);
    // Of two units that fail every 10,000 hours only the one in use interrupts, and hardly ever both are down.
    near(outcome.outages_per_year, 0.876);
    let lengths = outcome.lengths.unwrap();
    assert!((lengths.p50 / 36.0 - 1.0).abs() < 0.02 && (lengths.p99 / 36.0 - 1.0).abs() < 0.02, "{lengths:?}");
    assert_eq!(outcome.begun_by[0].cause, Cause::Failover("pair".to_owned()));
    assert!(outcome.begun_by[0].share > 0.99);
}

#[test]
fn a_takeover_that_does_not_work_lasts_until_the_unit_is_restored() {
    let failover = Failover { coverage: 0.0, delay: Period::from_secs(36) };
    let pair = Component { count: 2, failover: Some(failover), ..times("pair", 9999, 1) };
    let outcome = run(&workload(vec![pair]), 3000);
    near(outcome.outages_per_year, 0.876);
    near(outcome.outage_seconds, 3600.0);
}

#[test]
fn a_spare_takes_over_from_a_zone_that_fails_and_not_within_it() {
    let failover = Failover { coverage: 1.0, delay: Period::from_secs(36) };
    let zones = vec!["a".to_owned(), "b".to_owned()];
    let group = Component {
        count: 4,
        enough: 1,
        places: zones,
        failover: Some(failover),
        figures: Some(Figures::of(Availability::PERFECT)),
        ..Component::named("group")
    };
    let mut shop = workload(vec![group]);
    shop.places = vec![place("a", 999, 1), place("b", 999, 1)];
    let outcome = run(&shop, 1000);
    // Whichever zone it is in fails every 1000 hours; that both are down is a thousandth of that.
    near(outcome.outages_per_year, 8.76);
    assert!((outcome.lengths.unwrap().p90 / 36.0 - 1.0).abs() < 0.02);
}

#[test]
fn failed_units_wait_for_crews_wherever_they_lie() {
    let group = |crews| Component { count: 4, enough: 2, crews, ..times("group", 9, 1) };
    // One crew: weights 4! / (4 - j)! / 9^j of j units down.
    let weights = [1.0, 4.0 / 9.0, 12.0 / 81.0, 24.0 / 729.0, 24.0 / 6561.0];
    let wanted = (weights[3] + weights[4]) / weights.iter().sum::<f64>() * 8760.0 * 3600.0;
    near(run(&workload(vec![group(Some(1))]), 30).downtime_per_year, wanted);
    // In zones that never fail it is the same.
    let spread = Component { places: vec!["a".to_owned(), "b".to_owned()], ..group(Some(1)) };
    let mut shop = workload(vec![spread]);
    let perfect = Some(Figures::of(Availability::PERFECT));
    shop.places = ["a", "b"].map(|name| Place { figures: perfect, ..place(name, 1, 1) }).to_vec();
    near(run(&shop, 30).downtime_per_year, wanted);
}

#[test]
fn what_it_can_do_without_counts_in_full_only() {
    let mut shop = workload(vec![Component { uses: vec!["mail".into()], ..times("web", 99, 1) }]);
    shop.components.push(times("mail", 9, 1));
    let outcome = run(&shop, 100);
    near(outcome.downtime_per_year, 0.01 * 8760.0 * 3600.0);
    let in_full = outcome.in_full.unwrap();
    assert!((in_full.value.unwrap() - 0.99 * 0.9).abs() < 0.002, "{in_full:?}");
    // What mail does begins no outage.
    assert_eq!(outcome.begun_by.len(), 1);
}

#[test]
fn causes_share_outages_as_they_share_failures() {
    let shop = workload(vec![times("often", 249, 1), times("seldom", 999, 1), times("slow", 996, 4)]);
    let begun = run(&shop, 1000).begun_by;
    let of = |name: &str| begun.iter().find(|origin| origin.cause.name() == name).unwrap();
    for (name, share, of_downtime) in [("often", 4.0 / 6.0, 0.4), ("seldom", 1.0 / 6.0, 0.1), ("slow", 1.0 / 6.0, 0.4)]
    {
        assert!((of(name).share - share).abs() < 0.02, "{name}: {}", of(name).share);
        // Of 1 h, 1 h and 4 h: 4, 1 and 4 of 9.
        assert!(
            (of(name).share_of_downtime - of_downtime / 0.9).abs() < 0.03,
            "{name}: {}",
            of(name).share_of_downtime
        );
    }
    assert!((begun.iter().map(|origin| origin.share).sum::<f64>() - 1.0).abs() < 1e-12);
}

#[test]
fn what_never_fails_has_no_outages_and_what_never_works_one_long_one() {
    let none = run(&workload(vec![Component::named("one")]), 100);
    assert_eq!((none.outages, none.failures, none.availability.value, none.lengths), (0, 0, Some(1.0), None));
    // At most 3.69 in the hundred years, or one would have been seen.
    assert!((none.outages_per_year.high.unwrap() - 0.036_89).abs() < 1e-5);
    let gone = Component { figures: Some(Figures::of(Availability::from_down(1.0))), ..Component::named("gone") };
    let always = run(&workload(vec![gone]), 3);
    assert_eq!((always.outages, always.availability.value), (0, Some(0.0)));
}

#[test]
fn with_few_outages_there_is_no_interval_of_the_downtime() {
    let outcome = run(&workload(vec![times("one", 8759, 1)]), 10);
    assert!(outcome.outages > 0 && outcome.outages < 30, "{}", outcome.outages);
    assert_eq!((outcome.availability.low, outcome.outage_seconds.high), (None, None));
    assert!(outcome.outages_per_year.low.is_some());
}

#[test]
fn what_is_known_as_a_share_of_time_only_is_named() {
    let target = Component { figures: Some(Figures::of("99.9%".parse().unwrap())), ..Component::named("mail") };
    let plan = Plan { years: 1, seed: 1, confidence: 0.95, threads: NonZeroUsize::MIN };
    let error = simulate(&workload(vec![target, times("one", 9, 1)]), &plan).unwrap_err();
    assert_eq!(
        error.to_string(),
        "how long mail fails for is not known, only the share of time; give `mttr` beside `availability`, or `mtbf` and `mttr`"
    );
    let empty = Workload { needs: Need::All(Vec::new()), ..workload(Vec::new()) };
    assert_eq!(simulate(&empty, &plan).unwrap_err().to_string(), "there are no components that could fail");
}
