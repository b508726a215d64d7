//! Reviews of a small lens: three questions, whose practices have levels, efforts and an order.

use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use model::{
    incident::{History, Incident, Kind, Stretch},
    lens::{Choice, Extra, Lens, Level, Pillar, Question, Risk, Rule},
    review::{
        Answer, Answers, ChoiceAnswer, Evidence, Improvement, Month, NotApplicable, Planning, Progress, Reason, Review,
        Status,
    },
};
use proptest::prelude::*;
use serde_json::json;

use super::{
    Standing,
    change::{compare, unproven},
    month::{Amount, monthly},
    plan::{Field, Item, items, matrix},
    rules::analyse,
    schedule::{DAYS, schedule},
    standing::{Known, QuestionRisk},
    upgrade::{Fate, upgrade},
};

fn choice(id: &str, notes: &serde_json::Value) -> Choice {
    let extra = notes.as_object().cloned().unwrap_or_default();
    Choice { id: id.to_owned(), title: format!("Title of {id}"), help: None, plan: None, more: Vec::new(), extra }
}

fn question(id: &str, choices: Vec<Choice>, rules: &[(&str, Risk)]) -> Question {
    let rule = |(condition, risk): &(&str, Risk)| Rule {
        condition: condition.parse().unwrap(),
        risk: *risk,
        extra: Extra::new(),
    };
    Question {
        id: id.to_owned(),
        title: format!("Title of {id}"),
        description: None,
        help: None,
        choices,
        rules: rules.iter().map(rule).collect(),
        extra: Extra::new(),
    }
}

/// `q1` wants a and b and c, of which a and b make it medium; `q2` is about d alone; `q3` punishes what it names.
fn lens() -> Lens {
    let high = |impact: &str, effort: &str| json!({ "_level": "HIGH", "_impact": impact, "_effort": effort });
    let after = json!({ "_level": "MEDIUM", "_impact": "HIGH", "_effort": "MEDIUM", "_after": ["a", "d"] });
    let q1 = vec![
        choice("a", &high("HIGH", "HIGH")),
        choice("b", &high("MEDIUM", "LOW")),
        choice("c", &after),
        choice("q1_no", &json!({})),
    ];
    let rules = [("a && b && c", Risk::None), ("a && b", Risk::Medium), ("default", Risk::High)];
    let q2 = question(
        "q2",
        vec![choice("d", &json!({})), choice("q2_no", &json!({}))],
        &[("d", Risk::None), ("default", Risk::Medium)],
    );
    let q3 = question(
        "q3",
        vec![choice("bad", &json!({})), choice("q3_no", &json!({}))],
        &[("bad", Risk::High), ("default", Risk::None)],
    );
    let questions = vec![question("q1", q1, &rules), q2, q3];
    let pillar = Pillar { id: "p".to_owned(), name: "P".to_owned(), questions, extra: Extra::new() };
    Lens {
        schema_version: model::lens::SCHEMA_VERSION.to_owned(),
        name: "Small".to_owned(),
        description: None,
        pillars: vec![pillar],
        extra: Extra::new(),
    }
}

fn answer(selected: &[&str], unselected: &[&str]) -> Answer {
    let given = |ids: &[&str], status: Status| -> Vec<(String, ChoiceAnswer)> {
        ids.iter().map(|id| ((*id).to_owned(), ChoiceAnswer::from(status))).collect()
    };
    let choices = given(selected, Status::Selected).into_iter().chain(given(unselected, Status::Unselected)).collect();
    Answer { choices, ..Answer::default() }
}

