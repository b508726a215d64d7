//! `shaketable check`: everything that is wrong with documents, without running anything.

use std::{
    env, fs,
    io::{self, Read},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, Result};
use formats::{Checked, Finding, Kind, Options, Severity, Source};
use model::catalogue::Catalogue;

use crate::{
    actions,
    args::{Check, FindingFormat, Reading},
    review,
    terminal::{self, Style},
};

/// How documents are to be read, with the options of the call.
pub(crate) fn options<'a>(reading: &Reading, catalogue: &'a Catalogue) -> Options<'a> {
    Options {
        params: reading.params.iter().cloned().collect(),
        experiment: reading.experiment.clone(),
        ..Options::new(catalogue)
    }
}

/// Checks files and prints what is found.
pub(crate) fn check(call: &Check, style: Style) -> Result<ExitCode> {
    let catalogue = actions::native();
    let options = options(&call.reading, &catalogue);
    let mut all = Vec::new();
    for file in &call.files {
        let name = file.display().to_string();
        let bytes = read(file).with_context(|| format!("cannot read {name}"))?;
        all.push(checked(&name, &bytes, &options));
    }
    match call.format {
        FindingFormat::Text => terminal::out(&text(&all, style)),
        FindingFormat::Json => {
            let files: Vec<_> = all
                .iter()
                .flat_map(|one| {
                    formats::render::json(&one.findings, &one.source).as_array().cloned().unwrap_or_default()
                })
                .collect();
            terminal::out(&(serde_json::to_string_pretty(&files)? + "\n"));
        }
        FindingFormat::Sarif => {
            // Code scanning looks for files below the root of the project, where it calls this.
            let base = env::current_dir().map(|base| base.display().to_string()).unwrap_or_default();
            let files = all.iter().map(|one| (one.findings.as_slice(), &one.source));
            let sarif = formats::render::sarif(files, &base);
            terminal::out(&(serde_json::to_string_pretty(&sarif)? + "\n"));
        }
    }
    let wrong = all.iter().any(|one| formats::has_errors(&one.findings));
    Ok(ExitCode::from(if wrong { 2 } else { 0 }))
}

/// What is found in a file; of a lens also what an analysis of its rules finds, of a review what does not fit its lens.
fn checked(name: &str, bytes: &[u8], options: &Options<'_>) -> Checked {
    let mut checked = formats::check(name, bytes, options);
    let more = match checked.kind {
        Kind::Lens => {
            let read = review::analysed(name, bytes);
            Some((read.findings, read.source))
        }
        Kind::Review => review::fitting(name, bytes).map(|read| (read.findings, read.source)),
        _ => None,
    };
    if let Some((findings, source)) = more {
        (checked.findings, checked.source) = (findings, source);
    }
    checked
}

/// A file, or as much of it as shows that it is too large to be looked at.
fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(formats::MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    fs::File::open(file)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text(all: &[Checked], style: Style) -> String {
    let of_one = |one: &Checked| {
        let findings = formats::render::terminal(&one.findings, &one.source, style.colour);
        let summary = summary(&one.findings).unwrap_or_else(|| "nothing found".to_owned());
        let inner = match one.parts.len() {
            0 => String::new(),
            1 => ", with a document in it".to_owned(),
            count => format!(", with {count} documents in it"),
        };
        format!("{findings}{} ({}{inner}): {summary}\n", one.source.path(), one.kind)
    };
    all.iter().map(of_one).collect()
}

/// Prints what was found in a document that is about to be run, but for notes, which `check` shows; gives back whether it
/// can be run.
pub(crate) fn show(findings: &[Finding], source: &Source, style: Style) -> bool {
    let grave: Vec<_> = findings.iter().filter(|finding| finding.severity > Severity::Note).cloned().collect();
    terminal::err(&formats::render::terminal(&grave, source, style.colour));
    if formats::has_errors(findings) {
        let summary = summary(findings).unwrap_or_default();
        terminal::err(&format!("{}: {summary}; nothing was run\n", source.path()));
        return false;
    }
    true
}

/// `2 errors, 1 warning`
fn summary(findings: &[Finding]) -> Option<String> {
    let count = |severity: Severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let parts: Vec<_> = [Severity::Error, Severity::Warning, Severity::Note]
        .into_iter()
        .map(|severity| (count(severity), severity))
        .filter(|(count, _)| *count > 0)
        .map(|(count, severity)| format!("{count} {severity}{}", if count == 1 { "" } else { "s" }))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_read_without_an_error() {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        let catalogue = actions::native();
        let mut files = 0;
        let folders =
            ["costs", "experiments", "fis", "incidents", "labs", "policies", "reviews", "suites", "workloads"];
        for folder in folders {
            for entry in fs::read_dir(examples.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                let checked =
                    formats::check(&path.to_string_lossy(), &fs::read(&path).unwrap(), &Options::new(&catalogue));
                let shown = formats::render::terminal(&checked.findings, &checked.source, false);
                assert!(!formats::has_errors(&checked.findings), "{shown}");
                assert_ne!(checked.kind, Kind::Unknown, "{}", path.display());
                files += 1;
            }
        }
        assert!(files > 10);
    }
}
