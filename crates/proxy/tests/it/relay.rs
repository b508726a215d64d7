//! What peers see of a relay, with and without toxics.

use std::{
    future::Future,
    io::ErrorKind,
    net::SocketAddr,
    num::NonZero,
    time::{Duration, Instant},
};

use proxy::{
    Relay, Workers,
    toxic::{Applied, Stream, Toxic},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
    time::timeout,
};

/// Anything on loopback that takes longer than this hangs.
const HANGS: Duration = Duration::from_secs(20);

const STUCK: Toxic = Toxic::Bandwidth { bytes_per_second: 0 };

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    timeout(HANGS, what).await.expect("it hangs")
}

fn applied(name: &str, stream: Stream, toxic: Toxic) -> Applied {
    Applied { name: name.to_owned(), toxic, stream, toxicity: 1.0 }
}

/// Both streams.
fn both(toxic: Toxic) -> Vec<Applied> {
    vec![applied("up", Stream::Upstream, toxic), applied("down", Stream::Downstream, toxic)]
}

fn late(millis: u64) -> Toxic {
    Toxic::Latency { latency: Duration::from_millis(millis), jitter: Duration::ZERO }
}

fn workers() -> Workers {
    Workers::with(NonZero::new(2).unwrap()).unwrap()
}

/// A relay to something that accepts connections.
async fn relayed() -> (Relay, TcpListener) {
    let listener = TcpListener::bind(anywhere()).await.unwrap();
    let relay = Relay::open(&workers(), anywhere(), &listener.local_addr().unwrap().to_string()).unwrap();
    (relay, listener)
}

/// Both ends of a connection over a relay.
async fn over(relay: &Relay, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(relay.local_address()).await.unwrap();
    let (upstream, _peer) = in_time(listener.accept()).await.unwrap();
    (client, upstream)
}

async fn connected() -> (Relay, TcpStream, TcpStream) {
    let (relay, listener) = relayed().await;
    let (client, upstream) = over(&relay, &listener).await;
    (relay, client, upstream)
}

/// A message goes from one end to the other.
async fn carries(from: &mut TcpStream, to: &mut TcpStream) {
    from.write_all(b"hello").await.unwrap();
    let mut got = [0; 5];
    in_time(to.read_exact(&mut got)).await.unwrap();
    assert_eq!(&got, b"hello");
}

