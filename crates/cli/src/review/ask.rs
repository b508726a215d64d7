//! The questionnaire: plain lines in, plain lines out, so that it works over any connection and in any test.

use std::io::{BufRead, Write};

use anyhow::Result;
use assess::review::standing::{QuestionRisk, Standing};
use engine::report::columns::wrap;
use jiff::{SignedDuration, Timestamp};
use model::{
    Period,
    lens::{Lens, Question},
    review::{Answer, Evidence, NotApplicable, Reason, Review, Status},
};

/// A conversation about a review.
pub(super) struct Dialogue<R, W> {
    input: R,
    output: W,
    width: usize,
}

/// What was said to a question.
enum Said {
    /// These choices are made, and those do not concern the workload; by their places.
    Choices { made: Vec<usize>, aside: Vec<usize> },
    /// It does not concern the workload.
    NotApplicable,
    /// Tell more about a choice.
    Explain(usize),
    /// Evidence for a choice is to be written down.
    Evidence(usize),
    /// The next question.
    Skip,
    /// The question before.
    Back,
    /// That is all for today.
    Stop,
    /// None of these.
    Unclear,
}

impl<R: BufRead, W: Write> Dialogue<R, W> {
    pub(super) fn new(input: R, output: W, width: usize) -> Self {
        Self { input, output, width }
    }

    /// Asks what is open, or everything, and saves after every answer. It ends with the last question, `q`, or the end
    /// of the input.
    pub(super) fn hold(
        &mut self,
        review: &mut Review,
        lens: &Lens,
        all: bool,
        now: Timestamp,
        mut save: impl FnMut(&Review) -> Result<()>,
    ) -> Result<()> {
        if review.workload.name.is_empty() {
            let Some(name) = self.prompt("Which workload is it?")? else { return Ok(()) };
            if name.is_empty() {
                return self.say("A review needs the name of its workload; nothing was written.");
            }
            review.workload.name = name;
            save(review)?;
        }
        let standing = Standing::of(lens, &review.answers, now);
        let open = |id: &str| {
            all || standing
                .questions()
                .any(|question| question.id == id && (question.risk == QuestionRisk::Unanswered || question.reopened()))
        };
        let questions: Vec<&Question> =
            lens.questions().map(|(_, question)| question).filter(|question| open(&question.id)).collect();
        if questions.is_empty() {
            return self.say("Every question is answered; --all asks them again.");
        }
        let mut at = 0;
        while let Some(question) = questions.get(at) {
            self.say(&format!("\n[{}/{}]", at + 1, questions.len()))?;
            self.question(question, review.answers.get(&question.id), now)?;
            match self.answer(question)? {
                Said::Choices { made, aside } => {
                    let reason = if aside.is_empty() { None } else { self.reason()? };
                    if aside.is_empty() || reason.is_some() {
                        answer(review, question, &made, reason.map(|reason| (aside.as_slice(), reason)));
                        save(review)?;
                        self.notes(review, question, &mut save)?;
                        at += 1;
                    }
                }
                Said::NotApplicable => {
                    if let Some(reason) = self.reason()? {
                        let answer = review.answers.entry(question.id.clone()).or_default();
                        answer.not_applicable = Some(NotApplicable { reason, notes: None });
                        save(review)?;
                        self.why(review, question, &mut save)?;
                        at += 1;
                    }
                }
                Said::Evidence(place) => {
                    if let Some(evidence) = self.evidence(now)? {
                        let id = question.choices[place].id.clone();
                        let choices = &mut review.answers.entry(question.id.clone()).or_default().choices;
                        choices.entry(id).or_insert_with(|| Status::Selected.into()).evidence.push(evidence);
                        save(review)?;
                    }
                    continue;
                }
                Said::Skip => {
                    at += 1;
                    continue;
                }
                Said::Back => {
                    at = at.saturating_sub(1);
                    continue;
                }
                Said::Stop => break,
                Said::Explain(_) | Said::Unclear => continue,
            }
            self.risk(lens, review, question, now)?;
        }
        let counts = Standing::of(lens, &review.answers, now).counts;
        self.say(&format!(
            "\n{} high, {} medium, {} without risk, {} unanswered.",
            counts.high, counts.medium, counts.none, counts.unanswered
        ))
    }

