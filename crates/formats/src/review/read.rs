//! A tree to a review.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use model::review::{
    Answer, Answers, ChoiceAnswer, Evidence, Improvement, LensChoice, Milestone, Month, NotApplicable, Planning,
    Progress, Reason, Review, Status, Subject,
};

use super::{Part, Places};
use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    node::{Entry, Node},
};

/// The one version of the format.
const VERSION: u32 = 1;

const KEYS: &[&str] =
    &["review", "workload", "lens", "answers", "improvements", "plan", "history", "months", "milestones", "retired"];

/// Reads a review.
pub(super) fn read(reader: &mut Reader<'_>, root: &Node, places: &mut Places) -> Option<Review> {
    reader.native_scalars = true;
    let fields = reader.fields(root, "a review", KEYS)?;
    if let Some(node) = fields.required("review", reader) {
        reader.whole(node, "the version of the format, `review`,", VERSION..=VERSION);
    }
    let workload = fields.required("workload", reader).and_then(|node| subject(reader, node));
    let lens = fields.get("lens").map(|node| lens_choice(reader, node)).unwrap_or_default();
    let answers = fields.get("answers").map(|node| answers(reader, node, Some(places))).unwrap_or_default();
    let retired = fields.get("retired").map(|node| self::answers(reader, node, None)).unwrap_or_default();
    let mut review = Review { workload: workload.unwrap_or_default(), lens, answers, retired, ..Review::default() };
    for entry in fields.get("improvements").and_then(|node| reader.entries(node, "`improvements`")).unwrap_or_default()
    {
        places.insert(Part::Improvement(entry.key.clone()), entry.key_span);
        if let Some(improvement) = improvement(reader, entry, places) {
            review.improvements.insert(entry.key.clone(), improvement);
        }
    }
    review.plan = fields.get("plan").map(|node| planning(reader, node)).unwrap_or_default();
    review.history = fields.get("history").and_then(|node| reader.text(node, "`history`"));
    let months = fields.get("months").and_then(|node| reader.items(node, "`months`")).unwrap_or_default();
    review.months = months.iter().filter_map(|node| month(reader, node)).collect();
    review.months.sort_by_key(|month| month.first);
    let milestones = fields.get("milestones").and_then(|node| reader.items(node, "`milestones`")).unwrap_or_default();
    let mut names = HashSet::new();
    for node in milestones {
        let Some(milestone) = milestone(reader, node) else { continue };
        if !names.insert(milestone.name.clone()) {
            let message = format!("a milestone `{}` is there already", milestone.name);
            reader.report(Finding::new(&codes::DUPLICATE_ID, node.head, message).help("give it a name of its own"));
        }
        review.milestones.push(milestone);
    }
    Some(review)
}

fn subject(reader: &mut Reader<'_>, node: &Node) -> Option<Subject> {
    let known = [
        "name",
        "description",
        "owner",
        "environment",
        "industry",
        "regions",
        "accounts",
        "criticality",
        "availability",
        "rto",
        "rpo",
        "contacts",
        "components",
    ];
    let fields = reader.fields(node, "a workload", &known)?;
    let mut text = |key: &str| fields.get(key).and_then(|node| reader.text(node, &format!("`{key}`")));
    let (description, owner) = (text("description"), text("owner"));
    let (environment, industry) = (text("environment"), text("industry"));
    Some(Subject {
        name: fields.required("name", reader).and_then(|node| reader.text(node, "`name`"))?,
        description,
        owner,
        environment,
        industry,
        regions: fields.get("regions").map(|node| reader.texts(node, "`regions`")).unwrap_or_default(),
        accounts: fields.get("accounts").map(|node| reader.texts(node, "`accounts`")).unwrap_or_default(),
        criticality: fields.get("criticality").and_then(|node| reader.parsed(node, "`criticality`")),
        availability: fields.get("availability").and_then(|node| percent(reader, node, "`availability`")),
        rto: fields.get("rto").and_then(|node| reader.period(node, "`rto`")),
        rpo: fields.get("rpo").and_then(|node| reader.period(node, "`rpo`")),
        contacts: fields.get("contacts").map(|node| reader.text_map(node, "`contacts`")).unwrap_or_default(),
        components: fields.get("components").map(|node| reader.texts(node, "`components`")).unwrap_or_default(),
    })
}

