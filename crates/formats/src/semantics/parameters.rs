//! Parameters of actions and of Systems Manager documents.

use model::{
    Period,
    catalogue::{Entry, Parameter, ParameterKind},
    experiment::Action,
    metric::{Quantity, Unit},
    nearest::nearest,
};

use super::{Context, placeholder};
use crate::{
    codes,
    decode::Reader,
    finding::{Finding, Severity},
    fis::{Fate, catalogue as fis, fate},
    json,
    node::{self, Node},
    source::Span,
};

/// The parameters of an action, as written and as the catalogue has them.
pub(super) fn check(reader: &mut Reader<'_>, node: &Node, action: &Action, known: &Entry, context: &Context<'_>) {
    let own = context.own;
    let written = node.get("parameters").and_then(Node::as_mapping).unwrap_or_default();
    let subject = Subject { name: known.id, parameters: known.parameters, fis: known.id.starts_with("aws:"), own };
    let stand_ins = unknown(reader, &subject, written);
    for parameter in known.parameters.iter().filter(|p| p.required && !stand_ins.contains(&p.name)) {
        if !written.iter().any(|entry| entry.key == parameter.name) {
            missing(reader, &subject, parameter, node, action);
        }
    }
    for entry in written {
        let parameter = known.parameters.iter().find(|parameter| parameter.name == entry.key);
        if let (Some(parameter), Some(text)) = (parameter, entry.value.as_text()) {
            if parameter.name == "documentParameters" {
                document_parameters(reader, &entry.value, text, action, context);
            } else {
                if parameter.name == "documentArn" {
                    document_arn(reader, text, entry.value.span);
                }
                value(reader, &subject, parameter, text, entry.value.span);
            }
        }
    }
    if action.parameters.get("scope").is_some_and(|scope| scope == "prefix-list")
        && !action.parameters.contains_key("prefixListIdentifier")
    {
        let message = "the scope prefix-list needs the parameter `prefixListIdentifier`";
        reader.report(Finding::new(&codes::MISSING_PARAMETER, node.head, message));
    }
    if subject.fis && action.parameters.contains_key("operations") {
        operations(reader, node, action);
    }
}

/// Whose parameters are looked at: an action or a document.
struct Subject<'a> {
    name: &'a str,
    parameters: &'a [Parameter],
    /// Whether AWS's own limits apply.
    fis: bool,
    /// Whether the document is of our own, which AWS would not take in any case: its limits are worth a note only.
    own: bool,
}

/// Reports parameters that do not exist; returns the names of those they were meant as.
fn unknown(reader: &mut Reader<'_>, subject: &Subject<'_>, written: &[node::Entry]) -> Vec<&'static str> {
    let mut stand_ins = Vec::new();
    for entry in written {
        let key = entry.key.as_str();
        if subject.parameters.iter().any(|parameter| parameter.name == key) {
            continue;
        }
        // A walk over all findings for each of a few; a document with hundreds has other worries.
        if entry.value.as_scalar().is_none() && reader.findings.len() < 500 {
            // That it is a list besides, which no parameter is, tells nothing more.
            let head = entry.value.head;
            reader.findings.retain(|finding| finding.span != head || finding.code.id != codes::WRONG_TYPE.id);
        }
        let finding = Finding::new(
            &codes::UNKNOWN_PARAMETER,
            entry.key_span,
            format!("`{}` has no parameter `{key}`", subject.name),
        );
        let confused = fis::WRONG_PARAMETERS.iter().find(|(id, wrong, _)| *id == subject.name && *wrong == key);
        let near = reader.near(key, subject.parameters.iter().map(|parameter| parameter.name));
        // The suggestion borrows from the catalogue, which lives as long as the program.
        let right = confused
            .map(|(.., right)| *right)
            .or_else(|| subject.parameters.iter().map(|parameter| parameter.name).find(|name| Some(*name) == near))
            .filter(|name| !written.iter().any(|entry| entry.key == *name));
        let help = match right {
            Some(right) => {
                stand_ins.push(right);
                let example = subject.parameters.iter().find(|parameter| parameter.name == right);
                format!("write `{right}`: {}", example.map_or_else(String::new, |parameter| describe(parameter.kind)))
            }
            None => match resource_types_with(key) {
                Some(resource_type) => format!(
                    "it is a parameter of targets of type {resource_type}: move it to the target's `parameters`"
                ),
                None if subject.parameters.is_empty() => "it takes no parameters; remove it".to_owned(),
                None => {
                    let names: Vec<&str> = subject.parameters.iter().map(|parameter| parameter.name).collect();
                    format!("it takes {}", names.join(", "))
                }
            },
        };
        reader.report(finding.help(help));
    }
    stand_ins
}

