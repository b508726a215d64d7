//! The kinds of Chaos Mesh with their keys, from the custom resource definitions of version 2.

mod faults;
mod machine;
mod workflow;

pub(super) use faults::KINDS;
pub(super) use workflow::{PHYSICAL_MACHINE, REMOTE_CLUSTER, SCHEDULE, STATUS_CHECK, WORKFLOW};

use crate::shape::{
    Keys,
    Shape::{self, List, Names, Text, Word},
    may, need,
};

/// A kind of fault.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Its key in a schedule or a workflow.
    pub(super) key: &'static str,
    pub(super) spec: &'static Keys,
    /// Whether it chooses pods or machines.
    pub(super) selects: bool,
    /// What must be there besides: with an action ("" for all), one of these keys.
    pub(super) needs: &'static [(&'static str, &'static [&'static str])],
}

/// Values of `mode`.
const MODE: Shape = Word(&["one", "all", "fixed", "fixed-percent", "random-max-percent"]);

/// Names of labels, annotations or fields, and their values.
const LABELS: Shape = Names(&Text);

/// Names of pods or machines by namespace.
const BY_NAMESPACE: Shape = Names(&List(&Text));

/// Which pods or machines.
pub(super) const SELECTOR: Keys = Keys {
    what: "a selector",
    keys: &[
        may("namespaces", List(&Text)),
        may("labelSelectors", LABELS),
        may(
            "expressionSelectors",
            List(&Shape::Keys(&Keys {
                what: "an expression",
                keys: &[
                    need("key", Text),
                    need("operator", Word(&["In", "NotIn", "Exists", "DoesNotExist"])),
                    may("values", List(&Text)),
                ],
            })),
        ),
        may("annotationSelectors", LABELS),
        may("fieldSelectors", LABELS),
        may("nodes", List(&Text)),
        may("nodeSelectors", LABELS),
        may("podPhaseSelectors", List(&Word(&["Pending", "Running", "Succeeded", "Failed", "Unknown"]))),
        may("pods", BY_NAMESPACE),
        may("physicalMachines", BY_NAMESPACE),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_need_of_an_action_names_a_key_and_an_action_of_its_kind() {
        for kind in KINDS {
            let actions: &[&str] = match kind.spec.find("action").map(|key| key.shape) {
                Some(Word(actions)) => actions,
                _ => &[],
            };
            for (action, keys) in kind.needs {
                assert!(action.is_empty() || actions.contains(action), "{} {action}", kind.name);
                assert!(keys.iter().all(|key| kind.spec.find(key).is_some()), "{} {keys:?}", kind.name);
            }
        }
    }
}
