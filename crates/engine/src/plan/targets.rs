//! Which resources each target takes: once, at the start, by a seed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use model::{
    experiment::{EmptyTargets, Experiment},
    nearest::nearest,
    resource::Resource,
    target::{SelectionMode, Target},
};
use rand::{SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

use super::{Problem, ResolvedTarget};

/// How often a choice is tried where targets are disjoint from some but not all of each other; such documents have a
/// handful of targets, and a random order succeeds within a few tries if there is room.
const TRIES: u64 = 256;

/// Resolves all targets of an experiment.
///
/// The same seed and the same resources give the same choice. Ids are often random, so resources are ordered by group,
/// zone and the order in which their provider lists them (its launch order), never by id.
pub(super) fn resolve(
    experiment: &Experiment,
    resources: &[Resource],
    seed: u64,
) -> Result<Vec<ResolvedTarget>, Vec<Problem>> {
    let mut ordered: Vec<&Resource> = resources.iter().collect();
    ordered.sort_by(|a, b| (&a.group, &a.zone).cmp(&(&b.group, &b.zone)));
    let skip = experiment.options.and_then(|options| options.empty_target_resolution_mode) == Some(EmptyTargets::Skip);

    let mut problems = Vec::new();
    let mut wants = Vec::new();
    for (name, target) in &experiment.targets {
        match candidates(name, target, &ordered) {
            Ok(matching) => {
                let take = target.selection_mode.take_of(matching.len());
                if take == 0 && !skip {
                    problems.push(empty(name, target, &ordered, &matching));
                }
                wants.push(Want { name, target, take, matching });
            }
            Err(problem) => problems.push(problem),
        }
    }
    problems.extend(unknown_disjoint(experiment));
    if !problems.is_empty() {
        return Err(problems);
    }
    let chosen = choose(&wants, seed)?;
    Ok(wants.iter().zip(chosen).map(|(want, chosen)| want.resolved(&chosen, &ordered)).collect())
}

/// What one target asks for.
struct Want<'a> {
    name: &'a str,
    target: &'a Target,
    /// How many it takes.
    take: usize,
    /// Indices of the resources it may take.
    matching: Vec<usize>,
}

impl Want<'_> {
    fn resolved(&self, chosen: &BTreeSet<usize>, ordered: &[&Resource]) -> ResolvedTarget {
        ResolvedTarget {
            name: self.name.to_owned(),
            resource_type: self.target.resource_type.clone(),
            matching: self.matching.len(),
            chosen: chosen.iter().filter_map(|&at| ordered.get(at)).map(|&one| one.clone()).collect(),
            how: arithmetic(self.target.selection_mode, self.matching.len()),
        }
    }

    fn conflicts_with(&self, other: &Self) -> bool {
        self.target.disjoint_from.iter().any(|name| name == other.name)
            || other.target.disjoint_from.iter().any(|name| name == self.name)
    }
}

/// How a selection mode comes to its number: `PERCENT(25) of 2 is 0.5, rounded down: 0`.
pub(super) fn arithmetic(mode: SelectionMode, matching: usize) -> String {
    let take = mode.take_of(matching);
    match mode {
        SelectionMode::All => format!("ALL of {matching}"),
        SelectionMode::Count(n) if n as usize > matching => {
            format!("COUNT({n}) of {matching} is {take}: no more match")
        }
        SelectionMode::Count(n) => format!("COUNT({n}) of {matching} is {take}"),
        SelectionMode::Percent(percent) => {
            #[expect(clippy::cast_precision_loss, reason = "no provider has 2^52 resources")]
            let exact = matching as f64 * percent / 100.0;
            // Whole results, such as 50 % of 2, need no rounding to be told.
            if (exact - exact.round()).abs() < 1e-9 {
                format!("PERCENT({percent}) of {matching} is {take}")
            } else {
                let shown = format!("{exact:.3}");
                format!("PERCENT({percent}) of {matching} is {}, rounded down: {take}", shown.trim_end_matches('0'))
            }
        }
    }
}

