//! A worker: one thread, one epoll instance, and the connections it carries from their beginning to their end.

use std::{
    collections::{HashMap, HashSet},
    io,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    thread,
    time::Duration,
};

use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, Event, EventData, EventFlags},
    io::Errno,
    net::{SocketFlags, acceptfrom_with, sockopt::socket_error},
};

use super::{
    connection::{Connection, Which},
    flow::{BUFFER, Fate, Tools},
    mailbox::{Mailbox, Message},
    now,
    opening::{Attempt, Opening},
    slots::{Key, Slots},
    timers::Timers,
    tunnel::Tunnel,
};
use crate::{
    relay::Core,
    toxic::Applied,
    upstream::{Upstream, look_up},
};

/// Taken from the kernel at a time: more than that many connections are seldom ready at once, and then the next call is worth
/// its cost.
const EVENTS: usize = 256;

/// Connections accepted before others have their turn.
const ACCEPTED: usize = 64;

/// Pause after a failed `accept`: it fails for want of descriptors, and trying at once would only burn the CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Carries connections.
pub(super) struct Worker {
    index: usize,
    mailboxes: Arc<[Mailbox]>,
    epoll: OwnedFd,
    timers: Timers<Wake>,
    relays: HashMap<u64, Served>,
    entries: Slots<Entry>,
    /// Those that have more to do at once.
    again: Vec<Key>,
    buffer: Box<[u8]>,
    tunnels: Vec<Tunnel>,
}

/// A relay, as its workers see it.
struct Served {
    core: Arc<Core>,
    toxics: Arc<[Applied]>,
    /// Its connections on this worker.
    keys: HashSet<Key>,
    /// Those of them that wait for its addresses.
    waiting: Vec<Key>,
}

/// What a worker has for a connection.
enum Entry {
    Opening(Opening),
    // Boxed: it is moved out and back for every event.
    Open(Box<Connection>),
}

/// What a moment is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wake {
    /// A connection.
    Connection(Key),
    /// The listener of a relay, after a pause.
    Listener(u64),
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Client(Key),
    Upstream(Key),
    Listener(u64),
    Mailbox,
    Timers,
}

/// Nobody waits for the end of what is asked of a worker; whether it goes on is all that comes of it.
#[derive(PartialEq, Eq)]
enum Goes {
    On,
    Ends,
}

impl Worker {
    pub(super) fn new(index: usize, mailboxes: Arc<[Mailbox]>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let timers = Timers::new()?;
        watch(&epoll, mailboxes[index].wake(), Token::Mailbox, EventFlags::IN | EventFlags::ET)?;
        watch(&epoll, timers.fd(), Token::Timers, EventFlags::IN | EventFlags::ET)?;
        Ok(Self {
            index,
            mailboxes,
            epoll,
            timers,
            relays: HashMap::new(),
            entries: Slots::new(),
            again: Vec::new(),
            buffer: vec![0; BUFFER].into(),
            tunnels: Vec::new(),
        })
    }

