//! An undo that comes while the injection is still being made: at any moment of it, it wins, and nothing is left.

use std::{
    collections::BTreeMap,
    fs,
    os::fd::AsFd,
    path::PathBuf,
    pin::pin,
    process::id,
    sync::Arc,
    task::{Context, Poll, Waker},
    thread,
};

use engine::provider::{InjectError, Order};
use faults::{
    State, helper,
    process::Process,
    sys::{nfqueue, nft},
};
use lab::status::InstanceStatus;
use model::{
    event::{Cleanliness, InjectionId, Proof},
    resource::ResourceId,
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::sync::oneshot;

use crate::stage::{Stage, children, grounds, networks, order, soon, until, web};

/// Longer than a test may take: what is measured with this delay ends in time only because it is broken off.
const ENDLESS: (&str, &str) = ("delayMilliseconds", "60000");

/// A lab whose instances have networks of their own; none, with the reason printed, where that cannot be.
async fn netns(instances: u32) -> Option<Stage> {
    let ground = networks()?;
    let mut spec = web(instances);
    // A blackhole is no reason to replace anything here.
    spec.groups.get_mut("web").unwrap().replace = false;
    Some(Stage::up(&spec, &ground).await.unwrap())
}

/// The tables and queues in the network of this process.
fn caught_in(pid: i32) -> (Vec<String>, Vec<u16>) {
    let namespace = fs::File::open(format!("/proc/{pid}/ns/net")).unwrap();
    let look = move || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        (nft::tables().unwrap(), nfqueue::queues().unwrap())
    };
    thread::spawn(look).join().unwrap()
}

/// Everything that faults could leave: rules, queues, helpers, stopped threads, processes in an instance.
fn view(stage: &Stage, instances: &[InstanceStatus]) -> BTreeMap<String, String> {
    let mut view = BTreeMap::new();
    for one in instances {
        let pid = one.pid.unwrap();
        view.insert(format!("caught at {}", one.id), format!("{:?}", caught_in(pid)));
        let members = Process::find(pid).unwrap().members();
        let stopped = |process: &&Process| process.stat().is_some_and(|stat| "tT".contains(stat.state));
        view.insert(format!("stopped of {}", one.id), members.iter().filter(stopped).count().to_string());
        view.insert(format!("processes of {}", one.id), format!("{members:?}"));
    }
    let enter = stage.lab.enter();
    let fabric = thread::spawn(move || {
        enter().unwrap();
        (nft::tables().unwrap(), nfqueue::queues().unwrap())
    });
    view.insert("caught in the fabric".to_owned(), format!("{:?}", fabric.join().unwrap()));
    view.insert("helpers".to_owned(), format!("{:?}", helpers()));
    view
}

/// The children of this process that are helpers of faults, or of which that cannot be told any more.
fn helpers() -> Vec<String> {
    let mut helpers = children();
    helpers.retain(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.is_empty() || line.split(|byte| *byte == 0).any(|word| word == helper::SUBCOMMAND.as_bytes())
    });
    helpers
}

/// The journal of this process's lab: how long it is says how far an injection has come.
fn journal() -> PathBuf {
    let state = State::of_user().unwrap();
    let own =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{}-", id())));
    state.journals().unwrap().into_iter().find(own).unwrap()
}

fn written() -> u64 {
    fs::metadata(journal()).unwrap().len()
}

type Injected = Result<Proof, InjectError>;

/// Injects on a task of its own, as the engine does, and undoes when `moment` has come. Whatever the moment, the undo finds
/// or leaves nothing. What became of the injection.
async fn undone_at(stage: &Stage, injection: Order, moment: impl AsyncFnOnce()) -> Injected {
    let (provider, id) = (Arc::clone(&stage.provider), injection.injection);
    let (tell, given) = oneshot::channel();
    let injecting = tokio::spawn(async move {
        let injecting = provider.inject(injection);
        tell.send(()).unwrap();
        injecting.await
    });
    // What has not been ordered cannot be called off.
    given.await.unwrap();
    moment().await;
    let undone = soon("the undo", stage.provider.undo(id)).await.unwrap();
    assert_eq!(undone.cleanliness, Cleanliness::Clean);
    let injected = soon("the injection", injecting).await.unwrap();
    // Once more, and late.
    assert_eq!(soon("the undo", stage.provider.undo(id)).await.unwrap().cleanliness, Cleanliness::Clean);
    injected
}

