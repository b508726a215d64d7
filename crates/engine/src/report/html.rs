//! `report.html`: one file that explains a run to people, on any screen and on paper.
//!
//! It refers to nothing outside itself and holds no script, and its content security policy says so: whatever text a document or a
//! process has contributed, a browser will neither fetch nor run anything. The style is `report.css`, the plots are inline SVG.
//! Every colour is accompanied by a shape or a word.

use std::fmt::{self, Formatter};

use model::{
    event::{Cleanliness, What},
    metric::Quantity,
    verdict::{Verdict, Window},
};

use super::{
    STYLE,
    escape::Markup,
    plot::{Paper, Plot, thin},
    plots::{Pictures, landmarks, pictures},
    sentence::{Tone, Topic, sentence},
    words::{seconds, sentence_case, wanted, whole_seconds},
};
use crate::{
    plan::Work,
    record::{Claim, ClauseResult, Held, InjectionRecord, Record, Took, WindowValue},
};

/// Rows of a plot's data table: what a person may still want to scroll through. `report.json` has all points.
const MOST_ROWS: usize = 200;

/// The page about a record; prints as an HTML document.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    record: &'a Record,
    /// The way from the page to the folder that [`record::Changes::report`](crate::record::Changes::report) starts from.
    root: &'a str,
}

impl<'a> Page<'a> {
    /// The page about a record that lies in the report folder itself.
    #[must_use]
    pub const fn new(record: &'a Record) -> Self {
        Self { record, root: "" }
    }

    /// The same page for another place: `root` is the relative way from there to the report folder, such as `../../`.
    #[must_use]
    pub const fn lying_in(record: &'a Record, root: &'a str) -> Self {
        Self { record, root }
    }
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let record = self.record;
        let title = format!("{}: {}", record.verdict, record.document.name);
        write!(
            f,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{}</title>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <style>\n{STYLE}",
            Markup(title)
        )?;
        // Filtering the timeline needs no script: a box that is not ticked hides its topic.
        for topic in Topic::ALL {
            let name = topic.name();
            writeln!(f, "body:has(#show-{name}:not(:checked)) .timeline .{name} {{ display: none; }}")?;
        }
        f.write_str("</style>\n</head>\n<body>\n")?;
        self.header(f)?;
        f.write_str("<main>\n")?;
        self.banner(f)?;
        self.glance(f)?;
        self.clauses(f)?;
        self.plots(f)?;
        self.hits(f)?;
        self.suggestions(f)?;
        self.previous(f)?;
        self.timeline(f)?;
        self.facts(f)?;
        let version = env!("CARGO_PKG_VERSION");
        write!(
            f,
            "</main>\n<footer>Written by Shaketable {version}. All times are seconds since the record’s clock was started.</footer>\n</body>\n</html>\n"
        )
    }
}

