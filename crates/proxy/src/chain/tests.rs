use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::toxic::Toxic;

const START: Moment = Moment::from_secs(1000);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(later: u64) -> Moment {
    START + millis(later)
}

fn applied(name: &str, toxic: Toxic) -> Applied {
    Applied { name: name.to_owned(), toxic, stream: Stream::Upstream, toxicity: 1.0 }
}

fn late(by: u64) -> Toxic {
    Toxic::Latency { latency: millis(by), jitter: Duration::ZERO }
}

/// A chain with one toxic.
fn with(toxic: Toxic) -> Chain {
    Chain::new(&[applied("it", toxic)], Stream::Upstream, START, 1)
}

fn data(bytes: &[u8]) -> Item {
    Item::Data(Bytes::copy_from_slice(bytes))
}

impl Chain {
    fn put(&mut self, toxics: &[Applied], now: Moment) {
        self.set(toxics, Stream::Upstream, now);
    }

    /// Writes all that may be written: its pieces, one by one.
    fn drain(&mut self, now: Moment) -> Vec<Item> {
        self.advance(now);
        let mut all = Vec::new();
        while let Some(item) = self.front().cloned() {
            let last = item.is_last();
            match &item {
                Item::Data(bytes) => self.written(bytes.len(), now),
                _ => assert_eq!(self.output.pop_front(), Some(item.clone())),
            }
            all.push(item);
            if last {
                assert!(self.front().is_none(), "something follows the end");
            }
        }
        all
    }

    /// As [`drain`](Self::drain), with the bytes in one piece.
    fn bytes(&mut self, now: Moment) -> Vec<u8> {
        let all = self
            .drain(now)
            .into_iter()
            .filter_map(|item| if let Item::Data(bytes) = item { Some(bytes) } else { None });
        all.flatten().collect()
    }
}

#[test]
fn without_toxics_everything_passes_at_once() {
    let mut chain = Chain::new(&[], Stream::Upstream, START, 1);
    assert!(chain.is_clear());
    chain.push(data(b"a"), at(5));
    assert_eq!(chain.next_due(), None);
    assert_eq!(chain.drain(at(5)), [data(b"a")]);
    chain.push(Item::End, at(6));
    assert_eq!(chain.drain(at(6)), [Item::End]);
    assert!(!chain.is_clear() && !chain.has_room());
}

#[test]
fn toxics_of_the_other_stream_do_not_concern_it() {
    let other = Applied { stream: Stream::Downstream, ..applied("it", late(100)) };
    assert!(Chain::new(&[other], Stream::Upstream, START, 1).is_clear());
}

#[test]
fn latency_delays_data_and_lets_the_end_follow_it() {
    let mut chain = with(late(100));
    chain.push(data(b"a"), at(0));
    chain.push(data(b"b"), at(40));
    chain.push(Item::End, at(50));
    assert_eq!(chain.next_due(), Some(at(100)));
    assert_eq!(chain.drain(at(99)), []);
    assert_eq!(chain.drain(at(100)), [data(b"a")]);
    assert_eq!(chain.drain(at(139)), []);
    assert_eq!(chain.drain(at(140)), [data(b"b"), Item::End]);
    assert_eq!(chain.next_due(), None);
}

#[test]
fn delays_of_two_toxics_add_up_also_behind_a_slow_line() {
    let line = Toxic::Bandwidth { bytes_per_second: 1000 };
    let mut chain = Chain::new(&[applied("line", line), applied("late", late(100))], Stream::Upstream, START, 1);
    chain.push(data(&[0; 10]), at(0));
    assert_eq!(chain.next_due(), Some(at(10)));
    chain.advance(at(10));
    assert_eq!(chain.drain(at(109)), []);
    assert_eq!(chain.drain(at(110)), [data(&[0; 10])]);
}

