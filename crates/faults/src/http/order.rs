//! What is ordered: parameters that all faults in HTTP have, and the plan that comes of them.

use std::{collections::BTreeMap, ops::RangeInclusive};

use http::{HeaderName, Method};
use model::catalogue::{Parameter, ParameterKind};
use proxy::http::{Change, Glob, Matches, Phase, Rule};
use serde::{Deserialize, Serialize};

use crate::{
    fault::{self, Failed, Refused},
    http::{before::Open, doors::Concern},
    network::{
        self,
        filter::{self, Filter},
        percent,
    },
    object::Object,
    parameters::{Checked, ports},
};

pub(crate) const DIRECTION: Parameter = Parameter {
    name: "direction",
    kind: ParameterKind::OneOf { values: &["ingress", "egress"] },
    required: false,
    default: Some("ingress"),
    about: "Requests to the target, or those that it makes.",
};
pub(crate) const PORT: Parameter = Parameter {
    about: "The ports to which the requests go: of the target (without it, its only one), or of others for egress (needed then).",
    ..filter::PORT
};
pub(crate) const SOURCES: Parameter = Parameter {
    about: "Only requests from these other ends, or to them for egress: addresses, networks, host names (looked up once, when it begins); ALL for any, over the loopback too.",
    ..filter::SOURCES
};
pub(crate) const METHOD: Parameter = Parameter {
    name: "method",
    kind: ParameterKind::Text,
    required: false,
    default: None,
    about: "Only requests of this method.",
};
pub(crate) const PATH: Parameter = Parameter {
    name: "path",
    kind: ParameterKind::Text,
    required: false,
    default: Some("*"),
    about: "Only requests for this path (without the query): `*` stands for any characters, `?` for one.",
};
pub(crate) const HEADERS: Parameter = Parameter {
    name: "headers",
    kind: ParameterKind::Json,
    required: false,
    default: None,
    about: "Only requests with all of these headers, whose values are patterns like those of paths: `{\"x-user\": \"test-*\"}`.",
};
pub(crate) const SHARE: Parameter = Parameter {
    name: "requestsPercent",
    kind: ParameterKind::Number { min: 1.0, max: 100.0 },
    required: false,
    default: Some("100"),
    about: "The share of these requests that are hit.",
};
pub(crate) const PHASE: Parameter = Parameter {
    name: "at",
    kind: ParameterKind::OneOf { values: &["request", "response"] },
    required: false,
    default: Some("request"),
    about: "Before the request goes on, or when it has been answered: then its work is done, and who asked does not learn of it (in time).",
};
pub(crate) const MESSAGE: Parameter = Parameter {
    name: "message",
    kind: ParameterKind::OneOf { values: &["request", "response"] },
    required: true,
    default: None,
    about: "What of an exchange is changed.",
};
pub(crate) const OPEN: Parameter = Parameter {
    name: "openConnections",
    kind: ParameterKind::OneOf { values: &["reset", "leave"] },
    required: false,
    default: Some("reset"),
    about: "What becomes of connections that stand when the fault begins: they are ended, each at a moment when nothing is under way on it (after a second, whatever is), or go on unhit, which those that clients keep may do for hours.",
};

/// What will be done, as it is written down.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// As the proxy writes it.
    rule: serde_json::Value,
    pub(crate) concern: Concern,
    pub(crate) open: Open,
}

