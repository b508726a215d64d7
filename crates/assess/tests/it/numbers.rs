//! The numbers of the guides that this product grew from, row by row of the inventory of them: what a guide says, and what
//! comes out when it is computed. A number is right, or it is corrected, or it follows from others and nobody wrote it down.

use std::{collections::BTreeSet, time::Duration};

use assess::{
    availability::{
        Assessment, Doubt, FaultTree, Input, Limits, assess,
        downtime::{Downtime, MONTH, WEEK, YEAR},
        probability,
        promises::contradictions,
    },
    cost::{self, Choice, Gain},
    history,
};
use jiff::{Timestamp, civil::Weekday};
use model::{
    Period,
    cost::{HaOption, HourOfDowntime, Item, Outage, Programme, StatedCosts},
    incident::{History, Incident, Kind, Stretch},
    metric::{Condition, Quantity},
    stated::Stated,
    target::SelectionMode,
    workload::{Availability, Component, Figures, Need, Objectives, Workload},
};
use patterns::{
    clock::Moment,
    event::Outcome,
    random::SplitMix64,
    retry::{After, Decision, Jitter, Retry, Schedule},
};

/// What became of a number.
enum Verdict {
    /// The guide's number is what comes out, as exactly as it was written.
    Right { says: f64, rounding: f64, is: f64 },
    /// It is not, and this is.
    Corrected { says: f64, is: f64, right: f64 },
    /// The guide does not say it; it follows from what it says.
    Derived { is: f64, right: f64 },
    /// The guide claims that something holds.
    Claim { says: bool, is: bool },
}

use Verdict::{Claim, Corrected, Derived, Right};

/// Rows that cannot be computed, and why.
const NOT_COMPUTED: [(&str, &str); 1] =
    [("N-43", "80 % of \"common incidents\" recovered by themselves: which incidents are common is not defined")];

const DAY: f64 = 86_400.0;
const HOUR: f64 = 3600.0;
const MINUTE: f64 = 60.0;

/// A number without decimals.
const fn whole(says: f64, is: f64) -> Verdict {
    Right { says, rounding: 0.5, is }
}

fn every_row() -> Vec<(&'static str, Verdict)> {
    [resilience(), experiments(), patterns_rows(), failover(), tiers(), structures(), incidents(), costs(), review()]
        .into_iter()
        .flatten()
        .collect()
}

/// Row after row: what is right is right as exactly as it was written, what is corrected was wrong, and no row is missing.
#[test]
fn every_number_of_the_guides_is_reproduced_or_corrected() {
    for (row, verdict) in every_row() {
        match verdict {
            Right { says, rounding, is } => assert!(Stated { value: says, rounding }.is(is), "{row}: {is}, not {says}"),
            Corrected { says, is, right } => {
                assert!((is - right).abs() <= 1e-6 * right.abs().max(1e-6), "{row}: {is} is not {right}");
                assert!((is - says).abs() > 1e-3 * says.abs(), "{row}: {says} would have been right");
            }
            Derived { is, right } => assert!((is - right).abs() <= 1e-9 * right.abs(), "{row}: {is} is not {right}"),
            Claim { says, is } => assert_eq!(says, is, "{row}"),
        }
    }
    let computed: BTreeSet<&str> = every_row().into_iter().map(|(row, _)| row).collect();
    let left: BTreeSet<&str> = NOT_COMPUTED.into_iter().map(|(row, _)| row).collect();
    let all: BTreeSet<String> = (1..=45).map(|number| format!("N-{number:02}")).collect();
    assert!(computed.is_disjoint(&left));
    assert_eq!(computed.union(&left).map(|row| (*row).to_owned()).collect::<BTreeSet<_>>(), all);
}

/// The pauses of a policy in seconds, without jitter.
fn pauses(retry: &Retry, attempts: u32) -> Vec<f64> {
    let retry = retry.clone().jitter(Jitter::None).max_attempts(attempts).without_budget();
    let mut random = SplitMix64::seeded(1);
    let mut schedule = Schedule::default();
    let after = After { outcome: Outcome::Injected, idempotent: true, now: Moment::ZERO, deadline: None, bank: None };
    let mut next = || {
        schedule.begin();
        match schedule.decide(&retry, &after, &mut random) {
            Decision::Again(pause) => Some(pause.as_secs_f64()),
            Decision::Over | Decision::GiveUp(_) => None,
        }
    };
    std::iter::from_fn(&mut next).collect()
}

