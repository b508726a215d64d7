//! Lab files: a data centre in a box.

use std::collections::{BTreeMap, HashSet};

use model::{
    Period,
    lab::{Balancer, Breaker, DemoApp, Downstream, Group, HealthCheck, Lab, Network, Region, Run},
    metric::{Quantity, Unit},
};

use crate::{
    codes,
    decode::Reader,
    document::{self, alarm},
    finding::Finding,
    node::{Entry, Node},
    shape::some,
};

/// The keys of a lab file.
pub(crate) const KEYS: &[&str] = &["name", "network", "regions", "groups", "balancers", "alarms"];

/// Keys that people put at the wrong level, and where they belong.
pub(crate) const MISPLACED: &[(&str, &str)] = &[
    ("healthCheck", "a balancer under `balancers`"),
    ("sticky", "a balancer under `balancers`"),
    ("draining", "a balancer under `balancers`"),
    ("publish", "a balancer under `balancers`"),
    ("work", "`demoApp` under `run`"),
    ("startup", "`demoApp` under `run`"),
    ("downstream", "`demoApp` under `run`"),
    ("spool", "`demoApp` under `run`"),
    ("breaker", "`downstream`"),
    ("fallback", "`downstream`"),
    ("demoApp", "`run` of a group"),
    ("command", "`run` of a group"),
    ("desired", "a group under `groups`"),
];

/// Most zones, and most groups, of a lab. A group lives in all zones unless it says otherwise, so that the one is multiplied by the
/// other; with one instance in each there would be more than any machine holds.
const MAX_PARTS: usize = 1000;

/// Largest group: 40 instances are what a laptop is measured for, a thousand is a slip.
const MAX_INSTANCES: u32 = 1000;

const GROUP_KEYS: &[&str] = &[
    "zones",
    "min",
    "max",
    "desired",
    "replace",
    "gracePeriod",
    "launchDelay",
    "memory",
    "disk",
    "run",
    "port",
    "env",
    "tags",
];

const BALANCER_KEYS: &[&str] = &["group", "port", "publish", "healthCheck", "sticky", "draining", "timeout", "retries"];

/// Reads a lab.
pub(crate) fn read(reader: &mut Reader<'_>, root: &Node) -> Option<Lab> {
    reader.native_scalars = true;
    let fields = reader.fields(root, "a lab", KEYS)?;
    let stem = reader.source.path().rsplit('/').next().unwrap_or_default().split('.').next().unwrap_or_default();
    let mut lab = Lab { name: stem.to_owned(), ..Lab::default() };
    if let Some(node) = fields.get("name") {
        lab.name = reader.text(node, "name").unwrap_or_default();
    }
    if let Some(node) = fields.get("network") {
        let choices = [("auto", Network::Auto), ("netns", Network::Netns), ("loopback", Network::Loopback)];
        lab.network = reader.one_of(node, "network", &choices).unwrap_or_default();
    }
    if let Some(node) = fields.required("regions", reader) {
        let items = reader.items(node, "regions").unwrap_or_default();
        lab.regions = items.iter().filter_map(|item| region(reader, item)).collect();
        unique_regions(reader, node, &lab.regions);
        if lab.regions.iter().map(|region| region.zones.len()).sum::<usize>() > MAX_PARTS {
            reader.wrong_value(node.head, format!("a lab has at most {MAX_PARTS} zones"));
            return None;
        }
    }
    if let Some(node) = fields.required("groups", reader) {
        if node.as_mapping().is_some_and(|entries| entries.len() > MAX_PARTS) {
            reader.wrong_value(node.head, format!("a lab has at most {MAX_PARTS} groups"));
            return None;
        }
        lab.groups = named(reader, node, "groups", |reader, entry| group(reader, &entry.value, &lab.regions));
        if node.as_mapping().is_some_and(<[_]>::is_empty) {
            reader.wrong_value(node.head, "a lab has at least one group");
        }
    }
    if let Some(node) = fields.get("balancers") {
        let groups: Vec<String> = group_names(root);
        lab.balancers = named(reader, node, "balancers", |reader, entry| balancer(reader, entry, &groups));
    }
    if let Some(node) = fields.get("alarms") {
        lab.alarms = document::map(reader, node, "alarms", |reader, node| alarm::alarm(reader, node, None));
    }
    Some(lab)
}

