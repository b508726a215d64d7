//! The proxies and what is on them. Every change is made under one lock and waits for nothing, so that clients see one order
//! of changes, and none waits for a connection that is stuck.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value, json};
use tokio::{net::lookup_host, time::timeout};

use super::{
    Error,
    wire::{self, NewProxy, ProxyChange, ToxicChange},
};
use crate::{
    Relay, Transferred, Workers,
    http::{Front, Rule, Rules},
    toxic::{Applied, Stream},
};

/// How long the name of an address to listen on may take to be looked up.
const LOOKUP_LIMIT: Duration = Duration::from_secs(5);

/// All proxies. Clones are handles to the same.
#[derive(Debug, Clone)]
pub struct Proxies {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    workers: Workers,
    seed: u64,
    proxies: BTreeMap<String, Proxy>,
}

#[derive(Debug)]
struct Proxy {
    name: String,
    /// As it was asked for; when it has listened once, the address it then had.
    listen: String,
    /// As it was asked for.
    asked: String,
    upstream: String,
    toxics: Vec<Applied>,
    /// HTTP rules; without them it is a proxy of plain TCP.
    rules: Option<Rules>,
    running: Option<Running>,
    /// What it carried before it was last stopped.
    carried: [Transferred; 2],
}

#[derive(Debug)]
struct Running {
    relay: Relay,
    /// Where the relay leads when there are HTTP rules.
    _front: Option<Front>,
}

/// Addresses that names have been found to stand for, or why not.
type Addresses = BTreeMap<String, Result<SocketAddr, String>>;

