//! What a finding is about, at length: one page for every code, for the documentation and for `shaketable explain`.

use crate::{
    codes::CODES,
    finding::{Code, Severity},
};

/// Families of codes by the first characters of their ids, in the order of the index.
const FAMILIES: &[(&str, &str)] = &[
    ("F", "Documents of experiments and labs"),
    ("I", "Incidents"),
    ("L", "Lenses"),
    ("R0", "Reviews"),
    ("R1", "Names, health checks and failover"),
    ("R2", "Alarms, metrics and dashboards"),
    ("R3", "Stacks"),
    ("R4", "Backups and restores"),
    ("R5", "Runbooks and response plans"),
    ("R6", "Chaos Mesh"),
    ("R7", "Scripts"),
    ("R8", "Retries, breakers and fallbacks in programs"),
    ("R9", "Objectives, figures and texts"),
    ("W", "Workloads"),
];

/// The code with this id or name; letter case does not count.
#[must_use]
pub fn find(wanted: &str) -> Option<&'static Code> {
    CODES.iter().copied().find(|code| code.id.eq_ignore_ascii_case(wanted) || code.name.eq_ignore_ascii_case(wanted))
}

/// What happens to whoever leaves it as it is.
#[must_use]
pub fn consequence(code: &Code) -> &'static str {
    match code.severity {
        _ if !code.consequence.is_empty() => code.consequence,
        Severity::Error => {
            "The document cannot be used: nothing of it is run here, and whoever else reads it refuses it, or does something else than was meant."
        }
        Severity::Warning => "The document can be used, and probably does something else than was meant.",
        Severity::Note => "Nothing breaks; it is worth knowing before the next step.",
    }
}

/// The page of a code, in Markdown: cause, consequence, cure.
#[must_use]
pub fn page(code: &Code) -> String {
    format!(
        "# {} {}\n\nUsually: {}.\n\n## Cause\n\n{}\n\n## Consequence\n\n{}\n\n## Cure\n\n{}\n",
        code.id,
        code.name,
        match code.severity {
            Severity::Error => "an error",
            Severity::Warning => "a warning",
            Severity::Note => "a note",
        },
        code.about,
        consequence(code),
        code.cure
    )
}

/// The index of all codes, in Markdown, with links to their pages in the folder `findings`.
#[must_use]
pub fn index() -> String {
    let mut text = String::from(
        "# Findings\n\nWhat `shaketable check` finds, in one's own documents and in those that people have already. A code keeps its \
         meaning for ever; `shaketable explain CODE` shows its page in the terminal.\n",
    );
    for (start, title) in FAMILIES {
        let of_family = || CODES.iter().filter(|code| code.id.starts_with(start));
        if of_family().next().is_none() {
            continue;
        }
        text.extend(["\n## ", title, "\n\n| code | | what it means |\n|---|---|---|\n"]);
        for code in of_family() {
            let about = code.about.replace('|', "\\|");
            text.extend(["| [", code.id, "](findings/", code.id, ".md) | ", code.name, " | ", &about, " |\n"]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_in_the_index_once_and_has_a_page() {
        let index = index();
        for code in CODES {
            assert_eq!(index.matches(&format!("[{}]", code.id)).count(), 1, "{}", code.id);
            let page = page(code);
            assert!(page.contains(code.about) && page.contains(code.cure) && page.contains("## Consequence"), "{page}");
            assert!(consequence(code).ends_with('.'), "{}", code.id);
        }
    }

    #[test]
    fn codes_are_found_by_id_and_by_name() {
        assert_eq!(find("r101").map(|code| code.id), Some("R101"));
        assert_eq!(find("Cold-Storage").map(|code| code.id), Some("R401"));
        assert_eq!(find("nothing"), None);
    }
}
