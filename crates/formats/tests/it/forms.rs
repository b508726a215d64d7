//! Other people's formats: what a slip in a key, a type, a word, a unit or a reference gives, and where.

use crate::defects::check;

/// Text, and what is found in it: line, column, code, a part of what is said. Nothing else may be found.
type Row = (&'static str, &'static [(usize, usize, &'static str, &'static str)]);

const CHAOS: &[Row] = &[
    (
        "apiVersion: chaos-mesh.org/v1alpha1\nkind: NetworkChaos\nmetadata: { name: x }\nspec:\n  action: delay\n  mode: one\n  selector: { namespaces: [a] }\n  delay:\n    latncy: 90ms\n    jitter: 90\n    correlation: '250'\n  direction: form\n",
        &[
            (9, 5, "F010", "did you mean `latency`?"),
            (10, 13, "F012", "put it in quotes"),
            (11, 18, "F013", "a percentage from 0 to 100"),
            (12, 14, "F013", "did you mean `from`?"),
        ],
    ),
    (
        "apiVersion: chaos-mesh.org/v1alpha1\nkind: NetworkChaos\nmetadata: { name: x }\nspec:\n  action: loss\n  mode: fixed-percent\n  value: '150'\n  selector: { namespaces: [a] }\n  latency: 90ms\n",
        &[
            (5, 11, "F011", "the action `loss` needs `loss`"),
            (7, 10, "F013", "a whole number from 0 to 100"),
            (9, 3, "F014", "it belongs under `delay`"),
        ],
    ),
    (
        "apiVersion: chaos-mesh.org/v1alpha1\nkind: NetworkChaos\nmetadata: { name: x }\nspec: { action: delay, mode: one, selector: { namespaces: [a] }, delay: { latency: 5min }, direction: both, externalTargets: [a.example.com] }\n",
        &[(4, 84, "F013", "one number with its unit"), (4, 103, "F013", "write direction: to")],
    ),
    (
        "apiVersion: chaos-mesh.org/v1alpha1\nkind: StressChaos\nmetadata: { name: x }\nspec:\n  mode: one\n  selector: { labelSelector: { app: web } }\n  stressors: { cpu: { load: 120 }, memory: { workers: 1, size: 50pc } }\n",
        &[
            (6, 15, "F010", "did you mean `labelSelectors`?"),
            (7, 16, "F011", "has no `workers`"),
            (7, 29, "F013", "a whole number from 0 to 100"),
            (7, 64, "F013", "an amount such as 256MB"),
        ],
    ),
    (
        "apiVersion: chaos-mesh.org/v1alpha1\nkind: PhysicalMachineChaos\nmetadata: { name: x }\nspec: { action: network-loss, mode: one, address: [10.0.0.1], network-delay: { device: eth0, latency: 1s } }\n",
        &[(4, 17, "F011", "the action `network-loss` needs `network-loss`")],
    ),
    (
        "apiVersion: chaos-mesh.org/v1alpha1\nkind: Schedule\nmetadata: { name: x }\nspec:\n  schedule: every day\n  type: PodChaos\n  concurrencyPolicy: Deny\n",
        &[
            (5, 13, "F013", "five fields of cron"),
            (6, 9, "F011", "has no `podChaos`"),
            (7, 22, "F013", "write one of Forbid, Allow"),
        ],
    ),
    (
        "apiVersion: chaos-mesh.org/v1alpha1\nkind: Workflow\nmetadata: { name: x }\nspec:\n  entry: start\n  templates:\n    - { name: start, templateType: Serial, children: [kil, wait] }\n    - { name: kill, templateType: PodChaos, deadline: 20, podChaos: { action: pod-kil, mode: one, selector: { namespaces: [a] } } }\n    - { name: wait, templateType: Suspend }\n",
        &[
            (7, 55, "F013", "did you mean `kill`?"),
            (8, 55, "F012", "put it in quotes"),
            (8, 79, "F013", "did you mean `pod-kill`?"),
            (9, 35, "F011", "nothing says for how long"),
        ],
    ),
    (
        "apiVersion: chaos-mesh.org/v1alpha1\nkind: JVMChaos\nmetadata: { name: x }\nspec: { action: exception, class: Main, method: run, mode: all, selector: { namespaces: [a] }, port: 99999 }\n---\napiVersion: chaos-mesh.org/v1alpha1\nkind: StatusCheck\nmetadata: { name: y }\nspec: { type: HTTP, http: { url: http://a, criteria: { statusCode: ok } } }\n",
        &[
            (4, 17, "F011", "needs `exception`"),
            (4, 102, "F013", "from 1 to 65535"),
            (9, 68, "F013", "a status such as"),
        ],
    ),
];