/// A document is named by an ARN that says so: `arn:aws:ssm:REGION:ACCOUNT:document/NAME`.
fn document_arn(reader: &mut Reader<'_>, text: &str, span: Span) {
    if placeholder(text) || !text.starts_with("arn:") || text.contains(":document/") {
        return;
    }
    let name = text.rsplit([':', '/']).next().unwrap_or_default();
    let message = "this is not the ARN of a Systems Manager document";
    let help = format!(
        "write arn:aws:ssm:REGION::document/{name}; a document of your own has your account before `:document`"
    );
    reader.report(Finding::new(&codes::WRONG_PARAMETER, span, message).help(help));
}

/// A resource type whose targets take this parameter.
fn resource_types_with(parameter: &str) -> Option<&'static str> {
    fis::RESOURCE_TYPES.iter().find(|row| row.parameters.iter().any(|(name, _)| *name == parameter)).map(|row| row.name)
}

fn missing(reader: &mut Reader<'_>, subject: &Subject<'_>, parameter: &Parameter, node: &Node, action: &Action) {
    let message = format!("`{}` needs the parameter `{}`", subject.name, parameter.name);
    let mut help = format!("add `{}`: {}", parameter.name, describe(parameter.kind));
    // The length of a command is what its document says, and a little more is no harm.
    if parameter.name == "duration"
        && let Some(seconds) = document_seconds(action)
    {
        help = format!("add `duration`: at least {} for DurationSeconds {seconds}", Period::from_secs(seconds));
    }
    let label = format!("`{}` is missing", parameter.name);
    reader.report(Finding::new(&codes::MISSING_PARAMETER, node.head, message).label(label).help(help));
}

fn document_seconds(action: &Action) -> Option<u64> {
    let text = action.parameters.get("documentParameters")?;
    let object: serde_json::Value = serde_json::from_str(text).ok()?;
    object.get("DurationSeconds")?.as_str()?.parse().ok()
}

/// What a value must look like, for messages.
fn describe(kind: ParameterKind) -> String {
    match kind {
        ParameterKind::Text => "a text".to_owned(),
        ParameterKind::OneOf { values } => format!("one of {}", values.join(", ")),
        ParameterKind::ListOf { values } => format!("some of {}, separated by commas", values.join(", ")),
        ParameterKind::Boolean => "true or false".to_owned(),
        ParameterKind::Integer { min, max } => format!("a whole number from {min} to {max}"),
        ParameterKind::Number { min, max } => format!("a number from {min} to {max}"),
        ParameterKind::Duration { min_seconds, max_seconds } => {
            format!("a duration from {} to {}", Period::from_secs(min_seconds), Period::from_secs(max_seconds))
        }
        ParameterKind::Size => "a size such as 512MiB, or a share such as 80%".to_owned(),
        ParameterKind::Addresses => "addresses, CIDR blocks or names, separated by commas, or ALL".to_owned(),
        ParameterKind::Ports => {
            "ports from 1 to 65535 and ranges of them, separated by commas: 80,8000-8100".to_owned()
        }
        ParameterKind::SignedDuration { max_seconds } => {
            format!("a duration of at most {} days with a sign, such as PT1H or -PT24H", max_seconds / 86_400)
        }
        ParameterKind::IpAddresses { or } => format!("addresses separated by commas, or {or}"),
        ParameterKind::Names => {
            "names separated by commas: example.com, *.example.com for all below it, or *".to_owned()
        }
        ParameterKind::Folder => "the path of a folder that begins with / and has no ..".to_owned(),
        ParameterKind::Json => "a JSON object as text".to_owned(),
        ParameterKind::Arn => "an ARN".to_owned(),
    }
}

