//! The options of a pipeline in a document: their names, what each may be, and the making of [`Options`].

use std::time::Duration;

use super::{
    node::{Node, Value},
    problem::Problem,
    shape::{Field, Shape, Table, join, range},
};
use crate::{
    breaker::{Breaker, Rate, Slow, Trip, Window},
    bulkhead::{Adaptive, Algorithm, Bulkhead, Limit},
    chaos::Chaos,
    hedge::Hedge,
    pipeline::Options,
    rate_limit::RateLimit,
    retry::{Backoff, Budget, Jitter, Retry},
    shed::Shed,
};

const COUNT: Shape = Shape::Whole { min: 0, max: u32::MAX as u64 };
const POSITIVE: Shape = Shape::Whole { min: 1, max: u32::MAX as u64 };

/// The options of one pipeline.
pub(crate) const PIPELINE: &[Field] = &[
    Field {
        name: "overall_timeout",
        shape: Shape::Duration,
        about: "The limit on a call with all its attempts and pauses. Without it there is none.",
    },
    Field {
        name: "attempt_timeout",
        shape: Shape::Duration,
        about: "The limit on each attempt. Without it there is none.",
    },
    Field { name: "retry", shape: Shape::Table(RETRY), about: "Repeats failed attempts." },
    Field { name: "breaker", shape: Shape::Table(BREAKER), about: "Leaves the dependency alone when it fails." },
    Field { name: "bulkhead", shape: Shape::Table(BULKHEAD), about: "Limits how many attempts are under way." },
    Field { name: "hedge", shape: Shape::Table(HEDGE), about: "Asks once more when an answer is late." },
    Field {
        name: "rate_limit",
        shape: Shape::Table(RATE_LIMIT),
        about: "Limits how many attempts are made in a time.",
    },
    Field { name: "shed", shape: Shape::Table(SHED), about: "Refuses calls early when too many are under way." },
    Field { name: "chaos", shape: Shape::Table(CHAOS), about: "Faults on purpose, for some of the attempts." },
];

const RETRY: &[Field] = &[
    Field {
        name: "max_attempts",
        shape: POSITIVE,
        about: "Attempts in all, the first included. 3 unless told otherwise.",
    },
    Field {
        name: "backoff",
        shape: Shape::Word(&["constant", "linear", "exponential"]),
        about: "How pauses grow. Exponentially unless told otherwise.",
    },
    Field {
        name: "factor",
        shape: Shape::Number,
        about: "What exponential pauses are multiplied with: at least 1, 2 unless told otherwise.",
    },
    Field { name: "base_delay", shape: Shape::Duration, about: "The first pause. 100ms unless told otherwise." },
    Field {
        name: "max_delay",
        shape: Shape::Duration,
        about: "The longest pause, jitter included. 20s unless told otherwise.",
    },
    Field {
        name: "jitter",
        shape: Shape::Either(&[Shape::Word(&["none", "full", "equal", "decorrelated"]), Shape::Range]),
        about: "How pauses are scattered: full unless told otherwise; two numbers multiply the pause with something between them.",
    },
    Field {
        name: "max_retry_after",
        shape: Shape::Duration,
        about: "The longest Retry-After of the dependency that is waited for. 60s unless told otherwise.",
    },
    Field {
        name: "budget",
        shape: Shape::Either(&[Shape::Word(&["none"]), Shape::Table(BUDGET)]),
        about: "What all calls together may retry. A tenth of the calls unless told otherwise; `none` is without limit.",
    },
];

const BUDGET: &[Field] = &[
    Field {
        name: "ratio",
        shape: Shape::Either(&[Shape::Number, Shape::Part]),
        about: "Retries for each call. 0.1 unless told otherwise.",
    },
    Field { name: "min_per_second", shape: COUNT, about: "Retries each second in any case. 1 unless told otherwise." },
    Field { name: "burst", shape: POSITIVE, about: "Retries that are saved up at most. 10 unless told otherwise." },
];

