//! The same faults as an ordinary user, in a user namespace.

use std::process::Command;

/// Runs other tests of this binary as nobody, in a user namespace: where that is allowed.
#[test]
fn an_ordinary_user_can_do_the_same() {
    let tests = [
        "network::latency_delays_what_comes_in",
        "network::loss_loses_the_share_that_was_asked_for",
        "network::a_blackholed_port_does_not_answer_and_others_do",
        "processes::a_paused_process_does_nothing_until_it_is_let_go",
        "crash::killed_with_a_fault_in_effect_it_leaves_nothing",
    ];
    // Only root can become somebody else; everybody else is an ordinary user already.
    let (program, first): (&str, &[&str]) = if rustix::process::geteuid().is_root() {
        ("setpriv", &["--reuid", "65534", "--regid", "65534", "--clear-groups", "unshare", "--user", "--map-root-user"])
    } else {
        ("unshare", &["--user", "--map-root-user"])
    };
    let start = |what: &[&std::ffi::OsStr]| Command::new(program).args(first).args(what).env("TMPDIR", "/tmp").output();
    let possible = start(&["true".as_ref()]);
    if !possible.as_ref().is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "CI must be able to make user namespaces: {possible:?}");
        println!("skipped: no user namespace can be made: {possible:?}");
        return;
    }
    let own = std::env::current_exe().unwrap();
    let mut arguments = vec![own.as_os_str(), "--exact".as_ref(), "--test-threads=1".as_ref()];
    arguments.extend(tests.iter().map(std::ffi::OsStr::new));
    let output = start(&arguments).unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains(&format!("{} passed", tests.len())), "{text}");
}
