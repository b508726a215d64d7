//! The figures of a month in words, for every form in which they are shown.

use std::path::Path;

use anyhow::{Context, Result};
use assess::{
    history::Direction,
    review::month::{Amount, Figure, Monthly},
};
use formats::incidents::{Given, read_history};
use model::{
    figures::{part, percent, span},
    incident::History,
};

use crate::terminal::{self, Style};

/// Reads a history of incidents; none where something is wrong with it, which is shown.
pub(super) fn read(file: &Path, style: Style) -> Result<Option<History>> {
    let name = file.display().to_string();
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {name}"))?;
    let read = read_history(&name, &bytes, &Given::default());
    terminal::err(&formats::render::terminal(&read.findings, &read.source, style.colour));
    Ok(read.history)
}

/// An amount as people read it.
pub(super) fn shown(amount: Amount) -> String {
    match amount {
        // A budget that was overdrawn is not near a whole.
        Amount::Share(share) if share > 1.0 => part(share),
        Amount::Share(share) => percent(share),
        Amount::Seconds(seconds) => span(seconds),
        Amount::Count(count) => count.to_string(),
    }
}

/// What was promised, nothing if nothing was.
pub(super) fn promised(figure: &Figure) -> String {
    figure.target.map(shown).unwrap_or_default()
}

/// What it was in the month before, and whether that is better now.
pub(super) fn before(figure: &Figure) -> String {
    let way = match figure.better {
        Some(true) => " (better now)",
        Some(false) => " (worse now)",
        None => "",
    };
    figure.before.map(|before| format!("{}{way}", shown(before))).unwrap_or_default()
}

/// Whether it gets better, in a sentence; none without a history.
pub(super) fn trend(monthly: &Monthly) -> Option<String> {
    let trend = monthly.trend?;
    let said = |direction: Option<Direction>, better: &str, worse: &str| match direction {
        None => "too few interruptions to tell, which takes four".to_owned(),
        Some(Direction::Better) => better.to_owned(),
        Some(Direction::Worse) => worse.to_owned(),
        Some(Direction::Unclear) => "no trend that luck would not explain".to_owned(),
    };
    Some(format!(
        "Over all that was observed, failures: {}; repairs: {}.",
        said(trend.failures, "become rarer", "become more frequent"),
        said(trend.repairs, "become shorter", "become longer")
    ))
}

/// The incidents of the month, a line each.
pub(super) fn incidents(monthly: &Monthly) -> Vec<String> {
    let line = |incident: &assess::review::month::Happened| {
        let cause = incident.cause.as_deref().map(|cause| format!(": {cause}")).unwrap_or_default();
        let day = incident.began.strftime("%Y-%m-%d");
        format!("{day} {}, {}{cause}", incident.title, span(incident.seconds))
    };
    monthly.incidents.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_as_people_read_them() {
        let all = [Amount::Share(0.997_11), Amount::Share(2.800_2), Amount::Seconds(7500.0), Amount::Count(3)];
        assert_eq!(all.map(shown), ["99.711 %", "280 %", "2 h 5 min", "3"]);
    }
}