/// The resources that a target's type, ARNs, tags, filters and parameters leave.
fn candidates(name: &str, target: &Target, ordered: &[&Resource]) -> Result<Vec<usize>, Problem> {
    let place = format!("targets.{name}");
    if target.resource_arns.is_empty()
        && target.resource_tags.is_empty()
        && target.filters.is_empty()
        && target.parameters.is_empty()
    {
        return Err(Problem::new(place, "it selects by nothing, which would be everything")
            .fix("name resourceTags, resourceArns, filters or parameters"));
    }
    let unknown: Vec<&str> = target
        .resource_arns
        .iter()
        .map(String::as_str)
        .filter(|arn| !ordered.iter().any(|one| one.is_a(&target.resource_type) && one.arn == **arn))
        .collect();
    if !unknown.is_empty() {
        let known = ordered.iter().filter(|one| one.is_a(&target.resource_type)).map(|one| one.arn.as_str());
        let hint = unknown.first().and_then(|arn| nearest(arn, known)).map(|arn| format!("did you mean `{arn}`?"));
        return Err(Problem::new(place, format!("no {} has the ARN {}", target.resource_type, unknown.join(", ")))
            .fix(hint.unwrap_or_else(|| "name resources that exist, or select by resourceTags".to_owned())));
    }
    Ok(ordered.iter().enumerate().filter(|(_, one)| matches(target, one)).map(|(at, _)| at).collect())
}

/// Whether a resource is what a target asks for.
pub(crate) fn matches(target: &Target, resource: &Resource) -> bool {
    let selected = if target.resource_arns.is_empty() {
        target.resource_tags.iter().all(|(key, value)| resource.tags.get(key) == Some(value))
            && target.filters.iter().all(|filter| {
                resource
                    .attributes
                    .get(&filter.path)
                    .is_some_and(|values| values.iter().any(|value| filter.values.contains(value)))
            })
    } else {
        // ARNs exclude tags and filters; the reader of the document has said so.
        target.resource_arns.contains(&resource.arn)
    };
    resource.is_a(&target.resource_type)
        && selected
        && target.parameters.iter().all(|(key, wanted)| has_parameter(resource, key, wanted))
}

/// Whether a resource's attribute of the parameter's name has one of its comma-separated values.
fn has_parameter(resource: &Resource, key: &str, wanted: &str) -> bool {
    let mut wanted = wanted.split(',').map(str::trim);
    if let Some(values) = resource.attributes.get(key) {
        return wanted.any(|one| values.iter().any(|value| value == one));
    }
    // `availabilityZoneIdentifier` and its plural are the zone, which every resource has a field for.
    key.starts_with("availabilityZoneIdentifier") && wanted.any(|one| resource.zone.as_deref() == Some(one))
}

/// Why a target that takes nothing takes nothing.
fn empty(name: &str, target: &Target, ordered: &[&Resource], matching: &[usize]) -> Problem {
    let place = format!("targets.{name}");
    let skip = "`experimentOptions.emptyTargetResolutionMode: skip` skips its actions instead";
    if !matching.is_empty() {
        let what = format!("{}; FIS fails such a target", arithmetic(target.selection_mode, matching.len()));
        return Problem::new(place, what).fix(format!("COUNT(1) takes one; {skip}"));
    }
    let of_type: Vec<&&Resource> = ordered.iter().filter(|one| one.is_a(&target.resource_type)).collect();
    if of_type.is_empty() {
        let types: BTreeSet<&str> = ordered.iter().flat_map(|one| one.types.iter().map(String::as_str)).collect();
        let types: Vec<&str> = types.into_iter().collect();
        let known = if types.is_empty() { "no resources at all".to_owned() } else { types.join(", ") };
        return Problem::new(place, format!("there is no {}", target.resource_type))
            .fix(format!("there is {known}; {skip}"));
    }
    let lacking = lacking(target, &of_type);
    Problem::new(
        place,
        format!("none of the {} resources of type {} matches: {lacking}", of_type.len(), target.resource_type),
    )
    .fix(format!("correct the selection; {skip}"))
}

