//! The table of all findings. A code is never used again for something else.

use crate::finding::{Code, Severity};

macro_rules! codes {
    ($($name:ident = $id:literal $short:literal $severity:ident, $about:literal, $cure:literal;)+) => {
        $(
            #[doc = $about]
            pub const $name: Code =
                Code { id: $id, name: $short, severity: Severity::$severity, about: $about, cure: $cure };
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
        "The risk rules of a question have no `default`, which the format wants.",
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
        "A choice changes the risk of no answer.",
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
