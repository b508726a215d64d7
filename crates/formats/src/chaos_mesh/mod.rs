//! Manifests of Chaos Mesh (`chaos-mesh.org/v1alpha1`): keys in their places, and what a fault selects.

mod fault;
mod schema;
mod workflow;

use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    node::Node,
    shape::{self, Keys, Notation, Shape, may, need},
};
use schema::{KINDS, Kind, PHYSICAL_MACHINE, REMOTE_CLUSTER, SCHEDULE, STATUS_CHECK};

/// What every manifest has.
const MANIFEST: Keys = Keys {
    what: "a manifest",
    keys: &[
        need("apiVersion", Shape::Word(&["chaos-mesh.org/v1alpha1"])),
        need("kind", Shape::Text),
        need("metadata", Shape::Keys(&METADATA)),
        need("spec", Shape::Any),
        may("status", Shape::Any),
    ],
};

/// What Kubernetes knows of every object, as far as people write it or it is answered.
const METADATA: Keys = Keys {
    what: "the metadata",
    keys: &[
        may("name", Shape::Text),
        may("generateName", Shape::Text),
        may("namespace", Shape::Text),
        may("labels", Shape::Names(&Shape::Text)),
        may("annotations", Shape::Names(&Shape::Text)),
        may("finalizers", Shape::List(&Shape::Text)),
        may("ownerReferences", Shape::Any),
        may("creationTimestamp", Shape::Any),
        may("deletionGracePeriodSeconds", Shape::Any),
        may("deletionTimestamp", Shape::Any),
        may("generation", Shape::Any),
        may("managedFields", Shape::Any),
        may("resourceVersion", Shape::Any),
        may("selfLink", Shape::Any),
        may("uid", Shape::Any),
    ],
};

/// What the controllers make themselves; nobody writes it.
const MADE: &[&str] = &["WorkflowNode", "PodHttpChaos", "PodIOChaos", "PodNetworkChaos"];

/// What people write besides faults.
const OTHERS: &[&str] = &["Schedule", "Workflow", "StatusCheck", "PhysicalMachine", "RemoteCluster"];

/// Looks at a manifest.
pub(crate) fn check(reader: &mut Reader<'_>, root: &Node) {
    let name = root.get("kind").and_then(Node::as_text).unwrap_or_default();
    if MADE.contains(&name) {
        return;
    }
    shape::check(reader, Notation::Strict, root, Shape::Keys(&MANIFEST), "a manifest");
    let Some(kind) = root.get("kind") else { return };
    if Kind::find(name).is_none() && !OTHERS.contains(&name) {
        let finding = Finding::new(&codes::WRONG_VALUE, kind.span, format!("Chaos Mesh has no kind `{name}`"));
        let known = KINDS.iter().map(|kind| kind.name).chain(OTHERS.iter().copied());
        reader.report(match reader.near(name, known) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding.help("look at the kinds of chaos-mesh.org/v1alpha1"),
        });
        return;
    }
    let Some(spec) = root.get("spec").filter(|spec| !spec.is_null()) else { return };
    let hold = |reader: &mut Reader<'_>, keys| {
        shape::check(reader, Notation::Strict, spec, Shape::Keys(keys), "`spec`");
    };
    match name {
        "Schedule" => {
            hold(reader, &SCHEDULE);
            workflow::schedule(reader, spec);
        }
        "Workflow" => workflow::check(reader, spec),
        "StatusCheck" => hold(reader, &STATUS_CHECK),
        "PhysicalMachine" => hold(reader, &PHYSICAL_MACHINE),
        "RemoteCluster" => hold(reader, &REMOTE_CLUSTER),
        name => {
            if let Some(known) = Kind::find(name) {
                fault::check(reader, known, spec);
            }
        }
    }
}

/// Looks at the spec of a fault of this kind; other specs are other people's.
pub(crate) fn spec(reader: &mut Reader<'_>, kind: &str, spec: &Node) {
    if let Some(known) = Kind::find(kind) {
        fault::check(reader, known, spec);
    }
}
