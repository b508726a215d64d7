//! Metrics by name, quantities with units, and conditions such as `<= 500ms`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Which series: a metric's name and, for metrics of one thing among several, which thing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Metric {
    /// Dotted name: a row of [`METRICS`], or `scrape.NAME` for a series scraped from a Prometheus endpoint.
    pub name: String,
    /// The group, balancer, probe or series it is measured on, where the metric is of one thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

impl Metric {
    /// A metric of the whole system.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), of: None }
    }

    /// A metric of one thing.
    #[must_use]
    pub fn of(name: impl Into<String>, of: impl Into<String>) -> Self {
        Self { name: name.into(), of: Some(of.into()) }
    }

    /// The row of [`METRICS`] that describes this metric; none for a scraped series or an unknown name.
    #[must_use]
    pub fn entry(&self) -> Option<&'static MetricEntry> {
        METRICS.iter().find(|entry| entry.name == self.name)
    }

    /// Whether this is a series scraped from a Prometheus endpoint.
    #[must_use]
    pub fn is_scraped(&self) -> bool {
        self.name.starts_with("scrape.")
    }
}

impl fmt::Display for Metric {
    /// `group.healthy of web`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.of {
            Some(of) => write!(f, "{} of {of}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// What a metric's values are, which decides how a window of them becomes one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetricKind {
    /// A level sampled over time; a window holds a condition when *every* sample of it does.
    Gauge,
    /// Events; a window's value is how many fell into it.
    Count,
    /// Events per second over the window.
    Rate,
    /// A share of events, in percent, over the window.
    Share,
    /// A quantile of all latencies of the window; the number is the quantile in ppm (`990_000` is p99).
    Quantile(u32),
    /// The mean of all latencies of the window.
    Mean,
}

/// What a violated clause about this metric says of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Concern {
    /// Requests failed or nothing answered: a violation is an outage, and red.
    Availability,
    /// It answered, but slower or with less capacity than promised: a violation is a degradation, and yellow.
    Performance,
}

/// A metric Shaketable measures itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MetricEntry {
    /// Dotted name.
    pub name: &'static str,
    /// How a window of it becomes one value.
    pub kind: MetricKind,
    /// The unit of its values.
    pub unit: Unit,
    /// What it is `of`; `None` when there is only one of it.
    pub of: Option<&'static str>,
    /// Whether a broken clause about it is an outage or a degradation.
    pub concern: Concern,
    /// One sentence.
    pub about: &'static str,
}

const fn entry(
    name: &'static str,
    kind: MetricKind,
    unit: Unit,
    of: Option<&'static str>,
    concern: Concern,
    about: &'static str,
) -> MetricEntry {
    MetricEntry { name, kind, unit, of, concern, about }
}

use Concern::{Availability, Performance};
use MetricKind::{Count, Gauge, Mean, Quantile, Rate, Share};