/// Retries, health checks and backups of the resilience guide.
fn resilience() -> Vec<(&'static str, Verdict)> {
    let as_coded = Retry::textbook_as_coded();
    let sum = |attempts| pauses(&as_coded, attempts).iter().sum::<f64>();
    let shortest_life = |cold_days: f64| cold_days + 90.0;
    let (interval, start_window, completion) = (24.0, 1.0, 2.0);
    vec![
        ("N-01", whole(6.0, sum(3))),
        ("N-01", whole(30.0, sum(5))),
        ("N-01", whole(126.0, sum(8))),
        // `base_delay=1` is documented, and the first pause of the code is two seconds.
        ("N-01", Corrected { says: 1.0, is: pauses(&as_coded, 2)[0], right: 2.0 }),
        ("N-02", Derived { is: 30.0 * 3.0 + 60.0 * 2.0, right: 210.0 }),
        ("N-03", Corrected { says: 30.0, is: shortest_life(7.0), right: 97.0 }),
        // In the expressions of AWS the week begins with Sunday, which is 1.
        ("N-04", Corrected { says: 1.0, is: f64::from(Weekday::Monday.to_sunday_one_offset()), right: 2.0 }),
        ("N-05", Corrected { says: 24.0, is: interval + start_window + completion, right: 27.0 }),
    ]
}

/// The smallest group of which a share is at least one.
fn smallest_group(percent: f64) -> f64 {
    let size = (1_u32..).find(|size| SelectionMode::Percent(percent).take_of(*size as usize) >= 1);
    f64::from(size.unwrap())
}

/// Whether what was measured keeps a clause.
fn holds(measured: &str, clause: &str) -> bool {
    clause.parse::<Condition>().unwrap().holds(quantity(measured))
}

fn quantity(text: &str) -> f64 {
    text.parse::<Quantity>().unwrap().value
}

/// Costs, clauses and selections of the guide to experiments.
fn experiments() -> Vec<(&'static str, Verdict)> {
    let hour = HourOfDowntime { revenue: 100_000.0, people: 20.0, person_hour: 100.0 };
    let outage = cost::outage_cost(hour, Outage { duration: Duration::from_secs(2 * 3600) });
    let avoided = cost::programme_value(Programme { per_year: 0.0, avoids: 1.0 }, outage).avoided;
    let quarter_of_two = f64::from(u32::try_from(SelectionMode::Percent(25.0).take_of(2)).unwrap());
    vec![
        ("N-06", whole(204_000.0, outage.cost)),
        ("N-07", Claim { says: true, is: avoided > 200_000.0 }),
        // A yellow verdict: the latency does not hold its clause, the recovery does, which is told as a defect too.
        ("N-08", Claim { says: false, is: holds("1500 ms", "<= 500 ms") }),
        ("N-08", Right { says: 3.0, rounding: 0.0, is: quantity("1500 ms") / quantity("500 ms") }),
        ("N-08", Claim { says: true, is: holds("3 min", "<= 5 min") }),
        ("N-09", Derived { is: smallest_group(5.0), right: 20.0 }),
        ("N-09", Derived { is: smallest_group(10.0), right: 10.0 }),
        ("N-10", Corrected { says: 0.5, is: quarter_of_two, right: 0.0 }),
        // "Availability + 0.1 %" from 99.95 % is more than always; as a share of the downtime it can be had.
        ("N-11", Claim { says: false, is: availability("99.95%").up() + 0.001 <= 1.0 }),
        ("N-11", Claim { says: true, is: availability("99.9%").up() + 0.001 <= 1.0 + f64::EPSILON }),
    ]
}

/// The document of patterns.
fn patterns_rows() -> Vec<(&'static str, Verdict)> {
    let retry = Retry::exponential(Duration::from_secs(1)).max_delay(Duration::from_secs(10));
    let waits = pauses(&retry, 6);
    let connect_timeout = 3.0;
    let worst = 3.0 * connect_timeout + waits[..2].iter().sum::<f64>();
    let wanted = [1.0, 2.0, 4.0, 8.0, 10.0];
    let mut rows: Vec<_> = waits.iter().zip(wanted).map(|(is, says)| ("N-13", whole(says, *is))).collect();
    rows.extend([
        ("N-12", Derived { is: smallest_group(10.0), right: 10.0 }),
        ("N-13", Derived { is: worst, right: 12.0 }),
        ("N-14", whole(300.0, period("PT5M").as_secs_f64())),
        ("N-15", Claim { says: true, is: holds("0.05 %", "< 0.1 %") }),
    ]);
    rows
}

