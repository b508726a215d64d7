//! The proof: requests of our own that match, and others that do not, to a stand-in whose connections take the same way.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use proxy::http::{Abort as Aborts, BodyChange, Change, Matches, Phase, Rule, merge};
use serde_json::{Value, json};

use crate::{
    fault::{Abort, Failed},
    http::{
        exchange::{Exchange, Message, Outcome, Request, STATUS, StandIn},
        order::example_path,
    },
    network::{Hits, millis},
    sys::namespace::NetworkNamespace,
};

/// A stand-in, and what it is asked.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) stand_in: StandIn,
    /// From where it is asked,
    pub(crate) from: Arc<NetworkNamespace>,
    /// and at which address: its own, or one that leads to it.
    pub(crate) at: SocketAddr,
    rule: Rule,
    concerned: Request,
    /// There is none if all requests are meant.
    spared: Option<Request>,
    answer: (HeaderMap, Vec<u8>),
    /// How long an exchange takes without the fault.
    usual: Duration,
}

/// What is seen of a request that is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// What was ordered has happened.
    Hit,
    /// Nothing has happened.
    Missed,
    /// Something else has happened.
    Harmed,
}

/// So many exchanges are enough where all are hit alike.
const FEW: usize = 5;
/// The median of so many varies by a fifth of the jitter.
const COUNT_WITH_JITTER: usize = 20;
/// Of a share, so many hits are expected: with that many, none at all is seen in one of a million measurements.
const HITS: f64 = 14.0;
/// Shares are measured among so many at least.
const COUNT_OF_SHARE: usize = 200;
/// What a busy machine may add to a median.
const BUSY: Duration = Duration::from_millis(5);
/// An exchange with ourselves takes less than a millisecond; the rest is for busy machines.
const PATIENCE: Duration = Duration::from_secs(5);
/// Fields that say where a message goes and where it ends: whoever passes it on writes them anew.
const FRAMING: [HeaderName; 4] = [header::HOST, header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING];

impl Probe {
    /// Starts a stand-in at an address of a network.
    pub(crate) fn open(
        network: &NetworkNamespace,
        address: IpAddr,
        from: Arc<NetworkNamespace>,
        rule: Rule,
    ) -> Result<Self, Failed> {
        let mut fields = HeaderMap::new();
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        changeable(&mut fields, &rule.response);
        let answer = (fields, document(&rule.response));
        let stand_in = StandIn::start(network, address, &answer.0, &answer.1)
            .map_err(Failed::to("listen in the network of the target"))?;
        let concerned = Request::concerned(&rule, &stand_in.address.to_string())?;
        let spared = concerned.spared(&rule.of);
        let at = stand_in.address;
        Ok(Self { stand_in, from, at, rule, concerned, spared, answer, usual: Duration::ZERO })
    }

    /// Looks what the way does without the fault: nothing, and how long that takes.
    pub(crate) fn before(&mut self) -> Result<(), Failed> {
        let exchanges = self.ask(&self.concerned, FEW, &Abort::default())?;
        if let Some(wrong) = exchanges.iter().find(|exchange| !self.is_untouched(exchange, &self.concerned)) {
            return Err(Failed(format!("requests do not pass unharmed without the fault: {wrong:?}")));
        }
        self.usual = exchanges.iter().map(|exchange| exchange.took).min().unwrap_or_default();
        Ok(())
    }

    fn ask(&self, request: &Request, times: usize, abort: &Abort) -> Result<Vec<Exchange>, Failed> {
        let longest = self.rule.delay.map_or(Duration::ZERO, |delay| delay.latency + delay.jitter);
        let asked = self.stand_in.ask((&self.from, self.at), request, times, longest + PATIENCE, abort);
        asked.map_err(Failed::to("ask the stand-in"))
    }

