//! A plan of 90 days: which improvement begins and ends when, and who does it.

use std::collections::BTreeMap;

use jiff::{ToSpan as _, civil::Date};
use model::review::{Planning, Progress};
use serde::Serialize;

use super::plan::Item;

/// Days of a plan.
pub const DAYS: i32 = 90;

/// How many improvements without an owner go on at once, where a review does not say.
const PARALLEL: usize = 2;

/// An improvement with its dates.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// Id of the choice.
    pub choice: String,
    /// The published number, or the id.
    pub label: String,
    /// What is done.
    pub title: String,
    /// Who does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Tasks that must be done before, by their labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// First day.
    pub start: Date,
    /// Last day.
    pub end: Date,
    /// Which third of the 90 days it ends in, 1 to 3; 4 when it ends after them.
    pub phase: u8,
    /// Whether it ends after the day by which it must be done.
    pub late: bool,
    /// How far it is.
    pub progress: Progress,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// First day.
    pub first: Date,
    /// Last of the [`DAYS`] days.
    pub last: Date,
    /// Days on which the thirds end and it is looked at what was reached.
    pub checkpoints: [Date; 3],
    /// By start, then by urgency.
    pub tasks: Vec<Task>,
    /// Items that wait for each other in a circle, by their labels.
    pub circular: Vec<String>,
}

/// Plans items that are neither done nor given up.
///
/// Items are taken by urgency, each as soon as what it waits for is planned. It begins when that is done and its owner
/// is free, who does one thing at a time. What has no owner is done by as many as [`Planning::parallel`] says.
#[must_use]
pub fn schedule(items: &[Item], planning: &Planning, today: Date) -> Schedule {
    let first = planning.start.unwrap_or(today);
    let after_days = |days: i32| first.saturating_add(days.days());
    let mut schedule = Schedule {
        first,
        last: after_days(DAYS - 1),
        checkpoints: [1, 2, 3].map(|third| after_days(DAYS / 3 * third - 1)),
        tasks: Vec::new(),
        circular: Vec::new(),
    };
    let mut open: Vec<&Item> =
        items.iter().filter(|item| !matches!(item.progress, Progress::Complete | Progress::RiskAccepted)).collect();
    let mut ends: BTreeMap<&str, Date> = BTreeMap::new();
    let mut lanes = Lanes { owners: BTreeMap::new(), nobody: vec![first; parallel(planning)], first };
    while !open.is_empty() {
        let waits = |item: &Item| item.after.iter().any(|before| open.iter().any(|other| other.choice == *before));
        let Some(next) = open.iter().position(|item| !waits(item)) else {
            schedule.circular = open.iter().map(|item| item.label.clone()).collect();
            break;
        };
        let item = open.remove(next);
        let ready = item.after.iter().filter_map(|before| ends.get(before.as_str())).max();
        let ready = ready.map_or(first, |end| end.saturating_add(1.day()));
        let lane = lanes.of(item.owner.as_deref());
        let start = ready.max(*lane);
        let end = start.saturating_add((item.days - 1).days());
        *lane = end.saturating_add(1.day());
        ends.insert(&item.choice, end);
        let phase = (1..).zip(schedule.checkpoints).find(|(_, day)| end <= *day).map_or(4, |(phase, _)| phase);
        schedule.tasks.push(Task {
            choice: item.choice.clone(),
            label: item.label.clone(),
            title: item.title.clone(),
            owner: item.owner.clone(),
            after: labels(items, &item.after),
            start,
            end,
            phase,
            late: item.due.is_some_and(|due| end > due),
            progress: item.progress,
        });
    }
    schedule.tasks.sort_by_key(|task| task.start);
    schedule
}

fn parallel(planning: &Planning) -> usize {
    planning.parallel.and_then(|lanes| usize::try_from(lanes).ok()).unwrap_or(PARALLEL).max(1)
}

fn labels(items: &[Item], choices: &[String]) -> Vec<String> {
    let label = |choice: &String| items.iter().find(|item| item.choice == *choice).map(|item| item.label.clone());
    choices.iter().filter_map(label).collect()
}

/// From when on who is free.
struct Lanes {
    owners: BTreeMap<String, Date>,
    nobody: Vec<Date>,
    first: Date,
}

impl Lanes {
    /// The owner's lane; without an owner, the one that is free first.
    fn of(&mut self, owner: Option<&str>) -> &mut Date {
        match (owner, self.nobody.iter_mut().min()) {
            (None, Some(lane)) => lane,
            (owner, _) => self.owners.entry(owner.unwrap_or_default().to_owned()).or_insert(self.first),
        }
    }
}
