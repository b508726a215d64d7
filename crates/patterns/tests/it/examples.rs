//! The examples, run: what the README shows works as it stands there.

use std::{
    env,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::Command,
    sync::mpsc::{Receiver, channel},
    thread,
};

/// Examples on real sockets have time limits, as users' programs do. A machine with no time for them is asked again.
const ROUNDS: usize = 5;

fn example(name: &str) -> Command {
    // target/debug/deps/it-0123 stands beside target/debug/examples.
    let path: PathBuf = env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is not there: cargo build -p shaketable-patterns --examples", path.display());
    Command::new(path)
}

/// What the example prints; nothing when it fails.
fn prints(command: &mut Command) -> Option<String> {
    let output = command.output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// Whether the lines stand in the text, in this order.
fn in_order(text: &str, lines: &[&str]) -> bool {
    let mut there = text.lines();
    lines.iter().all(|line| there.any(|other| other.contains(line)))
}

#[test]
fn examples_on_a_virtual_clock_end_well() {
    for name in ["chaos", "hedge", "pipeline"] {
        assert!(prints(&mut example(name)).is_some_and(|text| text.lines().count() > 1), "{name}");
    }
}

#[test]
fn an_open_breaker_stays_open_over_a_reload_until_somebody_forces_it() {
    let text = prints(&mut example("registry")).unwrap();
    let story = [
        "the breaker is open for another 30s",
        "users     open for 30s",
        r#"reloaded: ["orders"] added, ["users"] changed, ["search"] removed"#,
        "the breaker is open for another 30s",
        "not reloaded: line 3, column 1: pipelines.users.atempt_timeout is not an option",
        "attempts of users still end after 250ms",
        "Ada",
        "users     closed",
    ];
    assert!(in_order(&text, &story), "{text}");
}

#[test]
fn a_scrape_is_in_the_format_and_counts_what_happened() {
    let text = prints(&mut example("metrics")).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4"), "{head}");
    assert!(crate::metrics::check_exposition(body) > 40);
    let lines = [
        r#"patterns_calls_total{pipeline="away",outcome="breaker_open"} 9"#,
        r#"patterns_calls_total{pipeline="flaky",outcome="success"} 10"#,
        r#"patterns_retries_total{pipeline="flaky"} 10"#,
        r#"patterns_breaker_changes_total{pipeline="away",to="open"} 1"#,
    ];
    assert!(in_order(body, &lines), "{body}");
}

#[test]
fn a_client_withstands_a_server_that_is_slow_overloaded_and_gone() {
    let story = [
        "TimedOut(Attempt)",
        "Retry {",
        "retry_after: Some(1s)",
        "Retry {",
        "Done(Success)",
        "  Ada",
        "gone:",
        "not_executed: true",
        "Breaker { from: Closed, to: Open }",
        "  the breaker is open for another",
    ];
    in_some_round(|| prints(&mut example("reqwest")).filter(|text| in_order(text, &story)));
}

#[test]
fn the_call_of_the_readme_is_repeated_when_its_server_is_overloaded() {
    let readme = include_str!("../../README.md");
    let shown = readme.split("```rust,no_run\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(
        include_str!("../../examples/readme.rs").ends_with(shown),
        "examples/readme.rs is not what the README shows"
    );
    in_some_round(|| {
        // `users.internal` is nowhere: the server stands in as the client's proxy.
        let (address, requests) = overloaded_at_first();
        let mut readme = example("readme");
        let text =
            prints(readme.env("http_proxy", format!("http://{address}")).env_remove("no_proxy").env_remove("NO_PROXY"));
        let asked: Vec<String> = requests.try_iter().collect();
        assert!(asked.iter().all(|request| request.starts_with("GET http://users.internal/ada ")), "{asked:?}");
        text.filter(|text| text == "Ada\n" && asked.len() >= 2)
    });
}

/// A server that answers 503 once and then well, and the requests it got.
fn overloaded_at_first() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, requests) = channel();
    thread::spawn(move || {
        let answers =
            ["503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", "200 OK\r\ncontent-length: 3\r\n\r\nAda"];
        for answer in answers.into_iter().chain(std::iter::repeat(answers[1])) {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).unwrap_or_default();
            // Who has gone by now, or whom the test has forgotten, needs no answer.
            let _forgotten = tell.send(String::from_utf8_lossy(&request[..read]).into_owned());
            let _gone = stream
                .write_all(format!("HTTP/1.1 {}", answer.replacen("\r\n", "\r\nconnection: close\r\n", 1)).as_bytes());
        }
    });
    (address, requests)
}

/// Runs something until it brings anything.
fn in_some_round<T>(run: impl FnMut() -> Option<T>) {
    assert!(std::iter::repeat_with(run).take(ROUNDS).any(|brought| brought.is_some()), "not in {ROUNDS} rounds");
}