    /// Measures what becomes of requests: in words, and whether it is as it should be.
    pub(crate) fn measure(&self, abort: &Abort) -> Result<(String, bool), Failed> {
        let share = self.rule.percentage / 100.0;
        let exchanges = self.ask(&self.concerned, self.count(), abort)?;
        let seen: Vec<_> = exchanges.iter().map(|exchange| self.see(exchange)).collect();
        let count = |what| seen.iter().filter(|one| **one == what).count();
        let hits = Hits { hit: count(Seen::Hit), of: seen.len() };
        let mut holds = hits.within_chance(share, 1.0, 0.0) && count(Seen::Harmed) == 0;
        let mut words = vec![format!("{} of {} requests hit", hits.hit, hits.of)];
        if count(Seen::Harmed) > 0 {
            words.push(format!("{} harmed in another way", count(Seen::Harmed)));
        }
        if let Some((shift, right)) = self.shift(&exchanges) {
            words.push(format!("median +{}", millis(shift)));
            holds &= right;
        }
        match &self.spared {
            None => words.push("no request is spared".to_owned()),
            Some(spared) => {
                let others = self.ask(spared, FEW, abort)?;
                let untouched =
                    others.iter().filter(|exchange| self.is_untouched(exchange, spared) && !self.takes_long(exchange));
                let untouched = untouched.count();
                holds &= untouched == FEW;
                words.push(format!("{untouched} of {FEW} others ({} {}) untouched", spared.method, spared.path));
            }
        }
        Ok((words.join(", "), holds && !abort.is_aborted()))
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 14 to 1400: shares are 1 % at least"
    )]
    fn count(&self) -> usize {
        let share = self.rule.percentage / 100.0;
        if share < 1.0 {
            return ((HITS / share).ceil() as usize).max(COUNT_OF_SHARE);
        }
        if self.rule.delay.is_some_and(|delay| !delay.jitter.is_zero()) { COUNT_WITH_JITTER } else { FEW }
    }

    fn see(&self, exchange: &Exchange) -> Seen {
        let untouched = self.is_untouched(exchange, &self.concerned);
        let hit = match &self.rule.abort {
            Some(abort) => {
                // Whether its work is done.
                exchange.arrived.is_some() == (self.rule.at == Phase::Response)
                    && is_abort(&exchange.outcome, abort, self.concerned.method == "HEAD")
            }
            None if self.rule.delay.is_some() => untouched && self.takes_long(exchange),
            None => self.is_changed(exchange),
        };
        match (hit, untouched) {
            (true, _) => Seen::Hit,
            (false, true) => Seen::Missed,
            (false, false) => Seen::Harmed,
        }
    }

    /// Whether an exchange takes longer than those that are not delayed do.
    fn takes_long(&self, exchange: &Exchange) -> bool {
        let shortest = self.rule.delay.map(|delay| delay.latency.saturating_sub(delay.jitter));
        shortest.is_some_and(|shortest| exchange.took >= self.usual + shortest / 2)
    }

    /// By how much those that are hit take longer, and whether that is as ordered.
    fn shift(&self, exchanges: &[Exchange]) -> Option<(Duration, bool)> {
        let delay = self.rule.delay?;
        let hit = exchanges.iter().filter(|exchange| self.see(exchange) == Seen::Hit);
        let mut took: Vec<Duration> = hit.map(|exchange| exchange.took).collect();
        took.sort_unstable();
        let median = *took.get(took.len() / 2)?;
        let shift = median.saturating_sub(self.usual);
        // Four deviations of a median of twenty evenly spread.
        let doubt = delay.jitter.mul_f64(0.85);
        let shortest = delay.latency.mul_f64(0.95).saturating_sub(doubt);
        let longest = delay.latency.mul_f64(1.05) + doubt + BUSY;
        // Too short is never the machine's fault, unless what is usual was measured when it was busier than now.
        Some((shift, median >= shortest && shift <= longest))
    }

    fn is_untouched(&self, exchange: &Exchange, request: &Request) -> bool {
        let (fields, body) = &self.answer;
        arrives(exchange, request, &request.fields, &request.body)
            && answers(exchange, STATUS, fields, body, request.method == "HEAD")
    }

    /// Whether request and response are changed as ordered.
    fn is_changed(&self, exchange: &Exchange) -> bool {
        let Request { fields, body, method, .. } = &self.concerned;
        let (asked, ask) = changed(fields, body, &self.rule.request);
        let (answered, answer) = changed(&self.answer.0, &self.answer.1, &self.rule.response);
        let status =
            self.rule.status.map_or_else(|| STATUS.to_owned(), |status| format!("HTTP/1.1 {}", status.as_u16()));
        let gone = |message: Option<&Message>, change: &Change| {
            message.is_some_and(|message| change.remove.iter().all(|name| !message.fields.contains_key(name)))
        };
        let response = match &exchange.outcome {
            Outcome::Answered(response) => Some(response),
            Outcome::Reset | Outcome::Nothing => None,
        };
        arrives(exchange, &self.concerned, &asked, &ask)
            && answers(exchange, &status, &answered, &answer, method == "HEAD")
            && gone(exchange.arrived.as_ref(), &self.rule.request)
            && gone(response, &self.rule.response)
    }
}

