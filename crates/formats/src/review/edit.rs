//! Changes of a review, written into the text it was read from: what did not change stays as people wrote it, comments,
//! order, notation and all.
//!
//! Two reviews are compared as trees. Where they differ, the change is made at the place that the tree of the text names:
//! a value is replaced, an entry is added behind those that come before it, or taken away. What was changed is read again;
//! if it does not say what it should (a value that aliases repeat can only be changed everywhere at once), the review is
//! written anew.

use std::ops::Range;

use model::review::Review;

use super::{
    print::{print, tree},
    read_review,
    tree::{Notation, STEP, Tree},
};
use crate::{
    node::{Entry, Node, Value},
    read::{Opened, open},
    source::Span,
};

/// The text of a review with everything in it that differs between `before` and `after`; none where the text is no review.
/// Where somebody else has changed other parts of it since it was `before`, both changes are there. `name` says by its
/// ending what it is, as for reading.
#[must_use]
pub fn edit(name: &str, text: &str, before: &Review, after: &Review) -> Option<String> {
    let read = |text: &str| read_review(name, text.as_bytes()).review;
    let was = read(text)?;
    let Opened { source, root, .. } = open(name, text.as_bytes());
    let root = root?;
    let mark = if text.starts_with('\u{feff}') { "\u{feff}" } else { "" };
    let edited = Editor::new(source.text(), &root).edited(&root, &tree(before), &tree(after));
    let says_it = |edited: &String| read(edited).is_some_and(|now| now == *after || was != *before);
    let edited = edited.map(|edited| format!("{mark}{edited}")).filter(says_it);
    Some(edited.unwrap_or_else(|| print(after)))
}

/// Where a value stands in the text.
struct Slot<'n> {
    node: &'n Node,
    /// From behind the colon to the end of the value.
    range: Range<usize>,
    /// The column of its key.
    indent: usize,
    /// Whether it stands within brackets.
    inline: bool,
    /// Whether an alias stands there for it.
    alias: bool,
}

impl Slot<'_> {
    /// Whether its entries stand below each other, not within brackets.
    fn is_block(&self, text: &str) -> bool {
        !text.get(self.node.span.start..).is_some_and(|rest| rest.starts_with('{'))
    }
}

struct Editor<'t> {
    text: &'t str,
    notation: Notation,
    line_break: &'static str,
    /// What is replaced by what; none overlaps another.
    edits: Vec<(Range<usize>, String)>,
    /// Whether every change found its place.
    possible: bool,
}

impl<'t> Editor<'t> {
    fn new(text: &'t str, root: &Node) -> Self {
        // What is JSON as a whole stays so.
        let json = text[root.span.start..].starts_with('{') && serde_json::from_str::<serde_json::Value>(text).is_ok();
        Self {
            text,
            notation: if json { Notation::Json } else { Notation::Flow },
            line_break: if text.contains("\r\n") { "\r\n" } else { "\n" },
            edits: Vec::new(),
            possible: true,
        }
    }

    /// The text with what differs between two trees; none where a change found no place.
    fn edited(mut self, root: &Node, before: &Tree, after: &Tree) -> Option<String> {
        let inline = self.text[root.span.start..].starts_with('{');
        let slot = Slot { node: root, range: root.span.range(), indent: 0, inline, alias: false };
        match (before.entries(), after.entries(), root.as_mapping()) {
            (Some(before), Some(new), Some(entries)) => self.mapping(before, (new, after), entries, &slot),
            _ => self.possible = false,
        }
        self.possible.then(|| self.applied())
    }

    fn replace(&mut self, range: Range<usize>, by: &str) {
        self.edits.push((range, by.replace('\n', self.line_break)));
    }

    /// The text with all changes.
    fn applied(mut self) -> String {
        // Of those at one place the first to be asked for comes first; what is added there stands before what goes.
        self.edits.sort_by_key(|(range, _)| (range.start, range.end));
        let (mut out, mut at) = (String::with_capacity(self.text.len()), 0);
        for (range, by) in &self.edits {
            out.push_str(self.text.get(at..range.start).unwrap_or_default());
            out.push_str(by);
            at = at.max(range.end);
        }
        out.push_str(self.text.get(at..).unwrap_or_default());
        out
    }

