use std::collections::{BTreeMap, BTreeSet};

use model::{
    alarm::{Alarm, Statistic, TreatMissingData},
    catalogue::{Catalogue, Entry, Reversibility, TargetKind},
    experiment::{Action, EmptyTargets, Experiment, Options, StopCondition, StopSource},
    metric::{Comparison, Metric},
    period::Period,
    resource::Resource,
    target::{Filter, SelectionMode, Target},
};
use proptest::prelude::*;

use super::*;
use crate::{Bound, testing::instance};

mod bounds;

const fn entry(id: &'static str, reversibility: Reversibility) -> Entry {
    const INSTANCES: &[TargetKind] = &[TargetKind { key: "Instances", resource_types: &["lab:instance"] }];
    Entry {
        id,
        about: "For tests.",
        targets: INSTANCES,
        parameters: &[],
        reversibility,
        undone_by: "It is taken away.",
        proven_by: "It is there.",
        needs: &[],
        exclusive: &[],
        fis: &[],
        chaos_mesh: None,
    }
}

static TERMINATE: Entry = entry("instance:terminate", Reversibility::Irreversible);
static LATENCY: Entry = entry("network:latency", Reversibility::SelfEnding);

fn mode(text: &str) -> SelectionMode {
    text.parse().unwrap()
}

fn target(selection_mode: &str) -> Target {
    Target {
        resource_type: "aws:ec2:instance".to_owned(),
        resource_tags: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
        selection_mode: mode(selection_mode),
        ..Target::default()
    }
}

fn action(id: &str, target: &str, after: &[&str]) -> Action {
    Action {
        action_id: id.to_owned(),
        targets: BTreeMap::from([("Instances".to_owned(), target.to_owned())]),
        start_after: after.iter().map(|&one| one.to_owned()).collect(),
        ..Action::default()
    }
}

fn guard(value: &str) -> StopCondition {
    StopCondition { source: StopSource::Alarm, value: Some(value.to_owned()), why: None }
}

fn alarm() -> Alarm {
    Alarm {
        metric: Metric::new("http.errors.5xx"),
        statistic: Statistic::Sum,
        period: Period::from_secs(60),
        evaluation_periods: 1,
        datapoints_to_alarm: 1,
        threshold: 5.0,
        comparison: Comparison::Greater,
        treat_missing_data: TreatMissingData::Missing,
        cloudwatch: None,
    }
}

/// Terminates what `one` chooses; guarded.
fn experiment(selection_mode: &str) -> Experiment {
    Experiment {
        targets: BTreeMap::from([("one".to_owned(), target(selection_mode))]),
        actions: BTreeMap::from([("Terminate".to_owned(), action("aws:ec2:terminate-instances", "one", &[]))]),
        stop_conditions: vec![guard("arn:aws:cloudwatch:local-1:000000000000:alarm:errors")],
        alarms: BTreeMap::from([("errors".to_owned(), alarm())]),
        ..Experiment::default()
    }
}

/// `count` instances in two zones; ids differ with the run, as those of a lab do.
fn instances(count: usize, run: &str) -> Vec<Resource> {
    (0..count).map(|at| instance(&format!("i-{run}{}", (at * 7919) % 1000), ["a", "b"][at % 2])).collect()
}

fn try_plan(experiment: &Experiment, resources: &[Resource], seed: u64) -> Result<Plan, Vec<Problem>> {
    let catalogue = Catalogue::new([&TERMINATE, &LATENCY]);
    plan(&Request {
        experiment,
        resources,
        catalogue: &catalogue,
        alarms: &BTreeMap::new(),
        seed,
        rules: Rules::default(),
    })
}

