//! A strict little reader of markup, for tests: what it accepts is well formed.

/// An opening tag.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tag {
    /// Its name.
    pub(super) name: String,
    /// Its attributes.
    attributes: Vec<(String, String)>,
}

impl Tag {
    /// The value of an attribute.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All attributes.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Elements of HTML that have no end tag.
const VOID: [&str; 4] = ["meta", "br", "input", "link"];

/// All opening tags, if every element is closed in the right order, every attribute quoted and given once, and every character that
/// could be markup escaped.
pub(super) fn read(text: &str) -> Result<Vec<Tag>, String> {
    let mut rest = text;
    let mut open: Vec<String> = Vec::new();
    let mut tags = Vec::new();
    while let Some(at) = rest.find('<') {
        check_text(&rest[..at])?;
        let after = &rest[at..];
        let end = after.find('>').ok_or("a tag is not closed")?;
        let (inside, following) = (&after[1..end], &after[end + 1..]);
        rest = following;
        if inside.starts_with('?') || inside.starts_with('!') {
            continue;
        }
        if let Some(name) = inside.strip_prefix('/') {
            let expected = open.pop().ok_or_else(|| format!("</{name}> closes nothing"))?;
            if expected != name {
                return Err(format!("</{name}> where </{expected}> is due"));
            }
            continue;
        }
        let (inside, closed) = inside.strip_suffix('/').map_or((inside, false), |inside| (inside, true));
        let tag = tag(inside)?;
        if tag.name == "style" {
            let end = rest.find("</style>").ok_or("<style> is not closed")?;
            rest = &rest[end + "</style>".len()..];
        } else if !closed && !VOID.contains(&tag.name.as_str()) {
            open.push(tag.name.clone());
        }
        tags.push(tag);
    }
    check_text(rest)?;
    if open.is_empty() { Ok(tags) } else { Err(format!("never closed: {open:?}")) }
}

fn tag(inside: &str) -> Result<Tag, String> {
    let (name, mut rest) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(format!("<{inside}> has no name"));
    }
    let mut attributes: Vec<(String, String)> = Vec::new();
    while !rest.trim_start().is_empty() {
        rest = rest.trim_start();
        let end = rest.find(['=', ' ']).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let (value, after) = match after.strip_prefix("=\"") {
            Some(after) => after.split_once('"').ok_or_else(|| format!("{key} in <{inside}> is not closed"))?,
            // A boolean attribute of HTML.
            None if !after.starts_with('=') => ("", after),
            None => return Err(format!("{key} in <{inside}> is not quoted")),
        };
        check_text(value)?;
        if attributes.iter().any(|(known, _)| known == key) {
            return Err(format!("{key} twice in <{inside}>"));
        }
        attributes.push((key.to_owned(), value.to_owned()));
        rest = after;
    }
    Ok(Tag { name: name.to_owned(), attributes })
}

fn check_text(text: &str) -> Result<(), String> {
    if text.contains('>') {
        return Err(format!("a `>` in {text:?}"));
    }
    for (at, _) in text.match_indices('&') {
        if !["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"].iter().any(|entity| text[at..].starts_with(entity)) {
            return Err(format!("an `&` in {text:?}"));
        }
    }
    Ok(())
}

#[test]
fn what_is_not_well_formed_is_refused() {
    assert!(read("<p class=\"a\">x &amp; y<br></p>").is_ok());
    for wrong in [
        "<p>",
        "<p></b>",
        "</p>",
        "<p a=b></p>",
        "<p a=\"1\" a=\"2\"></p>",
        "<p>a & b</p>",
        "<p>a > b</p>",
        "<p",
        "< p></p>",
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}
