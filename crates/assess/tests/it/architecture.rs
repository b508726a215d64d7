//! An architecture as large companies run them, by a seed: to see that its size is no hindrance, and how fast it is.
//!
//! Services run in every region, spread over its zones. A service has one of three shapes, in shares as they are met: stateless
//! instances behind a balancer, of which one zone's may be missing; a store of three replicas with a quorum and a takeover; a
//! queue or cache of two. A service calls a few of those that were there before it, and could do without some of them. A
//! region works when all of its services do, and two regions of three carry the load.

use model::{
    Period,
    workload::{Availability, Component, Failover, Figures, Need, Objectives, Place, Planned, Workload},
};
use rand::{Rng, SeedableRng, rngs::StdRng};

const REGIONS: [&str; 3] = ["eu", "us", "ap"];
const ZONES: u32 = 3;
const DAY: u64 = 86_400;
const HOUR: u64 = 3600;

/// So many regions, at most three, with so many services in each. A service makes about five events.
pub(crate) fn architecture(regions: usize, services: usize, seed: u64) -> Workload {
    let mut random = StdRng::seed_from_u64(seed);
    let regions = &REGIONS[..regions];
    let components: Vec<Component> = regions.iter().flat_map(|region| stack(&mut random, region, services)).collect();
    let works = |region: &&str| {
        let own = components.iter().filter(|component| component.name.starts_with(&format!("{region}-")));
        Need::All(own.map(|component| Need::Component(component.name.clone())).collect())
    };
    let carried = Need::AtLeast(
        u32::try_from(regions.len() - regions.len() / 3).expect("three at most"),
        regions.iter().map(works).collect(),
    );
    // Two that everybody depends on: names and identities.
    let shared = ["dns", "identity"].map(|name| Component { external: true, ..part(name, 3650 * DAY, HOUR) });
    let needed = shared.iter().map(|component| Need::Component(component.name.clone()));
    Workload {
        name: "everything".to_owned(),
        criticality: None,
        objectives: Objectives { availability: "99.99%".parse().ok(), ..Objectives::default() },
        places: regions.iter().flat_map(|region| places(region)).collect(),
        needs: Need::All(needed.chain([carried]).collect()),
        components: shared.iter().cloned().chain(components).collect(),
        improvements: Vec::new(),
    }
}

fn figures(mtbf: u64, mttr: u64) -> Option<Figures> {
    let (mtbf, mttr) = (Period::from_secs(mtbf), Period::from_secs(mttr));
    Some(Figures { availability: Availability::from_times(mtbf, mttr), mttr: Some(mttr), detect: None })
}

fn part(name: &str, mtbf: u64, mttr: u64) -> Component {
    Component { figures: figures(mtbf, mttr), ..Component::named(name) }
}

/// A region fails as a whole every ten years or so for four hours, one of its zones every two for two: what the histories of
/// the large providers show.
fn places(region: &str) -> Vec<Place> {
    let zone = |zone: u32| Place {
        name: format!("{region}-{zone}"),
        region: Some(region.to_owned()),
        figures: figures(730 * DAY, 2 * HOUR),
    };
    let whole = Place { name: region.to_owned(), region: None, figures: figures(3650 * DAY, 4 * HOUR) };
    [whole].into_iter().chain((1..=ZONES).map(zone)).collect()
}

fn stack(random: &mut StdRng, region: &str, services: usize) -> Vec<Component> {
    let mut stack: Vec<Component> = Vec::new();
    for number in 0..services {
        let name = format!("{region}-service-{number}");
        let zones = (1..=ZONES).map(|zone| format!("{region}-{zone}")).collect();
        let mut service = match random.random_range(0..10) {
            // An instance lives for a month or three, and is replaced in minutes; a bad release hits one failure in fifty.
            0..6 => {
                let (count, beta) = (ZONES * random.random_range(1..=2), 0.02);
                let made = part(&name, random.random_range(30..90) * DAY, 600);
                Component { count, enough: count * 2 / 3, beta, ..made }
            }
            // A replica lives for half a year, and takes hours to fill again; a schema change a quarter takes minutes.
            6..8 => Component {
                count: 3,
                enough: 2,
                failover: Some(Failover { coverage: 0.95, delay: Period::from_secs(60) }),
                planned: Some(Planned { every: Period::from_secs(91 * DAY), takes: Period::from_secs(300) }),
                ..part(&name, 180 * DAY, 4 * HOUR)
            },
            _ => Component { count: 2, beta: 0.05, ..part(&name, 120 * DAY, HOUR) },
        };
        service.places = zones;
        for _ in 0..random.random_range(0..=3_usize).min(number) {
            let called = stack[random.random_range(0..number)].name.clone();
            if random.random_bool(0.3) {
                service.uses.push(called);
            } else {
                let others = service.needs.take().into_iter();
                service.needs = Some(Need::All(others.chain([Need::Component(called)]).collect()));
            }
        }
        stack.push(service);
    }
    stack
}