const BREAKER: &[Field] = &[
    Field {
        name: "consecutive_failures",
        shape: POSITIVE,
        about: "It opens on so many failures with no success between them. 5 unless told otherwise, if there is no failure_rate.",
    },
    Field {
        name: "failure_rate",
        shape: Shape::Part,
        about: "It opens when this part of the calls in the window failed.",
    },
    Field {
        name: "window",
        shape: Shape::Either(&[POSITIVE, Shape::Duration]),
        about: "For failure_rate: the last so many calls, or those of this last time. 100 calls unless told otherwise.",
    },
    Field {
        name: "minimum_calls",
        shape: POSITIVE,
        about: "For failure_rate: no conclusion is drawn from fewer calls. 100 unless told otherwise.",
    },
    Field { name: "slow_calls", shape: Shape::Table(SLOW), about: "For failure_rate: it opens on slow calls too." },
    Field { name: "open_for", shape: Shape::Duration, about: "How long it stays open. 60s unless told otherwise." },
    Field {
        name: "open_growth",
        shape: Shape::Number,
        about: "What that time is multiplied with each time trials fail: at least 1, 1 unless told otherwise.",
    },
    Field {
        name: "max_open_for",
        shape: Shape::Duration,
        about: "The longest it stays open. 30d unless told otherwise.",
    },
    Field {
        name: "trials",
        shape: POSITIVE,
        about: "How many calls decide whether it closes again. 1 unless told otherwise, with failure_rate 10.",
    },
];

const SLOW: &[Field] = &[
    Field { name: "from", shape: Shape::Duration, about: "A call is slow that takes at least this. To be given." },
    Field { name: "rate", shape: Shape::Part, about: "The part of slow calls at which it opens. To be given." },
];

const BULKHEAD: &[Field] = &[
    Field {
        name: "limit",
        shape: Shape::Either(&[POSITIVE, Shape::Table(ADAPTIVE)]),
        about: "How many calls may be under way: a number, or a table for a limit that finds itself. To be given.",
    },
    Field { name: "queue", shape: COUNT, about: "How many more may wait. 0 unless told otherwise." },
    Field { name: "queue_timeout", shape: Shape::Duration, about: "How long each may wait. To be given with a queue." },
    Field {
        name: "controlled_delay",
        shape: Shape::Duration,
        about: "How long each may wait while the queue has not been empty for queue_timeout.",
    },
];

const HEDGE: &[Field] = &[
    Field {
        name: "after",
        shape: Shape::Duration,
        about: "How long to wait for an answer. To be given; with a percentile, until that is known.",
    },
    Field {
        name: "percentile",
        shape: Shape::Part,
        about: "Wait as long as this part of the answers takes: 95%. Without it always as long as `after`.",
    },
    Field { name: "max_hedges", shape: POSITIVE, about: "How many times to ask again. 1 unless told otherwise." },
    Field {
        name: "budget",
        shape: Shape::Either(&[Shape::Word(&["none"]), Shape::Table(BUDGET)]),
        about: "What all calls together may send. A tenth of the calls unless told otherwise; `none` is without limit.",
    },
];

const RATE_LIMIT: &[Field] = &[
    Field { name: "calls", shape: POSITIVE, about: "So many attempts. To be given." },
    Field { name: "per", shape: Shape::Duration, about: "In this time. 1s unless told otherwise." },
    Field { name: "burst", shape: POSITIVE, about: "How many of them may come at once. 1 unless told otherwise." },
    Field {
        name: "max_wait",
        shape: Shape::Duration,
        about: "How long one that comes too early waits. 0s unless told otherwise.",
    },
];

const SHED: &[Field] = &[
    Field { name: "max_in_flight", shape: POSITIVE, about: "How many calls may be under way. To be given." },
    Field {
        name: "normal",
        shape: Shape::Part,
        about: "Up to which part of them normal calls are let in. 0.9 unless told otherwise.",
    },
    Field {
        name: "sheddable",
        shape: Shape::Part,
        about: "Up to which part of them sheddable calls are let in. 0.5 unless told otherwise.",
    },
];

