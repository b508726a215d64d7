//! Carries one connection: reads, waits and writes as its two pipes say.

use std::{cell::RefCell, io, time::Instant};

use model::Moment;
use rand::{Rng, rngs::SmallRng};
use rustix::{io::ioctl_fionread, net::Shutdown};
use tokio::{net::TcpStream, sync::watch};

use crate::{
    course::Passing,
    faults::{Faults, Impairment},
    pipe::{Content, Pipe},
    statistics::{Gathered, Way},
    timer::Timer,
};

/// Bytes read at once: as much as keeps bulk transfers fast.
const READ_SIZE: usize = 64 * 1024;

thread_local! {
    /// Where reads go first; what has come is then copied into a parcel of just its size. A socket is read without a
    /// break, so that one buffer per thread serves all connections.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_SIZE]);
}

/// The clock of a link.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> Moment {
        Moment::after(self.0.elapsed())
    }
}

/// Why a connection is broken off, both sides of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// A side broke it off, or the link could not go on.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The source of a direction broke it off.
    #[error("reset by its peer")]
    Reset,
    /// A blackhole has ended in which something was stuck.
    #[error("something was stuck in it when a blackhole ended")]
    Stuck,
    /// Its client is to come again, and then goes another way.
    #[error("its course is another now")]
    Diverted,
    /// The link is gone.
    #[error("the link has ended")]
    Ended,
}

/// One direction of a connection, from one socket to another.
#[derive(Debug)]
pub(crate) struct Direction<'link> {
    pub(crate) way: Way,
    pub(crate) source: &'link TcpStream,
    pub(crate) sink: &'link TcpStream,
    pub(crate) pipe: Pipe,
    pub(crate) faults: watch::Receiver<Faults>,
    pub(crate) gathered: &'link Gathered,
    pub(crate) passing: &'link Passing,
    pub(crate) clock: Clock,
    pub(crate) dice: SmallRng,
}

impl Way {
    pub(crate) const fn of(self, faults: &Faults) -> Impairment {
        match self {
            Self::Forward => faults.forward,
            Self::Backward => faults.backward,
        }
    }
}

impl Direction<'_> {
    /// Carries until the source has ended and all it sent has been written.
    pub(crate) async fn carry(mut self) -> Result<(), Broken> {
        let mut impairment = self.way.of(&self.faults.borrow_and_update());
        let mut timer = None;
        let mut ended = false;
        loop {
            let now = self.clock.now();
            let blocked = impairment.blocks();
            let due = self.pipe.next_due().filter(|_| !blocked);
            let is_due = due.is_some_and(|due| due <= now);
            let reads = !blocked && !ended && self.pipe.has_room();
            tokio::select! {
                biased;
                changed = self.faults.changed() => {
                    changed.map_err(|_| Broken::Ended)?;
                    let to = self.way.of(&self.faults.borrow_and_update());
                    if blocked && !to.blocks() && self.is_stuck() {
                        self.gathered.broken();
                        return Err(Broken::Stuck);
                    }
                    self.pipe.adapt(&to);
                    impairment = to;
                }
                writable = self.sink.writable(), if is_due => {
                    writable?;
                    if self.write()? {
                        return Ok(());
                    }
                }
                waited = wait(&mut timer, due, now), if !is_due && due.is_some() => waited?,
                readable = self.source.readable(), if reads => {
                    readable?;
                    ended = self.read(&impairment);
                }
            }
        }
    }

    /// Whether something waits to get through.
    fn is_stuck(&self) -> bool {
        // A socket that cannot even say so is as good as stuck.
        !self.pipe.is_empty() || ioctl_fionread(self.source).map_or(true, |bytes| bytes > 0)
    }

    /// Reads what there is. Says whether that was the last.
    fn read(&mut self, impairment: &Impairment) -> bool {
        let read = BUFFER.with_borrow_mut(|buffer| {
            let count = self.source.try_read(buffer)?;
            Ok(buffer[..count].to_vec())
        });
        let content = match read {
            Ok(bytes) if bytes.is_empty() => Content::End,
            Ok(bytes) => Content::Data { bytes, from: 0 },
            Err(error) if io::Error::kind(&error) == io::ErrorKind::WouldBlock => return false,
            Err(_reset) => Content::Reset,
        };
        let last = matches!(content, Content::End | Content::Reset);
        self.passing.heard();
        let stall = self.pipe.push(content, self.clock.now(), impairment, || self.dice.random());
        if !stall.is_zero() {
            self.gathered.stalled(self.way);
        }
        last
    }

    /// Writes as much of the first parcel as the sink takes. Says whether that was the end.
    fn write(&mut self) -> Result<bool, Broken> {
        let Some(parcel) = self.pipe.first_due(self.clock.now()) else { return Ok(false) };
        let count = match &parcel.content {
            Content::Data { bytes, from } => match self.sink.try_write(&bytes[*from..]) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            },
            Content::End => {
                // The peer may have closed its side meanwhile; then there is nothing to tell it.
                let _told = rustix::net::shutdown(self.sink, Shutdown::Write);
                return Ok(true);
            }
            Content::Reset => return Err(Broken::Reset),
        };
        let now = self.clock.now();
        if let Some(passage) = self.pipe.written(count, now) {
            self.passing.said(self.way, now);
            self.gathered.passed(self.way, passage);
        }
        Ok(false)
    }
}

/// Waits until the moment; with nothing to wait for, forever. The timer is made when it is first needed: most connections
/// never are delayed.
async fn wait(timer: &mut Option<Timer>, due: Option<Moment>, now: Moment) -> io::Result<()> {
    let Some(due) = due else { return std::future::pending().await };
    if timer.is_none() {
        *timer = Some(Timer::new()?);
    }
    match timer {
        Some(timer) => timer.until(due, now).await,
        None => std::future::pending().await,
    }
}
