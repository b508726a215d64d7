//! Faults in HTTP, on a server of the test's own.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use faults::{InjectError, sys::namespace::NetworkNamespace};
use model::event::{Cleanliness, InjectionId};

use crate::{
    harness::{FIRST, INSTANCE, LEASE, ROUTER, World, inject_and_undo, only, parameters, privileged, until},
    victim::Victim,
};

/// Where the server listens, on all addresses of both versions of IP.
pub(crate) const PORT: u16 = 8080;
const PORT_GIVEN: (&str, &str) = ("port", "8080");
/// Where it does so in another language than HTTP, by IPv4.
const OTHER_PORT: u16 = 9000;
/// What answers within that was not delayed by what these tests delay by.
const DELAY: Duration = Duration::from_millis(300);
/// Who is to be answered has long.
const LONG: Duration = Duration::from_secs(20);

/// Not a test: a server that tells everybody what he asked.
#[test]
#[ignore = "the server, started by the tests here"]
fn the_server() {
    let other = TcpListener::bind((Ipv4Addr::UNSPECIFIED, OTHER_PORT)).unwrap();
    thread::spawn(move || {
        for stream in other.incoming() {
            // As a server with TLS does: an alert.
            let Ok(mut stream) = stream else { continue };
            let _asked = stream.read(&mut [0; 64]);
            let _told = stream.write_all(&[21, 3, 3, 0, 2, 2, 10]);
        }
    });
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT)).unwrap();
    for stream in listener.incoming() {
        // It lives on where a fault leaves it no descriptor or no thread, as servers do: whoever asked is not answered.
        let Ok(stream) = stream else { continue };
        drop(thread::Builder::new().spawn(move || serve(&stream).ok()));
    }
}

fn serve(stream: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(request) = message(&mut reader)? {
        let body = serde_json::json!({ "asked": request.head, "sent": request.body }).to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-server: true\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        (&*stream).write_all(format!("{head}{body}").as_bytes())?;
    }
    Ok(())
}

/// A request or a response.
#[derive(Debug)]
struct Message {
    head: String,
    body: String,
}

/// The next message, whose body has a length; `None`: there is none any more.
fn message(reader: &mut impl BufRead) -> std::io::Result<Option<Message>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Message { head, body: String::from_utf8_lossy(&body).into_owned() }))
}

/// A world whose instance serves HTTP.
pub(crate) fn serving() -> World {
    let world = World::running(Command::new(std::env::current_exe().unwrap()).args(only("http::the_server")));
    until("the server listens", || world.router.run(|| TcpStream::connect((INSTANCE, PORT))).is_ok());
    world
}

/// The same server at the other end of the instance's link.
struct Elsewhere(Child);

impl Elsewhere {
    fn start(world: &World) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(only("http::the_server")).stdin(Stdio::null()).stdout(Stdio::null());
        let child = world.router.run(|| command.spawn()).unwrap();
        until("the server listens", || world.instance.run(|| TcpStream::connect((ROUTER, PORT))).is_ok());
        Self(child)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A client's connection.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(from: &NetworkNamespace, to: IpAddr) -> Self {
        let stream = from.run(|| TcpStream::connect_timeout(&SocketAddr::new(to, PORT), LONG)).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// What is answered, and how long that takes.
    fn ask(&mut self, request: &str) -> std::io::Result<(Message, Duration)> {
        let begun = Instant::now();
        self.0.get_mut().write_all(request.as_bytes())?;
        let answer = message(&mut self.0)?.ok_or(std::io::ErrorKind::UnexpectedEof)?;
        Ok((answer, begun.elapsed()))
    }

    fn get(&mut self, path: &str) -> std::io::Result<(Message, Duration)> {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: web\r\n\r\n"))
    }
}

/// Asks over a connection of its own, from the other end of the instance's link.
fn get(world: &World, path: &str) -> (Message, Duration) {
    Client::connect(&world.router, INSTANCE.into()).get(path).unwrap()
}

