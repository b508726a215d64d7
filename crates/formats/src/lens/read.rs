//! A tree to a lens, with everything that is wrong with it.

use std::collections::{BTreeSet, HashMap, HashSet};

use model::lens::{
    Choice, Condition, Expr, Extra, Lens, MoreResources, Pillar, Question, Resource, Risk, Rule, SCHEMA_VERSION,
};

use super::{Part, Places, Strictness};
use crate::{
    codes,
    decode::Reader,
    finding::{Code, Finding, Severity},
    node::{Entry, Node},
    read::has_errors,
    shape::some,
    source::Span,
};

// Limits of the format; characters are Unicode scalar values.
const NAME: usize = 128;
const TEXT: usize = 2048;
const ID: std::ops::RangeInclusive<usize> = 3..=128;
const PILLARS: usize = 10;
const QUESTIONS: usize = 20;
const CHOICES: usize = 15;
const RULES: usize = 3;
const CONTENT: usize = 5;
/// Characters of `LensJSON`, a parameter of ImportLens.
const FILE: usize = 500_000;

/// Reads a lens; none where it cannot be used.
///
/// `sound` takes the questions in which nothing is an error, also where others keep the lens from being used.
pub(super) fn read(
    reader: &mut Reader<'_>,
    root: &Node,
    strictness: Strictness,
    places: &mut Places,
    sound: &mut Vec<Question>,
) -> Option<Lens> {
    let length = reader.source.text().chars().count();
    let mut reading = Reading { reader, strictness, places, sound };
    if length > FILE {
        let message = format!("the lens has {length} characters; a custom lens may have {FILE}");
        reading.bend(&codes::LENS_LIMIT, root.head, message, "shorten its texts, or cut it into two lenses");
    }
    reading.lens(root)
}

struct Reading<'r, 's> {
    reader: &'r mut Reader<'s>,
    strictness: Strictness,
    places: &'r mut Places,
    sound: &'r mut Vec<Question>,
}

/// A mapping: what the format knows, and the rest.
struct Object<'n> {
    node: &'n Node,
    what: &'static str,
    known: Vec<&'n Entry>,
    extra: Extra,
}

impl<'n> Object<'n> {
    fn get(&self, key: &str) -> Option<&'n Node> {
        self.known.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }
}

/// The ids of a question's choices, in their order and to be looked up.
struct Choices<'c> {
    ids: Vec<&'c str>,
    known: HashSet<&'c str>,
}

impl<'c> Choices<'c> {
    fn of(choices: &'c [Choice]) -> Self {
        let ids: Vec<&str> = choices.iter().map(|choice| choice.id.as_str()).collect();
        Self { known: ids.iter().copied().collect(), ids }
    }
}

impl Reading<'_, '_> {
    /// Reports what AWS refuses.
    fn bend(&mut self, code: &'static Code, span: Span, message: impl Into<String>, help: impl Into<String>) {
        let severity = match self.strictness {
            Strictness::Import => code.severity,
            Strictness::Export => Severity::Error,
        };
        self.reader.report(Finding::new(code, span, message).severity(severity).help(help));
    }

    /// Opens a mapping. What says nothing (`null`, an empty list that may be missing) goes to the rest, to be printed back.
    fn object<'n>(&mut self, node: &'n Node, what: &'static str, keys: &[&str]) -> Option<Object<'n>> {
        let entries = self.reader.entries(node, what)?;
        let mut object = Object { node, what, known: Vec::new(), extra: Extra::new() };
        for entry in entries {
            let optional_list = matches!(entry.key.as_str(), "additionalResources" | "riskRules");
            let empty =
                entry.value.is_null() || optional_list && entry.value.as_sequence().is_some_and(<[_]>::is_empty);
            if keys.contains(&entry.key.as_str()) && !empty {
                object.known.push(entry);
                continue;
            }
            object.extra.insert(entry.key.clone(), entry.value.to_json());
            if !keys.contains(&entry.key.as_str()) && !entry.key.starts_with('_') {
                let message = format!("{what} has no key `{}`; AWS does not read it", entry.key);
                let help = match self.reader.near(&entry.key, keys.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "a note of your own is best named with an underscore before it".to_owned(),
                };
                self.reader.report(Finding::new(&codes::UNREAD_KEY, entry.key_span, message).help(help));
            }
        }
        Some(object)
    }

