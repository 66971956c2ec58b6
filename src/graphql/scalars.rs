//! The schema's own scalars. Input is only taken in here; resolvers check it, because they can name the field.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};

use crate::error::Error;
use crate::model::{self, Data, Timestamp};

/// An instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct DateTime(pub Timestamp);

/// An RFC 3339 instant, always UTC as `Z`, always three digits of milliseconds: 2026-11-21T03:50:41.406Z.
#[Scalar(
    name = "DateTime",
    specified_by_url = "https://scalars.graphql.org/andimarek/date-time.html"
)]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else {
            return Err(InputValueError::expected_type(value));
        };
        match chrono::DateTime::parse_from_rfc3339(text) {
            Ok(instant) => Ok(Self(Timestamp(instant.timestamp_millis()))),
            Err(_) => Err(InputValueError::custom("not an RFC 3339 instant")),
        }
    }

    fn is_valid(value: &Value) -> bool {
        matches!(value, Value::String(_))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// A cursor's text, which may be anything until it is parsed.
#[derive(Clone, Debug)]
pub struct Cursor(pub String);

impl Cursor {
    /// The place that it names.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` naming `field` when this server never made such a text.
    pub fn parsed(&self, field: &'static str) -> Result<model::Cursor, Error> {
        self.0.parse().map_err(|_| Error::BadCursor { field })
    }
}

impl From<model::Cursor> for Cursor {
    fn from(cursor: model::Cursor) -> Self {
        Self(cursor.to_string())
    }
}

/// A place in the event log, and each place has one: equal strings are the same place, and of two the later is the
/// greater as a plain string. Make none and take none apart. (Fixed length, lower-case ASCII, seq before the epoch that
/// wrote it. A history that was cut off is told by ResyncRequired or `reset`.)
#[Scalar(name = "Cursor")]
impl ScalarType for Cursor {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(text)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn is_valid(value: &Value) -> bool {
        matches!(value, Value::String(_))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// Any JSON value: an app's data on its way out, or what a client sent.
#[derive(Clone, Debug)]
pub(super) enum Json {
    /// Checked and kept.
    Kept(Data),
    /// As it came.
    Sent(Value),
}

impl Json {
    /// What was sent, checked; `None` for JSON `null`.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` when it is over the limit.
    pub(super) fn parsed(sent: Option<Self>) -> Result<Option<Data>, Error> {
        match sent {
            None => Ok(None),
            Some(Self::Kept(data)) => Ok(Some(data)),
            Some(Self::Sent(value)) => {
                let json = value.into_json().map_err(|_| Error::BadInput {
                    field: "data",
                    why: "not a JSON value".to_owned(),
                })?;
                Data::parse(json)
            }
        }
    }
}

/// Any JSON value, at most 4 KiB as text.
#[Scalar(
    name = "JSON",
    specified_by_url = "https://www.rfc-editor.org/rfc/rfc8259"
)]
impl ScalarType for Json {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(Self::Sent(value))
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Kept(data) => Value::from_json(data.value().clone()).unwrap_or_default(),
            Self::Sent(value) => value.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_survives_the_way_in_and_out() {
        let json = serde_json::json!({"b": [1, -2.5, null, true], "a": {"": "\u{0}é"}});
        let sent = Json::Sent(Value::from_json(json.clone()).unwrap());
        let data = Json::parsed(Some(sent)).unwrap().unwrap();
        let out = ScalarType::to_value(&Json::Kept(data));
        assert_eq!(out.into_json().unwrap(), json);
    }

    #[test]
    fn data_over_4_kib_is_refused() {
        let sent = Json::Sent(Value::String("a".repeat(4095)));
        assert!(matches!(
            Json::parsed(Some(sent)),
            Err(Error::DataTooLong { bytes: 4097 })
        ));
    }

    #[test]
    fn null_is_no_data() {
        assert!(
            Json::parsed(Some(Json::Sent(Value::Null)))
                .unwrap()
                .is_none()
        );
        assert!(Json::parsed(None).unwrap().is_none());
    }
}
