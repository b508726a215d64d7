//! Markdown: fenced blocks with documents in them, and ids of actions in the prose.

mod plan;

use super::Language;
use crate::{
    codes,
    decode::Reader,
    finding::{Finding, Severity},
    fis::catalogue,
    source::{Source, Span},
};

/// A fenced block.
#[derive(Debug, Clone, Copy)]
struct Block<'t> {
    /// The first word behind the opening fence.
    word: &'t str,
    fence: Span,
    /// The lines between the fences.
    body: Span,
    /// Where the text goes on behind it.
    end: usize,
}

/// Looks at the text outside of blocks; gives back the blocks whose language is known.
pub(super) fn check(reader: &mut Reader<'_>, source: &Source, span: Span) -> Vec<(Language, Span, String)> {
    let blocks = blocks(source.text(), span);
    let mut at = span.start;
    for block in &blocks {
        prose(reader, source, Span::new(at, block.fence.start));
        at = block.end.max(at);
        nested(reader, source, block);
    }
    prose(reader, source, Span::new(at, span.end));
    let fenced: Vec<Span> = blocks.iter().map(|block| Span::new(block.fence.start, block.end)).collect();
    plan::check(reader, source.text(), span, &fenced);
    blocks
        .iter()
        .filter_map(|block| {
            let language = Language::of_fence(&block.word.to_lowercase())?;
            let ending = if block.word.eq_ignore_ascii_case("json") { "json" } else { "yaml" };
            Some((language, block.body, format!("block.{ending}")))
        })
        .collect()
}

/// The fenced blocks of a text, as CommonMark has them: a fence is closed by one that is as long, and by nothing else.
fn blocks(text: &str, span: Span) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<(char, usize, Block<'_>)> = None;
    let mut at = span.start;
    for line in text[span.range()].split_inclusive('\n') {
        let start = at;
        at += line.len();
        let trimmed = line.trim();
        let sign = trimmed.chars().next().filter(|c| matches!(c, '`' | '~'));
        let length = sign.map_or(0, |sign| trimmed.chars().take_while(|c| *c == sign).count());
        let rest = trimmed.get(length..).unwrap_or_default();
        match (&mut open, sign) {
            (None, Some(sign)) if length >= 3 && !rest.contains('`') => {
                let word = rest.split([' ', '{', ',']).next().unwrap_or_default();
                let fence = Span::new(start, start + line.trim_end().len());
                open = Some((sign, length, Block { word, fence, body: Span::new(at, at), end: at }));
            }
            (Some((opened, least, block)), Some(sign)) if sign == *opened && length >= *least && rest.is_empty() => {
                block.body.end = start;
                block.end = at;
                blocks.push(*block);
                open = None;
            }
            _ => {}
        }
    }
    if let Some((_, _, mut block)) = open {
        block.body.end = at;
        block.end = at;
        blocks.push(block);
    }
    blocks
}

/// A block of Markdown that ends where a block within it should begin.
fn nested(reader: &mut Reader<'_>, source: &Source, block: &Block<'_>) {
    if !matches!(block.word, "markdown" | "md") {
        return;
    }
    let last = source.slice(block.body).lines().next_back().unwrap_or_default().trim();
    let next = source.text()[block.end.min(source.text().len())..].lines().next().unwrap_or_default().trim();
    // Nothing ends with a heading; the fence behind it was meant to open a block.
    if last.starts_with('#') && !next.is_empty() {
        let message = "this block ends at the first fence within it, behind a heading; what follows is outside";
        reader.report(
            Finding::new(&codes::NESTED_FENCE, block.fence, message).help("open and close it with four backticks"),
        );
    }
}

/// Ids of actions that do not exist.
fn prose(reader: &mut Reader<'_>, source: &Source, span: Span) {
    let text = source.text().get(span.range()).unwrap_or_default();
    for (found, _) in text.match_indices("aws:") {
        let before = text[..found].chars().next_back();
        if before.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '/')) {
            continue;
        }
        let rest = &text[found..];
        let end =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '/'))).unwrap_or(rest.len());
        let id = rest[..end].trim_end_matches([':', '-', '/']);
        if let Some(finding) = action_id(reader, id, Span::new(span.start + found, span.start + found + id.len())) {
            reader.report(finding);
        }
    }
}

/// Verbs with which the names of actions begin, as against tags and types: `aws:ec2:fleet-id`.
const VERBS: &[&str] = &[
    "inject",
    "add",
    "stop",
    "start",
    "terminate",
    "reboot",
    "send",
    "drain",
    "disrupt",
    "pause",
    "failover",
    "task",
    "pod",
    "kill",
    "block",
    "delete",
    "restart",
    "interrupt",
    "throttle",
    "stress",
];

fn action_id(reader: &Reader<'_>, id: &str, span: Span) -> Option<Finding> {
    let (command, document) = id.split_once('/').map_or((id, None), |(command, document)| (command, Some(document)));
    let [_, service, name] = command.split(':').collect::<Vec<_>>()[..] else { return None };
    if catalogue::action(command).is_some() {
        let document = document?;
        let message = format!("`{id}` is how the AWS console shows it; the id ends before the slash");
        let help = format!("write {command} with the parameter documentArn: arn:aws:ssm:REGION::document/{document}");
        return Some(Finding::new(&codes::UNKNOWN_ACTION, span, message).severity(Severity::Warning).help(help));
    }
    let (verb, rest) = name.split_once('-')?;
    let services = catalogue::catalogue().iter().filter_map(|entry| entry.id.split(':').nth(1));
    let ours = services.clone().any(|known| known == service);
    if !ours || rest.is_empty() || !VERBS.contains(&verb) || catalogue::resource_type(command).is_some() {
        return None;
    }
    let message = format!("no action of AWS FIS has the id `{command}`");
    let finding = Finding::new(&codes::UNKNOWN_ACTION, span, message).severity(Severity::Warning);
    Some(match reader.near(command, catalogue::catalogue().iter().map(|entry| entry.id)) {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => finding.help("`shaketable actions` lists all"),
    })
}
