//! A shell script as a list of commands with their words and places.
//!
//! Enough of POSIX shell and bash to know commands from texts: quotes, substitutions, pipes, here-documents, comments,
//! keywords and functions. Anything stranger becomes a word that no rule knows.

use crate::source::{MAX_BYTES, Span};

/// Deepest substitution in a substitution that is looked into.
const DEEPEST: usize = 16;

/// Most words of a script, and most bytes that they have together, what stands in substitutions counted in each of them. The
/// largest scripts that programs make for each other have a third of the words; people write some thousands.
const MOST_WORDS: usize = 500_000;
const MOST_TEXT: usize = 4 * MAX_BYTES;

/// How a word is quoted, which says what the shell expands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    /// Not at all, or in parts.
    Open,
    /// In single quotes: nothing is expanded.
    Single,
    /// In double quotes: variables and substitutions are.
    Double,
}

/// A word as the command gets it, but for what the shell would expand.
#[derive(Debug, Clone)]
pub(super) struct Word {
    pub(super) text: String,
    /// With its quotes.
    pub(super) span: Span,
    pub(super) quotes: Quotes,
}

impl Word {
    /// Where the text between the quotes stands.
    pub(super) const fn inside(&self) -> Span {
        match self.quotes {
            Quotes::Open => self.span,
            Quotes::Single | Quotes::Double => Span::new(self.span.start + 1, self.span.end - 1),
        }
    }
}

/// A command: what is run, and what it is connected with.
#[derive(Debug, Clone, Default)]
pub(super) struct Command {
    /// Keywords before it: `if`, `while`, `!`.
    pub(super) keywords: Vec<String>,
    /// `NAME=value` before it, or alone.
    pub(super) assignments: Vec<Word>,
    /// Its name and arguments.
    pub(super) words: Vec<Word>,
    /// Where its output goes: `> FILE`.
    pub(super) output: Option<Word>,
    /// The text of its here-document.
    pub(super) here: Option<Span>,
    /// The index of the command that reads its output.
    pub(super) feeds: Option<usize>,
    /// Whether what it gives back is looked at: `||`, `&&`, a condition.
    pub(super) checked: bool,
    /// How many loops are open around it.
    pub(super) loops: usize,
    /// Whether it stands in `$( )`.
    pub(super) substituted: bool,
    pub(super) span: Span,
}

impl Command {
    /// The name without `sudo`.
    pub(super) fn name(&self) -> &str {
        self.arguments_and_name().first().map_or("", |word| word.text.as_str())
    }

    /// The name and what follows, without `sudo` and its options.
    fn arguments_and_name(&self) -> &[Word] {
        match self.words.first() {
            Some(first) if first.text == "sudo" => {
                let options = self.words[1..].iter().take_while(|word| word.text.starts_with('-')).count();
                &self.words[1 + options..]
            }
            _ => &self.words,
        }
    }

    /// What follows the name.
    pub(super) fn arguments(&self) -> &[Word] {
        self.arguments_and_name().get(1..).unwrap_or_default()
    }

    /// Whether one of the arguments is this.
    pub(super) fn has(&self, argument: &str) -> bool {
        self.arguments().iter().any(|word| word.text == argument)
    }
}

/// A script, taken apart.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// In the order of their ends; a substitution stands before the command that uses it.
    pub(super) commands: Vec<Command>,
    /// With their `#`.
    pub(super) comments: Vec<Span>,
    /// The whole of it.
    pub(super) span: Span,
    words: usize,
    text: usize,
}

impl Script {
    /// Whether it has more words than are looked at; the list of commands ends there.
    pub(super) const fn is_too_long(&self) -> bool {
        self.words > MOST_WORDS || self.text > MOST_TEXT
    }

    /// The comment that stands on the line before a place, or on its line.
    pub(super) fn comment_before<'t>(&self, text: &'t str, at: usize) -> &'t str {
        let before = self.comments.partition_point(|comment| comment.end <= at);
        let found = before
            .checked_sub(1)
            .and_then(|index| self.comments.get(index))
            .filter(|comment| at - comment.end <= NEAR && text[comment.end..at].matches('\n').count() <= 1);
        found.and_then(|span| text.get(span.range())).unwrap_or_default()
    }
}

/// Takes a part of a text apart.
pub(super) fn script(text: &str, span: Span) -> Script {
    let mut script = Script { span, ..Script::default() };
    let mut lexer =
        Lexer { text, at: span.start, end: span.end.min(text.len()), depth: 0, script: &mut script, loops: 0 };
    lexer.run(false);
    script
}

