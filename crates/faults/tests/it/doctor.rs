//! What the doctor finds.

use faults::Ability;
use model::catalogue::Need;

use crate::harness::{privileged, program};

#[test]
fn the_doctor_finds_what_the_tests_use() {
    if !privileged() {
        return;
    }
    let diagnosis = faults::doctor::doctor_with(program()).unwrap();
    for fact in &diagnosis.facts {
        println!("{} {}: {} {:?}", fact.name, fact.available, fact.detail, fact.remedy);
        assert_eq!(fact.available, fact.remedy.is_none());
    }
    for needed in ["network-namespace", "nftables-owner", "nfqueue", "ptrace"] {
        assert!(diagnosis.facts.iter().any(|fact| fact.name == needed && fact.available), "{needed}");
    }
    assert_eq!(diagnosis.faults.len(), faults::catalogue().len());
    // What only a service manager or a container runtime can do is tried where tests make one.
    let of_managers = [Need::ServiceManager, Need::ContainerRuntime];
    let own = |ability: &&Ability| ability.fault.needs.iter().all(|need| !of_managers.contains(need));
    assert!(diagnosis.faults.iter().filter(own).all(|ability| ability.missing.is_empty()));
}
