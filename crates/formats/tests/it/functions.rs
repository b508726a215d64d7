//! CloudFormation's intrinsic functions, each in the place of a description and in both of its forms.

use formats::{Options, Severity};

/// A template whose experiment is described by this expression.
fn stack(description: &str) -> String {
    format!(
        r#"Parameters:
  Stage: {{ Type: String, Default: prod }}
  Zones: {{ Type: CommaDelimitedList, Default: "a, b" }}
  Open: {{ Type: String }}
Mappings:
  Sizes:
    prod: {{ Mode: large, All: [x, y] }}
Conditions:
  Prod: !Equals [!Ref Stage, prod]
  Other: !Not [!Condition Prod]
  Both: !And [{{ Condition: Prod }}, !Not [!Condition Other]]
  Either: !Or [!Condition Other, {{ Condition: Prod }}]
Resources:
  Role: {{ Type: "AWS::IAM::Role", Properties: {{ AssumeRolePolicyDocument: {{ Statement: {{ Effect: Allow, Action: "sts:AssumeRole", Principal: {{ Service: fis.amazonaws.com }}, Condition: {{ StringEquals: {{ "aws:SourceAccount": "1" }} }} }} }} }} }}
  Vpc: {{ Type: "AWS::EC2::VPC", Properties: {{ CidrBlock: 10.0.0.0/16 }} }}
  Wait:
    Type: AWS::FIS::ExperimentTemplate
    Properties:
      Description: {description}
      RoleArn: !GetAtt Role.Arn
      StopConditions: [{{ Source: none }}]
      Actions: {{ w: {{ ActionId: "aws:fis:wait", Parameters: {{ duration: PT1M }} }} }}
"#
    )
}

fn options(catalogue: &model::catalogue::Catalogue) -> Options<'_> {
    let mut options = Options::new(catalogue);
    options.params.insert("Open".to_owned(), "given".to_owned());
    options
}

