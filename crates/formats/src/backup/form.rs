//! The form of plans and selections as the API has them.

use crate::{
    decode::Reader,
    node::Node,
    shape::{
        self, Keys, Notation,
        Shape::{self, Any, Flag, Keys as Mapping, List, Names, Text, Whole, Word},
        may, need,
    },
};

/// A plan, a selection, or both; beside them what the calls take and answer.
const INPUT: Keys = Keys {
    what: "the input",
    keys: &[
        may("BackupPlan", Mapping(&PLAN)),
        may("BackupSelection", Mapping(&SELECTION)),
        may("BackupPlanId", Text),
        may("BackupPlanArn", Text),
        may("BackupPlanTags", Names(&Text)),
        may("CreatorRequestId", Text),
        may("VersionId", Text),
        may("SelectionId", Text),
        may("CreationDate", Any),
        may("LastExecutionDate", Any),
        may("DeletionDate", Any),
        may("AdvancedBackupSettings", Any),
    ],
};

const PLAN: Keys = Keys {
    what: "a backup plan",
    keys: &[
        need("BackupPlanName", Text),
        need("Rules", List(&Mapping(&RULE))),
        may("AdvancedBackupSettings", Any),
        may("ScanSettings", Any),
    ],
};

const RULE: Keys = Keys {
    what: "a rule",
    keys: &[
        need("RuleName", Text),
        need("TargetBackupVaultName", Text),
        may("ScheduleExpression", Text),
        may("ScheduleExpressionTimezone", Text),
        may("StartWindowMinutes", MINUTES),
        may("CompletionWindowMinutes", MINUTES),
        may("Lifecycle", Mapping(&LIFECYCLE)),
        may("RecoveryPointTags", Names(&Text)),
        may(
            "CopyActions",
            List(&Mapping(&Keys {
                what: "a copy",
                keys: &[need("DestinationBackupVaultArn", Text), may("Lifecycle", Mapping(&LIFECYCLE))],
            })),
        ),
        may("EnableContinuousBackup", Flag),
        may("IndexActions", Any),
        may("ScanActions", Any),
        may("TargetLogicallyAirGappedBackupVaultArn", Text),
        // An answer has it.
        may("RuleId", Text),
    ],
};

const MINUTES: Shape = Whole(0, i64::MAX);

/// Days; -1 stands for never in answers.
const DAYS: Shape = Whole(-1, i64::MAX);

const LIFECYCLE: Keys = Keys {
    what: "a lifecycle",
    keys: &[
        may("MoveToColdStorageAfterDays", DAYS),
        may("DeleteAfterDays", DAYS),
        may("OptInToArchiveForSupportedResources", Flag),
        may("DeleteAfterEvent", Text),
    ],
};

const SELECTION: Keys = Keys {
    what: "a selection",
    keys: &[
        need("SelectionName", Text),
        need("IamRoleArn", Text),
        may("Resources", List(&Text)),
        may("NotResources", List(&Text)),
        may(
            "ListOfTags",
            List(&Mapping(&Keys {
                what: "a tag",
                keys: &[
                    need("ConditionType", Word(&["STRINGEQUALS"])),
                    need("ConditionKey", Text),
                    need("ConditionValue", Text),
                ],
            })),
        ),
        may(
            "Conditions",
            Mapping(&Keys {
                what: "the conditions",
                keys: &[
                    may("StringEquals", PAIRS),
                    may("StringNotEquals", PAIRS),
                    may("StringLike", PAIRS),
                    may("StringNotLike", PAIRS),
                ],
            }),
        ),
    ],
};

const PAIRS: Shape =
    List(&Mapping(&Keys { what: "a condition", keys: &[need("ConditionKey", Text), need("ConditionValue", Text)] }));

/// Holds a document to the form of what it is.
pub(super) fn check(reader: &mut Reader<'_>, root: &Node) {
    let keys = if root.entry("BackupPlan").is_some() || root.entry("BackupSelection").is_some() {
        &INPUT
    } else if root.entry("Rules").is_some() || root.entry("BackupPlanName").is_some() {
        &PLAN
    } else {
        &SELECTION
    };
    shape::check(reader, Notation::Strict, root, Mapping(keys), "the document");
}
