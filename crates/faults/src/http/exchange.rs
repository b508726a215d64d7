//! Exchanges of our own: a stand-in for the object, which notes what it is asked and always answers the same, and whoever asks
//! it.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{fault::Abort, lock::lock, sys::namespace::NetworkNamespace};

/// A request or a response, as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// The request line, or the status line.
    pub(crate) first: String,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered(Message),
    /// The connection was reset.
    Reset,
    /// Nothing in time, or nothing that is a response.
    Nothing,
}

/// A request, and what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub(crate) outcome: Outcome,
    /// As the stand-in received it; nothing, if it did not.
    pub(crate) arrived: Option<Message>,
    pub(crate) took: Duration,
}

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// The field by which the stand-in knows which request it is.
const NUMBER: HeaderName = HeaderName::from_static("x-shaketable-probe");
/// The status of the stand-in's answers.
pub(crate) const STATUS: &str = "HTTP/1.1 200 OK";
/// So many ask at once: more would disturb each other's times.
const ASKERS: usize = 32;
/// How often somebody who waits for bytes looks whether he should.
const LOOK: Duration = Duration::from_millis(20);
/// Our own messages are far shorter.
const LONGEST: usize = 1 << 20;

/// A server of ours in a network, whose answers all are the same. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct StandIn {
    pub(crate) address: SocketAddr,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    answer: Vec<u8>,
    arrived: Mutex<BTreeMap<usize, Message>>,
    next: AtomicUsize,
    closed: AtomicBool,
}

impl StandIn {
    /// Starts it at a free port of this address.
    pub(crate) fn start(
        network: &NetworkNamespace,
        address: IpAddr,
        fields: &HeaderMap,
        body: &[u8],
    ) -> io::Result<Self> {
        let listener = network.run(|| TcpListener::bind((address, 0)))?;
        let address = listener.local_addr()?;
        let answer = written(STATUS, fields, body);
        let (arrived, next, closed) = Default::default();
        let inner = Arc::new(Inner { answer, arrived, next, closed });
        let own = Arc::clone(&inner);
        thread::Builder::new().name("stand-in".to_owned()).spawn(move || {
            for stream in listener.incoming() {
                if own.closed.load(Ordering::Acquire) {
                    return;
                }
                let (Ok(stream), own) = (stream, Arc::clone(&own)) else { continue };
                // Who gets no thread gets no answer, which shows.
                thread::Builder::new().name("stand-in".to_owned()).spawn(move || own.serve(stream).ok()).ok();
            }
        })?;
        Ok(Self { address, inner })
    }

    /// Asks it, from this network and at this address, which leads to it, so many times; `patience` is what an answer may take.
    pub(crate) fn ask(
        &self,
        (from, at): (&NetworkNamespace, SocketAddr),
        request: &Request,
        times: usize,
        patience: Duration,
        abort: &Abort,
    ) -> io::Result<Vec<Exchange>> {
        let left = AtomicUsize::new(times);
        let (done, failed) = (Mutex::new(Vec::new()), Mutex::new(None));
        let take = || left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok();
        let work = || {
            while take() && !abort.is_aborted() {
                match self.exchange(at, request, patience, abort) {
                    Ok(exchange) => lock(&done).push(exchange),
                    Err(why) => return *lock(&failed) = Some(why),
                }
            }
        };
        // Threads are born into the network of whoever makes them.
        from.run(|| {
            thread::scope(|scope| (0..ASKERS.min(times)).for_each(|_| drop(scope.spawn(work))));
            Ok(())
        })?;
        match std::mem::take(&mut *lock(&failed)) {
            Some(why) => Err(why),
            None => Ok(std::mem::take(&mut *lock(&done))),
        }
    }

    fn exchange(&self, at: SocketAddr, request: &Request, patience: Duration, abort: &Abort) -> io::Result<Exchange> {
        let number = self.inner.next.fetch_add(1, Ordering::Relaxed);
        let mut fields = request.fields.clone();
        fields.insert(NUMBER, HeaderValue::from(number));
        let bytes = written(&format!("{} {} HTTP/1.1", request.method, request.path), &fields, &request.body);
        let begun = Instant::now();
        let outcome = outcome(at, &bytes, request.method == "HEAD", patience, abort);
        let took = begun.elapsed();
        let outcome = match outcome {
            Ok(message) => message.map_or(Outcome::Nothing, Outcome::Answered),
            Err(why) if is_reset(&why) => Outcome::Reset,
            Err(why) if why.kind() == io::ErrorKind::TimedOut => Outcome::Nothing,
            Err(why) => return Err(why),
        };
        Ok(Exchange { outcome, arrived: lock(&self.inner.arrived).remove(&number), took })
    }
}

/// What is answered at an address; `None`: the connection ended before.
fn outcome(
    at: SocketAddr,
    request: &[u8],
    bodiless: bool,
    patience: Duration,
    abort: &Abort,
) -> io::Result<Option<Message>> {
    let mut stream = TcpStream::connect_timeout(&at, patience)?;
    stream.set_nodelay(true)?;
    stream.write_all(request)?;
    let end = Instant::now() + patience;
    receive(&mut stream, bodiless, || abort.is_aborted() || Instant::now() >= end)
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.inner.closed.store(true, Ordering::Release);
    }
}

