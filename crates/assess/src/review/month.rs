//! The monthly look at a review: figures against what was promised and against the month before, and what needs a decision.
//!
//! Figures come from a history of incidents, which is computed; without one, from what the review says of the month.

use std::time::Duration;

use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use model::{
    Period,
    incident::{History, Stretch},
    review::{Answers, Month, Review},
};
use serde::Serialize;

use super::schedule::{Schedule, Task};
use crate::history::{self, By, Direction, Figures, USUAL_CONFIDENCE};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Amount {
    /// A share, from 0 to 1; of a budget, above 1 where it was overdrawn.
    Share(f64),
    /// A length of time in seconds.
    Seconds(f64),
    /// How many.
    Count(u64),
}

impl Amount {
    /// As a number, to compare it with another of its kind.
    #[expect(clippy::cast_precision_loss, reason = "counts of incidents and backups are far below 2^53")]
    const fn number(self) -> f64 {
        match self {
            Self::Share(number) | Self::Seconds(number) => number,
            Self::Count(count) => count as f64,
        }
    }
}

/// A figure beside what it should be and what it was.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// What it is.
    pub name: &'static str,
    /// What was measured.
    pub value: Amount,
    /// What was promised: the least of an availability, the most of everything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Amount>,
    /// Whether the promise was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<bool>,
    /// What it was in the month before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Amount>,
    /// Whether it became better since; none where it did not change, or says nothing (a month that was observed in part has
    /// fewer incidents).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub better: Option<bool>,
}

/// An incident of the month.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Happened {
    /// What happened.
    pub title: String,
    /// When it began.
    pub began: Timestamp,
    /// How long it took until the service was restored.
    pub seconds: f64,
    /// Why, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// Whether it gets better, by all that was observed; none where there are too few interruptions to tell, which takes four.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trend {
    /// Failures become rarer, or more frequent.
    pub failures: Option<Direction>,
    /// Repairs become shorter, or longer.
    pub repairs: Option<Direction>,
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
    /// The month that is looked at: its first day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub month: Option<Date>,
    /// Its figures.
    pub figures: Vec<Figure>,
    /// Its incidents, where a history is known.
    pub incidents: Vec<Happened>,
    /// Whether it gets better, where a history is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trend: Option<Trend>,
    /// What is missing for a figure, or speaks against one: a sentence each.
    pub remarks: Vec<String>,
    /// Tasks, by their labels, that end within 31 days.
    pub due: Vec<String>,
    /// Tasks that end after the day by which they must be done.
    pub late: Vec<String>,
    /// Evidence that expires within 31 days, the first first.
    pub expiring: Vec<Expiring>,
}

/// What the next monthly review looks at.
///
/// `asked` is any day of the month to look at. If none is asked for, it is the last one that was observed from its first day
/// to its last; or else the last one of which anything is known.
#[must_use]
pub fn monthly(
    review: &Review,
    schedule: &Schedule,
    history: Option<&History>,
    asked: Option<Date>,
    now: Timestamp,
) -> Monthly {
    let soon = TimeZone::UTC.to_datetime(now).date().saturating_add(31.days());
    let labels = |tasks: Vec<&Task>| tasks.into_iter().map(|task| task.label.clone()).collect();
    let asked = asked.map(Date::first_of_month);
    let mut monthly = Monthly {
        month: None,
        figures: Vec::new(),
        incidents: Vec::new(),
        trend: None,
        remarks: Vec::new(),
        due: labels(schedule.tasks.iter().filter(|task| task.end <= soon).collect()),
        late: labels(schedule.tasks.iter().filter(|task| task.late).collect()),
        expiring: expiring(&review.answers, now),
    };
    match history {
        Some(history) => monthly.observed(review, history, asked),
        None => monthly.stated(review, asked),
    }
    monthly
}

/// A calendar month as far as it was observed.
struct Observed {
    first: Date,
    figures: Figures,
    stretch: Stretch,
    whole: bool,
}

