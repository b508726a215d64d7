//! CSV text (RFC 4180) to a [`Node`] tree: a list of mappings, one for each line, whose keys are those of the first line.
//!
//! An own reader, because the `csv` crate tells at which byte a record starts but not where a field is. Commas, semicolons
//! (spreadsheets of half of Europe) or tabs separate fields: whichever the first line has most of. An empty field is as good as
//! none.

use crate::{
    codes,
    finding::{self, Finding},
    node::{Entry, Node, Scalar, ScalarKind, Value},
    source::Span,
    yaml::{MAX_NODES, too_many},
};

/// A field with its place, its quotes included.
struct Field {
    text: String,
    span: Span,
}

/// Reads a table.
pub(crate) fn parse(text: &str, findings: &mut Vec<Finding>) -> Option<Node> {
    let first = text.lines().next().unwrap_or_default();
    let count = |separator: char| first.matches(separator).count();
    // Of as many the first one of these.
    let separator = [',', ';', '\t'].into_iter().rev().max_by_key(|separator| count(*separator))?;
    let mut records = Records { text, at: 0, separator, fields: 0, findings };
    let Some(header) = records.next() else {
        findings.push(Finding::new(&codes::UNKNOWN_DOCUMENT, Span::default(), "the file is empty"));
        return None;
    };
    let mut rows = Vec::new();
    while let Some(record) = records.next() {
        rows.push(row(&header, record, records.findings));
    }
    if records.fields > MAX_NODES {
        findings.push(too_many(Span::new(0, first.len())));
        return None;
    }
    let span = Span::new(0, text.len());
    Some(Node { value: Value::Sequence(rows), span, head: Span::new(0, first.len()), tag: None })
}

fn row(header: &[Field], record: Vec<Field>, findings: &mut Vec<Finding>) -> Node {
    let start = record.first().map_or(0, |field| field.span.start);
    let end = record.last().map_or(start, |field| field.span.end);
    if let Some(beyond) = record.get(header.len()) {
        let message = format!("the line has {} fields, and the first line {}", record.len(), header.len());
        let finding = Finding::new(&codes::WRONG_VALUE, Span::new(beyond.span.start, end), message);
        finding::keep(findings, finding.help("put a field that has a separator in it into double quotes"));
    }
    let entry = |(name, field): (&Field, Field)| {
        let scalar = Scalar { text: field.text.trim().to_owned(), kind: ScalarKind::Text, plain: true };
        let value = Node { value: Value::Scalar(scalar), span: field.span, head: field.span, tag: None };
        Entry { key: name.text.trim().to_owned(), key_span: name.span, value }
    };
    let is_filled = |(_, field): &(&Field, Field)| !field.text.trim().is_empty();
    let entries = header.iter().zip(record).filter(is_filled).map(entry).collect();
    let span = Span::new(start, end);
    Node { value: Value::Mapping(entries), span, head: span, tag: None }
}

/// The records of a table, without empty lines.
struct Records<'t, 'f> {
    text: &'t str,
    at: usize,
    separator: char,
    /// Fields so far; when there are too many, reading ends.
    fields: usize,
    findings: &'f mut Vec<Finding>,
}