    fn say(&mut self, text: &str) -> Result<()> {
        writeln!(self.output, "{text}")?;
        Ok(())
    }

    fn paragraph(&mut self, indent: usize, first: &str, text: &str) -> Result<()> {
        for (n, line) in wrap(text, self.width.saturating_sub(indent)).iter().enumerate() {
            let before = if n == 0 { first } else { "" };
            self.say(&format!("{before:indent$}{line}"))?;
        }
        Ok(())
    }

    /// A line of the input without blanks around it; none at its end.
    fn prompt(&mut self, text: &str) -> Result<Option<String>> {
        write!(self.output, "{text} ")?;
        self.output.flush()?;
        let mut line = String::new();
        let read = self.input.read_line(&mut line)?;
        Ok((read > 0).then(|| line.trim().to_owned()))
    }

    fn question(&mut self, question: &Question, given: Option<&Answer>, now: Timestamp) -> Result<()> {
        self.paragraph(0, "", &question.title)?;
        if let Some(description) = &question.description {
            self.paragraph(2, "", description)?;
        }
        for (n, choice) in question.choices.iter().enumerate() {
            let given = given.and_then(|given| given.choices.get(&choice.id));
            let mark = match given.map(|given| given.status) {
                Some(Status::Selected) => "x",
                Some(Status::NotApplicable(_)) => "-",
                Some(Status::Unselected) | None => " ",
            };
            self.paragraph(9, &format!(" {:>2} [{mark}]", n + 1), &choice.title)?;
            for evidence in given.map(|given| given.evidence.as_slice()).unwrap_or_default() {
                self.paragraph(11, "", &told(evidence, now))?;
            }
        }
        Ok(())
    }

    fn answer(&mut self, question: &Question) -> Result<Said> {
        self.paragraph(0, "", "Numbers of what is true, -N where N does not apply; n: nothing of it applies, ?N: explain N, eN: evidence for N, s: skip, b: back, q: stop")?;
        loop {
            let Some(line) = self.prompt(">")? else { return Ok(Said::Stop) };
            match understand(&line, question) {
                Said::Explain(place) => {
                    if let Some(choice) = question.choices.get(place) {
                        let texts = [choice.help.as_ref(), choice.plan.as_ref()];
                        for text in texts.into_iter().flatten().filter_map(|resource| resource.text.clone()) {
                            self.paragraph(4, "", &text)?;
                        }
                    }
                }
                Said::Unclear => {
                    let most = question.choices.len();
                    let right = format!(
                        "Write numbers from 1 to {most}, such as 1 3, or one of the letters; \"none of these\" stands alone."
                    );
                    self.paragraph(0, "", &right)?;
                }
                said => return Ok(said),
            }
        }
    }

    /// Which reason; none where nothing is said.
    fn reason(&mut self) -> Result<Option<Reason>> {
        for (n, (word, _)) in Reason::NAMES.iter().enumerate() {
            self.say(&format!("  {} {word}", n + 1))?;
        }
        loop {
            let Some(line) = self.prompt("Which reason?")?.filter(|line| !line.is_empty()) else { return Ok(None) };
            let place = line.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
            if let Some((_, reason)) = place.and_then(|place| Reason::NAMES.get(place)) {
                return Ok(Some(*reason));
            }
            let right = format!("Write a number from 1 to {}; Enter goes back to the question.", Reason::NAMES.len());
            self.paragraph(0, "", &right)?;
        }
    }

    /// Notes of an answer, which was saved before: whoever stops here has lost nothing.
    fn notes(
        &mut self,
        review: &mut Review,
        question: &Question,
        save: &mut impl FnMut(&Review) -> Result<()>,
    ) -> Result<()> {
        let answer = review.answers.entry(question.id.clone()).or_default();
        let ask = match &answer.notes {
            None => "Notes (Enter for none):".to_owned(),
            Some(notes) => {
                self.paragraph(0, "", &format!("Notes so far: {notes}"))?;
                "Notes (Enter keeps them):".to_owned()
            }
        };
        if let Some(notes) = self.prompt(&ask)?.filter(|notes| !notes.is_empty()) {
            answer.notes = Some(notes);
            save(review)?;
        }
        Ok(())
    }

