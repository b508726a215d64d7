//! The vDSO: the code of the kernel that processes run themselves, to read the clock without a system call.

use std::{collections::BTreeMap, io, ops::Range};

use super::memory::{Memory, mappings};

/// The vDSO of a process: where it is, and what.
#[derive(Debug)]
pub struct Vdso {
    /// The memory of the process.
    pub memory: Memory,
    /// The address of its first byte.
    pub base: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Vdso {
    /// That of a process.
    ///
    /// # Errors
    ///
    /// When it has none, has ended, or may not be traced.
    pub fn of(pid: i32) -> io::Result<Self> {
        let memory = Memory::open(pid)?;
        let mapping = mappings(pid)?.into_iter().find(|mapping| mapping.name == "[vdso]");
        let Range { start, end } =
            mapping.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it has no vDSO"))?.range;
        // A few pages; no process can make the kernel's own mapping any larger.
        let length = usize::try_from(end - start).ok().filter(|length| *length <= 1 << 20);
        let length = length.ok_or_else(|| io::Error::other("its vDSO is no such"))?;
        Ok(Self { bytes: memory.read(start, length)?, memory, base: start })
    }

    /// That of this process.
    ///
    /// # Errors
    ///
    /// When it has none.
    pub fn own() -> io::Result<Self> {
        Self::of(rustix::process::getpid().as_raw_pid())
    }
}

/// The functions of a vDSO by name, each as the range of its bytes. `None`: these are no ELF of 64 bits, or cut off.
#[must_use]
pub fn functions(image: &[u8]) -> Option<BTreeMap<String, Range<usize>>> {
    const DYNAMIC_SYMBOLS: u64 = 11; // SHT_DYNSYM
    const FUNCTION: u8 = 2; // STT_FUNC
    if !image.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let number = |at: usize, length: usize| {
        let bytes = image.get(at..at.checked_add(length)?)?;
        Some(bytes.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte)))
    };
    let place = |at: usize, length: usize| usize::try_from(number(at, length)?).ok();
    // struct Elf64_Ehdr: e_shoff, e_shentsize, e_shnum. struct Elf64_Shdr: sh_type, sh_offset, sh_size, sh_link.
    let (sections, size, count) = (place(0x28, 8)?, place(0x3a, 2)?, place(0x3c, 2)?);
    let section = |index: usize| sections.checked_add(index.checked_mul(size)?);
    let symbols = (0..count).filter_map(section).find(|at| number(at + 4, 4) == Some(DYNAMIC_SYMBOLS))?;
    let names = place(section(place(symbols + 0x28, 4)?)? + 0x18, 8)?;
    let (first, length) = (place(symbols + 0x18, 8)?, place(symbols + 0x20, 8)?);
    let mut found = BTreeMap::new();
    // struct Elf64_Sym, 24 bytes: st_name, st_info, ..., st_value, st_size.
    for symbol in (first..first.checked_add(length)?).step_by(24) {
        if number(symbol.checked_add(4)?, 1)? & 0xf != u64::from(FUNCTION) {
            continue;
        }
        let name = image.get(names.checked_add(place(symbol, 4)?)?..)?.split(|byte| *byte == 0).next()?;
        let (start, size) = (place(symbol + 8, 8)?, place(symbol + 16, 8)?);
        let range = start..start.checked_add(size).filter(|end| *end <= image.len())?;
        found.insert(String::from_utf8_lossy(name).into_owned(), range);
    }
    Some(found)
}

/// Reads a clock by a system call, past the vDSO: the time since its beginning, in nanoseconds.
///
/// # Errors
///
/// `EINVAL` when there is no such clock.
pub fn ask_kernel(clock: i32) -> io::Result<i128> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one `timespec` to `time`.
    let result = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, &raw mut time) };
    if result == 0 { Ok(nanoseconds(time.tv_sec, time.tv_nsec)) } else { Err(io::Error::last_os_error()) }
}

/// The functions of our own vDSO that read clocks.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    clock_gettime: ClockGettime,
    gettimeofday: Gettimeofday,
    time: Time,
}

type ClockGettime = unsafe extern "C" fn(i32, *mut libc::timespec) -> i32;
type Gettimeofday = unsafe extern "C" fn(*mut libc::timeval, *mut libc::timezone) -> i32;
type Time = unsafe extern "C" fn(*mut libc::time_t) -> libc::time_t;

