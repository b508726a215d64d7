//! The body of a balancer's response: a target's, passed on as it comes, or a line of its own.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::target::InFlight;
use crate::upstream::Lease;

/// The body of a response to a client.
#[derive(Debug)]
pub(super) enum Answer {
    /// The balancer's own words.
    Own(Option<Bytes>),
    /// A target's body.
    Passed(Passed),
}

impl Answer {
    pub(super) const fn text(text: &'static str) -> Self {
        Self::Own(Some(Bytes::from_static(text.as_bytes())))
    }

    /// A target's body; it is given up when nothing of it comes for as long as `patience`.
    pub(super) fn passing(body: Incoming, passing: Passing, patience: Duration) -> Self {
        Self::Passed(Passed { body, passing: Some(passing), patience, stalled: None, waiting: false })
    }
}

/// What a response holds on to until its body has passed.
#[derive(Debug)]
pub(super) struct Passing {
    lease: Lease,
    _in_flight: InFlight,
}

impl Passing {
    pub(super) const fn lent(lease: Lease, in_flight: InFlight) -> Self {
        Self { lease, _in_flight: in_flight }
    }
}

/// A target's body on its way to a client.
#[derive(Debug)]
pub(super) struct Passed {
    body: Incoming,
    passing: Option<Passing>,
    patience: Duration,
    /// Made only when the body keeps the client waiting: most never do.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Whether the client has asked for more than there is.
    waiting: bool,
}

impl Passed {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            let until = Instant::now() + self.patience;
            let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep_until(until)));
            if !self.waiting {
                // Only now does the client wait for the target: a client that is slow itself costs the target no patience.
                stalled.as_mut().reset(until);
                self.waiting = true;
            }
            ready!(stalled.as_mut().poll(context));
            let error = io::Error::new(io::ErrorKind::TimedOut, "the target stopped in the middle of its response");
            return Poll::Ready(Some(Err(error)));
        };
        self.waiting = false;
        if frame.is_none() {
            self.finish();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)))
    }

    fn finish(&mut self) {
        if let Some(passing) = self.passing.take() {
            passing.lease.finish();
        }
    }
}

impl Drop for Passed {
    /// A body of known length is not polled past its last byte, so that its end shows only here. One that is dropped before
    /// its end takes its connection along.
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            self.finish();
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Own(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Passed(passed) => passed.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(text) => text.is_none(),
            Self::Passed(passed) => passed.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(text) => SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64),
            Self::Passed(passed) => passed.body.size_hint(),
        }
    }
}
