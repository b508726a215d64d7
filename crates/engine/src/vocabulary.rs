//! The actions that the runner carries out itself.

use model::catalogue::{Entry, Parameter, ParameterKind, Reversibility};

pub(crate) const WAIT_ID: &str = "wait";
pub(crate) const ASSERT_ALARM_STATE_ID: &str = "assert-alarm-state";

/// The catalogue's entries for them.
pub const ENTRIES: &[Entry] = &[WAIT, ASSERT_ALARM_STATE];

const WAIT: Entry = Entry {
    id: WAIT_ID,
    about: "Waits, so that actions can be started one after the other.",
    targets: &[],
    parameters: &[Parameter {
        name: "duration",
        // As in FIS.
        kind: ParameterKind::Duration { min_seconds: 60, max_seconds: 43_200 },
        required: true,
        default: None,
        about: "How long to wait.",
    }],
    reversibility: Reversibility::Harmless,
    undone_by: "There is nothing to undo.",
    proven_by: "The record has its start and its end.",
    needs: &[],
    fis: &["aws:fis:wait"],
    chaos_mesh: None,
};

const ASSERT_ALARM_STATE: Entry = Entry {
    id: ASSERT_ALARM_STATE_ID,
    about: "Fails the experiment unless alarms are in one of the given states.",
    targets: &[],
    parameters: &[
        Parameter {
            name: "alarms",
            kind: ParameterKind::Text,
            required: true,
            default: None,
            about: "The alarms' names, separated by commas; FIS takes at most five.",
        },
        Parameter {
            name: "states",
            kind: ParameterKind::ListOf { values: &["OK", "ALARM", "INSUFFICIENT_DATA"] },
            required: true,
            default: None,
            about: "The states that are right, separated by commas.",
        },
    ],
    reversibility: Reversibility::Harmless,
    undone_by: "There is nothing to undo.",
    proven_by: "The record has the alarms' states.",
    needs: &[],
    fis: &["aws:cloudwatch:assert-alarm-state"],
    chaos_mesh: None,
};
