//! Reading HTTP/1.1 responses: a state machine that is fed bytes as they come, whoever brings them.

use std::mem::MaybeUninit;

/// Longest head of a response, in bytes: twice what common servers allow.
const LONGEST_HEAD: usize = 64 * 1024;
/// Most headers of a response; common servers and browsers stop at about 100.
const MOST_HEADERS: usize = 128;
/// Most bytes of chunk extensions and trailers, which nobody needs.
const MOST_PADDING: usize = 16 * 1024;

/// Reads one response at a time.
#[derive(Debug, Default)]
pub(crate) struct ResponseReader {
    state: State,
    /// A head of which only a part has come.
    head: Vec<u8>,
    status: u16,
    persistent: bool,
    to_head: bool,
    padding: usize,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    #[default]
    Head,
    Body {
        left: u64,
    },
    Chunks(Chunk),
    UntilClose,
}

/// Where in a chunked body the next byte lies (RFC 9112, 7.1).
#[derive(Debug, Clone, Copy)]
enum Chunk {
    /// In the size; whether there has been a digit.
    Size {
        size: u64,
        digits: u8,
    },
    /// In an extension after the size.
    Extension {
        size: u64,
    },
    /// At the line feed after the size.
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    /// At the carriage return after the data.
    DataEnd,
    /// At the line feed after the data.
    DataEndFeed,
    /// At the beginning of a trailer line, or of the empty line that ends the body.
    TrailerStart,
    Trailer,
    TrailerEnd,
    /// At the very last line feed.
    End,
}

/// How far the reader got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All bytes were taken; there is more to come.
    More,
    /// The response is complete.
    Complete {
        /// How many of the bytes belonged to it.
        used: usize,
    },
}

/// The bytes are not a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an HTTP/1.1 response: {0}")]
pub(crate) struct Malformed(&'static str);

impl ResponseReader {
    /// Expects a new response. One to a HEAD request has no body, whatever its head says.
    pub(crate) fn begin(&mut self, to_head: bool) {
        self.state = State::Head;
        self.head.clear();
        self.to_head = to_head;
        self.padding = 0;
    }

    /// The status of a complete response.
    pub(crate) const fn status(&self) -> u16 {
        self.status
    }

    /// Whether the connection can be used again after a complete response.
    pub(crate) const fn is_persistent(&self) -> bool {
        self.persistent
    }

    /// Takes bytes; those of the body go to `body`.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut body: impl FnMut(&[u8])) -> Result<Progress, Malformed> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            match self.state {
                State::Head => match self.feed_head(rest)? {
                    Some((length, complete)) => {
                        used += length;
                        if complete {
                            return Ok(Progress::Complete { used });
                        }
                    }
                    None => return Ok(Progress::More),
                },
                State::Body { left } => {
                    let take = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    body(&rest[..take]);
                    used += take;
                    let left = left - take as u64;
                    if left == 0 {
                        return Ok(Progress::Complete { used });
                    }
                    self.state = State::Body { left };
                    return Ok(Progress::More);
                }
                State::UntilClose => {
                    body(rest);
                    return Ok(Progress::More);
                }
                State::Chunks(mut chunk) => {
                    let (length, complete) = self.feed_chunks(&mut chunk, rest, &mut body)?;
                    self.state = State::Chunks(chunk);
                    used += length;
                    return Ok(if complete { Progress::Complete { used } } else { Progress::More });
                }
            }
        }
    }

    /// The connection was closed: that completes a response whose length is not given, and is a fault otherwise.
    pub(crate) const fn is_complete_at_close(&self) -> bool {
        matches!(self.state, State::UntilClose)
    }

    /// Whether any byte of the present response has come.
    pub(crate) const fn has_begun(&self) -> bool {
        !matches!(self.state, State::Head) || !self.head.is_empty()
    }

    /// How many bytes belonged to the head, and whether the response is complete with it; `None` when more must come.
    fn feed_head(&mut self, bytes: &[u8]) -> Result<Option<(usize, bool)>, Malformed> {
        // Nearly always the whole head comes at once and is read where it lies.
        if self.head.is_empty() {
            return match parse_head(bytes)? {
                Some(head) => Ok(Some((head.length, self.enter_body(&head)?))),
                None => {
                    self.head.extend_from_slice(bytes);
                    self.check_head_length()
                }
            };
        }
        let before = self.head.len();
        self.head.extend_from_slice(bytes);
        match parse_head(&self.head)? {
            Some(head) => {
                self.head.clear();
                Ok(Some((head.length - before, self.enter_body(&head)?)))
            }
            None => self.check_head_length(),
        }
    }

    const fn check_head_length(&self) -> Result<Option<(usize, bool)>, Malformed> {
        if self.head.len() > LONGEST_HEAD { Err(Malformed("its head is longer than 64 KiB")) } else { Ok(None) }
    }

    /// Whether the response is complete without a body.
    fn enter_body(&mut self, head: &Head) -> Result<bool, Malformed> {
        self.status = head.status;
        self.persistent = head.persistent;
        // An interim response (100 Continue, 103 Early Hints) is followed by the real one.
        if matches!(head.status, 100 | 102..=199) {
            self.state = State::Head;
            return Ok(false);
        }
        if head.status == 101 {
            return Err(Malformed("it switches to another protocol, which nobody asked for"));
        }
        if self.to_head || matches!(head.status, 204 | 304) {
            return Ok(true);
        }
        self.state = match head.body {
            Body::Length(0) => return Ok(true),
            Body::Length(left) => State::Body { left },
            Body::Chunked => State::Chunks(Chunk::Size { size: 0, digits: 0 }),
            Body::UntilClose => {
                self.persistent = false;
                State::UntilClose
            }
        };
        Ok(false)
    }

    fn feed_chunks(
        &mut self,
        chunk: &mut Chunk,
        bytes: &[u8],
        body: &mut impl FnMut(&[u8]),
    ) -> Result<(usize, bool), Malformed> {
        let mut at = 0;
        while at < bytes.len() {
            if let Chunk::Data { left } = *chunk {
                let take = (bytes.len() - at).min(usize::try_from(left).unwrap_or(usize::MAX));
                body(&bytes[at..at + take]);
                at += take;
                let left = left - take as u64;
                *chunk = if left == 0 { Chunk::DataEnd } else { Chunk::Data { left } };
                continue;
            }
            let byte = bytes[at];
            at += 1;
            if matches!(*chunk, Chunk::End) {
                return if byte == b'\n' {
                    Ok((at, true))
                } else {
                    Err(Malformed("its chunked body does not end in an empty line"))
                };
            }
            if matches!(*chunk, Chunk::Extension { .. } | Chunk::Trailer) {
                self.padding += 1;
                if self.padding > MOST_PADDING {
                    return Err(Malformed("its chunk extensions or trailers are longer than 16 KiB"));
                }
            }
            *chunk = chunk.after(byte)?;
        }
        Ok((at, false))
    }
}

