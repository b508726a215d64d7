//! The monthly look at a review: figures against what was promised, and what needs a decision.

use jiff::{Timestamp, ToSpan as _, civil::Date};
use model::review::{Answers, Month, Review};
use serde::Serialize;

use super::schedule::Schedule;

/// A figure beside what it should be.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// What it is.
    pub name: &'static str,
    /// What was measured.
    pub value: String,
    /// What was promised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Whether the promise was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<bool>,
}

/// Evidence that is about to show nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Expiring {
    /// Id of the choice.
    pub choice: String,
    /// The evidence's source.
    pub source: String,
    /// When it expires.
    pub expires: Timestamp,
}

/// What a monthly review looks at.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Monthly {
    /// The month that was measured last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub month: Option<Date>,
    /// Its figures.
    pub figures: Vec<Figure>,
    /// Tasks, by their labels, that end within 31 days.
    pub due: Vec<String>,
    /// Tasks that end after the day by which they must be done.
    pub late: Vec<String>,
    /// Evidence that expires within 31 days, the first first.
    pub expiring: Vec<Expiring>,
}

/// What the next monthly review looks at.
#[must_use]
pub fn monthly(review: &Review, schedule: &Schedule, now: Timestamp, today: Date) -> Monthly {
    let month = review.months.last();
    let soon = today.saturating_add(31.days());
    let labels = |tasks: Vec<&super::schedule::Task>| tasks.into_iter().map(|task| task.label.clone()).collect();
    Monthly {
        month: month.map(|month| month.first),
        figures: month.map(|month| figures(review, month)).unwrap_or_default(),
        due: labels(schedule.tasks.iter().filter(|task| task.end <= soon).collect()),
        late: labels(schedule.tasks.iter().filter(|task| task.late).collect()),
        expiring: expiring(&review.answers, now),
    }
}

fn expiring(answers: &Answers, now: Timestamp) -> Vec<Expiring> {
    let soon = now.saturating_add((31 * 24).hours()).unwrap_or(Timestamp::MAX);
    let mut found = Vec::new();
    for (id, choice) in answers.values().flat_map(|answer| &answer.choices) {
        // What has been renewed does not run out.
        let lasting = choice.evidence.iter().any(|other| other.counts(soon));
        for evidence in choice.evidence.iter().filter(|evidence| evidence.counts(now) && !lasting) {
            let expires = evidence.expires.filter(|expires| *expires <= soon);
            found.extend(expires.map(|expires| Expiring {
                choice: id.clone(),
                source: evidence.source.clone(),
                expires,
            }));
        }
    }
    found.sort_by_key(|expiring| expiring.expires);
    found
}

fn figures(review: &Review, month: &Month) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut add = |name, value: Option<String>, target: Option<String>, kept| {
        figures.extend(value.map(|value| Figure { name, value, target, kept }));
    };
    let target = review.workload.availability;
    let percent = |share: f64| format!("{share} %");
    let kept = month.availability.zip(target).map(|(is, target)| is >= target);
    add("Availability", month.availability.map(percent), target.map(percent), kept);
    let budget = target.map(|target| (1.0 - target / 100.0) * seconds_of(month.first));
    if let (Some(downtime), Some(budget)) = (month.downtime, budget) {
        let used = downtime.as_secs_f64();
        // To the tenth of a percent; a budget of nothing is used up by anything.
        let share = if budget > 0.0 { format!("{:.1} %", used / budget * 100.0) } else { "all".to_owned() };
        add("Error budget used", Some(share), Some("at most 100 %".to_owned()), Some(used <= budget));
    }
    add("Downtime", month.downtime.map(|downtime| downtime.to_string()), None, None);
    add("Incidents", month.incidents.map(|count| count.to_string()), None, None);
    if let (Some(downtime), Some(incidents @ 1..)) = (month.downtime, month.incidents) {
        let mean = downtime.as_secs_f64() / f64::from(incidents);
        let rto = review.workload.rto;
        let kept = rto.map(|rto| mean <= rto.as_secs_f64());
        add("Mean time to recover", Some(format!("{:.1} min", mean / 60.0)), rto.map(|rto| rto.to_string()), kept);
    }
    let backups = month.backups_made.map(|made| match month.backups_failed {
        Some(failed) => format!("{made} made, {failed} failed"),
        None => format!("{made} made"),
    });
    add("Backups", backups, Some("none failed".to_owned()), month.backups_failed.map(|failed| failed == 0));
    figures
}

/// Seconds of the month that begins on a day.
fn seconds_of(first: Date) -> f64 {
    f64::from(first.days_in_month()) * 86_400.0
}
