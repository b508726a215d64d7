//! The numbers of the source documents that findings compute: row by row of the inventory, what the finding says.

use crate::{defects::check, seeds::seed};

/// Row, seed, line, code, and the figures as the finding has them.
const ROWS: [(&str, &str, usize, &str, &str); 6] = [
    ("N-03", "000", 637, "R401", "at least 97,"),
    ("N-16", "003", 542, "R107", "3 checks every 30 s find a failure after 1 min to more than 1 min 30 s"),
    ("N-17", "003", 555, "R114", "1 min 30 s to notice and 3 min for the longest step are 4 min 30 s of 5 min"),
    ("N-20", "003", 751, "R119", "33 s together"),
    ("N-20", "003", 751, "R119", "a probe gives up after 3 s"),
    ("N-41", "004", 2181, "R910", "90 days, and its 12 weeks are 84 days"),
];

#[test]
fn findings_say_the_numbers_of_their_rows() {
    for (row, number, line, code, figures) in ROWS {
        let Some(text) = seed(number) else { return };
        let checked = check("seed.md", text.as_bytes());
        let finding = checked.findings.iter().find(|finding| finding.line == line && finding.code.id == code);
        let finding = finding.unwrap_or_else(|| panic!("row \"{row}\": no {code} in line {line} of {number}"));
        let said = format!("{} {}", finding.message, finding.help.as_deref().unwrap_or_default());
        assert!(said.contains(figures), "row \"{row}\": {said}");
    }
}
