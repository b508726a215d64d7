//! The blast radius: whether what would be hit stays within what is allowed. Asked when a run is planned, and again at each
//! injection, because by then other things may have fallen.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};
use model::{
    limits::Policy,
    resource::{Resource, ResourceId},
};
use serde::Serialize;

use crate::plan::{PlannedAction, Problem, Work};

/// A policy, and who says it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bound {
    /// The file it stands in, or `the document`.
    pub source: String,
    /// What it says.
    #[serde(flatten)]
    pub policy: Policy,
}

/// What would be hit, at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hits {
    /// What is affected at the same time.
    pub(crate) together: BTreeSet<ResourceId>,
    /// What has been hit in the whole run.
    pub(crate) ever: BTreeSet<ResourceId>,
}

/// What a plan breaks. Faults that may be in effect at the same time are taken to be.
pub(crate) fn at_plan(bounds: &[Bound], actions: &[PlannedAction], present: &[Resource]) -> Vec<Problem> {
    let ever: BTreeSet<ResourceId> = actions.iter().flat_map(hit_by).collect();
    let mut problems = Vec::new();
    for (at, action) in actions.iter().enumerate().filter(|(_, action)| hit_by(action).next().is_some()) {
        let others = actions.iter().enumerate().filter(|(other, _)| *other == at || may_overlap(actions, at, *other));
        let together = others.flat_map(|(_, other)| hit_by(other)).collect();
        let hits = Hits { together, ever: ever.clone() };
        let place = format!("actions.{}", action.name);
        let broken = bounds.iter().flat_map(|bound| bound.broken(&hits, present));
        problems.extend(broken.map(|why| Problem::new(place.clone(), why).fix("select less, or other resources")));
    }
    // One breach of several actions together is one problem.
    let mut seen = BTreeSet::new();
    problems.retain(|problem| seen.insert(problem.what.clone()));
    problems
}

/// What an injection breaks, after all that has happened; `None`: it may go ahead.
pub(crate) fn at_injection(bounds: &[Bound], hits: &Hits, present: &[Resource], now: Timestamp) -> Option<String> {
    bounds
        .iter()
        .find_map(|bound| bound.closed(now, Duration::ZERO).or_else(|| bound.broken(hits, present).into_iter().next()))
}

fn hit_by(action: &PlannedAction) -> impl Iterator<Item = ResourceId> {
    let injections = match &action.work {
        Work::Fault(fault) => fault.injections.as_slice(),
        Work::Wait { .. } | Work::AssertAlarms { .. } | Work::Skip { .. } => &[],
    };
    injections.iter().map(|one| one.resource.id.clone())
}

/// Whether two actions may have effect at the same time: unless one starts after the other has ended, and the other leaves
/// nothing in effect.
fn may_overlap(actions: &[PlannedAction], one: usize, other: usize) -> bool {
    let lasts = |at: usize| {
        actions.get(at).is_some_and(|action| matches!(&action.work, Work::Fault(fault) if fault.is_lasting()))
    };
    let (first, second) = (is_after(actions, other, one), is_after(actions, one, other));
    if first { lasts(one) } else { !second || lasts(other) }
}

/// Whether `later` starts only when `earlier` has ended. Actions stand in the order in which they may start.
fn is_after(actions: &[PlannedAction], later: usize, earlier: usize) -> bool {
    let mut waits_for: BTreeSet<&str> = BTreeSet::new();
    for action in actions.iter().take(later + 1).skip(earlier).rev() {
        let is_later = actions.get(later).is_some_and(|one| one.name == action.name);
        if is_later || waits_for.contains(action.name.as_str()) {
            waits_for.extend(action.start_after.iter().map(String::as_str));
        }
    }
    actions.get(earlier).is_some_and(|one| waits_for.contains(one.name.as_str()))
}

impl Bound {
    /// What it says, in one line.
    pub(crate) fn in_words(&self) -> String {
        let Policy { limits, protected_tags, environments, hours, forbid_irreversible } = &self.policy;
        let mut words = Vec::new();
        words.extend(limits.max_resources.map(|most| format!("at most {most} resources")));
        words.extend(limits.max_percent_of_group.map(|most| format!("at most {most} % of a group")));
        words.extend(limits.max_percent_of_zone.map(|most| format!("at most {most} % of a zone")));
        words.extend(limits.min_healthy.map(|least| format!("at least {least} healthy in each group")));
        let tags: Vec<String> = protected_tags.iter().map(ToString::to_string).collect();
        words.extend((!tags.is_empty()).then(|| format!("nothing with the tag {}", tags.join(" or "))));
        words.extend(
            environments.as_ref().map(|one| format!("only where `{}` is {}", one.tag, one.allowed.join(" or "))),
        );
        words.extend(hours.as_ref().map(|hours| format!("only on {hours}")));
        words.extend(forbid_irreversible.then(|| "nothing for good to what was not made for the run".to_owned()));
        words.join(", ")
    }

