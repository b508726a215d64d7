//! `http:header`: headers are missing, or are others.

use http::{
    HeaderName,
    header::{CONNECTION, CONTENT_LENGTH, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
};
use model::catalogue::{Entry, Parameter, ParameterKind};
use proxy::http::{Change, Rule};

use crate::{
    fault::Refused,
    http::{
        DIRECTION, HEADERS, HTTP_FAULT, HttpFault, MESSAGE, METHOD, OPEN, PATH, PORT, SHARE, SOURCES,
        abort::{field_name, fields},
        change_message,
    },
    network::filter::DURATION,
    parameters::Checked,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "http:header",
    about: "Requests or responses in HTTP (1.1, or 2 without TLS) lose headers, or have others, of the requests to a target or of those that it makes.",
    parameters: &[
        DURATION,
        MESSAGE,
        Parameter {
            name: SET,
            kind: ParameterKind::Json,
            required: false,
            default: None,
            about: "Headers that it then has, with this value and no other: `{\"x-version\": \"2\"}`.",
        },
        Parameter {
            name: REMOVE,
            kind: ParameterKind::Text,
            required: false,
            default: None,
            about: "Names of headers, comma-separated, that it then has not.",
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
    proven_by: "Requests that match, to a stand-in of ours beside the target, arrive there, or are answered, with the headers as they should be, in the share that is hit; others as they are.",
    chaos_mesh: Some("HTTPChaos replace headers, patch headers"),
    ..HTTP_FAULT
};

const SET: &str = "setHeaders";
const REMOVE: &str = "removeHeaders";
/// What says where messages end is written anew by whoever passes them on.
const NEVER_REMOVED: [HeaderName; 6] = [CONNECTION, CONTENT_LENGTH, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

pub(crate) const FAULT: HttpFault = HttpFault { entry: &ENTRY, act };

/// Has a rule change headers.
fn act(rule: Rule, parameters: Checked<'_>) -> Result<Rule, Refused> {
    let names = parameters.text(REMOVE).into_iter().flat_map(|text| text.split(','));
    let remove: Vec<HeaderName> = names.map(|name| field_name(REMOVE, name)).collect::<Result<_, _>>()?;
    if let Some(name) = remove.iter().find(|name| NEVER_REMOVED.contains(name)) {
        return Err(Refused(format!("`{REMOVE}`: {name} says where messages end, and cannot be removed")));
    }
    let set = fields(parameters, SET)?;
    if let Some((name, _)) = set.iter().find(|(name, _)| remove.contains(name)) {
        return Err(Refused(format!("http:header: {name} cannot be set and removed")));
    }
    if set.is_empty() && remove.is_empty() {
        return Err(Refused(format!("http:header: say what to do, by `{SET}` or `{REMOVE}`")));
    }
    let change = Change { set, remove, body: None };
    Ok(change_message(rule, change, parameters))
}
