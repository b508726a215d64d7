//! Calls over D-Bus: what it takes to talk to a service manager, and no more.
//!
//! One call at a time over a Unix socket, of a bus or of the manager itself; authentication by the socket's own credentials
//! (SASL EXTERNAL); arguments are texts; answers are read by their signature. Signals are passed over. The wire format is that
//! of the [D-Bus specification](https://dbus.freedesktop.org/doc/dbus-specification.html), little-endian as sent, either as read.

use std::{
    fmt::Write as _,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use rustix::process::geteuid;

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<UnixStream>,
    serial: u32,
    /// Whether a bus is between us and whom we call.
    by_bus: bool,
}

/// Whom a call is to.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The name on the bus; without a bus it is not sent.
    pub destination: &'a str,
    /// The object's path.
    pub path: &'a str,
    /// The interface of the method.
    pub interface: &'a str,
    /// The method.
    pub method: &'a str,
    /// Its arguments, all texts.
    pub arguments: &'a [&'a str],
}

/// What an answer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A truth.
    Boolean(bool),
    /// A whole number, of whatever size; of a floating one, its bits.
    Number(u64),
    /// A text, an object's path, or a signature.
    Text(String),
    /// An array, or a structure.
    Many(Vec<Self>),
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Whoever was called says no.
    #[error("{message} ({name})")]
    Refused {
        /// The error's name: `org.freedesktop.systemd1.NoSuchUnit`.
        name: String,
        /// What it says to people.
        message: String,
    },
    /// It could not be asked.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// How long an answer may take: managers answer at once, and work afterwards.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than any answer has that is asked for here; a message may have 128 MiB.
const LONGEST: u32 = 4 << 20;
/// How deep values may be nested: as the specification has it for arrays and structures together.
const DEEPEST: u32 = 64;

impl Connection {
    /// Connects, and says who it is. `by_bus`: whether a bus listens there, and not a manager itself.
    ///
    /// # Errors
    ///
    /// When nobody listens, or whoever does lets this user not in.
    pub fn open(socket: &Path, by_bus: bool) -> Result<Self, Error> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut connection = Self { stream: BufReader::new(stream), serial: 0, by_bus };
        connection.authenticate()?;
        if by_bus {
            connection.call(Call {
                destination: "org.freedesktop.DBus",
                path: "/org/freedesktop/DBus",
                interface: "org.freedesktop.DBus",
                method: "Hello",
                arguments: &[],
            })?;
        }
        Ok(connection)
    }

    fn authenticate(&mut self) -> io::Result<()> {
        let mut hello = String::from("\0AUTH EXTERNAL ");
        for digit in geteuid().as_raw().to_string().bytes() {
            let _infallible = write!(hello, "{digit:02x}");
        }
        // At once, without waiting whether it is let in: a manager's own socket takes no second word (seen with systemd 252),
        // and whoever refuses does not read on.
        hello.push_str("\r\nBEGIN\r\n");
        self.stream.get_mut().write_all(hello.as_bytes())?;
        let mut answer = String::new();
        self.stream.by_ref().take(512).read_line(&mut answer)?;
        if answer.starts_with("OK ") {
            return Ok(());
        }
        let why = format!("it does not let this user in: `{}`", answer.trim_end());
        Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
    }

    /// Calls a method, and waits for its answer.
    ///
    /// # Errors
    ///
    /// When it says no, or the connection breaks.
    pub fn call(&mut self, call: Call<'_>) -> Result<Vec<Value>, Error> {
        self.serial += 1;
        let message = encode(call, self.serial, self.by_bus);
        self.stream.get_mut().write_all(&message)?;
        loop {
            let Message { kind, answers, error, body } = self.receive()?;
            match kind {
                METHOD_RETURN if answers == Some(self.serial) => return Ok(body),
                ERROR if answers == Some(self.serial) => {
                    let message = match body.into_iter().next() {
                        Some(Value::Text(text)) => text,
                        _ => "no reason is given".to_owned(),
                    };
                    return Err(Error::Refused { name: error.unwrap_or_default(), message });
                }
                _ => {}
            }
        }
    }

    fn receive(&mut self) -> io::Result<Message> {
        let mut start = [0; FIXED];
        self.stream.read_exact(&mut start)?;
        let lengths = Lengths::of(&start)?;
        let mut bytes = start.to_vec();
        bytes.resize(FIXED + lengths.rest, 0);
        self.stream.read_exact(&mut bytes[FIXED..])?;
        decode(&bytes, lengths)
    }
}

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;

