//! `http:body`: bodies are others.

use http::Method;
use model::{
    catalogue::{Entry, Parameter, ParameterKind, Reversibility},
    event::Cleanliness,
};
use proxy::http::{BodyChange, Change, Rule};

use crate::{
    TARGETS,
    fault::{Failed, Fault, Injection, Refused, Tools, Undo, UndoError},
    http::{self as faults, DIRECTION, HEADERS, MESSAGE, METHOD, OPEN, PATH, PORT, SHARE, SOURCES},
    network::filter::DURATION,
    object::Object,
    parameters::Checked,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "http:body",
    about: "Requests or responses in HTTP (1.1, or 2 without TLS) have another body, or another JSON document in it, of the requests to a target or of those that it makes.",
    targets: TARGETS,
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
    reversibility: Reversibility::SelfEnding,
    undone_by: faults::UNDONE,
    proven_by: "Requests that match, to a stand-in of ours beside the target, arrive there, or are answered, with the body as it should be, in the share that is hit; others as they are.",
    needs: faults::NEEDS,
    exclusive: &[],
    fis: &[],
    chaos_mesh: Some("HTTPChaos replace body, patch body"),
};

const REPLACE: &str = "replace";
const PATCH: &str = "patch";

pub(crate) struct Body;

impl Fault for Body {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        faults::plan(object, parameters, act)
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        faults::inject(undo)
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        faults::undo(undo)
    }
}

/// Has a rule change bodies.
pub(crate) fn act(rule: Rule, parameters: Checked<'_>) -> Result<Rule, Refused> {
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
    let rule = faults::change(rule, change, parameters);
    if rule.of.method == Some(Method::HEAD) && rule.response != Change::default() {
        return Err(Refused("http:body: a response to HEAD has no body".to_owned()));
    }
    Ok(rule)
}
