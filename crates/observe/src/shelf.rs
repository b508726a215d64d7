//! Series of samples by metric, each with a lock of its own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use model::metric::Metric;

/// Series by metric. The shelf is locked only to find a series, each series by itself.
#[derive(Debug)]
pub(crate) struct Shelf<T>(RwLock<BTreeMap<Metric, Arc<Mutex<Vec<T>>>>>);

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<T> Shelf<T> {
    pub(crate) fn get(&self, metric: &Metric) -> Option<Arc<Mutex<Vec<T>>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(metric).cloned()
    }

    pub(crate) fn or_new(&self, metric: &Metric) -> Arc<Mutex<Vec<T>>> {
        if let Some(series) = self.get(metric) {
            return series;
        }
        let mut shelf = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(shelf.entry(metric.clone()).or_default())
    }

    pub(crate) fn names(&self) -> Vec<Metric> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    pub(crate) fn all(&self) -> Vec<(Metric, Arc<Mutex<Vec<T>>>)> {
        let shelf = self.0.read().unwrap_or_else(PoisonError::into_inner);
        shelf.iter().map(|(metric, series)| (metric.clone(), Arc::clone(series))).collect()
    }
}

/// Takes a series' lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A writer that panicked left complete samples behind: each is pushed in one step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
