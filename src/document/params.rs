//! What a client sends, whichever way it comes: `query`, `operationName`, `variables`, `extensions`.

use async_graphql::Variables;
use serde_json::{Map, Value as Json};

use super::Rejection;
use crate::error::Code;

/// A request's parameters, each of the right type.
#[derive(Clone, Default, Debug)]
pub struct Params {
    /// The document; may be left out where `persisted` names one that is known here.
    pub query: Option<String>,
    /// Which operation of the document.
    pub operation_name: Option<String>,
    /// Values for its variables.
    pub variables: Variables,
    /// The document's hash.
    pub persisted: Option<Sha256>,
    /// Which of the operations on a stream this is, where they share one: `extensions.operationId`.
    pub operation_id: Option<String>,
}

/// A SHA-256 digest.
pub type Sha256 = [u8; 32];

impl Params {
    /// Takes a JSON object apart. Names that are not known are left alone.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` that names the parameter: something has the wrong type, or there is no document. HTTP answers 400
    /// whatever the media type.
    pub fn from_json(json: Json) -> Result<Self, Rejection> {
        let mut given = match json {
            Json::Object(given) => given,
            Json::Array(_) => {
                return Err(bad("send one operation a request: batches are not served"));
            }
            _ => return Err(bad("the request is not a JSON object")),
        };
        let query = string(&mut given, "query")?.filter(|query| !query.is_empty());
        let operation_name = string(&mut given, "operationName")?
            .filter(|operation_name| !operation_name.is_empty());
        let variables = object(&mut given, "variables")?;
        let mut extensions = object(&mut given, "extensions")?;
        let operation_id = extensions.remove("operationId").and_then(text);
        let persisted = match extensions.remove("persistedQuery") {
            None | Some(Json::Null) => None,
            Some(persisted) => Some(hash(&persisted)?),
        };
        if query.is_none() && persisted.is_none() {
            return Err(bad("query is missing"));
        }
        Ok(Self {
            query,
            operation_name,
            variables: Variables::from_json(Json::Object(variables)),
            persisted,
            operation_id,
        })
    }
}

/// An id may be a number.
fn text(id: Json) -> Option<String> {
    match id {
        Json::String(text) => Some(text),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn string(given: &mut Map<String, Json>, name: &str) -> Result<Option<String>, Rejection> {
    match given.remove(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(bad(format!("{name} is not a string"))),
    }
}

fn object(given: &mut Map<String, Json>, name: &str) -> Result<Map<String, Json>, Rejection> {
    match given.remove(name) {
        None | Some(Json::Null) => Ok(Map::new()),
        Some(Json::Object(object)) => Ok(object),
        Some(_) => Err(bad(format!("{name} is not an object"))),
    }
}

/// `{ "version": 1, "sha256Hash": "<64 hex digits>" }`, as Apollo and urql send it.
fn hash(persisted: &Json) -> Result<Sha256, Rejection> {
    if persisted.get("version").and_then(Json::as_u64) != Some(1) {
        return Err(bad("extensions.persistedQuery.version is not 1"));
    }
    persisted
        .get("sha256Hash")
        .and_then(Json::as_str)
        .and_then(from_hex)
        .ok_or_else(|| bad("extensions.persistedQuery.sha256Hash is not 64 hexadecimal digits"))
}

fn from_hex(text: &str) -> Option<Sha256> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| digit.try_into().ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect();
    (digits.len() == 64).then(|| bytes.try_into().ok())?
}

fn bad(message: impl Into<String>) -> Rejection {
    Rejection::new(Code::BadUserInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn why(json: Json) -> String {
        Params::from_json(json).unwrap_err().errors[0]
            .message
            .clone()
    }

    #[test]
    fn null_is_as_good_as_nothing() {
        let params = Params::from_json(json!({
            "query": "{a}", "operationName": null, "variables": null, "extensions": null, "id": 7
        }))
        .unwrap();
        assert_eq!(params.query.as_deref(), Some("{a}"));
        assert!(params.operation_name.is_none() && params.variables.is_empty());
    }

    #[test]
    fn a_wrong_type_is_named() {
        assert_eq!(
            why(json!([{ "query": "{a}" }])),
            "send one operation a request: batches are not served"
        );
        assert_eq!(why(json!("{a}")), "the request is not a JSON object");
        assert_eq!(why(json!({})), "query is missing");
        assert_eq!(why(json!({ "query": "" })), "query is missing");
        assert_eq!(why(json!({ "query": 1 })), "query is not a string");
        assert_eq!(
            why(json!({ "query": "{a}", "operationName": [] })),
            "operationName is not a string"
        );
        assert_eq!(
            why(json!({ "query": "{a}", "variables": [] })),
            "variables is not an object"
        );
        assert_eq!(
            why(json!({ "query": "{a}", "extensions": "x" })),
            "extensions is not an object"
        );
    }

    #[test]
    fn a_hash_is_read_in_either_case() {
        let hex = "AB".to_owned() + &"0f".repeat(31);
        let params = Params::from_json(
            json!({ "extensions": { "persistedQuery": { "version": 1, "sha256Hash": hex } } }),
        )
        .unwrap();
        let hash = params.persisted.unwrap();
        assert_eq!((hash[0], hash[31]), (0xab, 0x0f));
    }

    #[test]
    fn what_is_not_a_hash_is_refused() {
        let persisted =
            |persisted: Json| why(json!({ "extensions": { "persistedQuery": persisted } }));
        assert!(persisted(json!({ "version": 2, "sha256Hash": "" })).contains("version is not 1"));
        for hash in [
            json!(null),
            json!(""),
            json!("0".repeat(63)),
            json!("0".repeat(65)),
            json!("g".repeat(64)),
            json!("é".repeat(32)),
        ] {
            assert!(
                persisted(json!({ "version": 1, "sha256Hash": hash })).contains("64 hexadecimal")
            );
        }
    }
}