    /// In words why a question does not concern the workload.
    fn why(
        &mut self,
        review: &mut Review,
        question: &Question,
        save: &mut impl FnMut(&Review) -> Result<()>,
    ) -> Result<()> {
        let Some(words) = self.prompt("Why (Enter for no words):")?.filter(|words| !words.is_empty()) else {
            return Ok(());
        };
        let answer = review.answers.entry(question.id.clone()).or_default();
        if let Some(why) = &mut answer.not_applicable {
            why.notes = Some(words);
        }
        save(review)
    }

    /// Evidence, line by line; none where its source is not said.
    fn evidence(&mut self, now: Timestamp) -> Result<Option<Evidence>> {
        let source = self.prompt("Where is it from: a report, a ticket, a drill (Enter: never mind)?")?;
        let Some(source) = source.filter(|source| !source.is_empty()) else { return Ok(None) };
        let now = Timestamp::from_second(now.as_second())?;
        let at = self.asked("When was it seen (Enter: now)?", super::args::time)?.unwrap_or(now);
        let lasts = self.asked("How long does it count, such as P90D (Enter: for ever)?", |text| {
            let period = text.parse::<Period>().map_err(|error| error.to_string())?;
            SignedDuration::try_from(period.get()).map_err(|error| error.to_string())
        })?;
        let says = self.prompt("What does it say (Enter for nothing)?")?.filter(|says| !says.is_empty());
        let against = self.prompt("Does it speak against the practice (y; Enter: no)?")?;
        let contradicts =
            against.is_some_and(|word| word.eq_ignore_ascii_case("y") || word.eq_ignore_ascii_case("yes"));
        let expires = lasts.map(|lasts| at.saturating_add(lasts).unwrap_or(Timestamp::MAX));
        Ok(Some(Evidence { source, at, expires, contradicts, says }))
    }

