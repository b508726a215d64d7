//! `dns:fail`: names do not resolve.

use model::{
    catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility},
    claim::{Claim, Exclusive},
    event::Cleanliness,
};

use crate::{
    TARGETS,
    dns::{self, NAMES, engine::Saying, wire::Code},
    fault::{Failed, Fault, Injection, Refused, Tools, Undo, UndoError},
    network::DURATION,
    object::Object,
    parameters::Checked,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "dns:fail",
    about: "Queries of a target for some names fail, whichever resolver they are for; other names resolve as ever. What is asked over TLS or HTTPS is not reached.",
    targets: TARGETS,
    parameters: &[
        DURATION,
        NAMES,
        Parameter {
            name: "failure",
            kind: ParameterKind::OneOf { values: &["nxdomain", "servfail", "refused", "timeout"] },
            required: false,
            default: Some("nxdomain"),
            about: "How: there is no such name, the resolver cannot find out, it will not say, or it never answers.",
        },
    ],
    reversibility: Reversibility::SelfEnding,
    undone_by: "The rules go, which is the kernel's to do when this process dies; failures carry nothing that may be remembered.",
    proven_by: "In the target's network, a query for each name fails as it should, and one for another name arrives unchanged.",
    needs: &[Need::NetworkNamespace, Need::NftablesOwner, Need::Nfqueue],
    exclusive: &[Claim::on(Exclusive::Names)],
    fis: &[],
    chaos_mesh: Some("DNSChaos error"),
};

pub(crate) struct Fail;

impl Fault for Fail {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let saying = match parameters.text("failure") {
            Some("timeout") => Saying::Silence,
            Some("servfail") => Saying::Fail(Code::ServFail),
            Some("refused") => Saying::Fail(Code::Refused),
            _ => Saying::Fail(Code::NxDomain),
        };
        dns::plan(object, parameters, saying)
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        dns::inject(undo)
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        dns::undo(undo)
    }
}
