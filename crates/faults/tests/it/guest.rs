//! The kernel's own engine beside ours: one set of expectations. Where the kernel has no sch_netem, `cargo xtask guest` boots one
//! that has.

use std::time::Duration;

use faults::{InjectError, sys::qdisc::Disciplines};
use model::event::Cleanliness;

use crate::harness::{FIRST, INSTANCE, LEASE, World, has_netem, inject_and_undo, parameters, privileged};

/// Runs the same with both engines: ours, and the kernel's.
fn with_both_engines<const N: usize>(fault: &str, given: [(&str, &str); N], during: impl Fn(&World)) {
    if !privileged() || !has_netem() {
        return;
    }
    for engine in ["own", "netem"] {
        let world = World::new();
        let before = world.view();
        let host = world.host();
        let mut all = parameters(given);
        all.insert("engine".to_owned(), engine.to_owned());
        let proof = host.inject(FIRST, fault, &all, &world.object, LEASE).unwrap();
        println!("{engine}: {}: {}", proof.configured, proof.achieved);
        assert!(proof.holds);
        assert_eq!(proof.configured.ends_with("by netem"), engine == "netem");
        assert_ne!(world.view(), before, "{engine}");
        during(&world);
        let undone = host.undo(FIRST).unwrap();
        assert_eq!(undone.cleanliness, Cleanliness::Clean, "{engine}");
        assert!(undone.proof.is_some_and(|whole| whole.holds), "{engine}");
        assert_eq!(world.view(), before, "{engine}");
    }
}

#[test]
fn both_engines_delay_what_comes_in() {
    with_both_engines("network:latency", [("delayMilliseconds", "50")], |world| {
        assert!(world.round_trip() >= Duration::from_millis(50));
    });
}

#[test]
fn both_engines_delay_both_ways() {
    with_both_engines("network:latency", [("delayMilliseconds", "30"), ("direction", "both")], |world| {
        assert!(world.round_trip() >= Duration::from_millis(60));
    });
}

#[test]
fn both_engines_spread_delays_alike() {
    for distribution in ["uniform", "normal", "pareto"] {
        let given = [("delayMilliseconds", "40"), ("jitterMilliseconds", "10"), ("distribution", distribution)];
        with_both_engines("network:latency", given, |_| {});
    }
}

#[test]
fn both_engines_lose_the_share_that_was_asked_for() {
    with_both_engines("network:loss", [("lossPercent", "10"), ("direction", "both")], |_| {});
}

#[test]
fn both_engines_lose_in_bursts() {
    let given = [("burstPercent", "5"), ("burstEndPercent", "25"), ("goodLossPercent", "1"), ("direction", "egress")];
    with_both_engines("network:loss", given, |_| {});
}

#[test]
fn both_engines_make_copies() {
    with_both_engines("network:duplicate", [("duplicatePercent", "20")], |_| {});
}

#[test]
fn both_engines_let_packets_overtake() {
    with_both_engines("network:reorder", [("reorderPercent", "25"), ("delayMilliseconds", "40")], |_| {});
}

#[test]
fn what_was_at_the_root_of_the_interface_is_there_again() {
    if !privileged() || !has_netem() {
        return;
    }
    let world = World::new();
    let put = |kind: &str, handle: u32| {
        let put = || {
            let mut disciplines = Disciplines::open()?;
            let interface = disciplines.interface_of(INSTANCE.into())?.unwrap();
            Ok(disciplines.put(interface, kind, handle << 16)?)
        };
        world.instance.run(put).unwrap();
    };
    let given = [("engine", "netem"), ("direction", "egress"), ("delayMilliseconds", "20")];
    put("pfifo", 0x42);
    inject_and_undo(&world, "network:latency", given, |_| {});
    // What could not be put back as it was is not taken away.
    put("fq_codel", 0x43);
    let before = world.view();
    let error = world.host().inject(FIRST, "network:latency", &parameters(given), &world.object, LEASE).unwrap_err();
    assert!(matches!(&error, InjectError::Refused(why) if why.0.contains("fq_codel")), "{error}");
    assert_eq!(world.view(), before);
}

#[test]
fn netem_refuses_what_it_would_do_otherwise() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let host = world.host();
    for (fault, name, value, why) in [
        ("network:latency", "port", "8080", "some of them"),
        ("network:latency", "flowsPercent", "30", "some of them"),
        ("network:duplicate", "correlationPercent", "20", "correlated"),
    ] {
        let given = parameters([("engine", "netem"), (name, value)]);
        let error = host.inject(FIRST, fault, &given, &world.object, LEASE).unwrap_err();
        assert!(matches!(&error, InjectError::Refused(text) if text.0.contains(why)), "{error}");
    }
}
