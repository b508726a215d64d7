//! What a workload promises, and what it can be expected to do.

use model::workload::{Availability, Workload};
use serde::Serialize;

use super::{
    Analysis, Importance, Limits, TooLarge, analyse,
    downtime::{Downtime, ErrorBudget, YEAR},
    levers::{Gain, Lever, improvements, levers},
    probability,
    promises::{self, Doubt},
    structure::{Cause, Structure, Unsound, structure},
    tree::EventId,
};

/// Why a workload cannot be assessed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unable {
    /// It is not described soundly.
    #[error(transparent)]
    Unsound(#[from] Unsound),
    /// It is too large for an exact result.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

/// What is to be expected of a workload.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Assessment {
    /// Its name.
    pub workload: String,
    /// Whether its promise holds.
    pub verdict: Verdict,
    /// What is promised.
    pub target: Option<Availability>,
    /// What is to be expected; none: there are no components to expect anything of.
    pub expected: Option<Expected>,
    /// Contradictions, and what is worth knowing.
    pub doubts: Vec<Doubt>,
    /// How many outages as long as the RTO fit into a month's budget.
    pub outages_in_a_month: Option<f64>,
}

/// Whether a promise holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It does.
    Met,
    /// It does not.
    Missed,
    /// It is not contradicted, but not everything is known.
    Open,
    /// Nothing is promised.
    NothingPromised,
}

/// What is to be expected of a workload with components.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Expected {
    /// The share of time in which it works.
    pub availability: Availability,
    /// The share of time in which it works in full: with everything that it could do without; none: there is no such thing.
    pub in_full: Option<Availability>,
    /// What it could be at best, with everything perfect that others do not run; none: nothing is external.
    pub ceiling: Option<Availability>,
    /// What is not known, and taken for perfect: with any of these the availability is no more than an upper bound.
    pub unknown: Vec<String>,
    /// The downtime to be expected.
    pub downtime: Downtime,
    /// The part of the promise that it uses.
    pub budget: Option<ErrorBudget>,
    /// Outages to be expected; none where times to restore are not known.
    pub outages: Option<Outages>,
    /// What contributes, the most important first.
    pub contributions: Vec<Contribution>,
    /// Sets of failures that are enough, most probable first.
    pub cut_sets: Vec<CausesOfFailure>,
    /// How many such sets there are of each size, from none on.
    pub cut_sets_by_order: Vec<f64>,
    /// Larger sets than these were not looked for; none: there are none.
    pub cut_sets_beyond: Option<usize>,
    /// What takes the workload down by itself.
    pub single_points: Vec<Cause>,
    /// What would help, the most for its cost first; what costs nothing that is known comes after, by its gain.
    pub improvements: Vec<Gain>,
    /// What one change of one component would give, by its gain.
    pub levers: Vec<Lever>,
}

/// How often it goes down, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outages {
    /// Outages per year.
    pub per_year: f64,
    /// Their mean length in seconds.
    pub mean: f64,
}

/// What a cause contributes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Contribution {
    /// What fails.
    pub cause: Cause,
    /// The share of time in which it is down.
    pub down: f64,
    /// How important it is.
    #[serde(flatten)]
    pub importance: Importance,
    /// Seconds of the workload's downtime per year that would go if it never failed.
    pub accounts_for: f64,
}

/// Causes that together make the workload fail.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CausesOfFailure {
    /// All of them.
    pub causes: Vec<Cause>,
    /// The share of time in which all of them last.
    pub probability: f64,
}

/// Assesses a workload.
///
/// # Errors
/// When it is not described soundly, or so entangled that an exact result would not fit `limits`.
pub fn assess(workload: &Workload, limits: &Limits) -> Result<Assessment, Unable> {
    let target = workload.objectives.availability;
    let expected = if workload.components.is_empty() { None } else { Some(expect(workload, limits)?) };
    let mut doubts = promises::doubts(workload, expected.as_ref().and_then(|expected| expected.ceiling));
    if let (Some(outages), Some(rto)) = (expected.as_ref().and_then(|e| e.outages), workload.objectives.rto)
        && outages.mean > rto.as_secs_f64()
    {
        doubts.push(Doubt::OutagesAboveRto { mean: outages.mean, rto: rto.as_secs_f64() });
    }
    let verdict = match (target, &expected) {
        (None, _) => Verdict::NothingPromised,
        (Some(target), Some(expected)) if expected.availability.down() > target.down() => Verdict::Missed,
        (Some(_), Some(expected)) if expected.unknown.is_empty() => Verdict::Met,
        (Some(_), _) => Verdict::Open,
    };
    let outages_in_a_month = promises::outages_in_a_month(&workload.objectives);
    Ok(Assessment { workload: workload.name.clone(), verdict, target, expected, doubts, outages_in_a_month })
}

