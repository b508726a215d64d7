//! A link: from the address it listens on to its target.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use model::Moment;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::sleep,
};

use crate::{
    carry::{Broken, Clock, Direction},
    course::{Course, End, Entry},
    faults::{Faults, HANDSHAKE_RETRANSMISSION},
    pipe::Pipe,
    statistics::{Gathered, Statistics, Way},
};

/// Pause after a failed `accept`: it fails for want of file descriptors, and trying at once would only burn the CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// A link that carries TCP connections on the runtime it was started on. When it is dropped, it stops listening and
/// resets the connections it carries.
#[derive(Debug)]
pub struct Link {
    course: Course,
    faults: watch::Sender<Faults>,
    gathered: Arc<Gathered>,
}

impl Link {
    /// Starts a link without faults. Chance (jitter, loss) is drawn from `seed`, connection by connection.
    ///
    /// # Errors
    ///
    /// When it cannot listen on that address.
    pub async fn start(listen: SocketAddr, target: SocketAddr, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {listen} for {target}: {error}"))
        })?;
        let clock = Clock::start();
        let course = Course::new(listener.local_addr()?, target, clock);
        let (sender, faults) = watch::channel(Faults::default());
        let gathered = Arc::new(Gathered::default());
        let accepting = Accepting {
            course: course.clone(),
            faults,
            gathered: Arc::clone(&gathered),
            clock,
            seed,
            connections: AtomicU64::new(0),
        };
        tokio::spawn(accepting.run(listener));
        Ok(Self { course, faults: sender, gathered })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.course.link()
    }

    /// Where it leads.
    #[must_use]
    pub fn target(&self) -> SocketAddr {
        self.course.target()
    }

    /// Which way its connections go, where fronts can be put in between.
    #[must_use]
    pub fn course(&self) -> Course {
        self.course.clone()
    }

    /// What it does at present.
    #[must_use]
    pub fn faults(&self) -> Faults {
        *self.faults.borrow()
    }

    /// Puts these faults in the place of those it had, on live connections too. Says what it measured under those it had.
    pub fn set(&self, faults: Faults) -> Statistics {
        let measured = self.gathered.take();
        self.faults.send_replace(faults);
        measured
    }

    /// Carries everything as it comes. Says what it measured under the faults it had.
    pub fn clear(&self) -> Statistics {
        self.set(Faults::default())
    }

    /// What it has measured under its present faults.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.gathered.read()
    }
}

struct Accepting {
    course: Course,
    faults: watch::Receiver<Faults>,
    gathered: Arc<Gathered>,
    clock: Clock,
    seed: u64,
    connections: AtomicU64,
}

