//! Failovers and drills in scripts: what decides, what is changed, what is proven, what is left behind.

use std::collections::HashSet;

use super::{
    aws::Call,
    lex::{Command, Script, Word},
    rules,
};
use crate::{check::Goals, codes, decode::Reader, finding::Finding, source::Source};

/// Looks at a whole script.
pub(super) fn check(reader: &mut Reader<'_>, source: &Source, script: &Script, goals: &Goals) {
    let calls: Vec<Call<'_>> = script.commands.iter().filter_map(Call::of).collect();
    firewall(reader, script);
    restores(reader, &calls);
    alert_region(reader, script);
    volumes(reader, script, &calls);
    role(reader, &calls, goals);
    let Some(change) = calls.iter().find(|call| call.is("route53", "change-resource-record-sets")) else { return };
    let about_failover = about_failover(source.slice(script.span));
    if about_failover {
        control_plane(reader, change);
    }
    decision(reader, script);
    proof(reader, script, change);
    for call in calls.iter().filter(|call| about_failover && call.is("route53", "change-resource-record-sets")) {
        time_to_live(reader, source, script, call);
    }
    let drill = source.slice(script.span).to_lowercase();
    let drill = ["test", "drill", "演練", "訓練"].iter().any(|word| drill.contains(word));
    let changes = calls.iter().filter(|call| call.is("route53", "change-resource-record-sets")).count();
    let kept = calls.iter().any(|call| call.is("route53", "list-resource-record-sets"));
    if drill && changes == 1 && !kept && change.text("change-batch").contains("UPSERT") {
        let message = "the drill overwrites a record of production and never puts back what was there";
        reader.report(Finding::new(&codes::DRILL_CHANGES_PRODUCTION, change.head(), message).help(
            "keep the record before (list-resource-record-sets), restore it in a trap, or drill on a name of its own",
        ));
    }
}

/// Whether a text is about switching to another place.
pub(crate) fn about_failover(text: &str) -> bool {
    let text = text.to_lowercase();
    [
        "failover",
        "fail over",
        "fail-over",
        "disaster",
        "emergency",
        "故障轉移",
        "フェイルオーバー",
        "次要區域",
        "secondary region",
        "dr region",
    ]
    .iter()
    .any(|word| text.contains(word))
}

fn control_plane(reader: &mut Reader<'_>, call: &Call<'_>) {
    let message = "the failover edits records: it needs Route 53's control plane, which may be what is impaired";
    reader.report(
        Finding::new(&codes::CONTROL_PLANE_FAILOVER, call.head(), message)
            .help("prepare both records with health checks before, and switch on the data plane: a routing control, or a check that is inverted or fed by an alarm"),
    );
}

/// A change of a TTL while failing over.
fn time_to_live(reader: &mut Reader<'_>, source: &Source, script: &Script, call: &Call<'_>) {
    let Some(batch) = call.value("change-batch") else { return };
    let comment = script.comment_before(source.text(), call.command.span.start).to_lowercase();
    let about =
        comment.contains("ttl") || batch.text.starts_with("file://") && batch.text.to_lowercase().contains("ttl");
    if about {
        let message = "resolvers keep the answer they have for its old TTL; lowering it now makes nothing faster";
        reader.report(
            Finding::new(&codes::TTL_AT_FAILOVER, batch.span, message)
                .help("lower it at least one old TTL before a planned switch, and plan with the old one otherwise"),
        );
    }
}

