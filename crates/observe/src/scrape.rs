//! Series read from Prometheus endpoints.
//!
//! A [`Scraper`] reads an endpoint at its interval and writes one gauge `scrape.NAME` for each series that the document
//! names. Where several series of the endpoint match a name and labels, their sum counts. A counter's gauge is its increase
//! per second since the read before; a counter that fell was set back to zero in between. When the endpoint cannot be
//! read or no longer has a series, the gauge's level is not known (NaN) until it is there again.

use std::{collections::BTreeMap, time::Duration};

use model::{
    Moment,
    load::{Scrape, Series},
    metric::Metric,
};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    Clock, Measurements,
    exposition::{Sample, parse},
    get::{Trust, TrustError, get, in_full},
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
}

/// Reads one endpoint.
#[derive(Debug)]
pub struct Scraper {
    url: Url,
    every: Duration,
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
        Ok(Self { url, every: scrape.every.get().max(SHORTEST), trust, hosts, series })
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
        let timeout = self.every.max(SHORTEST_TIMEOUT);
        let answer = get(&self.url, ACCEPT, &self.hosts, self.trust.as_ref(), timeout).await;
        let answer = answer.map_err(|error| in_full(&error))?;
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
