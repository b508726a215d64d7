//! `http:header`: headers are missing, or are others.

use http::{
    HeaderName,
    header::{CONNECTION, CONTENT_LENGTH, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
};
use model::{
    catalogue::{Entry, Parameter, ParameterKind, Reversibility},
    event::Cleanliness,
};
use proxy::http::{Change, Rule};

use crate::{
    TARGETS,
    fault::{Failed, Fault, Injection, Refused, Tools, Undo, UndoError},
    http::{
        self as faults, DIRECTION, HEADERS, MESSAGE, METHOD, OPEN, PATH, PORT, SHARE, SOURCES,
        abort::{field_name, fields},
    },
    network::filter::DURATION,
    object::Object,
    parameters::Checked,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "http:header",
    about: "Requests or responses in HTTP (1.1, or 2 without TLS) lose headers, or have others, of the requests to a target or of those that it makes.",
    targets: TARGETS,
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
    reversibility: Reversibility::SelfEnding,
    undone_by: faults::UNDONE,
    proven_by: "Requests that match, to a stand-in of ours beside the target, arrive there, or are answered, with the headers as they should be, in the share that is hit; others as they are.",
    needs: faults::NEEDS,
    exclusive: &[],
    fis: &[],
    chaos_mesh: Some("HTTPChaos replace headers, patch headers"),
};

const SET: &str = "setHeaders";
const REMOVE: &str = "removeHeaders";
/// What says where messages end is written anew by whoever passes them on.
const NEVER_REMOVED: [HeaderName; 6] = [CONNECTION, CONTENT_LENGTH, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

pub(crate) struct Header;

impl Fault for Header {
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

/// Has a rule change headers.
pub(crate) fn act(rule: Rule, parameters: Checked<'_>) -> Result<Rule, Refused> {
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
    Ok(faults::change(rule, change, parameters))
}
