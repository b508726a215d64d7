//! Named pipelines from a configuration document, exchanged while they work.
//!
//! ```
//! # #[cfg(feature = "yaml")] (|| {
//! use patterns::{VirtualClock, registry::{Document, Registry}};
//!
//! let registry = Registry::new(VirtualClock::new());
//! let document = Document::from_yaml("
//! pipelines:
//!   users: { attempt_timeout: 500ms, breaker: { consecutive_failures: 5 } }
//! ")?;
//! registry.reload(&document)?;
//! let users = registry.get("users").expect("the document names it");
//!
//! // Later, with another document: calls go on, and the breaker keeps its state.
//! let document = Document::from_yaml("
//! pipelines:
//!   users: { attempt_timeout: 250ms, breaker: { consecutive_failures: 3 } }
//!   orders: {}
//! ")?;
//! let changes = registry.reload(&document)?;
//! assert_eq!((changes.changed, changes.added), (vec!["users".into()], vec!["orders".into()]));
//! assert_eq!(users.options().attempt_timeout, Some(std::time::Duration::from_millis(250)));
//!
//! let wrong = Document::from_yaml("pipelines: { users: { retry: { max_atempts: 3 } } }").unwrap_err();
//! assert_eq!(
//!     wrong.to_string(),
//!     "line 1, column 32: pipelines.users.retry.max_atempts is not an option: did you mean `max_attempts`?"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })().unwrap();
//! ```

pub mod document;
mod health;
mod watch;

use std::{collections::BTreeMap, fmt, sync::Arc};

use arc_swap::ArcSwap;

pub use self::{
    document::{Document, Problem, Problems},
    health::{BreakerHealth, BulkheadHealth, Health, PipelineHealth},
    watch::{FileWatch, ReloadError, watch},
};
use crate::{
    clock::{Clock, DefaultClock},
    error::InvalidOption,
    event::Listener,
    pipeline::{Options, Pipeline},
    sync::{Mutex, lock},
};

/// Pipelines by name. Cheap to clone; clones are the same registry.
///
/// To get a pipeline takes no lock. Whoever holds one goes on with it over a reload, which exchanges the options inside;
/// a pipeline that a reload removes is gone from the registry, and goes on as it is for those who hold it.
pub struct Registry<C: Clock = DefaultClock> {
    shared: Arc<Shared<C>>,
}

struct Shared<C: Clock> {
    clock: C,
    pipelines: ArcSwap<BTreeMap<Arc<str>, Pipeline<C>>>,
    /// Of all pipelines, also those to come; and held while pipelines are exchanged.
    listeners: Mutex<Vec<Arc<dyn Listener>>>,
}

/// What a reload has changed, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New.
    pub added: Vec<String>,
    /// There before and after, with other options.
    pub changed: Vec<String>,
    /// Gone.
    pub removed: Vec<String>,
}

/// What a breaker can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// Refuse all calls.
    Open,
    /// Let all calls through.
    Closed,
    /// Nothing any more: begin anew, closed.
    Reset,
}

/// Why a breaker was not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotForced {
    /// There is no such pipeline.
    NoPipeline {
        /// The name.
        name: String,
        /// The name that was probably meant.
        nearest: Option<String>,
    },
    /// The pipeline has no breaker.
    NoBreaker {
        /// The name.
        name: String,
    },
}

impl<C: Clock> Registry<C> {
    /// No pipelines yet.
    #[must_use]
    pub fn new(clock: C) -> Self {
        let shared = Shared { clock, pipelines: ArcSwap::default(), listeners: Mutex::new(Vec::new()) };
        Self { shared: Arc::new(shared) }
    }

    /// The pipeline of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Pipeline<C>> {
        self.shared.pipelines.load().get(name).cloned()
    }

    /// The names of all pipelines, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.shared.pipelines.load().keys().map(ToString::to_string).collect()
    }

    /// Tells everything that happens in any pipeline, also those to come.
    pub fn listen(&self, listener: Arc<dyn Listener>) {
        let mut listeners = lock(&self.shared.listeners);
        for pipeline in self.shared.pipelines.load().values() {
            pipeline.listen(Arc::clone(&listener));
        }
        listeners.push(listener);
    }

    /// Makes the pipelines those of the document: all of them, or when anything is wrong none. What is there before and
    /// after keeps its state: an open breaker stays open, taken places stay taken.
    ///
    /// # Errors
    ///
    /// When options make no sense; a document that was read from a text has been checked for that.
    pub fn reload(&self, document: &Document) -> Result<Changes, InvalidOption> {
        let listeners = lock(&self.shared.listeners);
        document.pipelines.values().try_for_each(Options::validate)?;
        let before = self.shared.pipelines.load_full();
        let mut after = BTreeMap::new();
        let mut changes = Changes::default();
        for (name, options) in &document.pipelines {
            let pipeline = match before.get(name.as_str()) {
                Some(pipeline) => {
                    if pipeline.options() != *options {
                        pipeline.reconfigure(options.clone())?;
                        changes.changed.push(name.clone());
                    }
                    pipeline.clone()
                }
                None => {
                    changes.added.push(name.clone());
                    self.make(name, options, &listeners)?
                }
            };
            after.insert(Arc::from(name.as_str()), pipeline);
        }
        let gone = before.keys().filter(|name| !after.contains_key(*name));
        changes.removed = gone.map(ToString::to_string).collect();
        self.shared.pipelines.store(Arc::new(after));
        Ok(changes)
    }

    fn make(
        &self,
        name: &str,
        options: &Options,
        listeners: &[Arc<dyn Listener>],
    ) -> Result<Pipeline<C>, InvalidOption> {
        let builder = Pipeline::builder(name).clock(self.shared.clock.clone());
        let pipeline = builder.options(options.clone()).build()?;
        listeners.iter().for_each(|listener| pipeline.listen(Arc::clone(listener)));
        Ok(pipeline)
    }

    /// Tells the breaker of a pipeline what to do, until it is told otherwise.
    ///
    /// # Errors
    ///
    /// When there is no such pipeline, or it has no breaker.
    pub fn force(&self, name: &str, force: Force) -> Result<(), NotForced> {
        let Some(pipeline) = self.get(name) else {
            let names = self.names();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let nearest = document::shape::nearest(name, &names).map(str::to_owned);
            return Err(NotForced::NoPipeline { name: name.to_owned(), nearest });
        };
        let told = match force {
            Force::Open => pipeline.force_open(),
            Force::Closed => pipeline.force_closed(),
            Force::Reset => pipeline.reset_breaker(),
        };
        if told { Ok(()) } else { Err(NotForced::NoBreaker { name: name.to_owned() }) }
    }

    /// What every breaker, limit and budget looks like now.
    #[must_use]
    pub fn health(&self) -> Health {
        let pipelines = self.shared.pipelines.load();
        Health {
            pipelines: pipelines
                .values()
                .map(|pipeline| PipelineHealth::of(pipeline.name(), &pipeline.status()))
                .collect(),
        }
    }
}

impl<C: Clock> Clone for Registry<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<C: Clock> fmt::Debug for Registry<C> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Registry").field("pipelines", &self.names()).finish_non_exhaustive()
    }
}

impl Changes {
    /// Whether nothing has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

impl fmt::Display for NotForced {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPipeline { name, nearest: Some(nearest) } => {
                write!(out, "there is no pipeline `{name}`: did you mean `{nearest}`?")
            }
            Self::NoPipeline { name, nearest: None } => write!(out, "there is no pipeline `{name}`"),
            Self::NoBreaker { name } => write!(out, "pipeline `{name}` has no breaker"),
        }
    }
}

impl std::error::Error for NotForced {}
