//! Conditions of risk rules: `default`, or ids of choices with `&&`, `||`, `!` and brackets.

use std::{fmt, iter::Peekable, str::CharIndices, str::FromStr};

/// Deepest nesting that is read; every walk over a condition is recursive, so this bounds the stack. The deepest of 1,436
/// published rules nests 3 deep.
const MAX_DEPTH: usize = 64;

/// When a rule applies, as it was written and as it was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    text: String,
    expr: Option<Expr>,
}

/// What a condition says about the choices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// This choice is made.
    Choice(String),
    /// The other is false.
    Not(Box<Self>),
    /// All are true; two at least.
    All(Vec<Self>),
    /// One is true; two at least.
    Any(Vec<Self>),
}

/// Why a text is not a condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConditionError {
    /// Byte of the condition where it goes wrong.
    pub at: usize,
    /// What is wrong, and what is right.
    pub message: String,
}

impl Condition {
    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it says; none for `default`, which is always true.
    #[must_use]
    pub const fn expr(&self) -> Option<&Expr> {
        self.expr.as_ref()
    }

    /// Whether it is `default`.
    #[must_use]
    pub const fn is_default(&self) -> bool {
        self.expr.is_none()
    }

    /// Whether it is true when exactly the choices are made for which `chosen` says so.
    pub fn holds(&self, mut chosen: impl FnMut(&str) -> bool) -> bool {
        self.expr.as_ref().is_none_or(|expr| expr.holds(&mut chosen))
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl Expr {
    fn holds(&self, chosen: &mut impl FnMut(&str) -> bool) -> bool {
        match self {
            Self::Choice(id) => chosen(id),
            Self::Not(inner) => !inner.holds(chosen),
            Self::All(parts) => parts.iter().all(|part| part.holds(chosen)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(chosen)),
        }
    }

    /// All ids that are named, in order, as often as they are named.
    #[must_use]
    pub fn choices(&self) -> Vec<&str> {
        let mut found = Vec::new();
        self.collect(&mut found);
        found
    }

    fn collect<'a>(&'a self, found: &mut Vec<&'a str>) {
        match self {
            Self::Choice(id) => found.push(id),
            Self::Not(inner) => inner.collect(found),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.collect(found)),
        }
    }
}

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        if text.trim() == "default" {
            return Ok(Self { text: text.to_owned(), expr: None });
        }
        let mut parser = Parser { text, chars: text.char_indices().peekable(), depth: 0 };
        let expr = parser.any()?;
        match parser.next_token() {
            None => Ok(Self { text: text.to_owned(), expr: Some(expr) }),
            Some((at, ')')) => Err(parser.wrong(at, "this bracket closes nothing; remove it")),
            Some((at, _)) => Err(parser.wrong(at, "`&&` or `||` is missing before this")),
        }
    }
}

struct Parser<'t> {
    text: &'t str,
    chars: Peekable<CharIndices<'t>>,
    depth: usize,
}

