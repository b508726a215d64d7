//! Names and health checks: Route 53.

use super::{RECORD_TYPE, SECONDS, TAGS, Type};
use crate::shape::{
    Keys, Shape,
    Shape::{Flag, Keys as Mapping, List, Text, Whole, Word},
    may, need,
};

/// What stands in them, and what they answer with.
pub(super) const TYPES: &[Type] = &[
    Type {
        name: "AWS::Route53::HealthCheck",
        properties: &Keys {
            what: "AWS::Route53::HealthCheck",
            keys: &[
                need(
                    "HealthCheckConfig",
                    Mapping(&Keys {
                        what: "`HealthCheckConfig`",
                        keys: &[
                            need(
                                "Type",
                                Word(&[
                                    "CALCULATED",
                                    "CLOUDWATCH_METRIC",
                                    "HTTP",
                                    "HTTP_STR_MATCH",
                                    "HTTPS",
                                    "HTTPS_STR_MATCH",
                                    "TCP",
                                    "RECOVERY_CONTROL",
                                ]),
                            ),
                            may(
                                "AlarmIdentifier",
                                Mapping(&Keys {
                                    what: "`AlarmIdentifier`",
                                    keys: &[need("Name", Text), need("Region", Text)],
                                }),
                            ),
                            may("ChildHealthChecks", List(&Text)),
                            may("EnableSNI", Flag),
                            may("FailureThreshold", Whole(1, 10)),
                            may("FullyQualifiedDomainName", Text),
                            may("HealthThreshold", Whole(0, 256)),
                            may("IPAddress", Text),
                            may("InsufficientDataHealthStatus", Word(&["Healthy", "LastKnownStatus", "Unhealthy"])),
                            may("Inverted", Flag),
                            may("MeasureLatency", Flag),
                            may("Port", Whole(1, 65_535)),
                            may(
                                "Regions",
                                List(&Word(&[
                                    "ap-northeast-1",
                                    "ap-southeast-1",
                                    "ap-southeast-2",
                                    "eu-west-1",
                                    "sa-east-1",
                                    "us-east-1",
                                    "us-west-1",
                                    "us-west-2",
                                ])),
                            ),
                            may("RequestInterval", Whole(10, 30)),
                            may("ResourcePath", Text),
                            may("RoutingControlArn", Text),
                            may("SearchString", Text),
                        ],
                    }),
                ),
                may("HealthCheckTags", TAGS),
            ],
        },
        attributes: &["HealthCheckId"],
    },
    Type {
        name: "AWS::Route53::HostedZone",
        properties: &Keys {
            what: "AWS::Route53::HostedZone",
            keys: &[
                may("HostedZoneConfig", Mapping(&Keys { what: "`HostedZoneConfig`", keys: &[may("Comment", Text)] })),
                may(
                    "HostedZoneFeatures",
                    Mapping(&Keys { what: "`HostedZoneFeatures`", keys: &[may("EnableAcceleratedRecovery", Flag)] }),
                ),
                may("HostedZoneTags", TAGS),
                may("Name", Text),
                may(
                    "QueryLoggingConfig",
                    Mapping(&Keys { what: "`QueryLoggingConfig`", keys: &[need("CloudWatchLogsLogGroupArn", Text)] }),
                ),
                may(
                    "VPCs",
                    List(&Mapping(&Keys { what: "`VPCs`", keys: &[need("VPCId", Text), need("VPCRegion", Text)] })),
                ),
            ],
        },
        attributes: &["Id", "NameServers"],
    },
    Type {
        name: "AWS::Route53::RecordSet",
        properties: &Keys {
            what: "AWS::Route53::RecordSet",
            keys: &[
                need("Name", Text),
                need("Type", RECORD_TYPE),
                may("AliasTarget", ALIAS_TARGET),
                may("CidrRoutingConfig", CIDR_ROUTING),
                may("Comment", Text),
                may("Failover", FAILOVER),
                may("GeoLocation", GEO_LOCATION),
                may("GeoProximityLocation", GEO_PROXIMITY),
                may("HealthCheckId", Text),
                may("HostedZoneId", Text),
                may("HostedZoneName", Text),
                may("MultiValueAnswer", Flag),
                may("Region", Text),
                may("ResourceRecords", List(&Text)),
                may("SetIdentifier", Text),
                may("TTL", SECONDS),
                may("Weight", WEIGHT),
            ],
        },
        attributes: &["Id"],
    },
    Type {
        name: "AWS::Route53::RecordSetGroup",
        properties: &Keys {
            what: "AWS::Route53::RecordSetGroup",
            keys: &[
                may("Comment", Text),
                may("HostedZoneId", Text),
                may("HostedZoneName", Text),
                may(
                    "RecordSets",
                    List(&Mapping(&Keys {
                        what: "`RecordSets`",
                        keys: &[
                            need("Name", Text),
                            need("Type", RECORD_TYPE),
                            may("AliasTarget", ALIAS_TARGET),
                            may("CidrRoutingConfig", CIDR_ROUTING),
                            may("Failover", FAILOVER),
                            may("GeoLocation", GEO_LOCATION),
                            may("GeoProximityLocation", GEO_PROXIMITY),
                            may("HealthCheckId", Text),
                            may("HostedZoneId", Text),
                            may("HostedZoneName", Text),
                            may("MultiValueAnswer", Flag),
                            may("Region", Text),
                            may("ResourceRecords", List(&Text)),
                            may("SetIdentifier", Text),
                            may("TTL", SECONDS),
                            may("Weight", WEIGHT),
                        ],
                    })),
                ),
            ],
        },
        attributes: &["Id"],
    },
];

/// Where an alias leads.
const ALIAS_TARGET: Shape = Mapping(&Keys {
    what: "`AliasTarget`",
    keys: &[need("DNSName", Text), need("HostedZoneId", Text), may("EvaluateTargetHealth", Flag)],
});

/// By where the asker is, as a network.
const CIDR_ROUTING: Shape =
    Mapping(&Keys { what: "`CidrRoutingConfig`", keys: &[need("CollectionId", Text), need("LocationName", Text)] });

/// Which of a pair that fails over.
const FAILOVER: Shape = Word(&["PRIMARY", "SECONDARY"]);

/// By where the asker is, as a place.
const GEO_LOCATION: Shape = Mapping(&Keys {
    what: "`GeoLocation`",
    keys: &[may("ContinentCode", Text), may("CountryCode", Text), may("SubdivisionCode", Text)],
});

/// By how near the asker is.
const GEO_PROXIMITY: Shape = Mapping(&Keys {
    what: "`GeoProximityLocation`",
    keys: &[
        may("AWSRegion", Text),
        may("Bias", Whole(i64::MIN, i64::MAX)),
        may(
            "Coordinates",
            Mapping(&Keys { what: "`Coordinates`", keys: &[need("Latitude", Text), need("Longitude", Text)] }),
        ),
        may("LocalZoneGroup", Text),
    ],
});

/// The share of a weighted record: 0 to 255 (ResourceRecordSet in the API of Route 53).
const WEIGHT: Shape = Whole(0, 255);