/// Most bytes between a comment and what it is about; a longer line is generated.
const NEAR: usize = 1_000;

/// Adds the commands that are given to other commands as a text: `watch "aws …"`, `bash -c '…'`.
pub(super) fn look_into(text: &str, script: &mut Script) {
    let inner: Vec<Span> = script
        .commands
        .iter()
        .filter(|command| {
            matches!(command.name(), "watch") || matches!(command.name(), "bash" | "sh") && command.has("-c")
        })
        .filter_map(|command| command.arguments().iter().rev().find(|word| word.quotes != Quotes::Open))
        .map(Word::inside)
        .collect();
    for span in inner {
        let found = self::script(text, span);
        (script.words, script.text) = (script.words + found.words, script.text + found.text);
        // Pipes within stay within.
        let before = script.commands.len();
        script.commands.extend(found.commands.into_iter().map(|mut command| {
            command.feeds = command.feeds.map(|index| index + before);
            command
        }));
    }
}

struct Lexer<'t, 's> {
    text: &'t str,
    at: usize,
    end: usize,
    depth: usize,
    loops: usize,
    script: &'s mut Script,
}

/// Words that come before a command.
const KEYWORDS: &[&str] = &["if", "then", "elif", "else", "while", "until", "do", "!", "{", "time", "exec"];

