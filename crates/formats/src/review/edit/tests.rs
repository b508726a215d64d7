//! Texts that people wrote, changed here and there.

use model::review::{Answer, ChoiceAnswer, Evidence, Milestone, NotApplicable, Reason, Review, Status};
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    sample::select,
};

use super::{super::tree::Notation, *};

const TEXT: &str = "# who wrote it
review: 1   # the version

workload:
    name: 'Shop'          # as customers call it
    rto: 'PT15M'
    # nobody promised more
    availability: 99.95 %
answers:
    # the first one
    q_b:
        choices:
            two: selected     # since May
            one: { status: unselected, notes: \"why: # not a comment\" } # soon
            # three is none of ours
            three:
                status: not-applicable
                reason: other # says who
        notes: |
            Two lines,
            # not a comment either

    q_a:   { choices: { first: selected } }   # said by Ann
      # below it

# the end
milestones:
- name: first     # a start
  at: 2026-09-01
  answers: {}
# really
";

fn read(text: &str) -> Review {
    let read = read_review("r.yaml", text.as_bytes());
    read.review.unwrap_or_else(|| panic!("{text}\n{:?}", read.findings))
}

/// What becomes of [`TEXT`], line by line: `-` is gone, `+` is new.
fn changed(change: impl FnOnce(&mut Review)) -> String {
    let before = read(TEXT);
    let mut after = before.clone();
    change(&mut after);
    let edited = edit("r.yaml", TEXT, &before, &after).unwrap();
    assert_eq!(read(&edited), after, "{edited}");
    difference(TEXT, &edited)
}

/// The longest common lines stay; what is left of the one is gone, and of the other is new.
fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let mut longest = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            longest[i][j] =
                if old[i] == new[j] { longest[i + 1][j + 1] + 1 } else { longest[i + 1][j].max(longest[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || longest[i + 1][j] >= longest[i][j + 1]) {
            out.push(format!("-{}\n", old[i]));
            i += 1;
        } else {
            out.push(format!("+{}\n", new[j]));
            j += 1;
        }
    }
    out.concat()
}

fn choice<'r>(review: &'r mut Review, question: &str, id: &str) -> &'r mut ChoiceAnswer {
    review.answers.get_mut(question).unwrap().choices.get_mut(id).unwrap()
}

#[test]
fn what_did_not_change_is_written_as_it_was() {
    assert_eq!(changed(|_| {}), "");
    let mark = format!("\u{feff}{TEXT}");
    assert_eq!(edit("r.yaml", &mark, &read(TEXT), &read(TEXT)), Some(mark));
    assert_eq!(edit("r.yaml", "review: 1\nworkload: [", &read(TEXT), &read(TEXT)), None);
}

#[test]
fn a_value_is_replaced_where_it_stands() {
    assert_eq!(
        changed(|review| choice(review, "q_b", "two").status = Status::Unselected),
        "-            two: selected     # since May\n+            two: unselected     # since May\n"
    );
    assert_eq!(
        changed(|review| choice(review, "q_b", "two").status = Status::NotApplicable(Reason::OutOfScope)),
        "-            two: selected     # since May\n\
         +            two: { status: not-applicable, reason: out-of-scope }     # since May\n"
    );
    assert_eq!(
        changed(|review| choice(review, "q_b", "one").status = Status::Selected),
        "-            one: { status: unselected, notes: \"why: # not a comment\" } # soon\n\
         +            one: { status: selected, notes: \"why: # not a comment\" } # soon\n"
    );
    assert_eq!(
        changed(|review| review.answers.get_mut("q_b").unwrap().notes = Some("One.".to_owned())),
        "-        notes: |\n-            Two lines,\n-            # not a comment either\n+        notes: One.\n"
    );
    assert_eq!(
        changed(|review| review.workload.name = "Shop\n# two".to_owned()),
        "-    name: 'Shop'          # as customers call it\n+    name: |-          # as customers call it\n\
         +      Shop\n+      # two\n"
    );
}

#[test]
fn an_entry_is_added_behind_those_that_come_before_it() {
    let added = changed(|review| {
        let choices = &mut review.answers.get_mut("q_a").unwrap().choices;
        choices.insert("second".to_owned(), Status::Unselected.into());
        review.answers.insert("q_c".to_owned(), Answer { notes: Some("new".to_owned()), ..Answer::default() });
        review.answers.get_mut("q_b").unwrap().choices.insert("four".to_owned(), Status::Selected.into());
        review.workload.owner = Some("Ann".to_owned());
        review.lens.edition = Some("2".to_owned());
    });
    assert_eq!(
        added,
        "+    owner: Ann\n+lens:\n+  edition: 2\n+            four: selected\n\
         -    q_a:   { choices: { first: selected } }   # said by Ann\n\
         +    q_a:   { choices: { first: selected, second: unselected } }   # said by Ann\n\
         +    q_c:\n+      notes: new\n"
    );
}