/// Checks one value. What is to be filled in is not looked at.
fn value(reader: &mut Reader<'_>, subject: &Subject<'_>, parameter: &Parameter, text: &str, span: Span) {
    if placeholder(text) {
        return;
    }
    if let ParameterKind::Duration { min_seconds, max_seconds } = parameter.kind {
        duration(reader, subject, parameter, text, span, (min_seconds, max_seconds));
        return;
    }
    if fits(parameter.kind, text) {
        return;
    }
    let message = format!("`{}` of `{}` cannot be `{text}`", parameter.name, subject.name);
    let mut help = format!("write {}", describe(parameter.kind));
    if let ParameterKind::OneOf { values } | ParameterKind::ListOf { values } = parameter.kind
        && let Some(near) = nearest(text, values.iter().copied())
    {
        help = format!("did you mean `{near}`?");
    }
    reader.report(Finding::new(&codes::WRONG_PARAMETER, span, message).help(help));
}

fn fits(kind: ParameterKind, text: &str) -> bool {
    let mut items = text.split(',').map(str::trim);
    match kind {
        ParameterKind::Text => !text.is_empty(),
        ParameterKind::OneOf { values } => values.contains(&text),
        ParameterKind::ListOf { values } => items.all(|item| values.contains(&item)),
        ParameterKind::Boolean => matches!(text, "true" | "false"),
        ParameterKind::Integer { min, max } => text.parse::<i64>().is_ok_and(|number| (min..=max).contains(&number)),
        ParameterKind::Number { min, max } => text.parse::<f64>().is_ok_and(|number| (min..=max).contains(&number)),
        ParameterKind::Duration { .. } => text.parse::<Period>().is_ok(),
        ParameterKind::Size => match text.parse::<Quantity>() {
            Ok(Quantity { unit: Unit::Bytes, value }) => value >= 1.0,
            Ok(Quantity { unit: Unit::Percent, value }) => value > 0.0 && value <= 100.0,
            _ => false,
        },
        ParameterKind::Addresses => items.all(|item| {
            !item.is_empty()
                && item.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '/' | '-' | '_' | '*'))
        }),
        ParameterKind::Ports => items.all(|item| {
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
            port(first).zip(port(last)).is_some_and(|(first, last)| first <= last)
        }),
        ParameterKind::SignedDuration { .. }
        | ParameterKind::IpAddresses { .. }
        | ParameterKind::Names
        | ParameterKind::Folder => kind.objection(text).is_none(),
        ParameterKind::Json => serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok(),
        ParameterKind::Arn => text.starts_with("arn:"),
    }
}

fn duration(
    reader: &mut Reader<'_>,
    subject: &Subject<'_>,
    parameter: &Parameter,
    text: &str,
    span: Span,
    (min, max): (u64, u64),
) {
    let name = parameter.name;
    let period: Period = match text.parse() {
        Ok(period) => period,
        Err(error) => {
            let finding = Finding::new(&codes::WRONG_PARAMETER, span, format!("`{name}`: {error}"));
            reader.report(match text.parse::<u64>() {
                Ok(seconds) => finding.help(format!("{seconds} seconds are {}", Period::from_secs(seconds))),
                Err(_) => finding,
            });
            return;
        }
    };
    let (shortest, longest) = (Period::from_secs(min), Period::from_secs(max));
    if period == Period::ZERO || period > longest {
        let message = format!("`{name}` of `{}` cannot be {text}", subject.name);
        let help = format!("write {}", describe(parameter.kind));
        reader.report(Finding::new(&codes::WRONG_PARAMETER, span, message).help(help));
    } else if period < shortest && subject.fis {
        let message = format!("AWS FIS refuses a `{name}` under {shortest}; Shaketable runs it");
        let severity = if subject.own { Severity::Note } else { codes::AWS_REFUSES.severity };
        reader.report(Finding::new(&codes::AWS_REFUSES, span, message).severity(severity));
    }
}

/// `ec2:DescribeInstances` instead of `DescribeInstances`.
fn operations(reader: &mut Reader<'_>, node: &Node, action: &Action) {
    let Some(node) = node.get("parameters").and_then(|node| node.get("operations")) else { return };
    let Some(text) = action.parameters.get("operations").filter(|text| text.contains(':')) else { return };
    let bare: Vec<&str> = text.split(',').map(|item| item.rsplit(':').next().unwrap_or(item).trim()).collect();
    let message = "operations are written without their service";
    let help = format!("write {}; the service has a parameter of its own", bare.join(","));
    reader.report(Finding::new(&codes::PREFIXED_OPERATION, node.span, message).help(help));
}

