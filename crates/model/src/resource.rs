//! What can be hit: resources as providers describe them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The id of a resource within its provider, such as `i-0a1b2c3d4e5f60718`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResourceId(pub String);

impl std::fmt::Display for ResourceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// One thing that a fault can hit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// Its id.
    pub id: ResourceId,
    /// The types it can be selected as: the native one first (`lab:instance`), then those it stands for
    /// (`aws:ec2:instance`).
    pub types: Vec<String>,
    /// Its ARN, as a template would name it.
    pub arn: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The zone it lives in (`AvailabilityZone`).
    pub zone: Option<String>,
    /// The group it belongs to, if any.
    pub group: Option<String>,
    /// The attributes that target filters can name, by their full path in the provider's describe output
    /// (`Placement.AvailabilityZone`, `State.Name`); a path may have several values.
    pub attributes: BTreeMap<String, Vec<String>>,
    /// Whether it does its work; `None` where nobody looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
    /// Whether it was made for the run and goes with it, as all of a lab does: nothing of value is lost with it.
    #[serde(default)]
    pub disposable: bool,
    /// What else is hit when it is: the instances of a subnet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contains: Vec<ResourceId>,
}

impl Resource {
    /// Whether it can be selected as this type.
    #[must_use]
    pub fn is_a(&self, resource_type: &str) -> bool {
        self.types.iter().any(|known| known == resource_type)
    }
}
