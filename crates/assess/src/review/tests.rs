//! Reviews of a small lens: three questions, whose practices have levels, efforts and an order.

use jiff::{Timestamp, ToSpan as _, civil::Date};
use model::{
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
    month::monthly,
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
    let monthly = monthly(&review, &plan, time(NOW), day("2026-11-22"));
    let figures: Vec<_> =
        monthly.figures.iter().map(|figure| (figure.name, figure.value.as_str(), figure.kept)).collect();
    // 125 minutes of the 44.64 that 99.9 % leaves in October; 125 / 3 minutes each.
    assert_eq!(
        figures,
        [
            ("Availability", "99.711 %", Some(false)),
            ("Error budget used", "280.0 %", Some(false)),
            ("Downtime", "PT2H5M", None),
            ("Incidents", "3", None),
            ("Mean time to recover", "41.7 min", Some(true)),
            ("Backups", "62 made, 0 failed", Some(true)),
        ]
    );
    assert_eq!(monthly.expiring.len(), 1);
    assert_eq!(monthly.due, ["b", "a"]);
}

#[test]
fn the_small_lens_has_only_the_flaw_that_it_is_built_for() {
    let flaws: Vec<_> = analyse(&lens()).into_iter().map(|flaw| flaw.question).collect();
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
