//! The change to a vDSO that makes its clock wrong: what is written where, and what was there.
//!
//! ```text
//!   __vdso_clock_gettime:  jmp core ───────────────┐      expires  since boot; renewed, and past it the clock is right
//!   __vdso_gettimeofday:   jmp ... ── calls core ──┤      offset
//!   __vdso_time:           jmp ... ── calls core ──┘      core:  system call; add the offset unless expired
//! ```
//!
//! The new code lies in the body of the longest of these functions, which nobody runs any more. At no instant a thread can find
//! it half made, even if whoever writes it dies between two writes: first the functions' first eight bytes, written at once,
//! become a plain system call, which needs no body; then the body is changed; then the first bytes become the jump. Undoing goes
//! the same way back. What must not be is a thread in the middle of such a function meanwhile:
//! see [`standstill`](crate::standstill).

use std::{io, ops::Range};

use serde::{Deserialize, Serialize};

use crate::sys::{memory::Memory, vdso::functions};

/// What is changed in a vDSO, by places counted from its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Patch {
    /// The functions that are led elsewhere; the first is `__vdso_clock_gettime`.
    entries: Vec<Entry>,
    /// Where the stub goes: data, then code.
    body: usize,
    /// What was there.
    original: Vec<u8>,
    /// Which clocks are wrong: a bit for each id.
    clocks: u32,
}

/// A function of the vDSO.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    function: Function,
    /// All of it.
    range: Range<usize>,
    /// Its first bytes.
    original: [u8; 8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Function {
    ClockGettime,
    Gettimeofday,
    Time,
}

impl Function {
    const fn name(self) -> &'static str {
        match self {
            Self::ClockGettime => "__vdso_clock_gettime",
            Self::Gettimeofday => "__vdso_gettimeofday",
            Self::Time => "__vdso_time",
        }
    }

    /// The system call that does the same, on x86-64.
    const fn system_call(self) -> u8 {
        match self {
            Self::ClockGettime => 228,
            Self::Gettimeofday => 96,
            Self::Time => 201,
        }
    }

    /// `mov eax, number; syscall; ret`.
    const fn plain(self) -> [u8; 8] {
        [0xb8, self.system_call(), 0, 0, 0, 0x0f, 0x05, 0xc3]
    }
}

/// By how much a clock is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offset {
    /// Whole seconds, rounded down.
    pub(crate) seconds: i64,
    /// And so many nanoseconds more, from 0 to 999,999,999.
    pub(crate) nanos: u32,
}

/// What a vDSO looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// As the kernel made it, where it matters here.
    Original,
    /// With our stub, whole.
    Ours,
    /// Something in between, without harm: whoever was at it died.
    Unfinished,
    /// With a stub of another injection, or with changes of somebody else.
    Foreign,
}

/// Where in the body is what.
const TOKEN: usize = 0;
const EXPIRES: usize = 8;
const SECONDS: usize = 16;
const NANOS: usize = 24;
const CODE: usize = 32;

impl Patch {
    /// Plans the change of this vDSO that makes these clocks wrong (a bit for each id).
    pub(crate) fn plan(image: &[u8], clocks: u32) -> Result<Self, String> {
        if !cfg!(target_arch = "x86_64") {
            return Err("the stub is made for x86-64 alone".to_owned());
        }
        let known = functions(image).ok_or("it cannot be read")?;
        let wall = clocks & 1 << libc::CLOCK_REALTIME != 0;
        let wanted: &[_] = if wall {
            &[Function::ClockGettime, Function::Gettimeofday, Function::Time]
        } else {
            &[Function::ClockGettime]
        };
        let mut entries = Vec::new();
        for function in wanted {
            let name = function.name();
            let range = known.get(name).ok_or_else(|| format!("it has no `{name}`"))?.clone();
            let bytes = image.get(range.clone()).and_then(<[u8]>::first_chunk);
            // Eight bytes that are aligned are written at once.
            let original = bytes.filter(|_| range.start.is_multiple_of(8));
            let original = *original.ok_or_else(|| format!("`{name}` is not where it can be changed at once"))?;
            entries.push(Entry { function: *function, range, original });
        }
        let longest = entries.iter().map(|entry| entry.range.clone()).max_by_key(Range::len).unwrap_or_default();
        let body = (longest.start + 8).next_multiple_of(8);
        let mut patch = Self { entries, body, original: Vec::new(), clocks };
        let (code, _) = patch.code();
        let end = body + CODE + code.len();
        if end > longest.end {
            return Err(format!("its longest function has {} bytes, too few for the stub", longest.len()));
        }
        patch.original = image[body..end].to_vec();
        Ok(patch)
    }