impl Chunk {
    /// The state after one more byte that is not data and not the last one.
    fn after(self, byte: u8) -> Result<Self, Malformed> {
        const SIZE: Malformed = Malformed("a chunk's size is not a hexadecimal number");
        Ok(match (self, byte) {
            (Self::Size { size, digits }, byte) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).ok_or(SIZE)?;
                // 15 digits are an exbibyte: more is an attack or nonsense, and would not fit.
                if digits >= 15 {
                    return Err(SIZE);
                }
                Self::Size { size: size * 16 + u64::from(digit), digits: digits + 1 }
            }
            (Self::Size { digits: 0, .. }, _) => return Err(SIZE),
            (Self::Size { size, .. } | Self::Extension { size }, b'\r') => Self::SizeEnd { size },
            (Self::Size { size, .. }, b';' | b' ' | b'\t') => Self::Extension { size },
            (Self::Extension { size }, byte) if byte != b'\n' => Self::Extension { size },
            (Self::SizeEnd { size: 0 }, b'\n') => Self::TrailerStart,
            (Self::SizeEnd { size }, b'\n') => Self::Data { left: size },
            (Self::DataEnd, b'\r') => Self::DataEndFeed,
            (Self::DataEndFeed, b'\n') => Self::Size { size: 0, digits: 0 },
            (Self::TrailerStart, b'\r') => Self::End,
            (Self::Trailer, b'\r') => Self::TrailerEnd,
            (Self::TrailerStart | Self::Trailer, byte) if byte != b'\n' => Self::Trailer,
            (Self::TrailerEnd, b'\n') => Self::TrailerStart,
            _ => return Err(Malformed("its chunked body is broken")),
        })
    }
}

struct Head {
    length: usize,
    status: u16,
    persistent: bool,
    body: Body,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Length(u64),
    Chunked,
    UntilClose,
}

