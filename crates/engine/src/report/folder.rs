//! The folder that reports are written into, and the earlier runs in it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Page, Suite, json, words::whole_seconds};
use crate::{Record, compare::compare, record::Changes};

/// Where every run's files are kept, within the report folder.
const HISTORY: &str = "history";
/// Digits of the document's hash in a folder's name: enough to tell a person's documents apart. The hash itself decides.
const DIGITS: usize = 8;

/// Where the files of a report lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The page for people.
    pub html: PathBuf,
    /// The record, for programs.
    pub json: PathBuf,
    /// The verdict, for build servers.
    pub junit: PathBuf,
    /// The folder of this run alone, which later runs leave as it is.
    pub kept: PathBuf,
}

/// Sets [`Record::previous`] from the last run of the same document whose report lies in this folder, if there is one.
///
/// Reports that cannot be read, or not be compared with, are passed over: an old file must not cost a new report.
pub fn link(folder: &Path, record: &mut Record) {
    record.previous = previous(folder, record);
}

fn previous(folder: &Path, record: &Record) -> Option<Changes> {
    let suffix = format!("-{}", digits(record));
    let mut names: Vec<String> = fs::read_dir(folder.join(HISTORY))
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| base(name).ends_with(&suffix))
        .collect();
    // Names begin with the time of the start, so that the last one in order is the last run.
    names.sort_by(|one, other| (base(one), number(one)).cmp(&(base(other), number(other))));
    names.iter().rev().find_map(|name| {
        let text = fs::read_to_string(folder.join(HISTORY).join(name).join("report.json")).ok()?;
        let earlier: serde_json::Value = serde_json::from_str(&text).ok()?;
        compare(&earlier, record, Some(format!("{HISTORY}/{name}/report.html"))).ok()
    })
}

/// A folder's name without the number that distinguishes runs of the same second.
fn base(name: &str) -> &str {
    name.split_once('.').map_or(name, |(base, _)| base)
}

/// That number; 1 for the first run of a second.
fn number(name: &str) -> u32 {
    name.split_once('.').and_then(|(_, number)| number.parse().ok()).unwrap_or(1)
}

fn digits(record: &Record) -> String {
    record.document.hash.chars().take(DIGITS).filter(char::is_ascii_alphanumeric).collect()
}

/// Writes `report.html`, `report.json` and `junit.xml` into a folder, which is made if need be, and keeps a copy that later runs do
/// not replace. Call [`link`] before, so that the report says what changed.
///
/// Each file appears whole or not at all: it is written beside its place and then renamed.
///
/// # Errors
///
/// When the folder or a file in it cannot be written. Files that were there before are then still whole.
pub fn write(folder: &Path, record: &Record) -> io::Result<Paths> {
    let kept = new_folder(&folder.join(HISTORY), record)?;
    let (data, suite) = (json(record).map_err(io::Error::other)?, Suite(record).to_string());
    put(&kept.join("report.html"), &Page::lying_in(record, "../../").to_string())?;
    put(&kept.join("report.json"), &data)?;
    put(&kept.join("junit.xml"), &suite)?;
    let paths = Paths {
        html: folder.join("report.html"),
        json: folder.join("report.json"),
        junit: folder.join("junit.xml"),
        kept,
    };
    put(&paths.html, &Page::new(record).to_string())?;
    put(&paths.json, &data)?;
    put(&paths.junit, &suite)?;
    Ok(paths)
}

/// Makes the folder of this run: `20261122T011713Z-9f2a6c1b`, and `….2` for a second one in the same second.
fn new_folder(history: &Path, record: &Record) -> io::Result<PathBuf> {
    fs::create_dir_all(history)?;
    // Signs do not belong into the name of a folder, nor does a fraction of a second, which nobody reads.
    let started: String = whole_seconds(&record.started).chars().filter(char::is_ascii_alphanumeric).collect();
    let name = format!("{started}-{}", digits(record));
    for number in 1_u32.. {
        let path = history.join(if number == 1 { name.clone() } else { format!("{name}.{number}") });
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Writes a file so that it is never seen half-written.
fn put(path: &Path, text: &str) -> io::Result<()> {
    // Two processes that report into one folder must not write into the same file.
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    fs::write(&beside, text).and_then(|()| fs::rename(&beside, path)).inspect_err(|_| drop(fs::remove_file(&beside)))
}

#[cfg(test)]
mod tests {
    use model::verdict::Verdict;

    use super::*;
    use crate::report::sample;

    fn run(folder: &Path, started: &str, verdict: Verdict) -> Record {
        let mut record = sample::green();
        record.started = started.to_owned();
        record.verdict = verdict;
        link(folder, &mut record);
        write(folder, &record).unwrap();
        record
    }

    #[test]
    fn a_run_is_compared_with_the_last_one_of_the_same_document() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let first = run(folder, "2026-11-22T01:17:13.123456Z", Verdict::Red);
        assert_eq!(first.previous, None);
        run(folder, "2026-11-22T01:18:00Z", Verdict::Yellow);
        // A run of another document, and rubbish, in between.
        let mut other = sample::green();
        other.document = crate::record::Document::new("other.yaml", b"other");
        link(folder, &mut other);
        assert_eq!(other.previous, None);
        write(folder, &other).unwrap();
        let rubbish = folder.join(HISTORY).join(format!("20270101T000000Z-{}", digits(&first)));
        fs::create_dir(&rubbish).unwrap();
        fs::write(rubbish.join("report.json"), "{").unwrap();

        let last = run(folder, "2026-11-22T01:19:00Z", Verdict::Green).previous.unwrap();
        assert_eq!((last.verdict, last.started.as_str()), (Verdict::Yellow, "2026-11-22T01:18:00Z"));
        assert_eq!((last.lines[0].before.as_str(), last.lines[0].now.as_str()), ("yellow", "green"));
        let link = last.report.unwrap();
        assert!(folder.join(&link).is_file(), "{link}");
        let page = fs::read_to_string(folder.join("report.html")).unwrap();
        assert!(page.contains(&format!("href=\"{link}\"")), "the page links to the earlier one");
    }

    #[test]
    fn the_kept_page_links_from_where_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        let paths = write(folder.path(), &sample::green()).unwrap();
        let page = fs::read_to_string(paths.kept.join("report.html")).unwrap();
        assert!(page.contains("href=\"../../history/20261121T164002Z-9f2a6c1b/report.html\""));
    }

    #[test]
    fn runs_of_the_same_second_are_all_kept_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..11 {
            let verdict = if number % 2 == 0 { Verdict::Green } else { Verdict::Red };
            run(folder.path(), "2026-11-22T01:17:13Z", verdict);
        }
        let last = run(folder.path(), "2026-11-22T01:17:13Z", Verdict::Red).previous.unwrap();
        assert_eq!((last.verdict, last.report.unwrap().ends_with(".11/report.html")), (Verdict::Green, true));
    }

    #[test]
    fn nothing_but_whole_files_is_left_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &sample::red()).unwrap();
        let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["history", "junit.xml", "report.html", "report.json"]);
    }
}