    /// The functions that are led elsewhere.
    pub(crate) fn functions(&self) -> impl Iterator<Item = Function> {
        self.entries.iter().map(|entry| entry.function)
    }

    /// What is there now.
    pub(crate) fn look(&self, memory: &Memory, base: u64, token: u64) -> io::Result<Found> {
        let bytes = self.read(memory, base)?;
        let (entries, body) = (&bytes.entries, &bytes.body);
        let are = |what: fn(&Self, &Entry) -> [u8; 8]| {
            self.entries.iter().zip(entries).all(|(entry, found)| *found == what(self, entry))
        };
        let known = self
            .entries
            .iter()
            .zip(entries)
            .all(|(entry, found)| [entry.original, entry.function.plain(), self.jump(entry)].contains(found));
        let ours = body[TOKEN..EXPIRES] == token.to_ne_bytes();
        Ok(if are(|_, entry| entry.original) && *body == self.original {
            Found::Original
        } else if ours && are(Self::jump) {
            Found::Ours
        } else if known && (ours || are(|_, entry| entry.function.plain()) || *body == self.original) {
            // Functions that are led nowhere, beside the original body: whoever was at it died on the way.
            Found::Unfinished
        } else {
            Found::Foreign
        })
    }

    /// Whether this is our stub, whole, byte by byte but for when it expires.
    pub(crate) fn is_ours(&self, bytes: &Bytes, token: u64, offset: Offset) -> bool {
        let wanted = self.stub(token, offset, 0);
        let entries = self.entries.iter().zip(&bytes.entries).all(|(entry, found)| *found == self.jump(entry));
        entries && bytes.body[..EXPIRES] == wanted[..EXPIRES] && bytes.body[SECONDS..] == wanted[SECONDS..]
    }

    /// Makes the clock wrong, until so many seconds after boot. All threads must stand still, outside.
    pub(crate) fn write(&self, memory: &Memory, base: u64, token: u64, offset: Offset, expires: u64) -> io::Result<()> {
        self.write_entries(memory, base, |_, entry| entry.function.plain())?;
        memory.write(base + self.body as u64, &self.stub(token, offset, expires))?;
        self.write_entries(memory, base, Self::jump)
    }

    /// Makes everything as it was. All threads must stand still, outside.
    pub(crate) fn restore(&self, memory: &Memory, base: u64) -> io::Result<()> {
        self.write_entries(memory, base, |_, entry| entry.function.plain())?;
        memory.write(base + self.body as u64, &self.original)?;
        self.write_entries(memory, base, |_, entry| entry.original)
    }

    /// Sets until when the clock is wrong, in seconds after boot. Threads may run. The stub must be there.
    pub(crate) fn expire(&self, memory: &Memory, base: u64, expires: u64) -> io::Result<()> {
        memory.write(base + (self.body + EXPIRES) as u64, &expires.to_ne_bytes())
    }

