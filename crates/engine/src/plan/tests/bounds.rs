//! What a run is held to.

use jiff::Timestamp;
use model::limits::{Calendar, Environments, Limits, Policy, TagRule};

use super::*;

fn limited(limits: Limits) -> Experiment {
    Experiment { limits, ..experiment("COUNT(2)") }
}

/// The problems of a run that is held to a policy, one per line; none: it may go ahead.
fn held_to(policy: Policy, experiment: &Experiment, resources: &[Resource], now: &str) -> String {
    let policies = [Bound { source: "policy.yaml".to_owned(), policy }];
    with_rules(
        Rules { policies: &policies, allow_irreversible: true, now: now.parse().unwrap() },
        experiment,
        resources,
    )
}

fn with_rules(rules: Rules<'_>, experiment: &Experiment, resources: &[Resource]) -> String {
    let catalogue = Catalogue::new([&TERMINATE, &LATENCY]);
    let request = Request { experiment, resources, catalogue: &catalogue, alarms: &BTreeMap::new(), seed: 1, rules };
    let problems = plan(&request).err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The epoch: a Thursday, 00:00 UTC.
const THURSDAY: &str = "1970-01-01T00:00:00Z";

#[test]
fn more_resources_than_allowed_are_refused_with_the_figures() {
    let most = |most| limited(Limits { max_resources: Some(most), ..Limits::default() });
    assert_eq!(
        problems(&most(1), &instances(4, "")),
        "actions.Terminate: 2 resources would be hit; the document allows 1 (maxResources); select less, or other resources"
    );
    assert!(try_plan(&most(2), &instances(4, ""), 1).is_ok());
}

#[test]
fn more_of_a_group_or_zone_than_allowed_is_refused_with_the_figures() {
    let of_group = limited(Limits { max_percent_of_group: Some(25.0), ..Limits::default() });
    let text = problems(&of_group, &instances(4, ""));
    assert!(text.contains("2 of 4 in group web would be affected at once (50 %); the document allows 25 %"), "{text}");
    assert!(try_plan(&of_group, &instances(8, ""), 1).is_ok());

    let mut of_zone = limited(Limits { max_percent_of_zone: Some(50.0), ..Limits::default() });
    of_zone.targets.get_mut("one").unwrap().parameters =
        BTreeMap::from([("availabilityZoneIdentifier".to_owned(), "a".to_owned())]);
    let text = problems(&of_zone, &instances(4, ""));
    assert!(text.contains("2 of 2 in zone a would be affected at once (100 %)"), "{text}");
}

#[test]
fn what_a_subnet_contains_is_what_is_hit() {
    let mut resources = instances(4, "");
    let inside: Vec<_> =
        resources.iter().filter(|one| one.zone.as_deref() == Some("a")).map(|one| one.id.clone()).collect();
    let subnet = Resource {
        types: vec!["lab:instance".to_owned(), "aws:ec2:instance".to_owned()],
        group: None,
        contains: inside,
        tags: BTreeMap::from([("app".to_owned(), "net".to_owned())]),
        ..instance("subnet-a", "a")
    };
    resources.push(subnet);
    let mut experiment = limited(Limits { max_percent_of_group: Some(25.0), ..Limits::default() });
    experiment.targets.get_mut("one").unwrap().resource_tags = BTreeMap::from([("app".to_owned(), "net".to_owned())]);
    let text = problems(&experiment, &resources);
    assert!(text.contains("2 of 4 in group web would be affected"), "{text}");
}

#[test]
fn healthy_members_are_those_that_are_healthy_and_not_hit() {
    let least = |least| limited(Limits { min_healthy: Some(least), ..Limits::default() });
    let mut resources = instances(4, "");
    assert!(try_plan(&least(2), &resources, 1).is_ok());
    for one in &mut resources {
        one.healthy = Some(false);
    }
    let text = problems(&least(1), &resources);
    assert!(text.contains("group web would keep 0 healthy members; the document wants 1 (minHealthy)"), "{text}");
}

/// Latency on one, and after it on another, which the document keeps apart.
fn one_after_the_other(lasting: bool, after: &[&str]) -> Experiment {
    let mut experiment = limited(Limits { max_percent_of_group: Some(25.0), ..Limits::default() });
    experiment.targets = BTreeMap::from([
        ("one".to_owned(), target("COUNT(1)")),
        ("two".to_owned(), Target { disjoint_from: vec!["one".to_owned()], ..target("COUNT(1)") }),
    ]);
    let slow = |target: &str, after: &[&str], lasting: bool| {
        let mut slow = action("network:latency", target, after);
        if !lasting {
            slow.parameters.insert("duration".to_owned(), "PT1M".to_owned());
        }
        slow
    };
    experiment.actions =
        BTreeMap::from([("A".to_owned(), slow("one", &[], lasting)), ("B".to_owned(), slow("two", after, false))]);
    experiment
}

#[test]
fn faults_that_follow_each_other_do_not_add_up_and_those_that_may_overlap_do() {
    let resources = instances(4, "");
    assert!(try_plan(&one_after_the_other(false, &["A"]), &resources, 1).is_ok());
    for together in [one_after_the_other(false, &[]), one_after_the_other(true, &["A"])] {
        assert!(problems(&together, &resources).contains("2 of 4 in group web"));
    }
}

#[test]
fn what_is_protected_is_never_hit_not_even_by_chance() {
    let tag = |value: Option<&str>| Policy {
        protected_tags: vec![TagRule { key: "tier".to_owned(), value: value.map(str::to_owned) }],
        ..Policy::default()
    };
    let mut resources = instances(2, "");
    resources[0].tags.insert("tier".to_owned(), "payments".to_owned());
    let experiment = experiment("ALL");
    for protects in [tag(None), tag(Some("payments"))] {
        let text = held_to(protects, &experiment, &resources, THURSDAY);
        assert!(text.contains("i-0 carries the tag tier") && text.contains("policy.yaml protects"), "{text}");
    }
    assert_eq!(held_to(tag(Some("search")), &experiment, &resources, THURSDAY), "");
}

#[test]
fn what_does_not_say_where_it_belongs_is_in_no_allowed_environment() {
    let environments = Environments { tag: "env".to_owned(), allowed: vec!["test".to_owned(), "staging".to_owned()] };
    let policy = || Policy { environments: Some(environments.clone()), ..Policy::default() };
    let mut resources = instances(1, "");
    let experiment = experiment("ALL");
    let mut says = |env: Option<&str>| {
        resources[0].tags.remove("env");
        resources[0].tags.extend(env.map(|env| ("env".to_owned(), env.to_owned())));
        held_to(policy(), &experiment, &resources, THURSDAY)
    };
    assert!(says(None).contains("allows the environments test, staging (tag `env`), and i-0 has none"));
    assert!(says(Some("production")).contains("i-0 is in `production`"));
    assert_eq!(says(Some("staging")), "");
}

#[test]
fn a_run_begins_and_ends_within_the_hours() {
    let hours = |text: &str| Policy {
        hours: Some(Calendar { time_zone: "Europe/Berlin".to_owned(), allowed: vec![text.parse().unwrap()] }),
        ..Policy::default()
    };
    let (experiment, resources) = (experiment("COUNT(1)"), instances(2, ""));
    let says = |text: &str| held_to(hours(text), &experiment, &resources, THURSDAY);
    // Berlin is an hour ahead.
    assert_eq!(says("Thu 01:00-02:00"), "");
    assert_eq!(
        says("Thu 00:00-01:00"),
        "hours: policy.yaml allows experiments Thu 00:00-01:00 (Europe/Berlin), and it is Thu 01:00; run it at another time"
    );
    assert!(says("Wed-Thu 01:00-01:01").contains("1 minutes are fewer than the 2 the run may take"));
}

#[test]
fn what_cannot_be_undone_is_done_to_things_of_value_only_if_somebody_says_so_and_no_policy_forbids_it() {
    let mut resources = instances(1, "");
    let experiment = experiment("ALL");
    let says = |rules: Rules<'_>, resources: &[Resource]| with_rules(rules, &experiment, resources);
    assert_eq!(says(Rules::default(), &resources), "");
    resources[0].disposable = false;
    assert_eq!(
        says(Rules::default(), &resources),
        "actions.Terminate: what `instance:terminate` does to i-0 cannot be taken back: It is taken away; say --allow-irreversible if that is meant"
    );
    let allowed = Rules { allow_irreversible: true, now: Timestamp::UNIX_EPOCH, policies: &[] };
    assert_eq!(says(allowed, &resources), "");
    let forbids =
        [Bound { source: "policy.yaml".to_owned(), policy: Policy { forbid_irreversible: true, ..Policy::default() } }];
    assert!(says(Rules { policies: &forbids, ..allowed }, &resources).ends_with("policy.yaml forbids it"));
    resources[0].disposable = true;
    assert_eq!(says(Rules { policies: &forbids, ..allowed }, &resources), "");
}
