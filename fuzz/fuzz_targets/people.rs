//! Documents of other people: every kind is recognised by its keys, and looked at by its rules.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shaketable_fuzz::checked;

fuzz_target!(|bytes: &[u8]| {
    for head in HEADS {
        checked("fuzz.yaml", &[head.as_bytes(), bytes].concat());
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