impl Monthly {
    /// Takes figures from incidents.
    fn observed(&mut self, review: &Review, history: &History, asked: Option<Date>) {
        let report = history::analyse(history, Some(By::Month), USUAL_CONFIDENCE);
        let months: Vec<Observed> = report.periods.iter().map(|period| observed(period, &history.time_zone)).collect();
        let usual = || months.iter().rposition(|month| month.whole).or_else(|| months.len().checked_sub(1));
        let at = match asked {
            Some(asked) => months.iter().position(|month| month.first == asked),
            None => usual(),
        };
        self.trend = Some(Trend {
            failures: report.failures.map(|trend| trend.direction),
            repairs: report.repairs.map(|trend| trend.direction),
        });
        let Some(month) = at.and_then(|at| months.get(at)) else {
            let day = |at| history.time_zone.to_datetime(at).date();
            let (from, to) = (day(history.observed.from), day(history.observed.to));
            self.remarks
                .push(format!("The history observes {from} to {to}; the month that is asked for is not in it."));
            return self.stated(review, asked);
        };
        self.month = Some(month.first);
        let before = at.and_then(|at| at.checked_sub(1)).and_then(|at| months.get(at));
        let target = review.workload.availability.map(|percent| percent / 100.0).or(history.target);
        self.figures = figures(month, before, target, review.workload.rto.map(Period::as_secs_f64));
        let begun = |at: Timestamp| month.stretch.from <= at && at < month.stretch.to;
        self.incidents = history
            .incidents
            .iter()
            .filter(|incident| begun(incident.began))
            .map(|incident| Happened {
                title: incident.title.clone(),
                began: incident.began,
                seconds: incident.stretch().length().as_secs_f64(),
                cause: incident.cause.clone(),
            })
            .collect();
        self.incidents.sort_by_key(|incident| incident.began);
        let said = review.months.iter().find(|said| said.first == month.first);
        self.backups(said);
        self.missing(month, target);
        self.contradiction(month, said);
    }

    /// Takes figures from what the review says.
    fn stated(&mut self, review: &Review, asked: Option<Date>) {
        let at = match asked {
            Some(asked) => review.months.iter().position(|month| month.first == asked),
            None => review.months.len().checked_sub(1),
        };
        if self.remarks.is_empty() {
            let where_from = "name a history of incidents with --history FILE or under `history` in the review";
            self.remarks.push(match at {
                Some(_) => {
                    format!("The figures are what the review says of the month. To have them computed, {where_from}.")
                }
                None => format!("Nothing is known of the month: {where_from}."),
            });
        }
        let Some(at) = at else { return };
        let month = &review.months[at];
        let before = at.checked_sub(1).map(|at| &review.months[at]);
        let before = before.filter(|before| before.first.saturating_add(1.month()) == month.first);
        self.month = Some(month.first);
        self.figures = stated(review, month, before);
        self.backups(Some(month));
    }

    fn backups(&mut self, said: Option<&Month>) {
        let made = said.and_then(|month| month.backups_made);
        let failed = said.and_then(|month| month.backups_failed);
        let figure = |name, count: u32, target: Option<u32>| Figure {
            name,
            value: Amount::Count(count.into()),
            target: target.map(|target| Amount::Count(target.into())),
            kept: target.map(|target| count <= target),
            before: None,
            better: None,
        };
        self.figures.extend(made.map(|made| figure("Backups made", made, None)));
        self.figures.extend(failed.map(|failed| figure("Backups failed", failed, Some(0))));
        if made.is_none() && failed.is_none() {
            let how = "`backupsMade` and `backupsFailed` under `months`";
            self.remarks.push(format!("How many backups were made and how many failed is not known: {how}."));
        }
    }

    /// What a history does not say of a month.
    fn missing(&mut self, month: &Observed, target: Option<f64>) {
        let mut say = |sentence: String| self.remarks.push(sentence);
        if !month.whole {
            let days = (month.figures.observed_seconds / 86_400.0).round();
            let all = month.first.days_in_month();
            say(format!("Only {days} of the month's {all} days were observed."));
        }
        if target.is_none() {
            say("No availability is promised, so there is no error budget: `availability` under `workload`.".to_owned());
        }
        if month.figures.incidents > 0 && month.figures.mttd.value.is_none() {
            let how = "`detected` or `detectedAfter` in the history";
            say(format!("When the incidents were noticed is not known, so there is no time to detect: {how}."));
        }
    }

    /// Where the review says something else than the incidents.
    fn contradiction(&mut self, month: &Observed, said: Option<&Month>) {
        let computed = month.figures.availability.value.map(|share| share * 100.0);
        if let (Some(computed), Some(said)) = (computed, said.and_then(|month| month.availability)) {
            // A figure of three digits behind the point may be rounded.
            if (computed - said).abs() > 0.0006 {
                self.remarks
                    .push(format!("The review says {said} % for the month; the incidents give {computed:.3} %."));
            }
        }
        let count = said.and_then(|month| month.incidents).and_then(|count| usize::try_from(count).ok());
        if let Some(count) = count.filter(|count| *count != month.figures.incidents) {
            let known = month.figures.incidents;
            self.remarks.push(format!("The review counts {count} incidents in the month; the history has {known}."));
        }
    }
}

fn observed(period: &history::Period, zone: &TimeZone) -> Observed {
    let first = zone.to_datetime(period.stretch.from).date().first_of_month();
    let midnight = |day: Date| zone.to_timestamp(day.at(0, 0, 0, 0)).ok();
    let whole = midnight(first) == Some(period.stretch.from)
        && midnight(first.saturating_add(1.month())) == Some(period.stretch.to);
    Observed { first, figures: period.figures, stretch: period.stretch, whole }
}

