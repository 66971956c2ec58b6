//! Answers that a client may keep: whether the one it has is still the right one (RFC 9110, 13.1.2).
//!
//! The tag is a hash of the whole answer. Names, presence and what has been read change without a place in the log, so nothing
//! less than the answer itself says that it is the same; and who reads what makes no difference then.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::media::Media;
use super::reply::{executed, ready};

/// The answer to a query by GET: 304 and no body where the client has it already. With errors in it, it is nothing to keep.
pub(super) fn kept(
    media: Media,
    response: &async_graphql::Response,
    asked: &HeaderMap,
) -> Response<Body> {
    if !response.errors.is_empty() || media == Media::Events {
        return executed(media, response);
    }
    let Ok(body) = serde_json::to_string(response) else {
        return executed(media, response);
    };
    let etag = etag(media, &body);
    let mut answer = match has_tag(asked, &etag) {
        true => unchanged(),
        false => ready(StatusCode::OK, media, body.into()),
    };
    let headers = answer.headers_mut();
    // Kept for this client alone, and asked for anew each time.
    let cache = HeaderValue::from_static("private, no-cache");
    headers.insert(CACHE_CONTROL, cache);
    headers.insert(VARY, HeaderValue::from_static("authorization, accept"));
    if let Ok(etag) = etag.parse() {
        headers.insert(ETAG, etag);
    }
    answer
}

fn unchanged() -> Response<Body> {
    let mut answer = ready(StatusCode::NOT_MODIFIED, Media::Json, Body::empty());
    answer.headers_mut().remove(CONTENT_TYPE);
    answer
}

/// Strong: the same bytes of the same type.
fn etag(media: Media, body: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    // No media type holds a line break.
    hasher.update(media.as_str().as_bytes()).update(b"\n");
    let hash = hasher.update(body.as_bytes()).finalize().to_hex();
    // Half of it is far more than chance needs; nobody gains by two answers of his own that look the same.
    format!("\"{}\"", &hash[..32])
}

/// Whether the client names the tag in `If-None-Match`, by weak comparison: proxies that compress make a strong tag weak.
pub(in crate::transport) fn has_tag(asked: &HeaderMap, etag: &str) -> bool {
    let lines = asked.get_all(IF_NONE_MATCH).iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_wherever_it_stands() {
        let etag = etag(Media::Json, "{}");
        let has = |lines: &[&str]| {
            let lines = lines
                .iter()
                .map(|line| (IF_NONE_MATCH, line.parse().unwrap()));
            has_tag(&HeaderMap::from_iter(lines), &etag)
        };
        let weak = format!("W/{etag}");
        for found in [&[&*etag][..], &[&weak], &["\"a\", ", &etag], &["*"]] {
            assert!(has(found), "{found:?}");
        }
        let listed = format!("\"a\" ,{weak},\"b\"");
        assert!(has(&[&listed]));
        for other in [
            &[][..],
            &[""],
            &["\"a\""],
            &[etag.trim_matches('"')],
            &["w/*"],
        ] {
            assert!(!has(other), "{other:?}");
        }
    }

    #[test]
    fn another_type_or_another_byte_is_another_tag() {
        let tag = etag(Media::Json, "{}");
        assert_eq!(tag, etag(Media::Json, "{}"));
        assert_ne!(tag, etag(Media::GraphqlResponse, "{}"));
        assert_ne!(tag, etag(Media::Json, "{ }"));
    }
}
