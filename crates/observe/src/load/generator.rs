//! The loop that sends and receives: one thread, one epoll instance, no allocation per request.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, EventData, EventFlags},
    },
    time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime},
};

use super::{
    connection::{Connection, Failure, InFlight, Read, State},
    request::Requests,
    schedule::Schedule,
    signal::{Level, Signal},
    tally::{ErrorKind, Summary, Tally},
};

/// The token of the stop signal; connections count from 0.
const SIGNAL: u64 = u64::MAX;
/// The token of the timer.
const TIMER: u64 = u64::MAX - 1;
/// Events taken at once: so few that requests that become due meanwhile are late by less than a millisecond.
const EVENTS: usize = 64;
/// Bytes read at once: most responses come in one piece.
const BUFFER: usize = 64 * 1024;
/// How long a server may take to close a connection that it was asked to close.
const CLOSING: Duration = Duration::from_secs(1);

/// How requests are paced.
#[derive(Debug)]
pub(super) enum Pace {
    /// When they are due, whatever the system answers.
    Open(Schedule),
    /// As fast as the system answers, on all connections; for measuring the generator itself.
    Saturate,
}

/// A request that is due and not yet sent. It carries what an [`InFlight`] does.
type Waiting = InFlight;

/// Sends and receives until told to stop.
#[derive(Debug)]
pub(super) struct Generator {
    requests: Requests,
    pace: Pace,
    keep_alive: bool,
    timeout: Duration,
    most: usize,
    signal: Arc<Signal>,
    tally: Tally,
    start: Instant,
    epoll: OwnedFd,
    timer: Timer,
    connections: Slots,
    /// Connections that are not closing.
    open: usize,
    /// Requests on connections.
    in_flight: usize,
    /// Free connections by server, the last one used last: few connections stay in use, and are warm.
    idle: Vec<Vec<u64>>,
    waiting: VecDeque<Waiting>,
    /// Requests on connections in the order in which they time out, which is the order in which they were due.
    deadlines: VecDeque<(u64, Instant)>,
    closing: VecDeque<(u64, Instant)>,
    buffer: Box<[u8]>,
}

