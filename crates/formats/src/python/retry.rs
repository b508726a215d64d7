//! Retries: loops that sleep, decorators around clients that retry themselves, settings of botocore.

use std::collections::HashSet;

use super::{Line, Program, name_before};
use crate::{codes, decode::Reader, finding::Finding};

/// Lines before a loop in which its counter is looked for.
const NEAR: usize = 50;

/// Looks at a whole program.
pub(super) fn check(reader: &mut Reader<'_>, program: &Program<'_>) {
    for (index, line) in program.lines.iter().enumerate() {
        if line.text.starts_with("while ") || line.text.starts_with("for ") {
            retry_loop(reader, program, index);
        }
        settings(reader, program, line);
    }
    nested(reader, program);
}

/// A loop that sleeps between its rounds and catches what goes wrong in them.
fn retry_loop(reader: &mut Reader<'_>, program: &Program<'_>, index: usize) {
    let head = &program.lines[index];
    let body = program.block(index);
    let tries = body.iter().any(|line| line.text == "try:");
    if !tries || !body.iter().any(|line| line.text.contains("sleep(")) {
        return;
    }
    if let Some((counter, limit)) =
        head.text.strip_prefix("while ").and_then(|text| text.trim_end_matches(':').split_once('<'))
    {
        let (counter, limit) = (counter.trim(), limit.trim_start_matches('=').trim());
        let zero = format!("{counter} = 0");
        if program.lines[..index].iter().rev().take(NEAR).any(|line| line.text == zero) {
            exponent(reader, body, counter);
            attempts(reader, program, index, limit);
        }
    }
    jitter(reader, body);
    everything(reader, body);
}

/// The counter is raised before it becomes an exponent.
fn exponent(reader: &mut Reader<'_>, body: &[Line<'_>], counter: &str) {
    let raised = format!("{counter} += 1");
    let Some(at) = body.iter().position(|line| line.text == raised) else { return };
    for line in &body[at + 1..] {
        let place = [format!("** {counter}"), format!("**{counter}")].iter().find_map(|part| {
            let place = line.place(part)?;
            // `n - 1` is what is right.
            let rest = &line.text[place.end - line.start..];
            (!rest.trim_start().starts_with(['-', '+', '_']) && !rest.starts_with(char::is_alphanumeric))
                .then_some(place)
        });
        if let Some(place) = place {
            let message = format!("`{counter}` is 1 already at the first wait, which so is twice the base");
            reader.report(
                Finding::new(&codes::FIRST_WAIT_DOUBLED, place, message).help(format!("write ** ({counter} - 1)")),
            );
            return;
        }
    }
}

/// A number of retries as the number of calls.
fn attempts(reader: &mut Reader<'_>, program: &Program<'_>, index: usize, limit: &str) {
    let head = &program.lines[index];
    let behind = program.lines.get(index + 1 + program.block(index).len());
    let falls_off = behind.is_none_or(|line| line.indent < head.indent);
    if limit.to_lowercase().contains("retr") && falls_off {
        let message = format!(
            "the loop makes `{limit}` calls, not as many retries: 1 never retries, and 0 calls nothing and gives back None"
        );
        reader.report(
            Finding::new(&codes::ATTEMPTS_NOT_RETRIES, head.span(), message)
                .help("call it max_attempts and refuse 0, or call once more"),
        );
    }
}

/// `delay = min(…)`, and then a random factor.
fn jitter(reader: &mut Reader<'_>, body: &[Line<'_>]) {
    let mut capped: HashSet<&str> = HashSet::new();
    for line in body {
        let Some((name, sign)) =
            [" = ", " *= ", " += "].iter().find_map(|sign| Some((line.text.split_once(sign)?.0, sign)))
        else {
            continue;
        };
        if line.text.contains("random") && !line.text.contains("min(") && capped.remove(name) {
            let message = format!("`{name}` is made longer after it was capped; the wait is longer than the maximum");
            reader.report(
                Finding::new(&codes::JITTER_AFTER_CAP, line.span(), message)
                    .help("apply the jitter first and cap last"),
            );
        } else if *sign == " = " && line.text[name.len()..].starts_with(" = min(") {
            capped.insert(name);
        }
    }
}