/// Puts a value beside its promise and the month before.
fn figure(name: &'static str, value: Amount, target: Option<Amount>, before: Option<Amount>) -> Figure {
    let more_is_better = name == AVAILABILITY;
    let at_least_as_good = |one: Amount, other: Amount| {
        if more_is_better { one.number() >= other.number() } else { one.number() <= other.number() }
    };
    let changed = before.filter(|before| before.number().total_cmp(&value.number()).is_ne());
    Figure {
        name,
        value,
        target,
        kept: target.map(|target| at_least_as_good(value, target)),
        before,
        better: changed.map(|before| at_least_as_good(value, before)),
    }
}

const AVAILABILITY: &str = "Availability";
const BUDGET: &str = "Error budget used";
const DOWNTIME: &str = "Downtime";
const INCIDENTS: &str = "Incidents";
const RECOVER: &str = "Mean time to recover";

/// A figure's name, how it is found of a month, and what was promised.
type Measure<'f, Of> = (&'static str, &'f dyn Fn(&Of) -> Option<Amount>, Option<Amount>);

/// The figures of a month that was observed. Budgets are of the time that was observed; recovery is measured against the
/// time to recover that was promised.
fn figures(month: &Observed, before: Option<&Observed>, target: Option<f64>, rto: Option<f64>) -> Vec<Figure> {
    let share = |of: &Observed| of.figures.availability.value.map(Amount::Share);
    let budget = |of: &Observed| used(of.figures.lost_seconds, target?, of.figures.observed_seconds);
    let lost = |of: &Observed| Some(Amount::Seconds(of.figures.lost_seconds));
    let count = |of: &Observed| Some(Amount::Count(of.figures.incidents as u64));
    let recover = |of: &Observed| of.figures.mttr.value.map(Amount::Seconds);
    let detect = |of: &Observed| of.figures.mttd.value.map(Amount::Seconds);
    let both_whole = month.whole && before.is_none_or(|before| before.whole);
    let all: [Measure<'_, Observed>; 6] = [
        (AVAILABILITY, &share, target.map(Amount::Share)),
        (BUDGET, &budget, Some(Amount::Share(1.0))),
        (DOWNTIME, &lost, None),
        (INCIDENTS, &count, None),
        (RECOVER, &recover, rto.map(Amount::Seconds)),
        ("Mean time to detect", &detect, None),
    ];
    all.into_iter()
        .filter_map(|(name, of, target)| {
            let mut figure = figure(name, of(month)?, target, before.and_then(of));
            // What adds up is less in a month of which a part was observed.
            figure.better = figure.better.filter(|_| both_whole || !matches!(name, DOWNTIME | INCIDENTS));
            Some(figure)
        })
        .collect()
}

/// The figures that a review says itself.
fn stated(review: &Review, month: &Month, before: Option<&Month>) -> Vec<Figure> {
    let target = review.workload.availability.map(|percent| percent / 100.0);
    let rto = review.workload.rto.map(|rto| Amount::Seconds(rto.as_secs_f64()));
    let share = |of: &Month| of.availability.map(|percent| Amount::Share(percent / 100.0));
    let budget = |of: &Month| {
        let length = f64::from(of.first.days_in_month()) * 86_400.0;
        used(of.downtime?.as_secs_f64(), target?, length)
    };
    let lost = |of: &Month| of.downtime.map(|downtime| Amount::Seconds(downtime.as_secs_f64()));
    let count = |of: &Month| of.incidents.map(|count| Amount::Count(count.into()));
    let recover = |of: &Month| {
        let incidents = of.incidents.filter(|count| *count > 0)?;
        Some(Amount::Seconds(of.downtime?.as_secs_f64() / f64::from(incidents)))
    };
    let all: [Measure<'_, Month>; 5] = [
        (AVAILABILITY, &share, target.map(Amount::Share)),
        (BUDGET, &budget, Some(Amount::Share(1.0))),
        (DOWNTIME, &lost, None),
        (INCIDENTS, &count, None),
        (RECOVER, &recover, rto),
    ];
    all.into_iter()
        .filter_map(|(name, of, target)| Some(figure(name, of(month)?, target, before.and_then(of))))
        .collect()
}

/// The share of an error budget that was used; none where nothing may be lost.
fn used(lost: f64, target: f64, length: f64) -> Option<Amount> {
    let budget = (1.0 - target) * length;
    (budget > 0.0).then(|| Amount::Share(lost / budget))
}

fn expiring(answers: &Answers, now: Timestamp) -> Vec<Expiring> {
    let soon = now.saturating_add(SOON).unwrap_or(Timestamp::MAX);
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

/// The longest month: what expires before the next monthly review is told in this one.
const SOON: Duration = Duration::from_secs(31 * 86_400);