/// Numbers of header fields.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// The bytes of a message before its header fields: byte order, kind, flags, version, three lengths and numbers.
const FIXED: usize = 16;

fn encode(call: Call<'_>, serial: u32, by_bus: bool) -> Vec<u8> {
    let mut body = Vec::new();
    for argument in call.arguments {
        put_text(&mut body, argument);
    }
    let mut message = vec![b'l', METHOD_CALL, 0, 1];
    put_number(&mut message, body.len());
    message.extend(serial.to_le_bytes());
    // The length of the fields, when they are there.
    message.extend([0; 4]);
    put_field(&mut message, PATH, "o", call.path);
    put_field(&mut message, INTERFACE, "s", call.interface);
    put_field(&mut message, MEMBER, "s", call.method);
    if by_bus {
        put_field(&mut message, DESTINATION, "s", call.destination);
    }
    if !call.arguments.is_empty() {
        pad(&mut message, 8);
        message.push(SIGNATURE);
        put_signature(&mut message, "g");
        put_signature(&mut message, &"s".repeat(call.arguments.len()));
    }
    let fields = small(message.len() - FIXED).to_le_bytes();
    message[FIXED - 4..FIXED].copy_from_slice(&fields);
    pad(&mut message, 8);
    message.extend(body);
    message
}

fn pad(message: &mut Vec<u8>, to: usize) {
    message.resize(message.len().next_multiple_of(to), 0);
}

fn put_number(message: &mut Vec<u8>, number: usize) {
    pad(message, 4);
    message.extend(small(number).to_le_bytes());
}

fn small(length: usize) -> u32 {
    u32::try_from(length).expect("what is said here are names and words")
}

fn put_text(message: &mut Vec<u8>, text: &str) {
    put_number(message, text.len());
    message.extend(text.as_bytes());
    message.push(0);
}

fn put_signature(message: &mut Vec<u8>, signature: &str) {
    message.push(u8::try_from(signature.len()).expect("a call has a handful of arguments"));
    message.extend(signature.as_bytes());
    message.push(0);
}

fn put_field(message: &mut Vec<u8>, field: u8, kind: &str, text: &str) {
    pad(message, 8);
    message.push(field);
    put_signature(message, kind);
    put_text(message, text);
}

/// What a message begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lengths {
    little: bool,
    fields: usize,
    /// All that follows the [`FIXED`] bytes.
    rest: usize,
}

impl Lengths {
    fn of(start: &[u8; FIXED]) -> io::Result<Self> {
        let little = match start[0] {
            b'l' => true,
            b'B' => false,
            _ => return Err(nonsense("its byte order")),
        };
        let number = |at: usize| {
            let bytes = [start[at], start[at + 1], start[at + 2], start[at + 3]];
            if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }
        };
        let (body, fields) = (number(4), number(12));
        if body > LONGEST || fields > LONGEST {
            return Err(nonsense("its length"));
        }
        let fields = fields as usize;
        Ok(Self { little, fields, rest: fields.next_multiple_of(8) + body as usize })
    }
}

/// A message, as far as it is of interest.
#[derive(Debug, PartialEq, Eq)]
struct Message {
    kind: u8,
    answers: Option<u32>,
    error: Option<String>,
    body: Vec<Value>,
}