/// The guide to failover by DNS.
fn failover() -> Vec<(&'static str, Verdict)> {
    // Detection at worst, the change of records, the old time to live; then what warms up beside it.
    let (interval, failures, check_timeout) = (30.0, 3.0, 10.0);
    let detected = interval * failures + check_timeout;
    let (answers_change, warm) = (detected + 30.0 + 60.0, detected + 180.0);
    let gate = Objectives { rpo: Some(period("PT1M")), lag_limit: Some(period("PT5M")), ..Objectives::default() };
    let indicators = 5.0 + 3.0 + 10.0 + 15.0;
    vec![
        ("N-16", whole(90.0, interval * failures)),
        ("N-17", Derived { is: answers_change, right: 190.0 }),
        ("N-17", Derived { is: warm, right: 280.0 }),
        ("N-17", Claim { says: true, is: warm < period("PT5M").as_secs_f64() }),
        // At least a half must be there: rounded up, where a selection rounds down.
        ("N-18", whole(2.0, (3.0_f64 * 0.5).ceil())),
        ("N-19", Claim { says: true, is: matches!(contradictions(&gate)[..], [Doubt::LagAboveRpo { .. }]) }),
        ("N-20", Derived { is: indicators, right: 33.0 }),
        ("N-20", Claim { says: false, is: indicators <= 10.0 }),
    ]
}

/// A cell of a table: the number, half of its last digit, and its unit in seconds.
type Cell = (f64, f64, f64);

/// The table of availability tiers: seven rows, three cells each.
fn tiers() -> Vec<(&'static str, Verdict)> {
    let tiers: [(&str, [Cell; 3]); 7] = [
        ("90%", [(36.5, 0.05, DAY), (3.0, 0.5, DAY), (16.8, 0.05, HOUR)]),
        ("95%", [(18.25, 0.005, DAY), (1.5, 0.05, DAY), (8.4, 0.05, HOUR)]),
        ("99%", [(3.65, 0.005, DAY), (7.2, 0.05, HOUR), (1.68, 0.005, HOUR)]),
        ("99.9%", [(8.76, 0.005, HOUR), (43.2, 0.05, MINUTE), (10.1, 0.05, MINUTE)]),
        ("99.95%", [(4.38, 0.005, HOUR), (21.6, 0.05, MINUTE), (5.04, 0.005, MINUTE)]),
        ("99.99%", [(52.56, 0.005, MINUTE), (4.32, 0.005, MINUTE), (1.01, 0.005, MINUTE)]),
        ("99.999%", [(5.26, 0.005, MINUTE), (25.9, 0.05, 1.0), (6.05, 0.005, 1.0)]),
    ];
    let cell = |seconds: f64, (says, rounding, unit): Cell| {
        // A cell that lies exactly between two of its digits may be rounded either way.
        ("N-21", Right { says, rounding: rounding * (1.0 + 1e-9), is: seconds / unit })
    };
    let of_tier = |(text, cells): (&str, [Cell; 3])| {
        let down = Downtime::of(availability(text));
        [cell(down.year, cells[0]), cell(down.month, cells[1]), cell(down.week, cells[2])]
    };
    tiers.into_iter().flat_map(of_tier).collect()
}

/// The probability that something is up, by its fault tree.
fn up(build: impl FnOnce(&mut FaultTree) -> assess::availability::GateId) -> f64 {
    let mut tree = FaultTree::new();
    let top = build(&mut tree);
    1.0 - probability(&tree, top, &Limits::default()).unwrap()
}

fn events(tree: &mut FaultTree, availabilities: &[&str]) -> Vec<Input> {
    availabilities.iter().map(|text| Input::Event(tree.event(availability(text).down()))).collect()
}

/// What a design allows.
fn structures() -> Vec<(&'static str, Verdict)> {
    let series = up(|tree| {
        let parts = events(tree, &["99.9%", "99.9%", "99.9%"]);
        tree.any(parts)
    });
    let pair = up(|tree| {
        let parts = events(tree, &["99.9%", "99.9%"]);
        tree.all(parts)
    });
    let mixed = up(|tree| {
        let web = events(tree, &["99.9%", "99.9%"]);
        let web = Input::Gate(tree.all(web));
        let parts: Vec<Input> = events(tree, &["99.99%", "99.95%"]).into_iter().chain([web]).collect();
        tree.any(parts)
    });
    let upon_others = assessed(promise("99.9%", "PT1H"));
    let ceiling = upon_others.expected.as_ref().and_then(|expected| expected.ceiling).unwrap().up();
    vec![
        ("N-22", Right { says: 99.7, rounding: 0.05, is: series * 100.0 }),
        ("N-22", Derived { is: series, right: 0.997_002_999 }),
        ("N-23", Right { says: 99.9999, rounding: 0.000_05, is: pair * 100.0 }),
        ("N-24", Right { says: 99.9399, rounding: 0.000_05, is: mixed * 100.0 }),
        ("N-24", Derived { is: mixed, right: 0.999_399_050_599_95 }),
        ("N-37", Derived { is: ceiling, right: 0.998_500_5 }),
        ("N-37", Claim { says: false, is: !matches!(upon_others.doubts[0], Doubt::AboveCeiling { .. }) }),
        ("N-38", Derived { is: Downtime::of(availability("99.9%")).month / MINUTE, right: 43.2 }),
        ("N-38", Claim { says: true, is: matches!(upon_others.doubts[1], Doubt::RtoAboveBudget { .. }) }),
        ("N-42", Derived { is: Downtime::of(availability("99.85%")).month / MINUTE, right: 64.8 }),
        ("N-42", Derived { is: Downtime::of(availability("99.95%")).month / MINUTE, right: 21.6 }),
    ]
}

