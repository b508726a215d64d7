//! From one edition of a lens to the next, with the answers that were given.

use std::collections::BTreeMap;

use model::{
    lens::{Lens, Question},
    review::{Answer, Answers},
};
use serde::Serialize;

/// What becomes of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Fate {
    /// It is there for the first time.
    New,
    /// Its text, choices or rules are others.
    Updated,
    /// It is as it was.
    Unchanged,
    /// It is not there any more; its answer is kept among the retired ones.
    Deleted,
}

/// What becomes of a question and its choices.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuestionChange {
    /// Its id.
    pub id: String,
    /// Its title in the newer edition that has it.
    pub title: String,
    /// What becomes of it.
    pub fate: Fate,
    /// Choices that are there for the first time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub new_choices: Vec<String>,
    /// Choices that are not there any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deleted_choices: Vec<String>,
    /// Choices of the same title under another id: from, to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub renamed_choices: Vec<(String, String)>,
}

/// Answers that were carried over to another edition.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Upgrade {
    /// Question by question: those of the new edition in its order, then what was deleted.
    pub changes: Vec<QuestionChange>,
    /// Answers to the new edition.
    #[serde(skip)]
    pub answers: Answers,
    /// Answers that have no place in it, with those that had none before.
    #[serde(skip)]
    pub retired: Answers,
}

/// Carries answers over. No answer is lost: what the new edition does not ask is retired, and what was retired and is
/// asked again comes back unless it was answered since.
#[must_use]
pub fn upgrade(old: &Lens, new: &Lens, answers: &Answers, retired: &Answers) -> Upgrade {
    let mut upgrade = Upgrade { changes: Vec::new(), answers: Answers::new(), retired: Answers::new() };
    let mut left: Answers = retired.clone();
    for (id, answer) in answers {
        let slot = left.entry(id.clone()).or_default();
        slot.not_applicable.clone_from(&answer.not_applicable);
        slot.notes.clone_from(&answer.notes);
        slot.choices.extend(answer.choices.clone());
    }
    for (_, question) in new.questions() {
        let change = question_change(old.question(&question.id), question);
        if let Some(answer) = left.remove(&question.id) {
            let (kept, rest) = split(answer, question, &change.renamed_choices);
            upgrade.answers.insert(question.id.clone(), kept);
            if !rest.choices.is_empty() {
                upgrade.retired.insert(question.id.clone(), rest);
            }
        }
        upgrade.changes.push(change);
    }
    upgrade.retired.extend(left);
    let deleted = old.questions().filter(|(_, question)| new.question(&question.id).is_none());
    upgrade.changes.extend(deleted.map(|(_, question)| QuestionChange {
        id: question.id.clone(),
        title: question.title.clone(),
        fate: Fate::Deleted,
        new_choices: Vec::new(),
        deleted_choices: question.choices.iter().map(|choice| choice.id.clone()).collect(),
        renamed_choices: Vec::new(),
    }));
    upgrade
}

fn question_change(old: Option<&Question>, new: &Question) -> QuestionChange {
    let mut change = QuestionChange {
        id: new.id.clone(),
        title: new.title.clone(),
        fate: Fate::New,
        new_choices: Vec::new(),
        deleted_choices: Vec::new(),
        renamed_choices: Vec::new(),
    };
    let Some(old) = old else { return change };
    change.fate = if old == new { Fate::Unchanged } else { Fate::Updated };
    let gone = |id: &str| new.choice(id).is_none();
    for choice in new.choices.iter().filter(|choice| old.choice(&choice.id).is_none()) {
        let before = old.choices.iter().find(|before| gone(&before.id) && before.title == choice.title);
        match before {
            Some(before) => change.renamed_choices.push((before.id.clone(), choice.id.clone())),
            None => change.new_choices.push(choice.id.clone()),
        }
    }
    let renamed = |id: &str| change.renamed_choices.iter().any(|(from, _)| from == id);
    let deleted = old.choices.iter().map(|choice| &choice.id).filter(|id| gone(id) && !renamed(id));
    change.deleted_choices = deleted.cloned().collect();
    change
}

/// What of an answer a question has a place for, and the rest.
fn split(mut answer: Answer, question: &Question, renamed: &[(String, String)]) -> (Answer, Answer) {
    for (from, to) in renamed {
        if let Some(choice) = answer.choices.remove(from) {
            answer.choices.entry(to.clone()).or_insert(choice);
        }
    }
    let (kept, rest): (BTreeMap<_, _>, _) =
        std::mem::take(&mut answer.choices).into_iter().partition(|(id, _)| question.choice(id).is_some());
    answer.choices = kept;
    (answer, Answer { choices: rest, ..Answer::default() })
}
