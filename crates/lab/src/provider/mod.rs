//! The lab as a provider: what of it can be hit, and who hits it.
//!
//! What happens to an instance as a whole is done here, through the control plane, one file per action:
//! [`instance_terminate`], [`instance_stop`], [`instance_reboot`]; so is what happens to a group ([`group_capacity`]) and to a
//! zone or region as a whole ([`zone_power_off`], [`zone_isolate`], [`zone_latency`], [`zone_loss`], [`network_disrupt`]), which
//! is made of [parts] that happen to its instances. What happens inside an instance is done by [`faults::Host`], to an object that describes the
//! instance, or, what is done to bytes on loopback addresses, by the [links] between instances.

mod dispatch;
mod group_capacity;
mod instance_reboot;
mod instance_restart;
mod instance_stop;
mod instance_terminate;
mod links;
mod network_disrupt;
mod parts;
mod resources;
mod zone;
mod zone_isolate;
mod zone_latency;
mod zone_loss;
mod zone_power_off;

pub(crate) use dispatch::LabProvider;

use model::catalogue::{Entry, TargetKind};

const INSTANCES: &[TargetKind] =
    &[TargetKind { key: "Instances", resource_types: &["lab:instance", "aws:ec2:instance"] }];
const SUBNETS: &[TargetKind] = &[TargetKind { key: "Subnets", resource_types: &["lab:subnet", "aws:ec2:subnet"] }];
/// A zone is what is behind its subnet.
const PLACES: &[TargetKind] = &[
    TargetKind { key: "Subnets", resource_types: &["lab:subnet", "aws:ec2:subnet"] },
    TargetKind { key: "Regions", resource_types: &["lab:region"] },
];
const GROUPS: &[TargetKind] =
    &[TargetKind { key: "AutoScalingGroups", resource_types: &["lab:group", "aws:ec2:autoscaling-group"] }];

/// The entries of the lab's own actions in the catalogue, ordered by id.
const ENTRIES: &[&Entry] = &[
    &group_capacity::ENTRY,
    &instance_reboot::ENTRY,
    &instance_stop::ENTRY,
    &instance_terminate::ENTRY,
    &network_disrupt::ENTRY,
    &zone_isolate::ENTRY,
    &zone_latency::ENTRY,
    &zone_loss::ENTRY,
    &zone_power_off::ENTRY,
];

/// What only a lab can do to its resources; the rest of its catalogue is that of [`faults`].
#[must_use]
pub const fn catalogue() -> &'static [&'static Entry] {
    ENTRIES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_in_order_and_say_everything() {
        assert!(ENTRIES.is_sorted_by_key(|entry| entry.id));
        for entry in ENTRIES {
            for text in [entry.about, entry.undone_by, entry.proven_by] {
                assert!(text.ends_with('.'), "{}: {text}", entry.id);
            }
            assert!(!entry.targets.is_empty(), "{}", entry.id);
        }
    }

    #[test]
    fn what_is_made_of_faults_needs_what_they_need() {
        let made_of = [
            (&network_disrupt::ENTRY, "network:blackhole"),
            (&zone_isolate::ENTRY, "network:blackhole"),
            (&zone_latency::ENTRY, "network:latency"),
            (&zone_loss::ENTRY, "network:loss"),
            (&zone_power_off::ENTRY, "network:blackhole"),
        ];
        for (whole, part) in made_of {
            let part = faults::catalogue().iter().find(|entry| entry.id == part).unwrap();
            assert!(part.needs.iter().all(|need| whole.needs.contains(need)), "{} needs less", whole.id);
        }
    }
}
