//! Instances, groups, subnets and regions as an experiment's targets see them: with the ids, tags and attributes that AWS gives them.

use std::collections::BTreeMap;

use model::resource::Resource;

use crate::{
    identity::{instance_arn, region_arn, subnet_arn},
    lab::Lab,
    plane::Seen,
    status::InstanceState,
};

/// All that can be hit, as it is now: instances in the order of their launch, then the subnets of the zones, the regions and
/// the groups.
pub(super) async fn resources(lab: &Lab) -> Vec<Resource> {
    let seen = lab.look().await;
    let there = |seen: &&Seen| seen.status.state != InstanceState::Terminated;
    let instances: Vec<Resource> = seen.iter().filter(there).map(|seen| instance(lab, seen)).collect();
    let around = [subnets(lab, &instances), regions(lab, &instances), groups(lab)];
    instances.into_iter().chain(around.into_iter().flatten()).collect()
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

fn regions(lab: &Lab, instances: &[Resource]) -> Vec<Resource> {
    let inner = &lab.inner;
    let region = |region: &model::lab::Region| {
        let (id, vpc) = (inner.identity.region(&region.name), inner.identity.vpc(&region.name));
        let tags = BTreeMap::from([("Name".to_owned(), region.name.clone())]);
        let mut attributes = attributes([("RegionName", region.name.clone()), ("VpcId", vpc.clone())]);
        tag_attributes(&tags, &mut attributes);
        let inside = |one: &&Resource| one.zone.as_ref().is_some_and(|zone| region.zones.contains(zone));
        Resource {
            arn: region_arn(&region.name, &vpc),
            id,
            types: vec!["lab:region".to_owned()],
            tags,
            attributes,
            disposable: true,
            contains: instances.iter().filter(inside).map(|one| one.id.clone()).collect(),
            ..Resource::default()
        }
    };
    inner.spec.regions.iter().map(region).collect()
}

/// Groups contain nothing: what is done to one is not done to its instances.
fn groups(lab: &Lab) -> Vec<Resource> {
    let inner = &lab.inner;
    let group = |(name, group): (&String, &model::lab::Group)| {
        let in_it = |region: &&model::lab::Region| group.zones.iter().any(|zone| region.zones.contains(zone));
        let region = inner.spec.regions.iter().find(in_it).map(|region| region.name.as_str()).unwrap_or_default();
        let mut attributes = attributes([("AutoScalingGroupName", name.clone())]);
        attributes.insert("AvailabilityZones".to_owned(), group.zones.clone());
        tag_attributes(&group.tags, &mut attributes);
        Resource {
            id: inner.identity.group(name),
            types: ["lab:group", "aws:ec2:autoscaling-group"].map(str::to_owned).to_vec(),
            arn: inner.identity.group_arn(region, name),
            tags: group.tags.clone(),
            attributes,
            disposable: true,
            ..Resource::default()
        }
    };
    inner.spec.groups.iter().map(group).collect()
}

fn attributes<const N: usize>(of: [(&str, String); N]) -> BTreeMap<String, Vec<String>> {
    of.into_iter().map(|(path, value)| (path.to_owned(), vec![value])).collect()
}

/// Tags as attributes: EC2 describes them as a list of keys and values.
fn tag_attributes(tags: &BTreeMap<String, String>, attributes: &mut BTreeMap<String, Vec<String>>) {
    attributes.insert("Tags.Key".to_owned(), tags.keys().cloned().collect());
    attributes.insert("Tags.Value".to_owned(), tags.values().cloned().collect());
}
