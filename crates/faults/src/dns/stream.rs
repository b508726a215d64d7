//! Queries over TCP: connections to resolvers are led to a listener of ours, which answers what is meant and carries on all
//! else to the resolver they were for.
//!
//! A stream cannot be judged packet by packet: what is asked is known only when the connection stands. Only new connections are
//! led here; those that stand go on as they were.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, eventfd, poll},
    net::{
        AddressFamily, SocketFlags, SocketType, ipproto,
        sockopt::{Timeout, ip_original_dst, ipv6_original_dst, set_socket_timeout},
    },
};

use crate::{
    dns::engine::{Judge, Judgement},
    fault,
    lock::lock,
    packet::copier::MARK,
    sys::{namespace::NetworkNamespace, option},
};

/// A listener and the connections that it has taken. Dropping it ends them all.
#[derive(Debug)]
pub(crate) struct Doorman {
    house: Arc<House>,
    thread: Option<JoinHandle<()>>,
    /// Where it listens, on the loopback: by IPv4, and by IPv6 where there is any.
    pub(crate) ports: (u16, Option<u16>),
}

#[derive(Debug)]
struct House {
    judge: Judge,
    closed: AtomicBool,
    wake: OwnedFd,
    guests: AtomicUsize,
    /// Both ends of what is carried.
    streams: Mutex<Vec<TcpStream>>,
}

/// So many connections at once are those of a busy program; more are turned away, and none can use up our memory.
const MOST: usize = 256;
/// A resolver that takes longer to accept a connection is not there, and a client waits no longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// After so long without a word, a client that has ended without telling us is forgotten.
const IDLE: Duration = Duration::from_secs(120);

impl Doorman {
    /// Opens the doors in a network.
    pub(crate) fn open(network: Arc<NetworkNamespace>, judge: Judge) -> io::Result<Self> {
        let (four, six) = network.run(|| {
            let six = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).ok();
            Ok((TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, six))
        })?;
        let port = |listener: &TcpListener| {
            listener.set_nonblocking(true)?;
            listener.local_addr().map(|address| address.port())
        };
        let ports = (port(&four)?, six.as_ref().map(port).transpose()?);
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let house = Arc::new(House {
            judge,
            closed: AtomicBool::new(false),
            wake,
            guests: AtomicUsize::new(0),
            streams: Mutex::default(),
        });
        let own = Arc::clone(&house);
        let work = move || {
            // Connections to resolvers are made from there too.
            let served = network.enter().and_then(|()| own.serve(&four, six.as_ref()));
            if let Err(why) = served {
                tracing::error!(%why, "queries over TCP are not answered any more");
            }
        };
        let thread = thread::Builder::new().name("names".to_owned()).spawn(work)?;
        Ok(Self { house, thread: Some(thread), ports })
    }

    fn close(&mut self) {
        self.house.closed.store(true, Ordering::Release);
        // The counter cannot overflow by two rings, and nothing else can go wrong.
        rustix::io::write(&self.house.wake, &1u64.to_ne_bytes()).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
        for stream in std::mem::take(&mut *lock(&self.house.streams)) {
            // Now: the other side hears of it as long as the packets are still translated.
            stream.shutdown(Shutdown::Both).ok();
        }
    }
}

impl Drop for Doorman {
    fn drop(&mut self) {
        self.close();
    }
}

impl House {
    fn serve(self: &Arc<Self>, four: &TcpListener, six: Option<&TcpListener>) -> io::Result<()> {
        while !self.closed.load(Ordering::Acquire) {
            let listeners = [Some(four), six].into_iter().flatten();
            let mut watched = vec![PollFd::new(&self.wake, PollFlags::IN)];
            watched.extend(listeners.clone().map(|listener| PollFd::new(listener, PollFlags::IN)));
            rustix::io::retry_on_intr(|| poll(&mut watched, None))?;
            for listener in listeners {
                while let Ok((stream, from)) = listener.accept() {
                    self.welcome(stream, from);
                }
            }
        }
        Ok(())
    }

