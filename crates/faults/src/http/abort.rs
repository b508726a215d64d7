//! `http:abort`: requests fail.

use http::{HeaderName, HeaderValue, StatusCode};
use model::{
    catalogue::{Entry, Parameter, ParameterKind, Reversibility},
    event::Cleanliness,
};
use proxy::http::{Abort as Aborts, Rule};

use crate::{
    TARGETS,
    fault::{Failed, Fault, Injection, Refused, Tools, Undo, UndoError},
    http::{self as faults, DIRECTION, HEADERS, METHOD, OPEN, PATH, PHASE, PORT, SHARE, SOURCES},
    network::filter::DURATION,
    object::Object,
    parameters::Checked,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "http:abort",
    about: "Requests in HTTP (1.1, or 2 without TLS) are answered with an error, or their connection is reset, of those to a target or of those that it makes.",
    targets: TARGETS,
    parameters: &[
        DURATION,
        Parameter {
            name: "failure",
            kind: ParameterKind::OneOf { values: &["status", "reset"] },
            required: false,
            default: Some("status"),
            about: "An answer of this fault's own, or none: the connection is reset (of HTTP/2, the stream).",
        },
        Parameter {
            name: STATUS,
            kind: ParameterKind::Integer { min: 200, max: 599 },
            required: false,
            default: Some("503"),
            about: "The status of the answer.",
        },
        Parameter {
            name: BODY,
            kind: ParameterKind::Text,
            required: false,
            default: None,
            about: "Its body; without it, it is empty.",
        },
        Parameter {
            name: FIELDS,
            kind: ParameterKind::Json,
            required: false,
            default: None,
            about: "Its headers: `{\"retry-after\": \"1\"}`.",
        },
        PHASE,
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
    proven_by: "Requests that match, to a stand-in of ours beside the target, fail as they should, in the share that is hit, and reach it or not as they should; others are answered.",
    needs: faults::NEEDS,
    exclusive: &[],
    fis: &[],
    chaos_mesh: Some("HTTPChaos abort"),
};

const STATUS: &str = "statusCode";
const BODY: &str = "body";
const FIELDS: &str = "setHeaders";

pub(crate) struct Abort;

impl Fault for Abort {
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

/// Has a rule abort.
pub(crate) fn act(rule: Rule, parameters: Checked<'_>) -> Result<Rule, Refused> {
    let how = match parameters.text("failure") {
        Some("reset") => match [STATUS, BODY, FIELDS].iter().find(|name| parameters.is_given(name)) {
            Some(name) => return Err(Refused(format!("http:abort: a reset is no answer, and has no `{name}`"))),
            None => Aborts::Connection,
        },
        _ => Aborts::Status {
            status: StatusCode::from_u16(parameters.read(STATUS)?).map_err(|why| Refused(why.to_string()))?,
            headers: fields(parameters, FIELDS)?,
            body: parameters.text(BODY).unwrap_or_default().to_owned().into(),
        },
    };
    Ok(rule.abort(how).at(faults::phase(parameters)))
}

/// A parameter that has headers.
pub(crate) fn fields(parameters: Checked<'_>, name: &str) -> Result<Vec<(HeaderName, HeaderValue)>, Refused> {
    let field = |(field, value): (String, String)| {
        let field = field_name(name, &field)?;
        let value = HeaderValue::try_from(value)
            .map_err(|_| Refused(format!("`{name}`: the value of {field} cannot be in a header")))?;
        Ok((field, value))
    };
    faults::texts(parameters, name)?.into_iter().map(field).collect()
}

/// A header's name that a parameter has.
pub(crate) fn field_name(parameter: &str, name: &str) -> Result<HeaderName, Refused> {
    name.trim().parse().map_err(|_| Refused(format!("`{parameter}`: `{name}` is no name of a header")))
}