#[test]
fn what_goes_leaves_its_comments() {
    assert_eq!(
        changed(|review| choice(review, "q_b", "three").status = Status::Selected),
        "-                status: not-applicable\n-                reason: other # says who\n\
         +                status: selected\n+                # says who\n"
    );
    assert_eq!(
        changed(|review| drop(review.answers.remove("q_a"))),
        "-    q_a:   { choices: { first: selected } }   # said by Ann\n+    # said by Ann\n"
    );
    let gone = changed(|review| review.answers.clear());
    for comment in ["# since May", "# soon", "# three is none of ours", "# says who"] {
        assert!(gone.lines().any(|line| line.starts_with('+') && line.contains(comment)), "{gone}");
    }
}

#[test]
fn another_name_for_the_same_is_written_over_the_old_one() {
    let renamed = changed(|review| {
        let choices = &mut review.answers.get_mut("q_b").unwrap().choices;
        let two = choices.remove("two").unwrap();
        choices.insert("zwei".to_owned(), two);
    });
    assert_eq!(renamed, "-            two: selected     # since May\n+            zwei: selected     # since May\n");
}

#[test]
fn a_milestone_stands_behind_the_others() {
    let added = changed(|review| {
        review.milestones.push(Milestone {
            name: "second".to_owned(),
            at: "2026-10-01T00:00:00Z".parse().unwrap(),
            edition: None,
            answers: review.answers.clone(),
        });
    });
    assert!(added.starts_with("+- name: second\n+  at: 2026-10-01\n+  answers:\n+    q_a:\n"), "{added}");
    assert!(added.lines().all(|line| line.starts_with('+')), "{added}");
}

#[test]
fn what_somebody_else_changed_meanwhile_is_kept() {
    let before = read(TEXT);
    let theirs = TEXT.replace("two: selected", "two: unselected").replace("'Shop'", "Store");
    let mut after = before.clone();
    choice(&mut after, "q_a", "first").status = Status::Unselected;
    let merged = edit("r.yaml", &theirs, &before, &after).unwrap();
    assert_eq!(merged, theirs.replace("first: selected", "first: unselected"));
}

#[test]
fn a_value_that_an_alias_repeats_changes_in_one_place_only() {
    let text = "review: 1\nworkload: { name: W }\nanswers:\n  one: &same\n    choices: { a: selected }\n  two: *same # like one\n";
    let before = read(text);
    let mut after = before.clone();
    choice(&mut after, "two", "a").status = Status::Unselected;
    let edited = edit("r.yaml", text, &before, &after).unwrap();
    assert_eq!(read(&edited), after, "{edited}");
    assert!(edited.contains("# like one") && edited.contains("&same"), "{edited}");
    choice(&mut after, "one", "a").status = Status::NotApplicable(Reason::Other);
    let edited = edit("r.yaml", text, &before, &after).unwrap();
    assert_eq!(read(&edited), after, "{edited}");
}

#[test]
fn json_stays_json() {
    let text = "{\n  \"review\": 1,\n  \"workload\": {\"name\": \"W\"},\n  \"answers\": {\n    \"q\": {\"choices\": {\"a\": \"selected\"}}\n  }\n}\n";
    let before = read(text);
    let mut after = before.clone();
    choice(&mut after, "q", "a").status = Status::NotApplicable(Reason::Other);
    after.answers.insert("r".to_owned(), Answer { notes: Some("a: \"b\"\nc".to_owned()), ..Answer::default() });
    let edited = edit("r.json", text, &before, &after).unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(&edited).is_ok(), "{edited}");
    assert_eq!(read(&edited), after);
    assert!(edited.contains("}},\n    \"r\": {"), "{edited}");
}

#[test]
fn lines_end_as_the_others_do() {
    let text = TEXT.replace('\n', "\r\n");
    let before = read(&text);
    let mut after = before.clone();
    after.answers.insert("q_c".to_owned(), Answer { notes: Some("x\ny".to_owned()), ..Answer::default() });
    after.workload.owner = Some("Ann".to_owned());
    let edited = edit("r.yaml", &text, &before, &after).unwrap();
    assert_eq!(read(&edited), after);
    assert_eq!(edited.matches('\n').count(), edited.matches("\r\n").count());
    assert_eq!(difference(&text, &edited).lines().filter(|line| line.starts_with('-')).count(), 0);
}

