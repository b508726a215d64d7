//! `http:abort`: requests fail.

use http::{HeaderName, HeaderValue, StatusCode};
use model::catalogue::{Entry, Parameter, ParameterKind};
use proxy::http::{Abort as Aborts, Rule};

use crate::{
    fault::Refused,
    http::{DIRECTION, HEADERS, HTTP_FAULT, HttpFault, METHOD, OPEN, PATH, PHASE, PORT, SHARE, SOURCES, phase, texts},
    network::filter::DURATION,
    parameters::Checked,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "http:abort",
    about: "Requests in HTTP (1.1, or 2 without TLS) are answered with an error, or their connection is reset, of those to a target or of those that it makes.",
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
    proven_by: "Requests that match, to a stand-in of ours beside the target, fail as they should, in the share that is hit, and reach it or not as they should; others are answered.",
    chaos_mesh: Some("HTTPChaos abort"),
    ..HTTP_FAULT
};

const STATUS: &str = "statusCode";
const BODY: &str = "body";
const FIELDS: &str = "setHeaders";

pub(crate) const FAULT: HttpFault = HttpFault { entry: &ENTRY, act };

/// Has a rule abort.
fn act(rule: Rule, parameters: Checked<'_>) -> Result<Rule, Refused> {
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
    Ok(rule.abort(how).at(phase(parameters)))
}

/// A parameter that has headers.
pub(crate) fn fields(parameters: Checked<'_>, name: &str) -> Result<Vec<(HeaderName, HeaderValue)>, Refused> {
    let field = |(field, value): (String, String)| {
        let field = field_name(name, &field)?;
        let value = HeaderValue::try_from(value)
            .map_err(|_| Refused(format!("`{name}`: the value of {field} cannot be in a header")))?;
        Ok((field, value))
    };
    texts(parameters, name)?.into_iter().map(field).collect()
}

/// A header's name that a parameter has.
pub(crate) fn field_name(parameter: &str, name: &str) -> Result<HeaderName, Refused> {
    name.trim().parse().map_err(|_| Refused(format!("`{parameter}`: `{name}` is no name of a header")))
}