/// Why a change was not made.
#[derive(Debug)]
enum Trouble {
    /// Nothing has been done yet: this address must be looked up first.
    Unknown(String),
    /// It cannot be made.
    Failed(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What has been carried for a proxy in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Carried {
    pub(super) proxy: String,
    pub(super) listen: String,
    pub(super) upstream: String,
    pub(super) stream: Stream,
    pub(super) bytes: Transferred,
}

impl Proxies {
    /// No proxies yet. Chance in HTTP rules is drawn from `seed`.
    #[must_use]
    pub fn new(workers: Workers, seed: u64) -> Self {
        Self { state: Arc::new(Mutex::new(State { workers, seed, proxies: BTreeMap::new() })) }
    }

    /// Creates a proxy.
    ///
    /// # Errors
    ///
    /// When there is one of this name, or it cannot listen; then it is not created.
    pub async fn create(&self, new: &NewProxy) -> Result<Value, Error> {
        self.resolving(|state, addresses| state.create(new, addresses)).await
    }

    /// Creates those of the proxies that are not there, and replaces those that listen elsewhere or lead elsewhere. The others
    /// are left as they are, with their toxics. Gives back all of the list.
    ///
    /// # Errors
    ///
    /// When one cannot listen; those before it are there. They come with the error.
    pub async fn populate(&self, list: &[NewProxy]) -> Result<Vec<Value>, (Error, Vec<Value>)> {
        let done = self.resolving(|state, addresses| {
            for new in list.iter().filter(|new| new.enabled && !state.has(new, addresses)) {
                address(&new.listen, addresses)?;
            }
            let mut done = Vec::with_capacity(list.len());
            for new in list {
                if let Err(trouble) = state.create_or_replace(new, addresses) {
                    return match trouble {
                        Trouble::Failed(error) => Ok((done, Some(error))),
                        unknown @ Trouble::Unknown(_) => Err(unknown),
                    };
                }
                done.push(state.proxies[&new.name].to_json());
            }
            Ok((done, None))
        });
        match done.await {
            Ok((done, None)) => Ok(done),
            Ok((done, Some(error))) => Err((error, done)),
            Err(error) => Err((error, Vec::new())),
        }
    }

    /// Changes a proxy. What listens or leads elsewhere afterwards has dropped its connections.
    ///
    /// # Errors
    ///
    /// When there is none of this name, or it cannot listen; then it is as asked for, but not enabled.
    pub async fn update(&self, name: &str, change: &ProxyChange) -> Result<Value, Error> {
        self.resolving(|state, addresses| state.update(name, change, addresses)).await
    }

    /// Takes all toxics and HTTP rules away, then starts all proxies that are not enabled.
    ///
    /// # Errors
    ///
    /// When one cannot listen. Everything else has been done all the same.
    pub async fn reset(&self) -> Result<(), Error> {
        self.locked(State::calm);
        self.resolving(State::enable_all).await
    }

    /// All proxies, by name.
    #[must_use]
    pub fn list(&self) -> Value {
        self.locked(|state| {
            let proxies = state.proxies.iter().map(|(name, proxy)| (name.clone(), proxy.to_json()));
            Value::Object(proxies.collect::<Map<_, _>>())
        })
    }

    pub(super) fn show(&self, name: &str) -> Result<Value, Error> {
        self.locked(|state| Ok(state.proxy(name)?.to_json()))
    }

    pub(super) fn delete(&self, name: &str) -> Result<(), Error> {
        // Its connections are closed after the lock is given back.
        self.locked(|state| state.proxies.remove(name)).map(drop).ok_or(Error::ProxyNotFound)
    }

    pub(super) fn toxics(&self, name: &str) -> Result<Value, Error> {
        self.locked(|state| Ok(wire::toxics_json(&state.proxy(name)?.toxics)))
    }

    pub(super) fn toxic(&self, name: &str, toxic: &str) -> Result<Value, Error> {
        self.locked(|state| {
            let proxy = state.proxy(name)?;
            let found = proxy.toxics.iter().find(|other| other.name == toxic).ok_or(Error::ToxicNotFound)?;
            Ok(wire::toxic_json(found))
        })
    }

    pub(super) fn add_toxic(&self, name: &str, toxic: Result<Applied, Error>) -> Result<Value, Error> {
        self.locked(|state| {
            let proxy = state.proxy(name)?;
            let toxic = toxic?;
            if proxy.toxics.iter().any(|other| other.name == toxic.name) {
                return Err(Error::ToxicExists);
            }
            let shown = wire::toxic_json(&toxic);
            proxy.toxics.push(toxic);
            proxy.impose();
            Ok(shown)
        })
    }

    pub(super) fn update_toxic(
        &self,
        name: &str,
        toxic: &str,
        change: Result<ToxicChange, Error>,
    ) -> Result<Value, Error> {
        self.locked(|state| {
            let proxy = state.proxy(name)?;
            let found = proxy.toxics.iter_mut().find(|other| other.name == toxic).ok_or(Error::ToxicNotFound)?;
            *found = change?.of(found)?;
            let shown = wire::toxic_json(found);
            proxy.impose();
            Ok(shown)
        })
    }

    pub(super) fn remove_toxic(&self, name: &str, toxic: &str) -> Result<(), Error> {
        self.locked(|state| {
            let proxy = state.proxy(name)?;
            let before = proxy.toxics.len();
            proxy.toxics.retain(|other| other.name != toxic);
            if proxy.toxics.len() == before {
                return Err(Error::ToxicNotFound);
            }
            proxy.impose();
            Ok(())
        })
    }

    /// The HTTP rules of a proxy; of one of plain TCP none.
    pub(super) fn rules(&self, name: &str) -> Result<Value, Error> {
        self.locked(|state| {
            let rules = state.proxy(name)?.rules.as_ref().map(Rules::list).unwrap_or_default();
            let rules: Vec<Value> = rules.iter().map(|(rule, done)| wire::rule_json(rule, done)).collect();
            Ok(json!({ "rules": rules }))
        })
    }

    pub(super) fn rule(&self, name: &str, rule: &str) -> Result<Value, Error> {
        self.locked(|state| {
            let rules = state.proxy(name)?.rules.as_ref().map(Rules::list).unwrap_or_default();
            let found = rules.iter().find(|(other, _)| other.name() == rule).ok_or(Error::RuleNotFound)?;
            Ok(wire::rule_json(&found.0, &found.1))
        })
    }

    pub(super) fn set_rules(&self, name: &str, rules: Result<Vec<Rule>, Error>) -> Result<Value, Error> {
        self.locked(|state| {
            state.proxy(name)?;
            let new = rules?;
            state.http(name)?.set(new);
            Ok(())
        })?;
        self.rules(name)
    }

    /// Adds a rule; with `replace` also in the place of one of its name.
    pub(super) fn put_rule(&self, name: &str, rule: Result<Rule, Error>, replace: bool) -> Result<Value, Error> {
        self.locked(|state| {
            let proxy = state.proxy(name)?;
            let rule = rule?;
            let there = proxy.rules.as_ref().map(Rules::list).unwrap_or_default();
            if !replace && there.iter().any(|(other, _)| other.name() == rule.name()) {
                return Err(Error::RuleExists);
            }
            let shown = rule.to_json();
            state.http(name)?.put(rule);
            Ok(shown)
        })
    }

    pub(super) fn remove_rule(&self, name: &str, rule: &str) -> Result<(), Error> {
        self.locked(|state| {
            let removed = state.proxy(name)?.rules.as_ref().is_some_and(|rules| rules.remove(rule));
            if removed { Ok(()) } else { Err(Error::RuleNotFound) }
        })
    }

    /// Makes a proxy one of plain TCP again.
    pub(super) fn leave_http(&self, name: &str) -> Result<(), Error> {
        self.locked(|state| {
            let proxy = state.proxies.get_mut(name).ok_or(Error::ProxyNotFound)?;
            if proxy.rules.take().is_some() { proxy.restart(&state.workers) } else { Ok(()) }
        })
    }

    /// What has been carried, for every proxy and stream.
    pub(super) fn carried(&self) -> Vec<Carried> {
        self.locked(|state| {
            let of = |proxy: &Proxy, stream: Stream| Carried {
                proxy: proxy.name.clone(),
                listen: proxy.listen.clone(),
                upstream: proxy.upstream.clone(),
                stream,
                bytes: proxy.carried(stream),
            };
            state.proxies.values().flat_map(|proxy| Stream::ALL.map(|stream| of(proxy, stream))).collect()
        })
    }

    fn locked<T>(&self, what: impl FnOnce(&mut State) -> T) -> T {
        what(&mut lock(&self.state))
    }

    /// Makes a change, looking up names between attempts: not while others wait.
    async fn resolving<T>(
        &self,
        mut change: impl FnMut(&mut State, &Addresses) -> Result<T, Trouble>,
    ) -> Result<T, Error> {
        let mut addresses = Addresses::new();
        loop {
            match self.locked(|state| change(state, &addresses)) {
                Ok(done) => return Ok(done),
                Err(Trouble::Failed(error)) => return Err(error),
                Err(Trouble::Unknown(listen)) => {
                    let found = resolve(&listen).await;
                    addresses.insert(listen, found);
                }
            }
        }
    }
}

impl State {
    fn proxy(&mut self, name: &str) -> Result<&mut Proxy, Error> {
        self.proxies.get_mut(name).ok_or(Error::ProxyNotFound)
    }

    fn create(&mut self, new: &NewProxy, addresses: &Addresses) -> Result<Value, Trouble> {
        if self.proxies.contains_key(&new.name) {
            return Err(Error::ProxyExists.into());
        }
        let mut proxy = Proxy::new(new, self.seed);
        if new.enabled {
            proxy.start(&self.workers, addresses)?;
        }
        let shown = proxy.to_json();
        self.proxies.insert(new.name.clone(), proxy);
        Ok(shown)
    }

    /// Whether a proxy is there that listens and leads where this one is to.
    fn has(&self, new: &NewProxy, addresses: &Addresses) -> bool {
        self.proxies
            .get(&new.name)
            .is_some_and(|proxy| proxy.upstream == new.upstream && proxy.listens_on(&new.listen, addresses))
    }

    fn create_or_replace(&mut self, new: &NewProxy, addresses: &Addresses) -> Result<(), Trouble> {
        if self.has(new, addresses) {
            return Ok(());
        }
        // It may be its port that the new one is to have.
        let replaces = self.proxies.remove(&new.name).is_some();
        let created = self.create(new, addresses).map(drop);
        if replaces && created.is_err() {
            // It is as asked for, but not enabled.
            self.proxies.insert(new.name.clone(), Proxy::new(new, self.seed));
        }
        created
    }

    fn update(&mut self, name: &str, change: &ProxyChange, addresses: &Addresses) -> Result<Value, Trouble> {
        let Self { workers, proxies, .. } = self;
        let proxy = proxies.get_mut(name).ok_or(Error::ProxyNotFound)?;
        let was_enabled = proxy.running.is_some();
        let enabled = change.enabled.unwrap_or(was_enabled);
        let elsewhere = change.listen.as_ref().filter(|listen| !proxy.listens_on(listen, addresses));
        let upstream = change.upstream.as_ref().filter(|upstream| **upstream != proxy.upstream);
        if enabled && (elsewhere.is_some() || upstream.is_some() || !was_enabled) {
            // Before anything changes: a name may have to be looked up first.
            address(elsewhere.unwrap_or(&proxy.listen), addresses)?;
        }
        if elsewhere.is_some() || upstream.is_some() {
            proxy.stop();
            proxy.carried = Default::default();
            if let Some(listen) = elsewhere {
                listen.clone_into(&mut proxy.listen);
                listen.clone_into(&mut proxy.asked);
            }
            if let Some(upstream) = upstream {
                upstream.clone_into(&mut proxy.upstream);
            }
        }
        match (enabled, proxy.running.is_some()) {
            (true, false) => proxy.start(workers, addresses)?,
            (false, true) => proxy.stop(),
            (true, true) | (false, false) => {}
        }
        Ok(proxy.to_json())
    }

    /// Takes everything away that is done to connections.
    fn calm(&mut self) {
        for proxy in self.proxies.values_mut() {
            proxy.toxics.clear();
            proxy.impose();
            if let Some(rules) = &proxy.rules {
                rules.clear();
            }
        }
    }

    fn enable_all(&mut self, addresses: &Addresses) -> Result<(), Trouble> {
        let mut first = Ok(());
        for proxy in self.proxies.values_mut().filter(|proxy| proxy.running.is_none()) {
            match proxy.start(&self.workers, addresses) {
                Err(Trouble::Failed(error)) if first.is_ok() => first = Err(Trouble::Failed(error)),
                Err(unknown @ Trouble::Unknown(_)) => return Err(unknown),
                Ok(()) | Err(Trouble::Failed(_)) => {}
            }
        }
        first
    }

    /// The rules of a proxy, which is one of HTTP from now on.
    fn http(&mut self, name: &str) -> Result<Rules, Error> {
        let proxy = self.proxies.get_mut(name).ok_or(Error::ProxyNotFound)?;
        if let Some(rules) = &proxy.rules {
            return Ok(rules.clone());
        }
        let rules = Rules::new(self.seed);
        proxy.rules = Some(rules.clone());
        proxy.restart(&self.workers)?;
        Ok(rules)
    }
}

impl Proxy {
    fn new(new: &NewProxy, seed: u64) -> Self {
        let rules = new.http.as_ref().map(|rules| {
            let in_force = Rules::new(seed);
            in_force.set(rules.clone());
            in_force
        });
        Self {
            name: new.name.clone(),
            listen: new.listen.clone(),
            asked: new.listen.clone(),
            upstream: new.upstream.clone(),
            toxics: new.toxics.clone(),
            rules,
            running: None,
            carried: Default::default(),
        }
    }

    fn start(&mut self, workers: &Workers, addresses: &Addresses) -> Result<(), Trouble> {
        let listen = address(&self.listen, addresses)?;
        let running = match self.open(workers, listen) {
            // All addresses, on a machine without IPv6.
            Err(_) if listen.ip() == Ipv6Addr::UNSPECIFIED && self.listen.starts_with(':') => {
                self.open(workers, (Ipv4Addr::UNSPECIFIED, listen.port()).into())
            }
            opened => opened,
        };
        let running = running.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => Error::BadBody(error.to_string()),
            _ => Error::CannotStart {
                proxy: self.name.clone(),
                reason: format!("cannot listen on {}: {error}", self.listen),
            },
        })?;
        self.listen = running.relay.local_address().to_string();
        self.running = Some(running);
        Ok(())
    }

