//! Faults in the network.

use std::{
    net::{TcpListener, TcpStream},
    time::Duration,
};

use crate::harness::{INSTANCE, World, inject_and_undo, privileged};

#[test]
fn latency_delays_what_comes_in() {
    if !privileged() {
        return;
    }
    let world = World::new();
    assert!(quickest(&world) < Duration::from_millis(50), "without the fault there is no such delay");
    let whole = inject_and_undo(&world, "network:latency", [("delayMilliseconds", "50")], |_| {
        assert!(world.round_trip() >= Duration::from_millis(50));
    });
    assert!(whole.unwrap().holds);
}

/// The shortest of some round trips: a machine that is busy delays any one of them, but hardly all.
fn quickest(world: &World) -> Duration {
    (0..20).map(|_| world.round_trip()).min().unwrap()
}

#[test]
fn latency_both_ways_doubles_in_a_round_trip() {
    if !privileged() {
        return;
    }
    let world = World::new();
    inject_and_undo(&world, "network:latency", [("delayMilliseconds", "30"), ("direction", "both")], |_| {
        assert!(world.round_trip() >= Duration::from_millis(60));
    });
}

#[test]
fn latency_spares_other_ports_and_proves_it_on_its_own() {
    if !privileged() {
        return;
    }
    let world = World::new();
    inject_and_undo(&world, "network:latency", [("delayMilliseconds", "50"), ("port", "8080")], |proof| {
        assert!(proof.achieved.contains("probe port"), "{}", proof.achieved);
        assert!(quickest(&world) < Duration::from_millis(50));
    });
}

#[test]
fn latency_of_a_share_of_flows_spares_the_others() {
    if !privileged() {
        return;
    }
    let world = World::new();
    inject_and_undo(
        &world,
        "network:latency",
        [("delayMilliseconds", "50"), ("flowsPercent", "30"), ("direction", "egress")],
        |proof| {
            assert!(proof.achieved.contains("not concerned"), "{}", proof.achieved);
        },
    );
}

#[test]
fn loss_loses_the_share_that_was_asked_for() {
    if !privileged() {
        return;
    }
    inject_and_undo(&World::new(), "network:loss", [("lossPercent", "7"), ("direction", "both")], |_| {});
}

#[test]
fn a_blackhole_swallows_datagrams() {
    if !privileged() {
        return;
    }
    let whole = inject_and_undo(&World::new(), "network:blackhole", [("direction", "both")], |_| {});
    assert!(whole.unwrap().holds);
}

#[test]
fn a_blackholed_port_does_not_answer_and_others_do() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let listen = |port| world.instance.run(|| TcpListener::bind((INSTANCE, port))).unwrap();
    let (closed, open) = (listen(8080), listen(8081));
    // What is to succeed has long; what is to fail is waited for no longer than a person would believe it.
    let connect = |to: &TcpListener, within: u64| {
        let address = to.local_addr().unwrap();
        world.router.run(|| TcpStream::connect_timeout(&address, Duration::from_secs(within))).is_ok()
    };
    assert!(connect(&closed, 10));
    inject_and_undo(
        &world,
        "network:blackhole",
        [("port", "8080"), ("protocol", "tcp"), ("sources", "10.77.0.0/24")],
        |proof| {
            assert!(proof.achieved.contains("port 8080 was answered before"), "{}", proof.achieved);
            assert!(!connect(&closed, 1));
            assert!(connect(&open, 10));
        },
    );
    assert!(connect(&closed, 10));
}

#[test]
fn a_source_that_is_not_the_prober_is_proven_on_a_probe_port() {
    if !privileged() {
        return;
    }
    let world = World::new();
    inject_and_undo(
        &world,
        "network:blackhole",
        [("sources", "192.0.2.1,198.51.100.0/24"), ("port", "5432")],
        |proof| {
            assert!(proof.achieved.contains("probe port"), "{}", proof.achieved);
            world.round_trip();
        },
    );
}