/// The JSON object inside the text of `documentParameters`; findings point into the text.
fn document_parameters(reader: &mut Reader<'_>, node: &Node, text: &str, action: &Action, context: &Context<'_>) {
    let mut inner = Vec::new();
    let parsed = json::parse(text, &mut inner);
    let mut places = reader.source.scalar(node.span);
    let mut place = |span: Span| {
        let start = places.of(span.start);
        Span::new(start, places.of(span.end).max(start))
    };
    for finding in inner {
        let message = format!("`documentParameters` is not JSON: {}", finding.message);
        let outer = Finding::new(&codes::WRONG_DOCUMENT_PARAMETERS, place(finding.span), message);
        reader.report(match finding.help {
            Some(help) => outer.help(help),
            None => outer,
        });
    }
    let Some(parsed) = parsed else { return };
    let Some(entries) = parsed.as_mapping() else {
        let message = format!("`documentParameters` must be a JSON object, not {}", parsed.describe());
        reader.report(Finding::new(&codes::WRONG_DOCUMENT_PARAMETERS, node.span, message));
        return;
    };
    let arn = action.parameters.get("documentArn").map_or("", String::as_str);
    let Some(document) = fis::document(fis::document_name(arn)) else { return };
    let subject = Subject { name: document.name, parameters: document.parameters, fis: true, own: context.own };
    let entries: Vec<node::Entry> = entries
        .iter()
        .map(|entry| {
            let mut entry = entry.clone();
            entry.key_span = place(entry.key_span);
            entry.value.span = place(entry.value.span);
            entry
        })
        .collect();
    let stand_ins = unknown(reader, &subject, &entries);
    for parameter in document.parameters.iter().filter(|p| p.required && !stand_ins.contains(&p.name)) {
        if !entries.iter().any(|entry| entry.key == parameter.name) {
            let message = format!("`{}` needs the document parameter `{}`", document.name, parameter.name);
            let help = format!("add \"{}\": {}", parameter.name, describe(parameter.kind));
            reader.report(Finding::new(&codes::MISSING_PARAMETER, node.span, message).help(help));
        }
    }
    for entry in &entries {
        let Some(parameter) = document.parameters.iter().find(|parameter| parameter.name == entry.key) else {
            continue;
        };
        match entry.value.as_text() {
            Some(text) => document_value(reader, &subject, parameter, text, entry.value.span, context),
            // Systems Manager also takes a list of texts.
            None => {
                for item in entry.value.as_sequence().unwrap_or_default() {
                    if let Some(text) = item.as_text() {
                        document_value(reader, &subject, parameter, text, entry.value.span, context);
                    }
                }
            }
        }
    }
}

/// Checks one value of a document: as AWS takes it, and then whether it can be carried out here.
fn document_value(
    reader: &mut Reader<'_>,
    subject: &Subject<'_>,
    parameter: &Parameter,
    text: &str,
    span: Span,
    context: &Context<'_>,
) {
    value(reader, subject, parameter, text, span);
    if placeholder(text) || !fits(parameter.kind, text) {
        return;
    }
    let name = parameter.name;
    let finding = |message: String| Finding::new(&codes::NOT_HERE, span, message);
    let finding = match fate(subject.name, name, text) {
        None => return,
        Some(Fate::Nothing(why)) => finding(format!("`{name}` means nothing here: {why}")).severity(Severity::Note),
        Some(Fate::Refused(why)) => finding(format!("`{name}` cannot be {text} here: {why}")),
        Some(Fate::Becomes { fault, parameter, value }) => {
            let native = context.catalogue.get(fault).map(|entry| entry.parameters).unwrap_or_default();
            match native.iter().find(|native| native.name == parameter).filter(|native| !fits(native.kind, &value)) {
                Some(native) => finding(format!("`{name}` cannot be {text} here"))
                    .help(format!("`{parameter}` of `{fault}`, which it becomes, is {}", describe(native.kind))),
                None => return,
            }
        }
    };
    reader.report(finding);
}