    fn required<'n>(&mut self, object: &Object<'n>, key: &str) -> Option<&'n Node> {
        let found = object.get(key);
        if found.is_none() {
            let message = format!("{} has no `{key}`", object.what);
            let finding = Finding::new(&codes::MISSING_KEY, object.node.head, message).help(format!("add `{key}`"));
            self.reader.report(finding.label(format!("`{key}` is missing")));
        }
        found
    }

    /// A text of at most so many characters.
    fn limited(&mut self, node: &Node, what: &str, most: usize) -> Option<String> {
        let text = self.reader.text(node, what)?;
        let length = text.chars().count();
        if length > most {
            let message = format!("{what} has {length} characters; the format allows {most}");
            self.bend(&codes::LENS_LIMIT, node.span, message, "shorten it");
        }
        Some(text)
    }

    fn required_text(&mut self, object: &Object<'_>, key: &str, most: usize) -> Option<String> {
        let node = self.required(object, key)?;
        let text = self.limited(node, &format!("`{key}` of {}", object.what), most)?;
        if text.trim().is_empty() {
            let message = format!("`{key}` of {} is empty", object.what);
            self.bend(&codes::LENS_LIMIT, node.span, message, "write at least a word");
        }
        Some(text)
    }

    fn optional_text(&mut self, object: &Object<'_>, key: &str, most: usize) -> Option<String> {
        let node = object.get(key)?;
        self.limited(node, &format!("`{key}` of {}", object.what), most)
    }

    /// A list of at most so many items.
    fn list<'n>(&mut self, object: &Object<'n>, key: &str, most: usize) -> Option<&'n [Node]> {
        let node = self.required(object, key)?;
        let items = self.reader.items(node, &format!("`{key}` of {}", object.what))?;
        if let Some(first_beyond) = items.get(most) {
            let message = format!("{} has {} {key}; the format allows {most}", object.what, items.len());
            self.bend(&codes::LENS_LIMIT, first_beyond.head, message, "remove or merge some");
        }
        Some(items)
    }

    /// An id that is not taken yet.
    fn id(&mut self, object: &Object<'_>, taken: &mut HashSet<String>) -> Option<(String, Span)> {
        let node = self.required(object, "id")?;
        let id = self.reader.text(node, &format!("`id` of {}", object.what))?;
        let fits = ID.contains(&id.chars().count()) && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !fits {
            let message = format!("`{id}` is not an id of the format");
            let help = "write 3 to 128 letters, digits and underscores";
            self.bend(&codes::LENS_ID, node.span, message, help);
        }
        if !taken.insert(id.clone()) {
            let message = format!("{} with the id `{id}` is there already", object.what);
            let finding = Finding::new(&codes::DUPLICATE_ID, node.span, message);
            self.reader.report(finding.help("give it an id of its own; an answer could not say which is meant"));
        }
        Some((id, node.span))
    }

    fn lens(&mut self, root: &Node) -> Option<Lens> {
        let object = self.object(root, "a lens", &["schemaVersion", "name", "description", "pillars"])?;
        let schema_version = self.required_text(&object, "schemaVersion", NAME);
        if let (Some(version), Some(node)) = (&schema_version, object.get("schemaVersion"))
            && version != SCHEMA_VERSION
        {
            let message = format!("the format has no version `{version}`");
            self.bend(&codes::LENS_SCHEMA, node.span, message, format!("write \"{SCHEMA_VERSION}\""));
        }
        let name = self.required_text(&object, "name", NAME);
        let description = self.optional_text(&object, "description", TEXT);
        if description.is_none() {
            let help = "say what the lens is for; AWS shows it where a lens is chosen";
            self.bend(&codes::LENS_DESCRIPTION, root.head, "a lens should have a `description`", help);
        }
        let (mut pillar_ids, mut question_ids) = (HashSet::new(), HashSet::new());
        let items = self.list(&object, "pillars", PILLARS)?;
        let pillars = items.iter().filter_map(|node| self.pillar(node, &mut pillar_ids, &mut question_ids)).collect();
        Some(Lens { schema_version: schema_version?, name: name?, description, pillars, extra: object.extra })
    }

    fn pillar(
        &mut self,
        node: &Node,
        pillar_ids: &mut HashSet<String>,
        question_ids: &mut HashSet<String>,
    ) -> Option<Pillar> {
        let object = self.object(node, "a pillar", &["id", "name", "questions"])?;
        let id = self.id(&object, pillar_ids);
        let name = self.required_text(&object, "name", NAME);
        let items = self.list(&object, "questions", QUESTIONS)?;
        let mut questions = Vec::new();
        for node in items {
            let before = self.reader.findings.len();
            let Some(question) = self.question(node, question_ids) else { continue };
            if !has_errors(&self.reader.findings[before..]) {
                self.sound.push(question.clone());
            }
            questions.push(question);
        }
        Some(Pillar { id: id?.0, name: name?, questions, extra: object.extra })
    }

    fn question(&mut self, node: &Node, ids: &mut HashSet<String>) -> Option<Question> {
        let keys = ["id", "title", "description", "helpfulResource", "choices", "riskRules"];
        let object = self.object(node, "a question", &keys)?;
        let id = self.id(&object, ids);
        let title = self.required_text(&object, "title", NAME);
        let description = self.optional_text(&object, "description", TEXT);
        let help = object.get("helpfulResource").and_then(|node| self.resource(node, "a helpful resource"));
        let items = self.list(&object, "choices", CHOICES)?;
        let mut choice_ids = HashSet::new();
        let mut choices = Vec::new();
        let (id, id_span) = id?;
        for item in items {
            let Some((choice, span)) = self.choice(item, &mut choice_ids) else { continue };
            self.places.insert(Part::Choice(id.clone(), choice.id.clone()), span);
            choices.push(choice);
        }
        let (rules, unread) = match object.get("riskRules") {
            Some(node) => {
                let items = self.list(&object, "riskRules", RULES)?;
                self.places.insert(Part::Rules(id.clone()), node.head);
                // A choice that could not be read may be the one that a rule names.
                let complete = choices.len() == choice_ids.len();
                let known = complete.then(|| Choices::of(&choices));
                let rules = items.iter().enumerate().filter_map(|(n, item)| self.rule(item, (&id, n), known.as_ref()));
                let rules: Vec<_> = rules.collect();
                let unread = items.len() - rules.len();
                (rules, unread)
            }
            None => {
                self.places.insert(Part::Rules(id.clone()), id_span);
                (Vec::new(), 0)
            }
        };
        // A rule that could not be read may be the `default`.
        if unread == 0 {
            self.default(&rules, &id);
        }
        Some(Question { id, title: title?, description, help, choices, rules, extra: object.extra })
    }

    /// Reports rules that do not say what the risk is otherwise.
    ///
    /// The specification wants a `default` in every question. Several lenses that AWS itself publishes have questions
    /// without, so that it cannot be what an import fails for; a question without any rule has no risk at all, and is refused.
    fn default(&mut self, rules: &[Rule], question: &str) {
        if rules.iter().any(|rule| rule.condition.is_default()) {
            return;
        }
        let span = self.places.get(&Part::Rules(question.to_owned())).copied().unwrap_or_default();
        let help = "add { \"condition\": \"default\", \"risk\": ... } as the last rule";
        if rules.is_empty() {
            return self.bend(&codes::NO_DEFAULT, span, format!("`{question}` has no rules"), help);
        }
        let message = format!("the rules of `{question}` have no `default`");
        self.reader.report(Finding::new(&codes::NO_DEFAULT, span, message).help(help));
    }

    /// A choice, and where its id stands.
    fn choice(&mut self, node: &Node, ids: &mut HashSet<String>) -> Option<(Choice, Span)> {
        let keys = ["id", "title", "helpfulResource", "improvementPlan", "additionalResources"];
        let object = self.object(node, "a choice", &keys)?;
        let id = self.id(&object, ids);
        let title = self.required_text(&object, "title", NAME);
        let help = object.get("helpfulResource").and_then(|node| self.resource(node, "a helpful resource"));
        let plan = object.get("improvementPlan").and_then(|node| self.resource(node, "an improvement plan"));
        let more = match object.get("additionalResources") {
            Some(node) => self.resources(node)?,
            None => Vec::new(),
        };
        let (id, span) = id?;
        let plan_says_nothing = plan.as_ref().is_none_or(|plan| plan.text.as_deref().is_none_or(str::is_empty));
        if plan_says_nothing && !id.ends_with("_no") {
            let message = format!("`{id}` has no improvement plan");
            let help = "add improvementPlan: { displayText }, or let the id end in `_no` if it means \"none of these\"";
            self.bend(&codes::NO_IMPROVEMENT_PLAN, node.head, message, help);
        }
        Some((Choice { id, title: title?, help, plan, more, extra: object.extra }, span))
    }

    /// Lists of additional resources; of each type a choice may have so many, in however many lists.
    fn resources(&mut self, node: &Node) -> Option<Vec<MoreResources>> {
        let items = self.reader.items(node, "`additionalResources`")?;
        let mut more: Vec<MoreResources> = Vec::new();
        for item in items {
            let Some(next) = self.more(item) else { continue };
            let before: usize =
                more.iter().filter(|other| other.kind == next.kind).map(|other| other.content.len()).sum();
            // A list that is too long by itself was reported where it is.
            if before > 0 && next.content.len() <= CONTENT && before + next.content.len() > CONTENT {
                let message = format!(
                    "the choice has {} additional resources of the type {}; the format allows {CONTENT}",
                    before + next.content.len(),
                    next.kind
                );
                self.bend(&codes::LENS_LIMIT, item.head, message, "remove or merge some");
            }
            more.push(next);
        }
        Some(more)
    }

    fn more(&mut self, node: &Node) -> Option<MoreResources> {
        let object = self.object(node, "an additional resource", &["type", "content"])?;
        let kind_node = self.required(&object, "type")?;
        let kind = self.reader.text(kind_node, "`type` of an additional resource")?;
        if !["HELPFUL_RESOURCE", "IMPROVEMENT_PLAN"].contains(&kind.as_str()) {
            let message = format!("`{kind}` is not a type of an additional resource");
            self.bend(&codes::LENS_LINK, kind_node.span, message, "write HELPFUL_RESOURCE or IMPROVEMENT_PLAN");
        }
        let items = self.list(&object, "content", CONTENT)?;
        let content = items.iter().filter_map(|item| self.resource(item, "an additional resource")).collect();
        Some(MoreResources { kind, content, extra: object.extra })
    }

    fn resource(&mut self, node: &Node, what: &'static str) -> Option<Resource> {
        let object = self.object(node, what, &["displayText", "url"])?;
        let text = self.optional_text(&object, "displayText", TEXT);
        let url = self.optional_text(&object, "url", TEXT);
        // An empty one is none: published lenses have hundreds.
        if let (Some(url), Some(node)) = (url.as_ref().filter(|url| !url.is_empty()), object.get("url")) {
            if !["http://", "https://"].iter().any(|scheme| url.trim().to_ascii_lowercase().starts_with(scheme)) {
                let message = format!("`{url}` is not an address of the web");
                self.bend(&codes::LENS_LINK, node.span, message, "write https://..., or remove the `url`");
            }
            if text.as_deref().is_none_or(str::is_empty) {
                let message = format!("{what} with a `url` needs a `displayText`");
                self.bend(&codes::LENS_LINK, node.span, message, "add a few words that the link stands for");
            }
        }
        Some(Resource { text, url, extra: object.extra })
    }

    fn rule(&mut self, node: &Node, (question, n): (&str, usize), choices: Option<&Choices<'_>>) -> Option<Rule> {
        let object = self.object(node, "a risk rule", &["condition", "risk"])?;
        let condition = self.required(&object, "condition");
        let risk = self.required(&object, "risk").and_then(|node| self.reader.one_of(node, "`risk`", &Risk::NAMES));
        let condition = condition?;
        self.places.insert(Part::Rule(question.to_owned(), n), condition.span);
        let condition = self.condition(condition, choices)?;
        Some(Rule { condition, risk: risk?, extra: object.extra })
    }

    fn condition(&mut self, node: &Node, choices: Option<&Choices<'_>>) -> Option<Condition> {
        let text = self.reader.text(node, "`condition`")?;
        let mut places = self.reader.source.scalar(node.span);
        let condition = match text.parse::<Condition>() {
            Ok(condition) => condition,
            Err(error) => {
                let next = text[error.at..].chars().next().map_or(0, char::len_utf8);
                let span = Span::new(places.of(error.at), places.of(error.at + next));
                self.reader.report(Finding::new(&codes::LENS_CONDITION, span, error.message));
                return None;
            }
        };
        let Some(choices) = choices else { return Some(condition) };
        let words = words(&text);
        // In the order of their places, each once.
        let unknown: BTreeSet<(usize, &str)> = condition
            .expr()
            .map(Expr::choices)
            .unwrap_or_default()
            .into_iter()
            .filter(|id| !choices.known.contains(id))
            .map(|id| (words.get(id).copied().unwrap_or_default(), id))
            .collect();
        for (start, id) in unknown {
            let span = Span::new(places.of(start), places.of(start + id.len()));
            let finding = Finding::new(&codes::UNKNOWN_CHOICE, span, format!("the question has no choice `{id}`"));
            let known = choices.ids.iter().copied();
            let help = match self.reader.near(id, known.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its choices are {}", some(known)),
            };
            self.reader.report(finding.help(help));
        }
        Some(condition)
    }
}

/// Where the words of a condition stand first. Ids are slices of its text only by value.
fn words(text: &str) -> HashMap<&str, usize> {
    let mut words = HashMap::new();
    let mut at = 0;
    for piece in text.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
        let word = piece.trim_end_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        words.entry(word).or_insert(at);
        at += piece.len();
    }
    words
}
