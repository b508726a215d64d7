//! The exact engine against counting all cases.

use proptest::prelude::*;

use super::*;

/// A gate before its inputs are chosen: how many must fail, and which of what was made before it goes in.
type Sketch = (u32, Vec<u16>);

fn sketch() -> impl Strategy<Value = (Vec<f64>, Vec<Sketch>)> {
    let events = prop::collection::vec(prop_oneof![4 => 0.0..1.0_f64, 1 => Just(0.0), 1 => Just(1.0)], 1..9);
    let gate = (0..5_u32, prop::collection::vec(any::<u16>(), 0..5));
    (events, prop::collection::vec(gate, 1..8))
}

/// The tree of a sketch; its top is the last gate.
fn build((events, gates): &(Vec<f64>, Vec<Sketch>)) -> (FaultTree, GateId) {
    let mut tree = FaultTree::new();
    let mut known: Vec<Input> = events.iter().map(|p| tree.event(*p).into()).collect();
    let mut top = tree.any([]);
    for (count, chosen) in gates {
        let inputs: Vec<Input> = chosen.iter().map(|at| known[usize::from(*at) % known.len()]).collect();
        top = tree.at_least(*count, inputs);
        known.push(top.into());
    }
    (tree, top)
}

/// The probability of failure by counting all cases, with some events as given.
fn counted(tree: &FaultTree, top: GateId, given: Option<(usize, bool)>) -> f64 {
    let mut sum = 0.0;
    for case in 0..1_u32 << tree.len() {
        let happened = |event: usize| case >> event & 1 == 1;
        if given.is_some_and(|(event, value)| happened(event) != value) {
            continue;
        }
        if tree.fails(top, happened) {
            let others = (0..tree.len()).filter(|event| given.is_none_or(|(fixed, _)| fixed != *event));
            sum += others
                .map(|event| if happened(event) { tree.events[event] } else { 1.0 - tree.events[event] })
                .product::<f64>();
        }
    }
    sum
}

/// The minimal cut sets by counting all cases, as bits.
fn counted_cut_sets(tree: &FaultTree, top: GateId) -> Vec<u32> {
    let fails = |case: u32| tree.fails(top, |event| case >> event & 1 == 1);
    let minimal = |case: &u32| (0..tree.len()).all(|event| case >> event & 1 == 0 || !fails(case & !(1 << event)));
    (0..1_u32 << tree.len()).filter(|case| fails(*case)).filter(minimal).collect()
}

fn bits(set: &CutSet) -> u32 {
    set.events.iter().fold(0, |bits, event| bits | 1 << event)
}

proptest! {
    #[test]
    fn probability_and_importance_are_those_of_counting_all_cases(sketch in sketch()) {
        let (tree, top) = build(&sketch);
        let analysis = analyse(&tree, top, &Limits::default()).unwrap();
        let whole = counted(&tree, top, None);
        prop_assert!((analysis.probability - whole).abs() < 1e-12);
        for (event, importance) in analysis.importance.iter().enumerate() {
            let with = counted(&tree, top, Some((event, true)));
            let without = counted(&tree, top, Some((event, false)));
            prop_assert!((importance.birnbaum - (with - without)).abs() < 1e-12);
            if whole > 1e-6 {
                prop_assert!((importance.criticality - (whole - without) / whole).abs() < 1e-9);
                prop_assert!((importance.fussell_vesely - tree.events[event] * with / whole).abs() < 1e-9);
                prop_assert!((importance.achievement_worth - with / whole).abs() < 1e-9);
                if without > 1e-6 {
                    prop_assert!((importance.reduction_worth - whole / without).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn cut_sets_are_those_of_counting_all_cases(sketch in sketch()) {
        let (tree, top) = build(&sketch);
        let everything = Limits { order: 64, list: usize::MAX, ..Limits::default() };
        let found = analyse(&tree, top, &everything).unwrap().cut_sets;
        let mut sets: Vec<u32> = found.sets.iter().map(bits).collect();
        sets.sort_unstable();
        let mut wanted = counted_cut_sets(&tree, top);
        wanted.sort_unstable();
        prop_assert_eq!(&sets, &wanted);
        prop_assert_eq!(found.beyond, None);
        prop_assert!((found.count() - wanted.len() as f64).abs() < 0.5);
        prop_assert!(found.sets.windows(2).all(|pair| pair[0].probability >= pair[1].probability));
    }

    #[test]
    fn a_bound_on_cut_sets_leaves_out_the_large_ones_only_and_is_said(sketch in sketch(), order in 1..4_usize) {
        let (tree, top) = build(&sketch);
        let bounded = Limits { order, list: usize::MAX, ..Limits::default() };
        let found = analyse(&tree, top, &bounded).unwrap().cut_sets;
        let all = counted_cut_sets(&tree, top);
        let mut sets: Vec<u32> = found.sets.iter().map(bits).collect();
        sets.sort_unstable();
        let small: Vec<u32> = all.iter().copied().filter(|set| set.count_ones() as usize <= order).collect();
        prop_assert!(found.beyond == Some(order) || small.len() == all.len());
        prop_assert_eq!(sets, small);
    }

    #[test]
    fn single_points_are_listed_however_short_the_list(sketch in sketch(), list in 0..3_usize) {
        let (tree, top) = build(&sketch);
        let found = analyse(&tree, top, &Limits { list, order: 64, ..Limits::default() }).unwrap().cut_sets;
        let mut points: Vec<u32> = found.single_points().map(|event| event.0).collect();
        points.sort_unstable();
        let mut wanted: Vec<u32> = counted_cut_sets(&tree, top)
            .into_iter()
            .filter(|set| set.count_ones() == 1)
            .map(u32::trailing_zeros)
            .collect();
        wanted.sort_unstable();
        prop_assert_eq!(points, wanted);
    }
}

#[test]
fn a_diagram_that_outgrows_its_limit_is_an_error_that_says_so() {
    let mut tree = FaultTree::new();
    let events: Vec<_> = (0..40).map(|_| tree.event(0.1).into()).collect();
    let top = tree.at_least(20, events);
    let error = analyse(&tree, top, &Limits { nodes: 100, ..Limits::default() }).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the decision diagram outgrew 100 nodes: too many events are entangled with each other"
    );
}

#[test]
fn a_chain_of_a_hundred_thousand_parts_is_no_deep_recursion() {
    let mut tree = FaultTree::new();
    let mut chain = tree.any([]);
    for _ in 0..100_000 {
        let event = tree.event(1e-9);
        chain = tree.any([event.into(), chain.into()]);
    }
    let analysis = analyse(&tree, chain, &Limits::default()).unwrap();
    assert!((analysis.probability + (100_000.0 * (-1e-9_f64).ln_1p()).exp_m1()).abs() < 1e-14);
    assert_eq!(analysis.cut_sets.single_points().count(), 100_000);
}

/// Two replicas of 99 % with a beta factor: the figures of the recovery semantics, rounded as printed there.
#[test]
fn common_causes_eat_what_redundancy_gives() {
    for (beta, printed) in [(0.0, "99.99"), (0.01, "99.98"), (0.05, "99.94"), (0.1, "99.89")] {
        let mut tree = FaultTree::new();
        let common = tree.event(0.01 * beta);
        let units: Vec<Input> = (0..2).map(|_| tree.event(0.01 * (1.0 - beta)).into()).collect();
        let both = tree.all(units);
        let top = tree.any([common.into(), both.into()]);
        let up = 1.0 - probability(&tree, top, &Limits::default()).unwrap();
        assert_eq!(format!("{:.2}", up * 100.0), printed);
    }
}
