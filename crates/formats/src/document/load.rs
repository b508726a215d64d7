//! Load, probes and scrapes.

use std::collections::BTreeMap;

use model::{
    Period,
    load::{Ask, CommandLoad, HttpLoad, HttpRequest, Load, Probe, Scrape, Series},
    metric::{Quantity, Unit},
};

use super::map;
use crate::{
    codes,
    decode::{Fields, Reader},
    finding::Finding,
    node::Node,
};

/// Most requests per second that are taken for a wish and not a slip; one machine cannot send more.
const MAX_RATE: f64 = 1_000_000.0;

/// One entry of `load`.
pub(super) fn load(reader: &mut Reader<'_>, node: &Node) -> Option<Load> {
    let fields = reader.fields(node, "an entry of `load`", &["http", "command", "env"])?;
    match (fields.get("http"), fields.get("command")) {
        (Some(node), None) => {
            if let Some(env) = fields.get("env") {
                let finding = Finding::new(&codes::CLAUSE, env.head, "`env` has a meaning only beside `command`");
                reader.report(finding.help("remove it"));
            }
            http(reader, node).map(Load::Http)
        }
        (None, Some(node)) => {
            let command = command(reader, node)?;
            let env = fields.get("env").map_or_else(BTreeMap::new, |node| reader.text_map(node, "env"));
            Some(Load::Command(CommandLoad { command, env }))
        }
        _ => {
            reader.wrong_value(node.head, "an entry of `load` has either `http` or `command`");
            None
        }
    }
}

fn http(reader: &mut Reader<'_>, node: &Node) -> Option<HttpLoad> {
    let keys = ["url", "method", "headers", "body", "requests", "rate", "ramp", "keepAlive", "timeout", "connections"];
    let fields = reader.fields(node, "`http`", &keys)?;
    let requests = requests(reader, &fields);
    let rate = fields.required("rate", reader).and_then(|node| rate(reader, node));
    let steps = fields.get("ramp").map_or(&[][..], |node| reader.items(node, "ramp").unwrap_or_default());
    let ramp = steps.iter().filter_map(|step| ramp_step(reader, step)).collect();
    let keep_alive = fields.get("keepAlive").and_then(|node| reader.boolean(node, "keepAlive")).unwrap_or(true);
    let timeout = fields.get("timeout").and_then(|node| reader.some_time(node, "timeout"));
    let connections = fields.get("connections").and_then(|node| reader.whole(node, "connections", 1..=65_535));
    Some(HttpLoad {
        requests: requests?,
        rate: rate?,
        ramp,
        keep_alive,
        timeout: timeout.unwrap_or(Period::from_secs(10)),
        connections: connections.unwrap_or(512),
    })
}

/// Either one request written into `http` itself, or several under `requests`.
fn requests(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Vec<HttpRequest>> {
    if let Some(node) = fields.get("requests") {
        for key in ["url", "method", "headers", "body"] {
            if let Some(node) = fields.get(key) {
                let message = format!("`{key}` stands beside `requests`");
                let finding = Finding::new(&codes::MISPLACED_KEY, node.head, message);
                reader.report(finding.help("move it into one of the requests"));
            }
        }
        let items = reader.items(node, "requests")?;
        if items.is_empty() {
            reader.wrong_value(node.head, "`requests` is empty");
        }
        let keys = ["url", "method", "headers", "body", "weight"];
        let requests: Vec<HttpRequest> = items
            .iter()
            .filter_map(|item| {
                let fields = reader.fields(item, "a request", &keys)?;
                request(reader, &fields)
            })
            .collect();
        return (requests.len() == items.len() && !items.is_empty()).then_some(requests);
    }
    if fields.get("url").is_none() {
        reader.report(
            Finding::new(&codes::MISSING_KEY, fields.node().head, "`http` has no `url`")
                .help("add `url`, or `requests` with several"),
        );
        return None;
    }
    request(reader, fields).map(|request| vec![request])
}

fn request(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<HttpRequest> {
    let url = fields.required("url", reader).and_then(|node| url(reader, node, &["http://"]));
    let method = match fields.get("method") {
        Some(node) => method(reader, node),
        None => Some("GET".to_owned()),
    };
    let headers = fields.get("headers").map_or_else(BTreeMap::new, |node| headers(reader, node));
    let body = fields.get("body").and_then(|node| reader.text(node, "body"));
    let weight = fields.get("weight").map_or(Some(1), |node| reader.whole(node, "weight", 1..=1_000_000));
    Some(HttpRequest { url: url?, method: method?, headers, body, weight: weight? })
}

fn method(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let method = reader.text(node, "method")?;
    // RFC 9110 allows any token; load is written with upper-case letters.
    if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') {
        reader.wrong_value(node.span, format!("`{method}` is not an HTTP method; write for example GET or POST"));
        return None;
    }
    Some(method)
}

fn headers(reader: &mut Reader<'_>, node: &Node) -> BTreeMap<String, String> {
    for entry in node.as_mapping().unwrap_or_default() {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if entry.key.is_empty() || !entry.key.bytes().all(token) {
            reader.wrong_value(entry.key_span, format!("`{}` is not a header name", entry.key));
        }
        if entry.value.as_text().is_some_and(|text| text.contains(|c: char| c.is_control())) {
            reader.wrong_value(entry.value.span, "a header's value has no line breaks or control characters");
        }
    }
    reader.text_map(node, "headers")
}

/// An absolute URL with one of these beginnings.
pub(crate) fn url(reader: &mut Reader<'_>, node: &Node, schemes: &[&str]) -> Option<String> {
    let url = reader.text(node, "a URL")?;
    let rest = schemes.iter().find_map(|scheme| url.strip_prefix(scheme));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    let port_fits = host.rsplit_once(':').is_none_or(|(_, port)| port.ends_with(']') || port.parse::<u16>().is_ok());
    if host.is_empty() || !port_fits || url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        let message = format!("`{url}` is not a URL that can be asked");
        let finding = Finding::new(&codes::WRONG_VALUE, node.span, message);
        reader.report(finding.help(format!("write an absolute one that starts with {}", schemes.join(" or "))));
        return None;
    }
    Some(url)
}

