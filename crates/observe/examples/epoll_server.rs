//! The barest HTTP responder there is, for measuring load generators: one thread, one epoll instance, one fixed answer.
//!
//! `epoll_server ADDRESS`, for example `epoll_server 127.0.0.1:8080`; ends when it is killed.

use std::{
    collections::HashMap,
    error::Error,
    net::TcpListener,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, EventData, EventFlags},
    io::Errno,
    net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send},
};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("usage: epoll_server ADDRESS")?;
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(0), EventFlags::IN)?;
    let mut connections: HashMap<u64, OwnedFd> = HashMap::new();
    let mut events = Vec::with_capacity(256);
    let mut buffer = [0_u8; 16 * 1024];
    loop {
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        for event in &events {
            let token = event.data.u64();
            if token == 0 {
                while let Ok(socket) = accept_with(&listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                    // Descriptors 0 to 2 are the standard streams: no connection's token is 0.
                    let token = u64::try_from(socket.as_raw_fd())?;
                    epoll::add(&epoll, &socket, EventData::new_u64(token), EventFlags::IN)?;
                    connections.insert(token, socket);
                }
            } else if let Some(socket) = connections.get(&token)
                && !answer(socket, &mut buffer)
            {
                connections.remove(&token);
            }
        }
    }
}

/// Answers what has come; `false` when the connection is over.
fn answer(socket: impl AsFd, buffer: &mut [u8]) -> bool {
    match recv(&socket, &mut *buffer, RecvFlags::empty()) {
        Ok((0, _)) => false,
        Ok((length, _)) => {
            let close = buffer[..length].windows(17).any(|part| part == b"Connection: close");
            let requests = buffer[..length].windows(4).filter(|part| part == b"\r\n\r\n").count();
            (0..requests).all(|_| send(&socket, ANSWER, SendFlags::NOSIGNAL).is_ok()) && !close
        }
        Err(errno) => errno == Errno::AGAIN,
    }
}