/// Gives way so many times: moments that lie ever closer, without a clock.
async fn turns(count: u32) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

async fn until_caught(instance: &InstanceStatus) {
    let pid = instance.pid.unwrap();
    until("a rule is there", async || (!caught_in(pid).0.is_empty()).then_some(())).await;
}

async fn a_next_one_works(stage: &Stage, number: u32, instance: &ResourceId) {
    let next = order(number, "network:latency", instance, &[("delayMilliseconds", "20")]);
    let proof = stage.provider.inject(next).await.unwrap();
    assert!(proof.holds, "{proof:?}");
    assert_eq!(stage.provider.undo(InjectionId(number)).await.unwrap().cleanliness, Cleanliness::Clean);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_reaches_an_injection_at_any_moment_of_it() {
    let Some(stage) = netns(1).await else { return };
    let instances = stage.healthy().await;
    let instance = &instances[0];
    let before = view(&stage, &instances);
    let endless = |number| order(number, "network:latency", &instance.id, &[ENDLESS, ("direction", "both")]);
    let mut number = 0;
    let mut next = || {
        number += 1;
        number
    };
    for round in 0..16 {
        let gone_on = undone_at(&stage, endless(next()), async || turns((1 << round) - 1).await).await;
        assert!(matches!(gone_on, Err(InjectError::Failed(_))), "{round}: {gone_on:?}");
        assert_eq!(view(&stage, &instances), before, "after {round}");
    }
    for _ in 0..3 {
        let gone_on = undone_at(&stage, endless(next()), async || until_caught(instance).await).await;
        assert!(matches!(gone_on, Err(InjectError::Failed(_))), "{gone_on:?}");
        assert_eq!(view(&stage, &instances), before, "while it was measured");
        // The plan is on the disk, and maybe nothing more.
        let length = written();
        let planned = async || until("it is planned", async || (written() > length).then_some(())).await;
        let gone_on = undone_at(&stage, endless(next()), planned).await;
        assert!(matches!(gone_on, Err(InjectError::Failed(_))), "{gone_on:?}");
        assert_eq!(view(&stage, &instances), before, "while it was made");
    }
    a_next_one_works(&stage, next(), &instance.id).await;
    assert_eq!(view(&stage, &instances), before);
    stage.lab.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loads_and_pauses_called_off_leave_no_process_behind() {
    let Some(stage) = netns(1).await else { return };
    let instances = stage.healthy().await;
    let instance = &instances[0];
    let before = view(&stage, &instances);
    let mut number = 0;
    for (fault, parameters) in
        [("cpu:stress", &[("workers", "1"), ("percent", "20")][..]), ("memory:stress", &[]), ("process:pause", &[])]
    {
        for round in 0..14 {
            number += 1;
            let injection = order(number, fault, &instance.id, parameters);
            // It may have been done by then; what counts is that it is undone.
            let gone_on = undone_at(&stage, injection, async || turns((1 << round) - 1).await).await;
            assert!(!matches!(gone_on, Err(InjectError::Refused(_))), "{fault} {round}: {gone_on:?}");
            assert_eq!(view(&stage, &instances), before, "{fault} {round}");
        }
        // With the helper at work.
        number += 1;
        let helped = async || {
            until("a helper is there", async || (!helpers().is_empty()).then_some(())).await;
        };
        let gone_on = undone_at(&stage, order(number, fault, &instance.id, parameters), helped).await;
        assert!(!matches!(gone_on, Err(InjectError::Refused(_))), "{fault}: {gone_on:?}");
        assert_eq!(view(&stage, &instances), before, "{fault}");
        // Left alone it takes hold, though on a busy machine not every time.
        let mut held = false;
        for _ in 0..10 {
            number += 1;
            let injected = stage.provider.inject(order(number, fault, &instance.id, parameters)).await;
            held = injected.is_ok_and(|proof| proof.holds);
            assert_eq!(stage.provider.undo(InjectionId(number)).await.unwrap().cleanliness, Cleanliness::Clean);
            assert_eq!(view(&stage, &instances), before, "{fault}");
            if held {
                break;
            }
        }
        assert!(held, "{fault}");
    }
    a_next_one_works(&stage, number + 1, &instance.id).await;
    stage.lab.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blackhole_whose_measurement_was_broken_off_is_not_taken_for_achieved() {
    let Some(stage) = netns(1).await else { return };
    let instances = stage.healthy().await;
    let instance = &instances[0];
    let before = view(&stage, &instances);
    let mut broken_off = false;
    // On a busy machine the measurement, of a tenth of a second each way, may be over before it is broken off.
    for number in 1..=20 {
        let injection = order(number, "network:blackhole", &instance.id, &[("direction", "both")]);
        let gone_on = undone_at(&stage, injection, async || until_caught(instance).await).await;
        assert_eq!(view(&stage, &instances), before);
        broken_off |= matches!(gone_on, Err(InjectError::Failed(_)));
        if broken_off {
            break;
        }
    }
    assert!(broken_off, "not one of twenty measurements that were broken off was told as such");
    a_next_one_works(&stage, 100, &instance.id).await;
    stage.lab.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_that_is_being_cut_off_is_whole_again_wherever_the_undo_comes() {
    let Some(stage) = netns(6).await else { return };
    let mut instances = stage.healthy().await;
    let before = view(&stage, &instances);
    let all = stage.provider.resources().await;
    let zone = |one: &&model::resource::Resource| one.is_a("lab:subnet") && one.zone.as_deref() == Some("local-1b");
    let subnet = all.iter().find(zone).unwrap().id.clone();
    instances.retain(|one| one.zone == "local-1b");
    assert_eq!(instances.len(), 3);
    let everybody = stage.healthy().await;
    let mut number = 0;
    let mut disrupt = || {
        number += 1;
        order(number, "network:disrupt", &subnet, &[("scope", "all")])
    };
    let mut failed = 0;
    for round in 0..14 {
        let gone_on = undone_at(&stage, disrupt(), async || turns((1 << round) - 1).await).await;
        failed += usize::from(gone_on.is_err());
        assert_eq!(view(&stage, &everybody), before, "after {round}");
    }
    // Between its parts, and within each.
    for one in &instances {
        let gone_on = undone_at(&stage, disrupt(), async || until_caught(one).await).await;
        failed += usize::from(gone_on.is_err());
        assert_eq!(view(&stage, &everybody), before, "within {}", one.id);
    }
    assert!(failed > 0, "not one undo came while it was under way");
    let last = disrupt();
    let id = last.injection;
    assert!(stage.provider.inject(last).await.unwrap().holds);
    assert_eq!(stage.provider.undo(id).await.unwrap().cleanliness, Cleanliness::Clean);
    assert_eq!(view(&stage, &everybody), before);
    stage.lab.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_that_is_losing_its_power_has_it_again_wherever_the_undo_comes() {
    let Some(stage) = netns(4).await else { return };
    let all = stage.provider.resources().await;
    let zone = |one: &&model::resource::Resource| one.is_a("lab:subnet") && one.zone.as_deref() == Some("local-1b");
    let subnet = all.iter().find(zone).unwrap().id.clone();
    let before: Vec<_> = stage.healthy().await.into_iter().map(|one| one.id).collect();
    let mut failed = 0;
    for round in 0..16 {
        let power_off = order(round + 1, "zone:power-off", &subnet, &[]);
        // Ever later: while its parts are made, between them, and when all are done.
        let moment = async || {
            let length = written();
            let parts = u64::from(round % 4);
            until("so much is written", async || (parts == 0 || written() > length + parts).then_some(())).await;
            turns(1 << round.min(12)).await;
        };
        failed += usize::from(undone_at(&stage, power_off, moment).await.is_err());
        let now = until("all run again", async || {
            let healthy = stage.healthy().await;
            (healthy.len() == before.len()).then_some(healthy)
        })
        .await;
        assert_eq!(now.iter().map(|one| one.id.clone()).collect::<Vec<_>>(), before);
        for one in &now {
            assert_eq!(caught_in(one.pid.unwrap()), (Vec::new(), Vec::new()), "{round}: {}", one.id);
        }
    }
    assert!(failed > 0, "not one undo came while it was under way");
    stage.lab.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_called_off_before_it_begins_is_never_done() {
    for ground in grounds() {
        let stage = Stage::up(&web(1), &ground).await.unwrap();
        let instance = stage.healthy().await.remove(0);
        let faults = ["instance:stop", "instance:terminate", "instance:reboot", "network:latency", "network:blackhole"];
        for (number, fault) in (1..).zip(faults) {
            let injecting = stage.provider.inject(order(number, fault, &instance.id, &[]));
            let undone = soon("undoing what nobody has begun", stage.provider.undo(InjectionId(number))).await.unwrap();
            assert_eq!(undone.cleanliness, Cleanliness::Clean, "{fault}");
            let gone_on = soon("the injection", injecting).await;
            assert!(matches!(gone_on, Err(InjectError::Failed(_))), "{fault}: {gone_on:?}");
        }
        let after = stage.instances().await.remove(0);
        assert_eq!((after.pid, after.boot, after.state), (instance.pid, instance.boot, instance.state));
        // A number is free again when its injection is over.
        let again = order(4, "network:latency", &instance.id, &[("delayMilliseconds", "20")]);
        assert!(stage.provider.inject(again).await.unwrap().holds);
        assert_eq!(stage.provider.undo(InjectionId(4)).await.unwrap().cleanliness, Cleanliness::Clean);
        stage.lab.down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_waits_for_an_injection_that_nobody_waits_for_any_more() {
    let Some(stage) = netns(1).await else { return };
    let instances = stage.healthy().await;
    let before = view(&stage, &instances);
    // As far as it goes without waiting, then let go: the first turns end before its work on a thread of its own begins.
    for number in 1..=40 {
        let endless = order(number, "network:latency", &instances[0].id, &[ENDLESS]);
        {
            let mut injecting = pin!(stage.provider.inject(endless));
            for _ in 0..number {
                let polled = injecting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                assert!(matches!(polled, Poll::Pending), "{polled:?}");
                tokio::task::yield_now().await;
            }
        }
        let undone = soon("the undo", stage.provider.undo(InjectionId(number))).await.unwrap();
        assert_eq!(undone.cleanliness, Cleanliness::Clean);
        assert_eq!(view(&stage, &instances), before, "after {number} turns");
        // And stays so: a next one finds nothing of it.
        assert_eq!(soon("the undo", stage.provider.undo(InjectionId(number))).await.unwrap(), undone);
    }
    a_next_one_works(&stage, 100, &instances[0].id).await;
    assert_eq!(view(&stage, &instances), before);
    stage.lab.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_in_http_on_links_is_called_off_at_any_moment_of_it() {
    let ground = lab::prepare(model::lab::Network::Loopback).unwrap();
    let mut spec = web(1);
    spec.groups.get_mut("web").unwrap().replace = false;
    let stage = Stage::up(&spec, &ground).await.unwrap();
    let instance = stage.healthy().await.remove(0);
    // A path that nobody asks for but its proof, which takes minutes.
    let endless = |number| order(number, "http:delay", &instance.id, &[ENDLESS, ("path", "/slow")]);
    let mut number = 0;
    for round in 0..14 {
        number += 1;
        let gone_on = undone_at(&stage, endless(number), async || turns((1 << round) - 1).await).await;
        assert!(matches!(gone_on, Err(InjectError::Failed(_))), "{round}: {gone_on:?}");
        assert_eq!(stage.get("web").await, "HTTP/1.1 200 OK");
    }
    for _ in 0..3 {
        number += 1;
        let length = written();
        let planned = async || until("it is planned", async || (written() > length).then_some(())).await;
        let gone_on = undone_at(&stage, endless(number), planned).await;
        assert!(matches!(gone_on, Err(InjectError::Failed(_))), "{gone_on:?}");
        assert_eq!(stage.get("web").await, "HTTP/1.1 200 OK");
    }
    let quick = order(100, "http:delay", &instance.id, &[("delayMilliseconds", "20")]);
    assert!(stage.provider.inject(quick).await.unwrap().holds);
    assert_eq!(stage.provider.undo(InjectionId(100)).await.unwrap().cleanliness, Cleanliness::Clean);
    stage.lab.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_delay_on_a_link_is_called_off_without_waiting_for_its_measurement() {
    let ground = lab::prepare(model::lab::Network::Loopback).unwrap();
    let mut spec = web(1);
    spec.groups.get_mut("web").unwrap().replace = false;
    let stage = Stage::up(&spec, &ground).await.unwrap();
    let instance = stage.healthy().await.remove(0);
    for (number, round) in (1..).zip(0..14) {
        let endless = order(number, "network:latency", &instance.id, &[ENDLESS]);
        let gone_on = undone_at(&stage, endless, async || turns((1 << round) - 1).await).await;
        assert!(matches!(gone_on, Err(InjectError::Failed(_))), "{round}: {gone_on:?}");
    }
    a_next_one_works(&stage, 100, &instance.id).await;
    stage.lab.down().await;
}
