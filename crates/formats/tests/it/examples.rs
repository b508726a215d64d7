//! The examples of the project are read without an error.

use std::path::Path;

use formats::{Options, Severity};

#[test]
fn every_example_is_read_without_an_error() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let catalogue = crate::some_catalogue();
    let mut files = 0;
    for folder in ["experiments", "fis", "labs", "policies"] {
        for entry in std::fs::read_dir(examples.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let checked = formats::check(&path.to_string_lossy(), &bytes, &Options::new(&catalogue));
            let errors = checked.findings.iter().any(|finding| finding.severity == Severity::Error);
            assert!(!errors, "{}", formats::render::terminal(&checked.findings, &checked.source, false));
            files += 1;
        }
    }
    assert!(files > 10);
}