#[test]
fn a_latency_that_shrinks_frees_what_waits_and_one_that_grows_does_not_hold_it() {
    let mut chain = with(late(100));
    chain.push(data(b"a"), at(0));
    chain.put(&[applied("it", late(500))], at(10));
    assert_eq!(chain.next_due(), Some(at(100)));
    chain.put(&[applied("it", late(30))], at(20));
    assert_eq!(chain.next_due(), Some(at(30)));
    chain.push(data(b"b"), at(20));
    assert_eq!(chain.drain(at(50)), [data(b"a"), data(b"b")]);
}

#[test]
fn jitter_spreads_delays_evenly_and_never_reorders() {
    let mut chain = with(Toxic::Latency { latency: millis(50), jitter: millis(20) });
    let mut waits = Vec::new();
    for round in 0..1000_u64 {
        let begin = START + Duration::from_secs(round);
        chain.push(data(b"a"), begin);
        let due = chain.next_due().unwrap();
        waits.push(due.since(begin));
        assert_eq!(chain.bytes(due), b"a");
    }
    assert!(waits.iter().all(|wait| (millis(30)..=millis(70)).contains(wait)));
    let early = waits.iter().filter(|wait| **wait < millis(40)).count();
    assert!((200..300).contains(&early), "{early} of 1000 in the first quarter");
}

#[test]
fn a_slow_line_carries_its_rate_in_even_slices_and_gives_no_credit() {
    let mut chain = with(Toxic::Bandwidth { bytes_per_second: 1_000_000 });
    // A line that was idle for a second is no faster afterwards.
    chain.push(data(&[0; 30_000]), at(1000));
    assert_eq!(chain.bytes(at(1009)).len(), 0);
    assert_eq!(chain.bytes(at(1010)).len(), 10_000);
    assert_eq!(chain.bytes(at(1025)).len(), 10_000);
    // Late by 5 ms, which the next slice makes up for.
    assert_eq!(chain.next_due(), Some(at(1030)));
    chain.push(Item::End, at(1026));
    assert_eq!(chain.drain(at(1030)), [data(&[0; 10_000]), Item::End]);
}

#[test]
fn a_line_of_rate_0_carries_nothing_until_it_is_changed() {
    let mut chain = with(Toxic::Bandwidth { bytes_per_second: 0 });
    chain.push(data(b"abc"), at(0));
    assert_eq!((chain.next_due(), chain.bytes(at(100_000)).len()), (None, 0));
    chain.put(&[applied("it", Toxic::Bandwidth { bytes_per_second: 1000 })], at(100_000));
    assert_eq!(chain.bytes(at(100_002)), b"");
    assert_eq!(chain.bytes(at(100_003)), b"abc");
}

#[test]
fn a_slow_line_makes_its_source_wait() {
    let mut chain = with(Toxic::Bandwidth { bytes_per_second: 1_000_000 });
    chain.push(data(&[0; ROOM]), at(0));
    assert!(!chain.has_room());
    chain.bytes(at(10));
    assert!(chain.has_room());
}

#[test]
fn a_slow_close_delays_only_the_end() {
    let mut chain = with(Toxic::SlowClose { delay: millis(300) });
    chain.push(data(b"a"), at(0));
    chain.push(Item::End, at(10));
    assert_eq!(chain.drain(at(10)), [data(b"a")]);
    assert_eq!(chain.next_due(), Some(at(310)));
    assert_eq!(chain.drain(at(309)), []);
    assert_eq!(chain.drain(at(310)), [Item::End]);
}

#[test]
fn a_slow_close_that_is_removed_closes_at_once() {
    let mut chain = with(Toxic::SlowClose { delay: millis(300) });
    chain.push(Item::End, at(10));
    chain.put(&[], at(20));
    assert_eq!(chain.drain(at(20)), [Item::End]);
}

#[test]
fn a_timeout_swallows_and_closes_after_a_silence() {
    let mut chain = with(Toxic::Timeout { timeout: millis(100) });
    assert_eq!(chain.next_due(), Some(at(100)));
    chain.push(data(b"lost"), at(60));
    assert_eq!(chain.next_due(), Some(at(160)));
    assert_eq!(chain.drain(at(159)), []);
    assert_eq!(chain.drain(at(160)), [Item::Close]);
    assert_eq!((chain.next_due(), chain.has_room()), (None, false));
    chain.put(&[], at(170));
    assert_eq!(chain.drain(at(170)), []);
}