impl Clocks {
    /// Finds them.
    ///
    /// # Errors
    ///
    /// When this process has no vDSO, or not these functions in it.
    pub fn own() -> io::Result<Self> {
        let vdso = Vdso::own()?;
        let known = functions(&vdso.bytes).unwrap_or_default();
        let find = |name: &str| {
            let range = known.get(name).ok_or_else(|| io::Error::other(format!("the vDSO has no `{name}`")))?;
            usize::try_from(vdso.base).map(|base| base + range.start).map_err(io::Error::other)
        };
        let (one, two, three) = (find("__vdso_clock_gettime")?, find("__vdso_gettimeofday")?, find("__vdso_time")?);
        // SAFETY: the kernel says that there is such a function, in memory that stays as long as the process.
        let clock_gettime = unsafe { std::mem::transmute::<usize, ClockGettime>(one) };
        // SAFETY: as above.
        let gettimeofday = unsafe { std::mem::transmute::<usize, Gettimeofday>(two) };
        // SAFETY: as above.
        let time = unsafe { std::mem::transmute::<usize, Time>(three) };
        Ok(Self { clock_gettime, gettimeofday, time })
    }

    /// Reads a clock: the time since its beginning, in nanoseconds.
    ///
    /// # Errors
    ///
    /// When there is no such clock.
    pub fn clock_gettime(self, clock: i32) -> io::Result<i128> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: it writes one `timespec` to `time`.
        let result = unsafe { (self.clock_gettime)(clock, &raw mut time) };
        if result == 0 {
            Ok(nanoseconds(time.tv_sec, time.tv_nsec))
        } else {
            Err(io::Error::from_raw_os_error(-result))
        }
    }

    /// Reads the wall clock, to the microsecond, in nanoseconds.
    #[must_use]
    pub fn gettimeofday(self) -> i128 {
        let mut time = libc::timeval { tv_sec: 0, tv_usec: 0 };
        // SAFETY: it writes one `timeval` to `time`, and no time zone to nowhere. With these arguments it cannot fail.
        unsafe { (self.gettimeofday)(&raw mut time, std::ptr::null_mut()) };
        nanoseconds(time.tv_sec, time.tv_usec * 1000)
    }

    /// Reads the wall clock, to the second, in nanoseconds.
    #[must_use]
    pub fn time(self) -> i128 {
        // SAFETY: it writes to nowhere.
        nanoseconds(unsafe { (self.time)(std::ptr::null_mut()) }, 0)
    }
}

fn nanoseconds(seconds: i64, more: i64) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(more)
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use proptest::prelude::*;

    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn our_own_vdso_tells_the_time_as_the_kernel_does() {
        let clocks = Clocks::own().unwrap();
        for clock in [libc::CLOCK_REALTIME, libc::CLOCK_MONOTONIC] {
            let before = ask_kernel(clock).unwrap();
            let read = clocks.clock_gettime(clock).unwrap();
            assert!((before..=ask_kernel(clock).unwrap()).contains(&read));
        }
        let before = ask_kernel(libc::CLOCK_REALTIME).unwrap();
        let (precise, whole) = (clocks.gettimeofday(), clocks.time());
        let after = ask_kernel(libc::CLOCK_REALTIME).unwrap();
        assert!((before - 1000..=after).contains(&precise));
        // It is the second of the last tick.
        assert!((before - 1_100_000_000..=after).contains(&whole));
        assert!(ask_kernel(99).is_err());
    }

    fn image() -> Vec<u8> {
        static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
        IMAGE.get_or_init(|| Vdso::own().unwrap().bytes).clone()
    }

    proptest! {
        #[test]
        fn whatever_claims_to_be_a_vdso_is_read_without_harm(
            garbage in prop::collection::vec(any::<u8>(), 0..512),
            place in 0usize..8192,
            byte in any::<u8>(),
        ) {
            let _unknown = functions(&[b"\x7fELF\x02\x01", &garbage[..]].concat());
            let mut image = image();
            if let Some(at) = image.get_mut(place) {
                *at = byte;
            }
            let _unknown = functions(&image);
        }
    }
}
