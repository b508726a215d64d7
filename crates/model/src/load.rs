//! What is asked of the system while an experiment runs: load, probes, scrapes.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::period::Period;

/// Load driven through the system.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Load {
    /// Our own open-loop HTTP load.
    Http(HttpLoad),
    /// Somebody else's generator, such as k6, run beside the experiment; it is ended with it.
    Command(CommandLoad),
}

/// Open-loop HTTP load: requests are sent when they are due, whether or not earlier ones have been answered, and a
/// request's latency counts from the moment it was due.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpLoad {
    /// The requests, chosen at random by weight.
    pub requests: Vec<HttpRequest>,
    /// Requests per second.
    pub rate: f64,
    /// Rates to move through linearly before `rate` is held: (length, rate at its end), from 0.
    pub ramp: Vec<(Period, f64)>,
    /// Whether connections are used again.
    pub keep_alive: bool,
    /// How long a response may take, counted from when the request was due.
    pub timeout: Period,
    /// Most connections open at once; a request that is due when none is free counts its waiting as latency.
    pub connections: u32,
}

/// One kind of request.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRequest {
    /// Absolute `http://` URL.
    pub url: String,
    /// `GET` unless said otherwise.
    pub method: String,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: Option<String>,
    /// Share among the requests.
    pub weight: u32,
}

/// A command that drives load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandLoad {
    /// Program and arguments; no shell.
    pub command: Vec<String>,
    /// Environment added to ours.
    pub env: BTreeMap<String, String>,
}

/// A question asked all the time, whose answer is good or bad.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// What is asked.
    pub ask: Ask,
    /// How often.
    pub every: Period,
    /// How long an answer may take.
    pub timeout: Period,
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Ask {
    /// An HTTP GET.
    Http {
        /// `http://` or `https://` URL.
        url: String,
        /// Statuses that are good; empty: 200 to 299.
        status: Vec<u16>,
        /// Text that the body must contain.
        body_contains: Option<String>,
        /// PEM file with the authorities to trust besides the system's.
        ca_file: Option<String>,
    },
    /// A TCP connection.
    Tcp {
        /// `host:port`.
        address: String,
    },
    /// A command; exit status 0 is good.
    Command {
        /// Program and arguments; no shell.
        command: Vec<String>,
    },
}

/// A Prometheus endpoint to read.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scrape {
    /// URL of the text exposition.
    pub url: String,
    /// How often.
    pub every: Period,
    /// The series taken: our name -> selector such as `http_requests_total{code="500"}`.
    pub metrics: BTreeMap<String, Series>,
}

/// A series of a scrape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Series {
    /// Name of the metric in the exposition.
    pub name: String,
    /// Labels that must all match.
    pub labels: BTreeMap<String, String>,
    /// Whether it is a counter, whose increase per second is taken instead of its value.
    pub rate: bool,
}
