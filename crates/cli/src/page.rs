//! A page of text for the terminal: parts with headings, paragraphs that fit, tables.

use engine::report::columns::{Cell, Paint, table, wrap};

use crate::terminal::Style;

/// Blanks before everything but headings.
const INDENT: usize = 2;

/// A page that is being written.
pub(crate) struct Page {
    text: String,
    style: Style,
}

impl Page {
    /// An empty page for this terminal.
    pub(crate) const fn new(style: Style) -> Self {
        Self { text: String::new(), style }
    }

    /// What was written.
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// One line as it is.
    pub(crate) fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// A heading.
    pub(crate) fn head(&mut self, text: &str) {
        for line in wrap(text, self.style.width) {
            self.line(&Paint::Head.on(&line, self.style.colour));
        }
    }

    /// A heading after an empty line.
    pub(crate) fn part(&mut self, text: &str) {
        self.line("");
        self.head(text);
    }

    /// A paragraph with its first words painted.
    pub(crate) fn paragraph(&mut self, first: &str, paint: Paint, rest: &str) {
        for (at, line) in wrap(&format!("{first} {rest}"), self.style.width.saturating_sub(INDENT)).iter().enumerate() {
            let painted = match line.strip_prefix(first).filter(|_| at == 0) {
                Some(rest) => format!("{}{rest}", paint.on(first, self.style.colour)),
                None => line.clone(),
            };
            self.line(&format!("{:INDENT$}{painted}", ""));
        }
    }

    /// Rows whose cells stand below each other.
    pub(crate) fn table<const N: usize>(&mut self, rows: &[[Cell; N]]) {
        self.rows(None, rows);
    }

    /// The same below headings.
    pub(crate) fn headed<const N: usize>(&mut self, heads: [&str; N], rows: &[[Cell; N]]) {
        self.rows(Some(heads), rows);
    }

    fn rows<const N: usize>(&mut self, heads: Option<[&str; N]>, rows: &[[Cell; N]]) {
        for line in table(heads, rows, self.style.width.saturating_sub(INDENT), self.style.colour) {
            self.line(&format!("{:INDENT$}{line}", ""));
        }
    }
}