/// Every metric Shaketable measures itself; `scrape.NAME` adds what a Prometheus endpoint offers.
///
/// `http.*` is what the load's clients saw; `balancer.*` what a lab load balancer saw; `group.*` the state of a group.
pub const METRICS: &[MetricEntry] = &[
    entry(
        "http.latency.p50",
        Quantile(500_000),
        Unit::Seconds,
        None,
        Performance,
        "Median time to response, counted from the intended send time.",
    ),
    entry(
        "http.latency.p90",
        Quantile(900_000),
        Unit::Seconds,
        None,
        Performance,
        "90th percentile of time to response, counted from the intended send time.",
    ),
    entry(
        "http.latency.p95",
        Quantile(950_000),
        Unit::Seconds,
        None,
        Performance,
        "95th percentile of time to response, counted from the intended send time.",
    ),
    entry(
        "http.latency.p99",
        Quantile(990_000),
        Unit::Seconds,
        None,
        Performance,
        "99th percentile of time to response, counted from the intended send time.",
    ),
    entry(
        "http.latency.p999",
        Quantile(999_000),
        Unit::Seconds,
        None,
        Performance,
        "99.9th percentile of time to response, counted from the intended send time.",
    ),
    entry(
        "http.latency.max",
        Quantile(1_000_000),
        Unit::Seconds,
        None,
        Performance,
        "Longest time to response, counted from the intended send time.",
    ),
    entry(
        "http.latency.mean",
        Mean,
        Unit::Seconds,
        None,
        Performance,
        "Mean time to response, counted from the intended send time.",
    ),
    entry("http.requests", Count, Unit::Count, None, Performance, "Requests sent."),
    entry("http.rate", Rate, Unit::PerSecond, None, Performance, "Successful responses per second (throughput)."),
    entry(
        "http.errors",
        Count,
        Unit::Count,
        None,
        Availability,
        "Requests that failed for any reason: status 4xx or 5xx, no connection, reset, timeout, not sent in time.",
    ),
    entry("http.errors.4xx", Count, Unit::Count, None, Availability, "Responses with a 4xx status."),
    entry(
        "http.errors.5xx",
        Count,
        Unit::Count,
        None,
        Availability,
        "Responses with a 5xx status, whoever produced it (balancer or target).",
    ),
    entry(
        "http.errors.timeout",
        Count,
        Unit::Count,
        None,
        Availability,
        "Requests without a response within the load's timeout.",
    ),
    entry(
        "http.errors.connect",
        Count,
        Unit::Count,
        None,
        Availability,
        "Requests whose connection was refused, reset or closed.",
    ),
    entry("http.errors.share", Share, Unit::Percent, None, Availability, "Share of requests that failed."),
    entry(
        "http.success.share",
        Share,
        Unit::Percent,
        None,
        Availability,
        "Share of requests that succeeded (availability).",
    ),
    entry(
        "group.healthy",
        Gauge,
        Unit::Count,
        Some("group"),
        Performance,
        "Instances of the group that its balancers find healthy (HealthyHostCount).",
    ),
    entry(
        "group.in_service",
        Gauge,
        Unit::Count,
        Some("group"),
        Performance,
        "Instances of the group that run and are past their grace period.",
    ),
    entry(
        "group.running",
        Gauge,
        Unit::Count,
        Some("group"),
        Performance,
        "Instances of the group with a running process.",
    ),
    entry(
        "balancer.healthy",
        Gauge,
        Unit::Count,
        Some("balancer"),
        Performance,
        "Targets the balancer sends requests to.",
    ),
    entry(
        "balancer.requests",
        Count,
        Unit::Count,
        Some("balancer"),
        Performance,
        "Requests the balancer received (RequestCount).",
    ),
    entry(
        "balancer.errors.5xx",
        Count,
        Unit::Count,
        Some("balancer"),
        Availability,
        "Responses with a 5xx status sent by the balancer, its own and its targets' (HTTPCode_ELB_5XX_Count + HTTPCode_Target_5XX_Count).",
    ),
    entry(
        "balancer.errors.target_5xx",
        Count,
        Unit::Count,
        Some("balancer"),
        Availability,
        "Responses with a 5xx status that came from a target (HTTPCode_Target_5XX_Count).",
    ),
    entry(
        "balancer.errors.own_5xx",
        Count,
        Unit::Count,
        Some("balancer"),
        Availability,
        "502, 503 and 504 that the balancer itself produced (HTTPCode_ELB_5XX_Count).",
    ),
    entry(
        "balancer.target_response_time.p50",
        Quantile(500_000),
        Unit::Seconds,
        Some("balancer"),
        Performance,
        "Median time from sending a request to a target to its response (TargetResponseTime).",
    ),
    entry(
        "balancer.target_response_time.p99",
        Quantile(990_000),
        Unit::Seconds,
        Some("balancer"),
        Performance,
        "99th percentile of TargetResponseTime.",
    ),
    entry(
        "balancer.target_response_time.mean",
        Mean,
        Unit::Seconds,
        Some("balancer"),
        Performance,
        "Mean of TargetResponseTime.",
    ),
    entry(
        "probe.success",
        Gauge,
        Unit::Count,
        Some("probe"),
        Availability,
        "1 when the probe's last answer was as expected, 0 when not.",
    ),
    entry("probe.latency", Gauge, Unit::Seconds, Some("probe"), Performance, "How long the probe's last answer took."),
];

