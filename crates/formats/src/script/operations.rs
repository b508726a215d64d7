//! What the command line of AWS knows: operations, what they need, and the shape of what they answer.
//!
//! The table is made from the public API models: every operation of thirty services by name, and of those that read,
//! the options that must be given and the answer's members, a few levels deep.

use std::{collections::HashMap, sync::LazyLock};

use model::nearest::is_slip;

use crate::decode::Reader;

/// What an operation takes and answers.
#[derive(Debug)]
pub(super) struct Operation {
    /// Options that must be given, without their dashes.
    pub(super) required: Vec<&'static str>,
    /// The answer.
    pub(super) answer: Shape,
}

/// The shape of a value of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Text, number, boolean or time.
    Scalar,
    /// A structure with members by name.
    Structure(Vec<(&'static str, Self)>),
    /// A list.
    List(Box<Self>),
    /// A map, or deeper than the table goes.
    Open,
}

impl Shape {
    /// The member of a structure with this name.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Structure(members) => members.iter().find(|(member, _)| *member == name).map(|(_, shape)| shape),
            Self::Scalar | Self::List(_) | Self::Open => None,
        }
    }

    /// The names of the members of a structure.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        let members = match self {
            Self::Structure(members) => members.as_slice(),
            Self::Scalar | Self::List(_) | Self::Open => &[],
        };
        members.iter().map(|(name, _)| *name)
    }

    /// Where in a structure something of this name stands: `HealthCheckConfig.Type`.
    pub(super) fn path_to(&self, name: &str) -> Option<String> {
        let Self::Structure(members) = self else { return None };
        members.iter().find_map(|(outer, shape)| match shape {
            Self::Structure(inner) if inner.iter().any(|(member, _)| *member == name) => {
                Some(format!("{outer}.{name}"))
            }
            Self::List(item) if item.member(name).is_some() => Some(format!("{outer}[].{name}")),
            _ => None,
        })
    }
}

/// The table as it is kept.
const TABLE: &str = include_str!("operations.txt");

/// The operations that read, by service and by name.
static READING: LazyLock<HashMap<&str, HashMap<&str, Operation>>> = LazyLock::new(|| {
    let mut services: HashMap<&str, HashMap<&str, Operation>> = HashMap::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let mut parts = line.splitn(4, ' ');
        if let (Some(service), Some(name), Some(required), Some(mut rest)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        {
            let required = if required == "-" { Vec::new() } else { required.split(',').collect() };
            services.entry(service).or_default().insert(name, Operation { required, answer: shape(&mut rest) });
        }
    }
    services
});

/// All operations of a service.
static ALL: LazyLock<HashMap<&str, Vec<&str>>> = LazyLock::new(|| {
    let row = |line: &'static str| {
        let (service, names) = line.split_once(" * ")?;
        Some((service, names.split(',').collect()))
    };
    TABLE.lines().filter_map(row).collect()
});

/// All operations of a service by their names on the command line, if the service is in the table.
pub(super) fn operations(service: &str) -> Option<&'static [&'static str]> {
    ALL.get(service).map(Vec::as_slice)
}

/// The operation of a service that was meant by a name that none of its operations has, as programs write both:
/// `elbv2` and `DescribeTargetHealth`, or `describe_target_health`. Nothing where all is right, or nothing is known.
pub(crate) fn meant(reader: &Reader<'_>, service: &str, name: &str) -> Option<String> {
    // The command line has names of its own for a few services.
    let service = match service {
        "codedeploy" => "deploy",
        "s3" => "s3api",
        service => service,
    };
    let plain = |name: &str| name.replace(['-', '_'], "").to_ascii_lowercase();
    let known = operations(service)?;
    let wanted = plain(name);
    let names: Vec<String> = known.iter().map(|name| plain(name)).collect();
    if names.contains(&wanted) {
        return None;
    }
    let near = reader.near(&wanted, names.iter().map(String::as_str))?;
    let at = names.iter().position(|name| name == near)?;
    known.get(at).map(|name| pascal(name))
}

/// The action of IAM that was meant by one that is nobody's, as far as it is the name of an operation and a slip away.
/// Permissions without an operation of their name are many, and not listed.
pub(crate) fn meant_by_action(reader: &Reader<'_>, service: &str, name: &str) -> Option<String> {
    let service = match service {
        "elasticloadbalancing" => "elbv2",
        "states" => "stepfunctions",
        "servicequotas" => "service-quotas",
        // What IAM calls the actions of S3 are not its operations.
        "s3" => return None,
        service => service,
    };
    meant(reader, service, name).filter(|meant| is_slip(name, meant))
}

/// `describe-target-health` as `DescribeTargetHealth`.
fn pascal(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    name.split('-').map(|part| if part == "db" { "DB".to_owned() } else { word(part) }).collect()
}

/// What an operation that reads takes and answers, if it is in the table.
pub(super) fn operation(service: &str, name: &str) -> Option<&'static Operation> {
    READING.get(service)?.get(name)
}

/// Reads a shape of the table; `rest` begins behind it then.
fn shape(rest: &mut &'static str) -> Shape {
    match rest.as_bytes().first() {
        Some(b'*') => {
            *rest = &rest[1..];
            Shape::List(Box::new(shape(rest)))
        }
        Some(b'%' | b'?') => {
            *rest = &rest[1..];
            Shape::Open
        }
        Some(b'{') => {
            *rest = &rest[1..];
            let mut members = Vec::new();
            while !rest.is_empty() && !rest.starts_with('}') {
                *rest = rest.strip_prefix(',').unwrap_or(rest);
                let end = rest.find([',', '{', '}', '*', '%', '?']).unwrap_or(rest.len());
                let (name, after) = rest.split_at(end);
                *rest = after;
                members.push((name, shape(rest)));
            }
            *rest = rest.strip_prefix('}').unwrap_or(rest);
            Shape::Structure(members)
        }
        _ => Shape::Scalar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_whole() {
        for (service, names) in &*READING {
            for (name, operation) in names {
                assert!(matches!(operation.answer, Shape::Structure(_)), "{service} {name}");
                assert!(operations(service).unwrap().contains(name), "{service} {name}");
            }
        }
        assert!(READING.values().map(HashMap::len).sum::<usize>() > 500 && ALL.len() > 20);
    }

    #[test]
    fn an_answers_members_are_found_with_their_places() {
        let checks = operation("route53", "list-health-checks").unwrap();
        let Some(Shape::List(check)) = checks.answer.member("HealthChecks") else { panic!("a list") };
        assert_eq!(check.member("Id"), Some(&Shape::Scalar));
        assert_eq!(
            check.path_to("FullyQualifiedDomainName").as_deref(),
            Some("HealthCheckConfig.FullyQualifiedDomainName")
        );
        assert_eq!(operation("route53", "get-health-check").unwrap().required, ["health-check-id"]);
    }
}