    fn welcome(self: &Arc<Self>, stream: TcpStream, from: SocketAddr) {
        if self.guests.fetch_add(1, Ordering::AcqRel) >= MOST {
            self.guests.fetch_sub(1, Ordering::AcqRel);
            return;
        }
        let house = Arc::clone(self);
        let work = move || {
            // Whatever breaks, breaks this connection alone.
            house.attend(stream, from).ok();
            house.guests.fetch_sub(1, Ordering::AcqRel);
        };
        if thread::Builder::new().name("names".to_owned()).spawn(work).is_err() {
            self.guests.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Answers or carries on the queries of one client, until it has no more.
    fn attend(&self, mut client: TcpStream, from: SocketAddr) -> io::Result<()> {
        client.set_nonblocking(false)?;
        client.set_read_timeout(Some(IDLE))?;
        let resolver = destination(&client)?;
        // Somebody who came by himself was not on the way to any resolver.
        if client.local_addr()? == resolver {
            return Ok(());
        }
        self.keep(&client)?;
        let answers = Arc::new(Mutex::new(client.try_clone()?));
        let mut upstream: Option<TcpStream> = None;
        let outcome = (|| {
            while let Some(message) = receive(&mut client)? {
                match self.judge.of(&message, fault::seed()) {
                    Judgement::Answer(answer) => send(&mut lock(&answers), &answer)?,
                    Judgement::Lose => {}
                    Judgement::Pass => {
                        if upstream.is_none() {
                            upstream = Some(self.carry(resolver, &answers)?);
                        }
                        upstream.as_mut().map_or(Ok(()), |upstream| send(upstream, &message))?;
                    }
                }
            }
            Ok(())
        })();
        for stream in upstream.iter().chain([&client]) {
            stream.shutdown(Shutdown::Both).ok();
        }
        lock(&self.streams).retain(|stream| stream.peer_addr().is_ok_and(|peer| peer != from));
        outcome
    }

    /// Connects to a resolver, and sends on to the client what that answers.
    fn carry(&self, resolver: SocketAddr, client: &Arc<Mutex<TcpStream>>) -> io::Result<TcpStream> {
        let upstream = connect(resolver)?;
        self.keep(&upstream)?;
        let (mut answers, client) = (upstream.try_clone()?, Arc::clone(client));
        thread::Builder::new().name("names".to_owned()).spawn(move || {
            while let Ok(Some(answer)) = receive(&mut answers) {
                if send(&mut lock(&client), &answer).is_err() {
                    break;
                }
            }
            // A resolver that has closed has no more answers; the client hears of it.
            answers.shutdown(Shutdown::Both).ok();
            lock(&client).shutdown(Shutdown::Both).ok();
        })?;
        Ok(upstream)
    }

    fn keep(&self, stream: &TcpStream) -> io::Result<()> {
        let stream = stream.try_clone()?;
        let mut streams = lock(&self.streams);
        if self.closed.load(Ordering::Acquire) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        // Those that have ended have no peer any more.
        streams.retain(|stream| stream.peer_addr().is_ok());
        streams.push(stream);
        Ok(())
    }
}

/// Where a connection was going before it was led here.
fn destination(client: &TcpStream) -> io::Result<SocketAddr> {
    Ok(match client.local_addr()?.ip() {
        IpAddr::V4(_) => SocketAddr::V4(ip_original_dst(client)?),
        IpAddr::V6(_) => SocketAddr::V6(ipv6_original_dst(client)?),
    })
}

/// Connects past our own rules.
fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    option::mark(&socket, MARK)?;
    // It bounds connecting too.
    set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
    rustix::net::connect(&socket, &to)?;
    Ok(TcpStream::from(socket))
}

/// The next message of a stream: its length in two bytes, then itself. `None`: the stream has ended.
fn receive(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 2];
    match stream.read_exact(&mut length) {
        Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(Some(message))
}

/// Sends a message with its length.
pub(crate) fn send(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    // In one piece: some clients read a segment and take it for all.
    stream.write_all(&[&length.to_be_bytes(), message].concat())
}
