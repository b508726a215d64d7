//! Programs in Python: retries, circuit breakers and fallbacks as people write them by hand.
//!
//! A program is taken apart into logical lines with their indentation, which is enough to know what stands in what.
//! A rule needs the whole shape of what it is about (a loop that sleeps, a class that is a breaker) before it speaks.

mod breaker;
mod fallback;
mod retry;

use std::collections::HashSet;

use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    source::{Source, Span},
};

/// A logical line: brackets and triple quotes keep physical lines together.
#[derive(Debug, Clone, Copy)]
struct Line<'t> {
    /// Columns before the text.
    indent: usize,
    /// Without indentation and comment.
    text: &'t str,
    /// Where the text begins.
    start: usize,
}

impl Line<'_> {
    /// The place of a part of the line.
    fn place(&self, part: &str) -> Option<Span> {
        let at = self.text.find(part)?;
        Some(Span::new(self.start + at, self.start + at + part.len()))
    }

    /// The first physical line.
    fn span(&self) -> Span {
        Span::new(self.start, self.start + self.text.lines().next().map_or(0, |line| line.trim_end().len()))
    }
}

/// Most logical lines of a program; the largest that people keep in one file have some tens of thousands.
const MOST_LINES: usize = 200_000;

/// A program, taken apart.
struct Program<'t> {
    text: &'t str,
    lines: Vec<Line<'t>>,
    /// The words of its imports.
    imported: HashSet<&'t str>,
    /// Of every line the next one that is no decorator, itself included.
    decorated: Vec<usize>,
}

impl<'t> Program<'t> {
    fn of(source: &'t Source, span: Span) -> Self {
        let text = source.slice(span);
        let lines = lines(text, span.start);
        let words = |line: &Line<'t>| line.text.split([' ', ',', '.', '(', ')']).filter(|word| !word.is_empty());
        let imports = lines.iter().filter(|line| matches!(words(line).next(), Some("import" | "from")));
        let imported = imports.flat_map(words).collect();
        let mut decorated: Vec<usize> = (0..lines.len()).collect();
        for index in (1..lines.len()).rev() {
            if lines[index - 1].text.starts_with('@') {
                decorated[index - 1] = decorated[index];
            }
        }
        Self { text, lines, imported, decorated }
    }

    /// The function, or whatever it is, that a decorator stands before.
    fn decorated(&self, decorator: usize) -> Option<usize> {
        self.decorated.get(decorator + 1).copied()
    }

    /// The lines that stand in the block of a line.
    fn block(&self, index: usize) -> &[Line<'t>] {
        let Some(head) = self.lines.get(index) else { return &[] };
        let rest = &self.lines[index + 1..];
        let end = rest.iter().position(|line| line.indent <= head.indent).unwrap_or(rest.len());
        &rest[..end]
    }

    /// Whether a module is imported under this name.
    fn imports(&self, module: &str) -> bool {
        self.imported.contains(module)
    }
}

/// Longest name that is told from what stands around it.
const LONGEST_NAME: usize = 100;

/// The name, with those it belongs to before dots, that ends at a place: `self.table`.
fn name_before(text: &str, end: usize) -> &str {
    let part = |(_, c): &(usize, char)| c.is_alphanumeric() || matches!(c, '_' | '.');
    let start = text[..end].char_indices().rev().take(LONGEST_NAME).take_while(part).last();
    &text[start.map_or(end, |(at, _)| at)..end]
}

/// Looks at a program.
pub(crate) fn check(reader: &mut Reader<'_>, source: &Source, span: Span) {
    let program = Program::of(source, span);
    if program.lines.len() > MOST_LINES {
        let message = format!("the program has more than {MOST_LINES} lines, which is the most that is looked at");
        let finding = Finding::new(&codes::TOO_LARGE, Span::new(span.start, span.start), message);
        reader.report(finding.help(codes::TOO_LARGE.cure));
        return;
    }
    retry::check(reader, &program);
    breaker::check(reader, &program);
    fallback::check(reader, &program);
    restore(reader, &program);
}

