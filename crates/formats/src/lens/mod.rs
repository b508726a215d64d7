//! Custom lenses of the AWS Well-Architected Tool, schema 2021-11-01
//! (<https://docs.aws.amazon.com/wellarchitected/latest/userguide/lenses-format-specification.html>).
//!
//! Reading is lenient: what AWS would refuse is a warning, and keys that the format does not know are kept. Exporting is
//! strict: the same checks, as errors. What was read is printed back as an equal document either way ([`to_json`]).

mod flaws;
mod print;
mod read;

use std::collections::HashMap;

use model::lens::{Flaw, Lens, Question};

use crate::{
    decode::Reader,
    finding::{self, Finding},
    node::Node,
    read::{Done, has_errors, open},
    source::{Source, Span},
};

pub use print::to_json;

/// Whether a document is a lens.
pub(crate) fn is_lens(root: &Node) -> bool {
    root.entry("pillars").is_some() && (root.entry("schemaVersion").is_some() || root.entry("name").is_some())
}

/// Looks at a lens that stands in another document.
pub(crate) fn look(reader: &mut Reader<'_>, root: &Node) {
    read::read(reader, root, Strictness::Import, &mut Places::new(), &mut Vec::new());
}

/// A lens that was read, or why not.
#[derive(Debug, Clone)]
pub struct ReadLens {
    /// The lens; none where a finding is an error.
    pub lens: Option<Lens>,
    /// The questions in which nothing is an error, whether the lens as a whole can be used or not: an analysis can look at
    /// them.
    pub sound: Vec<Question>,
    /// Everything that was found, ordered by place.
    pub findings: Vec<Finding>,
    /// The text, for rendering.
    pub source: Source,
    places: Places,
}

/// Where the parts of a lens stand that an analysis may speak of.
pub(crate) type Places = HashMap<Part, Span>;

/// A part of a lens; questions by their ids, which are there once in a lens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// The list of rules.
    Rules(String),
    /// The condition of a rule, counted from 0.
    Rule(String, usize),
    /// The id of a choice.
    Choice(String, String),
}

/// How much is forgiven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// What AWS would refuse is a warning.
    Import,
    /// It is an error.
    Export,
}

/// Reads a lens, leniently. `path` is used in messages only.
#[must_use]
pub fn read_lens(path: &str, bytes: &[u8]) -> ReadLens {
    read_with(path, bytes, Strictness::Import)
}

fn read_with(path: &str, bytes: &[u8], strictness: Strictness) -> ReadLens {
    let (mut places, mut sound) = (Places::new(), Vec::new());
    let Done { value: lens, findings, source } =
        open(path, bytes).read(&[], |reader, root| read::read(reader, root, strictness, &mut places, &mut sound));
    ReadLens { lens, sound, findings, source, places }
}

impl ReadLens {
    /// The same with what an analysis of the rules has found, at its places.
    #[must_use]
    pub fn with_flaws(mut self, flaws: &[Flaw]) -> Self {
        let found = flaws.iter().map(|flaw| flaws::finding(flaw, &self.places));
        self.findings.extend(found);
        self.findings = finding::locate(self.findings, &self.source);
        self
    }
}

/// The text of the built-in reliability lens: 13 questions, 65 practices.
pub const RELIABILITY: &str = include_str!("reliability.json");

/// The built-in reliability lens.
#[must_use]
pub fn reliability() -> Lens {
    let ReadLens { lens, .. } = read_lens("reliability.json", RELIABILITY.as_bytes());
    lens.expect("the built-in lens is part of the program, and a test reads it strictly")
}

/// A lens as a JSON text that AWS takes; or what AWS would refuse, with places in the text that was refused.
///
/// # Errors
/// The text and its findings, at least one of them an error.
pub fn export(name: &str, lens: &Lens) -> Result<String, Box<(Vec<Finding>, Source)>> {
    let text = print::text(lens);
    let ReadLens { findings, source, .. } = read_with(name, text.as_bytes(), Strictness::Export);
    if has_errors(&findings) { Err(Box::new((findings, source))) } else { Ok(text) }
}

