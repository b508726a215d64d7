//! Probes: their form, their times, and what liveness asks.

use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    node::{Node, ScalarKind},
    shape::{
        Keys,
        Shape::{self, Any, Keys as Mapping, List, Text, Whole, Word},
        may, need,
    },
};

/// Defaults of the API: a probe has one second, every ten seconds, and the third failure counts.
const TIMEOUT: f64 = 1.0;
const PERIOD: f64 = 10.0;
const FAILURES: f64 = 3.0;

const SECONDS: Shape = Whole(1, i32::MAX as i64);

/// What every probe has.
macro_rules! probe {
    ($what:literal, $successes:expr $(, $more:expr)*) => {
        Keys {
            what: $what,
            keys: &[
                may("exec", Mapping(&Keys { what: "a command", keys: &[may("command", List(&Text))] })),
                may(
                    "httpGet",
                    Mapping(&Keys {
                        what: "a request",
                        keys: &[
                            need("port", Any),
                            may("path", Text),
                            may("host", Text),
                            may("scheme", Word(&["HTTP", "HTTPS"])),
                            may(
                                "httpHeaders",
                                List(&Mapping(&Keys { what: "a header", keys: &[need("name", Text), need("value", Text)] })),
                            ),
                        ],
                    }),
                ),
                may("tcpSocket", Mapping(&Keys { what: "a socket", keys: &[need("port", Any), may("host", Text)] })),
                may("grpc", Mapping(&Keys { what: "a gRPC check", keys: &[need("port", Whole(1, 65_535)), may("service", Text)] })),
                may("initialDelaySeconds", Whole(0, i32::MAX as i64)),
                may("timeoutSeconds", SECONDS),
                may("periodSeconds", SECONDS),
                may("successThreshold", $successes),
                may("failureThreshold", SECONDS),
                $($more,)*
            ],
        }
    };
}

/// A probe after which a container is restarted: one success is enough for it.
pub(super) const LIVENESS: Keys = probe!("a probe", Whole(1, 1), may("terminationGracePeriodSeconds", SECONDS));

/// A probe after which a pod gets no requests.
pub(super) const READINESS: Keys = probe!("a readiness probe", SECONDS);

/// Looks at the probes of a container.
pub(super) fn check(reader: &mut Reader<'_>, container: &Node) {
    for key in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = container.get(key).filter(|probe| probe.as_mapping().is_some()) else { continue };
        handler(reader, probe, key);
        times(reader, probe);
        port(reader, container, probe);
        if key == "livenessProbe" {
            deep(reader, probe);
            hasty(reader, container, probe);
        }
    }
}

/// A probe asks in one way.
fn handler(reader: &mut Reader<'_>, probe: &Node, key: &str) {
    const WAYS: &[&str] = &["exec", "httpGet", "tcpSocket", "grpc"];
    let entries = probe.as_mapping().unwrap_or_default();
    let mut ways = entries.iter().filter(|entry| WAYS.contains(&entry.key.as_str()));
    match (ways.next(), ways.next()) {
        (Some(_), None) => {}
        (_, Some(second)) => {
            let message = format!("the {key} asks in two ways; Kubernetes takes one");
            reader.report(Finding::new(&codes::WRONG_VALUE, second.key_span, message).help("remove one of them"));
        }
        (None, None) => {
            // One that is misspelt has been reported.
            let slip = |name: &str| reader.near(name, WAYS.iter().copied()).is_some();
            if !entries.iter().any(|entry| LIVENESS.find(&entry.key).is_none() && slip(&entry.key)) {
                let message = format!("the {key} does not say what to ask");
                let finding = Finding::new(&codes::MISSING_KEY, probe.head, message);
                reader.report(finding.help("add httpGet: { path: /live, port: 8080 }, tcpSocket, grpc or exec"));
            }
        }
    }
}

fn number(node: &Node, key: &str) -> Option<f64> {
    node.get(key)?.as_text()?.parse().ok()
}

/// A probe that still waits when the next one is due.
fn times(reader: &mut Reader<'_>, probe: &Node) {
    let timeout = number(probe, "timeoutSeconds").unwrap_or(TIMEOUT);
    let period = number(probe, "periodSeconds").unwrap_or(PERIOD);
    if timeout > period
        && period > 0.0
        && let Some(node) = probe.get("timeoutSeconds").or_else(|| probe.get("periodSeconds"))
    {
        let message =
            format!("a probe waits {timeout} s and is made every {period} s: a slow answer delays the next one");
        reader.report(
            Finding::new(&codes::PROBE_BUDGET, node.span, message).help("keep timeoutSeconds below periodSeconds"),
        );
    }
}