impl Accepting {
    async fn run(self, listener: TcpListener) {
        let this = Arc::new(self);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = ended(this.faults.clone()) => return,
            };
            match accepted {
                Ok((client, _peer)) => {
                    let this = Arc::clone(&this);
                    tokio::spawn(async move {
                        if let Err(broken) = this.connection(&client).await {
                            tracing::debug!(target = %this.course.target(), %broken, "a connection was broken off");
                            reset(&client);
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(target = %this.course.target(), %error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Carries one connection to its end.
    async fn connection(&self, client: &TcpStream) -> Result<(), Broken> {
        let accepted = self.clock.now();
        let faults = self.faults.clone();
        let now = *faults.borrow();
        if now.blocks_handshakes() {
            self.gathered.held();
            return hold(client, faults).await;
        }
        let (entry, target) = tokio::select! {
            connected = self.connect(client) => connected?,
            () = ended(faults.clone()) => return Err(Broken::Ended),
        };
        let passing = &entry.passing;
        // What is sent has been decided by the ends; waiting for more would only add delay.
        client.set_nodelay(true)?;
        target.set_nodelay(true)?;
        self.gathered.connected();
        let number = self.connections.fetch_add(1, Relaxed);
        let mut dice = SmallRng::seed_from_u64(self.seed.wrapping_add(number));
        let (heard, opened) = handshake(accepted, &now, || dice.random());
        let direction = |way, source, sink, opens, dice| {
            let pipe = Pipe::new(opens);
            let (faults, gathered, clock) = (faults.clone(), &*self.gathered, self.clock);
            Direction { way, source, sink, pipe, faults, gathered, passing, clock, dice }
        };
        let other = SmallRng::from_rng(&mut dice);
        let forward = direction(Way::Forward, client, &target, opened, dice);
        let backward = direction(Way::Backward, &target, client, heard, other);
        let carried = tokio::select! {
            carried = async { tokio::try_join!(forward.carry(), backward.carry()) } => carried.map(|((), ())| ()),
            told = passing.told() => if told == End::InOrder { Ok(()) } else { Err(Broken::Diverted) },
        };
        if carried.is_err() {
            reset(&target);
        }
        carried
    }

    /// Connects to where a client is led.
    async fn connect(&self, client: &TcpStream) -> io::Result<(Entry, TcpStream)> {
        let from = client.peer_addr()?;
        loop {
            let entry = self.course.begin(from);
            let first = entry.passing.first();
            match TcpStream::connect(first).await {
                // A front that has just gone: there is another way now.
                Err(_) if !self.course.leads_to(first) => {}
                connected => return Ok((entry, connected?)),
            }
        }
    }
}

/// When the target would have heard of the connection, and when the client could have sent its first byte: the kernel's
/// handshake takes no time, a real one takes the delay of either direction and any retransmissions.
fn handshake(accepted: Moment, faults: &Faults, mut dice: impl FnMut() -> f64) -> (Moment, Moment) {
    let mut leg = |impairment: &crate::Impairment| {
        let stall = impairment.stall(0, HANDSHAKE_RETRANSMISSION, &mut dice);
        let place = if impairment.jitter.is_zero() { 0.5 } else { dice() };
        impairment.delay_at(place) + stall
    };
    let heard = accepted + leg(&faults.forward);
    (heard, heard + leg(&faults.backward))
}

/// Holds a connection that nothing can come of, until its client gives up or the blackhole ends.
async fn hold(client: &TcpStream, mut faults: watch::Receiver<Faults>) -> Result<(), Broken> {
    // What the client sends is thrown away: it would never have arrived.
    let mut lost = [0; 4096];
    loop {
        tokio::select! {
            freed = faults.wait_for(|faults| !faults.blocks_handshakes()) => {
                return Err(if freed.is_ok() { Broken::Stuck } else { Broken::Ended });
            }
            readable = client.readable() => {
                readable?;
                match client.try_read(&mut lost) {
                    Ok(0) => return Ok(()),
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error.into()),
                    Ok(_) | Err(_) => {}
                }
            }
        }
    }
}

/// Waits until the link is gone.
async fn ended(mut faults: watch::Receiver<Faults>) {
    while faults.changed().await.is_ok() {}
}

/// Has the socket say RST instead of FIN when it is closed.
fn reset(stream: &TcpStream) {
    // If that fails the peer sees an ordinary end, in the middle of whatever it was doing.
    let _set = stream.set_zero_linger();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Impairment;

    #[test]
    fn a_handshake_takes_what_both_directions_take() {
        let late = |millis| Impairment { delay: Duration::from_millis(millis), ..Impairment::default() };
        let faults = Faults { forward: late(100), backward: late(30) };
        let (heard, opened) = handshake(Moment::from_millis(5), &faults, || 0.5);
        assert_eq!((heard, opened), (Moment::from_millis(105), Moment::from_millis(135)));
    }

    #[test]
    fn a_lost_syn_costs_a_second() {
        let lossy = Faults { forward: Impairment { loss: 0.5, ..Impairment::default() }, ..Faults::default() };
        let mut rolls = [0.4, 0.6].into_iter();
        let (_heard, opened) = handshake(Moment::ZERO, &lossy, || rolls.next().unwrap());
        assert_eq!(opened, Moment::from_secs(1));
    }
}
