//! The rules of a question: which risk an answer is, and what is wrong with the rules themselves.

use model::lens::{Condition, Expr, Flaw, FlawKind, Question, Risk};

use super::truth::Table;

/// Most choices of a question whose rules are analysed: with 20 a table of all answers has 128 KiB. The format allows 15.
pub const MOST_CHOICES: usize = 20;

/// The rule that applies to an answer, counted from 0, and its risk: the first whose condition is true. None where no
/// rule says anything, which only a lens without `default` leaves open.
pub fn risk(question: &Question, chosen: impl Fn(&str) -> bool) -> Option<(usize, Risk)> {
    let rule = question.rules.iter().position(|rule| rule.condition.holds(&chosen))?;
    Some((rule, question.rules[rule].risk))
}

/// Everything that is wrong with the rules of questions, in their order.
#[must_use]
pub fn analyse(questions: &[Question]) -> Vec<Flaw> {
    questions.iter().flat_map(flaws).collect()
}

/// Everything that is wrong with the rules of a question. Exact: rules are boolean functions over the choices, and every
/// answer is tried.
///
/// An answer is any set of choices in which "none of these" stands alone. Nothing at all is an answer only where the
/// question has no choice that says so.
#[must_use]
pub fn flaws(question: &Question) -> Vec<Flaw> {
    let flaw = |kind| Flaw { question: question.id.clone(), kind };
    if question.choices.len() > MOST_CHOICES {
        return vec![flaw(FlawKind::TooMany { choices: question.choices.len() })];
    }
    Analysis::of(question).flaws().into_iter().map(flaw).collect()
}

/// A question as tables over all sets of its choices.
struct Analysis<'q> {
    question: &'q Question,
    /// Answers; see [`flaws`].
    answers: Table,
    /// Sets without "none of these", the empty one among them.
    plain: Table,
    /// When each rule's condition is true.
    rules: Vec<Table>,
}

impl<'q> Analysis<'q> {
    fn of(question: &'q Question) -> Self {
        let size = question.choices.len();
        let variable = |n: usize| Table::variable(n, size);
        let (mut any, mut none) = (Table::never(size), Table::never(size));
        for (n, choice) in question.choices.iter().enumerate() {
            let side = if choice.is_none_of_these() { &mut none } else { &mut any };
            *side = side.or(&variable(n));
        }
        let plain = none.not();
        let mut answers = if none.is_never() { plain.clone() } else { plain.and(&any) };
        for n in (0..size).filter(|n| question.choices[*n].is_none_of_these()) {
            let others = (0..size).filter(|other| *other != n);
            let alone = others.fold(variable(n), |alone, other| alone.and(&variable(other).not()));
            answers = answers.or(&alone);
        }
        let rules = question.rules.iter().map(|rule| condition(question, &rule.condition)).collect();
        Self { question, answers, plain, rules }
    }

    fn flaws(&self) -> Vec<FlawKind> {
        let mut found: Vec<_> = (0..self.rules.len()).filter_map(|n| self.rule(n)).collect();
        let open = self.answers.and(&self.taken(self.rules.len()).not());
        if let Some(answer) = open.first() {
            found.push(FlawKind::NoRisk { example: self.ids(answer) });
        }
        let practices: Vec<_> =
            self.question.choices.iter().enumerate().filter(|(_, choice)| !choice.is_none_of_these()).collect();
        let idle: Vec<_> = practices.iter().filter(|(n, _)| !self.matters(*n)).collect();
        let all = risk(self.question, |id| practices.iter().any(|(_, choice)| choice.id == id)).map(|(_, risk)| risk);
        match all {
            // Said once, and not of every choice. What all answers have in common is the question's own risk.
            Some(risk) if idle.len() == practices.len() && idle.len() > 1 => {
                found.push(FlawKind::NothingMatters { risk });
                return found;
            }
            _ => found.extend(idle.iter().map(|(_, choice)| FlawKind::NeverMatters { choice: choice.id.clone() })),
        }
        if let Some(risk) = all.filter(|risk| *risk != Risk::None && !practices.is_empty()) {
            found.push(FlawKind::AllIsNotEnough { risk });
        }
        found
    }