fn decode(bytes: &[u8], Lengths { little, fields, .. }: Lengths) -> io::Result<Message> {
    let end = FIXED + fields;
    let mut reader = Reader { bytes: bytes.get(..end).ok_or_else(|| nonsense("its fields"))?, at: FIXED, little };
    let mut message = Message { kind: bytes[1], answers: None, error: None, body: Vec::new() };
    let mut signature = String::new();
    while reader.at < end {
        reader.align(8)?;
        let field = reader.byte()?;
        match (field, reader.variant(0)?) {
            (REPLY_SERIAL, Value::Number(serial)) => message.answers = u32::try_from(serial).ok(),
            (ERROR_NAME, Value::Text(name)) => message.error = Some(name),
            (SIGNATURE, Value::Text(text)) => signature = text,
            _ => {}
        }
    }
    let mut body = Reader { bytes, at: end.next_multiple_of(8), little };
    let mut rest = signature.as_bytes();
    while !rest.is_empty() {
        message.body.push(body.value(&mut rest, 0)?);
    }
    Ok(message)
}

fn nonsense(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a message over D-Bus makes no sense: {what}"))
}

/// Reads values; what is aligned, is so from the start of the message.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    little: bool,
}

impl Reader<'_> {
    fn align(&mut self, to: usize) -> io::Result<()> {
        self.at = self.at.next_multiple_of(to);
        if self.at > self.bytes.len() { Err(nonsense("it ends too early")) } else { Ok(()) }
    }

    fn take(&mut self, length: usize) -> io::Result<&[u8]> {
        let taken = self.at.checked_add(length).and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| nonsense("it ends too early"))?;
        self.at += length;
        Ok(taken)
    }

    fn byte(&mut self) -> io::Result<u8> {
        Ok(self.take(1)?[0])
    }

    /// A number of so many bytes, aligned to as many.
    fn number(&mut self, size: usize) -> io::Result<u64> {
        self.align(size)?;
        let little = self.little;
        let bytes = self.take(size)?;
        let digit = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Ok(if little { bytes.iter().rev().fold(0, digit) } else { bytes.iter().fold(0, digit) })
    }

    fn length(&mut self) -> io::Result<usize> {
        usize::try_from(self.number(4)?).map_err(|_| nonsense("a length"))
    }

    /// A text of so many bytes, and the zero behind it.
    fn text(&mut self, length: usize) -> io::Result<String> {
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(1)?;
        Ok(text)
    }

    fn variant(&mut self, depth: u32) -> io::Result<Value> {
        let length = usize::from(self.byte()?);
        let signature = self.text(length)?;
        let mut rest = signature.as_bytes();
        self.value(&mut rest, depth + 1)
    }

    /// The next value of a signature, which is used up so far.
    fn value(&mut self, signature: &mut &[u8], depth: u32) -> io::Result<Value> {
        let (kind, rest) = signature.split_first().ok_or_else(|| nonsense("its signature"))?;
        *signature = rest;
        if depth > DEEPEST {
            return Err(nonsense("its depth"));
        }
        Ok(match kind {
            b'y' => Value::Number(u64::from(self.byte()?)),
            b'b' => Value::Boolean(self.number(4)? != 0),
            b'n' | b'q' => Value::Number(self.number(2)?),
            b'i' | b'u' | b'h' => Value::Number(self.number(4)?),
            b'x' | b't' | b'd' => Value::Number(self.number(8)?),
            b's' | b'o' => {
                let length = self.length()?;
                Value::Text(self.text(length)?)
            }
            b'g' => {
                let length = usize::from(self.byte()?);
                Value::Text(self.text(length)?)
            }
            b'v' => self.variant(depth)?,
            b'a' => self.array(signature, depth)?,
            b'(' => self.structure(signature, b')', depth)?,
            b'{' => self.structure(signature, b'}', depth)?,
            _ => return Err(nonsense("its signature")),
        })
    }

    fn array(&mut self, signature: &mut &[u8], depth: u32) -> io::Result<Value> {
        let length = self.length()?;
        let of = *signature;
        let alignment = match of.first() {
            Some(b'y' | b'g' | b'v') => 1,
            Some(b'n' | b'q') => 2,
            Some(b'x' | b't' | b'd' | b'(' | b'{') => 8,
            _ => 4,
        };
        self.align(alignment)?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| nonsense("an array ends too early"))?;
        let mut all = Vec::new();
        while self.at < end {
            *signature = of;
            all.push(self.value(signature, depth + 1)?);
        }
        if all.is_empty() {
            skip(signature, depth)?;
        }
        Ok(Value::Many(all))
    }

    fn structure(&mut self, signature: &mut &[u8], close: u8, depth: u32) -> io::Result<Value> {
        self.align(8)?;
        let mut all = Vec::new();
        while signature.first().is_some_and(|kind| *kind != close) {
            all.push(self.value(signature, depth + 1)?);
        }
        *signature = signature.get(1..).ok_or_else(|| nonsense("its signature"))?;
        Ok(Value::Many(all))
    }
}

