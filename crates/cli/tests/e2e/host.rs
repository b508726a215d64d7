//! Processes of this host, without a lab.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::{
    calm::ends_with,
    harness::{Running, User, example, is_root, open_to_all, skipped},
};

/// The process that the example is about, on a port of its own: tests run side by side.
struct Shop {
    process: Running,
    document: PathBuf,
    _folder: tempfile::TempDir,
}

/// Waits until somebody listens there.
fn listens(port: &str) {
    let limit = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
        assert!(Instant::now() < limit, "nobody listens on port {port}");
        thread::yield_now();
    }
}

impl Shop {
    fn open(user: &User, change: impl Fn(&str) -> String) -> Self {
        Self::with(&example("experiments/host-process-paused.yaml"), user, change)
    }

    fn with(file: &Path, user: &User, change: impl Fn(&str) -> String) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let mut command = user.command(&["demo-app", "--port", &port]);
        let process = Running::from_command(command.env("SHAKETABLE_TAGS", format!("app=shop-{port}")));
        listens(&port);
        let folder = tempfile::tempdir().unwrap();
        open_to_all(folder.path());
        let document = folder.path().join("document.yaml");
        let text = fs::read_to_string(file).unwrap();
        let text = text.replace("18080", &port).replace("app: shop }", &format!("app: shop-{port} }}"));
        fs::write(&document, change(&text)).unwrap();
        Self { process, document, _folder: folder }
    }

    fn status(&self) -> String {
        fs::read_to_string(Path::new("/proc").join(self.process.pid().to_string()).join("status")).unwrap()
    }
}

fn pauses(user: &User) {
    let shop = Shop::open(user, str::to_owned);
    let finished = ends_with(3, "yellow", || user.run(&shop.document, &[]));
    let injecting = finished.events("injecting");
    assert_eq!(injecting.len(), 1, "{}", finished.output());
    assert_eq!(injecting[0]["resource"], format!("shaketable[{}]", shop.process.pid()));
    assert_eq!(finished.events("undone")[0]["cleanliness"]["state"], "clean");
    let status = shop.status();
    assert!(status.contains("TracerPid:\t0") && !status.contains("stopped"), "{status}");
}

#[test]
fn a_process_of_this_host_stands_still_and_runs_on() {
    pauses(&User::me());
}

#[test]
fn an_ordinary_user_can_do_it_to_a_process_of_its_own() {
    if !is_root() {
        return skipped("only root can become somebody else");
    }
    pauses(&User::nobody());
}

#[test]
fn this_host_itself_is_stressed_when_it_is_named_and_not_otherwise() {
    let (user, file) = (User::me(), example("experiments/host-machine-stressed.yaml"));
    let name = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    let shop = Shop::with(&file, &user, |text| text.replace("shop-host", &name));
    let finished = ends_with(0, "green", || user.run(&shop.document, &[]));
    for event in ["injecting", "undone"] {
        assert_eq!(finished.events(event).len(), 2, "{}", finished.output());
    }
    assert!(finished.events("injecting").iter().all(|event| event["resource"] == name.as_str()));
    assert!(finished.events("undone").iter().all(|event| event["cleanliness"]["state"] == "clean"));
    let misnamed = user.run(&file, &[]);
    assert_eq!(misnamed.code(), Some(2), "{}", misnamed.output());
    assert!(misnamed.stderr.contains("this-host"), "{}", misnamed.output());
}

#[test]
fn what_cannot_be_taken_back_is_not_done_to_a_process_of_this_host_unless_somebody_says_so() {
    let user = User::me();
    let shop = Shop::open(&user, |text| {
        text.replace("process:pause", "process:kill").replace("{ duration: PT2S }", "{ process: shaketable }")
    });
    let finished = user.run(&shop.document, &[]);
    assert_eq!(finished.code(), Some(2), "{}", finished.output());
    assert!(finished.stderr.contains("say --allow-irreversible"), "{}", finished.output());
    assert!(shop.status().contains("S (sleeping)"), "it lives");
}