impl Records<'_, '_> {
    fn next(&mut self) -> Option<Vec<Field>> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches(['\r', '\n']).len();
        if self.at >= self.text.len() || self.fields > MAX_NODES {
            return None;
        }
        let mut record = vec![self.field()];
        while self.text[self.at..].starts_with(self.separator) && self.fields <= MAX_NODES {
            self.at += self.separator.len_utf8();
            record.push(self.field());
        }
        Some(record)
    }

    /// Reads up to the separator or the end of the line.
    fn field(&mut self) -> Field {
        self.fields += 1;
        let start = self.at;
        let rest = &self.text[start..];
        let plain = rest.find([self.separator, '\r', '\n']).unwrap_or(rest.len());
        let Some(quoted) = rest.strip_prefix('"') else {
            self.at = start + plain;
            return Field { text: rest[..plain].to_owned(), span: Span::new(start, self.at) };
        };
        // A quote within quotes is written twice, so that the parts between are the text and every second one is empty.
        let mut text = String::new();
        let mut from = 0;
        loop {
            let Some(length) = quoted[from..].find('"') else {
                let span = Span::new(start, start + plain);
                let finding =
                    Finding::new(&codes::WRONG_VALUE, span, "the double quotes before this field are never closed");
                finding::keep(self.findings, finding.help("close them, or write a quote that is meant twice"));
                self.at = self.text.len();
                return Field { text: quoted.to_owned(), span };
            };
            text.push_str(&quoted[from..from + length]);
            from += length + 1;
            if !quoted[from..].starts_with('"') {
                break;
            }
            text.push('"');
            from += 1;
        }
        let end = start + 1 + from;
        let rest = &self.text[end..];
        let more = rest.find([self.separator, '\r', '\n']).unwrap_or(rest.len());
        if !rest[..more].trim().is_empty() {
            let finding = Finding::new(
                &codes::WRONG_VALUE,
                Span::new(end, end + more),
                "there is text behind the closing quotes",
            );
            finding::keep(self.findings, finding.help("write a quote within quotes twice"));
        }
        self.at = end + more;
        Field { text, span: Span::new(start, end) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(text: &str) -> (Vec<Vec<(String, String)>>, Vec<Finding>) {
        let mut findings = Vec::new();
        let root = parse(text, &mut findings).unwrap();
        let row = |node: &Node| {
            let entries = node.as_mapping().unwrap().iter();
            entries.map(|entry| (entry.key.clone(), entry.value.as_text().unwrap().to_owned())).collect()
        };
        (root.as_sequence().unwrap().iter().map(row).collect(), findings)
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn fields_with_quotes_separators_and_line_breaks_are_read() {
        let (rows, findings) = rows("a,b\r\n1,\"x, \"\"y\"\"\nz\"\r\n\r\n,2\n");
        assert_eq!(rows, [vec![pair("a", "1"), pair("b", "x, \"y\"\nz")], vec![pair("b", "2")]]);
        assert!(findings.is_empty(), "{findings:?}");
    }

    #[test]
    fn semicolons_and_tabs_separate_where_the_first_line_has_more_of_them() {
        assert_eq!(rows("a;b\n1,5;2").0, [vec![pair("a", "1,5"), pair("b", "2")]]);
        assert_eq!(rows("a\tb\n1\t2").0, [vec![pair("a", "1"), pair("b", "2")]]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let (_, findings) = rows("a,b\n1,2,3,4\n\"5,6\n");
        let places: Vec<_> = findings.iter().map(|finding| finding.span).collect();
        assert_eq!(places, [Span::new(8, 11), Span::new(12, 14)]);
        let (_, behind) = rows("a,b\n\"1\"x,2");
        assert_eq!(behind[0].span, Span::new(7, 8));
    }

    proptest! {
        #[test]
        fn whatever_the_text_spans_lie_in_it_and_reading_ends(text in "[a,;\"\n\r\t é]{0,60}") {
            let mut findings = Vec::new();
            if let Some(root) = parse(&text, &mut findings) {
                for entry in root.as_sequence().unwrap().iter().flat_map(|row| row.as_mapping().unwrap()) {
                    prop_assert!(text.get(entry.value.span.range()).is_some());
                }
            }
            prop_assert!(findings.iter().all(|finding| text.get(finding.span.range()).is_some()));
        }

        #[test]
        fn what_is_written_with_quotes_is_read_back(cells in prop::collection::vec("[a-z,\"\n]{1,9}x", 1..6)) {
            let header: Vec<String> = (0..cells.len()).map(|column| format!("c{column}")).collect();
            let quoted: Vec<String> = cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
            let (rows, findings) = rows(&format!("{}\n{}\n", header.join(","), quoted.join(",")));
            let wanted: Vec<_> = header.into_iter().zip(cells.iter().map(|cell| cell.trim().to_owned())).collect();
            prop_assert_eq!(&rows, &vec![wanted]);
            prop_assert!(findings.is_empty());
        }
    }
}