    /// Works until it is told to stop.
    pub(super) fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            events.clear();
            if let Err(error) = self.wait(&mut events) {
                tracing::error!(worker = self.index, %error, "cannot wait for events any more");
                return;
            }
            if self.obey() == Goes::Ends {
                return;
            }
            self.wake();
            for event in &events {
                // Messages first: an event may be the consequence of what the sender of a message did afterwards.
                if self.obey() == Goes::Ends {
                    return;
                }
                self.handle(event);
            }
            for key in std::mem::take(&mut self.again) {
                self.carry(key, Which::BOTH);
            }
        }
    }

    fn wait(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        self.timers.arm()?;
        let at_once = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        let timeout = (!self.again.is_empty()).then_some(&at_once);
        match epoll::wait(&self.epoll, spare_capacity(events), timeout) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn handle(&mut self, event: &Event) {
        let flags = event.flags;
        match Token::from_bits(event.data.u64()) {
            Token::Client(key) => match self.entries.take(key) {
                Some(Entry::Open(mut connection)) => {
                    let (up, down) = connection.sides().0.learn(flags);
                    self.carry_on(key, connection, Which { up, down });
                }
                Some(Entry::Opening(opening)) if flags.intersects(EventFlags::HUP | EventFlags::ERR) => {
                    // Its client is gone.
                    self.refuse(key, opening);
                }
                Some(opening @ Entry::Opening(_)) => self.entries.put(key, opening),
                None => {}
            },
            Token::Upstream(key) => match self.entries.take(key) {
                Some(Entry::Open(mut connection)) => {
                    let (down, up) = connection.sides().1.learn(flags);
                    self.carry_on(key, connection, Which { up, down });
                }
                Some(Entry::Opening(opening)) => self.connected(key, opening),
                None => {}
            },
            Token::Listener(relay) => self.accept(relay),
            Token::Mailbox | Token::Timers => {}
        }
    }

    /// Does everything it has been told to.
    fn obey(&mut self) -> Goes {
        while self.mailboxes[self.index].is_pending() {
            for message in self.mailboxes[self.index].take() {
                match message {
                    Message::Serve(core) => {
                        let served = Served { core, toxics: [].into(), keys: HashSet::new(), waiting: Vec::new() };
                        self.relays.insert(served.core.id, served);
                    }
                    Message::Listen(relay) => self.listen(relay),
                    Message::Adopt { relay, number, client } => self.adopt(&relay, number, client),
                    Message::Found(relay, found) => self.found(relay, &found),
                    Message::Toxics(relay, toxics) => self.change(relay, &toxics),
                    Message::Reset(relay) => self.end_all(relay, Fate::Reset),
                    Message::Close(relay) => {
                        self.end_all(relay, Fate::Closed);
                        // Its listener goes with its last owner, and is closed for others already.
                        if let Some(served) = self.relays.remove(&relay) {
                            let _watched = epoll::delete(&self.epoll, &served.core.listener);
                        }
                    }
                    Message::Stop => return Goes::Ends,
                }
            }
        }
        Goes::On
    }

    /// Looks at everything that is due.
    fn wake(&mut self) {
        while let Some((_, wake)) = self.timers.take_due(now) {
            match wake {
                Wake::Connection(key) => {
                    if let Some(Entry::Open(mut connection)) = self.entries.take(key) {
                        connection.due = None;
                        self.carry_on(key, connection, Which::BOTH);
                    }
                }
                Wake::Listener(relay) => self.listen(relay),
            }
        }
    }

    fn listen(&self, relay: u64) {
        let Some(served) = self.relays.get(&relay) else { return };
        if let Err(error) = watch(&self.epoll, &served.core.listener, Token::Listener(relay), EventFlags::IN) {
            tracing::error!(%error, "cannot watch the listener of a relay");
        }
    }

    /// Accepts what there is and gives each to the worker that has the fewest.
    fn accept(&mut self, relay: u64) {
        for _ in 0..ACCEPTED {
            let Some(served) = self.relays.get(&relay) else { return };
            match acceptfrom_with(&served.core.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok((client, peer)) => {
                    let Some(peer) = peer.and_then(|peer| SocketAddr::try_from(peer).ok()) else { continue };
                    let core = Arc::clone(&served.core);
                    let number = core.has_begun(peer);
                    self.assign(core, number, client);
                }
                Err(Errno::AGAIN) => return,
                // The client has given up already.
                Err(Errno::CONNABORTED | Errno::INTR) => {}
                // It does not listen any more.
                Err(Errno::INVAL) => {
                    let _watched = epoll::delete(&self.epoll, &served.core.listener);
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    let _watched = epoll::delete(&self.epoll, &served.core.listener);
                    self.timers.change(Wake::Listener(relay), None, Some(now() + ACCEPT_PAUSE));
                    return;
                }
            }
        }
    }

    fn assign(&mut self, relay: Arc<Core>, number: u64, client: OwnedFd) {
        let fewest = self.mailboxes.iter().enumerate().min_by_key(|(_, mailbox)| mailbox.load());
        let Some((place, mailbox)) = fewest else { return };
        mailbox.loaded();
        if place == self.index {
            self.adopt(&relay, number, client);
        } else {
            mailbox.post(Message::Adopt { relay, number, client });
        }
    }

    /// A connection is this worker's from now on.
    fn adopt(&mut self, core: &Core, number: u64, client: OwnedFd) {
        let relay = core.id;
        let Some(served) = self.relays.get_mut(&relay) else {
            // Closed meanwhile.
            core.has_ended(number);
            self.mailboxes[self.index].unloaded();
            return;
        };
        let key = self.entries.reserve();
        served.keys.insert(key);
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        if let Err(error) = watch(&self.epoll, &client, Token::Client(key), flags) {
            tracing::warn!(%error, "cannot watch a connection");
            self.forget(key, relay, number);
            return;
        }
        let mut opening = Opening::new(relay, number, client);
        match &served.core.upstream {
            Upstream::Address(address) => {
                opening.left = vec![*address].into_iter();
                self.attempt(key, opening);
            }
            Upstream::Name { host, port } => {
                self.entries.put(key, Entry::Opening(opening));
                served.waiting.push(key);
                if served.waiting.len() == 1 {
                    let (host, port) = (host.clone(), *port);
                    self.look_up(relay, host, port);
                }
            }
        }
    }

    /// Has addresses looked up, which may take long, by a thread that is there only for that: one at most per relay and worker.
    fn look_up(&self, relay: u64, host: String, port: u16) {
        let (mailboxes, index) = (Arc::clone(&self.mailboxes), self.index);
        let looking = move || mailboxes[index].post(Message::Found(relay, look_up(&host, port)));
        if let Err(error) = thread::Builder::new().name("look-up".to_owned()).spawn(looking) {
            self.mailboxes[self.index].post(Message::Found(relay, Err(error)));
        }
    }

    fn found(&mut self, relay: u64, found: &io::Result<Vec<SocketAddr>>) {
        let Some(served) = self.relays.get_mut(&relay) else { return };
        if let Err(error) = found {
            tracing::warn!(upstream = ?served.core.upstream, %error, "cannot look up an upstream");
        }
        for key in std::mem::take(&mut served.waiting) {
            if let Some(Entry::Opening(mut opening)) = self.entries.take(key) {
                opening.left = found.as_deref().unwrap_or_default().to_vec().into_iter();
                self.attempt(key, opening);
            }
        }
    }

    /// Tries the addresses that have not been tried.
    fn attempt(&mut self, key: Key, mut opening: Opening) {
        match opening.attempt() {
            Attempt::Made | Attempt::Underway => {
                let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
                let watched =
                    opening.upstream.as_ref().map(|socket| watch(&self.epoll, socket, Token::Upstream(key), flags));
                if let Some(Err(error)) = watched {
                    tracing::warn!(%error, "cannot watch a connection");
                    self.refuse(key, opening);
                } else {
                    // Also one that is made already: its first event comes at once.
                    self.entries.put(key, Entry::Opening(opening));
                }
            }
            Attempt::Failed(why) => {
                tracing::debug!(error = ?why, "cannot reach an upstream");
                self.refuse(key, opening);
            }
        }
    }

    /// The socket to the upstream is connected, or has failed.
    fn connected(&mut self, key: Key, mut opening: Opening) {
        let Some(upstream) = opening.upstream.take() else {
            self.entries.put(key, Entry::Opening(opening));
            return;
        };
        match socket_error(&upstream) {
            Ok(Ok(())) => {
                let Some(served) = self.relays.get(&opening.relay) else { return self.refuse(key, opening) };
                let sockets = (opening.client, upstream);
                let core = Arc::clone(&served.core);
                let connection = Connection::new(core, opening.number, self.index, sockets, &served.toxics);
                self.carry_on(key, Box::new(connection), Which::BOTH);
            }
            Ok(Err(error)) | Err(error) => {
                tracing::debug!(%error, "cannot reach an upstream");
                drop(upstream);
                self.attempt(key, opening);
            }
        }
    }

    /// A connection does not come about.
    fn refuse(&mut self, key: Key, opening: Opening) {
        self.forget(key, opening.relay, opening.number);
        opening.reset();
    }

    fn change(&mut self, relay: u64, toxics: &Arc<[Applied]>) {
        let Some(served) = self.relays.get_mut(&relay) else { return };
        served.toxics = Arc::clone(toxics);
        for &key in &served.keys {
            match self.entries.take(key) {
                Some(Entry::Open(mut connection)) => {
                    connection.set(toxics);
                    self.entries.put(key, Entry::Open(connection));
                    // Not carried here: something that was read may be waiting for the messages that follow.
                    self.again.push(key);
                }
                Some(opening) => self.entries.put(key, opening),
                None => {}
            }
        }
    }

    fn end_all(&mut self, relay: u64, fate: Fate) {
        let Some(served) = self.relays.get_mut(&relay) else { return };
        served.waiting.clear();
        for key in std::mem::take(&mut served.keys) {
            match self.entries.take(key) {
                Some(Entry::Open(connection)) => self.end(key, *connection, fate),
                Some(Entry::Opening(opening)) => self.refuse(key, opening),
                None => {}
            }
        }
    }

    fn carry(&mut self, key: Key, which: Which) {
        match self.entries.take(key) {
            Some(Entry::Open(connection)) => self.carry_on(key, connection, which),
            Some(opening) => self.entries.put(key, opening),
            None => {}
        }
    }

    /// Carries what can be carried of a connection that has been taken out, and puts it back.
    fn carry_on(&mut self, key: Key, mut connection: Box<Connection>, which: Which) {
        let mailbox = &self.mailboxes[self.index];
        let mut tools = Tools { buffer: &mut self.buffer, tunnels: &mut self.tunnels, mailbox };
        match connection.carry(which, &mut tools) {
            Fate::Waits => {}
            Fate::Again => self.again.push(key),
            fate => return self.end(key, *connection, fate),
        }
        let due = connection.next_due();
        self.timers.change(Wake::Connection(key), connection.due, due);
        connection.due = due;
        self.entries.put(key, Entry::Open(connection));
    }

    fn end(&mut self, key: Key, connection: Connection, fate: Fate) {
        self.timers.change(Wake::Connection(key), connection.due, None);
        self.forget(key, connection.relay.id, connection.number);
        let mailbox = &self.mailboxes[self.index];
        connection.end(fate, &mut Tools { buffer: &mut self.buffer, tunnels: &mut self.tunnels, mailbox });
    }

    /// A connection is no longer this worker's.
    fn forget(&mut self, key: Key, relay: u64, number: u64) {
        self.entries.release(key);
        if let Some(served) = self.relays.get_mut(&relay) {
            served.keys.remove(&key);
            served.core.has_ended(number);
        }
        self.mailboxes[self.index].unloaded();
    }
}

