//! Metrics in Prometheus' text format, by Toxiproxy's names.

use std::{fmt::Write, fs};

use super::{proxies::Carried, wire::name_of};

/// What is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Metrics {
    /// What proxies have carried (Toxiproxy's `-proxy-metrics`).
    pub proxies: bool,
    /// What this process uses (Toxiproxy's `-runtime-metrics`, without those of the Go runtime).
    pub runtime: bool,
}

impl Metrics {
    /// Whether anything is.
    pub(super) const fn any(self) -> bool {
        self.proxies || self.runtime
    }

    /// The page.
    pub(super) fn page(self, carried: &[Carried]) -> String {
        let mut page = String::new();
        if self.proxies {
            let received = |one: &Carried| one.bytes.received;
            counter(
                &mut page,
                "toxiproxy_proxy_received_bytes_total",
                "Bytes read from the source.",
                carried,
                received,
            );
            let sent = |one: &Carried| one.bytes.sent;
            counter(&mut page, "toxiproxy_proxy_sent_bytes_total", "Bytes written to the sink.", carried, sent);
        }
        if self.runtime {
            runtime(&mut page);
        }
        page
    }
}

fn counter(page: &mut String, name: &str, help: &str, carried: &[Carried], value: impl Fn(&Carried) -> u64) {
    write!(page, "# HELP {name} {help}\n# TYPE {name} counter\n").expect("a String takes all text");
    for one in carried {
        let labels = [
            ("direction", name_of(one.stream)),
            ("listener", one.listen.as_str()),
            ("proxy", one.proxy.as_str()),
            ("upstream", one.upstream.as_str()),
        ];
        let labels = labels.map(|(label, text)| format!("{label}=\"{}\"", escaped(text))).join(",");
        writeln!(page, "{name}{{{labels}}} {}", value(one)).expect("a String takes all text");
    }
}

/// A label's value: backslashes, quotes and line ends are escaped.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

/// The process, by the names that Prometheus' clients agree on. What the system does not say is left out.
fn runtime(page: &mut String) {
    let mut gauge = |name: &str, kind: &str, help: &str, value: Option<String>| {
        if let Some(value) = value {
            write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n")
                .expect("a String takes all text");
        }
    };
    let ticks = rustix::param::clock_ticks_per_second();
    let cpu = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| cpu_seconds(&stat, ticks));
    let cpu = cpu.map(|seconds| format!("{seconds}"));
    gauge("process_cpu_seconds_total", "counter", "CPU time in user and system mode, in seconds.", cpu);
    let pages = fs::read_to_string("/proc/self/statm").ok();
    let resident = pages.as_deref().and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    let resident = resident.map(|pages| (pages * rustix::param::page_size() as u64).to_string());
    gauge("process_resident_memory_bytes", "gauge", "Resident memory, in bytes.", resident);
    let open = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().to_string());
    gauge("process_open_fds", "gauge", "Open file descriptors.", open);
}

/// User and system time from `/proc/PID/stat`: fields 14 and 15, counted behind the name, which may hold anything.
fn cpu_seconds(stat: &str, ticks_per_second: u64) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let ticks: u32 = fields.next()?.parse::<u32>().ok()?.checked_add(fields.next()?.parse().ok()?)?;
    Some(f64::from(ticks) / f64::from(u32::try_from(ticks_per_second).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Transferred, toxic::Stream};

    #[test]
    fn the_page_has_the_names_and_labels_of_toxiproxy() {
        let carried = [Carried {
            proxy: "a\"b".to_owned(),
            listen: "127.0.0.1:1".to_owned(),
            upstream: "db:2".to_owned(),
            stream: Stream::Upstream,
            bytes: Transferred { received: 7, sent: 5 },
        }];
        let page = Metrics { proxies: true, runtime: false }.page(&carried);
        let expected = "\
# HELP toxiproxy_proxy_received_bytes_total Bytes read from the source.
# TYPE toxiproxy_proxy_received_bytes_total counter
toxiproxy_proxy_received_bytes_total{direction=\"upstream\",listener=\"127.0.0.1:1\",proxy=\"a\\\"b\",upstream=\"db:2\"} 7
# HELP toxiproxy_proxy_sent_bytes_total Bytes written to the sink.
# TYPE toxiproxy_proxy_sent_bytes_total counter
toxiproxy_proxy_sent_bytes_total{direction=\"upstream\",listener=\"127.0.0.1:1\",proxy=\"a\\\"b\",upstream=\"db:2\"} 5
";
        assert_eq!(page, expected);
    }

    #[test]
    fn a_process_tells_about_itself() {
        let page = Metrics { proxies: false, runtime: true }.page(&[]);
        for name in ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"] {
            assert!(page.contains(&format!("\n{name} ")), "{page}");
        }
        let stat = "1 (a) b) S 0 0 0 0 -1 0 0 0 0 0 150 50 0 0 20";
        assert_eq!(cpu_seconds(stat, 100), Some(2.0));
        assert_eq!(cpu_seconds("nonsense", 100), None);
    }
}