/// A port by a name that no port of the container has.
fn port(reader: &mut Reader<'_>, container: &Node, probe: &Node) {
    let asked = ["httpGet", "tcpSocket"].iter().filter_map(|way| probe.get(way)?.get("port"));
    let ports = container.get("ports").and_then(Node::as_sequence).unwrap_or_default();
    let names: Vec<&str> = ports.iter().filter_map(|port| port.get("name")?.as_text()).collect();
    for node in asked {
        let Some(scalar) = node.as_scalar() else { continue };
        match scalar.kind {
            ScalarKind::Text if scalar.text.parse::<u16>().is_ok() => {
                let message = format!("the port \"{}\" in quotes is the name of a port", scalar.text);
                let finding = Finding::new(&codes::WRONG_TYPE, node.span, message);
                reader.report(finding.help(format!("write the number without quotes: {}", scalar.text)));
            }
            ScalarKind::Text
                if !names.contains(&scalar.text.as_str()) && !crate::semantics::placeholder(&scalar.text) =>
            {
                let message = format!("the container has no port named `{}`", scalar.text);
                let finding = Finding::new(&codes::WRONG_VALUE, node.span, message);
                reader.report(match reader.near(&scalar.text, names.iter().copied()) {
                    Some(near) => finding.help(format!("did you mean `{near}`?")),
                    None => finding.help("write the number, or give a port of `ports` this name"),
                });
            }
            ScalarKind::Text | ScalarKind::Null | ScalarKind::Bool(_) | ScalarKind::Number(_) => {}
        }
    }
}

/// Liveness that asks everything.
fn deep(reader: &mut Reader<'_>, probe: &Node) {
    let Some(path) = probe.get("httpGet").and_then(|get| get.get("path")) else { return };
    let text = path.as_text().unwrap_or_default().trim_end_matches('/');
    let (message, help) = match text {
        "/actuator/health" => (
            "this path asks all health indicators, databases among them; when one fails, every pod is restarted",
            "ask /actuator/health/liveness",
        ),
        "/actuator/health/readiness" | "/readiness" | "/ready" | "/readyz" | "/health/ready" | "/health/readiness" => (
            "liveness asks for readiness: a pod that cannot take requests for a while is restarted instead of left alone",
            "ask a path that only says whether the process works, such as /live or /healthz",
        ),
        _ if text.split('/').any(|part| DEPENDENCIES.contains(&part.to_ascii_lowercase().as_str())) => (
            "this path asks something that other pods need as well; when that fails, every pod is restarted",
            "ask a path that only says whether the process works, and dependencies in readiness at most",
        ),
        _ => return,
    };
    reader.report(Finding::new(&codes::DEEP_LIVENESS, path.span, message).help(help));
}

/// Parts of paths that ask for something which pods share, and not for the process.
const DEPENDENCIES: &[&str] = &[
    "db",
    "database",
    "postgres",
    "postgresql",
    "mysql",
    "mongo",
    "mongodb",
    "redis",
    "cache",
    "kafka",
    "rabbitmq",
    "queue",
    "dependencies",
    "deps",
    "downstream",
    "upstream",
    "deep",
];

/// Liveness that asks what readiness asks, and gives up no later: the pod is restarted before it is left alone.
fn hasty(reader: &mut Reader<'_>, container: &Node, liveness: &Node) {
    let Some(readiness) = container.get("readinessProbe") else { return };
    let asked = |probe: &Node| {
        let get = probe.get("httpGet")?;
        Some(["path", "port", "host"].map(|key| get.get(key).and_then(Node::as_text).map(str::to_owned)))
    };
    let patience = |probe: &Node| {
        number(probe, "periodSeconds").unwrap_or(PERIOD) * number(probe, "failureThreshold").unwrap_or(FAILURES)
    };
    let (Some(one), Some(other)) = (asked(liveness), asked(readiness)) else { return };
    let (restarts, rests) = (patience(liveness), patience(readiness));
    if one == other
        && restarts <= rests
        && let Some(get) = liveness.get("httpGet")
    {
        let message = format!(
            "liveness asks what readiness asks, and restarts after {restarts} s a pod that would get no requests after {rests} s"
        );
        reader.report(Finding::new(&codes::PROBE_BUDGET, get.span, message).help(
            "ask a path of its own that says whether the process works, or give liveness a higher failureThreshold",
        ));
    }
}