/// The first criterion that no resource of the type satisfies, and what there is instead.
fn lacking(target: &Target, of_type: &[&&Resource]) -> String {
    let list = |values: BTreeSet<&str>| values.into_iter().collect::<Vec<_>>().join(", ");
    for (key, value) in &target.resource_tags {
        let there: BTreeSet<&str> = of_type.iter().filter_map(|one| one.tags.get(key)).map(String::as_str).collect();
        if there.is_empty() {
            let keys: BTreeSet<&str> = of_type.iter().flat_map(|one| one.tags.keys().map(String::as_str)).collect();
            return format!("none has a tag `{key}`; the tags there are: {}", list(keys));
        }
        if !there.contains(value.as_str()) {
            return format!("the tag `{key}` is never `{value}`; it is {}", list(there));
        }
    }
    for filter in &target.filters {
        let there: BTreeSet<&str> =
            of_type.iter().filter_map(|one| one.attributes.get(&filter.path)).flatten().map(String::as_str).collect();
        if there.is_empty() {
            let paths: BTreeSet<&str> =
                of_type.iter().flat_map(|one| one.attributes.keys().map(String::as_str)).collect();
            return format!("none has `{}`; there is {}", filter.path, list(paths));
        }
        if !filter.values.iter().any(|value| there.contains(value.as_str())) {
            return format!("`{}` is never {}; it is {}", filter.path, filter.values.join(" or "), list(there));
        }
    }
    for (key, value) in &target.parameters {
        if !of_type.iter().any(|one| has_parameter(one, key, value)) {
            return format!("none has {key} {value}");
        }
    }
    "each criterion matches something, but all together nothing".to_owned()
}

/// Names in `disjointFrom` that are not targets.
fn unknown_disjoint(experiment: &Experiment) -> Vec<Problem> {
    let known = || experiment.targets.keys().map(String::as_str);
    let mut problems = Vec::new();
    for (name, target) in &experiment.targets {
        for other in &target.disjoint_from {
            let place = format!("targets.{name}.disjointFrom");
            if other == name {
                problems
                    .push(Problem::new(place, "a target cannot be disjoint from itself").fix("name another target"));
            } else if !experiment.targets.contains_key(other) {
                let fix = nearest(other, known())
                    .map_or_else(|| known().collect::<Vec<_>>().join(", "), |near| format!("did you mean `{near}`?"));
                problems.push(Problem::new(place, format!("`{other}` is not a target")).fix(fix));
            }
        }
    }
    problems
}

