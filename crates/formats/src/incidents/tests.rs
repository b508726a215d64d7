use std::time::Duration;

use super::*;

const LIST: &str = "
name: shop
observed: { from: 2024-01-05, length: 30 days }
target: 99.9%
stated: 99.85%
incidents:
  - { title: database, began: 2024-01-15, duration: 45 minutes, cause: one zone }
  - { title: scaling, began: 2024-01-22 10:00, restored: 2024-01-22T10:20:00Z, kind: degraded }
  - title: partner
    began: 2024-02-03 08:00
    detectedAfter: 4m
    duration: PT1H
    kind: partial
    lost: 30%
";

fn read(text: &str) -> ReadHistory {
    read_history("shop.yaml", text.as_bytes(), &Given::default())
}

/// Code and message of everything that was found.
fn found(read: &ReadHistory) -> Vec<(&'static str, usize, String)> {
    read.findings.iter().map(|finding| (finding.code.id, finding.line, finding.message.clone())).collect()
}

#[test]
fn a_document_is_read_in_the_words_of_people() {
    let read = read(LIST);
    assert_eq!(found(&read), []);
    let history = read.history.unwrap();
    assert_eq!(history.observed.length(), Duration::from_secs(30 * 86_400));
    assert!((history.target.unwrap() - 0.999).abs() < 1e-12);
    let stated = history.stated.unwrap();
    assert!((stated.value - 0.9985).abs() < 1e-12 && (stated.rounding - 0.000_05).abs() < 1e-12);
    let lengths = history.incidents.iter().map(|one| one.stretch().length().as_secs() / 60).collect::<Vec<_>>();
    assert_eq!(lengths, [45, 20, 60]);
    let [first, second, third] = history.incidents.as_slice() else { panic!("three") };
    assert_eq!((first.kind, first.lost, first.cause.as_deref()), (Kind::Outage, 1.0, Some("one zone")));
    assert_eq!((second.kind, second.lost, second.detected), (Kind::Degraded, 1.0, None), "nothing is left out unasked");
    assert!((third.lost - 0.3).abs() < 1e-12);
    assert_eq!(third.detected.unwrap().duration_since(third.began).as_secs(), 240);
}

#[test]
fn a_table_is_the_list_alone_and_the_caller_says_the_rest() {
    let table = "title;began;restored;duration;kind;detected\n\
                 database;2024-01-15 01:00;2024-01-15 01:45;;;2024-01-15 01:05\n\
                 scaling;2024-01-22 10:00;;20 minutes;degraded;\n";
    let given = Given {
        from: Some("2024-01-01".parse().unwrap()),
        to: Some("2024-02-01".parse().unwrap()),
        target: Some(0.99),
        time_zone: Some(TimeZone::get("Asia/Tokyo").unwrap()),
    };
    let read = read_history("folder/shop.CSV", table.as_bytes(), &given);
    assert_eq!(found(&read), []);
    let history = read.history.unwrap();
    assert_eq!((history.name.as_str(), history.target, history.incidents.len()), ("shop", Some(0.99), 2));
    assert_eq!(history.incidents[0].began.to_string(), "2024-01-14T16:00:00Z");
    let alone = read_history("shop.csv", table.as_bytes(), &Given::default());
    assert!(alone.history.is_none());
    assert!(alone.findings[0].help.as_deref().unwrap().contains("--from"), "{:?}", alone.findings);
}

#[test]
fn a_column_that_nobody_reads_is_told_once_with_its_place() {
    let table = "title,ticket,duration,began\na,X-1,5m,2024-01-15\nb,X-2,5m,2024-01-16\n";
    let read = read_history("t.csv", table.as_bytes(), &january());
    let unknown: Vec<_> = read.findings.iter().filter(|finding| finding.code.id == "F010").collect();
    assert_eq!(unknown.len(), 1, "{:?}", found(&read));
    assert_eq!((unknown[0].line, unknown[0].column, unknown[0].severity), (1, 7, Severity::Note));
    assert_eq!(read.history.unwrap().incidents.len(), 2);
}

#[test]
fn an_incident_of_a_table_that_is_not_over_lasts_to_the_end() {
    let table = read_history("t.csv", b"title,began,resolved\na,2024-01-15,2024-01-16\nb,2024-01-31,\n", &january());
    assert_eq!(table.findings.iter().map(|one| (one.code.id, one.line)).collect::<Vec<_>>(), [("I004", 3)]);
    let history = table.history.unwrap();
    assert_eq!(history.incidents[1].restored, history.observed.to);
    // In a document of ours it is the key that was forgotten.
    assert!(read(&LIST.replace("    duration: PT1H\n", "")).history.is_none());
}

#[test]
fn a_column_that_is_a_letter_off_is_warned_of() {
    let read = read_history("t.csv", b"title,began,duration,detcted\na,2024-01-15,5m,2024-01-15\n", &january());
    let warned: Vec<_> = read.findings.iter().filter(|finding| finding.severity == Severity::Warning).collect();
    assert_eq!(warned.len(), 1, "{:?}", found(&read));
    assert_eq!((warned[0].column, warned[0].help.as_deref()), (22, Some("if it means `detected`, name it so")));
}

#[test]
fn a_name_that_is_nearly_one_of_ours_is_a_mistake_in_a_document() {
    let read = read(&LIST.replace("lost: 30%", "lots: 30%"));
    assert_eq!(read.findings[0].help.as_deref(), Some("did you mean `lost`?"));
    assert!(read.history.is_none());
}