impl Generator {
    pub(super) fn new(
        requests: Requests,
        pace: Pace,
        load: &model::load::HttpLoad,
        signal: Arc<Signal>,
        tally: Tally,
        start: Instant,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &*signal, EventData::new_u64(SIGNAL), EventFlags::IN)?;
        let timer = Timer::new()?;
        epoll::add(&epoll, &timer.fd, EventData::new_u64(TIMER), EventFlags::IN | EventFlags::ET)?;
        Ok(Self {
            idle: vec![Vec::new(); requests.servers.len()],
            requests,
            pace,
            keep_alive: load.keep_alive,
            timeout: load.timeout.get(),
            most: load.connections.max(1) as usize,
            signal,
            tally,
            start,
            epoll,
            timer,
            connections: Slots::default(),
            open: 0,
            in_flight: 0,
            waiting: VecDeque::new(),
            deadlines: VecDeque::new(),
            closing: VecDeque::new(),
            buffer: vec![0; BUFFER].into_boxed_slice(),
        })
    }

    pub(super) fn run(mut self) -> io::Result<Summary> {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            let level = self.signal.level();
            let now = Instant::now();
            if level == Level::Run {
                self.queue_due(now);
            }
            // What has waited too long makes room first, and is not sent any more.
            self.expire(now);
            self.send_waiting();
            if level == Level::Stop || (level == Level::Drain && self.in_flight == 0 && self.waiting.is_empty()) {
                break;
            }
            let answered_until = self.answered_until(level);
            self.tally.flush(answered_until, Instant::now());
            let ready = match self.next(level) {
                Some(next) => !self.timer.arm(next, Instant::now())?,
                None => false,
            };
            // The timer wakes with the precision of the kernel's clock; a timeout of epoll's would be whole milliseconds.
            let timeout = ready.then_some(Timespec { tv_sec: 0, tv_nsec: 0 });
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            for event in &events {
                let token = event.data.u64();
                match token {
                    SIGNAL => self.signal.acknowledge(),
                    // That it woke us is all it has to say.
                    TIMER => {}
                    connection => self.handle(connection, event.flags),
                }
            }
        }
        let now = Instant::now();
        let answered_until = self.answered_until(Level::Stop);
        self.tally.unfinished(self.in_flight as u64);
        for waiting in std::mem::take(&mut self.waiting) {
            self.tally.gave_up(ErrorKind::Unsent, now - waiting.due, || "the load was stopped first".to_owned());
        }
        Ok(self.tally.finish(answered_until, self.start, now))
    }

    /// Puts everything that is due by now into the queue.
    fn queue_due(&mut self, now: Instant) {
        match &mut self.pace {
            Pace::Saturate => {
                while self.in_flight + self.waiting.len() < self.most {
                    self.waiting.push_back(Waiting { due: now, request: self.requests.choose() });
                }
            }
            Pace::Open(schedule) => {
                while let Some(due) = schedule.peek().map(|after| self.start + after).filter(|&due| due <= now) {
                    schedule.advance();
                    self.tally.due(now - due);
                    self.waiting.push_back(Waiting { due, request: self.requests.choose() });
                }
            }
        }
    }

    /// Sends what is waiting, in order, as far as there are connections.
    fn send_waiting(&mut self) {
        while let Some(&waiting) = self.waiting.front() {
            let server = self.requests.all[waiting.request].server;
            let token = self.take_idle(server);
            if token.is_none() && self.open >= self.most && !self.close_idle_of_other(server) {
                return;
            }
            self.waiting.pop_front();
            match token {
                Some(token) => self.send_on(token, waiting),
                None => self.open_for(server, waiting),
            }
        }
    }

    fn take_idle(&mut self, server: usize) -> Option<u64> {
        while let Some(token) = self.idle[server].pop() {
            if self.connections.get(token).is_some_and(|connection| connection.state == State::Idle) {
                return Some(token);
            }
        }
        None
    }

    /// Makes room by closing a free connection to another server.
    fn close_idle_of_other(&mut self, server: usize) -> bool {
        for other in (0..self.idle.len()).filter(|&other| other != server) {
            if let Some(token) = self.take_idle(other) {
                self.close(token);
                return true;
            }
        }
        false
    }

    fn open_for(&mut self, server: usize, request: InFlight) {
        self.tally.sent();
        let connection = match Connection::open(self.requests.servers[server], server, request) {
            Ok(connection) => connection,
            Err(failure) => return self.count_failure(&failure, request),
        };
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        let token = self.connections.next_token();
        match epoll::add(&self.epoll, connection.socket.as_fd(), EventData::new_u64(token), flags) {
            Ok(()) => {
                self.connections.insert(token, connection);
                self.open += 1;
                self.in_flight += 1;
                self.deadlines.push_back((token, request.due));
            }
            Err(errno) => self.count_failure(&errno.into(), request),
        }
    }

    fn send_on(&mut self, token: u64, request: InFlight) {
        let Some(connection) = self.connections.get_mut(token) else { return };
        self.tally.sent();
        self.in_flight += 1;
        self.deadlines.push_back((token, request.due));
        let Requests { all, .. } = &self.requests;
        let what = &all[request.request];
        if let Err(failure) = connection.send(request, &what.bytes, what.is_head) {
            self.fail(token, &failure);
        }
    }

    /// Gives up on requests that have waited for longer than the timeout.
    fn expire(&mut self, now: Instant) {
        while let Some(waiting) = self.waiting.front().filter(|waiting| now - waiting.due > self.timeout) {
            let waited = now - waiting.due;
            let most = self.most;
            self.waiting.pop_front();
            self.tally.gave_up(ErrorKind::Unsent, waited, || {
                format!("all {most} connections were busy for longer than the timeout")
            });
        }
        while let Some(&(token, due)) = self.deadlines.front() {
            let request =
                self.connections.get(token).and_then(Connection::in_flight).filter(|request| request.due == due);
            if request.is_some() {
                if now - due <= self.timeout {
                    break;
                }
                let timeout = self.timeout;
                self.close(token);
                self.tally.gave_up(ErrorKind::Timeout, now - due, || format!("no response within {timeout:?}"));
            }
            self.deadlines.pop_front();
        }
        while let Some(&(token, until)) = self.closing.front() {
            if self.connections.get(token).is_some() {
                if now < until {
                    break;
                }
                self.close(token);
            }
            self.closing.pop_front();
        }
    }

    /// Before when every request that was, is or will be due has come to an end; `None`: there is no other.
    ///
    /// The requests that wait have been due since those on connections were, and the schedule's next is due after both.
    fn answered_until(&mut self, level: Level) -> Option<Instant> {
        let next = match &mut self.pace {
            _ if level != Level::Run => None,
            Pace::Open(schedule) => schedule.peek().map(|after| self.start + after),
            Pace::Saturate => Some(Instant::now()),
        };
        // Of those that have come to an end since, `expire` takes the ones in front away.
        let in_flight = self.deadlines.front().map(|&(_, due)| due);
        in_flight.or_else(|| self.waiting.front().map(|waiting| waiting.due)).or(next)
    }

    /// When there is something to do at the latest; `None` when only an event can bring work.
    fn next(&mut self, level: Level) -> Option<Instant> {
        let due = match &mut self.pace {
            Pace::Open(schedule) if level == Level::Run => schedule.peek().map(|after| self.start + after),
            // The queue was filled up; if all of it failed at once, it is filled again at once.
            Pace::Saturate if level == Level::Run && self.in_flight + self.waiting.len() < self.most => {
                Some(self.start)
            }
            Pace::Open(_) | Pace::Saturate => None,
        };
        // A nanosecond later `expire` finds that the time is over.
        let over = self.timeout + Duration::from_nanos(1);
        let instants = [
            due,
            self.waiting.front().map(|waiting| waiting.due + over),
            self.deadlines.front().map(|&(_, due)| due + over),
            self.closing.front().map(|&(_, until)| until),
            self.tally.next_flush(),
        ];
        instants.into_iter().flatten().min()
    }

    fn handle(&mut self, token: u64, flags: EventFlags) {
        let Some(connection) = self.connections.get_mut(token) else { return };
        if let State::Connecting(request) = connection.state {
            let what = &self.requests.all[request.request];
            let sent = connection.check_connected().and_then(|()| connection.send(request, &what.bytes, what.is_head));
            if let Err(failure) = sent {
                return self.fail(token, &failure);
            }
        } else if let State::Sending { request, .. } = connection.state
            && flags.contains(EventFlags::OUT)
            && let Err(failure) = connection.go_on_sending(&self.requests.all[request.request].bytes)
        {
            return self.fail(token, &failure);
        }
        let closed = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        if !closed && !flags.contains(EventFlags::IN) {
            return;
        }
        match connection.read(&mut self.buffer, closed) {
            Read::Nothing => {}
            Read::Answered { status, reusable } => self.answered(token, status, reusable, closed),
            Read::Failed(failure) => self.fail(token, &failure),
            Read::Gone => self.close(token),
        }
    }

    fn answered(&mut self, token: u64, status: u16, reusable: bool, closed: bool) {
        let Some(connection) = self.connections.get_mut(token) else { return };
        let Some(request) = connection.in_flight() else { return };
        let now = Instant::now();
        self.tally.answered(status, now - request.due);
        self.in_flight -= 1;
        if reusable && self.keep_alive {
            connection.state = State::Idle;
            let server = connection.server;
            self.idle[server].push(token);
        } else {
            // Whoever closes first keeps the port for a minute: better the server, which was asked to.
            connection.state = State::Closing;
            self.open -= 1;
            if closed {
                self.close(token);
            } else {
                self.closing.push_back((token, now + CLOSING));
            }
        }
        if matches!(self.pace, Pace::Saturate) && self.signal.level() == Level::Run {
            self.waiting.push_back(Waiting { due: now, request: self.requests.choose() });
        }
        // At once: waiting for the end of the batch would leave the connection unused.
        self.send_waiting();
    }

    fn fail(&mut self, token: u64, failure: &Failure) {
        let Some(request) = self.connections.get(token).and_then(Connection::in_flight) else { return };
        self.close(token);
        self.count_failure(failure, request);
    }

    fn count_failure(&mut self, failure: &Failure, request: InFlight) {
        let address = self.requests.servers[self.requests.all[request.request].server];
        let waited = request.due.elapsed();
        match failure {
            Failure::Connect(error) => {
                self.tally.gave_up(ErrorKind::Connect, waited, || format!("{address}: {error}"));
            }
            Failure::Protocol(what) => {
                self.tally.gave_up(ErrorKind::Protocol, waited, || format!("{address}: {what}"));
            }
        }
    }

    fn close(&mut self, token: u64) {
        let Some(connection) = self.connections.remove(token) else { return };
        if connection.state != State::Closing {
            self.open -= 1;
        }
        if connection.in_flight().is_some() {
            self.in_flight -= 1;
        }
    }
}

