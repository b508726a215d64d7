//! What a run hands over: a summary on the terminal, a page for people, a file for programs, a file for build servers.
//!
//! ```text
//!            ┌─ Summary     the terminal: clause by clause, in columns
//!   Record ──┼─ Page        report.html: everything, with plots
//!            ├─ json        report.json: the record itself
//!            └─ Suite       junit.xml: a test case for each clause and each safety property
//! ```
//!
//! All of them are functions of a [`Record`](crate::Record). [`write()`] puts the files into a folder and keeps those of earlier runs:
//!
//! ```text
//!   DIR/report.html  report.json  junit.xml                           the last run
//!   DIR/history/20261122T011713Z-9f2a6c1b/report.html ...              every run: when it started, and which document
//! ```
//!
//! so that the report of a run can link to, and be compared with, the run of the same document before it.

pub mod columns;
mod escape;
mod folder;
mod html;
mod json;
mod junit;
#[cfg(test)]
mod markup;
mod plot;
mod plots;
#[cfg(test)]
mod sample;
pub mod sentence;
mod terminal;
mod words;

pub use self::{
    escape::Markup,
    folder::{Paths, link, write},
    html::Page,
    json::json,
    junit::Suite,
    terminal::{Style, Summary},
};

/// The style of every page that Shaketable writes: colours for light and dark, type, tables, and how they print.
pub const STYLE: &str = include_str!("report.css");

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever changes the look of a report opens these in a browser.
    #[test]
    fn sample_reports_lie_in_the_target_folder() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/sample-reports");
        std::fs::create_dir_all(&folder).unwrap();
        for (name, record) in sample::all() {
            let page = Page::new(&record).to_string();
            assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
            std::fs::write(folder.join(format!("{name}.html")), page).unwrap();
        }
    }
}
