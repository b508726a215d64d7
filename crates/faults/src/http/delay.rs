//! `http:delay`: answers come later.

use std::time::Duration;

use model::catalogue::{Entry, Parameter, ParameterKind};
use proxy::http::Rule;

use crate::{
    fault::Refused,
    http::{DIRECTION, HEADERS, HTTP_FAULT, HttpFault, METHOD, OPEN, PATH, PHASE, PORT, SHARE, SOURCES, phase},
    network::filter::DURATION,
    parameters::Checked,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "http:delay",
    about: "Exchanges in HTTP (1.1, or 2 without TLS) take longer, of the requests to a target or of those that it makes.",
    parameters: &[
        DURATION,
        Parameter {
            name: "delayMilliseconds",
            kind: ParameterKind::Integer { min: 1, max: 600_000 },
            required: false,
            default: Some("200"),
            about: "How much longer.",
        },
        Parameter {
            name: "jitterMilliseconds",
            kind: ParameterKind::Integer { min: 0, max: 300_000 },
            required: false,
            default: Some("0"),
            about: "By how much that varies, evenly, both ways: at most half of the delay.",
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
    proven_by: "Requests that match, to a stand-in of ours beside the target, take longer by the delay, in the share that is hit; others do not.",
    chaos_mesh: Some("HTTPChaos delay"),
    ..HTTP_FAULT
};

pub(crate) const FAULT: HttpFault = HttpFault { entry: &ENTRY, act };

/// Has a rule delay.
fn act(rule: Rule, parameters: Checked<'_>) -> Result<Rule, Refused> {
    let time = |name| parameters.read(name).map(Duration::from_millis);
    let (delay, jitter) = (time("delayMilliseconds")?, time("jitterMilliseconds")?);
    if jitter > delay / 2 {
        return Err(Refused(
            "http:delay: `jitterMilliseconds` is more than half of the delay; what is hit could not be told from what is not"
                .to_owned(),
        ));
    }
    Ok(rule.delay(delay, jitter).at(phase(parameters)))
}
