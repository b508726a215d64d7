//! Custom lenses that nobody here wrote.

use formats::{Kind, Options, ReadLens, lens};

use crate::corpus::shared;

/// Every lens of the corpus: name, bytes, and what was read.
fn each(mut visit: impl FnMut(&str, &[u8], ReadLens)) {
    let Some(shared) = shared() else { return };
    let mut files = 0;
    for entry in std::fs::read_dir(shared.join("corpus/lenses")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy();
        visit(&name, &bytes, formats::read_lens(&name, &bytes));
        files += 1;
    }
    assert!(files >= 10);
}

#[test]
fn every_lens_loads_and_is_printed_as_an_equal_document() {
    each(|name, bytes, read| {
        let shown = formats::render::terminal(&read.findings, &read.source, false);
        let lens = read.lens.unwrap_or_else(|| panic!("{name}:\n{shown}"));
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let value: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        assert_eq!(lens::to_json(&lens), value, "{name}");
        let printed: serde_json::Value = serde_json::from_str(&lens::print(&lens)).unwrap();
        assert_eq!(printed, value, "{name}");
    });
}

#[test]
fn every_published_lens_is_exported_strictly_as_an_equal_document() {
    each(|name, bytes, read| {
        let lens = read.lens.unwrap();
        let exported = lens::export(name, &lens).unwrap_or_else(|refused| {
            let (findings, source) = *refused;
            panic!("{name}:\n{}", formats::render::terminal(&findings, &source, false))
        });
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let value: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&exported).unwrap(), value, "{name}");
        assert_eq!(lens::read_lens(name, exported.as_bytes()).lens.unwrap(), lens, "{name}");
    });
}

#[test]
fn the_checker_knows_a_lens_by_its_content() {
    let catalogue = crate::no_catalogue();
    each(|name, bytes, _| {
        let checked = formats::check(name, bytes, &Options::new(&catalogue));
        assert_eq!(checked.kind, Kind::Lens, "{name}");
        assert!(!formats::has_errors(&checked.findings), "{name}");
    });
}

#[test]
fn the_built_in_lens_has_the_published_ids_and_levels() {
    let Some(shared) = shared() else { return };
    let table = std::fs::read_to_string(shared.join("corpus/well-architected/wa_reliability_bps.tsv")).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split('\t').collect()).collect();
    let lens = lens::reliability();
    let practices: Vec<_> = lens
        .questions()
        .flat_map(|(_, question)| &question.choices)
        .filter(|choice| !choice.is_none_of_these())
        .map(|choice| {
            let level = choice.note("_level").unwrap();
            (choice.note("_practice").unwrap(), &level[..1], choice.id.as_str())
        })
        .collect();
    let published: Vec<_> = rows.iter().map(|row| (row[0], row[1], row[2])).collect();
    assert_eq!(practices, published);
    // Facts carry over, sentences do not.
    for row in &rows {
        assert!(lens.questions().all(|(_, question)| question.choices.iter().all(|choice| choice.title != row[3])));
    }
}