impl Request {
    /// A request that is meant.
    fn concerned(rule: &Rule, host: &str) -> Result<Self, Failed> {
        let Matches { method, path, headers, .. } = &rule.of;
        let usual = if rule.request.body.is_some() { Method::POST } else { Method::GET };
        let path = path.as_ref().map_or_else(|| Some("/".to_owned()), example_path);
        let path = path.ok_or_else(|| Failed("no path fits the pattern".to_owned()))?;
        let mut fields = HeaderMap::new();
        fields.insert(header::HOST, HeaderValue::try_from(host).map_err(Failed::to("name the stand-in"))?);
        changeable(&mut fields, &rule.request);
        for (name, pattern) in headers {
            let value = HeaderValue::try_from(pattern.example()).map_err(Failed::to("make up a header"))?;
            fields.insert(name, value);
        }
        let mut body = Vec::new();
        if rule.request.body.is_some() {
            fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            body = document(&rule.request);
        }
        Ok(Self { method: method.as_ref().unwrap_or(&usual).to_string(), path, fields, body })
    }

    /// One like it that is not meant.
    fn spared(&self, of: &Matches) -> Option<Self> {
        let method = if self.method == "OPTIONS" { "GET" } else { "OPTIONS" };
        let other_method = Self { method: method.to_owned(), ..self.clone() };
        let other_path = Self { path: "/shaketable-is-not-meant".to_owned(), ..self.clone() };
        let mut candidates = vec![other_path, other_method];
        for (name, _) in of.headers.iter().filter(|(name, _)| *name != header::HOST) {
            let mut without = self.clone();
            without.fields.remove(name);
            candidates.push(without);
        }
        candidates.into_iter().find(|candidate| !candidate.is_meant(of))
    }

    fn is_meant(&self, of: &Matches) -> bool {
        let has = |name: &HeaderName| self.fields.get(name).map(HeaderValue::as_bytes);
        of.method.as_ref().is_none_or(|method| method.as_str() == self.method)
            && of.path.as_ref().is_none_or(|path| path.matches(self.path.as_bytes()))
            && of.headers.iter().all(|(name, pattern)| has(name).is_some_and(|value| pattern.matches(value)))
    }
}

/// Gives a message what a change is to remove, and something else of what it is to set: nothing stays as it is by chance.
fn changeable(fields: &mut HeaderMap, change: &Change) {
    let names = change.set.iter().map(|(name, _)| name).chain(&change.remove);
    for name in names.filter(|name| !FRAMING.contains(name)) {
        fields.insert(name, HeaderValue::from_static("to-be-changed"));
    }
}

/// A document that a change changes.
fn document(change: &Change) -> Vec<u8> {
    let mut document = json!({ "shaketable": "probe" });
    if let Some(BodyChange::Patch(patch)) = &change.body {
        merge(&mut document, &opposite(patch));
    }
    document.to_string().into_bytes()
}

/// What a patch changes, wherever it says something.
fn opposite(patch: &Value) -> Value {
    match patch {
        Value::Object(members) if !members.is_empty() => {
            members.iter().map(|(name, member)| (name.clone(), opposite(member))).collect()
        }
        _ => json!("to-be-changed"),
    }
}

/// What a change makes of a message.
fn changed(fields: &HeaderMap, body: &[u8], change: &Change) -> (HeaderMap, Vec<u8>) {
    let mut fields = fields.clone();
    for name in &change.remove {
        fields.remove(name);
    }
    for (name, value) in &change.set {
        fields.insert(name, value.clone());
    }
    let body = match &change.body {
        None => body.to_vec(),
        Some(BodyChange::Replace(with)) => with.to_vec(),
        Some(BodyChange::Patch(patch)) => {
            let mut document = serde_json::from_slice(body).unwrap_or_default();
            merge(&mut document, patch);
            document.to_string().into_bytes()
        }
    };
    (fields, body)
}

