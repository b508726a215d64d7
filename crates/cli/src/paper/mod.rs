//! A page that one can hand over: one file without scripts and without anything fetched, for screens in light and dark, and for
//! paper.
//!
//! ```text
//!   Paper ── banner      the verdict in one sentence
//!     │   ── glance      the figures that a reader looks for first
//!     │   ── section ──┬ Table    rows that become cards on a phone
//!     │                └ Bars     lengths side by side, as a drawing
//!     └─ finish ─▶ HTML
//! ```
//!
//! The style is that of the reports of experiments, and a little of its own. Every colour is accompanied by a sign or a word.

mod bars;
pub(crate) mod lettering;
mod table;

use std::{
    ffi::OsStr,
    fmt::{self, Write},
    path::Path,
};

pub(crate) use engine::report::Markup;

pub(crate) use self::{
    bars::{Bar, Bars, Shade},
    table::{Table, Td},
};

/// Adds to a drawing.
pub(crate) fn write(text: &mut String, arguments: fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a String takes all text");
}

const OWN_STYLE: &str = include_str!("paper.css");

/// Every drawing is made for each of these, because text in a scaled drawing shrinks with it: the class by which the style shows
/// one of them, and its width in CSS pixels.
pub(crate) const SHEETS: [(Sheet, f64); 3] = [(Sheet::Wide, 960.0), (Sheet::Narrow, 340.0), (Sheet::Printed, 670.0)];

/// What a page is read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sheet {
    /// A window of 760 pixels and more.
    Wide,
    /// A phone.
    Narrow,
    /// A sheet of paper: A4 between its margins.
    Printed,
}

impl fmt::Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wide => "wide",
            Self::Narrow => "narrow",
            Self::Printed => "printed",
        })
    }
}

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Good news.
    Good,
    /// Something to look at.
    Warn,
    /// Bad news.
    Bad,
    /// Not known.
    Unknown,
    /// Neither good nor bad.
    Neutral,
}

impl Tone {
    /// The class of the style, and the sign that says the same without a colour.
    const fn look(self) -> (&'static str, &'static str) {
        match self {
            Self::Good => ("green", "●"),
            Self::Warn => ("yellow", "◆"),
            Self::Bad => ("red", "▲"),
            Self::Unknown => ("invalid", "?"),
            Self::Neutral => ("inconclusive", "–"),
        }
    }
}

/// A figure at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glance {
    name: &'static str,
    value: String,
    note: String,
}

impl Glance {
    /// A figure with what is to be known beside it.
    pub(crate) fn new(name: &'static str, value: impl Into<String>, note: impl Into<String>) -> Self {
        Self { name, value: value.into(), note: note.into() }
    }
}

/// A page that is being written.
#[derive(Debug)]
pub(crate) struct Paper {
    title: String,
    kind: &'static str,
    about: String,
    sections: Vec<(String, String)>,
    body: String,
    /// Before the ids of sections, so that several parts of a page may have the same.
    prefix: String,
}

impl Paper {
    /// An empty page. `kind` is what it is, such as `availability`; `file` what it was made from.
    pub(crate) fn new(title: &str, kind: &'static str, file: &str) -> Self {
        // The folder is of no concern to those to whom the page is handed over.
        let name = Path::new(file).file_name().map_or_else(|| file.into(), OsStr::to_string_lossy);
        let (title, about) = (title.to_owned(), name.into_owned());
        Self { title, kind, about, sections: Vec::new(), body: String::new(), prefix: String::new() }
    }

    /// Markup as it is; text of others goes through [`Markup`].
    pub(crate) fn add(&mut self, arguments: fmt::Arguments<'_>) {
        self.body.write_fmt(arguments).expect("a String takes all text");
    }

    /// A paragraph.
    pub(crate) fn paragraph(&mut self, text: &str) {
        self.add(format_args!("<p class=\"prose\">{}</p>\n", Prose(text)));
    }

    /// The verdict: a word, a sentence, and what it means.
    pub(crate) fn banner(&mut self, tone: Tone, verdict: &str, headline: &str, what: &[String]) {
        let (class, sign) = tone.look();
        let (verdict, headline) = (Markup(verdict), Prose(headline));
        self.add(format_args!(
            "<div class=\"banner {class}\"><p class=\"verdict\"><span aria-hidden=\"true\">{sign}</span> {verdict}</p><h1>{headline}</h1>"
        ));
        for text in what {
            self.add(format_args!("<p class=\"what\">{}</p>", Prose(text)));
        }
        self.add(format_args!("</div>\n"));
    }

    /// The figures that a reader looks for first.
    pub(crate) fn glance(&mut self, figures: &[Glance]) {
        self.add(format_args!("<dl class=\"glance\">\n"));
        for Glance { name, value, note } in figures {
            self.add(format_args!("<div><dt>{name}</dt><dd>{}</dd>", Markup(value)));
            if !note.is_empty() {
                self.add(format_args!("<dd class=\"note\">{}</dd>", Markup(note)));
            }
            self.add(format_args!("</div>\n"));
        }
        self.add(format_args!("</dl>\n"));
    }

    /// A part about something of its own: the ids of its sections begin with `prefix`.
    pub(crate) fn chapter(&mut self, prefix: &str, title: &str) {
        self.prefix = format!("{prefix}-");
        self.sections.push((prefix.to_owned(), title.to_owned()));
        self.add(format_args!("<h2 class=\"chapter\" id=\"{prefix}\">{}</h2>\n", Markup(title)));
    }

