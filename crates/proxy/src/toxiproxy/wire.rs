//! The JSON of the API: what clients send, and what they get.

use std::time::Duration;

use serde_json::{Map, Number, Value, json};

use super::{
    Error,
    fields::{Fields, LARGEST, kind},
};
use crate::{
    http::{Done, Rule},
    toxic::{Applied, Stream, Toxic},
};

/// The longest time in an attribute: a year. What is meant to last longer is meant to last for ever.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// A proxy as a client wants it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewProxy {
    /// Its name; not empty.
    pub name: String,
    /// `host:port` to listen on. No host is all addresses, port 0 any that is free.
    pub listen: String,
    /// `host:port` to lead to; not empty.
    pub upstream: String,
    /// Whether it is to listen at once.
    pub enabled: bool,
    /// What is on it from its first connection on. (Toxiproxy passes over these.)
    pub toxics: Vec<Applied>,
    /// HTTP rules that it has from its first request on; `None` leaves it a proxy of plain TCP.
    pub http: Option<Vec<Rule>>,
}

/// What is to change of a proxy; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyChange {
    /// Where it listens.
    pub listen: Option<String>,
    /// Where it leads.
    pub upstream: Option<String>,
    /// Whether it listens.
    pub enabled: Option<bool>,
}

/// What is to change of a toxic: any of its attributes, its toxicity.
#[derive(Debug, Clone, PartialEq)]
pub struct ToxicChange(Value);