async fn until(holds: impl Fn() -> bool) {
    in_time(async {
        while !holds() {
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

/// Ends in order, after these bytes.
async fn ends_after(stream: &mut TcpStream, bytes: &[u8]) {
    let mut rest = Vec::new();
    in_time(stream.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, bytes);
}

/// A long text with a period that is no power of two: a lost or doubled block would show.
fn text(length: u32) -> Vec<u8> {
    (0..length).map(|place| (place % 251) as u8).collect()
}

/// Sends all of it on one side, and gives back what the other got until the end.
async fn send_through(mut from: TcpStream, mut to: TcpStream, bytes: Vec<u8>) -> (TcpStream, TcpStream, Vec<u8>) {
    let length = bytes.len();
    let writing = tokio::spawn(async move { from.write_all(&bytes).await.map(|()| from) });
    let mut got = vec![0; length];
    in_time(to.read_exact(&mut got)).await.unwrap();
    (writing.await.unwrap().unwrap(), to, got)
}

#[tokio::test]
async fn many_bytes_pass_unchanged_both_ways_at_once() {
    let (relay, client, upstream) = connected().await;
    let bytes = text(64 << 20);
    let exchange = |stream: TcpStream, bytes: Vec<u8>| async move {
        let (mut reader, mut writer) = stream.into_split();
        let length = bytes.len();
        let writing = tokio::spawn(async move { writer.write_all(&bytes).await.map(|()| writer) });
        let mut got = vec![0; length];
        reader.read_exact(&mut got).await.unwrap();
        writing.await.unwrap().unwrap();
        got
    };
    let (at_client, at_upstream) =
        in_time(async { tokio::join!(exchange(client, bytes.clone()), exchange(upstream, bytes.clone())) }).await;
    assert!(at_client == bytes && at_upstream == bytes);
    for stream in Stream::ALL {
        until(|| relay.transferred(stream).sent == 64 << 20).await;
        assert_eq!(relay.transferred(stream).received, 64 << 20);
    }
}

#[tokio::test]
async fn bytes_keep_their_order_whatever_toxics_come_and_go() {
    let (relay, mut client, mut upstream) = connected().await;
    let slicer = Toxic::Slicer { average_size: 5000, size_variation: 3000, delay: Duration::from_micros(50) };
    let line = Toxic::Bandwidth { bytes_per_second: 500_000_000 };
    let reset = Toxic::ResetPeer { timeout: Duration::from_secs(3600) };
    for toxics in [vec![], both(late(2)), vec![], both(slicer), both(line), both(STUCK), both(reset), vec![]] {
        relay.set_toxics(toxics.clone());
        let bytes = text(3_000_000);
        let writing = tokio::spawn(async move { client.write_all(&bytes).await.map(|()| client) });
        let mut got = vec![0; 3_000_000];
        if toxics == both(STUCK) || toxics == both(reset) {
            // Something is in it when the toxic goes.
            until(|| relay.transferred(Stream::Upstream).received > relay.transferred(Stream::Upstream).sent).await;
            relay.set_toxics(vec![]);
        }
        in_time(upstream.read_exact(&mut got)).await.unwrap();
        assert!(got == text(3_000_000), "{toxics:?}");
        client = writing.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn one_side_can_end_while_the_other_goes_on() {
    for toxics in [vec![], both(late(5))] {
        let (relay, mut client, mut upstream) = connected().await;
        relay.set_toxics(toxics);
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        ends_after(&mut upstream, b"question").await;
        upstream.write_all(b"answer").await.unwrap();
        drop(upstream);
        ends_after(&mut client, b"answer").await;
        until(|| relay.connections().is_empty()).await;
    }
}

#[tokio::test]
async fn a_reset_of_one_side_reaches_the_other() {
    let (_relay, client, upstream) = connected().await;
    upstream.set_zero_linger().unwrap();
    drop(upstream);
    is_reset(client).await;
    let (relay, client, upstream) = connected().await;
    relay.set_toxics(both(late(5)));
    client.set_zero_linger().unwrap();
    drop(client);
    is_reset(upstream).await;
}

#[tokio::test]
async fn an_upstream_that_refuses_resets_the_client() {
    // Bound, so that nobody else gets the port, and not listening.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(anywhere()).unwrap();
    let nowhere = socket.local_addr().unwrap();
    let relay = Relay::open(&workers(), anywhere(), &nowhere.to_string()).unwrap();
    is_refused(relay.local_address()).await;
    until(|| relay.connections().is_empty()).await;
}

#[tokio::test]
async fn an_upstream_is_looked_up_and_each_of_its_addresses_tried() {
    // `localhost` is ::1 and 127.0.0.1 on most machines; only the latter is listened on.
    let listener = TcpListener::bind(anywhere()).await.unwrap();
    let upstream = format!("localhost:{}", listener.local_addr().unwrap().port());
    let relay = Relay::open(&workers(), anywhere(), &upstream).unwrap();
    for _ in 0..3 {
        let (mut client, mut upstream) = over(&relay, &listener).await;
        carries(&mut client, &mut upstream).await;
    }
    let unknown = Relay::open(&workers(), anywhere(), "name.invalid:80").unwrap();
    is_refused(unknown.local_address()).await;
}

#[tokio::test]
async fn a_relay_that_is_closed_frees_its_address_at_once() {
    let (relay, listener) = relayed().await;
    let address = relay.local_address();
    let (mut client, mut upstream) = over(&relay, &listener).await;
    carries(&mut client, &mut upstream).await;
    relay.close();
    assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    ends_after(&mut client, b"").await;
    ends_after(&mut upstream, b"").await;
    let again = Relay::open(&workers(), address, &listener.local_addr().unwrap().to_string()).unwrap();
    assert_eq!(again.local_address(), address);
    let (mut client, mut upstream) = over(&again, &listener).await;
    carries(&mut client, &mut upstream).await;
    until(|| relay.connections().is_empty()).await;
    assert_eq!(again.connections().len(), 1);
    assert_eq!(again.connections()[0].client, client.local_addr().unwrap());
}

#[tokio::test]
async fn two_relays_cannot_listen_on_one_address() {
    let (relay, _listener) = relayed().await;
    let error = Relay::open(&workers(), relay.local_address(), "127.0.0.1:1").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}

#[tokio::test]
async fn latency_comes_to_what_is_sent_after_it_was_set_and_goes_with_it() {
    let (relay, mut client, mut upstream) = connected().await;
    for _ in 0..5 {
        relay.set_toxics(vec![applied("late", Stream::Upstream, late(50))]);
        let begin = Instant::now();
        carries(&mut client, &mut upstream).await;
        assert!(begin.elapsed() >= Duration::from_millis(50), "{:?}", begin.elapsed());
        carries(&mut upstream, &mut client).await;
        relay.set_toxics(vec![applied("late", Stream::Upstream, late(3_600_000))]);
        client.write_all(b"hello").await.unwrap();
        relay.set_toxics(vec![]);
        let mut got = [0; 5];
        in_time(upstream.read_exact(&mut got)).await.unwrap();
    }
}

#[tokio::test]
async fn a_timeout_swallows_and_closes_and_so_does_its_removal() {
    let (relay, listener) = relayed().await;
    relay.set_toxics(vec![applied("t", Stream::Downstream, Toxic::Timeout { timeout: Duration::from_millis(20) })]);
    let (mut client, mut upstream) = over(&relay, &listener).await;
    upstream.write_all(b"lost").await.unwrap();
    ends_after(&mut client, b"").await;
    relay.set_toxics(vec![applied("t", Stream::Downstream, Toxic::Timeout { timeout: Duration::ZERO })]);
    let (mut client, mut upstream) = over(&relay, &listener).await;
    upstream.write_all(b"lost").await.unwrap();
    carries(&mut client, &mut upstream).await;
    relay.set_toxics(vec![]);
    ends_after(&mut client, b"").await;
    ends_after(&mut upstream, b"").await;
}

#[tokio::test]
async fn a_reset_toxic_resets_both_sides() {
    for millis in [0, 30] {
        let (relay, mut client, upstream) = connected().await;
        relay.set_toxics(vec![applied(
            "reset",
            Stream::Upstream,
            Toxic::ResetPeer { timeout: Duration::from_millis(millis) },
        )]);
        client.write_all(b"hello").await.unwrap();
        is_reset(client).await;
        is_reset(upstream).await;
    }
}

#[tokio::test]
async fn a_limit_passes_so_many_bytes_and_closes() {
    let (relay, mut client, mut upstream) = connected().await;
    relay.set_toxics(vec![applied("limit", Stream::Downstream, Toxic::LimitData { bytes: 100_000 })]);
    upstream.write_all(&text(300_000)).await.unwrap();
    ends_after(&mut client, &text(100_000)).await;
}

#[tokio::test]
async fn a_slow_close_holds_the_end_back_until_it_is_removed() {
    let (relay, mut client, mut upstream) = connected().await;
    relay.set_toxics(vec![applied("slow", Stream::Upstream, Toxic::SlowClose { delay: Duration::from_secs(3600) })]);
    client.write_all(b"last").await.unwrap();
    client.shutdown().await.unwrap();
    let mut got = [0; 4];
    in_time(upstream.read_exact(&mut got)).await.unwrap();
    carries(&mut upstream, &mut client).await;
    assert_eq!(upstream.try_read(&mut got).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
    relay.set_toxics(vec![]);
    ends_after(&mut upstream, b"").await;
}

/// Fills a connection whose other end does not read until nothing more fits in, or hardly anything: what is asserted of it holds
/// for every filling.
async fn stuff(client: &TcpStream) {
    let block = vec![0; 1 << 16];
    in_time(async {
        let mut refused = 0;
        while refused < 1000 {
            refused = if client.try_write(&block).is_ok() { 0 } else { refused + 1 };
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn nothing_waits_for_stuck_connections_and_a_reset_ends_them() {
    let (relay, listener) = relayed().await;
    let mut stuck = Vec::new();
    for toxics in [vec![], both(late(1)), both(STUCK)] {
        relay.set_toxics(toxics);
        let (client, upstream) = over(&relay, &listener).await;
        stuff(&client).await;
        stuck.push((client, upstream));
    }
    // Neither side of these reads, and yet the other connections live and every call returns.
    for toxics in [both(late(1)), vec![], both(STUCK), vec![]] {
        relay.set_toxics(toxics);
    }
    let (mut client, mut upstream) = over(&relay, &listener).await;
    carries(&mut client, &mut upstream).await;
    assert_eq!(relay.connections().len(), 4);
    relay.reset_connections();
    until(|| relay.connections().is_empty()).await;
    for (client, upstream) in stuck {
        drop(upstream);
        is_reset(client).await;
    }
}

#[tokio::test]
async fn what_a_stuck_connection_holds_is_bounded() {
    let (relay, client, _upstream) = connected().await;
    relay.set_toxics(both(STUCK));
    stuff(&client).await;
    let held = relay.transferred(Stream::Upstream);
    // One read that found room, and one that had come before the toxic.
    assert!(held.received - held.sent <= 3 * 64 * 1024, "{held:?}");
}

#[tokio::test]
async fn toxicity_concerns_its_share_of_connections() {
    let (relay, listener) = relayed().await;
    let half = Applied { toxicity: 0.5, ..applied("stuck", Stream::Upstream, STUCK) };
    relay.set_toxics(vec![half]);
    let mut ends = Vec::new();
    for _ in 0..64 {
        let (mut client, upstream) = over(&relay, &listener).await;
        client.write_all(b"hello").await.unwrap();
        ends.push((client, upstream));
    }
    let sent = || relay.transferred(Stream::Upstream);
    until(|| sent().received == 64 * 5).await;
    // 64 tosses: all but one in a million runs of them show from 14 to 50 heads.
    assert!((14..=50).contains(&(sent().sent / 5)), "{:?}", sent());
    relay.set_toxics(vec![]);
    for (_client, upstream) in &mut ends {
        let mut got = [0; 5];
        in_time(upstream.read_exact(&mut got)).await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_was_spliced_meets_a_toxic() {
    let (relay, client, upstream) = connected().await;
    let (client, upstream, got) = send_through(client, upstream, text(32 << 20)).await;
    assert!(got == text(32 << 20));
    relay.set_toxics(both(late(20)));
    let begin = Instant::now();
    let (client, upstream, got) = send_through(client, upstream, text(1 << 20)).await;
    assert!(got == text(1 << 20) && begin.elapsed() >= Duration::from_millis(20));
    relay.set_toxics(vec![]);
    let (mut client, mut upstream, got) = send_through(client, upstream, text(8 << 20)).await;
    assert!(got == text(8 << 20));
    for _ in 0..100 {
        carries(&mut client, &mut upstream).await;
    }
    client.shutdown().await.unwrap();
    ends_after(&mut upstream, b"").await;
}

#[tokio::test]
async fn many_connections_come_and_go() {
    let (relay, listener) = relayed().await;
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _peer)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                tokio::io::copy(&mut reader, &mut writer).await
            });
        }
    });
    let address = relay.local_address();
    let mut clients = JoinSet::new();
    for _ in 0..32 {
        clients.spawn(async move {
            for _ in 0..25 {
                let mut client = TcpStream::connect(address).await.unwrap();
                client.write_all(b"hello").await.unwrap();
                client.shutdown().await.unwrap();
                ends_after(&mut client, b"hello").await;
            }
        });
    }
    clients.join_all().await;
    until(|| relay.connections().is_empty()).await;
    assert_eq!(relay.transferred(Stream::Downstream).sent, 32 * 25 * 5);
    serving.abort();
}