/// A restore to a time before point-in-time recovery was enabled, a few lines above.
fn restore(reader: &mut Reader<'_>, program: &Program<'_>) {
    let enabled = program
        .lines
        .iter()
        .position(|line| line.text.contains("update_continuous_backups(") && line.text.contains("True"));
    let Some(enabled) = enabled else { return };
    for line in &program.lines[enabled + 1..] {
        if line.text.contains("restore_table_to_point_in_time(")
            && let Some(place) = line.place("RestoreDateTime")
        {
            let message = "the earliest time that can be restored is when point-in-time recovery was enabled, which has just happened";
            reader.report(
                Finding::new(&codes::RESTORE_BEFORE_WINDOW, place, message)
                    .help("ask describe_continuous_backups for the earliest and the latest restorable time"),
            );
        }
    }
}

/// Cuts a text into logical lines.
fn lines(text: &str, base: usize) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut open = 0_usize;
    let mut quote: Option<&str> = None;
    let mut start: Option<(usize, usize)> = None;
    let mut end = 0;
    let mut at = 0;
    let mut indent = 0;
    let mut fresh = true;
    while at < text.len() && lines.len() <= MOST_LINES {
        let rest = &text[at..];
        let Some(c) = rest.chars().next() else { break };
        if let Some(close) = quote {
            if let Some(escaped) = rest.strip_prefix('\\') {
                at += 1 + escaped.chars().next().map_or(0, char::len_utf8);
            } else if rest.starts_with(close) || c == '\n' && close.len() == 1 {
                quote = None;
                at += if c == '\n' { 0 } else { close.len() };
            } else {
                at += c.len_utf8();
            }
            end = at;
            continue;
        }
        match c {
            '\n' => {
                if open == 0 {
                    if let Some((from, columns)) = start.take() {
                        lines.push(Line { indent: columns, text: text[from..end].trim_end(), start: base + from });
                    }
                    (indent, fresh) = (0, true);
                }
                at += 1;
            }
            ' ' | '\t' if fresh => {
                indent += 1;
                at += 1;
            }
            '#' => at += rest.find('\n').unwrap_or(rest.len()),
            _ => {
                if fresh {
                    start = Some((at, indent));
                    fresh = false;
                }
                match c {
                    '(' | '[' | '{' => open += 1,
                    ')' | ']' | '}' => open = open.saturating_sub(1),
                    _ => {}
                }
                let opening = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| rest.starts_with(quote));
                at += opening.map_or_else(|| c.len_utf8(), str::len);
                quote = opening;
                if c != ' ' {
                    end = at;
                }
            }
        }
    }
    if let Some((from, columns)) = start {
        lines.push(Line { indent: columns, text: text[from..end].trim_end(), start: base + from });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logical_lines_keep_brackets_and_quotes_together() {
        let text = "a = 1  # one\nif x(\n    y,\n):\n    b = \"# no\"\n    '''c\n    d'''\n";
        let found: Vec<(usize, &str)> = lines(text, 0).into_iter().map(|line| (line.indent, line.text)).collect();
        assert_eq!(found, [(0, "a = 1"), (0, "if x(\n    y,\n):"), (4, "b = \"# no\""), (4, "'''c\n    d'''")]);
    }

    #[test]
    fn a_name_goes_back_to_what_cannot_be_a_part_of_it() {
        assert_eq!(name_before("x = self.table.get(1)", 18), "self.table.get");
        assert_eq!(name_before("日本(", 6), "日本");
        assert_eq!(name_before("(", 0), "");
    }

    #[test]
    fn strange_texts_end_all_the_same() {
        for text in ["'", "\"\"\"", "(((", ")))", "\\", "'\\", "日本", "\t\t#", "a\\\n"] {
            let _lines = lines(text, 0);
        }
    }
}
