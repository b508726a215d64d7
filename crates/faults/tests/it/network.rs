//! Faults in the network.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

use model::event::{Cleanliness, InjectionId};

use crate::harness::{INSTANCE, LEASE, ROUTER, World, inject_and_undo, parameters, privileged};

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

#[test]
fn latency_spreads_as_it_was_told() {
    if !privileged() {
        return;
    }
    for distribution in ["uniform", "normal", "pareto"] {
        inject_and_undo(
            &World::new(),
            "network:latency",
            [
                ("delayMilliseconds", "40"),
                ("jitterMilliseconds", "10"),
                ("distribution", distribution),
                ("correlationPercent", "25"),
            ],
            |proof| assert!(proof.configured.contains("±"), "{}", proof.configured),
        );
    }
}

#[test]
fn loss_comes_in_bursts() {
    if !privileged() {
        return;
    }
    let given = [("burstPercent", "5"), ("burstEndPercent", "25"), ("goodLossPercent", "1")];
    inject_and_undo(&World::new(), "network:loss", given, |_| {});
}

#[test]
fn loss_that_correlates_is_as_much_as_loss_that_does_not() {
    if !privileged() {
        return;
    }
    inject_and_undo(&World::new(), "network:loss", [("lossPercent", "20"), ("correlationPercent", "75")], |_| {});
}

#[test]
fn damaged_packets_are_sent_again_by_tcp_and_lost_by_udp() {
    if !privileged() {
        return;
    }
    let world = World::new();
    inject_and_undo(&world, "network:corrupt", [("corruptPercent", "20"), ("direction", "both")], |_| {
        assert!(transferred_intact(&world));
        // Of 200 at 20 % some 160 are left: 137 to 183 in all but one of 16,000 cases.
        let arriving = datagrams_arriving(&world, 200);
        assert!((137..=183).contains(&arriving), "with checksums the damaged are dropped: {arriving}");
    });
}

#[test]
fn doubled_packets_do_tcp_no_harm() {
    if !privileged() {
        return;
    }
    let world = World::new();
    inject_and_undo(&world, "network:duplicate", [("duplicatePercent", "30"), ("direction", "both")], |_| {
        assert!(transferred_intact(&world));
    });
}

#[test]
fn reordered_packets_overtake_others() {
    if !privileged() {
        return;
    }
    for gap in ["1", "4"] {
        let world = World::new();
        let given = [("reorderPercent", "30"), ("gap", gap), ("delayMilliseconds", "20"), ("direction", "both")];
        inject_and_undo(&world, "network:reorder", given, |_| assert!(transferred_intact(&world)));
    }
}

#[test]
fn bandwidth_is_what_was_asked_for() {
    if !privileged() {
        return;
    }
    for megabits in ["0.5", "10", "100"] {
        let world = World::new();
        let given = [("megabitsPerSecond", megabits), ("direction", "both")];
        inject_and_undo(&world, "network:bandwidth", given, |_| {});
    }
}

/// Whether a hundred kilobytes come through a connection as they were sent.
fn transferred_intact(world: &World) -> bool {
    let content: Vec<u8> = (0..100_000u32).map(|number| number.to_le_bytes()[0] ^ number.to_le_bytes()[1]).collect();
    let listener = world.instance.run(|| TcpListener::bind((INSTANCE, 0))).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| world.router.run(|| TcpStream::connect(address)).unwrap().write_all(&content).unwrap());
        let mut received = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
        received == content
    })
}

/// How many of so many datagrams arrive at the instance.
fn datagrams_arriving(world: &World, sent: usize) -> usize {
    let near = world.instance.run(|| UdpSocket::bind((INSTANCE, 0))).unwrap();
    near.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let far = world.router.run(|| UdpSocket::bind((ROUTER, 0))).unwrap();
    for _ in 0..sent {
        far.send_to(&[7; 100], near.local_addr().unwrap()).unwrap();
    }
    (0..sent).take_while(|_| near.recv(&mut [0; 100]).is_ok()).count()
}

#[test]
fn a_partition_cuts_off_the_named_and_nobody_else() {
    if !privileged() {
        return;
    }
    let world = World::new();
    inject_and_undo(&world, "network:partition", [("sources", "10.77.0.1,198.51.100.0/24")], |proof| {
        assert!(proof.achieved.contains("from it"), "{}", proof.achieved);
    });
    inject_and_undo(&world, "network:partition", [("sources", "198.51.100.0/24")], |proof| {
        assert!(proof.achieved.contains("probe port"), "{}", proof.achieved);
        world.round_trip();
    });
}

#[test]
fn a_list_of_ports_and_ranges_concerns_those_and_no_others() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let listeners: Vec<TcpListener> = [8080, 8100, 8150, 8200, 8201]
        .map(|port| world.instance.run(|| TcpListener::bind((INSTANCE, port))).unwrap())
        .into();
    inject_and_undo(&world, "network:blackhole", [("port", "8080,8100-8200"), ("protocol", "tcp")], |_| {
        let answers: Vec<bool> = listeners
            .iter()
            .map(|listener| {
                let address = listener.local_addr().unwrap();
                world.router.run(|| TcpStream::connect_timeout(&address, Duration::from_secs(1))).is_ok()
            })
            .collect();
        assert_eq!(answers, [false, false, false, false, true]);
    });
}

