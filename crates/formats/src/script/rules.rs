//! What is wrong with scripts as scripts: traps of the shell in which a failover or a report gets lost.

use std::collections::HashSet;

use super::{
    aws::Call,
    lex::{Command, Quotes, Script, Word, is_name},
};
use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    source::{Source, Span},
};

/// Looks at a whole script.
pub(super) fn check(reader: &mut Reader<'_>, source: &Source, script: &Script) {
    shebang(reader, source, script);
    for command in &script.commands {
        dollars(reader, source, command);
        prompts(reader, command);
        wrong_start(reader, command);
    }
    gnu_date(reader, script);
    unset_variables(reader, source, script);
    endless(reader, script);
    says_done(reader, script);
}

/// `#!` that is not at the very beginning.
fn shebang(reader: &mut Reader<'_>, source: &Source, script: &Script) {
    for span in script.comments.iter().filter(|span| source.slice(**span).starts_with("#!/")) {
        if span.start > script.span.start {
            let message =
                "`#!` counts in the first line only; here it is a comment, and whatever shell calls the script runs it";
            reader.report(Finding::new(&codes::SHEBANG, *span, message).help("make it the first line"));
        }
    }
}

/// `"$200"`, which the shell takes for `$2` and `00`.
fn dollars(reader: &mut Reader<'_>, source: &Source, command: &Command) {
    if !matches!(command.name(), "echo" | "printf" | "cat" | "logger") {
        return;
    }
    for word in command.arguments().iter().filter(|word| word.quotes != Quotes::Single) {
        let raw = source.slice(word.span);
        let mut from = 0;
        while let Some(found) = raw[from..].find('$') {
            let at = from + found;
            let digits: String = raw[at + 1..].chars().take_while(|c| c.is_ascii_digit() || *c == ',').collect();
            let escaped = raw[..at].ends_with('\\');
            from = at + 1 + digits.len();
            // `$1` alone is an argument; `$25` and `$1,125` are amounts.
            if digits.trim_end_matches(',').len() > 1 && !escaped {
                let start = word.span.start + at;
                let amount = digits.trim_end_matches(',');
                let (first, rest) = amount.split_at(1);
                let message = format!("the shell takes `${amount}` for the argument ${first} followed by `{rest}`");
                let span = Span::new(start, start + 1 + amount.len());
                reader.report(
                    Finding::new(&codes::DOLLAR_IN_QUOTES, span, message)
                        .help("put the text in single quotes, or write \\$"),
                );
            }
        }
    }
}

/// A client that waits for a password at a terminal that nobody sits at.
fn prompts(reader: &mut Reader<'_>, command: &Command) {
    if !matches!(command.name(), "mysql" | "mysqldump" | "mysqladmin" | "mariadb") {
        return;
    }
    if let Some(word) = command.arguments().iter().find(|word| matches!(word.text.as_str(), "-p" | "--password")) {
        let message =
            format!("`{}` without a password asks for one and waits for ever where nobody answers", word.text);
        reader.report(
            Finding::new(&codes::PROMPTS, word.span, message)
                .help("give it with --defaults-extra-file or MYSQL_PWD, and set --connect-timeout"),
        );
    }
}

/// `date -d`, which only GNU's date has; told once, for it is one decision.
fn gnu_date(reader: &mut Reader<'_>, script: &Script) {
    let dates = script.commands.iter().filter(|command| command.name() == "date");
    if let Some(word) = dates.flat_map(Command::arguments).find(|word| word.text == "-d") {
        let message = "`date -d` is known to GNU's date only; on macOS and BSD the script ends up with an empty time";
        reader.report(
            Finding::new(&codes::GNU_DATE, word.span, message)
                .help("say that the script needs GNU coreutils, or compute the time elsewhere"),
        );
    }
}

/// Agents that are services, started by hand.
fn wrong_start(reader: &mut Reader<'_>, command: &Command) {
    if command.name() == "datadog-agent"
        && command.arguments().first().is_some_and(|word| matches!(word.text.as_str(), "start" | "stop" | "restart"))
    {
        let verb = command.arguments().first().map_or("start", |word| word.text.as_str());
        let message = "the agent is a service: started like this it ends with the terminal, and stands beside the one that is running";
        reader.report(
            Finding::new(&codes::AGENT_BY_HAND, command.span, message)
                .help(format!("write systemctl {verb} datadog-agent")),
        );
    }
}

/// Variables in lower case that nothing has ever set. Those in upper case may come from outside.
fn unset_variables(reader: &mut Reader<'_>, source: &Source, script: &Script) {
    let text = source.slice(script.span);
    let set = names_set(script, text);
    let mut told = HashSet::new();
    for command in &script.commands {
        for word in command.words.iter().filter(|word| word.quotes != Quotes::Single && !word.text.contains("$(")) {
            for (name, at) in used(word, source) {
                if !set.contains(&name) && !name.chars().any(|c| c.is_ascii_uppercase()) && told.insert(name.clone()) {
                    let message = format!("nothing sets `${name}`; the command gets an empty text in its place");
                    let span = Span::new(at, at + name.len() + 1);
                    reader.report(Finding::new(&codes::UNSET_VARIABLE, span, message).help("keep what the command before answers: name=$(aws … --query … --output text); `set -u` ends a script at such a place"));
                }
            }
        }
    }
}

