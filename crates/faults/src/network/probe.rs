//! Measuring a link with datagrams of our own: on one clock, so that one way is measured alone.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    ops::Range,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    fault::{self, Abort, Failed},
    network::{
        Hits,
        filter::{Filter, Way},
        link::Link,
    },
    packet::flow::Flow,
    sys::{
        nft::{Match, Protocol},
        option,
    },
};

/// Sends datagrams along a link, and sees how they arrive.
#[derive(Debug)]
pub(crate) struct Probe {
    link: Link,
    near: UdpSocket,
    near_address: SocketAddr,
    /// At the other end, a socket per flow.
    far: Vec<(UdpSocket, SocketAddr)>,
    /// How many of these flows are concerned: the first ones.
    concerned: usize,
    far_address: IpAddr,
    /// Whether the filter leaves these datagrams out, so that they need a rule of their own.
    stranger: bool,
}

/// What is sent, and how long is waited for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sending {
    /// Datagrams, of all flows together: evenly spread over them.
    pub(crate) count: usize,
    /// How large they are, in bytes: at least [`SMALLEST`].
    pub(crate) size: usize,
    /// For the first to arrive.
    pub(crate) patience: Duration,
    /// After the last that was sent or has arrived, for more.
    pub(crate) rest: Duration,
    /// When all have arrived, for copies of them.
    pub(crate) linger: Duration,
}

/// Room for a series and a number.
pub(crate) const SMALLEST: usize = 16;

/// What became of a datagram.
#[derive(Debug, Clone, Copy, Default)]
struct Receipt {
    /// How long it took the first time that it arrived.
    took: Option<Duration>,
    /// How often it arrived.
    copies: u32,
    /// Whether it was not what had been sent.
    damaged: bool,
}

/// What became of all datagrams of a sending, in the order in which they were sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Survey(Vec<Receipt>);

