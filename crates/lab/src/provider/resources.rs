//! Instances and subnets as an experiment's targets see them: with the ids, tags and attributes that AWS gives them.

use std::collections::BTreeMap;

use model::resource::Resource;

use crate::{
    identity::{instance_arn, subnet_arn},
    lab::Lab,
    plane::Seen,
    status::InstanceState,
};

/// All that can be hit, as it is now: instances in the order of their launch, then the subnets of the zones.
pub(super) async fn resources(lab: &Lab) -> Vec<Resource> {
    let seen = lab.look().await;
    let there = |seen: &&Seen| seen.status.state != InstanceState::Terminated;
    let instances: Vec<Resource> = seen.iter().filter(there).map(|seen| instance(lab, seen)).collect();
    let subnets = subnets(lab, &instances);
    instances.into_iter().chain(subnets).collect()
}

fn instance(lab: &Lab, seen: &Seen) -> Resource {
    let instance = &seen.instance;
    let spec = lab.inner.spec.groups.get(&instance.group);
    let mut tags = spec.map(|group| group.tags.clone()).unwrap_or_default();
    // As an Auto Scaling group tags what it launches.
    tags.insert("aws:autoscaling:groupName".to_owned(), instance.group.clone());
    let identity = lab.inner.identity;
    let arn = instance_arn(&instance.region, &instance.id);
    let mut attributes = attributes([
        ("InstanceId", instance.id.to_string()),
        ("State.Name", seen.status.state.name().to_owned()),
        ("Placement.AvailabilityZone", instance.zone.clone()),
        ("SubnetId", identity.subnet(&instance.zone).to_string()),
        ("VpcId", identity.vpc(&instance.region)),
        ("PrivateIpAddress", instance.address.to_string()),
    ]);
    tag_attributes(&tags, &mut attributes);
    Resource {
        id: instance.id.clone(),
        types: ["lab:instance", "aws:ec2:instance"].map(str::to_owned).to_vec(),
        arn,
        tags,
        zone: Some(instance.zone.clone()),
        group: Some(instance.group.clone()),
        attributes,
        // A balancer knows; where there is none, it is as healthy as it runs.
        healthy: Some(match &seen.status.health {
            Some(health) => health == "healthy",
            None => seen.status.state == InstanceState::Running,
        }),
        disposable: true,
        contains: Vec::new(),
    }
}

fn subnets(lab: &Lab, instances: &[Resource]) -> Vec<Resource> {
    let inner = &lab.inner;
    let zones = inner.spec.regions.iter().flat_map(|region| region.zones.iter().map(move |zone| (region, zone)));
    let subnet = |(region, zone): (&model::lab::Region, &String)| {
        let (id, vpc) = (inner.identity.subnet(zone), inner.identity.vpc(&region.name));
        let block = inner.subnets.get(zone)?;
        let tags = BTreeMap::from([("Name".to_owned(), zone.clone())]);
        let mut attributes = attributes([
            ("SubnetId", id.to_string()),
            ("State", "available".to_owned()),
            ("AvailabilityZone", zone.clone()),
            ("VpcId", vpc.clone()),
            ("CidrBlock", format!("{block}/24")),
            // Parameters of the target type, by their names in FIS.
            ("availabilityZoneIdentifier", zone.clone()),
            ("vpc", vpc),
        ]);
        tag_attributes(&tags, &mut attributes);
        let inside = instances.iter().filter(|one| one.zone.as_ref() == Some(zone));
        Some(Resource {
            arn: subnet_arn(&region.name, &id),
            id,
            types: ["lab:subnet", "aws:ec2:subnet"].map(str::to_owned).to_vec(),
            tags,
            zone: Some(zone.clone()),
            group: None,
            attributes,
            healthy: None,
            disposable: true,
            contains: inside.map(|one| one.id.clone()).collect(),
        })
    };
    zones.filter_map(subnet).collect()
}

fn attributes<const N: usize>(of: [(&str, String); N]) -> BTreeMap<String, Vec<String>> {
    of.into_iter().map(|(path, value)| (path.to_owned(), vec![value])).collect()
}

/// Tags as attributes: EC2 describes them as a list of keys and values.
fn tag_attributes(tags: &BTreeMap<String, String>, attributes: &mut BTreeMap<String, Vec<String>>) {
    attributes.insert("Tags.Key".to_owned(), tags.keys().cloned().collect());
    attributes.insert("Tags.Value".to_owned(), tags.values().cloned().collect());
}
