//! Promises that cannot be kept, whatever happens, or that contradict each other.

use model::{
    figures::span,
    workload::{Availability, Component, Need, Objectives, Workload},
};
use serde::Serialize;

use super::downtime::Downtime;

/// Why a promise does not hold, with the figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "doubt")]
pub enum Doubt {
    /// Even with everything else perfect, what others promise leaves less than is promised here.
    #[serde(rename_all = "camelCase")]
    AboveCeiling {
        /// What is promised.
        target: Availability,
        /// What is possible at best.
        ceiling: Availability,
        /// Who leaves no more: external components and what they promise.
        externals: Vec<(String, Availability)>,
    },
    /// A single outage as long as the recovery objective allows uses up more than a month's budget.
    #[serde(rename_all = "camelCase")]
    RtoAboveBudget {
        /// What is promised.
        target: Availability,
        /// The recovery time objective, in seconds.
        rto: f64,
        /// Downtime that is allowed in a month, in seconds.
        budget: f64,
    },
    /// A failover goes ahead although more data would be lost than is allowed.
    #[serde(rename_all = "camelCase")]
    LagAboveRpo {
        /// How far behind a replica may be, in seconds.
        lag_limit: f64,
        /// How much may be lost, in seconds.
        rpo: f64,
    },
    /// No failure at all is allowed.
    NothingAllowed,
    /// The mean outage takes longer than the recovery objective allows.
    #[serde(rename_all = "camelCase")]
    OutagesAboveRto {
        /// How long an outage takes on average, in seconds.
        mean: f64,
        /// The recovery time objective, in seconds.
        rto: f64,
    },
    /// A caller of a component that does not answer may wait longer than the recovery objective allows for the whole.
    #[serde(rename_all = "camelCase")]
    PatientCalls {
        /// The component.
        component: String,
        /// Attempts of a call.
        attempts: u32,
        /// Longest wait for one attempt, in seconds.
        timeout: f64,
    },
}

impl Doubt {
    /// Whether promises contradict each other or what is possible, so that something must be changed; else it is worth knowing.
    #[must_use]
    pub const fn is_contradiction(&self) -> bool {
        !matches!(self, Self::PatientCalls { .. })
    }

    /// What is wrong, with the working shown.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::AboveCeiling { target, ceiling, externals } => {
                let product: Vec<String> = externals.iter().map(|(_, availability)| availability.to_string()).collect();
                let names: Vec<&str> = externals.iter().map(|(name, _)| name.as_str()).collect();
                let (verb, working) = match product.as_slice() {
                    [_] => ("allows", String::new()),
                    _ => ("allow together", format!(" (of {})", product.join(" and "))),
                };
                format!("{target} is promised, but {} {verb} {ceiling} at best{working}", names.join(", "))
            }
            Self::RtoAboveBudget { target, rto, budget } => format!(
                "one outage of the {} that the RTO allows breaks the month: {target} leaves {}",
                span(*rto),
                span(*budget)
            ),
            Self::LagAboveRpo { lag_limit, rpo } => format!(
                "a failover goes ahead with a replica {} behind, but only {} of data may be lost",
                span(*lag_limit),
                span(*rpo)
            ),
            Self::NothingAllowed => "100 % is promised, which a single failure in all time breaks".to_owned(),
            Self::OutagesAboveRto { mean, rto } => {
                format!("an outage takes {} on average, but the RTO is {}", span(*mean), span(*rto))
            }
            Self::PatientCalls { component, attempts, timeout } => format!(
                "a call to {component} may take {}, {attempts} attempts of {}, and the pauses between them",
                span(f64::from(*attempts) * timeout),
                span(*timeout)
            ),
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn cure(&self) -> &'static str {
        match self {
            Self::AboveCeiling { .. } => {
                "promise less, or be able to do without one of them for a while: queue the call, use a second provider, answer without it"
            }
            Self::RtoAboveBudget { .. } => "promise to recover faster, or a lower availability",
            Self::LagAboveRpo { .. } => {
                "let the failover wait until the replica is within the RPO, or allow that more is lost"
            }
            Self::NothingAllowed => "promise what can be measured and missed, such as 99.99 %",
            Self::OutagesAboveRto { .. } => "detect or restore faster, or promise less",
            Self::PatientCalls { .. } => "give the call as a whole a deadline that its callers can wait for",
        }
    }
}

/// A caller that waits longer than this for one call has given up or is blocked; interactive users leave after ten seconds,
/// and load balancers cut a request off after sixty.
const PATIENCE: f64 = 60.0;

