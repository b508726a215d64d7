//! Patterns with `*` (any characters, or none) and `?` (any one character).

use std::fmt;

/// A pattern that a whole text matches or does not. Letters count as they are: `A` is not `a`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(String);

/// The longest pattern, in bytes: longer ones than any path in practice, and short enough to be matched in no time.
const LONGEST: usize = 1024;

impl Glob {
    /// A pattern.
    ///
    /// # Errors
    ///
    /// When it is empty, which nothing would match, or longer than 1,024 bytes.
    pub fn new(pattern: impl Into<String>) -> Result<Self, &'static str> {
        let pattern = pattern.into();
        match pattern.len() {
            0 => Err("a pattern is empty; `*` matches everything"),
            1..=LONGEST => Ok(Self(pattern)),
            _ => Err("a pattern has more than 1024 bytes"),
        }
    }

    /// A text that matches.
    #[must_use]
    pub fn example(&self) -> String {
        self.0.replace('*', "").replace('?', "x")
    }

    /// Whether a text matches. Takes time in proportion to the product of both lengths at most.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        let pattern = self.0.as_bytes();
        let (mut at, mut place) = (0, 0);
        // Where to go on after the last star, should what follows it not match here.
        let mut retry = None;
        while place < text.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    at += 1;
                    retry = Some((at, place));
                }
                Some(byte) if *byte == b'?' || *byte == text[place] => {
                    at += 1;
                    place += 1;
                }
                _ => {
                    let Some((after, from)) = retry else { return false };
                    at = after;
                    place = from + 1;
                    retry = Some((after, place));
                }
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Glob::new(pattern).unwrap().matches(text.as_bytes())
    }

    #[test]
    fn stars_stand_for_any_run_and_question_marks_for_one() {
        for (pattern, matching, other) in [
            ("*", vec!["", "/", "anything"], vec![]),
            ("/api/*", vec!["/api/", "/api/a", "/api/a/b"], vec!["/api", "/apis/a", "x/api/a"]),
            ("/a?c", vec!["/abc", "/a/c"], vec!["/ac", "/abbc"]),
            ("*/health", vec!["/health", "/a/health"], vec!["/healthy", "health"]),
            ("/a*b*c", vec!["/abc", "/aXbXbc"], vec!["/acb", "/ab"]),
            ("POST", vec!["POST"], vec!["post", "POSTS", ""]),
        ] {
            assert!(matching.iter().all(|text| matches(pattern, text)), "{pattern}");
            assert!(!other.iter().any(|text| matches(pattern, text)), "{pattern}");
        }
    }

    #[test]
    fn an_example_matches() {
        for (pattern, example) in [("*", ""), ("/a*b?c*", "/abxc"), ("/", "/"), ("??", "xx")] {
            let glob = Glob::new(pattern).unwrap();
            assert_eq!(glob.example(), example);
            assert!(glob.matches(example.as_bytes()), "{pattern}");
        }
    }

    #[test]
    fn many_stars_take_no_long_time() {
        // Exponential where every star is tried in every place.
        assert!(!matches(&format!("{}b", "*a".repeat(500)), &"a".repeat(10_000)));
    }

    /// What a pattern means, said as simply as can be.
    fn meaning(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|from| meaning(rest, &text[from..])),
            ([b'?', rest @ ..], [_, text @ ..]) => meaning(rest, text),
            ([byte, rest @ ..], [first, text @ ..]) => byte == first && meaning(rest, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn it_means_what_it_means(pattern in "[ab*?]{1,8}", text in "[ab]{0,8}") {
            prop_assert_eq!(matches(&pattern, &text), meaning(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