fn parse_head(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
    let mut headers = [const { MaybeUninit::uninit() }; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut response, bytes, &mut headers)
        .map_err(|error| {
            Malformed(match error {
                httparse::Error::TooManyHeaders => "it has more than 128 headers",
                httparse::Error::Version => "its version is not HTTP/1.0 or HTTP/1.1",
                httparse::Error::Status => "its status line is broken",
                _ => "its head is broken",
            })
        })?;
    let httparse::Status::Complete(length) = parsed else { return Ok(None) };
    let status =
        response.code.filter(|code| (100..=599).contains(code)).ok_or(Malformed("its status is not 100 to 599"))?;
    let mut persistent = response.version == Some(1);
    let mut body = Body::UntilClose;
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(header.value)
                .ok()
                .map(str::trim)
                .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|text| text.parse().ok())
                .ok_or(Malformed("its Content-Length is not a number"))?;
            match body {
                Body::Length(other) if other != length => {
                    return Err(Malformed("it has two different Content-Lengths"));
                }
                // Transfer-Encoding overrides Content-Length (RFC 9112, 6.3).
                Body::Chunked => {}
                Body::Length(_) | Body::UntilClose => body = Body::Length(length),
            }
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            if !last_is(header.value, b"chunked") {
                return Err(Malformed("its Transfer-Encoding is not chunked"));
            }
            body = Body::Chunked;
        } else if header.name.eq_ignore_ascii_case("connection") {
            for option in header.value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                if option.eq_ignore_ascii_case(b"close") {
                    persistent = false;
                } else if option.eq_ignore_ascii_case(b"keep-alive") && response.version == Some(0) {
                    persistent = true;
                }
            }
        }
    }
    Ok(Some(Head { length, status, persistent, body }))
}

fn last_is(list: &[u8], word: &[u8]) -> bool {
    list.rsplit(|&byte| byte == b',').next().is_some_and(|last| last.trim_ascii().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    struct Whole {
        status: u16,
        body: Vec<u8>,
        used: usize,
        persistent: bool,
    }

    /// The response, fed in pieces of the given size; `None` when it is not complete.
    fn read(response: &[u8], piece: usize) -> Result<Option<Whole>, Malformed> {
        let mut reader = ResponseReader::default();
        reader.begin(false);
        let (mut body, mut used) = (Vec::new(), 0);
        let mut complete = false;
        for part in response.chunks(piece) {
            match reader.feed(part, |bytes| body.extend_from_slice(bytes))? {
                Progress::More => used += part.len(),
                Progress::Complete { used: last } => {
                    used += last;
                    complete = true;
                    break;
                }
            }
        }
        let (status, persistent) = (reader.status(), reader.is_persistent());
        Ok((complete || reader.is_complete_at_close()).then_some(Whole { status, body, used, persistent }))
    }

    #[test]
    fn bodies_of_all_three_kinds_are_read_in_pieces_of_any_size() {
        let rows: [(&[u8], u16, &[u8], bool); 7] = [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", true),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\nA\r\n world, 10\r\n0\r\nT: v\r\n\r\n", 200, b"hello world, 10", true),
            (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 404, b"", false),
            (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, b"until the end", false),
            (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx", 200, b"x", true),
            (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", true),
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno", 503, b"no", true),
        ];
        for (response, status, body, persistent) in rows {
            for piece in 1..=response.len() {
                let wanted = Some(Whole { status, body: body.to_vec(), used: response.len(), persistent });
                assert_eq!(read(response, piece), Ok(wanted), "{}", String::from_utf8_lossy(response));
            }
        }
    }

    #[test]
    fn what_follows_a_response_is_left() {
        let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500";
        let wanted = Whole { status: 200, body: b"ok".to_vec(), used: response.len() - 12, persistent: true };
        assert_eq!(read(response, response.len()), Ok(Some(wanted)));
    }

    #[test]
    fn a_response_to_head_has_no_body() {
        let mut reader = ResponseReader::default();
        reader.begin(true);
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(reader.feed(head, |_| panic!("no body")), Ok(Progress::Complete { used: head.len() }));
    }

    #[test]
    fn broken_responses_are_refused() {
        for response in [
            "HTTP/2 200 OK\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/1.1 999 What\r\n\r\n",
        ] {
            assert!(read(response.as_bytes(), response.len()).is_err(), "{response}");
        }
    }

    #[test]
    fn a_response_that_is_cut_short_is_not_complete() {
        for response in [
            "",
            "HTTP/1.1 200",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        ] {
            assert_eq!(read(response.as_bytes(), 7), Ok(None), "{response}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic_and_alike_in_any_pieces(
            tail in prop::collection::vec(any::<u8>(), 0..200),
            start in prop::sample::select(vec![
                "", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
            ]),
            piece in 1_usize..50,
        ) {
            let response = [start.as_bytes(), &tail].concat();
            if let (Ok(whole), Ok(pieces)) = (read(&response, response.len().max(1)), read(&response, piece)) {
                prop_assert_eq!(whole, pieces);
            }
        }
    }
}
