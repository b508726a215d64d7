//! The claim: clauses that are falsifiable, or refused.

use model::{
    hypothesis::{Clause, Hypothesis},
    metric::{Comparison, Condition, METRICS, Metric, MetricEntry, MetricKind, Unit},
    nearest::nearest,
};

use crate::{
    codes,
    decode::{Fields, Reader},
    finding::Finding,
    node::Node,
};

/// What clauses and alarms can refer to.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Whether there is HTTP load of our own, which `http.*` is measured by.
    pub(crate) http_load: bool,
    /// Names of probes.
    pub(crate) probes: Vec<String>,
    /// Names of scraped series.
    pub(crate) series: Vec<String>,
}

/// Which part of a hypothesis a clause stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    SteadyState,
    During,
    Recovery,
}

/// Reads `hypothesis`.
pub(crate) fn hypothesis(reader: &mut Reader<'_>, node: &Node, known: &Known) -> Hypothesis {
    let mut hypothesis = Hypothesis::default();
    let keys = ["statement", "steadyState", "during", "recovery"];
    let Some(fields) = reader.fields(node, "a hypothesis", &keys) else { return hypothesis };
    hypothesis.statement = fields.get("statement").and_then(|node| reader.text(node, "the statement"));
    for (key, part, clauses) in [
        ("steadyState", Part::SteadyState, &mut hypothesis.steady_state),
        ("during", Part::During, &mut hypothesis.during),
        ("recovery", Part::Recovery, &mut hypothesis.recovery),
    ] {
        if let Some(node) = fields.get(key) {
            let items = reader.items(node, key).unwrap_or_default();
            *clauses = items.iter().filter_map(|item| clause(reader, item, part, known)).collect();
        }
    }
    if hypothesis.is_empty()
        && fields.get("statement").is_some()
        && keys[1..].iter().all(|key| fields.get(key).is_none())
    {
        reader.report(
            Finding::new(
                &codes::CLAUSE,
                fields.node().head,
                "the hypothesis has words but no clause that could be shown false",
            )
            .help("add for example during: [{ metric: http.errors.share, is: \"<= 1%\" }]"),
        );
    }
    hypothesis
}

fn clause(reader: &mut Reader<'_>, node: &Node, part: Part, known: &Known) -> Option<Clause> {
    let fields = reader.fields(node, "a clause", &["metric", "of", "is", "every", "within"])?;
    let (metric, unit) = metric(reader, &fields, Some(known));
    let is = fields.required("is", reader).and_then(|node| condition(reader, node, unit, metric.as_ref()));
    let every = fields.get("every").and_then(|node| reader.some_time(node, "`every`"));
    let within = fields.get("within").and_then(|node| {
        let within = reader.some_time(node, "`within`")?;
        if part != Part::Recovery {
            reader.report(
                Finding::new(&codes::CLAUSE, node.span, "`within` has a meaning only under `recovery`")
                    .help("under `steadyState` and `during` a clause holds for the whole window; use `every` to judge short stretches"),
            );
        }
        Some(within)
    });
    if let (Some(metric), Part::Recovery) = (&metric, part)
        && metric.entry().is_some_and(|entry| entry.kind == MetricKind::Count)
        && every.is_none()
    {
        reader.report(
            Finding::new(
                &codes::CLAUSE,
                node.head,
                format!("`{}` counts over the whole recovery window, so it cannot come to hold again", metric.name),
            )
            .help("say over which stretch it is counted: every: PT10S"),
        );
    }
    Some(Clause { metric: metric?, is: is?, every, within })
}

/// The `metric` and `of` of an opened clause or alarm, and the metric's unit where it is known.
pub(crate) fn metric(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    known: Option<&Known>,
) -> (Option<Metric>, Option<Unit>) {
    let of_node = fields.get("of");
    let of = of_node.and_then(|node| reader.text(node, "`of`"));
    let Some(node) = fields.required("metric", reader) else { return (None, None) };
    let Some(name) = reader.text(node, "a metric") else { return (None, None) };
    let metric = Metric { name, of };
    let Some(entry) = metric.entry() else {
        let of_span = of_node.map(|node| node.span);
        let found = scraped(reader, node, &metric, of_span, known);
        return (found.then_some(metric), None);
    };
    match (entry.of, &metric.of, of_node) {
        (Some(thing), None, None) => reader.report(
            Finding::new(
                &codes::METRIC_OF,
                node.span,
                format!("`{}` is measured for each {thing} by itself", metric.name),
            )
            .help(format!("say which: of: NAME-OF-THE-{}", thing.to_uppercase())),
        ),
        (None, _, Some(of)) => reader.report(
            Finding::new(
                &codes::METRIC_OF,
                of.span,
                format!("`{}` is measured for the whole system, not of one thing", metric.name),
            )
            .help("remove `of`"),
        ),
        _ => {}
    }
    if let Some(known) = known {
        measurable(reader, node, entry, &metric, of_node, known);
    }
    (Some(metric), Some(entry.unit))
}