const CHAOS: &[Field] = &[
    Field {
        name: "latency_rate",
        shape: Shape::Part,
        about: "The part of attempts that is late. 0 unless told otherwise.",
    },
    Field {
        name: "min_latency",
        shape: Shape::Duration,
        about: "They are late by at least this. 0s unless told otherwise.",
    },
    Field {
        name: "max_latency",
        shape: Shape::Duration,
        about: "They are late by at most this. As min_latency unless told otherwise.",
    },
    Field {
        name: "error_rate",
        shape: Shape::Part,
        about: "The part of attempts that fails. 0 unless told otherwise.",
    },
    Field {
        name: "outcome_rate",
        shape: Shape::Part,
        about: "The part of attempts whose result is made up. 0 unless told otherwise.",
    },
];

const ADAPTIVE: &[Field] = &[
    Field {
        name: "algorithm",
        shape: Shape::Word(&["aimd", "gradient"]),
        about: "How the limit is found. By gradient unless told otherwise.",
    },
    Field { name: "initial", shape: POSITIVE, about: "What it is in the beginning. 20 unless told otherwise." },
    Field { name: "min", shape: POSITIVE, about: "It is never less. 1 unless told otherwise." },
    Field { name: "max", shape: POSITIVE, about: "It is never more. 200 unless told otherwise." },
    Field {
        name: "decrease",
        shape: Shape::Number,
        about: "For aimd: what it is multiplied with on a loss. 0.9 unless told otherwise.",
    },
    Field {
        name: "tolerance",
        shape: Shape::Number,
        about: "For gradient: how much slower than usual is as usual. 1.5 unless told otherwise.",
    },
    Field {
        name: "smoothing",
        shape: Shape::Number,
        about: "For gradient: how much of each new value is believed. 0.2 unless told otherwise.",
    },
];

/// Makes the options of a table that was found right in its parts; what does not go together is a problem.
pub(crate) fn pipeline(node: &Node, path: &str, problems: &mut Vec<Problem>) -> Options {
    let mut missing = |inner: &str, what: &str| {
        let place = find(node, inner).and_then(|node| node.place).or(node.place);
        problems.push(Problem { path: join_all(path, inner), place, what: what.to_owned() });
    };
    let table = Table(node);
    let options = Options {
        overall_timeout: table.duration("overall_timeout"),
        attempt_timeout: table.duration("attempt_timeout"),
        retry: table.table("retry").map(retry),
        breaker: table.table("breaker").map(|table| breaker(table, &mut missing)),
        bulkhead: table.table("bulkhead").map(|table| bulkhead(table, &mut missing)),
        hedge: table.table("hedge").map(|table| hedge(table, &mut missing)),
        rate_limit: table.table("rate_limit").map(|table| rate_limit(table, &mut missing)),
        shed: table.table("shed").map(|table| shed(table, &mut missing)),
        chaos: table.table("chaos").map(chaos),
    };
    if let Err(invalid) = options.validate() {
        let place = find(node, invalid.option).and_then(|node| node.place).or(node.place);
        let what = format!("cannot be {}: it must be {}", invalid.given, invalid.expected);
        problems.push(Problem { path: join_all(path, invalid.option), place, what });
    }
    options
}