    /// Something that has to be understood; none where nothing is said.
    fn asked<T>(&mut self, text: &str, understand: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>> {
        loop {
            let Some(line) = self.prompt(text)?.filter(|line| !line.is_empty()) else { return Ok(None) };
            match understand(&line) {
                Ok(value) => return Ok(Some(value)),
                Err(wrong) => self.paragraph(0, "", &wrong)?,
            }
        }
    }

    /// What the answer amounts to, and what would lower the risk.
    fn risk(&mut self, lens: &Lens, review: &Review, question: &Question, now: Timestamp) -> Result<()> {
        let standing = Standing::of(lens, &review.answers, now);
        let Some(question) = standing.questions().find(|other| other.id == question.id) else { return Ok(()) };
        self.say("")?;
        self.paragraph(0, "", &format!("{}: {}.", question.label(), question.risk.name()))?;
        if let Some((ids, then)) = &question.nearest {
            let titles = ids.iter().filter_map(|id| question.choices.iter().find(|choice| choice.id == *id));
            let titles: Vec<&str> = titles.map(|choice| choice.title.as_str()).collect();
            self.paragraph(0, "", &format!("It would be {} with: {}.", then.name(), titles.join("; ")))?;
        }
        Ok(())
    }
}

/// Evidence in a line.
fn told(evidence: &Evidence, now: Timestamp) -> String {
    let day = |at: Timestamp| at.strftime("%Y-%m-%d");
    let until = match evidence.expires {
        Some(expires) if expires <= now => format!(", expired {}", day(expires)),
        Some(expires) => format!(", counts until {}", day(expires)),
        None => String::new(),
    };
    let against = if evidence.contradicts { "against it: " } else { "" };
    format!("{against}{}, seen {}{until}", evidence.source, day(evidence.at))
}

fn understand(line: &str, question: &Question) -> Said {
    let place = |text: &str| {
        let place = text.trim().parse::<usize>().ok()?.checked_sub(1)?;
        (place < question.choices.len()).then_some(place)
    };
    match line {
        "n" => Said::NotApplicable,
        "s" => Said::Skip,
        "b" => Said::Back,
        "q" => Said::Stop,
        _ => {
            if let Some(number) = line.strip_prefix('?') {
                return place(number).map_or(Said::Unclear, Said::Explain);
            }
            if let Some(number) = line.strip_prefix('e') {
                return place(number).map_or(Said::Unclear, Said::Evidence);
            }
            let (mut made, mut aside) = (Vec::new(), Vec::new());
            for word in line.split([' ', ',']).filter(|word| !word.is_empty()) {
                let (list, number) = match word.strip_prefix('-') {
                    Some(number) => (&mut aside, number),
                    None => (&mut made, word),
                };
                let Some(place) = place(number) else { return Said::Unclear };
                list.push(place);
            }
            let none = |places: &[usize]| places.iter().any(|place| question.choices[*place].is_none_of_these());
            let both = made.iter().any(|place| aside.contains(place));
            let nothing = made.is_empty() && aside.is_empty();
            if nothing || both || none(&aside) || none(&made) && made.len() > 1 {
                return Said::Unclear;
            }
            Said::Choices { made, aside }
        }
    }
}

/// Writes an answer down. What was known of a choice beside, its notes and evidence, stays.
fn answer(review: &mut Review, question: &Question, made: &[usize], aside: Option<(&[usize], Reason)>) {
    let answer = review.answers.entry(question.id.clone()).or_default();
    answer.not_applicable = None;
    for (place, choice) in question.choices.iter().enumerate() {
        let given = answer.choices.entry(choice.id.clone()).or_insert_with(|| Status::Unselected.into());
        given.status = match (aside, given.status) {
            (Some((places, reason)), _) if places.contains(&place) => Status::NotApplicable(reason),
            _ if made.contains(&place) => Status::Selected,
            // What did not concern the workload does not do so now, unless it is chosen.
            (_, Status::NotApplicable(reason)) => Status::NotApplicable(reason),
            (_, Status::Selected | Status::Unselected) => Status::Unselected,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said, what is saved, and how often.
    fn hold(input: &str, review: &mut Review) -> (String, usize) {
        let (mut output, mut saved) = (Vec::new(), 0);
        let lens = formats::lens::reliability();
        let save = |_: &Review| {
            saved += 1;
            Ok(())
        };
        Dialogue::new(input.as_bytes(), &mut output, 80)
            .hold(review, &lens, false, Timestamp::UNIX_EPOCH, save)
            .unwrap();
        (String::from_utf8(output).unwrap(), saved)
    }

    #[test]
    fn questions_are_answered_line_by_line_and_saved_one_by_one() {
        let mut review = Review::default();
        let input = "Shop\n1 2\nas agreed\n?1\n6\n\nn\n1\nno interfaces\ns\nb\nnonsense\n5, 1\n1 2\n\nq\n";
        let (said, saved) = hold(input, &mut review);
        assert_eq!(review.workload.name, "Shop");
        let limits = &review.answers["rel_manage_service_limits"];
        assert_eq!((limits.notes.as_deref(), limits.choices.len()), (Some("as agreed"), 7));
        let selected = |id: &str| -> Vec<&str> {
            let choices = review.answers[id].choices.iter();
            choices.filter(|(_, choice)| choice.status == Status::Selected).map(|(id, _)| id.as_str()).collect()
        };
        assert_eq!(selected("rel_manage_service_limits").len(), 2);
        // What the first choice of the second question means was explained before it was answered.
        assert!(said.contains("Names, certificates, edge"), "{said}");
        assert_eq!(selected("rel_planning_network_topology"), ["rel_planning_network_topology_no"]);
        let third = review.answers["rel_service_architecture"].not_applicable.as_ref().unwrap();
        assert_eq!((third.reason, third.notes.as_deref()), (Reason::OutOfScope, Some("no interfaces")));
        // The fourth was skipped, come back to, not understood, and "none of these" refused together with another.
        assert_eq!(said.matches("Write numbers from 1 to 5").count(), 2, "{said}");
        assert_eq!(selected("rel_prevent_interaction_failure").len(), 2);
        // The name; two answers with words, each saved before the words; two without.
        assert_eq!((saved, review.answers.len()), (7, 4));
        assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    }

    #[test]
    fn the_end_of_the_input_keeps_what_was_answered() {
        let mut review = Review::default();
        let (said, saved) = hold("Shop\n7\n", &mut review);
        assert_eq!(saved, 2, "{said}");
        assert!(said.ends_with("1 high, 0 medium, 0 without risk, 12 unanswered.\n"), "{said}");
        let (said, saved) = hold("", &mut Review::default());
        assert_eq!((saved, said.as_str()), (0, "Which workload is it? "));
    }

    #[test]
    fn single_practices_may_not_concern_the_workload_and_stay_so() {
        let mut review = Review::default();
        let (said, _) = hold("Shop\n1 -2, -1\n1 -2\n3\n\nq\n", &mut review);
        assert!(said.contains("Write numbers"), "{said}");
        let of = |review: &Review| -> Vec<Status> {
            review.answers["rel_manage_service_limits"].choices.values().map(|choice| choice.status).collect()
        };
        let aside = Status::NotApplicable(Reason::ArchitectureConstraints);
        assert_eq!(of(&review).iter().filter(|status| **status == aside).count(), 1);
        let question = formats::lens::reliability().question("rel_manage_service_limits").unwrap().clone();
        answer(&mut review, &question, &[0], None);
        assert_eq!(of(&review).iter().filter(|status| **status == aside).count(), 1);
        answer(&mut review, &question, &[0, 1], None);
        assert_eq!(of(&review).iter().filter(|status| **status == aside).count(), 0);
    }

    #[test]
    fn evidence_is_written_down_by_hand_and_told_with_the_question() {
        let mut review = Review::default();
        let input = "Shop\ne1\ndrill 3\nyesterday\n1969-09-01\nP30D\nall of it\nyes\n1\n\nb\nq\n";
        let (said, saved) = hold(input, &mut review);
        let id = "rel_manage_service_limits_aware_quotas_and_constraints";
        let evidence = &review.answers["rel_manage_service_limits"].choices[id].evidence[0];
        assert!(evidence.contradicts && evidence.says.as_deref() == Some("all of it"));
        assert!(said.contains("`yesterday` is no time"), "{said}");
        assert!(said.contains("against it: drill 3, seen 1969-09-01, expired 1969-10-01"), "{said}");
        // The name, the evidence, the answer.
        assert_eq!(saved, 3);
    }

    #[test]
    fn a_reason_that_is_none_is_asked_for_again_and_nothing_goes_back() {
        let mut review = Review::default();
        let (said, _) = hold("Shop\nn\n9\n4\n\nn\n\nq\n", &mut review);
        assert!(said.contains("Write a number from 1 to 4"), "{said}");
        let why = review.answers["rel_manage_service_limits"].not_applicable.as_ref().unwrap();
        assert_eq!((why.reason, review.answers.len()), (Reason::Other, 1));
        assert!(said.contains("not applicable."), "{said}");
    }

    #[test]
    fn evidence_and_notes_of_a_choice_outlive_another_answer() {
        let mut review = Review::default();
        hold("Shop\n1\n\nq\n", &mut review);
        let id = "rel_manage_service_limits_aware_quotas_and_constraints";
        let choice = review.answers.get_mut("rel_manage_service_limits").unwrap().choices.get_mut(id).unwrap();
        choice.notes = Some("kept".to_owned());
        let question = formats::lens::reliability().question("rel_manage_service_limits").unwrap().clone();
        answer(&mut review, &question, &[1], None);
        let choice = &review.answers["rel_manage_service_limits"].choices[id];
        assert_eq!((choice.status, choice.notes.as_deref()), (Status::Unselected, Some("kept")));
    }
}