#[test]
fn a_timeout_of_0_swallows_for_ever_and_its_removal_closes() {
    let mut chain = with(Toxic::Timeout { timeout: Duration::ZERO });
    chain.push(data(b"lost"), at(0));
    assert_eq!((chain.next_due(), chain.drain(at(100_000))), (None, vec![]));
    chain.put(&[], at(100_000));
    assert_eq!(chain.drain(at(100_000)), [Item::Close]);
    chain.push(data(b"nothing"), at(100_001));
    assert_eq!(chain.drain(at(100_001)), []);
}

#[test]
fn a_timeout_lets_the_end_of_its_source_pass() {
    let mut chain = with(Toxic::Timeout { timeout: Duration::ZERO });
    chain.push(Item::End, at(0));
    assert_eq!(chain.drain(at(0)), [Item::End]);
    chain.put(&[], at(1));
    assert_eq!(chain.drain(at(1)), []);
}

#[test]
fn a_reset_comes_so_long_after_the_first_data_and_none_of_it_passes() {
    let mut chain = with(Toxic::ResetPeer { timeout: millis(50) });
    assert_eq!(chain.next_due(), None);
    chain.push(data(b"a"), at(1000));
    chain.push(data(b"b"), at(1020));
    assert_eq!(chain.next_due(), Some(at(1050)));
    assert!(!chain.is_reset());
    assert_eq!(chain.drain(at(1049)), []);
    chain.advance(at(1050));
    assert!(chain.is_reset());
    assert_eq!(chain.drain(at(1050)), [Item::Reset]);
}

#[test]
fn a_reset_that_is_removed_in_time_lets_data_pass() {
    let mut chain = with(Toxic::ResetPeer { timeout: millis(50) });
    chain.push(data(b"a"), at(0));
    chain.put(&[], at(10));
    chain.push(data(b"b"), at(11));
    assert_eq!(chain.bytes(at(100)), b"ab");
    assert!(chain.is_clear());
}

#[test]
fn a_slicer_cuts_what_is_large_into_pieces_with_distance_between_them() {
    let delay = Duration::from_micros(500);
    let mut chain = with(Toxic::Slicer { average_size: 10, size_variation: 5, delay });
    let sent: Vec<u8> = (0..200).collect();
    chain.push(data(&sent), at(0));
    let (mut got, mut now, mut sizes) = (Vec::new(), at(0), Vec::new());
    while let Some(piece) = chain.drain(now).pop() {
        let Item::Data(bytes) = piece else { panic!("no data: {piece:?}") };
        sizes.push(bytes.len());
        got.extend_from_slice(&bytes);
        assert_eq!(chain.drain(now), [], "one at a time");
        now = now + delay;
    }
    assert_eq!(got, sent);
    assert!(sizes.iter().all(|size| (1..=15).contains(size)) && sizes.len() > 13, "{sizes:?}");
}

#[test]
fn a_slicer_of_nothing_cuts_into_single_bytes() {
    let mut chain = with(Toxic::Slicer { average_size: 0, size_variation: 0, delay: Duration::ZERO });
    chain.push(data(b"abc"), at(0));
    assert_eq!(chain.drain(at(0)), [data(b"a"), data(b"b"), data(b"c")]);
}

#[test]
fn a_limit_closes_as_soon_as_it_is_reached() {
    let mut chain = with(Toxic::LimitData { bytes: 5 });
    chain.push(data(b"abc"), at(0));
    assert_eq!(chain.drain(at(0)), [data(b"abc")]);
    chain.push(data(b"def"), at(1));
    assert_eq!(chain.drain(at(1)), [data(b"de"), Item::Close]);
    assert!(!chain.has_room());
    let mut exact = with(Toxic::LimitData { bytes: 3 });
    exact.push(data(b"abc"), at(0));
    assert_eq!(exact.drain(at(0)), [data(b"abc"), Item::Close]);
    let mut none = with(Toxic::LimitData { bytes: 0 });
    assert_eq!(none.drain(at(100)), []);
    none.push(data(b"abc"), at(100));
    assert_eq!(none.drain(at(100)), [Item::Close]);
}

