//! The command line of `shaketable review`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// `shaketable review`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Review {
    /// What to do, if not to show where the workload stands.
    #[command(subcommand)]
    pub(crate) command: Option<Verb>,
    #[command(flatten)]
    pub(crate) show: Show,
}

/// `shaketable review FILE`
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The review: a workload with its answers.
    #[arg(required = true)]
    pub(crate) file: Option<PathBuf>,
    /// When it is looked at, for evidence expires: a day or a time of RFC 3339; now if not given.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) at: Option<Timestamp>,
    /// The milestone to compare with; the last one if not given.
    #[arg(long, value_name = "MILESTONE")]
    pub(crate) since: Option<String>,
    /// Look at a milestone instead of today's answers, compared with the one before it or with `--since`.
    #[arg(long, value_name = "MILESTONE")]
    pub(crate) of: Option<String>,
    #[command(flatten)]
    pub(crate) month: Month,
    #[command(flatten)]
    pub(crate) form: Form,
    /// Also write a page for people: one file, for screen and paper.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// The month whose figures are shown.
#[derive(Debug, Args)]
pub(crate) struct Month {
    /// Incidents from which the month's figures are computed; what the review names under `history` if not given.
    #[arg(long, value_name = "FILE")]
    pub(crate) history: Option<PathBuf>,
    /// The month, such as 2026-10; the last one that was observed to its end if not given.
    #[arg(long, value_name = "MONTH", value_parser = month)]
    pub(crate) month: Option<Date>,
}

/// In which form something is printed; as text if none is chosen.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct Form {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Print CSV: a row for each practice that is not followed.
    #[arg(long)]
    pub(crate) csv: bool,
    /// Print Markdown.
    #[arg(long)]
    pub(crate) markdown: bool,
}

/// In which form a page is printed; as Markdown if none is chosen.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct PageForm {
    /// Print a page for screen and paper: one file.
    #[arg(long)]
    pub(crate) html: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Print CSV: a row for each line of the page.
    #[arg(long)]
    pub(crate) csv: bool,
}

/// What to do with lenses and reviews.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Look at a lens: what it asks, and what is wrong with its rules.
    #[command(after_help = "\
Exit codes: 0 the lens can be used, 2 it cannot, or what was asked to be exported would be refused by AWS.

Examples:
  shaketable review lens
  shaketable review lens my-lens.json --export checked.json")]
    Lens {
        /// The lens: JSON of the custom lens format, schema 2021-11-01; the built-in reliability lens if not given.
        file: Option<PathBuf>,
        /// Write it to a file, strictly: refused where AWS would refuse it.
        #[arg(long, value_name = "FILE")]
        export: Option<PathBuf>,
        /// Export it as it was read, even if AWS would refuse it.
        #[arg(long, requires = "export")]
        as_read: bool,
        /// Print findings as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Answer the questions of a lens, line by line; saved after every answer.
    Ask {
        /// The review; made if it is not there.
        file: PathBuf,
        /// For a new review: the lens, relative to the review; the built-in reliability lens if not given.
        #[arg(long, value_name = "FILE")]
        lens: Option<String>,
        /// Ask all questions, those too that are answered.
        #[arg(long)]
        all: bool,
    },
    /// Keep the answers as they are now under a name.
    Milestone {
        /// The review.
        file: PathBuf,
        /// The name; none of the review's milestones has it yet.
        name: String,
    },
    /// Carry the answers over to another edition of the lens.
    Upgrade {
        /// The review.
        file: PathBuf,
        /// The lens that was answered.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// The lens to answer from now on, relative to the review; the built-in one if not given.
        #[arg(long, value_name = "FILE")]
        to: Option<String>,
        /// Say what would become of every question, and write nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Print a plan of 90 days with owners, dates and dependencies.
    Plan {
        /// The review.
        file: PathBuf,
        /// The first day; the review's own, or today, if not given.
        #[arg(long, value_name = "DAY")]
        from: Option<Date>,
        #[command(flatten)]
        form: Form,
    },
    /// Print a page to work with, filled from the review; as Markdown if nothing else is chosen.
    Page {
        /// Which one.
        #[arg(value_enum)]
        page: Page,
        /// The review.
        file: PathBuf,
        /// When; now if not given.
        #[arg(long, value_name = "TIME", value_parser = time)]
        at: Option<Timestamp>,
        #[command(flatten)]
        month: Month,
        #[command(flatten)]
        form: PageForm,
    },
}

/// Pages to work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Page {
    /// Before a review: what must be at hand, who takes part, four weeks with dates.
    Preparation,
    /// After an improvement: what to validate.
    Validation,
    /// Each month: figures, agenda, decisions.
    Month,
    /// In an incident: severities, steps, and what to write to whom.
    Playbook,
}

/// A time of RFC 3339, or a day, which begins at midnight UTC.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    let day = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let time = text.parse::<Timestamp>().ok().or_else(day);
    time.ok_or_else(|| format!("`{text}` is no time; write for example 2026-10-01 or 2026-10-01T09:30:00Z"))
}

/// A month by its first day.
fn month(text: &str) -> Result<Date, String> {
    format!("{text}-01").parse().map_err(|_| format!("`{text}` is no month; write for example 2026-10"))
}