impl Survey {
    /// Adds what became of the datagrams of another sending.
    pub(crate) fn add(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether these sendings met the same link: of each, as many datagrams were lost, doubled or damaged as of all of them, as
    /// far as chance tells them apart.
    pub(crate) fn agree(all: &[Self]) -> bool {
        let same = |count: fn(&Self) -> usize| {
            let whole = Hits { hit: all.iter().map(count).sum(), of: all.iter().map(Self::sent).sum() };
            // One more or less is rounding.
            all.iter().all(|one| Hits { hit: count(one), of: one.sent() }.is_like(whole, 1.0))
        };
        same(Self::lost) && same(Self::doubled) && same(Self::damaged)
    }

    /// How many were sent.
    pub(crate) const fn sent(&self) -> usize {
        self.0.len()
    }

    /// How many arrived, once or more often.
    pub(crate) fn arrived(&self) -> usize {
        self.count(|receipt| receipt.took.is_some())
    }

    /// How many did not.
    pub(crate) fn lost(&self) -> usize {
        self.sent() - self.arrived()
    }

    /// How many arrived more than once.
    pub(crate) fn doubled(&self) -> usize {
        self.count(|receipt| receipt.copies > 1)
    }

    /// How many arrived damaged.
    pub(crate) fn damaged(&self) -> usize {
        self.count(|receipt| receipt.damaged)
    }

    fn count(&self, what: impl Fn(&Receipt) -> bool) -> usize {
        self.0.iter().filter(|receipt| what(receipt)).count()
    }

    /// How long those that arrived took, from the fastest to the slowest.
    pub(crate) fn times(&self) -> Vec<Duration> {
        let mut times: Vec<Duration> = self.0.iter().filter_map(|receipt| receipt.took).collect();
        times.sort_unstable();
        times
    }

    /// How long the fastest took: what the link takes when nothing disturbs the measurement.
    pub(crate) fn fastest(&self) -> Option<Duration> {
        self.0.iter().filter_map(|receipt| receipt.took).min()
    }

    /// How long the slowest took.
    pub(crate) fn slowest(&self) -> Option<Duration> {
        self.0.iter().filter_map(|receipt| receipt.took).max()
    }

    /// How long the middle one of those that arrived took.
    pub(crate) fn median(&self) -> Option<Duration> {
        let times = self.times();
        times.get(times.len() / 2).copied()
    }
}

/// Flows of a probe, of those concerned and of those not, where a fault is for a share of them.
const FLOWS_PROBED: usize = 20;
/// Flows where it is for all: some, because a network may treat flows differently.
const FLOWS_OF_ALL: usize = 4;
/// Datagrams that are sent in one go, before what has arrived is taken out of the receiver's buffer.
const IN_A_ROW: usize = 20;
/// Between them: far less than what is measured.
const BREATH: Duration = Duration::from_micros(50);
/// Sockets opened at most in search of flows that are concerned: twenty of them among one in a hundred.
const MOST_FLOWS: usize = 2_000;
/// Between two looks whether more have arrived.
const STEP: Duration = Duration::from_millis(5);
/// Room for all datagrams of a sending that come at once; where that is not allowed, for what is.
const ROOM: usize = 4 << 20;

impl Probe {
    /// Opens the sockets: of flows that are concerned, whose `place` is below the `share`, and of some that are not. The near port
    /// stays ours as long as the probe lives, so a rule for it concerns nobody else.
    pub(crate) fn open(
        link: Link,
        filter: &Filter,
        share: f64,
        place: impl Fn(&Flow) -> f64 + Sync,
    ) -> Result<Self, Failed> {
        let name = link.name.clone();
        // When all are concerned, there is none to compare with.
        let (wanted, to_compare) = if share >= 1.0 { (FLOWS_OF_ALL, 0) } else { (FLOWS_PROBED, FLOWS_PROBED) };
        let open = || -> io::Result<Self> {
            let (near_end, far_end) = link.ends();
            let near = near_end.run(|| UdpSocket::bind((link.near_address, 0)))?;
            let near_address = near.local_addr()?;
            let any: IpAddr =
                if near_address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            let (far, spared) = far_end.run(|| {
                let (mut far, mut spared) = (Vec::new(), Vec::new());
                for opened in 0..MOST_FLOWS {
                    if far.len() == wanted && (spared.len() == to_compare || opened > 10 * FLOWS_PROBED) {
                        break;
                    }
                    let socket = UdpSocket::bind((any, 0))?;
                    socket.connect(near_address)?;
                    let address = socket.local_addr()?;
                    let is_concerned = place(&flow_between(near_address, address)) < share;
                    let kind = if is_concerned { &mut far } else { &mut spared };
                    // Not all are kept: an ordinary limit of descriptors is 1,024.
                    if kind.len() < wanted {
                        prepare(&socket)?;
                        kind.push((socket, address));
                    }
                }
                Ok((far, spared))
            })?;
            prepare(&near)?;
            let first = far.iter().chain(&spared).next();
            let other = first.map_or_else(|| near_address.ip(), |(_, address): &(_, SocketAddr)| address.ip());
            let stranger = !link.ordinary || !filter.ports.is_empty() || !filter.covers(other, Protocol::Udp, 0);
            let concerned = far.len();
            Ok(Self {
                link,
                near,
                near_address,
                far: far.into_iter().chain(spared).collect(),
                concerned,
                far_address: other,
                stranger,
            })
        };
        open().map_err(Failed::to(format_args!("open probe sockets in the network of {name}")))
    }

    /// The rule that catches the probe's datagrams, if the filter does not.
    pub(crate) fn rule(&self, way: Way) -> Option<Match> {
        let port = self.near_address.port();
        let packets = Match { protocol: Some(Protocol::Udp), ..self.link.packets(way) };
        self.stranger.then_some(match way {
            Way::In => Match { destination_ports: Some(port..=port), ..packets },
            Way::Out => Match { source_ports: Some(port..=port), ..packets },
        })
    }

    /// The link along which it measures.
    pub(crate) const fn link(&self) -> &Link {
        &self.link
    }