impl Parser<'_> {
    fn wrong(&self, at: usize, message: &str) -> ConditionError {
        ConditionError { at: at.min(self.text.len()), message: message.to_owned() }
    }

    /// The first character behind blanks, which stays.
    fn next_token(&mut self) -> Option<(usize, char)> {
        while self.chars.next_if(|(_, c)| c.is_whitespace()).is_some() {}
        self.chars.peek().copied()
    }

    /// Takes `&&` or `||` if it is next.
    fn operator(&mut self, sign: char) -> Result<bool, ConditionError> {
        let Some((at, _)) = self.next_token().filter(|(_, c)| *c == sign) else { return Ok(false) };
        self.chars.next();
        match self.chars.next_if(|(_, c)| *c == sign) {
            Some(_) => Ok(true),
            None => Err(self.wrong(at, &format!("write `{sign}{sign}`"))),
        }
    }

    fn any(&mut self) -> Result<Expr, ConditionError> {
        let first = self.all()?;
        let mut parts = vec![first];
        while self.operator('|')? {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Expr::Any))
    }

    fn all(&mut self) -> Result<Expr, ConditionError> {
        let first = self.single()?;
        let mut parts = vec![first];
        while self.operator('&')? {
            parts.push(self.single()?);
        }
        Ok(one_or(parts, Expr::All))
    }

    fn single(&mut self) -> Result<Expr, ConditionError> {
        let Some((at, c)) = self.next_token() else {
            let end = self.text.trim_end().len();
            return Err(self.wrong(end, "the id of a choice is missing here"));
        };
        if self.depth == MAX_DEPTH {
            return Err(self.wrong(at, &format!("brackets are nested more than {MAX_DEPTH} deep")));
        }
        match c {
            '!' | '(' => {
                self.chars.next();
                self.depth += 1;
                let inner = if c == '!' { Expr::Not(Box::new(self.single()?)) } else { self.bracketed(at)? };
                self.depth -= 1;
                Ok(inner)
            }
            _ if is_id(c) => {
                let mut end = at;
                while let Some((last, c)) = self.chars.next_if(|(_, c)| is_id(*c)) {
                    end = last + c.len_utf8();
                }
                Ok(Expr::Choice(self.text[at..end].to_owned()))
            }
            ')' | '&' | '|' => Err(self.wrong(at, "the id of a choice is missing before this")),
            _ => Err(self.wrong(at, "a condition has ids of choices, `&&`, `||`, `!` and brackets, and nothing else")),
        }
    }

    /// What stands behind an opening bracket, with the closing one.
    fn bracketed(&mut self, opened: usize) -> Result<Expr, ConditionError> {
        let inner = self.any()?;
        match self.next_token() {
            Some((_, ')')) => {
                self.chars.next();
                Ok(inner)
            }
            Some((at, _)) => Err(self.wrong(at, "`&&`, `||` or a closing bracket is missing before this")),
            None => Err(self.wrong(opened, "this bracket is never closed")),
        }
    }
}

const fn is_id(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn one_or(mut parts: Vec<Expr>, several: impl FnOnce(Vec<Expr>) -> Expr) -> Expr {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            several(parts)
        }
        None => several(parts),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(condition: &str, chosen: &[&str]) -> bool {
        condition.parse::<Condition>().unwrap().holds(|id| chosen.contains(&id))
    }

    #[test]
    fn not_binds_tighter_than_and_and_and_tighter_than_or() {
        assert!(holds("a || b && !c", &["a", "c"]));
        assert!(!holds("(a || b) && !c", &["a", "c"]));
        assert!(holds("!a && !b || c", &[]));
        assert!(!holds("!(a||b)", &["b"]));
        assert!(holds("!!a", &["a"]));
        assert!(holds(" default ", &[]));
    }

    #[test]
    fn says_where_a_condition_goes_wrong() {
        for (text, at, start) in [
            ("", 0, "the id of a choice is missing here"),
            ("a &&  ", 4, "the id of a choice is missing here"),
            ("a & b", 2, "write `&&`"),
            ("a || | b", 5, "the id of a choice is missing before"),
            ("a b", 2, "`&&` or `||` is missing"),
            ("(a || b", 0, "this bracket is never closed"),
            ("(a b)", 3, "`&&`, `||` or a closing"),
            ("a)", 1, "this bracket closes nothing"),
            ("a and-b", 2, "`&&` or `||` is missing"),
            ("é", 0, "a condition has ids"),
        ] {
            let error = text.parse::<Condition>().unwrap_err();
            assert!(error.at == at && error.message.starts_with(start), "{text}: {error:?}");
        }
    }

    #[test]
    fn nesting_is_bounded_whatever_nests() {
        for sign in ["(", "!", "!("] {
            let error = sign.repeat(100_000).parse::<Condition>().unwrap_err();
            assert!(error.message.contains("nested"), "{error:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_places_lie_within(text in "[ab_&|!() é]{0,40}") {
            match text.parse::<Condition>() {
                Ok(condition) => prop_assert_eq!(condition.text(), text),
                Err(error) => prop_assert!(text.is_char_boundary(error.at), "{error:?}"),
            }
        }
    }
}
