//! The text exposition format of Prometheus, version 0.0.4.

use std::{borrow::Cow, collections::BTreeMap};

/// One line of an exposition: a series and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    /// Name of the metric.
    pub name: &'a str,
    /// Labels.
    pub labels: BTreeMap<&'a str, Cow<'a, str>>,
    /// Value, which may be infinite or not a number.
    pub value: f64,
}

/// A line that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not Prometheus text: {why}")]
pub struct ExpositionError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub why: &'static str,
}

/// Reads an exposition. Comments (with them types and help) and timestamps are passed over.
///
/// # Errors
///
/// At the first line that is neither empty, a comment, nor a sample.
pub fn parse(text: &str) -> Result<Vec<Sample<'_>>, ExpositionError> {
    let mut samples = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_matches([' ', '\t']);
        if !line.is_empty() && !line.starts_with('#') {
            samples.push(sample(line).map_err(|why| ExpositionError { line: number + 1, why })?);
        }
    }
    Ok(samples)
}

fn sample(line: &str) -> Result<Sample<'_>, &'static str> {
    let (name, rest) = name(line, true).ok_or("it does not start with the name of a metric")?;
    let mut rest = blank(rest);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = read_labels(inside, &mut labels)?;
    }
    let mut words = rest.split_ascii_whitespace();
    let value = words.next().ok_or("it has no value")?.parse().map_err(|_| "its value is not a number")?;
    if words.next().is_some_and(|timestamp| timestamp.parse::<i64>().is_err()) {
        return Err("what follows its value is not a timestamp");
    }
    if words.next().is_some() {
        return Err("something follows its timestamp");
    }
    Ok(Sample { name, labels, value })
}

/// Reads labels up to the closing brace; what follows it.
fn read_labels<'a>(mut rest: &'a str, labels: &mut BTreeMap<&'a str, Cow<'a, str>>) -> Result<&'a str, &'static str> {
    loop {
        rest = blank(rest);
        if let Some(after) = rest.strip_prefix('}') {
            return Ok(after);
        }
        let (label, after) = name(rest, false).ok_or("a label has no name")?;
        let after = blank(after).strip_prefix('=').ok_or("a label has no value")?;
        let after = blank(after).strip_prefix('"').ok_or("the value of a label is not quoted")?;
        let (value, after) = quoted(after)?;
        if labels.insert(label, value).is_some() {
            return Err("a label is given twice");
        }
        rest = blank(after);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return Err("its labels are not separated by commas"),
        }
    }
}

/// Reads a label's value up to the closing quote; what follows it.
fn quoted(text: &str) -> Result<(Cow<'_, str>, &str), &'static str> {
    let end = text.find(['"', '\\']).ok_or("the quote of a label's value is not closed")?;
    if text[end..].starts_with('"') {
        return Ok((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let mut value = String::new();
    let mut signs = text.char_indices();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '"' => return Ok((Cow::Owned(value), &text[at + 1..])),
            '\\' => value.push(match signs.next() {
                Some((_, 'n')) => '\n',
                Some((_, sign @ ('"' | '\\'))) => sign,
                _ => return Err("after a backslash comes neither n, a quote nor a backslash"),
            }),
            sign => value.push(sign),
        }
    }
    Err("the quote of a label's value is not closed")
}

/// Reads a name; what follows it. Those of metrics may have colons.
fn name(text: &str, of_metric: bool) -> Option<(&str, &str)> {
    let end = text
        .find(|sign: char| !(sign.is_ascii_alphanumeric() || sign == '_' || (of_metric && sign == ':')))
        .unwrap_or(text.len());
    let starts_well = !text.starts_with(|sign: char| sign.is_ascii_digit());
    (end > 0 && starts_well).then(|| text.split_at(end))
}

fn blank(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_formats_own_example_is_read() {
        let text = concat!(
            "# HELP http_requests_total The total number of HTTP requests.\n",
            "# TYPE http_requests_total counter\n",
            "http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n",
            "http_requests_total{method=\"post\",code=\"400\",}    3 1395066363000\n\n",
            "msdos_file_access_time_seconds{path=\"C:\\\\DIR\\\\FILE.TXT\",error=\"Cannot find file:\\n\\\"FILE.TXT\\\"\"} 1.458255915e9\n",
            "metric_without_timestamp_and_labels 12.47\n",
            "something_weird{problem=\"division by zero\"} +Inf -3982045\n",
            "a:b{} NaN\n",
        );
        let samples = parse(text).unwrap();
        assert_eq!(samples.len(), 6);
        assert_eq!(
            (samples[0].name, samples[0].labels["code"].as_ref(), samples[0].value),
            ("http_requests_total", "200", 1027.0)
        );
        assert_eq!(samples[2].labels["path"], "C:\\DIR\\FILE.TXT");
        assert_eq!(samples[2].labels["error"], "Cannot find file:\n\"FILE.TXT\"");
        assert_eq!(samples[4].value, f64::INFINITY);
        assert!(samples[5].value.is_nan());
    }

    #[test]
    fn a_line_that_is_no_sample_is_refused_with_its_number() {
        for (line, why) in [
            ("<html>", "name of a metric"),
            ("1a 2", "name of a metric"),
            ("a", "no value"),
            ("a b", "not a number"),
            ("a 1 x", "timestamp"),
            ("a 1 2 3", "follows"),
            ("a{b=\"c\" 1", "commas"),
            ("a{b=\"c} 1", "not closed"),
            ("a{b=c} 1", "not quoted"),
            ("a{b} 1", "no value"),
            ("a{b=\"c\",b=\"d\"} 1", "twice"),
            ("a{b=\"\\x\"} 1", "backslash"),
            ("a{1=\"\"} 1", "no name"),
        ] {
            let error = parse(&format!("ok 1\n{line}\n")).unwrap_err();
            assert!(error.line == 2 && error.why.contains(why), "{line}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(?s).{0,200}") {
            drop(parse(&text));
        }

        #[test]
        fn what_looks_like_samples_is_read_without_a_panic(text in "[a{}=\",\\\\ \n1#.eé+-]{0,60}") {
            drop(parse(&text));
        }

        #[test]
        fn what_is_printed_is_read_back(
            name in "[a-zA-Z_:][a-zA-Z0-9_:]{0,9}",
            labels in prop::collection::btree_map("[a-zA-Z_][a-zA-Z0-9_]{0,5}", "[^\r]{0,9}", 0..4),
            value in any::<f64>().prop_filter("NaN is not equal to itself", |value| !value.is_nan()),
        ) {
            let printed: Vec<String> = labels
                .iter()
                .map(|(label, value)| {
                    format!("{label}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
                })
                .collect();
            let text = format!("{name}{{{}}} {value}\n", printed.join(","));
            let samples = parse(&text).unwrap();
            prop_assert_eq!(samples.len(), 1);
            prop_assert_eq!((samples[0].name, samples[0].value), (name.as_str(), value));
            let read: BTreeMap<String, String> =
                samples[0].labels.iter().map(|(label, value)| ((*label).to_owned(), value.to_string())).collect();
            prop_assert_eq!(read, labels);
        }
    }
}
