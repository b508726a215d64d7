//! Documents of other people: every kind is recognised by its keys, and looked at by its rules.
#![no_main]

use formats::{Finding, Options, Source};
use libfuzzer_sys::fuzz_target;
use model::catalogue::Catalogue;

fuzz_target!(|bytes: &[u8]| {
    let catalogue = Catalogue::default();
    let options = Options::new(&catalogue);
    for head in HEADS {
        let text = [head.as_bytes(), bytes].concat();
        let checked = formats::check("fuzz.yaml", &text, &options);
        shown(&checked.findings, &checked.source);
    }
});

/// Keys by which a kind is known.
const HEADS: &[&str] = &[
    "apiVersion: chaos-mesh.org/v1alpha1\nkind: NetworkChaos\nspec:\n",
    "apiVersion: chaos-mesh.org/v1alpha1\nkind: Workflow\nspec:\n",
    "apiVersion: v1\nkind: Pod\nspec:\n",
    "schemaVersion: '0.3'\nmainSteps:\n",
    "Changes:\n",
    "widgets:\n",
    "Statement:\n",
    "BackupPlanName: a\nRules:\n",
    "availability_requirement: 99.9%\n",
    "Hosted Zone: example.com\nFailure Threshold: 3\nHealth Check:\n",
    "",
];

/// Every finding stands in the text and can be shown in every form.
fn shown(findings: &[Finding], source: &Source) {
    for finding in findings {
        assert!(source.text().get(finding.span.range()).is_some(), "{finding:?}");
    }
    let text = formats::render::terminal(findings, source, true);
    assert_eq!(text.is_empty(), findings.is_empty());
    assert_eq!(formats::render::json(findings, source).as_array().map(Vec::len), Some(findings.len()));
}
