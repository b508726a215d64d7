//! What is suggested after a verdict.

use super::*;

fn with_target(matching: usize, mode: &str) -> Case {
    let mut case = Case::new();
    let target = Target { selection_mode: mode.parse().unwrap(), ..Target::default() };
    case.experiment.targets = BTreeMap::from([("some".to_owned(), target)]);
    case.plan.targets = vec![ResolvedTarget {
        name: "some".to_owned(),
        resource_type: "aws:ec2:instance".to_owned(),
        matching,
        chosen: vec![instance("r1", "a")],
        how: String::new(),
    }];
    case
}

#[test]
fn after_green_the_blast_radius_grows_by_real_arithmetic() {
    // S1 L460 says "25 %", which of two instances is none.
    let two = with_target(2, "COUNT(1)").suggestions();
    assert_eq!(two[0].what, "Run it with 8 instances or more, to hit a quarter of some.");
    assert!(two[0].why.contains("PERCENT(25) of 2 is 0, no more than now"), "{}", two[0].why);
    let four = with_target(4, "COUNT(1)").suggestions();
    assert!(four[0].why.contains("(PERCENT(25) of 4 is 1: no more than now)"), "{}", four[0].why);
    assert_eq!(four[0].change.as_deref(), Some("targets.some.selectionMode: PERCENT(50)"));
    let eight = with_target(8, "COUNT(1)").suggestions();
    assert_eq!(eight[0].change.as_deref(), Some("targets.some.selectionMode: PERCENT(25)"));
    assert!(eight.iter().any(|one| one.what.starts_with("Keep the report as evidence")));
    assert!(eight.iter().any(|one| one.what.starts_with("Combine the fault")));
}

#[test]
fn after_yellow_the_measured_figures_say_where_to_look() {
    let mut case = Case::new();
    for tenth in 120..150 {
        case.requests(f64::from(tenth) / 10.0, 40, 0, 1500);
    }
    let web = || "web".to_owned();
    let change = |change| What::Instance {
        instance: ResourceId("r9".to_owned()),
        group: web(),
        zone: "a".to_owned(),
        change,
        reason: String::new(),
    };
    case.event(12.0, change(InstanceChange::Launched));
    case.event(14.5, change(InstanceChange::Ready));
    let instance = ResourceId("r1".to_owned());
    case.event(11.5, What::Target { balancer: web(), instance, healthy: false, reason: String::new() });
    let text: Vec<String> = case.suggestions().into_iter().map(|one| format!("{} {}", one.what, one.why)).collect();
    for expected in
        ["It was 10 ms before the fault and 1.5 s during it", "It took 1.5 s", "took 2.5 s from launch to ready"]
    {
        assert!(text.iter().any(|one| one.contains(expected)), "{text:#?}\nshould say: {expected}");
    }
}

#[test]
fn after_red_there_is_a_review_and_the_same_document_again() {
    let mut case = Case::new();
    case.requests(15.0, 0, 3, 0);
    let what: Vec<String> = case.suggestions().into_iter().map(|one| one.what).collect();
    for expected in ["without blame", "core dependency", "Check configuration", "run the same document again"] {
        assert!(what.iter().any(|one| one.contains(expected)), "{what:#?}\nshould say: {expected}");
    }
    case.never_recovered();
    assert!(case.suggestions().iter().any(|one| one.what == "Make it repair itself."));
}