/// What can be told without computing how available the workload is.
#[must_use]
pub fn doubts(workload: &Workload, ceiling: Option<Availability>) -> Vec<Doubt> {
    let mut doubts = contradictions(&workload.objectives);
    if let (Some(target), Some(ceiling)) = (workload.objectives.availability, ceiling)
        && ceiling.down() > target.down()
    {
        let externals = externals(workload).filter_map(|component| {
            let figures = component.figures?;
            (figures.availability.down() > 0.0).then(|| (component.name.clone(), figures.availability))
        });
        doubts.insert(0, Doubt::AboveCeiling { target, ceiling, externals: externals.collect() });
    }
    for component in &workload.components {
        if let Some(calls) = component.calls {
            let (attempts, timeout) = (calls.retries.saturating_add(1), calls.timeout.as_secs_f64());
            if f64::from(attempts) * timeout > PATIENCE {
                doubts.push(Doubt::PatientCalls { component: component.name.clone(), attempts, timeout });
            }
        }
    }
    doubts
}

/// Contradictions among objectives alone.
#[must_use]
pub fn contradictions(objectives: &Objectives) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    if let Some(target) = objectives.availability {
        let budget = Downtime::of(target).month;
        if target.down() <= 0.0 {
            doubts.push(Doubt::NothingAllowed);
        } else if let Some(rto) = objectives.rto.map(model::Period::as_secs_f64)
            && rto > budget
        {
            doubts.push(Doubt::RtoAboveBudget { target, rto, budget });
        }
    }
    if let (Some(lag_limit), Some(rpo)) = (objectives.lag_limit, objectives.rpo)
        && lag_limit > rpo
    {
        doubts.push(Doubt::LagAboveRpo { lag_limit: lag_limit.as_secs_f64(), rpo: rpo.as_secs_f64() });
    }
    doubts
}

/// How many outages of the length that the recovery objective allows fit into a month's budget; none without both.
#[must_use]
pub fn outages_in_a_month(objectives: &Objectives) -> Option<f64> {
    let (target, rto) = (objectives.availability?, objectives.rto?.as_secs_f64());
    (rto > 0.0).then(|| Downtime::of(target).month / rto)
}

/// External components that the workload cannot do without, in the order of the document.
pub(super) fn externals(workload: &Workload) -> impl Iterator<Item = &Component> {
    let mut hard: Vec<&str> = Vec::new();
    let mut open: Vec<&Need> = vec![&workload.needs];
    while let Some(need) = open.pop() {
        for name in need.components().filter(|name| !hard.contains(name)).collect::<Vec<_>>() {
            hard.push(name);
            let component = workload.components.iter().find(|component| component.name == name);
            open.extend(component.and_then(|component| component.needs.as_ref()));
        }
    }
    workload.components.iter().filter(move |component| component.external && hard.contains(&component.name.as_str()))
}

#[cfg(test)]
mod tests {
    use model::Period;

    use super::*;

    fn promise(availability: &str, rto_minutes: u64) -> Objectives {
        Objectives {
            availability: Some(availability.parse().unwrap()),
            rto: Some(Period::from_secs(rto_minutes * 60)),
            ..Objectives::default()
        }
    }

    /// Rows "M-126" and "N-38": 99.9 % with an RTO of an hour; and how many outages the other promises allow.
    #[test]
    fn an_rto_that_breaks_the_months_budget_is_found() {
        for (availability, rto, allowed, breaks) in [
            ("99.9%", 60, 0.72, true),
            ("99.95%", 15, 1.44, false),
            ("99%", 240, 1.8, false),
            ("95%", 1440, 1.5, false),
        ] {
            let objectives = promise(availability, rto);
            assert!((outages_in_a_month(&objectives).unwrap() - allowed).abs() < 1e-9, "{availability}");
            let doubts = contradictions(&objectives);
            assert_eq!(matches!(doubts.as_slice(), [Doubt::RtoAboveBudget { .. }]), breaks, "{availability}");
            assert_eq!(doubts.is_empty(), !breaks, "{availability}");
        }
        assert_eq!(
            contradictions(&promise("99.9%", 60))[0].sentence(),
            "one outage of the 1 h that the RTO allows breaks the month: 99.9 % leaves 43 min 12 s"
        );
    }

    /// Row "N-19": a lag of five minutes is let through, a minute may be lost.
    #[test]
    fn a_lag_limit_above_the_rpo_is_found() {
        let objectives = Objectives {
            rpo: Some(Period::from_secs(60)),
            lag_limit: Some(Period::from_secs(300)),
            ..Objectives::default()
        };
        let doubts = contradictions(&objectives);
        assert_eq!(
            doubts[0].sentence(),
            "a failover goes ahead with a replica 5 min behind, but only 1 min of data may be lost"
        );
        assert!(contradictions(&Objectives { lag_limit: objectives.rpo, ..objectives }).is_empty());
    }

    #[test]
    fn a_promise_of_no_failure_at_all_is_doubted() {
        assert_eq!(contradictions(&promise("100%", 1)), [Doubt::NothingAllowed]);
    }
}
