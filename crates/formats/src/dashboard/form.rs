//! The form of the body of a dashboard.

use crate::{
    decode::Reader,
    node::Node,
    shape::{
        self, Keys, Notation,
        Shape::{self, Any, Flag, Keys as Mapping, List, Text, Whole, Word},
        may, need,
    },
};

const BODY: Keys = Keys {
    what: "a dashboard",
    keys: &[
        need("widgets", List(&Mapping(&WIDGET))),
        may("start", Text),
        may("end", Text),
        may("periodOverride", Word(&["auto", "inherit"])),
        may("variables", Any),
    ],
};

/// A dashboard is 24 columns wide.
const WIDTH: i64 = 24;
/// Rows that it may have.
const HEIGHT: i64 = 1_000;

const WIDGET: Keys = Keys {
    what: "a widget",
    keys: &[
        need(
            "type",
            Word(&["metric", "text", "log", "alarm", "explorer", "custom", "alarms", "number", "trace", "metrics"]),
        ),
        need("properties", Any),
        may("x", Whole(0, WIDTH - 1)),
        may("y", Whole(0, i64::MAX)),
        may("width", Whole(1, WIDTH)),
        may("height", Whole(1, HEIGHT)),
        may("accountId", Any),
    ],
};

/// What a graph of metrics has.
const GRAPH: Keys = Keys {
    what: "a graph",
    keys: &[
        need("region", Text),
        may("metrics", List(&List(&Any))),
        may("annotations", Any),
        may("accountId", Text),
        may("end", Text),
        may("labels", Any),
        may("legend", Any),
        may("liveData", Flag),
        may("period", Whole(1, i64::MAX)),
        may("setPeriodToTimeRange", Flag),
        may("singleValueFullPrecision", Flag),
        may("sparkline", Flag),
        may("stacked", Flag),
        may("start", Text),
        may("stat", Text),
        may("table", Any),
        may("timezone", Text),
        may("title", Text),
        may("trend", Flag),
        may("view", Word(&["timeSeries", "singleValue", "gauge", "bar", "pie", "table"])),
        may("yAxis", Mapping(&Keys { what: "the axes", keys: &[may("left", AXIS), may("right", AXIS)] })),
    ],
};

const AXIS: Shape = Mapping(&Keys {
    what: "an axis",
    keys: &[may("label", Text), may("min", Shape::Number), may("max", Shape::Number), may("showUnits", Flag)],
});

/// Holds a body to its form.
pub(super) fn check(reader: &mut Reader<'_>, root: &Node) {
    shape::check(reader, Notation::Strict, root, Mapping(&BODY), "a dashboard");
    for widget in root.get("widgets").and_then(Node::as_sequence).unwrap_or_default() {
        if let (Some("metric"), Some(properties)) =
            (widget.get("type").and_then(Node::as_text), widget.get("properties"))
        {
            shape::check(reader, Notation::Strict, properties, Mapping(&GRAPH), "`properties`");
        }
    }
}
