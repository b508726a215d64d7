//! Pipelines from a configuration that changes while they work: an open breaker stays open, what is wrong changes nothing,
//! and a person on call can overrule a breaker.
//!
//! ```text
//! cargo run -p shaketable-patterns --features toml --example registry
//! ```
//!
//! Texts stand for the versions of a file here; `registry::watch` reads a real one whenever it changes.

#![expect(clippy::print_stdout, reason = "it is what an example is for")]

use std::{error::Error, time::Duration};

use patterns::{
    Context, VirtualClock,
    registry::{Document, Force, Registry},
};

const FIRST: &str = r#"
[pipelines.users]
attempt_timeout = "500ms"
breaker = { consecutive_failures = 3, open_for = "30s" }

[pipelines.search]
bulkhead = { limit = 20 }
"#;

const SECOND: &str = r#"
[pipelines.users]
attempt_timeout = "250ms"
breaker = { consecutive_failures = 5, open_for = "30s" }

[pipelines.orders]
retry = { max_attempts = 3 }
"#;

const WRONG: &str = r#"
[pipelines.users]
atempt_timeout = "250ms"
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let clock = VirtualClock::new();
    let registry = Registry::new(clock.clone());
    registry.reload(&Document::from_toml(FIRST)?)?;
    let users = registry.get("users").ok_or("the document names it")?;
    let call = |works: bool| {
        let context = Context::idempotent();
        let answer = clock.run(users.call(&context, |_| async move { if works { Ok("Ada") } else { Err("refused") } }));
        println!("  {}", answer.map_or_else(|error| error.to_string(), ToOwned::to_owned));
    };

    println!("users is away:");
    (0..4).for_each(|_| call(false));
    println!("\n{}", registry.health());

    let changes = registry.reload(&Document::from_toml(SECOND)?)?;
    println!("reloaded: {:?} added, {:?} changed, {:?} removed", changes.added, changes.changed, changes.removed);
    println!("users is back, and its breaker still open:");
    call(true);

    if let Err(problems) = Document::from_toml(WRONG) {
        println!("\nnot reloaded: {problems}");
    }
    println!("attempts of users still end after {:?}", users.options().attempt_timeout.unwrap_or_default());

    println!("\nsomebody knows better than the breaker:");
    registry.force("users", Force::Closed)?;
    call(true);
    registry.force("users", Force::Reset)?;
    clock.advance(Duration::from_secs(1));
    println!("\n{}", registry.health());
    Ok(())
}
