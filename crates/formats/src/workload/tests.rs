use std::time::Duration;

use super::*;

fn codes_of(text: &str) -> Vec<&'static str> {
    read_workloads("shop.yaml", text.as_bytes()).findings.iter().map(|finding| finding.code.id).collect()
}

fn one(text: &str) -> Workload {
    let read = read_workloads("shop.yaml", text.as_bytes());
    let shown = crate::render::terminal(&read.findings, &read.source, false);
    assert!(read.findings.is_empty(), "{shown}");
    read.workloads.into_iter().next().unwrap()
}

const SHOP: &str = "\
objectives: { availability: 99.9%, rto: PT30M, rpo: 5 minutes, lagLimit: PT1M }
regions:
  eu-1:
    availability: 99.99%
    mttr: PT1H
    zones: { eu-1a: { availability: 99.95% }, eu-1b: }
components:
  web: { mtbf: P30D, mttr: PT1H, detect: PT5M, count: 4, enough: 2, zones: [eu-1a, eu-1b], beta: 5%, needs: [db], uses: mail }
  db: { availability: 99.95%, mttr: PT2H, count: 2, failover: { coverage: 95%, delay: PT60S }, planned: { every: P30D, takes: PT10M } }
  mail: { availability: 99.9%, external: true, timeout: PT10S, retries: 2 }
improvements:
  - { name: Three databases, cost: 200, components: { db: { count: 3 } } }
";

#[test]
fn a_workload_is_read_with_all_it_says() {
    let shop = one(SHOP);
    assert_eq!(shop.name, "shop");
    assert_eq!(shop.objectives.rpo, Some(Period::from_secs(300)));
    assert_eq!(shop.places[1].region.as_deref(), Some("eu-1"));
    assert_eq!(shop.places[2].figures, None);
    let web = &shop.components[0];
    assert_eq!((web.count, web.enough, web.uses.as_slice()), (4, 2, ["mail".to_owned()].as_slice()));
    let figures = web.figures.unwrap();
    assert!((figures.availability.down() - 1.0 / 721.0).abs() < 1e-15);
    assert_eq!(figures.detect, Some(Period::from_secs(300)));
    assert_eq!(shop.components[1].failover.unwrap().delay, Period::from_secs(60));
    assert_eq!(shop.components[2].calls.unwrap().retries, 2);
}

#[test]
fn an_improvement_that_cannot_be_read_takes_no_components_from_the_next() {
    let text = SHOP.to_owned()
        + "  - { cost: 1, components: { db: { count: 3 } } }\n"
        + "  - { name: cache, components: { cache: { availability: 99% }, web: { needs: [db, cache] } } }\n";
    assert_eq!(codes_of(&text), ["F011"]);
}

#[test]
fn what_is_only_used_is_not_needed() {
    use model::workload::Need;
    let name = |name: &str| Need::Component(name.to_owned());
    assert_eq!(one(SHOP).needs, Need::All(vec![name("web"), name("db")]));
}

#[test]
fn an_improvement_keeps_what_it_does_not_change() {
    let shop = one(SHOP);
    let better = &shop.improvements[0].components[0];
    assert_eq!(better.count, 3);
    assert_eq!(better.figures, shop.components[1].figures);
    assert_eq!(better.planned, shop.components[1].planned);
}

#[test]
fn an_availability_overrules_the_times_of_before() {
    let text = "components: { db: { mtbf: P10D, mttr: PT1H } }\nimprovements: [{ name: Managed, components: { db: { availability: 99.99% } } }]";
    let figures = one(text).improvements[0].components[0].figures.unwrap();
    assert!((figures.availability.down() - 1e-4).abs() < 1e-18);
    assert_eq!(figures.mttr, Some(Period::from_secs(3600)));
}

