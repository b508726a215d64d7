//! Faults that are made of others: one on each instance of a zone.
//!
//! All of them or none, injected at once and undone at once. Each part has a number of its own, and is undone as it would be
//! if it stood alone.

use std::collections::BTreeMap;

use engine::provider::{InjectError, Order, UndoError, Undone};
use model::{
    event::{Cleanliness, InjectionId, Proof},
    resource::ResourceId,
};

/// Numbers for parts, far from those that a run gives its own injections.
const PARTS: u32 = 1 << 31;

/// As many parts of one injection have numbers: more than a region of sixteen zones has addresses for instances.
const MOST: u32 = 1 << 12;

/// Of how many parts a proof tells everything; of more, it counts.
const TOLD: usize = 4;

/// The number of a part, counted from 0.
pub(super) fn number(whole: &Order, part: usize) -> InjectionId {
    let part = u32::try_from(part).map_or(MOST - 1, |part| part.min(MOST - 1));
    InjectionId(PARTS | (whole.injection.0 * MOST) | part)
}

/// The same fault on each of these.
pub(super) fn orders(
    whole: &Order,
    fault: &str,
    parameters: &BTreeMap<String, String>,
    on: Vec<ResourceId>,
) -> Result<Vec<Order>, InjectError> {
    // The last number is for what concerns the whole.
    if on.len() >= MOST as usize {
        let why = format!("{} instances are more than one `{}` can hit; name less", on.len(), whole.fault);
        return Err(InjectError::Refused(why));
    }
    let part = |(at, resource)| Order {
        injection: number(whole, at),
        fault: fault.to_owned(),
        parameters: parameters.clone(),
        resource,
        term: whole.term,
    };
    Ok(on.into_iter().enumerate().map(part).collect())
}

/// The proof of a whole from those of its parts.
pub(super) fn proof(fault: &str, parts: &[(ResourceId, Proof)]) -> Proof {
    let what = parts.first().map_or("nothing", |(_, first)| first.configured.as_str());
    let instances = if parts.len() == 1 { "instance" } else { "instances" };
    Proof {
        configured: format!("{fault}: {what}, on {} {instances}", parts.len()),
        achieved: achieved(parts),
        holds: !parts.is_empty() && parts.iter().all(|(_, proof)| proof.holds),
    }
}

/// The proof, at the end, of the parts that were added after the whole had begun.
pub(super) fn later(parts: &[(ResourceId, Proof)]) -> Proof {
    Proof {
        configured: format!("the same on {} launched meanwhile", parts.len()),
        achieved: achieved(parts),
        holds: parts.iter().all(|(_, proof)| proof.holds),
    }
}

/// What was achieved on few parts; of many, on how many, and what on the first and on those where it does not hold.
pub(super) fn achieved(parts: &[(ResourceId, Proof)]) -> String {
    let words = |(resource, proof): &(ResourceId, Proof)| format!("{resource}: {}", proof.achieved);
    if parts.len() <= TOLD {
        return parts.iter().map(words).collect::<Vec<_>>().join("; ");
    }
    let (held, missed): (Vec<_>, Vec<_>) = parts.iter().partition(|(_, proof)| proof.holds);
    let counted = format!("on {} of {} it is there", held.len(), parts.len());
    let first = held.first().map(|one| format!("for instance {}", words(one)));
    let missed = missed.iter().take(TOLD).map(|one| format!("not on {}", words(one)));
    [counted].into_iter().chain(first).chain(missed).collect::<Vec<_>>().join("; ")
}

/// A fault of several parts, one of which could not be injected: an error says that nothing is left, so where something is,
/// it is a fault that was not achieved, which whoever called will undo.
pub(super) fn broken_off(why: InjectError, undone: Result<Undone, UndoError>) -> Result<Proof, InjectError> {
    let left = match undone {
        Ok(Undone { cleanliness: Cleanliness::Clean | Cleanliness::Gone, .. }) => return Err(why),
        Ok(Undone { cleanliness: Cleanliness::Dirty { residue, repair }, .. }) => {
            format!("left behind: {residue}; by hand: {repair}")
        }
        Err(error) => format!("its other parts could not be undone: {error}"),
    };
    Ok(Proof { configured: "all of its parts".to_owned(), achieved: format!("{why}; {left}"), holds: false })
}