/// Names of all groups, those that could not be read included.
fn group_names(root: &Node) -> Vec<String> {
    let entries = root.get("groups").and_then(Node::as_mapping).unwrap_or_default();
    entries.iter().map(|entry| entry.key.clone()).collect()
}

/// A map whose names are parts of host names (RFC 1123).
fn named<T>(
    reader: &mut Reader<'_>,
    node: &Node,
    what: &str,
    mut read: impl FnMut(&mut Reader<'_>, &Entry) -> Option<T>,
) -> BTreeMap<String, T> {
    let mut map = BTreeMap::new();
    for entry in reader.entries(node, what).unwrap_or_default() {
        if !dns_label(&entry.key) {
            let message = format!("`{}` cannot be part of a host name", entry.key);
            let help = "use lower-case letters, digits and hyphens, at most 63, not starting or ending with a hyphen";
            reader.report(Finding::new(&codes::NAME, entry.key_span, message).help(help));
        }
        if let Some(value) = read(reader, entry) {
            map.insert(entry.key.clone(), value);
        }
    }
    map
}

fn dns_label(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

fn region(reader: &mut Reader<'_>, node: &Node) -> Option<Region> {
    let fields = reader.fields(node, "a region", &["name", "zones"])?;
    let name_node = fields.required("name", reader);
    let name = name_node.and_then(|node| {
        let name = reader.text(node, "name")?;
        if !dns_label(&name) {
            let message = format!("`{name}` cannot be the name of a region");
            reader.report(Finding::new(&codes::NAME, node.span, message).help("write for example local-1"));
        }
        Some(name)
    });
    let zones_node = fields.required("zones", reader)?;
    let letters = reader.texts(zones_node, "zones");
    let name = name?;
    let mut zones = Vec::new();
    let mut seen = HashSet::new();
    for (letter, node) in letters.iter().zip(zones_node.as_sequence().unwrap_or_default()) {
        // `a` and `local-1a` both mean the zone local-1a.
        let zone = if letter.starts_with(&name) { letter.clone() } else { format!("{name}{letter}") };
        if !dns_label(&zone) {
            let message = format!("`{letter}` cannot be a zone");
            reader.report(Finding::new(&codes::NAME, node.span, message).help("write a letter: zones: [a, b]"));
        } else if seen.insert(zone.clone()) {
            zones.push(zone);
        } else {
            reader.report(Finding::new(&codes::NAME, node.span, format!("the zone `{letter}` is there twice")));
        }
    }
    if letters.is_empty() && zones_node.as_sequence().is_some() {
        reader.wrong_value(zones_node.head, "a region has at least one zone");
    }
    Some(Region { name, zones })
}

fn unique_regions(reader: &mut Reader<'_>, node: &Node, regions: &[Region]) {
    if regions.is_empty() && node.as_sequence().is_some_and(<[_]>::is_empty) {
        reader.wrong_value(node.head, "a lab has at least one region");
    }
    let mut seen = HashSet::new();
    for region in regions.iter().filter(|region| !seen.insert(region.name.as_str())) {
        let message = format!("the region `{}` is there twice", region.name);
        reader.report(Finding::new(&codes::NAME, node.head, message));
    }
}

fn group(reader: &mut Reader<'_>, node: &Node, regions: &[Region]) -> Option<Group> {
    let fields = reader.fields(node, "a group", GROUP_KEYS)?;
    let zones = fields.get("zones").map_or_else(
        || regions.iter().flat_map(|region| region.zones.clone()).collect(),
        |node| zones(reader, node, regions),
    );
    let count = |reader: &mut Reader<'_>, key: &str| {
        fields.get(key).and_then(|node| reader.whole(node, key, 0..=MAX_INSTANCES))
    };
    let (min, max, desired) = (count(reader, "min"), count(reader, "max"), count(reader, "desired"));
    if [min, max, desired].iter().all(Option::is_none)
        && ["min", "max", "desired"].iter().all(|key| fields.get(key).is_none())
    {
        fields.required("desired", reader);
    }
    let wanted = desired.or(min).or(max).unwrap_or(1);
    let (min, max) = (min.unwrap_or(wanted), max.unwrap_or(wanted));
    if !(min <= wanted && wanted <= max) {
        let place = fields.get("desired").map_or(node.head, |node| node.span);
        let message = format!("min {min} <= desired {wanted} <= max {max} does not hold");
        reader.report(Finding::new(&codes::SIZE, place, message).help("correct one of them"));
    }
    let run = fields.get("run").map_or_else(|| Some(Run::DemoApp(demo_app_default())), |node| run(reader, node));
    let period = |reader: &mut Reader<'_>, key: &str, default: Period| {
        fields.get(key).and_then(|node| reader.period(node, key)).unwrap_or(default)
    };
    Some(Group {
        zones,
        min,
        max,
        desired: wanted,
        replace: fields.get("replace").and_then(|node| reader.boolean(node, "replace")).unwrap_or(true),
        grace_period: period(reader, "gracePeriod", Period::from_secs(5)),
        launch_delay: period(reader, "launchDelay", Period::ZERO),
        run: run?,
        // A small instance: enough for the demo app, little enough that 40 of them fit a laptop's idea of plenty.
        memory: fields.get("memory").and_then(|node| bytes(reader, node, "memory")).unwrap_or(256 << 20),
        disk: fields.get("disk").and_then(|node| bytes(reader, node, "disk")),
        port: fields.get("port").and_then(|node| reader.whole(node, "port", 1..=u16::MAX)).unwrap_or(8080),
        env: fields.get("env").map_or_else(BTreeMap::new, |node| reader.text_map(node, "env")),
        tags: fields.get("tags").map_or_else(BTreeMap::new, |node| reader.text_map(node, "tags")),
    })
}

