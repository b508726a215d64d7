//! The text of a file, and where in it something is.

use std::ops::Range;

use crate::{codes, finding::Finding};

/// Largest file that is read. CloudFormation takes 1 MB, Systems Manager 64 KB; the rest is room for collections and
/// histories. It bounds the time that any file takes; how much of one is kept in memory, limits on values and words do.
pub const MAX_BYTES: usize = 16 << 20;

/// A range of bytes of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
}

impl Span {
    /// The bytes from `start` up to, not including, `end`.
    #[must_use]
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The same range further on.
    #[must_use]
    pub const fn moved(self, by: usize) -> Self {
        Self { start: self.start + by, end: self.end + by }
    }

    /// As a standard range.
    #[must_use]
    pub const fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// The text of a file with an index of its lines.
#[derive(Debug, Clone)]
pub struct Source {
    path: String,
    text: String,
    /// Offset of the first byte of every line.
    lines: Vec<usize>,
}

impl Source {
    /// A text that was read from `path` (used in messages only).
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { path: path.into(), text, lines }
    }

    /// Where it was read from.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The name of the file without its folder and without what follows its first dot.
    #[must_use]
    pub fn stem(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default().split('.').next().unwrap_or_default()
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column of a byte, both counted from 1; columns count characters.
    #[must_use]
    pub fn position(&self, at: usize) -> (usize, usize) {
        let at = self.boundary(at);
        let line = self.lines.partition_point(|start| *start <= at).max(1) - 1;
        (line + 1, self.text[self.lines[line]..at].chars().count() + 1)
    }

    /// The line of a byte, counted from 1.
    pub(crate) fn line_of(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at).max(1)
    }

    /// Line and column of places in rising order, each counted on from the one before: a document on one line of a
    /// megabyte is walked once and not once for every place.
    pub(crate) const fn positions(&self) -> Positions<'_> {
        Positions { source: self, line_start: 0, at: 0, line: 1, column: 1 }
    }

    /// The bytes of the line (counted from 1) without its line break.
    #[must_use]
    pub fn line(&self, line: usize) -> Span {
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len());
        let end = self.lines.get(line).map_or(self.text.len(), |next| next - 1);
        let end = if self.text[start..end].ends_with('\r') { end - 1 } else { end };
        Span::new(start, end)
    }

    /// The text of a span; nothing where the span does not lie on character boundaries.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.range()).unwrap_or_default()
    }

    /// The nearest character boundary at or before a byte.
    #[must_use]
    pub fn boundary(&self, at: usize) -> usize {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    /// Where bytes of a scalar's *value* stand in the source, given the scalar's span with its quotes.
    pub(crate) fn scalar(&self, scalar: Span) -> Inside<'_> {
        // A tag such as `!Sub` and the space behind it are no part of the value.
        let (tag, raw) = match self.slice(scalar) {
            raw if raw.starts_with('!') => {
                let tag = raw.find(char::is_whitespace).unwrap_or(raw.len());
                raw.split_at(tag + raw[tag..].len() - raw[tag..].trim_start().len())
            }
            raw => ("", raw),
        };
        let scalar = Span::new(scalar.start + tag.len(), scalar.end);
        let quote = raw.chars().next().filter(|quote| matches!(quote, '"' | '\''));
        let folded = quote.is_none() && raw.contains('\n');
        Inside { source: self, scalar, raw, quote, folded, at: 1, decoded: 0 }
    }
}

/// See [`Source::scalar`].
pub(crate) struct Inside<'s> {
    source: &'s Source,
    scalar: Span,
    raw: &'s str,
    quote: Option<char>,
    folded: bool,
    /// How far the text in quotes has been walked, and how many bytes of the value that is.
    at: usize,
    decoded: usize,
}

impl Inside<'_> {
    /// Where byte `offset` of the value stands. Places in rising order are each counted on from the one before.
    ///
    /// JSON and YAML double quotes have escapes, YAML single quotes have `''`; a plain scalar stands as it is. Scalars
    /// that were folded over lines give the start of the scalar.
    pub(crate) fn of(&mut self, offset: usize) -> usize {
        let Span { start, end } = self.scalar;
        let Some(quote) = self.quote else {
            return if self.folded { start } else { self.source.boundary(start + offset).min(end) };
        };
        if offset < self.decoded {
            (self.at, self.decoded) = (1, 0);
        }
        while self.decoded < offset {
            let mut chars = self.raw[self.at.min(self.raw.len())..].chars();
            let before = chars.as_str().len();
            let produced = match chars.next() {
                None => return end,
                Some('\\') if quote == '"' => match chars.next() {
                    Some('u') => {
                        let digits: String = chars.by_ref().take(4).collect();
                        let code = u32::from_str_radix(&digits, 16).unwrap_or_default();
                        // Half of a surrogate pair stands for half of a four-byte character.
                        char::from_u32(code).map_or(2, char::len_utf8)
                    }
                    _ => 1,
                },
                Some('\'') if quote == '\'' => {
                    chars.next();
                    1
                }
                Some('\n') => return start,
                Some(other) => other.len_utf8(),
            };
            self.at += before - chars.as_str().len();
            self.decoded += produced;
        }
        if self.at < self.raw.len() { start + self.at } else { end }
    }
}