fn expect(workload: &Workload, limits: &Limits) -> Result<Expected, Unable> {
    let built = structure(workload)?;
    let analysis = analyse(&built.tree, built.top, limits)?;
    let availability = Availability::from_down(analysis.probability);
    let contributions = contributions(&built, &analysis);
    let cause = |event: &u32| built.causes[EventId(*event).index()].clone();
    let cut_sets = analysis
        .cut_sets
        .sets
        .iter()
        .map(|set| CausesOfFailure { causes: set.events.iter().map(cause).collect(), probability: set.probability });
    let in_full = built.full.map(|full| probability(&built.tree, full, limits)).transpose()?;
    Ok(Expected {
        availability,
        in_full: in_full.map(Availability::from_down),
        ceiling: ceiling(workload, &built, limits)?,
        downtime: Downtime::of(availability),
        budget: workload.objectives.availability.map(|target| ErrorBudget::of(target, availability)),
        outages: outages(&built, &analysis),
        cut_sets: cut_sets.collect(),
        cut_sets_by_order: analysis.cut_sets.by_order.clone(),
        cut_sets_beyond: analysis.cut_sets.beyond,
        single_points: analysis.cut_sets.single_points().map(|event| built.causes[event.index()].clone()).collect(),
        improvements: improvements(workload, availability, limits)?,
        levers: levers(workload, availability, &contributions, limits)?,
        contributions,
        unknown: built.unknown,
    })
}

fn contributions(built: &Structure, analysis: &Analysis) -> Vec<Contribution> {
    let mut all: Vec<Contribution> = built
        .causes
        .iter()
        .zip(&analysis.importance)
        .zip(&built.tree.events)
        .map(|((cause, importance), down)| Contribution {
            cause: cause.clone(),
            down: *down,
            importance: *importance,
            accounts_for: importance.criticality * analysis.probability * YEAR,
        })
        .collect();
    all.sort_by(|one, other| {
        let key = |of: &Contribution| (of.accounts_for, of.importance.birnbaum);
        key(other).partial_cmp(&key(one)).unwrap_or(std::cmp::Ordering::Equal).then_with(|| one.cause.cmp(&other.cause))
    });
    all
}

/// How often the workload goes down: of each event, how often it begins, times how probably that makes the difference. Exact
/// for events that are independent and repaired (W. E. Vesely, Nuclear Engineering and Design 13, 1970).
fn outages(built: &Structure, analysis: &Analysis) -> Option<Outages> {
    let mut frequency = 0.0;
    for (event, (importance, often)) in analysis.importance.iter().zip(&built.frequencies).enumerate() {
        // An event that never happens, or that makes no difference, need not be known.
        let matters = importance.birnbaum > 0.0 && built.tree.events[event] > 0.0;
        match often {
            Some(often) => frequency += importance.birnbaum * often,
            None if matters => return None,
            None => {}
        }
    }
    (frequency > 0.0).then(|| Outages { per_year: frequency * YEAR, mean: analysis.probability / frequency })
}

/// What the workload could be if nothing failed but what others run.
fn ceiling(workload: &Workload, built: &Structure, limits: &Limits) -> Result<Option<Availability>, TooLarge> {
    let external: Vec<&str> = promises::externals(workload)
        .filter(|component| component.figures.is_some())
        .map(|component| component.name.as_str())
        .collect();
    if external.is_empty() {
        return Ok(None);
    }
    let mut tree = built.tree.clone();
    for (event, cause) in (0..).map(EventId).zip(&built.causes) {
        if matches!(cause, Cause::Place(_)) || !external.contains(&cause.name()) {
            tree = tree.with(event, 0.0);
        }
    }
    Ok(Some(Availability::from_down(probability(&tree, built.top, limits)?)))
}

