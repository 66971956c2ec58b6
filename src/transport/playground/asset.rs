//! The playground's files: found by path, sent compressed to whoever takes gzip, not sent to whoever has them.

use std::borrow::Cow;
use std::io::Read;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::read::GzDecoder;
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::transport::http::{has_tag, takes};

/// What npm bundled, each file as `name.gz`; empty in builds without GraphiQL.
#[derive(RustEmbed)]
#[folder = "$OUT_DIR/playground"]
struct Bundle;

/// The small page, as it lies in the source tree.
#[derive(RustEmbed)]
#[folder = "web/small"]
struct Small;

/// One file.
pub(super) struct Asset {
    file: EmbeddedFile,
    gzipped: bool,
    content_type: &'static str,
    /// Its name changes with its content.
    hashed: bool,
}

impl Asset {
    /// The file at a path below `/playground/`. `small.html` is the small page, `index.html` GraphiQL's.
    pub(super) fn find(path: &str) -> Option<Self> {
        let bundled = Bundle::get(&format!("{path}.gz")).map(|file| (file, true));
        let (file, gzipped) = bundled.or_else(|| Some((Small::get(path)?, false)))?;
        Some(Self {
            file,
            gzipped,
            content_type: content_type(path),
            hashed: path.starts_with("assets/"),
        })
    }

    /// The answer to a request with these headers.
    pub(super) fn respond(self, headers: &HeaderMap) -> Response {
        let compressed = self.gzipped && takes(headers, "gzip");
        let etag = self.etag(compressed);
        let cache = if self.hashed {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        let mut response = if has_tag(headers, &etag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            self.content(compressed)
        };
        let fields = response.headers_mut();
        fields.insert(CACHE_CONTROL, axum::http::HeaderValue::from_static(cache));
        fields.insert(
            VARY,
            axum::http::HeaderValue::from_static("accept-encoding"),
        );
        if let Ok(etag) = etag.parse() {
            fields.insert(ETAG, etag);
        }
        response
    }

    /// Strong, so one for each coding (RFC 9110, 8.8.3.3).
    fn etag(&self, compressed: bool) -> String {
        let hash = self.file.metadata.sha256_hash();
        let head = hash[..8].try_into().map_or(0, u64::from_be_bytes);
        let coding = if compressed { "-gzip" } else { "" };
        format!("\"{head:016x}{coding}\"")
    }

    fn content(self, compressed: bool) -> Response {
        let kind = [(CONTENT_TYPE, self.content_type)];
        if compressed {
            return (kind, [(CONTENT_ENCODING, "gzip")], body(self.file.data)).into_response();
        }
        if !self.gzipped {
            return (kind, body(self.file.data)).into_response();
        }
        // Rare enough not to keep both forms in the binary: every browser takes gzip.
        let mut plain = Vec::new();
        match GzDecoder::new(&*self.file.data).read_to_end(&mut plain) {
            Ok(_) => (kind, plain).into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

fn body(data: Cow<'static, [u8]>) -> Body {
    match data {
        Cow::Borrowed(bytes) => Body::from(bytes),
        Cow::Owned(bytes) => Body::from(bytes),
    }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("ttf") => "font/ttf",
        Some("woff2") => "font/woff2",
        Some("md") => "text/plain; charset=utf-8",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}
