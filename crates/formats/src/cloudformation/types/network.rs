//! Networks: VPCs with what belongs to them, and target groups of load balancers.

use super::{TAGS, Type};
use crate::shape::{
    Keys,
    Shape::{Flag, Keys as Mapping, List, Text, Whole, Word},
    may, need,
};

/// What stands in them, and what they answer with.
pub(super) const TYPES: &[Type] = &[
    Type {
        name: "AWS::EC2::EIP",
        properties: &Keys {
            what: "AWS::EC2::EIP",
            keys: &[
                may("Address", Text),
                may("Domain", Text),
                may("InstanceId", Text),
                may("IpamPoolId", Text),
                may("NetworkBorderGroup", Text),
                may("PublicIpv4Pool", Text),
                may("Tags", TAGS),
                may("TransferAddress", Text),
            ],
        },
        attributes: &["AllocationId", "PublicIp"],
    },
    Type {
        name: "AWS::EC2::InternetGateway",
        properties: &Keys { what: "AWS::EC2::InternetGateway", keys: &[may("Tags", TAGS)] },
        attributes: &["InternetGatewayId"],
    },
    Type {
        name: "AWS::EC2::NatGateway",
        properties: &Keys {
            what: "AWS::EC2::NatGateway",
            keys: &[
                may("AllocationId", Text),
                may("AvailabilityMode", Word(&["regional", "zonal"])),
                may(
                    "AvailabilityZoneAddresses",
                    List(&Mapping(&Keys {
                        what: "`AvailabilityZoneAddresses`",
                        keys: &[
                            need("AllocationIds", List(&Text)),
                            may("AvailabilityZone", Text),
                            may("AvailabilityZoneId", Text),
                        ],
                    })),
                ),
                may("ConnectivityType", Word(&["private", "public"])),
                may("MaxDrainDurationSeconds", Whole(i64::MIN, i64::MAX)),
                may("PrivateIpAddress", Text),
                may("SecondaryAllocationIds", List(&Text)),
                may("SecondaryPrivateIpAddressCount", Whole(1, 31)),
                may("SecondaryPrivateIpAddresses", List(&Text)),
                may("SubnetId", Text),
                may("Tags", TAGS),
                may("VpcId", Text),
            ],
        },
        attributes: &["AutoProvisionZones", "AutoScalingIps", "EniId", "NatGatewayId", "RouteTableId"],
    },
    Type {
        name: "AWS::EC2::Route",
        properties: &Keys {
            what: "AWS::EC2::Route",
            keys: &[
                need("RouteTableId", Text),
                may("CarrierGatewayId", Text),
                may("CoreNetworkArn", Text),
                may("DestinationCidrBlock", Text),
                may("DestinationIpv6CidrBlock", Text),
                may("DestinationPrefixListId", Text),
                may("EgressOnlyInternetGatewayId", Text),
                may("GatewayId", Text),
                may("InstanceId", Text),
                may("LocalGatewayId", Text),
                may("NatGatewayId", Text),
                may("NetworkInterfaceId", Text),
                may("TransitGatewayId", Text),
                may("VpcEndpointId", Text),
                may("VpcPeeringConnectionId", Text),
            ],
        },
        attributes: &["CidrBlock"],
    },
    Type {
        name: "AWS::EC2::RouteTable",
        properties: &Keys { what: "AWS::EC2::RouteTable", keys: &[need("VpcId", Text), may("Tags", TAGS)] },
        attributes: &["RouteTableId"],
    },
    Type {
        name: "AWS::EC2::Subnet",
        properties: &Keys {
            what: "AWS::EC2::Subnet",
            keys: &[
                need("VpcId", Text),
                may("AssignIpv6AddressOnCreation", Flag),
                may("AvailabilityZone", Text),
                may("AvailabilityZoneId", Text),
                may("CidrBlock", Text),
                may("EnableDns64", Flag),
                may("EnableLniAtDeviceIndex", Whole(i64::MIN, i64::MAX)),
                may("Ipv4IpamPoolId", Text),
                may("Ipv4NetmaskLength", Whole(i64::MIN, i64::MAX)),
                may("Ipv6CidrBlock", Text),
                may("Ipv6IpamPoolId", Text),
                may("Ipv6Native", Flag),
                may("Ipv6NetmaskLength", Whole(i64::MIN, i64::MAX)),
                may("MapPublicIpOnLaunch", Flag),
                may("OutpostArn", Text),
                may(
                    "PrivateDnsNameOptionsOnLaunch",
                    Mapping(&Keys {
                        what: "`PrivateDnsNameOptionsOnLaunch`",
                        keys: &[
                            may("EnableResourceNameDnsAAAARecord", Flag),
                            may("EnableResourceNameDnsARecord", Flag),
                            may("HostnameType", Text),
                        ],
                    }),
                ),
                may("Tags", TAGS),
            ],
        },
        attributes: &["BlockPublicAccessStates", "Ipv6CidrBlocks", "NetworkAclAssociationId", "SubnetId"],
    },
    Type {
        name: "AWS::EC2::SubnetRouteTableAssociation",
        properties: &Keys {
            what: "AWS::EC2::SubnetRouteTableAssociation",
            keys: &[need("RouteTableId", Text), need("SubnetId", Text)],
        },
        attributes: &["Id"],
    },
    Type {
        name: "AWS::EC2::VPC",
        properties: &Keys {
            what: "AWS::EC2::VPC",
            keys: &[
                may("CidrBlock", Text),
                may("EnableDnsHostnames", Flag),
                may("EnableDnsSupport", Flag),
                may("InstanceTenancy", Word(&["dedicated", "default", "host"])),
                may("Ipv4IpamPoolId", Text),
                may("Ipv4NetmaskLength", Whole(i64::MIN, i64::MAX)),
                may("Tags", TAGS),
            ],
        },
        attributes: &["CidrBlockAssociations", "DefaultNetworkAcl", "DefaultSecurityGroup", "Ipv6CidrBlocks", "VpcId"],
    },
    Type {
        name: "AWS::EC2::VPCGatewayAttachment",
        properties: &Keys {
            what: "AWS::EC2::VPCGatewayAttachment",
            keys: &[need("VpcId", Text), may("InternetGatewayId", Text), may("VpnGatewayId", Text)],
        },
        attributes: &["AttachmentType"],
    },
    Type {
        name: "AWS::ElasticLoadBalancingV2::TargetGroup",
        properties: &Keys {
            what: "AWS::ElasticLoadBalancingV2::TargetGroup",
            keys: &[
                may("HealthCheckEnabled", Flag),
                may("HealthCheckIntervalSeconds", Whole(5, 300)),
                may("HealthCheckPath", Text),
                may("HealthCheckPort", Text),
                may("HealthCheckProtocol", Word(&["HTTP", "HTTPS", "TCP"])),
                may("HealthCheckTimeoutSeconds", Whole(2, 120)),
                may("HealthyThresholdCount", Whole(2, 10)),
                may("IpAddressType", Word(&["ipv4", "ipv6"])),
                may(
                    "Matcher",
                    Mapping(&Keys { what: "`Matcher`", keys: &[may("GrpcCode", Text), may("HttpCode", Text)] }),
                ),
                may("Name", Text),
                may("Port", Whole(1, 65_535)),
                may("Protocol", Word(&["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP", "GENEVE", "QUIC", "TCP_QUIC"])),
                may("ProtocolVersion", Word(&["GRPC", "HTTP1", "HTTP2"])),
                may("Tags", TAGS),
                may("TargetControlPort", Whole(1, 65_535)),
                may(
                    "TargetGroupAttributes",
                    List(&Mapping(&Keys {
                        what: "`TargetGroupAttributes`",
                        keys: &[may("Key", Text), may("Value", Text)],
                    })),
                ),
                may("TargetType", Word(&["instance", "ip", "lambda", "alb"])),
                may(
                    "Targets",
                    List(&Mapping(&Keys {
                        what: "`Targets`",
                        keys: &[
                            need("Id", Text),
                            may("AvailabilityZone", Text),
                            may("Port", Whole(1, 65_535)),
                            may("QuicServerId", Text),
                        ],
                    })),
                ),
                may("UnhealthyThresholdCount", Whole(2, 10)),
                may("VpcId", Text),
            ],
        },
        attributes: &["LoadBalancerArns", "TargetGroupArn", "TargetGroupFullName", "TargetGroupName"],
    },
];
