//! What resources take and answer with, type by type, from the schemas that CloudFormation publishes for its registry.

mod all;
mod backup;
mod database;
mod incidents;
mod measurement;
mod names;
mod network;
mod programs;

use crate::decode::Reader;
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
fn of_service(name: &str) -> Option<&'static (&'static str, &'static [&'static str])> {
    all::SERVICES.iter().find(|(service, _)| name.starts_with(service))
}

/// What was probably meant by the name of a type that its service, or no service, has.
pub(super) fn meant(reader: &Reader<'_>, name: &str) -> Option<String> {
    if let Some((service, types)) = of_service(name) {
        let rest = &name[service.len()..];
        let near = reader.near(rest, types.iter().copied().filter(|_| !types.contains(&rest)))?;
        return Some(format!("{service}{near}"));
    }
    let mut parts = name.splitn(3, "::");
    let (Some(owner), Some(service), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        // One colon is lost easily.
        let words: Vec<&str> = name.split(':').filter(|word| !word.is_empty()).collect();
        return (words.len() == 3 && words[0] == "AWS").then(|| words.join("::"));
    };
    if owner != "AWS" {
        // Everybody may register types of their own, but none as near as this to the owner's name.
        let slip = owner.len() == 3 && owner.chars().all(|c| "AWSaws".contains(c)) && all::NAMES.contains(&service);
        return slip.then(|| format!("AWS::{service}::{rest}"));
    }
    let near = reader.near(service, all::NAMES.iter().copied().filter(|_| !all::NAMES.contains(&service)))?;
    Some(format!("AWS::{near}::{rest}"))
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
        may("Outputs", Shape::Names(&Mapping(&OUTPUT))),
    ],
};

const OUTPUT: Keys = Keys {
    what: "an output",
    keys: &[
        need("Value", Shape::Any),
        may("Description", Text),
        may("Condition", Text),
        may("Export", Mapping(&Keys { what: "an export", keys: &[need("Name", Text)] })),
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
    near: &["String", "Number", "CommaDelimitedList", "List<Number>"],
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
        may("Properties", Shape::Names(&Shape::Any)),
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
    near: &["postgres", "mysql", "mariadb", "aurora-postgresql", "aurora-mysql"],
    holds: |text| {
        let text = text.to_ascii_lowercase();
        const WHOLE: &[&str] =
            &["aurora", "aurora-mysql", "aurora-postgresql", "mariadb", "mysql", "postgres", "neptune", "docdb"];
        const FAMILIES: &[&str] = &["oracle-", "sqlserver-", "db2-", "custom-oracle-", "custom-sqlserver-", "custom-"];
        WHOLE.contains(&text.as_str()) || FAMILIES.iter().any(|family| text.starts_with(family))
    },
};

/// A statistic of CloudWatch: one of five words, a percentile, or one of the forms between bounds.
const STATISTIC: Form = Form {
    what: "a statistic such as Average, Sum, Maximum or p99",
    near: &["SampleCount", "Average", "Sum", "Minimum", "Maximum"],
    holds: |text| {
        const WORDS: &[&str] = &["SampleCount", "Average", "Sum", "Minimum", "Maximum", "IQM"];
        const BETWEEN: &[&str] = &["p", "tm", "tc", "ts", "wm", "TM(", "TC(", "TS(", "WM(", "PR("];
        let bounds = |rest: &str| {
            let allowed = |c: char| c.is_ascii_digit() || matches!(c, '.' | '%' | ':' | ')' | '-');
            rest.chars().all(allowed) && rest.contains(|c: char| c.is_ascii_digit())
        };
        WORDS.contains(&text) || BETWEEN.iter().any(|start| text.strip_prefix(start).is_some_and(bounds))
    },
};

/// A runtime of Lambda: a family with its version.
const RUNTIME: Form = Form {
    what: "a runtime such as python3.13, nodejs22.x, java21 or provided.al2023",
    near: &[],
    holds: |text| {
        const FAMILIES: &[&str] = &["python", "nodejs", "java", "dotnet", "ruby", "go", "provided"];
        FAMILIES.iter().any(|family| {
            text.strip_prefix(family).is_some_and(|version| {
                version.is_empty() && *family != "python"
                    || version.starts_with(|c: char| c.is_ascii_digit() || c == '.' || c == 'c')
            })
        })
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_and_runtimes_are_known_by_their_forms() {
        for right in ["Sum", "p99", "p99.9", "tm90", "TM(10%:90%)", "PR(:300)", "IQM"] {
            assert!((STATISTIC.holds)(right), "{right}");
        }
        for right in ["python3.12", "nodejs20.x", "java8.al2", "dotnetcore3.1", "go1.x", "provided", "provided.al2"] {
            assert!((RUNTIME.holds)(right), "{right}");
        }
        for wrong in ["Summ", "99", "pp99", "percentile"] {
            assert!(!(STATISTIC.holds)(wrong), "{wrong}");
        }
        assert!(!(RUNTIME.holds)("pyhton3.12") && !(RUNTIME.holds)("3.12"));
    }

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