    /// Until when the stub works, if one is there.
    pub(crate) fn expires(&self, memory: &Memory, base: u64) -> io::Result<u64> {
        let bytes = memory.read(base + (self.body + EXPIRES) as u64, 8)?;
        bytes.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes)).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// What is there now, where this changes it.
    pub(crate) fn read(&self, memory: &Memory, base: u64) -> io::Result<Bytes> {
        let entry = |entry: &Entry| {
            let bytes = memory.read(base + entry.range.start as u64, 8)?;
            bytes.first_chunk().copied().ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
        };
        Ok(Bytes {
            entries: self.entries.iter().map(entry).collect::<io::Result<_>>()?,
            body: memory.read(base + self.body as u64, self.original.len())?,
        })
    }

    /// Makes a vDSO the same as another, where this changes it.
    pub(crate) fn copy(&self, bytes: &Bytes, memory: &Memory, base: u64) -> io::Result<()> {
        memory.write(base + self.body as u64, &bytes.body)?;
        for (entry, bytes) in self.entries.iter().zip(&bytes.entries) {
            memory.write(base + entry.range.start as u64, bytes)?;
        }
        Ok(())
    }

    /// The stub, its data first.
    fn stub(&self, token: u64, offset: Offset, expires: u64) -> Vec<u8> {
        let (code, _) = self.code();
        let mut body = Vec::with_capacity(CODE + code.len());
        body.extend(token.to_ne_bytes());
        body.extend(expires.to_ne_bytes());
        body.extend(offset.seconds.to_ne_bytes());
        body.extend(u64::from(offset.nanos).to_ne_bytes());
        body.extend(code);
        body
    }

    fn write_entries(&self, memory: &Memory, base: u64, what: fn(&Self, &Entry) -> [u8; 8]) -> io::Result<()> {
        self.entries.iter().try_for_each(|entry| memory.write(base + entry.range.start as u64, &what(self, entry)))
    }

    /// The first bytes of a function that is led elsewhere: a jump, and what fills up eight bytes.
    fn jump(&self, entry: &Entry) -> [u8; 8] {
        let (_, places) = self.code();
        let place = match entry.function {
            Function::ClockGettime => places.clock_gettime,
            Function::Gettimeofday => places.gettimeofday,
            Function::Time => places.time,
        };
        // Counted from the end of the jump, which has five bytes.
        let [a, b, c, d] = distance(entry.range.start + 5, self.body + CODE + place);
        [0xe9, a, b, c, d, 0x0f, 0x1f, 0x00]
    }

    /// The code of the stub, and where in it is what.
    fn code(&self) -> (Vec<u8>, Places) {
        let mut code = Code::default();
        let clock_gettime = code.bytes.len();
        self.add_clock_gettime(&mut code);
        let gettimeofday = code.bytes.len();
        add_gettimeofday(&mut code, clock_gettime);
        let time = code.bytes.len();
        add_time(&mut code, clock_gettime);
        (code.bytes, Places { clock_gettime, gettimeofday, time })
    }

    /// `int clock_gettime(clockid_t edi, struct timespec *rsi)`. A system call overwrites rax, rcx and r11, which are the
    /// caller's to save, as is edi.
    fn add_clock_gettime(&self, code: &mut Code) {
        code.add(&[0xb8, 228, 0, 0, 0, 0x0f, 0x05]); // mov eax, clock_gettime; syscall
        code.add(&[0x85, 0xc0]); // test eax, eax
        let failed = code.jump(0x75); // jne
        code.add(&[0x83, 0xff, 31]); // cmp edi, 31
        let unknown = code.jump(0x77); // ja
        code.add(&[0xb9]).add(&self.clocks.to_le_bytes()); // mov ecx, clocks
        code.add(&[0x0f, 0xa3, 0xf9]); // bt ecx, edi
        let other = code.jump(0x73); // jnc
        code.add(&[0x56, 0x48, 0x83, 0xec, 16]); // push rsi; sub rsp, 16
        code.add(&[0xbf, 7, 0, 0, 0]); // mov edi, CLOCK_BOOTTIME
        code.add(&[0x48, 0x89, 0xe6]); // mov rsi, rsp
        code.add(&[0xb8, 228, 0, 0, 0, 0x0f, 0x05]); // mov eax, clock_gettime; syscall
        code.add(&[0x48, 0x8b, 0x0c, 0x24]); // mov rcx, [rsp]
        code.add(&[0x48, 0x83, 0xc4, 16, 0x5e]); // add rsp, 16; pop rsi
        code.add(&[0x85, 0xc0]); // test eax, eax
        let unsure = code.jump(0x75); // jne
        code.add(&[0x48, 0x3b, 0x0d]).data(EXPIRES); // cmp rcx, [expires]
        let expired = code.jump(0x7d); // jge
        code.add(&[0x48, 0x8b, 0x0d]).data(SECONDS); // mov rcx, [seconds]
        code.add(&[0x48, 0x01, 0x0e]); // add [rsi], rcx
        code.add(&[0x48, 0x8b, 0x0d]).data(NANOS); // mov rcx, [nanos]
        code.add(&[0x48, 0x03, 0x4e, 8]); // add rcx, [rsi + 8]
        code.add(&[0x48, 0x81, 0xf9]).add(&1_000_000_000u32.to_le_bytes()); // cmp rcx, 1e9
        let less = code.jump(0x7c); // jl
        code.add(&[0x48, 0x81, 0xe9]).add(&1_000_000_000u32.to_le_bytes()); // sub rcx, 1e9
        code.add(&[0x48, 0xff, 0x06]); // inc qword [rsi]
        code.land(less);
        code.add(&[0x48, 0x89, 0x4e, 8]); // mov [rsi + 8], rcx
        for jump in [unsure, expired] {
            code.land(jump);
        }
        code.add(&[0x31, 0xc0]); // xor eax, eax
        for jump in [failed, unknown, other] {
            code.land(jump);
        }
        code.add(&[0xc3]); // ret
    }
}

