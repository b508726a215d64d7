//! Makes exchanges over a link, before its faults and under them.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::proof::{Effect, Finding, Reply};

/// Exchanges at once: fewer than the shortest queue of connections that servers ask for (Python's, of five), so that none has
/// to wait in front of one.
const LANES: usize = 4;

/// More exchanges at once are made when they would take longer than this otherwise: an experiment's fault window is seldom
/// shorter than ten seconds, and is not to be spent on its proof.
const BUDGET: Duration = Duration::from_secs(5);

/// How long an exchange may take before the fault: as long as under another one.
const USUAL: Duration = Duration::from_secs(5);

/// How long an instance that has just been started may take to listen, on a busy machine,
const LISTENS: Duration = Duration::from_secs(5);
/// and when it is asked again whether it does.
const AGAIN: Duration = Duration::from_millis(20);

/// How often exchanges under a fault are measured when they do not prove it: a machine may be too busy once.
const TRIES: usize = 3;

/// More than the first bytes of any answer that are sent at once.
const ANSWER: usize = 64 * 1024;

/// What is said to an instance. It answers something, be it that it does not understand.
pub(super) const ASK: &[u8] = b"GET /health HTTP/1.1\r\nhost: lab\r\nconnection: close\r\n\r\n";

/// What is said to a balancer. It answers this itself (400), asks no instance, and counts no request, so that a proof is not
/// seen in the figures that an experiment looks at.
pub(super) const MISTAKE: &[u8] = b"?\r\n\r\n";

/// A link to be measured.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    /// Where the link listens.
    pub(super) address: SocketAddr,
    pub(super) question: &'static [u8],
    /// What is to be seen of what is put on it.
    pub(super) effect: Effect,
}

impl Probe {
    /// The exchanges of before.
    pub(super) async fn before(self) -> Vec<Reply> {
        let end = Instant::now() + LISTENS;
        let mut first = exchange(self.address, self.question, USUAL).await;
        while first == Reply::Broken && Instant::now() < end {
            sleep(AGAIN).await;
            first = exchange(self.address, self.question, USUAL).await;
        }
        if !matches!(first, Reply::Answer { .. }) {
            // Nothing can be compared with that.
            return vec![first];
        }
        self.sample(self.effect.exchanges_before(), LANES, USUAL).await
    }

    /// What the exchanges of now show, compared with those of before.
    pub(super) async fn now(self, before: Vec<Reply>) -> Finding {
        if !before.iter().any(|reply| matches!(reply, Reply::Answer { .. })) {
            return self.effect.judge(&before, &[]);
        }
        let (count, patience) = (self.effect.exchanges(), self.effect.patience(&before));
        let lanes = match self.effect {
            // None of them gets as far as the server.
            Effect::Silence => count,
            Effect::Waits { .. } | Effect::Delay { .. } => lanes(count, self.effect.mean()),
        };
        let mut found = self.effect.judge(&before, &self.sample(count, lanes, patience).await);
        for _ in 1..TRIES {
            if !found.holds {
                found = self.effect.judge(&before, &self.sample(count, lanes, patience).await);
            }
        }
        found
    }

    async fn sample(&self, count: usize, lanes: usize, patience: Duration) -> Vec<Reply> {
        let begun = Arc::new(AtomicUsize::new(0));
        let mut all = JoinSet::new();
        for _ in 0..lanes {
            let (begun, address, question) = (Arc::clone(&begun), self.address, self.question);
            all.spawn(async move {
                let mut replies = Vec::new();
                while begun.fetch_add(1, Relaxed) < count {
                    replies.push(exchange(address, question, patience).await);
                }
                replies
            });
        }
        all.join_all().await.into_iter().flatten().collect()
    }
}

/// How many exchanges at once keep within the budget when there are so many which take so long.
fn lanes(count: usize, each: Duration) -> usize {
    let busy = each.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
    let needed = busy.as_nanos().div_ceil(BUDGET.as_nanos());
    usize::try_from(needed).unwrap_or(usize::MAX).clamp(LANES, count.max(LANES))
}

