//! What an analysis of the rules found, as findings.

use model::lens::{Flaw, FlawKind, Risk};

use super::{Part, Places};
use crate::{codes, finding::Finding};

/// The finding for a flaw.
pub(super) fn finding(flaw: &Flaw, places: &Places) -> Finding {
    let question = || flaw.question.clone();
    let at = |part: Part| places.get(&part).copied().unwrap_or_default();
    let rules = at(Part::Rules(question()));
    let rule = |n: usize| at(Part::Rule(question(), n));
    match &flaw.kind {
        FlawKind::NoRisk { example } => {
            let answer = if example.is_empty() { "nothing".to_owned() } else { example.join(", ") };
            let message = format!("no rule says what the risk is when {answer} is chosen");
            Finding::new(&codes::NO_RISK_SAID, rules, message).help("end the rules with a `default`")
        }
        FlawKind::NeverTrue { rule: n, but_for_none: false } => {
            Finding::new(&codes::NEVER_TRUE, rule(*n), "this condition contradicts itself: nothing makes it true")
                .help("correct it, or remove the rule")
        }
        FlawKind::NeverTrue { rule: n, but_for_none: true } => {
            let message = "this condition needs \"none of these\" together with another choice, which no answer has";
            Finding::new(&codes::NEVER_TRUE, rule(*n), message).help("correct it, or remove the rule")
        }
        FlawKind::Unreachable { rule: n, covered_by, instead_of } => {
            let before = covered_by + 1;
            let message = format!("this rule never applies: whenever it is true, rule {before} or one before it is");
            let finding = Finding::new(&codes::UNREACHABLE_RULE, rule(*n), message);
            match instead_of {
                Some((own, given)) => finding.help(format!(
                    "the first rule that is true counts: its answers get {} instead of {}; put it further up, or remove it",
                    given.name(),
                    own.name()
                )),
                None => finding.help("remove it; the risk stays the same"),
            }
        }
        FlawKind::NeverMatters { choice } => {
            let message = format!("`{choice}` never matters: no answer's risk changes with it");
            Finding::new(&codes::NEVER_MATTERS, at(Part::Choice(question(), choice.clone())), message)
                .help("name it in a rule, or say in its title that it is for information")
        }
        FlawKind::NothingMatters { risk } => {
            let message =
                format!("it never matters which practices of this question are followed: the risk is {}", risk.name());
            Finding::new(&codes::NEVER_MATTERS, rules, message)
                .help("name choices in rules, unless the question is only for information")
        }
        FlawKind::AllIsNotEnough { risk } => {
            let message = format!("whoever follows every practice still has {}", risk.name());
            Finding::new(&codes::ALL_IS_NOT_ENOUGH, rules, message).help(format!(
                "let all practices together be {}, or say which of them exclude each other",
                Risk::None.name()
            ))
        }
        FlawKind::TooMany { choices } => {
            let message =
                format!("the rules about {choices} choices are not analysed: there are too many combinations");
            Finding::new(&codes::TOO_MANY_CHOICES, rules, message).help("the format allows 15 choices")
        }
    }
}
