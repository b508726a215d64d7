//! Where text goes, and whether it may be coloured.

use std::io::{self, IsTerminal, Write};

use crate::args::Colour;

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// Whether standard output takes colours.
    pub(crate) colour: bool,
    /// Whether standard error is a terminal on which lines can be drawn again.
    pub(crate) live: bool,
    /// Columns of the terminal.
    pub(crate) width: usize,
}

impl Style {
    /// What there is, and what was asked for.
    pub(crate) fn of(colour: Colour) -> Self {
        // https://no-color.org: set and not empty.
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = match colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => io::stdout().is_terminal() && !refused,
        };
        let live = io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self { colour, live, width: width() }
    }
}

/// A narrower terminal than this is none: text would be torn to letters.
const NARROWEST: usize = 20;

/// Columns of the terminal; where there is none what `COLUMNS` says (POSIX.1-2017, 8.3), and else 100, which a page of a build
/// log has.
fn width() -> usize {
    let terminal = rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col));
    let said = || std::env::var("COLUMNS").ok()?.parse().ok();
    let wide_enough = |columns: &usize| *columns >= NARROWEST;
    terminal.filter(wide_enough).or_else(|| said().filter(wide_enough)).unwrap_or(100)
}

/// To standard output. A reader that has gone (`| head`) is no error.
pub(crate) fn out(text: &str) {
    drop(io::stdout().write_all(text.as_bytes()));
}

/// To standard error.
pub(crate) fn err(text: &str) {
    drop(io::stderr().write_all(text.as_bytes()));
}
