//! Calls of the command line of AWS.

use std::collections::HashSet;

use super::{
    lex::{Command, Quotes, Script, Word},
    operations::{self, Shape},
    query::{self, Remark, Rows},
};
use crate::{codes, decode::Reader, finding::Finding, source::Span};

/// `aws SERVICE OPERATION --option value`
pub(super) struct Call<'c> {
    pub(super) command: &'c Command,
    pub(super) service: &'c Word,
    pub(super) operation: &'c Word,
    /// Options with their values.
    options: Vec<(&'c Word, Vec<&'c Word>)>,
}

/// Options of `aws` itself that take a value.
const GLOBAL: &[&str] = &[
    "--region",
    "--profile",
    "--output",
    "--query",
    "--endpoint-url",
    "--color",
    "--ca-bundle",
    "--cli-read-timeout",
    "--cli-connect-timeout",
];

impl<'c> Call<'c> {
    /// The call that a command is, if it is one.
    pub(super) fn of(command: &'c Command) -> Option<Self> {
        if command.name() != "aws" {
            return None;
        }
        let mut positional = Vec::new();
        let mut options: Vec<(&Word, Vec<&Word>)> = Vec::new();
        let mut values_left = 0;
        for word in command.arguments() {
            if let Some(name) = word.text.strip_prefix("--").filter(|_| word.quotes == Quotes::Open) {
                values_left = if GLOBAL.contains(&word.text.as_str()) { 1 } else { usize::MAX };
                values_left = if name.contains('=') { 0 } else { values_left };
                options.push((word, Vec::new()));
            } else if values_left > 0
                && let Some((_, values)) = options.last_mut()
            {
                values.push(word);
                values_left = values_left.saturating_sub(1);
            } else {
                positional.push(word);
            }
        }
        let (service, operation) = (*positional.first()?, *positional.get(1)?);
        Some(Self { command, service, operation, options })
    }

    /// Whether this is the operation.
    pub(super) fn is(&self, service: &str, operation: &str) -> bool {
        self.service.text == service && self.operation.text == operation
    }

    /// The values of an option, without its dashes.
    pub(super) fn values(&self, name: &str) -> Option<&[&'c Word]> {
        self.options
            .iter()
            .find(|(option, _)| option.text.strip_prefix("--") == Some(name))
            .map(|(_, values)| values.as_slice())
    }

    /// The first value of an option.
    pub(super) fn value(&self, name: &str) -> Option<&'c Word> {
        self.values(name).and_then(|values| values.first().copied())
    }

    /// The first value's text, or nothing.
    pub(super) fn text(&self, name: &str) -> &'c str {
        self.value(name).map_or("", |word| word.text.as_str())
    }

    /// From `aws` to the operation.
    pub(super) const fn head(&self) -> Span {
        Span::new(self.command.span.start, self.operation.span.end)
    }
}

/// Services whose names on the command line are not those of their APIs, their consoles or their products.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("codedeploy", "deploy"),
    ("cloudwatchlogs", "logs"),
    ("cloudwatch-logs", "logs"),
    ("eventbridge", "events"),
    ("step-functions", "stepfunctions"),
    ("systems-manager", "ssm"),
    ("elasticloadbalancing", "elbv2"),
    ("elasticloadbalancingv2", "elbv2"),
    ("auto-scaling", "autoscaling"),
    ("config", "configservice"),
    ("fault-injection-simulator", "fis"),
    ("incident-manager", "ssm-incidents"),
];

/// Commands that the command line has besides the operations of the APIs.
const OWN_COMMANDS: &[&str] = &[
    "wait",
    "deploy",
    "package",
    "tail",
    "update-kubeconfig",
    "get-token",
    "push",
    "register",
    "install",
    "deregister",
    "uninstall",
    "help",
    "generate-db-auth-token",
    "add-option-to-option-group",
    "remove-option-from-option-group",
    "create-subscription",
    "update-subscription",
    "validate-logs",
    "verify-query-results",
    "subscribe",
    "get-status",
    "create-default-roles",
    "start-session",
    "execute-command",
    "start-live-tail",
];

