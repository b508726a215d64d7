//! JSON text to a [`Node`] tree.
//!
//! An own reader, because serde_json tells where an error is but not where a value is.

use std::collections::HashSet;

use crate::{
    codes,
    finding::{self, Finding},
    node::{Entry, MAX_DEPTH, Node, Scalar, ScalarKind, Value},
    source::Span,
    yaml::{MAX_NODES, too_many},
};

/// Reads a JSON text (RFC 8259; a byte order mark is skipped). Duplicate keys are reported and the first one kept; a
/// syntax error is reported and ends the reading.
pub fn parse(text: &str, findings: &mut Vec<Finding>) -> Option<Node> {
    let mut parser = Parser { text, at: 0, nodes: 0, findings };
    if text.starts_with('\u{feff}') {
        parser.at = '\u{feff}'.len_utf8();
    }
    let root = parser.value(0).and_then(|node| {
        parser.space();
        if parser.at < text.len() {
            return Err(parser.wrong("there is more text after the end of the JSON value", "end the file here"));
        }
        Ok(node)
    });
    match root {
        Ok(node) => Some(node),
        Err(finding) => {
            parser.findings.push(*finding);
            None
        }
    }
}

struct Parser<'t, 'f> {
    text: &'t str,
    at: usize,
    nodes: usize,
    findings: &'f mut Vec<Finding>,
}

/// Boxed, because a finding is large and almost every result is a node.
type Parsed<T> = Result<T, Box<Finding>>;

