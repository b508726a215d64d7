//! The lab that the examples bring up, and the tests: they include this file.

use std::collections::BTreeMap;

use model::{
    Period,
    lab::{Balancer, DemoApp, Group, HealthCheck, Lab, Region, Run},
};

/// Web servers in two zones behind a balancer. What dies is replaced after 200 ms, and what does not answer is noticed soon:
/// whoever looks on does not want to wait.
pub(crate) fn web(name: &str, instances: u32) -> Lab {
    let zones = vec!["local-1a".to_owned(), "local-1b".to_owned()];
    let group = Group {
        zones: zones.clone(),
        min: instances,
        max: instances,
        desired: instances,
        replace: true,
        grace_period: Period::from_secs(5),
        launch_delay: Period::from_millis(200),
        run: Run::DemoApp(DemoApp::default()),
        memory: 64 << 20,
        disk: None,
        port: 8080,
        env: BTreeMap::new(),
        tags: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
    };
    let balancer = Balancer {
        group: "web".to_owned(),
        // Not below 1024: on loopback addresses an ordinary user may use it as well.
        port: 8000,
        publish: None,
        health_check: HealthCheck { interval: Period::from_millis(100), ..HealthCheck::default() },
        sticky: None,
        draining: Period::from_secs(1),
        timeout: Period::from_secs(5),
        retries: 1,
    };
    Lab {
        name: name.to_owned(),
        regions: vec![Region { name: "local-1".to_owned(), zones }],
        groups: BTreeMap::from([("web".to_owned(), group)]),
        balancers: BTreeMap::from([("web".to_owned(), balancer)]),
        ..Lab::default()
    }
}
