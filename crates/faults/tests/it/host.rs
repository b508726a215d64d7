//! The host: leases, order, many at once.

use std::time::{Duration, Instant};

use faults::{Host, InjectError};
use model::event::{Cleanliness, InjectionId};

use crate::harness::{FIRST, LEASE, World, parameters, privileged};

#[test]
fn what_nobody_renews_is_undone() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let before = world.view();
    let host = world.host();
    // Long enough to inject and prove in it on a busy machine, and for a thread that renews all the time to do so in time.
    let lease = Duration::from_secs(3);
    host.inject(FIRST, "network:blackhole", &parameters([]), &world.object, lease).unwrap();
    // Renewed in time it lives on.
    let renewed_until = Instant::now() + lease + lease / 2;
    while Instant::now() < renewed_until {
        host.renew(&[FIRST]);
        assert_ne!(world.view(), before);
    }
    while world.view() != before {
        std::thread::yield_now();
    }
    assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Clean);
}

#[test]
fn an_injection_that_never_was_is_clean() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::open(&folder.path().join("journal"), "a test").unwrap();
    assert_eq!(host.undo(InjectionId(99)).unwrap().cleanliness, Cleanliness::Clean);
    host.renew(&[InjectionId(99)]);
}

#[test]
fn wrong_orders_are_refused_before_anything_is_done() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let before = world.view();
    let host = world.host();
    let refused = |fault, given: faults::Parameters, object: &faults::Object| match host
        .inject(FIRST, fault, &given, object, LEASE)
    {
        Err(InjectError::Refused(why)) => why.0,
        other => panic!("{other:?}"),
    };
    assert!(refused("network:latancy", parameters([]), &world.object).contains("did you mean `network:latency`"));
    assert!(refused("network:latency", parameters([("delay", "5")]), &world.object).contains("`delay`"));
    assert!(refused("network:latency", parameters([("sources", "web")]), &world.object).contains("`web`"));
    assert!(
        refused("network:latency", parameters([("sources", "2001:db8::1")]), &world.object).contains("address family")
    );
    let lonely = faults::Object { peer: None, ..world.object.clone() };
    assert!(refused("network:latency", parameters([("direction", "egress")]), &lonely).contains("other end"));
    let bodiless = faults::Object { pid: None, ..world.object.clone() };
    assert!(refused("cpu:stress", parameters([]), &bodiless).contains("no process"));
    assert_eq!(world.view(), before);
}

#[test]
fn an_object_that_has_gone_meanwhile_is_undone_all_the_same() {
    if !privileged() {
        return;
    }
    for fault in
        ["cpu:stress", "memory:stress", "network:blackhole", "network:latency", "network:loss", "process:pause"]
    {
        let mut world = World::new();
        let network = |world: &World| world.view()["instance tables, queues and disciplines"].clone();
        let before = network(&world);
        let host = world.host();
        // Little of what a busy machine may not have.
        let given = match fault {
            "memory:stress" => parameters([("size", "16MiB")]),
            "cpu:stress" => parameters([("workers", "1"), ("percent", "5")]),
            _ => parameters([]),
        };
        host.inject(FIRST, fault, &given, &world.object, LEASE).unwrap();
        world.child.kill().unwrap();
        world.child.wait().unwrap();
        assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Gone, "{fault}");
        assert_eq!(network(&world), before, "{fault}");
    }
}

#[test]
fn dropping_the_host_undoes_everything() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let before = world.view();
    let host = world.host();
    for (number, fault) in (1..).zip(["network:blackhole", "network:latency", "cpu:stress"]) {
        // The blackhole swallows the probe of the latency if both are on the same way.
        let way = if fault == "network:latency" { "egress" } else { "ingress" };
        let given =
            if fault == "cpu:stress" { parameters([("percent", "5")]) } else { parameters([("direction", way)]) };
        host.inject(InjectionId(number), fault, &given, &world.object, LEASE).unwrap();
    }
    assert_ne!(world.view(), before);
    drop(host);
    assert_eq!(world.view(), before);
    assert!(!world.journal().exists());
}

#[test]
fn a_number_is_used_once_at_a_time() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let before = world.view();
    let host = world.host();
    let inject = || host.inject(FIRST, "network:blackhole", &parameters([]), &world.object, LEASE);
    inject().unwrap();
    assert!(matches!(inject(), Err(InjectError::Refused(why)) if why.0.contains("exists already")));
    assert_ne!(world.view(), before);
    host.undo(FIRST).unwrap();
    assert_eq!(world.view(), before);
    inject().unwrap();
}

#[test]
fn two_latencies_on_one_way_add_up() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let host = world.host();
    host.inject(FIRST, "network:latency", &parameters([("delayMilliseconds", "20")]), &world.object, LEASE).unwrap();
    host.inject(InjectionId(2), "network:latency", &parameters([("delayMilliseconds", "20")]), &world.object, LEASE)
        .unwrap();
    assert!(world.round_trip() >= Duration::from_millis(40));
}

#[test]
fn a_fault_without_effect_is_an_error_and_leaves_nothing() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let host = world.host();
    host.inject(FIRST, "network:blackhole", &parameters([]), &world.object, LEASE).unwrap();
    let before = world.view();
    // Behind a blackhole no datagram arrives that could be late.
    let error = host
        .inject(InjectionId(2), "network:latency", &parameters([("delayMilliseconds", "5")]), &world.object, LEASE)
        .unwrap_err();
    assert!(matches!(&error, InjectError::Failed(why) if why.0.contains("not achieved")), "{error}");
    assert_eq!(world.view(), before);
}