/// What is promised of availability and recovery.
fn promise(target: &str, rto: &str) -> Objectives {
    Objectives { availability: Some(availability(target)), rto: Some(period(rto)), ..Objectives::default() }
}

/// A workload that cannot do without two services of others, and promises this.
fn assessed(objectives: Objectives) -> Assessment {
    let external = |name: &str, promised: &str| Component {
        external: true,
        figures: Some(Figures::of(availability(promised))),
        ..Component::named(name)
    };
    let components = vec![external("payment", "99.95%"), external("mail", "99.9%")];
    let needs = components.iter().map(|component| Need::Component(component.name.clone())).collect();
    let workload = Workload {
        name: "shop".to_owned(),
        criticality: None,
        objectives,
        places: Vec::new(),
        components,
        needs: Need::All(needs),
        improvements: Vec::new(),
    };
    assess(&workload, &Limits::default()).unwrap()
}

/// Rows "M-125" (a target above what externals allow), "M-126" (an RTO that breaks the month's budget) and "M-171" (findings are
/// computed from what a document says, and not printed; here also that a lag limit contradicts the RPO).
#[test]
fn what_an_assessment_finds_follows_from_the_figures() {
    let sentences = |objectives| assessed(objectives).doubts.iter().map(Doubt::sentence).collect::<Vec<_>>();
    let lags =
        |limit| Objectives { rpo: Some(period("PT1M")), lag_limit: Some(period(limit)), ..promise("99.9%", "PT1H") };
    let ceiling = "99.9 % is promised, but payment, mail allow together 99.85005 % at best (of 99.95 % and 99.9 %)";
    let budget = "one outage of the 1 h that the RTO allows breaks the month: 99.9 % leaves 43 min 12 s";
    let lag = "a failover goes ahead with a replica 5 min behind, but only 1 min of data may be lost";
    assert_eq!(sentences(lags("PT5M")), [ceiling, budget, lag]);
    // Each goes with its own figure, and none without.
    assert_eq!(sentences(lags("PT1M")), [ceiling, budget]);
    assert_eq!(sentences(promise("99.9%", "PT43M")), [ceiling]);
    assert_eq!(sentences(promise("99.85%", "PT1H")), Vec::<String>::new());
    let month = |target, rto| assessed(promise(target, rto)).outages_in_a_month.unwrap();
    for (target, rto, fit) in
        [("99.95%", "PT15M", 1.44), ("99.9%", "PT1H", 0.72), ("99%", "PT4H", 1.8), ("95%", "PT24H", 1.5)]
    {
        assert!((month(target, rto) - fit).abs() < 1e-9, "{target}, {rto}");
    }
}

/// The report of thirty days with the incidents of these lengths in minutes.
fn thirty_days(minutes: &[i64]) -> history::Report {
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    // Two days apart, so that none overlap.
    let incident = |(number, long): (i64, &i64)| Incident {
        title: format!("of {long} minutes"),
        kind: Kind::Outage,
        began: at(number * 172_800),
        detected: None,
        restored: at(number * 172_800 + long * 60),
        lost: 1.0,
        cause: None,
    };
    let history = History {
        name: "a month".to_owned(),
        time_zone: jiff::tz::TimeZone::UTC,
        observed: Stretch { from: at(0), to: at(30 * 86_400) },
        target: Some(0.999),
        stated: Some(Stated { value: 0.9985, rounding: 0.000_05 }),
        change: None,
        incidents: (1..).zip(minutes).map(incident).collect(),
    };
    history::analyse(&history, None, history::USUAL_CONFIDENCE)
}