/// What is to be expected of a workload, and nothing more.
///
/// # Errors
/// As [`assess`].
pub fn availability(workload: &Workload, limits: &Limits) -> Result<Availability, Unable> {
    let built = structure(workload)?;
    Ok(Availability::from_down(probability(&built.tree, built.top, limits)?))
}

#[cfg(test)]
mod tests {
    use model::{
        Period,
        workload::{Component, Failover, Figures, Need, Objectives, Place, Planned},
    };

    use super::*;
    use crate::availability::Change;

    fn component(name: &str, availability: &str) -> Component {
        Component { figures: Some(Figures::of(availability.parse().unwrap())), ..Component::named(name) }
    }

    fn times(name: &str, mtbf_hours: u64, mttr_hours: u64) -> Component {
        let (mtbf, mttr) = (Period::from_secs(mtbf_hours * 3600), Period::from_secs(mttr_hours * 3600));
        let availability = Availability::from_times(mtbf, mttr);
        Component { figures: Some(Figures { availability, mttr: Some(mttr), detect: None }), ..Component::named(name) }
    }

    fn name(name: &str) -> Need {
        Need::Component(name.to_owned())
    }

    fn workload(components: Vec<Component>, needs: Need, promised: &str) -> Workload {
        Workload {
            name: "shop".to_owned(),
            criticality: None,
            objectives: Objectives { availability: promised.parse().ok(), ..Objectives::default() },
            places: Vec::new(),
            components,
            needs,
            improvements: Vec::new(),
        }
    }

    fn expectation(workload: &Workload) -> Expected {
        assess(workload, &Limits::default()).unwrap().expected.unwrap()
    }

    fn up(workload: &Workload) -> f64 {
        availability(workload, &Limits::default()).unwrap().up()
    }

    /// Rows "N-22", "N-23" and "N-24": three in series, two in parallel, and a balancer before two web servers and a database.
    #[test]
    fn series_parallel_and_mixed_give_the_products() {
        let three: Vec<_> = ["a", "b", "c"].iter().map(|name| component(name, "99.9%")).collect();
        let series = workload(three, Need::All(vec![name("a"), name("b"), name("c")]), "99%");
        assert!((up(&series) - 0.997_002_999).abs() < 1e-15);
        let two: Vec<_> = ["a", "b"].iter().map(|name| component(name, "99.9%")).collect();
        let parallel = workload(two, Need::Any(vec![name("a"), name("b")]), "99%");
        assert!((up(&parallel) - 0.999_999).abs() < 1e-15);
        let web = Component { count: 2, ..component("web", "99.9%") };
        let parts = vec![component("balancer", "99.99%"), web, component("database", "99.95%")];
        let mixed = workload(parts, Need::All(vec![name("balancer"), name("web"), name("database")]), "99.95%");
        let expected = expectation(&mixed);
        assert!((expected.availability.up() - 0.999_399_050_599_95).abs() < 1e-14);
        assert_eq!(expected.single_points, [Cause::Component("database".into()), Cause::Component("balancer".into())]);
        assert_eq!(assess(&mixed, &Limits::default()).unwrap().verdict, Verdict::Missed);
    }

    /// Rows "M-125" and "N-37": 99.9 % upon externals of 99.95 % and 99.9 %.
    #[test]
    fn a_target_above_what_externals_allow_is_found() {
        let external = |name, availability| Component { external: true, ..component(name, availability) };
        let parts = vec![Component::named("own"), external("payment", "99.95%"), external("mail", "99.9%")];
        let all = Need::All(vec![name("own"), name("payment"), name("mail")]);
        let assessment = assess(&workload(parts.clone(), all, "99.9%"), &Limits::default()).unwrap();
        assert_eq!(assessment.verdict, Verdict::Missed);
        let ceiling = assessment.expected.as_ref().unwrap().ceiling.unwrap();
        assert_eq!(ceiling.to_string(), "99.85005 %");
        assert_eq!(
            assessment.doubts[0].sentence(),
            "99.9 % is promised, but payment, mail allow together 99.85005 % at best (of 99.95 % and 99.9 %)"
        );
        // As soft dependencies they limit nothing.
        let own = Component { uses: vec!["payment".into(), "mail".into()], ..Component::named("own") };
        let soft = workload([vec![own], parts[1..].to_vec()].concat(), name("own"), "99.9%");
        let assessment = assess(&soft, &Limits::default()).unwrap();
        let expected = assessment.expected.unwrap();
        assert_eq!((assessment.doubts.len(), expected.ceiling), (0, None));
        assert_eq!(expected.in_full.unwrap().to_string(), "99.85005 %");
        assert_eq!((assessment.verdict, expected.unknown), (Verdict::Open, vec!["own".to_owned()]));
    }

