//! Netlink: the messages by which a process configures the kernel's network.
//!
//! A [`Message`] is built from a type, flags, a fixed header and attributes; a [`Socket`] sends it and waits for the
//! kernel's answer. Nothing in here knows routes or tables: `link` (NETLINK_ROUTE), `nft` and `nfqueue`
//! (NETLINK_NETFILTER) bring their own numbers.
//!
//! ```no_run
//! use faults::sys::netlink::{Family, Message, Socket, flags};
//!
//! # fn main() -> Result<(), faults::sys::netlink::Error> {
//! // ip link set dev 2 up
//! let mut header = [0u8; 16]; // struct ifinfomsg
//! header[4..8].copy_from_slice(&2i32.to_ne_bytes());
//! header[8..12].copy_from_slice(&1u32.to_ne_bytes()); // IFF_UP
//! header[12..16].copy_from_slice(&1u32.to_ne_bytes());
//! let set_up = Message::new(16 /* RTM_NEWLINK */, flags::REQUEST).header(&header);
//! Socket::open(Family::Route)?.request(set_up)?;
//! # Ok(())
//! # }
//! ```
//!
//! A socket belongs to the network namespace of the thread that opened it, for good: open it inside, use it anywhere.

use std::{
    fmt, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::{
    buffer::spare_capacity,
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink::SocketAddrNetlink},
};

/// Flags of a message (`NLM_F_*`).
pub mod flags {
    /// Every message to the kernel has it.
    pub const REQUEST: u16 = 0x1;
    /// An answer is wanted even when all went well.
    pub const ACK: u16 = 0x4;
    /// All objects of a kind are wanted, not one.
    pub const DUMP: u16 = 0x300;
    /// Replace the object that exists.
    pub const REPLACE: u16 = 0x100;
    /// Fail when the object exists.
    pub const EXCL: u16 = 0x200;
    /// Create the object when it does not exist.
    pub const CREATE: u16 = 0x400;
    /// Add to the end of the list.
    pub const APPEND: u16 = 0x800;
}

/// Which part of the kernel a socket talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Links, addresses, routes, queueing disciplines.
    Route,
    /// nf_tables and packet queues.
    Netfilter,
    /// Other processes' sockets.
    Sockets,
}

/// Why the kernel did not do what a message asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The error number.
    pub errno: Errno,
    /// The kernel's own words, when it gave any (extended acknowledgements).
    pub message: Option<String>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "the kernel answered: {message} ({})", self.errno),
            None => write!(f, "the kernel answered: {}", self.errno),
        }
    }
}

impl std::error::Error for Error {}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self { errno, message: None }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(Self::from(error.errno).kind(), error)
    }
}

/// A message under construction: the netlink header, a fixed header, attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message(Vec<u8>);

/// Length of `struct nlmsghdr`: length (4), type (2), flags (2), sequence number (4), sender (4).
const HEADER: usize = 16;
/// `NLA_F_NESTED`: the attribute's payload is attributes.
const NESTED: u16 = 0x8000;
/// Netlink aligns messages and attributes to four bytes.
const ALIGN: usize = 4;

impl Message {
    /// A message of this type (`RTM_NEWLINK`, ...) with these [`flags`].
    #[must_use]
    pub fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&0u32.to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.resize(HEADER, 0);
        Self(bytes)
    }

    /// Appends the fixed header that messages of this type have before their attributes (`struct ifinfomsg`, ...).
    #[must_use]
    pub fn header(mut self, header: &[u8]) -> Self {
        self.0.extend_from_slice(header);
        self.pad();
        self
    }

    /// Appends an attribute with these bytes.
    ///
    /// # Panics
    ///
    /// When the payload does not fit an attribute (65,531 bytes).
    #[must_use]
    pub fn attribute(mut self, kind: u16, payload: &[u8]) -> Self {
        self.put(kind, payload);
        self
    }

    /// Appends an attribute that is a zero-terminated text.
    #[must_use]
    pub fn string(self, kind: u16, text: &str) -> Self {
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    /// Appends an attribute that is a number in the machine's byte order (NETLINK_ROUTE's way).
    #[must_use]
    pub fn u32(self, kind: u16, value: u32) -> Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// Appends an attribute that is a number in network byte order (NETLINK_NETFILTER's way).
    #[must_use]
    pub fn be32(self, kind: u16, value: u32) -> Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Appends an attribute that holds attributes: those that `fill` appends.
    ///
    /// # Panics
    ///
    /// When they do not fit an attribute (65,531 bytes).
    #[must_use]
    pub fn nested(mut self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let start = self.0.len();
        self.put(kind | NESTED, &[]);
        let mut filled = fill(self);
        let length = u16::try_from(filled.0.len() - start).expect("nested attributes fit 65,531 bytes");
        filled.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        filled
    }

    fn put(&mut self, kind: u16, payload: &[u8]) {
        let length = u16::try_from(payload.len() + 4).expect("an attribute fits 65,531 bytes");
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(payload);
        self.pad();
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(ALIGN), 0);
    }

    /// Fills in length and sequence number, and appends the message to `out`.
    pub(crate) fn seal_into(mut self, sequence: u32, out: &mut Vec<u8>) {
        let length = u32::try_from(self.0.len()).expect("a message fits 4 GiB");
        self.0[0..4].copy_from_slice(&length.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        out.extend_from_slice(&self.0);
    }

    fn add_flags(&mut self, more: u16) {
        let flags = u16::from_ne_bytes([self.0[6], self.0[7]]) | more;
        self.0[6..8].copy_from_slice(&flags.to_ne_bytes());
    }

    fn wants_ack(&self) -> bool {
        u16::from_ne_bytes([self.0[6], self.0[7]]) & flags::ACK != 0
    }
}

