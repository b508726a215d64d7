//! Reviews: a workload with its answers to a lens, as YAML that people can look at in a pull request.

mod edit;
mod print;
mod read;
mod tree;

use std::collections::HashMap;

use model::{
    lens::{Lens, Question},
    review::{Answers, Review, Status},
};

use crate::{
    circles::circles,
    codes,
    decode::{Guesses, Reader},
    finding::{self, Finding},
    node::Node,
    read::{Done, has_errors, open},
    source::{Source, Span},
};

pub use edit::edit;
pub use print::print;

/// Whether a document is a review.
pub(crate) fn is_review(root: &Node) -> bool {
    // A number: the version of the format.
    let version = root.get("review").and_then(Node::as_text).is_some_and(|text| text.parse::<u32>().is_ok());
    version || root.entry("answers").is_some() && root.entry("workload").is_some()
}

/// Looks at a review that stands in another document.
pub(crate) fn look(reader: &mut Reader<'_>, root: &Node) {
    read::read(reader, root, &mut Places::new());
}

/// A review that was read, or why not.
#[derive(Debug, Clone)]
pub struct ReadReview {
    /// The review; none where a finding is an error.
    pub review: Option<Review>,
    /// Everything that was found, ordered by place.
    pub findings: Vec<Finding>,
    /// The text, for rendering.
    pub source: Source,
    places: Places,
}

/// Where answers stand: by question, and by question and choice; improvements and what they wait for by choice.
pub(crate) type Places = HashMap<Part, Span>;

/// A part of a review that is looked up in its lens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// The id of a question among the answers.
    Question(String),
    /// The id of a choice within an answer.
    Choice(String, String),
    /// The id of a choice among the improvements.
    Improvement(String),
    /// What an improvement waits for.
    After(String, String),
}

/// Reads a review. `path` is used in messages only. Whether its answers fit its lens, [`ReadReview::against`] says.
#[must_use]
pub fn read_review(path: &str, bytes: &[u8]) -> ReadReview {
    let mut places = Places::new();
    let Done { value: review, findings, source } =
        open(path, bytes).read(&[], |reader, root| read::read(reader, root, &mut places));
    ReadReview { review, findings, source, places }
}

impl ReadReview {
    /// The same with what does not fit the lens: questions and choices that it does not have, "none of these" together
    /// with others, improvements that wait for each other.
    #[must_use]
    pub fn against(mut self, lens: &Lens) -> Self {
        let Some(review) = self.review.take() else { return self };
        let mut search = Search::default();
        self.answers(&review.answers, lens, &mut search);
        self.improvements(&review, lens, &mut search);
        self.findings.append(&mut search.findings);
        self.findings = finding::locate(std::mem::take(&mut self.findings), &self.source);
        self.review = Some(review).filter(|_| !has_errors(&self.findings));
        self
    }

    fn place(&self, part: &Part) -> Span {
        self.places.get(part).copied().unwrap_or_default()
    }

    fn answers(&self, answers: &Answers, lens: &Lens, search: &mut Search) {
        let ids: Vec<&str> = lens.questions().map(|(_, question)| question.id.as_str()).collect();
        let questions: HashMap<&str, &Question> =
            lens.questions().map(|(_, question)| (question.id.as_str(), question)).collect();
        for (id, answer) in answers {
            let Some(question) = questions.get(id.as_str()) else {
                let message = format!("the lens has no question `{id}`; its answer counts for nothing");
                let place = self.place(&Part::Question(id.clone()));
                search.unknown(Finding::new(&codes::UNKNOWN_QUESTION, place, message), id, &ids);
                continue;
            };
            let choices: Vec<&str> = question.choices.iter().map(|choice| choice.id.as_str()).collect();
            for choice in answer.choices.keys().filter(|choice| !choices.contains(&choice.as_str())) {
                let message = format!("the question has no choice `{choice}`; it counts for nothing");
                let place = self.place(&Part::Choice(id.clone(), choice.clone()));
                search.unknown(Finding::new(&codes::UNKNOWN_PRACTICE, place, message), choice, &choices);
            }
            let selected = |id: &str| answer.choices.get(id).is_some_and(|choice| choice.status == Status::Selected);
            let (none, others): (Vec<_>, Vec<_>) = question
                .choices
                .iter()
                .filter(|choice| selected(&choice.id))
                .partition(|choice| choice.is_none_of_these());
            if let ([none, ..], [other, ..]) = (none.as_slice(), others.as_slice()) {
                let place = self.place(&Part::Choice(id.clone(), none.id.clone()));
                let message = format!("\"none of these\" is selected together with `{}`", other.id);
                search.report(Finding::new(&codes::NONE_WITH_OTHERS, place, message).help("keep one of them"));
            }
        }
    }

