//! A table whose rows become cards where the window is narrow: each cell says which column it was.

use std::fmt::{self, Display, Formatter, Write as _};

use super::{Badge, Markup, Prose, Tone};

/// Rows of a table that is printed on one page: it leaves less empty than it would take to find the rest of it.
const SHORT: usize = 8;

/// A cell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Td {
    class: &'static str,
    html: String,
}

impl Td {
    /// Text.
    pub(crate) fn text(text: &str) -> Self {
        Self { class: "", html: Prose(text).to_string() }
    }

    /// A figure: figures of a column stand below each other.
    pub(crate) fn figure(text: &str) -> Self {
        Self { class: "figure", html: Markup(text).to_string() }
    }

    /// The figure that the row is about.
    pub(crate) fn strong(text: &str) -> Self {
        Self { class: "figure decides", html: Markup(text).to_string() }
    }

    /// A state.
    pub(crate) fn state(tone: Tone, word: &str) -> Self {
        Self { class: "", html: Badge(tone, word).to_string() }
    }

    /// The same with a line below it.
    pub(crate) fn note(mut self, text: &str) -> Self {
        if !text.is_empty() {
            write!(self.html, "<span class=\"why\">{}</span>", Prose(text)).expect("a String takes all text");
        }
        self
    }

    /// The same with a state below it.
    pub(crate) fn and(mut self, tone: Tone, word: &str) -> Self {
        write!(self.html, " {}", Badge(tone, word)).expect("a String takes all text");
        self
    }
}

/// Rows below headings; the first cell of a row names it.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    heads: [&'static str; N],
    rows: Vec<[Td; N]>,
}

impl<const N: usize> Table<N> {
    /// A table with these columns.
    pub(crate) const fn new(heads: [&'static str; N]) -> Self {
        Self { heads, rows: Vec::new() }
    }

    /// One more row.
    pub(crate) fn row(&mut self, cells: [Td; N]) {
        self.rows.push(cells);
    }

    /// Whether there is nothing to show.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl<const N: usize> Display for Table<N> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let any =
            |is: fn(&Td) -> bool| -> [bool; N] { std::array::from_fn(|at| self.rows.iter().any(|row| is(&row[at]))) };
        let figures = any(|cell| cell.class.contains("figure"));
        // A column in which nothing stands is left out.
        let filled = any(|cell| !cell.html.is_empty());
        let short = if self.rows.len() <= SHORT { " short" } else { "" };
        write!(f, "<div class=\"card cards{short}\"><table>\n<thead><tr>")?;
        for at in (0..N).filter(|at| filled[*at]) {
            let class = if figures[at] { " class=\"figure\"" } else { "" };
            write!(f, "<th scope=\"col\"{class}>{}</th>", Markup(self.heads[at]))?;
        }
        f.write_str("</tr></thead>\n<tbody>\n")?;
        for row in &self.rows {
            f.write_str("<tr>")?;
            for at in (0..N).filter(|at| filled[*at]) {
                let Td { class, html } = &row[at];
                let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
                match at {
                    0 => write!(f, "<th scope=\"row\"{class}>{html}</th>")?,
                    // On a phone a cell that says nothing would be a heading without text.
                    _ if html.is_empty() => f.write_str("<td class=\"none\"></td>")?,
                    _ => write!(f, "<td{class} data-label=\"{}\"><span>{html}</span></td>", Markup(self.heads[at]))?,
                }
            }
            f.write_str("</tr>\n")?;
        }
        f.write_str("</tbody></table></div>\n")
    }
}
