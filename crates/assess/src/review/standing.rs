//! Where a workload stands: the risk of every question, by its answers and the evidence for them.

use std::{collections::BTreeMap, ops::AddAssign};

use jiff::Timestamp;
use model::{
    lens::{Choice, Lens, Level, Question, Risk},
    review::{Answer, Answers, ChoiceAnswer, Evidence, NotApplicable, Reason, Status},
};
use serde::Serialize;

use super::rules;

/// Most choices that do not apply, or that are looked through for the nearest improvement, for which every combination is
/// tried: 2^15 are tried at most, and the format allows 15 choices.
const MOST_TRIED: usize = 15;

/// The risk of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuestionRisk {
    /// It does not concern the workload.
    NotApplicable,
    /// Nothing to improve.
    None,
    /// To be improved.
    Medium,
    /// To be improved soon.
    High,
    /// Nothing was said yet, or no rule says what the risk is.
    Unanswered,
}

impl QuestionRisk {
    /// In a word or two.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotApplicable => "not applicable",
            Self::None => "no risk",
            Self::Medium => "medium risk",
            Self::High => "high risk",
            Self::Unanswered => "unanswered",
        }
    }
}

impl From<Risk> for QuestionRisk {
    fn from(risk: Risk) -> Self {
        match risk {
            Risk::None => Self::None,
            Risk::Medium => Self::Medium,
            Risk::High => Self::High,
        }
    }
}

/// How many questions have which risk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// High.
    pub high: usize,
    /// Medium.
    pub medium: usize,
    /// None.
    pub none: usize,
    /// Without an answer.
    pub unanswered: usize,
    /// That do not concern the workload.
    pub not_applicable: usize,
}

impl Counts {
    /// All questions.
    #[must_use]
    pub const fn total(self) -> usize {
        self.high + self.medium + self.none + self.unanswered + self.not_applicable
    }

    fn count(&mut self, risk: QuestionRisk) {
        *match risk {
            QuestionRisk::High => &mut self.high,
            QuestionRisk::Medium => &mut self.medium,
            QuestionRisk::None => &mut self.none,
            QuestionRisk::Unanswered => &mut self.unanswered,
            QuestionRisk::NotApplicable => &mut self.not_applicable,
        } += 1;
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.high += other.high;
        self.medium += other.medium;
        self.none += other.none;
        self.unanswered += other.unanswered;
        self.not_applicable += other.not_applicable;
    }
}

/// What is known of a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Known {
    /// Followed, and evidence that counts says so.
    Shown,
    /// Followed, as somebody said; there never was evidence.
    Said,
    /// Followed, as somebody said; all evidence for it has expired.
    Stale,
    /// Said to be followed, but evidence that counts says that it is not. It is taken as not followed.
    Contradicted,
    /// Not followed.
    Missing,
    /// It does not concern the workload.
    NotApplicable,
    /// Nothing was said about it.
    Open,
}

impl Known {
    /// In a word or two.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::Said => "said",
            Self::Stale => "stale",
            Self::Contradicted => "contradicted",
            Self::Missing => "missing",
            Self::NotApplicable => "not applicable",
            Self::Open => "open",
        }
    }

    /// Whether it counts as followed.
    #[must_use]
    pub const fn followed(self) -> bool {
        matches!(self, Self::Shown | Self::Said | Self::Stale)
    }
}

/// A choice, and what is known of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChoiceStanding {
    /// Its id.
    pub id: String,
    /// The published number, where the lens gives one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub practice: Option<String>,
    /// Its title.
    pub title: String,
    /// How bad it is to go without, where the lens says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// Whether it means "none of these".
    pub none_of_these: bool,
    /// What is known.
    pub known: Known,
    /// Why it does not concern the workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What the answer notes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// The evidence, the latest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

impl ChoiceStanding {
    /// Why it should be answered anew; none where it need not.
    #[must_use]
    pub fn why_anew(&self) -> Option<String> {
        let latest = self.evidence.iter().find(|evidence| match self.known {
            Known::Contradicted => evidence.contradicts,
            _ => evidence.expires.is_some(),
        })?;
        let day = |at: Timestamp| at.strftime("%Y-%m-%d");
        let Evidence { source, at, expires, .. } = latest;
        match (self.known, expires) {
            (Known::Contradicted, _) => Some(format!("{source}, seen {}, says the opposite", day(*at))),
            (Known::Stale, Some(expires)) => Some(format!("{source} expired on {}", day(*expires))),
            _ => None,
        }
    }
}

