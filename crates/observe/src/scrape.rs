//! Series read from Prometheus endpoints.
//!
//! A [`Scraper`] reads an endpoint at its interval and writes one gauge `scrape.NAME` for each series that the document
//! names. Where several series of the endpoint match a name and labels, their sum counts. A counter's gauge is its increase
//! per second since the read before; a counter that fell was set back to zero in between. When the endpoint cannot be
//! read or no longer has a series, the gauge's level is not known (NaN) until it is there again.
//!
//! Each read is a call through a pipeline of [`patterns`] that has a time limit and, on purpose, nothing else. A retry would
//! make samples say what was not so: that an endpoint could be read all along which failed under the very faults it is
//! watched for; and the second request would count in the endpoint's own counters just then. The next read is the retry, as
//! it is for Prometheus. A breaker would hold back the first read that works again, and so the time to recover; and there is
//! nothing for a bulkhead to limit, since a read ends before the next begins.

use std::{collections::BTreeMap, time::Duration};

use model::{
    Moment,
    load::{Scrape, Series},
    metric::Metric,
};
use patterns::{Context, Error, InvalidOption, Pipeline};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    Clock, Measurements,
    exposition::{Sample, parse},
    get::{GetError, Trust, TrustError, ask, in_full},
    url::{Hosts, Url, UrlError},
};

/// Shortest interval of a scrape: endpoints are made to be read every few seconds.
const SHORTEST: Duration = Duration::from_millis(100);
/// An endpoint that takes longer than its interval is given this much at least.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);
/// The format asked for.
const ACCEPT: &str = "text/plain;version=0.0.4";

/// Why an endpoint cannot be read as it is written.
#[derive(Debug, thiserror::Error)]
pub enum ScrapeError {
    /// The URL.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The certificates.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The interval.
    #[error(transparent)]
    Interval(#[from] InvalidOption),
}

/// Reads one endpoint.
#[derive(Debug)]
pub struct Scraper {
    url: Url,
    every: Duration,
    /// Cuts off a read that takes too long.
    pipeline: Pipeline,
    trust: Option<Trust>,
    hosts: Hosts,
    series: BTreeMap<String, Tracked>,
}

/// A series that is taken, and for a counter what it was before.
#[derive(Debug)]
struct Tracked {
    series: Series,
    before: Option<(Moment, BTreeMap<String, f64>)>,
}

impl Scraper {
    /// Reads what is to be taken.
    ///
    /// # Errors
    ///
    /// When the URL cannot be used.
    pub fn new(scrape: &Scrape, hosts: Hosts) -> Result<Self, ScrapeError> {
        let url: Url = scrape.url.parse()?;
        let trust = if url.tls { Some(Trust::load(None)?) } else { None };
        let series = scrape
            .metrics
            .iter()
            .map(|(name, series)| (name.clone(), Tracked { series: series.clone(), before: None }))
            .collect();
        let every = scrape.every.get().max(SHORTEST);
        let pipeline = Pipeline::builder("scrape").attempt_timeout(limit(every)).build()?;
        Ok(Self { url, every, pipeline, trust, hosts, series })
    }

    /// Reads until it is dropped, the first time at once. `changed` hears when the endpoint can no longer be read (and why)
    /// or can be again, and of the first time.
    #[expect(clippy::infinite_loop, reason = "whoever runs it drops it: there is nothing to finish or to undo")]
    pub async fn run(
        mut self,
        clock: Clock,
        measurements: Measurements,
        mut changed: impl FnMut(Moment, Result<(), String>),
    ) {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut good = None;
        loop {
            ticks.tick().await;
            let read = self.read().await;
            let now = clock.now();
            let read = read.and_then(|text| self.take(&text, now, &measurements));
            if read.is_err() {
                self.lose(now, &measurements);
            }
            if good.replace(read.is_ok()) != Some(read.is_ok()) {
                changed(now, read);
            }
        }
    }

    async fn read(&self) -> Result<String, String> {
        let context = Context::idempotent();
        // Boxed: a TLS connection is large, and few of these run at once.
        let reading = |_| Box::pin(ask(&self.url, ACCEPT, &self.hosts, self.trust.as_ref()));
        let answer = self.pipeline.call(&context, reading).await.map_err(|error| match error {
            Error::Failed(error) => in_full(&error),
            Error::TimedOut(_) => in_full(&GetError::Timeout(limit(self.every))),
            Error::Rejected(_) | Error::Injected => error.to_string(),
        })?;
        if answer.status != 200 {
            return Err(format!("status {} instead of 200", answer.status));
        }
        String::from_utf8(answer.body).map_err(|_| "the body is not UTF-8".to_owned())
    }

    fn take(&mut self, text: &str, now: Moment, measurements: &Measurements) -> Result<(), String> {
        let samples = parse(text).map_err(|error| error.to_string())?;
        for (name, tracked) in &mut self.series {
            // A counter's first value is no rate yet; an unknown level says nothing.
            measurements.gauge(&gauge(name), now, tracked.level(&samples, now).unwrap_or(f64::NAN));
        }
        Ok(())
    }