impl Page<'_> {
    fn header(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("<header class=\"top\">\n<span><strong>Shaketable</strong> ")?;
        write!(
            f,
            "{} · {}</span>\n<nav aria-label=\"Sections\"><ul>",
            Markup(&self.record.document.name),
            Markup(whole_seconds(&self.record.started))
        )?;
        let sections = [
            ("clauses", "Clauses", !self.record.clauses.is_empty()),
            ("plots", "Plots", !self.record.series.is_empty()),
            ("hits", "Hits", true),
            ("suggestions", "Suggestions", !self.record.suggestions.is_empty()),
            ("previous", "Earlier run", self.record.previous.is_some()),
            ("timeline", "Timeline", true),
            ("facts", "Facts", true),
        ];
        for (id, name, _) in sections.into_iter().filter(|(_, _, there)| *there) {
            write!(f, "<li><a href=\"#{id}\">{name}</a></li>")?;
        }
        f.write_str("</ul></nav>\n</header>\n")
    }

    fn banner(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let record = self.record;
        write!(
            f,
            "<div class=\"banner {}\">\n<p class=\"verdict\">{}{}</p>\n",
            record.verdict,
            Icon::of(record.verdict),
            record.verdict
        )?;
        writeln!(f, "<h1>{}</h1>", Markup(sentence_case(&record.reason)))?;
        if !record.experiment.description.is_empty() {
            writeln!(f, "<p class=\"what\">{}</p>", Markup(&record.experiment.description))?;
        }
        f.write_str("</div>\n")?;
        if record.interrupted {
            writeln!(
                f,
                "<p class=\"alert\" role=\"alert\"><strong>Interrupted.</strong> {}</p>",
                Markup(&record.status_reason)
            )?;
        }
        for residue in &record.residue {
            writeln!(
                f,
                "<p class=\"alert\" role=\"alert\"><strong>Not clean.</strong> {} of {} is left on <code>{}</code>. Repair it by <code>{}</code></p>",
                Markup(&residue.what),
                residue.injection,
                Markup(&residue.resource),
                Markup(&residue.repair)
            )?;
        }
        Ok(())
    }

    /// The figures a reader looks for first.
    fn glance(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let record = self.record;
        f.write_str("<dl class=\"glance\">\n")?;
        let judged: Vec<_> = record.clauses.iter().filter(|clause| clause.held.is_some()).collect();
        let held = judged.iter().filter(|clause| clause.held == Some(Held::Yes)).count();
        let never = record.clauses.len() - judged.len();
        let note = if never == 0 { String::new() } else { format!("{never} never judged") };
        figure(f, "Clauses held", &format!("{held} of {}", record.clauses.len()), &note)?;
        let achieved =
            record.injections.iter().filter(|one| one.proof.as_ref().is_some_and(|proof| proof.holds)).count();
        let begun = record.injections.len();
        let never = record.plan.injections().count().saturating_sub(begun);
        let note = if never == 0 { String::new() } else { format!("{never} planned, never begun") };
        figure(f, "Faults achieved", &format!("{achieved} of {begun}"), &note)?;
        let clean = match (record.residue.len(), record.injections.len()) {
            (_, 0) => ("nothing injected", ""),
            (0, _) if record.injections.iter().all(|one| one.cleanliness.is_some() || one.injected.is_none()) => {
                ("clean", "")
            }
            (0, _) => ("unknown", "not every fault is undone"),
            _ => ("not clean", "see above"),
        };
        figure(f, "Left behind", clean.0, clean.1)?;
        let times = &record.times;
        let detect = [&times.detect_by_balancer, &times.detect_by_alarm]
            .into_iter()
            .flatten()
            .min_by(|one, other| one.seconds.total_cmp(&other.seconds));
        for (name, took) in [
            ("Time to detect", detect),
            ("Time to replace", times.replace.as_ref()),
            ("Time to recover", times.recover.as_ref()),
            ("Time to abort", times.abort.as_ref()),
        ] {
            match took {
                Some(took) => figure(f, name, &seconds(took.seconds), "")?,
                // Only a guard aborts; that none fired is said elsewhere.
                None if name == "Time to abort" => {}
                None => figure(f, name, "", "")?,
            }
        }
        f.write_str("</dl>\n")
    }

    fn clauses(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let record = self.record;
        if record.clauses.is_empty() && record.experiment.hypothesis.statement.is_none() {
            return Ok(());
        }
        f.write_str("<section id=\"clauses\" aria-labelledby=\"clauses-h\">\n<h2 id=\"clauses-h\">Hypothesis</h2>\n")?;
        if let Some(statement) = &record.experiment.hypothesis.statement {
            writeln!(f, "<blockquote>{}</blockquote>", Markup(statement))?;
        }
        f.write_str(
            "<div class=\"card cards\"><table>\n<thead><tr><th scope=\"col\">Clause</th><th scope=\"col\">Wanted</th><th scope=\"col\">Baseline</th>\
             <th scope=\"col\">Fault</th><th scope=\"col\">Recovery</th><th scope=\"col\">Held</th></tr></thead>\n",
        )?;
        for (claim, heading) in [
            (Claim::SteadyState, "Steady state, before the fault"),
            (Claim::During, "During the fault and the recovery"),
            (Claim::Recovery, "Recovery, after the fault"),
        ] {
            let clauses: Vec<_> = record.clauses.iter().filter(|clause| clause.claim == claim).collect();
            if clauses.is_empty() {
                continue;
            }
            write!(f, "<tbody>\n<tr class=\"group\"><th colspan=\"6\" scope=\"rowgroup\">{heading}</th></tr>\n")?;
            clauses.iter().try_for_each(|clause| clause_row(f, clause))?;
            f.write_str("</tbody>\n")?;
        }
        f.write_str("</table></div>\n")?;
        self.times(f)?;
        f.write_str("</section>\n")
    }

    /// Where the times come from: from which event to which.
    fn times(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let times = &self.record.times;
        let rows: Vec<(&str, &Took)> = [
            ("Detect, by balancer", &times.detect_by_balancer),
            ("Detect, by alarm", &times.detect_by_alarm),
            ("Replace", &times.replace),
            ("Recover", &times.recover),
            ("Abort", &times.abort),
        ]
        .into_iter()
        .filter_map(|(name, took)| took.as_ref().map(|took| (name, took)))
        .collect();
        if rows.is_empty() {
            return Ok(());
        }
        f.write_str(
            "<h3>Times, computed from the events</h3>\n<div class=\"card cards times\"><table>\n<thead><tr><th scope=\"col\">Time to</th><th scope=\"col\">Took</th>\
             <th scope=\"col\">From</th><th scope=\"col\">Until</th><th scope=\"col\">Between</th></tr></thead>\n<tbody>\n",
        )?;
        for (name, took) in rows {
            writeln!(
                f,
                "<tr><th scope=\"row\">{name}</th><td data-label=\"Took\" class=\"decides\">{}</td><td data-label=\"From\">{}</td><td data-label=\"Until\">{}</td>\
                 <td data-label=\"Between\">{}</td></tr>",
                seconds(took.seconds),
                took.from,
                took.to,
                Markup(&took.what)
            )?;
        }
        f.write_str("</tbody></table></div>\n")
    }

    fn plots(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Pictures { lanes, plots } = pictures(self.record);
        if plots.is_empty() && lanes.is_none() {
            return Ok(());
        }
        f.write_str("<section id=\"plots\" aria-labelledby=\"plots-h\">\n<h2 id=\"plots-h\">What was seen</h2>\n<p class=\"lead\">The fault window is shaded. ")?;
        f.write_str("A dashed line is what a clause demands, where it demands it. The numbers are events of the <a href=\"#timeline\">timeline</a>.</p>\n<div class=\"plots\">\n")?;
        if let Some(lanes) = lanes {
            writeln!(
                f,
                "<figure><figcaption><h3>Faults in effect</h3></figcaption>{}{}</figure>",
                lanes.draw(Paper::WIDE),
                lanes.draw(Paper::NARROW)
            )?;
        }
        for plot in &plots {
            write!(f, "<figure><figcaption><h3>{}</h3>", Markup(&plot.title))?;
            // An empty drawing would only make the reader look for what is not there.
            if plot
                .traces
                .iter()
                .flat_map(|trace| &trace.points)
                .all(|point| point.value.is_none_or(|value| value == 0.0))
            {
                let samples = plot.traces.iter().map(|trace| trace.points.len()).max().unwrap_or_default();
                writeln!(
                    f,
                    "<span class=\"soft\">none: zero in each of {samples} samples</span></figcaption></figure>"
                )?;
                continue;
            }
            write!(f, "</figcaption>{}{}", plot.draw(Paper::WIDE), plot.draw(Paper::NARROW))?;
            data_table(f, plot)?;
            f.write_str("</figure>\n")?;
        }
        f.write_str("</div>\n</section>\n")
    }

    fn hits(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let record = self.record;
        f.write_str("<section id=\"hits\" aria-labelledby=\"hits-h\">\n<h2 id=\"hits-h\">Who was hit by what</h2>\n")?;
        if record.injections.is_empty() {
            return f.write_str("<p class=\"lead\">Nothing was injected.</p>\n</section>\n");
        }
        f.write_str(
            "<div class=\"card cards\"><table>\n<thead><tr><th scope=\"col\">Injection</th><th scope=\"col\">Configured</th><th scope=\"col\">Achieved</th>\
             <th scope=\"col\">Took hold</th><th scope=\"col\">In effect</th><th scope=\"col\">Left clean</th></tr></thead>\n<tbody>\n",
        )?;
        record.injections.iter().try_for_each(|injection| hit_row(f, injection))?;
        f.write_str("</tbody></table></div>\n</section>\n")
    }

    fn suggestions(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.record.suggestions.is_empty() {
            return Ok(());
        }
        f.write_str("<section id=\"suggestions\" aria-labelledby=\"suggestions-h\">\n<h2 id=\"suggestions-h\">What to do next</h2>\n<ol class=\"suggestions\">\n")?;
        for suggestion in &self.record.suggestions {
            write!(
                f,
                "<li><strong>{}</strong><span class=\"soft\">{}</span>",
                Markup(&suggestion.what),
                Markup(&suggestion.why)
            )?;
            if let Some(change) = &suggestion.change {
                write!(f, "<br><code>{}</code>", Markup(change))?;
            }
            f.write_str("</li>\n")?;
        }
        f.write_str("</ol>\n</section>\n")
    }

    fn previous(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(changes) = &self.record.previous else { return Ok(()) };
        f.write_str("<section id=\"previous\" aria-labelledby=\"previous-h\">\n<h2 id=\"previous-h\">Since the earlier run of this document</h2>\n<p class=\"lead\">")?;
        write!(
            f,
            "It ran at {} with seed {} and was {}.",
            Markup(whole_seconds(&changes.started)),
            changes.seed,
            changes.verdict
        )?;
        // Only a way within the report folder is a link: a scheme in it would lead elsewhere.
        if let Some(report) = changes.report.as_deref().filter(|report| !report.contains(':')) {
            write!(f, " <a href=\"{}{}\">Its report</a>", Markup(self.root), Markup(report))?;
        }
        f.write_str("</p>\n")?;
        if changes.lines.is_empty() {
            return f.write_str("<p>Nothing is different.</p>\n</section>\n");
        }
        f.write_str(
            "<div class=\"card cards\"><table>\n<thead><tr><th scope=\"col\">What</th><th scope=\"col\">Then</th><th scope=\"col\">Now</th></tr></thead>\n<tbody>\n",
        )?;
        for line in &changes.lines {
            writeln!(
                f,
                "<tr><th scope=\"row\">{}</th><td data-label=\"Then\">{}</td><td data-label=\"Now\" class=\"decides\">{}</td></tr>",
                Markup(&line.what),
                Markup(&line.before),
                Markup(&line.now)
            )?;
        }
        f.write_str("</tbody></table></div>\n</section>\n")
    }

    fn timeline(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let record = self.record;
        f.write_str("<section id=\"timeline\" aria-labelledby=\"timeline-h\">\n<h2 id=\"timeline-h\">Timeline</h2>\n<fieldset class=\"filters\"><legend>Show</legend>")?;
        for topic in Topic::ALL {
            let there = record.events.iter().filter(|event| Topic::of(&event.what) == topic).count();
            if there > 0 {
                let name = topic.name();
                write!(
                    f,
                    "<label><input type=\"checkbox\" id=\"show-{name}\" checked>{name} <span class=\"soft\">{there}</span></label>"
                )?;
            }
        }
        f.write_str("</fieldset>\n<div class=\"card\"><ol class=\"timeline\">\n")?;
        let mut landmarks = (1..).zip(landmarks(record)).peekable();
        for event in &record.events {
            let topic = Topic::of(&event.what).name();
            let tone = match Tone::of(&event.what) {
                Tone::Plain => "",
                Tone::Good => " good",
                Tone::Bad => " bad",
            };
            let window = if matches!(event.what, What::WindowBegan { .. }) { " window" } else { "" };
            write!(f, "<li class=\"{topic}{tone}{window}\"><time>{}</time><span class=\"at\">", event.at)?;
            if let Some((number, _)) = landmarks.next_if(|(_, landmark)| std::ptr::eq(*landmark, event)) {
                write!(f, "<span class=\"number\">{number}</span>")?;
            }
            writeln!(
                f,
                "</span><span class=\"body\"><span class=\"says\">{}</span> <span class=\"topic\">{topic}</span></span></li>",
                Markup(sentence(&event.what))
            )?;
        }
        f.write_str("</ol></div>\n</section>\n")
    }

    fn facts(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let record = self.record;
        f.write_str("<section id=\"facts\" aria-labelledby=\"facts-h\">\n<h2 id=\"facts-h\">Facts</h2>\n<div class=\"card\"><dl class=\"facts\">\n")?;
        let guards: Vec<_> = record
            .plan
            .guards
            .iter()
            .map(|guard| {
                let alarm = &guard.alarm;
                format!(
                    "{}: {} of {} {} {} for {} of {} periods of {}",
                    guard.name,
                    alarm.statistic,
                    alarm.metric,
                    alarm.comparison.sign(),
                    alarm.threshold,
                    alarm.datapoints_to_alarm,
                    alarm.evaluation_periods,
                    alarm.period
                )
            })
            .collect();
        let guards = match &record.plan.unguarded {
            Some(why) if guards.is_empty() => format!("none: {why}"),
            _ => guards.join("; "),
        };
        let windows: Vec<_> =
            record.windows.iter().map(|span| format!("{} {} to {}", span.window, span.from, span.to)).collect();
        let rows = [
            ("Document", record.document.name.clone()),
            ("SHA-256", record.document.hash.clone()),
            ("Started", record.started.clone()),
            ("Took", seconds(record.ended.as_secs_f64())),
            ("Status", format!("{}: {}", record.status, record.status_reason)),
            ("Exit code", record.exit_code().to_string()),
            ("Seed", format!("{} (--seed {0} repeats every random choice)", record.seed)),
            ("Windows", windows.join(", ")),
            ("Guards", guards),
            (
                "Lease",
                format!("{}: every fault ends by itself when it is not renewed for this long", record.plan.lease),
            ),
            ("Deadline", format!("{} after the start of the baseline", record.plan.deadline)),
        ];
        for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
            writeln!(f, "<dt>{name}</dt><dd>{}</dd>", Markup(value))?;
        }
        f.write_str("</dl></div>\n")?;
        self.targets(f)?;
        self.actions(f)?;
        let document = serde_json::to_string_pretty(&record.experiment).map_err(|_| fmt::Error)?;
        write!(
            f,
            "<details><summary>The experiment as it was understood</summary><div class=\"card\"><pre tabindex=\"0\">{}</pre></div></details>\n</section>\n",
            Markup(document)
        )
    }

    fn targets(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.record.plan.targets.is_empty() {
            return Ok(());
        }
        f.write_str(
            "<h3>Targets</h3>\n<div class=\"card cards\"><table>\n<thead><tr><th scope=\"col\">Target</th><th scope=\"col\">Type</th><th scope=\"col\">How</th>\
             <th scope=\"col\">Chosen</th></tr></thead>\n<tbody>\n",
        )?;
        for target in &self.record.plan.targets {
            let chosen: Vec<_> = target
                .chosen
                .iter()
                .map(|resource| {
                    resource
                        .zone
                        .as_ref()
                        .map_or_else(|| resource.id.to_string(), |zone| format!("{} in {zone}", resource.id))
                })
                .collect();
            let chosen = if chosen.is_empty() { "nothing".to_owned() } else { chosen.join(", ") };
            writeln!(
                f,
                "<tr><th scope=\"row\">{}</th><td data-label=\"Type\">{}</td><td data-label=\"How\">{} matching, {}</td><td data-label=\"Chosen\">{}</td></tr>",
                Markup(&target.name),
                Markup(&target.resource_type),
                target.matching,
                Markup(&target.how),
                Markup(chosen)
            )?;
        }
        f.write_str("</tbody></table></div>\n")
    }

    fn actions(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let record = self.record;
        if record.actions.is_empty() {
            return Ok(());
        }
        f.write_str(
            "<h3>Actions</h3>\n<div class=\"card cards\"><table>\n<thead><tr><th scope=\"col\">Action</th><th scope=\"col\">Does</th><th scope=\"col\">Began</th>\
             <th scope=\"col\">Ended</th><th scope=\"col\">Status</th></tr></thead>\n<tbody>\n",
        )?;
        for action in &record.actions {
            let does = record.plan.actions.iter().find(|planned| planned.name == action.name).map(|planned| {
                match &planned.work {
                    Work::Fault(fault) => {
                        let parameters: Vec<_> =
                            fault.parameters.iter().map(|(name, value)| format!("{name} {value}")).collect();
                        format!("{} ({}) on {} {}", planned.action_id, fault.fault, fault.target, parameters.join(", "))
                    }
                    Work::Wait { duration } => format!("waits for {duration}"),
                    Work::AssertAlarms { alarms, .. } => format!("asserts the state of {}", alarms.join(", ")),
                    Work::Skip { reason } => format!("nothing: {reason}"),
                }
            });
            let moment = |at: Option<model::Moment>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
            writeln!(
                f,
                "<tr><th scope=\"row\">{}</th><td data-label=\"Does\">{}</td><td data-label=\"Began\">{}</td><td data-label=\"Ended\">{}</td>\
                 <td data-label=\"Status\"><span>{}<span class=\"why\">{}</span></span></td></tr>",
                Markup(&action.name),
                Markup(does.unwrap_or_default()),
                moment(action.began),
                moment(action.ended),
                action.status,
                Markup(&action.reason)
            )?;
        }
        f.write_str("</tbody></table></div>\n")
    }
}

