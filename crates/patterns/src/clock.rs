//! Time as it is passed in: moments, clocks that tell them, and sleeps.
//!
//! No strategy of this crate reads a clock. Each takes the present [`Moment`] as an argument, which is why the same
//! machines run under tokio, under a [`VirtualClock`] in tests, and in a simulator with no runtime at all.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    ops::{Add, Sub},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use crate::sync::{Mutex, lock};

/// A point on the time line of a [`Clock`], in nanoseconds since that clock's beginning.
///
/// Unlike [`std::time::Instant`] it fits an atomic, can be made up in a test, and never panics: sums saturate at the end
/// of time (584 years) and differences at zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// The beginning of the clock.
    pub const ZERO: Self = Self(0);
    /// Later than anything that will happen.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment so many nanoseconds after the clock's beginning.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The moment so many milliseconds after the clock's beginning.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the clock's beginning.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the clock's beginning, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// How long after `earlier` this is; zero when it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Moment({:?})", Duration::from_nanos(self.0))
    }
}

/// A duration in nanoseconds; 584 years and more are one and the same.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Tells the time and wakes sleepers.
///
/// All pipelines that one call passes through must use clocks with the same beginning, because deadlines travel between
/// them as [`Moment`]s. All `TokioClock`s share one; clones of one [`VirtualClock`] do.
pub trait Clock: Clone + Send + Sync + 'static {
    /// What [`Clock::sleep_until`] gives back.
    type Sleep: Future<Output = ()> + Send;

    /// The present moment. Never goes backwards.
    fn now(&self) -> Moment;

    /// Ends when the clock has reached the moment; at once when it already has.
    fn sleep_until(&self, moment: Moment) -> Self::Sleep;
}

/// The clock pipelines have unless told otherwise: tokio's, or without the feature `tokio` a virtual one.
#[cfg(feature = "tokio")]
pub type DefaultClock = TokioClock;

/// The clock pipelines have unless told otherwise: tokio's, or without the feature `tokio` a virtual one.
#[cfg(not(feature = "tokio"))]
pub type DefaultClock = VirtualClock;

#[cfg(feature = "tokio")]
pub use self::tokio_clock::TokioClock;

#[cfg(feature = "tokio")]
mod tokio_clock {
    use std::{sync::OnceLock, time::Duration};

    use tokio::time::{Instant, Sleep, sleep_until};

    use super::{Clock, Moment};

    /// The time of the tokio runtime: real, or stopped and moved by a test with `tokio::time::pause`.
    ///
    /// Telling the time works everywhere; sleeping needs a runtime with its timer enabled.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct TokioClock;

    /// The moment that stands for the first look at any clock of this process. Not zero, because a runtime whose clock was
    /// stopped before that look tells earlier times.
    const FIRST_LOOK: Moment = Moment::from_nanos(24 * 3600 * 1_000_000_000);

    fn origin() -> Instant {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        *ORIGIN.get_or_init(Instant::now)
    }

    impl Clock for TokioClock {
        type Sleep = Sleep;

        fn now(&self) -> Moment {
            let (origin, now) = (origin(), Instant::now());
            if now >= origin {
                FIRST_LOOK + now.duration_since(origin)
            } else {
                FIRST_LOOK - origin.duration_since(now)
            }
        }

        fn sleep_until(&self, moment: Moment) -> Sleep {
            // Past a century tokio's `Instant` could overflow on some platforms; nobody waits that long.
            let ahead = moment.since(FIRST_LOOK).min(Duration::from_secs(100 * 365 * 24 * 3600));
            sleep_until(origin() + ahead)
        }
    }
}

/// A clock that stands still until it is moved: for tests, and for simulations that take no real time.
///
/// Clones show the same time. [`VirtualClock::run`] is a runtime of its own: it drives a future and, whenever that can
/// only wait, moves the clock to the next sleeper's moment.
///
/// ```
/// use std::time::Duration;
/// use patterns::{Clock, Moment, VirtualClock};
///
/// let clock = VirtualClock::new();
/// let woken = clock.run(async {
///     clock.sleep_until(clock.now() + Duration::from_secs(3600)).await;
///     clock.now()
/// });
/// assert_eq!(woken, Moment::ZERO + Duration::from_secs(3600));
/// ```
#[derive(Clone, Default)]
pub struct VirtualClock {
    shared: Arc<Mutex<Timers>>,
}

#[derive(Default)]
struct Timers {
    now: Moment,
    /// Sleepers by the moment they wait for, then by the order in which they came.
    sleepers: BTreeMap<(Moment, u64), Waker>,
    next_id: u64,
}

impl VirtualClock {
    /// A clock at [`Moment::ZERO`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the clock forward and wakes everyone whose moment has come.
    pub fn advance(&self, by: Duration) {
        let target = self.now() + by;
        self.advance_to(target);
    }

