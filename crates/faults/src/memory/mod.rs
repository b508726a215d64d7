//! Faults of memory, and how much there is.

pub mod limit;
pub mod oom;
pub mod stress;

use std::fs;

use crate::{
    fault::Refused,
    object::Object,
    parameters::{Checked, Size},
};

/// How much the parameter `size` is of a target's memory, in bytes.
fn asked_for(object: &Object, parameters: Checked<'_>) -> Result<u64, Refused> {
    let size: Size = parameters.read("size")?;
    if matches!(size, Size::Percent(_)) && object.memory_bytes == 0 {
        return Err(Refused(format!(
            "how much memory {} has is not known; give an amount, such as 512MiB",
            object.name
        )));
    }
    Ok(size.of(object.memory_bytes))
}

/// What of a process is in memory, in bytes. `None`: it has ended.
pub(crate) fn resident(pid: i32) -> Option<u64> {
    kibibytes(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// What this machine can still give, in bytes, as the kernel estimates it.
pub(crate) fn available() -> Option<u64> {
    kibibytes("/proc/meminfo", "MemAvailable:")
}

/// What this machine has, in bytes.
fn total() -> Option<u64> {
    kibibytes("/proc/meminfo", "MemTotal:")
}

/// What it has to put memory away, in bytes.
fn swap() -> Option<u64> {
    kibibytes("/proc/meminfo", "SwapTotal:")
}

/// A line such as `VmRSS:   1234 kB`, in bytes.
fn kibibytes(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