/// `99.95 %`, `99.95%` or `99.95`.
fn percent(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<f64> {
    let text = reader.text(node, what)?;
    let number = text.trim().trim_end_matches('%').trim_end().parse::<f64>().ok();
    let number = number.filter(|number| (0.0..=100.0).contains(number));
    if number.is_none() {
        reader.wrong_value(node.span, format!("{what} must be a percentage from 0 to 100, not `{text}`"));
    }
    number
}

fn lens_choice(reader: &mut Reader<'_>, node: &Node) -> LensChoice {
    let Some(fields) = reader.fields(node, "`lens`", &["file", "edition"]) else { return LensChoice::default() };
    LensChoice {
        file: fields.get("file").and_then(|node| reader.text(node, "`file`")),
        edition: fields.get("edition").and_then(|node| reader.text(node, "`edition`")),
    }
}

/// Answers; their places are kept for those that count.
fn answers(reader: &mut Reader<'_>, node: &Node, mut places: Option<&mut Places>) -> Answers {
    let mut answers = Answers::new();
    for entry in reader.entries(node, "`answers`").unwrap_or_default() {
        if let Some(places) = &mut places {
            places.insert(Part::Question(entry.key.clone()), entry.key_span);
        }
        if let Some(answer) = answer(reader, entry, &mut places) {
            answers.insert(entry.key.clone(), answer);
        }
    }
    answers
}

fn answer(reader: &mut Reader<'_>, entry: &Entry, places: &mut Option<&mut Places>) -> Option<Answer> {
    let fields = reader.fields(&entry.value, "an answer", &["notApplicable", "choices", "notes"])?;
    let mut answer = Answer {
        not_applicable: fields.get("notApplicable").and_then(|node| not_applicable(reader, node)),
        notes: fields.get("notes").and_then(|node| reader.text(node, "`notes`")),
        ..Answer::default()
    };
    for choice in fields.get("choices").and_then(|node| reader.entries(node, "`choices`")).unwrap_or_default() {
        if let Some(places) = places {
            places.insert(Part::Choice(entry.key.clone(), choice.key.clone()), choice.key_span);
        }
        if let Some(given) = choice_answer(reader, choice) {
            answer.choices.insert(choice.key.clone(), given);
        }
    }
    Some(answer)
}

fn not_applicable(reader: &mut Reader<'_>, node: &Node) -> Option<NotApplicable> {
    let fields = reader.fields(node, "`notApplicable`", &["reason", "notes"])?;
    let notes = fields.get("notes").and_then(|node| reader.text(node, "`notes`"));
    let reason = fields.required("reason", reader)?;
    Some(NotApplicable { reason: reader.one_of(reason, "`reason`", &Reason::NAMES)?, notes })
}

#[derive(Clone, Copy)]
enum Word {
    Selected,
    Unselected,
    NotApplicable,
}

const WORDS: [(&str, Word); 3] =
    [("selected", Word::Selected), ("unselected", Word::Unselected), ("not-applicable", Word::NotApplicable)];

/// `selected`, or a mapping that says more.
fn choice_answer(reader: &mut Reader<'_>, entry: &Entry) -> Option<ChoiceAnswer> {
    if entry.value.as_scalar().is_some() {
        let word = reader.one_of(&entry.value, "`status`", &WORDS)?;
        return status(reader, word, None, &entry.value).map(ChoiceAnswer::from);
    }
    let fields = reader.fields(&entry.value, "a choice", &["status", "reason", "notes", "evidence"])?;
    let word = fields.required("status", reader)?;
    let word = reader.one_of(word, "`status`", &WORDS)?;
    let status = status(reader, word, fields.get("reason"), &entry.value)?;
    let notes = fields.get("notes").and_then(|node| reader.text(node, "`notes`"));
    let items = fields.get("evidence").and_then(|node| reader.items(node, "`evidence`")).unwrap_or_default();
    let evidence = items.iter().filter_map(|node| evidence(reader, node)).collect();
    Some(ChoiceAnswer { status, notes, evidence })
}

fn status(reader: &mut Reader<'_>, word: Word, reason: Option<&Node>, node: &Node) -> Option<Status> {
    match (word, reason) {
        (Word::NotApplicable, Some(reason)) => {
            reader.one_of(reason, "`reason`", &Reason::NAMES).map(Status::NotApplicable)
        }
        (Word::NotApplicable, None) => {
            let message = "what does not apply needs a `reason`";
            let words = Reason::NAMES.map(|(word, _)| word).join(", ");
            let finding = Finding::new(&codes::MISSING_KEY, node.head, message);
            reader.report(finding.help(format!("write {{ status: not-applicable, reason: ... }} with one of {words}")));
            None
        }
        (_, Some(reason)) => {
            reader.wrong_value(reason.span, "`reason` says why something does not apply; the status is another");
            None
        }
        (Word::Selected, None) => Some(Status::Selected),
        (Word::Unselected, None) => Some(Status::Unselected),
    }
}

fn evidence(reader: &mut Reader<'_>, node: &Node) -> Option<Evidence> {
    let known = ["source", "at", "expires", "validFor", "contradicts", "says"];
    let fields = reader.fields(node, "evidence", &known)?;
    let source = fields.required("source", reader).and_then(|node| reader.text(node, "`source`"));
    let at = fields.required("at", reader).and_then(|node| time(reader, node, "`at`"));
    let until = fields.get("expires").and_then(|node| time(reader, node, "`expires`"));
    let valid = fields.get("validFor").and_then(|node| reader.some_time(node, "`validFor`"));
    if let (Some(_), Some(node)) = (until, fields.get("validFor")) {
        reader.wrong_value(node.span, "evidence has either `expires` or `validFor`, not both");
    }
    let lasts = valid.map(|valid| SignedDuration::try_from(valid.get()).unwrap_or(SignedDuration::MAX));
    let expires = until.or_else(|| at.zip(lasts).map(|(at, lasts)| at.saturating_add(lasts).unwrap_or(Timestamp::MAX)));
    if let (Some(at), Some(expires), Some(node)) = (at, until, fields.get("expires"))
        && expires <= at
    {
        reader.wrong_value(node.span, "evidence cannot expire before it was seen");
    }
    Some(Evidence {
        source: source?,
        at: at?,
        expires,
        contradicts: fields
            .get("contradicts")
            .and_then(|node| reader.boolean(node, "`contradicts`"))
            .unwrap_or_default(),
        says: fields.get("says").and_then(|node| reader.text(node, "`says`")),
    })
}

/// A time of RFC 3339, or a day, which begins at midnight UTC.
fn time(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Timestamp> {
    let text = reader.text(node, what)?;
    let day = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let time = text.parse::<Timestamp>().ok().or_else(day);
    if time.is_none() {
        reader.wrong_value(node.span, format!("{what} must be a time such as 2026-10-01 or 2026-10-01T09:30:00Z"));
    }
    time
}

fn date(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Date> {
    let text = reader.text(node, what)?;
    let date = text.parse::<Date>().ok();
    if date.is_none() {
        reader.wrong_value(node.span, format!("{what} must be a day such as 2026-10-01, not `{text}`"));
    }
    date
}

fn improvement(reader: &mut Reader<'_>, entry: &Entry, places: &mut Places) -> Option<Improvement> {
    let known = ["owner", "effort", "impact", "progress", "after", "takes", "due", "notes"];
    let fields = reader.fields(&entry.value, "an improvement", &known)?;
    for node in fields.get("after").and_then(Node::as_sequence).unwrap_or_default() {
        if let Some(text) = node.as_text() {
            places.insert(Part::After(entry.key.clone(), text.to_owned()), node.span);
        }
    }
    let progress = fields.get("progress").and_then(|node| reader.one_of(node, "`progress`", &Progress::NAMES));
    Some(Improvement {
        owner: fields.get("owner").and_then(|node| reader.text(node, "`owner`")),
        effort: fields.get("effort").and_then(|node| reader.parsed(node, "`effort`")),
        impact: fields.get("impact").and_then(|node| reader.parsed(node, "`impact`")),
        progress: progress.unwrap_or_default(),
        after: fields.get("after").map(|node| reader.texts(node, "`after`")).unwrap_or_default(),
        takes: fields.get("takes").and_then(|node| reader.some_time(node, "`takes`")),
        due: fields.get("due").and_then(|node| date(reader, node, "`due`")),
        notes: fields.get("notes").and_then(|node| reader.text(node, "`notes`")),
    })
}

fn planning(reader: &mut Reader<'_>, node: &Node) -> Planning {
    let Some(fields) = reader.fields(node, "`plan`", &["start", "parallel"]) else { return Planning::default() };
    Planning {
        start: fields.get("start").and_then(|node| date(reader, node, "`start`")),
        // More than a hundred at once is no plan.
        parallel: fields.get("parallel").and_then(|node| reader.whole(node, "`parallel`", 1..=100)),
    }
}

fn month(reader: &mut Reader<'_>, node: &Node) -> Option<Month> {
    let known = ["month", "availability", "incidents", "downtime", "backupsMade", "backupsFailed", "notes"];
    let fields = reader.fields(node, "a month", &known)?;
    let name = fields.required("month", reader)?;
    let text = reader.text(name, "`month`")?;
    let first = format!("{text}-01").parse::<Date>().ok();
    if first.is_none() {
        reader.wrong_value(name.span, format!("`month` must be one such as 2026-10, not `{text}`"));
    }
    let mut count = |key: &str| fields.get(key).and_then(|node| reader.whole(node, &format!("`{key}`"), 0..=u32::MAX));
    let (incidents, made, failed) = (count("incidents"), count("backupsMade"), count("backupsFailed"));
    Some(Month {
        first: first?,
        availability: fields.get("availability").and_then(|node| percent(reader, node, "`availability`")),
        incidents,
        downtime: fields.get("downtime").and_then(|node| reader.period(node, "`downtime`")),
        backups_made: made,
        backups_failed: failed,
        notes: fields.get("notes").and_then(|node| reader.text(node, "`notes`")),
    })
}

fn milestone(reader: &mut Reader<'_>, node: &Node) -> Option<Milestone> {
    let fields = reader.fields(node, "a milestone", &["name", "at", "edition", "answers"])?;
    let name = fields.required("name", reader).and_then(|node| reader.text(node, "`name`"));
    let at = fields.required("at", reader).and_then(|node| time(reader, node, "`at`"));
    let edition = fields.get("edition").and_then(|node| reader.text(node, "`edition`"));
    let answers = fields.required("answers", reader).map(|node| answers(reader, node, None)).unwrap_or_default();
    Some(Milestone { name: name?, at: at?, edition, answers })
}