/// One figure at a glance; without a value it says so.
fn figure(f: &mut Formatter<'_>, name: &str, value: &str, note: &str) -> fmt::Result {
    let (class, value) = if value.is_empty() { (" class=\"none\"", "not seen") } else { ("", value) };
    write!(f, "<div><dt>{name}</dt><dd{class}>{}</dd>", Markup(value))?;
    if !note.is_empty() {
        write!(f, "<dd class=\"note\">{}</dd>", Markup(note))?;
    }
    f.write_str("</div>\n")
}

fn clause_row(f: &mut Formatter<'_>, clause: &ClauseResult) -> fmt::Result {
    write!(f, "<tr><th scope=\"row\"><code>{}</code>", Markup(&clause.metric))?;
    if !clause.why.is_empty() {
        write!(f, "<span class=\"why\">{}</span>", Markup(&clause.why))?;
    }
    write!(f, "</th><td data-label=\"Wanted\">{}</td>", Markup(wanted(clause)))?;
    for (window, value) in
        [(Window::Baseline, &clause.baseline), (Window::Fault, &clause.fault), (Window::Recovery, &clause.recovery)]
    {
        let decides = matches!(
            (clause.claim, window),
            (Claim::SteadyState, Window::Baseline)
                | (Claim::During, Window::Fault | Window::Recovery)
                | (Claim::Recovery, Window::Recovery)
        );
        let class = if decides { "decides" } else { "aside" };
        let label = match window {
            Window::Baseline => "Baseline",
            Window::Fault => "Fault",
            Window::Recovery => "Recovery",
        };
        write!(f, "<td data-label=\"{label}\" class=\"{class}\">")?;
        match value {
            Some(WindowValue { text, .. }) => write!(f, "{}", Markup(text))?,
            None => f.write_str("<span class=\"soft\">–</span>")?,
        }
        f.write_str("</td>")?;
    }
    let state = match clause.held {
        Some(Held::Yes) => State("ok", Icon::Check, "held"),
        Some(Held::Late) => State("warn", Icon::Triangle, "late"),
        Some(Held::No) => State("bad", Icon::Cross, "not held"),
        Some(Held::NotEnough) => State("unknown", Icon::Question, "too few samples"),
        None => State("unknown", Icon::Slash, "not judged"),
    };
    writeln!(f, "<td data-label=\"Held\">{state}</td></tr>")
}

