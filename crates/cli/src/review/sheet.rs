//! A page to work with: sections of sentences, boxes to tick, tables and messages, in every form in which it is handed on.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{csv::row, html, markdown::inline};

/// A page. Texts are plain, but that what stands between backticks is code.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) title: String,
    pub(super) sections: Vec<Section>,
}

/// A section; the first one, above all headings, has no title.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub(super) title: String,
    pub(super) blocks: Vec<Block>,
}

/// A part of a section.
#[derive(Debug)]
pub(super) enum Block {
    /// Sentences.
    Text(String),
    /// To be ticked.
    Boxes(Vec<String>),
    /// In order.
    Steps(Vec<String>),
    /// What is known.
    Points(Vec<String>),
    /// Rows under a head.
    Table { head: Vec<&'static str>, rows: Vec<Vec<String>> },
    /// Something to be sent, the first line being its subject.
    Message(Vec<String>),
}

impl Sheet {
    pub(super) fn new(title: String) -> Self {
        Self { title, sections: vec![Section::default()] }
    }

    /// Begins a section.
    pub(super) fn head(&mut self, title: impl Into<String>) {
        self.sections.push(Section { title: title.into(), blocks: Vec::new() });
    }

    /// Adds a part, unless there is nothing in it.
    pub(super) fn add(&mut self, block: Block) {
        if block.rows().iter().all(|(_, cells)| cells.iter().all(|cell| cell.is_empty())) {
            return;
        }
        let last = self.sections.last_mut().expect("a sheet begins with a section and only gets more");
        last.blocks.push(block);
    }

    pub(super) fn text(&mut self, text: impl Into<String>) {
        self.add(Block::Text(text.into()));
    }

    pub(super) fn boxes<T: Into<String>>(&mut self, items: impl IntoIterator<Item = T>) {
        self.add(Block::Boxes(items.into_iter().map(Into::into).collect()));
    }

    pub(super) fn table(&mut self, head: &[&'static str], rows: Vec<Vec<String>>) {
        self.add(Block::Table { head: head.to_vec(), rows });
    }

    /// For wikis and pull requests.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!("# {}\n", inline(&self.title));
        for section in &self.sections {
            if !section.title.is_empty() {
                add(&mut text, format_args!("\n## {}\n", with_code(&section.title)));
            }
            for block in &section.blocks {
                text.push('\n');
                block.markdown(&mut text);
            }
        }
        text
    }

    /// For spreadsheets: a row for each line of the page.
    pub(super) fn csv(&self) -> String {
        let mut text = row(&["section", "kind", "text"]);
        for section in &self.sections {
            for block in &section.blocks {
                for (kind, cells) in block.rows() {
                    let fields: Vec<&str> = [section.title.as_str(), kind].into_iter().chain(cells).collect();
                    text += &row(&fields);
                }
            }
        }
        text
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let section = |section: &Section| json!({ "title": section.title, "blocks": section.blocks.iter().map(Block::json).collect::<Vec<_>>() });
        json!({ "title": self.title, "sections": self.sections.iter().map(section).collect::<Vec<_>>() })
    }

