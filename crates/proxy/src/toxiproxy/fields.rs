//! Reads fields of JSON objects as leniently as Go does, on which existing clients rely: names are compared without regard
//! to case when none is exact, `null` is as good as absent, unknown fields are passed over.

use serde_json::{Map, Number, Value};

use super::Error;

/// An object of which fields are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    /// What it is called in errors.
    of: &'static str,
}

/// The largest number in a field: the largest whole number that every JSON reader takes as it is (RFC 8259 section 6).
pub(super) const LARGEST: u64 = (1 << 53) - 1;

impl<'a> Fields<'a> {
    /// The fields of a value that is to be an object.
    pub(super) fn of(value: &'a Value, of: &'static str) -> Result<Self, Error> {
        match value {
            Value::Object(object) => Ok(Self { object, of }),
            other => Err(Error::BadBody(format!("{of} must be an object, not {}", kind(other)))),
        }
    }

    fn get(self, name: &str) -> Option<&'a Value> {
        let exact = self.object.get(name);
        let found = exact.or_else(|| {
            self.object.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next_back()
        });
        found.filter(|value| !value.is_null())
    }

    pub(super) fn text(self, name: &str) -> Result<Option<&'a str>, Error> {
        self.get(name).map(|value| value.as_str().ok_or_else(|| self.wrong(name, "a string", value))).transpose()
    }

    pub(super) fn flag(self, name: &str) -> Result<Option<bool>, Error> {
        self.get(name).map(|value| value.as_bool().ok_or_else(|| self.wrong(name, "true or false", value))).transpose()
    }

    pub(super) fn list(self, name: &str) -> Result<Option<&'a Vec<Value>>, Error> {
        self.get(name).map(|value| value.as_array().ok_or_else(|| self.wrong(name, "a list", value))).transpose()
    }

    pub(super) fn object(self, name: &'static str) -> Result<Option<Self>, Error> {
        self.get(name).map(|value| Fields::of(value, name)).transpose()
    }

    /// A share, from 0 to 1.
    pub(super) fn share(self, name: &str) -> Result<Option<f64>, Error> {
        let share = |value: &Value| {
            let number = value.as_f64().filter(|number| (0.0..=1.0).contains(number));
            number.ok_or_else(|| self.wrong(name, "a number from 0 to 1", value))
        };
        self.get(name).map(share).transpose()
    }

    /// A whole number, 0 or more.
    pub(super) fn whole(self, name: &str) -> Result<Option<u64>, Error> {
        let number = |value: &'a Value| {
            let whole = value.as_number().and_then(whole).filter(|number| *number <= LARGEST);
            whole.ok_or_else(|| self.wrong(name, "a whole number, 0 or more", value))
        };
        self.get(name).map(number).transpose()
    }

    fn wrong(self, name: &str, right: &str, value: &Value) -> Error {
        let of = self.of;
        let is = match value {
            Value::Number(number) => number.to_string(),
            other => kind(other).to_owned(),
        };
        Error::BadBody(format!("`{name}` of {of} must be {right}, not {is}"))
    }
}

/// Numbers without a fraction, also when they are written with one (`100.0`), as some languages do.
fn whole(number: &Number) -> Option<u64> {
    number.as_u64().or_else(|| {
        let float = number.as_f64().filter(|float| float.fract() == 0.0)?;
        // Its decimal form has no fraction and no exponent, so that the conversion is exact where it succeeds.
        format!("{float}").parse().ok()
    })
}

/// What a value is, for errors.
pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_found_whatever_their_case_but_the_exact_one_first() {
        let value = json!({ "Name": "other", "name": "exact", "LISTEN": "there", "upstream": null });
        let fields = Fields::of(&value, "proxy").unwrap();
        assert_eq!(fields.text("name"), Ok(Some("exact")));
        assert_eq!(fields.text("listen"), Ok(Some("there")));
        assert_eq!(fields.text("upstream"), Ok(None));
        assert_eq!(fields.flag("enabled"), Ok(None));
    }

    #[test]
    fn whole_numbers_may_be_written_with_a_fraction_of_zero_and_with_an_exponent() {
        let value = json!({ "a": 100, "b": 100.0, "c": 1e3, "d": 1.5, "e": -1, "f": "100", "g": 1e300, "h": -0.0 });
        let fields = Fields::of(&value, "attributes").unwrap();
        assert_eq!(["a", "b", "c"].map(|name| fields.whole(name).unwrap()), [Some(100), Some(100), Some(1000)]);
        for name in ["d", "e", "f", "g"] {
            assert!(matches!(fields.whole(name), Err(Error::BadBody(_))), "{name}");
        }
        let error = fields.whole("d").unwrap_err().to_string();
        assert_eq!(error, "bad request body: `d` of attributes must be a whole number, 0 or more, not 1.5");
    }

    #[test]
    fn what_is_no_share_is_refused() {
        let value = json!({ "zero": 0, "half": 0.5, "one": 1, "more": 1.1, "less": -0.1, "word": "1" });
        let fields = Fields::of(&value, "toxic").unwrap();
        assert_eq!(["zero", "half", "one"].map(|name| fields.share(name).unwrap()), [Some(0.0), Some(0.5), Some(1.0)]);
        for name in ["more", "less", "word"] {
            assert!(matches!(fields.share(name), Err(Error::BadBody(_))), "{name}");
        }
    }
}