/// A question, and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuestionStanding {
    /// Its id.
    pub id: String,
    /// The published number, where the lens gives one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// Its title.
    pub title: String,
    /// What it asks in more words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its risk.
    pub risk: QuestionRisk,
    /// The condition that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// Why it does not concern the workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_applicable: Option<NotApplicable>,
    /// What the answer notes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// Its choices.
    pub choices: Vec<ChoiceStanding>,
    /// The fewest practices, by their ids, that would lower the risk, and what it would be then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<(Vec<String>, QuestionRisk)>,
}

impl QuestionStanding {
    /// The number if there is one, else the id.
    #[must_use]
    pub fn label(&self) -> &str {
        self.number.as_deref().unwrap_or(&self.id)
    }

    /// Whether it should be answered anew: evidence has expired or speaks against what was said.
    #[must_use]
    pub fn reopened(&self) -> bool {
        self.choices.iter().any(|choice| matches!(choice.known, Known::Stale | Known::Contradicted))
    }
}

/// A pillar, and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PillarStanding {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its questions by risk.
    pub counts: Counts,
    /// Its questions.
    pub questions: Vec<QuestionStanding>,
}

/// Where a workload stands with a lens at a time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// All questions by risk.
    pub counts: Counts,
    /// Practices by what is known of them, "none of these" left out.
    pub practices: BTreeMap<&'static str, usize>,
    /// By pillar.
    pub pillars: Vec<PillarStanding>,
}

impl Standing {
    /// Where the answers to a lens stand at a time.
    #[must_use]
    pub fn of(lens: &Lens, answers: &Answers, now: Timestamp) -> Self {
        let mut standing = Self { counts: Counts::default(), practices: BTreeMap::new(), pillars: Vec::new() };
        let nothing = Answer::default();
        for pillar in &lens.pillars {
            let of =
                |question: &Question| question_standing(question, answers.get(&question.id).unwrap_or(&nothing), now);
            let questions: Vec<QuestionStanding> = pillar.questions.iter().map(of).collect();
            let mut counts = Counts::default();
            questions.iter().for_each(|question| counts.count(question.risk));
            standing.counts += counts;
            let practices = questions.iter().flat_map(|question| &question.choices);
            for choice in practices.filter(|choice| !choice.none_of_these) {
                *standing.practices.entry(choice.known.name()).or_default() += 1;
            }
            standing.pillars.push(PillarStanding {
                id: pillar.id.clone(),
                name: pillar.name.clone(),
                counts,
                questions,
            });
        }
        standing
    }

    /// All questions, in the order of the lens.
    pub fn questions(&self) -> impl Iterator<Item = &QuestionStanding> {
        self.pillars.iter().flat_map(|pillar| &pillar.questions)
    }

    /// How many practices are known in a way.
    #[must_use]
    pub fn practices(&self, known: Known) -> usize {
        self.practices.get(known.name()).copied().unwrap_or_default()
    }
}

fn question_standing(question: &Question, answer: &Answer, now: Timestamp) -> QuestionStanding {
    let choices: Vec<_> = question.choices.iter().map(|choice| choice_standing(choice, answer, now)).collect();
    let answered = choices.iter().any(|choice| choice.known != Known::Open);
    let (risk, rule) = match (&answer.not_applicable, answered) {
        (Some(_), _) => (QuestionRisk::NotApplicable, None),
        (None, false) => (QuestionRisk::Unanswered, None),
        (None, true) if all_not_applicable(&choices) => (QuestionRisk::NotApplicable, None),
        (None, true) => match decided(question, &choices, &[]) {
            Some((rule, risk)) => (risk.into(), Some(rule)),
            None => (QuestionRisk::Unanswered, None),
        },
    };
    let nearest = match risk {
        QuestionRisk::High | QuestionRisk::Medium => nearest(question, &choices, risk),
        QuestionRisk::None | QuestionRisk::Unanswered | QuestionRisk::NotApplicable => None,
    };
    QuestionStanding {
        id: question.id.clone(),
        number: question.extra.get("_question").and_then(|value| value.as_str()).map(str::to_owned),
        title: question.title.clone(),
        description: question.description.clone(),
        risk,
        decided_by: rule.and_then(|rule| question.rules.get(rule)).map(|rule| rule.condition.text().to_owned()),
        not_applicable: answer.not_applicable.clone(),
        notes: answer.notes.clone(),
        choices,
        nearest,
    }
}

