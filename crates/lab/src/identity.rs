//! What instances and subnets are called, as AWS would call them.

use model::resource::ResourceId;
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::group::Ordinal;

/// The account in the ARNs of a lab: no AWS account has this number.
const ACCOUNT: &str = "000000000000";

/// What resources of one lab are called; the same seed gives the same names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity {
    seed: u64,
}

impl Identity {
    /// Names from a seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The id of an instance: `i-` and 17 hexadecimal digits.
    pub(crate) fn instance(self, group: &str, n: Ordinal) -> ResourceId {
        ResourceId(format!("i-{}", self.digits(&["instance", group, &n.to_string()])))
    }

    /// The id of a zone's subnet: `subnet-` and 17 hexadecimal digits.
    pub(crate) fn subnet(self, zone: &str) -> ResourceId {
        ResourceId(format!("subnet-{}", self.digits(&["subnet", zone])))
    }

    /// The id of a region's network: `vpc-` and 17 hexadecimal digits.
    pub(crate) fn vpc(self, region: &str) -> String {
        format!("vpc-{}", self.digits(&["vpc", region]))
    }

    /// The id of a region: its name, as in AWS.
    #[expect(clippy::unused_self, reason = "all ids come from here")]
    pub(crate) fn region(self, region: &str) -> ResourceId {
        ResourceId(region.to_owned())
    }

    /// The id of a group: its name, as in AWS.
    #[expect(clippy::unused_self, reason = "all ids come from here")]
    pub(crate) fn group(self, group: &str) -> ResourceId {
        ResourceId(group.to_owned())
    }

    /// The ARN of a group, with the number that AWS gives each.
    pub(crate) fn group_arn(self, region: &str, group: &str) -> String {
        // The last twelve of the thirty-two digits of a UUID are enough to tell groups apart.
        let uuid = format!("00000000-0000-0000-0000-{:.12}", self.digits(&["group", group]));
        format!("arn:aws:autoscaling:{region}:{ACCOUNT}:autoScalingGroup:{uuid}:autoScalingGroupName/{group}")
    }

    /// A hash of the seed and what is named. One stream per name, so that an id does not depend on what was launched before.
    fn digits(self, name: &[&str]) -> String {
        // FNV-1a: no cryptography is asked for, only different names for different things.
        let hash = name.join("\0").bytes().fold(0xcbf2_9ce4_8422_2325_u64 ^ self.seed, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut random = StdRng::seed_from_u64(hash);
        // 17 digits of four bits.
        format!("{:017x}", random.random::<u128>() >> (128 - 17 * 4))
    }
}

/// The ARN of an instance in a region.
pub(crate) fn instance_arn(region: &str, id: &ResourceId) -> String {
    format!("arn:aws:ec2:{region}:{ACCOUNT}:instance/{id}")
}

/// The ARN of a subnet in a region.
pub(crate) fn subnet_arn(region: &str, id: &ResourceId) -> String {
    format!("arn:aws:ec2:{region}:{ACCOUNT}:subnet/{id}")
}

/// The ARN of a region's network, which is all of the region that AWS has one for.
pub(crate) fn region_arn(region: &str, vpc: &str) -> String {
    format!("arn:aws:ec2:{region}:{ACCOUNT}:vpc/{vpc}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_have_the_form_that_aws_gives_them() {
        let ResourceId(id) = Identity::new(7).instance("web", 1);
        let digits = id.strip_prefix("i-").unwrap();
        assert_eq!(digits.len(), 17);
        assert!(digits.chars().all(|c| c.is_ascii_hexdigit() && !c.is_ascii_uppercase()));
    }

    #[test]
    fn ids_repeat_with_the_seed_and_differ_otherwise() {
        assert_eq!(Identity::new(7).instance("web", 1), Identity::new(7).instance("web", 1));
        let mut seen = BTreeSet::new();
        for seed in 0..3 {
            for group in ["web", "api"] {
                for n in 1..50 {
                    assert!(seen.insert(Identity::new(seed).instance(group, n)), "{seed} {group} {n}");
                }
            }
        }
    }

    #[test]
    fn arns_name_region_and_resource() {
        let id = ResourceId("i-00000000000000001".to_owned());
        assert_eq!(instance_arn("local-1", &id), "arn:aws:ec2:local-1:000000000000:instance/i-00000000000000001");
    }
}
