//! The demo application as a process of its own: this test executable, run again with nothing but one "test" to do.

use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use lab::demo_app::{self, HOSTS_ENV, Options};
use model::{Period, lab::DemoApp};

use crate::client::nowhere;

const ADDRESS: &str = "SHAKETABLE_TEST_DEMO_ADDRESS";
const WORK: &str = "SHAKETABLE_TEST_DEMO_WORK";

/// Not a test but a process: see [`Demo::start`].
#[test]
#[ignore = "it is what other tests start"]
fn serve() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let address: SocketAddr = address.parse().unwrap();
    let options = Options {
        host: address.ip(),
        port: address.port(),
        id: format!("i-{}", std::process::id()),
        zone: "local-1a".to_owned(),
        app: DemoApp { work: std::env::var(WORK).unwrap().parse().unwrap(), ..DemoApp::default() },
        hosts: std::env::var(HOSTS_ENV).unwrap_or_default().parse().unwrap(),
    };
    demo_app::run(options).unwrap();
}

/// A running process; killed when dropped.
#[derive(Debug)]
pub(crate) struct Demo {
    pub(crate) process: Child,
    pub(crate) address: SocketAddr,
}

impl Demo {
    pub(crate) async fn start(work: Period) -> Self {
        let address = nowhere().await;
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "demo_process::serve", "--ignored", "--nocapture", "--test-threads=1"])
            .env(ADDRESS, address.to_string())
            .env(WORK, work.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, address }
    }

    pub(crate) fn id(&self) -> String {
        format!("i-{}", self.process.id())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have been killed by the test already.
        let _killed = self.process.kill();
        self.process.wait().unwrap();
    }
}
