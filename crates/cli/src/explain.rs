//! `shaketable explain`: what a finding is about.

use std::process::ExitCode;

use anyhow::{Result, bail};
use formats::CODES;

use crate::{args::Explain, terminal};

/// Prints the page of a code, or the list of all.
pub(crate) fn explain(call: &Explain) -> Result<ExitCode> {
    let Some(wanted) = &call.code else {
        let width = CODES.iter().map(|code| code.name.len()).max().unwrap_or_default();
        let lines = CODES.iter().map(|code| format!("{} {:width$}  {}\n", code.id, code.name, code.about));
        terminal::out(&lines.collect::<String>());
        return Ok(ExitCode::SUCCESS);
    };
    let Some(code) = formats::explain::find(wanted) else {
        match model::nearest::nearest(wanted, CODES.iter().flat_map(|code| [code.id, code.name])) {
            Some(near) => bail!("no finding is called `{wanted}`; did you mean `{near}`?"),
            None => bail!("no finding is called `{wanted}`; `shaketable explain` lists all"),
        }
    };
    terminal::out(&formats::explain::page(code));
    Ok(ExitCode::SUCCESS)
}
