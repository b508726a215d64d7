//! What has changed between two states of a review.

use serde::Serialize;

use super::standing::{Counts, Known, QuestionRisk, QuestionStanding, Standing};

/// What has changed for a question.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Its id.
    pub id: String,
    /// Its number or id.
    pub label: String,
    /// Its title.
    pub title: String,
    /// The risk it had.
    pub before: QuestionRisk,
    /// The risk it has.
    pub after: QuestionRisk,
    /// Practices that are followed now and were not.
    pub gained: Vec<String>,
    /// Practices that were followed and are not any more.
    pub lost: Vec<String>,
}

impl Change {
    /// Whether the risk went down (`Some(true)`) or up. Answering is neither.
    #[must_use]
    pub fn better(&self) -> Option<bool> {
        let rank = |risk| match risk {
            QuestionRisk::None => Some(0),
            QuestionRisk::Medium => Some(1),
            QuestionRisk::High => Some(2),
            QuestionRisk::Unanswered | QuestionRisk::NotApplicable => None,
        };
        let (before, after) = (rank(self.before)?, rank(self.after)?);
        (before != after).then_some(after < before)
    }
}

/// What has changed between two states.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// Counts of the earlier state.
    pub before: Counts,
    /// Counts of the later one.
    pub after: Counts,
    /// Questions with a change, in the order of the later state, and those that are only in the earlier one.
    pub changes: Vec<Change>,
}

/// Compares an earlier state with a later one.
#[must_use]
pub fn compare(before: &Standing, after: &Standing) -> Comparison {
    let of_after = after.questions().map(|question| {
        let earlier = before.questions().find(|earlier| earlier.id == question.id);
        change(earlier, Some(question))
    });
    let gone = before.questions().filter(|earlier| after.questions().all(|question| question.id != earlier.id));
    let changes = of_after.chain(gone.map(|earlier| change(Some(earlier), None))).flatten().collect();
    Comparison { before: before.counts, after: after.counts, changes }
}

fn change(before: Option<&QuestionStanding>, after: Option<&QuestionStanding>) -> Option<Change> {
    let shown = after.or(before)?;
    let followed = |question: Option<&QuestionStanding>| -> Vec<String> {
        let choices = question.map(|question| question.choices.as_slice()).unwrap_or_default();
        let practices = choices.iter().filter(|choice| choice.known.followed() && !choice.none_of_these);
        practices.map(|choice| choice.id.clone()).collect()
    };
    let (had, has) = (followed(before), followed(after));
    let change = Change {
        id: shown.id.clone(),
        label: shown.label().to_owned(),
        title: shown.title.clone(),
        before: before.map_or(QuestionRisk::Unanswered, |question| question.risk),
        after: after.map_or(QuestionRisk::NotApplicable, |question| question.risk),
        gained: has.iter().filter(|id| !had.contains(id)).cloned().collect(),
        lost: had.iter().filter(|id| !has.contains(id)).cloned().collect(),
    };
    (change.before != change.after || !change.gained.is_empty() || !change.lost.is_empty()).then_some(change)
}

/// Practices that are said to be followed and have no evidence that counts, of all that are followed.
#[must_use]
pub fn unproven(standing: &Standing) -> (usize, usize) {
    let unproven = standing.practices(Known::Said) + standing.practices(Known::Stale);
    (unproven, unproven + standing.practices(Known::Shown))
}
