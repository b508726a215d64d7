//! Toxics: what a relay does to the bytes it carries. The kinds, their attributes and what they do are Toxiproxy's; where
//! it and this differ, the kind says so.

use std::time::Duration;

/// What is done to the bytes of one stream of a connection.
///
/// All of them keep bytes in order, and none makes up a byte. Only [`Timeout`](Self::Timeout), [`LimitData`](Self::LimitData)
/// and [`ResetPeer`](Self::ResetPeer) ever lose one, each because that is what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toxic {
    /// Bytes arrive later. Each read from the source is delayed as a whole, by `latency` give or take up to `jitter`, evenly
    /// distributed and never less than nothing; what comes after it never overtakes it. What several toxics do adds up: in
    /// Toxiproxy the time that bytes have waited in other toxics counts as part of the delay.
    ///
    /// The end of a stream is not delayed (but never overtakes bytes).
    Latency {
        /// In Toxiproxy milliseconds.
        latency: Duration,
        /// In Toxiproxy milliseconds.
        jitter: Duration,
    },
    /// Bytes pass at this rate; what comes faster waits, and then its sender. There is no credit for time in which nothing
    /// was sent. At 0 nothing passes until that changes or the toxic is removed.
    Bandwidth {
        /// Bytes per second. Toxiproxy's `rate` counts units of 1000.
        bytes_per_second: u64,
    },
    /// Bytes pass; the end of the stream is delayed.
    SlowClose {
        /// In Toxiproxy milliseconds.
        delay: Duration,
    },
    /// Bytes are thrown away. When none have come for so long, the connection is closed. Removing the toxic closes the connection,
    /// too: after what it has missed it could not go on.
    Timeout {
        /// In Toxiproxy milliseconds; zero waits forever.
        timeout: Duration,
    },
    /// So long after the first bytes (or the end) of the stream come, the connection is reset, and none of them has
    /// passed. When the toxic is removed before that, they pass. (Toxiproxy resets the connection even then.)
    ResetPeer {
        /// In Toxiproxy milliseconds; zero resets at once.
        timeout: Duration,
    },
    /// Bytes arrive in small pieces, each written by itself. What was read at one time is halved, give or take `size_variation`
    /// bytes, until no piece has more than `average_size` and `size_variation` together.
    Slicer {
        /// Bytes. Zero counts as one. (Toxiproxy never comes to an end of slicing with it.)
        average_size: u64,
        /// Bytes. As much as `average_size` or more counts as one byte less than that: no piece is empty.
        size_variation: u64,
        /// Waited after each piece. In Toxiproxy microseconds.
        delay: Duration,
    },
    /// The connection is closed as soon as so many bytes have passed. Bytes are counted for each connection from when the
    /// toxic was added to it, and go on being counted when its attributes change. With 0 the first byte closes the connection and does not
    /// pass.
    LimitData {
        /// Bytes.
        bytes: u64,
    },
    /// Bytes pass. For clients that keep a toxic's place while it is switched off.
    Noop,
}

/// One of the two streams of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// From the client to the upstream.
    Upstream,
    /// From the upstream to the client.
    Downstream,
}

impl Stream {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Upstream, Self::Downstream];
}

/// A toxic as it is put on the connections of a relay.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// Tells it from others of the same relay. A toxic with a name that was there before is the same one, changed: what it
    /// remembers of a connection it keeps.
    pub name: String,
    /// What it does.
    pub toxic: Toxic,
    /// To which stream.
    pub stream: Stream,
    /// The share of connections that it concerns, from 0 to 1. Chance decides for each connection once, when the connection
    /// begins or the toxic is added; changing the share later keeps the decisions that it allows to be kept.
    pub toxicity: f64,
}
