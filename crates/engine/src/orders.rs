//! Orders that are being carried out: so that an undo finds what is still being injected.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use model::event::InjectionId;
use tokio::sync::watch;

/// The orders a provider is carrying out.
#[derive(Debug, Clone, Default)]
pub struct Orders(Arc<Mutex<BTreeMap<InjectionId, UnderWay>>>);

#[derive(Debug)]
struct UnderWay {
    called_off: bool,
    /// Never sent to: that it is gone says that the order has been carried out, or given up.
    ended: watch::Sender<()>,
}

/// An order being carried out, until this is dropped.
#[derive(Debug)]
pub struct Ticket {
    orders: Orders,
    injection: InjectionId,
}

impl Orders {
    /// Notes that an order is carried out from now on.
    #[must_use]
    pub fn enter(&self, injection: InjectionId) -> Ticket {
        self.lock().insert(injection, UnderWay { called_off: false, ended: watch::Sender::new(()) });
        Ticket { orders: self.clone(), injection }
    }

    /// Calls an order off; whether it is still under way. Whoever carries it out may notice, and may be too far gone for it.
    pub fn call_off(&self, injection: InjectionId) -> bool {
        self.lock().get_mut(&injection).map(|order| order.called_off = true).is_some()
    }

    /// Waits until an order is not under way any more.
    pub async fn ended(&self, injection: InjectionId) {
        let ended = self.lock().get(&injection).map(|order| order.ended.subscribe());
        if let Some(mut ended) = ended {
            // It only ever ends, with the sender.
            while ended.changed().await.is_ok() {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<InjectionId, UnderWay>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Whether the order has been called off.
    #[must_use]
    pub fn is_called_off(&self) -> bool {
        self.orders.lock().get(&self.injection).is_some_and(|order| order.called_off)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.orders.lock().remove(&self.injection);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_calls_off_can_wait_for_the_end() {
        let (orders, id) = (Orders::default(), InjectionId(1));
        assert!(!orders.call_off(id));
        orders.ended(id).await;
        let ticket = orders.enter(id);
        assert!(!ticket.is_called_off());
        assert!(orders.call_off(id) && ticket.is_called_off());
        let waiting = tokio::spawn({
            let orders = orders.clone();
            async move { orders.ended(id).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(ticket);
        waiting.await.unwrap();
        assert!(!orders.call_off(id));
    }
}
