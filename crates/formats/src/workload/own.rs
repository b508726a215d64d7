//! Our own document about a workload.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
};

use model::{
    Period,
    workload::{
        Availability, Calls, Component, Failover, Figures, Improvement, Need, Objectives, Place, Planned, Workload,
    },
};

use super::{availability, some_time, time};
use crate::{
    circles::circles,
    codes,
    decode::{Fields, Reader},
    finding::Finding,
    node::{Entry, Node, Value},
};

/// The keys of a workload document.
pub(super) const KEYS: &[&str] =
    &["workload", "criticality", "objectives", "regions", "zones", "components", "needs", "improvements"];

/// Keys that people put at the wrong level, and where they belong.
pub(crate) const MISPLACED: &[(&str, &str)] = &[
    ("rto", "`objectives`"),
    ("rpo", "`objectives`"),
    ("lagLimit", "`objectives`"),
    ("coverage", "`failover` of a component"),
    ("delay", "`failover` of a component"),
    ("every", "`planned` of a component"),
    ("takes", "`planned` of a component"),
    ("cost", "one of `improvements`"),
];

const COMPONENT_KEYS: &[&str] = &[
    "about",
    "external",
    "availability",
    "mtbf",
    "mttr",
    "detect",
    "count",
    "enough",
    "zones",
    "beta",
    "failover",
    "crews",
    "planned",
    "needs",
    "uses",
    "timeout",
    "retries",
];

/// The keys of a component, beside its figures, that hardly anything else called a component has.
pub(super) const TELLING: &[&str] = &["enough", "beta", "failover", "crews", "planned"];

/// The keys of objectives.
pub(super) const OBJECTIVES: &[&str] = &["availability", "rto", "rpo", "lagLimit"];

/// The keys that say how reliable something is.
pub(super) const FIGURES: &[&str] = &["availability", "mtbf", "mttr", "detect"];

/// Most units of a component; more is a slip, and as many would be one unit to any analysis.
const MOST_UNITS: u32 = 1000;

/// Reads a workload.
pub(super) fn read(reader: &mut Reader<'_>, root: &Node) -> Option<Workload> {
    let fields = reader.fields(root, "a workload", KEYS)?;
    let stem = reader.source.path().rsplit('/').next().unwrap_or_default().split('.').next().unwrap_or_default();
    let name = fields.get("workload").and_then(|node| reader.text(node, "workload"));
    let objectives = fields.get("objectives").map(|node| objectives(reader, node)).unwrap_or_default();
    let places = places(reader, &fields);
    let mut now = Now::of(&places);
    let mut components = Vec::new();
    if let Some(node) = fields.required("components", reader) {
        for entry in reader.entries(node, "components").unwrap_or_default() {
            components.extend(component(reader, &entry.key, &entry.value, &now.places));
            now.components.insert(&entry.key, &entry.value);
        }
        if node.as_mapping().is_some_and(<[_]>::is_empty) {
            reader.wrong_value(node.head, "a workload has at least one component");
        }
    }
    let needs = match fields.get("needs") {
        Some(node) => need(reader, node, "needs")?,
        None => all_but_used(&components),
    };
    let improvements = match fields.get("improvements") {
        Some(node) => {
            let items = reader.items(node, "improvements").unwrap_or_default();
            items.iter().filter_map(|item| improvement(reader, item, &mut now)).collect()
        }
        None => Vec::new(),
    };
    let workload = Workload {
        name: name.unwrap_or_else(|| stem.to_owned()),
        criticality: fields.get("criticality").and_then(|node| reader.text(node, "criticality")),
        objectives,
        places,
        components,
        needs,
        improvements,
    };
    names(reader, root, &workload);
    Some(workload)
}

/// What improvements change: components as they are, and the places that there are.
struct Now<'n> {
    components: HashMap<&'n str, &'n Node>,
    places: Places<'n>,
    /// Values of components that improvements have repeated.
    repeated: usize,
}

impl<'n> Now<'n> {
    fn of(places: &'n [Place]) -> Self {
        let names: Vec<&str> = places.iter().map(|place| place.name.as_str()).collect();
        let places = Places { known: names.iter().copied().collect(), names };
        Self { components: HashMap::new(), places, repeated: 0 }
    }
}

/// The names of regions and zones, in the order of the document and to be looked up.
struct Places<'n> {
    names: Vec<&'n str>,
    known: HashSet<&'n str>,
}

