//! Everything that is to be said about a review at a time.

use assess::review::{
    Standing,
    change::{self, Comparison},
    month::{self, Monthly},
    plan::{self, Item},
    schedule::{self, Schedule},
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use model::{
    incident::History,
    lens::Lens,
    review::{Milestone, Review},
};
use serde_json::{Value, json};

/// A review, and what follows from it.
pub(super) struct Report<'a> {
    pub(super) review: &'a Review,
    pub(super) lens: &'a Lens,
    /// When it is looked at.
    pub(super) at: Timestamp,
    /// The same as a day in UTC.
    pub(super) today: Date,
    pub(super) standing: Standing,
    /// What to improve, most urgent first.
    pub(super) items: Vec<Item>,
    pub(super) schedule: Schedule,
    /// The milestone that it is compared with.
    pub(super) since: Option<(&'a Milestone, Comparison)>,
    pub(super) monthly: Monthly,
}

impl<'a> Report<'a> {
    pub(super) fn new(
        review: &'a Review,
        lens: &'a Lens,
        (history, month): (Option<&History>, Option<Date>),
        at: Timestamp,
        since: Option<&'a Milestone>,
    ) -> Self {
        let standing = Standing::of(lens, &review.answers, at);
        let items = plan::items(lens, review, &standing);
        let today = at.to_zoned(TimeZone::UTC).date();
        let schedule = schedule::schedule(&items, &review.plan, today);
        let since = since.map(|milestone| {
            let before = Standing::of(lens, &milestone.answers, milestone.at);
            (milestone, change::compare(&before, &standing))
        });
        let monthly = month::monthly(review, &schedule, history, month, at);
        Self { review, lens, at, today, standing, items, schedule, since, monthly }
    }

    /// The lens with its edition and date.
    pub(super) fn lens_name(&self) -> String {
        let edition = self.lens.edition().map(|edition| format!(", edition {edition}")).unwrap_or_default();
        let date = self.lens.date().map(|date| format!(" ({date})")).unwrap_or_default();
        format!("{}{edition}{date}", self.lens.name)
    }

    /// The sentence that matters most.
    pub(super) fn headline(&self) -> String {
        let counts = self.standing.counts;
        let questions = |count: usize| format!("{count} question{}", if count == 1 { "" } else { "s" });
        match (counts.high, counts.medium, counts.unanswered) {
            (0, 0, 0) => "No question has a risk.".to_owned(),
            (0, 0, open) => {
                format!("No risk is known, but {} of {} wait for an answer.", open, questions(counts.total()))
            }
            (0, medium, _) => format!("No high risk; {} of {} with a medium one.", medium, questions(counts.total())),
            (high, _, _) => {
                let verb = if high == 1 { "has" } else { "have" };
                format!("{high} of {} {verb} a high risk.", questions(counts.total()))
            }
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "at": self.at,
            "workload": self.review.workload,
            "lens": { "name": self.lens.name, "edition": self.lens.edition(), "date": self.lens.date() },
            "headline": self.headline(),
            "standing": self.standing,
            "items": self.items,
            "schedule": self.schedule,
            "since": self.since.as_ref().map(|(milestone, comparison)| json!({
                "name": milestone.name, "at": milestone.at, "comparison": comparison,
            })),
            "monthly": self.monthly,
        })
    }
}
