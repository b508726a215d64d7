//! Bodies: passed on as they come, or changed.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_LENGTH},
};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};
use serde_json::{Map, Value};

use super::rule::BodyChange;

/// The longest body that is held to be changed: 4 MiB, more than any JSON that people look at. Longer ones pass as they are.
pub const BODY_LIMIT: usize = 4 << 20;

/// A body on its way: what has been held or made up, then what is still to come.
#[derive(Debug, Default)]
pub(super) struct Body {
    first: VecDeque<Frame<Bytes>>,
    rest: Option<Incoming>,
}

impl Body {
    /// As it comes.
    pub(super) fn passing(body: Incoming) -> Self {
        Self { first: VecDeque::new(), rest: Some(body) }
    }

    /// All of it.
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self { first: [bytes].into_iter().filter(|bytes| !bytes.is_empty()).map(Frame::data).collect(), rest: None }
    }

    /// Changes it. Says whether it could.
    ///
    /// # Errors
    ///
    /// When the body breaks off while it is read.
    pub(super) async fn change(
        self,
        headers: &mut HeaderMap,
        change: &BodyChange,
    ) -> Result<(Self, bool), hyper::Error> {
        match change {
            BodyChange::Replace(with) => {
                self.drain();
                headers.remove(CONTENT_ENCODING);
                headers.insert(CONTENT_LENGTH, HeaderValue::from(with.len()));
                Ok((Self::whole(with.clone()), true))
            }
            BodyChange::Patch(_) if headers.contains_key(CONTENT_ENCODING) => Ok((self, false)),
            BodyChange::Patch(patch) => {
                let held = self.hold().await?;
                let Some(patched) = held.bytes().and_then(|bytes| patched(&bytes, patch)) else {
                    return Ok((held, false));
                };
                // With trailers the body is chunked, and has no length beforehand.
                let trailers: Vec<_> = held.first.into_iter().filter(Frame::is_trailers).collect();
                headers.remove(CONTENT_LENGTH);
                if trailers.is_empty() {
                    headers.insert(CONTENT_LENGTH, HeaderValue::from(patched.len()));
                }
                let first = [Frame::data(patched)].into_iter().chain(trailers).collect();
                Ok((Self { first, rest: None }, true))
            }
        }
    }

    /// Reads it up to the limit.
    async fn hold(mut self) -> Result<Self, hyper::Error> {
        let mut held: usize = self.first.iter().filter_map(Frame::data_ref).map(Bytes::len).sum();
        while let Some(rest) = &mut self.rest
            && held <= BODY_LIMIT
        {
            match rest.frame().await {
                Some(frame) => {
                    let frame = frame?;
                    held += frame.data_ref().map_or(0, Bytes::len);
                    self.first.push_back(frame);
                }
                None => self.rest = None,
            }
        }
        Ok(self)
    }

    /// All of its data, if all of it is held.
    fn bytes(&self) -> Option<Bytes> {
        if self.rest.is_some() {
            return None;
        }
        let mut all = BytesMut::new();
        self.first.iter().filter_map(Frame::data_ref).for_each(|data| all.extend_from_slice(data));
        Some(all.freeze())
    }

    /// Reads the rest and throws it away, as far as a body may be held, so that its connection can go on.
    fn drain(self) {
        if let Some(mut rest) = self.rest {
            tokio::spawn(async move {
                let mut left = BODY_LIMIT;
                while let Some(Ok(frame)) = rest.frame().await {
                    let Some(less) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
                    left = less;
                }
            });
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        match (this.first.pop_front(), &mut this.rest) {
            (Some(frame), _) => Poll::Ready(Some(Ok(frame))),
            (None, Some(rest)) => Pin::new(rest).poll_frame(context),
            (None, None) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_empty() && self.rest.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.first.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum::<u64>();
        let rest = self.rest.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint);
        let mut hint = SizeHint::new();
        hint.set_lower(held.saturating_add(rest.lower()));
        if let Some(upper) = rest.upper() {
            hint.set_upper(held.saturating_add(upper));
        }
        hint
    }
}

/// JSON with a patch merged into it; `None` when it is no JSON.
fn patched(bytes: &[u8], patch: &Value) -> Option<Bytes> {
    let mut document = serde_json::from_slice(bytes).ok()?;
    merge(&mut document, patch);
    serde_json::to_vec(&document).ok().map(Bytes::from)
}

/// Merges a patch into a document: JSON merge patch, RFC 7396 section 2.
pub fn merge(document: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *document = patch.clone();
        return;
    };
    if !document.is_object() {
        *document = Value::Object(Map::new());
    }
    let Value::Object(document) = document else { return };
    for (key, value) in patch {
        if value.is_null() {
            document.shift_remove(key);
        } else {
            merge(document.entry(key.as_str()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patches_are_merged_as_in_the_appendix_of_the_rfc() {
        // RFC 7396 appendix A.
        for (document, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut merged = document.clone();
            merge(&mut merged, &patch);
            assert_eq!(merged, result, "{document} with {patch}");
        }
    }

    #[test]
    fn what_is_no_json_is_not_patched() {
        assert_eq!(patched(b"<html>", &json!({"a": 1})), None);
        assert_eq!(patched(b"", &json!({"a": 1})), None);
        assert_eq!(patched(br#"{"b": 2}"#, &json!({"a": 1})).unwrap(), r#"{"b":2,"a":1}"#);
    }

    #[tokio::test]
    async fn a_body_that_was_compressed_is_not_patched_but_can_be_replaced() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        let body = Body::whole(Bytes::from_static(b"{}"));
        let (body, changed) = body.change(&mut headers, &BodyChange::Patch(json!({"a": 1}))).await.unwrap();
        assert!(!changed);
        let (body, changed) = body.change(&mut headers, &BodyChange::Replace("other".into())).await.unwrap();
        assert!(changed && !headers.contains_key(CONTENT_ENCODING));
        assert_eq!(headers[CONTENT_LENGTH], "5");
        assert_eq!(body.collect().await.unwrap().to_bytes(), "other");
    }
}
