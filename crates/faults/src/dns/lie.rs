//! `dns:lie`: names resolve to other addresses.

use std::net::IpAddr;

use model::{
    catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility},
    claim::{Claim, Exclusive},
    event::Cleanliness,
};

use crate::{
    TARGETS,
    dns::{self, NAMES, engine::Saying},
    fault::{Failed, Fault, Injection, Refused, Tools, Undo, UndoError},
    network::DURATION,
    object::Object,
    parameters::Checked,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "dns:lie",
    about: "Queries of a target for the addresses of some names are answered with other ones, whichever resolver they are for; other names resolve as ever. What is asked over TLS or HTTPS is not reached.",
    targets: TARGETS,
    parameters: &[
        DURATION,
        NAMES,
        Parameter {
            name: "addresses",
            kind: ParameterKind::IpAddresses { or: "random" },
            required: false,
            default: Some("random"),
            about: "Comma-separated addresses; where none is of the kind that is asked for, there are none. `random` is one each time that is nobody's.",
        },
    ],
    reversibility: Reversibility::SelfEnding,
    undone_by: "The rules go, which is the kernel's to do when this process dies; the answers are not to be remembered (a TTL of 0).",
    proven_by: "In the target's network, a query for each name is answered with the addresses, and one for another name arrives unchanged.",
    needs: &[Need::NetworkNamespace, Need::NftablesOwner, Need::Nfqueue],
    exclusive: &[Claim::on(Exclusive::Names)],
    fis: &[],
    chaos_mesh: Some("DNSChaos random"),
};

pub(crate) struct Lie;

/// So many addresses of either kind fit into an answer of 512 bytes, which every resolver takes.
const MOST: usize = 8;

impl Fault for Lie {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let text = parameters.text("addresses").unwrap_or_default().trim();
        let saying = if text == "random" { Saying::Random } else { Saying::Lie(addresses(text)?) };
        dns::plan(object, parameters, saying)
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        dns::inject(undo)
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        dns::undo(undo)
    }
}

fn addresses(text: &str) -> Result<Vec<IpAddr>, Refused> {
    let address = |item: &str| {
        let item = item.trim();
        item.parse().map_err(|_| {
            Refused(format!("dns:lie: `{item}` in `addresses` is no address; write for example 192.0.2.1, or random"))
        })
    };
    let addresses: Vec<IpAddr> = text.split(',').map(address).collect::<Result<_, _>>()?;
    if addresses.len() > MOST {
        return Err(Refused(format!("dns:lie: `addresses` has {}; the most are {MOST}", addresses.len())));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_either_kind() {
        assert_eq!(addresses("192.0.2.1, 2001:db8::1").unwrap().len(), 2);
        for text in ["", "192.0.2", "web", &["192.0.2.1"; 9].join(",")] {
            assert!(addresses(text).is_err(), "{text}");
        }
    }
}