fn percent(report: &history::Report) -> f64 {
    report.whole.availability.value.unwrap() * 100.0
}

/// The availability report that was written by hand.
fn incidents() -> Vec<(&'static str, Verdict)> {
    let all = thirty_days(&[45, 20, 60]);
    let stated = all.stated.as_ref().unwrap();
    let of =
        |minutes: &[i64], says: f64| ("N-25", Right { says, rounding: 0.000_5, is: percent(&thirty_days(minutes)) });
    vec![
        ("N-25", Corrected { says: 99.85, is: percent(&all), right: (1.0 - 125.0 / 43_200.0) * 100.0 }),
        of(&[45, 20, 60], 99.711),
        of(&[45, 60], 99.757),
        of(&[45], 99.896),
        of(&[45, 20], 99.850),
        // And the report says which one was left out: that of an hour.
        ("N-25", Claim { says: true, is: !stated.agrees && stated.left_out == [[2]] }),
        ("N-26", Right { says: -0.05, rounding: 1e-9, is: (stated.stated - 0.999) * 100.0 }),
        ("N-27", Corrected { says: 45.0, is: all.whole.mttr.value.unwrap() / MINUTE, right: 125.0 / 3.0 }),
    ]
}

fn option(name: &str, availability: f64, amounts: &[f64]) -> HaOption {
    let monthly = amounts.iter().map(|amount| Item { what: String::new(), amount: *amount }).collect();
    HaOption { name: name.to_owned(), availability, monthly, once: 0.0, stated: StatedCosts::default() }
}

/// The options that were compared by hand.
fn compared() -> (Choice, Choice, Gain) {
    let now = option("now", 0.9985, &[200.0, 400.0, 25.0]);
    let proposed = option("proposed", 0.9995, &[400.0, 600.0, 25.0, 25.0, 100.0]);
    let [now, proposed] = <[Choice; 2]>::try_from(cost::compare(&[now, proposed], 10_000.0)).unwrap();
    let gain = proposed.gain.unwrap();
    (now, proposed, gain)
}

/// What a shell makes of a text in double quotes: a dollar sign and a digit are an argument of the script, which has none.
fn in_double_quotes(text: &str) -> String {
    let mut printed = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '$' || letters.next_if(char::is_ascii_digit).is_none() {
            printed.push(letter);
        }
    }
    printed
}

/// The cost and benefit that were computed by hand.
fn costs() -> Vec<(&'static str, Verdict)> {
    let (now, proposed, gain) = compared();
    let printed = in_double_quotes("Total: $1,125 (+$525 = 84% increase)") == "Total: ,125 (+25 = 84% increase)";
    vec![
        ("N-28", whole(625.0, now.monthly)),
        ("N-29", whole(525.0, gain.extra_monthly)),
        ("N-30", Corrected { says: 1125.0, is: proposed.monthly, right: 1150.0 }),
        ("N-31", Right { says: 84.0, rounding: 0.05, is: gain.extra_share.unwrap() * 100.0 }),
        ("N-32", Corrected { says: 13.0, is: gain.saved_hours, right: 8.76 }),
        ("N-33", Corrected { says: 130_000.0, is: gain.saved, right: 87_600.0 }),
        ("N-34", Corrected { says: 1963.0, is: gain.roi.unwrap() * 100.0, right: 8_130_000.0 / 6300.0 }),
        ("N-35", Claim { says: true, is: printed }),
    ]
}

/// Everything else of the review.
fn review() -> Vec<(&'static str, Verdict)> {
    vec![
        // An absolute 80 is 80 % of a quota of 100, and of no other.
        ("N-36", Derived { is: 80.0 / 0.8, right: 100.0 }),
        ("N-39", whole(300.0, period("PT5M").as_secs_f64())),
        ("N-40", whole(120.0, 2.0 * 60.0)),
        ("N-41", Corrected { says: 90.0, is: 12.0 * WEEK / DAY, right: 84.0 }),
        ("N-44", whole(24.0, 12.0 + 12.0)),
        ("N-45", Derived { is: 2.0 + 3.0 + 2.0, right: 7.0 }),
    ]
}

fn availability(text: &str) -> Availability {
    text.parse().unwrap()
}

fn period(text: &str) -> Period {
    text.parse().unwrap()
}

/// The table of tiers and the sums of costs count the same year.
#[test]
fn a_year_has_365_days_and_a_month_thirty() {
    assert!((YEAR / HOUR - cost::HOURS_PER_YEAR).abs() < 1e-9);
    assert!((MONTH / DAY - 30.0).abs() < 1e-9);
}
