//! Faults on zones, regions and groups as a whole.

use std::time::Duration;

use engine::provider::InjectError;
use lab::{Prepared, status::InstanceState};
use model::{
    Period,
    event::{Cleanliness, InjectionId, InstanceChange, What},
    lab::{Lab, Region},
    resource::{Resource, ResourceId},
};
use tokio::time::Instant;

use crate::stage::{Stage, grounds, networks, order, until, web};

const ZONE: &str = "local-1b";

/// Groups that lose an instance, or find one unhealthy, do nothing about it for longer than a test lasts.
fn patient(instances: u32) -> Lab {
    let mut spec = web(instances);
    let group = spec.groups.get_mut("web").unwrap();
    (group.launch_delay, group.grace_period) = (Period::from_secs(600), Period::from_secs(600));
    spec
}

async fn found(stage: &Stage, kind: &str, which: impl Fn(&Resource) -> bool) -> ResourceId {
    let all = stage.provider.resources().await;
    all.into_iter().find(|one| one.is_a(kind) && which(one)).expect(kind).id
}

async fn subnet(stage: &Stage) -> ResourceId {
    found(stage, "lab:subnet", |one| one.zone.as_deref() == Some(ZONE)).await
}

async fn undo(stage: &Stage, number: u32) {
    // Twice, because it may be.
    for _ in 0..2 {
        let undone = stage.provider.undo(InjectionId(number)).await.unwrap();
        assert_eq!(undone.cleanliness, Cleanliness::Clean);
    }
}

/// Waits until so many instances are healthy.
async fn until_healthy(stage: &Stage, count: usize) {
    until("so many are healthy", async || (stage.healthy().await.len() == count).then_some(())).await;
}