/// What a fault has a rule do.
pub(crate) type Act = fn(Rule, Checked<'_>) -> Result<Rule, Refused>;

/// The rule of this name that does to exchanges what is ordered.
pub(crate) fn rule(name: &str, parameters: Checked<'_>, act: Act) -> Result<Rule, Refused> {
    let share = parameters.read::<f64>(SHARE.name)?;
    let rule = act(Rule::new(name, matches(parameters)?).percentage(share), parameters)?;
    rule.checked().map_err(|why| Refused(why.to_string()))
}

/// Plans that this is done to exchanges of an object.
pub(crate) fn plan(object: &Object, parameters: Checked<'_>, act: Act) -> Result<serde_json::Value, Refused> {
    let rule = rule(RULE, parameters, act)?;
    let filter = Filter::read(parameters)?;
    let others = filter.other_ends();
    let ports: Vec<RangeInclusive<u16>> = parameters.text("port").map_or(Ok(Vec::new()), ports).map_err(Refused)?;
    let inward = parameters.text(DIRECTION.name) != Some("egress");
    let concern = if object.links.is_empty() {
        let network = network::site::network(object)?;
        if inward {
            Concern::to(object, &network, &ports, others)?
        } else {
            Concern::from(object, &network, ports, others)?
        }
    } else {
        Concern::over(object, inward, ports, &others)?
    };
    let open = match parameters.text(OPEN.name) {
        Some("leave") => Open::Leave,
        _ => Open::Reset,
    };
    fault::written(&Plan { rule: rule.to_json(), concern, open })
}

/// There is one.
const RULE: &str = "fault";

/// Which requests are meant.
fn matches(parameters: Checked<'_>) -> Result<Matches, Refused> {
    let refused = |name: &str, why: String| Refused(format!("`{name}`: {why}"));
    let method = parameters.text(METHOD.name).map(|text| {
        let method = Method::from_bytes(text.trim().to_ascii_uppercase().as_bytes());
        let method = method.map_err(|_| refused(METHOD.name, format!("`{text}` is no method")))?;
        if method == Method::CONNECT {
            return Err(refused(METHOD.name, "CONNECT asks for a tunnel, which is no exchange".to_owned()));
        }
        Ok(method)
    });
    let pattern = parameters.text(PATH.name).unwrap_or("*");
    let path = Glob::new(pattern).map_err(|why| refused(PATH.name, why.to_owned()))?;
    if example_path(&path).is_none() {
        return Err(refused(PATH.name, format!("no path is like `{pattern}`: they begin with `/`, without the query")));
    }
    Ok(Matches { method: method.transpose()?, path: Some(path), headers: headers(parameters)?, ..Matches::default() })
}

fn headers(parameters: Checked<'_>) -> Result<Vec<(HeaderName, Glob)>, Refused> {
    let refused = |why: String| Refused(format!("`{}`: {why}", HEADERS.name));
    let texts = texts(parameters, HEADERS.name)?;
    let header = |(name, pattern): (String, String)| {
        let name = name.parse::<HeaderName>().map_err(|_| refused(format!("`{name}` is no name of a header")))?;
        let pattern = Glob::new(pattern).map_err(|why| refused(why.to_owned()))?;
        if http::HeaderValue::try_from(pattern.example()).is_err() {
            return Err(refused(format!("no value of a header is like `{pattern}`")));
        }
        Ok((name, pattern))
    };
    texts.into_iter().map(header).collect()
}

/// A parameter that is an object of texts.
pub(crate) fn texts(parameters: Checked<'_>, name: &str) -> Result<BTreeMap<String, String>, Refused> {
    let Some(text) = parameters.text(name) else { return Ok(BTreeMap::new()) };
    serde_json::from_str(text).map_err(|why| {
        Refused(format!("`{name}`: it is no JSON object of texts, such as {{\"name\": \"value\"}}: {why}"))
    })
}

/// When it is done.
pub(crate) fn phase(parameters: Checked<'_>) -> Phase {
    match parameters.text(PHASE.name) {
        Some("response") => Phase::Response,
        _ => Phase::Request,
    }
}

/// Changes the message that is said.
pub(crate) fn change_message(rule: Rule, change: Change, parameters: Checked<'_>) -> Rule {
    match parameters.text(MESSAGE.name) {
        Some("request") => rule.request(change),
        _ => rule.response(change),
    }
}

/// A path that fits a pattern, if there is one.
pub(crate) fn example_path(pattern: &Glob) -> Option<String> {
    let example = pattern.example();
    let paths = [example.clone(), format!("/{example}")];
    let can_be = |path: &String| {
        path.starts_with('/')
            && !path.contains('#')
            && pattern.matches(path.as_bytes())
            && path.parse::<http::Uri>().is_ok_and(|uri| uri.path() == path)
    };
    paths.into_iter().find(can_be)
}

impl Plan {
    /// The rule.
    pub(crate) fn rule(&self) -> Result<Rule, Failed> {
        Rule::from_json(&self.rule).map_err(Failed::to("read the rule"))
    }
}

/// Which exchanges, in words: `60 % of GET /a*`.
pub(crate) fn meant(rule: &Rule) -> String {
    let Matches { method, path, headers, .. } = &rule.of;
    let share =
        if rule.percentage < 100.0 { format!("{} of ", percent(rule.percentage / 100.0)) } else { String::new() };
    let method = method.as_ref().map_or_else(String::new, |method| format!("{method} "));
    let path = path.as_ref().map_or_else(String::new, ToString::to_string);
    let fields: Vec<String> = headers.iter().map(|(name, pattern)| format!(" with {name}: {pattern}")).collect();
    format!("{share}{method}{path}{}", fields.join(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_no_path_fits_has_no_example() {
        let example = |pattern: &str| example_path(&Glob::new(pattern).unwrap());
        for (pattern, path) in [("*", "/"), ("/a?c/*", "/axc/"), ("*.json", "/.json"), ("/", "/")] {
            assert_eq!(example(pattern).as_deref(), Some(path), "{pattern}");
        }
        for none in ["a*", "http://web/", "/a b", "/#top"] {
            assert_eq!(example(none), None, "{none}");
        }
    }
}
