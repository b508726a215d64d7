//! What to improve, and what of it first: risk, impact and effort of every practice that is not followed.

use std::{collections::BTreeMap, time::Duration};

use jiff::civil::Date;
use model::{
    lens::{Lens, Level},
    review::{Improvement, Progress, Review},
};
use serde::Serialize;

use super::standing::{ChoiceStanding, Known, QuestionRisk, QuestionStanding, Standing};

/// A field of the matrix, in the order in which they are worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// Low effort, and more than a low risk.
    QuickWins,
    /// High risk, high impact.
    HighRiskHighImpact,
    /// High risk, medium impact.
    HighRiskMediumImpact,
    /// Medium risk, high impact.
    MediumRiskHighImpact,
    /// Everything else.
    Others,
}

impl Field {
    /// All, in order.
    pub const ALL: [Self; 5] = [
        Self::QuickWins,
        Self::HighRiskHighImpact,
        Self::HighRiskMediumImpact,
        Self::MediumRiskHighImpact,
        Self::Others,
    ];

    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::QuickWins => "Quick wins",
            Self::HighRiskHighImpact => "High risk, high impact",
            Self::HighRiskMediumImpact => "High risk, medium impact",
            Self::MediumRiskHighImpact => "Medium risk, high impact",
            Self::Others => "Others",
        }
    }

    /// Where something belongs.
    #[must_use]
    pub const fn of(risk: Level, impact: Level, effort: Level) -> Self {
        match (risk, impact, effort) {
            (Level::High | Level::Medium, _, Level::Low) => Self::QuickWins,
            (Level::High, Level::High, _) => Self::HighRiskHighImpact,
            (Level::High, Level::Medium, _) => Self::HighRiskMediumImpact,
            (Level::Medium, Level::High, _) => Self::MediumRiskHighImpact,
            _ => Self::Others,
        }
    }
}

/// A practice that is not followed, and what to do about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Id of the choice.
    pub choice: String,
    /// The published number, or the id.
    pub label: String,
    /// Its title.
    pub title: String,
    /// The number or id of its question.
    pub question: String,
    /// The risk of its question now.
    pub question_risk: QuestionRisk,
    /// Whether it belongs to the fewest practices that lower that risk.
    pub nearest: bool,
    /// How bad it is to go without.
    pub risk: Level,
    /// What following it is worth.
    pub impact: Level,
    /// How much work it is.
    pub effort: Level,
    /// Where it stands in the matrix.
    pub field: Field,
    /// Whether evidence speaks against what was said.
    pub contradicted: bool,
    /// Who does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// How far it is.
    pub progress: Progress,
    /// Items that come before, by the ids of their choices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// How many days it takes.
    pub days: i32,
    /// When it must be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<Date>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Where more is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What the review notes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// All practices that answered questions lack, most urgent first: those under way, then by field of the matrix, risk,
/// impact and effort, then in the order of the lens.
///
/// Risk, impact and effort are what the review says, else what the lens says (`_level`, `_impact`, `_effort`), else the
/// question's risk for the first and medium for the others. A workload of low criticality has each impact one lower.
#[must_use]
pub fn items(lens: &Lens, review: &Review, standing: &Standing) -> Vec<Item> {
    let nothing = Improvement::default();
    let mut items: Vec<Item> = standing
        .questions()
        .filter(|question| matches!(question.risk, QuestionRisk::High | QuestionRisk::Medium))
        .flat_map(|question| question.choices.iter().map(move |choice| (question, choice)))
        .filter(|(_, choice)| {
            !choice.none_of_these && matches!(choice.known, Known::Missing | Known::Open | Known::Contradicted)
        })
        .map(|(question, choice)| {
            let decided = review.improvements.get(&choice.id).unwrap_or(&nothing);
            item(lens, question, choice, decided, review.workload.criticality)
        })
        .collect();
    let ids: Vec<String> = items.iter().map(|item| item.choice.clone()).collect();
    for item in &mut items {
        item.after.retain(|before| ids.contains(before) && *before != item.choice);
    }
    items.sort_by_key(urgency);
    items
}

fn urgency(item: &Item) -> impl Ord + use<> {
    use std::cmp::Reverse;
    let stage = match item.progress {
        Progress::InProgress => 0,
        Progress::NotStarted => 1,
        Progress::Complete => 2,
        Progress::RiskAccepted => 3,
    };
    (stage, item.field, Reverse(item.risk), Reverse(item.impact), item.effort)
}

fn item(
    lens: &Lens,
    question: &QuestionStanding,
    choice: &ChoiceStanding,
    decided: &Improvement,
    criticality: Option<Level>,
) -> Item {
    let of_lens = lens.question(&question.id).and_then(|asked| asked.choice(&choice.id));
    let level = |key| of_lens.and_then(|choice| choice.level(key));
    let risk = choice.level.unwrap_or(match question.risk {
        QuestionRisk::High => Level::High,
        _ => Level::Medium,
    });
    let impact = decided.impact.unwrap_or_else(|| worth(level("_impact").unwrap_or(Level::Medium), criticality));
    let effort = decided.effort.or_else(|| level("_effort")).unwrap_or(Level::Medium);
    let plan = of_lens.and_then(|choice| choice.plan.as_ref());
    let help = of_lens.and_then(|choice| choice.help.as_ref());
    let mut after = decided.after.clone();
    after.extend(of_lens.into_iter().flat_map(model::lens::Choice::after).map(str::to_owned));
    after.dedup();
    Item {
        choice: choice.id.clone(),
        label: choice.practice.clone().unwrap_or_else(|| choice.id.clone()),
        title: choice.title.clone(),
        question: question.label().to_owned(),
        question_risk: question.risk,
        nearest: question.nearest.as_ref().is_some_and(|(ids, _)| ids.contains(&choice.id)),
        risk,
        impact,
        effort,
        field: Field::of(risk, impact, effort),
        contradicted: choice.known == Known::Contradicted,
        owner: decided.owner.clone(),
        progress: decided.progress,
        after,
        days: decided.takes.map_or_else(|| usual_days(effort), |period| whole_days(period.get())),
        due: decided.due,
        text: plan.and_then(|plan| plan.text.clone()),
        url: plan.and_then(|plan| plan.url.clone()).or_else(|| help.and_then(|help| help.url.clone())),
        notes: decided.notes.clone(),
    }
}

const fn worth(impact: Level, criticality: Option<Level>) -> Level {
    match (criticality, impact) {
        (Some(Level::Low), Level::High) => Level::Medium,
        (Some(Level::Low), Level::Medium) => Level::Low,
        _ => impact,
    }
}

/// A week, two, or four: what teams have for such work beside their daily business.
const fn usual_days(effort: Level) -> i32 {
    match effort {
        Level::Low => 7,
        Level::Medium => 14,
        Level::High => 28,
    }
}

/// Days that were begun count whole.
fn whole_days(length: Duration) -> i32 {
    i32::try_from(length.as_secs().div_ceil(86_400)).unwrap_or(i32::MAX).max(1)
}

/// The fields of the matrix with their items, empty ones left out.
#[must_use]
pub fn matrix(items: &[Item]) -> BTreeMap<Field, Vec<&Item>> {
    let mut matrix: BTreeMap<Field, Vec<&Item>> = BTreeMap::new();
    for item in items.iter().filter(|item| !matches!(item.progress, Progress::Complete | Progress::RiskAccepted)) {
        matrix.entry(item.field).or_default().push(item);
    }
    matrix
}
