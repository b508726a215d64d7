//! The command line: one clap table, from which help, completions and the man page are derived.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::tz::TimeZone;
use model::{
    Period,
    incident::When,
    lab::{Breaker, Downstream},
};

/// Breaks running systems on purpose and under control, measures whether they hold, undoes everything, and gives a
/// verdict with evidence.
#[derive(Debug, Parser)]
#[command(name = "shaketable", version, max_term_width = 100, propagate_version = true)]
#[command(after_help = "\
Exit codes of `run`: 0 green, 1 red, 3 yellow, 4 invalid or inconclusive, 2 the document or the call is wrong, \
130 interrupted (after undoing).

Examples:
  shaketable run examples/experiments/instance-termination.yaml
  shaketable check template.json
  shaketable doctor")]
pub(crate) struct Shaketable {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Say more on standard error; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Colours and live progress: when the output is a terminal, always, or never.
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub(crate) color: Colour,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// When the output is a terminal and NO_COLOR is not set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run an experiment and give a verdict.
    #[command(after_help = "\
Examples:
  shaketable run examples/experiments/instance-termination.yaml --report report
  shaketable run template.yaml --lab examples/labs/staging.yaml --dry-run
  shaketable run stack.yaml --experiment EC2StopExperiment --param Stage=test --lab labs/staging.yaml")]
    Run(Run),
    /// Find everything that is wrong with documents, without running anything.
    #[command(after_help = "\
Reads what the other commands read: experiments, labs, policies, workloads, incidents, costs, suites, lenses and reviews; and \
what people have already: AWS FIS templates, CloudFormation, Route 53 change batches and health checks, CloudWatch alarms and \
dashboards, SSM automation, plans of AWS Backup and Incident Manager, IAM policies, settings of load balancers, manifests of \
Chaos Mesh and Kubernetes, inventories and operations sheets, shell scripts, Python, Mermaid, and Markdown with any of these in \
fenced blocks. What a file is, is told from its content. Exit code 0: no errors; 2: errors.

Examples:
  shaketable check template.json
  shaketable check runbooks/*.md failover.sh stack.yaml
  shaketable check experiments/*.yaml --format sarif > findings.sarif")]
    Check(Check),
    /// Explain a finding by its code: cause, consequence, cure.
    #[command(after_help = "\
Examples:
  shaketable explain R101
  shaketable explain secondary-shares-check
  shaketable explain")]
    Explain(Explain),
    /// List the actions of the catalogue, or explain one.
    #[command(after_help = "\
Examples:
  shaketable actions
  shaketable actions network:latency
  shaketable actions --format json")]
    Actions(Actions),
    /// Say what this machine and this user can and cannot do, fault by fault, and why.
    Doctor(Doctor),
    /// Say what is injected on this host, by whom, and what earlier runs left behind.
    #[command(after_help = "\
Exit codes: 0 nothing is left behind, 1 something is.

Examples:
  shaketable status
  shaketable status --format json")]
    Status(Status),
    /// Stop what injects on this host, and undo what is left behind.
    #[command(after_help = "\
A process that injects is asked to stop (SIGTERM), and killed when it does not. Exit codes: 0 everything is undone, 1 \
something is left; it is said what, and how to repair it.

Examples:
  shaketable undo --all
  shaketable undo 4711-0")]
    Undo(Undo),
    /// Have what a crash of the machine leaves behind undone early at the next boot, by systemd.
    #[command(after_help = "\
Examples:
  shaketable install-recovery --print
  shaketable install-recovery")]
    InstallRecovery(InstallRecovery),
    /// Bring a lab up by hand, look at it, take it down.
    #[command(subcommand)]
    Lab(Lab),
    /// Carry TCP and HTTP and add faults to it, told by Toxiproxy's HTTP API.
    #[command(after_help = "\
Clients of Toxiproxy work unchanged, and so do its flags, with one dash or two. See docs/proxy.md.

Examples:
  shaketable proxy --config examples/proxy/toxiproxy.json
  curl -d '{\"name\": \"redis\", \"listen\": \"127.0.0.1:26379\", \"upstream\": \"127.0.0.1:6379\"}' \\
    http://127.0.0.1:8474/proxies
  curl -d '{\"type\": \"latency\", \"attributes\": {\"latency\": 300}}' http://127.0.0.1:8474/proxies/redis/toxics")]
    Proxy(Proxy),
    /// The built-in demo application: a small HTTP service with a downstream call.
    DemoApp(DemoApp),
    /// Review how reliable a workload is: where it stands, what to improve first, and when.
    #[command(after_help = "\
Exit codes: 0 no risk, 1 a question has a high risk, 3 one has a medium risk or no answer yet, 2 a document or the call is \
wrong. See docs/review.md.

Examples:
  shaketable review examples/reviews/web-shop.yaml --html review.html
  shaketable review ask my-review.yaml
  shaketable review plan my-review.yaml --from 2026-12-01
  shaketable review lens my-lens.json")]
    Review(crate::review::args::Review),
    /// Show what retries, breakers and limits do to the load on a dependency.
    #[command(subcommand)]
    Patterns(Patterns),
    /// Say what incidents of the past mean: availability, MTBF, MTTR, MTTD with intervals, and whether it gets better.
    #[command(after_help = "\
A file that ends in .csv or .tsv is a table of incidents, everything else a document. See docs/history.md.

Examples:
  shaketable history examples/incidents/thirty-days.yaml
  shaketable history examples/incidents/year.csv --from 2024-01-01 --to 2025-01-01 --target 99.95% --html year.html
  shaketable history incidents.yaml --json | jq .whole.availability")]
    History(History),
    /// Say what outages cost, which of several designs is worth its money, and what an experiment was worth.
    #[command(after_help = "\
See docs/cost.md.

Examples:
  shaketable cost examples/costs/outage.yaml
  shaketable cost examples/costs/high-availability.yaml
  shaketable cost costs.yaml --json | jq '.options[].gain'")]
    Cost(Cost),
    /// Say how far a team has come with experiments: where a check-up stands, and which phase of adoption is reached.
    #[command(after_help = "\
See docs/maturity.md.

Examples:
  shaketable maturity examples/suites/check-up.yaml --records report
  shaketable maturity suite.yaml --records report --history incidents.yaml")]
    Maturity(Maturity),
    /// Say what availability a design promises and what is to be expected of it, exactly, and what would help.
    #[command(after_help = "\
Reads workload documents (docs/availability.md), architecture inventories, and lists of services with their objectives. \
Exit codes: 0 the target is met (or there is none), 1 it is missed or promises contradict each other, 4 not enough is known \
to say, 2 the document or the call is wrong.

Examples:
  shaketable availability examples/workloads/web-shop.yaml
  shaketable availability workload.yaml --what-if database=99.99% --html workload.html
  shaketable availability workload.yaml --json | jq '.[].now.expected.singlePoints'")]
    Availability(crate::availability::Call),
    /// Print a completion script for a shell.
    #[command(
        after_help = "Example: shaketable completions bash > ~/.local/share/bash-completion/completions/shaketable"
    )]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the man page.
    #[command(after_help = "Example: shaketable man | man -l -")]
    Man,
    /// Writes the generated pages of the documentation (used by `cargo xtask docs`).
    #[command(name = "__docs", hide = true)]
    Docs {
        /// The folder.
        into: PathBuf,
        /// The repository, for its examples.
        #[arg(default_value = ".")]
        root: PathBuf,
    },
}

/// How a document is to be read.
#[derive(Debug, Args)]
pub(crate) struct Reading {
    /// A value for a CloudFormation parameter; may be repeated.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(crate) params: Vec<(String, String)>,
    /// The logical id of the experiment, where a CloudFormation template holds several.
    #[arg(long, value_name = "LOGICAL_ID")]
    pub(crate) experiment: Option<String>,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("`{text}` has no `=`; write NAME=VALUE"))
}

/// `shaketable run`
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own, and any may go with any")]
pub(crate) struct Run {
    /// The experiment: a Shaketable document, an AWS FIS template, or a CloudFormation template that holds one.
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// The lab to run it in; overrules the document's own `lab`.
    #[arg(long, value_name = "FILE")]
    pub(crate) lab: Option<PathBuf>,
    /// How the lab's instances get addresses.
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) network: Option<Network>,
    /// Repeats the random choices of an earlier run.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// Print who would be hit by what, and stop there. The lab is brought up to know its instances, and taken down.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// A policy that the experiment is held to, besides /etc/shaketable/policy.yaml; may be repeated, and each is kept.
    #[arg(long = "policy", value_name = "FILE")]
    pub(crate) policies: Vec<PathBuf>,
    /// Do what cannot be taken back also to what was not made for this run.
    #[arg(long)]
    pub(crate) allow_irreversible: bool,
    /// Write report.html, report.json and junit.xml into this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// No live progress, only one line for each thing that happens.
    #[arg(long)]
    pub(crate) plain: bool,
    /// Print nothing but the verdict line.
    #[arg(short, long, conflicts_with = "plain")]
    pub(crate) quiet: bool,
}

/// How the instances of a lab get addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Network {
    /// The best that this machine and user allow.
    Auto,
    /// A network namespace for each instance (root, or a user namespace).
    Netns,
    /// Loopback addresses; links are carried by a proxy.
    Loopback,
}

impl From<Network> for model::lab::Network {
    fn from(network: Network) -> Self {
        match network {
            Network::Auto => Self::Auto,
            Network::Netns => Self::Netns,
            Network::Loopback => Self::Loopback,
        }
    }
}

/// `shaketable check`
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The documents.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// How findings are printed.
    #[arg(long, value_enum, default_value_t = FindingFormat::Text)]
    pub(crate) format: FindingFormat,
}

/// `shaketable explain`
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The code or the name of a finding; none lists all.
    #[arg(value_name = "CODE")]
    pub(crate) code: Option<String>,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FindingFormat {
    /// For people: the place underlined.
    Text,
    /// One JSON document.
    Json,
    /// SARIF 2.1.0, as code hosts read it.
    Sarif,
}

/// `shaketable actions`
#[derive(Debug, Args)]
pub(crate) struct Actions {
    /// Explain this action.
    pub(crate) id: Option<String>,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub(crate) format: ListFormat,
}

/// `shaketable status`
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// How it is printed.
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub(crate) format: ListFormat,
}

/// `shaketable undo`
#[derive(Debug, Args)]
pub(crate) struct Undo {
    /// The journals, as `shaketable status` calls them.
    #[arg(value_name = "JOURNAL", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) journals: Vec<String>,
    /// All of them.
    #[arg(long)]
    pub(crate) all: bool,
    /// How long a process that injects may take to stop in order before it is killed.
    #[arg(long, default_value = "PT30S", value_name = "PERIOD")]
    pub(crate) patience: Period,
}

/// `shaketable install-recovery`
#[derive(Debug, Args)]
pub(crate) struct InstallRecovery {
    /// Print the unit and install nothing.
    #[arg(long)]
    pub(crate) print: bool,
    /// Remove it again.
    #[arg(long, conflicts_with = "print")]
    pub(crate) uninstall: bool,
    /// The folder of units.
    #[arg(long, value_name = "DIR", default_value = "/etc/systemd/system")]
    pub(crate) into: PathBuf,
}

/// `shaketable doctor`
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// How it is printed.
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub(crate) format: ListFormat,
}

/// How lists are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// For people.
    Text,
    /// JSON.
    Json,
}

/// `shaketable lab`
#[derive(Debug, Subcommand)]
pub(crate) enum Lab {
    /// Bring a lab up and keep it until Ctrl-C or `shaketable lab down`.
    Up {
        /// The lab file.
        file: PathBuf,
        /// How the instances get addresses.
        #[arg(long, value_enum, value_name = "HOW")]
        network: Option<Network>,
    },
    /// Show the instances and balancers of a lab that is up.
    Status {
        /// The lab file.
        file: PathBuf,
        /// How it is printed.
        #[arg(long, value_enum, default_value_t = ListFormat::Text)]
        format: ListFormat,
    },
    /// Take a lab down.
    Down {
        /// The lab file.
        file: PathBuf,
    },
}

/// `shaketable patterns`
#[derive(Debug, Subcommand)]
pub(crate) enum Patterns {
    /// Put pipelines through a failure, on a virtual clock, and draw the load on the dependency.
    #[command(after_help = "\
The same file and seed give the same picture. See docs/patterns.md.

Examples:
  shaketable patterns simulate examples/patterns/retry-storm.yaml
  shaketable patterns simulate examples/patterns/retry-storm.yaml --svg storm.svg
  shaketable patterns simulate examples/patterns/breaker.yaml --json | jq '.runs[].totals'")]
    Simulate(Simulate),
    /// Print the JSON Schema of documents with pipelines, for editors.
    Schema {
        /// The schema of files for `simulate` instead.
        #[arg(long)]
        simulation: bool,
    },
}

/// `shaketable patterns simulate`
#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// Pipelines and a scenario, as YAML or JSON; `-` is standard input.
    pub(crate) file: PathBuf,
    /// Write the picture as SVG into this file too.
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// Another seed than the file's.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// Print all figures as JSON instead of the picture.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `shaketable history`
#[derive(Debug, Args)]
pub(crate) struct History {
    /// Incidents: YAML, JSON or CSV.
    pub(crate) file: PathBuf,
    /// When the stretch that was observed begins; overrules the file's own.
    #[arg(long, value_name = "WHEN")]
    pub(crate) from: Option<When>,
    /// When it ends: the first instant that does not belong to it.
    #[arg(long, value_name = "WHEN")]
    pub(crate) to: Option<When>,
    /// The availability that was aimed at, such as 99.9%.
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    pub(crate) target: Option<f64>,
    /// Whose midnights divide days, such as Europe/Berlin.
    #[arg(long, value_name = "ZONE", value_parser = time_zone)]
    pub(crate) time_zone: Option<TimeZone>,
    /// The figures of each period too.
    #[arg(long, value_enum, value_name = "PERIOD")]
    pub(crate) by: Option<By>,
    /// The confidence of intervals.
    #[arg(long, value_name = "PERCENT", value_parser = confidence, default_value = "95%")]
    pub(crate) confidence: f64,
    /// Print all figures as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Also write a page for people: one file, for screen and paper.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// `shaketable cost`
#[derive(Debug, Args)]
pub(crate) struct Cost {
    /// The calculation: YAML or JSON.
    pub(crate) file: PathBuf,
    /// Print all figures as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Also write a page for people: one file, for screen and paper.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// `shaketable maturity`
#[derive(Debug, Args)]
pub(crate) struct Maturity {
    /// The suite: YAML or JSON.
    pub(crate) suite: PathBuf,
    /// A folder of reports, as `run --report` writes them; may be repeated.
    #[arg(long, value_name = "DIR")]
    pub(crate) records: Vec<PathBuf>,
    /// Incidents, with the `change` since when there are experiments.
    #[arg(long, value_name = "FILE")]
    pub(crate) history: Option<PathBuf>,
    /// Print everything as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Also write a page for people: one file, for screen and paper.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// Periods of a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// Months.
    Month,
    /// Weeks from Monday.
    Week,
    /// Days.
    Day,
}

impl From<By> for assess::history::By {
    fn from(by: By) -> Self {
        match by {
            By::Month => Self::Month,
            By::Week => Self::Week,
            By::Day => Self::Day,
        }
    }
}

/// Percent, with or without its sign, as a share from 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end().parse::<f64>().ok();
    let share = number.map(|percent| percent / 100.0).filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "write percent, such as 99.9%".to_owned())
}

fn confidence(text: &str) -> Result<f64, String> {
    let right = |share: &f64| *share > 0.0 && *share < 1.0;
    share(text).ok().filter(right).ok_or_else(|| "write percent above 0 and below 100, such as 95%".to_owned())
}

fn time_zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| "write an IANA name such as Europe/Berlin, or UTC".to_owned())
}

/// `shaketable proxy`
#[derive(Debug, Args)]
pub(crate) struct Proxy {
    /// The host or address on which the API listens. Whoever reaches it can open ports and break connections.
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: String,
    /// The port on which the API listens.
    #[arg(long, default_value_t = 8474)]
    pub(crate) port: u16,
    /// Proxies to begin with: a JSON list, as for POST /populate.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Repeats the random choices of HTTP rules.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// What is said on standard error; `-v` says as much as `info`.
    #[arg(long, env = "LOG_LEVEL", value_enum, ignore_case = true, value_name = "LEVEL")]
    pub(crate) log_level: Option<LogLevel>,
    /// Count what proxies carry, at /metrics.
    #[arg(long)]
    pub(crate) proxy_metrics: bool,
    /// Say what this process uses, at /metrics.
    #[arg(long)]
    pub(crate) runtime_metrics: bool,
}

/// The levels of Toxiproxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    /// What nobody can help: like `error`.
    Panic,
    /// The same.
    Fatal,
    /// What somebody must do something about.
    Error,
    /// What is unexpected.
    #[value(alias = "warning")]
    Warn,
    /// What was asked for and done.
    Info,
    /// Why.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// As a filter of our own diagnostics.
    pub(crate) const fn filter(self) -> &'static str {
        match self {
            Self::Panic | Self::Fatal | Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Flags of Toxiproxy's server, which take one dash as well as two.
const GO_FLAGS: [&str; 8] =
    ["config", "host", "log-level", "port", "proxy-metrics", "runtime-metrics", "seed", "version"];

/// The arguments of `shaketable proxy` with two dashes where Toxiproxy's are written with one.
pub(crate) fn with_two_dashes(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    if arguments.get(1).is_some_and(|command| command == "proxy") {
        for argument in &mut arguments[2..] {
            let flag = argument.to_str().and_then(|text| text.strip_prefix('-'));
            let is_known = flag.is_some_and(|flag| GO_FLAGS.contains(&flag.split('=').next().unwrap_or_default()));
            if is_known {
                let mut longer = OsString::from("-");
                longer.push(&argument);
                *argument = longer;
            }
        }
    }
    arguments
}

/// `shaketable demo-app`
#[derive(Debug, Args)]
#[command(
    after_help = "Example: shaketable demo-app --port 8080 --work PT0.005S --downstream http://127.0.0.1:8081/ --timeout PT1S"
)]
pub(crate) struct DemoApp {
    /// The address to listen on.
    #[arg(long, env = "HOST", default_value = "127.0.0.1")]
    pub(crate) host: std::net::IpAddr,
    /// The port to listen on.
    #[arg(long, env = "PORT", default_value_t = 8080)]
    pub(crate) port: u16,
    /// How it calls itself in answers.
    #[arg(long, env = "INSTANCE_ID", default_value = "demo")]
    pub(crate) id: String,
    /// The zone it says it is in.
    #[arg(long, env = "ZONE", default_value = "local")]
    pub(crate) zone: String,
    /// How long `/` takes.
    #[arg(long, default_value = "PT0S")]
    pub(crate) work: Period,
    /// How long after its start it becomes healthy.
    #[arg(long, default_value = "PT0S")]
    pub(crate) startup: Period,
    /// The service that `/` calls.
    #[arg(long, value_name = "URL")]
    pub(crate) downstream: Option<String>,
    /// Longest wait for one call.
    #[arg(long, default_value = "PT1S", requires = "downstream")]
    pub(crate) timeout: Period,
    /// Wait as long as it takes.
    #[arg(long, requires = "downstream", conflicts_with = "timeout")]
    pub(crate) no_timeout: bool,
    /// Attempts after the first.
    #[arg(long, default_value_t = 0, requires = "downstream")]
    pub(crate) retries: u32,
    /// Consecutive failures that open the circuit breaker; without it there is no breaker.
    #[arg(long, requires = "downstream", value_name = "NUMBER")]
    pub(crate) breaker_failures: Option<u32>,
    /// How long the breaker stays open before a trial.
    #[arg(long, default_value = "PT5S", requires = "breaker_failures")]
    pub(crate) breaker_open_for: Period,
    /// Answer from a fallback when the call fails, instead of 503.
    #[arg(long, requires = "downstream")]
    pub(crate) fallback: bool,
    /// Keep each request in a file in this folder until it is answered; when that fails, answer 500.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) spool: Option<PathBuf>,
}

impl DemoApp {
    /// What the application is told.
    pub(crate) fn options(self, hosts: lab::demo_app::Hosts) -> lab::demo_app::Options {
        let breaker = self.breaker_failures.map(|failures| Breaker { failures, open_for: self.breaker_open_for });
        let timeout = (!self.no_timeout).then_some(self.timeout);
        let (retries, fallback) = (self.retries, self.fallback);
        let downstream = self.downstream.map(|url| Downstream { url, timeout, retries, breaker, fallback });
        lab::demo_app::Options {
            host: self.host,
            port: self.port,
            id: self.id,
            zone: self.zone,
            app: model::lab::DemoApp { work: self.work, startup: self.startup, downstream, spool: self.spool },
            hosts,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_table_is_consistent() {
        Shaketable::command().debug_assert();
    }

    #[test]
    fn flags_of_toxiproxy_are_taken_with_one_dash_and_with_two() {
        let one = "shaketable proxy -host 0.0.0.0 -port=1 -config a.json -seed 7 -proxy-metrics -v";
        let two = "shaketable proxy --host 0.0.0.0 --port=1 --config a.json --seed 7 --proxy-metrics -v";
        let split = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(with_two_dashes(split(one)), split(two));
        assert_eq!(with_two_dashes(split(two)), split(two));
        let other = split("shaketable run -host");
        assert_eq!(with_two_dashes(other.clone()), other);
        let parsed = Shaketable::try_parse_from(with_two_dashes(split(one))).unwrap();
        let Command::Proxy(proxy) = parsed.command else { panic!("it is `proxy`") };
        assert_eq!((proxy.host.as_str(), proxy.port, proxy.seed), ("0.0.0.0", 1, Some(7)));
    }
}