/// See [`Source::positions`].
pub(crate) struct Positions<'s> {
    source: &'s Source,
    line_start: usize,
    at: usize,
    line: usize,
    column: usize,
}

impl Positions<'_> {
    /// Line and column of a byte on a character boundary, both counted from 1.
    pub(crate) fn of(&mut self, at: usize) -> (usize, usize) {
        let line = self.source.lines.partition_point(|start| *start <= at).max(1);
        let line_start = self.source.lines[line - 1];
        if (line, line_start) != (self.line, self.line_start) || at < self.at {
            (self.line, self.line_start, self.at, self.column) = (line, line_start, line_start, 1);
        }
        self.column += self.source.text[self.at..at].chars().count();
        self.at = at;
        (self.line, self.column)
    }
}

/// The text that bytes are; or why they are not read, with as much text as can be shown.
pub(crate) fn decode(bytes: &[u8]) -> Result<String, Box<(String, Finding)>> {
    let refused = |text: &str, span: Span, code, message: String, help: &str| {
        Err(Box::new((text.to_owned(), Finding::new(code, span, message).help(help))))
    };
    if bytes.len() > MAX_BYTES {
        let message = format!("the file has more than {MAX_BYTES} bytes, which is the most that is read");
        return refused("", Span::default(), &codes::TOO_LARGE, message, codes::TOO_LARGE.cure);
    }
    if let [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, 0, 0xFE, 0xFF, ..] = bytes {
        let message = "the file begins with the byte order mark of UTF-16 or UTF-32; it is not UTF-8 text".to_owned();
        return refused("", Span::default(), &codes::BAD_TEXT, message, "save the file as UTF-8");
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let lossy = String::from_utf8_lossy(bytes);
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        // Letters of the Latin alphabet have a zero beside them in UTF-16, and three of them in UTF-32.
        let wide = bytes.iter().take(64).filter(|byte| **byte == 0).count() >= bytes.len().min(64) / 3;
        let what = if wide { "; this looks like UTF-16 or UTF-32 without a byte order mark" } else { "" };
        let message = format!("the byte 0x00 does not occur in text{what}");
        let at = lossy.find('\0').unwrap_or(at);
        return refused(&lossy, Span::new(at, at + 1), &codes::BAD_TEXT, message, "save the file as UTF-8");
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            // Up to the wrong byte the lossy text is the same.
            let at = error.valid_up_to();
            let wrong = bytes.get(at).copied().unwrap_or_default();
            let span = Span::new(at, at + char::REPLACEMENT_CHARACTER.len_utf8());
            let message = format!("the byte 0x{wrong:02X} is not UTF-8 text");
            refused(&lossy, span, &codes::BAD_TEXT, message, "save the file as UTF-8")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let source = Source::new("f", "ab\n日本x\r\n");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(3 + 6), (2, 3));
        assert_eq!(source.position(99), (3, 1));
        assert_eq!(source.slice(source.line(2)), "日本x");
        assert_eq!(source.slice(source.line(9)), "");
    }

    #[test]
    fn positions_one_after_the_other_are_those_found_alone() {
        let source = Source::new("f", "ab\n\n日本x\r\nlast");
        let mut positions = source.positions();
        let text = source.text();
        for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)).chain([4, 0, 7]) {
            assert_eq!(positions.of(at), source.position(at), "{at}");
        }
    }

    #[test]
    fn a_place_in_a_value_is_found_behind_escapes() {
        let text = r#""{\"a\": \"\u00e9b\"}""#;
        let source = Source::new("f", text);
        let whole = Span::new(0, text.len());
        // The value is {"a": "éb"}; its byte 9 is the b.
        let at = source.scalar(whole).of(9);
        assert_eq!(&text[at..=at], "b");
        let single = Source::new("f", "'it''s'");
        assert_eq!(single.scalar(Span::new(0, 7)).of(3), 5);
        let tagged = Source::new("f", "!Sub  'it''s'");
        assert_eq!(tagged.scalar(Span::new(0, 13)).of(3), 11);
        let plain = Source::new("f", "plain");
        assert_eq!(plain.scalar(Span::new(0, 5)).of(2), 2);
    }

    #[test]
    fn places_in_a_value_one_after_the_other_are_those_found_alone() {
        for text in
            [r#""{\"a\": \"\u00e9b\"} 日""#, "'it''s, 日 it''s'", "!Sub  \"a\\tb\"", "plain 日", "\"", "'a\n b'"]
        {
            let source = Source::new("f", text);
            let whole = Span::new(0, text.len());
            let mut places = source.scalar(whole);
            for offset in (0..=text.len()).chain([3, 0, 5]) {
                assert_eq!(places.of(offset), source.scalar(whole).of(offset), "{text} {offset}");
            }
        }
    }
}