/// `except Exception` in a loop that tries again.
fn everything(reader: &mut Reader<'_>, body: &[Line<'_>]) {
    for (at, line) in body.iter().enumerate().filter(|(_, line)| catches_all(line.text)) {
        let handler: Vec<&Line<'_>> = body[at + 1..].iter().take_while(|inner| inner.indent > line.indent).collect();
        // A handler that asks what it caught decides for itself.
        let decides = handler.iter().any(|inner| {
            ["isinstance", "retryable", "status", "code", "is_transient"].iter().any(|word| inner.text.contains(word))
        });
        if !decides {
            let message = "every exception is tried again, a mistake in the call as well as a throttled one";
            reader.report(Finding::new(&codes::RETRIES_EVERYTHING, line.span(), message).help(
                "name what may pass (throttling, timeouts, 5xx); give retries a budget and the whole a deadline",
            ));
        }
    }
}

/// Whether a line catches whatever is raised.
pub(super) fn catches_all(text: &str) -> bool {
    text == "except:" || text.starts_with("except Exception") || text.starts_with("except BaseException")
}

/// Settings of botocore that mean something else, or nothing.
fn settings(reader: &mut Reader<'_>, program: &Program<'_>, line: &Line<'_>) {
    if line.text.contains("Config(") && line.text.contains("retries") && program.imports("botocore") {
        for part in ["'max_attempts'", "\"max_attempts\""] {
            if let Some(place) = line.place(part) {
                let message = "here `max_attempts` counts retries: there is one request more than it says; in the environment and the configuration file it counts requests";
                reader.report(
                    Finding::new(&codes::ATTEMPTS_MEANING, place, message)
                        .help("write 'total_max_attempts', which counts requests everywhere"),
                );
            }
        }
    }
    if line.text.starts_with("os.environ[") && program.imports("boto3") && line.text.contains("AWS_SDK_LOAD_CONFIG") {
        let message = "boto3 does not read AWS_SDK_LOAD_CONFIG; it belongs to other SDKs, and is no timeout";
        reader.report(
            Finding::new(&codes::NO_EFFECT, line.span(), message)
                .help("set connect_timeout and read_timeout of Config, below the timeout of the function"),
        );
    }
}

/// A decorator that retries, on a function that calls boto3.
fn nested(reader: &mut Reader<'_>, program: &Program<'_>) {
    let once = [
        "'max_attempts': 0",
        "'max_attempts': 1",
        "'total_max_attempts': 1",
        "\"max_attempts\": 0",
        "\"total_max_attempts\": 1",
    ];
    if !program.imports("boto3") || once.iter().any(|setting| program.text.contains(setting)) {
        return;
    }
    let mut clients: HashSet<&str> = HashSet::new();
    for line in &program.lines {
        let Some((name, value)) = line.text.split_once(" = ") else { continue };
        let derived = value.split_once('.').is_some_and(|(first, _)| clients.contains(first));
        if value.starts_with("boto3.client(") || value.starts_with("boto3.resource(") || derived {
            clients.insert(name);
        }
    }
    for (index, line) in program.lines.iter().enumerate() {
        let name = line.text.strip_prefix('@').and_then(|text| text.split('(').next());
        if !name.is_some_and(|name| name.to_lowercase().contains("retry")) {
            continue;
        }
        let Some(function) = program.decorated(index) else { continue };
        let calls = program.block(function).iter().any(|inner| asks_one(inner.text, &clients));
        if calls {
            let message = "boto3 retries by itself, and this retries what it has given up: attempts multiply";
            reader.report(
                Finding::new(&codes::NESTED_RETRIES, line.span(), message)
                    .help("keep one of the two: set retries={'total_max_attempts': 1}, or remove the decorator"),
            );
        }
    }
}

/// Whether a line asks something of one of these: their name, `self.table` or `table`, stands before a dot.
fn asks_one(text: &str, clients: &HashSet<&str>) -> bool {
    text.match_indices('.').any(|(at, _)| clients.contains(name_before(text, at)))
}