/// Whether a request arrives at the stand-in like this.
fn arrives(exchange: &Exchange, request: &Request, fields: &HeaderMap, body: &[u8]) -> bool {
    let first = format!("{} {} HTTP/1.1", request.method, request.path);
    exchange.arrived.as_ref().is_some_and(|arrived| arrived.first == first && fits(arrived, fields, body))
}

/// Whether an exchange is answered like this.
fn answers(exchange: &Exchange, status: &str, fields: &HeaderMap, body: &[u8], bodiless: bool) -> bool {
    match &exchange.outcome {
        Outcome::Answered(answer) => {
            answer.first.starts_with(status) && fits(answer, fields, if bodiless { &[] } else { body })
        }
        Outcome::Reset | Outcome::Nothing => false,
    }
}

/// Whether a message has these fields, as they are here and not otherwise, and this body.
fn fits(message: &Message, fields: &HeaderMap, body: &[u8]) -> bool {
    let same = |name: &HeaderName| fields.get_all(name).iter().eq(message.fields.get_all(name));
    message.body == body && fields.keys().filter(|name| !FRAMING.contains(name)).all(same)
}

fn is_abort(outcome: &Outcome, abort: &Aborts, bodiless: bool) -> bool {
    match (abort, outcome) {
        (Aborts::Connection, Outcome::Reset) => true,
        (Aborts::Status { status, headers, body }, Outcome::Answered(answer)) => {
            let fields: HeaderMap = headers.iter().cloned().collect();
            answer.first.starts_with(&format!("HTTP/1.1 {}", status.as_u16()))
                && fits(answer, &fields, if bodiless { &[] } else { body })
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proxy::http::Glob;

    use super::*;

    fn request(of: &Matches) -> Request {
        Request::concerned(&Rule::new("a", of.clone()), "10.0.0.1:80").unwrap()
    }

    #[test]
    fn requests_are_made_up_that_are_meant_and_others_that_are_not() {
        let glob = |pattern: &str| Glob::new(pattern).unwrap();
        let user = HeaderName::from_static("x-user");
        let all = [
            Matches { path: Some(glob("/a*")), ..Matches::default() },
            Matches { method: Some(Method::OPTIONS), ..Matches::everything() },
            Matches { headers: vec![(user, glob("test-*"))], ..Matches::everything() },
            Matches { method: Some(Method::PUT), path: Some(glob("/a?")), ..Matches::default() },
        ];
        for of in all {
            let meant = request(&of);
            assert!(meant.is_meant(&of), "{meant:?}");
            assert!(!meant.spared(&of).unwrap().is_meant(&of));
        }
        assert!(request(&Matches::everything()).spared(&Matches::everything()).is_none());
    }

    #[test]
    fn no_patch_leaves_the_document_as_it_is() {
        for patch in [json!({"a": null}), json!({"a": {"b": null, "c": 1}, "d": {}}), json!([1]), json!(null)] {
            let change = Change { body: Some(BodyChange::Patch(patch.clone())), ..Change::default() };
            let before = document(&change);
            let mut after = serde_json::from_slice(&before).unwrap();
            merge(&mut after, &patch);
            assert_ne!(after, serde_json::from_slice::<Value>(&before).unwrap(), "{patch}");
        }
        assert_eq!(opposite(&json!({"a": {"b": null}})), json!({"a": {"b": "to-be-changed"}}));
    }

    #[test]
    fn a_message_fits_with_more_fields_but_not_with_other_values() {
        let message = |fields: &[(&'static str, &str)]| Message {
            first: String::new(),
            fields: fields
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
                .collect(),
            body: b"body".to_vec(),
        };
        let wanted = message(&[("a", "1"), ("host", "here")]).fields;
        assert!(fits(&message(&[("a", "1"), ("b", "2")]), &wanted, b"body"));
        assert!(!fits(&message(&[("a", "2")]), &wanted, b"body"));
        assert!(!fits(&message(&[]), &wanted, b"body"));
        assert!(!fits(&message(&[("a", "1")]), &wanted, b"other"));
    }
}
