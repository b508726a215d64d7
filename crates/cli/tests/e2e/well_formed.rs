//! Whether a page is what it promises to be: one well-formed file that runs nothing and fetches nothing.

/// Elements of HTML that have no end tag.
const VOID: [&str; 3] = ["meta", "br", "hr"];

/// Why a page is not well formed, if it is not: elements that are not closed in order, attributes without quotes, ids that are
/// given twice, links to nothing, scripts, and numbers in drawings that are none.
pub(crate) fn flaw(page: &str) -> Option<String> {
    let mut open: Vec<&str> = Vec::new();
    let (mut ids, mut links) = (Vec::new(), Vec::new());
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        let Some(length) = rest[at..].find('>') else { return Some("a tag is not closed".to_owned()) };
        let inside = &rest[at + 1..at + length];
        rest = &rest[at + length + 1..];
        if let Some(text) = rest.split('<').next().filter(|text| !inside.starts_with("style") && has_bare_markup(text))
        {
            return Some(format!("{text:?} is not escaped"));
        }
        if inside.starts_with('!') {
            continue;
        }
        if let Some(name) = inside.strip_prefix('/') {
            match open.pop() {
                Some(expected) if expected == name => continue,
                expected => return Some(format!("</{name}> where {expected:?} is open, before {rest:.60}")),
            }
        }
        let name = inside.split([' ', '/']).next().unwrap_or_default();
        if !inside.matches('"').count().is_multiple_of(2) || inside.contains("=\"NaN") || inside.contains("inf\"") {
            return Some(format!("<{inside}>"));
        }
        for (attribute, found) in [("id=\"", &mut ids), ("href=\"#", &mut links)] {
            found.extend(inside.split(attribute).nth(1).and_then(|value| value.split('"').next()));
        }
        if name == "script" || inside.contains("http://") || inside.contains("https://") {
            return Some(format!("<{inside}> runs or fetches something"));
        }
        if name == "style" {
            let Some((_, following)) = rest.split_once("</style>") else {
                return Some("<style> is not closed".to_owned());
            };
            rest = following;
        } else if !inside.ends_with('/') && !VOID.contains(&name) {
            open.push(name);
        }
    }
    let mut once = ids.clone();
    once.sort_unstable();
    once.dedup();
    match links.iter().find(|link| !ids.contains(link)) {
        Some(link) => Some(format!("#{link} leads nowhere")),
        None if once.len() < ids.len() => Some(format!("ids are given twice: {ids:?}")),
        None => (!open.is_empty()).then(|| format!("never closed: {open:?}")),
    }
}

/// What is read on a page: its text without tags, entities as they are.
pub(crate) fn words(page: &str) -> String {
    page.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect()
}

/// Whether text has a sign of markup that is none.
fn has_bare_markup(text: &str) -> bool {
    const ENTITIES: [&str; 5] = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"];
    text.contains('>')
        || text.match_indices('&').any(|(at, _)| !ENTITIES.iter().any(|entity| text[at..].starts_with(entity)))
}

#[test]
fn flaws_of_pages_are_found() {
    for wrong in [
        "<p>",
        "<p></b>",
        "<p id=\"a\"></p><p id=\"a\"></p>",
        "<a href=\"#b\"></a>",
        "<script></script>",
        "<p>a & b</p>",
        "<style>",
        "<p",
    ] {
        assert!(flaw(wrong).is_some(), "{wrong}");
    }
}
