//! How a run is asked to stop, in two steps.

use tokio::sync::watch;

/// Asks a run to stop. The first request undoes everything; the second one says besides that nobody waits for a report.
/// Clones ask the same run.
#[derive(Debug, Clone)]
pub struct StopHandle(watch::Sender<Requests>);

/// Where a run hears that it is to stop.
#[derive(Debug, Clone)]
pub struct StopSignal(watch::Receiver<Requests>);

#[derive(Debug, Clone, Default)]
struct Requests {
    count: u32,
    by: String,
}

/// How often somebody has asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Never.
    None,
    /// Once: undo, then report.
    Stop,
    /// Twice or more: undo, and nothing else.
    Hurry,
}

/// A way to ask a run to stop.
#[must_use]
pub fn stop_channel() -> (StopHandle, StopSignal) {
    let (sender, receiver) = watch::channel(Requests::default());
    (StopHandle(sender), StopSignal(receiver))
}

impl StopHandle {
    /// Asks to stop; `by` says who, for the record: `Ctrl-C`.
    pub fn request(&self, by: &str) {
        self.0.send_modify(|requests| {
            requests.count += 1;
            by.clone_into(&mut requests.by);
        });
    }
}

impl StopSignal {
    /// How often somebody has asked so far.
    #[must_use]
    pub fn urgency(&self) -> Urgency {
        match self.0.borrow().count {
            0 => Urgency::None,
            1 => Urgency::Stop,
            _ => Urgency::Hurry,
        }
    }

    /// Waits until somebody asks for the first time and says who. Never returns when nobody can ask any more.
    pub async fn requested(&mut self) -> String {
        match self.0.wait_for(|requests| requests.count > 0).await {
            Ok(requests) => requests.by.clone(),
            Err(_) => std::future::pending().await,
        }
    }
}