#[test]
fn every_function_has_the_value_that_cloudformation_gives_it() {
    let catalogue = crate::no_catalogue();
    for (expression, value) in [
        ("!Ref Stage", "prod"),
        ("{ Ref: Open }", "given"),
        ("!Ref AWS::Region", "local-1"),
        ("!GetAtt Role.Arn", "arn:aws:iam::000000000000:role/Role"),
        ("{ \"Fn::GetAtt\": [Vpc, CidrBlock] }", "10.0.0.0/16"),
        ("!GetAtt Vpc.VpcId", "Vpc.VpcId"),
        ("!Sub \"${Stage}-${AWS::AccountId}-${!Literal}\"", "prod-000000000000-${Literal}"),
        ("!Sub [\"${a}/${Stage}\", { a: !Select [1, !Ref Zones] }]", "b/prod"),
        ("{ \"Fn::Join\": [\"-\", [a, !Ref Stage]] }", "a-prod"),
        ("!Join [\",\", !Ref Zones]", "a,b"),
        ("!Select [1, !Split [\"/\", a/b/c]]", "b"),
        ("!Select [\"0\", !GetAZs \"\"]", "local-1a"),
        ("!Join [\" \", !GetAZs us-east-1]", "us-east-1a us-east-1b us-east-1c"),
        ("!FindInMap [Sizes, !Ref Stage, Mode]", "large"),
        ("!Select [1, !FindInMap [Sizes, prod, All]]", "y"),
        ("!FindInMap [Sizes, dev, Mode, { DefaultValue: small }]", "small"),
        ("!If [Prod, yes-it-is, !Ref AWS::NoValue]", "yes-it-is"),
        ("!If [Other, a, b]", "b"),
        ("!If [Both, a, b]", "a"),
        ("{ \"Fn::If\": [Either, a, b] }", "a"),
        ("!Base64 \"#!/bin/sh\"", "IyEvYmluL3No"),
        ("!Join [\" \", !Cidr [!GetAtt Vpc.CidrBlock, 2, 8]]", "10.0.0.0/24 10.0.1.0/24"),
        ("!Select [1, !Cidr [10.0.0.0/24, \"4\", \"5\"]]", "10.0.0.32/27"),
        ("{ \"Fn::Length\": !Ref Zones }", "2"),
        ("!Length [a, b, c]", "3"),
        ("!ToJsonString { A: !Ref Stage, B: [1, true] }", r#"{"A":"prod","B":[1,true]}"#),
        ("{ \"Fn::ToJsonString\": [a, !Ref AWS::NoValue, b] }", r#"["a","b"]"#),
        ("!ImportValue shared", "shared"),
        ("{ \"Fn::ImportValue\": !Sub \"${Stage}-x\" }", "prod-x"),
    ] {
        let read = formats::read_experiment("x.yaml", stack(expression).as_bytes(), &options(&catalogue));
        let described = read.experiment.map(|experiment| experiment.description);
        assert_eq!(described.as_deref(), Some(value), "{expression}: {:?}", read.findings);
    }
}

#[test]
fn what_only_aws_knows_is_no_mistake_of_the_template_but_cannot_be_run() {
    let catalogue = crate::no_catalogue();
    for expression in [
        "!Transform { Name: AWS::Include, Parameters: { Location: s3://b/x } }",
        "{ \"Fn::Transform\": { Name: Mine } }",
        "!GetStackOutput [a, b]",
        "!Join [\"\", [a, !Transform { Name: Mine }]]",
        "!Select [0, !Cidr [!GetAtt Vpc.DefaultNetworkAcl, 2, 8]]",
        "!ToJsonString { A: { \"Fn::Transform\": { Name: Mine } } }",
        "!Base64 { \"Fn::Transform\": { Name: Mine } }",
    ] {
        let text = stack(expression);
        let checked = formats::check("x.yaml", text.as_bytes(), &options(&catalogue));
        assert!(!formats::has_errors(&checked.findings), "{expression}: {:?}", checked.findings);
        assert_eq!(crate::codes(&checked.findings), ["F081"], "{expression}");
        let read = formats::read_experiment("x.yaml", text.as_bytes(), &options(&catalogue));
        assert!(read.experiment.is_none() && formats::has_errors(&read.findings), "{expression}");
    }
}

#[test]
fn what_cloudformation_refuses_is_an_error_at_its_place() {
    let catalogue = crate::no_catalogue();
    for expression in [
        "!Select [3, [a, b]]",
        "!Select [-1, [a, b]]",
        "!Select [x, [a, b]]",
        "!Split [\"\", a]",
        "!Join [\"\"]",
        "!FindInMap [Sizes, dev, Mode]",
        "!FindInMap [Sizes]",
        "!Cidr [10.0.0.0/24, 9, 8]",
        "!Cidr [10.0.0.0/24]",
        "!Length text",
        "!ToJsonString text",
        "!If [Prod, a]",
        "!If [Pord, a, b]",
        "!GetAtt Role",
        "!Sub \"${Stage\"",
        "!Jion [\"\", [a]]",
        "!Ref [a]",
    ] {
        let text = stack(expression);
        let checked = formats::check("x.yaml", text.as_bytes(), &options(&catalogue));
        let errors: Vec<_> = checked.findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
        assert_eq!(errors.len(), 1, "{expression}: {errors:?}");
        assert_eq!((errors[0].code.id, errors[0].line), ("F081", 19), "{expression}");
        assert!(text[errors[0].span.range()].starts_with('!') || expression.contains("Pord"), "the tag is underlined");
    }
}

#[test]
fn a_template_is_checked_before_its_parameters_have_values_but_not_run() {
    let catalogue = crate::no_catalogue();
    let text = r#"Parameters:
  Mode: { Type: String }
  Alarm: { Type: String }
  Tag: { Type: String }
  Cluster: { Type: String }
  Which: { Type: String }
Resources:
  Stop:
    Type: AWS::FIS::ExperimentTemplate
    Properties:
      Description: !Sub "in ${Mode}"
      RoleArn: !Ref Tag
      StopConditions: [{ Source: "aws:cloudwatch:alarm", Value: !Ref Alarm }]
      Targets:
        one: { ResourceType: "aws:ec2:instance", ResourceTags: { app: !Ref Tag }, SelectionMode: !Sub "COUNT(${Mode})" }
        all: { ResourceType: "aws:ec2:instance", ResourceArns: !Ref Tag, SelectionMode: !Ref Mode }
        pod:
          ResourceType: aws:eks:pod
          SelectionMode: ALL
          Parameters: { clusterIdentifier: !Ref Cluster, namespace: x, selectorType: !Ref Tag, selectorValue: !Ref Tag }
      Actions:
        a: { ActionId: "aws:ec2:stop-instances", Parameters: { startInstancesAfterDuration: !Sub "PT${Mode}M", completeIfInstancesTerminated: !Ref Mode }, Targets: { Instances: !Ref Which } }
        b: { ActionId: "aws:eks:pod-delete", Parameters: { kubernetesServiceAccount: !Ref Tag }, Targets: { Pods: pod } }
  Second:
    Type: AWS::FIS::ExperimentTemplate
    Properties:
      Description: x
      RoleArn: !Ref Tag
      StopConditions: [{ Source: "aws:cloudwatch:alarm", Value: !Ref Alarm }]
      Actions: { w: { ActionId: "aws:fis:wait", Parameters: { duration: !Ref Mode } } }
"#;
    let checked = formats::check("x.yaml", text.as_bytes(), &Options::new(&catalogue));
    let notes = checked.findings.iter().all(|finding| finding.severity == Severity::Note);
    assert!(notes, "{}", formats::render::terminal(&checked.findings, &checked.source, false));
    let read = formats::read_experiment("x.yaml", text.as_bytes(), &Options::new(&catalogue));
    assert!(read.experiment.is_none());
    assert!(crate::codes(&read.findings).contains(&"F084"));
}

#[test]
fn what_transforms_and_loops_make_is_not_missed() {
    let catalogue = crate::no_catalogue();
    let text = r#"Transform: [AWS::Serverless-2016-10-31, AWS::LanguageExtensions]
Resources:
  Fn: { Type: "AWS::Serverless::Function" }
  Wait:
    Type: AWS::FIS::ExperimentTemplate
    Properties:
      Description: x
      RoleArn: !GetAtt FnRole.Arn
      StopConditions: [{ Source: none }]
      Actions: { w: { ActionId: "aws:fis:wait", Parameters: { duration: PT1M } } }
Outputs:
  Api: { Value: !Ref ServerlessRestApi }
  Fn::ForEach::Names:
    - Name
    - [a, b]
    - "Out${Name}": { Value: !Sub "${Name}-x" }
"#;
    let found =
        |text: &str| crate::codes(&formats::check("x.yaml", text.as_bytes(), &Options::new(&catalogue)).findings);
    assert!(found(text).is_empty());
    assert_eq!(found(&text.replace("FnRole.Arn", "FisRole.Arn")), ["F080"]);
    assert_eq!(found(&text.replace("Value: !Ref ServerlessRestApi", "Value: !Ref Name")), ["F080"]);
}