/// Zones by full name, or by letter where only one region has that letter.
fn zones(reader: &mut Reader<'_>, node: &Node, regions: &[Region]) -> Vec<String> {
    let all: Vec<(&str, &str)> = regions
        .iter()
        .flat_map(|region| {
            region.zones.iter().map(|zone| (zone.as_str(), zone.strip_prefix(region.name.as_str()).unwrap_or(zone)))
        })
        .collect();
    let mut zones: Vec<String> = Vec::new();
    for item in reader.items(node, "zones").unwrap_or_default() {
        let Some(text) = reader.text(item, "a zone") else { continue };
        let matching: Vec<&str> =
            all.iter().filter(|(full, letter)| *full == text || *letter == text).map(|(full, _)| *full).collect();
        match matching.as_slice() {
            [zone] if zones.iter().any(|known| known == zone) => {
                reader.report(Finding::new(&codes::ZONE, item.span, format!("the zone `{text}` is there twice")));
            }
            [zone] => zones.push((*zone).to_owned()),
            [] => {
                let finding = Finding::new(&codes::ZONE, item.span, format!("no region has the zone `{text}`"));
                let names = all.iter().map(|(full, _)| *full);
                reader.report(match reader.near(&text, names.clone()) {
                    Some(near) => finding.help(format!("did you mean `{near}`?")),
                    None => finding.help(format!("zones are {}", some(names))),
                });
            }
            several => {
                let message = format!("several regions have a zone `{text}`");
                let help = format!("write one of {}", some(several.iter().copied()));
                reader.report(Finding::new(&codes::ZONE, item.span, message).help(help));
            }
        }
    }
    if node.as_sequence().is_some_and(<[_]>::is_empty) {
        reader.wrong_value(node.head, "a group lives in at least one zone");
    }
    zones
}

fn bytes(reader: &mut Reader<'_>, node: &Node, key: &str) -> Option<u64> {
    let text = reader.text(node, key)?;
    match text.parse::<Quantity>() {
        // A tebibyte is more than any machine a lab runs on has, and exact in a float.
        Ok(Quantity { unit: Unit::Bytes, value }) if (1.0..=1_099_511_627_776.0).contains(&value) =>
        {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the range has just been checked"
            )]
            Some(value as u64)
        }
        _ => {
            let finding = Finding::new(&codes::WRONG_VALUE, node.span, format!("`{text}` is not a size"));
            reader.report(finding.help("write for example 256MiB or 1GiB"));
            None
        }
    }
}