const STACKS: &[Row] = &[
    (
        "Resources:\n  Names:\n    Type: AWS::Route53::RecordSetGroup\n    Properties:\n      HostedZoneId: Z1\n      RecordSets: [{ Name: a.example.com, Type: A, TTL: 60, SetIdentifier: a, Weight: 300, ResourceRecords: [192.0.2.1] }]\n",
        &[(6, 87, "F013", "from 0 to 255")],
    ),
    (
        "Resources:\n  Db:\n    Type: AWS::RDS::DBInstance\n    Properties:\n      Engine: postgress\n      ManageMasterUserPassword: yes please\n      MultiAz: true\n      DBInstanceClass: db.m6g.large\n      AllocatedStorage: '20'\n",
        &[
            (5, 15, "F013", "an engine such as postgres"),
            (6, 33, "F012", "true or false"),
            (7, 7, "F010", "did you mean `MultiAZ`?"),
        ],
    ),
    (
        "AWSTemplateFormatVersion: '2010-09-09'\nParameter: { A: { Type: String } }\nResources:\n  Zone:\n    Type: AWS::Route53::HostedZone\n    DependsOn: Zoom\n    DeletionPolicy: Keep\n    Condition: InEurope\n    Properties: { Name: example.com }\nOutputs:\n  Id: { Value: !GetAtt Zone.NameServer }\n",
        &[
            (2, 1, "F010", "did you mean `Parameters`?"),
            (6, 16, "F080", "no resource of the template"),
            (7, 21, "F013", "write one of Delete, Retain"),
            (8, 16, "F081", "there is no condition `InEurope`"),
            (11, 16, "F080", "did you mean `NameServers`?"),
        ],
    ),
    (
        r#"{"Resources": {"Check": {"Type": "AWS::Route53::HealthCheck", "Properties": {"HealthCheckConfig": {"Type": "HTTPZ", "RequestInterval": 60, "Port": "443"}}}, "R": {"Type": "AWS::Route53::RecordSet", "Properties": {"HostedZoneId": "Z", "Name": "a.example.com", "Type": "A", "Failover": "PRIMARY", "TTL": "60", "ResourceRecords": ["lb.example.com"], "HealthCheckId": {"Ref": "Check"}}}}}"#,
        &[
            (1, 108, "F013", "did you mean `HTTP`?"),
            (1, 136, "F013", "from 10 to 30"),
            (1, 273, "F011", "needs a SetIdentifier"),
            (1, 329, "F013", "make the record a CNAME"),
        ],
    ),
    (
        "Resources:\n  Vpc: { Type: 'AWS::EC2::VPC', Properties: { CidrBlock: 10.0.0.0/16, EnableDnsSupport: !If [Yes, true, false] } }\n  Sub: { Type: 'AWS::EC2::Subnet', Properties: { CidrBlock: 10.0.1.0/24 } }\nConditions: { Yes: !Equals [a, a] }\n",
        &[(3, 3, "R308", "has no `VpcId`")],
    ),
    (
        r#"{"Resources": {"V": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": {"Fn::Selct": [0, ["10.0.0.0/16"]]}}}, "S": {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": ["V"]}}}, "D": {"Type": "AWS::SSM::Document", "Properties": {"DocumentType": "Automation", "Content": {"schemaVersion": "0.3", "mainStep": []}}}}}"#,
        &[
            (1, 75, "F081", "did you mean `Select`?"),
            (1, 172, "F081", "write !Ref NAME"),
            (1, 307, "F010", "did you mean `mainSteps`?"),
        ],
    ),
    (
        "Resources:\n  A: { Type: 'AWS::CloudWatch::Alarm', Properties: { ComparisonOperator: GreaterThanThreshold, EvaluationPeriods: 1, Threshold: 1, MetricName: x, Namespace: y, Period: 60 } }\n  C: { Type: 'AWS::Route53::HealthCheck', Properties: { HealthCheckConfig: { Type: HTTPS_STR_MATCH, RequestInterval: 20, IPAddress: 192.0.2.1 } } }\n  F: { Type: 'AWS::Lambda::Function', Properties: { Role: r, Code: { ZipFile: x }, Runtime: pyton3.12 } }\n  T: { Type: 'AWS::ElasticLoadBalancingV2::TargetGroup', Properties: { Protocol: HTTP, Port: 80 } }\n",
        &[
            (2, 3, "R308", "has no Statistic and no ExtendedStatistic"),
            (3, 3, "R308", "has no SearchString"),
            (3, 118, "F013", "write 10 or 30"),
            (4, 3, "R308", "has no Handler"),
            (4, 93, "F013", "a runtime such as"),
            (5, 3, "R308", "has no VpcId"),
        ],
    ),
    (
        "Resources:\n  D:\n    Type: AWS::CloudWatch::Dashboard\n    Properties:\n      DashboardBody: !Sub |\n        {\"widgets\": [\n          {\"type\": \"metrc\", \"width\": 30,\n           \"properties\": {}}]}\n",
        &[(7, 20, "F013", "did you mean `metric`?"), (7, 38, "F013", "from 1 to 24")],
    ),
];

