//! A request's parameters, from the body of a POST or the address of a GET.

use axum::body::{Body, Bytes};
use axum::extract::Query;
use axum::http::{StatusCode, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value as Json};

use super::reply::Refusal;
use crate::document::Params;

/// A document of 15,000 characters, a message of 16 KiB, and room to spare.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024;

/// Of a POST, whose content type is known to be JSON.
pub(super) async fn from_body(body: Body) -> Result<Params, Refusal> {
    let bytes = read(body).await?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let at = error.valid_up_to();
        Refusal::bad(format!(
            "the body is not UTF-8: byte {at} belongs to no character"
        ))
    })?;
    if text.trim().is_empty() {
        return Err(Refusal::bad("the body is empty"));
    }
    Ok(Params::from_json(json("the body", text)?)?)
}

/// Of a GET.
pub(super) fn from_uri(uri: &Uri) -> Result<Params, Refusal> {
    let text = uri.query().unwrap_or_default();
    if percent_decode_str(text).decode_utf8().is_err() {
        return Err(Refusal::bad("the address is not UTF-8"));
    }
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|_| Refusal::bad("the address has no parameters that can be read"))?;
    let mut given = Map::new();
    for (name, value) in pairs {
        let value = match name.as_str() {
            "query" | "operationName" => Json::String(value),
            "variables" | "extensions" if value.is_empty() => Json::Null,
            "variables" | "extensions" => json(&name, &value)?,
            _ => continue,
        };
        if given.contains_key(&name) {
            return Err(Refusal::bad(format!("{name} is given twice")));
        }
        given.insert(name, value);
    }
    Ok(Params::from_json(Json::Object(given))?)
}

async fn read(body: Body) -> Result<Bytes, Refusal> {
    // Said before it is read, where the length is known.
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Refusal::bad("the body could not be read to its end")),
    }
}

fn too_large() -> Refusal {
    let message = format!("the body is too large; the limit is {BODY_BYTES_MAX} bytes");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}

/// The parser's own text would show what it was reading and how.
fn json(what: &str, text: &str) -> Result<Json, Refusal> {
    serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Refusal::bad(format!(
            "{what} is not JSON: see line {line}, column {column}"
        ))
    })
}
