//! NFQUEUE: packets that wait for a verdict from user space.

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::atomic::{AtomicU16, Ordering},
};

use rustix::io::Errno;

use super::netlink::{Attributes, DATAGRAM, Error, Family, Message, Socket, flags, frames};

/// A queue to which rules hand packets. Dropping it lets them all pass, but drops those that it holds.
#[derive(Debug)]
pub struct Queue {
    socket: Socket,
    number: u16,
    buffer: Vec<u8>,
    verdicts: Vec<u8>,
    pending: usize,
}

/// A packet that waits.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Its number within the queue.
    pub id: u32,
    /// Its first bytes, from the network header on: at most [`COPIED`], unless the queue was opened for all.
    pub head: &'a [u8],
    /// Its length, which may be larger.
    pub length: u32,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It is dropped.
    Drop,
    /// It goes on to the next hook.
    Accept,
    /// So does this in its place, from the network header on. Its checksums are verified by whoever receives it.
    Replace(&'a [u8]),
}

/// How packets come to a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode {
    /// What the sender handed over in one piece is one packet, which costs a tenth; otherwise each is what would be on the
    /// wire, so that losing one loses 1.5 kB, not 64.
    pub whole_segments: bool,
    /// All of each packet is copied to us; otherwise its first [`COPIED`] bytes.
    pub all_bytes: bool,
}

/// How much of each packet is copied to us if not all: the headers, of IPv6 too.
pub const COPIED: u32 = 128;
/// The most that an attribute holds.
const ALL: u32 = 65_531;

/// How many packets may wait: 200,000 are 100 Mbit/s of small packets for a second; the default of 1,024 loses half of 20,000
/// packets a second at 100 ms.
const LONGEST: u32 = 200_000;
/// Room for packets that arrive while we sleep; without it bursts are lost in the socket.
const ROOM: usize = 16 << 20;
/// Verdicts are sent in one system call up to this many bytes (32 each).
const BATCH: usize = 16 << 10;

/// `NFNL_SUBSYS_QUEUE`, in the upper byte of a message's type.
const SUBSYSTEM: u16 = 3;
const MESSAGE_VERDICT: u16 = SUBSYSTEM << 8 | 1;
const MESSAGE_CONFIG: u16 = SUBSYSTEM << 8 | 2;
const COMMAND_BIND: u8 = 1;
const COMMAND_UNBIND: u8 = 2;
/// `NFQA_CFG_F_GSO`: packets come as the sender's socket made them, up to 64 KiB at once.
const WHOLE_SEGMENTS: u32 = 4;