impl Lexer<'_, '_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at..self.end)?.chars().next()
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..self.end).unwrap_or_default()
    }

    fn run(&mut self, substituted: bool) {
        let fresh = |at: usize| Command { substituted, span: Span::new(at, at), ..Command::default() };
        let mut command = fresh(self.at);
        let mut heres: Vec<(String, usize)> = Vec::new();
        let mut feeder: Option<usize> = None;
        while let Some(c) = self.peek().filter(|_| !self.script.is_too_long()) {
            match c {
                ' ' | '\t' | '\r' => self.at += 1,
                '\\' if self.rest().starts_with("\\\n") => self.at += 2,
                '#' => self.comment(),
                '\n' | ';' | '&' | '|' | '(' | ')' if !self.rest().starts_with("&>") => {
                    let rest = self.rest();
                    let both = rest.starts_with("||") || rest.starts_with("&&");
                    let pipe = c == '|' && !both;
                    self.at += if both { 2 } else { 1 };
                    command.checked |= both;
                    let done = self.finish(std::mem::replace(&mut command, fresh(self.at)), &mut feeder, pipe);
                    if let Some(index) = done {
                        // Those without an owner are the last ones.
                        for (_, owner) in heres.iter_mut().rev().take_while(|(_, owner)| *owner == usize::MAX) {
                            *owner = index;
                        }
                    }
                    if c == '\n' {
                        for (delimiter, owner) in std::mem::take(&mut heres) {
                            let body = self.here(&delimiter);
                            if let Some(command) = self.script.commands.get_mut(owner) {
                                command.here = Some(body);
                            }
                        }
                    }
                }
                '<' | '>' => self.redirect(&mut command, &mut heres),
                _ => {
                    let word = self.word();
                    if self.peek().is_some_and(|c| matches!(c, '<' | '>')) && word.text.parse::<u8>().is_ok() {
                        // The number of a descriptor: `2>/dev/null`.
                        let mut other = Command::default();
                        self.redirect(&mut other, &mut heres);
                    } else {
                        self.take(&mut command, word);
                    }
                }
            }
        }
        self.finish(command, &mut feeder, false);
    }

    /// Adds a word to the command that it belongs to.
    fn take(&mut self, command: &mut Command, word: Word) {
        if command.words.is_empty() && command.assignments.is_empty() {
            command.span.start = word.span.start;
        }
        command.span.end = word.span.end;
        let open = word.quotes == Quotes::Open;
        if command.words.is_empty() && open {
            match word.text.as_str() {
                "done" => self.loops = self.loops.saturating_sub(1),
                "do" => self.loops += 1,
                _ => {}
            }
            if KEYWORDS.contains(&word.text.as_str()) {
                command.keywords.push(word.text);
                return;
            }
            let name = word.text.split('=').next().unwrap_or_default().trim_end_matches('+');
            if word.text.contains('=') && is_name(name) {
                command.assignments.push(word);
                return;
            }
        }
        command.words.push(word);
    }

    /// Puts a command into the list; its index, if there was one.
    fn finish(&mut self, mut command: Command, feeder: &mut Option<usize>, pipe: bool) -> Option<usize> {
        if command.words.is_empty() && command.assignments.is_empty() {
            return None;
        }
        command.checked |=
            command.keywords.iter().any(|word| matches!(word.as_str(), "if" | "elif" | "while" | "until"));
        // What stands between `while` and `do` is asked again and again, too.
        let asked = command.keywords.iter().any(|word| matches!(word.as_str(), "while" | "until"));
        command.loops = self.loops + usize::from(asked);
        let index = self.script.commands.len();
        if let Some(from) = feeder.take() {
            self.script.commands[from].feeds = Some(index);
        }
        *feeder = pipe.then_some(index);
        self.script.commands.push(command);
        Some(index)
    }

    fn comment(&mut self) {
        let start = self.at;
        self.at += self.rest().find('\n').unwrap_or_else(|| self.rest().len());
        self.script.comments.push(Span::new(start, self.at));
    }

    fn redirect(&mut self, command: &mut Command, heres: &mut Vec<(String, usize)>) {
        let signs = self.rest().find(|c| !matches!(c, '<' | '>' | '&' | '-')).unwrap_or_else(|| self.rest().len());
        let sign = self.rest()[..signs].to_owned();
        self.at += signs;
        while matches!(self.peek(), Some(' ' | '\t')) {
            self.at += 1;
        }
        if sign.ends_with('&') || self.peek().is_none_or(|c| c == '\n') {
            return;
        }
        if sign == "<" && self.peek() == Some('(') || sign == ">" && self.peek() == Some('(') {
            return;
        }
        let word = self.word();
        match sign.as_str() {
            "<<" | "<<-" => heres.push((word.text, usize::MAX)),
            ">" | ">>" => command.output = Some(word),
            _ => {}
        }
    }

    /// The text of a here-document up to the line that ends it.
    fn here(&mut self, delimiter: &str) -> Span {
        let start = self.at;
        while self.at < self.end {
            let rest = self.rest();
            let length = rest.find('\n').map_or(rest.len(), |at| at + 1);
            let body = Span::new(start, self.at);
            let last = rest[..length].trim() == delimiter;
            self.at += length;
            if last {
                return body;
            }
        }
        Span::new(start, self.at)
    }

    fn word(&mut self) -> Word {
        let start = self.at;
        let mut text = String::new();
        let first = self.peek();
        while let Some(c) = self.peek() {
            match c {
                '\'' => {
                    let body = self.rest()[1..].find('\'').unwrap_or_else(|| self.rest().len() - 1);
                    text.push_str(&self.rest()[1..=body]);
                    self.at = (self.at + body + 2).min(self.end);
                }
                '"' => self.double(&mut text),
                '\\' => {
                    self.at += 1;
                    if let Some(next) = self.peek() {
                        self.at += next.len_utf8();
                        if next != '\n' {
                            text.push(next);
                        }
                    }
                }
                '$' | '`' => self.dollar(&mut text),
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>' => break,
                c => {
                    text.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
        if self.at == start {
            // Nothing that begins a word: it is passed over.
            self.at += self.peek().map_or(1, char::len_utf8);
        }
        let span = Span::new(start, self.at);
        self.script.words += 1;
        self.script.text += text.len();
        let whole = self.text.get(span.range()).unwrap_or_default();
        let quoted = |quote: char| {
            whole.len() > 1
                && whole.ends_with(quote)
                && whole[1..whole.len() - 1].replace("\\\"", "").matches(quote).count() == 0
        };
        let quotes = match first {
            Some('\'') if quoted('\'') => Quotes::Single,
            Some('"') if quoted('"') || whole.len() > 1 && whole.ends_with('"') && !whole[1..].contains("\" ") => {
                Quotes::Double
            }
            _ => Quotes::Open,
        };
        Word { text, span, quotes }
    }

    /// A text in double quotes, up to and with the closing one.
    fn double(&mut self, text: &mut String) {
        self.at += 1;
        while let Some(c) = self.peek() {
            match c {
                '"' => {
                    self.at += 1;
                    return;
                }
                '\\' => {
                    self.at += 1;
                    if let Some(next) = self.peek() {
                        self.at += next.len_utf8();
                        if next != '\n' {
                            if !matches!(next, '"' | '\\' | '$' | '`') {
                                text.push('\\');
                            }
                            text.push(next);
                        }
                    }
                }
                '$' | '`' => self.dollar(text),
                c => {
                    text.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
    }

    /// `$( )`, `` ` ` ``, `${ }`, `$(( ))`, `$NAME`: kept as it stands; the commands in it are looked at.
    fn dollar(&mut self, text: &mut String) {
        let start = self.at;
        let rest = self.rest();
        if rest.starts_with("$((") {
            self.at += rest.find("))").map_or(rest.len(), |at| at + 2);
        } else if rest.starts_with("$(") {
            self.at += 2;
            let close = closing(self.rest(), ')');
            let inner = Span::new(self.at, self.at + close);
            self.inner(inner);
            self.at = (inner.end + 1).min(self.end);
        } else if rest.starts_with("${") {
            self.at += rest.find('}').map_or(rest.len(), |at| at + 1);
        } else if let Some(rest) = rest.strip_prefix('`') {
            let close = rest.find('`').unwrap_or(rest.len());
            let inner = Span::new(self.at + 1, self.at + 1 + close);
            self.inner(inner);
            self.at = (inner.end + 1).min(self.end);
        } else {
            self.at += 1;
        }
        text.push_str(self.text.get(start..self.at).unwrap_or_default());
    }

    fn inner(&mut self, span: Span) {
        if self.depth >= DEEPEST {
            return;
        }
        let (at, end) = (self.at, self.end);
        (self.at, self.end, self.depth) = (span.start, span.end, self.depth + 1);
        self.run(true);
        (self.at, self.end, self.depth) = (at, end, self.depth - 1);
    }
}

/// Where the bracket that closes an open one stands; quotes and brackets within are passed over.
fn closing(text: &str, close: char) -> usize {
    let mut open = 1_usize;
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (None | Some('"'), '\\') => escaped = true,
            (None, '\'' | '"') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            (None, '(') => open += 1,
            (None, c) if c == close => {
                open -= 1;
                if open == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    text.len()
}

/// Whether this can be the name of a variable.
pub(super) fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Script {
        script(text, Span::new(0, text.len()))
    }

    fn words(script: &Script) -> Vec<Vec<&str>> {
        script.commands.iter().map(|command| command.words.iter().map(|word| word.text.as_str()).collect()).collect()
    }

    #[test]
    fn commands_are_found_in_pipes_conditions_and_substitutions() {
        let read = read("if ! a --x \"b c\" | while read l; do d; done\nv=$(e f | g)\n# h\ni \\\n  j 2>/dev/null && k");
        assert_eq!(
            words(&read),
            [
                vec!["a", "--x", "b c"],
                vec!["read", "l"],
                vec!["d"],
                vec!["done"],
                vec!["e", "f"],
                vec!["g"],
                vec![],
                vec!["i", "j"],
                vec!["k"]
            ]
        );
        assert_eq!(read.commands[0].feeds, Some(1));
        assert_eq!(read.commands[0].keywords, ["if", "!"]);
        assert_eq!((read.commands[2].loops, read.commands[7].loops), (1, 0));
        assert!(read.commands[7].checked && read.commands[4].substituted);
        assert_eq!(read.comments.len(), 1);
    }

    #[test]
    fn here_documents_belong_to_their_command_and_their_lines_are_no_commands() {
        let text = "cat > x.json << 'EOF'\n{\"a\": 1}\nrm -rf\nEOF\nb";
        let read = read(text);
        assert_eq!(words(&read), [vec!["cat"], vec!["b"]]);
        assert_eq!(read.commands[0].output.as_ref().map(|word| word.text.as_str()), Some("x.json"));
        assert_eq!(&text[read.commands[0].here.unwrap().range()], "{\"a\": 1}\nrm -rf\n");
    }

    #[test]
    fn quotes_decide_what_a_word_is() {
        let read = read("a '{\"b\": \"$c\"}' \"d \\$e $(f \"g\")\" h\"i\"'j'");
        assert_eq!(words(&read)[1], ["a", "{\"b\": \"$c\"}", "d $e $(f \"g\")", "hij"]);
        assert_eq!(read.commands[1].words[1].quotes, Quotes::Single);
        assert_eq!(read.commands[1].words[3].quotes, Quotes::Open);
    }

    #[test]
    fn strange_texts_end_all_the_same() {
        for text in
            ["'", "\"", "$(", "`", "<<", "a <<EOF", "((((", "))))", "\\", "${", "$((", "a 2>", ">&", "é'日本", "<(a)"]
        {
            let _read = read(text);
        }
    }
}