async fn exchange(address: SocketAddr, question: &[u8], patience: Duration) -> Reply {
    let began = Instant::now();
    let mut first = vec![0; ANSWER];
    let answer = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(question).await.ok()?;
        // An end without an answer says that somebody is there, but not that the question has arrived.
        stream.read(&mut first).await.ok().filter(|&read| read > 0)
    };
    match timeout(patience, answer).await {
        Ok(Some(bytes)) => Reply::Answer { after: began.elapsed(), bytes },
        Ok(None) => Reply::Broken,
        Err(_) => Reply::Silence,
    }
}

#[cfg(test)]
mod tests {
    use proxy::{Faults, Impairment, Link};
    use tokio::{net::TcpListener, sync::Semaphore};

    use super::*;

    /// Answers whatever is asked.
    async fn server() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let asked = stream.read(&mut [0; 1024]).await.unwrap_or(0);
                    if asked > 0 {
                        let _client_has_gone = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
                    }
                });
            }
        });
        address
    }

    fn millis(delay: u64, jitter: u64) -> Impairment {
        let (delay, jitter) = (Duration::from_millis(delay), Duration::from_millis(jitter));
        Impairment { delay, jitter, ..Impairment::default() }
    }

    fn impairments() -> Vec<Impairment> {
        vec![
            Impairment { loss: 0.3, ..Impairment::default() },
            Impairment { loss: 0.07, ..Impairment::default() },
            millis(100, 80),
            millis(60, 0),
            millis(20, 40),
            Impairment { blackhole: true, ..Impairment::default() },
        ]
    }

    /// What is found on a link that is said to have faults when it really has others.
    async fn found(said: Faults, real: Faults) -> Finding {
        let link = Link::start("127.0.0.1:0".parse().unwrap(), server().await, 1).await.unwrap();
        let effect = Effect::of(&said).unwrap();
        let probe = Probe { address: link.address(), question: ASK, effect };
        let before = probe.clone().before().await;
        link.set(real);
        probe.now(before).await
    }

    fn ways(of: Impairment) -> [Faults; 3] {
        let none = Impairment::default();
        [Faults { forward: of, backward: none }, Faults { forward: none, backward: of }, Faults::both(of)]
    }

    /// What is found on links that are said to have these faults, six at once: more than an instance has, and what makes a
    /// machine busy.
    async fn found_everywhere(really: impl Fn(Faults) -> Faults) -> Vec<(Faults, Finding)> {
        let mut all = JoinSet::new();
        let places = Arc::new(Semaphore::new(6));
        for said in impairments().into_iter().flat_map(ways) {
            let (real, places) = (really(said), Arc::clone(&places));
            all.spawn(async move {
                let _place = places.acquire().await.unwrap();
                (said, found(said, real).await)
            });
        }
        all.join_all().await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_link_does_is_proven() {
        for (faults, found) in found_everywhere(|said| said).await {
            assert!(found.holds, "{faults:?}: {found:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_it_does_not_is_not() {
        for (faults, found) in found_everywhere(|_| Faults::default()).await {
            assert!(!found.holds, "{faults:?}: {found:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_target_that_has_gone_is_no_blackhole() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = listener.local_addr().unwrap();
        drop(listener);
        let dark = Faults::both(Impairment { blackhole: true, ..Impairment::default() });
        let effect = Effect::of(&dark).unwrap();
        let before = Probe { address: server().await, question: ASK, effect }.before().await;
        let link = Link::start("127.0.0.1:0".parse().unwrap(), nobody, 1).await.unwrap();
        let found = Probe { address: link.address(), question: ASK, effect }.now(before).await;
        assert!(!found.holds, "{found:?}");
    }

    #[test]
    fn long_exchanges_are_made_at_once_and_short_ones_are_not() {
        assert_eq!(lanes(2000, Duration::from_millis(3)), LANES);
        assert_eq!(lanes(48, Duration::from_secs(2)), 20);
        assert_eq!(lanes(16, Duration::from_secs(120)), 16);
    }
}