    fn improvements(&self, review: &Review, lens: &Lens, search: &mut Search) {
        let choices: Vec<&str> =
            lens.questions().flat_map(|(_, question)| &question.choices).map(|choice| choice.id.as_str()).collect();
        let of_lens: HashMap<&str, _> = lens
            .questions()
            .flat_map(|(_, question)| &question.choices)
            .map(|choice| (choice.id.as_str(), choice))
            .collect();
        for (id, improvement) in &review.improvements {
            let named = std::iter::once((id, Part::Improvement(id.clone())));
            let after = improvement.after.iter().map(|after| (after, Part::After(id.clone(), after.clone())));
            for (name, part) in named.chain(after).filter(|(name, _)| !of_lens.contains_key(name.as_str())) {
                let place = self.place(&part);
                if review.retired.values().any(|answer| answer.choices.contains_key(name)) {
                    let message = format!("the lens does not ask for `{name}` any more");
                    let help = "remove it here; the answer is kept under `retired`";
                    search.report(Finding::new(&codes::UNKNOWN_PRACTICE, place, message).help(help));
                    continue;
                }
                let message = format!("the lens has no choice `{name}`");
                search.unknown(Finding::new(&codes::UNKNOWN_PRACTICE, place, message), name, &choices);
            }
        }
        let waits_for = |id: &str| {
            let own = review.improvements.get(id).into_iter().flat_map(|improvement| &improvement.after);
            let of_lens = of_lens.get(id).into_iter().flat_map(|choice| choice.after());
            own.map(String::as_str).chain(of_lens).collect::<Vec<_>>()
        };
        for circle in circles(review.improvements.keys().map(String::as_str), waits_for) {
            let (id, by_way_of) = (circle[0], circle[1]);
            let message = format!("`{id}` waits for itself, by way of `{by_way_of}`");
            let place = self.place(&Part::After(id.to_owned(), by_way_of.to_owned()));
            let place = if place == Span::default() { self.place(&Part::Improvement(id.to_owned())) } else { place };
            search.report(Finding::new(&codes::CIRCULAR_AFTER, place, message).help("remove one of the `after`"));
        }
    }
}

/// What does not fit a lens.
#[derive(Default)]
struct Search {
    findings: Vec<Finding>,
    guesses: Guesses,
}

impl Search {
    fn report(&mut self, finding: Finding) {
        finding::keep(&mut self.findings, finding);
    }

    /// Reports an id that the lens does not have.
    fn unknown(&mut self, finding: Finding, id: &str, known: &[&str]) {
        let help = match self.guesses.near(id, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                "correct it; after a change of the lens, `shaketable review upgrade` carries answers over".to_owned()
            }
        };
        self.report(finding.help(help));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lens::reliability;

    const REVIEW: &str = "review: 1
workload: { name: Shop, availability: 99.95 %, rto: PT15M, criticality: high, regions: [us-east-1] }
answers:
  rel_backing_up_data:
    choices:
      rel_backing_up_data_identified_backups_data: selected
      rel_backing_up_data_secured_backups_data:
        status: selected
        evidence:
          - { source: restore drill, at: 2026-10-01, validFor: P90D, says: it was whole }
      rel_backing_up_data_automated_backups_data: { status: not-applicable, reason: out-of-scope }
    notes: |
      Two lines,
      kept as they are.
  rel_planning_network_topology:
    notApplicable: { reason: other, notes: 'no network: none' }
improvements:
  rel_backing_up_data_periodic_recovery_testing_data: { owner: Dana, effort: low, due: 2026-12-01 }
plan: { start: 2026-11-23 }
months:
  - { month: 2026-10, availability: 99.711 %, incidents: 3, downtime: PT2H }
milestones:
  - { name: first, at: 2026-09-01T12:00:00Z, answers: {} }
";

