//! Short documents for every code about resilience, and their corrected counterparts, in which nothing is found.

use crate::defects::check;

/// Codes, file name, text: exactly these codes are found.
type Row = (&'static [&'static str], &'static str, &'static str);

const NAMES: &[Row] = &[
    (
        &["R101"],
        "a.yaml",
        "Resources:\n  P: { Type: 'AWS::Route53::RecordSet', Properties: { HostedZoneId: Z1, Name: a.example.com, Type: A, SetIdentifier: p, Failover: PRIMARY, TTL: 60, ResourceRecords: [192.0.2.1], HealthCheckId: abc } }\n  S: { Type: 'AWS::Route53::RecordSet', Properties: { HostedZoneId: Z1, Name: a.example.com., Type: A, SetIdentifier: s, Failover: SECONDARY, TTL: 60, ResourceRecords: [192.0.2.2], HealthCheckId: abc } }\n",
    ),
    (
        &["R102"],
        "a.yaml",
        "Resources:\n  Check: { Type: 'AWS::Route53::HealthCheck', Properties: { HealthCheckConfig: { Type: HTTPS, FullyQualifiedDomainName: a.example.com } } }\n  P: { Type: 'AWS::Route53::RecordSet', Properties: { HostedZoneId: Z1, Name: a.example.com, Type: A, SetIdentifier: p, Failover: PRIMARY, TTL: 60, ResourceRecords: [192.0.2.1], HealthCheckId: !Ref Check } }\n",
    ),
    (
        &["R101", "R102"],
        "a.json",
        r#"{"Resources": {"Check": {"Type": "AWS::Route53::HealthCheck", "Properties": {"HealthCheckConfig": {"Type": "HTTPS", "FullyQualifiedDomainName": {"Fn::Sub": "app.${Domain}"}}}}, "Records": {"Type": "AWS::Route53::RecordSetGroup", "Properties": {"HostedZoneId": "Z1", "RecordSets": [{"Name": {"Fn::Join": [".", ["app", {"Ref": "Domain"}]]}, "Type": "A", "SetIdentifier": "p", "Failover": "PRIMARY", "TTL": 60, "ResourceRecords": ["192.0.2.1"], "HealthCheckId": {"Ref": "Check"}}, {"Name": {"Fn::Join": [".", ["app", {"Ref": "Domain"}]]}, "Type": "A", "SetIdentifier": "s", "Failover": "SECONDARY", "TTL": 60, "ResourceRecords": ["192.0.2.2"], "HealthCheckId": {"Ref": "Check"}}]}}}, "Parameters": {"Domain": {"Type": "String"}}}"#,
    ),
    (
        &["R109"],
        "a.json",
        r#"{"CallerReference": "x", "HealthCheckConfig": {"Type": "HTTPS", "FullyQualifiedDomainName": "lb.example.com", "SearchString": "ok", "Disabled": false}}"#,
    ),
    (
        &["R104", "R115"],
        "a.json",
        r#"{"Changes": [{"Action": "UPSERT", "ResourceRecordSet": {"Name": "a.example.com", "Type": "A", "SetIdentifier": "p", "Failover": "PRIMARY", "TTL": 60, "AliasTarget": {"HostedZoneId": "Z", "DNSName": "lb", "EvaluateTargetHealth": false}}}]}"#,
    ),
    (
        &["R110"],
        "a.json",
        r#"{"Changes": [{"Action": "UPSERT", "ResourceRecordSet": {"Name": "a.example.com", "Type": "CNAME", "SetIdentifier": "p", "Failover": "PRIMARY", "TTL": 60, "ResourceRecords": [{"Value": "b"}]}}]}"#,
    ),
    (
        &["R103", "R105", "R106"],
        "a.yaml",
        "Route 53 Hosted Zone: example.com\nwww.example.com:\n  Type: A\n  Routing Policy: Simple\nHealth Checks:\n  one:\n    FQDN: dr.example.com\n    Failure Threshold: 3\n    Success Threshold: 2\n    Regions: 3 regions\n",
    ),
    (
        &["R107", "R108", "R109", "R112", "R111", "R508", "R113"],
        "a.yaml",
        "Failover:\n  Consecutive Failures: 3\n  Check Interval: 30 s\n  Total Detection Time: 90 s\n  Failure Types:\n    - Certificate: expired\n    - Content: other than expected\n  Secondary:\n    RPO: 1 minute\n    Data Sync: lag < 5 minutes\nAutomatic Actions:\n  1. DNS update (0-30 s)\n  2. TTL reduction (at once)\n",
    ),
    (
        &["R114"],
        "a.md",
        "RTO < 2 minutes\n\n```yaml\nFailover:\n  Consecutive Failures: 3\n  Total Detection Time: 95 s\nAutomatic Actions: [\"DNS update and promotion of the database (0-30 s)\"]\n```\n",
    ),
    (
        &["R210"],
        "a.md",
        "RTO < 5 minutes\n\n```yaml\nLevel 4:\n  Conditions: [Complete outage]\n  Response Time: 15 minutes\n```\n",
    ),
    (
        &["R117", "R118", "R122"],
        "a.yaml",
        "Load Balancer:\n  Health Check: { Path: /actuator/health, Healthy Threshold: 2, Unhealthy Threshold: 3 }\nPods:\n  Zone A: 2\n  Zone B: 1\nSession Affinity:\n  Duration: 1 hour\n",
    ),
    (
        &["R119", "R120"],
        "a.yaml",
        "Readiness Probe: { Timeout: 3 s }\nHealth Indicators:\n  Kafka:\n    Producer Test: Send a message\n    Timeout: 10 s\nLoad:\n  Unhealthy Threshold: 3\n",
    ),
    (&["R121"], "a.mmd", "graph TB\n    L[Liveness probe] --> A[App]\n    A --> D[Database]\n"),
    (
        &["R121", "R123"],
        "a.yaml",
        "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n    - name: a\n      livenessProbe: { httpGet: { path: /actuator/health, port: 80 }, periodSeconds: 5 }\n      readinessProbe: { httpGet: { path: /ready, port: 80 }, periodSeconds: 5, timeoutSeconds: 9 }\n",
    ),
    (
        &["R116"],
        "a.json",
        r#"{"Changes": [{"Action": "UPSERT", "ResourceRecordSet": {"Name": "a.example.com", "Type": "A", "SetIdentifier": "p", "Failover": "PRIMARY", "TTL": 3600, "HealthCheckId": "c", "ResourceRecords": [{"Value": "192.0.2.1"}]}}]}"#,
    ),
    (
        &["R117", "R122", "R123"],
        "a.yaml",
        "Resources:\n  T: { Type: 'AWS::ElasticLoadBalancingV2::TargetGroup', Properties: { Protocol: HTTP, Port: 80, VpcId: vpc-1, HealthCheckPath: /actuator/health, HealthCheckTimeoutSeconds: 30, HealthCheckIntervalSeconds: 10, TargetGroupAttributes: [{ Key: stickiness.enabled, Value: 'true' }] } }\n",
    ),
    (
        &["R117", "F013"],
        "a.json",
        r#"{"TargetGroupArn": "arn", "Attributes": [{"Key": "stickiness.enabled", "Value": "true"}, {"Key": "stickiness.lb_cookie.duration_seconds", "Value": "3600"}, {"Key": "deregistration_delay.timeout_second", "Value": "30"}]}"#,
    ),
    (
        &["R124", "R121"],
        "a.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nspec:\n  selector: { matchLabels: { app: web } }\n  template:\n    metadata: { labels: { app: wbe } }\n    spec: { containers: [{ name: a, image: b, livenessProbe: { httpGet: { path: /ready, port: 80 } } }] }\n",
    ),
    (&["F009"], "a.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ include \"a.name\" . }}\n"),
    (&["R125"], "a.yaml", "apiVersion: policy/v1\nkind: PodDisruptionBudget\nspec: { maxUnavailable: 0 }\n"),
    (
        &["R125", "R121", "R123"],
        "a.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: a }\nspec:\n  replicas: 2\n  selector: { matchLabels: { app: a } }\n  template:\n    metadata: { labels: { app: a, tier: web } }\n    spec:\n      containers:\n        - name: a\n          image: b\n          livenessProbe: { httpGet: { path: /health/db, port: 80 }, failureThreshold: 1 }\n          readinessProbe: { httpGet: { path: /health/db, port: 80 } }\n---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: { name: a }\nspec: { minAvailable: 2, selector: { matchLabels: { app: a } } }\n",
    ),
    (
        &[],
        "a.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: a }\nspec:\n  replicas: 3\n  selector: { matchLabels: { app: a } }\n  template:\n    metadata: { labels: { app: a } }\n    spec:\n      containers:\n        - name: a\n          image: b\n          livenessProbe: { httpGet: { path: /healthz, port: 80 }, failureThreshold: 6 }\n          readinessProbe: { httpGet: { path: /healthz, port: 80 } }\n---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: { name: a }\nspec: { minAvailable: 2, selector: { matchLabels: { app: a } } }\n",
    ),
    (&["R909"], "a.mmd", "graph TB\n    A[Balancer (Standby)] --> B\n"),
];