    /// A section with a heading, and what is to be seen in it.
    pub(crate) fn section(&mut self, id: &str, title: &str, lead: &str, fill: impl FnOnce(&mut Self)) {
        let id = format!("{}{id}", self.prefix);
        let level = if self.prefix.is_empty() { 2 } else { 3 };
        if self.prefix.is_empty() {
            self.sections.push((id.clone(), title.to_owned()));
        }
        self.add(format_args!(
            "<section id=\"{id}\" aria-labelledby=\"{id}-h\"><h{level} id=\"{id}-h\">{}</h{level}>\n",
            Markup(title)
        ));
        if !lead.is_empty() {
            self.add(format_args!("<p class=\"lead\">{}</p>\n", Prose(lead)));
        }
        fill(self);
        self.add(format_args!("</section>\n"));
    }

    /// The whole page; `footer` says what holds for all of it.
    pub(crate) fn finish(self, footer: &str) -> String {
        let Self { title, kind, about, sections, body, .. } = self;
        let links: String =
            sections.iter().map(|(id, name)| format!("<li><a href=\"#{id}\">{}</a></li>", Markup(name))).collect();
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{}: {kind}</title>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <style>\n{}{OWN_STYLE}</style>\n</head>\n<body>\n\
             <header class=\"top\"><span><strong>Shaketable {kind}</strong> {}</span><nav aria-label=\"Sections\"><ul>{links}</ul></nav></header>\n\
             <main>\n{body}</main>\n<footer>{} Made by shaketable {}.</footer>\n</body>\n</html>\n",
            Markup(&title),
            engine::report::STYLE,
            Markup(&about),
            Markup(footer),
            env!("CARGO_PKG_VERSION")
        )
    }
}

/// Text in which no line breaks between a figure and its unit, and in which what stands between backticks is shown as what one types.
pub(super) struct Prose<'a>(pub(super) &'a str);

/// Units that figures are written with, see [`model::figures`].
const UNITS: [&str; 7] = ["%", "d", "h", "min", "s", "ms", "µs"];

impl fmt::Display for Prose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<&str> = self.0.split('`').collect();
        // A backtick without another is a backtick.
        if parts.len().is_multiple_of(2) {
            return unbroken(f, self.0);
        }
        for (at, part) in parts.into_iter().enumerate() {
            if at % 2 == 0 { unbroken(f, part)? } else { write!(f, "<code>{}</code>", Markup(part))? }
        }
        Ok(())
    }
}

fn unbroken(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let mut words = text.split(' ').peekable();
    while let Some(word) = words.next() {
        let unit = words.next_if(|next| {
            let next = next.trim_end_matches(|letter: char| ".,;:)".contains(letter));
            word.ends_with(|last: char| last.is_ascii_digit()) && UNITS.contains(&next)
        });
        match unit {
            Some(unit) => write!(f, "<span class=\"nobr\">{} {}</span>", Markup(word), Markup(unit))?,
            None => write!(f, "{}", Markup(word))?,
        }
        if words.peek().is_some() {
            f.write_char(' ')?;
        }
    }
    Ok(())
}

/// A state in a table or a list: a sign, a colour, a word.
#[derive(Debug)]
pub(crate) struct Badge<'a>(pub(crate) Tone, pub(crate) &'a str);

impl fmt::Display for Badge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (class, sign) = self.0.look();
        write!(f, "<span class=\"risk {class}\"><span aria-hidden=\"true\">{sign}</span> {}</span>", Markup(self.1))
    }
}

#[cfg(test)]
#[path = "../../tests/e2e/well_formed.rs"]
pub(crate) mod well_formed;

#[cfg(test)]
mod tests {
    use super::{well_formed::flaw, *};

    #[test]
    fn no_line_breaks_between_a_figure_and_its_unit() {
        assert_eq!(
            Prose("it was up 99.9 %, & down 2 h 5 min.").to_string(),
            "it was up <span class=\"nobr\">99.9 %,</span> &amp; down <span class=\"nobr\">2 h</span> <span class=\"nobr\">5 min.</span>"
        );
        assert_eq!(Prose(" two  gaps ").to_string(), " two  gaps ");
    }

    #[test]
    fn what_one_types_is_shown_as_such() {
        assert_eq!(Prose("give `mttr < 5 s`, or").to_string(), "give <code>mttr &lt; 5 s</code>, or");
        assert_eq!(Prose("`a` and a lone `").to_string(), "`a` and a lone `");
    }

    #[test]
    fn a_page_is_one_well_formed_file_whatever_its_names_are() {
        let evil = "<script>alert('x')</script> & \"more\"\u{1b}";
        let mut paper = Paper::new(evil, "test", evil);
        paper.banner(Tone::Bad, evil, evil, &[evil.to_owned()]);
        paper.glance(&[Glance::new("Figure", evil, evil)]);
        paper.section("one", evil, evil, |paper| paper.paragraph(evil));
        paper.chapter("part", evil);
        paper.section("one", evil, "", |_| {});
        let page = paper.finish(evil);
        assert_eq!(flaw(&page), None, "{page}");
        assert!(page.contains("id=\"part-one\"") && !page.contains('\u{1b}'));
    }
}
