//! What peers see of a link, with and without faults.

use std::{future::Future, io::ErrorKind, net::SocketAddr, time::Duration};

use proxy::{
    Faults, Impairment, Link,
    http::{Front, Rule, Rules},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};

/// Anything on loopback that takes longer than this hangs.
const HANGS: Duration = Duration::from_secs(20);

const BLACKHOLE: Impairment = Impairment { delay: Duration::ZERO, jitter: Duration::ZERO, loss: 0.0, blackhole: true };

fn late(delay: Duration) -> Impairment {
    Impairment { delay, ..Impairment::default() }
}

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    timeout(HANGS, what).await.expect("it hangs")
}

/// A link and both ends of a connection over it.
async fn connected() -> (Link, TcpStream, TcpStream) {
    let listener = TcpListener::bind(anywhere()).await.unwrap();
    let link = Link::start(anywhere(), listener.local_addr().unwrap(), 1).await.unwrap();
    let client = TcpStream::connect(link.address()).await.unwrap();
    let (target, _peer) = in_time(listener.accept()).await.unwrap();
    (link, client, target)
}

/// A message goes from one end to the other.
async fn carries(from: &mut TcpStream, to: &mut TcpStream) {
    from.write_all(b"hello").await.unwrap();
    let mut got = [0; 5];
    in_time(to.read_exact(&mut got)).await.unwrap();
    assert_eq!(&got, b"hello");
}