impl Parser<'_, '_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// A syntax error at the next character.
    fn wrong(&self, message: &str, help: &str) -> Box<Finding> {
        let end = self.text[self.at..].chars().next().map_or(self.at, |c| self.at + c.len_utf8());
        Box::new(Finding::new(&codes::JSON_SYNTAX, Span::new(self.at, end), message).help(help))
    }

    fn comment(&self) -> Box<Finding> {
        self.wrong("JSON has no comments", "remove it, or write the document as YAML")
    }

    /// A text whose quotes are open at the end of the line; where a typographic quote was meant to close it, at that.
    fn open_quotes(&self, start: usize) -> Box<Finding> {
        let text = &self.text[start..self.at];
        if let Some((at, quote)) = text.char_indices().rev().find(|(_, c)| matches!(c, '“' | '”' | '„' | '‟' | '＂'))
        {
            let span = Span::new(start + at, start + at + quote.len_utf8());
            let message = format!("`{quote}` is a typographic quote, which does not close a text in JSON");
            return Box::new(Finding::new(&codes::JSON_SYNTAX, span, message).help("write \" instead"));
        }
        self.wrong("a text in quotes ends with its line", "write \\n for a line break, or close the quotes")
    }

    fn value(&mut self, depth: usize) -> Parsed<Node> {
        self.space();
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Box::new(too_many(Span::new(self.at, self.at))));
        }
        if depth > MAX_DEPTH {
            let message = format!("values are nested more than {MAX_DEPTH} deep");
            return Err(Box::new(Finding::new(&codes::TOO_DEEP, Span::new(self.at, self.at + 1), message)));
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => {
                let (text, span) = self.string()?;
                Ok(Node::text(text, span))
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'a'..=b'z' | b'A'..=b'Z') => self.word(),
            Some(b'/' | b'#') => Err(self.comment()),
            Some(b'\'') => Err(self.wrong("JSON text stands in double quotes", "write \"…\" instead of '…'")),
            Some(b'}' | b']' | b',') => {
                Err(self.wrong("a value is missing here", "remove the comma before, or add a value"))
            }
            Some(_) => Err(self.wrong("this is not the start of a JSON value", "text stands in double quotes")),
            None => Err(self.wrong("the text ends where a value should stand", "close what was opened")),
        }
    }

    fn object(&mut self, depth: usize) -> Parsed<Node> {
        let start = self.at;
        self.at += 1;
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = HashSet::new();
        loop {
            self.space();
            match self.peek() {
                Some(b'}') if entries.is_empty() => break,
                Some(b'"') => {}
                Some(b'}') => {
                    return Err(self.wrong("a key is missing after the comma", "remove the comma before the `}`"));
                }
                None => return Err(self.wrong("the text ends inside an object", "add the missing `}`")),
                Some(b'/' | b'#') => return Err(self.comment()),
                Some(_) => return Err(self.wrong("a key in double quotes should stand here", "write \"key\": value")),
            }
            let (key, key_span) = self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.wrong("a `:` is missing after the key", "write \"key\": value"));
            }
            self.at += 1;
            let mut value = self.value(depth + 1)?;
            if value.as_scalar().is_none() {
                value.head = key_span;
            }
            if seen.insert(key.clone()) {
                entries.push(Entry { key, key_span, value });
            } else {
                finding::keep(self.findings, duplicate_key(&key, key_span));
            }
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                None => return Err(self.wrong("the text ends inside an object", "add the missing `}`")),
                Some(_) => return Err(self.wrong("a `,` or `}` is missing here", "separate entries with commas")),
            }
        }
        self.at += 1;
        Ok(self.collection(Value::Mapping(entries), start))
    }

    fn array(&mut self, depth: usize) -> Parsed<Node> {
        let start = self.at;
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.space();
            if self.peek() == Some(b']') && items.is_empty() {
                break;
            }
            items.push(self.value(depth + 1)?);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                None => return Err(self.wrong("the text ends inside a list", "add the missing `]`")),
                Some(_) => return Err(self.wrong("a `,` or `]` is missing here", "separate items with commas")),
            }
        }
        self.at += 1;
        Ok(self.collection(Value::Sequence(items), start))
    }

    fn collection(&self, value: Value, start: usize) -> Node {
        Node { value, span: Span::new(start, self.at), head: Span::new(start, start + 1), tag: None }
    }

    /// A string at the current quote.
    fn string(&mut self) -> Parsed<(String, Span)> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(|c: char| matches!(c, '"' | '\\') || c < ' ').unwrap_or(rest.len());
            text.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => text.push(self.escape()?),
                Some(control) if !matches!(control, b'\n' | b'\r') => {
                    return Err(self
                        .wrong("a control character stands in this text", "write \\t for a tab, \\uXXXX for others"));
                }
                Some(_) => return Err(self.open_quotes(start)),
                None => {
                    self.at = start;
                    return Err(self.wrong("these quotes are never closed", "add the closing quote"));
                }
            }
        }
        self.at += 1;
        Ok((text, Span::new(start, self.at)))
    }

    fn escape(&mut self) -> Parsed<char> {
        let escaped = self.text.as_bytes().get(self.at + 1).copied();
        let c = match escaped {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'u') => return self.unicode(),
            _ => return Err(self.wrong("this escape is unknown", r#"known are \" \\ \/ \b \f \n \r \t and \uXXXX"#)),
        };
        self.at += 2;
        Ok(c)
    }

    fn unicode(&mut self) -> Parsed<char> {
        let first = self.hex(self.at);
        let pair = first.filter(|code| (0xD800..0xDC00).contains(code)).and_then(|high| {
            let low = self.hex(self.at + 6).filter(|code| (0xDC00..0xE000).contains(code))?;
            char::from_u32(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00))
        });
        if let Some(c) = pair {
            self.at += 12;
            return Ok(c);
        }
        match first.and_then(char::from_u32) {
            Some(c) => {
                self.at += 6;
                Ok(c)
            }
            None => {
                Err(self.wrong("this \\u escape is not a character", "write four hexadecimal digits; pairs for emoji"))
            }
        }
    }

    /// The four digits of the `\uXXXX` at a place.
    fn hex(&self, at: usize) -> Option<u32> {
        let digits = self.text.get(at..at + 6)?.strip_prefix("\\u")?;
        digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
    }

    fn number(&mut self) -> Parsed<Node> {
        let start = self.at;
        while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
            self.at += 1;
        }
        let text = &self.text[start..self.at];
        // serde_json knows the grammar of a number (no leading zeros, no bare dot).
        match serde_json::from_str::<f64>(text) {
            Ok(number) => Ok(self.scalar(start, ScalarKind::Number(number))),
            Err(_) => {
                self.at = start;
                Err(self.wrong(&format!("`{text}` is not a JSON number"), "write for example 5, -1.5 or 2e3"))
            }
        }
    }

    fn word(&mut self) -> Parsed<Node> {
        let start = self.at;
        while matches!(self.peek(), Some(b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_')) {
            self.at += 1;
        }
        let kind = match &self.text[start..self.at] {
            "true" => ScalarKind::Bool(true),
            "false" => ScalarKind::Bool(false),
            "null" => ScalarKind::Null,
            word => {
                let message = format!("`{word}` is not a JSON value");
                let finding = Finding::new(&codes::JSON_SYNTAX, Span::new(start, self.at), message);
                return Err(Box::new(finding.help(format!("text stands in double quotes: \"{word}\""))));
            }
        };
        Ok(self.scalar(start, kind))
    }

    fn scalar(&self, start: usize, kind: ScalarKind) -> Node {
        let span = Span::new(start, self.at);
        let scalar = Scalar { text: self.text[start..self.at].to_owned(), kind, plain: false };
        Node { value: Value::Scalar(scalar), span, head: span, tag: None }
    }
}

