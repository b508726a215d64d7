//! The ground a run stands on: a lab, this host, or both.

use std::{collections::BTreeMap, io, sync::Arc};

use agent::HostProvider;
use anyhow::{Context, Result};
use engine::provider::Provider;
use faults::{Program, state::State};
use lab::{Lab, LabOptions, Prepared};
use model::{alarm::Alarm, experiment::Experiment};
use observe::url::Hosts;

/// What a thread calls first that is to be where a run takes place.
pub(crate) type Enter = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// Where a run takes place.
pub(crate) struct Ground {
    lab: Option<Lab>,
    providers: Vec<Arc<dyn Provider>>,
}

/// Whether a document wants to hit something of this host.
pub(crate) fn is_on_host(experiment: &Experiment) -> bool {
    experiment.targets.values().any(|target| agent::RESOURCE_TYPES.contains(&target.resource_type.as_str()))
}

impl Ground {
    /// Brings up what a document wants.
    pub(crate) async fn up(
        lab: Option<(&model::lab::Lab, &Prepared)>,
        options: LabOptions,
        experiment: &Experiment,
        document: &str,
    ) -> Result<Self> {
        let mut ground = Self { lab: None, providers: Vec::new() };
        if is_on_host(experiment) {
            let document = document.to_owned();
            let open = move || State::of_user()?.open_host(&document, &Program::this()?);
            let host = tokio::task::spawn_blocking(open).await.context("cannot start threads")?;
            let host = host.context("cannot open a journal of faults on this host")?;
            ground.providers.push(Arc::new(HostProvider::new(Arc::new(host))));
        }
        if let Some((spec, prepared)) = lab {
            let lab = Lab::up(spec, prepared, options).await?;
            ground.providers.push(lab.provider());
            ground.lab = Some(lab);
        }
        Ok(ground)
    }

    /// Where resources come from.
    pub(crate) fn providers(&self) -> &[Arc<dyn Provider>] {
        &self.providers
    }

    /// Alarms it has by itself.
    pub(crate) fn alarms(&self) -> BTreeMap<String, Alarm> {
        self.lab.as_ref().map(|lab| lab.spec().alarms.clone()).unwrap_or_default()
    }

    /// Names that nobody else knows.
    pub(crate) fn hosts(&self) -> Hosts {
        self.lab.as_ref().map(Lab::hosts).unwrap_or_default()
    }

    /// What a thread calls first to be there.
    pub(crate) fn enter(&self) -> Option<Enter> {
        self.lab.as_ref().map(Lab::enter)
    }

    /// The threads that are there.
    pub(crate) fn handle(&self) -> tokio::runtime::Handle {
        self.lab.as_ref().map_or_else(tokio::runtime::Handle::current, Lab::handle)
    }

    /// Takes down what was brought up, after everything is undone.
    pub(crate) async fn down(self) {
        let Self { lab, providers } = self;
        if let Some(lab) = lab {
            lab.down().await;
        }
        // The last to hold the host waits for its guardian.
        let _it_panicked = tokio::task::spawn_blocking(move || drop(providers)).await;
    }
}