#[test]
fn a_limit_remembers_what_has_passed_when_it_changes() {
    let mut chain = with(Toxic::LimitData { bytes: 100 });
    chain.push(data(b"abc"), at(0));
    chain.put(&[applied("it", Toxic::LimitData { bytes: 4 })], at(1));
    chain.push(data(b"def"), at(2));
    assert_eq!(chain.drain(at(2)), [data(b"abc"), data(b"d"), Item::Close]);
}

#[test]
fn a_limit_closes_through_a_slow_close() {
    let toxics =
        [applied("limit", Toxic::LimitData { bytes: 1 }), applied("slow", Toxic::SlowClose { delay: millis(9) })];
    let mut chain = Chain::new(&toxics, Stream::Upstream, START, 1);
    chain.push(data(b"ab"), at(0));
    assert_eq!(chain.drain(at(0)), [data(b"a")]);
    assert_eq!(chain.drain(at(9)), [Item::Close]);
}

#[test]
fn toxicity_is_the_share_of_connections_and_their_lots_are_kept() {
    let mut toxic = applied("it", late(100));
    toxic.toxicity = 0.3;
    let mut chains: Vec<_> =
        (0..1000).map(|seed| Chain::new(&[toxic.clone()], Stream::Upstream, START, seed)).collect();
    let concerned = |chains: &[Chain]| chains.iter().map(|chain| !chain.is_clear()).collect::<Vec<_>>();
    let few = concerned(&chains);
    assert!((250..350).contains(&few.iter().filter(|it| **it).count()));
    toxic.toxicity = 0.6;
    chains.iter_mut().for_each(|chain| chain.put(&[toxic.clone()], at(1)));
    let many = concerned(&chains);
    assert!((550..650).contains(&many.iter().filter(|it| **it).count()));
    assert!(few.iter().zip(&many).all(|(few, many)| few <= many), "a connection that was concerned still is");
}

#[test]
fn a_toxic_that_no_longer_concerns_a_connection_releases_what_it_held() {
    let mut chain = with(late(100));
    chain.push(data(b"a"), at(0));
    chain.put(&[Applied { toxicity: 0.0, ..applied("it", late(100)) }], at(1));
    assert_eq!(chain.bytes(at(1)), b"a");
    assert!(chain.is_clear());
}

fn toxic() -> impl Strategy<Value = Toxic> {
    prop_oneof![
        4 => (0_u64..300, 0_u64..100).prop_map(|(latency, jitter)| Toxic::Latency { latency: millis(latency), jitter: millis(jitter) }),
        2 => prop_oneof![Just(0), 1_u64..3000].prop_map(|bytes_per_second| Toxic::Bandwidth { bytes_per_second }),
        2 => (0_u64..10, 0_u64..10, 0_u64..3000).prop_map(|(average_size, size_variation, micros)| Toxic::Slicer {
            average_size, size_variation, delay: Duration::from_micros(micros),
        }),
        1 => (0_u64..500).prop_map(|delay| Toxic::SlowClose { delay: millis(delay) }),
        1 => (0_u64..500).prop_map(|timeout| Toxic::Timeout { timeout: millis(timeout) }),
        1 => (0_u64..500).prop_map(|timeout| Toxic::ResetPeer { timeout: millis(timeout) }),
        1 => (0_u64..200).prop_map(|bytes| Toxic::LimitData { bytes }),
        1 => Just(Toxic::Noop),
    ]
}

fn toxics() -> impl Strategy<Value = Vec<Applied>> {
    let one = ("[a-d]", toxic(), prop_oneof![Just(1.0), 0.0..1.0]);
    proptest::collection::vec(one, 0..4).prop_map(|all| {
        let mut toxics: Vec<Applied> = Vec::new();
        for (name, toxic, toxicity) in all {
            if toxics.iter().all(|other| other.name != name) {
                toxics.push(Applied { name, toxic, stream: Stream::Upstream, toxicity });
            }
        }
        toxics
    })
}