    #[test]
    fn a_zone_takes_all_units_in_it_and_a_region_all_zones() {
        let place = |name: &str, region: Option<&str>, down: f64| Place {
            name: name.to_owned(),
            region: region.map(str::to_owned),
            figures: Some(Figures::of(Availability::from_down(down))),
        };
        let web = Component { count: 4, enough: 2, places: vec!["a".into(), "b".into()], ..component("web", "100%") };
        let mut shop = workload(vec![web], name("web"), "99%");
        shop.places = vec![place("r", None, 0.001), place("a", Some("r"), 0.01), place("b", Some("r"), 0.02)];
        let down = |shop: &Workload| 1.0 - up(shop);
        assert!((down(&shop) - (0.001 + 0.999 * 0.01 * 0.02)).abs() < 1e-15);
        // With three needed, either zone is enough to fail.
        shop.components[0].enough = 3;
        assert!((down(&shop) - (1.0 - 0.999 * 0.99 * 0.98)).abs() < 1e-15);
    }

    /// The table of spares: exact, and not 1 - C(n, s + 1) (1 - a)^(s + 1).
    #[test]
    fn spares_are_counted_exactly() {
        for (count, enough, printed) in [(3, 2, "0.999702"), (10, 8, "0.999886")] {
            let group = Component { count, enough, ..component("group", "99%") };
            assert_eq!(format!("{:.6}", up(&workload(vec![group], name("group"), "99%"))), printed);
        }
    }

    #[test]
    fn a_takeover_costs_its_delay_and_what_it_does_not_cover() {
        let failover = Failover { coverage: 0.9, delay: Period::from_secs(36) };
        let pair = Component { count: 2, failover: Some(failover), ..times("pair", 99, 1) };
        // A failure of the active one each 100 hours: 0.9 of 36 s and 0.1 of an hour.
        let takeover = (0.9 * 36.0 + 0.1 * 3600.0) / 360_000.0;
        let wanted = 1.0 - (1.0 - 0.0001) * (1.0 - takeover);
        assert!((1.0 - up(&workload(vec![pair], name("pair"), "99%")) - wanted).abs() < 1e-14);
    }

    #[test]
    fn planned_downtime_counts() {
        let planned = Planned { every: Period::from_secs(86_400), takes: Period::from_secs(864) };
        let one = Component { planned: Some(planned), ..component("one", "99%") };
        assert!((up(&workload(vec![one], name("one"), "99%")) - 0.99 * 0.99).abs() < 1e-15);
    }

    #[test]
    fn units_that_queue_for_repair_are_down_longer_than_independent_ones() {
        let group = |crews| Component { count: 4, enough: 2, crews, ..times("group", 9, 1) };
        let with = |crews| 1.0 - up(&workload(vec![group(crews)], name("group"), "99%"));
        // One crew: weights 4! / (4 - j)! / 9^j of j units down.
        let weights: Vec<f64> = vec![1.0, 4.0 / 9.0, 12.0 / 81.0, 24.0 / 729.0, 24.0 / 6561.0];
        let wanted = (weights[3] + weights[4]) / weights.iter().sum::<f64>();
        assert!((with(Some(1)) - wanted).abs() < 1e-14);
        assert!(with(Some(1)) > with(Some(2)) && with(Some(2)) > with(None));
        assert!((with(None) - with(Some(4))).abs() < 1e-15);
    }

