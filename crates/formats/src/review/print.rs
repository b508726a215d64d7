//! A review as YAML: one line for each thing that may change, always in the same order, so that differences are small.

use jiff::{Timestamp, tz::TimeZone};
use model::review::{
    Answer, Answers, ChoiceAnswer, Evidence, Improvement, Milestone, Month, NotApplicable, Progress, Review, Status,
    Subject,
};

/// A review as YAML. Comments of the file it was read from are not kept.
#[must_use]
pub fn print(review: &Review) -> String {
    let mut map = Map::default();
    map.put("review", Yaml::plain("1"));
    map.put("workload", subject(&review.workload));
    let mut lens = Map::default();
    lens.text("file", review.lens.file.as_deref());
    lens.text("edition", review.lens.edition.as_deref());
    map.filled("lens", lens.done());
    map.put("answers", answers(&review.answers));
    let improvements = review.improvements.iter().map(|(id, each)| (id.clone(), improvement(each)));
    map.filled("improvements", Yaml::Map(improvements.collect()));
    let mut plan = Map::default();
    plan.plain("start", review.plan.start);
    plan.plain("parallel", review.plan.parallel);
    map.filled("plan", plan.done());
    map.filled("months", Yaml::List(review.months.iter().map(month).collect()));
    map.filled("milestones", Yaml::List(review.milestones.iter().map(milestone).collect()));
    map.filled("retired", answers(&review.retired));
    let mut text = String::new();
    map.done().write(&mut text, 0);
    text
}

fn subject(subject: &Subject) -> Yaml {
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
    let contacts = subject.contacts.iter().map(|(part, who)| (part.clone(), Yaml::Text(who.clone())));
    map.filled("contacts", Yaml::Map(contacts.collect()));
    map.filled("components", texts(&subject.components));
    map.done()
}

fn texts(texts: &[String]) -> Yaml {
    Yaml::List(texts.iter().cloned().map(Yaml::Text).collect())
}

fn answers(answers: &Answers) -> Yaml {
    Yaml::Map(answers.iter().map(|(id, each)| (id.clone(), answer(each))).collect())
}

fn answer(answer: &Answer) -> Yaml {
    let mut map = Map::default();
    if let Some(NotApplicable { reason, notes }) = &answer.not_applicable {
        let mut why = Map::default();
        why.plain("reason", Some(reason.name()));
        why.text("notes", notes.as_deref());
        map.put("notApplicable", why.done());
    }
    let choices = answer.choices.iter().map(|(id, each)| (id.clone(), choice(each)));
    map.filled("choices", Yaml::Map(choices.collect()));
    map.text("notes", answer.notes.as_deref());
    map.done()
}

fn choice(choice: &ChoiceAnswer) -> Yaml {
    let (word, reason) = match choice.status {
        Status::Selected => ("selected", None),
        Status::Unselected => ("unselected", None),
        Status::NotApplicable(reason) => ("not-applicable", Some(reason.name())),
    };
    if reason.is_none() && choice.notes.is_none() && choice.evidence.is_empty() {
        return Yaml::plain(word);
    }
    let mut map = Map::default();
    map.plain("status", Some(word));
    map.plain("reason", reason);
    map.text("notes", choice.notes.as_deref());
    map.filled("evidence", Yaml::List(choice.evidence.iter().map(evidence).collect()));
    map.done()
}

