//! Load, probes and scrapes of a run: started before the baseline, ended after the recovery.

use std::{ffi::OsString, pin::pin, process::ExitCode, time::Duration};

use super::ground::Ground;
use crate::terminal;
use anyhow::{Context, Result};
use engine::Recorder;
use model::{Moment, event::What, experiment::Experiment, load::Load};
use observe::{
    Measurements,
    load::{
        command::RunningCommand,
        http::{RunningLoad, Surroundings},
    },
    probe::Prober,
    scrape::Scraper,
    url::Hosts,
};

/// How long the load runs before the baseline begins: connections are made and caches filled in that time, and a
/// baseline that contained it would promise too little.
const WARM_UP: Duration = Duration::from_secs(1);

/// How often it is asked whether the loads still run: as often as they tell what they measured.
const TEND: Duration = Duration::from_millis(100);

/// Everything that watches a run.
pub(crate) struct Watchers {
    /// Each with its place among the document's loads, counted from 1.
    loads: Vec<(usize, RunningLoad)>,
    /// Likewise.
    commands: Vec<(usize, RunningCommand)>,
    tasks: tokio::task::JoinSet<()>,
    recorder: Recorder,
    measurements: Measurements,
    warm_up: Duration,
}

impl Watchers {
    /// Starts everything the document asks for, where the run takes place.
    pub(crate) fn start(
        experiment: &Experiment,
        ground: &Ground,
        recorder: &Recorder,
        measurements: &Measurements,
        seed: u64,
    ) -> Result<Self> {
        let hosts: Hosts = ground.hosts();
        let mut all = Self {
            loads: Vec::new(),
            commands: Vec::new(),
            tasks: tokio::task::JoinSet::new(),
            recorder: recorder.clone(),
            measurements: measurements.clone(),
            warm_up: Duration::ZERO,
        };
        for (place, load) in (1..).zip(&experiment.load) {
            match load {
                Load::Http(load) => {
                    let ramp: Duration = load.ramp.iter().map(|(length, _)| length.get()).sum();
                    all.warm_up = all.warm_up.max(ramp + WARM_UP);
                    let surroundings = Surroundings {
                        clock: recorder.clock(),
                        measurements: measurements.clone(),
                        hosts: hosts.clone(),
                        enter: ground.enter(),
                        seed,
                        place,
                    };
                    let load = RunningLoad::start(load, surroundings).context("cannot start the load")?;
                    all.loads.push((place, load));
                }
                Load::Command(command) => {
                    all.warm_up = all.warm_up.max(WARM_UP);
                    let mut command = command.clone();
                    command.env.insert(lab::demo_app::HOSTS_ENV.to_owned(), names(&hosts));
                    all.commands.push((place, RunningCommand::start(&command, &tie()?, ground.enter())?));
                }
            }
        }
        all.ask_and_read(experiment, ground, &hosts, measurements)?;
        Ok(all)
    }

    /// Probes and scrapes, on threads that are where the run takes place.
    fn ask_and_read(
        &mut self,
        experiment: &Experiment,
        ground: &Ground,
        hosts: &Hosts,
        measurements: &Measurements,
    ) -> Result<()> {
        let clock = self.recorder.clock();
        let tell = |who: String| {
            let recorder = self.recorder.clone();
            move |_: Moment, answer: Result<(), String>| {
                let text = answer.map_or_else(|why| format!("{who} fails: {why}"), |()| format!("{who} is good"));
                recorder.record(What::Note { text });
            }
        };
        for (name, probe) in &experiment.probes {
            let prober =
                Prober::new(name, probe, hosts.clone()).with_context(|| format!("cannot use probe `{name}`"))?;
            self.tasks
                .spawn_on(prober.run(clock, measurements.clone(), tell(format!("probe `{name}`"))), &ground.handle());
        }
        for (name, scrape) in &experiment.scrape {
            let scraper = Scraper::new(scrape, hosts.clone()).with_context(|| format!("cannot use scrape `{name}`"))?;
            self.tasks
                .spawn_on(scraper.run(clock, measurements.clone(), tell(format!("scrape `{name}`"))), &ground.handle());
        }
        Ok(())
    }

    /// Waits until the load is what the document says.
    pub(crate) async fn warm(&self) {
        tokio::time::sleep(self.warm_up).await;
    }