/// The unit a [`Quantity`] is normalised to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A plain number.
    Count,
    /// Seconds; written `200ms`, `1.5s`, `2min`, `30us`.
    Seconds,
    /// Percent; written `0.1%`.
    Percent,
    /// Per second; written `1000/s`, `60/min`.
    PerSecond,
    /// Bytes; written `512MiB`, `2GB`, `100B`.
    Bytes,
}

impl Unit {
    /// How a person writes it, for messages: "a time such as 200ms".
    #[must_use]
    pub const fn example(self) -> &'static str {
        match self {
            Self::Count => "a plain number such as 2",
            Self::Seconds => "a time such as 200ms or 1.5s",
            Self::Percent => "a share such as 0.1%",
            Self::PerSecond => "a rate such as 1000/s",
            Self::Bytes => "a size such as 512MiB",
        }
    }
}

/// A number with its unit, normalised: `200ms` is 0.2 [`Unit::Seconds`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quantity {
    /// The value in `unit`.
    pub value: f64,
    /// Its unit.
    pub unit: Unit,
}

/// Why a text is not a [`Quantity`] or [`Condition`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// No comparison sign at the start.
    #[error("`{text}` has no comparison; start with one of ==, !=, <, <=, >, >=, as in `<= 500ms`")]
    NoComparison {
        /// What was written.
        text: String,
    },
    /// The number cannot be read.
    #[error("`{text}` does not start with a number; write for example 2, 200ms, 0.1%, 1000/s or 512MiB")]
    NoNumber {
        /// What was written.
        text: String,
    },
    /// The unit is none of the known ones.
    #[error("`{unit}` is not a unit; known are us, ms, s, min, h, %, /s, /min, B, KB, MB, GB, KiB, MiB and GiB")]
    UnknownUnit {
        /// The unit as written.
        unit: String,
    },
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let text = text.trim();
        let end = text
            .char_indices()
            .find(|&(at, c)| !(c.is_ascii_digit() || c == '.' || c == '_' || (at == 0 && matches!(c, '-' | '+'))))
            .map_or(text.len(), |(at, _)| at);
        let (number, unit) = text.split_at(end);
        let value: f64 =
            number.replace('_', "").parse().map_err(|_| QuantityError::NoNumber { text: text.to_owned() })?;
        let (factor, unit) = match unit.trim() {
            "" => (1.0, Unit::Count),
            "us" | "µs" => (1e-6, Unit::Seconds),
            "ms" => (1e-3, Unit::Seconds),
            "s" => (1.0, Unit::Seconds),
            "min" => (60.0, Unit::Seconds),
            "h" => (3600.0, Unit::Seconds),
            "%" => (1.0, Unit::Percent),
            "/s" | "/sec" | "req/s" | "rps" => (1.0, Unit::PerSecond),
            "/min" => (1.0 / 60.0, Unit::PerSecond),
            "B" => (1.0, Unit::Bytes),
            "KB" => (1e3, Unit::Bytes),
            "MB" => (1e6, Unit::Bytes),
            "GB" => (1e9, Unit::Bytes),
            "KiB" => (1024.0, Unit::Bytes),
            "MiB" => (1_048_576.0, Unit::Bytes),
            "GiB" => (1_073_741_824.0, Unit::Bytes),
            other => return Err(QuantityError::UnknownUnit { unit: other.to_owned() }),
        };
        Ok(Self { value: value * factor, unit })
    }
}

impl fmt::Display for Quantity {
    /// As a person would write it: `200 ms`, `1.5 s`, `0.1 %`, `1000/s`, `512 MiB`, `2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.unit {
            Unit::Count => (self.value, ""),
            Unit::Percent => (self.value, " %"),
            Unit::PerSecond => (self.value, "/s"),
            Unit::Seconds if self.value == 0.0 => (0.0, " s"),
            Unit::Seconds if self.value.abs() < 1e-3 => (self.value * 1e6, " µs"),
            Unit::Seconds if self.value.abs() < 1.0 => (self.value * 1e3, " ms"),
            Unit::Seconds => (self.value, " s"),
            Unit::Bytes if self.value.abs() >= 1_073_741_824.0 => (self.value / 1_073_741_824.0, " GiB"),
            Unit::Bytes if self.value.abs() >= 1_048_576.0 => (self.value / 1_048_576.0, " MiB"),
            Unit::Bytes if self.value.abs() >= 1024.0 => (self.value / 1024.0, " KiB"),
            Unit::Bytes => (self.value, " B"),
        };
        // Three significant places are what a reader compares; whole numbers stay whole.
        let digits = if value.fract() == 0.0 || value.abs() >= 1000.0 {
            0
        } else if value.abs() >= 100.0 {
            1
        } else {
            2
        };
        let text = format!("{value:.digits$}");
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        write!(f, "{text}{unit}")
    }
}