/// Wakes the thread at an instant.
#[derive(Debug)]
struct Timer {
    fd: OwnedFd,
    armed: Option<Instant>,
}

impl Timer {
    fn new() -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        Ok(Self { fd, armed: None })
    }

    /// Sees to it that the thread is woken at an instant, or before; `false` when that is already past.
    fn arm(&mut self, next: Instant, now: Instant) -> io::Result<bool> {
        if next <= now {
            return Ok(false);
        }
        // One that goes off earlier will do: it costs less to wake for nothing now and then than to set it each time.
        if self.armed.is_none_or(|armed| armed <= now || armed > next) {
            // An hour at most: a schedule may pause for longer than a timer holds.
            let wait = (next - now).min(Duration::from_secs(3_600));
            let value =
                Timespec { tv_sec: i64::try_from(wait.as_secs()).unwrap_or(0), tv_nsec: wait.subsec_nanos().into() };
            let interval = Timespec { tv_sec: 0, tv_nsec: 0 };
            timerfd_settime(
                &self.fd,
                TimerfdTimerFlags::empty(),
                &Itimerspec { it_interval: interval, it_value: value },
            )?;
            self.armed = Some(now + wait);
        }
        Ok(true)
    }
}

/// Connections by token. A token names one connection for ever: a late event of a closed one finds nothing.
#[derive(Debug, Default)]
struct Slots {
    slots: Vec<(u32, Option<Connection>)>,
    free: Vec<u32>,
}