/// A firewall rule by a name, taken back by a foreground sleep.
fn firewall(reader: &mut Reader<'_>, script: &Script) {
    let adds = |command: &&Command| {
        matches!(command.name(), "iptables" | "ip6tables") && (command.has("-A") || command.has("-I"))
    };
    let removing: HashSet<&str> =
        script.commands.iter().filter(|command| command.has("-D")).map(Command::name).collect();
    let sleeps = script.commands.iter().any(|command| command.name() == "sleep");
    let trapped = script.commands.iter().any(|command| command.name() == "trap");
    for command in script.commands.iter().filter(adds) {
        let named = command.arguments().windows(2).find_map(|pair| {
            let [option, value] = pair else { return None };
            let name =
                value.text.contains('.') && value.text.chars().any(char::is_alphabetic) && !value.text.starts_with('$');
            (matches!(option.text.as_str(), "-d" | "-s" | "--destination" | "--source") && name).then_some(value)
        });
        if let Some(value) = named {
            let message = format!(
                "`{}` is resolved once, when the rule is made; the rule that takes it back may resolve to something else and leave this one",
                value.text
            );
            reader
                .report(Finding::new(&codes::FIREWALL_BY_NAME, value.span, message).help(
                    "resolve the name once, keep the addresses of both families, and remove exactly those rules",
                ));
        }
        if removing.contains(command.name()) && sleeps && !trapped {
            let message = "the block is taken back only if this script lives: an interrupt, a crash or a closed terminal leaves it";
            reader.report(Finding::new(&codes::NO_DEAD_MANS_SWITCH, command.span, message).help("let something else take it back: a rule with a timeout, a timer of the service manager, at least a trap"));
        }
    }
}

/// Restores that meet each other, or a time that is gone.
fn restores(reader: &mut Reader<'_>, calls: &[Call<'_>]) {
    let mut targets: HashSet<&str> = HashSet::new();
    for call in calls.iter().filter(|call| call.operation.text.starts_with("restore-")) {
        let target =
            ["target-db-instance-identifier", "db-instance-identifier", "target-table-name", "db-cluster-identifier"]
                .iter()
                .find_map(|name| call.value(name));
        if let Some(word) = target.filter(|word| !word.text.starts_with('$'))
            && !targets.insert(&word.text)
        {
            let message =
                format!("`{}` is the target of a restore before; the second one fails because it exists", word.text);
            reader.report(
                Finding::new(&codes::SAME_RESTORE_TARGET, word.span, message)
                    .help("give every restore a name of its own"),
            );
        }
        let time = ["restore-time", "restore-to-time", "restore-date-time"].iter().find_map(|name| call.value(name));
        if let Some(word) = time.filter(|word| word.text.starts_with("20")) {
            let message = "a fixed time leaves the retention window after days, and the restore is refused then";
            reader.report(
                Finding::new(&codes::FIXED_DATE, word.span, message)
                    .help("ask for LatestRestorableTime first, and choose a time between the earliest and that"),
            );
        }
    }
}

/// A topic in the region that the alert is about.
fn alert_region(reader: &mut Reader<'_>, script: &Script) {
    let assignments: Vec<&Word> = script.commands.iter().flat_map(|command| &command.assignments).collect();
    let value = |word: &Word| word.text.split_once('=').map(|(_, value)| value.to_owned()).unwrap_or_default();
    let region = |kinds: &[&str]| {
        assignments.iter().find(|word| {
            let name = word.text.split('=').next().unwrap_or_default().to_lowercase();
            name.contains("region") && kinds.iter().any(|kind| name.contains(kind))
        })
    };
    let (Some(primary), Some(_)) =
        (region(&["primary", "main"]), region(&["secondary", "dr_", "standby", "backup", "failover"]))
    else {
        return;
    };
    let primary = value(primary);
    let topics = format!("arn:aws:sns:{primary}:");
    for word in &assignments {
        if value(word).starts_with(&topics) {
            let message =
                format!("the topic that tells of the failure stands in {primary}, which is what has failed then");
            reader.report(
                Finding::new(&codes::ALERT_IN_FAILED_REGION, word.span, message)
                    .help("alert by a topic in another region, or by two"),
            );
        }
    }
}