/// The problems, one per line.
fn problems(experiment: &Experiment, resources: &[Resource]) -> String {
    let found = try_plan(experiment, resources, 1).expect_err("this has problems");
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Which of `resources` a target took, by their places in the list.
fn places(plan: &Plan, target: &str, resources: &[Resource]) -> BTreeSet<usize> {
    let target = plan.targets.iter().find(|one| one.name == target).unwrap();
    target.chosen.iter().map(|one| resources.iter().position(|other| other.id == one.id).unwrap()).collect()
}

#[test]
fn a_share_that_selects_nothing_is_refused_with_the_arithmetic() {
    assert_eq!(
        problems(&experiment("PERCENT(25)"), &instances(2, "")),
        "targets.one: PERCENT(25) of 2 is 0.5, rounded down: 0; FIS fails such a target; COUNT(1) takes one; \
         `experimentOptions.emptyTargetResolutionMode: skip` skips its actions instead"
    );
}

#[test]
fn an_empty_target_is_skipped_where_the_document_says_so() {
    let mut experiment = experiment("PERCENT(25)");
    experiment.options =
        Some(Options { account_targeting: None, empty_target_resolution_mode: Some(EmptyTargets::Skip) });
    let plan = try_plan(&experiment, &instances(2, ""), 1).unwrap();
    assert_eq!(
        plan.actions[0].work,
        Work::Skip { reason: "target one resolved to nothing: PERCENT(25) of 2 is 0.5, rounded down: 0".to_owned() }
    );
}

#[test]
fn a_count_beyond_what_there_is_takes_what_there_is() {
    let plan = try_plan(&experiment("COUNT(3)"), &instances(2, ""), 1).unwrap();
    assert_eq!((plan.targets[0].chosen.len(), plan.targets[0].how.as_str()), (2, "COUNT(3) of 2 is 2: no more match"));
}

#[test]
fn a_selector_that_matches_nothing_says_what_there_is() {
    let resources = instances(2, "");
    let with = |change: &dyn Fn(&mut Target)| {
        let mut experiment = experiment("ALL");
        change(experiment.targets.get_mut("one").unwrap());
        problems(&experiment, &resources)
    };
    let tag = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    for (text, expected) in [
        (with(&|one| one.resource_tags = tag("app", "wbe")), "the tag `app` is never `wbe`; it is web"),
        // FIS: an empty value matches an empty value only.
        (with(&|one| one.resource_tags = tag("app", "")), "the tag `app` is never ``; it is web"),
        (with(&|one| one.resource_tags = tag("App", "web")), "none has a tag `App`; the tags there are: app"),
        (with(&|one| one.resource_tags = BTreeMap::new()), "it selects by nothing, which would be everything"),
        (with(&|one| one.resource_type = "aws:rds:cluster".to_owned()), "there is no aws:rds:cluster"),
        (
            with(&|one| one.resource_arns = vec!["arn:aws:ec2:local-1:000000000000:instance/i-1".to_owned()]),
            "has the ARN arn:aws:ec2:local-1:000000000000:instance/i-1",
        ),
        (with(&|one| one.parameters = tag("availabilityZoneIdentifier", "c")), "none has availabilityZoneIdentifier c"),
        (
            with(&|one| {
                one.filters = vec![Filter { path: "State.Name".to_owned(), values: vec!["stopped".to_owned()] }];
            }),
            "`State.Name` is never stopped; it is running",
        ),
        (
            with(&|one| {
                one.filters = vec![Filter { path: "state.name".to_owned(), values: vec!["running".to_owned()] }];
            }),
            "none has `state.name`; there is Placement.AvailabilityZone, State.Name",
        ),
    ] {
        assert!(text.contains(expected), "{text}\nshould say: {expected}");
    }
}

#[test]
fn filters_are_joined_by_and_their_values_by_or() {
    let filter = |path: &str, values: &[&str]| Filter {
        path: path.to_owned(),
        values: values.iter().map(|&value| value.to_owned()).collect(),
    };
    let resources = instances(6, "");
    let mut experiment = experiment("ALL");
    let one = experiment.targets.get_mut("one").unwrap();
    one.filters =
        vec![filter("Placement.AvailabilityZone", &["a", "c"]), filter("State.Name", &["pending", "running"])];
    let plan = try_plan(&experiment, &resources, 1).unwrap();
    assert_eq!(places(&plan, "one", &resources), BTreeSet::from([0, 2, 4]));
}

#[test]
fn one_of_several_values_of_an_attribute_is_enough() {
    let mut resources = instances(2, "");
    let groups = vec!["default".to_owned(), "web".to_owned()];
    resources[1].attributes.insert("SecurityGroups.GroupName".to_owned(), groups);
    let mut experiment = experiment("ALL");
    experiment.targets.get_mut("one").unwrap().filters =
        vec![Filter { path: "SecurityGroups.GroupName".to_owned(), values: vec!["web".to_owned()] }];
    let plan = try_plan(&experiment, &resources, 1).unwrap();
    assert_eq!(places(&plan, "one", &resources), BTreeSet::from([1]));
}

#[test]
fn arns_and_zones_select_exactly_what_they_name() {
    let resources = instances(4, "");
    let mut experiment = experiment("ALL");
    let one = experiment.targets.get_mut("one").unwrap();
    one.resource_tags.clear();
    one.resource_arns = vec![resources[2].arn.clone()];
    assert_eq!(places(&try_plan(&experiment, &resources, 1).unwrap(), "one", &resources), BTreeSet::from([2]));
    let one = experiment.targets.get_mut("one").unwrap();
    one.resource_arns.clear();
    one.parameters = BTreeMap::from([("availabilityZoneIdentifier".to_owned(), "b".to_owned())]);
    assert_eq!(places(&try_plan(&experiment, &resources, 1).unwrap(), "one", &resources), BTreeSet::from([1, 3]));
}

#[test]
fn the_seed_repeats_the_choice_also_when_ids_are_new() {
    let (monday, tuesday) = (instances(8, "0a"), instances(8, "ff"));
    let mut seen = BTreeSet::new();
    for seed in 0..50 {
        let first = places(&try_plan(&experiment("COUNT(2)"), &monday, seed).unwrap(), "one", &monday);
        let second = places(&try_plan(&experiment("COUNT(2)"), &tuesday, seed).unwrap(), "one", &tuesday);
        assert_eq!(first, second, "seed {seed}");
        seen.insert(first);
    }
    assert!(seen.len() > 10, "50 seeds give {} choices of 28", seen.len());
}

#[test]
fn a_new_target_leaves_the_choice_of_the_others() {
    let resources = instances(8, "");
    let mut experiment = experiment("COUNT(2)");
    let alone = places(&try_plan(&experiment, &resources, 7).unwrap(), "one", &resources);
    experiment.targets.insert("another".to_owned(), target("COUNT(3)"));
    assert_eq!(places(&try_plan(&experiment, &resources, 7).unwrap(), "one", &resources), alone);
}

#[test]
fn another_quarter_is_another_quarter() {
    let resources = instances(4, "");
    let mut experiment = experiment("PERCENT(50)");
    experiment
        .targets
        .insert("quarter".to_owned(), Target { disjoint_from: vec!["one".to_owned()], ..target("PERCENT(25)") });
    for seed in 0..100 {
        let plan = try_plan(&experiment, &resources, seed).unwrap();
        let (half, quarter) = (places(&plan, "one", &resources), places(&plan, "quarter", &resources));
        assert_eq!((half.len(), quarter.len()), (2, 1));
        assert!(half.is_disjoint(&quarter), "seed {seed}: {half:?} and {quarter:?}");
    }
}

#[test]
fn disjoint_targets_that_do_not_fit_are_refused_with_the_arithmetic() {
    let mut experiment = experiment("COUNT(3)");
    experiment
        .targets
        .insert("two".to_owned(), Target { disjoint_from: vec!["one".to_owned()], ..target("PERCENT(50)") });
    let text = problems(&experiment, &instances(4, ""));
    let expected =
        "targets that share no resource need 5, and only 4 match any of them (one takes 3 of 4, two takes 2 of 4)";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn targets_that_may_share_do_where_there_is_no_other_way() {
    // a and b are disjoint, b and c are; a and c may share, and must: 2 + 2 + 2 of 4.
    let resources = instances(4, "");
    let mut experiment = experiment("COUNT(2)");
    experiment.targets.insert("b".to_owned(), Target { disjoint_from: vec!["one".to_owned()], ..target("COUNT(2)") });
    experiment.targets.insert("c".to_owned(), Target { disjoint_from: vec!["b".to_owned()], ..target("COUNT(2)") });
    for seed in 0..20 {
        let plan = try_plan(&experiment, &resources, seed).unwrap();
        let of = |name| places(&plan, name, &resources);
        assert!(of("one").is_disjoint(&of("b")) && of("c").is_disjoint(&of("b")), "seed {seed}");
        assert_eq!((of("one").len(), of("b").len(), of("c").len()), (2, 2, 2));
    }
}

#[test]
fn tens_of_thousands_of_resources_are_no_matter() {
    let resources = instances(1, "").into_iter().cycle().take(20_000).enumerate();
    let resources: Vec<Resource> =
        resources.map(|(at, one)| Resource { id: model::resource::ResourceId(format!("i-{at}")), ..one }).collect();
    let mut experiment = experiment("PERCENT(50)");
    experiment
        .targets
        .insert("rest".to_owned(), Target { disjoint_from: vec!["one".to_owned()], ..target("PERCENT(50)") });
    let plan = try_plan(&experiment, &resources, 1).unwrap();
    assert_eq!(plan.targets.iter().map(|one| one.chosen.len()).collect::<Vec<_>>(), [10_000, 10_000]);
}

#[test]
fn actions_are_planned_after_those_they_wait_for() {
    let mut experiment = experiment("ALL");
    experiment.actions.insert("A".to_owned(), action("aws:ec2:terminate-instances", "one", &["Wait"]));
    experiment.actions.insert(
        "Wait".to_owned(),
        Action {
            action_id: "aws:fis:wait".to_owned(),
            parameters: BTreeMap::from([("duration".to_owned(), "PT3M".to_owned())]),
            start_after: vec!["Terminate".to_owned()],
            ..Action::default()
        },
    );
    let plan = try_plan(&experiment, &instances(2, ""), 1).unwrap();
    let names: Vec<&str> = plan.actions.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["Terminate", "Wait", "A"]);
    let ids: Vec<u32> = plan.injections().map(|(.., one)| one.id.0).collect();
    assert_eq!(ids, [1, 2, 3, 4]);
    assert!(plan.deadline > Period::from_secs(180), "{}", plan.deadline);
}

#[test]
fn what_cannot_be_carried_out_is_refused_with_everything_that_is_wrong() {
    let mut experiment = experiment("ALL");
    experiment.actions.insert("B".to_owned(), action("aws:rds:failover-db-cluster", "one", &[]));
    experiment.actions.insert("C".to_owned(), action("network:latancy", "one", &["Terminat"]));
    experiment.actions.insert("D".to_owned(), action("network:latency", "none", &["E"]));
    experiment.actions.insert("E".to_owned(), action("network:latency", "one", &["D"]));
    experiment.stop_conditions = vec![guard("erors")];
    let text = problems(&experiment, &instances(2, ""));
    for expected in [
        "actions.B: `aws:rds:failover-db-cluster`",
        "actions.C.actionId: `network:latancy` needs `network:latancy`, which nothing here carries out; the nearest that can be carried out is `network:latency`",
        "actions.C.startAfter: `Terminat` is not an action; did you mean `Terminate`?",
        "actions.D.startAfter: these wait for each other: D, E",
        "stopConditions[0]: no alarm `erors` is available; did you mean `errors`? There is errors",
    ] {
        assert!(text.contains(expected), "{text}\nshould say: {expected}");
    }
}

#[test]
fn a_fault_without_a_stop_condition_needs_a_reason() {
    let mut experiment = experiment("ALL");
    experiment.stop_conditions.clear();
    let text = problems(&experiment, &instances(2, ""));
    assert!(text.contains("stopConditions: the experiment harms, and nothing would stop it"), "{text}");
    let why = Some("a test bench".to_owned());
    experiment.stop_conditions = vec![StopCondition { source: StopSource::None, value: None, why }];
    let plan = try_plan(&experiment, &instances(2, ""), 1).unwrap();
    assert_eq!(plan.unguarded.as_deref(), Some("a test bench"));
}

#[test]
fn alarms_of_the_environment_serve_as_stop_conditions() {
    let mut experiment = experiment("ALL");
    let alarms = std::mem::take(&mut experiment.alarms);
    let catalogue = Catalogue::new([&TERMINATE]);
    let resources = instances(2, "");
    let request = Request {
        experiment: &experiment,
        resources: &resources,
        catalogue: &catalogue,
        alarms: &alarms,
        seed: 1,
        rules: Rules::default(),
    };
    assert_eq!(plan(&request).unwrap().guards[0].name, "errors");
}

#[test]
fn a_fault_that_cannot_hit_a_resource_is_refused() {
    let mut resources = instances(1, "");
    resources[0].types = vec!["aws:ec2:instance".to_owned()];
    let text = problems(&experiment("ALL"), &resources);
    assert!(text.contains("`instance:terminate` cannot hit i-0 (aws:ec2:instance); it hits lab:instance"), "{text}");
}

#[test]
fn the_plan_says_who_is_hit_by_what_in_which_order_and_how_it_is_undone() {
    let mut experiment = experiment("COUNT(1)");
    let wait = Action {
        action_id: "aws:fis:wait".to_owned(),
        parameters: BTreeMap::from([("duration".to_owned(), "PT3M".to_owned())]),
        ..Action::default()
    };
    experiment.actions.insert("A-While".to_owned(), wait);
    let mut latency = action("network:latency", "one", &["A-While"]);
    latency.parameters.insert("duration".to_owned(), "PT1M".to_owned());
    latency.parameters.insert("delayMilliseconds".to_owned(), "300".to_owned());
    experiment.actions.insert("Slow".to_owned(), latency);
    insta::assert_snapshot!(try_plan(&experiment, &instances(2, ""), 42).unwrap().to_string(), @r"
    seed      42 (--seed 42 repeats the choice)
    windows   baseline PT10S; fault at least PT10S; recovery at most PT5M, settled for PT3S
    deadline  PT5M20S; then everything is undone, finished or not
    lease     PT15S; what nobody renews ends by itself

    targets
      one (aws:ec2:instance): COUNT(1) of 2 is 1
        i-919  web  b

    actions, in order
      A-While    at the start           waits PT3M
      Terminate  at the start           instance:terminate once, on one (1 resource)
      Slow       after A-While (+PT3M)  network:latency (delayMilliseconds 300) for PT1M, on one (1 resource)

    undoing
      Terminate  cannot be undone  It is taken away.
      Slow       ends by itself    It is taken away.

    stop conditions
      errors  Sum of http.errors.5xx > 5 in 1 of 1 periods of PT1M
    ");
}

proptest! {
    #[test]
    fn a_choice_is_as_large_as_told_and_never_of_what_does_not_match(
        count in 1_usize..60, percent in 1_u32..=100, strangers in 0_usize..10, seed: u64,
    ) {
        let mut resources = instances(count, "");
        for at in 0..strangers {
            let mut stranger = instance(&format!("s-{at}"), "a");
            stranger.tags.insert("app".to_owned(), "api".to_owned());
            resources.insert((at * 3) % resources.len(), stranger);
        }
        let experiment = experiment(&format!("PERCENT({percent})"));
        let take = count * percent as usize / 100;
        match try_plan(&experiment, &resources, seed) {
            Ok(plan) => {
                prop_assert_eq!(plan.targets[0].chosen.len(), take);
                prop_assert_eq!(plan.targets[0].matching, count);
                prop_assert!(plan.targets[0].chosen.iter().all(|one| one.tags["app"] == "web"));
            }
            Err(_) => prop_assert_eq!(take, 0),
        }
    }

    #[test]
    fn disjoint_targets_are_disjoint_or_refused_and_never_refused_where_they_fit(
        count in 1_usize..20, first in 1_usize..10, second in 1_usize..10, only_a in any::<bool>(), seed: u64,
    ) {
        let resources = instances(count, "");
        let mut experiment = experiment(&format!("COUNT({first})"));
        let mut other = Target { disjoint_from: vec!["one".to_owned()], ..target(&format!("COUNT({second})")) };
        if only_a {
            other.parameters.insert("availabilityZoneIdentifier".to_owned(), "a".to_owned());
        }
        experiment.targets.insert("two".to_owned(), other);
        let in_a = count.div_ceil(2);
        let (first, second) = (first.min(count), second.min(if only_a { in_a } else { count }));
        match try_plan(&experiment, &resources, seed) {
            Ok(plan) => {
                let (one, two) = (places(&plan, "one", &resources), places(&plan, "two", &resources));
                prop_assert!(one.is_disjoint(&two));
                prop_assert_eq!((one.len(), two.len()), (first, second));
            }
            Err(_) => prop_assert!(first + second > count, "{} + {} of {}", first, second, count),
        }
    }
}
