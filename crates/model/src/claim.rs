//! What an action has to itself while it is in effect: two that claim the same of one resource are never both in effect.
//!
//! Entries of the [catalogue](crate::catalogue) declare their claims. The planner refuses documents in which two actions would
//! certainly clash, before anything starts; who injects looks again, at what is really in effect by then.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::catalogue::Entry;

/// Something of a resource that only one action can have at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exclusive {
    /// Its processes' tracer: the kernel gives each at most one.
    Tracer,
    /// The code with which its processes read the clock.
    Clock,
    /// Who answers when it asks for names: over TCP, the first redirection of a connection is the only one.
    Names,
    /// The limit on its CPU time. Limits are values: of two that are set and restored in any order, one would stay.
    CpuLimit,
    /// The limit on its memory.
    MemoryLimit,
    /// The limit on how many processes it has.
    PidsLimit,
    /// The limits on how many descriptors its processes have.
    DescriptorLimit,
    /// The queueing discipline of what it sends.
    OutgoingDiscipline,
    /// The queueing discipline of what it receives.
    IncomingDiscipline,
}

/// That an action has something to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// What.
    pub what: Exclusive,
    /// Only where each of these parameters has one of these values; empty: always.
    pub when: &'static [(&'static str, &'static [&'static str])],
    /// The parameter that chooses a part of the resource; where it is absent, all of it is meant.
    pub part: Option<&'static str>,
}

impl Claim {
    /// A claim on the whole resource, whatever the parameters are.
    #[must_use]
    pub const fn on(what: Exclusive) -> Self {
        Self { what, when: &[], part: None }
    }

    /// A claim on the part of the resource that a parameter chooses.
    #[must_use]
    pub const fn on_part(what: Exclusive, part: &'static str) -> Self {
        Self { what, when: &[], part: Some(part) }
    }
}

impl Entry {
    /// What of one resource two actions would certainly both claim. `None`: nothing; or they name different parts of it, and
    /// whether these are the same is seen when the second is injected.
    #[must_use]
    pub fn clash(
        &self,
        parameters: &BTreeMap<String, String>,
        other: &Self,
        others: &BTreeMap<String, String>,
    ) -> Option<Exclusive> {
        let claims = self.claims(parameters);
        let theirs = other.claims(others);
        let meets = |(what, part): &(Exclusive, Option<&str>)| {
            theirs.iter().any(|(other, their_part)| {
                what == other && (part.is_none() || their_part.is_none() || part == their_part)
            })
        };
        claims.iter().find(|claim| meets(claim)).map(|(what, _)| *what)
    }

    /// What is claimed with these parameters, and of which part.
    fn claims<'a>(&self, parameters: &'a BTreeMap<String, String>) -> Vec<(Exclusive, Option<&'a str>)> {
        let holds = |(name, values): &(&str, &[&str])| {
            let default = || self.parameters.iter().find(|parameter| parameter.name == *name)?.default;
            let value = parameters.get(*name).map(String::as_str).or_else(default);
            value.is_some_and(|value| values.contains(&value))
        };
        self.exclusive
            .iter()
            .filter(|claim| claim.when.iter().all(holds))
            .map(|claim| (claim.what, claim.part.and_then(|part| parameters.get(part)).map(String::as_str)))
            .collect()
    }
}

/// `the tracer of its processes (those that `process` names)`.
impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        if let Some(part) = self.part {
            write!(f, " (those that `{part}` names)")?;
        }
        for (at, (name, values)) in self.when.iter().enumerate() {
            write!(f, "{} `{name}` {}", if at == 0 { ", with" } else { " and" }, values.join(" or "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Exclusive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tracer => "the tracer of its processes",
            Self::Clock => "the code with which its processes read the clock",
            Self::Names => "the answers to its queries for names",
            Self::CpuLimit => "the limit on its CPU time",
            Self::MemoryLimit => "the limit on its memory",
            Self::PidsLimit => "the limit on how many processes it has",
            Self::DescriptorLimit => "the limit on how many descriptors its processes have",
            Self::OutgoingDiscipline => "the queueing discipline of what it sends",
            Self::IncomingDiscipline => "the queueing discipline of what it receives",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Parameter, ParameterKind, Reversibility};

    const fn entry(id: &'static str, exclusive: &'static [Claim]) -> Entry {
        Entry {
            id,
            about: "",
            targets: &[],
            parameters: &[Parameter {
                name: "direction",
                kind: ParameterKind::Text,
                required: false,
                default: Some("in"),
                about: "",
            }],
            reversibility: Reversibility::Undoable,
            undone_by: "",
            proven_by: "",
            needs: &[],
            exclusive,
            fis: &[],
            chaos_mesh: None,
        }
    }

    const TRACES: Entry = entry("traces", &[Claim::on_part(Exclusive::Tracer, "process")]);
    const ALSO: Entry = entry("also", &[Claim::on(Exclusive::Clock), Claim::on_part(Exclusive::Tracer, "process")]);
    const QUEUES: Entry = entry(
        "queues",
        &[Claim { what: Exclusive::IncomingDiscipline, when: &[("direction", &["in", "both"])], part: None }],
    );

    fn with(parameters: &[(&str, &str)]) -> BTreeMap<String, String> {
        parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_part_clashes_with_itself_and_with_all_but_not_with_another_part() {
        let (all, web, log) = (with(&[]), with(&[("process", "web")]), with(&[("process", "log")]));
        assert_eq!(TRACES.clash(&all, &ALSO, &web), Some(Exclusive::Tracer));
        assert_eq!(TRACES.clash(&web, &ALSO, &web), Some(Exclusive::Tracer));
        assert_eq!(TRACES.clash(&web, &ALSO, &log), None);
        assert_eq!(ALSO.clash(&web, &ALSO, &log), Some(Exclusive::Clock));
        assert_eq!(TRACES.clash(&all, &QUEUES, &all), None);
    }

    #[test]
    fn a_claim_is_said_in_words() {
        let said = |entry: &Entry| entry.exclusive.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        assert_eq!(said(&TRACES), "the tracer of its processes (those that `process` names)");
        assert_eq!(said(&QUEUES), "the queueing discipline of what it receives, with `direction` in or both");
    }

    #[test]
    fn a_claim_holds_where_its_parameters_say_so_by_default_too() {
        let (default, out, both) = (with(&[]), with(&[("direction", "out")]), with(&[("direction", "both")]));
        assert_eq!(QUEUES.clash(&default, &QUEUES, &both), Some(Exclusive::IncomingDiscipline));
        assert_eq!(QUEUES.clash(&default, &QUEUES, &out), None);
    }
}
