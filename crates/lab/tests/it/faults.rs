//! Faults on a lab's resources: each takes hold, is proven, and leaves nothing.

use std::time::Duration;

use engine::provider::InjectError;
use lab::status::InstanceState;
use model::{
    Moment, Period,
    event::{Cleanliness, InjectionId},
    metric::Metric,
};
use tokio::time::Instant;

use crate::stage::{Stage, grounds, order, until, web};

#[tokio::test(flavor = "multi_thread")]
async fn resources_have_the_types_tags_and_attributes_that_templates_name() {
    for ground in grounds() {
        let stage = Stage::up(&web(3), &ground).await.unwrap();
        let resources = stage.provider.resources().await;
        let of = |kind: &str| resources.iter().filter(|one| one.is_a(kind)).collect::<Vec<_>>();
        let (instances, subnets) = (of("aws:ec2:instance"), of("aws:ec2:subnet"));
        assert_eq!((instances.len(), subnets.len()), (3, 2));
        let first = instances[0];
        assert_eq!(first.arn, format!("arn:aws:ec2:local-1:000000000000:instance/{}", first.id));
        assert_eq!(first.tags.get("app").map(String::as_str), Some("web"));
        assert_eq!(first.tags.get("aws:autoscaling:groupName").map(String::as_str), Some("web"));
        let attribute = |path: &str| first.attributes.get(path).and_then(|values| values.first()).cloned();
        assert_eq!(attribute("State.Name").as_deref(), Some("running"));
        assert_eq!(attribute("Placement.AvailabilityZone").as_deref(), Some("local-1a"));
        let subnet = subnets.iter().find(|one| one.zone.as_deref() == Some("local-1a")).unwrap();
        assert_eq!(attribute("SubnetId"), Some(subnet.id.to_string()));
        stage.lab.down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_instance_is_replaced_and_cannot_be_started() {
    for ground in grounds() {
        let stage = Stage::up(&web(2), &ground).await.unwrap();
        let victim = stage.healthy().await.remove(1);
        let injection = order(1, "instance:terminate", &victim.id, &[]);
        let proof = stage.provider.inject(injection.clone()).await.unwrap();
        assert!(proof.holds, "{proof:?}");
        assert_eq!(stage.provider.undo(InjectionId(1)).await.unwrap().cleanliness, Cleanliness::Gone);
        until("another is healthy", async || (stage.healthy().await.len() == 2).then_some(())).await;
        assert!(stage.healthy().await.iter().all(|one| one.id != victim.id));
        assert!(matches!(stage.provider.inject(injection).await, Err(InjectError::Refused(_))));
        stage.lab.down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_instance_comes_back_with_its_address() {
    for ground in grounds() {
        let mut spec = web(2);
        spec.groups.get_mut("web").unwrap().launch_delay = Period::from_secs(60);
        let stage = Stage::up(&spec, &ground).await.unwrap();
        let victim = stage.healthy().await.remove(0);
        let injection = order(1, "instance:stop", &victim.id, &[("startAfter", "PT1M")]);
        let proof = stage.provider.inject(injection).await.unwrap();
        assert!(proof.holds, "{proof:?}");
        assert_eq!(stage.instances().await[0].state, InstanceState::Stopped);
        for _ in 0..2 {
            assert_eq!(stage.provider.undo(InjectionId(1)).await.unwrap().cleanliness, Cleanliness::Clean);
        }
        let back =
            until("it is healthy again", async || stage.healthy().await.into_iter().find(|one| one.id == victim.id))
                .await;
        assert_eq!((back.address, back.boot), (victim.address, 2));
        stage.lab.down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_replaces_what_is_stopped_and_the_start_fails_as_in_aws() {
    let stage = Stage::up(&web(2), &grounds()[0]).await.unwrap();
    let victims = stage.healthy().await;
    for (number, (victim, complete)) in (1..).zip(victims.iter().zip(["false", "true"])) {
        let injection = order(number, "instance:stop", &victim.id, &[("completeIfTerminated", complete)]);
        stage.provider.inject(injection).await.unwrap();
    }
    until("both are replaced", async || (stage.healthy().await.len() == 2).then_some(())).await;
    let undone = stage.provider.undo(InjectionId(1)).await.unwrap();
    assert_eq!((undone.cleanliness, undone.proof.map(|proof| proof.holds)), (Cleanliness::Gone, Some(false)));
    let undone = stage.provider.undo(InjectionId(2)).await.unwrap();
    assert_eq!((undone.cleanliness, undone.proof), (Cleanliness::Gone, None));
    stage.lab.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebooted_instance_is_another_process_with_the_same_address() {
    for ground in grounds() {
        let stage = Stage::up(&web(1), &ground).await.unwrap();
        let before = stage.healthy().await.remove(0);
        let proof = stage.provider.inject(order(1, "instance:reboot", &before.id, &[])).await.unwrap();
        assert!(proof.holds, "{proof:?}");
        let after = until("it is healthy again", async || stage.healthy().await.pop()).await;
        assert_eq!((after.id, after.address, after.boot), (before.id, before.address, 2));
        assert_ne!(after.pid, before.pid);
        stage.lab.down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn latency_is_on_the_instance_that_was_named_and_on_no_other() {
    for ground in grounds() {
        let stage = Stage::up(&web(2), &ground).await.unwrap();
        let instances = stage.healthy().await;
        let delay = Duration::from_millis(100);
        let parameters = [("delayMilliseconds", "100"), ("sources", "web.lab")];
        let proof = stage.provider.inject(order(1, "network:latency", &instances[0].id, &parameters)).await.unwrap();
        assert!(proof.holds, "{proof:?}");
        // Round robin: of two requests in a row one goes to each.
        let mut times = Vec::new();
        for _ in 0..2 {
            let began = Instant::now();
            assert_eq!(stage.get("web").await, "HTTP/1.1 200 OK");
            times.push(began.elapsed());
        }
        assert!(times.iter().any(|time| *time >= delay), "{ground:?}: {times:?}");
        let undone = stage.provider.undo(InjectionId(1)).await.unwrap();
        assert_eq!(undone.cleanliness, Cleanliness::Clean);
        stage.lab.down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_the_links_of_an_instance_is_proven_on_each_of_them() {
    let mut spec = web(1);
    spec.groups.get_mut("web").unwrap().replace = false;
    let stage = Stage::up(&spec, grounds().last().unwrap()).await.unwrap();
    let instance = stage.healthy().await.remove(0).id;
    for (number, fault, parameters) in [
        (1, "network:latency", &[("delayMilliseconds", "100"), ("jitterMilliseconds", "80")][..]),
        (2, "network:latency", &[("delayMilliseconds", "60"), ("direction", "both")]),
        (3, "network:loss", &[("lossPercent", "30")]),
        (4, "network:loss", &[("direction", "egress")]),
        (5, "network:blackhole", &[("direction", "both")]),
    ] {
        let proof = stage.provider.inject(order(number, fault, &instance, parameters)).await.unwrap();
        assert!(proof.holds, "{proof:?}");
        assert!(proof.achieved.contains("to the instance: "), "{proof:?}");
        assert!(proof.achieved.contains("from it to web.lab: "), "{proof:?}");
        let undone = stage.provider.undo(InjectionId(number)).await.unwrap();
        assert_eq!(undone.cleanliness, Cleanliness::Clean);
    }
    stage.lab.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_to_the_instance_that_was_named_fail_and_those_to_others_do_not() {
    for ground in grounds() {
        let stage = Stage::up(&web(2), &ground).await.unwrap();
        let instances = stage.healthy().await;
        let parameters = [("statusCode", "418"), ("method", "GET"), ("path", "/"), ("sources", "web.lab")];
        let proof = stage.provider.inject(order(1, "http:abort", &instances[0].id, &parameters)).await.unwrap();
        assert!(proof.holds && proof.configured.starts_with("answer 418: requests to "), "{proof:?}");
        assert!(proof.achieved.contains("5 of 5 requests hit"), "{proof:?}");
        assert!(proof.achieved.contains("connections to port 8080 come to us"), "{proof:?}");
        // Round robin: of two requests in a row one goes to each. The health check asks for another path.
        let mut answers = [stage.get("web").await, stage.get("web").await];
        answers.sort_unstable();
        assert_eq!(answers, ["HTTP/1.1 200 OK", "HTTP/1.1 418 I'm a teapot"], "{ground:?}");
        // On the same instance, in the same row.
        let parameters = [("message", "response"), ("setHeaders", r#"{"x-fault": "second"}"#), ("path", "/other")];
        let second = stage.provider.inject(order(2, "http:header", &instances[0].id, &parameters)).await.unwrap();
        assert!(second.holds, "{second:?}");
        let undone = stage.provider.undo(InjectionId(1)).await.unwrap();
        assert_eq!(undone.cleanliness, Cleanliness::Clean);
        let whole = undone.proof.unwrap();
        assert!(whole.holds && whole.achieved.contains("1 of 1 requests hit"), "{whole:?}");
        assert_eq!([stage.get("web").await, stage.get("web").await], ["HTTP/1.1 200 OK"; 2], "{ground:?}");
        // It has met no request.
        let undone = stage.provider.undo(InjectionId(2)).await.unwrap();
        assert_eq!((undone.cleanliness, undone.proof.unwrap().holds), (Cleanliness::Clean, false));
        assert_eq!(stage.provider.undo(InjectionId(2)).await.unwrap().cleanliness, Cleanliness::Clean);
        until("both are healthy", async || (stage.healthy().await.len() == 2).then_some(())).await;
        stage.lab.down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_not_seen_in_the_figures_of_the_balancer() {
    let stage = Stage::up(&web(1), grounds().last().unwrap()).await.unwrap();
    let instance = stage.healthy().await.remove(0).id;
    let proof = stage.provider.inject(order(1, "network:loss", &instance, &[("lossPercent", "30")])).await.unwrap();
    assert!(proof.holds, "{proof:?}");
    stage.provider.undo(InjectionId(1)).await.unwrap();
    // One that is counted, and with it all that came before it.
    assert_eq!(stage.get("web").await, "HTTP/1.1 200 OK");
    let requests = Metric::of("balancer.requests", "web");
    let counted = async || {
        let now = stage.recorder.clock().now();
        stage.measurements.events(&requests, Moment::ZERO, now).filter(|&count| count > 0)
    };
    assert_eq!(until("the request is counted", counted).await, 1);
    stage.lab.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_called_off_while_it_is_being_proven_ends_at_once() {
    let mut spec = web(2);
    spec.groups.get_mut("web").unwrap().replace = false;
    let stage = Stage::up(&spec, grounds().last().unwrap()).await.unwrap();
    let victim = stage.healthy().await.remove(0).id;
    let injected = stage.provider.inject(order(1, "network:latency", &victim, &[("delayMilliseconds", "60000")]));
    let undone = async {
        // Its proof takes two minutes more.
        until("its balancer has noticed", async || (stage.healthy().await.len() == 1).then_some(())).await;
        stage.provider.undo(InjectionId(1)).await.unwrap()
    };
    let both = async { tokio::join!(injected, undone) };
    let (injected, undone) = tokio::time::timeout(Duration::from_secs(60), both).await.unwrap();
    let why = injected.unwrap_err().to_string();
    assert!(why.contains("called off"), "{why}");
    assert_eq!(undone.cleanliness, Cleanliness::Clean);
    until("it is healthy again", async || (stage.healthy().await.len() == 2).then_some(())).await;
    stage.lab.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blackhole_is_found_by_the_health_check_and_ends_with_its_undo() {
    for ground in grounds() {
        let mut spec = web(2);
        spec.groups.get_mut("web").unwrap().replace = false;
        let stage = Stage::up(&spec, &ground).await.unwrap();
        let victim = stage.healthy().await.remove(0);
        let injection = order(1, "network:blackhole", &victim.id, &[("port", "8080"), ("protocol", "tcp")]);
        let proof = stage.provider.inject(injection).await.unwrap();
        assert!(proof.holds, "{proof:?}");
        until("its balancer has noticed", async || (stage.healthy().await.len() == 1).then_some(())).await;
        assert_eq!(stage.get("web").await, "HTTP/1.1 200 OK");
        assert_eq!(stage.provider.undo(InjectionId(1)).await.unwrap().cleanliness, Cleanliness::Clean);
        until("it is healthy again", async || (stage.healthy().await.len() == 2).then_some(())).await;
        stage.lab.down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_that_is_cut_off_is_out_of_service_until_the_undo() {
    for ground in grounds() {
        let mut spec = web(4);
        spec.groups.get_mut("web").unwrap().replace = false;
        let stage = Stage::up(&spec, &ground).await.unwrap();
        let resources = stage.provider.resources().await;
        let of_zone =
            |one: &&model::resource::Resource| one.is_a("lab:subnet") && one.zone.as_deref() == Some("local-1b");
        let subnet = resources.iter().find(of_zone).unwrap();
        let injection = order(1, "network:disrupt", &subnet.id, &[("scope", "all")]);
        let proof = stage.provider.inject(injection).await.unwrap();
        assert!(proof.holds, "{proof:?}");
        let left = until("its balancer has noticed", async || {
            let healthy = stage.healthy().await;
            (healthy.len() == 2).then_some(healthy)
        })
        .await;
        assert!(left.iter().all(|one| one.zone == "local-1a"));
        assert_eq!(stage.provider.undo(InjectionId(1)).await.unwrap().cleanliness, Cleanliness::Clean);
        until("all are healthy again", async || (stage.healthy().await.len() == 4).then_some(())).await;
        stage.lab.down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_refused_with_the_reason() {
    let stage = Stage::up(&web(1), grounds().last().unwrap()).await.unwrap();
    let instance = stage.healthy().await.remove(0).id;
    for (fault, parameters, reason) in [
        ("network:latency", &[("sources", "wep.lab")][..], "did you mean `web.lab`"),
        ("network:latency", &[("protocol", "udp")], "TCP only"),
        ("network:latency", &[("flowsPercent", "50")], "not a share"),
        ("network:loss", &[("lossPercent", "0.1")], "lose 1 % or more"),
        ("http:delay", &[("port", "81")], "does not listen on port 81, but on 8080"),
        ("http:delay", &[("direction", "egress")], "say to which `port`"),
        ("http:delay", &[("direction", "egress"), ("port", "81")], "no link leads from"),
        ("http:delay", &[("sources", "127.250.0.0/16")], "carries such requests"),
        ("network:disrupt", &[("scope", "all")], "no subnet"),
        ("instance:explode", &[], "instance:explode"),
    ] {
        let error = stage.provider.inject(order(1, fault, &instance, parameters)).await.unwrap_err();
        assert!(matches!(error, InjectError::Refused(_)), "{error:?}");
        assert!(error.to_string().contains(reason), "{error}");
    }
    stage.lab.down().await;
}