/// How two numbers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Comparison {
    /// `==`
    #[serde(rename = "==")]
    Equal,
    /// `!=`
    #[serde(rename = "!=")]
    NotEqual,
    /// `<`
    #[serde(rename = "<")]
    Less,
    /// `<=`
    #[serde(rename = "<=")]
    LessOrEqual,
    /// `>`
    #[serde(rename = ">")]
    Greater,
    /// `>=`
    #[serde(rename = ">=")]
    GreaterOrEqual,
}

impl Comparison {
    /// Whether `left` stands in this relation to `right`.
    #[must_use]
    #[expect(clippy::float_cmp, reason = "== on counts is exact; a document that writes == 0.1 means exactly that")]
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }

    /// The sign, as documents write it.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

/// A comparison with a quantity: `<= 500ms`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// The comparison.
    pub comparison: Comparison,
    /// What is compared with.
    pub quantity: Quantity,
}

impl Condition {
    /// Whether a value (in the quantity's unit) satisfies the condition.
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        self.comparison.holds(value, self.quantity.value)
    }
}

impl FromStr for Condition {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let text = text.trim();
        // Longest signs first: `<=` starts with `<`.
        let signs = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        signs
            .iter()
            .find_map(|(sign, comparison)| text.strip_prefix(sign).map(|rest| (*comparison, rest)))
            .ok_or_else(|| QuantityError::NoComparison { text: text.to_owned() })
            .and_then(|(comparison, rest)| Ok(Self { comparison, quantity: rest.parse()? }))
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.comparison.sign(), self.quantity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_normalised_to_their_unit() {
        for (text, value, unit) in [
            ("200ms", 0.2, Unit::Seconds),
            ("1.5s", 1.5, Unit::Seconds),
            ("2", 2.0, Unit::Count),
            ("0.1%", 0.1, Unit::Percent),
            ("1_000/s", 1000.0, Unit::PerSecond),
            ("512MiB", 536_870_912.0, Unit::Bytes),
        ] {
            let quantity: Quantity = text.parse().unwrap();
            assert!((quantity.value - value).abs() < 1e-9 && quantity.unit == unit, "{text}: {quantity:?}");
        }
        assert_eq!("fast".parse::<Quantity>(), Err(QuantityError::NoNumber { text: "fast".to_owned() }));
        assert_eq!("5parsec".parse::<Quantity>(), Err(QuantityError::UnknownUnit { unit: "parsec".to_owned() }));
    }

    #[test]
    fn conditions_read_and_hold() {
        let condition: Condition = "<= 500ms".parse().unwrap();
        assert!(condition.holds(0.5) && !condition.holds(0.501));
        assert_eq!(condition.to_string(), "<= 500 ms");
        assert!("== 2".parse::<Condition>().unwrap().holds(2.0));
        assert!(matches!("500ms".parse::<Condition>(), Err(QuantityError::NoComparison { .. })));
    }

    #[test]
    fn quantities_print_as_a_person_writes_them() {
        for (text, printed) in [
            ("200ms", "200 ms"),
            ("1.25s", "1.25 s"),
            ("0", "0"),
            ("99.95%", "99.95 %"),
            ("1536KiB", "1.5 MiB"),
            ("12345/s", "12345/s"),
        ] {
            assert_eq!(text.parse::<Quantity>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn every_metric_has_one_row_and_a_sentence() {
        for (at, row) in METRICS.iter().enumerate() {
            assert!(METRICS[at + 1..].iter().all(|other| other.name != row.name), "{} twice", row.name);
            assert!(row.about.ends_with('.'), "{}", row.name);
        }
    }
}