    /// Ends it; says what is left of a link that was made for it.
    pub(crate) fn close(self) -> Option<String> {
        self.link.close()
    }

    /// What was measured, for people.
    pub(crate) const fn medium(&self) -> &'static str {
        if self.stranger { "datagrams on a probe port added to the match" } else { "datagrams" }
    }

    /// The address of the other end.
    pub(crate) const fn far_address(&self) -> IpAddr {
        self.far_address
    }

    /// The flows that are concerned.
    pub(crate) const fn concerned(&self) -> Range<usize> {
        0..self.concerned
    }

    /// Flows that are not.
    pub(crate) fn spared(&self) -> Range<usize> {
        self.concerned..self.far.len()
    }

    /// Sends datagrams in the flows `chosen`, by turns, and waits until all have arrived, or patience has ended.
    pub(crate) fn send(
        &self,
        way: Way,
        chosen: Range<usize>,
        sending: Sending,
        abort: &Abort,
    ) -> Result<Survey, Failed> {
        self.try_send(way, &chosen, sending, abort).map_err(Failed::to("measure the link"))
    }

    fn try_send(&self, way: Way, chosen: &Range<usize>, sending: Sending, abort: &Abort) -> io::Result<Survey> {
        let mut series = Series::new(sending.size);
        for (number, flow) in (1..=sending.count).zip(chosen.clone().cycle()) {
            let datagram = series.next();
            self.send_one(way, flow, datagram)?;
            // So that the receiver's buffer does not overflow.
            if number % IN_A_ROW == 0 {
                self.collect(way, chosen, &mut series);
                // With real-time priority we go before the kernel's own threads, which carry some packets on.
                std::thread::sleep(BREATH);
            }
        }
        let mut patience = sending.patience;
        let (mut missing, mut complete) = (series.missing(), false);
        loop {
            self.collect(way, chosen, &mut series);
            let still = series.missing();
            if still < missing {
                // They are arriving: on a busy machine, late.
                (missing, patience) = (still, sending.rest);
            }
            if missing == 0 && !complete {
                (complete, patience) = (true, sending.linger);
            }
            if patience.is_zero() || abort.is_aborted() {
                return Ok(Survey(series.receipts));
            }
            let (step, since) = (patience.min(STEP), Instant::now());
            self.wait(way, chosen, step)?;
            // While the machine stood still, nothing could arrive: that is not waiting.
            patience -= since.elapsed().min(step);
        }
    }