#[test]
fn two_of_availability_and_times_give_the_third() {
    let figures = one("components: { db: { availability: 99%, mtbf: PT99H } }").components[0].figures.unwrap();
    assert!((figures.mttr.unwrap().as_secs_f64() - 3600.0).abs() < 1e-6);
    assert_eq!(codes_of("components: { db: { availability: 99%, mtbf: PT99H, mttr: PT1H } }"), ["W001"]);
    assert_eq!(codes_of("components: { db: { mtbf: PT99H } }"), ["F011"]);
    assert_eq!(codes_of("components: { db: { mttr: PT1H } }"), ["F011"]);
}

#[test]
fn needs_are_names_lists_and_choices() {
    use model::workload::Need;
    let name = |name: &str| Need::Component(name.to_owned());
    let text = "components: { a: , b: , c: }\nneeds: [a, { any: [b, { atLeast: 2, of: [a, b, c] }] }]";
    let two = Need::AtLeast(2, vec![name("a"), name("b"), name("c")]);
    assert_eq!(one(text).needs, Need::All(vec![name("a"), Need::Any(vec![name("b"), two])]));
}

#[test]
fn figures_that_contradict_each_other_are_found() {
    for component in [
        "{ mtbf: P1D, mttr: PT5M, detect: PT6M }",
        "{ availability: 99%, count: 2, failover: { delay: PT1M } }",
        "{ availability: 99%, count: 2, crews: 1 }",
        "{ availability: 99%, planned: { every: PT1H, takes: PT2H } }",
    ] {
        assert_eq!(codes_of(&format!("components: {{ a: {component} }}")), ["W001"], "{component}");
    }
}

#[test]
fn units_in_several_zones_may_share_crews() {
    let zones = "zones: { x: , y: }\ncomponents: { a: { mtbf: P1D, mttr: PT5M, zones: [x, y], crews: 1 } }";
    let a = &one(zones).components[0];
    assert_eq!((a.count, a.crews), (2, Some(1)));
}

#[test]
fn long_times_are_read_in_months_and_years_too() {
    let days = |text: &str| {
        let a = &one(&format!("components: {{ a: {{ mtbf: {text}, mttr: PT1H }} }}")).components[0];
        let figures = a.figures.unwrap();
        // Of time between failures and time to restore, as share of the time: MTTR / (MTBF + MTTR).
        (1.0 / figures.availability.down() - 1.0) / 24.0
    };
    for (text, wanted) in
        [("2 years", 730.0), ("P1Y6M", 545.0), ("3 months", 90.0), ("1y 2d", 367.0), ("8760 hours", 365.0)]
    {
        assert!((days(text) - wanted).abs() < 1e-6, "{text}: {}", days(text));
    }
    assert_eq!(codes_of("components: { a: { mtbf: -2 years, mttr: PT1H } }"), ["F013"]);
}

#[test]
fn names_that_stand_for_nothing_are_found_where_they_stand() {
    let read = read_workloads("shop.yaml", b"components:\n  web: { needs: [databse], zones: [a] }\n  database:\n");
    let found: Vec<_> = read.findings.iter().map(|f| (f.code.id, f.line, f.help.clone().unwrap())).collect();
    assert_eq!(
        found,
        [("W002", 2, "did you mean `database`?".to_owned()), ("W002", 2, "define it under `zones`".to_owned())]
    );
}

#[test]
fn components_that_need_each_other_are_found_once() {
    let text = "components:\n  a: { needs: [b] }\n  b: { needs: { any: [c, d] } }\n  c: { uses: [a] }\n  d:\n";
    let read = read_workloads("shop.yaml", text.as_bytes());
    let found: Vec<_> = read.findings.iter().map(|f| (f.code.id, f.line, f.message.as_str())).collect();
    assert_eq!(found, [("W003", 2, "`a` needs itself, by way of `b`, `c`")]);
    assert_eq!(codes_of("components: { a: { needs: [a] } }"), ["W003"]);
}

#[test]
fn slips_are_named() {
    assert_eq!(codes_of("components: { a: { avaliability: 99% } }"), ["F010"]);
    assert_eq!(codes_of("components: { a: { availability: 99.9 } }"), ["F013"]);
    assert_eq!(codes_of("components: { a: { rto: PT1H } }"), ["F014"]);
    assert_eq!(codes_of("components: { a: { count: 2, enough: 3 } }"), ["F013"]);
    assert_eq!(codes_of("components: {}"), ["F013"]);
    assert_eq!(codes_of("hello: world"), ["F008"]);
}

