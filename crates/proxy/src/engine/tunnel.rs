//! A pipe through which bytes go from socket to socket without being copied into this process.

use std::{io, os::fd::OwnedFd};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use super::side::{Done, Side};

/// What a pipe is asked to hold. As fast, measured beside each other, as the 1 MiB that is the most a user gets by default: while one
/// end is filled the peer of the other reads. And 512 such pipes fit into a user's share (`fs.pipe-user-pages-soft`).
const SIZE: usize = 128 * 1024;

/// A pipe, empty or with bytes that are on their way.
#[derive(Debug)]
pub(super) struct Tunnel {
    out: OwnedFd,
    into: OwnedFd,
    held: usize,
}

impl Tunnel {
    pub(super) fn new() -> io::Result<Self> {
        let (out, into) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
        // A smaller one does, too: beyond a user's share (`fs.pipe-user-pages-soft`) the kernel refuses.
        let _size = fcntl_setpipe_size(&into, SIZE);
        Ok(Self { out, into, held: 0 })
    }

    /// Bytes that are on their way.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// Moves in what there is to read. To be called when it is empty: only then does `Blocked` mean that there is nothing.
    pub(super) fn fill(&mut self, source: &mut Side) -> Done {
        let done = Done::of(splice(&*source, None, &self.into, None, SIZE, FLAGS));
        // A full pipe looks like a short read: only a socket that says so has nothing left.
        source.has_read(&done, if let Done::Bytes(count) = done { count } else { SIZE });
        if let Done::Bytes(count) = done {
            self.held += count;
        }
        done
    }

    /// Moves out as much as there is room for.
    pub(super) fn empty(&mut self, sink: &mut Side) -> Done {
        let done = Done::of(splice(&self.out, None, &*sink, None, self.held, FLAGS));
        match done {
            // Part of it says nothing of the socket: only one that says so has no more room.
            Done::Bytes(count) => self.held -= count,
            Done::Blocked | Done::Ended | Done::Broken => sink.writable = false,
        }
        done
    }
}

const FLAGS: SpliceFlags = SpliceFlags::NONBLOCK.union(SpliceFlags::MOVE);
