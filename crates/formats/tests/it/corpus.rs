//! FIS templates that nobody here wrote.

use std::path::Path;

use formats::{Kind, Options};

/// The folder with other people's files; it lies beside the project.
pub(crate) fn shared() -> Option<std::path::PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    if shared.is_dir() {
        return Some(shared);
    }
    assert!(std::env::var_os("CI").is_none(), "in CI the shared documents lie beside the project");
    eprintln!("skipped: the shared documents do not lie beside the project");
    None
}

#[test]
fn every_template_parses_and_prints_back_equal() {
    let Some(shared) = shared() else { return };
    let catalogue = crate::no_catalogue();
    let mut files = 0;
    for entry in std::fs::read_dir(shared.join("corpus/fis")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let read = formats::read_template(&path.to_string_lossy(), &bytes, &Options::new(&catalogue));
        let text = formats::render::terminal(&read.findings, &read.source, false);
        assert_eq!(read.kind, Kind::FisTemplate, "{}", path.display());
        let template = read.template.unwrap_or_else(|| panic!("{}:\n{text}", path.display()));
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(template.to_json(), value, "{}", path.display());
        files += 1;
    }
    assert!(files >= 10);
}