fn retry(table: Table<'_>) -> Retry {
    // A tenth of a second: about a round trip around the world, which is what most transient failures last at least.
    let default = Retry::exponential(Duration::from_millis(100));
    let base_delay = table.duration("base_delay").unwrap_or(default.base_delay);
    let backoff = match table.text("backoff") {
        Some("constant") => Backoff::Constant,
        Some("linear") => Backoff::Linear,
        _ => Backoff::Exponential { factor: table.number("factor").unwrap_or(2.0) },
    };
    let jitter = match (table.text("jitter"), table.get("jitter").and_then(range)) {
        (Some("none"), _) => Jitter::None,
        (Some("equal"), _) => Jitter::Equal,
        (Some("decorrelated"), _) => Jitter::Decorrelated,
        (_, Some((low, high))) => Jitter::Proportional { low, high },
        (_, None) => Jitter::Full,
    };
    Retry {
        max_attempts: table.small("max_attempts").unwrap_or(default.max_attempts),
        backoff,
        base_delay,
        max_delay: table.duration("max_delay").unwrap_or_else(|| default.max_delay.max(base_delay)),
        jitter,
        max_retry_after: table.duration("max_retry_after").unwrap_or(default.max_retry_after),
        budget: budget(table),
    }
}

/// The budget of a strategy: the standard one unless told otherwise.
fn budget(strategy: Table<'_>) -> Option<Budget> {
    let standard = Budget::standard();
    if strategy.text("budget").is_some() {
        return None; // The only word there is.
    }
    let Some(table) = strategy.table("budget") else { return Some(standard) };
    let ratio = table.part("ratio").or_else(|| table.number("ratio"));
    Some(Budget {
        // More than a document can mean is refused by the budget itself.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and is not negative")]
        ratio_permille: ratio.map_or(standard.ratio_permille, |ratio| (ratio * 1000.0).round() as u32),
        min_per_second: table.small("min_per_second").unwrap_or(standard.min_per_second),
        burst: table.small("burst").unwrap_or(standard.burst),
    })
}

fn breaker(table: Table<'_>, missing: &mut impl FnMut(&str, &str)) -> Breaker {
    let rate = table.part("failure_rate");
    let consecutive = table.small("consecutive_failures");
    if rate.is_some() && consecutive.is_some() {
        missing(
            "breaker.consecutive_failures",
            "cannot stand beside failure_rate: a breaker opens on the one or the other",
        );
    }
    if rate.is_none() {
        for option in ["window", "minimum_calls", "slow_calls"] {
            if table.get(option).is_some() {
                let what = "means nothing without failure_rate: consecutive failures have no window";
                missing(&format!("breaker.{option}"), what);
            }
        }
    }
    let mut breaker = match rate {
        Some(rate) => Breaker::failure_rate(rate),
        // The threshold of most introductions to the pattern.
        None => Breaker::consecutive_failures(consecutive.unwrap_or(5)),
    };
    if let Trip::Rate(rate) = &mut breaker.trip {
        fill_rate(rate, table, missing);
    }
    breaker.open_for = table.duration("open_for").unwrap_or(breaker.open_for);
    breaker.open_growth = table.number("open_growth").unwrap_or(breaker.open_growth);
    breaker.max_open_for = table.duration("max_open_for").unwrap_or(breaker.max_open_for);
    breaker.trials = table.small("trials").unwrap_or(breaker.trials);
    breaker
}

fn fill_rate(rate: &mut Rate, table: Table<'_>, missing: &mut impl FnMut(&str, &str)) {
    rate.window = match (table.small("window"), table.duration("window")) {
        (Some(calls), _) => Window::Calls(calls),
        (None, Some(time)) => Window::Time(time),
        (None, None) => rate.window,
    };
    rate.minimum_calls = table.small("minimum_calls").unwrap_or(rate.minimum_calls);
    if let Some(slow) = table.table("slow_calls") {
        match (slow.duration("from"), slow.part("rate")) {
            (Some(from), Some(part)) => rate.slow = Some(Slow { from, rate: part }),
            (None, _) => missing("breaker.slow_calls", "needs `from`: how long a slow call takes"),
            (_, None) => missing("breaker.slow_calls", "needs `rate`: the part of slow calls at which it opens"),
        }
    }
}

