//! `report.json`: the whole record, for programs.
//!
//! The keys are those of [`Record`] in camelCase; enumerations are kebab-case words; a moment is a number of seconds since the
//! record's clock was started, a period an ISO 8601 duration. `format` is raised when a reader of older files would misunderstand a
//! newer one; keys may be added without that.
//!
//! | key | |
//! |---|---|
//! | `format` | version of this format |
//! | `document` | `name` and SHA-256 `hash` of what was run |
//! | `experiment` | the document as it was understood |
//! | `seed`, `started`, `ended` | the random choices; wall time of the start (RFC 3339); seconds it took |
//! | `status`, `statusReason`, `interrupted` | how it ended, in the words of AWS FIS |
//! | `verdict`, `reason` | `green`, `yellow`, `red`, `invalid` or `inconclusive`, and why in one sentence |
//! | `windows` | `window`, `from`, `to` |
//! | `clauses` | each with `claim`, `wanted`, the value in each window, `held`, `why` |
//! | `times` | `detectByBalancer`, `detectByAlarm`, `replace`, `recover`, `abort`: each `seconds`, `from`, `to`, `what` |
//! | `plan` | targets with the resources chosen, actions, guards |
//! | `actions`, `injections` | what became of them; injections with `proof` (configured, achieved) and `cleanliness` |
//! | `residue` | what is left, and the command that repairs it; empty: clean |
//! | `suggestions` | `what`, `why`, `change` |
//! | `previous` | the earlier run of the same document, and what is different; absent when there is none |
//! | `series` | metrics over time |
//! | `events` | everything that happened, in order |

use crate::Record;

/// A record as `report.json`.
///
/// # Errors
///
/// None that a record can cause: it has no map with keys that are not text.
pub fn json(record: &Record) -> serde_json::Result<String> {
    serde_json::to_string_pretty(record).map(|text| text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn its_keys_are_the_documented_ones() {
        let value: serde_json::Value = serde_json::from_str(&json(&sample::green()).unwrap()).unwrap();
        let documented: Vec<_> = include_str!("json.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! | `"))
            .flat_map(|line| {
                line.split('|').next().unwrap_or_default().split([',', ' ', '`']).filter(|word| !word.is_empty())
            })
            .collect();
        let keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, documented);
    }
}
