//! The JSON Schema of a document, from the tables by which it is read.

use std::fmt::Write as _;

use super::shape::{Field, Shape};

/// The durations that are read, as a pattern: units from the longest, each at most once.
const DURATION: &str =
    r"^([0-9]+(\\.[0-9]+)? ?(d|h|m|s|ms|us|µs|ns) ?)+$|^P([0-9]+D)?(T([0-9]+H)?([0-9]+M)?([0-9]+(\\.[0-9]+)?S)?)?$";
const PART: &str = r"^[0-9]+(\\.[0-9]+)? ?%?$";

/// The schema of a document with these keys.
pub(crate) fn of(title: &str, about: &str, fields: &[Field]) -> String {
    let mut writer = Writer { out: String::new(), depth: 0 };
    writer.open('{');
    writer.line(r#""$schema": "https://json-schema.org/draft/2020-12/schema","#);
    writer.line(&format!(r#""title": "{title}","#));
    writer.line(&format!(r#""description": "{about}","#));
    writer.table(fields);
    writer.close('}', "");
    writer.out
}

struct Writer {
    out: String,
    depth: usize,
}

impl Writer {
    fn line(&mut self, text: &str) {
        // Writing to a string cannot fail.
        let _written = writeln!(self.out, "{:indent$}{text}", "", indent = self.depth * 2);
    }

    fn open(&mut self, bracket: char) {
        self.line(&bracket.to_string());
        self.depth += 1;
    }

    fn close(&mut self, bracket: char, after: &str) {
        self.depth -= 1;
        self.line(&format!("{bracket}{after}"));
    }

    /// The keys of a schema for a table, without its braces.
    fn table(&mut self, fields: &[Field]) {
        self.line(r#""type": "object","#);
        self.line(r#""additionalProperties": false,"#);
        self.line(r#""properties": {"#);
        self.depth += 1;
        for (number, field) in fields.iter().enumerate() {
            self.line(&format!("\"{}\": {{", field.name));
            self.depth += 1;
            self.line(&format!("\"description\": \"{}\",", field.about));
            self.shape(&field.shape);
            self.close('}', if number + 1 < fields.len() { "," } else { "" });
        }
        self.close('}', "");
    }

    /// The keys of a schema for a shape, without its braces.
    fn shape(&mut self, shape: &Shape) {
        match shape {
            Shape::Duration => self.line(&format!("\"type\": \"string\", \"pattern\": \"{DURATION}\"")),
            Shape::Whole { min, max: u64::MAX } => self.line(&format!("\"type\": \"integer\", \"minimum\": {min}")),
            Shape::Whole { min, max } => {
                self.line(&format!("\"type\": \"integer\", \"minimum\": {min}, \"maximum\": {max}"));
            }
            Shape::Number => self.line("\"type\": \"number\", \"minimum\": 0"),
            Shape::Part => self.line(&format!(
                "\"anyOf\": [{{ \"type\": \"number\", \"minimum\": 0, \"maximum\": 1 }}, {{ \"type\": \"string\", \"pattern\": \"{PART}\" }}]"
            )),
            Shape::Bool => self.line("\"type\": \"boolean\""),
            Shape::Word(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                self.line(&format!("\"enum\": [{}]", words.join(", ")));
            }
            Shape::Text => self.line("\"type\": \"string\""),
            Shape::Range => self.line(
                "\"type\": \"array\", \"items\": { \"type\": \"number\", \"minimum\": 0 }, \"minItems\": 2, \"maxItems\": 2",
            ),
            Shape::Sentence => self.line("\"type\": [\"string\", \"object\"]"),
            Shape::Table(fields) => self.table(fields),
            Shape::Map(shape) => {
                self.line("\"type\": \"object\",");
                self.inner("additionalProperties", shape);
            }
            Shape::List(shape) => {
                self.line("\"type\": \"array\",");
                self.inner("items", shape);
            }
            Shape::Either(shapes) => {
                self.line("\"anyOf\": [");
                self.depth += 1;
                for (number, shape) in shapes.iter().enumerate() {
                    self.open('{');
                    self.shape(shape);
                    self.close('}', if number + 1 < shapes.len() { "," } else { "" });
                }
                self.close(']', "");
            }
        }
    }

    fn inner(&mut self, name: &str, shape: &Shape) {
        self.line(&format!("\"{name}\": {{"));
        self.depth += 1;
        self.shape(shape);
        self.close('}', "");
    }
}