/// Everything, but what others can do without.
fn all_but_used(components: &[Component]) -> Need {
    let used: BTreeSet<&str> =
        components.iter().flat_map(|component| component.uses.iter().map(String::as_str)).collect();
    let needed = components.iter().filter(|component| !used.contains(component.name.as_str()));
    Need::All(needed.map(|component| Need::Component(component.name.clone())).collect())
}

fn objectives(reader: &mut Reader<'_>, node: &Node) -> Objectives {
    let Some(fields) = reader.fields(node, "`objectives`", OBJECTIVES) else {
        return Objectives::default();
    };
    Objectives {
        availability: fields.get("availability").and_then(|node| availability(reader, node, "availability")),
        rto: fields.get("rto").and_then(|node| time(reader, node, "rto")),
        rpo: fields.get("rpo").and_then(|node| time(reader, node, "rpo")),
        lag_limit: fields.get("lagLimit").and_then(|node| time(reader, node, "lagLimit")),
    }
}

/// Regions with their zones, and zones that lie in none.
fn places(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut add = |reader: &mut Reader<'_>, entry: &Entry, region: Option<&str>, figures: Option<Figures>| {
        if !seen.insert(entry.key.clone()) {
            let message = format!("the place `{}` is there twice", entry.key);
            reader.report(Finding::new(&codes::DUPLICATE_KEY, entry.key_span, message));
        }
        places.push(Place { name: entry.key.clone(), region: region.map(ToOwned::to_owned), figures });
    };
    for entry in fields.get("regions").and_then(|node| reader.entries(node, "regions")).unwrap_or_default() {
        let known = [FIGURES, &["zones"]].concat();
        let Some(region) = reader.fields(&entry.value, "a region", &known) else { continue };
        let own = figures(reader, &region);
        add(reader, entry, None, own);
        for zone in region.get("zones").and_then(|node| reader.entries(node, "zones")).unwrap_or_default() {
            let own = zone_figures(reader, &zone.value);
            add(reader, zone, Some(&entry.key), own);
        }
    }
    for zone in fields.get("zones").and_then(|node| reader.entries(node, "zones")).unwrap_or_default() {
        let own = zone_figures(reader, &zone.value);
        add(reader, zone, None, own);
    }
    places
}

/// A zone with nothing behind its name is one of which nothing is known.
fn zone_figures(reader: &mut Reader<'_>, node: &Node) -> Option<Figures> {
    if node.is_null() {
        return None;
    }
    let fields = reader.fields(node, "a zone", FIGURES)?;
    figures(reader, &fields)
}