const OTHERS: &[Row] = &[
    (
        "apiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n        - name: a\n          image: b\n          ports: [{ name: http, containerPort: 80 }]\n          livenesProbe: { httpGet: { path: /live, port: http } }\n          readinessProbe: { httpGet: { path: /ready, port: htp }, periodSecond: 5, successThreshold: '1' }\n          startupProbe: { failureThreshold: 3 }\n",
        &[
            (10, 11, "F010", "did you mean `livenessProbe`?"),
            (11, 60, "F013", "did you mean `http`?"),
            (11, 67, "F010", "did you mean `periodSeconds`?"),
            (11, 102, "F012", "write it without quotes: 1"),
            (12, 11, "F011", "does not say what to ask"),
        ],
    ),
    (
        "apiVersion: apps/v1\nkind: StatefulSet\nspec:\n  replica: 3\n  template: { spec: { containers: [{ name: a }], terminationGracePeriodSecond: 5 } }\n",
        &[(4, 3, "F010", "did you mean `replicas`?"), (5, 50, "F010", "did you mean `terminationGracePeriodSeconds`?")],
    ),
    (
        r#"{"Changes": [{"Action": "UPDATE", "ResourceRecordSet": {"Name": "a.example.com", "Type": "CNAME", "TTL": "60", "ResourceRecords": [{"Value": "a"}, {"Value": "b"}]}}, {"Action": "CREATE", "ResourceRecordset": {"Name": "b.example.com", "Type": "TXT"}}]}"#,
        &[
            (1, 25, "F013", "write one of CREATE, DELETE, UPSERT"),
            (1, 106, "F012", "write it without quotes: 60"),
            (1, 158, "F013", "leads to one name"),
            (1, 188, "F010", "did you mean `ResourceRecordSet`?"),
        ],
    ),
    (
        "schemaVersion: '0.3'\nassumeRole: '{{ Role }}'\nparameters: { Role: { type: Text } }\nmainSteps:\n  - name: one\n    action: aws:executeAwsAPI\n    inputs: { Service: ec2, Api: DescribeInstances }\n  - name: ask\n    action: aws:executeAwsApi\n    inputs: { Service: elbv2, Api: DescribeTargetHealt }\n    onFailure: step:two\n  - name: two\n    action: aws:sleep\n    onFailure: Abrot\n    inputs: { Duration: 10m }\n  - name: two\n    action: aws:branch\n    inputs: { Choices: [{ NextStep: tree, Variable: '{{ Role }}', StringEquals: a }] }\n",
        &[
            (3, 29, "F013", "String, StringList"),
            (6, 13, "F013", "did you mean `aws:executeAwsApi`?"),
            (10, 36, "F013", "did you mean `DescribeTargetHealth`?"),
            (14, 16, "R501", "did you mean `Abort`?"),
            (15, 25, "F013", "ISO 8601"),
            (16, 11, "F013", "a second step has the name `two`"),
            (18, 37, "R501", "there is no step `tree`"),
        ],
    ),
    (
        r#"{"Version": "2012-10-18", "Statement": [{"Effect": "allow", "Actions": "ec2:StopInstances", "Resource": "*"}, {"Effect": "Allow", "Action": "ec2.StopInstances", "Resource": "*"}]}"#,
        &[
            (1, 13, "F013", "did you mean `2012-10-17`?"),
            (1, 52, "F013", "did you mean `Allow`?"),
            (1, 61, "F010", "did you mean `Action`?"),
            (1, 141, "F013", "an action such as ec2:StopInstances"),
        ],
    ),
    (
        r#"{"BackupPlanName": "x", "Rules": [{"RuleName": "r", "TargetBackupVault": "v", "ScheduleExpression": "cron(0 5 * * * *)", "StartWindowMinutes": 30}]}"#,
        &[
            (1, 53, "F010", "did you mean `TargetBackupVaultName`?"),
            (1, 101, "F013", "one must be `?`"),
            (1, 144, "F013", "at least 60 minutes"),
        ],
    ),
];