const MEASUREMENTS: &[Row] = &[
    (
        &["R201"],
        "a.yaml",
        "Resources:\n  A: { Type: 'AWS::CloudWatch::Alarm', Properties: { Namespace: AWS/Route53, MetricName: HealthCheckStatus, Statistic: Minimum, Period: 60, EvaluationPeriods: 2, Threshold: 1, ComparisonOperator: LessThanThreshold, Dimensions: [{ Name: HealthCheckId, Value: x }] } }\n",
    ),
    (
        &["R202"],
        "a.json",
        r#"{"AlarmName": "slow", "Namespace": "AWS/ApplicationELB", "MetricName": "TargetResponseTime", "Statistic": "Average", "Period": 60, "EvaluationPeriods": 2, "Threshold": 2000, "ComparisonOperator": "GreaterThanThreshold"}"#,
    ),
    (
        &["R202"],
        "a.yaml",
        "Resources:\n  A: { Type: 'AWS::CloudWatch::Alarm', Properties: { Namespace: AWS/ApplicationELB, MetricName: TargetResponseTime, Statistic: Average, Period: 60, EvaluationPeriods: 2, Threshold: 2000, ComparisonOperator: GreaterThanThreshold, Dimensions: [{ Name: LoadBalancer, Value: app/x/1 }] } }\n",
    ),
    (
        &["R203", "R208", "R204", "R205"],
        "a.yaml",
        "Errors:\n  Metric: HTTPCode_Target_5XX_Count\n  Threshold: more than 1%\nQueries:\n  Metric: ConnectionTime\n  Threshold: 5000 ms\nFailover Events:\n  Metric: failovers_total\n  Threshold: '> 0'\n  Evaluation: at once\n",
    ),
    (
        &["R206", "R209", "R203"],
        "a.sh",
        "aws cloudwatch put-metric-alarm --alarm-name quota-80-percent --namespace AWS/Usage --metric-name ResourceCount --threshold 80 --comparison-operator GreaterThanThreshold --evaluation-periods 1\n",
    ),
    (
        &["R207"],
        "a.sh",
        "# availability of last month\naws cloudwatch get-metric-statistics --namespace AWS/ApplicationELB --metric-name TargetResponseTime --dimensions Name=LoadBalancer,Value=app/x/1 --start-time a --end-time b --period 60\n",
    ),
    (
        &["R211", "R212"],
        "a.json",
        r#"{"widgets": [{"type": "metric", "properties": {"region": "us-east-1", "metrics": [["AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", "x"], [".", "RequestCount", ".", "."]]}}]}"#,
    ),
];