    /// Why it allows nothing for `length` from now; `None`: it does.
    pub(crate) fn closed(&self, now: Timestamp, length: Duration) -> Option<String> {
        let calendar = self.policy.hours.as_ref()?;
        let zone = match TimeZone::get(&calendar.time_zone) {
            Ok(zone) => zone,
            Err(why) => return Some(format!("{} has hours in an unknown time zone: {why}", self.source)),
        };
        let now = now.to_zoned(zone);
        let day = now.weekday().to_monday_zero_offset();
        let minute = i16::from(day) * 24 * 60 + i16::from(now.hour()) * 60 + i16::from(now.minute());
        let left = u16::try_from(minute).ok().and_then(|minute| calendar.minutes_left(minute));
        let (it, time) = (&self.source, now.strftime("%a %H:%M"));
        match left {
            None => Some(format!("{it} allows experiments {calendar}, and it is {time}")),
            Some(left) if Duration::from_secs(u64::from(left) * 60) < length => Some(format!(
                "{it} allows experiments {calendar}; it is {time}, and {left} minutes are fewer than the {} the run may take",
                length.as_secs().div_ceil(60)
            )),
            Some(_) => None,
        }
    }

    /// What hits break, in words.
    fn broken(&self, hits: &Hits, present: &[Resource]) -> Vec<String> {
        let by_id: BTreeMap<&ResourceId, &Resource> = present.iter().map(|one| (&one.id, one)).collect();
        let together = leaves(&hits.together, &by_id);
        let ever = leaves(&hits.ever, &by_id);
        let mut broken = Vec::new();
        broken.extend(self.too_many(ever.len()));
        for id in hits.ever.union(&ever) {
            broken.extend(by_id.get(id).and_then(|resource| self.off_limits(resource, ever.contains(id))));
        }
        broken.extend(self.shares(&together, present));
        broken
    }

    fn too_many(&self, count: usize) -> Option<String> {
        let most = self.policy.limits.max_resources?;
        (count > most as usize)
            .then(|| format!("{count} resources would be hit; {} allows {most} (maxResources)", self.source))
    }

    /// Why a resource must not be hit whatever the numbers. What merely contains others need not say where it belongs.
    fn off_limits(&self, resource: &Resource, leaf: bool) -> Option<String> {
        let (id, source) = (&resource.id, &self.source);
        let protects = |rule: &&model::limits::TagRule| {
            resource.tags.get(&rule.key).is_some_and(|value| rule.value.as_ref().is_none_or(|wanted| wanted == value))
        };
        if let Some(rule) = self.policy.protected_tags.iter().find(protects) {
            return Some(format!("{id} carries the tag {rule}, which {source} protects (protectedTags)"));
        }
        let environments = self.policy.environments.as_ref().filter(|_| leaf)?;
        let own = resource.tags.get(&environments.tag);
        let allowed = own.is_some_and(|own| environments.allowed.contains(own));
        let is = own.map_or_else(|| "has none".to_owned(), |own| format!("is in `{own}`"));
        (!allowed).then(|| {
            let (tag, allowed) = (&environments.tag, environments.allowed.join(", "));
            format!("{source} allows the environments {allowed} (tag `{tag}`), and {id} {is}")
        })
    }

    /// Which groups and zones would lose too much.
    fn shares(&self, affected: &BTreeSet<ResourceId>, present: &[Resource]) -> Vec<String> {
        let limits = self.policy.limits;
        let leaves = || present.iter().filter(|one| one.contains.is_empty());
        let mut groups: BTreeMap<&str, Vec<&Resource>> = BTreeMap::new();
        let mut zones: BTreeMap<&str, Vec<&Resource>> = BTreeMap::new();
        for one in leaves() {
            if let Some(group) = &one.group {
                groups.entry(group).or_default().push(one);
                // What belongs to no group, such as an empty subnet, is no capacity of its zone.
                if let Some(zone) = &one.zone {
                    zones.entry(zone).or_default().push(one);
                }
            }
        }
        let hit = |members: &[&Resource]| members.iter().filter(|one| affected.contains(&one.id)).count();
        let share = |kind: &str, key: &str, name: &str, members: &[&Resource], most: f64| {
            let (hit, of) = (hit(members), members.len());
            #[expect(clippy::cast_precision_loss, reason = "no group has 2^52 members")]
            let percent = hit as f64 * 100.0 / of.max(1) as f64;
            // The small term keeps a third of three within 33.3333… %.
            (percent > most + 1e-9).then(|| {
                let source = &self.source;
                format!("{hit} of {of} in {kind} {name} would be affected at once ({percent:.0} %); {source} allows {most} % ({key})")
            })
        };
        let mut broken = Vec::new();
        if let Some(most) = limits.max_percent_of_group {
            broken.extend(groups.iter().filter_map(|(name, of)| share("group", "maxPercentOfGroup", name, of, most)));
        }
        if let Some(most) = limits.max_percent_of_zone {
            broken.extend(zones.iter().filter_map(|(name, of)| share("zone", "maxPercentOfZone", name, of, most)));
        }
        if let Some(least) = limits.min_healthy {
            broken.extend(groups.iter().filter(|(_, of)| hit(of) > 0).filter_map(|(name, of)| {
                let keeps = |one: &&&Resource| one.healthy != Some(false) && !affected.contains(&one.id);
                let left = of.iter().filter(keeps).count();
                let source = &self.source;
                (left < least as usize).then(|| {
                    format!("group {name} would keep {left} healthy members; {source} wants {least} (minHealthy)")
                })
            }));
        }
        broken
    }
}

/// What is really hit: of what contains others, these.
fn leaves(hit: &BTreeSet<ResourceId>, by_id: &BTreeMap<&ResourceId, &Resource>) -> BTreeSet<ResourceId> {
    hit.iter()
        .flat_map(|id| match by_id.get(id) {
            Some(resource) if !resource.contains.is_empty() => resource.contains.clone(),
            _ => vec![id.clone()],
        })
        .collect()
}
