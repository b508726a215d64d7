//! Text for a terminal of a certain width: columns that stand below each other, and paragraphs that fit.
//!
//! Widths are columns of the terminal, not characters: `支払い` takes six.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::escape::one_line;

/// How a text is painted, where colours are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// As the terminal paints by default.
    Plain,
    /// Headings.
    Head,
    /// What matters most.
    Bold,
    /// What may be skipped.
    Dim,
    /// Good news.
    Good,
    /// A degradation.
    Warn,
    /// Bad news.
    Bad,
    /// No news: what cannot be said.
    Unknown,
}

impl Paint {
    /// The SGR parameters (ECMA-48 8.3.117). Only the eight basic colours: a terminal's theme decides what they look like.
    const fn codes(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Head => "1;36",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Good => "1;32",
            Self::Warn => "1;33",
            Self::Bad => "1;31",
            Self::Unknown => "1;35",
        }
    }

    /// A text in this paint.
    #[must_use]
    pub fn on(self, text: &str, colour: bool) -> String {
        if colour && self != Self::Plain { format!("\u{1b}[{}m{text}\u{1b}[0m", self.codes()) } else { text.to_owned() }
    }
}

/// A cell of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    paint: Paint,
}

impl Cell {
    /// A cell with this text, made harmless for a terminal.
    #[must_use]
    pub fn new(text: &str, paint: Paint) -> Self {
        Self { text: one_line(text), paint }
    }
}

/// The width of every column: that of its widest cell.
#[must_use]
pub fn widths<const N: usize>(rows: &[[Cell; N]]) -> [usize; N] {
    std::array::from_fn(|column| rows.iter().map(|row| row[column].text.width()).max().unwrap_or_default())
}

/// One row, its cells padded to their columns' widths and two blanks apart, without blanks at the end.
#[must_use]
pub fn row<const N: usize>(cells: &[Cell; N], widths: &[usize; N], colour: bool) -> String {
    let last = cells.iter().rposition(|cell| !cell.text.is_empty()).unwrap_or_default();
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths).take(last) {
        line.push_str(&cell.paint.on(&cell.text, colour));
        // The padding is not painted: it would show where a paint has a background.
        line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.text.width()) + 2));
    }
    if let Some(cell) = cells.get(last) {
        line.push_str(&cell.paint.on(&cell.text, colour));
    }
    line
}

/// A column that is broken into lines keeps at least so many columns: narrower ones tear every word apart.
const NARROWEST: usize = 18;

/// Rows below each other, no wider than `width`: the widest column is broken into lines where that is enough; otherwise each row
/// becomes a small list, in which every cell says which column it was.
#[must_use]
pub fn table<const N: usize>(heads: Option<[&str; N]>, rows: &[[Cell; N]], width: usize, colour: bool) -> Vec<String> {
    let titles = heads.map(|heads| heads.map(|head| Cell::new(head, Paint::Dim)));
    let all: Vec<&[Cell; N]> = titles.iter().chain(rows).collect();
    let widths: [usize; N] =
        std::array::from_fn(|at| all.iter().map(|row| row[at].text.width()).max().unwrap_or_default());
    // Two blanks before every column up to the last in which something stands.
    let gaps = widths.iter().rposition(|width| *width > 0).unwrap_or_default();
    let whole = widths.iter().sum::<usize>() + 2 * gaps;
    let Some((widest, most)) = widths.iter().copied().enumerate().max_by_key(|(_, width)| *width) else {
        return Vec::new();
    };
    let excess = whole.saturating_sub(width);
    if excess == 0 {
        return all.into_iter().map(|cells| row(cells, &widths, colour)).collect();
    }
    if most.saturating_sub(excess) < NARROWEST {
        return rows.iter().flat_map(|cells| listed(heads, cells, width, colour)).collect();
    }
    let narrow = most - excess;
    let mut fitting = widths;
    fitting[widest] = narrow;
    let broken = |cells: &&[Cell; N]| {
        let lines = wrap(&cells[widest].text, narrow);
        let line = |(at, text): (usize, &String)| {
            let part: [Cell; N] = std::array::from_fn(|column| match column {
                _ if column == widest => Cell { text: text.clone(), paint: cells[column].paint },
                _ if at == 0 => cells[column].clone(),
                _ => Cell::new("", Paint::Plain),
            });
            row(&part, &fitting, colour)
        };
        lines.iter().enumerate().map(line).collect::<Vec<_>>()
    };
    all.iter().flat_map(broken).collect()
}