const STACKS: &[Row] = &[
    (
        &["R401"],
        "a.yaml",
        "Parameters: { Delete: { Type: Number, Default: 30 } }\nResources:\n  P: { Type: 'AWS::Backup::BackupPlan', Properties: { BackupPlan: { BackupPlanName: x, BackupPlanRule: [{ RuleName: r, TargetBackupVault: v, Lifecycle: { MoveToColdStorageAfterDays: 7, DeleteAfterDays: !Ref Delete } }] } } }\n",
    ),
    (
        &["R212"],
        "a.yaml",
        "Resources:\n  D:\n    Type: AWS::CloudWatch::Dashboard\n    Properties:\n      DashboardBody: !Sub |\n        {\"widgets\": [{\"type\": \"metric\",\n          \"properties\": {\"region\": \"${AWS::Region}\", \"metrics\": [[\"AWS/ApplicationELB\", \"RequestCount\", \"LoadBalancer\", \"x\"]]}}]}\n",
    ),
    (
        &["R301"],
        "a.yaml",
        "Resources:\n  Net: { Type: 'AWS::EC2::VPC', Properties: { CidrBlock: 10.0.0.0/16 } }\n  Sub: { Type: 'AWS::EC2::Subnet', Properties: { VpcId: !Ref Net, CidrBlock: 10.0.1.0/24, MapPublicIpOnLaunch: true } }\n",
    ),
    (
        &["R302", "R306"],
        "a.yaml",
        "Resources:\n  Db: { Type: 'AWS::RDS::DBInstance', Properties: { Engine: postgres, DBInstanceClass: db.m6g.large } }\n  Replica: { Type: 'AWS::RDS::DBInstance', Properties: { SourceDBInstanceIdentifier: !Ref Db, SourceRegion: us-east-1 } }\n",
    ),
    (
        &["R308", "R305", "R304"],
        "a.yaml",
        "Resources:\n  F: { Type: 'AWS::Lambda::Function', Properties: { Code: '...', State: Inactive } }\n",
    ),
    (&["R303"], "a.yaml", "Resources:\n  A: { Type: 'AWS::RDS::DBInstnce', Properties: { Engine: postgres } }\n"),
    (
        &["R311", "R313"],
        "a.yaml",
        "Resources:\n  Role: { Type: 'AWS::IAM::Role', Properties: { AssumeRolePolicyDocument: { Statement: { Effect: Allow, Principal: { Service: ec2.amazonaws.com }, Action: 'sts:AssumeRole' } } } }\n  Other: { Type: 'AWS::IAM::Role', Properties: { AssumeRolePolicyDocument: { Statement: { Effect: Allow, Principal: { Service: fis.amazonaws.com }, Action: 'sts:AssumeRole', Condition: { StringEquals: { 'aws:SourceAccount': '123456789012' } } } }, Policies: [{ PolicyName: p, PolicyDocument: { Statement: { Effect: Allow, Action: '*', Resource: '*' } } }] } }\n  E:\n    Type: AWS::FIS::ExperimentTemplate\n    Properties:\n      Description: x\n      RoleArn: !GetAtt Role.Arn\n      StopConditions: [{ Source: 'aws:cloudwatch:alarm', Value: 'arn:aws:cloudwatch:us-east-1:123456789012:alarm:x' }]\n      Actions: { w: { ActionId: 'aws:fis:wait', Parameters: { duration: PT1M } } }\n",
    ),
    (
        &["R312"],
        "a.json",
        r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "fis.amazonaws.com"}, "Action": "sts:AssumeRole"}]}"#,
    ),
    (&["R910"], "a.md", "## 90-day plan\n\n- Weeks 1-6: a\n- Weeks 7-12: b\n"),
    (
        &["R315", "R316"],
        "a.yaml",
        "Resources:\n  A: { Type: 'AWS::EC2::Subnet', Properties: { VpcId: vpc-1, CidrBlock: 10.0.1.0/24, AvailabilityZone: !Select [0, !GetAZs ''] } }\n  B: { Type: 'AWS::EC2::Subnet', Properties: { VpcId: vpc-1, CidrBlock: 10.0.2.0/24, AvailabilityZone: !Select [0,  !GetAZs ''] } }\n  Group: { Type: 'AWS::RDS::DBSubnetGroup', Properties: { DBSubnetGroupDescription: d, SubnetIds: [!Ref A, !Ref B] } }\n  Db: { Type: 'AWS::RDS::DBInstance', Properties: { Engine: postgres, DBInstanceClass: db.m6g.large, AllocatedStorage: '20', MasterUsername: u, ManageMasterUserPassword: true, BackupRetentionPeriod: 0 } }\n",
    ),
    (
        &["R314"],
        "a.json",
        r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["fis:StopExperimnt"], "Resource": "*"}]}"#,
    ),
    (
        &["R405"],
        "a.json",
        r#"{"BackupPlanName": "x", "Rules": [{"RuleName": "r", "TargetBackupVaultName": "v", "EnableContinuousBackup": true, "Lifecycle": {"DeleteAfterDays": 90}}]}"#,
    ),
    (
        &["R307"],
        "a.yaml",
        "Resources:\n  A: { Type: 'AWS::Backup::BackupVault', Properties: { BackupVaultName: main-eu-west-1 } }\n  B: { Type: 'AWS::Backup::BackupVault', Properties: { BackupVaultName: dr-eu-central-1 } }\n",
    ),
    (
        &["R310"],
        "a.yaml",
        "Resources:\n  Role: { Type: 'AWS::IAM::Role', Properties: { AssumeRolePolicyDocument: { Statement: [{ Effect: Allow, Principal: { Service: fis.amazonaws.com }, Action: 'sts:AssumeRole', Condition: { StringEquals: { 'aws:SourceAccount': '123456789012' } } }] }, Policies: [{ PolicyName: p, PolicyDocument: { Statement: [{ Effect: Allow, Action: ['ec2:Describe*'], Resource: '*' }] } }] } }\n  E:\n    Type: AWS::FIS::ExperimentTemplate\n    Properties:\n      Description: x\n      RoleArn: !GetAtt Role.Arn\n      StopConditions: [{ Source: 'aws:cloudwatch:alarm', Value: 'arn:aws:cloudwatch:us-east-1:123456789012:alarm:x' }]\n      Targets: { i: { ResourceType: 'aws:ec2:instance', SelectionMode: COUNT(1), ResourceTags: { a: b } } }\n      Actions: { k: { ActionId: 'aws:ec2:terminate-instances', Targets: { Instances: i } } }\n",
    ),
    (
        &["R401", "R402", "R403", "R404"],
        "a.json",
        r#"{"BackupPlan": {"BackupPlanName": "x", "Rules": [{"RuleName": "Monday 03:00", "TargetBackupVaultName": "v", "ScheduleExpression": "cron(0 3 ? * 1 *)", "Lifecycle": {"MoveToColdStorageAfterDays": 7, "DeleteAfterDays": 30}}]}, "BackupSelection": {"SelectionName": "s", "IamRoleArn": "r", "ListOfTags": [{"ConditionType": "STRINGEQUALS", "ConditionKey": "a", "ConditionValue": "b"}], "Resources": ["*"]}}"#,
    ),
    (
        &["R506", "R507"],
        "a.yaml",
        "Resources:\n  P:\n    Type: AWS::SSMIncidents::ResponsePlan\n    Properties:\n      Name: x\n      IncidentTemplate: { Title: x, Impact: 1, DedupeString: 'x-{{ incident.start_time }}' }\n      Actions: [{ SsmAutomation: { DocumentName: d, RoleArn: 'arn:aws:iam::1:role/r', Parameters: { A: [b] } } }]\n",
    ),
    (
        &["R506"],
        "a.json",
        r#"{"name": "x", "incidentTemplate": {"title": "x", "impact": 1, "dedupeString": "api-{{ timestamp }}"}}"#,
    ),
    (
        &["R717"],
        "a.yaml",
        "description: Fail over to the other region\nschemaVersion: '0.3'\nmainSteps:\n  - name: failover\n    action: aws:executeAwsApi\n    inputs: { Service: route53, Api: ChangeResourceRecordSets, HostedZoneId: Z1 }\n",
    ),
    (
        &["R504", "R503", "R501", "R501", "R502", "R505"],
        "a.yaml",
        "schemaVersion: '0.3'\nparameters:\n  Group: { type: String }\nmainSteps:\n  - name: ask\n    action: aws:executeAwsApi\n    inputs: { Service: elbv2, Api: DescribeTargetHealth, TargetGroupArn: '{{ Group }}' }\n    outputs: [{ Name: Bad, Selector: '$.TargetHealthDescriptions[?State==`x`].Target.Id', Type: StringList }]\n  - name: grow\n    action: aws:executeAwsApi\n    inputs: { Service: autoscaling, Api: SetDesiredCapacity, AutoScalingGroupName: '{{ Grup }}', DesiredCapacity: '{{ Size + 2 }}' }\n",
    ),
    (
        &["R601"],
        "a.yaml",
        "apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChaos\nmetadata: { name: x }\nspec:\n  action: pod-kill\n  mode: one\n  selector:\n    namespaces: [default]\n  labelSelectors: { app: web }\n",
    ),
    (
        &["R602"],
        "a.yaml",
        "apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChaos\nmetadata: { name: x }\nspec: { action: pod-kill, mode: all, selector: {} }\n",
    ),
    (
        &["R603"],
        "a.yaml",
        "apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChaos\nmetadata: { name: x }\nspec: { action: pod-kill, mode: one, selector: { namespaces: [a] }, scheduler: { cron: '@every 5m' } }\n",
    ),
];

