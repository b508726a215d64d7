//! How busy the machine is with other things.

use std::{fs, thread, time::Duration};

/// From so much idle time on, in percent, others do not disturb.
pub(super) const QUIET: f64 = 95.0;
/// How long is looked.
const LOOK: Duration = Duration::from_secs(1);

/// The share of CPU time that is idle while we do nothing, in percent; 0 when it cannot be known.
pub(super) fn idle_percent() -> f64 {
    let before = times();
    thread::sleep(LOOK);
    let Some(((idle_before, all_before), (idle, all))) = before.zip(times()) else { return 0.0 };
    100.0 * (idle - idle_before) / (all - all_before).max(1.0)
}

/// Idle and all CPU time since boot, in ticks.
fn times() -> Option<(f64, f64)> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    // cpu user nice system idle iowait irq softirq steal; guest time is within user time.
    let times: Vec<f64> =
        text.lines().next()?.split_whitespace().skip(1).take(8).filter_map(|word| word.parse().ok()).collect();
    Some((times.get(3)? + times.get(4)?, times.iter().sum()))
}

/// The load average of the last minute; 0 when it cannot be known.
pub(super) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default()
}
