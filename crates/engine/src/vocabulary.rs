//! The actions that the runner carries out itself.

use model::catalogue::{Entry, Parameter, ParameterKind, Reversibility};

pub(crate) const WAIT_ID: &str = "wait";
pub(crate) const ASSERT_ALARM_STATE_ID: &str = "assert-alarm-state";

/// The catalogue's entries for them.
#[must_use]
pub const fn catalogue() -> &'static [&'static Entry] {
    &[&WAIT, &ASSERT_ALARM_STATE]
}

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
    exclusive: &[],
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
    exclusive: &[],
    fis: &["aws:cloudwatch:assert-alarm-state"],
    chaos_mesh: None,
};

#[cfg(test)]
mod tests {
    use super::catalogue;

    #[test]
    fn every_entry_says_what_it_is_in_sentences() {
        for entry in catalogue() {
            for sentence in [entry.about, entry.undone_by, entry.proven_by] {
                assert!(sentence.ends_with('.'), "{}: {sentence}", entry.id);
            }
            assert!(entry.parameters.iter().all(|parameter| parameter.about.ends_with('.')), "{}", entry.id);
        }
    }

    #[test]
    fn the_ids_are_those_that_documents_are_translated_to() {
        let parameters = [("duration", "PT1M"), ("alarmArns", "a"), ("alarmStates", "OK")];
        let parameters = parameters.map(|(key, value)| (key.to_owned(), value.to_owned()));
        for entry in catalogue() {
            let action_id = entry.fis[0].to_owned();
            let parameters = parameters.clone().into_iter().collect();
            let action = model::experiment::Action { action_id, parameters, ..Default::default() };
            let native = formats::fis::translate(&action).unwrap();
            assert_eq!(native.fault, entry.id);
            for name in native.parameters.keys() {
                assert!(entry.parameters.iter().any(|parameter| parameter.name == name), "{}: {name}", entry.id);
            }
        }
    }
}