fn bulkhead(table: Table<'_>, missing: &mut impl FnMut(&str, &str)) -> Bulkhead {
    let limit = match (table.small("limit"), table.table("limit")) {
        (Some(places), _) => Limit::Fixed(places),
        (None, Some(table)) => Limit::Adaptive(adaptive(table)),
        (None, None) => {
            missing("bulkhead", "needs `limit`: how many calls may be under way");
            Limit::Fixed(1)
        }
    };
    Bulkhead {
        limit,
        queue: table.small("queue").unwrap_or(0),
        queue_timeout: table.duration("queue_timeout").unwrap_or_default(),
        controlled_delay: table.duration("controlled_delay"),
    }
}

fn hedge(table: Table<'_>, missing: &mut impl FnMut(&str, &str)) -> Hedge {
    let after = table.duration("after").unwrap_or_else(|| {
        missing("hedge", "needs `after`: how long to wait for an answer before asking again");
        Duration::from_secs(1)
    });
    let standard = match table.part("percentile") {
        Some(percentile) => Hedge::at_percentile(percentile, after),
        None => Hedge::after(after),
    };
    Hedge { max_hedges: table.small("max_hedges").unwrap_or(1), budget: budget(table), ..standard }
}

fn rate_limit(table: Table<'_>, missing: &mut impl FnMut(&str, &str)) -> RateLimit {
    let calls = table.small("calls").unwrap_or_else(|| {
        missing("rate_limit", "needs `calls`: how many attempts are let through");
        1
    });
    RateLimit {
        calls,
        per: table.duration("per").unwrap_or(Duration::from_secs(1)),
        burst: table.small("burst").unwrap_or(1),
        max_wait: table.duration("max_wait").unwrap_or_default(),
    }
}

fn shed(table: Table<'_>, missing: &mut impl FnMut(&str, &str)) -> Shed {
    let calls = table.small("max_in_flight").unwrap_or_else(|| {
        missing("shed", "needs `max_in_flight`: how many calls may be under way");
        1
    });
    let standard = Shed::at(calls);
    Shed {
        normal: table.part("normal").unwrap_or(standard.normal),
        sheddable: table.part("sheddable").unwrap_or(standard.sheddable),
        ..standard
    }
}

fn chaos(table: Table<'_>) -> Chaos {
    let min_latency = table.duration("min_latency").unwrap_or_default();
    Chaos {
        latency_rate: table.part("latency_rate").unwrap_or(0.0),
        min_latency,
        max_latency: table.duration("max_latency").unwrap_or(min_latency),
        error_rate: table.part("error_rate").unwrap_or(0.0),
        outcome_rate: table.part("outcome_rate").unwrap_or(0.0),
    }
}

fn adaptive(table: Table<'_>) -> Adaptive {
    let initial = table.small("initial").unwrap_or(20);
    let (min, max) = (table.small("min").unwrap_or(1), table.small("max").unwrap_or_else(|| initial.max(200)));
    let mut adaptive = match table.text("algorithm") {
        Some("aimd") => Adaptive::aimd(initial, min, max),
        _ => Adaptive::gradient(initial, min, max),
    };
    match &mut adaptive.algorithm {
        Algorithm::Aimd(aimd) => aimd.decrease = table.number("decrease").unwrap_or(aimd.decrease),
        Algorithm::Gradient(gradient) => {
            gradient.tolerance = table.number("tolerance").unwrap_or(gradient.tolerance);
            gradient.smoothing = table.number("smoothing").unwrap_or(gradient.smoothing);
        }
    }
    adaptive
}

/// The value at a path, or what stands nearest above it: `breaker.window.calls` is a `window` in the document.
fn find<'n>(node: &'n Node, path: &str) -> Option<&'n Node> {
    let mut found = node;
    for key in path.split('.') {
        match found.get(key) {
            Some(next) if next.value != Value::Null => found = next,
            _ => break,
        }
    }
    Some(found)
}

fn join_all(path: &str, inner: &str) -> String {
    inner.split('.').fold(path.to_owned(), |path, key| join(&path, key))
}