    /// Changes a value.
    fn value(&mut self, before: &Tree, after: &Tree, slot: &Slot<'_>) {
        if before == after {
            return;
        }
        let whole = slot.alias || slot.node.tag.is_some();
        match (before, after, &slot.node.value) {
            (Tree::List(before), Tree::List(after), Value::Sequence(items))
                if !whole && !items.is_empty() && items.len() == before.len() && after.starts_with(before) =>
            {
                self.append(&after[before.len()..], items, slot);
            }
            (_, _, Value::Mapping(entries)) if !whole && !entries.is_empty() => {
                match (before.entries(), after.entries()) {
                    (Some(before), Some(new)) if !new.is_empty() => self.mapping(before, (new, after), entries, slot),
                    _ => self.anew(after, slot),
                }
            }
            _ => self.anew(after, slot),
        }
    }

    /// Puts items behind those of a list.
    fn append(&mut self, new: &[Tree], items: &[Node], slot: &Slot<'_>) {
        let (Some(first), Some(last)) = (items.first(), items.last()) else { return self.possible = false };
        let first = first.span.start;
        // A list whose dashes stand below the key begins with its first item, wherever the dash is.
        let brackets = self.text[slot.node.span.start..].starts_with('[') && first > slot.node.span.start;
        if !brackets {
            let Some(dash) = self.text[..first].rfind('-') else { return self.possible = false };
            let indent = self.column(dash);
            let at = self.end_of_lines(last.span.end, indent + 1);
            for item in new {
                self.replace(at..at, &item.after_dash(indent));
            }
        } else {
            for item in new {
                let text = format!("{}{}", self.separator(last.span.start), item.inline(self.notation));
                self.replace(last.span.end..last.span.end, &text);
            }
        }
    }

    /// Changes entries of a mapping that stay, takes away those that go, and adds new ones.
    fn mapping(
        &mut self,
        before: &[(String, Tree)],
        (new, after): (&[(String, Tree)], &Tree),
        entries: &[Entry],
        slot: &Slot<'_>,
    ) {
        let block = slot.is_block(self.text);
        let indent = entries.first().map_or(0, |entry| self.column(entry.key_span.start));
        let there = |key: &str| entries.iter().find(|entry| entry.key == key);
        let mut gone: Vec<&Entry> =
            before.iter().filter(|(key, _)| of(new, key).is_none()).filter_map(|(key, _)| there(key)).collect();
        // What stands there says nothing where `before` does not have it: `answers:`.
        let kept = new.iter().filter_map(|(key, value)| Some((there(key)?, of(before, key), value)));
        for (entry, was, value) in kept.filter(|(_, was, value)| *was != Some(value)) {
            let Some(slot) = self.slot(entry, indent, !block) else { return self.possible = false };
            match was {
                Some(was) => self.value(was, value, &slot),
                None => self.anew(value, &slot),
            }
        }
        for (n, (key, value)) in new.iter().enumerate().filter(|(_, (key, _))| there(key).is_none()) {
            // Somebody else took it away, and nothing about it was changed here.
            if of(before, key) == Some(value) {
                continue;
            }
            let renamed = gone.iter().position(|entry| of(before, &entry.key) == Some(value));
            if let (Some(at), Tree::Dict(_)) = (renamed, after) {
                let name = Tree::Text(key.clone()).inline(self.notation);
                self.replace(gone.remove(at).key_span.range(), &name);
                continue;
            }
            let stays = |entry: &&Entry| gone.iter().all(|other| other.key != entry.key);
            let earlier =
                |entry: &&Entry| matches!(after, Tree::Dict(_)) || new[..n].iter().any(|(key, _)| *key == entry.key);
            let behind = entries.iter().filter(stays).rfind(earlier);
            match behind.or_else(|| entries.iter().rfind(stays)) {
                Some(behind) => self.add(key, value, (behind, indent), block),
                None => return self.anew_whole(after, slot),
            }
        }
        if gone.len() == entries.len() {
            return self.anew_whole(after, slot);
        }
        self.take_away(&gone, entries, indent, block);
    }