    /// What the rules before the `n`th take.
    fn taken(&self, n: usize) -> Table {
        self.rules[..n].iter().fold(Table::never(self.question.choices.len()), |taken, rule| taken.or(rule))
    }

    fn rule(&self, n: usize) -> Option<FlawKind> {
        let own = self.rules[n].and(&self.answers);
        if own.is_never() {
            return Some(FlawKind::NeverTrue { rule: n, but_for_none: !self.rules[n].is_never() });
        }
        // The format wants a default even where it has nothing left to do.
        if self.question.rules[n].condition.is_default() || !own.and(&self.taken(n).not()).is_never() {
            return None;
        }
        let covered_by = (0..n).find(|last| own.and(&self.taken(last + 1).not()).is_never())?;
        let risk = |rule: usize| self.question.rules[rule].risk;
        let given = (0..n).filter(|before| !own.and(&self.rules[*before]).and(&self.taken(*before).not()).is_never());
        let other = given.map(risk).find(|given| *given != risk(n));
        Some(FlawKind::Unreachable { rule: n, covered_by, instead_of: other.map(|given| (risk(n), given)) })
    }

    /// Whether some answer's risk changes with the `n`th choice.
    fn matters(&self, n: usize) -> bool {
        let mut before = Table::never(self.question.choices.len());
        let mut same_risk = [before.clone(), before.clone(), before.clone()];
        for (rule, table) in self.question.rules.iter().zip(&self.rules) {
            let class = &mut same_risk[rule.risk as usize];
            *class = class.or(&table.and(&before.not()));
            before = before.or(table);
        }
        let [none, medium, high] = same_risk;
        [none, medium, high, before].iter().any(|class| !class.differs(n).and(&self.plain).is_never())
    }

    fn ids(&self, answer: usize) -> Vec<String> {
        let chosen = self.question.choices.iter().enumerate().filter(|(n, _)| answer >> n & 1 == 1);
        chosen.map(|(_, choice)| choice.id.clone()).collect()
    }
}

/// When a condition is true. An id that is no choice of the question is never chosen.
fn condition(question: &Question, condition: &Condition) -> Table {
    let size = question.choices.len();
    condition.expr().map_or_else(|| Table::never(size).not(), |expr| table(question, expr, size))
}

fn table(question: &Question, expr: &Expr, size: usize) -> Table {
    match expr {
        Expr::Choice(id) => {
            let n = question.choices.iter().position(|choice| choice.id == *id);
            n.map_or_else(|| Table::never(size), |n| Table::variable(n, size))
        }
        Expr::Not(inner) => table(question, inner, size).not(),
        Expr::All(parts) => {
            parts.iter().fold(Table::never(size).not(), |all, part| all.and(&table(question, part, size)))
        }
        Expr::Any(parts) => parts.iter().fold(Table::never(size), |any, part| any.or(&table(question, part, size))),
    }
}

#[cfg(test)]
mod tests {
    use model::lens::{Choice, Rule};
    use proptest::prelude::*;

    use super::*;

    /// A question with these choices and rules.
    fn question(choices: &[&str], rules: &[(&str, Risk)]) -> Question {
        let choice = |id: &&str| Choice {
            id: (*id).to_owned(),
            title: (*id).to_owned(),
            help: None,
            plan: None,
            more: Vec::new(),
            extra: model::lens::Extra::new(),
        };
        let rule = |(condition, risk): &(&str, Risk)| Rule {
            condition: condition.parse().unwrap(),
            risk: *risk,
            extra: model::lens::Extra::new(),
        };
        Question {
            id: "q".to_owned(),
            title: "Q".to_owned(),
            description: None,
            help: None,
            choices: choices.iter().map(choice).collect(),
            rules: rules.iter().map(rule).collect(),
            extra: model::lens::Extra::new(),
        }
    }