/// Whether the document brings what a metric of the table is measured by.
fn measurable(
    reader: &mut Reader<'_>,
    node: &Node,
    entry: &MetricEntry,
    metric: &Metric,
    of_node: Option<&Node>,
    known: &Known,
) {
    if entry.name.starts_with("http.") && !known.http_load {
        reader.report(
            Finding::new(
                &codes::NO_LOAD,
                node.span,
                format!("`{}` is what the load's clients see, but the document has no HTTP load", entry.name),
            )
            .help("add load: [{ http: { url: \"http://NAME.lab/\", rate: 100/s } }]"),
        );
    }
    if let (Some("probe"), Some(of), Some(of_node)) = (entry.of, &metric.of, of_node)
        && !known.probes.contains(of)
    {
        let finding = Finding::new(&codes::METRIC_OF, of_node.span, format!("there is no probe `{of}`"));
        reader.report(finding.help(suggestion(of, &known.probes, "define it under `probes`")));
    }
}

/// A metric that is not in the table: a scraped series, or a mistake.
fn scraped(
    reader: &mut Reader<'_>,
    node: &Node,
    metric: &Metric,
    of: Option<crate::source::Span>,
    known: Option<&Known>,
) -> bool {
    if let Some(series) = metric.name.strip_prefix("scrape.") {
        if let Some(span) = of {
            let message = format!("`{}` names its series itself", metric.name);
            reader.report(Finding::new(&codes::METRIC_OF, span, message).help("remove `of`"));
        }
        let defined = known.is_some_and(|known| known.series.iter().any(|name| name == series));
        if !defined {
            let none = Vec::new();
            let names = known.map_or(&none, |known| &known.series);
            let finding =
                Finding::new(&codes::UNKNOWN_METRIC, node.span, format!("no scrape defines the series `{series}`"));
            reader.report(finding.help(suggestion(series, names, "define it under the `metrics` of a `scrape`")));
        }
        return defined;
    }
    let finding = Finding::new(&codes::UNKNOWN_METRIC, node.span, format!("there is no metric `{}`", metric.name));
    let near = nearest(&metric.name, METRICS.iter().map(|entry| entry.name));
    reader.report(match near {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => {
            let names: Vec<&str> = METRICS.iter().map(|entry| entry.name).collect();
            finding.help(format!("known are {}, and scrape.NAME", names.join(", ")))
        }
    });
    false
}

fn suggestion(wrong: &str, known: &[String], otherwise: &str) -> String {
    match nearest(wrong, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => otherwise.to_owned(),
    }
}

/// `is`: a comparison with a quantity in the metric's unit.
fn condition(reader: &mut Reader<'_>, node: &Node, unit: Option<Unit>, metric: Option<&Metric>) -> Option<Condition> {
    let Some(text) = node.as_text() else {
        reader.wrong_type(node, "`is`", "a condition such as \"<= 500ms\"");
        return None;
    };
    let condition: Condition = match text.parse() {
        Ok(condition) => condition,
        Err(error) => {
            reader.report(Finding::new(&codes::CONDITION, node.span, error.to_string()));
            return None;
        }
    };
    let found = condition.quantity.unit;
    let (Some(unit), Some(metric)) = (unit, metric) else { return Some(condition) };
    // A plain zero is zero in every unit.
    if found == Unit::Count && condition.quantity.value == 0.0 && unit != Unit::Count {
        let quantity = model::metric::Quantity { value: 0.0, unit };
        return Some(Condition { quantity, ..condition });
    }
    if found != unit {
        let message =
            format!("`{}` is {}, but the condition is about {}", metric.name, unit.example(), found.example());
        reader.report(
            Finding::new(&codes::UNIT, node.span, message)
                .help(format!("write {}, after the comparison", unit.example())),
        );
        return None;
    }
    impossible(reader, node, condition, metric);
    Some(condition)
}

/// Conditions that hold always or never claim nothing.
fn impossible(reader: &mut Reader<'_>, node: &Node, condition: Condition, metric: &Metric) {
    let value = condition.quantity.value;
    let most = if condition.quantity.unit == Unit::Percent { 100.0 } else { f64::INFINITY };
    let wrong = match condition.comparison {
        Comparison::Less if value <= 0.0 => Some("can never hold"),
        Comparison::LessOrEqual | Comparison::Equal if value < 0.0 => Some("can never hold"),
        Comparison::GreaterOrEqual if value <= 0.0 => Some("always holds"),
        Comparison::Greater | Comparison::NotEqual if value < 0.0 => Some("always holds"),
        Comparison::Greater if value >= most => Some("can never hold"),
        Comparison::GreaterOrEqual | Comparison::Equal if value > most => Some("can never hold"),
        Comparison::LessOrEqual if value >= most => Some("always holds"),
        Comparison::Less | Comparison::NotEqual if value > most => Some("always holds"),
        _ => None,
    };
    if let Some(wrong) = wrong
        && !metric.is_scraped()
    {
        let message = format!("`{}` {condition} {wrong}, so it claims nothing", metric.name);
        reader.report(Finding::new(&codes::CONDITION, node.span, message));
    }
}
