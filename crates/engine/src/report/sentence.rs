//! Events as sentences: the one wording that timelines, plots and live output share.

use std::fmt;

use model::{
    alarm::AlarmState,
    event::{Cleanliness, Event, InstanceChange, What},
    moment::Moment,
    status::{ActionStatus, ExperimentStatus},
    verdict::Verdict,
};

/// What an event is about; timelines are filtered by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Windows, statuses, the verdict.
    Run,
    /// Targets and injections.
    Fault,
    /// Instances of the lab.
    Instance,
    /// What balancers think of their targets.
    Balancer,
    /// Alarms and guards.
    Alarm,
    /// The rest.
    Note,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Run, Self::Fault, Self::Instance, Self::Balancer, Self::Alarm, Self::Note];

    /// A name for people and for style sheets.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Fault => "fault",
            Self::Instance => "instance",
            Self::Balancer => "balancer",
            Self::Alarm => "alarm",
            Self::Note => "note",
        }
    }

    /// What an event is about.
    #[must_use]
    pub const fn of(what: &What) -> Self {
        match what {
            What::WindowBegan { .. }
            | What::Experiment { .. }
            | What::Action { .. }
            | What::StopRequested { .. }
            | What::BaselineDisturbed { .. }
            | What::SteadyState { .. }
            | What::Recovered { .. }
            | What::Verdict { .. } => Self::Run,
            What::TargetResolved { .. }
            | What::Injecting { .. }
            | What::Injected { .. }
            | What::InjectFailed { .. }
            | What::Undone { .. }
            | What::UndoFailed { .. } => Self::Fault,
            What::Instance { .. } => Self::Instance,
            What::Target { .. } => Self::Balancer,
            What::Alarm { .. } | What::GuardFired { .. } => Self::Alarm,
            What::Note { .. } => Self::Note,
        }
    }
}

/// Whether an event is good news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tone {
    /// Neither good nor bad.
    Plain,
    /// The system, or the experiment, is better off.
    Good,
    /// Something is broken, by the experiment or otherwise.
    Bad,
}

impl Tone {
    /// Whether an event is good news.
    #[must_use]
    pub const fn of(what: &What) -> Self {
        match what {
            What::Target { healthy: true, .. }
            | What::Undone { cleanliness: Cleanliness::Clean | Cleanliness::Gone, .. }
            | What::Alarm { from: AlarmState::Alarm, to: AlarmState::Ok, .. }
            | What::SteadyState { held: true, .. }
            | What::Recovered { .. }
            | What::Verdict { verdict: Verdict::Green, .. }
            | What::Instance { change: InstanceChange::Ready | InstanceChange::Started, .. } => Self::Good,
            What::InjectFailed { .. }
            | What::Undone { cleanliness: Cleanliness::Dirty { .. }, .. }
            | What::UndoFailed { .. }
            | What::Alarm { to: AlarmState::Alarm, .. }
            | What::GuardFired { .. }
            | What::Target { healthy: false, .. }
            | What::SteadyState { held: false, .. }
            | What::Verdict { verdict: Verdict::Red, .. }
            | What::Experiment { status: ExperimentStatus::Failed, .. }
            | What::Action { status: ActionStatus::Failed, .. }
            | What::Instance {
                change: InstanceChange::Exited | InstanceChange::Stopped | InstanceChange::Terminated,
                ..
            } => Self::Bad,
            What::WindowBegan { .. }
            | What::BaselineDisturbed { .. }
            | What::TargetResolved { .. }
            | What::Experiment { .. }
            | What::Action { .. }
            | What::Injecting { .. }
            | What::Injected { .. }
            | What::Alarm { .. }
            | What::StopRequested { .. }
            | What::Instance { .. }
            | What::Verdict { .. }
            | What::Note { .. } => Self::Plain,
        }
    }
}

/// Whether an event explains a bend in a plot: it deserves a mark there. Launches and first health checks before the
/// first injection do not; there they only say that the lab came up.
#[must_use]
pub fn is_landmark(event: &Event, first_injection: Option<Moment>) -> bool {
    let underway = first_injection.is_some_and(|first| event.at >= first);
    match &event.what {
        What::Injected { .. }
        | What::InjectFailed { .. }
        | What::Undone { .. }
        | What::UndoFailed { .. }
        | What::GuardFired { .. }
        | What::StopRequested { .. }
        | What::Recovered { .. }
        | What::SteadyState { held: false, .. }
        | What::Alarm { to: AlarmState::Alarm, .. }
        | What::Alarm { from: AlarmState::Alarm, .. } => true,
        What::Target { .. } => underway,
        What::Instance { change, .. } => underway && *change != InstanceChange::Launched,
        What::WindowBegan { .. }
        | What::BaselineDisturbed { .. }
        | What::TargetResolved { .. }
        | What::Experiment { .. }
        | What::Action { .. }
        | What::Injecting { .. }
        | What::Alarm { .. }
        | What::SteadyState { .. }
        | What::Verdict { .. }
        | What::Note { .. } => false,
    }
}

/// An event as a sentence, without its time: `web-lb sends no more requests to i-0a1b: 2 health checks failed`.
///
/// The text may hold anything a document or a process has said; escape it for where it is printed.
#[must_use]
pub fn sentence(what: &What) -> String {
    Sentence(what).to_string()
}