fn is_reset(why: &io::Error) -> bool {
    matches!(why.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

impl Inner {
    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        // One exchange for each connection: what is broken breaks it alone.
        let Some(request) = receive(&mut stream, false, || self.closed.load(Ordering::Acquire))? else { return Ok(()) };
        let number = request.fields.get(NUMBER).and_then(|number| number.to_str().ok()?.parse().ok());
        let bodiless = request.first.starts_with("HEAD ");
        if let Some(number) = number {
            lock(&self.arrived).insert(number, request);
        }
        let end = if bodiless { head(&self.answer) } else { self.answer.len() };
        stream.write_all(&self.answer[..end])?;
        stream.shutdown(Shutdown::Write)
    }
}

/// A message as it is sent, after which its connection ends.
fn written(first: &str, fields: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{first}\r\nconnection: close\r\n").into_bytes();
    for (name, value) in fields {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    if !body.is_empty() {
        bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// How long a message's head is, with the empty line behind it; all of it, if that is missing.
fn head(bytes: &[u8]) -> usize {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4)
}

/// The next message of a connection; `None`: it ended before. Bodies have a length, or go to the end of the connection.
fn receive(stream: &mut TcpStream, bodiless: bool, give_up: impl Fn() -> bool) -> io::Result<Option<Message>> {
    stream.set_read_timeout(Some(LOOK))?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(message) = whole(&bytes, bodiless) {
            return Ok(Some(message));
        }
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(read(&bytes)),
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(why) if matches!(why.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(why) => return Err(why),
        }
        if give_up() || bytes.len() > LONGEST {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}

/// A message, if all of it is there: as long as it says, or nothing of that to be waited for.
fn whole(bytes: &[u8], bodiless: bool) -> Option<Message> {
    let message = read(bytes)?;
    let length = message.fields.get(http::header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let is_request = !message.first.starts_with("HTTP/");
    let chunked = message.fields.contains_key(http::header::TRANSFER_ENCODING);
    let is_whole = match length {
        _ if bodiless => true,
        Some(length) => message.body.len() >= length,
        None => is_request && !chunked,
    };
    is_whole.then_some(message)
}

/// Reads a message, if its head is there.
fn read(bytes: &[u8]) -> Option<Message> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let text = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let mut lines = text.split("\r\n");
    let first = lines.next()?.to_owned();
    let mut fields = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        fields.append(name.parse::<HeaderName>().ok()?, value.trim().parse().ok()?);
    }
    Some(Message { first, fields, body: bytes.get(end + 4..)?.to_vec() })
}

/// Whether somebody who speaks HTTP answers here: version 1.1, or 2 with prior knowledge.
pub(crate) fn speaks_http(network: &NetworkNamespace, door: SocketAddr, patience: Duration) -> io::Result<bool> {
    // RFC 9110 section 9.3.7: useful as a ping, whatever the answer is.
    let ping = format!("OPTIONS * HTTP/1.1\r\nhost: {door}\r\nconnection: close\r\n\r\n");
    // RFC 9113 section 3.4, with empty settings; the other side sends its own first, too: a frame of type 4 on stream 0.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let first = heard(network, door, ping.as_bytes(), patience)?;
    if first.starts_with(b"HTTP/1.") {
        return Ok(true);
    }
    let second = heard(network, door, preface, patience)?;
    Ok(second.get(3..9).is_some_and(|frame| frame[0] == 4 && frame[2..] == [0; 4]))
}

/// The first bytes that somebody says to this; fewer than nine, if he says no more.
fn heard(network: &NetworkNamespace, door: SocketAddr, say: &[u8], patience: Duration) -> io::Result<Vec<u8>> {
    let mut stream = network.run(|| TcpStream::connect_timeout(&door, patience))?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(say)?;
    let mut heard = Vec::new();
    let mut buffer = [0; 512];
    while heard.len() < 9 {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => heard.extend_from_slice(&buffer[..length]),
            // Nobody says what he does not understand.
            Err(why) if is_reset(&why) || why.kind() == io::ErrorKind::WouldBlock => break,
            Err(why) => return Err(why),
        }
    }
    Ok(heard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_whole_when_all_that_they_say_is_there() {
        let response = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nx: a\r\nx: b\r\n\r\nabc";
        assert!((0..response.len()).all(|length| whole(&response[..length], false).is_none()));
        let message = whole(response, false).unwrap();
        assert_eq!((message.first.as_str(), &message.body[..]), ("HTTP/1.1 200 OK", &b"abc"[..]));
        assert_eq!(message.fields.get_all("x").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert!(whole(&response[..response.len() - 3], true).is_some(), "to HEAD no body comes");
        assert!(whole(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", false).is_some());
        assert!(whole(b"HTTP/1.1 200 OK\r\n\r\nabc", false).is_none(), "it goes to the end of the connection");
        assert!(read(b"nonsense\r\nno field\r\n\r\n").is_none());
    }
}
