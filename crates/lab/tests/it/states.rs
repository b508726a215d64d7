//! Orders that come when an instance is on its way from one state to another, which here lasts as long as the test wants.

use std::{fs, future::poll_fn, os::unix::fs::PermissionsExt, path::PathBuf, pin::pin, sync::Arc, task::Poll};

use engine::provider::{InjectError, Provider, UndoError, Undone};
use lab::status::{InstanceState, InstanceStatus};
use model::{
    Period,
    event::{Cleanliness, InjectionId, Proof},
    resource::ResourceId,
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::task::JoinHandle;

use crate::stage::{Stage, children, grounds, lives, order, program, soon, until, web};

/// A program that is shim and demo application, but does not begin while a file is there, and fails while another is.
struct Gate {
    folder: tempfile::TempDir,
}

impl Gate {
    fn new() -> Self {
        let gate = Self { folder: tempfile::tempdir().unwrap() };
        let script = format!(
            "#!/bin/sh\n[ -e '{fails}' ] && exit 3\nwhile [ -e '{shut}' ]; do sleep 0.01; done\nexec '{program}' \"$@\"\n",
            fails = gate.fails().display(),
            shut = gate.shut().display(),
            program = program().display()
        );
        fs::write(gate.program(), script).unwrap();
        fs::set_permissions(gate.program(), fs::Permissions::from_mode(0o700)).unwrap();
        gate
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("program")
    }

    /// While it is there, what is started stays pending.
    fn shut(&self) -> PathBuf {
        self.folder.path().join("shut")
    }

    /// While it is there, nothing starts.
    fn fails(&self) -> PathBuf {
        self.folder.path().join("fails")
    }

    /// One instance per group member, none of which is replaced within the test, unless by what the test does.
    async fn stage(&self, instances: u32, launch_delay: Period) -> Stage {
        let mut spec = web(instances);
        spec.groups.get_mut("web").unwrap().launch_delay = launch_delay;
        Stage::up_by(self.program(), &spec, grounds().first().unwrap()).await.unwrap()
    }
}

const NEVER: Period = Period::from_secs(3_600);

/// An instance's shim, which ends it, held still: what was told to stop stays on its way.
struct Held(Pid);

impl Held {
    fn of(instance: &InstanceStatus) -> Self {
        let own = std::process::id().cast_signed();
        let mut pid = instance.pid.unwrap();
        while let Some(parent) = parent(pid).filter(|&parent| parent != own) {
            pid = parent;
        }
        assert!(children().contains(&pid.to_string()));
        let shim = Pid::from_raw(pid).unwrap();
        kill_process(shim, Signal::STOP).unwrap();
        Self(shim)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        kill_process(self.0, Signal::CONT).unwrap();
    }
}

fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

type Injected = Result<Proof, InjectError>;

fn inject(stage: &Stage, number: u32, fault: &str, instance: &ResourceId) -> JoinHandle<Injected> {
    let (provider, order) = (Arc::clone(&stage.provider), order(number, fault, instance, &[]));
    tokio::spawn(async move { provider.inject(order).await })
}

fn undo(stage: &Stage, number: u32) -> JoinHandle<Result<Undone, UndoError>> {
    let provider: Arc<dyn Provider> = Arc::clone(&stage.provider);
    tokio::spawn(async move { provider.undo(InjectionId(number)).await })
}

async fn until_it_is(stage: &Stage, id: &ResourceId, state: InstanceState) {
    until("the instance's state", async || {
        stage.instances().await.iter().any(|one| one.id == *id && one.state == state).then_some(())
    })
    .await;
}

/// Whatever is tried is refused, because of the instance's state, and undoing it changes nothing.
async fn refused(stage: &Stage, first: u32, faults: &[&str], id: &ResourceId, state: &str) {
    for (number, fault) in (first..).zip(faults) {
        let error = soon("a refusal", inject(stage, number, fault, id)).await.unwrap().unwrap_err();
        assert_eq!(error, InjectError::Refused(format!("instance {id} is {state}")), "{fault}");
    }
}

async fn clean(stage: &Stage, number: u32) {
    let undone = soon("the undo", undo(stage, number)).await.unwrap();
    assert_eq!(undone, Ok(Undone { cleanliness: Cleanliness::Clean, proof: None }), "{number}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_stopping_refuses_everything_and_comes_back_by_its_undo() {
    for ground in grounds() {
        let mut spec = web(1);
        spec.groups.get_mut("web").unwrap().launch_delay = NEVER;
        let stage = Stage::up(&spec, &ground).await.unwrap();
        let before = stage.healthy().await.remove(0);
        let id = before.id.clone();
        let held = Held::of(&before);
        let stopping = inject(&stage, 1, "instance:stop", &id);
        until_it_is(&stage, &id, InstanceState::Stopping).await;
        let all = ["instance:stop", "instance:terminate", "instance:reboot", "network:latency", "cpu:stress"];
        refused(&stage, 2, &all, &id, InstanceState::Stopping.name()).await;
        // A refused stop has nothing to undo, and must not start what the other stops.
        clean(&stage, 2).await;
        // The one that is under way has, and its undo waits for it.
        let undoing = undo(&stage, 1);
        let again = undo(&stage, 1);
        until_it_is(&stage, &id, InstanceState::Stopping).await;
        assert!(!undoing.is_finished() && !again.is_finished() && !stopping.is_finished());
        drop(held);
        let _proof_of_something_that_ran_again = soon("the stop", stopping).await.unwrap().unwrap();
        for undone in [undoing, again] {
            let undone = soon("the undo", undone).await.unwrap();
            // Of two at once one may find the instance starting, and says so.
            if let Err(UndoError { why, .. }) = undone {
                assert!(why.ends_with("still pending"), "{why}");
            }
        }
        clean(&stage, 1).await;
        let after = stage.instances().await.remove(0);
        assert_eq!((after.id, after.state, after.boot), (id, InstanceState::Running, 2));
        stage.lab.down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_nobody_waits_for_any_more_is_undone_when_it_is_through() {
    let mut spec = web(1);
    spec.groups.get_mut("web").unwrap().launch_delay = NEVER;
    let stage = Stage::up(&spec, grounds().first().unwrap()).await.unwrap();
    let before = stage.healthy().await.remove(0);
    let held = Held::of(&before);
    let stopping = inject(&stage, 1, "instance:stop", &before.id);
    until_it_is(&stage, &before.id, InstanceState::Stopping).await;
    stopping.abort();
    assert!(stopping.await.unwrap_err().is_cancelled());
    let error = soon("the undo", undo(&stage, 1)).await.unwrap().unwrap_err();
    assert_eq!(error.why, format!("instance {} is still stopping", before.id));
    drop(held);
    until_it_is(&stage, &before.id, InstanceState::Stopped).await;
    clean(&stage, 1).await;
    assert_eq!(stage.instances().await[0].state, InstanceState::Running);
    stage.lab.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_was_refused_does_not_start_what_another_has_stopped() {
    let gate = Gate::new();
    let stage = gate.stage(1, NEVER).await;
    let id = stage.healthy().await.remove(0).id;
    assert!(inject(&stage, 1, "instance:stop", &id).await.unwrap().unwrap().holds);
    refused(&stage, 2, &["instance:stop", "instance:reboot", "network:blackhole"], &id, "stopped").await;
    clean(&stage, 2).await;
    assert_eq!(stage.instances().await[0].state, InstanceState::Stopped, "the first is in effect");
    clean(&stage, 1).await;
    assert_eq!(stage.instances().await[0].state, InstanceState::Running);
    stage.lab.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_starting_again_is_not_gone() {
    let gate = Gate::new();
    let stage = gate.stage(1, NEVER).await;
    let id = stage.healthy().await.remove(0).id;
    assert!(inject(&stage, 1, "instance:stop", &id).await.unwrap().unwrap().holds);
    fs::write(gate.shut(), "").unwrap();
    let first = undo(&stage, 1);
    until_it_is(&stage, &id, InstanceState::Pending).await;
    let error = soon("a second undo", undo(&stage, 1)).await.unwrap().unwrap_err();
    assert_eq!(error.why, format!("instance {id} is still pending"));
    refused(&stage, 2, &["instance:stop", "instance:reboot", "network:latency"], &id, "pending").await;
    clean(&stage, 2).await;
    fs::remove_file(gate.shut()).unwrap();
    assert_eq!(soon("the undo", first).await.unwrap().unwrap().cleanliness, Cleanliness::Clean);
    clean(&stage, 1).await;
    stage.lab.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_terminated_while_it_starts_again_does_not_count_as_started() {
    for by_group in [false, true] {
        let gate = Gate::new();
        let stage = gate.stage(1, if by_group { Period::from_secs(1) } else { NEVER }).await;
        let id = stage.healthy().await.remove(0).id;
        assert!(inject(&stage, 1, "instance:stop", &id).await.unwrap().unwrap().holds);
        fs::write(gate.shut(), "").unwrap();
        let undoing = undo(&stage, 1);
        // Otherwise its group does it, which replaces what is stopped.
        let mut terminating = None;
        if !by_group {
            until_it_is(&stage, &id, InstanceState::Pending).await;
            terminating = Some(inject(&stage, 2, "instance:terminate", &id));
        }
        until("it ends", async || {
            let lasts = |one: &InstanceStatus| {
                one.id == id && ![InstanceState::ShuttingDown, InstanceState::Terminated].contains(&one.state)
            };
            (!stage.instances().await.iter().any(lasts)).then_some(())
        })
        .await;
        if !by_group {
            refused(&stage, 3, &["instance:terminate", "instance:stop"], &id, "shutting-down").await;
        }
        fs::remove_file(gate.shut()).unwrap();
        let undone = soon("the undo", undoing).await.unwrap().unwrap();
        assert_eq!((undone.cleanliness, undone.proof.map(|proof| proof.holds)), (Cleanliness::Gone, Some(false)));
        if let Some(terminating) = terminating {
            let proof = soon("the end", terminating).await.unwrap().unwrap();
            assert!(proof.holds, "{proof:?}");
        }
        until("it is gone", async || {
            let gone = |one: &InstanceStatus| one.id != id || one.state == InstanceState::Terminated;
            stage.instances().await.iter().all(gone).then_some(())
        })
        .await;
        let error = inject(&stage, 5, "instance:terminate", &id).await.unwrap().unwrap_err();
        assert_eq!(error, InjectError::Refused(format!("instance {id} is terminated")));
        stage.lab.down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_tried_and_does_not_work_has_failed_and_is_not_refused() {
    let gate = Gate::new();
    let stage = gate.stage(2, NEVER).await;
    let instances = stage.healthy().await;
    assert!(inject(&stage, 1, "instance:stop", &instances[0].id).await.unwrap().unwrap().holds);
    fs::write(gate.fails(), "").unwrap();
    let rebooted = soon("the reboot", inject(&stage, 2, "instance:reboot", &instances[1].id)).await.unwrap();
    assert!(matches!(rebooted, Err(InjectError::Failed(_))), "{rebooted:?}");
    let error = soon("the undo", undo(&stage, 1)).await.unwrap().unwrap_err();
    assert!(error.why.contains("does not start again"), "{error}");
    // Tried again, it says what has become of it.
    let undone = soon("the undo", undo(&stage, 1)).await.unwrap().unwrap();
    assert_eq!((undone.cleanliness, undone.proof.map(|proof| proof.holds)), (Cleanliness::Gone, Some(false)));
    for (number, one) in (3..).zip(&instances) {
        let error = inject(&stage, number, "instance:stop", &one.id).await.unwrap().unwrap_err();
        assert_eq!(error, InjectError::Refused(format!("instance {} is terminated", one.id)));
    }
    fs::remove_file(gate.fails()).unwrap();
    stage.lab.down().await;
    // Nobody is there any more to carry anything out.
    let error = soon("an order", inject(&stage, 9, "instance:stop", &instances[0].id)).await.unwrap().unwrap_err();
    assert_eq!(error, InjectError::Refused("the lab is going down".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_that_goes_down_answers_whoever_waits_and_a_second_down_waits_for_the_first() {
    for ground in grounds() {
        let mut spec = web(2);
        spec.groups.get_mut("web").unwrap().launch_delay = NEVER;
        let stage = Stage::up(&spec, &ground).await.unwrap();
        let instances = stage.healthy().await;
        let held = Held::of(&instances[0]);
        let stopping = inject(&stage, 1, "instance:stop", &instances[0].id);
        until_it_is(&stage, &instances[0].id, InstanceState::Stopping).await;
        let lab = stage.lab.clone();
        let first = tokio::spawn(async move { lab.down().await });
        // Whoever is to go down does not look at instances any more.
        until("it goes down", async || stage.instances().await.is_empty().then_some(())).await;
        let error = soon("the stop", stopping).await.unwrap().unwrap_err();
        assert_eq!(error, InjectError::Refused("the lab is going down".to_owned()));
        let late = soon("an order", inject(&stage, 2, "instance:terminate", &instances[1].id)).await.unwrap();
        assert_eq!(late, Err(InjectError::Refused("the lab is going down".to_owned())));
        let undone = soon("the undo", undo(&stage, 1)).await.unwrap();
        assert!(undone.is_ok(), "{undone:?}");

        let mut second = pin!(stage.lab.down());
        let mut look = async || poll_fn(|context| Poll::Ready(second.as_mut().poll(context).is_ready())).await;
        assert!(!look().await);
        // The control plane takes one message after the other: now it has taken that.
        assert!(stage.instances().await.is_empty());
        let over = look().await;
        // Unless the first has given up waiting meanwhile, on a machine that stood still.
        assert!(!over || first.is_finished());
        drop(held);
        if !over {
            soon("the second down", second).await;
        }
        assert!(instances.iter().all(|one| !lives(one.pid.unwrap())), "{ground:?}");
        soon("the first down", first).await.unwrap();
        soon("a third", stage.lab.down()).await;
    }
}