    fn lose(&self, now: Moment, measurements: &Measurements) {
        for name in self.series.keys() {
            measurements.gauge(&gauge(name), now, f64::NAN);
        }
    }
}

/// How long a read may take.
fn limit(every: Duration) -> Duration {
    every.max(SHORTEST_TIMEOUT)
}

fn gauge(name: &str) -> Metric {
    Metric::new(format!("scrape.{name}"))
}

impl Tracked {
    /// The level of its gauge now.
    fn level(&mut self, samples: &[Sample<'_>], now: Moment) -> Option<f64> {
        let values: BTreeMap<String, f64> = samples
            .iter()
            .filter(|sample| self.series.name == sample.name)
            .filter(|sample| {
                let labels = &self.series.labels;
                labels.iter().all(|(label, value)| sample.labels.get(label.as_str()).map_or("", |found| found) == value)
            })
            .map(|sample| (format!("{:?}", sample.labels), sample.value))
            .collect();
        if values.is_empty() {
            return None;
        }
        if !self.series.rate {
            return Some(values.values().sum());
        }
        let (then, before) = self.before.replace((now, values.clone()))?;
        let seconds = (now - then).as_secs_f64();
        let mut known = values
            .iter()
            .filter_map(|(series, &value)| before.get(series).map(|&was| if value < was { value } else { value - was }))
            .peekable();
        // A series that is new has no increase yet.
        known.peek()?;
        (seconds > 0.0).then(|| known.sum::<f64>() / seconds)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{net::TcpListener, time::timeout};

    use super::*;

    fn scraper(rate: bool, labels: &[(&str, &str)]) -> Scraper {
        let labels = labels.iter().map(|&(label, value)| (label.to_owned(), value.to_owned())).collect();
        let series = Series { name: "requests_total".to_owned(), labels, rate };
        let metrics = BTreeMap::from([("requests".to_owned(), series)]);
        let scrape = Scrape { url: "http://127.0.0.1:9/".to_owned(), every: model::Period::from_secs(1), metrics };
        Scraper::new(&scrape, Hosts::new()).unwrap()
    }

    /// The gauge after each of several texts, a second apart; `None` where it is not known.
    fn levels(mut scraper: Scraper, texts: &[&str]) -> Vec<Option<f64>> {
        let measurements = Measurements::new();
        let metric = Metric::new("scrape.requests");
        (1..)
            .map(Moment::from_secs)
            .zip(texts)
            .map(|(now, text)| {
                if scraper.take(text, now, &measurements).is_err() {
                    scraper.lose(now, &measurements);
                }
                measurements.read(&metric, now, now).value()
            })
            .collect()
    }

    #[tokio::test]
    async fn a_read_that_fails_is_not_tried_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scraper = reading(&listener);
        let (read, _connection) = tokio::join!(scraper.read(), async { drop(listener.accept().await) });
        assert!(read.unwrap_err().starts_with("the connection broke"));
        // What is in the backlog would be accepted before the clock, stopped, is moved by the runtime that has no more to do.
        tokio::time::pause();
        assert!(timeout(Duration::from_secs(1), listener.accept()).await.is_err(), "there was a second request");
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_hangs_is_cut_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        assert_eq!(reading(&listener).read().await.unwrap_err(), "no complete response within 1s");
    }

    fn reading(listener: &TcpListener) -> Scraper {
        let url = format!("http://{}/metrics", listener.local_addr().unwrap());
        let scrape = Scrape { url, every: model::Period::from_millis(100), metrics: BTreeMap::new() };
        Scraper::new(&scrape, Hosts::new()).unwrap()
    }

    #[test]
    fn series_that_match_are_summed() {
        let text = "requests_total{code=\"500\",path=\"/a\"} 3\nrequests_total{code=\"500\"} 4\nrequests_total{code=\"200\"} 9\nother 1\n";
        assert_eq!(levels(scraper(false, &[("code", "500")]), &[text]), [Some(7.0)]);
        assert_eq!(levels(scraper(false, &[]), &[text]), [Some(16.0)]);
        assert_eq!(levels(scraper(false, &[("code", "404")]), &[text]), [None]);
        assert_eq!(levels(scraper(false, &[("path", ""), ("code", "500")]), &[text]), [Some(4.0)], "absent is empty");
    }

    #[test]
    fn a_counter_gives_its_rate_and_survives_a_reset() {
        let texts = ["requests_total 100\n", "requests_total 130\n", "requests_total 5\n", "requests_total 5\n"];
        assert_eq!(levels(scraper(true, &[]), &texts), [None, Some(30.0), Some(5.0), Some(0.0)]);
    }

    #[test]
    fn a_rate_spans_a_gap_and_a_new_series_does_not_jump() {
        let texts = [
            "requests_total{a=\"1\"} 10\n",
            "<html>",
            "requests_total{a=\"1\"} 30\nrequests_total{a=\"2\"} 1000\n",
            "requests_total{a=\"1\"} 31\nrequests_total{a=\"2\"} 1001\n",
        ];
        assert_eq!(levels(scraper(true, &[]), &texts), [None, None, Some(10.0), Some(2.0)]);
    }
}
