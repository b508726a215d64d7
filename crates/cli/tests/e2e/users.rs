//! The same experiments for people who are not root.

use crate::{
    calm::ends_with,
    harness::{User, is_root, skipped},
};

#[test]
fn an_ordinary_user_gets_the_same_green() {
    if !is_root() {
        return skipped("only root can become somebody else; the other tests ran as an ordinary user already");
    }
    let user = User::nobody();
    ends_with(0, "green", || user.run(&user.example("experiments/instance-termination.yaml"), &[]));
}

#[test]
fn an_ordinary_user_gets_the_same_red() {
    if !is_root() {
        return skipped("only root can become somebody else; the other tests ran as an ordinary user already");
    }
    let user = User::nobody();
    ends_with(1, "red", || user.run(&user.example("experiments/no-replacement.yaml"), &[]));
}

#[test]
fn without_namespaces_the_lab_runs_on_loopback_addresses() {
    let user = User::me();
    ends_with(0, "green", || {
        user.run(&user.example("experiments/instance-termination.yaml"), &["--network", "loopback"])
    });
}

#[test]
fn without_namespaces_a_slow_link_is_still_yellow() {
    let user = User::me();
    ends_with(3, "yellow", || {
        user.run(&user.example("experiments/latency-on-one-instance.yaml"), &["--network", "loopback"])
    });
}
