//! The socket between runner and guardian.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    },
};

use super::message::{LONGEST, Message};

/// One end.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

/// What comes out of it.
#[derive(Debug)]
pub(crate) enum Received {
    /// A message, and the descriptors that came with it.
    Message(Message, Vec<OwnedFd>),
    /// Something that is no message.
    Nonsense,
    /// Nothing, now.
    Nothing,
    /// Nothing any more: the other end is closed.
    End,
}

/// Descriptors in one message: those of a hello.
const DESCRIPTORS: usize = 2;

impl Channel {
    /// Both ends. Neither is inherited by children.
    pub(crate) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (one, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self(one), other))
    }

    /// The other end, in the process that was given it.
    pub(crate) const fn of(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    /// Sends a message, without waiting for room.
    pub(crate) fn send(&self, message: &Message, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::Error::other(format!("{} descriptors in a message for {DESCRIPTORS}", descriptors.len())));
        }
        let bytes = message.encode();
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        rustix::io::retry_on_intr(|| sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut control, flags))?;
        Ok(())
    }

    /// Waits for what comes next.
    pub(crate) fn wait(&self) -> io::Result<Received> {
        self.receive(RecvFlags::empty())
    }

    /// Takes what is there.
    pub(crate) fn take(&self) -> io::Result<Received> {
        self.receive(RecvFlags::DONTWAIT)
    }

    fn receive(&self, how: RecvFlags) -> io::Result<Received> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = vec![0; LONGEST];
        let flags = how | RecvFlags::CMSG_CLOEXEC;
        let received = loop {
            match recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags) {
                Err(Errno::INTR) => {}
                other => break other,
            }
        };
        let received = match received {
            Ok(received) => received,
            Err(Errno::AGAIN) => return Ok(Received::Nothing),
            // The other end died with something unread.
            Err(Errno::CONNRESET) => return Ok(Received::End),
            Err(why) => return Err(why.into()),
        };
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        if received.bytes == 0 {
            return Ok(Received::End);
        }
        let whole = !received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
        let message = bytes.get(..received.bytes).filter(|_| whole).and_then(Message::decode);
        Ok(message.map_or(Received::Nonsense, |message| Received::Message(message, descriptors)))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