/// Whether some request takes so short: a busy machine may delay one of them, not all.
fn is_quick(mut ask: impl FnMut() -> Duration) -> bool {
    (0..10).any(|_| ask() < DELAY / 2)
}

#[test]
fn requests_that_match_are_answered_later_and_others_are_not() {
    if !privileged() {
        return;
    }
    let world = serving();
    let given = [("delayMilliseconds", "300"), ("method", "get"), ("path", "/slow*"), ("port", "8080")];
    let whole = inject_and_undo(&world, "http:delay", given, |proof| {
        assert!(proof.configured.contains("delay 300.0 ms: requests to port 8080, GET /slow*"), "{}", proof.configured);
        assert!(proof.achieved.contains("5 of 5 requests hit"), "{}", proof.achieved);
        let (answer, took) = get(&world, "/slow/page?x=1");
        assert!(answer.body.contains("get /slow/page?x=1 http/1.1"), "{answer:?}");
        assert!(took >= DELAY, "{took:?}");
        assert!(is_quick(|| get(&world, "/quick").1));
        assert!(is_quick(|| {
            let request = "POST /slow HTTP/1.1\r\nhost: web\r\ncontent-length: 2\r\n\r\nhi";
            Client::connect(&world.router, INSTANCE.into()).ask(request).unwrap().1
        }));
        // By whatever way they come: the loopback, and its younger version of IP.
        for home in [Ipv4Addr::LOCALHOST.into(), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            let (_, took) = Client::connect(&world.instance, home).get("/slow").unwrap();
            assert!(took >= DELAY, "{home}: {took:?}");
        }
    });
    let whole = whole.unwrap();
    assert!(whole.holds && whole.achieved.contains("3 of 3 requests hit"), "{}", whole.achieved);
    assert!(is_quick(|| get(&world, "/slow").1));
}

#[test]
fn a_share_of_requests_is_hit() {
    if !privileged() {
        return;
    }
    let world = serving();
    let given = [("delayMilliseconds", "150"), ("jitterMilliseconds", "30"), ("requestsPercent", "20"), PORT_GIVEN];
    inject_and_undo(&world, "http:delay", given, |proof| {
        assert!(proof.configured.contains("20 % of *"), "{}", proof.configured);
        assert!(proof.achieved.contains("of 200 requests hit"), "{}", proof.achieved);
        get(&world, "/");
    });
}

#[test]
fn connections_that_stand_are_ended_while_they_rest_or_left_alone() {
    if !privileged() {
        return;
    }
    let world = serving();
    let mut kept = Client::connect(&world.router, INSTANCE.into());
    kept.get("/").unwrap();
    inject_and_undo(
        &world,
        "http:delay",
        [("delayMilliseconds", "300"), ("openConnections", "leave"), PORT_GIVEN],
        |proof| {
            assert!(proof.achieved.contains("1 connections that stood go on unhit"), "{}", proof.achieved);
            assert!(is_quick(|| kept.get("/").unwrap().1));
            assert!(get(&world, "/").1 >= DELAY);
        },
    );
    kept.get("/").unwrap();
    inject_and_undo(&world, "http:delay", [("delayMilliseconds", "300"), PORT_GIVEN], |proof| {
        assert!(proof.achieved.contains("1 connections that stood were ended"), "{}", proof.achieved);
        assert!(kept.get("/").is_err());
        assert!(get(&world, "/").1 >= DELAY);
    });
}

#[test]
fn a_fault_that_no_request_has_met_was_none() {
    if !privileged() {
        return;
    }
    let world = serving();
    let mut kept = Client::connect(&world.router, INSTANCE.into());
    kept.get("/").unwrap();
    let whole = inject_and_undo(&world, "http:delay", [("openConnections", "leave"), PORT_GIVEN], |_| {
        kept.get("/").unwrap();
    });
    assert!(!whole.unwrap().holds);
}