/// Looks at one call.
pub(super) fn check(reader: &mut Reader<'_>, script: &Script, call: &Call<'_>) {
    let service = call.service.text.as_str();
    let name = call.operation.text.as_str();
    let meant = OTHER_NAMES.iter().find(|(wrong, _)| *wrong == service).map(|(_, right)| *right);
    if let Some(right) = meant {
        let message = format!("the command line has no service `{service}`");
        reader.report(
            Finding::new(&codes::UNKNOWN_AWS_COMMAND, call.service.span, message)
                .help(format!("it is called `{right}` there: aws {right} {name}")),
        );
    }
    let service = meant.unwrap_or(service);
    if let Some(known) = operations::operations(service)
        && !known.contains(&name)
        && !OWN_COMMANDS.contains(&name)
        && !name.contains('$')
    {
        let near = reader.near(name, known.iter().copied());
        let finding = Finding::new(
            &codes::UNKNOWN_AWS_COMMAND,
            call.operation.span,
            format!("`{service}` has no operation `{name}`"),
        );
        reader.report(match near {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding.help(format!("`aws {service} help` lists the operations")),
        });
        return;
    }
    let operation = operations::operation(service, name);
    if let Some(operation) = operation {
        required(reader, call, &operation.required);
    }
    if let Some(word) = call.value("query") {
        queries(reader, call, word, operation.map(|operation| &operation.answer));
        judged(reader, service, name, word);
    }
    piped(reader, script, call, operation.map(|operation| &operation.answer));
    tags(reader, call);
    identifiers(reader, call);
    if service == "dynamodb" && name == "list-global-tables" {
        let message =
            "`list-global-tables` lists tables of the version of 2017 only; today's replicas are not among them";
        reader.report(
            Finding::new(&codes::MISREAD_STATUS, call.head(), message).help("ask `describe-table` for Table.Replicas"),
        );
    }
    if service == "route53"
        && name == "get-health-check"
        && call.value("query").is_none()
        && call.command.feeds.is_none()
        && !call.command.substituted
    {
        let message = "`get-health-check` answers with the configuration of the check, not with its state";
        reader.report(
            Finding::new(&codes::CONFIGURATION_AS_STATUS, call.head(), message)
                .help("ask `get-health-check-status`; why it failed tells `get-health-check-last-failure-reason`"),
        );
    }
}

fn required(reader: &mut Reader<'_>, call: &Call<'_>, required: &[&str]) {
    let elsewhere =
        ["cli-input-json", "cli-input-yaml", "generate-cli-skeleton"].iter().any(|name| call.values(name).is_some());
    let expanded =
        call.command.arguments().iter().any(|word| word.quotes == Quotes::Open && word.text.starts_with(['$', '"']));
    let missing: Vec<String> =
        required.iter().filter(|name| call.values(name).is_none()).map(|name| format!("--{name}")).collect();
    if missing.is_empty() || elsewhere || expanded || call.options.iter().any(|(option, _)| option.text.contains('=')) {
        return;
    }
    let message = format!("`{}` needs {}", call.operation.text, missing.join(", "));
    reader.report(
        Finding::new(&codes::MISSING_OPTION, call.head(), message)
            .help("add what is missing; as it stands, the call ends with an error"),
    );
}

/// What is wrong with a query by its text and the answer's shape.
fn queries(reader: &mut Reader<'_>, call: &Call<'_>, word: &Word, answer: Option<&Shape>) {
    if word.text.contains('$') {
        return;
    }
    let inside = word.inside();
    let place = |at: usize, length: usize| {
        let start = (inside.start + at).min(inside.end);
        Span::new(start, (start + length).min(inside.end))
    };
    let (remarks, _) = query::walk(&word.text, answer);
    let table = call.text("output") == "table" || call.text("output") == "text";
    let mut told = HashSet::new();
    for remark in remarks {
        // A trap of the grammar is told once for a query.
        let is_trap = !matches!(remark, Remark::Unknown { .. } | Remark::Structure { .. });
        if is_trap && !told.insert(std::mem::discriminant(&remark)) {
            continue;
        }
        match remark {
            Remark::Unknown { name, at, instead, near } => {
                let message = format!(
                    "the answer of `{}` has no `{name}` at this place; the column is empty for ever",
                    call.operation.text
                );
                let finding = Finding::new(&codes::QUERY_FIELD, place(at, name.len()), message);
                reader.report(match (instead, near) {
                    (Some(path), _) => finding.help(format!("it is `{path}`")),
                    (None, Some(near)) => finding.help(format!("did you mean `{near}`?")),
                    (None, None) => finding.help("remove it: nothing of that name is in the answer"),
                });
            }
            Remark::Structure { name, at, members } if table => {
                let message = format!("`{name}` is a structure, not a value");
                let help =
                    format!("choose one of its members: {name}.{}", members.first().copied().unwrap_or_default());
                reader.report(Finding::new(&codes::QUERY_STRUCTURE, place(at, name.len()), message).help(help));
            }
            Remark::Structure { .. } => {}
            Remark::NoDot { at } => {
                let message = "a list of columns directly behind a filter is not in JMESPath's grammar";
                reader.report(
                    Finding::new(&codes::QUERY_GRAMMAR, place(at, 1), message).help("write a dot between: [?…].[A, B]"),
                );
            }
            Remark::Literal { text, at } => {
                let message = format!("`{text}` between backticks is not JSON");
                reader.report(
                    Finding::new(&codes::QUERY_GRAMMAR, place(at, text.len()), message)
                        .help(format!("write a raw text in single quotes: '{text}'")),
                );
            }
            Remark::BareNull { at } => {
                let message = "`null` without backticks is the name of a member that happens to be missing";
                reader.report(
                    Finding::new(&codes::QUERY_GRAMMAR, place(at, 6), message)
                        .help("write `null` between backticks, or test the member itself"),
                );
            }
        }
    }
}

