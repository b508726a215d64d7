//! Faults of names, with resolvers of the test's own.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket},
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use faults::{
    InjectError,
    dns::wire::{A, AAAA, Query, Reply, ask},
    sys::namespace::{NetworkNamespace, replace_file_privately},
};
use model::event::Cleanliness;

use crate::harness::{FIRST, LEASE, ROUTER, World, inject_and_undo, parameters, privileged};

/// What the resolvers of the tests say of every name.
const TRUTH: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
/// Who is to be answered has long.
const LONG: Duration = Duration::from_secs(10);
/// Who is not to be answered is waited for no longer than a person would believe it.
const SHORT: Duration = Duration::from_millis(300);

/// A resolver, as long as the test: over UDP, and over TCP unless it is told not to.
fn resolver(network: &NetworkNamespace, address: IpAddr) -> SocketAddr {
    let address = SocketAddr::new(address, 53);
    let (datagrams, streams) = network.run(|| Ok((UdpSocket::bind(address)?, TcpListener::bind(address)?))).unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok((length, from)) = datagrams.recv_from(&mut buffer) {
            datagrams.send_to(&truth(&buffer[..length]), from).ok();
        }
    });
    thread::spawn(move || {
        for stream in streams.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    address
}

fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    loop {
        let message = receive(&mut stream)?;
        send(&mut stream, &truth(&message))?;
    }
}

fn truth(message: &[u8]) -> Vec<u8> {
    let query = Query::read(message).and_then(|query| query.resolve(&[TRUTH.into()], 60));
    // What is not understood comes back as it came.
    query.unwrap_or_else(|| message.to_vec())
}

fn receive(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(message)
}

fn send(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(message.len()).map_err(std::io::Error::other)?.to_be_bytes();
    stream.write_all(&[&length, message].concat())
}

/// Asks a resolver from within a network; `None`: it does not answer.
fn answer(network: &NetworkNamespace, resolver: SocketAddr, message: &[u8], within: Duration) -> Option<Vec<u8>> {
    let any = if resolver.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = network.run(|| UdpSocket::bind(any)).unwrap();
    socket.set_read_timeout(Some(within)).unwrap();
    socket.connect(resolver).unwrap();
    socket.send(message).unwrap();
    let mut buffer = [0; 1024];
    let length = socket.recv(&mut buffer).ok()?;
    Some(buffer[..length].to_vec())
}

fn asked(network: &NetworkNamespace, resolver: SocketAddr, name: &str, kind: u16) -> Reply {
    let message = ask(4711, &name.parse().unwrap(), kind);
    let reply = Reply::read(&answer(network, resolver, &message, LONG).unwrap()).unwrap();
    assert_eq!(reply.id, 4711);
    reply
}

fn reply(code: u8, addresses: &[IpAddr]) -> Reply {
    Reply { id: 4711, code, addresses: addresses.to_vec() }
}

#[test]
fn names_fail_as_they_are_told_to_and_others_resolve() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let server = resolver(&world.router, ROUTER.into());
    let (instance, truth) = (&world.instance, reply(0, &[TRUTH.into()]));
    assert_eq!(asked(instance, server, "api.lab", A), truth);
    for (failure, code) in [("nxdomain", 3), ("servfail", 2), ("refused", 5)] {
        let given = [("names", "*.lab, db.example.com"), ("failure", failure)];
        let whole = inject_and_undo(&world, "dns:fail", given, |proof| {
            assert!(proof.achieved.contains("passes unharmed"), "{}", proof.achieved);
            for kind in [A, AAAA] {
                assert_eq!(asked(instance, server, "api.lab", kind), reply(code, &[]));
                assert_eq!(asked(instance, server, "DB.example.com", kind), reply(code, &[]));
            }
            assert_eq!(asked(instance, server, "www.example.com", A), truth);
            // Others of the network resolve what they like.
            assert_eq!(asked(&world.router, server, "api.lab", A), truth);
        });
        assert!(whole.unwrap().holds);
        assert_eq!(asked(instance, server, "api.lab", A), truth);
    }
}

