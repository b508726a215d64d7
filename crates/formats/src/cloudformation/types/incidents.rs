//! Incidents and runbooks: Systems Manager and Incident Manager.

use super::{TAGS, Type};
use crate::shape::{
    Keys,
    Shape::{Any, Flag, Keys as Mapping, List, Text, Whole, Word},
    may, need,
};

/// What stands in them, and what they answer with.
pub(super) const TYPES: &[Type] = &[
    Type {
        name: "AWS::SSM::Document",
        properties: &Keys {
            what: "AWS::SSM::Document",
            keys: &[
                need("Content", Any),
                may(
                    "Attachments",
                    List(&Mapping(&Keys {
                        what: "`Attachments`",
                        keys: &[
                            may("Key", Word(&["SourceUrl", "S3FileUrl", "AttachmentReference"])),
                            may("Name", Text),
                            may("Values", List(&Text)),
                        ],
                    })),
                ),
                may("DocumentFormat", Word(&["YAML", "JSON", "TEXT"])),
                may(
                    "DocumentType",
                    Word(&[
                        "ApplicationConfiguration",
                        "ApplicationConfigurationSchema",
                        "Automation",
                        "Automation.ChangeTemplate",
                        "AutoApprovalPolicy",
                        "ChangeCalendar",
                        "CloudFormation",
                        "Command",
                        "DeploymentStrategy",
                        "ManualApprovalPolicy",
                        "Package",
                        "Policy",
                        "ProblemAnalysis",
                        "ProblemAnalysisTemplate",
                        "Session",
                    ]),
                ),
                may("Name", Text),
                may(
                    "Requires",
                    List(&Mapping(&Keys { what: "`Requires`", keys: &[may("Name", Text), may("Version", Text)] })),
                ),
                may("Tags", TAGS),
                may("TargetType", Text),
                may("UpdateMethod", Word(&["Replace", "NewVersion"])),
                may("VersionName", Text),
            ],
        },
        attributes: &[],
    },
    Type {
        name: "AWS::SSMIncidents::ReplicationSet",
        properties: &Keys {
            what: "AWS::SSMIncidents::ReplicationSet",
            keys: &[
                need(
                    "Regions",
                    List(&Mapping(&Keys {
                        what: "`Regions`",
                        keys: &[
                            may(
                                "RegionConfiguration",
                                Mapping(&Keys { what: "`RegionConfiguration`", keys: &[need("SseKmsKeyId", Text)] }),
                            ),
                            may("RegionName", Text),
                        ],
                    })),
                ),
                may("DeletionProtected", Flag),
                may("Tags", TAGS),
            ],
        },
        attributes: &["Arn"],
    },
    Type {
        name: "AWS::SSMIncidents::ResponsePlan",
        properties: &Keys {
            what: "AWS::SSMIncidents::ResponsePlan",
            keys: &[
                need(
                    "IncidentTemplate",
                    Mapping(&Keys {
                        what: "`IncidentTemplate`",
                        keys: &[
                            need("Impact", Whole(1, 5)),
                            need("Title", Text),
                            may("DedupeString", Text),
                            may("IncidentTags", TAGS),
                            may(
                                "NotificationTargets",
                                List(&Mapping(&Keys {
                                    what: "`NotificationTargets`",
                                    keys: &[may("SnsTopicArn", Text)],
                                })),
                            ),
                            may("Summary", Text),
                        ],
                    }),
                ),
                need("Name", Text),
                may(
                    "Actions",
                    List(&Mapping(&Keys {
                        what: "`Actions`",
                        keys: &[may(
                            "SsmAutomation",
                            Mapping(&Keys {
                                what: "`SsmAutomation`",
                                keys: &[
                                    need("DocumentName", Text),
                                    need("RoleArn", Text),
                                    may("DocumentVersion", Text),
                                    may(
                                        "DynamicParameters",
                                        List(&Mapping(&Keys {
                                            what: "`DynamicParameters`",
                                            keys: &[
                                                need("Key", Text),
                                                need(
                                                    "Value",
                                                    Mapping(&Keys {
                                                        what: "`Value`",
                                                        keys: &[may(
                                                            "Variable",
                                                            Word(&["INCIDENT_RECORD_ARN", "INVOLVED_RESOURCES"]),
                                                        )],
                                                    }),
                                                ),
                                            ],
                                        })),
                                    ),
                                    // A rule of its own says what is right of these.
                                    may("Parameters", Any),
                                    may("TargetAccount", Word(&["IMPACTED_ACCOUNT", "RESPONSE_PLAN_OWNER_ACCOUNT"])),
                                ],
                            }),
                        )],
                    })),
                ),
                may("ChatChannel", Mapping(&Keys { what: "`ChatChannel`", keys: &[may("ChatbotSns", List(&Text))] })),
                may("DisplayName", Text),
                may("Engagements", List(&Text)),
                may(
                    "Integrations",
                    List(&Mapping(&Keys {
                        what: "`Integrations`",
                        keys: &[may(
                            "PagerDutyConfiguration",
                            Mapping(&Keys {
                                what: "`PagerDutyConfiguration`",
                                keys: &[
                                    need("Name", Text),
                                    need(
                                        "PagerDutyIncidentConfiguration",
                                        Mapping(&Keys {
                                            what: "`PagerDutyIncidentConfiguration`",
                                            keys: &[need("ServiceId", Text)],
                                        }),
                                    ),
                                    need("SecretId", Text),
                                ],
                            }),
                        )],
                    })),
                ),
                may("Tags", TAGS),
            ],
        },
        attributes: &["Arn"],
    },
];