fn run(reader: &mut Reader<'_>, node: &Node) -> Option<Run> {
    let fields = reader.fields(node, "`run`", &["demoApp", "command"])?;
    // `demoApp:` with nothing behind it is the demo app with its defaults.
    let demo = node.entry("demoApp").map(|entry| &entry.value);
    match (demo, fields.get("command")) {
        (Some(node), None) if node.is_null() => Some(Run::DemoApp(demo_app_default())),
        (Some(node), None) => demo_app(reader, node).map(Run::DemoApp),
        (None, Some(node)) => document::command(reader, node).map(Run::Command),
        _ => {
            reader.wrong_value(node.head, "`run` has either `demoApp` or `command`");
            None
        }
    }
}

/// The demo app answers at once and is healthy as soon as it listens, unless the file says otherwise.
const fn demo_app_default() -> DemoApp {
    DemoApp { work: Period::ZERO, startup: Period::ZERO, downstream: None, spool: None }
}

fn demo_app(reader: &mut Reader<'_>, node: &Node) -> Option<DemoApp> {
    let fields = reader.fields(node, "`demoApp`", &["work", "startup", "downstream", "spool"])?;
    let mut app = demo_app_default();
    if let Some(node) = fields.get("work") {
        app.work = reader.period(node, "work")?;
    }
    if let Some(node) = fields.get("startup") {
        app.startup = reader.period(node, "startup")?;
    }
    if let Some(node) = fields.get("downstream") {
        app.downstream = Some(downstream(reader, node)?);
    }
    if let Some(node) = fields.get("spool") {
        let folder = reader.text(node, "spool")?;
        if !folder.starts_with('/') {
            reader.wrong_value(node.span, "`spool` is a folder as the instance sees it, such as /mnt");
            return None;
        }
        app.spool = Some(folder.into());
    }
    Some(app)
}

fn downstream(reader: &mut Reader<'_>, node: &Node) -> Option<Downstream> {
    let fields = reader.fields(node, "`downstream`", &["url", "timeout", "retries", "breaker", "fallback"])?;
    let url = fields.required("url", reader).and_then(|node| document::url(reader, node, &["http://"]));
    // `timeout: false` is none.
    let timeout = match fields.get("timeout") {
        None => Some(Some(Period::from_secs(1))),
        Some(node) if node.as_text() == Some("false") => Some(None),
        Some(node) => reader.some_time(node, "timeout").map(Some),
    };
    let retries = fields.get("retries").map_or(Some(0), |node| reader.whole(node, "retries", 0..=10));
    let fallback = fields.get("fallback").map_or(Some(false), |node| reader.boolean(node, "fallback"));
    // `breaker:` with nothing behind it is a breaker with its defaults; `breaker: false` is none.
    let breaker = match node.get("breaker") {
        None => None,
        Some(node) if node.as_text() == Some("false") => None,
        Some(node) => Some(breaker(reader, node)?),
    };
    Some(Downstream { url: url?, timeout: timeout?, retries: retries?, breaker, fallback: fallback? })
}

fn breaker(reader: &mut Reader<'_>, node: &Node) -> Option<Breaker> {
    let mut breaker = Breaker { failures: 5, open_for: Period::from_secs(5) };
    if node.is_null() || node.as_text() == Some("true") {
        return Some(breaker);
    }
    let fields = reader.fields(node, "`breaker`", &["failures", "openFor"])?;
    if let Some(node) = fields.get("failures") {
        breaker.failures = reader.whole(node, "failures", 1..=1_000_000)?;
    }
    if let Some(node) = fields.get("openFor") {
        breaker.open_for = reader.some_time(node, "openFor")?;
    }
    Some(breaker)
}