#[derive(Debug, Clone)]
enum Step {
    Push(Vec<u8>),
    End,
    Write(usize),
    Change(Vec<Applied>),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => proptest::collection::vec(any::<u8>(), 1..40).prop_map(Step::Push),
        1 => Just(Step::End),
        6 => (1_usize..40).prop_map(Step::Write),
        2 => toxics().prop_map(Step::Change),
        6 => (0_u64..150).prop_map(Step::Pass),
    ]
}

/// A chain with everything needed to see whether it keeps its promises.
struct Observed {
    chain: Chain,
    now: Moment,
    into: Vec<u8>,
    out: Vec<u8>,
    last: Option<Item>,
    /// Whether a toxic was there that may lose bytes.
    lossy: bool,
}

impl Observed {
    fn step(&mut self, step: Step) {
        match step {
            Step::Push(bytes) if self.chain.has_room() => {
                self.into.extend_from_slice(&bytes);
                self.chain.push(data(&bytes), self.now);
            }
            Step::Push(_) => {}
            Step::End => self.chain.push(Item::End, self.now),
            Step::Write(most) => self.write(most),
            Step::Change(toxics) => {
                self.look(&toxics);
                self.chain.put(&toxics, self.now);
            }
            Step::Pass(millis) => {
                self.now = self.now + Duration::from_millis(millis);
                self.chain.advance(self.now);
            }
        }
    }

    fn look(&mut self, toxics: &[Applied]) {
        self.lossy |= toxics.iter().any(|applied| {
            matches!(applied.toxic, Toxic::Timeout { .. } | Toxic::LimitData { .. } | Toxic::ResetPeer { .. })
        });
    }

    fn write(&mut self, most: usize) {
        match self.chain.front().cloned() {
            Some(Item::Data(bytes)) => {
                assert_eq!(self.last, None, "data after an end");
                assert!(!bytes.is_empty(), "empty data");
                let count = most.min(bytes.len());
                self.out.extend_from_slice(&bytes[..count]);
                self.chain.written(count, self.now);
            }
            Some(last) => {
                assert_eq!(self.chain.output.pop_front(), Some(last.clone()));
                assert_eq!(self.last.replace(last), None, "two ends");
            }
            None => {}
        }
    }
}

proptest! {
    #[test]
    fn what_comes_out_went_in_and_all_of_it_does_unless_a_toxic_loses_it(
        steps in proptest::collection::vec(step(), 0..120), first in toxics(), seed in any::<u64>(),
    ) {
        let chain = Chain::new(&first, Stream::Upstream, START, seed);
        let mut observed = Observed { chain, now: START, into: vec![], out: vec![], last: None, lossy: false };
        observed.look(&first);
        for step in steps {
            observed.step(step);
            prop_assert!(observed.into.starts_with(&observed.out));
            // Time alone moves things on; nothing that is due stays.
            let due = observed.chain.next_due();
            prop_assert!(due.is_none_or(|due| due > observed.now), "{due:?} at {:?}", observed.now);
        }
        observed.chain.put(&[], observed.now);
        while observed.chain.front().is_some() {
            observed.write(usize::MAX);
        }
        prop_assert!(observed.into.starts_with(&observed.out));
        if !observed.lossy {
            prop_assert_eq!(observed.into, observed.out);
        }
        prop_assert_eq!(observed.chain.held, 0);
    }

    #[test]
    fn pieces_are_never_empty_and_add_up(length in 1_usize..70_000, average in 0_u64..2000, variation in 0_u64..2000) {
        let mut chain = with(Toxic::Slicer { average_size: average, size_variation: variation, delay: Duration::ZERO });
        chain.push(data(&vec![7; length]), at(0));
        let (mut sum, mut most) = (0, 0);
        for item in chain.drain(at(0)) {
            let Item::Data(bytes) = item else { continue };
            prop_assert!(!bytes.is_empty());
            sum += bytes.len();
            most = most.max(bytes.len() as u64);
        }
        prop_assert_eq!(sum, length);
        prop_assert!(most <= average.max(1) + variation.min(average.max(1) - 1));
    }
}