fn words() -> impl Strategy<Value = String> {
    select(vec!["a", "no", "x: y", "# x", "two\nlines", "end\n", " ", "- x", "{", "é, [1]", "'", "\"q\"", "1"])
        .prop_map(str::to_owned)
}

fn ids() -> impl Strategy<Value = String> {
    select(vec!["one", "two", "three", "four_no", "5", "true"]).prop_map(str::to_owned)
}

fn some_choice() -> impl Strategy<Value = ChoiceAnswer> {
    let status = select(vec![
        Status::Selected,
        Status::Unselected,
        Status::NotApplicable(Reason::OutOfScope),
        Status::NotApplicable(Reason::Other),
    ]);
    let evidence = (words(), 1..2_000_000_000_i64, any::<bool>(), option::of(words())).prop_map(
        |(source, at, contradicts, says)| {
            let at = jiff::Timestamp::from_second(at).unwrap();
            Evidence { source, at, expires: None, contradicts, says }
        },
    );
    (status, option::weighted(0.3, words()), vec(evidence, 0..2)).prop_map(|(status, notes, evidence)| ChoiceAnswer {
        status,
        notes,
        evidence,
    })
}

fn some_answers() -> impl Strategy<Value = model::review::Answers> {
    let why = (select(Reason::NAMES.to_vec()), option::of(words()))
        .prop_map(|((_, reason), notes)| NotApplicable { reason, notes });
    let answer = (option::weighted(0.2, why), btree_map(ids(), some_choice(), 0..4), option::weighted(0.3, words()))
        .prop_map(|(not_applicable, choices, notes)| Answer { not_applicable, choices, notes });
    btree_map(ids(), answer, 0..4)
}

fn some_review() -> impl Strategy<Value = Review> {
    let milestones = vec(some_answers(), 0..2);
    (words(), option::of(words()), some_answers(), some_answers(), milestones).prop_map(
        |(name, owner, answers, retired, states)| {
            let mut review = Review { answers, retired, ..Review::default() };
            review.workload.name = name;
            review.workload.owner = owner;
            for (n, answers) in states.into_iter().enumerate() {
                let at = "2026-01-01T00:00:00Z".parse().unwrap();
                review.milestones.push(Milestone { name: format!("m{n}"), at, edition: None, answers });
            }
            review
        },
    )
}

/// The text of a review with comments of its own behind lines and between them.
fn commented(review: &Review, places: &[(prop::sample::Index, bool)]) -> (String, Vec<String>) {
    let mut lines: Vec<String> = print(review).lines().map(str::to_owned).collect();
    let mut comments = Vec::new();
    for (n, (place, behind)) in places.iter().enumerate() {
        let comment = format!("# comment {n};");
        let at = place.index(lines.len());
        let mut with = lines.clone();
        if *behind {
            with[at] = format!("{} {comment}", with[at]);
        } else {
            let indent = with[at].len() - with[at].trim_start().len();
            with.insert(at, format!("{:indent$}{comment}", ""));
        }
        // Within a text of several lines it would not be a comment.
        if read_review("r.yaml", (with.join("\n") + "\n").as_bytes()).review.as_ref() == Some(review) {
            lines = with;
            comments.push(comment);
        }
    }
    (lines.join("\n") + "\n", comments)
}

proptest! {
    #[test]
    fn every_change_is_written_and_every_comment_survives(
        before in some_review(),
        after in some_review(),
        places in vec((any::<prop::sample::Index>(), any::<bool>()), 0..8),
    ) {
        let (text, comments) = commented(&before, &places);
        prop_assert_eq!(edit("r.yaml", &text, &before, &before), Some(text.clone()));
        let edited = edit("r.yaml", &text, &before, &after).unwrap();
        let now = read_review("r.yaml", edited.as_bytes()).review;
        prop_assert_eq!(now.as_ref(), Some(&after), "{}\n---\n{}", text, edited);
        for comment in comments {
            prop_assert_eq!(edited.matches(&comment).count(), 1, "{}: {}\n---\n{}", comment, text, edited);
        }
    }

    #[test]
    fn changes_within_brackets_and_in_json_are_written_too(before in some_review(), after in some_review()) {
        for (name, notation) in [("r.yaml", Notation::Flow), ("r.json", Notation::Json)] {
            let text = tree(&before).inline(notation);
            prop_assert_eq!(edit(name, &text, &before, &before), Some(text.clone()));
            let edited = edit(name, &text, &before, &after).unwrap();
            let now = read_review(name, edited.as_bytes()).review;
            prop_assert_eq!(now.as_ref(), Some(&after), "{}\n---\n{}", text, edited);
            prop_assert!(edited.starts_with('{'), "written anew: {}\n---\n{}", text, edited);
        }
    }
}