/// How reliable something is: an availability, or mean times.
fn figures(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Figures> {
    let share = fields.get("availability").and_then(|node| availability(reader, node, "availability"));
    let mtbf = fields.get("mtbf").and_then(|node| some_time(reader, node, "mtbf"));
    let mttr = fields.get("mttr").and_then(|node| time(reader, node, "mttr"));
    let detect = fields.get("detect").and_then(|node| Some((node, time(reader, node, "detect")?)));
    let both = ["availability", "mtbf", "mttr"].iter().all(|key| fields.get(key).is_some());
    if let Some(node) = fields.get("mtbf").filter(|_| both) {
        let message = "`availability`, `mtbf` and `mttr` are one too many: two of them give the third";
        reader.report(Finding::new(&codes::WORKLOAD_FIGURES, node.head, message).help("remove one of them"));
    }
    if let (Some((node, detect)), Some(mttr)) = (detect, mttr)
        && detect > mttr
    {
        let message = format!("it takes {detect} to detect a failure, but only {mttr} until it is restored");
        let help = "`mttr` counts from the failure on, and `detect` is a part of it";
        reader.report(Finding::new(&codes::WORKLOAD_FIGURES, node.span, message).help(help));
    }
    let detect = detect.map(|(_, detect)| detect);
    let availability = match (share, mtbf, mttr) {
        (Some(share), None, _) => share,
        (None, Some(mtbf), Some(mttr)) => Availability::from_times(mtbf, mttr),
        (Some(share), Some(mtbf), None) => {
            // MTTR = MTBF (1 - A) / A; of what never works there is none.
            let restore = mtbf.as_secs_f64() * share.down() / share.up();
            let mttr = std::time::Duration::try_from_secs_f64(restore).ok().map(Period::new);
            return Some(Figures { availability: share, mttr, detect });
        }
        (None, Some(_), None) => {
            fields.required("mttr", reader);
            return None;
        }
        (None, None, Some(_)) => {
            fields.required("mtbf", reader);
            return None;
        }
        (Some(share), Some(_), Some(_)) => share,
        (None, None, None) => return None,
    };
    Some(Figures { availability, mttr, detect })
}

/// `2%`, from 0 to 1.
fn share(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<f64> {
    let text = reader.text(node, what)?;
    let percent = text.trim().strip_suffix('%').and_then(|number| number.trim_end().parse::<f64>().ok());
    let share = percent.map(|percent| percent / 100.0).filter(|share| (0.0..=1.0).contains(share));
    if share.is_none() {
        let finding = Finding::new(&codes::WRONG_VALUE, node.span, format!("{what}: `{text}` is not a share"));
        reader.report(finding.help("write percent from 0% to 100%, such as 5%"));
    }
    share
}

fn component(reader: &mut Reader<'_>, name: &str, node: &Node, places: &Places<'_>) -> Option<Component> {
    // `queue:` with nothing behind it is a component of which nothing is known.
    if node.is_null() {
        return Some(Component::named(name));
    }
    let fields = reader.fields(node, "a component", COMPONENT_KEYS)?;
    let zones = fields.get("zones").map_or_else(Vec::new, |node| in_places(reader, node, places));
    let count = fields.get("count").and_then(|node| reader.whole(node, "count", 1..=MOST_UNITS));
    let count = count.unwrap_or_else(|| u32::try_from(zones.len()).unwrap_or(MOST_UNITS).max(1));
    let enough = fields.get("enough").and_then(|node| reader.whole(node, "enough", 1..=count)).unwrap_or(1);
    let figures = figures(reader, &fields);
    let failover = fields.get("failover").and_then(|node| failover(reader, node));
    let crews = fields.get("crews").and_then(|node| reader.whole(node, "crews", 1..=MOST_UNITS));
    let restored = figures.is_some_and(|figures| figures.mttr.is_some());
    for (key, needed) in [("failover", failover.is_some()), ("crews", crews.is_some_and(|crews| crews < count))] {
        if let Some(node) = fields.get(key).filter(|_| needed && !restored) {
            let message = format!("`{key}` means nothing without `mttr`: how often a unit fails is not known");
            reader.report(Finding::new(&codes::WORKLOAD_FIGURES, node.head, message).help("add `mttr`"));
        }
    }
    let timeout = fields.get("timeout").and_then(|node| some_time(reader, node, "timeout"));
    let retries = fields.get("retries").and_then(|node| reader.whole(node, "retries", 0..=100)).unwrap_or(0);
    Some(Component {
        name: name.to_owned(),
        about: fields.get("about").and_then(|node| reader.text(node, "about")),
        external: fields.get("external").and_then(|node| reader.boolean(node, "external")).unwrap_or(false),
        figures,
        count,
        enough,
        places: zones,
        beta: fields.get("beta").and_then(|node| share(reader, node, "beta")).unwrap_or(0.0),
        failover,
        crews,
        planned: fields.get("planned").and_then(|node| planned(reader, node)),
        needs: fields.get("needs").and_then(|node| need(reader, node, "needs")),
        uses: fields.get("uses").map_or_else(Vec::new, |node| reader.one_or_more(node, "uses")),
        calls: timeout.map(|timeout| Calls { timeout, retries }),
        single_points: Vec::new(),
    })
}

fn in_places(reader: &mut Reader<'_>, node: &Node, places: &Places<'_>) -> Vec<String> {
    let names = reader.one_or_more(node, "zones");
    let nodes = node.as_sequence().unwrap_or_else(|| std::slice::from_ref(node));
    for (name, node) in names.iter().zip(nodes) {
        if !places.known.contains(name.as_str()) {
            let finding = Finding::new(&codes::UNKNOWN_PART, node.span, format!("there is no zone or region `{name}`"));
            let near = reader.near(name, places.names.iter().copied());
            let help =
                near.map_or_else(|| "define it under `zones`".to_owned(), |near| format!("did you mean `{near}`?"));
            reader.report(finding.help(help));
        }
    }
    names
}

fn failover(reader: &mut Reader<'_>, node: &Node) -> Option<Failover> {
    let fields = reader.fields(node, "`failover`", &["coverage", "delay"])?;
    let coverage = fields.get("coverage").map_or(Some(1.0), |node| share(reader, node, "coverage"));
    let delay = fields.required("delay", reader).and_then(|node| time(reader, node, "delay"));
    Some(Failover { coverage: coverage?, delay: delay? })
}

fn planned(reader: &mut Reader<'_>, node: &Node) -> Option<Planned> {
    let fields = reader.fields(node, "`planned`", &["every", "takes"])?;
    let every = fields.required("every", reader).and_then(|node| some_time(reader, node, "every"));
    let takes_node = fields.required("takes", reader);
    let takes = takes_node.and_then(|node| time(reader, node, "takes"));
    let planned = Planned { every: every?, takes: takes? };
    if let Some(node) = takes_node.filter(|_| planned.takes > planned.every) {
        let message = format!("it takes {}, and is begun anew every {}", planned.takes, planned.every);
        reader.report(Finding::new(&codes::WORKLOAD_FIGURES, node.span, message));
    }
    Some(planned)
}

/// A name; a list of what is all needed; or a mapping with `all`, `any`, or `atLeast` and `of`.
fn need(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Need> {
    match &node.value {
        Value::Scalar(_) => reader.text(node, what).map(Need::Component),
        Value::Sequence(_) => needs(reader, node, what).map(Need::All),
        Value::Mapping(_) => {
            let fields = reader.fields(node, "what is needed", &["all", "any", "atLeast", "of"])?;
            match (fields.get("all"), fields.get("any"), fields.get("atLeast"), fields.get("of")) {
                (Some(all), None, None, None) => needs(reader, all, "all").map(Need::All),
                (None, Some(any), None, None) => needs(reader, any, "any").map(Need::Any),
                (None, None, Some(at_least), Some(of)) => {
                    let of = needs(reader, of, "of")?;
                    let most = u32::try_from(of.len()).unwrap_or(u32::MAX);
                    Some(Need::AtLeast(reader.whole(at_least, "atLeast", 1..=most)?, of))
                }
                _ => {
                    reader.wrong_value(node.head, "write either `all`, or `any`, or `atLeast` with `of`");
                    None
                }
            }
        }
    }
}

fn needs(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Vec<Need>> {
    let items = reader.items(node, what)?;
    if items.is_empty() {
        reader.wrong_value(node.head, format!("`{what}` names at least one component"));
        return None;
    }
    items.iter().map(|item| need(reader, item, what)).collect()
}

/// Components as they would be: what is said of them here, and for the rest what is said under `components`.
fn improvement(reader: &mut Reader<'_>, node: &Node, now: &mut Now<'_>) -> Option<Improvement> {
    let fields = reader.fields(node, "an improvement", &["name", "cost", "components", "needs"])?;
    let name = fields.required("name", reader).and_then(|node| reader.text(node, "name"));
    let mut components = Vec::new();
    if let Some(node) = fields.get("components") {
        for entry in reader.entries(node, "components").unwrap_or_default() {
            let then = overlaid(reader, now, entry)?;
            components.extend(component(reader, &entry.key, &then, &now.places));
        }
    }
    let cost = fields.get("cost").and_then(|node| {
        let cost = reader.number(node, "cost")?;
        if cost < 0.0 {
            reader.wrong_value(node.span, "a cost is not negative");
            return None;
        }
        Some(cost)
    });
    if fields.get("components").is_none() && fields.get("needs").is_none() {
        reader.wrong_value(fields.node().head, "an improvement changes something: give `components` or `needs`");
    }
    let needs = fields.get("needs").and_then(|node| need(reader, node, "needs"));
    Some(Improvement { name: name?, cost, components, needs })
}

/// Most values of components that improvements may repeat between them; people repeat dozens.
const MOST_REPEATED: usize = 100_000;

/// The keys of a component as it would be, and those of it as it is that they do not overrule: an availability overrules mean times,
/// and the other way round. Nothing where improvements repeat too much.
fn overlaid<'t>(reader: &mut Reader<'_>, now: &mut Now<'_>, then: &'t Entry) -> Option<Cow<'t, Node>> {
    if now.repeated > MOST_REPEATED {
        return None;
    }
    let old = now.components.get(then.key.as_str()).and_then(|node| node.as_mapping());
    let (Some(old), Some(new)) = (old, then.value.as_mapping()) else { return Some(Cow::Borrowed(&then.value)) };
    let keys: HashSet<&str> = new.iter().map(|entry| entry.key.as_str()).collect();
    let overruled = |key: &str| match key {
        "mtbf" => keys.contains("availability"),
        "availability" => keys.contains("mtbf"),
        // Part of a time to restore that is no longer the same.
        "detect" => keys.contains("mttr"),
        _ => false,
    };
    let kept = || old.iter().filter(|entry| !keys.contains(entry.key.as_str()) && !overruled(&entry.key));
    now.repeated += kept().map(|entry| entry.value.count()).sum::<usize>();
    if now.repeated > MOST_REPEATED {
        let message =
            format!("improvements repeat more than {MOST_REPEATED} values of the components that they change");
        reader.report(Finding::new(&codes::TOO_LARGE, then.key_span, message).help("split the document"));
        return None;
    }
    Some(Cow::Owned(Node { value: Value::Mapping(kept().chain(new).cloned().collect()), ..then.value.clone() }))
}

/// Finds names that stand for nothing, and components that need themselves.
fn names(reader: &mut Reader<'_>, root: &Node, workload: &Workload) {
    let known: BTreeSet<&str> = workload.components.iter().map(|component| component.name.as_str()).collect();
    let check = |reader: &mut Reader<'_>, node: Option<&Node>, added: &BTreeSet<&str>| {
        let mut found = Vec::new();
        node.into_iter().for_each(|node| texts(node, &mut found));
        for (name, node) in found {
            if known.contains(name) || added.contains(name) {
                continue;
            }
            let finding = Finding::new(&codes::UNKNOWN_PART, node.span, format!("there is no component `{name}`"));
            let near = reader.near(name, known.iter().copied());
            reader.report(match near {
                Some(near) => finding.help(format!("did you mean `{near}`?")),
                None => finding.help("define it under `components`"),
            });
        }
    };
    let none = BTreeSet::new();
    check(reader, root.get("needs"), &none);
    let components = root.get("components").and_then(Node::as_mapping).unwrap_or_default();
    for entry in components {
        check(reader, entry.value.get("needs"), &none);
        check(reader, entry.value.get("uses"), &none);
    }
    let improvements = root.get("improvements").and_then(Node::as_sequence).unwrap_or_default();
    for node in improvements {
        let changed = node.get("components").and_then(Node::as_mapping).unwrap_or_default();
        let added = changed.iter().map(|entry| entry.key.as_str()).collect();
        check(reader, node.get("needs"), &added);
        for entry in changed {
            check(reader, entry.value.get("needs"), &added);
            check(reader, entry.value.get("uses"), &added);
        }
    }
    circle(reader, components, workload);
}

/// Every text of a need, with its place.
fn texts<'n>(node: &'n Node, found: &mut Vec<(&'n str, &'n Node)>) {
    match &node.value {
        Value::Scalar(_) => found.extend(node.as_text().map(|text| (text, node))),
        Value::Sequence(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Mapping(entries) => {
            entries.iter().filter(|entry| entry.key != "atLeast").for_each(|entry| texts(&entry.value, found));
        }
    }
}

/// Reports a circle of dependencies, hard and soft: what stands in it could not be brought up. Names that are not known lead
/// nowhere.
fn circle(reader: &mut Reader<'_>, entries: &[Entry], workload: &Workload) {
    let components: BTreeMap<&str, &Component> =
        workload.components.iter().map(|component| (component.name.as_str(), component)).collect();
    let next = |name: &str| {
        let component = components.get(name);
        let hard = component.into_iter().flat_map(|component| &component.needs).flat_map(Need::components);
        let soft = component.into_iter().flat_map(|component| &component.uses).map(String::as_str);
        hard.chain(soft).filter(|name| components.contains_key(name)).collect::<Vec<_>>()
    };
    let names = entries.iter().map(|entry| entry.key.as_str());
    let Some(circle) = circles(names, next).into_iter().next() else { return };
    let first = circle[0];
    let Some(entry) = entries.iter().find(|entry| entry.key == first) else { return };
    let others: Vec<String> = circle[1..circle.len() - 1].iter().map(|name| format!("`{name}`")).collect();
    let others = if others.is_empty() { "nothing else".to_owned() } else { others.join(", ") };
    let message = format!("`{first}` needs itself, by way of {others}");
    let help = "remove one of these dependencies; what each can do without for a while is no dependency of its start";
    reader.report(Finding::new(&codes::WORKLOAD_CIRCLE, entry.key_span, message).help(help));
}
