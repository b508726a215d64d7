//! Bodies of CloudWatch dashboards: whether their graphs can be read.

mod form;

use crate::{codes, decode::Reader, finding::Finding, node::Node};

/// What a metric's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Time,
    /// How many events there were: a sum says how many, an average says one.
    Events,
    /// How many there are.
    Number,
    Share,
}

/// The unit of a metric of AWS by its name; nothing where it is not sure.
fn unit(name: &str) -> Option<Unit> {
    let events = ["RequestCount", "Invocations", "Errors", "Throttles", "NumberOfMessagesSent", "5XXError", "4XXError"];
    Some(match name {
        name if name.contains("ResponseTime") || name.ends_with("Latency") || name == "Duration" => Unit::Time,
        name if events.contains(&name) || name.ends_with("XX_Count") || name.ends_with("ErrorCount") => Unit::Events,
        name if name.ends_with("Connections") || name.ends_with("HostCount") => Unit::Number,
        name if name.ends_with("Utilization") => Unit::Share,
        _ => return None,
    })
}

/// Looks at the body of a dashboard.
pub(crate) fn check(reader: &mut Reader<'_>, root: &Node) {
    form::check(reader, root);
    for widget in root.get("widgets").and_then(Node::as_sequence).unwrap_or_default() {
        if let Some(properties) = widget.get("properties") {
            graph(reader, properties);
        }
    }
}

/// A row of `metrics` with the shorthand written out, and its options.
struct Row<'n> {
    name: String,
    options: Option<&'n Node>,
    node: &'n Node,
}

/// The rows: `.` is what stands in the row before at the same place, `...` all that is left of it.
fn rows(metrics: &[Node]) -> Vec<Row<'_>> {
    let mut before: Vec<String> = Vec::new();
    let mut rows = Vec::new();
    for node in metrics {
        let items = node.as_sequence().unwrap_or_default();
        let options = items.last().filter(|last| last.as_mapping().is_some());
        let mut row = Vec::new();
        for item in items.iter().filter_map(Node::as_text) {
            match item {
                "." => row.extend(before.get(row.len()).cloned()),
                "..." => row.extend(before.get(row.len()..).unwrap_or_default().iter().cloned()),
                text => row.push(text.to_owned()),
            }
        }
        if let Some(name) = row.get(1) {
            rows.push(Row { name: name.clone(), options, node });
            before = row;
        }
    }
    rows
}

fn graph(reader: &mut Reader<'_>, properties: &Node) {
    let Some(metrics) = properties.entry("metrics") else { return };
    let rows = rows(metrics.value.as_sequence().unwrap_or_default());
    let is = |row: &Row<'_>, key: &str, value: &str| {
        row.options.and_then(|options| options.get(key)).and_then(Node::as_text) == Some(value)
    };
    let left: Vec<(Unit, &Row<'_>)> =
        rows.iter().filter(|row| !is(row, "yAxis", "right")).filter_map(|row| Some((unit(&row.name)?, row))).collect();
    let drawn = properties.get("view").and_then(Node::as_text).is_none_or(|view| view == "timeSeries");
    let of = |wanted: &[Unit]| left.iter().find(|(unit, _)| wanted.contains(unit)).map(|(_, row)| row.name.as_str());
    if let (true, Some(time), Some(number)) = (drawn, of(&[Unit::Time]), of(&[Unit::Events, Unit::Number, Unit::Share]))
    {
        let message = format!("{time} in seconds and {number} share one axis; the smaller of them is a flat line");
        reader.report(
            Finding::new(&codes::MIXED_UNITS, metrics.key_span, message)
                .help("give one of them { \"yAxis\": \"right\" }, or a graph of its own"),
        );
    }
    let statistic = properties.entry("stat").is_some();
    let averaged = rows.iter().find(|row| {
        unit(&row.name) == Some(Unit::Events) && row.options.is_none_or(|options| options.entry("stat").is_none())
    });
    if let (false, Some(row)) = (statistic, averaged) {
        let message =
            format!("{} counts events, and without `stat` its average is drawn, which is 1 whatever happens", row.name);
        reader.report(
            Finding::new(&codes::COUNT_AVERAGED, row.node.span, message)
                .help("add { \"stat\": \"Sum\" }; p95 for response times"),
        );
    }
}
