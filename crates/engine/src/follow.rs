//! Looks what there is, for targets that follow.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use model::target::Target;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use crate::{experiment::Owners, plan, provider::Provider, run::Event};

/// How often: a newcomer has had half a second at most, which is short beside the time it took to come up.
const LOOK: Duration = Duration::from_millis(500);

/// Tells the runner what there is until it is dropped, and notes whose it is.
pub(crate) async fn watch(
    targets: Vec<(String, Target)>,
    providers: Vec<Arc<dyn Provider>>,
    owners: Owners,
    tell: mpsc::UnboundedSender<Event>,
) {
    let mut tick = interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let mut all = Vec::new();
        for provider in &providers {
            for resource in provider.resources().await {
                owners.note(&resource.id, provider);
                all.push(resource);
            }
        }
        let present: BTreeSet<_> = all.iter().map(|one| one.id.clone()).collect();
        for (name, target) in &targets {
            let fit = all.iter().filter(|one| one.healthy != Some(false) && plan::fits(target, one));
            let fit = fit.map(|one| one.id.clone()).collect();
            let seen = Event::Seen { target: name.clone(), fit, present: present.clone() };
            if tell.send(seen).is_err() {
                return;
            }
        }
    }
}