/// The finding for a key that is there twice.
pub(crate) fn duplicate_key(key: &str, span: Span) -> Finding {
    Finding::new(&codes::DUPLICATE_KEY, span, format!("the key `{key}` is there twice"))
        .label("second one")
        .help("keep one of the two; other readers would silently drop the first")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Node>, Vec<Finding>) {
        let mut findings = Vec::new();
        (parse(text, &mut findings), findings)
    }

    #[test]
    fn reads_what_serde_json_reads() {
        for text in [
            r#"{"a": [1, -2.5e3, true, null, "x\n\u00e9\ud83d\ude00"], "b": {}}"#,
            "[]",
            "\t\"tab\"\n",
            "0",
            r#"{"":{"":[]}}"#,
        ] {
            let (node, findings) = read(text);
            assert_eq!(node.unwrap().to_json(), serde_json::from_str::<serde_json::Value>(text).unwrap());
            assert!(findings.is_empty());
        }
    }

    #[test]
    fn says_where_the_syntax_breaks() {
        for (text, at, message) in [
            ("{\"a\": }", 6, "a value is missing here"),
            ("{\"a\": 1,}", 8, "a key is missing after the comma"),
            ("[1 2]", 3, "a `,` or `]` is missing here"),
            ("{\"a\" 1}", 5, "a `:` is missing after the key"),
            ("\"open", 0, "these quotes are never closed"),
            ("01", 0, "`01` is not a JSON number"),
            ("{'a': 1}", 1, "a key in double quotes should stand here"),
            ("{} {}", 3, "there is more text after the end of the JSON value"),
            ("yes", 0, "`yes` is not a JSON value"),
            ("\"\\x\"", 1, "this escape is unknown"),
            ("\"\\ud800\"", 1, "this \\u escape is not a character"),
            ("\"a\tb\"", 2, "a control character stands in this text"),
            ("\"a\nb\"", 2, "a text in quotes ends with its line"),
            ("// no", 0, "JSON has no comments"),
            ("", 0, "the text ends where a value should stand"),
        ] {
            let (node, findings) = read(text);
            assert!(node.is_none(), "{text}");
            assert_eq!(findings.len(), 1, "{text}");
            assert_eq!((findings[0].span.start, findings[0].message.as_str()), (at, message), "{text}");
        }
    }

    #[test]
    fn keeps_the_first_of_two_equal_keys_and_says_so() {
        let (node, findings) = read(r#"{"a": 1, "a": 2}"#);
        assert_eq!(node.unwrap().get("a").unwrap().as_text(), Some("1"));
        assert_eq!(findings[0].code.id, codes::DUPLICATE_KEY.id);
        assert_eq!(findings[0].span, Span::new(9, 12));
    }

    #[test]
    fn refuses_to_go_deeper_than_the_stack_allows() {
        let (node, findings) = read(&"[".repeat(100_000));
        assert!(node.is_none());
        assert_eq!(findings[0].code.id, codes::TOO_DEEP.id);
    }
}