fn hit_row(f: &mut Formatter<'_>, injection: &InjectionRecord) -> fmt::Result {
    write!(
        f,
        "<tr><th scope=\"row\">{} {}<span class=\"why\">{} into <code>{}</code></span></th>",
        injection.id,
        Markup(&injection.action),
        Markup(&injection.fault),
        Markup(&injection.resource)
    )?;
    let proof = injection.proof.as_ref();
    let text = |text: Option<&String>| text.map_or("–", String::as_str).to_owned();
    write!(f, "<td data-label=\"Configured\">{}</td>", Markup(text(proof.map(|proof| &proof.configured))))?;
    write!(f, "<td data-label=\"Achieved\"><span>{}", Markup(text(proof.map(|proof| &proof.achieved))))?;
    if let Some(life) = &injection.life_proof {
        write!(f, "<span class=\"why\">over its whole life: {}</span>", Markup(&life.achieved))?;
    }
    let holds = match (proof, &injection.life_proof) {
        (Some(proof), life) if proof.holds && life.as_ref().is_none_or(|life| life.holds) => {
            State("ok", Icon::Check, "yes")
        }
        (Some(_), _) => State("bad", Icon::Cross, "no"),
        (None, _) => State("bad", Icon::Cross, "not injected"),
    };
    write!(f, "</span></td><td data-label=\"Took hold\"><span>{holds}")?;
    if let Some(failure) = &injection.failure {
        write!(f, "<span class=\"why\">{}</span>", Markup(failure))?;
    }
    f.write_str("</span></td><td data-label=\"In effect\">")?;
    match (injection.injected, injection.undone) {
        (Some(from), Some(to)) => write!(f, "<span>{from} to {to}</span>")?,
        (Some(from), None) => write!(f, "<span>since {from}</span>")?,
        (None, _) => f.write_str("–")?,
    }
    f.write_str("</td><td data-label=\"Left clean\"><span>")?;
    match &injection.cleanliness {
        Some(Cleanliness::Clean) => write!(f, "{}", State("ok", Icon::Check, "clean"))?,
        Some(Cleanliness::Gone) => {
            write!(f, "{}<span class=\"why\">with what it hit</span>", State("ok", Icon::Check, "gone"))?;
        }
        Some(Cleanliness::Dirty { residue, repair }) => {
            write!(
                f,
                "{}<span class=\"why\">{}; repair it by <code>{}</code></span>",
                State("bad", Icon::Cross, "dirty"),
                Markup(residue),
                Markup(repair)
            )?;
        }
        None => write!(f, "{}", State("unknown", Icon::Question, "unknown"))?,
    }
    f.write_str("</span></td></tr>\n")
}