const SCRIPTS: &[Row] = &[
    (&["R701"], "a.sh", "aws xray get-service-map --start-time a --end-time b\n"),
    (&["R702", "R703"], "a.sh", "aws fis list-experiments --query 'experiments[*].[id,state,status]' --output table\n"),
    (
        &["R704", "R710"],
        "a.sh",
        "aws ec2 describe-snapshots --query 'Snapshots[?StartTime>=`2024-01-01`].[SnapshotId]'\n",
    ),
    (
        &["R705"],
        "a.sh",
        "aws s3api list-buckets --query 'Buckets[*].Name' --output text | while read b; do echo \"$b\"; done\n",
    ),
    (&["R706"], "a.sh", "aws ec2 describe-vpcs --output table | sort -k2\n"),
    (
        &["R707"],
        "a.sh",
        "aws dynamodb describe-continuous-backups --table-name t --query 'ContinuousBackupsDescription.ContinuousBackupsStatus'\n",
    ),
    (
        &["R708"],
        "a.sh",
        "aws rds describe-db-snapshots --query \"DBSnapshots[?contains(DBSnapshotIdentifier, 'region')].[Status]\"\n",
    ),
    (
        &["R709"],
        "a.sh",
        "aws rds describe-db-instances --query 'DBInstances[?MultiAZ==`false`].[DBInstanceIdentifier]'\n",
    ),
    (&["R711"], "a.sh", "echo \"costs: $200\"\n"),
    (&["R712"], "a.sh", "aws ec2 attach-volume --volume-id $volume_id --instance-id i-1 --device /dev/sdf\n"),
    (&["R712"], "a.sh", "logger \\\\$name\n"),
    (&[], "a.sh", "logger $$name \\$name '$name'\n"),
    (
        &["R713"],
        "a.sh",
        "while true; do\n  s=$(aws rds describe-db-clusters --query 'DBClusters[0].Status' --output text)\n  if [ \"$s\" = available ]; then break; fi\n  sleep 5\ndone\n",
    ),
    (
        &["R714", "R715"],
        "a.sh",
        "# restart\n#!/bin/bash\nkubectl rollout restart deployment/a\necho \"restart completed\"\n",
    ),
    (
        &["R716"],
        "a.sh",
        "PRIMARY_REGION=eu-west-1\nSECONDARY_REGION=eu-central-1\nTOPIC=arn:aws:sns:eu-west-1:123456789012:alerts\n",
    ),
    (
        &["R718", "R719", "R717"],
        "a.sh",
        "#!/bin/bash\nset -e\n# failover\ncode=$(curl -s -o /dev/null -w '%{http_code}' https://a.example.com)\nif [ \"$code\" = 200 ]; then exit 0; fi\naws route53 change-resource-record-sets --hosted-zone-id Z1 --change-batch file://a.json\n",
    ),
    (
        &["R717", "R720", "R110", "R731"],
        "a.sh",
        "#!/bin/bash\nset -e\n# failover drill\naws route53 change-resource-record-sets --hosted-zone-id Z1 --change-batch '{\"Changes\": [{\"Action\": \"UPSERT\", \"ResourceRecordSet\": {\"Name\": \"a\", \"Type\": \"CNAME\", \"SetIdentifier\": \"p\", \"Failover\": \"PRIMARY\", \"TTL\": 60, \"ResourceRecords\": [{\"Value\": \"b\"}]}}]}'\nsleep 120\ncurl -s -w '%{http_code}' https://a.example.com\n",
    ),
    (
        &["R722", "R721"],
        "a.sh",
        "iptables -A OUTPUT -d api.example.com -j DROP\nsleep 300\niptables -D OUTPUT -d api.example.com -j DROP\n",
    ),
    (&["R723", "R206"], "a.sh", "aws cloudwatch get-metric-statistics --namespace AWS/ECS\n"),
    (&["R725"], "a.sh", "aws fis stop-experiment --id EX1234\n"),
    (&["R726"], "a.sh", "mysql -h db -u admin -p -e 'select 1'\n"),
    (&["R727"], "a.sh", "date -u -d '1 hour ago'\n"),
    (&["R728"], "a.sh", "apt-get install -y wrk\nsysbench oltp_read_write prepare\nsysbench oltp_read_write run\n"),
    (&["R729"], "a.sh", "aws route53 get-health-check --health-check-id abc\n"),
    (&["R730"], "a.sh", "aws ec2 create-volume --snapshot-id snap-1 --availability-zone a\n"),
    (&["R732"], "a.sh", "datadog-agent start\n"),
    (
        &["R407"],
        "a.sh",
        "aws rds restore-db-instance-to-point-in-time --target-db-instance-identifier a --use-latest-restorable-time\naws rds restore-db-instance-to-point-in-time --target-db-instance-identifier a --use-latest-restorable-time\n",
    ),
    (
        &["R905", "R906", "R906", "R906"],
        "a.sh",
        "echo '- Total: $100'\necho '- Total: $150 (+$60)'\necho 'Current availability: 99%'\necho 'Target availability: 99.9%'\necho 'Downtime reduction: 90 hours/year'\necho 'Revenue per hour: $10'\necho 'Savings: $900'\necho 'ROI: (900 - 100) / 100'\n",
    ),
    (
        &["R904"],
        "a.sh",
        "cat > report.txt << EOF\n30-Day Report\n- Monday: database (125 minutes)\nAvailability: 99.85%\nEOF\n",
    ),
    (
        &["R901", "R902", "R903"],
        "a.yaml",
        "availability_requirement: 99.9%\nrto_requirement: 1 hour\ndependencies:\n  external:\n    - { name: p, availability: 99.5%, timeout: 30 seconds, retry_policy: 3 retries }\n",
    ),
    (
        &["R902"],
        "a.yaml",
        "services:\n  - { name: a, availability_target: 99.9%, rto: 1 hour }\n  - { name: b, availability_target: 99%, rto: 1 hour }\n",
    ),
    (&["R908"], "a.md", "```markdown\n# A\n## B\n```\ntext\n```\n```\n"),
];