fn notes(stage: &Stage) -> Vec<String> {
    let note = |what| if let What::Note { text } = what { Some(text) } else { None };
    stage.events().into_iter().filter_map(|event| note(event.what)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn zones_regions_and_groups_are_resources_that_contain_what_is_in_them() {
    let stage = Stage::up(&web(3), &grounds()[0]).await.unwrap();
    let all = stage.provider.resources().await;
    let of = |kind: &str| all.iter().filter(|one| one.is_a(kind)).collect::<Vec<_>>();
    assert_eq!((of("lab:instance").len(), of("lab:subnet").len()), (3, 2));
    let instances: Vec<_> = of("lab:instance").iter().map(|one| one.id.clone()).collect();
    let [region] = of("lab:region")[..] else { panic!("there is one region") };
    assert_eq!((region.id.0.as_str(), &region.contains), ("local-1", &instances));
    let [group] = of("aws:ec2:autoscaling-group")[..] else { panic!("there is one group") };
    assert!(group.contains.is_empty() && group.arn.ends_with(":autoScalingGroupName/web"), "{group:?}");
    assert_eq!(group.tags.get("app").map(String::as_str), Some("web"));
    stage.lab.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_without_power_is_dark_until_the_undo_and_then_as_before() {
    for ground in grounds() {
        let stage = Stage::up(&patient(4), &ground).await.unwrap();
        let before = stage.healthy().await;
        let zone = subnet(&stage).await;
        let proof = stage.provider.inject(order(1, "zone:power-off", &zone, &[])).await.unwrap();
        assert!(proof.holds, "{proof:?}");
        let states = stage.instances().await;
        let dark = states.iter().filter(|one| one.zone == ZONE);
        assert!(dark.clone().all(|one| one.state == InstanceState::Stopped && one.pid.is_none()), "{states:?}");
        assert_eq!(dark.count(), 2);
        let started = order(2, "instance:reboot", &before[0].id, &[]);
        assert!(stage.provider.inject(started).await.is_ok(), "the other zone is as it was");
        until_healthy(&stage, 2).await;
        undo(&stage, 1).await;
        until_healthy(&stage, 4).await;
        let after = stage.healthy().await;
        let same = |one: &lab::status::InstanceStatus| (one.id.clone(), one.address);
        assert_eq!(after.iter().map(same).collect::<Vec<_>>(), before.iter().map(same).collect::<Vec<_>>());
        assert_eq!(stage.get("web").await, "HTTP/1.1 200 OK");
        stage.lab.down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_that_an_instance_without_power_is_gone() {
    let Some(ground) = networks() else { return };
    let stage = Stage::up(&patient(2), &ground).await.unwrap();
    let victim = stage.healthy().await.into_iter().find(|one| one.zone == ZONE).unwrap();
    let address = victim.address;
    let connection = stage.lab.handle().spawn(tokio::net::TcpStream::connect(address)).await.unwrap().unwrap();
    let zone = subnet(&stage).await;
    stage.provider.inject(order(1, "zone:power-off", &zone, &[])).await.unwrap();
    // Neither an end nor a reset has come, and whoever connects anew is not refused.
    assert_eq!(connection.try_read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    let attempt = tokio::time::timeout(Duration::from_millis(300), tokio::net::TcpStream::connect(address));
    let again = stage.lab.handle().spawn(async { attempt.await.is_err() }).await.unwrap();
    assert!(again, "a connection attempt is answered");
    undo(&stage, 1).await;
    stage.lab.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dark_zone_loses_its_group_launches_in_another() {
    for ground in grounds() {
        let stage = Stage::up(&web(4), &ground).await.unwrap();
        let zone = subnet(&stage).await;
        stage.provider.inject(order(1, "zone:power-off", &zone, &[])).await.unwrap();
        until("four are healthy elsewhere", async || {
            let healthy = stage.healthy().await;
            (healthy.len() == 4 && healthy.iter().all(|one| one.zone != ZONE)).then_some(())
        })
        .await;
        assert_eq!(notes(&stage), [format!("group `web` cannot launch in {ZONE}: insufficient capacity")]);
        undo(&stage, 1).await;
        assert_eq!(stage.healthy().await.len(), 4, "what was launched elsewhere stays there");
        stage.lab.down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_without_power_comes_back_with_new_instances() {
    let stage = Stage::up(&web(2), &grounds()[0]).await.unwrap();
    let region = found(&stage, "lab:region", |_| true).await;
    let proof = stage.provider.inject(order(1, "zone:power-off", &region, &[])).await.unwrap();
    assert!(proof.holds, "{proof:?}");
    // Both are terminated by their group, which finds no capacity anywhere.
    until("it has tried both zones", async || (notes(&stage).len() == 2).then_some(())).await;
    assert!(stage.instances().await.iter().all(|one| one.pid.is_none()));
    undo(&stage, 1).await;
    until_healthy(&stage, 2).await;
    stage.lab.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_two_faults_stop_starts_when_the_last_of_them_ends() {
    let stage = Stage::up(&patient(2), &grounds()[0]).await.unwrap();
    let zone = subnet(&stage).await;
    let victim = stage.healthy().await.into_iter().find(|one| one.zone == ZONE).unwrap();
    let state = async || {
        let all = stage.instances().await;
        all.into_iter().find(|one| one.id == victim.id).unwrap().state
    };
    for (first, then) in [(1, 2), (2, 1)] {
        let number = |of: u32| 10 * first + of;
        stage.provider.inject(order(number(1), "instance:stop", &victim.id, &[])).await.unwrap();
        stage.provider.inject(order(number(2), "zone:power-off", &zone, &[])).await.unwrap();
        assert_eq!(state().await, InstanceState::Stopped);
        stage.provider.undo(InjectionId(number(first))).await.unwrap();
        assert_eq!(state().await, InstanceState::Stopped, "one of them still holds it");
        stage.provider.undo(InjectionId(number(then))).await.unwrap();
        assert_eq!(state().await, InstanceState::Running);
    }
    stage.lab.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_is_isolated_from_what_the_scope_says() {
    for ground in grounds() {
        let mut spec = patient(2);
        spec.regions.push(Region { name: "local-2".to_owned(), zones: vec!["local-2a".to_owned()] });
        let stage = Stage::up(&spec, &ground).await.unwrap();
        let zone = subnet(&stage).await;
        let proof = stage.provider.inject(order(1, "zone:isolate", &zone, &[("scope", "all")])).await.unwrap();
        assert!(proof.holds, "{proof:?}");
        until_healthy(&stage, 1).await;
        assert_eq!(stage.get("web").await, "HTTP/1.1 200 OK");
        undo(&stage, 1).await;
        until_healthy(&stage, 2).await;
        for (number, scope) in [(2, "other-zones"), (3, "other-regions")] {
            let injected = stage.provider.inject(order(number, "zone:isolate", &zone, &[("scope", scope)])).await;
            if matches!(ground, Prepared::Networks { .. }) {
                assert!(injected.as_ref().is_ok_and(|proof| proof.holds), "{injected:?}");
                // The balancer belongs to no zone.
                assert_eq!(stage.healthy().await.len(), 2);
                undo(&stage, number).await;
            } else {
                let why = injected.unwrap_err().to_string();
                assert!(why.contains("no link of the instance carries such traffic"), "{why}");
            }
        }
        let region = found(&stage, "lab:region", |one| one.id.0 == "local-1").await;
        let why = stage.provider.inject(order(4, "zone:isolate", &region, &[("scope", "other-zones")])).await;
        assert!(why.unwrap_err().to_string().contains("no other zone of its region"));
        stage.lab.down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_launched_in_an_isolated_zone_is_cut_off_before_it_serves() {
    for ground in grounds() {
        // The group finds the instance there unhealthy, and replaces it, in the same zone.
        let stage = Stage::up(&web(2), &ground).await.unwrap();
        let zone = subnet(&stage).await;
        let cut_off = stage.healthy().await.into_iter().find(|one| one.zone == ZONE).unwrap();
        let before = stage.events().len();
        let proof = stage.provider.inject(order(1, "zone:isolate", &zone, &[])).await.unwrap();
        assert!(proof.holds, "{proof:?}");
        let reached = until("it goes on to the replacement", async || {
            notes(&stage).into_iter().find(|note| note.contains("launched meanwhile"))
        })
        .await;
        assert!(reached.starts_with("zone:isolate reaches i-"), "{reached}");
        assert!(!reached.contains(&cut_off.id.0), "{reached}");
        // To the balancer it is as if it were not there: it was cut off before it was asked for the first time.
        let served = |event: &model::event::Event| matches!(&event.what, What::Instance { zone, change, .. } if zone == ZONE && *change == InstanceChange::Ready);
        assert!(!stage.events()[before..].iter().any(served));
        let undone = stage.provider.undo(InjectionId(1)).await.unwrap();
        assert!(matches!(undone.cleanliness, Cleanliness::Clean | Cleanliness::Gone), "{undone:?}");
        let proof = undone.proof.unwrap();
        assert!(proof.holds && proof.configured.contains("launched meanwhile"), "{proof:?}");
        until_healthy(&stage, 2).await;
        let known = notes(&stage).len();
        // Over is over: whoever comes now is not hit.
        let next = stage.healthy().await.into_iter().find(|one| one.zone == ZONE).unwrap();
        stage.provider.inject(order(2, "instance:terminate", &next.id, &[])).await.unwrap();
        until("another serves there", async || {
            stage.healthy().await.iter().any(|one| one.zone == ZONE && one.id != next.id).then_some(())
        })
        .await;
        assert_eq!(notes(&stage).len(), known);
        stage.lab.down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_is_cut_off_from_the_other_and_its_zones_are_not_from_each_other() {
    let Some(ground) = networks() else { return };
    let mut spec = patient(3);
    spec.regions.push(Region { name: "local-2".to_owned(), zones: vec!["local-2a".to_owned()] });
    spec.groups.get_mut("web").unwrap().zones.push("local-2a".to_owned());
    let stage = Stage::up(&spec, &ground).await.unwrap();
    let region = found(&stage, "lab:region", |one| one.id.0 == "local-1").await;
    let proof = stage.provider.inject(order(1, "zone:isolate", &region, &[("scope", "other-regions")])).await.unwrap();
    assert!(proof.holds && proof.configured.ends_with("on 2 instances"), "{proof:?}");
    // The balancer belongs to no region.
    assert_eq!(stage.healthy().await.len(), 3);
    undo(&stage, 1).await;
    stage.lab.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_of_a_zone_are_slow_and_lossy_both_ways_and_those_of_others_are_not() {
    for ground in grounds() {
        let stage = Stage::up(&patient(2), &ground).await.unwrap();
        let zone = subnet(&stage).await;
        let parameters = [("delayMilliseconds", "100"), ("jitterMilliseconds", "5")];
        let proof = stage.provider.inject(order(1, "zone:latency", &zone, &parameters)).await.unwrap();
        assert!(proof.holds, "{proof:?}");
        // Round robin: of two requests in a row one goes to each zone.
        let mut times = Vec::new();
        for _ in 0..2 {
            let began = Instant::now();
            assert_eq!(stage.get("web").await, "HTTP/1.1 200 OK");
            times.push(began.elapsed());
        }
        let round_trip = Duration::from_millis(190);
        assert!(times.iter().any(|time| *time >= round_trip), "{ground:?}: {times:?}");
        undo(&stage, 1).await;
        let proof = stage.provider.inject(order(2, "zone:loss", &zone, &[("lossPercent", "30")])).await.unwrap();
        assert!(proof.holds, "{proof:?}");
        undo(&stage, 2).await;
        stage.lab.down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_without_capacity_in_a_zone_launches_in_another() {
    let stage = Stage::up(&web(2), &grounds()[0]).await.unwrap();
    let group = found(&stage, "lab:group", |_| true).await;
    for (parameters, reason) in [
        (&[("zones", "local-1c")][..], "`local-1c` is no zone"),
        (&[("zones", " ,")], "names no `zones`"),
        (&[("zones", ZONE), ("percentage", "0")], "from 1 to 100"),
    ] {
        let error = stage.provider.inject(order(9, "group:no-capacity", &group, parameters)).await.unwrap_err();
        assert!(matches!(&error, InjectError::Refused(why) if why.contains(reason)), "{error:?}");
    }
    let proof = stage.provider.inject(order(1, "group:no-capacity", &group, &[("zones", ZONE)])).await.unwrap();
    assert!(proof.holds, "{proof:?}");
    let victim = stage.healthy().await.into_iter().find(|one| one.zone == ZONE).unwrap();
    stage.provider.inject(order(2, "instance:terminate", &victim.id, &[])).await.unwrap();
    until("both are in the other zone", async || {
        let healthy = stage.healthy().await;
        (healthy.len() == 2 && healthy.iter().all(|one| one.zone != ZONE)).then_some(())
    })
    .await;
    let undone = stage.provider.undo(InjectionId(1)).await.unwrap();
    assert_eq!(undone.proof.map(|proof| proof.achieved).as_deref(), Some("1 launches were denied"));
    stage.lab.down().await;
}