/// Takes the resources, jointly where targets must be disjoint.
fn choose(wants: &[Want<'_>], seed: u64) -> Result<Vec<BTreeSet<usize>>, Vec<Problem>> {
    let mut chosen = vec![BTreeSet::new(); wants.len()];
    let mut problems = Vec::new();
    for part in parts(wants) {
        match choose_part(wants, &part, seed) {
            Ok(sets) => {
                for (at, set) in part.into_iter().zip(sets) {
                    if let Some(slot) = chosen.get_mut(at) {
                        *slot = set;
                    }
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(chosen) } else { Err(problems) }
}

/// The targets, in groups that no disjointness joins.
fn parts(wants: &[Want<'_>]) -> Vec<Vec<usize>> {
    let mut parts: Vec<Vec<usize>> = Vec::new();
    for (at, want) in wants.iter().enumerate() {
        let (joined, mut rest): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| {
            part.iter().any(|&other| wants.get(other).is_some_and(|other| want.conflicts_with(other)))
        });
        let mut merged: Vec<usize> = joined.into_iter().flatten().collect();
        merged.push(at);
        merged.sort_unstable();
        rest.push(merged);
        parts = rest;
    }
    parts
}

/// Takes the resources of targets that are joined by disjointness.
///
/// First all of them are kept apart, which a flow decides exactly. Where that is impossible but some of the targets may
/// share, random orders are tried, in which a target prefers what targets it may share with have already taken.
fn choose_part(wants: &[Want<'_>], part: &[usize], seed: u64) -> Result<Vec<BTreeSet<usize>>, Problem> {
    let wants: Vec<&Want<'_>> = part.iter().filter_map(|&at| wants.get(at)).collect();
    let short = match keep_apart(&wants, seed) {
        Ok(sets) => return Ok(sets),
        Err(short) => short,
    };
    let all_apart = wants.iter().enumerate().all(|(at, a)| wants.iter().skip(at + 1).all(|b| a.conflicts_with(b)));
    if !all_apart && let Some(sets) = (0..TRIES).find_map(|attempt| share_where_allowed(&wants, seed, attempt)) {
        return Ok(sets);
    }
    let short: Vec<&&Want<'_>> = short.iter().filter_map(|&at| wants.get(at)).collect();
    let needs: Vec<String> =
        short.iter().map(|want| format!("{} takes {} of {}", want.name, want.take, want.matching.len())).collect();
    let need: usize = short.iter().map(|want| want.take).sum();
    let have: BTreeSet<usize> = short.iter().flat_map(|want| want.matching.iter().copied()).collect();
    let place = short.first().map_or_else(String::new, |want| format!("targets.{}.disjointFrom", want.name));
    Err(Problem::new(
        place,
        format!(
            "targets that share no resource need {need}, and only {} match any of them ({})",
            have.len(),
            needs.join(", ")
        ),
    )
    .fix("take fewer, or add resources"))
}

/// A generator of its own for each target, so that a new target in a document leaves the choices of the others.
fn generator(seed: u64, name: &str, attempt: u64) -> StdRng {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(attempt.to_le_bytes());
    hash.update(name.as_bytes());
    StdRng::from_seed(hash.finalize().into())
}

fn shuffled(want: &Want<'_>, seed: u64, attempt: u64) -> Vec<usize> {
    let mut order = want.matching.clone();
    order.shuffle(&mut generator(seed, want.name, attempt));
    order
}

/// Gives every target its number so that no resource is taken twice; on failure, the targets that together are short.
fn keep_apart(wants: &[&Want<'_>], seed: u64) -> Result<Vec<BTreeSet<usize>>, Vec<usize>> {
    let mut orders: Vec<Order> =
        wants.iter().map(|want| Order { shuffled: shuffled(want, seed, 0), taken: 0 }).collect();
    let mut owner: BTreeMap<usize, usize> = BTreeMap::new();
    for (at, want) in wants.iter().enumerate() {
        for _ in 0..want.take {
            give_one(at, &mut orders, &mut owner)?;
        }
    }
    let mut sets = vec![BTreeSet::new(); wants.len()];
    for (resource, at) in owner {
        if let Some(set) = sets.get_mut(at) {
            set.insert(resource);
        }
    }
    Ok(sets)
}

/// The order in which a target takes resources. What is taken stays taken (by whomever), so that the search for a free
/// one never starts over: tens of thousands of resources are no matter.
struct Order {
    shuffled: Vec<usize>,
    taken: usize,
}

impl Order {
    fn free(&mut self, owner: &BTreeMap<usize, usize>) -> Option<usize> {
        while self.shuffled.get(self.taken).is_some_and(|resource| owner.contains_key(resource)) {
            self.taken += 1;
        }
        self.shuffled.get(self.taken).copied()
    }
}

/// Gives one more resource to a target: a free one, or one whose owner can (through others) find another.
fn give_one(to: usize, orders: &mut [Order], owner: &mut BTreeMap<usize, usize>) -> Result<(), Vec<usize>> {
    // came_by[o] = (u, r): u would take r from o, if o finds another.
    let mut came_by: BTreeMap<usize, Option<(usize, usize)>> = BTreeMap::from([(to, None)]);
    let mut queue = VecDeque::from([to]);
    while let Some(taker) = queue.pop_front() {
        let Some(order) = orders.get_mut(taker) else { continue };
        if let Some(resource) = order.free(owner) {
            owner.insert(resource, taker);
            let mut at = taker;
            while let Some(Some((winner, taken))) = came_by.get(&at).copied() {
                owner.insert(taken, winner);
                at = winner;
            }
            return Ok(());
        }
        for &resource in &order.shuffled {
            let Some(&holder) = owner.get(&resource) else { continue };
            came_by.entry(holder).or_insert_with(|| {
                queue.push_back(holder);
                Some((taker, resource))
            });
        }
    }
    // Everything these targets could take is taken, and by them: together they are short.
    Err(came_by.into_keys().collect())
}

/// One random attempt in which targets that are not disjoint share as much as they can.
fn share_where_allowed(wants: &[&Want<'_>], seed: u64, attempt: u64) -> Option<Vec<BTreeSet<usize>>> {
    let mut sets: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); wants.len()];
    let mut turn: Vec<usize> = (0..wants.len()).collect();
    turn.shuffle(&mut generator(seed, "", attempt));
    for at in turn {
        let want = wants.get(at)?;
        let mut order = shuffled(want, seed, attempt);
        order
            .retain(|one| !wants.iter().zip(&sets).any(|(other, set)| want.conflicts_with(other) && set.contains(one)));
        // Stable: what is shared comes first, and within it chance decides.
        order.sort_by_key(|one| !sets.iter().any(|set| set.contains(one)));
        let set: BTreeSet<usize> = order.into_iter().take(want.take).collect();
        if set.len() < want.take {
            return None;
        }
        if let Some(slot) = sets.get_mut(at) {
            *slot = set;
        }
    }
    Some(sets)
}