/// Of two parts of one thing, what is to be said of the whole: dirty, if one is; clean, if one is still there to be.
pub(super) fn worse(one: Cleanliness, other: Cleanliness) -> Cleanliness {
    match (one, other) {
        (Cleanliness::Dirty { residue, repair }, Cleanliness::Dirty { residue: more, repair: further }) => {
            Cleanliness::Dirty { residue: format!("{residue}; {more}"), repair: format!("{repair} && {further}") }
        }
        (dirty @ Cleanliness::Dirty { .. }, _) | (_, dirty @ Cleanliness::Dirty { .. }) => dirty,
        (Cleanliness::Clean, _) | (_, Cleanliness::Clean) => Cleanliness::Clean,
        (Cleanliness::Gone, Cleanliness::Gone) => Cleanliness::Gone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undone(cleanliness: Cleanliness) -> Result<Undone, UndoError> {
        Ok(Undone { cleanliness, proof: None })
    }

    fn dirty(residue: &str, repair: &str) -> Cleanliness {
        Cleanliness::Dirty { residue: residue.to_owned(), repair: repair.to_owned() }
    }

    #[test]
    fn a_fault_whose_parts_stay_is_not_told_as_never_made() {
        let why = || InjectError::Failed("no".to_owned());
        assert_eq!(broken_off(why(), undone(Cleanliness::Clean)), Err(why()));
        assert_eq!(broken_off(why(), undone(Cleanliness::Gone)), Err(why()));
        let proof = broken_off(why(), undone(dirty("a table", "delete it"))).unwrap();
        assert!(!proof.holds && proof.achieved.contains("a table; by hand: delete it"), "{proof:?}");
        let error = UndoError { why: "it hangs".to_owned(), repair: "wait".to_owned() };
        let proof = broken_off(why(), Err(error)).unwrap();
        assert!(!proof.holds && proof.achieved.contains("it hangs; by hand: wait"), "{proof:?}");
    }

    #[test]
    fn a_whole_is_as_dirty_as_its_parts() {
        use Cleanliness::{Clean, Gone};
        assert_eq!((worse(Gone, Gone), worse(Gone, Clean), worse(Clean, Gone)), (Gone, Clean, Clean));
        assert_eq!(worse(dirty("a", "x"), Clean), dirty("a", "x"));
        assert_eq!(worse(Gone, dirty("b", "y")), dirty("b", "y"));
        assert_eq!(worse(dirty("a", "x"), dirty("b", "y")), dirty("a; b", "x && y"));
    }

    fn whole(number: u32) -> Order {
        Order {
            injection: InjectionId(number),
            fault: "zone:isolate".to_owned(),
            parameters: BTreeMap::new(),
            resource: ResourceId::default(),
            term: std::time::Duration::ZERO.into(),
        }
    }

    #[test]
    fn parts_of_different_wholes_have_different_numbers() {
        let numbers = |of: u32| (0..MOST as usize).map(move |part| number(&whole(of), part));
        let all: std::collections::BTreeSet<_> = numbers(1).chain(numbers(2)).chain(numbers(300)).collect();
        assert_eq!(all.len(), 3 * MOST as usize);
        assert!(all.iter().all(|number| number.0 > 1 << 30));
    }

    #[test]
    fn a_proof_of_many_parts_counts_them_and_names_those_that_fail() {
        let part = |n: usize, holds| {
            let proof = Proof { configured: "blackhole".to_owned(), achieved: format!("result {n}"), holds };
            (ResourceId(format!("i-{n}")), proof)
        };
        let few: Vec<_> = (1..3).map(|n| part(n, true)).collect();
        assert_eq!(proof("zone:isolate", &few).achieved, "i-1: result 1; i-2: result 2");
        let many: Vec<_> = (1..=100).map(|n| part(n, n != 7)).collect();
        let said = proof("zone:isolate", &many);
        assert_eq!(said.configured, "zone:isolate: blackhole, on 100 instances");
        assert_eq!(said.achieved, "on 99 of 100 it is there; for instance i-1: result 1; not on i-7: result 7");
        assert!(!said.holds);
        assert!(!proof("zone:isolate", &[]).holds, "nothing proves nothing");
    }
}