/// `int gettimeofday(struct timeval *rdi, struct timezone *rsi)`.
fn add_gettimeofday(code: &mut Code, core: usize) {
    code.add(&[0x57, 0x56, 0x48, 0x83, 0xec, 24]); // push rdi; push rsi; sub rsp, 24
    code.add(&[0x31, 0xff, 0x48, 0x89, 0xe6]); // xor edi, edi; mov rsi, rsp
    code.call(core);
    code.add(&[0x48, 0x8b, 0x7c, 0x24, 32]); // mov rdi, [rsp + 32]
    code.add(&[0x48, 0x85, 0xff]); // test rdi, rdi
    let no_time = code.jump(0x74); // je
    code.add(&[0x48, 0x8b, 0x0c, 0x24, 0x48, 0x89, 0x0f]); // mov rcx, [rsp]; mov [rdi], rcx
    code.add(&[0x48, 0x8b, 0x44, 0x24, 8]); // mov rax, [rsp + 8]
    code.add(&[0x31, 0xd2, 0xb9]).add(&1000u32.to_le_bytes()); // xor edx, edx; mov ecx, 1000
    code.add(&[0x48, 0xf7, 0xf1, 0x48, 0x89, 0x47, 8]); // div rcx; mov [rdi + 8], rax
    code.land(no_time);
    code.add(&[0x48, 0x8b, 0x74, 0x24, 24]); // mov rsi, [rsp + 24]
    code.add(&[0x48, 0x83, 0xc4, 40, 0x31, 0xc0]); // add rsp, 40; xor eax, eax
    code.add(&[0x48, 0x85, 0xf6]); // test rsi, rsi
    let no_zone = code.jump(0x74); // je
    code.add(&[0x31, 0xff, 0xb8, 96, 0, 0, 0, 0x0f, 0x05]); // xor edi, edi; mov eax, gettimeofday; syscall
    code.land(no_zone);
    code.add(&[0xc3]); // ret
}

/// `time_t time(time_t *rdi)`.
fn add_time(code: &mut Code, core: usize) {
    code.add(&[0x57, 0x48, 0x83, 0xec, 16]); // push rdi; sub rsp, 16
    code.add(&[0x31, 0xff, 0x48, 0x89, 0xe6]); // xor edi, edi; mov rsi, rsp
    code.call(core);
    code.add(&[0x48, 0x8b, 0x04, 0x24]); // mov rax, [rsp]
    code.add(&[0x48, 0x83, 0xc4, 16, 0x5f]); // add rsp, 16; pop rdi
    code.add(&[0x48, 0x85, 0xff]); // test rdi, rdi
    let nowhere = code.jump(0x74); // je
    code.add(&[0x48, 0x89, 0x07]); // mov [rdi], rax
    code.land(nowhere);
    code.add(&[0xc3]); // ret
}

/// What a vDSO has where a patch changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bytes {
    entries: Vec<[u8; 8]>,
    body: Vec<u8>,
}

/// Where in the code the functions begin.
struct Places {
    clock_gettime: usize,
    gettimeofday: usize,
    time: usize,
}

/// Machine code in the making. It lies [`CODE`] behind its data.
#[derive(Default)]
struct Code {
    bytes: Vec<u8>,
}

