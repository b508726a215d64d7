//! What resources take and answer with, type by type, from the schemas that CloudFormation publishes for its registry.

mod all;
mod backup;
mod database;
mod incidents;
mod measurement;
mod names;
mod network;
mod programs;

use crate::shape::{
    Form, Keys,
    Shape::{self, Keys as Mapping, List, OneOrMore, Text, Word},
    may, need,
};

/// A type of resource.
#[derive(Debug)]
pub(super) struct Type {
    pub(super) name: &'static str,
    pub(super) properties: &'static Keys,
    /// What `GetAtt` can ask for besides the properties.
    pub(super) attributes: &'static [&'static str],
}

/// The type of this name, if its properties are known here.
pub(super) fn find(name: &str) -> Option<&'static Type> {
    const GROUPS: &[&[Type]] = &[
        backup::TYPES,
        database::TYPES,
        incidents::TYPES,
        measurement::TYPES,
        names::TYPES,
        network::TYPES,
        programs::TYPES,
    ];
    GROUPS.iter().flat_map(|group| *group).find(|known| known.name == name)
}

/// The types of the service that `name` belongs to, as what they begin with and the rest of each; nothing where the
/// service is not looked at here.
pub(super) fn of_service(name: &str) -> Option<&'static (&'static str, &'static [&'static str])> {
    all::SERVICES.iter().find(|(service, _)| name.starts_with(service))
}

/// The sections of a template. `Globals` is for the transform of serverless applications.
pub(super) const TEMPLATE: Keys = Keys {
    what: "a template",
    keys: &[
        may("AWSTemplateFormatVersion", Word(&["2010-09-09"])),
        may("Description", Text),
        may("Metadata", Shape::Any),
        may("Parameters", Shape::Names(&Mapping(&PARAMETER))),
        may("Rules", Shape::Any),
        may("Mappings", Shape::Any),
        may("Conditions", Shape::Any),
        may("Transform", Shape::Any),
        may("Hooks", Shape::Any),
        may("Globals", Shape::Any),
        need("Resources", Shape::Any),
        may("Outputs", Shape::Any),
    ],
};

const PARAMETER: Keys = Keys {
    what: "a parameter",
    keys: &[
        need("Type", Shape::Form(&PARAMETER_TYPE)),
        may("Default", Shape::Any),
        may("Description", Text),
        may("AllowedValues", List(&Text)),
        may("AllowedPattern", Text),
        may("ConstraintDescription", Text),
        may("MinLength", Shape::Whole(0, i64::MAX)),
        may("MaxLength", Shape::Whole(0, i64::MAX)),
        may("MinValue", Shape::Number),
        may("MaxValue", Shape::Number),
        may("NoEcho", Shape::Flag),
    ],
};

const PARAMETER_TYPE: Form = Form {
    what: "String, Number, CommaDelimitedList, List<Number>, or a type of AWS such as AWS::EC2::VPC::Id",
    holds: |text| {
        matches!(text, "String" | "Number" | "CommaDelimitedList" | "List<Number>" | "List<String>")
            || text.starts_with("AWS::")
            || text.starts_with("List<AWS::")
    },
};

/// What a resource has besides its properties.
pub(super) const RESOURCE: Keys = Keys {
    what: "a resource",
    keys: &[
        need("Type", Text),
        may("Properties", Shape::Any),
        may("DependsOn", OneOrMore(&Text)),
        may("Condition", Text),
        may("DeletionPolicy", Word(&["Delete", "Retain", "RetainExceptOnCreate", "Snapshot"])),
        may("UpdateReplacePolicy", Word(&["Delete", "Retain", "Snapshot"])),
        may("UpdatePolicy", Shape::Any),
        may("CreationPolicy", Shape::Any),
        may("Metadata", Shape::Any),
    ],
};

/// Tags as most services take them.
const TAGS: Shape = List(&Mapping(&Keys { what: "a tag", keys: &[need("Key", Text), need("Value", Text)] }));

/// Types of records of Route 53.
const RECORD_TYPE: Shape = Word(&[
    "A", "AAAA", "CAA", "CNAME", "DS", "HTTPS", "MX", "NAPTR", "NS", "PTR", "SOA", "SPF", "SRV", "SSHFP", "SVCB",
    "TLSA", "TXT",
]);

/// A time to live.
const SECONDS: Shape = Shape::Whole(0, i32::MAX as i64);

/// A database engine of RDS; letter case does not count there.
const ENGINE: Form = Form {
    what: "an engine such as postgres, mysql, mariadb, aurora-postgresql or aurora-mysql",
    holds: |text| {
        let text = text.to_ascii_lowercase();
        const WHOLE: &[&str] =
            &["aurora", "aurora-mysql", "aurora-postgresql", "mariadb", "mysql", "postgres", "neptune", "docdb"];
        const FAMILIES: &[&str] = &["oracle-", "sqlserver-", "db2-", "custom-oracle-", "custom-sqlserver-", "custom-"];
        WHOLE.contains(&text.as_str()) || FAMILIES.iter().any(|family| text.starts_with(family))
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_is_described_is_one_of_its_service() {
        for group in [
            backup::TYPES,
            database::TYPES,
            incidents::TYPES,
            measurement::TYPES,
            names::TYPES,
            network::TYPES,
            programs::TYPES,
        ] {
            for known in group {
                let (service, types) = of_service(known.name).unwrap();
                assert!(types.iter().any(|rest| known.name == format!("{service}{rest}")), "{}", known.name);
                assert_eq!(known.name, known.properties.what);
            }
        }
    }
}