/// Questions whose answers are read as something else than they are.
fn judged(reader: &mut Reader<'_>, service: &str, name: &str, word: &Word) {
    let query = word.text.as_str();
    if name == "describe-continuous-backups" && query.contains("ContinuousBackupsStatus") {
        let message = "ContinuousBackupsStatus is ENABLED for every table; it does not say whether there is a backup to go back to";
        reader.report(
            Finding::new(&codes::MISREAD_STATUS, word.span, message)
                .help("ask for PointInTimeRecoveryDescription.PointInTimeRecoveryStatus"),
        );
    }
    if service == "rds"
        && name == "describe-db-instances"
        && query.contains("[?MultiAZ==")
        && query.contains("false")
        && !query.contains("DBClusterIdentifier")
    {
        let message = "members of an Aurora cluster say MultiAZ false although the cluster stands in several zones";
        reader.report(
            Finding::new(&codes::CLUSTER_MEMBERS, word.span, message)
                .help("leave out instances that have a DBClusterIdentifier, and ask describe-db-clusters about those"),
        );
    }
    let by_name = query.contains("contains(") && (query.contains("Identifier") || query.contains("Name"));
    if name.contains("snapshot") && by_name && query.to_lowercase().contains("region") {
        let message = "a copy from another region is told by what somebody put into its name";
        reader.report(
            Finding::new(&codes::COPY_BY_NAME, word.span, message).help("ask for SourceRegion, which the service sets"),
        );
    }
    if let Some(date) = fixed_date(query) {
        let message = format!("`{date}` is a fixed date; what is recent grows older with every day");
        reader
            .report(Finding::new(&codes::FIXED_DATE, word.span, message).help("compute the date when the script runs"));
    }
}

/// A date that a query compares with: 2024-01-01.
fn fixed_date(query: &str) -> Option<&str> {
    let rest = query.get(query.find(['>', '<'])?..)?;
    let start = rest.find(|c: char| c.is_ascii_digit())?;
    let date = rest.get(start..start + 10)?;
    let shape: String = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    (shape == "0000-00-00").then_some(date)
}

/// What becomes of the output behind a pipe.
fn piped(reader: &mut Reader<'_>, script: &Script, call: &Call<'_>, answer: Option<&Shape>) {
    let Some(next) = call.command.feeds.and_then(|index| script.commands.get(index)) else { return };
    let by_line = next.words.first().is_some_and(|word| word.text == "read")
        || matches!(next.name(), "sort" | "uniq" | "head" | "tail" | "wc");
    if call.text("output") == "text"
        && by_line
        && let Some(query) = call.value("query")
        && query::walk(&query.text, answer).1 == Rows::Scalars
    {
        let message = "with `--output text` a list of single values is one line, so what follows sees one item";
        reader.report(
            Finding::new(&codes::ONE_LINE, query.span, message)
                .help("give every item a row of its own with brackets: X[*].[Name], or split it with tr '\\t' '\\n'"),
        );
    }
    if call.text("output") == "table" && next.name() == "sort" {
        let message = "a table's lines are sorted with its borders and its head among them";
        reader.report(
            Finding::new(&codes::SORTED_TABLE, next.span, message)
                .help("sort `--output text`, or use sort_by() in the query"),
        );
    }
}

/// `--tags key=Team,value=SRE` where a map is wanted.
fn tags(reader: &mut Reader<'_>, call: &Call<'_>) {
    /// Services whose tags are a map: `Team=SRE`.
    const MAPS: &[&str] = &["fis", "backup", "lambda", "eks", "logs", "apigateway", "synthetics", "ssm-incidents"];
    let Some(values) = call.values("tags") else { return };
    if !MAPS.contains(&call.service.text.as_str()) {
        return;
    }
    for word in values {
        let lower = word.text.to_lowercase();
        if let Some((key, value)) = lower.strip_prefix("key=").and_then(|rest| rest.split_once(",value=")) {
            let (key, value) = (&word.text[4..4 + key.len()], &word.text[word.text.len() - value.len()..]);
            let message = format!("these are two tags, named `key` and `value`, and none that is named `{key}`");
            reader
                .report(Finding::new(&codes::TAG_PAIR, word.span, message).help(format!("write --tags {key}={value}")));
        }
    }
}

/// Ids of FIS that cannot be ones.
fn identifiers(reader: &mut Reader<'_>, call: &Call<'_>) {
    if call.service.text != "fis" {
        return;
    }
    let experiment = call.operation.text.ends_with("-experiment") && call.operation.text != "start-experiment";
    let wanted = [("experiment-template-id", "EXT"), ("id", if experiment { "EXP" } else { "EXT" })];
    for (option, prefix) in wanted {
        if let Some(word) = call.value(option)
            && word.text.starts_with("EX")
            && !word.text.starts_with(prefix)
        {
            let what = if prefix == "EXP" { "an experiment" } else { "an experiment template" };
            let message = format!("`{}` is not the id of {what}", word.text);
            reader.report(
                Finding::new(&codes::MALFORMED_ID, word.span, message).help(format!("such ids begin with {prefix}")),
            );
        }
    }
}