    fn open(&self, workers: &Workers, listen: SocketAddr) -> io::Result<Running> {
        let front = |rules: &Rules| Front::start((Ipv4Addr::LOCALHOST, 0).into(), &self.upstream, rules.clone());
        let front = self.rules.as_ref().map(front).transpose()?;
        let through = front.as_ref().map(|front| front.address().to_string());
        let to = through.as_ref().unwrap_or(&self.upstream);
        let relay = Relay::open_with(workers, listen, to, self.toxics.clone())?;
        Ok(Running { relay, _front: front })
    }

    /// Stops listening, and drops its connections.
    fn stop(&mut self) {
        self.carried = Stream::ALL.map(|stream| self.carried(stream));
        self.running = None;
    }

    /// Has it work in another way from now on; its connections are dropped, so that none goes on in the old way.
    fn restart(&mut self, workers: &Workers) -> Result<(), Error> {
        if self.running.is_none() {
            return Ok(());
        }
        self.stop();
        match self.start(workers, &Addresses::new()) {
            Ok(()) => Ok(()),
            Err(Trouble::Failed(error)) => Err(error),
            // What has listened once has an address, not a name.
            Err(Trouble::Unknown(listen)) => {
                Err(Error::CannotStart { proxy: self.name.clone(), reason: format!("{listen} is no address") })
            }
        }
    }