/// A block of the fifth seed between two lines, where the seeds are there.
fn seed(from: &str, to: &str) -> Option<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/seeds");
    let entries = std::fs::read_dir(folder).ok()?;
    let file = entries.flatten().find(|entry| entry.file_name().to_string_lossy().starts_with("004_"))?;
    let text = std::fs::read_to_string(file.path()).ok()?;
    let start = text.find(from)? + from.len();
    let end = start + text[start..].find(to)?;
    Some(text[start..end].to_owned())
}

#[test]
fn the_fifth_seeds_inventory_is_read_as_it_is() {
    let Some(text) = seed("cat > architecture_inventory.yaml << 'EOF'\n", "\nEOF") else { return };
    let inventory = one(&text);
    assert_eq!(inventory.name, "Production Web Application");
    assert_eq!(inventory.objectives.rto, Some(Period::from_secs(3600)));
    assert_eq!(inventory.objectives.rpo, Some(Period::from_secs(900)));
    let counts: Vec<_> = inventory.components.iter().map(|c| (c.name.as_str(), c.count, c.external)).collect();
    assert_eq!(
        counts,
        [
            ("web_tier", 3, false),
            ("application_tier", 2, false),
            ("database_tier", 1, false),
            ("Payment Gateway", 1, true),
            ("Email Service", 1, true)
        ]
    );
    assert_eq!(inventory.components[2].single_points, ["Primary database instance"]);
    let calls = inventory.components[3].calls.unwrap();
    assert_eq!((calls.timeout.get(), calls.retries), (Duration::from_secs(30), 3));
    assert_eq!(inventory.components[4].calls.unwrap().retries, 0);
}

#[test]
fn the_fifth_seeds_services_are_read_as_they_are() {
    let Some(text) = seed("**Service Classification:**\n```yaml\n", "\n```") else { return };
    let read = read_workloads("services.yaml", text.as_bytes());
    assert!(read.findings.is_empty());
    let services: Vec<_> = read
        .workloads
        .iter()
        .map(|service| {
            let minutes = |period: Option<Period>| period.unwrap().get().as_secs() / 60;
            let promised = service.objectives.availability.unwrap().to_string();
            (service.name.as_str(), promised, minutes(service.objectives.rto), minutes(service.objectives.rpo))
        })
        .collect();
    let wanted = [
        ("customer_facing_web", "99.95 %".to_owned(), 15, 5),
        ("admin_portal", "99.9 %".to_owned(), 60, 15),
        ("batch_processing", "99 %".to_owned(), 240, 60),
        ("reporting_system", "95 %".to_owned(), 1440, 240),
    ];
    assert_eq!(services, wanted);
}

#[test]
fn lists_of_things_with_names_are_read_as_mappings_are() {
    let text = "workload_name: shop\ncomponents:\n  - { name: web, availability_zones: [a, b] }\n  - { name: db, availability: 99.95% }\n\
                dependencies: { external_apis: { Payment: { availability: 99.9% } } }\n";
    let names: Vec<_> = one(text).components.into_iter().map(|component| (component.name, component.count)).collect();
    assert_eq!(names, [("web".to_owned(), 2), ("db".to_owned(), 1), ("Payment".to_owned(), 1)]);
    let services =
        read_workloads("s.yaml", b"services:\n  - { name: web, availability_target: 99.9%, rto: 15 minutes }\n");
    assert_eq!((services.workloads.len(), services.workloads[0].name.as_str()), (1, "web"));
    let nameless = read_workloads("i.yaml", b"workload_name: shop\ncomponents: [{ service: ALB }]\n");
    assert_eq!(nameless.findings[0].code.id, "F011", "{:?}", nameless.findings);
    assert!(nameless.workloads.is_empty());
}