impl Slots {
    /// The token that the next [`Slots::insert`] is to use: slot number below, how often the slot was used above.
    fn next_token(&mut self) -> u64 {
        let slot = self.free.last().copied().unwrap_or_else(|| {
            let slot = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
            self.slots.push((0, None));
            self.free.push(slot);
            slot
        });
        (u64::from(self.slots[slot as usize].0) << 32) | u64::from(slot)
    }

    fn insert(&mut self, token: u64, connection: Connection) {
        let slot = self.free.pop();
        debug_assert_eq!(slot.map(u64::from), Some(token & 0xffff_ffff), "tokens are used in the order they are given");
        self.slots[Self::slot(token)].1 = Some(connection);
    }

    fn get(&self, token: u64) -> Option<&Connection> {
        let (uses, connection) = self.slots.get(Self::slot(token))?;
        connection.as_ref().filter(|_| u64::from(*uses) == token >> 32)
    }

    fn get_mut(&mut self, token: u64) -> Option<&mut Connection> {
        let (uses, connection) = self.slots.get_mut(Self::slot(token))?;
        connection.as_mut().filter(|_| u64::from(*uses) == token >> 32)
    }

    fn remove(&mut self, token: u64) -> Option<Connection> {
        self.get(token)?;
        let slot = Self::slot(token);
        let (uses, connection) = &mut self.slots[slot];
        // The last number is never reached, so that no token is SIGNAL or TIMER.
        *uses = if *uses == u32::MAX - 1 { 0 } else { *uses + 1 };
        self.free.push(u32::try_from(slot).unwrap_or(u32::MAX));
        connection.take()
    }

    const fn slot(token: u64) -> usize {
        (token & 0xffff_ffff) as usize
    }
}