    /// For screens and paper.
    pub(super) fn html(&self, lead: &str) -> String {
        let mut body = String::new();
        add(&mut body, format_args!("<div class=\"banner inconclusive\"><h1>{}</h1></div>\n", html::Text(&self.title)));
        for section in &self.sections {
            body += "<section>";
            if !section.title.is_empty() {
                add(&mut body, format_args!("<h2>{}</h2>\n", Coded(&section.title)));
            }
            for block in &section.blocks {
                block.html(&mut body);
            }
            body += "</section>\n";
        }
        html::frame(&self.title, lead, &body)
    }
}

impl Block {
    fn markdown(&self, out: &mut String) {
        let lines = |out: &mut String, before: &str, items: &[String]| {
            items.iter().for_each(|item| add(out, format_args!("{before}{}\n", with_code(item))));
        };
        match self {
            Self::Text(text) => add(out, format_args!("{}\n", with_code(text))),
            Self::Boxes(items) => lines(out, "- [ ] ", items),
            Self::Points(items) => lines(out, "- ", items),
            Self::Steps(items) => {
                (1..).zip(items).for_each(|(n, item)| add(out, format_args!("{n}. {}\n", with_code(item))));
            }
            Self::Table { head, rows } => {
                add(out, format_args!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len())));
                for row in rows {
                    let cells: Vec<String> = row.iter().map(|cell| with_code(cell)).collect();
                    add(out, format_args!("| {} |\n", cells.join(" | ")));
                }
            }
            Self::Message(parts) => {
                for (n, part) in parts.iter().enumerate() {
                    let bold = if n == 0 { "**" } else { "" };
                    // Two blanks at the end keep the line.
                    add(out, format_args!("> {bold}{}{bold}  \n", with_code(part)));
                }
            }
        }
    }

    fn html(&self, out: &mut String) {
        let mut items = |tag: &str, class: &str, items: &[String]| {
            add(out, format_args!("<div class=\"card lines\"><{tag} class=\"{class}\">\n"));
            items.iter().for_each(|item| add(out, format_args!("<li>{}</li>\n", Coded(item))));
            add(out, format_args!("</{tag}></div>\n"));
        };
        match self {
            Self::Boxes(all) => items("ul", "boxes", all),
            Self::Points(all) => items("ul", "points", all),
            Self::Steps(all) => items("ol", "steps", all),
            Self::Text(text) => add(out, format_args!("<p class=\"lead\">{}</p>\n", Coded(text))),
            Self::Message(parts) => {
                out.push_str("<blockquote class=\"card message\">");
                for (n, part) in parts.iter().enumerate() {
                    let tag = if n == 0 { "strong" } else { "span" };
                    add(out, format_args!("<{tag}>{}</{tag}>\n", Coded(part)));
                }
                out.push_str("</blockquote>\n");
            }
            Self::Table { head, rows } => {
                out.push_str("<div class=\"card scroll\"><table><thead><tr>");
                head.iter().for_each(|cell| add(out, format_args!("<th>{cell}</th>")));
                out.push_str("</tr></thead><tbody>\n");
                for row in rows {
                    out.push_str("<tr>");
                    row.iter().for_each(|cell| add(out, format_args!("<td>{}</td>", Coded(cell))));
                    out.push_str("</tr>\n");
                }
                out.push_str("</tbody></table></div>\n");
            }
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Text(text) => json!({ "text": text }),
            Self::Boxes(items) => json!({ "boxes": items }),
            Self::Steps(items) => json!({ "steps": items }),
            Self::Points(items) => json!({ "points": items }),
            Self::Table { head, rows } => json!({ "table": { "head": head, "rows": rows } }),
            Self::Message(parts) => json!({ "message": parts }),
        }
    }

    /// Its lines as cells, with what they are.
    fn rows(&self) -> Vec<(&'static str, Vec<&str>)> {
        fn each<'t>(kind: &'static str, items: &'t [String]) -> Vec<(&'static str, Vec<&'t str>)> {
            items.iter().map(|item| (kind, vec![item.as_str()])).collect()
        }
        match self {
            Self::Text(text) => vec![("text", vec![text.as_str()])],
            Self::Boxes(items) => each("to do", items),
            Self::Steps(items) => each("step", items),
            Self::Points(items) => each("point", items),
            Self::Message(items) => each("message", items),
            Self::Table { rows, .. } => {
                rows.iter().map(|row| ("row", row.iter().map(String::as_str).collect())).collect()
            }
        }
    }
}

/// Text with its code, as Markdown.
fn with_code(text: &str) -> String {
    parts(text)
        .map(|(part, code)| {
            if code {
                return format!("`{part}`");
            }
            // Blanks at the ends stand between text and code.
            let blank = |at: bool| if at { " " } else { "" };
            let inner = inline(part);
            let (before, after) = (part.starts_with(' '), part.ends_with(' ') && !inner.is_empty());
            format!("{}{inner}{}", blank(before), blank(after))
        })
        .collect()
}

/// What stands between backticks is code; a backtick without another is itself.
fn parts(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let whole = text.matches('`').count() % 2 == 1;
    let pieces: Vec<&str> = if whole { vec![text] } else { text.split('`').collect() };
    pieces.into_iter().enumerate().map(|(n, part)| (part, n % 2 == 1))
}

/// Text with its code, within a page.
struct Coded<'a>(&'a str);

impl std::fmt::Display for Coded<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        parts(self.0).try_for_each(|(part, code)| {
            let text = html::Text(part);
            if code { write!(f, "<code>{text}</code>") } else { write!(f, "{text}") }
        })
    }
}

fn add(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a String takes all text");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> Sheet {
        let mut sheet = Sheet::new("A <b>".to_owned());
        sheet.text("By `run` and *him*");
        sheet.head("Do");
        sheet.boxes(["one `x", "=two"]);
        sheet.table(&["who", "what"], vec![vec!["a|b".to_owned(), "c, d".to_owned()]]);
        sheet.add(Block::Message(vec!["Subject".to_owned(), "Body".to_owned()]));
        sheet
    }

    #[test]
    fn a_sheet_is_handed_on_in_every_form_and_no_text_leaves_its_place() {
        let markdown = sheet().markdown();
        for part in ["# A \\<b\\>\n", "By `run` and \\*him\\*", "- [ ] one \\`x", "| a\\|b | c, d |", "> **Subject**"] {
            assert!(markdown.contains(part), "{part}: {markdown}");
        }
        let page = sheet().html("today");
        for part in ["<h1>A &lt;b&gt;</h1>", "<code>run</code>", "<td>a|b</td>", "<strong>Subject</strong>"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        let table = sheet().csv();
        assert!(table.contains("Do,to do,'=two\r\n") && table.contains("Do,row,a|b,\"c, d\"\r\n"), "{table}");
        let json = sheet().json();
        assert_eq!(json["sections"][1]["blocks"][0]["boxes"][1], "=two");
    }
}
