//! `shaketable proxy`: carries TCP and HTTP, with faults, told by Toxiproxy's HTTP API.

use std::{fs, path::Path, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use proxy::{
    Workers,
    toxiproxy::{Api, Error, Metrics, NewProxy, Proxies},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::{args::Proxy, run::any_seed, terminal};

/// How often a proxy of the configuration that could not listen is tried again: as often as somebody who waits for it looks.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Serves until Ctrl-C or SIGTERM.
pub(crate) fn proxy(call: &Proxy) -> Result<ExitCode> {
    let list = call.config.as_deref().map(read).transpose()?.unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let (host, port) = (call.host.as_str(), call.port);
        let listener = TcpListener::bind((host, port))
            .await
            .with_context(|| format!("cannot listen on {host}:{port}; is another Toxiproxy there? (--port)"))?;
        let address = listener.local_addr().context("cannot tell where it listens")?;
        if !address.ip().is_loopback() {
            tracing::warn!(%address, "whoever reaches this address can open ports here and break connections");
        }
        let workers = Workers::start().context("cannot start threads")?;
        let proxies = Proxies::new(workers, call.seed.unwrap_or_else(any_seed));
        let metrics = Metrics { proxies: call.proxy_metrics, runtime: call.runtime_metrics };
        for new in list {
            begin(proxies.clone(), new).await;
        }
        let until = CancellationToken::new();
        let serving = tokio::spawn(Api::new(proxies, metrics).serve(listener, until.clone()));
        terminal::out(&format!("The proxy's API is at http://{address}; Ctrl-C ends it\n"));
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        until.cancel();
        serving.await.context("the API has failed")?;
        Ok(ExitCode::SUCCESS)
    })
}

fn read(file: &Path) -> Result<Vec<NewProxy>> {
    let name = file.display();
    let bytes = fs::read(file).with_context(|| format!("cannot read {name}"))?;
    NewProxy::read_list(&bytes).with_context(|| format!("{name} is no list of proxies"))
}

/// Creates a proxy of the configuration. Where it cannot listen yet, the others do, and it is tried again until it can, or
/// somebody has created one of its name.
async fn begin(proxies: Proxies, new: NewProxy) {
    let Err(error) = proxies.create(&new).await else { return };
    tracing::warn!(proxy = new.name, %error, "a proxy of the configuration cannot be; it is tried again every second");
    tokio::spawn(async move {
        loop {
            sleep(TRY_AGAIN).await;
            match proxies.create(&new).await {
                Ok(_shown) => return tracing::info!(proxy = new.name, "a proxy of the configuration is there at last"),
                Err(Error::ProxyExists) => return,
                Err(error) => tracing::debug!(proxy = new.name, %error, "a proxy of the configuration cannot be yet"),
            }
        }
    });
}