    #[test]
    fn units_in_several_zones_that_queue_for_repair_are_bounded_from_above() {
        let group = |crews| Component {
            count: 4,
            enough: 2,
            crews,
            places: vec!["a".to_owned(), "b".to_owned()],
            ..times("group", 9, 1)
        };
        let with = |crews| {
            let mut shop = workload(vec![group(crews)], name("group"), "50%");
            let perfect = Some(Figures::of(Availability::PERFECT));
            shop.places =
                ["a", "b"].map(|name| Place { name: name.to_owned(), figures: perfect, region: None }).to_vec();
            assess(&shop, &Limits::default()).unwrap()
        };
        let (queued, free) = (with(Some(1)), with(None));
        let (bound, exact) = (queued.expected.unwrap(), free.expected.unwrap());
        assert!((bound.availability.down() - exact.availability.down()).abs() < 1e-15);
        assert_eq!(bound.unknown, ["waiting for repair crews of group"]);
        assert_eq!((queued.verdict, free.verdict), (Verdict::Open, Verdict::Met));
    }

    #[test]
    fn outages_times_their_length_are_the_downtime() {
        let pair = Component { count: 2, ..times("pair", 99, 1) };
        let both = workload(vec![pair, times("one", 999, 1)], Need::All(vec![name("pair"), name("one")]), "99%");
        let expected = expectation(&both);
        let outages = expected.outages.unwrap();
        assert!((outages.per_year * outages.mean / expected.downtime.year - 1.0).abs() < 1e-12);
        // Of one component alone: its own times.
        let alone = expectation(&workload(vec![times("one", 999, 1)], name("one"), "99%")).outages.unwrap();
        assert!((alone.mean - 3600.0).abs() < 1e-6 && (alone.per_year - 8.76).abs() < 1e-9);
    }

    #[test]
    fn improvements_are_ranked_by_what_they_give_for_their_cost() {
        let improvement = |name: &str, cost: Option<f64>, component: Component| model::workload::Improvement {
            name: name.to_owned(),
            cost,
            components: vec![component],
            needs: None,
        };
        let parts = vec![component("web", "99.9%"), component("db", "99%")];
        let mut shop = workload(parts, Need::All(vec![name("web"), name("db")]), "99.9%");
        shop.improvements = vec![
            improvement("free", None, component("web", "99.99%")),
            improvement("dear", Some(1000.0), component("db", "100%")),
            improvement("cheap", Some(10.0), component("db", "99.5%")),
        ];
        let expected = expectation(&shop);
        let order: Vec<_> = expected.improvements.iter().map(|gain| (gain.name.as_str(), gain.enough)).collect();
        assert_eq!(order, [("cheap", false), ("dear", true), ("free", false)]);
        let cheap = &expected.improvements[0];
        assert!((cheap.saves - 0.005 * 0.999 * YEAR).abs() < 1e-3);
        assert!((cheap.saves_per_cost.unwrap() - cheap.saves / 10.0).abs() < 1e-9);
    }

    #[test]
    fn levers_are_those_that_a_component_has() {
        let mut own = times("own", 99, 2);
        own.figures = own.figures.map(|figures| Figures { detect: Some(Period::from_secs(3600)), ..figures });
        let external = Component { external: true, ..component("others", "99.99%") };
        let all = Need::All(vec![name("own"), name("others")]);
        let levers = expectation(&workload(vec![own, external], all, "99%")).levers;
        let of = |name: &str| {
            let mut changes: Vec<_> = levers.iter().filter(|l| l.component == name).map(|l| l.change).collect();
            changes.sort_unstable();
            changes
        };
        assert_eq!(
            of("own"),
            [
                Change::Perfect,
                Change::OneMoreUnit,
                Change::NoticedAtOnce,
                Change::RestoredInHalf,
                Change::FailsHalfAsOften
            ]
        );
        assert_eq!(of("others"), [Change::Perfect]);
        assert!(levers.windows(2).all(|pair| pair[0].saves >= pair[1].saves));
    }

    #[test]
    fn what_is_not_defined_or_runs_in_a_circle_is_said() {
        let text = |workload: &Workload| assess(workload, &Limits::default()).unwrap_err().to_string();
        let missing = workload(vec![component("a", "99%")], name("b"), "99%");
        assert_eq!(text(&missing), "`shop` needs `b`, which is not defined; add it, or correct the name");
        let circle = |a: &str, b: &str| Component { needs: Some(name(b)), ..component(a, "99%") };
        let both = workload(vec![circle("a", "b"), circle("b", "a")], name("a"), "99%");
        assert!(text(&both).starts_with("`a` needs itself"));
    }
}