impl Code {
    fn add(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// The operand of an instruction that ends with it: the distance to a place in the data.
    fn data(&mut self, place: usize) {
        let end = CODE + self.bytes.len() + 4;
        self.add(&distance(end, place));
    }

    fn call(&mut self, place: usize) {
        self.add(&[0xe8]);
        let end = self.bytes.len() + 4;
        self.add(&distance(end, place));
    }

    /// A short jump forwards, to where it will [land](Self::land).
    fn jump(&mut self, operation: u8) -> usize {
        self.add(&[operation, 0]);
        self.bytes.len()
    }

    fn land(&mut self, jump: usize) {
        self.bytes[jump - 1] = i8::try_from(self.bytes.len() - jump).expect("a short jump").to_le_bytes()[0];
    }
}

/// How far it is, as instructions count it.
fn distance(from: usize, to: usize) -> [u8; 4] {
    let signed = |place: usize| i32::try_from(place).expect("a vDSO has some pages");
    (signed(to) - signed(from)).to_le_bytes()
}

#[cfg(test)]
#[cfg(target_arch = "x86_64")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sys::{
        apart::apart,
        vdso::{Clocks, Vdso, ask_kernel},
    };

    const OFFSET: Offset = Offset { seconds: 100, nanos: 0 };

    /// Whether our own clock reads, right or wrong by the offset.
    fn reads(clocks: Clocks) -> bool {
        let right = ask_kernel(libc::CLOCK_REALTIME).unwrap();
        [clocks.clock_gettime(libc::CLOCK_REALTIME).unwrap(), clocks.gettimeofday(), clocks.time()]
            .iter()
            // The last reads whole seconds.
            .all(|read| (right - 2_000_000_000..right + 200_000_000_000).contains(read))
    }

    #[test]
    fn whoever_dies_between_two_writes_leaves_a_clock_that_works_and_that_can_be_restored() {
        // Each step in a process of its own: it changes itself.
        for step in 0..=6 {
            let said = apart(Duration::from_secs(20), || {
                let Vdso { memory, base, bytes } = Vdso::own().unwrap();
                let clocks = Clocks::own().unwrap();
                let patch = Patch::plan(&bytes, 1 << libc::CLOCK_REALTIME).unwrap();
                let body = base + patch.body as u64;
                let steps: [&dyn Fn() -> io::Result<()>; 6] = [
                    &|| patch.write_entries(&memory, base, |_, entry| entry.function.plain()),
                    &|| memory.write(body, &patch.stub(7, OFFSET, u64::MAX >> 1)),
                    &|| patch.write_entries(&memory, base, Patch::jump),
                    &|| patch.write_entries(&memory, base, |_, entry| entry.function.plain()),
                    &|| memory.write(body, &patch.original),
                    &|| patch.write_entries(&memory, base, |_, entry| entry.original),
                ];
                for done in &steps[..step] {
                    done().unwrap();
                }
                let found = patch.look(&memory, base, 7).unwrap();
                let expected = match step {
                    0 | 6 => Found::Original,
                    3 => Found::Ours,
                    _ => Found::Unfinished,
                };
                let works = reads(clocks);
                patch.restore(&memory, base).unwrap();
                let restored = Vdso::own().unwrap().bytes == bytes && reads(clocks);
                vec![u8::from(found == expected), u8::from(works), u8::from(restored)]
            });
            assert_eq!(said.unwrap(), [1, 1, 1], "{step}");
        }
    }

    #[test]
    fn the_stub_of_another_injection_is_not_ours() {
        let said = apart(Duration::from_secs(20), || {
            let Vdso { memory, base, bytes } = Vdso::own().unwrap();
            let patch = Patch::plan(&bytes, 1 << libc::CLOCK_REALTIME).unwrap();
            patch.write(&memory, base, 7, OFFSET, 0).unwrap();
            let found = [7, 8].map(|token| patch.look(&memory, base, token).unwrap());
            patch.restore(&memory, base).unwrap();
            vec![u8::from(found == [Found::Ours, Found::Foreign])]
        });
        assert_eq!(said.unwrap(), [1]);
    }

    #[test]
    fn what_is_no_vdso_is_not_changed() {
        assert!(Patch::plan(b"", 1).is_err());
        assert!(Patch::plan(&Vdso::own().unwrap().bytes[..2000], 1).is_err());
    }
}
