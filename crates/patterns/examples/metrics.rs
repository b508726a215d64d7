//! What Prometheus scrapes of two pipelines: served at `/metrics`, and asked for once.
//!
//! ```text
//! cargo run -p shaketable-patterns --example metrics
//! ```

#![expect(clippy::print_stdout, reason = "it is what an example is for")]

use std::{error::Error, io, sync::Arc, time::Duration};

use patterns::{Breaker, Context, Jitter, Pipeline, Retry, VirtualClock, metrics::Metrics};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // One for all pipelines of a program.
    let metrics = Arc::new(Metrics::new());
    make_calls(&metrics)?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(serve(listener, Arc::clone(&metrics)));
    let mut scrape = TcpStream::connect(address).await?;
    scrape.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
    let mut response = String::new();
    scrape.read_to_string(&mut response).await?;
    println!("{}", response.trim_end());
    server.await??;
    Ok(())
}

/// Ten calls to a dependency that fails every other time, and ten to one that is away.
fn make_calls(metrics: &Arc<Metrics>) -> Result<(), Box<dyn Error>> {
    let clock = VirtualClock::new();
    let retry = Retry::exponential(Duration::from_millis(20)).jitter(Jitter::None);
    let flaky = Pipeline::builder("flaky").clock(clock.clone()).retry(retry.clone()).build()?;
    let away = Pipeline::builder("away").clock(clock.clone()).retry(retry).breaker(Breaker::consecutive_failures(5));
    let away = away.build()?;
    for pipeline in [&flaky, &away] {
        pipeline.listen(metrics.clone());
    }
    let context = Context::idempotent();
    for _ in 0..10 {
        let answer =
            clock
                .run(flaky.call(&context, |attempt| async move {
                    if attempt.number() == 1 { Err("reset") } else { Ok(()) }
                }));
        answer.map_err(|error| error.to_string())?;
        let refused = clock.run(away.call(&context, |_| async { Err::<(), _>("refused") }));
        assert!(refused.is_err(), "nobody answers there");
    }
    Ok(())
}

/// Answers one scrape. Programs have a server already; this is all it must say.
async fn serve(listener: TcpListener, metrics: Arc<Metrics>) -> io::Result<()> {
    let (mut stream, _) = listener.accept().await?;
    let mut request = [0; 1024];
    let _read = stream.read(&mut request).await?;
    let text = metrics.render();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\nconnection: close\r\n\r\n";
    stream.write_all(format!("{head}{text}").as_bytes()).await
}
