//! Timeout: waiting so long and no longer.
//!
//! A call has up to three limits: the pipeline's *overall* timeout on the call with all its attempts and pauses, its
//! *attempt* timeout on each attempt, and the deadline in the caller's [`Context`](crate::Context), which counts like an
//! overall timeout and is handed on to what the attempt calls ([deadline propagation][sre], *Site Reliability
//! Engineering*, chapter 22). The nearest wins, with a single timer.
//!
//! [sre]: https://sre.google/sre-book/addressing-cascading-failures/

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
};

use crate::clock::{Clock, Moment};

/// The future's output, or nothing if the clock reached the deadline first.
///
/// The future is asked first: what is there at the deadline is not thrown away. No timer is made for a future that is
/// ready when first asked.
pub(crate) async fn limited<C: Clock, F: Future>(
    clock: &C,
    deadline: Option<Moment>,
    mut future: Pin<&mut F>,
) -> Option<F::Output> {
    let Some(deadline) = deadline else { return Some(future.await) };
    let mut sleep = pin!(None::<C::Sleep>);
    poll_fn(move |context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        if sleep.is_none() {
            sleep.set(Some(clock.sleep_until(deadline)));
        }
        match sleep.as_mut().as_pin_mut() {
            Some(sleep) => sleep.poll(context).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}

/// The nearer of two deadlines that may not be there.
pub(crate) fn nearer(a: Option<Moment>, b: Option<Moment>) -> Option<Moment> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::VirtualClock;

    fn take(millis: u64, limit: u64) -> Option<u64> {
        let clock = VirtualClock::new();
        clock.run(async {
            let work = pin!(async {
                clock.sleep_until(Moment::from_millis(millis)).await;
                millis
            });
            limited(&clock, Some(Moment::ZERO + Duration::from_millis(limit)), work).await
        })
    }

    #[test]
    fn what_comes_before_the_deadline_is_kept_and_what_comes_after_is_not() {
        assert_eq!(take(9, 10), Some(9));
        assert_eq!(take(11, 10), None);
    }

    #[test]
    fn what_comes_at_the_deadline_is_kept() {
        assert_eq!(take(10, 10), Some(10));
    }

    #[test]
    fn a_ready_future_needs_no_timer() {
        let clock = VirtualClock::new();
        let ready = clock.run(async { limited(&clock, Some(Moment::ZERO), pin!(std::future::ready(1))).await });
        assert_eq!(ready, Some(1));
    }
}