/// A message from the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its type.
    pub kind: u16,
    /// What follows the netlink header: the fixed header and the attributes.
    pub body: Vec<u8>,
}

impl Reply {
    /// The attributes behind a fixed header of this many bytes.
    #[must_use]
    pub fn attributes(&self, header: usize) -> Attributes<'_> {
        Attributes::new(self.body.get(header.next_multiple_of(ALIGN)..).unwrap_or_default())
    }
}

/// Walks over attributes: yields their type (without flag bits) and payload; stops at the first malformed one.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// The attributes in these bytes, such as the payload of a nested attribute.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The payload of the first attribute of this type.
    #[must_use]
    pub fn get(mut self, wanted: u16) -> Option<&'a [u8]> {
        self.find(|(kind, _)| *kind == wanted).map(|(_, payload)| payload)
    }

    /// The text of the first attribute of this type.
    #[must_use]
    pub fn text(self, wanted: u16) -> Option<String> {
        let bytes = self.get(wanted)?;
        Some(String::from_utf8_lossy(bytes.strip_suffix(&[0]).unwrap_or(bytes)).into_owned())
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.0;
        let length = usize::from(u16::from_ne_bytes([*bytes.first()?, *bytes.get(1)?]));
        let kind = u16::from_ne_bytes([*bytes.get(2)?, *bytes.get(3)?]) & 0x3fff; // without NLA_F_NESTED and _NET_BYTEORDER
        let payload = bytes.get(4..length)?;
        self.0 = bytes.get(length.next_multiple_of(ALIGN)..).unwrap_or_default();
        Some((kind, payload))
    }
}

/// One message in a buffer from the kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: u16,
    pub(crate) sequence: u32,
    pub(crate) body: &'a [u8],
}

/// Walks over the messages in a buffer from the kernel; stops at the first malformed one.
pub(crate) fn frames(mut bytes: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    std::iter::from_fn(move || {
        let header = bytes.get(..HEADER)?;
        let word = |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let length = usize::try_from(word(0)).ok()?;
        let frame = Frame {
            kind: u16::from_ne_bytes([header[4], header[5]]),
            sequence: word(8),
            body: bytes.get(HEADER..length)?,
        };
        bytes = bytes.get(length.next_multiple_of(ALIGN)..).unwrap_or_default();
        Some(frame)
    })
}

/// `NLMSG_ERROR`: an acknowledgement, or why there is none.
pub(crate) const KIND_ERROR: u16 = 2;
/// `NLMSG_DONE`: the end of a dump.
const KIND_DONE: u16 = 3;
/// How long the kernel may take to answer: it does so within the system call that sends, or something is broken.
const PATIENCE: Duration = Duration::from_secs(5);
/// Large enough for any one datagram of the kernel that has a packet in it, which are up to 64 KiB.
pub(crate) const DATAGRAM: usize = 1 << 17;
/// Large enough for any other: it never sends more than 32 KiB of a dump at once.
const CONTROL: usize = 1 << 15;

