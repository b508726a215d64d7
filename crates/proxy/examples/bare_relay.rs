//! The barest relays there are, to compare ours with: one thread, one epoll instance, nothing but carrying.
//!
//! `bare_relay copy|splice LISTEN UPSTREAM`; ends when it is killed.
//!
//! `copy` reads into a buffer and writes it, which is cheapest for small messages; `splice` moves pages through a pipe,
//! which is fastest for many bytes. Neither does anything about errors beyond closing.

use std::{
    error::Error,
    net::{TcpListener, TcpStream},
    os::fd::{AsRawFd, OwnedFd},
};

use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, EventData, EventFlags},
    io::Errno,
    pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice},
};

/// As large as an ordinary user gets them.
const PIPE: usize = 1 << 20;

/// A socket, and where what it says goes.
struct End {
    socket: TcpStream,
    /// Number of the other end.
    other: usize,
    /// What has been read and not been written.
    left: Vec<u8>,
    pipe: Option<(OwnedFd, OwnedFd)>,
    in_pipe: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [way, listen, upstream] = arguments.as_slice() else {
        return Err("usage: bare_relay copy|splice LISTEN UPSTREAM".into());
    };
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(0), EventFlags::IN)?;
    let mut ends: Vec<Option<End>> = Vec::new();
    let mut events = Vec::with_capacity(256);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        for event in &events {
            let number = usize::try_from(event.data.u64())?;
            if number == 0 {
                let (client, _) = listener.accept()?;
                if let Ok(upstream) = TcpStream::connect(upstream) {
                    open(&epoll, &mut ends, client, upstream, way == "splice")?;
                }
            } else {
                carry(&mut ends, number, &mut buffer);
                // There may be room for what did not fit in before.
                if let Some(other) = ends[number].as_ref().map(|end| end.other)
                    && ends[other].as_ref().is_some_and(|end| !end.left.is_empty() || end.in_pipe > 0)
                {
                    carry(&mut ends, other, &mut buffer);
                }
            }
        }
    }
}

fn open(
    epoll: &OwnedFd,
    ends: &mut Vec<Option<End>>,
    client: TcpStream,
    upstream: TcpStream,
    splices: bool,
) -> Result<(), Box<dyn Error>> {
    // Descriptors 0 to 2 are the standard streams: no socket's number is 0.
    let numbers = [usize::try_from(client.as_raw_fd())?, usize::try_from(upstream.as_raw_fd())?];
    ends.resize_with(ends.len().max(numbers[0].max(numbers[1]) + 1), || None);
    for (socket, number, other) in [(client, numbers[0], numbers[1]), (upstream, numbers[1], numbers[0])] {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(epoll, &socket, EventData::new_u64(u64::try_from(number)?), flags)?;
        let pipe = if splices { Some(pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?) } else { None };
        if let Some((_, into)) = &pipe {
            fcntl_setpipe_size(into, PIPE)?;
        }
        ends[number] = Some(End { socket, other, left: Vec::new(), pipe, in_pipe: 0 });
    }
    Ok(())
}

/// Carries what there is, or closes the connection when it is over.
fn carry(ends: &mut [Option<End>], number: usize, buffer: &mut [u8]) {
    let Some(mut source) = ends[number].take() else { return };
    let other = source.other;
    let goes_on = ends[other].as_ref().is_some_and(|sink| {
        if source.pipe.is_some() {
            move_pages(&mut source, &sink.socket)
        } else {
            copy(&mut source, &sink.socket, buffer)
        }
    });
    if goes_on {
        ends[number] = Some(source);
    } else {
        ends[other] = None;
    }
}

fn copy(source: &mut End, sink: &TcpStream, buffer: &mut [u8]) -> bool {
    loop {
        while !source.left.is_empty() {
            match rustix::io::write(sink, &source.left) {
                Ok(count) => drop(source.left.drain(..count)),
                Err(errno) => return errno == Errno::AGAIN,
            }
        }
        match rustix::io::read(&source.socket, &mut *buffer) {
            Ok(0) => return false,
            Ok(count) => {
                let written = rustix::io::write(sink, &buffer[..count]).unwrap_or(0);
                source.left.extend_from_slice(&buffer[written..count]);
                if written == count && count < buffer.len() {
                    return true;
                }
            }
            Err(errno) => return errno == Errno::AGAIN,
        }
    }
}

fn move_pages(source: &mut End, sink: &TcpStream) -> bool {
    let Some((out, into)) = &source.pipe else { return false };
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    loop {
        while source.in_pipe > 0 {
            match splice(out, None, sink, None, source.in_pipe, flags) {
                Ok(count) => source.in_pipe -= count,
                Err(errno) => return errno == Errno::AGAIN,
            }
        }
        match splice(&source.socket, None, into, None, PIPE, flags) {
            Ok(0) => return false,
            Ok(count) => source.in_pipe = count,
            Err(errno) => return errno == Errno::AGAIN,
        }
    }
}
