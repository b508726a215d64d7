//! A fault in HTTP in effect, however requests come to us: what is done to them, what was measured, how that is told.

use std::fmt;

use model::event::Proof;
use proxy::http::{Abort as Aborts, BodyChange, Change, Done, Phase, Rule};

use crate::{
    fault::{Abort, Failed},
    http::{
        before::{Ended, Open},
        order::{Plan, meant},
        post::Post,
        proof::Probe,
    },
    measure::patiently,
    network::millis,
};

/// What is done to the exchanges that come to us.
pub(crate) struct Effect {
    pub(crate) post: Post,
    pub(crate) probe: Probe,
    pub(crate) plan: Plan,
    rule: Rule,
    stood: Stood,
    /// What was done up to the end of the proof: to our own requests.
    proven: Done,
}

/// What became of connections that stood before.
pub(crate) enum Stood {
    Ended(Ended),
    Left(usize),
}

impl Stood {
    /// What becomes of so many, as ordered.
    pub(crate) fn after(open: Open, count: usize, end: impl FnOnce() -> Result<Ended, Failed>) -> Result<Self, Failed> {
        match open {
            Open::Leave => Ok(Self::Left(count)),
            Open::Reset => end().map(Self::Ended),
        }
    }
}

impl Effect {
    pub(crate) fn new(post: Post, probe: Probe, plan: Plan, rule: Rule, stood: Stood) -> Self {
        Self { post, probe, plan, rule, stood, proven: Done::default() }
    }

    /// Measures what becomes of requests, and, by `comes`, whether connections come to us.
    pub(crate) fn prove(
        &mut self,
        abort: &Abort,
        mut comes: impl FnMut(&Probe, &Plan) -> Result<(String, bool), Failed>,
    ) -> Proof {
        let (achieved, holds) = patiently(abort, || {
            let (words, right) = self.probe.measure(abort)?;
            let (come, led) = comes(&self.probe, &self.plan)?;
            Ok((format!("{words}{come}{}", self.stood), right && led))
        });
        self.proven = self.post.done();
        Proof { configured: self.configured(), achieved, holds }
    }

    /// What it has done in its whole life, without our own requests. A fault that has met no request was none.
    pub(crate) fn whole(&self) -> Proof {
        let all = self.post.done();
        let (matched, hit) = (all.matched - self.proven.matched, all.chosen - self.proven.chosen);
        let unchanged = match all.unchanged - self.proven.unchanged {
            0 => String::new(),
            some => format!(", and {some} bodies left as they were: too long, compressed, or no JSON"),
        };
        let achieved = format!("{hit} of {matched} requests hit{unchanged}");
        Proof { configured: self.configured(), achieved, holds: matched > 0 }
    }

    fn configured(&self) -> String {
        format!("{}: {}, {}", What(&self.rule), self.plan.concern, meant(&self.rule))
    }
}

/// Whether those who come to these ports come to us, in words that follow others.
pub(crate) fn told(ports: impl IntoIterator<Item = (String, bool)>) -> (String, bool) {
    let mut all = true;
    let words = ports.into_iter().map(|(port, led)| {
        all &= led;
        format!("; connections {port} {}", if led { "come to us" } else { "do not come to us" })
    });
    let words: String = words.collect();
    (words, all)
}

impl fmt::Display for Stood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(Ended { resting: 0, busy: 0 }) | Self::Left(0) => Ok(()),
            Self::Ended(Ended { resting, busy: 0 }) => write!(f, "; {resting} connections that stood were ended"),
            Self::Ended(Ended { resting, busy }) => {
                write!(f, "; {resting} connections that stood were ended, and {busy} broken off")
            }
            Self::Left(count) => write!(f, "; {count} connections that stood go on unhit"),
        }
    }
}

/// What a rule does, in words.
struct What<'a>(&'a Rule);

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { delay, abort, request, response, at, .. } = self.0;
        if let Some(delay) = delay {
            write!(f, "delay {}", millis(delay.latency))?;
            if !delay.jitter.is_zero() {
                write!(f, " ± {}", millis(delay.jitter))?;
            }
        }
        match abort {
            Some(Aborts::Status { status, .. }) => write!(f, "answer {}", status.as_u16())?,
            Some(Aborts::Connection) => f.write_str("reset")?,
            None => {}
        }
        if (delay.is_some() || abort.is_some()) && *at == Phase::Response {
            f.write_str(" of what has been answered")?;
        }
        for (name, change) in [("request", request), ("response", response)] {
            if *change != Change::default() {
                write!(f, "{name} {}", Changes(change))?;
            }
        }
        Ok(())
    }
}

/// What is changed, in words.
struct Changes<'a>(&'a Change);

impl fmt::Display for Changes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Change { set, remove, body } = self.0;
        let set = set.iter().map(|(name, value)| format!("with {name}: {}", String::from_utf8_lossy(value.as_bytes())));
        let remove = remove.iter().map(|name| format!("without {name}"));
        let body = body.iter().map(|body| match body {
            BodyChange::Replace(with) => format!("with a body of {} bytes", with.len()),
            BodyChange::Patch(patch) => format!("with {patch} merged into its body"),
        });
        f.write_str(&set.chain(remove).chain(body).collect::<Vec<_>>().join(", "))
    }
}