struct Sentence<'a>(&'a What);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            What::WindowBegan { window } => write!(f, "the {window} window begins"),
            What::TargetResolved { target, matching, resources, how } => {
                let names: Vec<&str> = resources.iter().map(|resource| resource.0.as_str()).collect();
                let chosen = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
                write!(f, "target {target} is {chosen}: {matching} matching, {how}")
            }
            What::Experiment { status, reason } => because(f, format_args!("the experiment is {status}"), reason),
            What::Action { action, status, reason } => because(f, format_args!("{action} is {status}"), reason),
            What::Injecting { injection, action, resource, fault } => {
                write!(f, "{action} injects {injection} into {resource}: {fault}")
            }
            What::Injected { injection, proof } => {
                let holds = if proof.holds { "" } else { ", which is not what was asked for" };
                write!(
                    f,
                    "{injection} is injected: configured {}; achieved {}{holds}",
                    proof.configured, proof.achieved
                )
            }
            What::InjectFailed { injection, why } => write!(f, "{injection} could not be injected: {why}"),
            What::Undone { injection, cleanliness, .. } => match cleanliness {
                Cleanliness::Clean => write!(f, "{injection} is undone; nothing it touched differs from before"),
                Cleanliness::Gone => write!(f, "{injection} is over; what it hit is gone"),
                Cleanliness::Dirty { residue, repair } => {
                    write!(f, "{injection} is undone, but not clean: {residue}; repair it by: {repair}")
                }
            },
            What::UndoFailed { injection, why } => write!(f, "{injection} could not be undone: {why}"),
            What::Alarm { alarm, from, to, reason } => {
                because(f, format_args!("alarm {alarm} goes from {from} to {to}"), reason)
            }
            What::GuardFired { alarm, reason } => {
                because(f, format_args!("guard {alarm} fires, everything is undone"), reason)
            }
            What::StopRequested { by } => write!(f, "{by} asks to stop"),
            What::Instance { instance, group, zone, change, reason } => {
                let change = match change {
                    InstanceChange::Launched => "is launched",
                    InstanceChange::Ready => "is ready",
                    InstanceChange::Exited => "has exited",
                    InstanceChange::Stopped => "is stopped",
                    InstanceChange::Started => "is started again",
                    InstanceChange::Terminated => "is terminated",
                    InstanceChange::Replacing => "is being replaced",
                };
                because(f, format_args!("{instance} ({group}, {zone}) {change}"), reason)
            }
            What::Target { balancer, instance, healthy: true, reason } => {
                because(f, format_args!("{balancer} sends requests to {instance}"), reason)
            }
            What::Target { balancer, instance, healthy: false, reason } => {
                because(f, format_args!("{balancer} sends no more requests to {instance}"), reason)
            }
            What::BaselineDisturbed { reason } => because(f, format_args!("the baseline begins again"), reason),
            What::SteadyState { held: true, reason } => because(f, format_args!("the steady state is there"), reason),
            What::SteadyState { held: false, reason } => {
                because(f, format_args!("the steady state is not there"), reason)
            }
            What::Recovered { reason } => because(f, format_args!("the system has recovered"), reason),
            What::Verdict { verdict, reason } => because(f, format_args!("the verdict is {verdict}"), reason),
            What::Note { text } => f.write_str(text),
        }
    }
}

/// `what: reason`, or `what` where there is no reason.
fn because(f: &mut fmt::Formatter<'_>, what: fmt::Arguments<'_>, reason: &str) -> fmt::Result {
    match reason {
        "" => f.write_fmt(what),
        _ => write!(f, "{what}: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use model::{event::InjectionId, resource::ResourceId};

    use super::*;

    #[test]
    fn events_read_as_sentences() {
        let unhealthy = What::Target {
            balancer: "web-lb".to_owned(),
            instance: ResourceId("i-1".to_owned()),
            healthy: false,
            reason: "2 checks failed".to_owned(),
        };
        assert_eq!(sentence(&unhealthy), "web-lb sends no more requests to i-1: 2 checks failed");
        assert_eq!((Topic::of(&unhealthy), Tone::of(&unhealthy)), (Topic::Balancer, Tone::Bad));
        let dirty = What::Undone {
            injection: InjectionId(3),
            cleanliness: Cleanliness::Dirty {
                residue: "table inet x".to_owned(),
                repair: "shaketable undo 3".to_owned(),
            },
            proof: None,
        };
        assert_eq!(sentence(&dirty), "#3 is undone, but not clean: table inet x; repair it by: shaketable undo 3");
        assert_eq!(
            sentence(&What::Experiment { status: ExperimentStatus::Running, reason: String::new() }),
            "the experiment is running"
        );
    }

    #[test]
    fn what_happens_before_the_first_injection_is_no_landmark() {
        let ready = Event {
            at: Moment::from_secs(3),
            what: What::Instance {
                instance: ResourceId("i-1".to_owned()),
                group: "web".to_owned(),
                zone: "a".to_owned(),
                change: InstanceChange::Ready,
                reason: String::new(),
            },
        };
        assert!(!is_landmark(&ready, None) && !is_landmark(&ready, Some(Moment::from_secs(5))));
        assert!(is_landmark(&ready, Some(Moment::from_secs(2))));
    }
}
