//! A review as a tree to be written: one line for each thing that may change, always in the same order, so that
//! differences are small.

use jiff::{Timestamp, tz::TimeZone};
use model::review::{
    Answer, Answers, ChoiceAnswer, Evidence, Improvement, Milestone, Month, NotApplicable, Progress, Review, Status,
    Subject,
};

use super::tree::{Map, Tree};

/// A review as YAML, written anew. [`edit`](fn@super::edit) keeps what people wrote beside it.
#[must_use]
pub fn print(review: &Review) -> String {
    let (_, body) = tree(review).after_key(0);
    body.trim_start_matches('\n').to_owned() + "\n"
}

/// A review as a tree.
pub(super) fn tree(review: &Review) -> Tree {
    let mut map = Map::default();
    map.put("review", Tree::plain("1"));
    map.put("workload", subject(&review.workload));
    let mut lens = Map::default();
    lens.text("file", review.lens.file.as_deref());
    lens.text("edition", review.lens.edition.as_deref());
    map.filled("lens", lens.done());
    map.put("answers", answers(&review.answers));
    let improvements = review.improvements.iter().map(|(id, each)| (id.clone(), improvement(each)));
    map.filled("improvements", Tree::Dict(improvements.collect()));
    let mut plan = Map::default();
    plan.plain("start", review.plan.start);
    plan.plain("parallel", review.plan.parallel);
    map.filled("plan", plan.done());
    map.text("history", review.history.as_deref());
    map.filled("months", Tree::List(review.months.iter().map(month).collect()));
    map.filled("milestones", Tree::List(review.milestones.iter().map(milestone).collect()));
    map.filled("retired", answers(&review.retired));
    map.done()
}

fn subject(subject: &Subject) -> Tree {
    let mut map = Map::default();
    map.text("name", Some(&subject.name));
    map.text("description", subject.description.as_deref());
    map.text("owner", subject.owner.as_deref());
    map.text("environment", subject.environment.as_deref());
    map.text("industry", subject.industry.as_deref());
    map.filled("regions", texts(&subject.regions));
    map.filled("accounts", texts(&subject.accounts));
    map.plain("criticality", subject.criticality);
    map.plain("availability", subject.availability.map(|share| format!("{share}%")));
    map.plain("rto", subject.rto);
    map.plain("rpo", subject.rpo);
    let contacts = subject.contacts.iter().map(|(part, who)| (part.clone(), Tree::Text(who.clone())));
    map.filled("contacts", Tree::Dict(contacts.collect()));
    map.filled("components", texts(&subject.components));
    map.done()
}

fn texts(texts: &[String]) -> Tree {
    Tree::List(texts.iter().cloned().map(Tree::Text).collect())
}

fn answers(answers: &Answers) -> Tree {
    Tree::Dict(answers.iter().map(|(id, each)| (id.clone(), answer(each))).collect())
}

fn answer(answer: &Answer) -> Tree {
    let mut map = Map::default();
    if let Some(NotApplicable { reason, notes }) = &answer.not_applicable {
        let mut why = Map::default();
        why.plain("reason", Some(reason.name()));
        why.text("notes", notes.as_deref());
        map.put("notApplicable", why.done());
    }
    let choices = answer.choices.iter().map(|(id, each)| (id.clone(), choice(each)));
    map.filled("choices", Tree::Dict(choices.collect()));
    map.text("notes", answer.notes.as_deref());
    map.done()
}

fn choice(choice: &ChoiceAnswer) -> Tree {
    let (word, reason) = match choice.status {
        Status::Selected => ("selected", None),
        Status::Unselected => ("unselected", None),
        Status::NotApplicable(reason) => ("not-applicable", Some(reason.name())),
    };
    let mut map = Map::default();
    map.plain("status", Some(word));
    map.plain("reason", reason);
    map.text("notes", choice.notes.as_deref());
    map.filled("evidence", Tree::List(choice.evidence.iter().map(evidence).collect()));
    map.short()
}

fn evidence(evidence: &Evidence) -> Tree {
    let mut map = Map::default();
    map.text("source", Some(&evidence.source));
    map.plain("at", Some(time(evidence.at)));
    map.plain("expires", evidence.expires.map(time));
    map.plain("contradicts", evidence.contradicts.then_some("true"));
    map.text("says", evidence.says.as_deref());
    map.done()
}

/// A day where it is midnight.
fn time(time: Timestamp) -> String {
    let zoned = time.to_zoned(TimeZone::UTC);
    if zoned.time() == jiff::civil::Time::midnight() { zoned.date().to_string() } else { time.to_string() }
}

fn improvement(improvement: &Improvement) -> Tree {
    let mut map = Map::default();
    map.text("owner", improvement.owner.as_deref());
    map.plain("effort", improvement.effort);
    map.plain("impact", improvement.impact);
    map.plain("progress", Some(improvement.progress.name()).filter(|_| improvement.progress != Progress::NotStarted));
    map.filled("after", texts(&improvement.after));
    map.plain("takes", improvement.takes);
    map.plain("due", improvement.due);
    map.text("notes", improvement.notes.as_deref());
    map.done()
}

fn month(month: &Month) -> Tree {
    let mut map = Map::default();
    map.plain("month", Some(month.first.strftime("%Y-%m")));
    map.plain("availability", month.availability.map(|share| format!("{share}%")));
    map.plain("incidents", month.incidents);
    map.plain("downtime", month.downtime);
    map.plain("backupsMade", month.backups_made);
    map.plain("backupsFailed", month.backups_failed);
    map.text("notes", month.notes.as_deref());
    map.done()
}

fn milestone(milestone: &Milestone) -> Tree {
    let mut map = Map::default();
    map.text("name", Some(&milestone.name));
    map.plain("at", Some(time(milestone.at)));
    map.text("edition", milestone.edition.as_deref());
    map.put("answers", answers(&milestone.answers));
    map.done()
}