/// Waits until a condition of the link holds.
async fn until(link: &Link, holds: impl Fn(&Link) -> bool) {
    in_time(async {
        while !holds(link) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A client is reset as soon as it is there, which may show before it knows that it is.
async fn is_refused(address: SocketAddr) {
    match TcpStream::connect(address).await {
        Ok(stream) => is_reset(stream).await,
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

async fn is_reset(mut stream: TcpStream) {
    let mut rest = Vec::new();
    let error = in_time(stream.read_to_end(&mut rest)).await.expect_err("it ended in order");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn many_bytes_pass_unchanged_both_ways_at_once() {
    let (link, client, target) = connected().await;
    // 8 MiB, eight times what a link holds, with a period that is no power of two: a lost or doubled block would show.
    let bytes: Vec<u8> = (0..8 << 20).map(|place: u32| (place % 251) as u8).collect();
    let exchange = |stream: TcpStream, bytes: Vec<u8>| async move {
        let (mut reader, mut writer) = stream.into_split();
        let writing = tokio::spawn(async move { writer.write_all(&bytes).await.map(|()| writer) });
        let mut got = Vec::new();
        let mut part = vec![0; 100_000];
        while got.len() < 8 << 20 {
            let count = reader.read(&mut part).await.unwrap();
            assert!(count > 0, "it ended after {} bytes", got.len());
            got.extend_from_slice(&part[..count]);
        }
        writing.await.unwrap().unwrap();
        got
    };
    let (at_client, at_target) =
        in_time(async { tokio::join!(exchange(client, bytes.clone()), exchange(target, bytes.clone())) }).await;
    assert!(at_client == bytes && at_target == bytes);
    let carried = link.statistics();
    assert_eq!((carried.connections, carried.forward.bytes, carried.backward.bytes), (1, 8 << 20, 8 << 20));
}

#[tokio::test]
async fn one_side_can_end_while_the_other_goes_on() {
    let (_link, mut client, mut target) = connected().await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut question = String::new();
    in_time(target.read_to_string(&mut question)).await.unwrap();
    assert_eq!(question, "question");
    target.write_all(b"answer").await.unwrap();
    drop(target);
    let mut answer = String::new();
    in_time(client.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "answer");
}

#[tokio::test]
async fn a_reset_of_one_side_reaches_the_other() {
    let (_link, client, target) = connected().await;
    target.set_zero_linger().unwrap();
    drop(target);
    is_reset(client).await;
}

#[tokio::test]
async fn a_target_that_refuses_resets_the_client() {
    // Bound, so that nobody else gets the port, and not listening.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(anywhere()).unwrap();
    let nowhere = socket.local_addr().unwrap();
    let link = Link::start(anywhere(), nowhere, 1).await.unwrap();
    is_refused(link.address()).await;
}

#[tokio::test]
async fn a_link_that_is_dropped_listens_no_more_and_leaves_nobody_waiting() {
    let (link, mut client, mut target) = connected().await;
    carries(&mut client, &mut target).await;
    let address = link.address();
    drop(link);
    is_reset(client).await;
    is_reset(target).await;
    in_time(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn each_direction_has_its_own_delay() {
    let (link, mut client, mut target) = connected().await;
    link.set(Faults { forward: late(Duration::from_millis(60)), backward: late(Duration::from_millis(20)) });
    for _ in 0..3 {
        carries(&mut client, &mut target).await;
        carries(&mut target, &mut client).await;
    }
    let measured = link.clear();
    assert!(measured.forward.residence_p50 >= Some(Duration::from_millis(60)), "{measured:?}");
    assert!(measured.backward.residence_p50 >= Some(Duration::from_millis(20)), "{measured:?}");
    assert_eq!((measured.forward.delayed, measured.backward.delayed), (3, 3));
}

#[tokio::test]
async fn a_delay_that_ends_frees_what_waits_for_it() {
    let (link, mut client, mut target) = connected().await;
    link.set(Faults::both(late(Duration::from_secs(3600))));
    client.write_all(b"hello").await.unwrap();
    // Nothing shows from outside that the link has read it; it must arrive whichever comes first.
    link.clear();
    let mut got = [0; 5];
    in_time(target.read_exact(&mut got)).await.unwrap();
    carries(&mut target, &mut client).await;
}

#[tokio::test]
async fn loss_makes_data_wait_and_loses_none() {
    let (link, mut client, mut target) = connected().await;
    link.set(Faults { forward: Impairment { loss: 0.3, ..Impairment::default() }, ..Faults::default() });
    for number in 0..20_u8 {
        let carried = link.statistics().forward;
        client.write_all(&[number]).await.unwrap();
        // Each byte a parcel of its own: the next is sent when this one has been read, which a stall or a passage shows.
        until(&link, |link| {
            let now = link.statistics().forward;
            now.stalled > carried.stalled || now.parcels > carried.parcels
        })
        .await;
    }
    let mut got = [0; 20];
    in_time(target.read_exact(&mut got)).await.unwrap();
    assert!(got.iter().copied().eq(0..20), "{got:?}");
    let measured = link.statistics().forward;
    assert!(measured.stalled > 0, "{measured:?}");
}

#[tokio::test]
async fn in_a_blackhole_nothing_moves_and_its_end_resets_what_was_stuck() {
    let (link, mut client, target) = connected().await;
    link.set(Faults { forward: BLACKHOLE, ..Faults::default() });
    client.write_all(b"hello").await.unwrap();
    // A connection made now is held, which shows that the blackhole is in force.
    let mut unanswered = TcpStream::connect(link.address()).await.unwrap();
    unanswered.write_all(b"hello").await.unwrap();
    until(&link, |link| link.statistics().held == 1).await;
    let mut nothing = [0];
    assert_eq!(target.try_read(&mut nothing).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
    let measured = link.clear();
    assert_eq!((measured.forward.bytes, measured.held), (0, 1));
    is_reset(client).await;
    is_reset(target).await;
    is_reset(unanswered).await;
}

#[tokio::test]
async fn a_connection_that_was_idle_in_a_blackhole_lives_on() {
    let (link, mut client, mut target) = connected().await;
    carries(&mut client, &mut target).await;
    link.set(Faults::both(BLACKHOLE));
    let held = TcpStream::connect(link.address()).await.unwrap();
    until(&link, |link| link.statistics().held == 1).await;
    link.clear();
    is_reset(held).await;
    carries(&mut client, &mut target).await;
    carries(&mut target, &mut client).await;
}

#[tokio::test]
async fn a_blackhole_one_way_lets_the_other_way_pass() {
    let (link, mut client, mut target) = connected().await;
    link.set(Faults { backward: BLACKHOLE, ..Faults::default() });
    carries(&mut client, &mut target).await;
    target.write_all(b"lost").await.unwrap();
    carries(&mut client, &mut target).await;
    assert_eq!(link.clear().backward.bytes, 0);
    is_reset(client).await;
}

/// Answers every request, on connections that it keeps, but for those that are to wait.
async fn web_server() -> SocketAddr {
    let listener = TcpListener::bind(anywhere()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = vec![0; 1024];
                while let Ok(count @ 1..) = stream.read(&mut asked).await {
                    if !asked[..count].starts_with(b"GET /wait ") {
                        let _client_has_gone = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                    }
                }
            });
        }
    });
    address
}

/// What is answered on a connection: the status.
async fn status(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: web\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        assert!(in_time(stream.read_buf(&mut answer)).await.unwrap() > 0, "it ended");
    }
    String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap().to_owned()
}

/// A front that answers everything itself.
fn teapot(upstream: SocketAddr, status: u16) -> Front {
    let rule = serde_json::json!({"name": "a", "match": {"path": "*"}, "abort": {"status": status}});
    let rules = Rules::new(1);
    rules.set(vec![Rule::from_json(&rule).unwrap()]);
    Front::start(anywhere(), &upstream.to_string(), rules).unwrap()
}

#[tokio::test]
async fn connections_are_led_through_a_front_from_when_it_is_there_until_it_is_not() {
    let target = web_server().await;
    let link = Link::start(anywhere(), target, 1).await.unwrap();
    let connect = || TcpStream::connect(link.address());
    let mut before = connect().await.unwrap();
    assert_eq!(status(&mut before).await, "200");
    let front = teapot(target, 418);
    let detour = link.course().lead_through(front.address());
    let mut through = connect().await.unwrap();
    assert_eq!(status(&mut through).await, "418");
    assert_eq!(status(&mut before).await, "200");
    let clients = |passing: Vec<proxy::Passing>| passing.iter().map(proxy::Passing::client).collect::<Vec<_>>();
    let (inside, outside) = detour.passing();
    assert_eq!(clients(inside), [through.local_addr().unwrap()]);
    assert_eq!(clients(outside), [before.local_addr().unwrap()]);
    detour.close();
    assert_eq!(status(&mut connect().await.unwrap()).await, "200");
    assert_eq!(status(&mut through).await, "418");
    // A front that has gone is no way any more.
    drop((detour, front));
    assert_eq!(status(&mut connect().await.unwrap()).await, "200");
}

#[tokio::test]
async fn a_connection_ends_in_order_while_it_rests_and_is_broken_off_when_it_does_not() {
    let link = Link::start(anywhere(), web_server().await, 1).await.unwrap();
    let mut resting = TcpStream::connect(link.address()).await.unwrap();
    let mut busy = TcpStream::connect(link.address()).await.unwrap();
    assert_eq!(status(&mut resting).await, "200");
    busy.write_all(b"GET /wait HTTP/1.1\r\nhost: web\r\n\r\n").await.unwrap();
    let asked = b"GET /wait HTTP/1.1\r\nhost: web\r\n\r\n".len() as u64;
    let said = b"GET / HTTP/1.1\r\nhost: web\r\n\r\n".len() as u64;
    until(&link, |link| link.statistics().forward.bytes == asked + said).await;
    let course = link.course();
    let of = |stream: &TcpStream| {
        let own = stream.local_addr().unwrap();
        course.passing().into_iter().find(|one| one.client() == own).unwrap()
    };
    assert!(!of(&resting).end_at_rest(HANGS * 100), "it has not rested for so long");
    assert!(of(&resting).end_at_rest(Duration::ZERO));
    assert_eq!(in_time(resting.read(&mut [0])).await.unwrap(), 0);
    let waiting = of(&busy);
    assert!(!waiting.end_at_rest(Duration::ZERO), "a request waits for its answer");
    waiting.break_off();
    is_reset(busy).await;
    until(&link, |link| link.course().passing().is_empty()).await;
}