/// The data of a plot, for those who cannot or do not want to look at it.
fn data_table(f: &mut Formatter<'_>, plot: &Plot) -> fmt::Result {
    let columns: Vec<Vec<_>> = plot.traces.iter().map(|trace| thin(&trace.points, MOST_ROWS)).collect();
    // A tenth of a second is the grain of the rows; samples of several series then share them.
    let mut rows: std::collections::BTreeMap<u128, Vec<Option<f64>>> = std::collections::BTreeMap::new();
    for (column, points) in columns.iter().enumerate() {
        for point in points.iter().filter(|point| point.value.is_some()) {
            let tenths = model::Moment::from(point.at).since_start().as_millis() / 100;
            if let Some(cell) = rows.entry(tenths).or_insert_with(|| vec![None; columns.len()]).get_mut(column) {
                *cell = point.value;
            }
        }
    }
    f.write_str("<details><summary>Data</summary><div class=\"scroll\" tabindex=\"0\"><table class=\"data\"><thead><tr><th scope=\"col\">Time</th>")?;
    for trace in &plot.traces {
        let name = if trace.label.is_empty() { &plot.title } else { &trace.label };
        write!(f, "<th scope=\"col\">{}</th>", Markup(name))?;
    }
    f.write_str("</tr></thead><tbody>\n")?;
    for (tenths, values) in rows {
        write!(f, "<tr><td>+{}.{}s</td>", tenths / 10, tenths % 10)?;
        for value in values {
            match value {
                Some(value) => write!(f, "<td>{}</td>", Quantity { value, unit: plot.unit })?,
                None => f.write_str("<td></td>")?,
            }
        }
        f.write_str("</tr>\n")?;
    }
    f.write_str("</tbody></table></div></details>")
}