    fn kinds(choices: &[&str], rules: &[(&str, Risk)]) -> Vec<FlawKind> {
        flaws(&question(choices, rules)).into_iter().map(|flaw| flaw.kind).collect()
    }

    const CHOICES: &[&str] = &["a", "b", "q_no"];

    #[test]
    fn the_first_rule_that_is_true_counts_and_not_the_worst() {
        let question = question(CHOICES, &[("a", Risk::None), ("a || b", Risk::High), ("default", Risk::Medium)]);
        let of = |chosen: &[&str]| risk(&question, |id| chosen.contains(&id));
        assert_eq!(of(&["a", "b"]), Some((0, Risk::None)));
        assert_eq!(of(&["b"]), Some((1, Risk::High)));
        assert_eq!(of(&["q_no"]), Some((2, Risk::Medium)));
    }

    #[test]
    fn usual_rules_have_no_flaw() {
        let rules = [("a && b", Risk::None), ("!a || q_no", Risk::High), ("default", Risk::Medium)];
        assert_eq!(kinds(CHOICES, &rules), []);
    }

    #[test]
    fn rules_without_default_are_shown_by_an_answer_that_they_forget() {
        let rules = [("a && b", Risk::None), ("!a", Risk::High)];
        assert_eq!(kinds(CHOICES, &rules), [FlawKind::NoRisk { example: vec!["a".to_owned()] }]);
        // Without a default, but with nothing left over.
        assert_eq!(kinds(CHOICES, &[("a && b", Risk::None), ("!a || !b", Risk::High)]), []);
    }

    #[test]
    fn contradictions_and_rules_behind_others_are_found() {
        let never = kinds(CHOICES, &[("a && !a", Risk::High), ("a && b", Risk::None), ("default", Risk::High)]);
        assert_eq!(never, [FlawKind::NeverTrue { rule: 0, but_for_none: false }]);
        let never = kinds(CHOICES, &[("a && q_no", Risk::High), ("a && b", Risk::None), ("default", Risk::High)]);
        assert_eq!(never, [FlawKind::NeverTrue { rule: 0, but_for_none: true }]);
        let rules = [("a", Risk::None), ("b", Risk::High), ("a || b", Risk::Medium), ("default", Risk::Medium)];
        let behind = FlawKind::Unreachable { rule: 2, covered_by: 1, instead_of: Some((Risk::Medium, Risk::None)) };
        assert_eq!(kinds(CHOICES, &rules), [behind]);
        let same = [("a", Risk::None), ("a && b", Risk::None), ("default", Risk::High)];
        let found = kinds(CHOICES, &same);
        assert_eq!(found[0], FlawKind::Unreachable { rule: 1, covered_by: 0, instead_of: None });
        assert_eq!(found[1], FlawKind::NeverMatters { choice: "b".to_owned() });
        let after = [("default", Risk::None), ("a", Risk::High)];
        let behind = FlawKind::Unreachable { rule: 1, covered_by: 0, instead_of: Some((Risk::High, Risk::None)) };
        assert_eq!(kinds(&["a"], &after), [behind, FlawKind::NeverMatters { choice: "a".to_owned() }]);
    }

    #[test]
    fn a_choice_that_changes_nothing_never_matters_even_if_it_is_named() {
        let rules = [("a || (b && !b)", Risk::None), ("default", Risk::High)];
        assert_eq!(kinds(CHOICES, &rules), [FlawKind::NeverMatters { choice: "b".to_owned() }]);
    }

    #[test]
    fn a_question_for_information_is_said_once() {
        let rules = [("default", Risk::None)];
        assert_eq!(kinds(CHOICES, &rules), [FlawKind::NothingMatters { risk: Risk::None }]);
        let rules = [("q_no", Risk::High), ("default", Risk::Medium)];
        assert_eq!(kinds(CHOICES, &rules), [FlawKind::NothingMatters { risk: Risk::Medium }]);
    }

