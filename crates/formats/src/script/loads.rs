//! Load tools in scripts.

use super::lex::{Command, Script};
use crate::{codes, decode::Reader, finding::Finding};

/// Tools that make load, and the packages of Debian that bring them.
const TOOLS: &[(&str, &str)] = &[
    ("ab", "apache2-utils"),
    ("wrk", "wrk"),
    ("siege", "siege"),
    ("sysbench", "sysbench"),
    ("hey", "hey"),
    ("k6", "k6"),
    ("fio", "fio"),
    ("stress-ng", "stress-ng"),
];

/// Looks at a whole script.
pub(super) fn check(reader: &mut Reader<'_>, script: &Script) {
    let installed: Vec<&str> = script
        .commands
        .iter()
        .filter(|command| {
            matches!(command.name(), "apt-get" | "apt" | "yum" | "dnf" | "apk" | "brew")
                && (command.has("install") || command.has("add"))
        })
        .flat_map(|command| command.arguments().iter().map(|word| word.text.as_str()))
        .collect();
    for (tool, package) in TOOLS {
        let used = script.commands.iter().find(|command| command.name() == *tool);
        // A script that installs tools of load is meant to bring all it uses.
        let brings_others = TOOLS.iter().any(|(_, package)| installed.contains(package));
        if let Some(command) = used
            && brings_others
            && !installed.contains(package)
        {
            let message = format!("`{tool}` is used, but the script installs other tools only");
            reader.report(
                Finding::new(&codes::LOAD_TOOL, command.span, message).help(format!("install {package} as well")),
            );
        }
    }
    let sysbench: Vec<&Command> = script.commands.iter().filter(|command| command.name() == "sysbench").collect();
    if let Some(run) = sysbench.iter().find(|command| command.has("run"))
        && !sysbench.iter().any(|command| command.has("prepare"))
    {
        let message = "`sysbench … run` without `prepare` finds no tables, and without `cleanup` leaves them";
        reader.report(
            Finding::new(&codes::LOAD_TOOL, run.span, message).help("run it with `prepare` before and `cleanup` after"),
        );
    }
}