#[test]
fn a_resolver_that_does_not_answer_is_never_asked() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let server = resolver(&world.router, ROUTER.into());
    inject_and_undo(&world, "dns:fail", [("names", "*.lab"), ("failure", "timeout")], |_| {
        let message = ask(1, &"api.lab".parse().unwrap(), A);
        assert_eq!(answer(&world.instance, server, &message, SHORT), None);
        assert_eq!(asked(&world.instance, server, "lab", A), reply(0, &[TRUTH.into()]));
    });
}

#[test]
fn names_resolve_to_what_is_said() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let server = resolver(&world.router, ROUTER.into());
    let lies: [IpAddr; 2] = ["192.0.2.9".parse().unwrap(), "2001:db8::9".parse().unwrap()];
    inject_and_undo(&world, "dns:lie", [("names", "api.lab"), ("addresses", "192.0.2.9,2001:db8::9")], |_| {
        assert_eq!(asked(&world.instance, server, "api.lab", A), reply(0, &lies[..1]));
        assert_eq!(asked(&world.instance, server, "api.lab", AAAA), reply(0, &lies[1..]));
        assert_eq!(asked(&world.instance, server, "web.lab", A), reply(0, &[TRUTH.into()]));
    });
    inject_and_undo(&world, "dns:lie", [("names", "*")], |proof| {
        assert!(proof.configured.contains("nobody's"), "{}", proof.configured);
        assert_ne!(asked(&world.instance, server, "web.lab", A), reply(0, &[TRUTH.into()]));
    });
}

#[test]
fn the_c_library_is_told_the_same() {
    if !privileged() {
        return;
    }
    let world = World::new();
    resolver(&world.router, ROUTER.into());
    let instance = Arc::clone(&world.instance);
    // On a thread of its own, which has its own network and sight of files.
    let lookup = |name: &'static str| {
        let instance = Arc::clone(&instance);
        let look = move || {
            instance.enter()?;
            replace_file_privately(
                Path::new("/etc/resolv.conf"),
                b"nameserver 10.77.0.1\noptions timeout:2 attempts:2\n",
            )?;
            (name, 80).to_socket_addrs().map(|found| found.map(|address| address.ip()).collect::<Vec<_>>())
        };
        thread::spawn(look).join().unwrap()
    };
    assert_eq!(lookup("api.lab").unwrap(), [IpAddr::from(TRUTH)]);
    inject_and_undo(&world, "dns:fail", [("names", "api.lab")], |_| {
        assert!(lookup("api.lab").is_err());
        assert_eq!(lookup("web.lab").unwrap(), [IpAddr::from(TRUTH)]);
    });
    inject_and_undo(&world, "dns:lie", [("names", "*.lab"), ("addresses", "192.0.2.9")], |_| {
        assert_eq!(lookup("api.lab").unwrap(), [IpAddr::from([192, 0, 2, 9])]);
    });
    assert_eq!(lookup("api.lab").unwrap(), [IpAddr::from(TRUTH)]);
}

#[test]
fn resolvers_of_the_loopback_and_of_ipv6_are_no_exception() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let homes = ["127.0.0.53", "::1"].map(|home| resolver(&world.instance, home.parse().unwrap()));
    inject_and_undo(&world, "dns:fail", [("names", "*.lab")], |_| {
        for home in homes {
            assert_eq!(asked(&world.instance, home, "api.lab", A), reply(3, &[]), "{home}");
            assert_eq!(asked(&world.instance, home, "www.example.com", A), reply(0, &[TRUTH.into()]), "{home}");
        }
    });
}