/// A lens as a JSON text, equal to what was read, whether AWS would take it or not.
#[must_use]
pub fn print(lens: &Lens) -> String {
    print::text(lens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes;

    /// A lens that is right, with a question's rules and a choice's body of the caller's.
    fn lens(choice: &str, rules: &str) -> String {
        format!(
            r#"{{"schemaVersion": "2021-11-01", "name": "N", "description": "D", "pillars": [
{{"id": "pil", "name": "P", "questions": [
{{"id": "que", "title": "T", "description": "",
"choices": [{choice}, {{"id": "que_no", "title": "None of these"}}],
"riskRules": [{rules}]}}]}}]}}"#
        )
    }

    const CHOICE: &str = r#"{"id": "one", "title": "One", "improvementPlan": {"displayText": "Do it."}}"#;
    /// Three additional resources of a type.
    const MANY: &str = r#"{"type": "HELPFUL_RESOURCE", "content": [{"displayText": "a"}, {"displayText": "b"}, {"displayText": "c"}]}"#;
    const RULES: &str = r#"{"condition": "one", "risk": "NO_RISK"}, {"condition": "default", "risk": "HIGH_RISK"}"#;

    fn ids(findings: &[Finding]) -> Vec<&'static str> {
        findings.iter().map(|finding| finding.code.id).collect()
    }

    #[test]
    fn a_lens_within_the_format_is_read_without_a_finding_and_printed_equal() {
        let text = lens(CHOICE, RULES);
        let read = read_lens("l.json", text.as_bytes());
        assert_eq!(ids(&read.findings), [""; 0]);
        let printed = export("l.json", &read.lens.unwrap()).unwrap();
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&printed), value(&text));
    }

    #[test]
    fn what_the_format_does_not_know_or_says_nothing_is_kept_as_it_came() {
        let choice = r#"{"id": "one", "title": "One", "_level": "HIGH", "ready": true, "helpfulResource": null,
            "additionalResources": [], "improvementPlan": {"displayText": "Do it.", "Url": "https://example.com"}}"#;
        let text = lens(choice, RULES);
        let read = read_lens("l.json", text.as_bytes());
        // `ready` and `Url`; a key that begins with an underscore is an author's note.
        assert_eq!(ids(&read.findings), [codes::UNREAD_KEY.id; 2]);
        assert_eq!(read.findings[1].help.as_deref(), Some("did you mean `url`?"));
        let value = serde_json::from_str::<serde_json::Value>(&text).unwrap();
        assert_eq!(to_json(&read.lens.unwrap()), value);
    }

    #[test]
    fn what_aws_refuses_is_a_warning_when_read_and_an_error_when_exported() {
        let long = "x".repeat(129);
        let cases = [
            (lens(r#"{"id": "one", "title": "One"}"#, RULES), "L008"),
            (lens(&CHOICE.replace("One", &long), RULES), "L001"),
            (lens(&CHOICE.replace("Do it.", &"x".repeat(2049)), RULES), "L001"),
            (lens(CHOICE, &format!("{RULES}, {RULES}")), "L001"),
            (lens(CHOICE, ""), "L006"),
            (lens(&CHOICE.replace("One", " "), RULES), "L001"),
            (
                lens(&CHOICE.replace("\"id\"", &format!("\"additionalResources\": [{MANY}, {MANY}], \"id\"")), RULES),
                "L001",
            ),
            (lens(&[CHOICE; 2].join(", "), RULES), "L003"),
            (lens(&CHOICE.replace("\"one\"", "\"on\""), &RULES.replace("\"one\"", "\"on\"")), "L002"),
            (lens(&CHOICE.replace("Do it.\"", "Do it.\", \"url\": \"ftp://x\""), RULES), "L007"),
            (lens(&CHOICE.replace("\"displayText\": \"Do it.\"", "\"url\": \"https://x\""), RULES), "L007"),
            (lens(CHOICE, RULES).replace("2021-11-01", "2020-01-01"), "L010"),
        ];
        for (text, code) in cases {
            let read = read_lens("l.json", text.as_bytes());
            assert!(ids(&read.findings).contains(&code), "{code}: {:?}", read.findings);
            match read.lens {
                Some(lens) => {
                    let (findings, _) = *export("l.json", &lens).unwrap_err();
                    assert!(ids(&findings).contains(&code), "{code}");
                }
                None => assert_eq!(code, codes::DUPLICATE_ID.id),
            }
        }
    }

    #[test]
    fn rules_without_a_default_are_warned_of_and_exported_as_aws_publishes_them() {
        let text =
            lens(CHOICE, r#"{"condition": "one", "risk": "NO_RISK"}, {"condition": "!one", "risk": "HIGH_RISK"}"#);
        let read = read_lens("l.json", text.as_bytes());
        assert_eq!(ids(&read.findings), [codes::NO_DEFAULT.id]);
        let exported = export("l.json", &read.lens.unwrap()).unwrap();
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&exported), value(&text));
    }

    #[test]
    fn up_to_five_additional_resources_of_each_type_are_right() {
        let plans = MANY.replace("HELPFUL_RESOURCE", "IMPROVEMENT_PLAN");
        let choice = CHOICE.replace("\"id\"", &format!("\"additionalResources\": [{MANY}, {plans}], \"id\""));
        assert_eq!(ids(&read_lens("l.json", lens(&choice, RULES).as_bytes()).findings), [""; 0]);
    }

    #[test]
    fn the_built_in_lens_keeps_to_the_format_as_strictly_as_any() {
        let read = read_with("reliability.json", RELIABILITY.as_bytes(), Strictness::Export);
        assert_eq!(ids(&read.findings), [""; 0]);
        let lens = reliability();
        assert_eq!(export("reliability.json", &lens).unwrap(), RELIABILITY);
        assert_eq!((lens.questions().count(), lens.edition(), lens.date()), (13, Some("2026.1"), Some("2026-11-22")));
        let practices = lens.questions().flat_map(|(_, question)| &question.choices);
        let practices: Vec<_> = practices.filter(|choice| !choice.is_none_of_these()).collect();
        let having = |level| practices.iter().filter(|choice| choice.level("_level") == Some(level)).count();
        use model::lens::Level::{High, Low, Medium};
        assert_eq!((practices.len(), having(High), having(Medium), having(Low)), (65, 33, 31, 1));
        // What a practice waits for exists, and every one has what a plan needs.
        for practice in &practices {
            for before in practice.after() {
                assert!(practices.iter().any(|other| other.id == before), "{}: {before}", practice.id);
            }
            assert!(practice.level("_impact").is_some() && practice.level("_effort").is_some(), "{}", practice.id);
            let texts =
                [&practice.help, &practice.plan].map(|resource| resource.as_ref().and_then(|it| it.text.as_deref()));
            assert!(texts.iter().all(|text| text.is_some_and(|text| text.len() > 40)), "{}", practice.id);
        }
    }

    #[test]
    fn a_condition_is_reported_at_the_place_where_it_goes_wrong() {
        let text = lens(CHOICE, &RULES.replace("\"one\"", "\"one & two\""));
        let read = read_lens("l.json", text.as_bytes());
        assert_eq!(ids(&read.findings), [codes::LENS_CONDITION.id]);
        let finding = &read.findings[0];
        assert_eq!(read.source.slice(finding.span), "&");
        assert_eq!((finding.line, finding.column), (5, 34));

        let text = lens(CHOICE, &RULES.replace("\"one\"", "\"one && onne\""));
        let read = read_lens("l.json", text.as_bytes());
        assert_eq!(ids(&read.findings), [codes::UNKNOWN_CHOICE.id]);
        assert_eq!(read.source.slice(read.findings[0].span), "onne");
        assert_eq!(read.findings[0].help.as_deref(), Some("did you mean `one`?"));
    }

    #[test]
    fn a_question_that_is_right_can_be_analysed_beside_one_that_is_not() {
        let wrong = r#"{"condition": "one &", "risk": "NO_RISK"}"#;
        let text = lens(CHOICE, wrong);
        let right = lens(CHOICE, RULES).split_once("\"questions\": [\n").unwrap().1.replace("]}]}", "");
        let text = text.replace("\"questions\": [\n", &format!("\"questions\": [\n{},", right.replace("que", "other")));
        let read = read_lens("l.json", text.as_bytes());
        // That the `default` is missing is not said of rules that could not all be read.
        assert_eq!(ids(&read.findings), [codes::LENS_CONDITION.id], "{text}");
        assert!(read.lens.is_none());
        assert_eq!(read.sound.iter().map(|question| question.id.as_str()).collect::<Vec<_>>(), ["other"]);
    }

    #[test]
    fn a_file_beyond_500_kb_is_not_exported() {
        let plan = CHOICE.replace("Do it.", &"x".repeat(2_000));
        let question = |n: usize| {
            lens(&plan, RULES)
                .split_once("\"questions\": [\n")
                .unwrap()
                .1
                .replace("]}]}", "")
                .replace("\"que", &format!("\"que{n}"))
        };
        let questions: Vec<String> = (0..200).map(question).collect();
        let pillars: Vec<String> = questions
            .chunks(20)
            .enumerate()
            .map(|(n, part)| format!("{{\"id\": \"pil{n}\", \"name\": \"P\", \"questions\": [{}]}}", part.join(",")))
            .collect();
        let text = format!(
            r#"{{"schemaVersion": "2021-11-01", "name": "N", "description": "D", "pillars": [{}]}}"#,
            pillars.join(",")
        );
        let read = read_lens("l.json", text.as_bytes());
        assert_eq!(ids(&read.findings), [""; 0], "{}", text.len());
        let (findings, _) = *export("l.json", &read.lens.unwrap()).unwrap_err();
        assert_eq!(ids(&findings), [codes::LENS_LIMIT.id]);
    }
}
