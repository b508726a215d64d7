//! Where connections are taken: listeners in the object's network, and behind them a front that does what its rules say.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use proxy::{
    Course,
    http::{Done, Front, Road, Rule, Rules},
};
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, ipproto, listen,
    sockopt::{ip_original_dst, ipv6_original_dst},
};
use tokio::{
    net::{TcpSocket, TcpStream},
    runtime,
    sync::oneshot,
};

use crate::{
    fault::{self, Abort},
    sys::{namespace::NetworkNamespace, option},
};

/// How connections come here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coming {
    /// Diverted: here they have the address that they are for.
    Diverted,
    /// Redirected: the kernel remembers what that was.
    Redirected,
}

/// Listeners and a front, on a thread in the object's network (over links: ours). Dropping it ends all its connections.
#[derive(Debug)]
pub(crate) struct Post {
    front: Option<Front>,
    rules: Rules,
    /// Where it listens: by IPv4, and by IPv6 where there is any; or for each link, and for the stand-in.
    pub(crate) listeners: Vec<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a listener may have waiting for us: as many as the kernel allows by default.
const BACKLOG: i32 = 4096;
/// How long connections may take to end by themselves, each with the exchange that it has under way.
const RETIREMENT: Duration = Duration::from_secs(1);

impl Post {
    /// Opens it, without rules, for connections that the kernel leads here. What it sends carries this mark.
    pub(crate) fn open(network: Arc<NetworkNamespace>, coming: Coming, mark: u32) -> io::Result<Self> {
        let diverted = (coming == Coming::Diverted).then_some(mark);
        let four = network.run(|| listener(Ipv4Addr::LOCALHOST.into(), diverted))?;
        // A host without IPv6 needs none.
        let six = network.run(|| listener(Ipv6Addr::LOCALHOST.into(), diverted)).ok();
        let all: Vec<TcpListener> = [Some(four), six].into_iter().flatten().collect();
        Self::behind(all, network, |listeners| Arc::new(Onward { coming, mark, listeners }))
    }

    /// Opens it, without rules, for connections that are led here over these links, and at a last listener for those to the
    /// stand-in.
    pub(crate) fn along(
        network: Arc<NetworkNamespace>,
        courses: Vec<Course>,
        stand_in: SocketAddr,
    ) -> io::Result<Self> {
        let all = (0..=courses.len()).map(|_| listener(Ipv4Addr::LOCALHOST.into(), None));
        let all = all.collect::<io::Result<Vec<_>>>()?;
        Self::behind(all, network, |listeners| {
            let courses = listeners.into_iter().zip(courses).collect();
            Arc::new(Along { courses, stand_in })
        })
    }

    /// Starts the front behind these listeners.
    fn behind(
        all: Vec<TcpListener>,
        network: Arc<NetworkNamespace>,
        road: impl FnOnce(Vec<SocketAddr>) -> Arc<dyn Road>,
    ) -> io::Result<Self> {
        let listeners = all.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
        let rules = Rules::new(fault::seed());
        let road = road(listeners.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = mpsc::sync_channel(1);
        let own = rules.clone();
        let work = move || {
            // Connections to where they are for are made from there too.
            let runtime = network.enter().and_then(|()| runtime::Builder::new_current_thread().enable_all().build());
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(why) => return drop(tell.send(Err(why))),
            };
            runtime.block_on(async {
                if tell.send(Front::between(all, road, own)).is_ok() {
                    // Whether it is told to, or whoever would tell it is gone.
                    drop(stopped.await);
                }
            });
        };
        let thread = thread::Builder::new().name("http".to_owned()).spawn(work)?;
        let front = told.recv().map_err(io::Error::other)??;
        Ok(Self { front: Some(front), rules, listeners, stop: Some(stop), thread: Some(thread) })
    }

    /// From now on this is done.
    pub(crate) fn put(&self, rule: Rule) {
        self.rules.set(vec![rule]);
    }

    /// What has been done.
    pub(crate) fn done(&self) -> Done {
        self.rules.list().into_iter().next().map(|(_, done)| done).unwrap_or_default()
    }

    /// Ends it, when no new connections are led here any more, and none is on its way as far as `nobody_comes` knows: nothing
    /// is done from now on, and the connections end when their exchanges have, or after a second.
    pub(crate) fn retire(mut self, nobody_comes: impl Fn() -> bool) {
        self.rules.clear();
        if let Some(front) = &self.front {
            front.retire();
            Abort::default().until(RETIREMENT, || (front.carried() == 0 && nobody_comes()).then_some(()));
        }
        self.close();
    }

    fn close(&mut self) {
        drop(self.front.take());
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        self.close();
    }
}

/// A listener, for connections that are diverted to it if it has a mark for them.
fn listener(address: IpAddr, diverted: Option<u32>) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, Some(ipproto::TCP))?;
    if let Some(mark) = diverted {
        option::take_diverted(&socket, address)?;
        // Those that it accepts inherit the mark: the kernel's list of connections tells them from others then.
        option::mark(&socket, mark)?;
    }
    rustix::net::bind(&socket, &SocketAddr::new(address, 0))?;
    listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

/// On to where connections were going.
#[derive(Debug)]
struct Onward {
    coming: Coming,
    mark: u32,
    listeners: Vec<SocketAddr>,
}

impl Road for Onward {
    fn destination(&self, client: &TcpStream) -> io::Result<SocketAddr> {
        let here = client.local_addr()?;
        let destination = match (self.coming, here) {
            (Coming::Diverted, _) => here,
            (Coming::Redirected, SocketAddr::V4(_)) => SocketAddr::V4(ip_original_dst(client)?),
            (Coming::Redirected, SocketAddr::V6(_)) => SocketAddr::V6(ipv6_original_dst(client)?),
        };
        if self.listeners.contains(&destination) {
            return Err(io::Error::other("somebody came by himself, and is going nowhere else"));
        }
        Ok(destination)
    }

    fn socket(&self, to: SocketAddr) -> io::Result<TcpSocket> {
        let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        option::mark(&socket, self.mark)?;
        Ok(socket)
    }
}

/// On along the course of the links by which connections come.
#[derive(Debug)]
struct Along {
    /// By the listener to which they are led.
    courses: BTreeMap<SocketAddr, Course>,
    stand_in: SocketAddr,
}

impl Road for Along {
    fn destination(&self, client: &TcpStream) -> io::Result<SocketAddr> {
        let here = client.local_addr()?;
        Ok(self.courses.get(&here).map_or(self.stand_in, |course| course.after(here)))
    }

    fn socket(&self, to: SocketAddr) -> io::Result<TcpSocket> {
        if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }
    }
}