#[test]
fn what_is_no_plain_query_for_such_a_name_is_not_touched() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let server = resolver(&world.router, ROUTER.into());
    inject_and_undo(&world, "dns:fail", [("names", "*.lab")], |_| {
        let mut update = ask(7, &"api.lab".parse().unwrap(), A);
        update[2] = 0x28;
        let large = vec![b'x'; 1000];
        for message in [&update, &b"no DNS at all".to_vec(), &large] {
            assert_eq!(answer(&world.instance, server, message, LONG).as_ref(), Some(message));
        }
        let mut extended = ask(7, &"www.example.com".parse().unwrap(), A);
        extended[11] = 1;
        extended.extend([0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 4, 0, 10, 0, 0]);
        let through = answer(&world.instance, server, &extended, LONG).unwrap();
        assert_eq!(through, truth(&extended));
    });
}

#[test]
fn an_instance_that_is_gone_asks_nobody_any_more() {
    if !privileged() {
        return;
    }
    for fault in ["dns:fail", "dns:lie"] {
        let mut world = World::new();
        let host = world.host();
        host.inject(FIRST, fault, &parameters([("names", "*")]), &world.object, LEASE).unwrap();
        world.child.kill().unwrap();
        world.child.wait().unwrap();
        for _ in 0..2 {
            assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Gone, "{fault}");
        }
    }
}

#[test]
fn names_that_are_none_are_refused() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let host = world.host();
    for (fault, given, part) in [
        ("dns:fail", vec![("names", "a..b")], "`names`"),
        ("dns:fail", vec![("names", "*.*.lab")], "`names`"),
        ("dns:fail", vec![], "`names` is missing"),
        ("dns:fail", vec![("names", "lab"), ("failure", "fire")], "`failure`"),
        ("dns:lie", vec![("names", "lab"), ("addresses", "10.0.0")], "`addresses`"),
    ] {
        let given = given.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
        let outcome = host.inject(FIRST, fault, &given, &world.object, LEASE);
        assert!(matches!(&outcome, Err(InjectError::Refused(why)) if why.0.contains(part)), "{outcome:?}");
    }
    let machine = faults::Object { kind: faults::Kind::Machine, network: None, peer: None, ..world.object.clone() };
    let outcome = host.inject(FIRST, "dns:fail", &parameters([("names", "*")]), &machine, LEASE);
    assert!(
        matches!(&outcome, Err(InjectError::Refused(why)) if why.0.contains("all names of the host")),
        "{outcome:?}"
    );
}

#[test]
fn queries_over_tcp_are_answered_alike_and_others_are_carried_on() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let server = resolver(&world.router, ROUTER.into());
    let home = resolver(&world.instance, "127.0.0.53".parse().unwrap());
    let connect = |to: SocketAddr| {
        let stream = world.instance.run(|| TcpStream::connect_timeout(&to, LONG)).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    };
    let asked = |stream: &mut TcpStream, name: &str| {
        send(stream, &ask(4711, &name.parse().unwrap(), A)).unwrap();
        Reply::read(&receive(stream).unwrap())
    };
    let truth = Some(reply(0, &[TRUTH.into()]));
    // One that stands already goes on as it was, before and after.
    let mut old = connect(server);
    assert_eq!(asked(&mut old, "api.lab"), truth);
    let mut during = None;
    inject_and_undo(&world, "dns:fail", [("names", "*.lab")], |proof| {
        assert!(proof.achieved.contains("over TCP: NXDOMAIN, the other passes unharmed"), "{}", proof.achieved);
        for to in [server, home] {
            let mut stream = connect(to);
            for _ in 0..2 {
                assert_eq!(asked(&mut stream, "api.lab"), Some(reply(3, &[])), "{to}");
                assert_eq!(asked(&mut stream, "www.example.com"), truth, "{to}");
            }
            during = Some(stream);
        }
        assert_eq!(asked(&mut old, "api.lab"), truth);
    });
    assert_eq!(asked(&mut old, "api.lab"), truth);
    // What was carried ends with the fault, and says so.
    assert_eq!(during.unwrap().read(&mut [0; 2]).unwrap_or(0), 0);
    assert_eq!(asked(&mut connect(server), "api.lab"), truth);
}