const EXPERIMENTS: &[Row] = &[(
    r#"{"description": "x", "roleArn": "arn:aws:iam::123456789012:role/fis", "stopConditions": [{"source": "aws:cloudwatch:alarm", "value": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:x"}],
 "targets": {"c": {"resourceType": "aws:eks:cluster", "resourceArns": ["arn:aws:eks:us-east-1:123456789012:cluster/c"], "selectionMode": "ALL"}},
 "actions": {"a": {"actionId": "aws:eks:inject-kubernetes-custom-resource", "targets": {"Cluster": "c"}, "parameters": {"maxDuration": "PT5M", "kubernetesApiVersion": "chaos-mesh.org/v1alpha1", "kubernetesKind": "StressChaos", "kubernetesNamespace": "default",
 "kubernetesSpec": "{\"selector\": {\"namespaces\": [\"default\"]}, \"mode\": \"all\", \"stressors\": {\"cpu\": {\"workers\": 1, \"load\": 500}}}"}}}}"#,
    &[(4, 20, "F013", "from 0 to 100")],
)];

#[test]
fn a_slip_is_found_at_its_place_and_the_message_says_what_is_right() {
    let mut wrong = Vec::new();
    for (text, wanted) in [CHAOS, EXPERIMENTS, STACKS, OTHERS].into_iter().flatten() {
        let name = if text.starts_with('{') { "a.json" } else { "a.yaml" };
        let checked = check(name, text.as_bytes());
        let shown = formats::render::terminal(&checked.findings, &checked.source, false);
        let fits = checked.findings.len() == wanted.len()
            && checked.findings.iter().zip(*wanted).all(|(finding, (line, column, code, part))| {
                let said = format!("{} {}", finding.message, finding.help.as_deref().unwrap_or_default());
                (finding.line, finding.column, finding.code.id) == (*line, *column, *code) && said.contains(part)
            });
        if !fits {
            wrong.push(format!("{wanted:?}\n{shown}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_computed_or_to_be_filled_in_is_no_mistake() {
    for (name, text) in [
        (
            "a.yaml",
            "Parameters: { Days: { Type: Number, Default: 7 }, Zones: { Type: CommaDelimitedList } }\nResources:\n  Db:\n    Type: AWS::RDS::DBInstance\n    Properties:\n      Engine: !Sub '${Days}'\n      MultiAZ: { 'Fn::Equals': [a, b] }\n      BackupRetentionPeriod: !Ref Days\n      AvailabilityZone: !Select [0, !Ref Zones]\n      MasterUserPassword: '{{resolve:secretsmanager:db:SecretString:password}}'\n      DBInstanceClass: db.m6g.large\n      AllocatedStorage: 20\n",
        ),
        (
            "a.yaml",
            "apiVersion: chaos-mesh.org/v1alpha1\nkind: NetworkChaos\nmetadata: { name: x }\nspec: { action: delay, mode: fixed, value: '${COUNT}', selector: { namespaces: ['${NS}'] }, delay: { latency: '<latency>' } }\n",
        ),
        (
            "a.yaml",
            "schemaVersion: '0.3'\nparameters: { Wait: { type: String }, Times: { type: Integer } }\nmainSteps:\n  - { name: wait, action: 'aws:sleep', timeoutSeconds: '{{ Times }}', inputs: { Duration: '{{ Wait }}' } }\n",
        ),
        (
            "a.json",
            r#"{"Changes": [{"Action": "UPSERT", "ResourceRecordSet": {"Name": "{{ name }}", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "<address>"}]}}]}"#,
        ),
    ] {
        let checked = check(name, text.as_bytes());
        let shown = formats::render::terminal(&checked.findings, &checked.source, false);
        assert!(checked.findings.is_empty(), "{text}\n{shown}");
    }
}