fn parse(body: &[u8]) -> Result<Value, Error> {
    if body.is_empty() {
        return Err(Error::BadBody("it is empty".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| Error::BadBody(error.to_string()))
}

/// The elements of a list that is a whole body.
fn elements(value: &Value) -> Result<&Vec<Value>, Error> {
    value.as_array().ok_or_else(|| Error::BadBody(format!("it must be a list of proxies, not {}", kind(value))))
}

impl NewProxy {
    /// Reads a proxy.
    ///
    /// # Errors
    ///
    /// When the body is no proxy.
    pub fn read(body: &[u8]) -> Result<Self, Error> {
        Self::from_json(&parse(body)?)
    }

    /// Reads a list of proxies: the body of `/populate`, or a configuration file. All of it is right, or it is refused.
    ///
    /// # Errors
    ///
    /// When the body is no list of proxies, or two of them have one name.
    pub fn read_list(body: &[u8]) -> Result<Vec<Self>, Error> {
        let value = parse(body)?;
        let mut proxies: Vec<Self> = Vec::new();
        for (index, element) in elements(&value)?.iter().enumerate() {
            let proxy = Self::from_json(element).map_err(|error| error.at(index))?;
            if proxies.iter().any(|other| other.name == proxy.name) {
                let (name, number) = (&proxy.name, index + 1);
                return Err(Error::BadBody(format!(
                    "the name \"{name}\" of proxy {number} is that of another before it"
                )));
            }
            proxies.push(proxy);
        }
        Ok(proxies)
    }

    fn from_json(value: &Value) -> Result<Self, Error> {
        let fields = Fields::of(value, "proxy")?;
        let required = |name: &str| {
            let text = fields.text(name)?.unwrap_or_default();
            if text.is_empty() { Err(Error::MissingField(name.to_owned())) } else { Ok(text.to_owned()) }
        };
        let mut toxics: Vec<Applied> = Vec::new();
        for element in fields.list("toxics")?.into_iter().flatten() {
            let toxic = read_toxic(element)?;
            if toxics.iter().any(|other| other.name == toxic.name) {
                return Err(Error::ToxicExists);
            }
            toxics.push(toxic);
        }
        Ok(Self {
            name: required("name")?,
            upstream: required("upstream")?,
            listen: fields.text("listen")?.unwrap_or_default().to_owned(),
            enabled: fields.flag("enabled")?.unwrap_or(true),
            toxics,
            http: fields.list("http")?.map(|rules| read_rules(rules)).transpose()?,
        })
    }
}

impl Error {
    /// The same of one element of a list.
    fn at(self, index: usize) -> Self {
        let number = index + 1;
        match self {
            Self::MissingField(field) => Self::MissingField(format!("{field} at proxy {number}")),
            Self::BadBody(what) => Self::BadBody(format!("proxy {number}: {what}")),
            other => Self::BadBody(format!("proxy {number}: {other}")),
        }
    }
}

impl ProxyChange {
    /// Reads a change.
    ///
    /// # Errors
    ///
    /// When the body is none.
    pub fn read(body: &[u8]) -> Result<Self, Error> {
        let value = parse(body)?;
        let fields = Fields::of(&value, "proxy")?;
        Ok(Self {
            listen: fields.text("listen")?.map(str::to_owned),
            upstream: fields.text("upstream")?.map(str::to_owned),
            enabled: fields.flag("enabled")?,
        })
    }
}

impl ToxicChange {
    /// Reads a change.
    ///
    /// # Errors
    ///
    /// When the body is no object.
    pub fn read(body: &[u8]) -> Result<Self, Error> {
        let value = parse(body)?;
        Fields::of(&value, "toxic")?;
        Ok(Self(value))
    }

    /// The toxic after the change.
    ///
    /// # Errors
    ///
    /// When the change is not one of such a toxic.
    pub fn of(&self, toxic: &Applied) -> Result<Applied, Error> {
        let fields = Fields::of(&self.0, "toxic")?;
        let (kind, before) = attributes(&toxic.toxic);
        let changed = fields.object("attributes")?;
        let mut values = Vec::with_capacity(before.len());
        for (name, value) in before {
            let given = changed.map(|changed| changed.whole(name)).transpose()?.flatten();
            values.push((name, given.unwrap_or(value)));
        }
        let toxicity = fields.share("toxicity")?.unwrap_or(toxic.toxicity);
        Ok(Applied { toxic: build(kind, &values)?, toxicity, ..toxic.clone() })
    }
}

/// Reads a toxic.
///
/// # Errors
///
/// When the body is none.
pub(super) fn toxic(body: &[u8]) -> Result<Applied, Error> {
    read_toxic(&parse(body)?)
}

fn read_toxic(value: &Value) -> Result<Applied, Error> {
    let fields = Fields::of(value, "toxic")?;
    let stream = match fields.text("stream")?.unwrap_or("downstream") {
        upstream if upstream.eq_ignore_ascii_case("upstream") => Stream::Upstream,
        downstream if downstream.eq_ignore_ascii_case("downstream") => Stream::Downstream,
        _ => return Err(Error::InvalidStream),
    };
    let kind = fields.text("type")?.unwrap_or_default();
    let (_, model) = KINDS.iter().find(|(name, _)| *name == kind).ok_or(Error::InvalidToxicType)?;
    let given = fields.object("attributes")?;
    let mut values = Vec::with_capacity(model.len());
    for name in *model {
        let value = given.map(|given| given.whole(name)).transpose()?.flatten();
        values.push((*name, value.unwrap_or_default()));
    }
    let name = match fields.text("name")?.unwrap_or_default() {
        "" => format!("{kind}_{}", name_of(stream)),
        name => name.to_owned(),
    };
    Ok(Applied { name, toxic: build(kind, &values)?, stream, toxicity: fields.share("toxicity")?.unwrap_or(1.0) })
}

/// Every type of toxic with its attributes: whole numbers, 0 where nothing else is said.
const KINDS: [(&str, &[&str]); 8] = [
    ("bandwidth", &["rate"]),
    ("latency", &["latency", "jitter"]),
    ("limit_data", &["bytes"]),
    ("noop", &[]),
    ("reset_peer", &["timeout"]),
    ("slicer", &["average_size", "size_variation", "delay"]),
    ("slow_close", &["delay"]),
    ("timeout", &["timeout"]),
];

/// Toxiproxy's kilobyte.
const KILOBYTE: u64 = 1000;

/// The toxic of a type with these attributes.
fn build(kind: &str, values: &[(&'static str, u64)]) -> Result<Toxic, Error> {
    let value = |name: &str| values.iter().find(|(key, _)| *key == name).map_or(0, |(_, value)| *value);
    let time = |name: &str, unit: fn(u64) -> Duration| {
        let time = unit(value(name));
        let too_long = || Error::BadBody(format!("`{name}` of attributes is longer than a year"));
        if time > LONGEST { Err(too_long()) } else { Ok(time) }
    };
    let millis = |name: &str| time(name, Duration::from_millis);
    Ok(match kind {
        "bandwidth" => {
            let rate = value("rate");
            let too_fast = || Error::BadBody(format!("`rate` of attributes must be at most {}", LARGEST / KILOBYTE));
            let bytes = rate.checked_mul(KILOBYTE).filter(|bytes| *bytes <= LARGEST).ok_or_else(too_fast)?;
            Toxic::Bandwidth { bytes_per_second: bytes }
        }
        "latency" => Toxic::Latency { latency: millis("latency")?, jitter: millis("jitter")? },
        "limit_data" => Toxic::LimitData { bytes: value("bytes") },
        "noop" => Toxic::Noop,
        "reset_peer" => Toxic::ResetPeer { timeout: millis("timeout")? },
        "slicer" => Toxic::Slicer {
            average_size: value("average_size"),
            size_variation: value("size_variation"),
            delay: time("delay", Duration::from_micros)?,
        },
        "slow_close" => Toxic::SlowClose { delay: millis("delay")? },
        "timeout" => Toxic::Timeout { timeout: millis("timeout")? },
        _ => return Err(Error::InvalidToxicType),
    })
}

/// The type of a toxic and its attributes.
fn attributes(toxic: &Toxic) -> (&'static str, Vec<(&'static str, u64)>) {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    match *toxic {
        Toxic::Bandwidth { bytes_per_second } => ("bandwidth", vec![("rate", bytes_per_second / KILOBYTE)]),
        Toxic::Latency { latency, jitter } => {
            ("latency", vec![("latency", millis(latency)), ("jitter", millis(jitter))])
        }
        Toxic::LimitData { bytes } => ("limit_data", vec![("bytes", bytes)]),
        Toxic::Noop => ("noop", vec![]),
        Toxic::ResetPeer { timeout } => ("reset_peer", vec![("timeout", millis(timeout))]),
        Toxic::Slicer { average_size, size_variation, delay } => (
            "slicer",
            vec![("average_size", average_size), ("size_variation", size_variation), ("delay", micros(delay))],
        ),
        Toxic::SlowClose { delay } => ("slow_close", vec![("delay", millis(delay))]),
        Toxic::Timeout { timeout } => ("timeout", vec![("timeout", millis(timeout))]),
    }
}

pub(super) const fn name_of(stream: Stream) -> &'static str {
    match stream {
        Stream::Upstream => "upstream",
        Stream::Downstream => "downstream",
    }
}

/// A toxic as clients get it.
pub(super) fn toxic_json(toxic: &Applied) -> Value {
    let (kind, values) = attributes(&toxic.toxic);
    let values: Map<String, Value> = values.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    // A whole number without a fraction, as Toxiproxy writes it: some clients have it in an integer.
    let toxicity = match toxic.toxicity {
        0.0 => Number::from(0),
        1.0 => Number::from(1),
        share => Number::from_f64(share).unwrap_or_else(|| Number::from(0)),
    };
    json!({
        "attributes": values,
        "name": toxic.name,
        "type": kind,
        "stream": name_of(toxic.stream),
        "toxicity": toxicity,
    })
}

/// Toxics as clients get them: those of the upstream first, each stream in the order in which it has them.
pub(super) fn toxics_json(toxics: &[Applied]) -> Value {
    let of = |stream| toxics.iter().filter(move |toxic| toxic.stream == stream);
    Stream::ALL.into_iter().flat_map(of).map(toxic_json).collect()
}

/// Reads HTTP rules: `[..]`, of which no two have one name.
fn read_rules(rules: &[Value]) -> Result<Vec<Rule>, Error> {
    let mut read: Vec<Rule> = Vec::with_capacity(rules.len());
    for (index, rule) in rules.iter().enumerate() {
        let wrong = |what: &dyn std::fmt::Display| Error::BadBody(format!("rule {}: {what}", index + 1));
        let rule = Rule::from_json(rule).map_err(|problem| wrong(&problem))?;
        if read.iter().any(|other| other.name() == rule.name()) {
            return Err(wrong(&format_args!("the name \"{}\" is that of another before it", rule.name())));
        }
        read.push(rule);
    }
    Ok(read)
}

/// Reads the body that replaces all rules: `{"rules": [..]}`.
pub(super) fn rules(body: &[u8]) -> Result<Vec<Rule>, Error> {
    let value = parse(body)?;
    let rules = Fields::of(&value, "the body")?.list("rules")?;
    read_rules(rules.ok_or_else(|| Error::MissingField("rules".to_owned()))?)
}

/// Reads a rule. The name that its path has may be left out.
pub(super) fn rule(body: &[u8], name: Option<&str>) -> Result<Rule, Error> {
    let mut value = parse(body)?;
    if let (Some(name), Value::Object(rule)) = (name, &mut value) {
        let written = rule.entry("name").or_insert_with(|| name.into());
        if written != name {
            return Err(Error::BadBody(format!("its `name` is not that of its path, \"{name}\"")));
        }
    }
    Rule::from_json(&value).map_err(|problem| Error::BadBody(problem.to_string()))
}

/// A rule and what it has done, as clients get it.
pub(super) fn rule_json(rule: &Rule, done: &Done) -> Value {
    let mut value = rule.to_json();
    value["done"] = json!({
        "matched": done.matched,
        "chosen": done.chosen,
        "delayed": done.delayed,
        "delaySeconds": done.delay.as_secs_f64(),
        "aborted": done.aborted,
        "changed": done.changed,
        "unchanged": done.unchanged,
    });
    value
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_said_is_what_toxiproxy_takes() {
        let proxy = NewProxy::read(br#"{"name": "redis", "upstream": "localhost:6379", "extra": 1}"#).unwrap();
        assert_eq!((proxy.listen.as_str(), proxy.enabled, proxy.toxics.len()), ("", true, 0));
        let toxic = toxic(br#"{"type": "latency"}"#).unwrap();
        let expected = r#"{"attributes":{"latency":0,"jitter":0},"name":"latency_downstream","type":"latency","stream":"downstream","toxicity":1}"#;
        assert_eq!(toxic_json(&toxic).to_string(), expected);
    }

    #[test]
    fn what_is_wrong_with_a_body_is_said() {
        for (body, error) in [
            (&b""[..], "bad request body: it is empty"),
            (b"[]", "bad request body: proxy must be an object, not a list"),
            (b"{}", "missing required field: name"),
            (br#"{"name": "a"}"#, "missing required field: upstream"),
            (br#"{"name": 1, "upstream": "b:1"}"#, "bad request body: `name` of proxy must be a string, not 1"),
            (
                br#"{"name": "a", "upstream": "b:1", "enabled": "yes"}"#,
                "bad request body: `enabled` of proxy must be true or false, not a string",
            ),
        ] {
            assert_eq!(NewProxy::read(body).unwrap_err().to_string(), error);
        }
        assert!(matches!(NewProxy::read(b"{"), Err(Error::BadBody(_))));
        for (body, error) in [
            (&br#"{"type": "none"}"#[..], Error::InvalidToxicType),
            (b"{}", Error::InvalidToxicType),
            (br#"{"type": "latency", "stream": "up"}"#, Error::InvalidStream),
        ] {
            assert_eq!(toxic(body), Err(error));
        }
        for attributes in
            [r#"{"latency": "100"}"#, r#"{"latency": 1.5}"#, r#"{"latency": -1}"#, "[]", r#"{"latency": 31536000001}"#]
        {
            let body = format!(r#"{{"type": "latency", "attributes": {attributes}}}"#);
            assert!(matches!(toxic(body.as_bytes()), Err(Error::BadBody(_))), "{body}");
        }
    }

    #[test]
    fn a_list_is_right_as_a_whole_or_refused() {
        let list = |text: &str| NewProxy::read_list(text.as_bytes()).map(|proxies| proxies.len());
        assert_eq!(list(r#"[{"name": "a", "upstream": "x:1"}, {"name": "b", "upstream": "x:1"}]"#), Ok(2));
        assert_eq!(list("[]"), Ok(0));
        for (wrong, said) in [
            (r#"[{"name": "a", "upstream": "x:1"}, {"name": "b"}]"#, "missing required field: upstream at proxy 2"),
            (r#"[{"name": "a", "upstream": "x:1"}, {"name": "a", "upstream": "y:1"}]"#, "that of another before it"),
            ("{}", "must be a list of proxies, not an object"),
            (
                r#"[{"name": "a", "upstream": "x:1", "http": [{"name": "r"}]}]"#,
                "proxy 1: rule 1: missing field `match`",
            ),
        ] {
            let error = list(wrong).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_change_of_some_attributes_leaves_the_others() {
        let latency = toxic(br#"{"type": "latency", "attributes": {"latency": 100, "jitter": 10}}"#).unwrap();
        let changed = ToxicChange::read(br#"{"attributes": {"latency": 200}}"#).unwrap().of(&latency).unwrap();
        let millis = Duration::from_millis;
        assert_eq!(changed.toxic, Toxic::Latency { latency: millis(200), jitter: millis(10) });
        let changed = ToxicChange::read(br#"{"toxicity": 0.5, "stream": "upstream", "name": "x"}"#).unwrap();
        assert_eq!(changed.of(&latency).unwrap(), Applied { toxicity: 0.5, ..latency });
    }

    #[test]
    fn a_rule_takes_the_name_of_its_path() {
        let body = br#"{"match": {"path": "*"}, "delay": {"latency": 1}}"#;
        assert_eq!(rule(body, Some("a")).unwrap().name(), "a");
        assert!(rule(body, None).is_err());
        let other = br#"{"name": "b", "match": {"path": "*"}, "delay": {"latency": 1}}"#;
        assert!(rule(other, Some("a")).unwrap_err().to_string().contains("not that of its path"));
    }

    fn any_toxic() -> impl Strategy<Value = Value> {
        let kind = proptest::sample::select(KINDS.to_vec());
        (kind, any::<[u32; 3]>(), 0.0..=1.0, any::<bool>(), "[a-z]{1,8}").prop_map(
            |((kind, names), values, toxicity, upstream, name)| {
                let attributes: Map<_, _> =
                    names.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value.into())).collect();
                let stream = if upstream { "upstream" } else { "downstream" };
                json!({ "attributes": attributes, "name": name, "type": kind, "stream": stream, "toxicity": toxicity })
            },
        )
    }

    proptest! {
        #[test]
        fn a_toxic_that_is_read_is_written_as_it_was(value in any_toxic()) {
            let read = toxic(value.to_string().as_bytes()).unwrap();
            let written = toxic_json(&read);
            prop_assert_eq!(&written["attributes"], &value["attributes"]);
            let body = written.to_string();
            prop_assert_eq!(&toxic(body.as_bytes()).unwrap(), &read);
            prop_assert_eq!(ToxicChange::read(body.as_bytes()).unwrap().of(&read).unwrap(), read);
        }
    }
}