/// One request that decides about a region.
fn decision(reader: &mut Reader<'_>, script: &Script) {
    let asks = |command: &&Command| {
        command.name() == "curl" && command.arguments().iter().any(|word| word.text.contains("http_code"))
    };
    let Some(curl) = script.commands.iter().find(asks) else { return };
    let change = script
        .commands
        .iter()
        .position(|command| Call::of(command).is_some_and(|call| call.is("route53", "change-resource-record-sets")));
    let position = script.commands.iter().position(|command| std::ptr::eq(command, curl));
    let retried = curl.loops > 0 || curl.arguments().iter().any(|word| word.text.starts_with("--retry"));
    // Asked before the switch is made, it decides; asked after, it proves.
    if !retried && position < change {
        let message = "a single request decides about the failover; one lost packet moves production";
        reader.report(
            Finding::new(&codes::SINGLE_PROBE_DECIDES, curl.span, message)
                .help("ask for several failures in a row from several places, as the health check of the record does"),
        );
    }
    let only_200 = script.commands.iter().find(|command| {
        matches!(command.name(), "[" | "[[" | "test")
            && command.arguments().iter().any(|word| word.text == "200")
            && command.arguments().iter().any(|word| matches!(word.text.as_str(), "=" | "=="))
    });
    if let Some(test) = only_200 {
        let message = "only 200 counts as healthy here; Route 53 takes every 2xx and 3xx";
        reader.report(
            Finding::new(&codes::ONLY_200, test.span, message)
                .help("judge by the same rule everywhere, or the script and the record disagree"),
        );
    }
}

/// Waiting and one answer, as the proof of a failover.
fn proof(reader: &mut Reader<'_>, script: &Script, change: &Call<'_>) {
    let after = script.commands.iter().skip_while(|command| !std::ptr::eq(*command, change.command)).skip(1);
    let mut slept = false;
    for command in after {
        slept |= command.name() == "sleep";
        if slept && command.name() == "curl" && command.arguments().iter().any(|word| word.text.contains("http_code")) {
            let message = "one good answer does not say which region gave it, nor whether it can be written to";
            reader.report(
                Finding::new(&codes::PROOF_OF_REGION, command.span, message)
                    .help("let every region name itself in its answer, write something, and ask from several places"),
            );
            return;
        }
    }
}

/// A restored volume that nobody reads.
fn volumes(reader: &mut Reader<'_>, script: &Script, calls: &[Call<'_>]) {
    let Some(create) =
        calls.iter().find(|call| call.is("ec2", "create-volume") && call.values("snapshot-id").is_some())
    else {
        return;
    };
    let read = script.commands.iter().any(|command| {
        matches!(command.name(), "mount" | "sha256sum" | "md5sum" | "fsck" | "ssh")
            || Call::of(command).is_some_and(|call| call.is("ssm", "send-command"))
    });
    if !read {
        let message = "the volume is made and attached, but nothing reads it: a backup is proven by its data";
        reader.report(Finding::new(&codes::RESTORE_NOT_READ, create.head(), message).help("mount it, compare checksums or let the application read it, measure how long it took, and delete the volume"));
    }
    let deleted = calls.iter().any(|call| call.is("ec2", "delete-volume"));
    if !deleted && rules::changes(create.command) && read {
        let message = "the volume of the test is never deleted";
        reader.report(
            Finding::new(&codes::RESTORE_NOT_READ, create.head(), message).help("delete it at the end, and in a trap"),
        );
    }
}

/// The role of FIS: policies by action, and the alarm of the stop condition.
fn role(reader: &mut Reader<'_>, calls: &[Call<'_>], goals: &Goals) {
    let attached: Vec<&Call<'_>> = calls.iter().filter(|call| call.is("iam", "attach-role-policy")).collect();
    let Some(first) = attached.iter().find(|call| call.text("policy-arn").contains("AWSFaultInjectionSimulator"))
    else {
        return;
    };
    let text = calls.iter().map(|call| call.text("policy-arn")).collect::<Vec<_>>().join(" ");
    if goals.stops && !text.contains("CloudWatch") && !calls.iter().any(|call| call.is("iam", "put-role-policy")) {
        let message = "the role may not read the alarm of the stop condition: no attached policy allows cloudwatch:DescribeAlarms";
        let span = first.value("policy-arn").map_or_else(|| first.head(), |word| word.span);
        reader.report(Finding::new(&codes::ROLE_LACKS_PERMISSION, span, message).help("attach a policy with cloudwatch:DescribeAlarms, and the managed policy of every service whose actions are used"));
    }
}
