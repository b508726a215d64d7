//! How wide a text is in a drawing, which cannot break or cut it by itself, and what of it fits.
//!
//! Which font a browser takes is not known, so widths are those of DejaVu Sans, the widest of those that pages ask for.

use unicode_width::UnicodeWidthChar as _;

/// How much wider bold letters are.
pub(crate) const BOLD: f64 = 1.1;
/// What stands for the rest.
const REST: char = '…';

/// The width of a text in letters of so many pixels.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(em).sum::<f64>() * size
}

/// A character's width as a share of the letters' size.
fn em(letter: char) -> f64 {
    match letter {
        ' ' | '.' | ',' | 'i' | 'j' | 'l' | ':' | ';' | '|' | '\'' => 0.34,
        'f' | 't' | 'r' | '-' | '(' | ')' | '[' | ']' | '/' | 'I' | '!' | '·' => 0.42,
        'm' | 'M' | 'W' | '%' | '@' | 'w' | REST => 1.0,
        'A'..='Z' => 0.79,
        _ if letter.is_ascii() => 0.65,
        _ => match letter.width() {
            None | Some(0) => 0.0,
            Some(1) => 0.9,
            // Pictures are wider than letters of the same columns.
            Some(_) if letter >= '\u{1f000}' => 1.4,
            Some(_) => 1.1,
        },
    }
}

/// The text in at most `most` lines of `room` pixels, broken between words where possible; what does not fit is left out, and an
/// ellipsis says so.
pub(crate) fn lines(text: &str, size: f64, room: f64, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut rest = text.split_whitespace().collect::<Vec<_>>().join(" ");
    while !rest.is_empty() {
        if lines.len() + 1 >= most || width(&rest, size) <= room {
            lines.push(fit(&rest, size, room));
            break;
        }
        let end = break_before(&rest, size, room);
        let following = rest.split_off(end);
        lines.push(rest.trim_end().to_owned());
        rest = following.trim_start().to_owned();
    }
    lines
}

/// The text in one line of `room` pixels, with an ellipsis where it is too long.
pub(crate) fn fit(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let end = fitting(text, size, room - em(REST) * size);
    format!("{}{REST}", text[..end].trim_end())
}

/// Bytes of a text that fit into a line; never between a letter and the marks on it.
fn fitting(text: &str, size: f64, room: f64) -> usize {
    let (mut used, mut end) = (0.0, 0);
    for (at, letter) in text.char_indices() {
        if em(letter) > 0.0 {
            end = at;
        }
        used += em(letter) * size;
        if used > room {
            return end;
        }
    }
    text.len()
}

/// Where to break a line: after the last blank or sign that names are joined with, else wherever it is full. At least one letter.
fn break_before(text: &str, size: f64, room: f64) -> usize {
    let full = fitting(text, size, room);
    let joint = text[..full].char_indices().rev().find(|(_, letter)| matches!(letter, ' ' | '-' | '_' | '/' | '.'));
    match joint {
        // A line that is mostly empty is worse than a broken word.
        Some((at, letter)) if width(&text[..at], size) > room * 0.4 => at + letter.len_utf8(),
        _ if full > 0 => full,
        _ => text.chars().next().map_or(0, char::len_utf8),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_break_where_names_are_joined_and_say_that_there_is_more() {
        assert_eq!(lines("payment-service-of-the-shop", 10.0, 100.0, 2), ["payment-service-", "of-the-shop"]);
        assert_eq!(lines("web", 10.0, 100.0, 2), ["web"]);
        let long = lines("an order service with a name that nobody reads to its end", 10.0, 90.0, 2);
        assert!(long.len() == 2 && long[1].ends_with(REST), "{long:?}");
        assert_eq!(lines("", 10.0, 90.0, 2), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_its_room(text in any::<String>(), room in 30.0..300.0_f64, most in 1_usize..4) {
            let lines = lines(&text, 12.0, room, most);
            prop_assert!(lines.len() <= most);
            for line in lines {
                prop_assert!(width(&line, 12.0) <= room + 1e-9, "{line:?} {} {room}", width(&line, 12.0));
            }
        }
    }
}
