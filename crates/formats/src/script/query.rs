//! `--query` texts: JMESPath, walked along the shape of the answer.
//!
//! JMESPath answers a name that does not exist with null instead of an error, so a column that is wrong stays empty and
//! nobody notices. Only what is surely wrong is reported: where the walk meets something it does not know (a function,
//! a pipe, a map), it ends.

use super::operations::Shape;

/// Something about a query, and where in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Remark {
    /// A name that the answer does not have at this place: name, offset, where it is instead, the name that is near.
    Unknown { name: String, at: usize, instead: Option<String>, near: Option<&'static str> },
    /// A column that is a whole structure: name, offset, its members.
    Structure { name: String, at: usize, members: Vec<&'static str> },
    /// `[?x][a, b]` without the dot between.
    NoDot { at: usize },
    /// Text between backticks that is not JSON.
    Literal { text: String, at: usize },
    /// `null` as a bare word, which is the name of a member.
    BareNull { at: usize },
}

/// What a query gives for every item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// A list of single values.
    Scalars,
    /// Rows of several columns.
    Columns,
    /// Anything else.
    Other,
}

/// Deepest columns in columns that are walked into; answers nest some six deep.
const DEEPEST: usize = 16;

/// Walks a query along an answer's shape.
pub(super) fn walk(query: &str, answer: Option<&Shape>) -> (Vec<Remark>, Rows) {
    let mut walker = Walker { text: query, at: 0, remarks: Vec::new(), rows: Rows::Other, list: false, depth: 0 };
    walker.literals();
    walker.expression(answer);
    (walker.remarks, walker.rows)
}

/// A name that the answer does not have, which has been remarked.
struct Ended;

struct Walker<'t> {
    text: &'t str,
    at: usize,
    remarks: Vec<Remark>,
    rows: Rows,
    /// Whether the walk has gone into the items of a list.
    list: bool,
    /// How many columns it stands in.
    depth: usize,
}