/// Names that the script sets: assignments, `read`, `for`, `local`, `printf -v`, and everything in `. FILE`.
fn names_set(script: &Script, text: &str) -> HashSet<String> {
    let mut set: HashSet<String> = HashSet::new();
    let mut name = |text: &str| {
        let name = text.split(['=', '[']).next().unwrap_or_default().trim_end_matches('+');
        if is_name(name) {
            set.insert(name.to_owned());
        }
    };
    let mut everything = false;
    for command in &script.commands {
        command.assignments.iter().for_each(|word| name(&word.text));
        match command.words.first().map_or("", |word| word.text.as_str()) {
            "for" | "select" | "local" | "declare" | "export" | "readonly" | "typeset" | "read" | "mapfile"
            | "readarray" | "getopts" | "printf" | "env" | "unset" => {
                command.words[1..].iter().for_each(|word| name(&word.text));
            }
            // What another file sets is not known: nothing can be said.
            "source" | "." | "eval" => everything = true,
            _ => {}
        }
    }
    if everything {
        set_everything(text, &mut name);
    }
    set
}

fn set_everything(text: &str, name: &mut impl FnMut(&str)) {
    for piece in text.split('$').skip(1) {
        let piece = piece.trim_start_matches('{');
        let end = piece.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(piece.len());
        name(&piece[..end]);
    }
}

/// `$name` and `${name}` without a default, with their places; what stands in single quotes that are not in double ones, the
/// shell leaves alone.
fn used(word: &Word, source: &Source) -> Vec<(String, usize)> {
    let raw = source.slice(word.span);
    let mut found = Vec::new();
    let (mut single, mut double, mut escaped) = (false, false, false);
    for (at, c) in raw.char_indices() {
        match c {
            '\'' if !double => single = !single,
            '"' if !single => double = !double,
            '$' if !single && !escaped => {
                let rest = &raw[at + 1..];
                let (rest, braced) = rest.strip_prefix('{').map_or((rest, false), |rest| (rest, true));
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
                let (name, after) = rest.split_at(end);
                // `${name:-default}` and its like say themselves what happens.
                if is_name(name) && (!braced || after.starts_with('}')) {
                    found.push((name.to_owned(), word.span.start + at));
                }
            }
            _ => {}
        }
        // `\$` is a dollar, and `$$` the shell itself: neither begins a name, and what follows stands for itself.
        escaped = !escaped && !single && matches!(c, '\\' | '$');
    }
    found
}

/// Most commands of a loop that are looked at.
const LONGEST_LOOP: usize = 200;

/// `while true` that asks, sleeps, and has no end but success.
fn endless(reader: &mut Reader<'_>, script: &Script) {
    for (index, command) in script.commands.iter().enumerate() {
        let forever = command.keywords.iter().any(|word| word == "while") && matches!(command.name(), "true" | ":");
        if !forever {
            continue;
        }
        let body: Vec<&Command> = script.commands[index + 1..]
            .iter()
            .take_while(|inner| inner.name() != "done" || inner.loops >= command.loops)
            .take(LONGEST_LOOP)
            .collect();
        let sleeps = body.iter().any(|inner| inner.name() == "sleep");
        let asks = body.iter().any(|inner| matches!(inner.name(), "aws" | "curl" | "kubectl"));
        let leaves = body.iter().any(|inner| matches!(inner.name(), "break" | "return" | "exit"));
        let counts = body.iter().any(|inner| {
            inner.assignments.iter().any(|word| word.text.contains("$(("))
                || inner.name() == "let"
                || inner.words.iter().any(|word| word.text.contains("SECONDS") || word.text.contains("++"))
        });
        if sleeps && asks && leaves && !counts {
            let message = "this waits for one state for ever: it does not count, and looks at no clock";
            reader.report(
                Finding::new(&codes::ENDLESS_WAIT, command.span, message)
                    .help("bound it, and wait for what changes (another writer, a new generation): the state may still be the old one when the first question is asked"),
            );
        }
    }
}

/// Calls that change something.
pub(super) fn changes(command: &Command) -> bool {
    if let Some(call) = Call::of(command) {
        let reads = ["describe-", "list-", "get-", "filter-", "lookup-", "wait", "publish"];
        return !reads.iter().any(|verb| call.operation.text.starts_with(verb));
    }
    matches!(command.name(), "kubectl")
        && command
            .arguments()
            .iter()
            .any(|word| matches!(word.text.as_str(), "scale" | "apply" | "delete" | "rollout" | "patch"))
}

/// A script that says it is done, whatever became of its steps.
fn says_done(reader: &mut Reader<'_>, script: &Script) {
    let careful = script.commands.iter().any(|command| {
        command.name() == "set"
            && command
                .arguments()
                .iter()
                .any(|word| word.text.starts_with('-') && word.text.contains('e') || word.text == "errexit")
            || command.name() == "trap"
    });
    if careful {
        return;
    }
    let Some(change) = script.commands.iter().position(|command| changes(command) && !command.checked) else { return };
    let claim = script.commands[change..].iter().find(|command| {
        let words: String = command.words.iter().map(|word| word.text.to_lowercase() + " ").collect();
        let says = ["completed", "successful", "executed", "created", "完成", "成功", "完了"]
            .iter()
            .any(|word| words.contains(word));
        !command.checked && command.name() == "echo" && says && !words.contains("failed")
    });
    if let Some(claim) = claim {
        let message = "the script says so whatever became of the commands before: it goes on when they fail";
        reader.report(
            Finding::new(&codes::SAYS_DONE, claim.span, message)
                .help("begin with `set -euo pipefail`, and ask afterwards whether what was wanted is so"),
        );
    }
}