#[test]
fn an_exchange_under_way_outlives_the_fault_and_its_connection_ends_in_order() {
    if !privileged() {
        return;
    }
    let world = serving();
    let host = world.host();
    let given = parameters([("delayMilliseconds", "60000"), ("path", "/slow"), PORT_GIVEN]);
    // The proof itself would take minutes.
    thread::scope(|scope| {
        let injecting = scope.spawn(|| host.inject(FIRST, "http:delay", &given, &world.object, LEASE));
        let (tell, told) = mpsc::channel();
        let world = &world;
        let waiting = scope.spawn(move || {
            let client = || Client::connect(&world.router, INSTANCE.into());
            loop {
                // Until the fault is there, requests go past it.
                let mut client = client();
                client.0.get_mut().set_read_timeout(Some(Duration::from_millis(500))).unwrap();
                if client.get("/slow").is_err_and(|why| why.kind() == std::io::ErrorKind::WouldBlock) {
                    tell.send(()).unwrap();
                    client.0.get_mut().set_read_timeout(Some(LONG)).unwrap();
                    return message(&mut client.0).unwrap().unwrap();
                }
            }
        });
        told.recv_timeout(LONG).unwrap();
        assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Clean);
        // Its delay has ended with the fault.
        assert!(waiting.join().unwrap().body.contains("/slow"));
        assert!(!matches!(injecting.join().unwrap(), Ok(proof) if proof.holds));
    });
}

#[test]
fn several_faults_on_one_port_all_have_their_effect() {
    if !privileged() {
        return;
    }
    let world = serving();
    let before = world.view();
    let host = world.host();
    let slow = |id, path: &str| {
        let given = parameters([("delayMilliseconds", "300"), ("path", path), PORT_GIVEN]);
        let proof = host.inject(InjectionId(id), "http:delay", &given, &world.object, LEASE).unwrap();
        assert!(proof.holds, "{}", proof.achieved);
    };
    let hits = |paths: &[&str]| {
        for path in ["/a", "/b", "/c"] {
            let slow = get(&world, path).1 >= DELAY;
            assert!(slow == paths.contains(&path) || slow && is_quick(|| get(&world, path).1), "{path} of {paths:?}");
        }
    };
    slow(1, "/a");
    slow(2, "/b");
    hits(&["/a", "/b"]);
    host.undo(InjectionId(1)).unwrap();
    hits(&["/b"]);
    // It takes the place of the first in the row.
    slow(3, "/c");
    hits(&["/b", "/c"]);
    for id in [2, 3] {
        assert_eq!(host.undo(InjectionId(id)).unwrap().cleanliness, Cleanliness::Clean);
    }
    hits(&[]);
    assert_eq!(world.view(), before);
}

#[test]
fn what_speaks_no_http_is_left_alone() {
    if !privileged() {
        return;
    }
    let world = serving();
    let before = world.view();
    let host = world.host();
    let inject = |port: &str| {
        let given = if port.is_empty() { parameters([]) } else { parameters([("port", port)]) };
        host.inject(FIRST, "http:delay", &given, &world.object, LEASE).unwrap_err()
    };
    let InjectError::Failed(why) = inject("9000") else { panic!("it is tried") };
    assert!(why.0.contains("does not speak HTTP without TLS"), "{}", why.0);
    let InjectError::Refused(why) = inject("") else { panic!("it has two ports") };
    assert!(why.0.contains("say which `port`"), "{}", why.0);
    let InjectError::Refused(why) = inject("81") else { panic!("nobody listens") };
    assert!(why.0.contains("does not listen on port 81, but on 8080, 9000"), "{}", why.0);
    assert_eq!(world.view(), before);
}

