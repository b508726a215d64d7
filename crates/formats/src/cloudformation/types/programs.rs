//! Programs and what they may do: Lambda, IAM, accounts of an experiment.

use super::{RUNTIME, TAGS, Type};
use crate::shape::{
    Keys,
    Shape::{Any, Flag, Form, Keys as Mapping, List, Names, Number, Text, Whole, Word},
    may, need,
};

/// What stands in them, and what they answer with.
pub(super) const TYPES: &[Type] = &[
    Type {
        name: "AWS::FIS::TargetAccountConfiguration",
        properties: &Keys {
            what: "AWS::FIS::TargetAccountConfiguration",
            keys: &[
                need("AccountId", Text),
                need("ExperimentTemplateId", Text),
                need("RoleArn", Text),
                may("Description", Text),
            ],
        },
        attributes: &[],
    },
    Type {
        name: "AWS::IAM::ManagedPolicy",
        properties: &Keys {
            what: "AWS::IAM::ManagedPolicy",
            keys: &[
                need("PolicyDocument", Any),
                may("Description", Text),
                may("Groups", List(&Text)),
                may("ManagedPolicyName", Text),
                may("Path", Text),
                may("Roles", List(&Text)),
                may("Users", List(&Text)),
            ],
        },
        attributes: &[
            "AttachmentCount",
            "CreateDate",
            "DefaultVersionId",
            "IsAttachable",
            "PermissionsBoundaryUsageCount",
            "PolicyArn",
            "PolicyId",
            "UpdateDate",
        ],
    },
    Type {
        name: "AWS::IAM::Policy",
        properties: &Keys {
            what: "AWS::IAM::Policy",
            keys: &[
                need("PolicyDocument", Any),
                need("PolicyName", Text),
                may("Groups", List(&Text)),
                may("Roles", List(&Text)),
                may("Users", List(&Text)),
            ],
        },
        attributes: &["Id"],
    },
    Type {
        name: "AWS::IAM::Role",
        properties: &Keys {
            what: "AWS::IAM::Role",
            keys: &[
                need("AssumeRolePolicyDocument", Any),
                may("Description", Text),
                may("ManagedPolicyArns", List(&Text)),
                may("MaxSessionDuration", Whole(3600, 43_200)),
                may("Path", Text),
                may("PermissionsBoundary", Text),
                may(
                    "Policies",
                    List(&Mapping(&Keys {
                        what: "`Policies`",
                        keys: &[need("PolicyDocument", Any), need("PolicyName", Text)],
                    })),
                ),
                may("RoleName", Text),
                may("Tags", TAGS),
            ],
        },
        attributes: &["Arn", "RoleId"],
    },
    Type {
        name: "AWS::Lambda::Function",
        properties: &Keys {
            what: "AWS::Lambda::Function",
            keys: &[
                need(
                    "Code",
                    Mapping(&Keys {
                        what: "`Code`",
                        keys: &[
                            may("ImageUri", Text),
                            may("S3Bucket", Text),
                            may("S3Key", Text),
                            may("S3ObjectStorageMode", Word(&["COPY", "REFERENCE"])),
                            may("S3ObjectVersion", Text),
                            may("SourceKMSKeyArn", Text),
                            may("ZipFile", Text),
                        ],
                    }),
                ),
                need("Role", Text),
                may("Architectures", List(&Word(&["x86_64", "arm64"]))),
                may(
                    "CapacityProviderConfig",
                    Mapping(&Keys {
                        what: "`CapacityProviderConfig`",
                        keys: &[need(
                            "LambdaManagedInstancesCapacityProviderConfig",
                            Mapping(&Keys {
                                what: "`LambdaManagedInstancesCapacityProviderConfig`",
                                keys: &[
                                    need("CapacityProviderArn", Text),
                                    may("ExecutionEnvironmentMemoryGiBPerVCpu", Number),
                                    may("PerExecutionEnvironmentMaxConcurrency", Whole(1, 1600)),
                                ],
                            }),
                        )],
                    }),
                ),
                may("CodeSigningConfigArn", Text),
                may("DeadLetterConfig", Mapping(&Keys { what: "`DeadLetterConfig`", keys: &[may("TargetArn", Text)] })),
                may("Description", Text),
                may(
                    "DurableConfig",
                    Mapping(&Keys {
                        what: "`DurableConfig`",
                        keys: &[
                            need("ExecutionTimeout", Whole(1, 31_622_400)),
                            may("RetentionPeriodInDays", Whole(1, 90)),
                        ],
                    }),
                ),
                may("Environment", Mapping(&Keys { what: "`Environment`", keys: &[may("Variables", Names(&Any))] })),
                may(
                    "EphemeralStorage",
                    Mapping(&Keys { what: "`EphemeralStorage`", keys: &[need("Size", Whole(512, 10_240))] }),
                ),
                may(
                    "FileSystemConfigs",
                    List(&Mapping(&Keys {
                        what: "`FileSystemConfigs`",
                        keys: &[need("Arn", Text), need("LocalMountPath", Text)],
                    })),
                ),
                may("FunctionName", Text),
                may(
                    "FunctionScalingConfig",
                    Mapping(&Keys {
                        what: "`FunctionScalingConfig`",
                        keys: &[
                            may("MaxExecutionEnvironments", Whole(0, 15_000)),
                            may("MinExecutionEnvironments", Whole(0, 15_000)),
                        ],
                    }),
                ),
                may("Handler", Text),
                may(
                    "ImageConfig",
                    Mapping(&Keys {
                        what: "`ImageConfig`",
                        keys: &[
                            may("Command", List(&Text)),
                            may("EntryPoint", List(&Text)),
                            may("WorkingDirectory", Text),
                        ],
                    }),
                ),
                may("KmsKeyArn", Text),
                may("Layers", List(&Text)),
                may(
                    "LoggingConfig",
                    Mapping(&Keys {
                        what: "`LoggingConfig`",
                        keys: &[
                            may("ApplicationLogLevel", Word(&["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"])),
                            may("LogFormat", Word(&["Text", "JSON"])),
                            may("LogGroup", Text),
                            may("SystemLogLevel", Word(&["DEBUG", "INFO", "WARN"])),
                        ],
                    }),
                ),
                may("MemorySize", Whole(128, 10_240)),
                may("PackageType", Word(&["Image", "Zip"])),
                may("PublishToLatestPublished", Flag),
                may("RecursiveLoop", Word(&["Allow", "Terminate"])),
                may("ReservedConcurrentExecutions", Whole(0, i64::MAX)),
                may("Runtime", Form(&RUNTIME)),
                may(
                    "RuntimeManagementConfig",
                    Mapping(&Keys {
                        what: "`RuntimeManagementConfig`",
                        keys: &[
                            need("UpdateRuntimeOn", Word(&["Auto", "FunctionUpdate", "Manual"])),
                            may("RuntimeVersionArn", Text),
                        ],
                    }),
                ),
                may(
                    "SnapStart",
                    Mapping(&Keys {
                        what: "`SnapStart`",
                        keys: &[need("ApplyOn", Word(&["PublishedVersions", "None"]))],
                    }),
                ),
                may("Tags", TAGS),
                may(
                    "TenancyConfig",
                    Mapping(&Keys {
                        what: "`TenancyConfig`",
                        keys: &[need("TenantIsolationMode", Word(&["PER_TENANT"]))],
                    }),
                ),
                may("Timeout", Whole(1, 900)),
                may(
                    "TracingConfig",
                    Mapping(&Keys { what: "`TracingConfig`", keys: &[may("Mode", Word(&["Active", "PassThrough"]))] }),
                ),
                may(
                    "VpcConfig",
                    Mapping(&Keys {
                        what: "`VpcConfig`",
                        keys: &[
                            may("Ipv6AllowedForDualStack", Flag),
                            may("SecurityGroupIds", List(&Text)),
                            may("SubnetIds", List(&Text)),
                        ],
                    }),
                ),
            ],
        },
        attributes: &["Arn", "SnapStartResponse", "SnapStartResponse.ApplyOn", "SnapStartResponse.OptimizationStatus"],
    },
];