    fn send_one(&self, way: Way, flow: usize, datagram: &[u8]) -> io::Result<()> {
        let (far, address) = &self.far[flow];
        let send = || match way {
            Way::In => far.send(datagram),
            Way::Out => self.near.send_to(datagram, address),
        };
        let outcome = match send() {
            // Datagrams that are looked at where they are sent have not left their socket.
            Err(why) if why.kind() == ErrorKind::WouldBlock => {
                let socket = if way == Way::In { far } else { &self.near };
                let time = Timespec::try_from(FULL).map_err(io::Error::other)?;
                rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&time)))?;
                send()
            }
            outcome => outcome,
        };
        // A full queue on the way loses a datagram; that is what is being counted.
        outcome.map(drop).or_else(|why| if lost(&why) { Ok(()) } else { Err(why) })
    }

    /// Offers more datagrams than the link takes, and says what arrived, and what went through the link meanwhile by `meter`.
    pub(crate) fn flood(
        &self,
        way: Way,
        flood: Flood,
        meter: impl Fn() -> u64,
        abort: &Abort,
    ) -> Result<Flooded, Failed> {
        self.try_flood(way, flood, meter, abort).map_err(Failed::to("measure the link"))
    }

    fn try_flood(&self, way: Way, flood: Flood, meter: impl Fn() -> u64, abort: &Abort) -> io::Result<Flooded> {
        let headers = if self.near_address.is_ipv4() { 28 } else { 48 };
        let wire = u64::try_from(flood.size + headers).map_err(io::Error::other)?;
        let (datagram, mut buffer) = (vec![0; flood.size], vec![0; flood.size]);
        let (chosen, begin) = (self.concerned(), Instant::now());
        let (mut offered, mut flow, mut bytes) = (0, 0, 0);
        // When, how many bytes had arrived, and had gone through the link.
        let (mut first, mut last) = (None, (Duration::ZERO, 0, 0));
        loop {
            let elapsed = begin.elapsed();
            let due = u128::from(flood.bits_per_second) * elapsed.as_nanos() / 8_000_000_000;
            // At most so many at once: after a stall a burst would only be lost.
            for _ in 0..AT_ONCE {
                if u128::from(offered) >= due {
                    break;
                }
                self.send_one(way, flow, &datagram)?;
                flow = (flow + 1) % chosen.len().max(1);
                offered += wire;
            }
            let so_far = bytes;
            for socket in self.receivers(way, &chosen) {
                while socket.recv(&mut buffer).is_ok_and(|length| length == flood.size) {
                    bytes += wire;
                }
            }
            if bytes > so_far && elapsed >= flood.warm_up {
                last = (begin.elapsed(), bytes, meter());
                first = first.or(Some(last));
            }
            if elapsed >= flood.lasts || abort.is_aborted() {
                let first = first.unwrap_or(last);
                return Ok(Flooded { time: last.0 - first.0, arrived: last.1 - first.1, through: last.2 - first.2 });
            }
            self.wait(way, &chosen, Duration::from_micros(500))?;
        }
    }

    fn collect(&self, way: Way, chosen: &Range<usize>, series: &mut Series) {
        let mut datagram = vec![0; series.datagram.len()];
        for socket in self.receivers(way, chosen) {
            while let Ok(length) = socket.recv(&mut datagram) {
                if length == datagram.len() {
                    series.note(&datagram, Instant::now());
                }
            }
        }
    }

    fn receivers<'a>(&'a self, way: Way, chosen: &Range<usize>) -> Vec<&'a UdpSocket> {
        match way {
            Way::In => vec![&self.near],
            Way::Out => self.far[chosen.clone()].iter().map(|(socket, _)| socket).collect(),
        }
    }

    fn wait(&self, way: Way, chosen: &Range<usize>, time: Duration) -> io::Result<()> {
        let receivers = self.receivers(way, chosen);
        let mut watched: Vec<_> = receivers.iter().map(|socket| PollFd::new(*socket, PollFlags::IN)).collect();
        let time = Timespec::try_from(time).map_err(io::Error::other)?;
        rustix::io::retry_on_intr(|| poll(&mut watched, Some(&time)))?;
        Ok(())
    }
}

/// More datagrams than a link takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flood {
    /// What each carries, in bytes.
    pub(crate) size: usize,
    /// How much is offered.
    pub(crate) bits_per_second: u64,
    /// How long.
    pub(crate) lasts: Duration,
    /// What arrives before is not counted.
    pub(crate) warm_up: Duration,
}

/// How long a probe's socket may be full of datagrams that have not left it.
const FULL: Duration = Duration::from_millis(50);
/// Datagrams of a flood that are sent in one go.
const AT_ONCE: usize = 100;

/// What became of a flood between the first arrival that counted and the last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flooded {
    /// The time between.
    pub(crate) time: Duration,
    /// The bytes that arrived, network headers included.
    pub(crate) arrived: u64,
    /// The bytes that went through the link, others' too.
    pub(crate) through: u64,
}

/// Numbered datagrams, and what became of them.
struct Series {
    /// Which it is: leftovers of an earlier one must not be taken for ours.
    name: [u8; 8],
    datagram: Vec<u8>,
    sent: Vec<Instant>,
    receipts: Vec<Receipt>,
}

impl Series {
    fn new(size: usize) -> Self {
        let name = fault::seed().to_le_bytes();
        let datagram = name.iter().copied().cycle().take(size.max(SMALLEST)).collect();
        Self { name, datagram, sent: Vec::new(), receipts: Vec::new() }
    }

