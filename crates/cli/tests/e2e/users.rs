//! The same experiments for people who are not root.

use crate::harness::{User, is_root, skipped};

#[test]
fn an_ordinary_user_gets_the_same_green() {
    if !is_root() {
        return skipped("only root can become somebody else; the other tests ran as an ordinary user already");
    }
    let user = User::nobody();
    user.run(&user.example("experiments/instance-termination.yaml"), &[]).expect(0, "green");
}

#[test]
fn an_ordinary_user_gets_the_same_red() {
    if !is_root() {
        return skipped("only root can become somebody else; the other tests ran as an ordinary user already");
    }
    let user = User::nobody();
    user.run(&user.example("experiments/no-replacement.yaml"), &[]).expect(1, "red");
}

#[test]
fn without_namespaces_the_lab_runs_on_loopback_addresses() {
    let user = User::me();
    user.run(&user.example("experiments/instance-termination.yaml"), &["--network", "loopback"]).expect(0, "green");
}

#[test]
fn without_namespaces_a_slow_link_is_still_yellow() {
    let user = User::me();
    user.run(&user.example("experiments/latency-on-one-instance.yaml"), &["--network", "loopback"]).expect(3, "yellow");
}