    /// Adds an entry behind another.
    fn add(&mut self, key: &str, value: &Tree, (behind, indent): (&Entry, usize), block: bool) {
        let Some(slot) = self.slot(behind, indent, !block) else { return self.possible = false };
        let (at, text) = if block {
            (self.end_of_lines(slot.range.end, indent + 1), value.entry(key, indent))
        } else {
            let separator = self.separator(behind.key_span.start);
            (slot.range.end, format!("{separator}{}", value.entry_inline(key, self.notation)))
        };
        self.replace(at..at, &text);
    }

    /// Takes entries away. Their comments stay.
    fn take_away(&mut self, gone: &[&Entry], entries: &[Entry], indent: usize, block: bool) {
        let goes = |entry: &Entry| gone.iter().any(|other| other.key == entry.key);
        for (n, entry) in entries.iter().enumerate().filter(|(_, entry)| goes(entry)) {
            let Some(slot) = self.slot(entry, indent, !block) else { return self.possible = false };
            if block {
                let start = self.line_start(entry.key_span.start);
                self.possible &= self.text[start..entry.key_span.start].trim().is_empty();
                let end = self.line_end(slot.range.end);
                let left: String =
                    self.comments(start..end, entry).map(|comment| format!("\n{:indent$}{comment}", "")).collect();
                // It goes with the line break before it, so that what is added behind it stands on a line of its own.
                let before = self.text[..start].strip_suffix('\n').map(|before| before.trim_end_matches('\r').len());
                match before {
                    Some(before) => self.replace(before..end, &left),
                    None => self.replace(start..end, left.trim_start()),
                }
                continue;
            }
            // Within brackets it goes with the comma to the next; the last ones with the comma before.
            let next = entries.get(n + 1..).unwrap_or_default();
            let before = entries[..n].iter().rfind(|entry| !goes(entry));
            let range = match (next.first(), before) {
                (Some(first), _) if next.iter().any(|entry| !goes(entry)) => entry.key_span.start..first.key_span.start,
                (_, Some(before)) if n > 0 && !goes(&entries[n - 1]) => {
                    let Some(before) = self.slot(before, indent, true) else { return self.possible = false };
                    let last = next.last().unwrap_or(entry);
                    let Some(last) = self.slot(last, indent, true) else { return self.possible = false };
                    before.range.end..last.range.end
                }
                // The first of the last ones took it along.
                _ => continue,
            };
            let left: String = self.comments(range.clone(), entry).map(|comment| format!(" {comment}\n")).collect();
            self.replace(range, &left);
        }
    }

    /// Writes a value anew. Comments within what was there before stay.
    fn anew(&mut self, after: &Tree, slot: &Slot<'_>) {
        let comments: Vec<&str> = comments(self.text, slot.range.clone(), slot.node);
        if slot.inline {
            let left: String = comments.iter().map(|comment| format!(" {comment}\n")).collect();
            let space = if self.text[..slot.range.start].ends_with(':') { " " } else { "" };
            return self.replace(slot.range.clone(), &format!("{space}{}{left}", after.inline(self.notation)));
        }
        let (mut head, mut body) = after.after_key(slot.indent + STEP);
        // A line stays a line, with the comment behind it.
        let line = after.inline(Notation::Flow);
        let was_line = slot.node.as_text().is_some() && !self.text[slot.range.clone()].contains('\n');
        if head.is_empty() && was_line && slot.indent + line.len() <= LONGEST_LINE {
            (head, body) = (format!(" {line}"), String::new());
        }
        body.extend(comments.iter().map(|comment| format!("\n{:indent$}{comment}", "", indent = slot.indent)));
        self.replace(slot.range.clone(), &head);
        let at = self.line_end(slot.range.end);
        self.replace(at..at, &body);
    }

    /// Writes a mapping anew of which no entry stays.
    fn anew_whole(&mut self, after: &Tree, slot: &Slot<'_>) {
        self.edits.retain(|(range, _)| range.start < slot.range.start || slot.range.end < range.start);
        self.anew(after, slot);
    }

