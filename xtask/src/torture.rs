//! `cargo xtask torture`: random experiments whose processes are killed at random; then nothing may be left.

use anyhow::{Context, Result, bail};

use crate::run;

/// So many, unless the call says otherwise: a minute or two.
const POINTS: u64 = 300;

/// Runs the torture of `crates/faults/tests/it/torture.rs`, with as many points as the call says.
pub(crate) fn torture(arguments: &[&str]) -> Result<()> {
    let (mut points, mut seed) = (POINTS, None);
    let mut arguments = arguments.iter();
    while let Some(flag) = arguments.next() {
        let mut number = || -> Result<u64> {
            let text = arguments.next().with_context(|| format!("{flag} needs a number"))?;
            text.parse().with_context(|| format!("`{text}` is no number"))
        };
        match *flag {
            "--points" => points = number()?,
            "--seed" => seed = Some(number()?),
            other => bail!("unknown option `{other}`; write cargo xtask torture [--points N] [--seed N]"),
        }
    }
    let mut env = vec![("TORTURE_POINTS", points.to_string())];
    env.extend(seed.map(|seed| ("TORTURE_SEED", seed.to_string())));
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let test = "torture::whatever_dies_and_whenever_nothing_is_left";
    let words = ["test", "-p", "shaketable-faults", "--test", "it", "--", "--exact", "--nocapture", test];
    run::run("cargo", &words, &env)?;
    println!("{points} points passed, 0 failed");
    Ok(())
}
