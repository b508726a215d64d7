//! Rules as JSON. Every key is known, or it is an error: a misspelt matcher must not concern everything.

use std::{collections::BTreeMap, time::Duration};

use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{
    glob::Glob,
    rule::{Abort, BodyChange, Change, Delay, Matches, Phase, Problem, Rule},
};

/// A rule as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Written {
    name: String,
    #[serde(rename = "match")]
    of: WrittenMatches,
    #[serde(default = "all")]
    percentage: f64,
    #[serde(default)]
    at: WrittenPhase,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delay: Option<WrittenDelay>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    abort: Option<WrittenAbort>,
    #[serde(default, skip_serializing_if = "WrittenChange::is_nothing")]
    request: WrittenChange,
    #[serde(default, skip_serializing_if = "WrittenChange::is_nothing")]
    response: WrittenChange,
}

const fn all() -> f64 {
    100.0
}

#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenPhase {
    #[default]
    Request,
    Response,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct WrittenMatches {
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    response_headers: BTreeMap<String, String>,
}

/// Milliseconds, as in the toxic.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenDelay {
    latency: u64,
    #[serde(default)]
    jitter: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenAbort {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    connection: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct WrittenChange {
    /// Of responses only.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    set_headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remove_headers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<WrittenBody>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    replace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    patch: Option<Value>,
}

/// A patch may be `null` (it makes the whole document `null`), which is not the same as no patch.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl WrittenChange {
    fn is_nothing(&self) -> bool {
        self.status.is_none() && self.set_headers.is_empty() && self.remove_headers.is_empty() && self.body.is_none()
    }
}

impl Rule {
    /// Reads a rule.
    ///
    /// # Errors
    ///
    /// When it has unknown keys, says what cannot be, or does nothing.
    pub fn from_json(value: &Value) -> Result<Self, Problem> {
        let written = Written::deserialize(value).map_err(|error| Problem(error.to_string()))?;
        written.meant()
    }

    /// Writes it.
    ///
    /// # Panics
    ///
    /// Never: everything in a rule is JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::to_value(Written::of(self)).expect("everything in a rule is JSON")
    }
}

impl Written {
    fn meant(self) -> Result<Rule, Problem> {
        if self.request.status.is_some() {
            return Err(Problem("a `request` has no `status`".to_owned()));
        }
        let delay = |delay: WrittenDelay| Delay {
            latency: Duration::from_millis(delay.latency),
            jitter: Duration::from_millis(delay.jitter),
        };
        let at = match self.at {
            WrittenPhase::Request => Phase::Request,
            WrittenPhase::Response => Phase::Response,
        };
        Rule {
            name: self.name,
            of: self.of.meant()?,
            percentage: self.percentage,
            at,
            delay: self.delay.map(delay),
            abort: self.abort.map(WrittenAbort::meant).transpose()?,
            status: self.response.status.map(status).transpose()?,
            request: self.request.meant()?,
            response: self.response.meant()?,
        }
        .checked()
    }

    fn of(rule: &Rule) -> Self {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let delay = |delay: Delay| WrittenDelay { latency: millis(delay.latency), jitter: millis(delay.jitter) };
        let at = match rule.at {
            Phase::Request => WrittenPhase::Request,
            Phase::Response => WrittenPhase::Response,
        };
        let mut response = WrittenChange::of(&rule.response);
        response.status = rule.status.map(|status| status.as_u16());
        Self {
            name: rule.name.clone(),
            of: WrittenMatches::of(&rule.of),
            percentage: rule.percentage,
            at,
            delay: rule.delay.map(delay),
            abort: rule.abort.as_ref().map(WrittenAbort::of),
            request: WrittenChange::of(&rule.request),
            response,
        }
    }
}

impl WrittenMatches {
    fn meant(self) -> Result<Matches, Problem> {
        let method = |text: String| {
            let upper = text.to_ascii_uppercase();
            Method::from_bytes(upper.as_bytes()).map_err(|_| Problem(format!("there is no method \"{text}\"")))
        };
        Ok(Matches {
            method: self.method.map(method).transpose()?,
            path: self.path.map(glob).transpose()?,
            headers: globs(self.headers)?,
            status: self.status.map(status).transpose()?,
            response_headers: globs(self.response_headers)?,
        })
    }

