//! Up, replaced, down, and nothing left.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use faults::journal::Journal;
use lab::{UpError, status::Status};
use model::{
    event::{InstanceChange, What},
    lab::Run,
    metric::Metric,
};

use crate::stage::{Stage, children, grounds, lives, program, until, web};

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_comes_up_serves_and_goes_without_a_trace() {
    for ground in grounds() {
        let stage = Stage::up(&web(4), &ground).await.unwrap();
        let instances = stage.healthy().await;
        assert_eq!(instances.len(), 4, "{ground:?}");
        let in_a = instances.iter().filter(|one| one.zone == "local-1a").count();
        assert_eq!(in_a, 2, "spread over both zones");
        assert_eq!(stage.get("web").await, "HTTP/1.1 200 OK");
        let series = stage.measurements.series(&Metric::of("group.healthy", "web"), Duration::from_millis(10));
        assert_eq!(series.last().map(|&(_, level)| level), Some(4.0));
        stage.lab.down().await;
        assert_eq!(children(), Vec::<String>::new(), "{ground:?}");
        for one in instances {
            assert!(!lives(one.pid.unwrap()), "{one:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_that_is_only_dropped_goes_as_well() {
    for ground in grounds() {
        let stage = Stage::up(&web(2), &ground).await.unwrap();
        let pids: Vec<_> = stage.instances().await.iter().map(|one| one.pid.unwrap()).collect();
        drop(stage);
        assert_eq!(children(), Vec::<String>::new(), "{ground:?}");
        assert!(pids.iter().all(|&pid| !lives(pid)), "{ground:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_whose_process_dies_is_replaced() {
    for ground in grounds() {
        let stage = Stage::up(&web(2), &ground).await.unwrap();
        let victim = stage.healthy().await.remove(0);
        let pid = rustix::process::Pid::from_raw(victim.pid.unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        until("another is healthy in its place", async || {
            let healthy = stage.healthy().await;
            (healthy.len() == 2 && healthy.iter().all(|one| one.id != victim.id)).then_some(())
        })
        .await;
        let of_victim = stage.events().into_iter().filter_map(|event| match event.what {
            What::Instance { instance, change, .. } if instance == victim.id => Some(change),
            _ => None,
        });
        let changes: Vec<_> = of_victim.collect();
        use InstanceChange::{Exited, Launched, Ready, Replacing};
        assert_eq!(changes, [Launched, Ready, Exited, Replacing]);
        stage.lab.down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_replacement_what_dies_stays_away() {
    for ground in grounds() {
        let mut spec = web(2);
        spec.groups.get_mut("web").unwrap().replace = false;
        let stage = Stage::up(&spec, &ground).await.unwrap();
        let victim = stage.healthy().await.remove(0);
        let pid = rustix::process::Pid::from_raw(victim.pid.unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        until("its balancer has noticed", async || (stage.healthy().await.len() == 1).then_some(())).await;
        let launched = stage
            .events()
            .iter()
            .filter(|event| matches!(event.what, What::Instance { change: InstanceChange::Launched, .. }))
            .count();
        assert_eq!(launched, 2);
        stage.lab.down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_dies_at_its_start_is_shown_with_its_last_words() {
    for ground in grounds() {
        let mut spec = web(1);
        let command = ["sh", "-c", "echo the disk is on fire at {host}:{port} >&2; exit 3"];
        spec.groups.get_mut("web").unwrap().run = Run::Command(command.map(str::to_owned).to_vec());
        let error = Stage::up(&spec, &ground).await.err().unwrap();
        assert!(matches!(error, UpError::Instance { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("exit status 3") && text.contains("the disk is on fire at 1"), "{text}");
        assert!(text.contains(":8080"), "{text}");

        spec.groups.get_mut("web").unwrap().run = Run::Command(vec!["no-such-program".to_owned()]);
        let text = Stage::up(&spec, &ground).await.err().unwrap().to_string();
        assert!(text.contains("no-such-program") && text.contains("No such file"), "{text}");
        assert_eq!(children(), Vec::<String>::new(), "{ground:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_instance_leaves_behind_ends_with_it() {
    for ground in grounds() {
        let mut spec = web(1);
        // Says the process id of something that has left its session, then serves.
        let script = format!(
            "setsid sleep 1000 & exec {} demo-app --host $HOST --port $PORT --id $INSTANCE_ID --zone $ZONE --work PT0S --startup PT0S",
            program().display()
        );
        spec.groups.get_mut("web").unwrap().run = Run::Command(vec!["sh".to_owned(), "-c".to_owned(), script]);
        let stage = Stage::up(&spec, &ground).await.unwrap();
        let app = stage.instances().await.remove(0).pid.unwrap();
        let list = std::fs::read_to_string(format!("/proc/{app}/task/{app}/children")).unwrap();
        let left: Vec<i32> = list.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
        assert!(!left.is_empty() && left.iter().all(|&pid| lives(pid)));
        stage.lab.down().await;
        assert!(left.iter().all(|&pid| !lives(pid)), "{ground:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_says_who_an_instance_is_and_where_others_are() {
    for ground in grounds() {
        let mut spec = web(1);
        let group = spec.groups.get_mut("web").unwrap();
        group.env = BTreeMap::from([("COLOUR".to_owned(), "blue".to_owned()), ("PORT".to_owned(), "1".to_owned())]);
        let stage = Stage::up(&spec, &ground).await.unwrap();
        let one = stage.instances().await.remove(0);
        let environment = std::fs::read_to_string(format!("/proc/{}/environ", one.pid.unwrap())).unwrap();
        let has = |wanted: &str| environment.split('\0').any(|entry| entry == wanted);
        for wanted in ["COLOUR=blue", "PORT=8080", "ZONE=local-1a", "GROUP=web"] {
            assert!(has(wanted), "{wanted} in {environment}");
        }
        assert!(has(&format!("INSTANCE_ID={}", one.id)) && has(&format!("HOST={}", one.address.ip())));
        assert!(environment.contains("SHAKETABLE_HOSTS=web.lab=1"), "{environment}");
        stage.lab.down().await;
    }
}

/// A lab in another process: see the example `stage`.
struct Elsewhere(Child);

impl Elsewhere {
    fn up(network: &str, instances: u32, configure: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(program());
        command.args([network, &instances.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        configure(&mut command);
        Self(command.spawn().unwrap())
    }

    fn status(&mut self) -> Status {
        self.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let status = self.0.wait().unwrap();
        if !std::thread::panicking() {
            // Ended by its input, or by the test.
            assert!(status.success() || status.code().is_none(), "{status}");
        }
    }
}

#[tokio::test]
async fn nothing_lives_after_the_lab_was_killed() {
    for network in ["auto", "loopback"] {
        let mut lab = Elsewhere::up(network, 3, |_| {});
        let status = lab.status();
        let mut pids: Vec<i32> = status.instances.iter().map(|one| one.pid.unwrap()).collect();
        // Each app's ancestors up to the lab: init and shim, or shim.
        for app in pids.clone() {
            let mut pid = app;
            while let Some(parent) = parent(pid).filter(|&parent| parent != lab.0.id().cast_signed()) {
                pids.push(parent);
                pid = parent;
            }
        }
        assert!(pids.iter().all(|&pid| lives(pid)));
        lab.0.kill().unwrap();
        until("all its processes have ended", async || pids.iter().all(|&pid| !lives(pid)).then_some(())).await;
    }
}

fn parent(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

#[tokio::test]
async fn an_ordinary_user_has_a_lab_with_networks_of_its_own() {
    if !rustix::process::geteuid().is_root() || Stage::up(&web(1), &grounds()[0]).await.is_err() {
        return;
    }
    let nobody = 65_534;
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(nobody), Some(nobody)).unwrap();
    let copy = folder.path().join("stage");
    std::fs::copy(program(), &copy).unwrap();
    for (network, described) in [("auto", "a network namespace per instance"), ("loopback", "loopback addresses")] {
        let mut command = Command::new(&copy);
        command.args([network, "2"]).env("TMPDIR", folder.path()).uid(nobody).gid(nobody);
        let mut lab = Elsewhere(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
        let status = lab.status();
        assert!(status.network.starts_with(described), "{}", status.network);
        assert_eq!(status.balancers[0].healthy, 2);
        drop(lab);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing but the program is left in its folder");
}

/// A lab of one instance on loopback addresses, in a folder of its own; it begins when it reads a line.
fn waiting(folder: &Path) -> Elsewhere {
    let mut command = Command::new("sh");
    command.args(["-c", "read -r _ && exec \"$0\" loopback 1"]).arg(program());
    command.env_remove("XDG_RUNTIME_DIR").env("TMPDIR", folder).env(faults::state::VARIABLE, place(folder));
    Elsewhere(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
}

/// Where it keeps its journal.
fn place(folder: &Path) -> PathBuf {
    folder.join("state")
}

fn begin(lab: &mut Elsewhere) {
    lab.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
}

#[test]
fn a_lab_takes_the_next_journal_when_somebody_has_that_of_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let mut lab = waiting(folder.path());
    let number = |number| place(folder.path()).join(format!("{}-{number}.journal", lab.0.id()));
    let (taken, free) = ([number(0), number(1)], number(2));
    let held = taken.each_ref().map(|path| Journal::open(path).unwrap().0);
    begin(&mut lab);
    assert_eq!(lab.status().balancers[0].healthy, 1);
    assert!(free.exists());
    drop(lab);
    assert!(taken.iter().all(|path| path.exists()) && !free.exists(), "each removes its own");
    held.iter().for_each(|journal| journal.remove().unwrap());
}

#[test]
fn labs_that_begin_at_once_in_one_folder_all_come_up_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // Each looks whether the owners of the others' journals have died, while these open them.
    let mut labs: Vec<_> = (0..8).map(|_| waiting(folder.path())).collect();
    labs.iter_mut().for_each(begin);
    for lab in &mut labs {
        assert_eq!(lab.status().balancers[0].healthy, 1);
    }
    drop(labs);
    assert_eq!(std::fs::read_dir(place(folder.path())).unwrap().count(), 0);
}