impl<'t> Walker<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn identifier(&mut self) -> Option<(&'t str, usize)> {
        self.space();
        let start = self.at;
        let end =
            self.rest().find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or_else(|| self.rest().len());
        self.at += end;
        let name = self.text.get(start..self.at)?;
        (!name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())).then_some((name, start))
    }

    /// Backtick literals and bare nulls, wherever they stand.
    fn literals(&mut self) {
        let mut at = 0;
        for (index, piece) in self.text.split('`').enumerate() {
            let single = piece.parse::<f64>().is_ok() || matches!(piece, "true" | "false" | "null");
            let json = single || piece.trim_start().starts_with(['"', '[', '{']);
            if index % 2 == 1 && !json {
                self.remarks.push(Remark::Literal { text: piece.to_owned(), at });
            }
            if index % 2 == 0
                && let Some(null) = ["==null", "!=null", "== null", "!= null"].iter().find_map(|null| piece.find(null))
            {
                self.remarks.push(Remark::BareNull { at: at + null });
            }
            at += piece.len() + 1;
        }
    }

    /// `A.b[*].[c, d]`
    fn expression(&mut self, shape: Option<&Shape>) {
        self.space();
        if self.rest().starts_with('[') && !self.rest().starts_with("[?") && !self.rest().starts_with("[]") {
            self.brackets_or_columns(shape);
            return;
        }
        let Some((name, at)) = self.identifier() else { return };
        if self.rest().starts_with('(') {
            return;
        }
        if let Ok(next) = self.step(name, at, shape) {
            self.path(next, None);
        }
    }

    /// The member of a structure, as far as it is known; the walk ends where there is none of this name.
    fn step<'s>(&mut self, name: &str, at: usize, shape: Option<&'s Shape>) -> Result<Option<&'s Shape>, Ended> {
        let Some(shape @ Shape::Structure(_)) = shape else { return Ok(None) };
        if let Some(member) = shape.member(name) {
            return Ok(Some(member));
        }
        let near = shape.names().find(|known| known.eq_ignore_ascii_case(name)).or_else(|| {
            let instead = shape.path_to(name);
            if instead.is_some() { None } else { model::nearest::nearest(name, shape.names()) }
        });
        self.remarks.push(Remark::Unknown { name: name.to_owned(), at, instead: shape.path_to(name), near });
        Err(Ended)
    }

    /// What follows a value: `.b`, `[*]`, `[?x]`, `.[a, b]`. `name` is the last member, for messages about columns.
    fn path(&mut self, mut shape: Option<&Shape>, mut name: Option<(&'t str, usize)>) {
        let mut filtered = false;
        loop {
            self.space();
            let rest = self.rest();
            if rest.starts_with('[') {
                if filtered && !is_index(rest) {
                    self.remarks.push(Remark::NoDot { at: self.at });
                    self.columns(shape);
                    return;
                }
                filtered = rest.starts_with("[?");
                let Some(close) = closing(rest) else { return };
                let inside = &rest[1..close];
                self.at += close + 1;
                self.list |= inside.is_empty() || inside.starts_with(['*', '?']) || inside.contains(':');
                shape = match shape {
                    Some(Shape::List(item)) => Some(&**item),
                    _ => None,
                };
                name = None;
            } else if rest.starts_with(".[") || rest.starts_with(".{") {
                self.at += 1;
                if rest.starts_with(".[") {
                    self.columns(shape);
                }
                if self.list {
                    self.rows = Rows::Columns;
                }
                return;
            } else if let Some(after) = rest.strip_prefix('.') {
                if after.starts_with('*') {
                    return;
                }
                self.at += 1;
                let Some((next, at)) = self.identifier() else { return };
                if self.rest().starts_with('(') {
                    return;
                }
                // A projection that is not flattened goes on with the items.
                let base = match shape {
                    Some(Shape::List(_)) => return,
                    other => other,
                };
                let Ok(found) = self.step(next, at, base) else { return };
                (shape, name) = (found, Some((next, at)));
                filtered = false;
            } else {
                break;
            }
        }
        if !self.rest().is_empty() && !self.rest().starts_with([',', ']', '}']) {
            return;
        }
        match (shape, name) {
            (Some(Shape::Structure(_)), Some(_)) | (Some(Shape::List(_) | Shape::Open), _) => {}
            _ if self.list => self.rows = Rows::Scalars,
            _ => {}
        }
    }

    fn brackets_or_columns(&mut self, shape: Option<&Shape>) {
        if is_index(self.rest()) {
            self.path(shape, None);
        } else {
            self.columns(shape);
        }
    }

    /// `[a, b.c, d[0]]`
    fn columns(&mut self, shape: Option<&Shape>) {
        let Some(close) = closing(self.rest()).filter(|_| self.depth < DEEPEST) else { return };
        let end = self.at + close;
        let base = self.at + 1;
        for (offset, column) in split(self.text.get(base..end).unwrap_or_default()) {
            let depth = self.depth + 1;
            let mut inner = Walker { text: column, at: 0, remarks: Vec::new(), rows: Rows::Other, list: false, depth };
            inner.space();
            let name = inner.identifier();
            inner.at = 0;
            inner.expression(shape);
            if let (Some((name, at)), true) =
                (name, column.trim().chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
                && let Some(Shape::Structure(members)) = shape.and_then(|shape| shape.member(name))
            {
                let members = members.iter().map(|(name, _)| *name).collect();
                inner.remarks.push(Remark::Structure { name: name.to_owned(), at, members });
            }
            self.remarks.extend(inner.remarks.into_iter().map(|remark| remark.moved(base + offset)));
        }
        self.at = end + 1;
        if self.list {
            self.rows = Rows::Columns;
        }
    }
}

impl Remark {
    fn moved(mut self, by: usize) -> Self {
        match &mut self {
            Self::Unknown { at, .. }
            | Self::Structure { at, .. }
            | Self::NoDot { at }
            | Self::Literal { at, .. }
            | Self::BareNull { at } => *at += by,
        }
        self
    }
}

/// `[0]`, `[*]`, `[]`, `[0:5]`, `[?x]`
fn is_index(text: &str) -> bool {
    let inside = text.strip_prefix('[').unwrap_or_default();
    inside.starts_with(['*', ']', '?', '-', ':']) || inside.starts_with(|c: char| c.is_ascii_digit())
}

/// Where the bracket that a text begins with is closed.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '\'' | '"' | '`') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            (None, '[' | '{' | '(') => open += 1,
            (None, ']' | '}' | ')') => {
                open = open.checked_sub(1)?;
                if open == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// Splits at commas outside of brackets.
fn split(text: &str) -> Vec<(usize, &str)> {
    let mut parts = Vec::new();
    let (mut start, mut open) = (0, 0_i32);
    for (at, c) in text.char_indices() {
        match c {
            '[' | '{' | '(' => open += 1,
            ']' | '}' | ')' => open -= 1,
            ',' if open == 0 => {
                parts.push((start, &text[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push((start, &text[start..]));
    parts
}

#[cfg(test)]
mod tests {
    use super::{super::operations::operation, *};

    fn remarks(service: &str, name: &str, query: &str) -> Vec<String> {
        let operation = operation(service, name).unwrap();
        let (remarks, _) = walk(query, Some(&operation.answer));
        remarks
            .into_iter()
            .map(|remark| match remark {
                Remark::Unknown { name, at, instead, near } => {
                    format!("{at} {name} -> {}", instead.or_else(|| near.map(ToOwned::to_owned)).unwrap_or_default())
                }
                Remark::Structure { name, at, members } => format!("{at} {name} is {}", members.join(",")),
                Remark::NoDot { at } => format!("{at} no dot"),
                Remark::Literal { text, at } => format!("{at} `{text}`"),
                Remark::BareNull { at } => format!("{at} null"),
            })
            .collect()
    }

    #[test]
    fn columns_that_the_answer_does_not_have_are_found() {
        assert_eq!(
            remarks("route53", "list-health-checks", "HealthChecks[*].[Id,Type,HealthCheckConfig.Port]"),
            ["20 Type -> HealthCheckConfig.Type"]
        );
        assert_eq!(
            remarks(
                "ec2",
                "describe-internet-gateways",
                "InternetGateways[*].[InternetGatewayId,State,Attachments[0].VpcId]"
            ),
            ["39 State -> Attachments[].State"]
        );
        assert_eq!(
            remarks("fis", "list-experiments", "experiments[*].[id,state,creationTime]"),
            ["19 state is status,reason,error"]
        );
        assert_eq!(
            remarks("deploy", "get-deployment", "[DeploymentInfo.Status]"),
            ["1 DeploymentInfo -> deploymentInfo"]
        );
    }

    #[test]
    fn right_queries_give_nothing() {
        for (service, name, query) in [
            (
                "ec2",
                "describe-instances",
                "Reservations[*].Instances[*].[InstanceId,Placement.AvailabilityZone,Tags[?Key=='Name'].Value|[0]]",
            ),
            ("ec2", "describe-instances", "Reservations[].Instances[].InstanceId"),
            ("ec2", "describe-instances", "length(Reservations[].Instances[])"),
            ("ec2", "describe-security-groups", "SecurityGroups[0:5].[GroupId,GroupName,VpcId]"),
            ("rds", "describe-db-instances", "DBInstances[?MultiAZ==`false`].[DBInstanceIdentifier]"),
            ("rds", "describe-db-instances", "DBInstances[0].Endpoint.Address"),
            (
                "autoscaling",
                "describe-auto-scaling-groups",
                "AutoScalingGroups[*].{name:AutoScalingGroupName,n:DesiredCapacity}",
            ),
            ("ecs", "describe-services", "services[0].[runningCount,desiredCount]"),
        ] {
            assert_eq!(remarks(service, name, query), Vec::<String>::new(), "{query}");
        }
    }

    #[test]
    fn the_grammars_traps_are_found() {
        assert_eq!(
            remarks("ec2", "describe-snapshots", "Snapshots[?StartTime>=`2024-01-01`][SnapshotId,State]"),
            ["23 `2024-01-01`", "35 no dot"]
        );
        assert_eq!(
            remarks("lambda", "list-functions", "Functions[?DeadLetterConfig.TargetArn!=null].FunctionName"),
            ["37 null"]
        );
    }

    #[test]
    fn brackets_in_brackets_without_end_are_walked_a_few_deep() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(walk(&deep, None).0, []);
    }

    #[test]
    fn lists_of_single_values_are_known() {
        let rows = |query| walk(query, None).1;
        assert_eq!(rows("Buckets[*].Name"), Rows::Scalars);
        assert_eq!(rows("TableNames[*]"), Rows::Scalars);
        assert_eq!(rows("Buckets[*].[Name]"), Rows::Columns);
        assert_eq!(rows("DBClusters[0].Status"), Rows::Other);
    }
}
