use std::time::Duration;

use model::cost::Item;

use super::*;

const HOUR: HourOfDowntime = HourOfDowntime { revenue: 100_000.0, people: 20.0, person_hour: 100.0 };
const TWO_HOURS: Outage = Outage { duration: Duration::from_secs(7200) };

fn near(value: f64, wanted: f64) {
    assert!((value - wanted).abs() < 1e-6 * wanted.abs().max(1.0), "{value} is not {wanted}");
}

fn option(name: &str, availability: f64, monthly: &[f64], once: f64) -> HaOption {
    let monthly = monthly.iter().map(|amount| Item { what: "it".to_owned(), amount: *amount }).collect();
    HaOption { name: name.to_owned(), availability, monthly, once, stated: StatedCosts::default() }
}

#[test]
fn an_outage_costs_revenue_and_people_for_as_long_as_it_lasts() {
    near(outage_cost(HOUR, TWO_HOURS).cost, 204_000.0);
}

#[test]
fn a_programme_pays_when_it_avoids_enough() {
    let value = programme_value(Programme { per_year: 51_000.0, avoids: 1.0 }, outage_cost(HOUR, TWO_HOURS));
    near(value.net, 153_000.0);
    near(value.roi.unwrap(), 3.0);
    near(value.break_even.unwrap(), 0.25);
    assert_eq!(programme_value(Programme { per_year: 0.0, avoids: 1.0 }, outage_cost(HOUR, TWO_HOURS)).roi, None);
}

#[test]
fn options_are_compared_with_the_first_by_all_that_they_cost() {
    let choices =
        compare(&[option("now", 0.9985, &[200.0, 400.0, 25.0], 0.0), option("more", 0.9995, &[1150.0], 20_325.0)], 1e4);
    assert_eq!(choices[0].gain, None);
    near(choices[0].down_cost, 131_400.0);
    let gain = choices[1].gain.unwrap();
    near(gain.saved_hours, 8.76);
    near(gain.saved, 87_600.0);
    near(gain.net, 81_300.0);
    near(gain.extra_share.unwrap(), 0.84);
    near(gain.roi.unwrap(), 81_300.0 / 6300.0);
    near(gain.payback_months.unwrap(), 3.0);
}

#[test]
fn what_is_better_in_nothing_is_told_by_what_it_is_beaten() {
    let choices = compare(
        &[option("a", 0.999, &[100.0], 0.0), option("b", 0.999, &[120.0], 0.0), option("c", 0.9995, &[300.0], 0.0)],
        1000.0,
    );
    let beaten: Vec<_> = choices.iter().map(|choice| choice.beaten_by.as_deref()).collect();
    assert_eq!(beaten, [None, Some("a"), None]);
}

#[test]
fn what_costs_less_and_is_better_has_no_return_to_speak_of_but_a_gain() {
    let choices = compare(&[option("a", 0.99, &[500.0], 0.0), option("b", 0.999, &[400.0], 0.0)], 1000.0);
    let gain = choices[1].gain.unwrap();
    assert_eq!((gain.roi, gain.payback_months), (None, Some(0.0)));
    near(gain.net, 78_840.0 + 1200.0);
    let worse = compare(&[option("a", 0.99, &[500.0], 0.0), option("b", 0.99, &[600.0], 50.0)], 1000.0);
    assert_eq!(worse[1].gain.unwrap().payback_months, None);
}

#[test]
fn what_somebody_else_computed_is_checked_as_exactly_as_it_was_written() {
    let whole = |value: f64| Some(Stated { value, rounding: 0.5 });
    let mut more = option("more", 0.9995, &[1150.0], 0.0);
    more.stated = StatedCosts {
        monthly: whole(1125.0),
        saved_hours: whole(9.0),
        saved_per_year: whole(130_000.0),
        roi: Some(Stated { value: 12.90, rounding: 0.005 }),
    };
    let choices = compare(&[option("now", 0.9985, &[625.0], 0.0), more], 1e4);
    let agrees: Vec<_> = choices[1].checks.iter().map(|check| (check.what, check.agrees)).collect();
    use Figure::{Monthly, Roi, SavedHours, SavedPerYear};
    assert_eq!(agrees, [(Monthly, false), (SavedHours, true), (SavedPerYear, false), (Roi, true)]);
}

#[test]
fn an_experiment_that_found_a_weakness_is_worth_the_outages_that_did_not_happen() {
    let weakness = Weakness {
        name: "no failover".to_owned(),
        outages_per_year: 0.5,
        duration: Duration::from_secs(7200),
        lost: 1.0,
        experiment_hours: 12.0,
        repair_hours: 28.0,
        years: 2.0,
    };
    let found = found(&weakness, HOUR);
    near(found.prevented, 204_000.0);
    near(found.spent, 4000.0);
    near(found.roi.unwrap(), 50.0);
    // Once in 102 years is enough.
    near(1.0 / found.break_even.unwrap(), 102.0);
    let partial = super::found(&Weakness { lost: 0.5, ..weakness }, HOUR);
    near(partial.outage_cost, 104_000.0);
}