fn all_not_applicable(choices: &[ChoiceStanding]) -> bool {
    let mut practices = choices.iter().filter(|choice| !choice.none_of_these).peekable();
    practices.peek().is_some() && practices.all(|choice| choice.known == Known::NotApplicable)
}

/// What a question's rules say when these choices are followed too.
///
/// A choice that does not concern the workload neither helps nor hurts: of the risks with and without it the lower counts.
fn decided(question: &Question, choices: &[ChoiceStanding], and: &[&str]) -> Option<(usize, Risk)> {
    let free: Vec<&str> =
        choices.iter().filter(|choice| choice.known == Known::NotApplicable).map(|choice| choice.id.as_str()).collect();
    let free = &free[..free.len().min(MOST_TRIED)];
    // All of them chosen comes first, so that of equal risks the rule that names the practices is the one that is shown.
    let sets = (0..1_usize << free.len()).rev();
    let of = |set: usize| {
        rules::risk(question, |id| {
            let given = |choice: &ChoiceStanding| choice.id == id && choice.known.followed();
            // Whoever adds a practice no longer says "none of these".
            let dropped = !and.is_empty() && question.choice(id).is_some_and(Choice::is_none_of_these);
            !dropped && choices.iter().any(given)
                || and.contains(&id)
                || free.iter().position(|other| *other == id).is_some_and(|n| set >> n & 1 == 1)
        })
    };
    sets.filter_map(of).reduce(|best, next| if next.1 < best.1 { next } else { best })
}

/// The fewest practices that lower the risk; of equally many, those that lower it most, then those that come first.
fn nearest(question: &Question, choices: &[ChoiceStanding], risk: QuestionRisk) -> Option<(Vec<String>, QuestionRisk)> {
    let open = |choice: &&ChoiceStanding| {
        !choice.none_of_these && matches!(choice.known, Known::Missing | Known::Open | Known::Contradicted)
    };
    let open: Vec<&str> = choices.iter().filter(open).map(|choice| choice.id.as_str()).take(MOST_TRIED).collect();
    let members = |set: usize| open.iter().enumerate().filter(move |(n, _)| set >> n & 1 == 1).map(|(_, id)| *id);
    (1..1_usize << open.len())
        .filter_map(|set| {
            let (_, then) = decided(question, choices, &members(set).collect::<Vec<_>>())?;
            let then = QuestionRisk::from(then);
            (then < risk).then(|| (set.count_ones(), then, set))
        })
        .min()
        .map(|(_, then, set)| (members(set).map(str::to_owned).collect(), then))
}

fn choice_standing(choice: &Choice, answer: &Answer, now: Timestamp) -> ChoiceStanding {
    let given = answer.choices.get(&choice.id);
    let mut evidence = given.map(|given| given.evidence.clone()).unwrap_or_default();
    evidence.sort_by_key(|evidence| std::cmp::Reverse(evidence.at));
    let reason = match given.map(|given| given.status) {
        Some(Status::NotApplicable(reason)) => Some(reason),
        Some(Status::Selected | Status::Unselected) | None => None,
    };
    ChoiceStanding {
        id: choice.id.clone(),
        practice: choice.note("_practice").map(str::to_owned),
        title: choice.title.clone(),
        level: choice.level("_level"),
        none_of_these: choice.is_none_of_these(),
        known: given.map_or(Known::Open, |given| known(given, now)),
        reason,
        notes: given.and_then(|given| given.notes.clone()),
        evidence,
    }
}

/// What an answer and its evidence amount to. The latest evidence that counts decides.
fn known(given: &ChoiceAnswer, now: Timestamp) -> Known {
    match given.status {
        Status::NotApplicable(_) => Known::NotApplicable,
        Status::Unselected => Known::Missing,
        Status::Selected => {
            let latest =
                given.evidence.iter().filter(|evidence| evidence.counts(now)).max_by_key(|evidence| evidence.at);
            match latest {
                Some(evidence) if evidence.contradicts => Known::Contradicted,
                Some(_) => Known::Shown,
                // What was seen once and is no longer true to show anything, is worth asking again.
                None if given.evidence.iter().any(|evidence| evidence.at <= now) => Known::Stale,
                None => Known::Said,
            }
        }
    }
}
