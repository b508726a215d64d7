//! A lens as JSON: the keys of the format in the order of its specification, then those of the author.

use model::lens::{Choice, Extra, Lens, MoreResources, Pillar, Question, Resource, Rule};
use serde_json::{Map, Value};

/// A lens as JSON, equal to the document it was read from.
#[must_use]
pub fn to_json(lens: &Lens) -> Value {
    let mut object = Object::new();
    object.text("schemaVersion", &lens.schema_version);
    object.text("name", &lens.name);
    object.optional("description", lens.description.as_deref());
    object.list("pillars", lens.pillars.iter().map(pillar));
    object.with(&lens.extra)
}

/// The same as a text, two blanks deep a level, with a line break at its end.
pub(super) fn text(lens: &Lens) -> String {
    format!("{:#}\n", to_json(lens))
}

fn pillar(pillar: &Pillar) -> Value {
    let mut object = Object::new();
    object.text("id", &pillar.id);
    object.text("name", &pillar.name);
    object.list("questions", pillar.questions.iter().map(question));
    object.with(&pillar.extra)
}

fn question(question: &Question) -> Value {
    let mut object = Object::new();
    object.text("id", &question.id);
    object.text("title", &question.title);
    object.optional("description", question.description.as_deref());
    object.resource("helpfulResource", question.help.as_ref());
    object.list("choices", question.choices.iter().map(choice));
    if !question.rules.is_empty() {
        object.list("riskRules", question.rules.iter().map(rule));
    }
    object.with(&question.extra)
}

fn choice(choice: &Choice) -> Value {
    let mut object = Object::new();
    object.text("id", &choice.id);
    object.text("title", &choice.title);
    object.resource("helpfulResource", choice.help.as_ref());
    object.resource("improvementPlan", choice.plan.as_ref());
    if !choice.more.is_empty() {
        object.list("additionalResources", choice.more.iter().map(more));
    }
    object.with(&choice.extra)
}

fn more(more: &MoreResources) -> Value {
    let mut object = Object::new();
    object.text("type", &more.kind);
    object.list("content", more.content.iter().map(resource));
    object.with(&more.extra)
}

fn resource(resource: &Resource) -> Value {
    let mut object = Object::new();
    object.optional("displayText", resource.text.as_deref());
    object.optional("url", resource.url.as_deref());
    object.with(&resource.extra)
}

fn rule(rule: &Rule) -> Value {
    let mut object = Object::new();
    object.text("condition", rule.condition.text());
    object.text("risk", rule.risk.name());
    object.with(&rule.extra)
}

/// A JSON object under construction.
struct Object(Map<String, Value>);

impl Object {
    fn new() -> Self {
        Self(Map::new())
    }

    fn text(&mut self, key: &str, text: &str) {
        self.0.insert(key.to_owned(), Value::String(text.to_owned()));
    }

    fn optional(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    fn resource(&mut self, key: &str, value: Option<&Resource>) {
        if let Some(value) = value {
            self.0.insert(key.to_owned(), resource(value));
        }
    }

    fn list(&mut self, key: &str, items: impl Iterator<Item = Value>) {
        self.0.insert(key.to_owned(), Value::Array(items.collect()));
    }

    fn with(mut self, extra: &Extra) -> Value {
        self.0.extend(extra.iter().map(|(key, value)| (key.clone(), value.clone())));
        Value::Object(self.0)
    }
}