    /// Puts its toxics on its connections.
    fn impose(&self) {
        if let Some(running) = &self.running {
            running.relay.set_toxics(self.toxics.clone());
        }
    }

    /// Whether this is where it listens, or was asked to.
    fn listens_on(&self, listen: &str, addresses: &Addresses) -> bool {
        let stands_for = |text: &str| address(text, addresses).ok();
        listen == self.asked
            || listen == self.listen
            || stands_for(listen).is_some_and(|found| stands_for(&self.listen) == Some(found))
    }

    fn carried(&self, stream: Stream) -> Transferred {
        let before = self.carried[stream as usize];
        let now = self.running.as_ref().map(|running| running.relay.transferred(stream)).unwrap_or_default();
        Transferred { received: before.received + now.received, sent: before.sent + now.sent }
    }

    fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "listen": self.listen,
            "upstream": self.upstream,
            "enabled": self.running.is_some(),
            "toxics": wire::toxics_json(&self.toxics),
        })
    }
}

/// The address that a text stands for.
fn address(listen: &str, known: &Addresses) -> Result<SocketAddr, Trouble> {
    let wrong = || Error::BadBody(format!("`listen` must be host:port, not \"{listen}\""));
    if listen.is_empty() {
        return Ok((Ipv6Addr::UNSPECIFIED, 0).into());
    }
    if let Ok(address) = listen.parse() {
        return Ok(address);
    }
    let (host, port) = listen.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    if host.is_empty() {
        return Ok((IpAddr::from(Ipv6Addr::UNSPECIFIED), port).into());
    }
    match known.get(listen) {
        Some(Ok(address)) => Ok(*address),
        Some(Err(reason)) => Err(Error::BadBody(format!("`listen`: no address for \"{host}\": {reason}")).into()),
        None => Err(Trouble::Unknown(listen.to_owned())),
    }
}

/// Looks an address up; of several, IPv4 comes first, as in Toxiproxy.
async fn resolve(listen: &str) -> Result<SocketAddr, String> {
    let found = timeout(LOOKUP_LIMIT, lookup_host(listen)).await.map_err(|_| "it takes too long".to_owned())?;
    let found: Vec<SocketAddr> = found.map_err(|error| error.to_string())?.collect();
    let first = found.iter().find(|address| address.is_ipv4()).or_else(|| found.first());
    first.copied().ok_or_else(|| "there is none".to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
