//! Examples about processes that end, and come again.

use crate::examples::keeps_its_promise;

#[test]
fn a_server_that_aborts_is_replaced() {
    let finished = keeps_its_promise("process-aborts.yaml");
    let proof = &finished.events("injected")[0]["proof"];
    assert_eq!(proof["holds"], true, "{proof}");
}

#[test]
fn servers_are_restarted_one_after_the_other() {
    let finished = keeps_its_promise("process-restarted.yaml");
    let proofs = finished.events("injected");
    assert_eq!(proofs.len(), 2);
    for proof in proofs.iter().map(|event| &event["proof"]) {
        let achieved = proof["achieved"].as_str().unwrap();
        assert!(achieved.starts_with("before: start 1, ") && achieved.contains("now: start 2, "), "{achieved}");
    }
    let launched = finished.events("instance").iter().filter(|event| event["change"] == "launched").count();
    assert_eq!(launched, 2, "none had to be replaced");
}