fn balancer(reader: &mut Reader<'_>, entry: &Entry, groups: &[String]) -> Option<Balancer> {
    let node = &entry.value;
    let fields = reader.fields(node, "a balancer", BALANCER_KEYS)?;
    let group = fields.required("group", reader).and_then(|node| {
        let group = reader.text(node, "group")?;
        if !groups.contains(&group) {
            let finding = Finding::new(&codes::GROUP, node.span, format!("there is no group `{group}`"));
            let names = groups.iter().map(String::as_str);
            reader.report(match reader.near(&group, names.clone()) {
                Some(near) => finding.help(format!("did you mean `{near}`?")),
                None => finding.help(format!("groups are {}", some(names))),
            });
        }
        Some(group)
    });
    let publish = fields.get("publish").and_then(|node| {
        let address = reader.text(node, "publish")?;
        if address.parse::<std::net::SocketAddr>().is_err() {
            let finding =
                Finding::new(&codes::WRONG_VALUE, node.span, format!("`{address}` is not an address with a port"));
            reader.report(finding.help("write for example 127.0.0.1:8080"));
        }
        Some(address)
    });
    let health_check = fields.get("healthCheck").map_or_else(HealthCheck::default, |node| health_check(reader, node));
    let sticky = fields.get("sticky").and_then(|node| reader.some_time(node, "sticky"));
    let time = |reader: &mut Reader<'_>, key: &str, default: Period| {
        fields.get(key).and_then(|node| reader.period(node, key)).unwrap_or(default)
    };
    Some(Balancer {
        group: group?,
        port: fields.get("port").and_then(|node| reader.whole(node, "port", 1..=u16::MAX)).unwrap_or(80),
        publish,
        health_check,
        sticky,
        draining: time(reader, "draining", Period::from_secs(5)),
        timeout: time(reader, "timeout", Period::from_secs(10)),
        retries: fields.get("retries").and_then(|node| reader.whole(node, "retries", 0..=10)).unwrap_or(1),
    })
}

fn health_check(reader: &mut Reader<'_>, node: &Node) -> HealthCheck {
    let mut check = HealthCheck::default();
    let keys = ["path", "interval", "timeout", "healthyThreshold", "unhealthyThreshold", "codes"];
    let Some(fields) = reader.fields(node, "`healthCheck`", &keys) else { return check };
    if let Some(node) = fields.get("path")
        && let Some(path) = reader.text(node, "path")
    {
        if !path.starts_with('/') || path.contains(|c: char| c.is_whitespace() || c.is_control()) {
            reader.wrong_value(node.span, format!("`{path}` is not a path; it starts with `/`"));
        }
        check.path = path;
    }
    if let Some(interval) = fields.get("interval").and_then(|node| reader.some_time(node, "interval")) {
        check.interval = interval;
        // An answer that may take longer than the time between questions would be asked for twice.
        check.timeout = check.timeout.min(interval);
    }
    if let Some(node) = fields.get("timeout")
        && let Some(timeout) = reader.some_time(node, "timeout")
    {
        if timeout > check.interval {
            reader.wrong_value(node.span, format!("`timeout` {timeout} is longer than `interval` {}", check.interval));
        }
        check.timeout = timeout;
    }
    for (key, threshold) in
        [("healthyThreshold", &mut check.healthy_threshold), ("unhealthyThreshold", &mut check.unhealthy_threshold)]
    {
        if let Some(number) = fields.get(key).and_then(|node| reader.whole(node, key, 1..=100)) {
            *threshold = number;
        }
    }
    if let Some(codes) = fields.get("codes").and_then(|node| status_codes(reader, node)) {
        check.codes = codes;
    }
    check
}

/// `200-299,301`
fn status_codes(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<(u16, u16)>> {
    let text = reader.text(node, "codes")?;
    let status = |text: &str| text.trim().parse::<u16>().ok().filter(|status| (100..=599).contains(status));
    let ranges: Option<Vec<(u16, u16)>> = text
        .split(',')
        .map(|item| match item.split_once('-') {
            Some((low, high)) => status(low).zip(status(high)).filter(|(low, high)| low <= high),
            None => status(item).map(|status| (status, status)),
        })
        .collect();
    if ranges.is_none() {
        let finding = Finding::new(&codes::WRONG_VALUE, node.span, format!("`{text}` does not name statuses"));
        reader.report(finding.help("write for example 200-299,301"));
    }
    ranges
}
