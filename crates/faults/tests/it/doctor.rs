//! What the doctor finds.

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
    assert!(diagnosis.faults.iter().all(|ability| ability.missing.is_empty()));
}
