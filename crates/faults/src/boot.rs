//! The boot of this machine: which one it is, and how long ago it was.
//!
//! Leases are reckoned on the clock that counts since boot, suspensions included: a fault on a laptop that slept for an hour is
//! an hour old. Start times of processes are counted from boot too, so that on record they are worth something only together
//! with the boot's id.

use std::{fs, sync::OnceLock, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// The time since boot, suspensions included.
#[must_use]
pub fn now() -> Duration {
    // What the kernel says of a clock that only goes forward from zero is never negative.
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

/// The id of this boot; empty where `/proc` does not say.
#[must_use]
pub fn id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned())
}

/// The start time of a process on record, in clock ticks since a boot: `12345@6b3a...`.
pub(crate) mod ticks {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// What a start time of another boot is read as: no process of this boot was started then, whatever its number.
    pub(crate) const ANOTHER_BOOT: u64 = u64::MAX;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(crate) fn serialize<S: Serializer>(ticks: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&write(*ticks))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        read(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is no start time of a process")))
    }

    fn write(ticks: u64) -> String {
        // Read from another boot's record and written again, it stays one of another boot.
        let boot = if ticks == ANOTHER_BOOT { "another boot" } else { super::id() };
        format!("{ticks}@{boot}")
    }

    fn read(text: &str) -> Option<u64> {
        let (ticks, boot) = text.split_once('@')?;
        let ticks = ticks.parse().ok()?;
        Some(if boot == super::id() { ticks } else { ANOTHER_BOOT })
    }

    /// The same for a start time that may be unknown.
    pub(crate) mod maybe {
        use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

        use super::{read, write};

        #[expect(clippy::ref_option, reason = "serde's signature")]
        pub(crate) fn serialize<S: Serializer>(ticks: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
            ticks.map(write).serialize(serializer)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
            let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
            let ticks =
                read(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is no start time of a process")))?;
            Ok(Some(ticks))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::process::Process;

    #[test]
    fn the_clock_goes_on_and_the_boot_has_an_id() {
        let before = now();
        assert!(before > Duration::ZERO && now() >= before);
        assert_eq!(id().len(), 36, "{}", id());
    }

    #[test]
    fn a_process_on_record_is_itself_until_the_machine_is_booted_again() {
        let own = Process::find(i32::try_from(std::process::id()).unwrap()).unwrap();
        let written = serde_json::to_value(own).unwrap();
        assert_eq!(serde_json::from_value::<Process>(written.clone()).unwrap(), own);
        let text = written.to_string().replace(id(), "00000000-0000-0000-0000-000000000000");
        let later: Process = serde_json::from_str(&text).unwrap();
        assert!(!later.is_alive());
        // And so it stays when it is written and read again.
        let again: Process = serde_json::from_value(serde_json::to_value(later).unwrap()).unwrap();
        assert!(!again.is_alive());
        assert!(serde_json::from_value::<Process>(json!({ "pid": 1, "started": "soon" })).is_err());
    }
}