/// A netlink socket.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    /// Opens a socket in the network namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// When the kernel has no such netlink family, or no descriptor is free.
    pub fn open(family: Family) -> Result<Self, Error> {
        let protocol = match family {
            Family::Route => None, // NETLINK_ROUTE is protocol 0, the default
            Family::Netfilter => Some(rustix::net::netlink::NETFILTER),
            Family::Sockets => Some(rustix::net::netlink::SOCK_DIAG),
        };
        let fd = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        rustix::net::bind(&fd, &SocketAddrNetlink::new(0, 0))?;
        rustix::net::sockopt::set_socket_timeout(&fd, rustix::net::sockopt::Timeout::Recv, Some(PATIENCE))?;
        // Better messages and shorter acknowledgements; a kernel without them (before 4.12) only says less.
        set_option(fd.as_fd(), libc::NETLINK_EXT_ACK).ok();
        set_option(fd.as_fd(), libc::NETLINK_CAP_ACK).ok();
        Ok(Self { fd, sequence: 0 })
    }

    /// Sends a message and waits until the kernel has carried it out.
    ///
    /// # Errors
    ///
    /// What the kernel says against it.
    pub fn request(&mut self, message: Message) -> Result<(), Error> {
        self.transact(vec![message]).map(drop)
    }

    /// Sends a message and returns what the kernel says to it: the object asked for (`RTM_GETLINK` of one link).
    ///
    /// # Errors
    ///
    /// What the kernel says against it.
    pub fn query(&mut self, message: Message) -> Result<Vec<Reply>, Error> {
        self.transact(vec![message])
    }

    /// Sends messages in one system call and waits until all are carried out. With nf_tables' begin and end messages
    /// around them they are one transaction.
    ///
    /// # Errors
    ///
    /// The first error that the kernel reports; what precedes it may be done, if it is no transaction.
    pub fn batch(&mut self, messages: Vec<Message>) -> Result<(), Error> {
        self.send_all(messages).and_then(|pending| self.collect(pending)).map(drop)
    }

    /// Asks for all objects of a kind.
    ///
    /// # Errors
    ///
    /// What the kernel says against it.
    pub fn dump(&mut self, mut message: Message) -> Result<Vec<Reply>, Error> {
        message.add_flags(flags::REQUEST | flags::DUMP);
        self.sequence = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        message.seal_into(self.sequence, &mut bytes);
        self.send_bytes(&bytes)?;
        let mut replies = Vec::new();
        let mut buffer = Vec::with_capacity(CONTROL);
        loop {
            for frame in frames(self.hear(&mut buffer)?).filter(|frame| frame.sequence == self.sequence) {
                match frame.kind {
                    KIND_DONE => return Ok(replies),
                    KIND_ERROR => return verdict(&frame).map(|()| replies),
                    kind => replies.push(Reply { kind, body: frame.body.to_vec() }),
                }
            }
        }
    }

    fn transact(&mut self, mut messages: Vec<Message>) -> Result<Vec<Reply>, Error> {
        for message in &mut messages {
            message.add_flags(flags::REQUEST | flags::ACK);
        }
        self.send_all(messages).and_then(|pending| self.collect(pending))
    }

    /// Sends messages; returns the sequence numbers that will be acknowledged.
    fn send_all(&mut self, messages: Vec<Message>) -> Result<Vec<u32>, Error> {
        let mut bytes = Vec::new();
        let mut pending = Vec::new();
        for message in messages {
            self.sequence = self.sequence.wrapping_add(1);
            if message.wants_ack() {
                pending.push(self.sequence);
            }
            message.seal_into(self.sequence, &mut bytes);
        }
        self.send_bytes(&bytes)?;
        Ok(pending)
    }

    /// Waits for the acknowledgements of `pending`; the kernel has queued all of them before `send` returned.
    fn collect(&self, mut pending: Vec<u32>) -> Result<Vec<Reply>, Error> {
        let mut replies = Vec::new();
        let mut buffer = Vec::with_capacity(CONTROL);
        let mut outcome = Ok(());
        while !pending.is_empty() {
            // After an error the kernel may have given up on the rest: what it had to say is here already.
            let heard = match (&outcome, self.hear(&mut buffer)) {
                (_, Ok(heard)) => heard,
                (Ok(()), Err(errno)) => return Err(errno.into()),
                (Err(_), Err(_)) => break,
            };
            for frame in frames(heard) {
                if frame.kind == KIND_ERROR {
                    pending.retain(|sequence| *sequence != frame.sequence);
                    let said = verdict(&frame);
                    if said.is_err() && outcome.is_ok() {
                        outcome = said;
                        rustix::io::ioctl_fionbio(&self.fd, true)?;
                    }
                } else if pending.contains(&frame.sequence) {
                    replies.push(Reply { kind: frame.kind, body: frame.body.to_vec() });
                }
            }
        }
        if outcome.is_err() {
            rustix::io::ioctl_fionbio(&self.fd, false)?;
        }
        outcome.map(|()| replies)
    }

    pub(crate) fn send_bytes(&self, bytes: &[u8]) -> Result<(), Errno> {
        rustix::io::retry_on_intr(|| rustix::net::send(&self.fd, bytes, SendFlags::empty())).map(drop)
    }

    /// Receives one datagram into a buffer's room, which is not cleared first: that would take longer than the rest.
    fn hear<'a>(&self, buffer: &'a mut Vec<u8>) -> Result<&'a [u8], Errno> {
        rustix::io::retry_on_intr(|| {
            buffer.clear();
            rustix::net::recv(&self.fd, spare_capacity(buffer), RecvFlags::empty()).map(drop)
        })?;
        Ok(buffer)
    }

    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        rustix::io::retry_on_intr(|| {
            rustix::net::recv(&self.fd, &mut *buffer, RecvFlags::empty()).map(|(length, _)| length)
        })
    }

    /// Makes receiving return at once when nothing is there.
    pub(crate) fn set_nonblocking(&self) -> Result<(), Errno> {
        rustix::io::ioctl_fionbio(&self.fd, true)
    }

    /// Sets one of the socket's own switches (`NETLINK_NO_ENOBUFS`, ...).
    pub(crate) fn enable(&self, option: i32) -> Result<(), Errno> {
        set_option(self.fd.as_fd(), option)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Reads an acknowledgement: `struct nlmsgerr` and, behind it, the kernel's words.
pub(crate) fn verdict(frame: &Frame<'_>) -> Result<(), Error> {
    let Some(code) = frame.body.first_chunk::<4>() else { return Err(Errno::BADMSG.into()) };
    let code = i32::from_ne_bytes(*code);
    if code == 0 {
        return Ok(());
    }
    // NETLINK_CAP_ACK: only the header of our message comes back, then the attributes. NLMSGERR_ATTR_MSG is 1.
    let message = frame.body.get(4 + HEADER..).and_then(|rest| Attributes::new(rest).text(1));
    Err(Error { errno: Errno::from_raw_os_error(-code), message })
}

fn set_option(fd: BorrowedFd<'_>, option: i32) -> Result<(), Errno> {
    const INT: libc::socklen_t = 4;
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open for the length of the borrow, and the kernel reads one int, of four bytes, from `on`.
    let result =
        unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_NETLINK, option, std::ptr::from_ref(&on).cast(), INT) };
    if result == 0 { Ok(()) } else { Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn asks_the_kernel_for_the_loopback_link() {
        let mut socket = Socket::open(Family::Route).unwrap();
        // RTM_GETLINK, struct ifinfomsg of zeros; IFLA_IFNAME is 3.
        let links = socket.dump(Message::new(18, 0).header(&[0; 16])).unwrap();
        assert!(links.iter().any(|link| link.attributes(16).text(3).as_deref() == Some("lo")));
    }

    #[test]
    fn an_error_carries_the_number_and_leaves_the_socket_usable() {
        let mut socket = Socket::open(Family::Route).unwrap();
        let mut header = [0; 16];
        header[4..8].copy_from_slice(&i32::MAX.to_ne_bytes());
        for _ in 0..2 {
            let error = socket.query(Message::new(18, 0).header(&header)).unwrap_err();
            assert_eq!(error.errno, Errno::NODEV);
        }
        assert!(!socket.dump(Message::new(18, 0).header(&[0; 16])).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn what_is_built_reads_back(attributes in proptest::collection::vec((1u16..0x3fff, proptest::collection::vec(any::<u8>(), 0..40)), 0..10)) {
            let mut message = Message::new(7, 0).header(&[1, 2, 3, 4]);
            for (kind, payload) in &attributes {
                message = message.attribute(*kind, payload);
            }
            let mut bytes = Vec::new();
            message.seal_into(9, &mut bytes);
            let frame = frames(&bytes).next().unwrap();
            prop_assert_eq!((frame.kind, frame.sequence), (7, 9));
            let read: Vec<_> = Attributes::new(&frame.body[4..]).map(|(kind, payload)| (kind, payload.to_vec())).collect();
            prop_assert_eq!(read, attributes);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for frame in frames(&bytes) {
                drop(verdict(&frame));
                Attributes::new(frame.body).for_each(drop);
            }
        }
    }
}