    fn next(&mut self) -> &[u8] {
        let number = u64::try_from(self.sent.len()).unwrap_or(u64::MAX);
        self.datagram[8..SMALLEST].copy_from_slice(&number.to_le_bytes());
        self.receipts.push(Receipt::default());
        self.sent.push(Instant::now());
        &self.datagram
    }

    fn note(&mut self, datagram: &[u8], now: Instant) {
        let (head, rest) = datagram.split_at(SMALLEST);
        let (name, number) = head.split_at(8);
        if name != self.name {
            return;
        }
        let number = u64::from_le_bytes(*number.first_chunk().expect("eight bytes"));
        let Ok(number) = usize::try_from(number) else { return };
        if let Some((sent, receipt)) = self.sent.get(number).zip(self.receipts.get_mut(number)) {
            receipt.took.get_or_insert(now - *sent);
            receipt.copies += 1;
            receipt.damaged |= rest != &self.datagram[SMALLEST..];
        }
    }

    fn missing(&self) -> usize {
        self.receipts.iter().filter(|receipt| receipt.took.is_none()).count()
    }
}

/// Makes a probe's socket what a probe needs.
fn prepare(socket: &UdpSocket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    // A damaged datagram shall arrive, so that it can be told from one that is lost.
    option::do_without_checksums(socket)?;
    rustix::net::sockopt::set_socket_recv_buffer_size_force(socket, ROOM)
        .or_else(|_| rustix::net::sockopt::set_socket_recv_buffer_size(socket, ROOM))?;
    Ok(())
}

fn flow_between(one: SocketAddr, other: SocketAddr) -> Flow {
    Flow { source: one.ip(), destination: other.ip(), protocol: 17, ports: Some((one.port(), other.port())) }
}

fn lost(why: &io::Error) -> bool {
    matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused)
        || why.raw_os_error() == Some(libc::ENOBUFS)
}

/// What a TCP connection attempt met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was accepted.
    Accepted,
    /// It was turned away.
    Refused,
    /// Nobody answered in time.
    Silence,
}

/// Tries to connect from one end of a link to a port at the other.
pub(crate) fn connect(link: &Link, way: Way, far: IpAddr, port: u16, patience: Duration) -> Result<Answer, Failed> {
    let (near_end, far_end) = link.ends();
    let (from, to) = match way {
        Way::In => (far_end, link.near_address),
        Way::Out => (near_end, far),
    };
    let attempt = || match TcpStream::connect_timeout(&(to, port).into(), patience) {
        Ok(_) => Ok(Answer::Accepted),
        Err(why) if why.kind() == ErrorKind::ConnectionRefused => Ok(Answer::Refused),
        Err(why) if matches!(why.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => Ok(Answer::Silence),
        Err(why) => Err(why),
    };
    from.run(attempt).map_err(Failed::to(format_args!("try to connect to {to}:{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(sent: usize, lost: usize, doubled: usize) -> Survey {
        let receipt = |number| Receipt {
            took: (number >= lost).then_some(Duration::from_millis(1)),
            copies: if number >= sent - doubled { 2 } else { u32::from(number >= lost) },
            damaged: false,
        };
        Survey((0..sent).map(receipt).collect())
    }

    #[test]
    fn a_link_that_was_disturbed_for_a_moment_is_not_the_same_at_all_moments() {
        let same = |lost: [usize; 3], doubled: [usize; 3]| {
            Survey::agree(&[0, 1, 2].map(|moment| survey(333, lost[moment], doubled[moment])))
        };
        assert!(same([0, 0, 0], [0, 0, 0]));
        assert!(same([17, 25, 30], [3, 9, 0]));
        assert!(same([333, 333, 333], [0, 0, 0]));
        // A queue that another measurement had left full.
        assert!(!same([190, 0, 0], [0, 0, 0]));
        assert!(!same([0, 0, 0], [0, 40, 0]));
        assert!(!same([0, 0, 333], [0, 0, 0]));
    }
}
