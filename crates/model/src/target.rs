//! Targets: a named choice of resources.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::Serialize;

/// A named choice of resources. Its keys mean what they mean in AWS FIS.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The one type all chosen resources have.
    pub resource_type: String,
    /// Resources by ARN; excludes tags and filters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_arns: Vec<String>,
    /// Tags that a resource must *all* carry; an empty value matches only an empty value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resource_tags: BTreeMap<String, String>,
    /// Attribute filters: all must hold, any value of one suffices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// Parameters of the resource type, such as `availabilityZoneIdentifier`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// How many of the matching resources are taken.
    pub selection_mode: SelectionMode,
    /// Names of targets that must share no resource with this one (ours: FIS may choose one resource twice).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disjoint_from: Vec<String>,
    /// Whether resources that appear while a fault of this target is in effect are hit as well (ours; FIS leaves them out). Only
    /// with [`SelectionMode::All`]: of a number or a share, nobody could say whether a newcomer belongs to it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub follow: bool,
}

/// An attribute filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// Dotted path in PascalCase, such as `Placement.AvailabilityZone`.
    pub path: String,
    /// Values of which one must be there.
    pub values: Vec<String>,
}

/// How many of the matching resources are taken, at random.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(into = "String")]
pub enum SelectionMode {
    /// All of them.
    #[default]
    All,
    /// Exactly this many.
    Count(u32),
    /// This share, rounded *down* as FIS does: 25 % of 2 is none.
    Percent(f64),
}

impl SelectionMode {
    /// How many of `matching` resources this takes.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 <= percent <= 100, so the product fits in usize"
    )]
    #[expect(clippy::cast_precision_loss, reason = "no provider has 2^52 resources")]
    pub fn take_of(self, matching: usize) -> usize {
        match self {
            Self::All => matching,
            Self::Count(n) => (n as usize).min(matching),
            // The small term keeps 30 % of 10 from becoming 2.9999….
            Self::Percent(p) => (matching as f64 * p / 100.0 + 1e-9).floor() as usize,
        }
    }
}

impl FromStr for SelectionMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "`{text}` is not a selection mode: {why}; write ALL, COUNT(n) with n >= 1, or PERCENT(n) with 0 < n <= 100"
            )
        };
        if text == "ALL" {
            return Ok(Self::All);
        }
        let inner = |name: &str| text.strip_prefix(name).and_then(|rest| rest.strip_prefix('(')?.strip_suffix(')'));
        if let Some(number) = inner("COUNT") {
            return match number.trim().parse() {
                Ok(0) => Err(wrong("a count of 0 selects nothing")),
                Ok(n) => Ok(Self::Count(n)),
                Err(_) => Err(wrong("the count is not a whole number")),
            };
        }
        if let Some(number) = inner("PERCENT") {
            return match number.trim().parse::<f64>() {
                Ok(p) if p > 0.0 && p <= 100.0 => Ok(Self::Percent(p)),
                Ok(_) => Err(wrong("the percentage is out of range")),
                Err(_) => Err(wrong("the percentage is not a number")),
            };
        }
        Err(wrong("unknown form"))
    }
}

impl fmt::Display for SelectionMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("ALL"),
            Self::Count(n) => write!(f, "COUNT({n})"),
            Self::Percent(p) => write!(f, "PERCENT({p})"),
        }
    }
}

impl From<SelectionMode> for String {
    fn from(mode: SelectionMode) -> Self {
        mode.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn percent_rounds_down_as_fis_does() {
        assert_eq!(SelectionMode::Percent(25.0).take_of(2), 0);
        assert_eq!(SelectionMode::Percent(25.0).take_of(4), 1);
        assert_eq!(SelectionMode::Percent(30.0).take_of(10), 3);
        assert_eq!(SelectionMode::Percent(100.0).take_of(7), 7);
        assert_eq!(SelectionMode::Count(3).take_of(2), 2);
    }

    #[test]
    fn says_what_is_wrong_with_a_mode() {
        for text in ["COUNT(0)", "COUNT(x)", "PERCENT(0)", "PERCENT(101)", "PERCENT(NaN)", "SOME", "COUNT 1", ""] {
            assert!(text.parse::<SelectionMode>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_takes_more_than_there_is(p in 0.001f64..=100.0, n in 0usize..100_000) {
            prop_assert!(SelectionMode::Percent(p).take_of(n) <= n);
        }

        #[test]
        fn what_is_printed_reads_back(n in 1u32..) {
            let mode = SelectionMode::Count(n);
            prop_assert_eq!(mode.to_string().parse::<SelectionMode>().unwrap(), mode);
        }
    }
}
