//! What the API refuses, in the words and with the status codes that clients know from Toxiproxy.

use http::StatusCode;
use serde_json::{Value, json};

/// Why a call was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The body is not what the call asks for. The text says where it goes wrong.
    #[error("bad request body: {0}")]
    BadBody(String),
    /// The body lacks a field without which there is no proxy.
    #[error("missing required field: {0}")]
    MissingField(String),
    /// No proxy has this name.
    #[error("proxy not found")]
    ProxyNotFound,
    /// A proxy with this name is there already.
    #[error("proxy already exists")]
    ProxyExists,
    /// `stream` is neither of the two.
    #[error("stream was invalid, can be either upstream or downstream")]
    InvalidStream,
    /// No toxic is of this type.
    #[error("invalid toxic type")]
    InvalidToxicType,
    /// A toxic of this proxy has the name already.
    #[error("toxic already exists")]
    ToxicExists,
    /// No toxic of this proxy has the name.
    #[error("toxic not found")]
    ToxicNotFound,
    /// No HTTP rule of this proxy has the name. (Not Toxiproxy's: it has no rules.)
    #[error("rule not found")]
    RuleNotFound,
    /// An HTTP rule of this proxy has the name already.
    #[error("rule already exists")]
    RuleExists,
    /// The proxy cannot listen, or cannot be what it should.
    #[error("proxy {proxy}: {reason}")]
    CannotStart {
        /// Its name.
        proxy: String,
        /// What the system says.
        reason: String,
    },
    /// Nothing is at this path.
    #[error("page not found; the API is that of Toxiproxy 2: see GET /proxies")]
    NoSuchPath,
    /// Something is at this path, but it does not take this method.
    #[error("method not allowed; this path takes {0}")]
    NoSuchMethod(&'static str),
    /// A web page has sent this. Pages of strangers must not reach a tool that breaks connections.
    #[error("User agent not allowed")]
    Browser,
    /// The body is longer than any sensible one.
    #[error("request body too large: at most {0} bytes")]
    TooLarge(usize),
    /// The body did not arrive.
    #[error("the request body did not arrive in time")]
    TooSlow,
}

impl Error {
    /// The status code of the answer.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::BadBody(_) | Self::MissingField(_) | Self::InvalidStream | Self::InvalidToxicType => {
                StatusCode::BAD_REQUEST
            }
            Self::ProxyNotFound | Self::ToxicNotFound | Self::RuleNotFound | Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::ProxyExists | Self::ToxicExists | Self::RuleExists => StatusCode::CONFLICT,
            Self::CannotStart { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NoSuchMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Browser => StatusCode::FORBIDDEN,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
        }
    }

    /// The body of the answer.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "error": self.to_string(), "status": self.status().as_u16() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_find_the_words_and_the_status_they_know() {
        let known = [
            (Error::BadBody("EOF".to_owned()), r#"{"error":"bad request body: EOF","status":400}"#),
            (Error::MissingField("name".to_owned()), r#"{"error":"missing required field: name","status":400}"#),
            (Error::ProxyNotFound, r#"{"error":"proxy not found","status":404}"#),
            (Error::ProxyExists, r#"{"error":"proxy already exists","status":409}"#),
            (
                Error::InvalidStream,
                r#"{"error":"stream was invalid, can be either upstream or downstream","status":400}"#,
            ),
            (Error::InvalidToxicType, r#"{"error":"invalid toxic type","status":400}"#),
            (Error::ToxicExists, r#"{"error":"toxic already exists","status":409}"#),
            (Error::ToxicNotFound, r#"{"error":"toxic not found","status":404}"#),
        ];
        for (error, body) in known {
            assert_eq!(error.to_json().to_string(), body);
        }
    }
}
