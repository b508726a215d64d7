//! `shaketable proxy`: the command, and clients of Toxiproxy as they are, from npm and PyPI.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
};

use rustix::process::Signal;

use crate::harness::{Running, User, clients, example, root, skipped};

/// A proxy that is up, and where its API is.
fn started(more: &[&str]) -> (Running, String) {
    let mut arguments = vec!["proxy", "-port", "0"];
    arguments.extend(more);
    let running = Running::from_command(&mut User::me().command(&arguments));
    let line = running.wait_for("http://");
    let address = line.split("http://").nth(1).and_then(|rest| rest.split(';').next()).unwrap().to_owned();
    (running, address)
}

/// One call of the API: its status line and its body.
fn call(address: &str, request: &str, body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(stream, "{request} HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

/// Runs a client's script to its end.
fn drive(mut client: Command) {
    let done = client.output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    assert!(String::from_utf8_lossy(&done.stdout).contains("methods"), "{said}");
}

#[test]
fn the_client_of_npm_works_unchanged() {
    let modules = clients().join("node/node_modules");
    if !modules.join("toxiproxy-node-client").is_dir() {
        return skipped("npm's toxiproxy-node-client is not installed; .ci/run does it");
    }
    let (_running, address) = started(&[]);
    let mut node = Command::new("node");
    let script = root().join("crates/cli/tests/clients/toxiproxy-node-client.js");
    node.arg(script).arg(format!("http://{address}")).env("NODE_PATH", modules);
    drive(node);
}

#[test]
fn the_client_of_pypi_works_unchanged() {
    let packages = clients().join("python");
    if !packages.join("toxiproxy").is_dir() {
        return skipped("PyPI's toxiproxy-python is not installed; .ci/run does it");
    }
    let (_running, address) = started(&[]);
    let (host, port) = address.split_once(':').unwrap();
    let mut python = Command::new("python3");
    let script = root().join("crates/cli/tests/clients/toxiproxy_python.py");
    // Its other packages must not come from the user's own, which may be newer than it knows.
    python.arg("-s").arg("-B").arg(script).args([host, port]).env("PYTHONPATH", packages);
    drive(python);
}

#[test]
fn a_configuration_is_there_from_the_beginning_and_ctrl_c_ends_everything() {
    // The example, on ports that are free.
    let text = std::fs::read_to_string(example("proxy/toxiproxy.json")).unwrap();
    let text = text.replace("127.0.0.1:26379", "127.0.0.1:0").replace("127.0.0.1:8081", "127.0.0.1:0");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("toxiproxy.json");
    std::fs::write(&file, text).unwrap();
    let (running, address) = started(&["-config", file.to_str().unwrap(), "-proxy-metrics"]);
    let (status, body) = call(&address, "GET /proxies", "");
    assert_eq!(status, "HTTP/1.1 200 OK");
    let proxies: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&proxies["redis"]["enabled"], &proxies["shop"]["enabled"]), (&true.into(), &false.into()));
    assert_eq!(proxies["shop"]["toxics"][0]["name"], "bandwidth_downstream");
    let (_, rules) = call(&address, "GET /shaketable/v1/proxies/shop/http", "");
    assert!(rules.contains("\"slow-checkout\"") && rules.contains("\"no-prices\""), "{rules}");
    let (_, metrics) = call(&address, "GET /metrics", "");
    assert!(metrics.contains("toxiproxy_proxy_sent_bytes_total{direction=\"upstream\""), "{metrics}");
    running.signal(Signal::INT);
    let finished = running.finish();
    assert_eq!(finished.code(), Some(0), "{}", finished.output());
    assert!(TcpStream::connect(proxies["redis"]["listen"].as_str().unwrap()).is_err());
}

#[test]
fn a_configuration_that_is_wrong_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("toxiproxy.json");
    std::fs::write(&file, r#"[{"name": "a", "upstream": "x:1"}, {"name": "b"}]"#).unwrap();
    let finished = User::me().call(&["proxy", "--port", "0", "--config", file.to_str().unwrap()]);
    assert_eq!(finished.code(), Some(2), "{}", finished.output());
    assert!(finished.stderr.contains("missing required field: upstream at proxy 2"), "{}", finished.output());
    let missing = User::me().call(&["proxy", "--port", "0", "--config", "/no/such/file"]);
    assert!(missing.code() == Some(2) && missing.stderr.contains("cannot read"), "{}", missing.output());
}

#[test]
fn a_proxy_of_the_configuration_that_cannot_listen_yet_listens_later() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("toxiproxy.json");
    let list = format!(
        r#"[{{"name": "waits", "listen": "{listen}", "upstream": "127.0.0.1:1"}},
            {{"name": "there", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1"}}]"#
    );
    std::fs::write(&file, list).unwrap();
    let (running, address) = started(&["--config", file.to_str().unwrap(), "--log-level", "INFO"]);
    let (_, body) = call(&address, "GET /proxies", "");
    assert!(body.contains("there") && !body.contains("waits"), "{body}");
    drop(taken);
    running.wait_for("is there at last");
    let (_, body) = call(&address, "GET /proxies/waits", "");
    assert!(body.contains(&listen), "{body}");
}

#[test]
fn two_proxies_on_one_port_are_told_apart() {
    let (_running, address) = started(&[]);
    let (_, port) = address.split_once(':').unwrap();
    let second = User::me().call(&["proxy", "--port", port]);
    assert_eq!(second.code(), Some(2), "{}", second.output());
    assert!(second.stderr.contains("is another Toxiproxy there?"), "{}", second.output());
}