    fn ids(findings: &[Finding]) -> Vec<&'static str> {
        findings.iter().map(|finding| finding.code.id).collect()
    }

    #[test]
    fn a_review_is_read_and_printed_and_read_again_as_the_same() {
        let read = read_review("r.yaml", REVIEW.as_bytes()).against(&reliability());
        assert_eq!(ids(&read.findings), [""; 0], "{:?}", read.findings);
        let review = read.review.unwrap();
        let evidence =
            &review.answers["rel_backing_up_data"].choices["rel_backing_up_data_secured_backups_data"].evidence;
        assert_eq!(evidence[0].expires, Some("2026-12-30T00:00:00Z".parse().unwrap()));
        assert_eq!(review.workload.availability, Some(99.95));
        let printed = print(&review);
        let again = read_review("r.yaml", printed.as_bytes());
        assert_eq!(ids(&again.findings), [""; 0], "{printed}");
        assert_eq!(again.review.unwrap(), review, "{printed}");
    }

    #[test]
    fn what_does_not_fit_the_lens_is_found_at_its_place() {
        let cases = [
            (("rel_backing_up_data:", "rel_backing_up_dat:"), "R001", (4, 3)),
            (("_identified_backups_data: selected", "_identified_backup_data: selected"), "R002", (6, 7)),
            (
                (
                    "rel_backing_up_data_identified_backups_data: selected",
                    "rel_backing_up_data_identified_backups_data: selected\n      rel_backing_up_data_no: selected",
                ),
                "R003",
                (7, 7),
            ),
            (("effort: low,", "after: [rel_backing_up_data_periodic_recovery_testing_data],"), "R004", (18, 78)),
            (("reason: out-of-scope }", "}"), "F011", (11, 7)),
            (("validFor: P90D", "validFor: P90D, expires: 2027-01-01"), "F013", (10, 64)),
            (("month: 2026-10", "month: 2026-13"), "F013", (21, 14)),
            (("99.95 %", "999.5 %"), "F013", (2, 39)),
        ];
        for ((from, to), code, place) in cases {
            let text = REVIEW.replacen(from, to, 1);
            let read = read_review("r.yaml", text.as_bytes()).against(&reliability());
            let found: Vec<_> = read.findings.iter().map(|f| (f.code.id, (f.line, f.column))).collect();
            assert_eq!(found, [(code, place)], "{to}: {:?}", read.findings);
        }
    }

    #[test]
    fn an_improvement_of_what_is_retired_is_no_slip() {
        let text = "review: 1\nworkload: { name: W }\nimprovements: { rel_old: { owner: Ann } }\n\
                    retired: { rel_question: { choices: { rel_old: unselected } } }\n";
        let read = read_review("r.yaml", text.as_bytes()).against(&reliability());
        let found: Vec<_> = read.findings.iter().map(|f| (f.code.id, f.line, f.message.as_str())).collect();
        assert_eq!(found, [("R002", 3, "the lens does not ask for `rel_old` any more")]);
    }

    #[test]
    fn any_text_survives_printing() {
        for text in [
            "",
            " a",
            "a ",
            "null",
            "~",
            "true",
            "- x",
            "a: b",
            "a #b",
            "#",
            "'",
            "\"",
            "a\nb",
            "a\n\n b\n",
            "\n",
            "\ta",
            "é\u{1}",
            "2026-10-01",
            "@x",
            "*x",
            "{",
            "%",
            "a\r\nb",
            "ends\\",
            "\u{85}x",
        ] {
            let mut review = Review::default();
            review.workload.name = text.to_owned();
            review.workload.contacts.insert(format!("k{text}"), text.to_owned());
            let printed = print(&review);
            let again = read_review("r.yaml", printed.as_bytes());
            assert_eq!(again.review.as_ref(), Some(&review), "{text:?}: {printed} {:?}", again.findings);
        }
    }
}
