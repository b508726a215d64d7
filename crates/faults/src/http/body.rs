//! `http:body`: bodies are others.

use http::Method;
use model::catalogue::{Entry, Parameter, ParameterKind};
use proxy::http::{BodyChange, Change, Rule};

use crate::{
    fault::Refused,
    http::{
        DIRECTION, HEADERS, HTTP_FAULT, HttpFault, MESSAGE, METHOD, OPEN, PATH, PORT, SHARE, SOURCES, change_message,
    },
    network::filter::DURATION,
    parameters::Checked,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "http:body",
    about: "Requests or responses in HTTP (1.1, or 2 without TLS) have another body, or another JSON document in it, of the requests to a target or of those that it makes.",
    parameters: &[
        DURATION,
        MESSAGE,
        Parameter {
            name: REPLACE,
            kind: ParameterKind::Text,
            required: false,
            default: None,
            about: "The body that it then has; either this or `patch`.",
        },
        Parameter {
            name: PATCH,
            kind: ParameterKind::Json,
            required: false,
            default: None,
            about: "What is merged into the JSON document that its body is (RFC 7396: `{\"price\": null}` takes the price away). Bodies that are none, are compressed, or are longer than 4 MiB pass as they are.",
        },
        METHOD,
        PATH,
        HEADERS,
        SHARE,
        PORT,
        DIRECTION,
        SOURCES,
        OPEN,
    ],
    proven_by: "Requests that match, to a stand-in of ours beside the target, arrive there, or are answered, with the body as it should be, in the share that is hit; others as they are.",
    chaos_mesh: Some("HTTPChaos replace body, patch body"),
    ..HTTP_FAULT
};

const REPLACE: &str = "replace";
const PATCH: &str = "patch";

pub(crate) const FAULT: HttpFault = HttpFault { entry: &ENTRY, act };

/// Has a rule change bodies.
fn act(rule: Rule, parameters: Checked<'_>) -> Result<Rule, Refused> {
    let body = match (parameters.text(REPLACE), parameters.text(PATCH)) {
        (Some(with), None) => BodyChange::Replace(with.to_owned().into()),
        (None, Some(patch)) => {
            let patch: serde_json::Value =
                serde_json::from_str(patch).map_err(|why| Refused(format!("`{PATCH}`: it is no JSON: {why}")))?;
            if patch.as_object().is_some_and(serde_json::Map::is_empty) {
                return Err(Refused(format!("`{PATCH}`: it changes nothing")));
            }
            BodyChange::Patch(patch)
        }
        _ => return Err(Refused(format!("http:body: say what to do, either by `{REPLACE}` or by `{PATCH}`"))),
    };
    let change = Change { body: Some(body), ..Change::default() };
    let rule = change_message(rule, change, parameters);
    if rule.of.method == Some(Method::HEAD) && rule.response != Change::default() {
        return Err(Refused("http:body: a response to HEAD has no body".to_owned()));
    }
    Ok(rule)
}