#[test]
fn requests_are_answered_with_an_error_and_never_reach_the_server() {
    if !privileged() {
        return;
    }
    let world = serving();
    let given =
        [("statusCode", "418"), ("body", "short and stout"), ("setHeaders", r#"{"retry-after": "7"}"#), PORT_GIVEN];
    let whole = inject_and_undo(&world, "http:abort", given, |proof| {
        assert!(proof.configured.contains("answer 418"), "{}", proof.configured);
        let (answer, _) = get(&world, "/");
        assert!(answer.head.starts_with("http/1.1 418 "), "{}", answer.head);
        assert!(answer.head.contains("retry-after: 7\r\n"), "{}", answer.head);
        assert_eq!(answer.body, "short and stout");
    });
    assert!(whole.unwrap().achieved.contains("1 of 1 requests hit"));
    assert!(get(&world, "/").0.head.starts_with("http/1.1 200 "));
}

#[test]
fn connections_are_reset_before_a_request_or_when_its_work_is_done() {
    if !privileged() {
        return;
    }
    let world = serving();
    for at in ["request", "response"] {
        let given = [("failure", "reset"), ("at", at), ("path", "/a*"), PORT_GIVEN];
        inject_and_undo(&world, "http:abort", given, |proof| {
            assert!(proof.achieved.contains("5 of 5 others"), "{}", proof.achieved);
            let why = Client::connect(&world.router, INSTANCE.into()).get("/abc").unwrap_err();
            assert_eq!(why.kind(), std::io::ErrorKind::ConnectionReset);
            assert!(get(&world, "/other").0.head.starts_with("http/1.1 200 "));
        });
    }
}

#[test]
fn headers_are_set_and_removed() {
    if !privileged() {
        return;
    }
    let world = serving();
    let change = [("setHeaders", r#"{"x-version": "2"}"#), ("removeHeaders", "x-server, x-user"), PORT_GIVEN];
    let ask = || {
        let request = "GET / HTTP/1.1\r\nhost: web\r\nx-user: me\r\nx-version: 1\r\n\r\n";
        Client::connect(&world.router, INSTANCE.into()).ask(request).unwrap().0
    };
    let [first, second, third] = change;
    inject_and_undo(&world, "http:header", [("message", "request"), first, second, third], |_| {
        let answer = ask();
        assert!(answer.body.contains("x-version: 2") && !answer.body.contains("x-user"), "{}", answer.body);
        assert!(answer.head.contains("x-server: true"), "{}", answer.head);
    });
    inject_and_undo(&world, "http:header", [("message", "response"), first, second, third], |_| {
        let answer = ask();
        assert!(answer.head.contains("x-version: 2") && !answer.head.contains("x-server"), "{}", answer.head);
        assert!(answer.body.contains("x-version: 1") && answer.body.contains("x-user: me"), "{}", answer.body);
    });
}

#[test]
fn bodies_are_replaced_and_patched() {
    if !privileged() {
        return;
    }
    let world = serving();
    let post = || {
        let request = "POST / HTTP/1.1\r\nhost: web\r\ncontent-length: 16\r\n\r\n{\"a\": 1, \"b\":2}\n";
        Client::connect(&world.router, INSTANCE.into()).ask(request).unwrap().0.body
    };
    inject_and_undo(&world, "http:body", [("message", "response"), ("replace", "nothing"), PORT_GIVEN], |_| {
        assert_eq!(post(), "nothing");
    });
    let patch = ("patch", r#"{"sent": null, "more": [1]}"#);
    inject_and_undo(&world, "http:body", [("message", "response"), patch, PORT_GIVEN], |_| {
        let body: serde_json::Value = serde_json::from_str(&post()).unwrap();
        assert_eq!((body.get("sent"), &body["more"]), (None, &serde_json::json!([1])));
        assert!(body["asked"].as_str().unwrap().starts_with("post /"));
    });
    let patch = ("patch", r#"{"b": "three"}"#);
    inject_and_undo(&world, "http:body", [("message", "request"), ("method", "POST"), patch, PORT_GIVEN], |_| {
        let body: serde_json::Value = serde_json::from_str(&post()).unwrap();
        assert_eq!(body["sent"], r#"{"a":1,"b":"three"}"#);
    });
}

#[test]
fn requests_that_an_instance_makes_are_hit_and_those_to_it_are_not() {
    if !privileged() {
        return;
    }
    let world = serving();
    let _elsewhere = Elsewhere::start(&world);
    let out = |path: &str| Client::connect(&world.instance, ROUTER.into()).get(path).unwrap();
    let mut kept = Client::connect(&world.instance, ROUTER.into());
    kept.get("/").unwrap();
    let given = [("delayMilliseconds", "300"), ("direction", "egress"), ("openConnections", "leave"), PORT_GIVEN];
    inject_and_undo(&world, "http:delay", given, |_| {
        // The first rule of its kind makes the kernel follow connections; those that stand must bear it.
        assert!(is_quick(|| kept.get("/").unwrap().1));
        assert!(out("/slow").1 >= DELAY);
    });
    assert!(is_quick(|| kept.get("/").unwrap().1));
    let given = [("delayMilliseconds", "300"), ("direction", "egress"), ("path", "/slow"), PORT_GIVEN];
    let whole = inject_and_undo(&world, "http:delay", given, |proof| {
        assert!(proof.configured.contains("requests from it to port 8080"), "{}", proof.configured);
        assert!(proof.achieved.contains("1 connections that stood were ended"), "{}", proof.achieved);
        assert!(kept.get("/").is_err());
        let (answer, took) = out("/slow");
        assert!(took >= DELAY && answer.body.contains("/slow"), "{took:?} {answer:?}");
        assert!(is_quick(|| out("/quick").1));
        assert!(is_quick(|| get(&world, "/slow").1));
    });
    assert!(whole.unwrap().holds);
    // Two in a row, of which the first is undone first.
    let before = world.view();
    let host = world.host();
    for (id, path) in [(1, "/a"), (2, "/b")] {
        let given = [("delayMilliseconds", "300"), ("direction", "egress"), ("path", path), PORT_GIVEN];
        host.inject(InjectionId(id), "http:delay", &parameters(given), &world.object, LEASE).unwrap();
    }
    assert!(out("/a").1 >= DELAY && out("/b").1 >= DELAY);
    host.undo(InjectionId(1)).unwrap();
    assert!(out("/b").1 >= DELAY && is_quick(|| out("/a").1));
    assert_eq!(host.undo(InjectionId(2)).unwrap().cleanliness, Cleanliness::Clean);
    assert_eq!(world.view(), before);
}

#[test]
fn whoever_is_connected_hears_of_it_when_the_injector_is_killed() {
    if !privileged() {
        return;
    }
    let world = serving();
    let _elsewhere = Elsewhere::start(&world);
    let before = world.view();
    for direction in ["ingress", "egress"] {
        let given = parameters([("direction", direction), ("path", "/slow"), PORT_GIVEN]);
        let victim = Victim::start_with(&world, &world.journal(), "http:delay", &given).injected();
        let connect = || match direction {
            "ingress" => Client::connect(&world.router, INSTANCE.into()),
            _ => Client::connect(&world.instance, ROUTER.into()),
        };
        let mut clients: Vec<Client> = (0..5).map(|_| connect()).collect();
        clients.iter_mut().for_each(|client| assert!(client.get("/").is_ok()));
        victim.kill();
        for mut client in clients {
            // It waits for an answer, and says nothing itself: an end, or a reset.
            let heard = client.0.read(&mut [0]);
            assert!(!heard.is_err_and(|why| why.kind() == std::io::ErrorKind::WouldBlock), "{direction}: nothing");
        }
        assert!(connect().get("/").is_ok(), "{direction}");
        // The guardian holds the journal until it has seen to it.
        until("nothing is left", || world.view() == before && !world.journal().exists());
    }
}