    /// Waits for a run and tells meanwhile when a load ends although nobody told it to: at once in the record, and for the
    /// verdict as a gauge.
    pub(crate) async fn tend<T>(&self, run: impl Future<Output = T>) -> T {
        let ended = || {
            let loads = self.loads.iter().map(|(place, load)| (*place, load.has_ended()));
            let commands = self.commands.iter().map(|(place, command)| (*place, command.has_ended()));
            loads.chain(commands).filter_map(|(place, ended)| ended.then_some(place))
        };
        let mut told = Vec::new();
        let mut tick = tokio::time::interval(TEND);
        let mut run = pin!(run);
        loop {
            tokio::select! {
                outcome = &mut run => return outcome,
                _ = tick.tick() => {}
            }
            for place in ended() {
                if told.contains(&place) {
                    continue;
                }
                told.push(place);
                self.measurements.gauge(&observe::load::running(place), self.recorder.clock().now(), 0.0);
                let text = format!("load {place} ended by itself: from now on it asks nothing");
                self.recorder.record(What::Note { text });
            }
        }
    }

    /// Ends everything.
    pub(crate) async fn stop(mut self) {
        for (_, load) in &self.loads {
            load.stop();
        }
        for (_, command) in &self.commands {
            command.drain();
        }
        for (_, load) in self.loads {
            if let Err(error) = load.finished().await {
                self.recorder.record(What::Note { text: format!("the load ended early: {error}") });
            }
        }
        for (_, command) in self.commands {
            if let Ok(ended) = command.finished().await {
                self.recorder.record(What::Note { text: format!("the load's command {ended}") });
            }
        }
        self.tasks.shutdown().await;
    }
}

/// What is put before somebody else's program, so that it dies with us: this program under another name.
fn tie() -> Result<Vec<String>> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let program = program.to_str().context("the path of this program is not UTF-8")?.to_owned();
    Ok(vec![program, TIE.to_owned(), std::process::id().to_string()])
}

/// The lab's names for a command of somebody else's: `web.lab=10.0.0.2,api.lab=10.0.0.3:8081`.
fn names(hosts: &Hosts) -> String {
    let mut known = lab::demo_app::Hosts::default();
    for (name, host) in hosts {
        known.insert(name.clone(), host.ip, host.port);
    }
    known.to_string()
}

/// The hidden argument under which this program becomes another one that dies with its parent.
pub(crate) const TIE: &str = "__tie";

/// Becomes the program that the arguments say: the parent's process id, the program, its arguments. It can use the lab's
/// names where it may have an `/etc/hosts` of its own; elsewhere it finds them in its environment.
pub(crate) fn become_tied(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let words: Vec<String> = arguments.map(|word| word.to_string_lossy().into_owned()).collect();
    let parent = words.first().and_then(|pid| pid.parse().ok());
    if let Err(error) = lab::shim::name_hosts() {
        tracing::info!("the load's command must take the lab's names from {}: {error}", lab::demo_app::HOSTS_ENV);
    }
    let error = observe::load::command::become_tied(words.get(1..).unwrap_or_default(), parent);
    terminal::err(&format!("shaketable: cannot run the load's command: {error}\n"));
    // As shells say that a command could not be run.
    ExitCode::from(127)
}

/// A seed nobody has chosen; the report names it. Small enough to be typed.
pub(crate) fn any_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    // The standard library seeds its hashers from the system's random source.
    u64::from(u32::try_from(RandomState::new().hash_one(std::process::id()) >> 32).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use model::load::CommandLoad;
    use observe::Clock;

    use super::*;

    fn command(script: &str) -> RunningCommand {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        RunningCommand::start(&CommandLoad { command, env: std::collections::BTreeMap::new() }, &[], None).unwrap()
    }

    // The clock is paused: it moves on from look to look while nothing else is left to do, however long a command takes.
    #[tokio::test(start_paused = true)]
    async fn a_load_that_ends_by_itself_is_told_of_once_and_at_once() {
        let watchers = Watchers {
            loads: Vec::new(),
            commands: vec![(1, command("sleep 1000")), (2, command("exit 0"))],
            tasks: tokio::task::JoinSet::new(),
            recorder: Recorder::new(Clock::start()),
            measurements: Measurements::new(),
            warm_up: Duration::ZERO,
        };
        let mut told = watchers.recorder.watch();
        let first = async {
            told.changed().await.unwrap();
            // Two more looks, which have nothing new to tell.
            tokio::time::sleep(2 * TEND).await;
        };
        watchers.tend(first).await;
        let notes: Vec<What> = watchers.recorder.since(0).into_iter().map(|event| event.what).collect();
        assert_eq!(notes, [What::Note { text: "load 2 ended by itself: from now on it asks nothing".to_owned() }]);
        let now = watchers.recorder.clock().now();
        let samples = |place| watchers.measurements.read(&observe::load::running(place), Moment::ZERO, now).samples();
        assert_eq!((samples(1), samples(2)), (0, 1));
    }
}