impl Token {
    /// As one number: the kind in the upper two bits.
    const fn to_bits(self) -> u64 {
        match self {
            Self::Client(key) => key.to_bits(),
            Self::Upstream(key) => 1 << 62 | key.to_bits(),
            Self::Listener(relay) => 2 << 62 | relay,
            Self::Mailbox => 3 << 62,
            Self::Timers => 3 << 62 | 1,
        }
    }

    const fn from_bits(bits: u64) -> Self {
        let rest = bits & ((1 << 62) - 1);
        match bits >> 62 {
            0 => Self::Client(Key::from_bits(rest)),
            1 => Self::Upstream(Key::from_bits(rest)),
            2 => Self::Listener(rest),
            _ if rest == 0 => Self::Mailbox,
            _ => Self::Timers,
        }
    }
}

fn watch(epoll: &OwnedFd, what: impl AsFd, token: Token, flags: EventFlags) -> rustix::io::Result<()> {
    epoll::add(epoll, what, EventData::new_u64(token.to_bits()), flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_as_numbers_and_none_is_taken_for_another() {
        let mut slots = Slots::<()>::new();
        let keys = [slots.reserve(), slots.reserve()];
        let mut tokens: Vec<_> = keys.into_iter().flat_map(|key| [Token::Client(key), Token::Upstream(key)]).collect();
        tokens.extend([Token::Listener(0), Token::Listener(1), Token::Mailbox, Token::Timers]);
        for (place, token) in tokens.iter().enumerate() {
            assert_eq!(Token::from_bits(token.to_bits()), *token);
            assert!(tokens[..place].iter().all(|other| other.to_bits() != token.to_bits()), "{token:?}");
        }
    }
}