#[test]
fn the_end_of_one_fault_loses_nothing_that_another_holds() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let host = world.host();
    let inject = |number, fault, given| host.inject(InjectionId(number), fault, &given, &world.object, LEASE).unwrap();
    let slow = parameters([("delayMilliseconds", "300"), ("direction", "both")]);
    inject(1, "network:latency", slow);
    let (near, far) = (
        world.instance.run(|| UdpSocket::bind((INSTANCE, 0))).unwrap(),
        world.router.run(|| UdpSocket::bind((ROUTER, 0))).unwrap(),
    );
    let (to_near, to_far) = (near.local_addr().unwrap(), far.local_addr().unwrap());
    for socket in [&near, &far] {
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    }
    for round in 2..6 {
        let both = parameters([("direction", "both"), ("port", "9")]);
        inject(round, "network:blackhole", both);
        for _ in 0..20 {
            far.send_to(b"in", to_near).unwrap();
            near.send_to(b"out", to_far).unwrap();
        }
        // While all of them are on their way.
        host.undo(InjectionId(round)).unwrap();
        for socket in [&near, &far] {
            let arrived = (0..20).take_while(|_| socket.recv(&mut [0; 8]).is_ok()).count();
            assert_eq!(arrived, 20, "round {round}");
        }
    }
}

#[test]
fn faults_on_one_link_add_up_and_each_is_proven() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let before = world.view();
    let host = world.host();
    let faults = [
        ("network:latency", parameters([("delayMilliseconds", "60"), ("jitterMilliseconds", "10")])),
        ("network:loss", parameters([("lossPercent", "10")])),
        ("network:latency", parameters([("delayMilliseconds", "40")])),
        ("network:loss", parameters([("lossPercent", "30")])),
        ("network:duplicate", parameters([("duplicatePercent", "20")])),
        ("network:corrupt", parameters([("corruptPercent", "10")])),
        ("network:bandwidth", parameters([("megabitsPerSecond", "20")])),
        ("network:blackhole", parameters([("port", "9")])),
    ];
    for (number, (fault, given)) in (1..).zip(&faults) {
        let proof = host.inject(InjectionId(number), fault, given, &world.object, LEASE).unwrap();
        println!("{}: {}", proof.configured, proof.achieved);
        assert!(proof.holds);
    }
    // In another order than they came.
    for number in [3, 1, 8, 2, 7, 4, 6, 5] {
        assert_eq!(host.undo(InjectionId(number)).unwrap().cleanliness, Cleanliness::Clean);
    }
    assert_eq!(world.view(), before);
}

#[test]
fn new_connections_are_refused_and_old_ones_go_on() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let listener = world.instance.run(|| TcpListener::bind((INSTANCE, 8080))).unwrap();
    let address = listener.local_addr().unwrap();
    let connect = || world.router.run(|| TcpStream::connect_timeout(&address, Duration::from_secs(5)));
    let mut old = connect().unwrap();
    let (mut served, _) = listener.accept().unwrap();
    inject_and_undo(&world, "network:refuse", [("port", "8080"), ("direction", "both")], |proof| {
        assert!(proof.achieved.contains("one to port 8080"), "{}", proof.achieved);
        assert_eq!(connect().unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
        old.write_all(b"still here").unwrap();
        let mut heard = [0; 10];
        served.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"still here");
    });
    connect().unwrap();
}

#[test]
fn established_connections_are_reset_and_new_ones_can_be_made() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let before = world.view();
    let host = world.host();
    let listen = |port| world.instance.run(|| TcpListener::bind((INSTANCE, port))).unwrap();
    let (closed, open) = (listen(8080), listen(8081));
    let connect = |to: &TcpListener| {
        let client = world.router.run(|| TcpStream::connect(to.local_addr().unwrap())).unwrap();
        (client, to.accept().unwrap().0)
    };
    let mut victims: Vec<_> = (0..5).map(|_| connect(&closed)).collect();
    let (mut spared, mut server) = connect(&open);
    let inject = |number, given| host.inject(InjectionId(number), "network:reset", &given, &world.object, LEASE);
    let none = inject(1, parameters([("port", "9")])).unwrap_err();
    assert!(none.to_string().contains("no established connection"), "{none}");
    let proof = inject(2, parameters([("port", "8080"), ("direction", "ingress")])).unwrap();
    println!("{}: {}", proof.configured, proof.achieved);
    assert!(proof.achieved.contains("5 of 5"), "{}", proof.achieved);
    for (client, server) in &mut victims {
        assert_eq!(client.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
        assert!(server.read(&mut [0]).is_err());
    }
    spared.write_all(b"x").unwrap();
    server.read_exact(&mut [0]).unwrap();
    connect(&closed);
    assert_eq!(host.undo(InjectionId(2)).unwrap().cleanliness, Cleanliness::Gone);
    assert_eq!(world.view(), before);
}

#[test]
fn faults_that_begin_at_once_on_one_link_are_each_proven() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let before = world.view();
    let host = world.host();
    std::thread::scope(|scope| {
        for (number, (fault, given)) in (1..).zip([
            ("network:bandwidth", parameters([("megabitsPerSecond", "5")])),
            ("network:latency", parameters([("delayMilliseconds", "40")])),
            ("network:loss", parameters([("lossPercent", "5")])),
        ]) {
            let (host, world) = (&host, &world);
            scope.spawn(move || {
                let proof = host.inject(InjectionId(number), fault, &given, &world.object, LEASE).unwrap();
                println!("{}: {}", proof.configured, proof.achieved);
            });
        }
    });
    drop(host);
    assert_eq!(world.view(), before);
}