impl Queue {
    /// Opens a queue that nobody else has, in the network namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_NET_ADMIN` there; when the kernel has no queues; when all 32,768 that we use are taken.
    pub fn open(mode: Mode) -> Result<Self, Error> {
        let mut socket = Socket::open(Family::Netfilter)?;
        let mut number = next_guess();
        // A queue belongs to the socket that binds it first; to others it is `EPERM`, as is having no right at all.
        while let Err(error) = socket.request(command(number, COMMAND_BIND)) {
            let taken = queues().unwrap_or_default();
            if !taken.contains(&number) || taken.len() > usize::from(u16::MAX / 2) {
                return Err(error);
            }
            number = next_guess();
        }
        let mut parameters = if mode.all_bytes { ALL } else { COPIED }.to_be_bytes().to_vec();
        parameters.push(2); // NFQNL_COPY_PACKET
        let flags = if mode.whole_segments { WHOLE_SEGMENTS } else { 0 };
        socket.request(
            config(number).attribute(2, &parameters).be32(3, LONGEST).be32(4, WHOLE_SEGMENTS).be32(5, flags),
        )?;
        // Root may exceed the limit of the machine; others take what they get.
        rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, ROOM)
            .or_else(|_| rustix::net::sockopt::set_socket_recv_buffer_size(&socket, ROOM))?;
        // A burst that does not fit is lost silently; an error here would not bring it back.
        socket.enable(libc::NETLINK_NO_ENOBUFS)?;
        socket.set_nonblocking()?;
        Ok(Self { socket, number, buffer: vec![0; DATAGRAM], verdicts: Vec::with_capacity(BATCH + 64), pending: 0 })
    }

    /// The number by which rules name it.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// Takes the packets that have arrived, one datagram of them. `false`: nothing is there.
    ///
    /// # Errors
    ///
    /// When the socket is broken.
    pub fn receive(&mut self, mut each: impl FnMut(Packet<'_>)) -> Result<bool, Errno> {
        let length = match self.socket.receive(&mut self.buffer) {
            Ok(length) => length,
            Err(Errno::AGAIN) => return Ok(false),
            Err(Errno::NOBUFS) => return Ok(true),
            Err(why) => return Err(why),
        };
        frames(&self.buffer[..length])
            .filter(|frame| frame.kind == SUBSYSTEM << 8)
            .filter_map(|frame| packet(frame.body))
            .for_each(&mut each);
        Ok(true)
    }

    /// Says what becomes of a packet, at the latest with the next [`flush`](Self::flush).
    ///
    /// # Errors
    ///
    /// When the socket is broken.
    pub fn decide(&mut self, id: u32, verdict: Verdict<'_>) -> Result<(), Errno> {
        let (number, replacement) = match verdict {
            Verdict::Drop => (0u32, None),
            Verdict::Accept => (1, None),
            Verdict::Replace(bytes) => (1, Some(bytes)),
        };
        let mut header = [0; 8];
        header[..4].copy_from_slice(&number.to_be_bytes());
        header[4..].copy_from_slice(&id.to_be_bytes());
        let message = message(MESSAGE_VERDICT, self.number, 0).attribute(2, &header);
        let message = match replacement {
            Some(bytes) => message.attribute(10, bytes),
            None => message,
        };
        message.seal_into(0, &mut self.verdicts);
        self.pending += 1;
        if self.verdicts.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    /// Sends the verdicts that wait. A packet that is not there any more (the kernel flushed it) is passed over.
    ///
    /// # Errors
    ///
    /// When the socket is broken.
    pub fn flush(&mut self) -> Result<(), Errno> {
        if self.pending == 0 {
            return Ok(());
        }
        let sent = self.socket.send_bytes(&self.verdicts);
        self.verdicts.clear();
        self.pending = 0;
        sent
    }

    /// Gives the queue back. Nothing may be held: the kernel drops it.
    ///
    /// Dropping what is left of it, its socket, may take many milliseconds: whenever a netfilter socket closes, the kernel waits for
    /// its readers to be done with rules that were removed lately, and who changes rules in the namespace waits meanwhile.
    ///
    /// # Errors
    ///
    /// What the kernel says against it.
    pub fn unbind(&mut self) -> Result<(), Error> {
        self.socket.request(command(self.number, COMMAND_UNBIND))
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The queues of the network namespace of the calling thread, by number.
///
/// # Errors
///
/// When the kernel has none.
pub fn queues() -> std::io::Result<Vec<u16>> {
    let text = std::fs::read_to_string("/proc/thread-self/net/netfilter/nfnetlink_queue")?;
    Ok(text.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect())
}

/// A number that may well be free: other programs use low ones, two processes of ours begin at different ones, and one process takes
/// another each time, whatever the namespace.
fn next_guess() -> u16 {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let [low, high, ..] = std::process::id().to_le_bytes();
    u16::from_le_bytes([low, high]).wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) | 0x8000
}

fn packet(body: &[u8]) -> Option<Packet<'_>> {
    let attributes = Attributes::new(body.get(4..)?);
    let mut packet = Packet { id: u32::from_be_bytes(*attributes.get(1)?.first_chunk()?), head: &[], length: 0 };
    if let Some(head) = attributes.get(10) {
        packet.head = head;
        packet.length = u32::try_from(head.len()).ok()?;
    }
    // Only there when the packet is longer than what was copied.
    if let Some(length) = attributes.get(13).and_then(<[u8]>::first_chunk) {
        packet.length = u32::from_be_bytes(*length);
    }
    Some(packet)
}

fn message(kind: u16, queue: u16, flags: u16) -> Message {
    // struct nfgenmsg: any family, version 0, the queue.
    let [high, low] = queue.to_be_bytes();
    Message::new(kind, flags | flags::REQUEST).header(&[0, 0, high, low])
}

fn config(queue: u16) -> Message {
    message(MESSAGE_CONFIG, queue, flags::ACK)
}

fn command(queue: u16, command: u8) -> Message {
    // struct nfqnl_msg_config_cmd: command, padding, family (not looked at since Linux 3.8).
    config(queue).attribute(1, &[command, 0, 0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::namespace::NetworkNamespace;

    #[test]
    fn two_queues_of_a_namespace_have_two_numbers_and_are_given_back() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        NetworkNamespace::create()
            .unwrap()
            .run(|| {
                let whole = |whole_segments| Queue::open(Mode { whole_segments, all_bytes: false });
                let (first, mut second) = (whole(true).unwrap(), whole(false).unwrap());
                assert_ne!(first.number(), second.number());
                assert_eq!(queues().unwrap().len(), 2);
                second.unbind().unwrap();
                assert_eq!(queues().unwrap(), [first.number()]);
                drop(first);
                assert!(queues().unwrap().is_empty());
                Ok(())
            })
            .unwrap();
    }
}