/// A row as a list: what it is about, and below it the other cells.
fn listed<const N: usize>(heads: Option<[&str; N]>, cells: &[Cell; N], width: usize, colour: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for (at, cell) in cells.iter().enumerate().filter(|(_, cell)| !cell.text.is_empty()) {
        let indent = if lines.is_empty() { 0 } else { 2 };
        let name = heads.map(|heads| heads[at]).filter(|name| !name.is_empty() && indent > 0);
        let label = name.map(|name| format!("{}: ", one_line(name))).unwrap_or_default();
        for (part, line) in wrap(&format!("{label}{}", cell.text), width.saturating_sub(indent)).iter().enumerate() {
            let painted = match line.strip_prefix(&label).filter(|_| part == 0) {
                Some(rest) => {
                    format!("{}{}", Paint::Dim.on(&label, colour && !label.is_empty()), cell.paint.on(rest, colour))
                }
                None => cell.paint.on(line, colour),
            };
            lines.push(format!("{:indent$}{painted}", ""));
        }
    }
    lines
}

/// A text broken into lines of at most `width` columns, between words where that is possible. At least one line.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(8);
    let mut lines = vec![String::new()];
    for word in one_line(text).split_whitespace() {
        let mut word = word;
        while let Some(line) = lines.last_mut() {
            let gap = usize::from(!line.is_empty());
            let room = width.saturating_sub(line.width() + gap);
            if word.width() <= room {
                line.push_str(&" "[..gap]);
                line.push_str(word);
                break;
            }
            if gap == 0 {
                // Not even a line of its own is long enough.
                let (head, rest) = word.split_at(fitting(word, room));
                line.push_str(head);
                word = rest;
            }
            lines.push(String::new());
        }
    }
    if lines.len() > 1 && lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

/// How many bytes of a word fit into so many columns; at least its first character.
fn fitting(word: &str, columns: usize) -> usize {
    let mut used = 0;
    let beyond = word.char_indices().find(|(_, character)| {
        used += character.width().unwrap_or_default();
        used > columns
    });
    let first = word.chars().next().map_or(0, char::len_utf8);
    beyond.map_or(word.len(), |(at, _)| at).max(first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn columns_stand_below_each_other_whatever_the_script() {
        let rows = [["web", "2"], ["支払い", "10"], ["", ""]].map(|row| row.map(|text| Cell::new(text, Paint::Plain)));
        let widths = widths(&rows);
        assert_eq!(rows.map(|cells| row(&cells, &widths, false)), ["web     2", "支払い  10", ""]);
    }

    #[test]
    fn paint_is_outside_the_widths_and_only_where_it_is_asked_for() {
        let cells = [Cell::new("a", Paint::Bad), Cell::new("b", Paint::Plain)];
        assert_eq!(row(&cells, &[3, 1], true), "\u{1b}[1;31ma\u{1b}[0m    b");
        assert_eq!(row(&cells, &[3, 1], false), "a    b");
    }

    #[test]
    fn a_table_that_is_too_wide_breaks_its_widest_column_and_then_its_rows() {
        let rows = [["failover of the database", "8 min", "1 h 40 min"], ["web", "3 s", "2 s"]]
            .map(|row| row.map(|text| Cell::new(text, Paint::Plain)));
        let heads = Some(["what fails", "down", "a year"]);
        assert_eq!(
            table(heads, &rows, 80, false),
            [
                "what fails                down   a year",
                "failover of the database  8 min  1 h 40 min",
                "web                       3 s    2 s"
            ]
        );
        assert_eq!(
            table(heads, &rows, 38, false),
            [
                "what fails           down   a year",
                "failover of the      8 min  1 h 40 min",
                "database",
                "web                  3 s    2 s"
            ]
        );
        assert_eq!(
            table(heads, &rows, 20, false),
            [
                "failover of the",
                "database",
                "  down: 8 min",
                "  a year: 1 h 40 min",
                "web",
                "  down: 3 s",
                "  a year: 2 s"
            ]
        );
    }

    proptest! {
        #[test]
        fn no_table_is_wider_than_it_may_be(
            texts in prop::collection::vec(prop::array::uniform3("[a-z支 ]{0,40}"), 0..5),
            width in 12_usize..100,
        ) {
            let rows: Vec<_> = texts.iter().map(|row| row.each_ref().map(|text| Cell::new(text, Paint::Plain))).collect();
            for heads in [None, Some(["one", "two", "three"])] {
                for line in table(heads, &rows, width, false) {
                    prop_assert!(line.width() <= width, "{line:?}");
                }
            }
        }

        #[test]
        fn wrapped_lines_fit_and_lose_no_word(text in "[a-z支 ]{0,200}", width in 8_usize..60) {
            let lines = wrap(&text, width);
            prop_assert!(!lines.is_empty() && lines.iter().all(|line| line.width() <= width), "{lines:?}");
            prop_assert!(lines.len() == 1 || lines.iter().all(|line| !line.is_empty()));
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }
    }
}