    /// Moves the clock to the moment, unless that is past, and wakes everyone whose moment has come.
    pub fn advance_to(&self, moment: Moment) {
        let due = {
            let mut timers = lock(&self.shared);
            timers.now = timers.now.max(moment);
            let after = Moment(timers.now.0.saturating_add(1));
            let later = timers.sleepers.split_off(&(after, 0));
            std::mem::replace(&mut timers.sleepers, later)
        };
        // Outside the lock: a waker may do anything, also look at this clock.
        due.into_values().for_each(Waker::wake);
    }

    /// Moves the clock to the moment the next sleeper waits for; `false` when nobody sleeps.
    pub fn advance_to_next(&self) -> bool {
        self.next_wakeup().inspect(|moment| self.advance_to(*moment)).is_some()
    }

    /// The moment the next sleeper waits for.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Moment> {
        lock(&self.shared).sleepers.keys().next().map(|(moment, _)| *moment)
    }

    /// How many sleep.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        lock(&self.shared).sleepers.len()
    }

    /// Drives the future to its end on this thread, in no real time.
    ///
    /// # Panics
    ///
    /// When the future waits for something that is neither this clock nor woken by anything: it would wait forever.
    #[expect(clippy::panic, reason = "the alternative is a test that hangs")]
    pub fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        loop {
            if woken.0.swap(false, Ordering::AcqRel) {
                if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return output;
                }
            } else if !self.advance_to_next() {
                panic!("the future waits for something that will never happen: nobody sleeps and nobody woke it");
            }
        }
    }
}

impl fmt::Debug for VirtualClock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timers = lock(&self.shared);
        out.debug_struct("VirtualClock").field("now", &timers.now).field("sleepers", &timers.sleepers.len()).finish()
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl Clock for VirtualClock {
    type Sleep = VirtualSleep;

    fn now(&self) -> Moment {
        lock(&self.shared).now
    }

    fn sleep_until(&self, moment: Moment) -> VirtualSleep {
        VirtualSleep { clock: self.clone(), moment, id: None }
    }
}

/// A sleep on a [`VirtualClock`].
#[derive(Debug)]
pub struct VirtualSleep {
    clock: VirtualClock,
    moment: Moment,
    /// The key among the sleepers, once polled.
    id: Option<u64>,
}

impl Future for VirtualSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let shared = Arc::clone(&self.clock.shared);
        let mut timers = lock(&shared);
        if timers.now >= self.moment {
            return Poll::Ready(());
        }
        let id = *self.id.get_or_insert_with(|| {
            timers.next_id += 1;
            timers.next_id
        });
        timers.sleepers.insert((self.moment, id), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for VirtualSleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            lock(&self.clock.shared).sleepers.remove(&(self.moment, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_saturate_instead_of_panicking() {
        assert_eq!(Moment::NEVER + Duration::from_secs(1), Moment::NEVER);
        assert_eq!(Moment::ZERO - Duration::from_secs(1), Moment::ZERO);
        assert_eq!(Moment::ZERO.since(Moment::NEVER), Duration::ZERO);
        assert_eq!(Moment::from_millis(7).as_millis(), 7);
    }

    #[test]
    fn sleepers_wake_in_the_order_of_their_moments() {
        let clock = VirtualClock::new();
        let order = Mutex::new(Vec::new());
        clock.run(async {
            let sleep = |millis| {
                let (clock, order) = (&clock, &order);
                async move {
                    clock.sleep_until(Moment::from_millis(millis)).await;
                    lock(order).push(clock.now().as_millis());
                }
            };
            let (mut a, mut b) = (Box::pin(sleep(20)), Box::pin(sleep(10)));
            let (mut a_done, mut b_done) = (false, false);
            std::future::poll_fn(|context| {
                a_done = a_done || a.as_mut().poll(context).is_ready();
                b_done = b_done || b.as_mut().poll(context).is_ready();
                if a_done && b_done { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        });
        assert_eq!(*lock(&order), [10, 20]);
        assert_eq!(clock.sleepers(), 0);
    }

    #[test]
    fn a_dropped_sleep_leaves_no_sleeper() {
        let clock = VirtualClock::new();
        let mut sleep = Box::pin(clock.sleep_until(Moment::from_millis(5)));
        assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(clock.sleepers(), 1);
        drop(sleep);
        assert_eq!(clock.sleepers(), 0);
    }

    #[test]
    #[should_panic(expected = "will never happen")]
    fn waiting_for_nothing_is_noticed() {
        VirtualClock::new().run(std::future::pending::<()>());
    }

    #[cfg(feature = "tokio")]
    #[tokio::test(start_paused = true)]
    async fn the_tokio_clock_follows_a_stopped_runtime() {
        let clock = TokioClock;
        let start = clock.now();
        clock.sleep_until(start + Duration::from_secs(60)).await;
        assert_eq!(clock.now().since(start), Duration::from_secs(60));
    }
}
