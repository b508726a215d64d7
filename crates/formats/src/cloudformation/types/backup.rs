//! Backups.

use super::Type;
use crate::shape::{
    Keys, Shape,
    Shape::{Any, Flag, Keys as Mapping, List, Names, Text, Whole, Word},
    may, need,
};

/// What stands in them, and what they answer with.
pub(super) const TYPES: &[Type] = &[
    Type {
        name: "AWS::Backup::BackupPlan",
        properties: &Keys {
            what: "AWS::Backup::BackupPlan",
            keys: &[
                need(
                    "BackupPlan",
                    Mapping(&Keys {
                        what: "`BackupPlan`",
                        keys: &[
                            need("BackupPlanName", Text),
                            need(
                                "BackupPlanRule",
                                List(&Mapping(&Keys {
                                    what: "`BackupPlanRule`",
                                    keys: &[
                                        need("RuleName", Text),
                                        need("TargetBackupVault", Text),
                                        may("CompletionWindowMinutes", Whole(0, i64::MAX)),
                                        may(
                                            "CopyActions",
                                            List(&Mapping(&Keys {
                                                what: "`CopyActions`",
                                                keys: &[
                                                    need("DestinationBackupVaultArn", Text),
                                                    may(
                                                        "Lifecycle",
                                                        Mapping(&Keys {
                                                            what: "`Lifecycle`",
                                                            keys: &[
                                                                may("DeleteAfterDays", Whole(0, i64::MAX)),
                                                                may("MoveToColdStorageAfterDays", Whole(0, i64::MAX)),
                                                                may("OptInToArchiveForSupportedResources", Flag),
                                                            ],
                                                        }),
                                                    ),
                                                ],
                                            })),
                                        ),
                                        may("EnableContinuousBackup", Flag),
                                        may(
                                            "IndexActions",
                                            List(&Mapping(&Keys {
                                                what: "`IndexActions`",
                                                keys: &[may("ResourceTypes", List(&Text))],
                                            })),
                                        ),
                                        may(
                                            "Lifecycle",
                                            Mapping(&Keys {
                                                what: "`Lifecycle`",
                                                keys: &[
                                                    may("DeleteAfterDays", Whole(0, i64::MAX)),
                                                    may("MoveToColdStorageAfterDays", Whole(0, i64::MAX)),
                                                    may("OptInToArchiveForSupportedResources", Flag),
                                                ],
                                            }),
                                        ),
                                        may("RecoveryPointTags", Names(&Any)),
                                        may(
                                            "ScanActions",
                                            List(&Mapping(&Keys {
                                                what: "`ScanActions`",
                                                keys: &[
                                                    may("MalwareScanner", Word(&["GUARDDUTY"])),
                                                    may("ScanMode", Word(&["FULL_SCAN", "INCREMENTAL_SCAN"])),
                                                ],
                                            })),
                                        ),
                                        may("ScheduleExpression", Text),
                                        may("ScheduleExpressionTimezone", Text),
                                        may("StartWindowMinutes", Whole(0, i64::MAX)),
                                        may("TargetLogicallyAirGappedBackupVaultArn", Text),
                                    ],
                                })),
                            ),
                            may(
                                "AdvancedBackupSettings",
                                List(&Mapping(&Keys {
                                    what: "`AdvancedBackupSettings`",
                                    keys: &[need("BackupOptions", Any), need("ResourceType", Text)],
                                })),
                            ),
                            may(
                                "ScanSettings",
                                List(&Mapping(&Keys {
                                    what: "`ScanSettings`",
                                    keys: &[
                                        may("MalwareScanner", Word(&["GUARDDUTY"])),
                                        may("ResourceTypes", List(&Text)),
                                        may("ScannerRoleArn", Text),
                                    ],
                                })),
                            ),
                        ],
                    }),
                ),
                may("BackupPlanTags", Names(&Any)),
            ],
        },
        attributes: &["BackupPlanArn", "BackupPlanId", "VersionId"],
    },
    Type {
        name: "AWS::Backup::BackupSelection",
        properties: &Keys {
            what: "AWS::Backup::BackupSelection",
            keys: &[
                need("BackupPlanId", Text),
                need(
                    "BackupSelection",
                    Mapping(&Keys {
                        what: "`BackupSelection`",
                        keys: &[
                            need("IamRoleArn", Text),
                            need("SelectionName", Text),
                            may(
                                "Conditions",
                                Mapping(&Keys {
                                    what: "`Conditions`",
                                    keys: &[
                                        may("StringEquals", TAGS_TO_COMPARE),
                                        may("StringLike", TAGS_TO_COMPARE),
                                        may("StringNotEquals", TAGS_TO_COMPARE),
                                        may("StringNotLike", TAGS_TO_COMPARE),
                                    ],
                                }),
                            ),
                            may(
                                "ListOfTags",
                                List(&Mapping(&Keys {
                                    what: "`ListOfTags`",
                                    keys: &[
                                        need("ConditionKey", Text),
                                        need("ConditionType", Word(&["STRINGEQUALS"])),
                                        need("ConditionValue", Text),
                                    ],
                                })),
                            ),
                            may("NotResources", List(&Text)),
                            may("Resources", List(&Text)),
                        ],
                    }),
                ),
            ],
        },
        attributes: &["Id", "SelectionId"],
    },
    Type {
        name: "AWS::Backup::BackupVault",
        properties: &Keys {
            what: "AWS::Backup::BackupVault",
            keys: &[
                need("BackupVaultName", Text),
                may("AccessPolicy", Any),
                may("BackupVaultTags", Names(&Any)),
                may("EncryptionKeyArn", Text),
                may(
                    "LockConfiguration",
                    Mapping(&Keys {
                        what: "`LockConfiguration`",
                        keys: &[
                            need("MinRetentionDays", Whole(i64::MIN, i64::MAX)),
                            may("ChangeableForDays", Whole(i64::MIN, i64::MAX)),
                            may("MaxRetentionDays", Whole(i64::MIN, i64::MAX)),
                        ],
                    }),
                ),
                may(
                    "Notifications",
                    Mapping(&Keys {
                        what: "`Notifications`",
                        keys: &[need("BackupVaultEvents", List(&Text)), need("SNSTopicArn", Text)],
                    }),
                ),
            ],
        },
        attributes: &["BackupVaultArn"],
    },
];

/// Tags, and what they are compared with.
const TAGS_TO_COMPARE: Shape =
    List(&Mapping(&Keys { what: "a condition", keys: &[may("ConditionKey", Text), may("ConditionValue", Text)] }));
