//! The table of all findings. A code is never used again for something else.

use crate::finding::{Code, Severity};

macro_rules! codes {
    ($($name:ident = $id:literal $short:literal $severity:ident, $about:literal, $cure:literal $(, $consequence:literal)?;)+) => {
        $(
            #[doc = $about]
            pub const $name: Code =
                Code {
                    id: $id,
                    name: $short,
                    severity: Severity::$severity,
                    about: $about,
                    cure: $cure,
                    consequence: concat!("" $(, $consequence)?),
                };
        )+

        /// Every finding there is, ordered by id.
        pub const CODES: &[&Code] = &[$(&$name),+];
    };
}

codes! {
    MORE = "F000" "more" Warning,
        "A file has more findings than are reported one by one.",
        "Correct the ones that are shown, and check again.";
    BAD_TEXT = "F001" "not-utf8" Error,
        "The file is not UTF-8 text.",
        "Save it as UTF-8.";
    JSON_SYNTAX = "F002" "json-syntax" Error,
        "The file is not valid JSON.",
        "Correct the place that is shown; JSON has no comments, no trailing commas and only double quotes.";
    YAML_SYNTAX = "F003" "yaml-syntax" Error,
        "The file is not valid YAML.",
        "Correct the place that is shown; most often it is an indentation, a missing space after a colon, or a text that needs quotes.";
    DUPLICATE_KEY = "F004" "duplicate-key" Error,
        "A key stands twice in one mapping; most readers silently keep only the last.",
        "Keep one of them, or rename one.";
    TOO_DEEP = "F005" "too-deep" Error,
        "Values are nested too deeply, or aliases repeat too much.",
        "Flatten the document.";
    SEVERAL_DOCUMENTS = "F006" "several-documents" Error,
        "A YAML file holds more than one document.",
        "Put each into a file of its own.";
    FULL_WIDTH = "F007" "full-width-punctuation" Error,
        "A full-width colon stands where YAML's own should; YAML takes the line for plain text.",
        "Write an ASCII colon and a space.";
    UNKNOWN_DOCUMENT = "F008" "unknown-document" Error,
        "The file is neither an experiment, nor an FIS template, nor CloudFormation, nor a lab.",
        "Look at the examples; an experiment has at least `actions`, a lab has `groups`.";
    UNRENDERED = "F009" "unrendered" Error,
        "The file is a template of a text, such as one of Helm, and no YAML before it is rendered.",
        "Render it, and check what comes out: helm template CHART > rendered.yaml.",
        "Nothing of it was checked.";
    UNKNOWN_KEY = "F010" "unknown-key" Error,
        "A key is not known at its place.",
        "Correct its spelling or remove it; a key that nobody reads would silently change nothing.";
    MISSING_KEY = "F011" "missing-key" Error,
        "A key that must be there is not.",
        "Add it.";
    WRONG_TYPE = "F012" "wrong-type" Error,
        "A value is of the wrong type, such as a list where a text should stand.",
        "Write a value of the type that is named.";
    WRONG_VALUE = "F013" "wrong-value" Error,
        "A value is of the right type, but malformed, out of range, or none of the known ones.",
        "Write one of the values that are named.";
    MISPLACED_KEY = "F014" "misplaced-key" Error,
        "A key is known, but belongs somewhere else.",
        "Move it to the place that is named.";
    AWS_REFUSES = "F015" "aws-refuses" Warning,
        "Shaketable runs this, AWS FIS would not take it.",
        "Change it if the template is meant for AWS as well.";
    FRAGMENT = "F016" "fragment" Error,
        "The file is only a part of a CloudFormation template.",
        "Put it under Resources, as the Properties of an AWS::FIS::ExperimentTemplate.";
    TAG_PAIR = "F017" "tag-pair" Warning,
        "Tags are written as `key` and `value`; that makes two tags of these names instead of one.",
        "Write the tag's name as the key, and its value as the value.";
    UNKNOWN_ACTION = "F020" "unknown-action" Error,
        "No action has this id.",
        "Use the id that is named; `shaketable actions` lists all.";
    UNKNOWN_PARAMETER = "F021" "unknown-parameter" Error,
        "The action has no such parameter.",
        "Correct its name, or move it where it belongs.";
    MISSING_PARAMETER = "F022" "missing-parameter" Error,
        "A parameter that the action needs is not given.",
        "Add it.";
    WRONG_PARAMETER = "F023" "wrong-parameter" Error,
        "A parameter's value is not what the action takes.",
        "Write a value of the form that is named.";
    PREFIXED_OPERATION = "F024" "prefixed-operation" Warning,
        "An API operation is written with its service as prefix, which FIS does not take.",
        "Write the bare name, such as DescribeInstances; the service has a parameter of its own.";
    WRONG_DOCUMENT_PARAMETERS = "F025" "wrong-document-parameters" Error,
        "`documentParameters` is not a JSON object written as text.",
        "Write a JSON object whose values are texts.";
    NOT_HERE = "F026" "not-here" Warning,
        "A Systems Manager document is given a parameter that AWS takes, and that cannot be carried out here as it says.",
        "Keep it if the template is meant for AWS alone; else write a value that is named.";
    UNKNOWN_TARGET_KEY = "F030" "unknown-target-key" Error,
        "The action takes no target under this key.",
        "Use the key that is named.";
    MISSING_TARGET = "F031" "missing-target" Error,
        "The action needs a target and has none.",
        "Name one of the document's targets under the action's target key.";
    UNDEFINED_TARGET = "F032" "undefined-target" Error,
        "An action names a target that the document does not define.",
        "Define it under `targets`, or correct the name.";
    UNUSED_TARGET = "F033" "unused-target" Warning,
        "No action uses this target.",
        "Use it or remove it.";
    WRONG_RESOURCE_TYPE = "F034" "wrong-resource-type" Error,
        "The action cannot hit resources of this type.",
        "Give the action a target of a type that it takes.";
    UNKNOWN_RESOURCE_TYPE = "F035" "unknown-resource-type" Error,
        "No resource type has this name.",
        "Use the name that is suggested.";
    SELECTION_MODE = "F036" "selection-mode" Error,
        "The selection mode is malformed or can select nothing.",
        "Write ALL, COUNT(n) with n of at least 1, or PERCENT(n) above 0 and up to 100.";
    NO_SELECTOR = "F037" "no-selector" Error,
        "The target says nothing about which resources it means. That never means all of them.",
        "Give resourceArns, resourceTags, filters or parameters.";
    ARNS_WITH_OTHERS = "F038" "arns-with-others" Error,
        "A target has ARNs together with tags or filters; FIS takes one or the other.",
        "Keep one of them.";
    INLINE_TARGET = "F039" "inline-target" Error,
        "A target is defined inside an action.",
        "Move the definition to `targets` and name it in the action.";
    UNKNOWN_DISJOINT = "F040" "unknown-disjoint" Error,
        "`disjointFrom` names a target that the document does not define, or the target itself.",
        "Name another target of the document.";
    WRONG_TARGET_PARAMETER = "F041" "wrong-target-parameter" Error,
        "A target's parameter is unknown for its resource type, missing, or malformed.",
        "Use the parameters of the resource type.";
    UNKNOWN_START_AFTER = "F045" "unknown-start-after" Error,
        "`startAfter` names an action that the document does not define.",
        "Correct the name.";
    CYCLE = "F046" "start-after-cycle" Error,
        "Actions wait for each other in a circle; none of them would ever start.",
        "Remove one of the `startAfter` entries.";
    NO_STOP_CONDITION = "F050" "no-stop-condition" Error,
        "The experiment does not say what would end it early.",
        "Add stopConditions with an alarm; `source: none` with a reason is possible, and should be rare.";
    STOP_SOURCE_NONE = "F051" "stop-source-none" Warning,
        "Nothing will end the experiment early.",
        "Name an alarm; in a document of our own, say `why` there is none.";
    STOP_WITHOUT_ALARM = "F052" "stop-without-alarm" Error,
        "A stop condition does not say which alarm.",
        "Give the alarm's ARN, or the name of one of the document's alarms, as `value`.";
    ALARM_ELSEWHERE = "F053" "alarm-elsewhere" Warning,
        "A stop condition names an alarm that the document does not define.",
        "It must come from the lab file; otherwise correct the name.";
    RESTART_OF_REPLACED = "F060" "restart-of-replaced" Warning,
        "Instances are stopped and started again, but a group would have terminated and replaced them by then, and the restart would fail.",
        "Set completeIfInstancesTerminated to true.";
    NOT_WHAT_IT_SAYS = "F061" "not-what-it-says" Warning,
        "The action does something else than its name or description says.",
        "Use the action that is named, or change the description.";
    LARGE_BLAST_RADIUS = "F062" "large-blast-radius" Note,
        "A first experiment in production hits a large share.",
        "Start with COUNT(1), then 5 to 10 percent.";
    UNKNOWN_METRIC = "F070" "unknown-metric" Error,
        "No metric has this name.",
        "Use the name that is suggested.";
    METRIC_OF = "F071" "metric-of" Error,
        "A metric of one thing among several does not say of which, or one of the whole system does.",
        "Add or remove `of`.";
    CONDITION = "F072" "condition" Error,
        "A condition cannot be read, or does not compare.",
        "Write a comparison and a quantity, such as \"<= 500ms\".";
    UNIT = "F073" "unit" Error,
        "The condition's unit is not the metric's.",
        "Use the metric's unit.";
    CLAUSE = "F074" "clause" Error,
        "A clause cannot be judged where it stands.",
        "Move it, or remove the key that has no meaning there.";
    NOTHING_CLAIMED = "F075" "nothing-claimed" Note,
        "The document has faults but no hypothesis; the verdict will be inconclusive.",
        "Add a hypothesis.";
    NO_LOAD = "F076" "no-load" Error,
        "A clause is about what the load's clients see, but there is no load.",
        "Add `load`, or measure something else.";
    UNRESOLVED_REFERENCE = "F080" "unresolved-reference" Warning,
        "The CloudFormation template refers to something that it does not define.",
        "Define it, pass it with --param, or let the lab bring an alarm of that name.";
    INTRINSIC = "F081" "intrinsic" Error,
        "An intrinsic function is malformed or not known.",
        "Correct it as the help says.";
    STACK_PARAMETER = "F082" "stack-parameter" Error,
        "A parameter of the CloudFormation template has no value, or one that it does not allow.",
        "Pass one with --param NAME=VALUE.";
    NO_TEMPLATE = "F083" "no-experiment-template" Error,
        "The CloudFormation template holds no AWS::FIS::ExperimentTemplate that can be used.",
        "Choose a file that has one.";
    SEVERAL_TEMPLATES = "F084" "several-experiment-templates" Error,
        "The CloudFormation template holds several experiment templates.",
        "Choose one by its logical id.";
    UNMEASURED_METRIC = "F085" "unmeasured-metric" Warning,
        "The alarm watches a CloudWatch metric that is not measured here.",
        "Use one of the metrics that are.";
    ZONE = "F090" "unknown-zone" Error,
        "A group names a zone that no region has.",
        "Correct the name.";
    GROUP = "F091" "unknown-group" Error,
        "Something names a group or balancer that the lab does not define.",
        "Correct the name.";
    SIZE = "F092" "group-size" Error,
        "A group's sizes contradict each other.",
        "Keep min <= desired <= max.";
    NAME = "F093" "name" Error,
        "A name cannot be used as a host name in the lab.",
        "Use lower-case letters, digits and hyphens, at most 63.";
    INCIDENT_TIMES = "I001" "incident-times" Error,
        "The times of an incident contradict each other.",
        "Correct the one that is wrong: an incident begins, is noticed, and ends.";
    NOT_OBSERVED = "I002" "not-observed" Warning,
        "An incident lies at least partly outside of the stretch of time that was observed; that part does not count.",
        "Correct the stretch, or the incident.";
    SAME_DAY = "I003" "same-day" Warning,
        "Of two incidents of one day the times are not known, so that nobody can say whether they overlapped.",
        "Write the times at which they began.";
    NOT_OVER = "I004" "not-over" Warning,
        "An incident of a table has no end, and is taken to last to the end of the stretch that was observed.",
        "Write when it was over; if it is not, expect its figures to change.",
        "Its downtime counts to that end: more than there was if it is over, and a shorter repair than it will be if it is not.";
    LENS_LIMIT = "L001" "lens-limit" Warning,
        "A part of a lens is longer than the format of custom lenses allows; AWS refuses it.",
        "Shorten it, or have fewer.";
    LENS_ID = "L002" "lens-id" Warning,
        "An id of a lens is too short or too long, or has characters that the format does not allow.",
        "Write 3 to 128 letters, digits and underscores.";
    DUPLICATE_ID = "L003" "duplicate-id" Error,
        "Two pillars, two questions of a lens, or two choices of a question have the same id.",
        "Give each an id of its own; an answer could not say which is meant.";
    LENS_CONDITION = "L004" "lens-condition" Error,
        "The condition of a risk rule cannot be read.",
        "Write `default`, or ids of choices with &&, ||, ! and brackets.";
    UNKNOWN_CHOICE = "L005" "unknown-choice" Error,
        "A risk rule names a choice that its question does not have.",
        "Correct the id.";
    NO_DEFAULT = "L006" "no-default" Warning,
        "The risk rules of a question have no `default`, which the specification wants; published lenses go without. A question without any rules is not exported.",
        "Add a rule with the condition `default` at the end.";
    LENS_LINK = "L007" "lens-link" Warning,
        "A resource of a lens has an address that is none, or no text for it, or is of an unknown type.",
        "Give each address, http or https, a text.";
    NO_IMPROVEMENT_PLAN = "L008" "no-improvement-plan" Warning,
        "A choice does not say what to do where it is not chosen.",
        "Add an improvementPlan; only \"none of these\", an id that ends in `_no`, goes without.";
    UNREAD_KEY = "L009" "unread-key" Warning,
        "A lens has a key that the format does not know; AWS does not read it.",
        "Correct its spelling; begin notes of your own with an underscore.";
    LENS_SCHEMA = "L010" "lens-schema" Warning,
        "A lens is of a version of the format that does not exist.",
        "Write 2021-11-01.";
    LENS_DESCRIPTION = "L011" "lens-description" Warning,
        "A lens has no description.",
        "Say in a sentence what it is for.";
    NO_RISK_SAID = "L020" "no-risk-said" Warning,
        "For some answers no rule says what the risk is.",
        "End the rules with a `default`.";
    NEVER_TRUE = "L021" "never-true" Warning,
        "The condition of a risk rule contradicts itself.",
        "Correct it, or remove the rule.";
    UNREACHABLE_RULE = "L022" "unreachable-rule" Warning,
        "A risk rule never applies, because the first rule that is true counts, and one before it always is.",
        "Put it further up, or remove it.";
    NEVER_MATTERS = "L023" "choice-never-matters" Note,
        "A choice, or every choice of a question, changes the risk of no answer.",
        "Name it in a rule, or say in its title that it is for information.";
    ALL_IS_NOT_ENOUGH = "L024" "all-is-not-enough" Note,
        "Whoever follows every practice of a question still has a risk.",
        "Look at the rules again; choices that exclude each other may be meant so.";
    TOO_MANY_CHOICES = "L025" "too-many-choices" Note,
        "A question has too many choices for its rules to be analysed.",
        "Cut the question into two; the format allows 15 choices.";
    UNKNOWN_QUESTION = "R001" "unknown-question" Warning,
        "A review answers a question that its lens does not have.",
        "Correct the id; after a change of the lens, carry the answers over with `shaketable review upgrade`.";
    UNKNOWN_PRACTICE = "R002" "unknown-practice" Warning,
        "A review names a choice that its lens does not have.",
        "Correct the id; after a change of the lens, carry the answers over with `shaketable review upgrade`.";
    NONE_WITH_OTHERS = "R003" "none-with-others" Error,
        "\"None of these\" is selected together with another choice.",
        "Keep one of them.";
    CIRCULAR_AFTER = "R004" "circular-after" Error,
        "Improvements wait for each other in a circle; none of them could ever begin.",
        "Remove one of the `after`.";
    SECONDARY_SHARES_CHECK = "R101" "secondary-shares-check" Warning,
        "A secondary record depends on the health check of the primary.",
        "Give the secondary a check of its own, or none; a record without a check counts as healthy.",
        "When the primary fails, both records are unhealthy, and Route 53 answers with the primary: the failover never happens.";
    CHECK_PROBES_PROTECTED = "R102" "check-probes-protected-name" Warning,
        "A health check asks the very name whose records it decides about.",
        "Let it ask the endpoint of one region, which no failover moves.",
        "After the failover the check reaches the other region, turns healthy, and moves the traffic back to the place that is down; it goes on like this.";
    UNRESOLVED_NAME = "R103" "unresolved-name" Warning,
        "A name under the document's own domain is asked, and no record of the document defines it.",
        "Define the record, or correct the name.",
        "A check on a name that does not resolve is unhealthy for ever, and a step of a failover that uses it fails.";
    ALIAS_TTL = "R104" "alias-ttl" Warning,
        "An alias record has a TTL of its own.",
        "Remove it; an alias has the TTL of what it points to, 60 seconds for a load balancer.",
        "Route 53 refuses the record, or a plan counts with a time that nobody keeps.";
    NO_SUCH_CHECK_SETTING = "R105" "no-such-check-setting" Warning,
        "A health check of Route 53 has a setting that does not exist there.",
        "Remove it: one FailureThreshold serves both directions, and timeouts are fixed (4 s to connect and 2 s to answer, 10 s for TCP).",
        "The check behaves differently from what the plan computes with.";
    FEW_CHECKERS = "R106" "few-checkers" Note,
        "A health check is made from few regions.",
        "Use all eight, or judge knowingly: a check is healthy while more than 18 % of the checkers say so.",
        "With three checkers, one that reaches the endpoint is enough to keep it healthy.";
    DETECTION_TIME = "R107" "detection-time" Note,
        "The time to notice a failure is computed as threshold times interval.",
        "Compute from the moment of the failure: up to one interval less, or one timeout more for every check; measure it in a drill.",
        "The objective is missed by what was left out: with 3 checks every 30 s the answer lies between 60 s and more than 100 s.";
    CERTIFICATE_NOT_CHECKED = "R108" "certificate-not-checked" Warning,
        "An invalid certificate is expected to fail a health check of Route 53.",
        "Watch the expiry of certificates with something else; HTTPS checks do not look at them.",
        "A certificate that expired shuts users out while every check is green.";
    CONTENT_NOT_CHECKED = "R109" "content-not-checked" Warning,
        "The content of the answer is expected to be judged, but the health check is not of a type that reads it.",
        "Make it HTTP_STR_MATCH or HTTPS_STR_MATCH with a SearchString within the first 5,120 bytes.",
        "An error page with status 200 is healthy.";
    PRIMARY_WITHOUT_CHECK = "R110" "primary-without-check" Error,
        "A primary failover record that is no alias has no health check.",
        "Add HealthCheckId.",
        "Route 53 refuses the change: without a check the primary could never be left.";
    TTL_AT_FAILOVER = "R111" "ttl-at-failover" Warning,
        "A TTL is lowered while failing over.",
        "Lower it before planned switches, at least one old TTL ahead.",
        "Resolvers keep the answer they have for its old TTL; the switch is not faster, and the plan believes it is.";
    FAILOVER_WITHOUT_DATA = "R112" "failover-without-data" Warning,
        "A failover moves names and capacity, and no step promotes the data.",
        "Promote the replica, with the old writer fenced off, before traffic arrives.",
        "Users arrive at a region whose database takes no writes.";
    LAG_LOOSER_THAN_RPO = "R113" "lag-looser-than-rpo" Warning,
        "A failover is allowed at a replication lag that is larger than the recovery point objective.",
        "Make the gate at most the RPO, or let a person override it and record the loss.",
        "The failover works and loses more data than was promised.";
    SLOW_DETECTION = "R114" "slow-detection" Warning,
        "What the steps of a failover take together is longer than the recovery time objective, or leaves almost nothing of it.",
        "Shorten detection or TTL, prepare capacity before, or change the objective.",
        "The objective is missed even when everything goes as planned.";
    ALIAS_IGNORES_TARGET = "R115" "alias-ignores-target" Warning,
        "A failover alias has neither a health check nor EvaluateTargetHealth.",
        "Set EvaluateTargetHealth to true.",
        "The record counts as healthy whatever happens behind it, so the traffic is never moved.";
    TTL_OF_FAILOVER = "R116" "ttl-of-failover" Warning,
        "A record that fails over may be kept by resolvers for long.",
        "Give it a TTL of 60 seconds or less.",
        "After the switch users still go where the record pointed, for as long as its TTL.";
    STICKY_SESSIONS = "R117" "sticky-sessions" Note,
        "Sessions stick to one target for long.",
        "Keep sessions outside of the targets, or say in the objective that they are lost.",
        "Whoever was on a target that fails, or in a region that is left, is logged out.";
    ZONE_SHARE = "R118" "zone-share" Warning,
        "Most of a group stands in one zone.",
        "Have in every zone what is needed when another one is lost: one more per zone than the load needs.",
        "Losing that zone leaves less than half, which then carries all of the load.";
    PROBE_TIMEOUTS = "R119" "probe-timeouts" Warning,
        "A health indicator may take longer than the probe that waits for it.",
        "Give indicators less time than the probe, all of them together, or let them run in the background.",
        "One slow dependency fails the probes of every instance at once, although the instances are well.";
    PROBE_HAS_EFFECTS = "R120" "probe-has-effects" Warning,
        "A health check sends messages or writes.",
        "Check with reads, or on a topic of its own at its own pace.",
        "Every probe of every instance adds to what real consumers read.";
    DEEP_LIVENESS = "R121" "deep-liveness" Warning,
        "Liveness depends on something that instances share, such as a database.",
        "Let liveness say only whether the process works; put dependencies into readiness, and into neither what all instances share.",
        "When the shared dependency fails, every instance is restarted, which cures nothing and makes the recovery slower.";
    HEALTH_PATH = "R122" "health-path" Note,
        "A load balancer asks the health of everything instead of readiness.",
        "Ask the readiness path, such as /actuator/health/readiness.",
        "A dependency that is slow takes all targets out at once.";
    PROBE_BUDGET = "R123" "probe-budget" Warning,
        "A probe's timeout, period and threshold do not fit each other.",
        "Keep the timeout below the period, give slow starters a startup probe, and let liveness be slower than readiness.",
        "Instances that are well are restarted, or ones that are not stay.";
    SELECTOR_WITHOUT_PODS = "R124" "selector-without-pods" Error,
        "A workload selects pods by labels that the pods it makes do not have.",
        "Give the template's labels the values that the selector asks for.",
        "Kubernetes refuses the workload.";
    BLOCKS_DRAINS = "R125" "blocks-drains" Warning,
        "A disruption budget allows no pod to go.",
        "Let at least one pod go: maxUnavailable: 1, and enough replicas.",
        "No node can be drained: upgrades wait for ever, or people force them and take everything down at once.";
    MISSING_DATA_UNSET = "R201" "missing-data-unset" Note,
        "An alarm does not say what missing data means.",
        "Set TreatMissingData: breaching where silence is a failure, notBreaching where it is calm.",
        "When the thing that reports fails, the alarm goes to INSUFFICIENT_DATA and tells nobody.";
    METRIC_UNIT = "R202" "metric-unit" Warning,
        "A threshold is in another unit than its metric.",
        "Write it in the metric's unit: seconds for TargetResponseTime.",
        "The alarm fires a thousand times too late, which is never.";
    COUNT_AS_RATE = "R203" "count-as-rate" Warning,
        "A count is compared with a percentage.",
        "Divide by all requests, or by the quota, with metric mathematics.",
        "The alarm fires by the amount of traffic, not by its health.";
    IMPOSSIBLE_THRESHOLD = "R204" "impossible-threshold" Warning,
        "A metric can never pass this threshold.",
        "Lower it below what ends the measurement, or measure something else.",
        "The alarm is decoration.";
    COUNTER_NEVER_FALLS = "R205" "counter-never-falls" Warning,
        "A counter that only grows is compared with a fixed value.",
        "Compare its increase within a window.",
        "After the first event the alarm is on for ever, and the second one goes unnoticed.";
    NO_DIMENSIONS = "R206" "no-dimensions" Warning,
        "A metric is asked for without the dimensions that it has.",
        "Give all dimensions; CloudWatch finds a metric by all of them or not at all.",
        "There is no data: the graph is empty, the alarm never fires.";
    NOT_AVAILABILITY = "R207" "not-availability" Warning,
        "Availability is computed from something that is not availability.",
        "Divide good requests by all requests, or healthy time by all time.",
        "The figure that decides is about something else: a system that is down has fine response times.";
    TARGET_ERRORS_ONLY = "R208" "target-errors-only" Warning,
        "Errors are counted at the targets only.",
        "Add HTTPCode_ELB_5XX_Count.",
        "When a target dies, the load balancer itself answers 502, 503 or 504, and nothing counts them.";
    SILENT_ALARM = "R209" "silent-alarm" Warning,
        "An alarm has no action.",
        "Add a topic that people get.",
        "The alarm changes its colour, and nobody looks.";
    RESPONSE_SLOWER_THAN_RTO = "R210" "response-slower-than-rto" Warning,
        "People are given more time to respond than the whole recovery may take.",
        "Automate what must be done within the objective; people confirm afterwards.",
        "Every incident that waits for a person misses the objective.";
    MIXED_UNITS = "R211" "mixed-units" Warning,
        "A graph draws values of different units on one axis.",
        "Put one of them on the other axis (yAxis: right), or into a graph of its own.",
        "Response times in seconds are a flat line under request counts in thousands.";
    COUNT_AVERAGED = "R212" "count-averaged" Warning,
        "A count is drawn with the default statistic, which is the average.",
        "Set stat to Sum.",
        "The average of samples that are 1 each is 1, whatever the traffic is.";
    NO_ROUTE = "R301" "public-without-route" Warning,
        "Subnets are meant to be public, and their VPC has no way out.",
        "Add an internet gateway, its attachment, and a route to it; private subnets need a NAT gateway per zone.",
        "Nothing in the network reaches the internet, or is reached.";
    NO_CREDENTIALS = "R302" "database-without-credentials" Error,
        "A new database has no master user and password.",
        "Set ManageMasterUserPassword to true, with MasterUsername.",
        "The stack is not made.";
    NO_SUCH_TYPE = "R303" "no-such-type" Error,
        "A resource is of a type that its service does not have.",
        "Write the type that is named.",
        "CloudFormation refuses the template.";
    READ_ONLY_PROPERTY = "R304" "read-only-property" Error,
        "A property is set that the service only reports.",
        "Remove it; a function is held back with ReservedConcurrentExecutions: 0.",
        "CloudFormation refuses the template, at the latest when the other region is needed.";
    PLACEHOLDER = "R305" "placeholder" Error,
        "A placeholder stands where a value should.",
        "Write the value.",
        "What is not finished is found out in the disaster.";
    REPLICA_IN_SAME_REGION = "R306" "replica-in-same-region" Error,
        "A replica for another region stands in the same template as its source.",
        "Put it into a stack of the other region, with the source's ARN.",
        "A stack makes its resources in one region: the replica is lost with what it should replace.";
    OTHER_REGION = "R307" "other-region" Warning,
        "A resource is meant for another region than the stack that makes it.",
        "Make it in a stack of that region.",
        "Both copies stand in one region, and a copy to the other finds no vault.";
    MISSING_PROPERTY = "R308" "missing-property" Error,
        "A resource lacks a property that it must have.",
        "Add it.",
        "CloudFormation refuses the template.";
    ROLE_LACKS_PERMISSION = "R310" "role-lacks-permission" Warning,
        "The role of an experiment may not do what the experiment does.",
        "Allow the actions that are named.",
        "The experiment fails after it has begun, or cannot see the alarm that would stop it.";
    ROLE_NOT_FOR_FIS = "R311" "role-not-for-fis" Error,
        "The role of an experiment may not be assumed by FIS.",
        "Let the role's AssumeRolePolicyDocument name the service fis.amazonaws.com.",
        "No experiment with this role can be started.";
    CONFUSED_DEPUTY = "R312" "confused-deputy" Note,
        "A role may be assumed by FIS without a condition on whose experiment it is.",
        "Add a condition on aws:SourceAccount, and on aws:SourceArn.",
        "Whoever makes the service act for them, from another account, acts with this role: the confused deputy.";
    ALLOWS_EVERYTHING = "R313" "allows-everything" Warning,
        "A policy allows every action on every resource.",
        "Name the actions that are needed, and the resources by ARN or by their tags.",
        "A mistake in a target of an experiment reaches everything there is, and nothing holds it back.";
    NO_SUCH_PERMISSION = "R314" "no-such-permission" Warning,
        "A policy names an action that its service does not have.",
        "Correct the name.",
        "IAM takes it without a word, and it allows nothing: an experiment is refused in its middle, or cannot be undone.";
    NO_BACKUPS = "R315" "no-backups" Warning,
        "No automatic backups are kept of a database.",
        "Set BackupRetentionPeriod to a number of days above 0.",
        "What is deleted or damaged by mistake is gone, and there is no point in time to go back to.";
    ONE_ZONE = "R316" "one-zone" Warning,
        "What is to be spread over zones names subnets of one zone only.",
        "Name subnets of at least two zones.",
        "When the zone fails, all of it is gone at once. Databases and balancers are refused, a group starts and is not redundant.";
    COLD_STORAGE = "R401" "cold-storage" Error,
        "Backups are deleted less than 90 days after they go to cold storage.",
        "Make DeleteAfterDays at least MoveToColdStorageAfterDays + 90, or leave cold storage out.",
        "AWS Backup refuses the plan: there are no backups at all.";
    CRON_DAY = "R402" "cron-day" Warning,
        "A schedule runs on another day of the week than is said.",
        "In cron of AWS 1 is Sunday and 2 is Monday; write MON.",
        "The backup is a day older than everybody thinks.";
    UTC_SCHEDULE = "R403" "utc-schedule" Note,
        "A time of day is named, and the schedule has no time zone.",
        "Set ScheduleExpressionTimezone, or say that the time is UTC.",
        "The backup runs in the middle of somebody's working day.";
    TAGS_ARE_ALTERNATIVES = "R404" "tags-are-alternatives" Note,
        "A selection has ListOfTags and names resources as well.",
        "Use Conditions, which are ANDed with Resources; entries of ListOfTags are alternatives.",
        "More is backed up than was meant, or not what was.";
    CONTINUOUS_BACKUP = "R405" "continuous-backup" Error,
        "Continuous backups are to be kept for longer than 35 days, or in cold storage.",
        "Keep them for at most 35 days; have a second rule with snapshots for what is kept longer.",
        "AWS Backup refuses the rule: there are no backups at all.";
    RESTORE_BEFORE_WINDOW = "R406" "restore-before-window" Warning,
        "A restore asks for a time before point-in-time recovery was enabled.",
        "Restore to a time between the earliest and the latest restorable one, which the service tells.",
        "The restore is refused.";
    SAME_RESTORE_TARGET = "R407" "same-restore-target" Error,
        "Two restores have the same target.",
        "Give each a name of its own.",
        "The second one fails because it exists.";
    UNDECLARED = "R501" "undeclared" Error,
        "A runbook uses a parameter or an output that it does not declare.",
        "Declare it under `parameters`, or as an output of a step before.",
        "The document is refused, or found wrong in the incident it was written for.";
    NO_EXPRESSIONS = "R502" "no-expressions" Error,
        "A runbook computes in a place that takes only a reference.",
        "Compute in an aws:executeScript step, and refer to its output.",
        "The text is taken as it stands, and the call fails.";
    SELECTOR = "R503" "selector" Error,
        "The selector of an output is not JSONPath.",
        "Write a filter as [?(@.State.Code=='unhealthy')].",
        "The step fails, or selects nothing and goes on.";
    UNUSED_RESULT = "R504" "unused-result" Warning,
        "A step asks for something, and nothing looks at the answer.",
        "Branch on it, assert it, or remove the step.",
        "The runbook reports success whatever it found.";
    NO_BOUND = "R505" "no-bound" Warning,
        "A step sets a capacity that grows with every run.",
        "Set a size that is computed from what is needed, below a limit.",
        "Whoever runs it twice grows the group twice.";
    NEVER_DEDUPLICATES = "R506" "never-deduplicates" Warning,
        "A string that should tell equal incidents contains something that is different every time.",
        "Build it from the service and the kind of failure.",
        "Every alarm opens an incident of its own, and the people on call are flooded.";
    PARAMETER_SHAPE = "R507" "parameter-shape" Error,
        "The parameters of a runbook are given in a form that is not taken.",
        "Write a list of { Key, Values }.",
        "The response plan is refused.";
    STEPS_AS_TEXT = "R508" "steps-as-text" Warning,
        "Numbered steps stand in YAML as one plain text.",
        "Make them a list: a dash before each, and commands in a block of their own (|).",
        "Lines are joined: no tool, and hardly a person, can tell steps from commands.";
    MISPLACED_SELECTOR = "R601" "misplaced-selector" Error,
        "A selector stands outside of `selector`.",
        "Move it into spec.selector.",
        "Where it is dropped, the fault hits anything in the namespace.";
    EVERYTHING_SELECTED = "R602" "everything-selected" Warning,
        "A fault says nothing about which pods it means.",
        "Name labels or namespaces in the selector.",
        "It hits any pod of its namespace.";
    OLD_SCHEDULER = "R603" "old-scheduler" Warning,
        "A fault of Chaos Mesh has a `scheduler`, which version 2 has no more.",
        "Write a manifest of kind Schedule with the fault in it.",
        "The fault runs once, or until it is deleted, instead of again and again for a while.";
    UNKNOWN_AWS_COMMAND = "R701" "unknown-aws-command" Error,
        "The command line of AWS has no such service or operation.",
        "Use the name that is suggested.",
        "The command ends with an error, which scripts often hide.";
    QUERY_FIELD = "R702" "query-field" Warning,
        "A query asks for something that the answer does not have.",
        "Use the path that is named.",
        "JMESPath answers null: the column is empty for ever, and no error says so.";
    QUERY_STRUCTURE = "R703" "query-structure" Warning,
        "A column of a table is a whole structure.",
        "Choose a member of it.",
        "The table nests, and what reads it breaks.";
    QUERY_GRAMMAR = "R704" "query-grammar" Note,
        "A query uses what only some implementations of JMESPath take.",
        "Write it in the grammar.",
        "It works on one machine and not on another.";
    ONE_LINE = "R705" "one-line" Warning,
        "A list that is printed as one line is read line by line.",
        "Put brackets around the member: X[*].[Name].",
        "The loop runs once, with all names in one; the count is 1.";
    SORTED_TABLE = "R706" "sorted-table" Warning,
        "A table with borders is sorted.",
        "Sort text, or in the query.",
        "Heads and borders land among the rows.";
    MISREAD_STATUS = "R707" "misread-status" Warning,
        "What is asked for does not say what it is taken for.",
        "Ask for what is named.",
        "Everything is green while nothing is protected.";
    COPY_BY_NAME = "R708" "copy-by-name" Warning,
        "A copy in another region is recognised by its name.",
        "Ask for SourceRegion.",
        "Copies with other names are missed, and names without copies counted.";
    CLUSTER_MEMBERS = "R709" "cluster-members" Warning,
        "Members of a cluster are judged like single databases.",
        "Leave them out and ask about the cluster.",
        "Every Aurora instance is reported as a single point of failure.";
    FIXED_DATE = "R710" "fixed-date" Warning,
        "A fixed date stands where a recent one is meant.",
        "Compute it when it is needed.",
        "What worked on the day it was written is wrong a month later.";
    DOLLAR_IN_QUOTES = "R711" "dollar-in-quotes" Warning,
        "An amount with a dollar sign stands where the shell expands it.",
        "Use single quotes, or write \\$.",
        "$200 becomes 00: the report shows other figures than were written.";
    UNSET_VARIABLE = "R712" "unset-variable" Warning,
        "A variable is used and never set.",
        "Set it; `set -u` finds such places.",
        "The command gets an empty text, and fails or does something else.";
    ENDLESS_WAIT = "R713" "endless-wait" Warning,
        "A loop waits for a state without any bound.",
        "Bound it, and wait for what changes.",
        "A failover that never comes keeps the script, and whoever waits for it, for ever; one that has not begun is taken for done.";
    SAYS_DONE = "R714" "says-done" Warning,
        "A script says that it is done whatever became of its steps.",
        "Begin with `set -euo pipefail`, and verify afterwards.",
        "In an incident people believe a failover happened that did not.";
    SHEBANG = "R715" "shebang" Warning,
        "`#!` does not stand in the first line.",
        "Make it the first line.",
        "Another shell than the one that was meant runs the script.";
    ALERT_IN_FAILED_REGION = "R716" "alert-in-failed-region" Warning,
        "The alert about a region's failure goes through that region.",
        "Alert by another region, or by two.",
        "The notification fails with what it is about.";
    CONTROL_PLANE_FAILOVER = "R717" "control-plane-failover" Warning,
        "A failover needs the control plane of a service.",
        "Prepare everything before, and switch with what only needs the data plane.",
        "Control planes are the first to be impaired when a region fails: the failover waits for the recovery.";
    SINGLE_PROBE_DECIDES = "R718" "single-probe-decides" Warning,
        "One request decides about a failover.",
        "Ask several times from several places.",
        "One lost packet moves production.";
    ONLY_200 = "R719" "only-200" Note,
        "Only the status 200 counts as healthy.",
        "Take every 2xx and 3xx, as Route 53 does, or decide knowingly.",
        "A redirect is taken for a failure, and script and records disagree.";
    DRILL_CHANGES_PRODUCTION = "R720" "drill-changes-production" Warning,
        "A drill changes production and does not put back what was there.",
        "Keep what was there and restore it, also when the drill is interrupted.",
        "After the drill production runs where the drill left it.";
    FIREWALL_BY_NAME = "R721" "firewall-by-name" Warning,
        "A firewall rule is made with a host name.",
        "Resolve once, keep the addresses, remove exactly those rules; mind IPv6.",
        "The rule that takes it back may not match: the block stays.";
    NO_DEAD_MANS_SWITCH = "R722" "no-dead-mans-switch" Warning,
        "A fault ends only if the script that began it lives on.",
        "Let something else end it: a rule that expires, a timer, at least a trap.",
        "Ctrl-C, a crash or a closed laptop leaves the fault for ever.";
    MISSING_OPTION = "R723" "missing-option" Error,
        "A command lacks an option that it must have.",
        "Add it.",
        "The command ends with an error; in a loop, with one every time.";
    MALFORMED_ID = "R725" "malformed-id" Warning,
        "An id is not of the form that the service gives.",
        "Use the id that the service answered with.",
        "The command finds nothing: an emergency stop would not stop.";
    PROMPTS = "R726" "prompts" Warning,
        "A command asks for a password.",
        "Give it in a file or a variable.",
        "Where nobody answers, the script hangs.";
    GNU_DATE = "R727" "gnu-date" Note,
        "`date -d` is used.",
        "Say that GNU coreutils are needed.",
        "On other systems the time is empty, and the question is about another stretch.";
    LOAD_TOOL = "R728" "load-tool" Warning,
        "A load tool is used without what it needs.",
        "Install and prepare it.",
        "There is no load, and the system passes a test that did not happen.";
    CONFIGURATION_AS_STATUS = "R729" "configuration-as-status" Warning,
        "A command that shows a configuration is used to see a state.",
        "Use the command that is named.",
        "The check before the failover checks nothing.";
    RESTORE_NOT_READ = "R730" "restore-not-read" Warning,
        "A restore is counted as good without its data being read.",
        "Mount it, compare, let the application read it, measure the time, and clean up.",
        "Whether the backup can be used is found out when it is needed.";
    PROOF_OF_REGION = "R731" "proof-of-region" Warning,
        "A failover is proven by one good answer.",
        "Let regions name themselves, write something, ask from several places.",
        "The answer may come from the region that was left, out of a cache.";
    AGENT_BY_HAND = "R732" "agent-by-hand" Warning,
        "An agent that is a service is started by hand.",
        "Use the service manager.",
        "Measurements end with the terminal, in the middle of the experiment.";
    FIRST_WAIT_DOUBLED = "R801" "first-wait-doubled" Note,
        "The number of attempts is raised before it becomes the exponent of the wait.",
        "Use base * 2 ** (n - 1), or raise it afterwards.",
        "The first wait is twice the base, and so is every other one.";
    ATTEMPTS_NOT_RETRIES = "R802" "attempts-not-retries" Warning,
        "A number of retries is used as the number of calls.",
        "Call it max_attempts, or call once more; refuse 0.",
        "max_retries=1 never retries, and with 0 nothing is called and nothing is said.";
    JITTER_AFTER_CAP = "R803" "jitter-after-cap" Warning,
        "Jitter is applied after the wait has been capped.",
        "Cap last.",
        "The wait is longer than the maximum says.";
    RETRIES_EVERYTHING = "R804" "retries-everything" Warning,
        "Every exception is retried.",
        "Retry what may pass: throttling, timeouts, 5xx; let the rest through at once.",
        "Mistakes in the call are repeated under load, and bugs take minutes to show.";
    NESTED_RETRIES = "R805" "nested-retries" Warning,
        "A retry stands around a client that retries itself.",
        "Keep one of the two.",
        "Attempts multiply: five times four requests for one call, at the moment the service is in trouble.";
    ATTEMPTS_MEANING = "R806" "attempts-meaning" Note,
        "`max_attempts` in botocore's Config means retries.",
        "Write total_max_attempts, which counts all requests.",
        "There is one request more than the name says.";
    NO_EFFECT = "R807" "no-effect" Warning,
        "A setting is made that nothing here reads.",
        "Remove it, and set what was meant.",
        "The timeout that was meant does not exist.";
    NEVER_FORGETS = "R808" "never-forgets" Warning,
        "A circuit breaker that is closed never forgets failures.",
        "Reset the count on success, or use a sliding window.",
        "Failures of a week add up until a healthy dependency is cut off.";
    UNLIMITED_PROBES = "R809" "unlimited-probes" Warning,
        "A half-open circuit breaker lets every call through.",
        "Let one, or a few, through, and ignore results of calls that began before.",
        "All waiting callers hit the dependency at the moment it recovers.";
    STUCK_HALF_OPEN = "R810" "stuck-half-open" Warning,
        "A circuit breaker stays half-open after an exception of another kind.",
        "Decide for every outcome: success, failure, or the probe is given back.",
        "The breaker stays in a state it was meant to pass through.";
    WALL_CLOCK = "R811" "wall-clock" Warning,
        "A length of time is measured with the wall clock.",
        "Use time.monotonic().",
        "A step of the clock keeps a breaker open for hours, or opens it at once.";
    UNTYPED_REJECTION = "R812" "untyped-rejection" Warning,
        "A rejection cannot be told from a failure of the call.",
        "Raise a type of its own that says when to try again.",
        "Callers treat it like an error of the dependency, and retry.";
    RETRY_SHORTER_THAN_FAILOVER = "R813" "retry-shorter-than-failover" Note,
        "Retries of a database connection end before a failover would.",
        "Retry for longer than the failover takes, or have the fallback ready.",
        "Every failover is an outage for the caller, although the database comes back.";
    UNDEFINED_MODULE = "R814" "undefined-module" Error,
        "A module is used and not imported.",
        "Import it.",
        "The call raises NameError, which a broad `except` takes for a failed dependency.";
    HIDES_BUGS = "R815" "fallback-hides-bugs" Warning,
        "A fallback is given for every exception.",
        "Catch the open breaker, timeouts and 5xx; limit how old a cached answer may be.",
        "Bugs look like a dependency that is down, and old data is served without an end.";
    EVERY_STATUS_TRIPS = "R816" "every-status-trips" Warning,
        "Every status but 200 counts as a failure of the dependency.",
        "Count 5xx, 429 and timeouts; pass on 3xx and 4xx.",
        "One client with wrong requests opens the breaker for all.";
    UNREACHABLE_TARGET = "R901" "unreachable-target" Warning,
        "An availability target lies above what hard dependencies allow.",
        "Lower the target, or make the dependencies soft: queue, cache, degrade.",
        "The target is missed in the long run even if everything of one's own always works.";
    RTO_BREAKS_BUDGET = "R902" "rto-breaks-budget" Warning,
        "One incident that takes the whole recovery time objective uses up the month's downtime.",
        "Shorten the RTO or lower the target.",
        "Both promises are made, and one incident breaks the second while keeping the first.";
    LONG_RETRIES = "R903" "long-retries" Note,
        "Timeout times attempts is longer than a caller waits.",
        "Shorten the timeout, or give the call a deadline.",
        "Threads and connections are held for minutes while the dependency is down.";
    STATED_AVAILABILITY = "R904" "stated-availability" Warning,
        "An availability is stated that does not follow from the incidents listed with it.",
        "Compute it, with the weights of partial outages said.",
        "Decisions rest on a figure that is better than what happened.";
    WRONG_SUM = "R905" "wrong-sum" Warning,
        "A total does not follow from its items.",
        "Add up again.",
        "The decision rests on another cost than will be paid.";
    WRONG_SAVING = "R906" "wrong-saving" Warning,
        "A saving does not follow from the figures it is computed from.",
        "Compute it from the difference of the availabilities.",
        "The return that is promised will not come.";
    NESTED_FENCE = "R908" "nested-fence" Warning,
        "A fenced block of Markdown contains fences of the same length.",
        "Use a longer fence outside.",
        "The block ends in the middle, and the rest is shown as something else.";
    MERMAID_LABEL = "R909" "mermaid-label" Warning,
        "A label in a diagram has brackets without quotes.",
        "Put the label in quotes: [\"ALB (Standby)\"].",
        "The diagram is not drawn.";
    WEEKS_OF_PLAN = "R910" "weeks-of-plan" Note,
        "A plan of so many days is told in weeks that are fewer days.",
        "Plan the missing days, or call it by the days that it has.",
        "What is promised for its last days is in no week, and nobody does it.";
    TOO_LARGE = "R950" "too-large" Error,
        "A file is larger than any document that is read here.",
        "Check the files it was made from, or split it.",
        "Nothing of it was checked.";
    WORKLOAD_FIGURES = "W001" "workload-figures" Error,
        "What is said of how reliable a part of a workload is contradicts itself, or is not enough.",
        "Give an availability, or mtbf and mttr; the time to detect is a part of the time to restore.";
    UNKNOWN_PART = "W002" "unknown-part" Error,
        "A workload names a component, a zone or a region that it does not define.",
        "Define it, or correct the name.";
    WORKLOAD_CIRCLE = "W003" "workload-circle" Error,
        "Components of a workload need each other.",
        "Remove one of the dependencies.";
}

#[cfg(test)]
mod tests {
    use super::CODES;

    #[test]
    fn every_code_has_an_id_of_its_own_in_order_and_full_sentences() {
        for pair in CODES.windows(2) {
            assert!(pair[0].id < pair[1].id, "{} before {}", pair[0].id, pair[1].id);
        }
        for code in CODES {
            assert!(code.about.ends_with('.') && code.cure.ends_with('.'), "{}", code.id);
            assert!(CODES.iter().filter(|other| other.name == code.name).count() == 1, "{}", code.name);
        }
    }
}
