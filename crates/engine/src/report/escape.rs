//! Text from outside, made harmless for the language it is printed in.
//!
//! Names, reasons and descriptions come from documents, from processes and from the network. Whatever they contain, a
//! report shows it as text: never as a tag, an attribute, an entity or a terminal's control sequence.

use std::fmt;

/// Text for HTML and XML, in element content and in attributes with either quote.
///
/// Characters that XML 1.0 does not allow at all (section 2.2, `Char`) become U+FFFD, so that one stray byte in an error
/// message does not make a JUnit file unreadable.
#[derive(Debug, Clone, Copy)]
pub struct Markup<T>(pub T);

impl<T: fmt::Display> fmt::Display for Markup<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Write::write_fmt(&mut Escaping(f), format_args!("{}", self.0))
    }
}

/// Escapes whatever is written through it.
struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain = 0;
        for (at, character) in text.char_indices() {
            let instead = match character {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '"' => "&quot;",
                '\'' => "&#39;",
                '\t' | '\n' => continue,
                // The rest of the C0 and C1 controls, and the two noncharacters XML names.
                _ if character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}') => "\u{fffd}",
                _ => continue,
            };
            self.0.write_str(&text[plain..at])?;
            self.0.write_str(instead)?;
            plain = at + character.len_utf8();
        }
        self.0.write_str(&text[plain..])
    }
}

/// Text for a terminal: one line, without control characters. A resource's name must not be able to move the cursor,
/// change the colours or set the window's title.
#[must_use]
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\n' | '\t' => ' ',
            _ if character.is_control() => '\u{fffd}',
            // Marks that reorder the text after them would let a name rewrite the sentence around it.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            _ => character,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn markup_in_text_becomes_text() {
        let text = "<script>alert(\"x\" + 'y')</script> & more\u{1b}[31m";
        assert_eq!(
            Markup(text).to_string(),
            "&lt;script&gt;alert(&quot;x&quot; + &#39;y&#39;)&lt;/script&gt; &amp; more\u{fffd}[31m"
        );
    }

    #[test]
    fn a_terminal_gets_one_harmless_line() {
        assert_eq!(one_line("a\nb\u{1b}]0;title\u{7}\u{202e}"), "a b\u{fffd}]0;title\u{fffd}\u{fffd}");
    }

    proptest! {
        #[test]
        fn no_text_can_leave_its_place(text in any::<String>()) {
            let escaped = Markup(&text).to_string();
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
            prop_assert!(!escaped.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
            // Every ampersand starts one of our own entities.
            for (at, _) in escaped.match_indices('&') {
                let known = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"];
                prop_assert!(known.iter().any(|entity| escaped[at..].starts_with(entity)));
            }
        }

        #[test]
        fn escaping_loses_nothing_but_controls(text in "[^\\p{Cc}\u{fffe}\u{ffff}]*") {
            let read_back = Markup(&text)
                .to_string()
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&quot;", "\"")
                .replace("&#39;", "'")
                .replace("&amp;", "&");
            prop_assert_eq!(read_back, text);
        }
    }
}