/// A state: its class, its shape, and the word for it.
struct State(&'static str, Icon, &'static str);

impl fmt::Display for State {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "<span class=\"state {}\">{}{}</span>", self.0, self.1, self.2)
    }
}

/// Shapes that say what their colour says. Each stands beside its word, so that it needs no label of its own.
#[derive(Debug, Clone, Copy)]
enum Icon {
    Check,
    Triangle,
    Cross,
    Slash,
    Question,
}

impl Icon {
    const fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Green => Self::Check,
            Verdict::Yellow => Self::Triangle,
            Verdict::Red => Self::Cross,
            Verdict::Invalid => Self::Slash,
            Verdict::Inconclusive => Self::Question,
        }
    }
}

impl fmt::Display for Icon {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let shape = match self {
            Self::Check => r#"<circle cx="10" cy="10" r="8.5"/><path d="M6 10.3l2.8 2.8L14.2 7.4"/>"#,
            Self::Triangle => r#"<path d="M10 2.2L18.6 17H1.4Z"/><path d="M10 7.6v4.6M10 14.6v.1"/>"#,
            Self::Cross => {
                r#"<path d="M6.6 1.8h6.8l4.8 4.8v6.8l-4.8 4.8H6.6l-4.8-4.8V6.6Z"/><path d="M7 7l6 6M13 7l-6 6"/>"#
            }
            Self::Slash => r#"<circle cx="10" cy="10" r="8.5"/><path d="M4.2 15.8L15.8 4.2"/>"#,
            Self::Question => {
                r#"<circle cx="10" cy="10" r="8.5"/><path d="M7.6 7.8c0-3.2 4.9-3.1 4.9-.1 0 2-2.5 2-2.5 4.1M10 14.5v.1"/>"#
            }
        };
        write!(
            f,
            r#"<svg class="icon" viewBox="0 0 20 20" fill="none" stroke="currentColor" stroke-width="1.9" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">{shape}</svg>"#
        )
    }
}