fn evidence(evidence: &Evidence) -> Yaml {
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

fn improvement(improvement: &Improvement) -> Yaml {
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

fn month(month: &Month) -> Yaml {
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

fn milestone(milestone: &Milestone) -> Yaml {
    let mut map = Map::default();
    map.text("name", Some(&milestone.name));
    map.plain("at", Some(time(milestone.at)));
    map.text("edition", milestone.edition.as_deref());
    map.put("answers", answers(&milestone.answers));
    map.done()
}

/// As much of YAML as a review needs.
enum Yaml {
    /// A word that needs no quotes.
    Plain(String),
    /// Any text.
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

#[derive(Default)]
struct Map(Vec<(String, Yaml)>);

impl Map {
    fn put(&mut self, key: &str, value: Yaml) {
        self.0.push((key.to_owned(), value));
    }

    /// Unless there is nothing in it.
    fn filled(&mut self, key: &str, value: Yaml) {
        let empty = match &value {
            Yaml::List(items) => items.is_empty(),
            Yaml::Map(entries) => entries.is_empty(),
            Yaml::Plain(_) | Yaml::Text(_) => false,
        };
        if !empty {
            self.put(key, value);
        }
    }

    fn text(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.put(key, Yaml::Text(text.to_owned()));
        }
    }

    fn plain(&mut self, key: &str, word: Option<impl ToString>) {
        if let Some(word) = word {
            self.put(key, Yaml::Plain(word.to_string()));
        }
    }

    fn done(self) -> Yaml {
        Yaml::Map(self.0)
    }
}

impl Yaml {
    fn plain(word: &str) -> Self {
        Self::Plain(word.to_owned())
    }

    /// Writes it behind what stands on the line already (a key, a dash, or nothing at all at the top).
    fn write(&self, out: &mut String, depth: usize) {
        match self {
            Self::Plain(word) => line(out, word),
            Self::Text(text) if is_block(text) => {
                line(out, "|-");
                for part in text.split('\n') {
                    let indent = if part.is_empty() { 0 } else { depth };
                    out.extend(std::iter::repeat_n("  ", indent));
                    out.push_str(part);
                    out.push('\n');
                }
            }
            Self::Text(text) => line(out, &scalar(text)),
            Self::List(items) if items.is_empty() => line(out, "[]"),
            Self::Map(entries) if entries.is_empty() => line(out, "{}"),
            Self::List(items) => {
                let mut nested = String::new();
                for item in items {
                    nested.extend(std::iter::repeat_n("  ", depth));
                    nested.push('-');
                    // The entries of a mapping stand two blanks behind the dash, the first on its line.
                    let mut inner = String::new();
                    item.write(&mut inner, depth + 1);
                    match item {
                        Self::Map(entries) if !entries.is_empty() => {
                            nested.push(' ');
                            nested.push_str(inner.trim_start());
                        }
                        _ => nested.push_str(&inner),
                    }
                }
                below(out, &nested);
            }
            Self::Map(entries) => {
                let mut nested = String::new();
                for (key, value) in entries {
                    nested.extend(std::iter::repeat_n("  ", depth));
                    nested.push_str(&scalar(key));
                    nested.push(':');
                    value.write(&mut nested, depth + 1);
                }
                below(out, &nested);
            }
        }
    }
}

/// A value on the same line.
fn line(out: &mut String, text: &str) {
    out.push(' ');
    out.push_str(text);
    out.push('\n');
}

/// Values on the lines below; at the top there is no line before.
fn below(out: &mut String, text: &str) {
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(text);
}

/// Several lines that a literal block scalar gives back exactly.
fn is_block(text: &str) -> bool {
    let harmless = |part: &str| {
        !part.starts_with([' ', '\t'])
            && !part.ends_with([' ', '\t'])
            && !part.chars().any(|c| c.is_control() || c == '\u{feff}')
    };
    text.contains('\n')
        && !text.starts_with('\n')
        && !text.ends_with('\n')
        && text.split('\n').all(harmless)
        && !text.contains(['\u{85}', '\u{2028}', '\u{2029}'])
}

/// A text on one line, in double quotes unless it cannot be taken for anything else.
fn scalar(text: &str) -> String {
    let begins = text.starts_with(|c: char| c.is_alphanumeric());
    let ends = !text.ends_with([' ', ':']);
    let inside = text.chars().all(|c| c.is_alphanumeric() || " _-./()+%'@;=,:".contains(c)) && !text.contains(": ");
    let word = matches!(text.to_ascii_lowercase().as_str(), "null" | "true" | "false" | "yes" | "no" | "on" | "off");
    if begins && ends && inside && !word { text.to_owned() } else { quoted(text) }
}

/// JSON's notation of a text is one of YAML's; what YAML would break lines at is escaped.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::String(text.to_owned()).to_string();
    let escape = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{7f}');
    json.chars().map(|c| if escape(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }).collect()
}