fn answers(of: &[(&str, Answer)]) -> Answers {
    of.iter().map(|(id, answer)| ((*id).to_owned(), answer.clone())).collect()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

const NOW: &str = "2026-11-22T12:00:00Z";

fn standing(of: &[(&str, Answer)]) -> Standing {
    Standing::of(&lens(), &answers(of), time(NOW))
}

fn risk(standing: &Standing, id: &str) -> QuestionRisk {
    standing.questions().find(|question| question.id == id).unwrap().risk
}

fn known(standing: &Standing, id: &str) -> Known {
    standing.questions().flat_map(|question| &question.choices).find(|choice| choice.id == id).unwrap().known
}

#[test]
fn a_question_has_the_risk_of_the_first_rule_that_is_true() {
    let standing = standing(&[("q1", answer(&["a", "b"], &[])), ("q3", answer(&["bad"], &[]))]);
    assert_eq!(risk(&standing, "q1"), QuestionRisk::Medium);
    assert_eq!(risk(&standing, "q2"), QuestionRisk::Unanswered);
    assert_eq!(risk(&standing, "q3"), QuestionRisk::High);
    let counts = standing.counts;
    assert_eq!((counts.high, counts.medium, counts.none, counts.unanswered, counts.total()), (1, 1, 0, 1, 3));
}

#[test]
fn the_fewest_practices_that_lower_a_risk_are_named() {
    let standing = standing(&[("q1", answer(&["c"], &["a", "b"])), ("q3", answer(&["bad"], &[]))]);
    let nearest = |id: &str| standing.questions().find(|question| question.id == id).unwrap().nearest.clone();
    // With c there already, a and b together leave no risk at all.
    assert_eq!(nearest("q1"), Some((vec!["a".to_owned(), "b".to_owned()], QuestionRisk::None)));
    // Nothing that could be added helps against what is named as bad.
    assert_eq!(nearest("q3"), None);
}

#[test]
fn whoever_adds_a_practice_no_longer_says_none_of_these() {
    let standing = standing(&[("q2", answer(&["q2_no"], &[]))]);
    let question = standing.questions().nth(1).unwrap();
    assert_eq!(question.nearest, Some((vec!["d".to_owned()], QuestionRisk::None)));
}

#[test]
fn what_does_not_concern_the_workload_neither_helps_nor_hurts() {
    let mut given = answer(&["a", "b"], &[]);
    given.choices.insert("c".to_owned(), Status::NotApplicable(Reason::OutOfScope).into());
    assert_eq!(risk(&standing(&[("q1", given)]), "q1"), QuestionRisk::None);
    // A choice that is a fault counts as not made; and a question of nothing else does not concern the workload.
    let bad = answers(&[(
        "q3",
        Answer {
            choices: [("bad".to_owned(), Status::NotApplicable(Reason::Other).into())].into(),
            ..Answer::default()
        },
    )]);
    let standing = Standing::of(&lens(), &bad, time(NOW));
    assert_eq!(risk(&standing, "q3"), QuestionRisk::NotApplicable);
    let whole = Answer {
        not_applicable: Some(NotApplicable { reason: Reason::BusinessPriorities, notes: None }),
        ..answer(&["a"], &[])
    };
    let standing = Standing::of(&lens(), &answers(&[("q1", whole)]), time(NOW));
    assert_eq!(risk(&standing, "q1"), QuestionRisk::NotApplicable);
}

fn seen(at: &str, expires: Option<&str>, contradicts: bool) -> Evidence {
    Evidence { source: "drill".to_owned(), at: time(at), expires: expires.map(time), contradicts, says: None }
}

#[test]
fn evidence_shows_expires_and_contradicts() {
    let old = seen("2026-01-01T00:00:00Z", Some("2026-06-01T00:00:00Z"), false);
    let fresh = seen("2026-11-01T00:00:00Z", None, false);
    let against = seen("2026-11-10T00:00:00Z", Some("2027-01-01T00:00:00Z"), true);
    let future = seen("2027-01-01T00:00:00Z", None, false);
    let cases = [
        (vec![], Known::Said),
        (vec![fresh.clone()], Known::Shown),
        (vec![old.clone()], Known::Stale),
        (vec![old.clone(), fresh.clone()], Known::Shown),
        // The latest that counts decides, whatever the order of the file.
        (vec![against.clone(), fresh], Known::Contradicted),
        (vec![old, against], Known::Contradicted),
        (vec![future], Known::Said),
    ];
    for (evidence, expected) in cases {
        let mut given = answer(&["d"], &[]);
        given.choices.get_mut("d").unwrap().evidence = evidence;
        let standing = standing(&[("q2", given)]);
        assert_eq!(known(&standing, "d"), expected);
        // What is contradicted counts as not followed; what is stale counts, and is asked again.
        let contradicted = expected == Known::Contradicted;
        assert_eq!(risk(&standing, "q2"), if contradicted { QuestionRisk::Medium } else { QuestionRisk::None });
        let question = standing.questions().nth(1).unwrap();
        assert_eq!(question.reopened(), matches!(expected, Known::Stale | Known::Contradicted));
    }
}

#[test]
fn a_comparison_tells_better_from_worse_and_answering_from_both() {
    let before = standing(&[("q1", answer(&["c"], &[])), ("q2", answer(&["d"], &[]))]);
    let after =
        standing(&[("q1", answer(&["a", "b"], &[])), ("q2", answer(&["q2_no"], &[])), ("q3", answer(&["q3_no"], &[]))]);
    let comparison = compare(&before, &after);
    let ways: Vec<_> = comparison.changes.iter().map(|change| (change.id.as_str(), change.better())).collect();
    assert_eq!(ways, [("q1", Some(true)), ("q2", Some(false)), ("q3", None)]);
    assert_eq!(
        (&comparison.changes[0].gained, &comparison.changes[0].lost),
        (&vec!["a".to_owned(), "b".to_owned()], &vec!["c".to_owned()])
    );
    assert_eq!(compare(&after, &after).changes, []);
    assert_eq!(unproven(&after), (2, 2));
}

#[test]
fn an_upgrade_loses_no_answer() {
    let old = lens();
    let mut new = lens();
    let questions = &mut new.pillars[0].questions;
    questions.remove(2);
    // b gets another id under the same title, c is gone, e is there for the first time.
    questions[0].choices[1].id = "b2".to_owned();
    questions[0].choices[2] = choice("e", &json!({}));
    questions.push(question("q4", vec![choice("x", &json!({}))], &[("default", Risk::None)]));
    let given =
        answers(&[("q1", answer(&["a", "b", "c"], &[])), ("q2", answer(&["d"], &[])), ("q3", answer(&["bad"], &[]))]);
    let done = upgrade(&old, &new, &given, &Answers::new());
    let fates: Vec<_> = done.changes.iter().map(|change| (change.id.as_str(), change.fate)).collect();
    assert_eq!(fates, [("q1", Fate::Updated), ("q2", Fate::Unchanged), ("q4", Fate::New), ("q3", Fate::Deleted)]);
    let q1 = &done.changes[0];
    assert_eq!(q1.renamed_choices, [("b".to_owned(), "b2".to_owned())]);
    assert_eq!((&q1.new_choices, &q1.deleted_choices), (&vec!["e".to_owned()], &vec!["c".to_owned()]));
    assert_eq!(done.answers["q1"].choices.keys().collect::<Vec<_>>(), ["a", "b2"]);
    assert_eq!(done.answers["q2"], given["q2"]);
    assert_eq!((&done.retired["q1"].choices["c"].status, &done.retired["q3"]), (&Status::Selected, &given["q3"]));
    // Back again: what was retired is answered as it was.
    let back = upgrade(&new, &old, &done.answers, &done.retired);
    assert_eq!(back.answers["q3"], given["q3"]);
    assert_eq!(back.answers["q1"].choices.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(back.retired, Answers::new());
}

/// A review in which nothing of `q1` and `q2` is followed.
fn nothing_followed() -> Review {
    let answers = answers(&[("q1", answer(&["q1_no"], &[])), ("q2", answer(&["q2_no"], &[]))]);
    Review { answers, ..Review::default() }
}

fn items_of(review: &Review) -> Vec<Item> {
    let lens = lens();
    items(&lens, review, &Standing::of(&lens, &review.answers, time(NOW)))
}

#[test]
fn improvements_are_ordered_by_field_and_the_review_overrules_the_lens() {
    let mut review = nothing_followed();
    let order =
        |review: &Review| items_of(review).into_iter().map(|item| (item.choice, item.field)).collect::<Vec<_>>();
    let expected = |of: &[(&str, Field)]| of.iter().map(|(id, field)| ((*id).to_owned(), *field)).collect::<Vec<_>>();
    use Field::{HighRiskHighImpact, MediumRiskHighImpact, Others, QuickWins};
    // d has no levels of its own: its question's risk, and medium for the rest.
    assert_eq!(
        order(&review),
        expected(&[("b", QuickWins), ("a", HighRiskHighImpact), ("c", MediumRiskHighImpact), ("d", Others)])
    );
    review
        .improvements
        .insert("c".to_owned(), Improvement { progress: Progress::InProgress, ..Improvement::default() });
    review.improvements.insert("a".to_owned(), Improvement { effort: Some(Level::Low), ..Improvement::default() });
    review
        .improvements
        .insert("b".to_owned(), Improvement { progress: Progress::RiskAccepted, ..Improvement::default() });
    let items = items_of(&review);
    let ids: Vec<_> = items.iter().map(|item| item.choice.as_str()).collect();
    assert_eq!(ids, ["c", "a", "d", "b"]);
    // A risk that is accepted is no longer to be worked on.
    assert!(matrix(&items).values().flatten().all(|item| item.choice != "b"));
    // Where the business does not depend on the workload, everything is worth less.
    review.workload.criticality = Some(Level::Low);
    assert_eq!(items_of(&review)[0].impact, Level::Medium);
}

#[test]
fn every_combination_has_its_field() {
    use Level::{High, Low, Medium};
    let rows = [
        ((High, High, High), Field::HighRiskHighImpact),
        ((High, Medium, High), Field::HighRiskMediumImpact),
        ((Medium, High, Medium), Field::MediumRiskHighImpact),
        ((High, Low, High), Field::Others),
        ((Medium, Medium, High), Field::Others),
        ((Low, High, Low), Field::Others),
        ((High, Low, Low), Field::QuickWins),
        ((Medium, Low, Low), Field::QuickWins),
    ];
    for ((risk, impact, effort), field) in rows {
        assert_eq!(Field::of(risk, impact, effort), field);
    }
}

#[test]
fn a_plan_keeps_to_dependencies_owners_and_dates() {
    let mut review = nothing_followed();
    let owned =
        |due: Option<&str>| Improvement { owner: Some("Dana".to_owned()), due: due.map(day), ..Improvement::default() };
    review.improvements.insert("a".to_owned(), owned(None));
    review.improvements.insert("b".to_owned(), owned(Some("2026-11-28")));
    let items = items_of(&review);
    let plan = schedule(&items, &Planning { start: None, parallel: Some(1) }, day("2026-11-23"));
    let dates: Vec<_> =
        plan.tasks.iter().map(|task| (task.choice.as_str(), task.start.to_string(), task.end.to_string())).collect();
    let row = |id, from: &str, to: &str| (id, from.to_owned(), to.to_owned());
    // Dana does b in a week, then a in four; d goes on beside, c waits for both.
    assert_eq!(
        dates,
        [
            row("b", "2026-11-23", "2026-11-29"),
            row("d", "2026-11-23", "2026-12-06"),
            row("a", "2026-11-30", "2026-12-27"),
            row("c", "2026-12-28", "2027-01-10"),
        ]
    );
    assert_eq!(plan.tasks.iter().map(|task| task.late).collect::<Vec<_>>(), [true, false, false, false]);
    assert_eq!(plan.tasks.iter().map(|task| task.phase).collect::<Vec<_>>(), [1, 1, 2, 2]);
    assert_eq!(
        (plan.last, plan.checkpoints),
        (day("2027-02-20"), [day("2026-12-22"), day("2027-01-21"), day("2027-02-20")])
    );
    assert_eq!(plan.tasks[3].after, ["a", "d"]);
}

#[test]
fn what_waits_for_itself_is_said_and_the_rest_is_planned() {
    let mut review = nothing_followed();
    review.improvements.insert("a".to_owned(), Improvement { after: vec!["c".to_owned()], ..Improvement::default() });
    let plan = schedule(&items_of(&review), &Planning::default(), day("2026-11-23"));
    assert_eq!(plan.circular, ["a", "c"]);
    assert_eq!(plan.tasks.len(), 2);
}

/// Names and values to the sixth digit, and whether promises were kept.
fn shown(monthly: &super::month::Monthly) -> Vec<(&'static str, f64, Option<bool>)> {
    let number = |amount: Amount| match amount {
        Amount::Share(number) | Amount::Seconds(number) => (number * 1e6).round() / 1e6,
        Amount::Count(count) => f64::from(u32::try_from(count).unwrap()),
    };
    monthly.figures.iter().map(|figure| (figure.name, number(figure.value), figure.kept)).collect()
}

#[test]
fn a_month_is_measured_against_what_was_promised() {
    let mut review = nothing_followed();
    review.workload.availability = Some(99.9);
    review.workload.rto = Some("PT1H".parse().unwrap());
    review.months.push(Month {
        first: day("2026-10-01"),
        availability: Some(99.711),
        incidents: Some(3),
        downtime: Some("PT2H5M".parse().unwrap()),
        backups_made: Some(62),
        backups_failed: Some(0),
        notes: None,
    });
    let mut given = answer(&["d"], &[]);
    given.choices.get_mut("d").unwrap().evidence =
        vec![seen("2026-10-01T00:00:00Z", Some("2026-12-01T00:00:00Z"), false)];
    review.answers.insert("q2".to_owned(), given);
    let plan = schedule(&items_of(&review), &Planning::default(), day("2026-11-22"));
    let monthly = monthly(&review, &plan, None, None, time(NOW));
    let figures = shown(&monthly);
    // 125 minutes of the 44.64 that 99.9 % leaves in October; 125 / 3 minutes each.
    assert_eq!(
        figures,
        [
            ("Availability", 0.997_11, Some(false)),
            ("Error budget used", 2.800_179, Some(false)),
            ("Downtime", 7500.0, None),
            ("Incidents", 3.0, None),
            ("Mean time to recover", 2500.0, Some(true)),
            ("Backups made", 62.0, None),
            ("Backups failed", 0.0, Some(true)),
        ]
    );
    assert!(monthly.remarks[0].starts_with("The figures are what the review says"), "{:?}", monthly.remarks);
    assert_eq!(monthly.expiring.len(), 1);
    assert_eq!(monthly.due, ["b", "a"]);
}

#[test]
fn the_small_lens_has_only_the_flaw_that_it_is_built_for() {
    let questions: Vec<_> = lens().questions().map(|(_, question)| question.clone()).collect();
    let flaws: Vec<_> = analyse(&questions).into_iter().map(|flaw| flaw.question).collect();
    assert_eq!(flaws, ["q3"]);
}

fn some_items() -> impl Strategy<Value = Vec<Item>> {
    let one = (0..3_u8, prop::option::of(0..3_u8), prop::collection::vec(0..12_usize, 0..3), 1..40_i32);
    prop::collection::vec(one, 1..12).prop_map(|rows| {
        let template = items_of(&nothing_followed()).remove(0);
        let item = |(n, (field, owner, after, days)): (usize, (u8, Option<u8>, Vec<usize>, i32))| Item {
            choice: format!("c{n}"),
            label: format!("c{n}"),
            field: Field::ALL[usize::from(field)],
            owner: owner.map(|owner| format!("o{owner}")),
            // Only earlier ones, so that there is no circle.
            after: after.into_iter().filter(|before| *before < n).map(|before| format!("c{before}")).collect(),
            days,
            ..template.clone()
        };
        rows.into_iter().enumerate().map(item).collect()
    })
}

proptest! {
    #[test]
    fn no_plan_begins_anything_too_early_or_gives_an_owner_two_things_at_once(items in some_items(), parallel in 1..4_u32) {
        let plan = schedule(&items, &Planning { start: None, parallel: Some(parallel) }, day("2026-11-23"));
        prop_assert!(plan.circular.is_empty());
        prop_assert_eq!(plan.tasks.len(), items.len());
        let task = |id: &str| plan.tasks.iter().find(|task| task.choice == id).unwrap();
        for item in &items {
            let own = task(&item.choice);
            prop_assert!(own.start >= plan.first && own.end == own.start + (item.days - 1).days());
            for before in &item.after {
                prop_assert!(task(before).end < own.start);
            }
            let overlapping = plan.tasks.iter().filter(|other| other.owner == own.owner && other.start <= own.start && own.start <= other.end);
            let most = if own.owner.is_some() { 1 } else { parallel as usize };
            prop_assert!(overlapping.count() <= most);
            prop_assert_eq!(own.phase == 4, own.end > plan.first + (DAYS - 1).days());
        }
    }
}

/// Incidents of September and October of 2026, all of them observed.
fn history(detected: bool) -> History {
    let incident = |title: &str, began: &str, minutes: i64| {
        let began = time(began);
        let restored = began.checked_add(minutes.minutes()).unwrap();
        let detected = detected.then(|| began.checked_add(6.minutes()).unwrap());
        Incident { title: title.to_owned(), kind: Kind::Outage, began, detected, restored, lost: 1.0, cause: None }
    };
    History {
        name: "Shop".to_owned(),
        time_zone: TimeZone::UTC,
        observed: Stretch { from: time("2026-09-01T00:00:00Z"), to: time("2026-11-10T00:00:00Z") },
        target: Some(0.999),
        stated: None,
        change: None,
        incidents: vec![
            incident("disk", "2026-10-20T10:00:00Z", 40),
            incident("queue", "2026-10-02T10:00:00Z", 80),
            incident("names", "2026-09-02T10:00:00Z", 180),
        ],
    }
}

#[test]
fn a_month_is_computed_from_incidents_and_compared_with_the_one_before() {
    let mut review = nothing_followed();
    review.workload.rto = Some("PT1H".parse().unwrap());
    let plan = schedule(&items_of(&review), &Planning::default(), day("2026-11-22"));
    let monthly = monthly(&review, &plan, Some(&history(true)), None, time(NOW));
    // November is not over; October is the last whole month.
    assert_eq!(monthly.month, Some(day("2026-10-01")));
    // Two hours of 744; the budget of a thousandth is 44.64 minutes.
    let wanted = [
        ("Availability", 0.997_312, Some(false)),
        ("Error budget used", 2.688_172, Some(false)),
        ("Downtime", 7200.0, None),
        ("Incidents", 2.0, None),
        ("Mean time to recover", 3600.0, Some(true)),
        ("Mean time to detect", 360.0, None),
    ];
    assert_eq!(shown(&monthly), wanted);
    let better: Vec<_> = monthly.figures.iter().map(|figure| figure.better).collect();
    assert_eq!(better, [Some(true), Some(true), Some(true), Some(false), Some(true), None]);
    let titles: Vec<_> = monthly.incidents.iter().map(|incident| incident.title.as_str()).collect();
    assert_eq!(titles, ["queue", "disk"]);
    assert_eq!(monthly.trend.unwrap().failures, None, "three interruptions are too few for a trend");
    assert_eq!(monthly.remarks.len(), 1, "{:?}", monthly.remarks);
    assert!(monthly.remarks[0].contains("backups"), "{:?}", monthly.remarks);
}

#[test]
fn what_is_missing_for_a_month_or_speaks_against_it_is_said() {
    let mut review = nothing_followed();
    let plan = schedule(&items_of(&review), &Planning::default(), day("2026-11-22"));
    let said = |review: &Review, history: Option<&History>, asked: Option<&str>| {
        let monthly = monthly(review, &plan, history, asked.map(day), time(NOW));
        (monthly.figures.len(), monthly.remarks.join(" "))
    };
    let (figures, remarks) = said(&review, None, None);
    assert!(figures == 0 && remarks.contains("Nothing is known of the month"), "{remarks}");
    let (_, remarks) = said(&review, Some(&history(false)), None);
    assert!(remarks.contains("When the incidents were noticed is not known"), "{remarks}");
    let (_, remarks) = said(&review, Some(&history(true)), Some("2026-11-15"));
    assert!(remarks.contains("Only 9 of the month's 30 days were observed"), "{remarks}");
    let (figures, remarks) = said(&review, Some(&history(true)), Some("2027-01-01"));
    assert!(figures == 0 && remarks.contains("2026-09-01 to 2026-11-10"), "{remarks}");
    let untargeted = History { target: None, ..history(true) };
    let (figures, remarks) = said(&review, Some(&untargeted), None);
    assert!(figures == 5 && remarks.contains("there is no error budget"), "{remarks}");
    review.months.push(Month {
        first: day("2026-10-01"),
        availability: Some(99.9),
        incidents: Some(1),
        downtime: None,
        backups_made: Some(31),
        backups_failed: Some(1),
        notes: None,
    });
    let (figures, remarks) = said(&review, Some(&history(true)), None);
    assert!(figures == 8 && remarks.contains("says 99.9 % for the month; the incidents give 99.731 %"), "{remarks}");
    assert!(remarks.contains("counts 1 incidents in the month; the history has 2"), "{remarks}");
}
