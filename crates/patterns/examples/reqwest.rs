//! A `reqwest` call against a server that is slow, overloaded and gone in turn.
//!
//! ```text
//! cargo run -p shaketable-patterns --example reqwest
//! ```

#![expect(clippy::print_stdout, reason = "it is what an example is for")]

use std::{
    error::Error,
    io,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use patterns::{Breaker, Bulkhead, Class, Context, Event, Pipeline, Retry, event::Kind};
use reqwest::{Client, Response};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// What is worth another attempt, and what is the dependency's fault?
fn judge(result: Result<&Response, &reqwest::Error>) -> Class {
    match result {
        Ok(response) => Class::of_http_status(response.status().as_u16(), retry_after(response)),
        Err(error) if error.is_connect() => Class::not_executed(),
        Err(error) if error.is_builder() || error.is_redirect() => Class::Permanent,
        Err(_) => Class::transient(),
    }
}

/// The header in its form of seconds; a date is left to those who trust clocks.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get("retry-after")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/ada", listener.local_addr()?);
    let server = tokio::spawn(serve(listener));

    let users = Pipeline::builder("users")
        .overall_timeout(Duration::from_secs(10))
        .retry(Retry::exponential(Duration::from_millis(50)).max_attempts(4))
        .breaker(Breaker::consecutive_failures(5).open_for(Duration::from_secs(30)))
        .bulkhead(Bulkhead::of(20).queue(20, Duration::from_millis(200)))
        .attempt_timeout(Duration::from_secs(1))
        .listener(|event: &Event<'_>| {
            if !matches!(event.kind, Kind::Call { .. }) {
                println!("    {:?}", event.kind);
            }
        })
        .build()?
        .classify(judge);

    let client = Client::new();
    let get = |url: String| {
        let (users, client) = (&users, &client);
        async move { users.call(&Context::idempotent(), |_| client.get(url.clone()).send()).await }
    };
    println!("slow, then overloaded, then well:");
    println!("  {}", get(url.clone()).await?.text().await?);
    server.abort();
    println!("gone:");
    for _ in 0..3 {
        match get(url.clone()).await {
            Ok(response) => println!("  {}", response.status()),
            Err(error) => println!("  {error}"),
        }
    }
    Ok(())
}

/// Answers the first request too late and the second with 503, and all others well.
async fn serve(listener: TcpListener) -> io::Result<()> {
    let requests = AtomicU32::new(0);
    loop {
        let (mut stream, _) = listener.accept().await?;
        let number = requests.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            let mut request = [0; 1024];
            let _read = stream.read(&mut request).await?;
            let answer = match number {
                0 => {
                    tokio::time::sleep(Duration::from_secs(20)).await;
                    ""
                }
                1 => "503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0",
                _ => "200 OK\r\ncontent-length: 3",
            };
            let body = if number > 1 { "Ada" } else { "" };
            let answer = format!("HTTP/1.1 {answer}\r\nconnection: close\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await
        });
    }
}
