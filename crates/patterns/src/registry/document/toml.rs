//! TOML text to a [`Node`] tree.

use ::toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    node::{Entry, Node, Place, Value},
    problem::Problems,
};

/// Reads a text.
pub(super) fn parse(text: &str) -> Result<Node, Problems> {
    let lines = Lines::of(text);
    let table = DeTable::parse(text).map_err(|error| {
        let place = error.span().map(|span| lines.place(span.start));
        Problems::one(place, format!("this is not TOML: {}", error.message()))
    })?;
    let place = lines.place(table.span().start);
    Ok(Node { value: lines.map(table.get_ref()), place: Some(place) })
}

/// A text by its lines.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let after = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(after).collect() }
    }

    fn place(&self, at: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= at);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let column = self.text.get(start..at).map_or(1, |before| before.chars().count() + 1);
        Place { line, column }
    }

    fn map(&self, table: &DeTable<'_>) -> Value {
        let mut entries: Vec<Entry> = table
            .iter()
            .map(|(key, value)| Entry {
                key: key.get_ref().to_string(),
                place: Some(self.place(key.span().start)),
                value: self.node(value),
            })
            .collect();
        // The reader sorts by name; a document is read from top to bottom.
        entries.sort_by_key(|entry| entry.place);
        Value::Map(entries)
    }

    fn node(&self, value: &Spanned<DeValue<'_>>) -> Node {
        let place = Some(self.place(value.span().start));
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(integer) => {
                let number = i64::from_str_radix(integer.as_str(), integer.radix());
                number.map_or(Value::Number(f64::NAN), |number| Value::Number(number as f64))
            }
            DeValue::Float(float) => Value::Number(float.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(value) => Value::Bool(*value),
            DeValue::Datetime(moment) => Value::Text(moment.to_string()),
            DeValue::Array(items) => Value::List(items.iter().map(|item| self.node(item)).collect()),
            DeValue::Table(table) => self.map(table),
        };
        Node { value, place }
    }
}
