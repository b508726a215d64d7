//! How a process ended that is not a child of ours.
//!
//! The kernel tells its parent, and from Linux 6.15 on whoever has held a descriptor of it since before its parent heard.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

/// `struct pidfd_info` of `linux/pidfd.h`, as Linux 6.13 began it; kernels that know more write no more than is asked for.
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// `PIDFD_INFO_EXIT`: asks for the exit code, and says that it is there.
const EXIT: u64 = 1 << 3;
/// `PIDFD_GET_INFO`: `_IOWR(0xFF, 11, struct pidfd_info)` with the size of [`Info`].
const GET_INFO: u32 = 3 << 30 | 64 << 16 | 0xff << 8 | 11;

const _: () = assert!(size_of::<Info>() == 64, "what the request says");

/// The status, as wait(2) gives it, with which the process of this descriptor ended. `None`: its parent has not heard of it yet.
///
/// # Errors
///
/// `ENOTTY`, `EINVAL` and the like on kernels that do not tell.
pub fn status(process: impl AsFd) -> io::Result<Option<i32>> {
    let mut info = Info { mask: EXIT, ..Info::default() };
    // SAFETY: the kernel reads and writes as many bytes as the request says, which is the size of the struct.
    let done = unsafe { libc::ioctl(process.as_fd().as_raw_fd(), libc::Ioctl::from(GET_INFO), &raw mut info) };
    if done < 0 {
        let why = io::Error::last_os_error();
        // It has no tasks any more, and this is a kernel that looks at those.
        return if why.raw_os_error() == Some(libc::ESRCH) { Ok(None) } else { Err(why) };
    }
    Ok((info.mask & EXIT != 0).then_some(info.exit_code))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::*;

    #[test]
    fn the_status_of_one_that_has_been_waited_for_is_known_where_the_kernel_tells() {
        let mut child = Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        let handle = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        child.wait().unwrap();
        match status(&handle) {
            Ok(told) => assert!(matches!(told, None | Some(0x700)), "{told:?}"),
            Err(why) => println!("skipped: this kernel does not tell: {why}"),
        }
    }
}