    fn of(matches: &Matches) -> Self {
        let globs = |fields: &[(HeaderName, Glob)]| {
            fields.iter().map(|(name, glob)| (name.as_str().to_owned(), glob.to_string())).collect()
        };
        Self {
            method: matches.method.as_ref().map(Method::to_string),
            path: matches.path.as_ref().map(Glob::to_string),
            headers: globs(&matches.headers),
            status: matches.status.map(|status| status.as_u16()),
            response_headers: globs(&matches.response_headers),
        }
    }
}

impl WrittenAbort {
    fn meant(self) -> Result<Abort, Problem> {
        match self {
            Self { connection: true, status: None, body: None, headers } if headers.is_empty() => Ok(Abort::Connection),
            Self { connection: false, status: Some(code), headers, body } => Ok(Abort::Status {
                status: status(code)?,
                headers: fields(headers)?,
                body: body.unwrap_or_default().into(),
            }),
            _ => Err(Problem(
                "an `abort` has either a `status` (with `headers`, `body`) or \"connection\": true".to_owned(),
            )),
        }
    }

    fn of(abort: &Abort) -> Self {
        match abort {
            Abort::Connection => Self { connection: true, ..Self::default() },
            Abort::Status { status, headers, body } => Self {
                status: Some(status.as_u16()),
                headers: written(headers),
                body: (!body.is_empty()).then(|| text(body)),
                connection: false,
            },
        }
    }
}

impl WrittenChange {
    fn meant(self) -> Result<Change, Problem> {
        let body = |body: WrittenBody| match body {
            WrittenBody { replace: Some(text), patch: None } => Ok(BodyChange::Replace(text.into())),
            WrittenBody { replace: None, patch: Some(patch) } => Ok(BodyChange::Patch(patch)),
            _ => Err(Problem("a `body` has either `replace` or `patch`".to_owned())),
        };
        Ok(Change {
            set: fields(self.set_headers)?,
            remove: self.remove_headers.iter().map(|name| field(name)).collect::<Result<_, _>>()?,
            body: self.body.map(body).transpose()?,
        })
    }

    fn of(change: &Change) -> Self {
        let body = |body: &BodyChange| match body {
            BodyChange::Replace(with) => WrittenBody { replace: Some(text(with)), patch: None },
            BodyChange::Patch(patch) => WrittenBody { replace: None, patch: Some(patch.clone()) },
        };
        Self {
            status: None,
            set_headers: written(&change.set),
            remove_headers: change.remove.iter().map(|name| name.as_str().to_owned()).collect(),
            body: change.body.as_ref().map(body),
        }
    }
}

fn status(code: u16) -> Result<StatusCode, Problem> {
    StatusCode::from_u16(code).map_err(|_| Problem(format!("there is no status {code}")))
}

fn glob(pattern: String) -> Result<Glob, Problem> {
    Glob::new(pattern).map_err(|what| Problem(what.to_owned()))
}

fn field(name: &str) -> Result<HeaderName, Problem> {
    name.parse().map_err(|_| Problem(format!("\"{name}\" is no name of a header")))
}

fn fields(written: BTreeMap<String, String>) -> Result<Vec<(HeaderName, HeaderValue)>, Problem> {
    let value = |name: &str, value: String| {
        HeaderValue::try_from(value).map_err(|_| Problem(format!("the value of \"{name}\" cannot be in a header")))
    };
    written.into_iter().map(|(name, text)| Ok((field(&name)?, value(&name, text)?))).collect()
}

fn globs(written: BTreeMap<String, String>) -> Result<Vec<(HeaderName, Glob)>, Problem> {
    written.into_iter().map(|(name, pattern)| Ok((field(&name)?, glob(pattern)?))).collect()
}

fn written(fields: &[(HeaderName, HeaderValue)]) -> BTreeMap<String, String> {
    fields.iter().map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes()))).collect()
}