#[cfg(test)]
mod tests {
    use model::event::Event;
    use proptest::prelude::*;

    use super::*;
    use crate::report::{markup, sample};

    #[test]
    fn every_page_is_well_formed_and_its_ids_are_unique() {
        for (name, record) in sample::all() {
            let page = Page::new(&record).to_string();
            let tags = markup::read(&page).unwrap_or_else(|error| panic!("{name}: {error}"));
            let ids: Vec<_> = tags.iter().filter_map(|tag| tag.attribute("id")).collect();
            for (at, id) in ids.iter().enumerate() {
                assert!(!ids[at + 1..].contains(id), "{name}: {id} twice");
            }
            for tag in &tags {
                for reference in
                    [tag.attribute("aria-labelledby"), tag.attribute("href").and_then(|href| href.strip_prefix('#'))]
                {
                    assert!(reference.is_none_or(|id| ids.contains(&id)), "{name}: nothing is called {reference:?}");
                }
            }
        }
    }

    #[test]
    fn a_page_refers_to_nothing_outside_and_runs_nothing() {
        for (name, record) in sample::all() {
            let page = Page::new(&record).to_string();
            for tag in markup::read(&page).unwrap() {
                assert!(
                    !["script", "link", "img", "iframe", "object", "embed", "use", "image"]
                        .contains(&tag.name.as_str()),
                    "{name}: <{}>",
                    tag.name
                );
                for (attribute, value) in tag.attributes() {
                    assert!(
                        !attribute.starts_with("on") && attribute != "src" && attribute != "style",
                        "{name}: {attribute}"
                    );
                    assert!(attribute != "href" || value.starts_with('#') || !value.contains(':'), "{name}: {value}");
                }
            }
            assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
        }
    }