/// Uses up one complete type of a signature.
fn skip(signature: &mut &[u8], depth: u32) -> io::Result<()> {
    let (kind, rest) = signature.split_first().filter(|_| depth <= DEEPEST).ok_or_else(|| nonsense("its signature"))?;
    *signature = rest;
    let close = match kind {
        b'a' => return skip(signature, depth + 1),
        b'(' => b')',
        b'{' => b'}',
        _ => return Ok(()),
    };
    while signature.first().is_some_and(|kind| *kind != close) {
        skip(signature, depth + 1)?;
    }
    *signature = signature.get(1..).ok_or_else(|| nonsense("its signature"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Message> {
        let start = bytes.first_chunk().ok_or_else(|| nonsense("it is short"))?;
        decode(bytes, Lengths::of(start)?)
    }

    #[test]
    fn a_call_reads_back_as_it_was_written() {
        let call = Call {
            destination: "org.freedesktop.systemd1",
            path: "/org/freedesktop/systemd1",
            interface: "org.freedesktop.systemd1.Manager",
            method: "StopUnit",
            arguments: &["web.service", "replace"],
        };
        let message = encode(call, 7, true);
        assert_eq!(Lengths::of(message.first_chunk().unwrap()).unwrap().rest, message.len() - FIXED);
        let texts = ["web.service", "replace"].map(|text| Value::Text(text.to_owned())).to_vec();
        assert_eq!(read(&message).unwrap(), Message { kind: METHOD_CALL, answers: None, error: None, body: texts });
    }

    /// An answer to call 7 with this signature and body.
    fn answer(signature: &str, body: &[u8]) -> Vec<u8> {
        let mut message = vec![b'l', METHOD_RETURN, 0, 1];
        put_number(&mut message, body.len());
        message.extend([1, 0, 0, 0, 0, 0, 0, 0]);
        message.extend([REPLY_SERIAL, 1, b'u', 0, 7, 0, 0, 0]);
        message.push(SIGNATURE);
        put_signature(&mut message, "g");
        put_signature(&mut message, signature);
        message[12] = u8::try_from(message.len() - FIXED).unwrap();
        pad(&mut message, 8);
        message.extend(body);
        message
    }

    #[test]
    fn answers_are_read_by_their_signature() {
        let body = |signature: &str, bytes: &[u8]| {
            let message = read(&answer(signature, bytes)).unwrap();
            assert_eq!((message.kind, message.answers), (METHOD_RETURN, Some(7)));
            message.body
        };
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(body("v", b"\x01s\0\0\x02\0\0\0ok\0"), [text("ok")]);
        assert_eq!(body("b", &[1, 0, 0, 0]), [Value::Boolean(true)]);
        assert_eq!(body("ay", b"\x02\0\0\0\x05\x06"), [Value::Many(vec![Value::Number(5), Value::Number(6)])]);
        // An array of nothing, and a number behind it.
        assert_eq!(body("a(so)u", &[0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0]), [Value::Many(vec![]), Value::Number(9)]);
        assert_eq!(body("(uo)", b"\x03\0\0\0\x01\0\0\0/\0"), [Value::Many(vec![Value::Number(3), text("/")])]);
        for (signature, bytes) in [("u", &[1, 0][..]), ("s", &[9, 0, 0, 0, b'x']), ("(u", &[0; 8]), ("?", &[0; 8])] {
            assert!(read(&answer(signature, bytes)).is_err(), "{signature}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(signature in "[ybuosgva(){}]{0,20}", body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _either = read(&answer(&signature, &body));
        }

        #[test]
        fn whatever_comes_at_all_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _either = read(&bytes);
        }
    }
}