/// Rules that were read from JSON hold nothing but UTF-8; of others, what is not is shown as such.
fn text(bytes: impl AsRef<[u8]>) -> String {
    String::from_utf8_lossy(bytes.as_ref()).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problem(value: &Value) -> String {
        Rule::from_json(value).unwrap_err().to_string()
    }

    #[test]
    fn what_is_read_is_written_again() {
        let rules = [
            json!({ "name": "a", "match": { "path": "*" }, "percentage": 100.0, "at": "request",
                "delay": { "latency": 300, "jitter": 50 } }),
            json!({ "name": "b", "match": { "method": "POST", "path": "/a/*", "headers": { "host": "*.test" } },
                "percentage": 25.0, "at": "response", "abort": { "connection": true } }),
            json!({ "name": "c", "match": { "status": 200, "responseHeaders": { "content-type": "*json*" } },
                "percentage": 12.5, "at": "request", "response": { "status": 418, "setHeaders": { "x-a": "b" },
                "removeHeaders": ["etag"], "body": { "patch": { "price": null } } } }),
            json!({ "name": "d", "match": { "path": "/" }, "percentage": 0.0, "at": "request",
                "abort": { "status": 503, "headers": { "retry-after": "1" }, "body": "later" } }),
            json!({ "name": "e", "match": { "path": "/" }, "percentage": 1.0, "at": "request",
                "request": { "body": { "replace": "x" } }, "response": { "body": { "patch": null } } }),
        ];
        for rule in rules {
            let read = Rule::from_json(&rule).unwrap();
            assert_eq!(read.to_json(), rule);
            assert_eq!(Rule::from_json(&read.to_json()).unwrap(), read);
        }
    }

    #[test]
    fn a_rule_that_concerns_everything_must_say_so() {
        let nothing = problem(&json!({ "name": "a", "match": {}, "delay": { "latency": 1 } }));
        assert!(nothing.contains(r#"{"path": "*"}"#), "{nothing}");
        let missing = problem(&json!({ "name": "a", "delay": { "latency": 1 } }));
        assert!(missing.contains("missing field `match`"), "{missing}");
        let misspelt =
            problem(&json!({ "name": "a", "match": { "path": "/", "methd": "GET" }, "delay": { "latency": 1 } }));
        assert!(misspelt.contains("unknown field `methd`"), "{misspelt}");
        assert_eq!(Matches::everything().path.unwrap().to_string(), "*");
    }

    #[test]
    fn a_rule_that_cannot_be_is_refused_with_the_reason() {
        let of = json!({ "path": "/" });
        for (rule, reason) in [
            (json!({ "name": "a", "match": of }), "does nothing"),
            (json!({ "name": "", "match": of, "delay": { "latency": 1 } }), "no `name`"),
            (json!({ "name": "a", "match": of, "percentage": 101, "delay": { "latency": 1 } }), "from 0 to 100"),
            (json!({ "name": "a", "match": of, "delay": { "latency": 90_000_000 } }), "longer than a day"),
            (json!({ "name": "a", "match": of, "abort": {} }), "either"),
            (json!({ "name": "a", "match": of, "abort": { "status": 500, "connection": true } }), "either"),
            (json!({ "name": "a", "match": of, "abort": { "status": 101 } }), "200 to 599"),
            (json!({ "name": "a", "match": of, "abort": { "status": 99 } }), "no status 99"),
            (
                json!({ "name": "a", "match": of, "abort": { "status": 500 }, "response": { "status": 200 } }),
                "no `response`",
            ),
            (json!({ "name": "a", "match": of, "request": { "status": 200 } }), "has no `status`"),
            (json!({ "name": "a", "match": { "status": 500 }, "delay": { "latency": 1 } }), "\"at\": \"response\""),
            (
                json!({ "name": "a", "match": { "status": 500 }, "request": { "removeHeaders": ["a"] } }),
                "cannot change",
            ),
            (
                json!({ "name": "a", "match": of, "request": { "setHeaders": { "Content-Length": "1" } } }),
                "cannot be set",
            ),
            (
                json!({ "name": "a", "match": of, "abort": { "status": 500, "headers": { "te": "x" } } }),
                "cannot be set",
            ),
            (json!({ "name": "a", "match": of, "request": { "setHeaders": { "a b": "1" } } }), "no name of a header"),
            (
                json!({ "name": "a", "match": of, "request": { "setHeaders": { "a": "1\r\nb: 2" } } }),
                "cannot be in a header",
            ),
            (json!({ "name": "a", "match": of, "request": { "body": {} } }), "either"),
            (json!({ "name": "a", "match": { "path": "" }, "delay": { "latency": 1 } }), "empty"),
            (json!({ "name": "a", "match": { "method": "G T" }, "delay": { "latency": 1 } }), "no method"),
        ] {
            let said = problem(&rule);
            assert!(said.contains(reason), "{rule}: {said}");
        }
    }
}