fn january() -> Given {
    Given { from: Some("2024-01-01".parse().unwrap()), to: Some("2024-02-01".parse().unwrap()), ..Given::default() }
}

#[test]
fn tables_of_other_people_are_read_as_they_are() {
    let table = "ID,Summary,Severity,Started At,Detected At,Resolved At,Duration (min),Impact,Root Cause\n\
                 INC-1,database,SEV1,2024-01-15 01:00 UTC,2024-01-15 01:05 UTC,2024-01-15 01:45 UTC,45,30%,one zone\n\
                 INC-2,,SEV2,2024/01/22 10:00,,,20,degraded,\n\
                 INC-3,partner,SEV3,2024-01-23T10:00:00.000+0000,,2024-01-23 10:10:30,10,major,\n";
    let read = read_history("export.csv", table.as_bytes(), &january());
    let notes: Vec<_> = read.findings.iter().map(|finding| (finding.severity, finding.line, finding.column)).collect();
    // The severity and that the impact is "major"; a title is there, so that the id is not read.
    assert_eq!(notes, [(Severity::Note, 1, 12), (Severity::Note, 4, 73)], "{:?}", found(&read));
    let incidents = read.history.unwrap().incidents;
    let told: Vec<_> = incidents
        .iter()
        .map(|one| (one.title.as_str(), one.kind, (one.lost * 100.0).round(), one.stretch().length().as_secs()))
        .collect();
    assert_eq!(
        told,
        [
            ("database", Kind::Outage, 30.0, 2700),
            ("INC-2", Kind::Degraded, 100.0, 1200),
            ("partner", Kind::Outage, 100.0, 630),
        ]
    );
    assert_eq!(incidents[0].detected.unwrap().duration_since(incidents[0].began).as_secs(), 300);
    assert_eq!(incidents[0].cause.as_deref(), Some("one zone"));
}

#[test]
fn a_column_that_is_missing_is_told_once() {
    let read = read_history("t.csv", b"title,when\na,2024-01-15\nb,2024-01-16\n", &january());
    let told: Vec<_> = found(&read).into_iter().filter(|(code, ..)| *code == "F011").map(|(_, line, _)| line).collect();
    assert_eq!(told, [1, 1], "{:?}", found(&read));
}

#[test]
fn times_that_contradict_each_other_are_told() {
    let text = LIST
        .replace("restored: 2024-01-22T10:20:00Z", "restored: 2024-01-22 09:00")
        .replace("detectedAfter: 4m", "detected: 2024-02-03 07:59")
        .replace("duration: 45 minutes", "duration: 45 minutes, restored: 2024-01-16");
    let read = read(&text);
    assert!(read.history.is_none());
    let codes: Vec<_> = found(&read).into_iter().map(|(code, line, _)| (code, line)).collect();
    assert_eq!(codes, [("I001", 7), ("I001", 8), ("I001", 11)], "{:?}", found(&read));
}

#[test]
fn what_lies_outside_and_what_may_overlap_is_warned_of() {
    let text = LIST.replace("2024-01-22 10:00, restored: 2024-01-22T10:20:00Z", "2024-01-15, duration: 20m");
    let codes: Vec<_> = found(&read(&text)).into_iter().map(|(code, ..)| code).collect();
    assert_eq!(codes, ["I003"]);
    let outside = read(&LIST.replace("length: 30 days", "length: 2 weeks"));
    let codes: Vec<_> = found(&outside).into_iter().map(|(code, ..)| code).collect();
    assert_eq!(codes, ["I002", "I002"]);
    assert!(outside.history.is_some());
}

#[test]
fn what_cannot_be_read_says_what_can() {
    for (wrong, right) in [
        ("target: 99.9", "percent with their sign"),
        ("target: 120%", "percent with their sign"),
        ("timeZone: Mars/Olympus", "IANA"),
        ("weights: { partial: half }", "percent with their sign"),
        ("change: { at: soon, what: it }", "2024-01-15 10:30"),
        ("observed: { from: 2024-02-01, to: 2024-01-01 }", "before it begins"),
        ("observed: { from: 2024-02-01 }", "--from"),
    ] {
        let key = wrong.split(':').next().unwrap();
        let kept = LIST.lines().filter(|line| !line.starts_with(key)).collect::<Vec<_>>().join("\n");
        let read = read(&format!("{wrong}\n{kept}"));
        assert!(read.history.is_none(), "{wrong}");
        let said = format!("{:?}", read.findings);
        assert!(said.contains(right), "{wrong}: {said}");
    }
}

#[test]
fn a_time_that_cannot_be_counted_is_told_and_leaves_no_incident_out() {
    for (from, to) in [
        ("length: 30 days", "length: 3000000 days"),
        ("duration: 45 minutes", "duration: 90000000h"),
        ("detectedAfter: 4m", "detectedAfter: 90000000h"),
    ] {
        let read = read(&LIST.replace(from, to));
        assert!(read.history.is_none(), "{to}");
        let said = found(&read);
        assert!(
            said.iter().any(|(code, _, message)| *code == "F013" && message.contains("beyond the years")),
            "{said:?}"
        );
    }
}

#[test]
fn weights_say_what_a_kind_of_incident_takes() {
    let history = read(&format!("{LIST}weights: {{ degraded: 0.2, partial: 50% }}\n")).history.unwrap();
    let lost: Vec<_> = history.incidents.iter().map(|one| one.lost).collect();
    assert_eq!(lost, [1.0, 0.2, 0.3], "what an incident says itself comes first");
}
