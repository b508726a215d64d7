//! Alarms and dashboards: CloudWatch.

use super::{STATISTIC, TAGS, Type};
use crate::shape::{
    Keys, Shape,
    Shape::{Flag, Form, Keys as Mapping, List, Number, Text, Whole, Word},
    may, need,
};

/// What stands in them, and what they answer with.
pub(super) const TYPES: &[Type] = &[
    Type {
        name: "AWS::CloudWatch::Alarm",
        properties: &Keys {
            what: "AWS::CloudWatch::Alarm",
            keys: &[
                may("ActionsEnabled", Flag),
                may("AlarmActions", List(&Text)),
                may("AlarmDescription", Text),
                may("AlarmName", Text),
                may(
                    "ComparisonOperator",
                    Word(&[
                        "GreaterThanOrEqualToThreshold",
                        "GreaterThanThreshold",
                        "LessThanThreshold",
                        "LessThanOrEqualToThreshold",
                        "LessThanLowerOrGreaterThanUpperThreshold",
                        "LessThanLowerThreshold",
                        "GreaterThanUpperThreshold",
                    ]),
                ),
                may("DatapointsToAlarm", Whole(1, i64::MAX)),
                may(
                    "Dimensions",
                    List(&Mapping(&Keys { what: "`Dimensions`", keys: &[need("Name", Text), need("Value", Text)] })),
                ),
                may("EvaluateLowSampleCountPercentile", Text),
                may(
                    "EvaluationCriteria",
                    Mapping(&Keys {
                        what: "`EvaluationCriteria`",
                        keys: &[may(
                            "PromQLCriteria",
                            Mapping(&Keys {
                                what: "`PromQLCriteria`",
                                keys: &[
                                    may("PendingPeriod", Whole(i64::MIN, i64::MAX)),
                                    may("Query", Text),
                                    may("RecoveryPeriod", Whole(i64::MIN, i64::MAX)),
                                ],
                            }),
                        )],
                    }),
                ),
                may("EvaluationInterval", Whole(10, 3600)),
                may("EvaluationPeriods", Whole(1, i64::MAX)),
                may("ExtendedStatistic", Form(&STATISTIC)),
                may("InsufficientDataActions", List(&Text)),
                may("MetricName", Text),
                may(
                    "Metrics",
                    List(&Mapping(&Keys {
                        what: "`Metrics`",
                        keys: &[
                            need("Id", Text),
                            may("AccountId", Text),
                            may("Expression", Text),
                            may("Label", Text),
                            may(
                                "MetricStat",
                                Mapping(&Keys {
                                    what: "`MetricStat`",
                                    keys: &[
                                        need(
                                            "Metric",
                                            Mapping(&Keys {
                                                what: "`Metric`",
                                                keys: &[
                                                    may(
                                                        "Dimensions",
                                                        List(&Mapping(&Keys {
                                                            what: "`Dimensions`",
                                                            keys: &[need("Name", Text), need("Value", Text)],
                                                        })),
                                                    ),
                                                    may("MetricName", Text),
                                                    may("Namespace", Text),
                                                ],
                                            }),
                                        ),
                                        need("Period", Whole(1, i64::MAX)),
                                        need("Stat", Form(&STATISTIC)),
                                        may("Unit", UNIT),
                                    ],
                                }),
                            ),
                            may("Period", Whole(1, i64::MAX)),
                            may("ReturnData", Flag),
                        ],
                    })),
                ),
                may("Namespace", Text),
                may("OKActions", List(&Text)),
                may("Period", Whole(1, i64::MAX)),
                may("Statistic", Word(&["SampleCount", "Average", "Sum", "Minimum", "Maximum"])),
                may("Tags", TAGS),
                may("Threshold", Number),
                may("ThresholdMetricId", Text),
                may("TreatMissingData", Word(&["breaching", "notBreaching", "ignore", "missing"])),
                may("Unit", UNIT),
            ],
        },
        attributes: &["Arn"],
    },
    Type {
        name: "AWS::CloudWatch::CompositeAlarm",
        properties: &Keys {
            what: "AWS::CloudWatch::CompositeAlarm",
            keys: &[
                need("AlarmRule", Text),
                may("ActionsEnabled", Flag),
                may("ActionsSuppressor", Text),
                may("ActionsSuppressorExtensionPeriod", Whole(0, i64::MAX)),
                may("ActionsSuppressorWaitPeriod", Whole(0, i64::MAX)),
                may("AlarmActions", List(&Text)),
                may("AlarmDescription", Text),
                may("AlarmName", Text),
                may("InsufficientDataActions", List(&Text)),
                may("OKActions", List(&Text)),
                may("Tags", TAGS),
            ],
        },
        attributes: &["Arn"],
    },
    Type {
        name: "AWS::CloudWatch::Dashboard",
        properties: &Keys {
            what: "AWS::CloudWatch::Dashboard",
            keys: &[need("DashboardBody", Text), may("DashboardName", Text)],
        },
        attributes: &[],
    },
];

/// Units of CloudWatch (MetricDatum in its API).
const UNIT: Shape = Word(&[
    "Bits",
    "Bits/Second",
    "Bytes",
    "Bytes/Second",
    "Count",
    "Count/Second",
    "Gigabits",
    "Gigabits/Second",
    "Gigabytes",
    "Gigabytes/Second",
    "Kilobits",
    "Kilobits/Second",
    "Kilobytes",
    "Kilobytes/Second",
    "Megabits",
    "Megabits/Second",
    "Megabytes",
    "Megabytes/Second",
    "Microseconds",
    "Milliseconds",
    "None",
    "Percent",
    "Seconds",
    "Terabits",
    "Terabits/Second",
    "Terabytes",
    "Terabytes/Second",
]);