    #[test]
    fn an_earlier_report_that_lies_elsewhere_is_no_link() {
        let mut record = sample::green();
        if let Some(previous) = &mut record.previous {
            previous.report = Some("javascript:alert(1)".to_owned());
        }
        assert!(!Page::new(&record).to_string().contains("javascript:"));
    }

    #[test]
    fn what_a_reader_looks_for_is_there() {
        let page = Page::new(&sample::red()).to_string();
        for text in [
            "Guard too-many-5xx fired",
            "not held",
            "not judged",
            "nftables table inet shaketable_1",
            "COUNT(1) of 2 is 1",
            "--seed 42",
        ] {
            assert!(page.contains(text), "{text}");
        }
        let page = Page::new(&sample::invalid()).to_string();
        assert!(page.contains("Nothing was injected") && page.contains("too few samples"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// The text is put wherever a record carries text; read strictly, the page must have exactly the elements it has without it.
        #[test]
        fn no_text_of_a_record_becomes_markup(text in "[<>&\"'/a-z =!\\-\u{0}-\u{1f}\u{7f}-\u{9f}\u{fffe}支]{1,40}") {
            let elements = |record: &Record| -> Vec<String> {
                markup::read(&Page::new(record).to_string()).expect("the page is well formed").into_iter().map(|tag| tag.name).collect()
            };
            let calm = filled(sample::red(), "calm");
            let wild = filled(sample::red(), &text);
            prop_assert_eq!(elements(&calm), elements(&wild));
        }
    }

    /// A record with this text in every place that is filled from outside.
    fn filled(mut record: Record, text: &str) -> Record {
        let own = || text.to_owned();
        record.document.name = own();
        record.started = own();
        record.status_reason = own();
        record.reason = own();
        record.interrupted = true;
        record.experiment.description = own();
        record.experiment.hypothesis.statement = Some(own());
        for clause in &mut record.clauses {
            clause.clause = own();
            clause.why = own();
            clause.metric.of = Some(own());
            for value in [&mut clause.baseline, &mut clause.fault, &mut clause.recovery].into_iter().flatten() {
                value.text = own();
            }
        }
        for took in [&mut record.times.detect_by_alarm, &mut record.times.abort].into_iter().flatten() {
            took.what = own();
        }
        for target in &mut record.plan.targets {
            target.name = own();
            target.resource_type = own();
            target.how = own();
        }
        for guard in &mut record.plan.guards {
            guard.name = own();
        }
        for injection in &mut record.injections {
            injection.action = own();
            injection.resource.0 = own();
            injection.fault = own();
            injection.failure = Some(own());
            injection.cleanliness = Some(Cleanliness::Dirty { residue: own(), repair: own() });
            for proof in [&mut injection.proof, &mut injection.life_proof].into_iter().flatten() {
                proof.configured = own();
                proof.achieved = own();
            }
        }
        for action in &mut record.actions {
            action.name = own();
            action.reason = own();
        }
        for residue in &mut record.residue {
            residue.resource.0 = own();
            residue.what = own();
            residue.repair = own();
        }
        for suggestion in &mut record.suggestions {
            suggestion.what = own();
            suggestion.why = own();
            suggestion.change = Some(own());
        }
        for series in &mut record.series {
            series.metric.of = Some(own());
        }
        record.events.push(Event { at: record.ended, what: What::Note { text: own() } });
        record.events.push(Event { at: record.ended, what: What::StopRequested { by: own() } });
        record
    }
}