fn rate(reader: &mut Reader<'_>, node: &Node) -> Option<f64> {
    let text = node.as_text().unwrap_or_default();
    match text.parse::<Quantity>() {
        Ok(Quantity { value, unit: Unit::PerSecond }) if value > 0.0 && value <= MAX_RATE => Some(value),
        Ok(Quantity { unit: Unit::Count, value }) => {
            let message = format!("`{text}` is not a rate: per what?");
            reader.report(
                Finding::new(&codes::WRONG_VALUE, node.span, message).help(format!("write {value}/s or {value}/min")),
            );
            None
        }
        _ => {
            let message = format!("a rate must be above 0 and up to {MAX_RATE}/s, not {}", node.describe());
            reader.report(Finding::new(&codes::WRONG_VALUE, node.span, message).help("write for example 200/s"));
            None
        }
    }
}

fn ramp_step(reader: &mut Reader<'_>, node: &Node) -> Option<(Period, f64)> {
    let fields = reader.fields(node, "a step of `ramp`", &["over", "to"])?;
    let over = fields.required("over", reader).and_then(|node| reader.some_time(node, "over"));
    let to = fields.required("to", reader).and_then(|node| rate(reader, node));
    Some((over?, to?))
}

/// Program and arguments; there is no shell.
pub(crate) fn command(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<String>> {
    if let Some(text) = node.as_text() {
        let words: Vec<String> = text.split_whitespace().map(|word| format!("{word:?}")).collect();
        let finding =
            Finding::new(&codes::WRONG_TYPE, node.span, "a command is a list of its words; there is no shell");
        reader.report(finding.help(format!("write [{}]", words.join(", "))));
        return None;
    }
    let words = reader.texts(node, "a command");
    if words.is_empty() && node.as_sequence().is_some() {
        reader.wrong_value(node.head, "a command has at least one word");
    }
    (!words.is_empty()).then_some(words)
}

/// One probe.
pub(super) fn probe(reader: &mut Reader<'_>, node: &Node) -> Option<Probe> {
    let fields = reader.fields(node, "a probe", &["http", "tcp", "command", "every", "timeout"])?;
    let every = fields.get("every").map_or(Some(Period::from_secs(1)), |node| reader.some_time(node, "every"));
    let timeout = fields.get("timeout").map_or(Some(Period::from_secs(1)), |node| reader.some_time(node, "timeout"));
    let ask = match (fields.get("http"), fields.get("tcp"), fields.get("command")) {
        (Some(node), None, None) => ask_http(reader, node),
        (None, Some(node), None) => tcp(reader, node),
        (None, None, Some(node)) => command(reader, node).map(|command| Ask::Command { command }),
        _ => {
            reader.wrong_value(node.head, "a probe has exactly one of `http`, `tcp` and `command`");
            None
        }
    };
    Some(Probe { ask: ask?, every: every?, timeout: timeout? })
}

fn ask_http(reader: &mut Reader<'_>, node: &Node) -> Option<Ask> {
    let fields = reader.fields(node, "`http`", &["url", "status", "bodyContains", "caFile"])?;
    let url = fields.required("url", reader).and_then(|node| url(reader, node, &["http://", "https://"]));
    let status = fields.get("status").map_or_else(Vec::new, |node| {
        let alone = std::slice::from_ref(node);
        let items = if node.as_scalar().is_some() { alone } else { reader.items(node, "status").unwrap_or_default() };
        items.iter().filter_map(|item| reader.whole(item, "a status", 100..=599)).collect()
    });
    let body_contains = fields.get("bodyContains").and_then(|node| reader.text(node, "bodyContains"));
    let ca_file = fields.get("caFile").and_then(|node| reader.text(node, "caFile"));
    Some(Ask::Http { url: url?, status, body_contains, ca_file })
}

fn tcp(reader: &mut Reader<'_>, node: &Node) -> Option<Ask> {
    let address = reader.text(node, "tcp")?;
    let fits = address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if !fits {
        let finding =
            Finding::new(&codes::WRONG_VALUE, node.span, format!("`{address}` is not an address with a port"));
        reader.report(finding.help("write host:port, for example db.lab:5432"));
        return None;
    }
    Some(Ask::Tcp { address })
}

/// One Prometheus endpoint.
pub(super) fn scrape(reader: &mut Reader<'_>, node: &Node) -> Option<Scrape> {
    let fields = reader.fields(node, "a scrape", &["url", "every", "metrics"])?;
    let url = fields.required("url", reader).and_then(|node| url(reader, node, &["http://", "https://"]));
    let every = fields.get("every").map_or(Some(Period::from_secs(1)), |node| reader.some_time(node, "every"));
    let metrics = fields.required("metrics", reader).map(|node| map(reader, node, "metrics", series));
    Some(Scrape { url: url?, every: every?, metrics: metrics? })
}

/// A selector: `name`, `name{label="value"}`, or `rate(...)` around one.
fn series(reader: &mut Reader<'_>, node: &Node) -> Option<Series> {
    let text = reader.text(node, "a series")?;
    let found = parse_series(&text);
    if found.is_none() {
        let finding = Finding::new(&codes::WRONG_VALUE, node.span, format!("`{text}` does not select a series"));
        reader.report(
            finding.help("write name{label=\"value\"}, or rate(name{…}) for the increase of a counter per second"),
        );
    }
    found
}

fn parse_series(text: &str) -> Option<Series> {
    let text = text.trim();
    let inner = text.strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')'));
    let (rate, selector) = (inner.is_some(), inner.unwrap_or(text).trim());
    let (name, labels) = match selector.split_once('{') {
        Some((name, rest)) => (name.trim(), parse_labels(rest.trim_end().strip_suffix('}')?)?),
        None => (selector, BTreeMap::new()),
    };
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    let valid = name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit());
    valid.then(|| Series { name: name.to_owned(), labels, rate })
}

/// `a="x", b="y"`, with `\"`, `\\` and `\n` in values.
fn parse_labels(mut text: &str) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    loop {
        text = text.trim_start_matches([' ', ',']);
        if text.is_empty() {
            return Some(labels);
        }
        let (name, rest) = text.split_once('=')?;
        let mut value = String::new();
        let mut chars = rest.trim_start().strip_prefix('"')?.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => value.push(match chars.next()? {
                    'n' => '\n',
                    other => other,
                }),
                other => value.push(other),
            }
        }
        let name = name.trim();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return None;
        }
        labels.insert(name.to_owned(), value);
        text = chars.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_have_names_labels_and_rates() {
        let series = parse_series(r#"rate(http_requests_total{code="500", path="/a\"b"})"#).unwrap();
        assert!(series.rate);
        assert_eq!(series.name, "http_requests_total");
        assert_eq!(series.labels.get("path").map(String::as_str), Some("/a\"b"));
        assert!(parse_series("up").is_some_and(|series| !series.rate && series.labels.is_empty()));
        for wrong in ["", "1up", "up{", "up{a=b}", "up{a=\"b}", "rate(up", "up{=\"x\"}"] {
            assert!(parse_series(wrong).is_none(), "{wrong}");
        }
    }
}
