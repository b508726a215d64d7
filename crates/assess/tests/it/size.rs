//! Large architectures fit.

use assess::availability::{Limits, analyse, probability, structure};

use crate::architecture::architecture;

/// A tenth of what is allowed by default, so that there is room for entanglement that this one does not have.
#[test]
fn ten_thousand_events_take_a_tenth_of_the_nodes_that_are_allowed() {
    let built = structure(&architecture(3, 680, 1)).unwrap();
    assert!((10_000..11_000).contains(&built.tree.len()), "{} events", built.tree.len());
    let usual = Limits::default();
    let limits = Limits { nodes: usual.nodes / 10, ..usual };
    let analysis = analyse(&built.tree, built.top, &limits).unwrap();
    let alone = probability(&built.tree, built.top, &limits).unwrap();
    assert!((analysis.probability - alone).abs() <= 0.0);
    assert_eq!(analysis.importance.len(), built.tree.len());
    // Names and identities; and of two regions one service each.
    assert_eq!(analysis.cut_sets.single_points().count(), 2);
    assert!(analysis.cut_sets.by_order[2] > 1e5, "{:?}", analysis.cut_sets.by_order);
    println!("{} events, {} nodes, cut sets {:?}", built.tree.len(), analysis.nodes, analysis.cut_sets.by_order);
}
