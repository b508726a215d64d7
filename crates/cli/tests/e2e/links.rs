//! Examples of bad links, names that lie, and zones and regions that are cut off.

use crate::{examples::keeps_its_promise, harness::Finished};

/// Everything took hold, and nothing is left of it.
#[track_caller]
fn held_and_is_gone(finished: &Finished) {
    let proofs = finished.events("injected");
    assert!(!proofs.is_empty() && proofs.iter().all(|event| event["proof"]["holds"] == true), "{proofs:?}");
    let undone = finished.events("undone");
    assert!(undone.iter().all(|event| event["cleanliness"]["state"] == "clean"), "{undone:?}");
}

#[test]
fn a_narrow_link_carries_small_pages() {
    held_and_is_gone(&keeps_its_promise("narrow-link.yaml"));
}

#[test]
fn damaged_packets_are_sent_again() {
    held_and_is_gone(&keeps_its_promise("damaged-packets.yaml"));
}

#[test]
fn doubled_packets_do_no_harm() {
    held_and_is_gone(&keeps_its_promise("doubled-packets.yaml"));
}

#[test]
fn packets_that_overtake_others_are_put_in_order() {
    held_and_is_gone(&keeps_its_promise("packets-overtake.yaml"));
}

#[test]
fn lost_packets_come_late() {
    held_and_is_gone(&keeps_its_promise("lossy-link.yaml"));
}

#[test]
fn broken_connections_are_made_again() {
    let finished = keeps_its_promise("connections-reset.yaml");
    assert_eq!(finished.events("injected")[0]["proof"]["holds"], true);
}

#[test]
fn names_lie() {
    held_and_is_gone(&keeps_its_promise("names-lie.yaml"));
}

#[test]
fn a_partition_by_name_lets_callers_wait() {
    held_and_is_gone(&keeps_its_promise("front-partitioned.yaml"));
}

#[test]
fn a_blackhole_by_name_ends_in_time() {
    held_and_is_gone(&keeps_its_promise("blackhole-by-name.yaml"));
}

#[test]
fn lossy_links_of_a_zone_make_it_slow() {
    held_and_is_gone(&keeps_its_promise("zone-loss.yaml"));
}

#[test]
fn zones_that_need_nothing_of_each_other_may_be_apart() {
    held_and_is_gone(&keeps_its_promise("zone-disrupted.yaml"));
}

#[test]
fn a_region_does_without_the_other() {
    let finished = keeps_its_promise("region-isolated.yaml");
    held_and_is_gone(&finished);
    let configured = finished.events("injected")[0]["proof"]["configured"].as_str().unwrap().to_owned();
    assert!(configured.ends_with("on 2 instances"), "{configured}");
}