    /// Where the value of an entry stands; none where that is not plain to see.
    fn slot<'n>(&self, entry: &'n Entry, indent: usize, inline: bool) -> Option<Slot<'n>> {
        let behind_key = self.text.get(entry.key_span.end..)?;
        let colon = entry.key_span.end + behind_key.len() - behind_key.trim_start().len();
        let rest = self.text.get(colon..)?.strip_prefix(':')?;
        let start = colon + 1;
        let node = &entry.value;
        // What an alias stands for was written before.
        let alias = rest.trim_start().starts_with('*');
        let end = if alias {
            let name = start + rest.len() - rest.trim_start().len();
            let length = self.text[name..].find(|c: char| c.is_whitespace() || ",]}".contains(c));
            length.map_or(self.text.len(), |length| name + length)
        } else {
            let end = self.text.get(..node.span.end)?.trim_end().len();
            if node.is_null() && node.span.start >= node.span.end { start } else { end.max(start) }
        };
        Some(Slot { node, range: start..end, indent, inline, alias })
    }

    fn comments(&self, range: Range<usize>, entry: &Entry) -> impl Iterator<Item = &'t str> {
        comments(self.text, range, &entry.value).into_iter()
    }

    /// What stands between an entry within brackets and the next: those below each other go on so.
    fn separator(&self, start: usize) -> String {
        let line = self.line_start(start);
        let before = &self.text[line..start];
        if line > 0 && before.trim().is_empty() { format!(",\n{before}") } else { ", ".to_owned() }
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |at| at + 1)
    }

    /// The end of a line, without its line break.
    fn line_end(&self, at: usize) -> usize {
        let end = self.text[at..].find('\n').map_or(self.text.len(), |length| at + length);
        if self.text[at..end].ends_with('\r') { end - 1 } else { end }
    }

    /// The end of a line, and of comments below it that stand at least so far to the right.
    fn end_of_lines(&self, at: usize, indent: usize) -> usize {
        let mut end = self.line_end(at);
        loop {
            let next = self.text[end..].find('\n').map_or(self.text.len(), |length| end + length + 1);
            let line = &self.text[next..self.line_end(next)];
            if !line.trim_start().starts_with('#') || line.len() - line.trim_start().len() < indent {
                return end;
            }
            end = self.line_end(next);
        }
    }

    fn column(&self, at: usize) -> usize {
        self.text[self.line_start(at)..at].chars().count()
    }
}

/// Columns up to which a mapping that replaces a single value stays on its line.
const LONGEST_LINE: usize = 120;

/// What a mapping has under a key.
fn of<'t>(entries: &'t [(String, Tree)], key: &str) -> Option<&'t Tree> {
    entries.iter().find(|(other, _)| other == key).map(|(_, value)| value)
}

/// The comments within a range in which nothing but a value stands.
fn comments<'t>(text: &'t str, range: Range<usize>, node: &Node) -> Vec<&'t str> {
    let mut scalars = Vec::new();
    collect(node, &mut scalars);
    scalars.retain(|span| range.contains(&span.start));
    scalars.sort_unstable();
    scalars.push(Span::new(range.end, range.end));
    let (mut found, mut at) = (Vec::new(), range.start);
    for span in scalars {
        for line in text.get(at..span.start).unwrap_or_default().split_inclusive('\n') {
            let signs = line.match_indices('#').map(|(at, _)| at);
            let mut begins = signs.filter(|at| line[..*at].chars().next_back().is_none_or(char::is_whitespace));
            found.extend(begins.next().map(|at| line[at..].trim_end()));
        }
        at = at.max(span.end);
    }
    found
}

/// Places of everything in a value that may have a `#` in it.
fn collect(node: &Node, scalars: &mut Vec<Span>) {
    match &node.value {
        Value::Scalar(_) => scalars.push(node.span),
        Value::Sequence(items) => items.iter().for_each(|item| collect(item, scalars)),
        Value::Mapping(entries) => {
            for entry in entries {
                scalars.push(entry.key_span);
                collect(&entry.value, scalars);
            }
        }
    }
}

#[cfg(test)]
mod tests;