const PROGRAMS: &[Row] = &[
    (
        &["R802", "R804", "R801", "R803"],
        "a.py",
        "import time, random\ndef call(f, max_retries=3):\n    n = 0\n    while n < max_retries:\n        try:\n            return f()\n        except Exception:\n            n += 1\n            wait = min(2 ** n, 30)\n            wait = wait * random.random()\n            time.sleep(wait)\n",
    ),
    (
        &["R805", "R806", "R807"],
        "a.py",
        "import boto3, os\nfrom botocore.config import Config\nc = boto3.client('s3', config=Config(retries={'max_attempts': 3}))\nos.environ['AWS_SDK_LOAD_CONFIG'] = '1'\n@retry(times=5)\ndef put():\n    c.put_object()\n",
    ),
    (
        &["R811", "R809", "R812", "R810", "R808"],
        "a.py",
        "import time\nclass Breaker:\n    def __init__(self):\n        self.failures = 0\n    def call(self, f):\n        if self.state == OPEN:\n            if time.time() - self.since >= 5:\n                self.state = HALF_OPEN\n            else:\n                raise Exception('open')\n        try:\n            return f()\n        except self.expected:\n            self.failures += 1\n            raise\n",
    ),
    (
        &["R813"],
        "a.py",
        "import psycopg2\n@retry(stop=stop_after_attempt(3), wait=wait_exponential(multiplier=1, min=1, max=10))\ndef get():\n    return psycopg2.connect(host='db', connect_timeout=3)\n",
    ),
    (
        &["R814", "R816", "R815"],
        "a.py",
        "from circuitbreaker import circuit\n@circuit(failure_threshold=5)\ndef ask():\n    r = httpx.get('https://a')\n    if r.status_code != 200:\n        raise ValueError\n    return r\ndef get():\n    try:\n        return ask()\n    except Exception:\n        return cached()\n",
    ),
    (
        &["R406"],
        "a.py",
        "d.update_continuous_backups(TableName='t', PointInTimeRecoverySpecification={'PointInTimeRecoveryEnabled': True})\nd.restore_table_to_point_in_time(SourceTableName='t', RestoreDateTime=then)\n",
    ),
];

fn rows() -> impl Iterator<Item = &'static Row> {
    [NAMES, MEASUREMENTS, STACKS, SCRIPTS, PROGRAMS].into_iter().flatten()
}

/// All codes that a document here gives.
pub(crate) fn codes() -> impl Iterator<Item = &'static str> {
    rows().flat_map(|(codes, ..)| codes.iter().copied())
}

#[test]
fn every_document_gives_the_codes_it_is_for_and_no_other() {
    let mut wrong = Vec::new();
    for (codes, name, text) in rows() {
        let checked = check(name, text.as_bytes());
        let mut found = crate::codes(&checked.findings);
        let mut wanted = codes.to_vec();
        found.sort_unstable();
        wanted.sort_unstable();
        if found != wanted {
            wrong.push(format!(
                "{wanted:?} is {found:?}:\n{text}\n{}",
                formats::render::terminal(&checked.findings, &checked.source, false)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