    #[test]
    fn whoever_does_everything_should_have_no_risk() {
        let rules = [("a && !b", Risk::None), ("default", Risk::Medium)];
        assert_eq!(kinds(CHOICES, &rules), [FlawKind::AllIsNotEnough { risk: Risk::Medium }]);
    }

    #[test]
    fn nothing_is_an_answer_where_no_choice_says_so() {
        let rules = [("a && b", Risk::None), ("!a && !b", Risk::High), ("default", Risk::Medium)];
        assert_eq!(kinds(&["a", "b"], &rules), []);
        assert_eq!(kinds(CHOICES, &rules), []);
        assert_eq!(
            kinds(CHOICES, &[("a && b", Risk::None), ("!a && !b && !q_no", Risk::High), ("default", Risk::Medium)]),
            [FlawKind::NeverTrue { rule: 1, but_for_none: true }]
        );
    }

    #[test]
    fn too_many_choices_are_said_and_not_tried() {
        let ids: Vec<String> = (0..=MOST_CHOICES).map(|n| format!("c{n}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        assert_eq!(kinds(&ids, &[("c1", Risk::None)]), [FlawKind::TooMany { choices: MOST_CHOICES + 1 }]);
    }

    /// A condition over `c0` to `c7` in the notation of the format.
    fn some_condition() -> impl Strategy<Value = String> {
        let leaf = (0..8_u8).prop_map(|n| format!("c{n}"));
        leaf.prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|one| format!("!({one})")),
                prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" && "))),
                prop::collection::vec(inner, 2..4).prop_map(|parts| format!("({})", parts.join(" || "))),
            ]
        })
    }

    proptest! {
        /// The tables say what trying every answer says.
        #[test]
        fn the_analysis_agrees_with_trying_every_answer(
            conditions in prop::collection::vec((some_condition(), 0..3_usize), 1..4),
            with_default in any::<bool>(),
        ) {
            let risks = [Risk::None, Risk::Medium, Risk::High];
            let ids: Vec<String> = (0..8).map(|n| format!("c{n}")).collect();
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let mut rules: Vec<(&str, Risk)> = conditions.iter().map(|(text, n)| (text.as_str(), risks[*n])).collect();
            if with_default {
                rules.push(("default", Risk::High));
            }
            let question = question(&ids, &rules);
            let of = |answer: usize| {
                risk(&question, |id| ids.iter().position(|other| *other == id).is_some_and(|n| answer >> n & 1 == 1))
            };
            let found: Vec<FlawKind> = flaws(&question).into_iter().map(|flaw| flaw.kind).collect();
            for n in 0..rules.len().min(conditions.len()) {
                let used = (0..256).any(|answer| of(answer).is_some_and(|(rule, _)| rule == n));
                let idle = found.iter().any(|kind| matches!(kind,
                    FlawKind::NeverTrue { rule, .. } | FlawKind::Unreachable { rule, .. } if *rule == n));
                prop_assert_eq!(used, !idle, "rule {}", n);
            }
            for (n, id) in ids.iter().enumerate() {
                let matters = (0..256).any(|answer: usize| of(answer).map(|r| r.1) != of(answer ^ 1 << n).map(|r| r.1));
                let idle = found.contains(&FlawKind::NeverMatters { choice: (*id).to_owned() })
                    || found.iter().any(|kind| matches!(kind, FlawKind::NothingMatters { .. }));
                prop_assert_eq!(matters, !idle, "choice {}", id);
            }
            let forgotten = (0..256).any(|answer| of(answer).is_none());
            prop_assert_eq!(forgotten, found.iter().any(|kind| matches!(kind, FlawKind::NoRisk { .. })));
        }
    }
}
