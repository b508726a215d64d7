//! `shaketable run`: from a document to a verdict.
//!
//! ```text
//!   read document and lab ─▶ prepare (one thread yet) ─▶ lab up ─▶ plan ─▶ watchers start ─▶ engine runs ─▶ reports
//!        errors: exit 2                                            --dry-run ends here
//! ```

mod documents;
mod ground;
mod watchers;

use std::{process::ExitCode, sync::Arc};

use anyhow::{Context, Result};
use engine::{
    Recorder,
    experiment::{Outcome, Preparation, Setup},
    plan::{Plan, Rules},
    provider::Provider,
    record::Residue,
    report::{self, columns::wrap},
    stop::{StopHandle, StopSignal, stop_channel},
};
use lab::{LabOptions, Prepared};
use model::event::What;
use observe::{Clock, Measurements};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

pub(crate) use self::watchers::{TIE, any_seed, become_tied};
use self::{documents::Documents, ground::Ground, watchers::Watchers};
use crate::{WRONG, actions, args::Run, doctor, live, terminal, terminal::Style};

/// 128 + SIGINT, as shells report it.
const INTERRUPTED: u8 = 130;

/// Runs an experiment; the exit code is the verdict's.
pub(crate) fn run(call: &Run, style: Style) -> Result<ExitCode> {
    let Some(documents) = documents::read(call, style)? else { return Ok(ExitCode::from(WRONG)) };
    // Before any thread is started: an ordinary user can enter a user namespace only now.
    let prepared = match &documents.lab {
        Some(lab) => Some(lab::prepare(call.network.map_or(lab.network, Into::into))?),
        None => None,
    };
    let objections = doctor::objections(&documents.experiment, prepared.as_ref())?;
    if !objections.is_empty() {
        let name = &documents.name;
        let head = format!("{name} cannot be run on this machine by this user (`shaketable doctor` says more):");
        terminal::err(&list(&head, &objections, style.width));
        return Ok(ExitCode::from(WRONG));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    runtime.block_on(Box::pin(session(call, style, documents, prepared)))
}

/// What a run writes into, from its first moment on.
#[derive(Clone)]
struct Books {
    seed: u64,
    started: String,
    recorder: Recorder,
    measurements: Measurements,
}

async fn session(call: &Run, style: Style, documents: Documents, prepared: Option<Prepared>) -> Result<ExitCode> {
    let (stop, stopped) = stop_channel();
    listen_for_stop(stop)?;
    let books = Books {
        seed: call.seed.unwrap_or_else(any_seed),
        started: jiff::Timestamp::now().to_string(),
        recorder: Recorder::new(Clock::start()),
        measurements: Measurements::default(),
    };
    if let Some(Prepared::Loopback { because }) = &prepared {
        books.recorder.record(What::Note { text: format!("the lab uses loopback addresses: {because}") });
    }
    let news = (!call.quiet && !call.dry_run).then(|| live::start(&books.recorder, style, call.plain));
    let options = LabOptions {
        seed: books.seed,
        recorder: books.recorder.clone(),
        measurements: books.measurements.clone(),
        program: None,
    };
    let mut asked = stopped.clone();
    let lab = documents.lab.as_ref().zip(prepared.as_ref());
    let ground = tokio::select! {
        up = Ground::up(lab, options, &documents.experiment, &documents.name) => up?,
        _ = asked.requested() => return Ok(ExitCode::from(INTERRUPTED)),
    };
    let code = experiment(call, style, documents, &ground, books, stopped, news.as_ref()).await;
    ground.down().await;
    let told = news.is_some();
    drop(news);
    let (code, last_words) = code?;
    // Where both go to one terminal, an empty line parts what happened from what it amounts to.
    if told && style.live {
        terminal::err("\n");
    }
    terminal::out(&last_words);
    Ok(ExitCode::from(code))
}

/// Everything between the ground that is up and its going down; gives back the exit code and what is said at the end.
async fn experiment(
    call: &Run,
    style: Style,
    documents: Documents,
    ground: &Ground,
    books: Books,
    stopped: StopSignal,
    news: Option<&live::News>,
) -> Result<(u8, String)> {
    let providers: Vec<Arc<dyn Provider>> = ground.providers().to_vec();
    let alarms = ground.alarms();
    let catalogue = actions::native();
    let plan = engine::experiment::prepare(&Preparation {
        experiment: &documents.experiment,
        providers: &providers,
        catalogue: &catalogue,
        alarms: &alarms,
        seed: books.seed,
        rules: Rules {
            policies: &documents.policies,
            allow_irreversible: call.allow_irreversible,
            now: jiff::Timestamp::now(),
        },
    })
    .await;
    let plan: Plan = match plan {
        Ok(plan) => plan,
        Err(problems) => {
            terminal::err(&list(&format!("{} cannot be run:", documents.name), &problems, style.width));
            return Ok((WRONG, String::new()));
        }
    };
    if call.dry_run {
        return Ok((0, plan.to_string()));
    }
    let watchers = Watchers::start(&documents.experiment, ground, &books.recorder, &books.measurements, books.seed)?;
    let mut asked = stopped.clone();
    tokio::select! {
        () = watchers.warm() => {}
        _ = asked.requested() => {}
    }
    let (tell_progress, progress) = watch::channel(None);
    if let Some(news) = news {
        news.follow(progress);
    }
    let run = Box::pin(engine::experiment::run(Setup {
        experiment: documents.experiment,
        document: documents.document,
        started: books.started,
        plan,
        providers,
        alarms,
        measurements: books.measurements,
        recorder: books.recorder,
        stop: stopped,
        progress: Some(tell_progress),
    }));
    let outcome = watchers.tend(run).await;
    watchers.stop().await;
    conclude(call, style, outcome)
}

/// Reports, and the last words on the terminal.
fn conclude(call: &Run, style: Style, outcome: Outcome) -> Result<(u8, String)> {
    let Outcome { mut record, hurry } = outcome;
    let code = record.exit_code();
    if hurry {
        return Ok((code, hurried(&record.residue)));
    }
    let mut paths = None;
    let mut code = code;
    if let Some(folder) = &call.report {
        report::link(folder, &mut record);
        match report::write(folder, &record) {
            Ok(written) => paths = Some(written),
            // The verdict is known all the same, and is not to be lost with the report.
            Err(error) => {
                terminal::err(&format!("cannot write the report into {}: {error}\n", folder.display()));
                code = without_report(code);
            }
        }
    }
    if call.quiet {
        return Ok((code, format!("{}: {}\n", record.verdict, record.reason)));
    }
    let look = report::Style { colour: style.colour, width: style.width };
    let summary = report::Summary::new(&record, look);
    let where_to_read = paths.map_or_else(String::new, |paths| format!("\nReport: {}\n", paths.html.display()));
    Ok((code, format!("{summary}{where_to_read}")))
}

/// What is wrong, one after the other, as wide as the terminal.
fn list(head: &str, wrong: &[impl ToString], width: usize) -> String {
    let mut text = format!("{head}\n");
    for one in wrong {
        for (at, line) in (0..).zip(wrap(&one.to_string(), width.saturating_sub(4))) {
            text.push_str(if at == 0 { "  " } else { "    " });
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

/// What is said to somebody who waits for no report: whether it is clean, and if not, what to do.
fn hurried(residue: &[Residue]) -> String {
    if residue.is_empty() {
        return "interrupted twice: everything is undone, no report is written\n".to_owned();
    }
    let lines: Vec<String> =
        residue.iter().map(|one| format!("  {}: {}; to repair it: {}\n", one.resource, one.what, one.repair)).collect();
    format!("interrupted twice: no report is written, and this is left behind:\n{}", lines.concat())
}

/// The exit code of a run whose report could not be written: success would hide that, anything else outweighs it.
const fn without_report(code: u8) -> u8 {
    if code == 0 { WRONG } else { code }
}

/// Ctrl-C, and what supervisors send: undo everything, report, go. A second one: undo everything, go.
fn listen_for_stop(stop: StopHandle) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut hang_up = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    tokio::spawn(async move {
        loop {
            let by = tokio::select! {
                _ = interrupt.recv() => "Ctrl-C",
                _ = terminate.recv() => "SIGTERM",
                _ = hang_up.recv() => "SIGHUP",
            };
            stop.request(by);
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use model::resource::ResourceId;

    use super::*;

    #[test]
    fn who_is_in_a_hurry_still_hears_what_is_left_behind() {
        assert_eq!(hurried(&[]), "interrupted twice: everything is undone, no report is written\n");
        let residue = Residue {
            injection: model::event::InjectionId(1),
            resource: ResourceId("web-1".to_owned()),
            what: "a delay".to_owned(),
            repair: "run shaketable clean".to_owned(),
        };
        let text = hurried(&[residue]);
        assert!(text.contains("web-1: a delay; to repair it: run shaketable clean"), "{text}");
        assert!(!text.contains("everything is undone"), "{text}");
    }

    #[test]
    fn what_is_wrong_fits_the_terminal() {
        let wrong = ["actions.A: this is wrong because of that", "actions.B: so is this"];
        let expected =
            "it cannot be run:\n  actions.A: this is\n    wrong because of\n    that\n  actions.B: so is\n    this\n";
        assert_eq!(list("it cannot be run:", &wrong, 22), expected);
    }

    #[test]
    fn without_its_report_a_run_is_no_success_and_keeps_any_other_verdict() {
        assert_eq!([0, 1, 2, 3].map(without_report), [WRONG, 1, 2, 3]);
    }
}
