//! What a token says, and whether that will do.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::{Authenticator, Viewer};
use crate::error::Error;
use crate::model::{Timestamp, User, UserId};

/// The end of the year 9999: later times are as good as this one, and sums with them do not overflow.
const END_OF_TIME: i64 = 253_402_300_799_999;
/// Characters of a name. More than any screen shows.
const NAME_CHARS_MAX: usize = 200;
/// Bytes of a picture's address.
const PICTURE_BYTES_MAX: usize = 2 * 1024;

/// What a token must say beside `sub` and `exp`. Empty: anything.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// Its `iss` is one of these.
    pub issuers: Vec<String>,
    /// One of its `aud` is one of these.
    pub audiences: Vec<String>,
}

/// The claims that are looked at, of any type: an optional one of the wrong type is as good as absent.
#[derive(Deserialize, Debug, Default)]
#[serde(default)]
pub(super) struct Claims {
    pub(super) sub: Value,
    pub(super) exp: Value,
    pub(super) nbf: Value,
    pub(super) iat: Value,
    pub(super) iss: Value,
    pub(super) aud: Value,
    pub(super) name: Value,
    pub(super) picture: Value,
}

impl Claims {
    /// Who is asking, if the token holds at this time and is meant for this server.
    pub(super) fn viewer(&self, rules: &Rules, now: Timestamp) -> Result<Viewer, Error> {
        let refuse = |why| Error::BadToken { why };
        let expires_at = millis(&self.exp).ok_or(refuse("no exp"))?;
        if now.0 >= expires_at.0 + leeway_millis() {
            return Err(refuse("expired"));
        }
        self.begun(now).map_err(refuse)?;
        self.meant(rules).map_err(refuse)?;
        let sub = self.sub.as_str().ok_or(refuse("no sub"))?;
        let id = UserId::parse("sub", sub).map_err(|_| refuse("sub is not a user id"))?;
        let user = User {
            name: self.name().unwrap_or(sub).into(),
            avatar_url: self.picture().map(Arc::from),
            profile_at: self.said_at(now),
            id,
        };
        Ok(Viewer {
            user: Arc::new(user),
            expires_at,
            issued_at: past(&self.iat, now),
        })
    }

    /// About what it takes in memory, in bytes.
    pub(super) fn weight(&self) -> usize {
        let of_one_user = [&self.sub, &self.name, &self.picture];
        let of_times = [&self.exp, &self.nbf, &self.iat];
        let of_servers = [&self.iss, &self.aud];
        let all = of_one_user.iter().chain(&of_times).chain(&of_servers);
        size_of::<Self>() + all.map(|value| held(value)).sum::<usize>()
    }

    fn begun(&self, now: Timestamp) -> Result<(), &'static str> {
        if self.nbf.is_null() {
            return Ok(());
        }
        let begins = millis(&self.nbf).ok_or("malformed")?;
        if begins.0 > now.0 + leeway_millis() {
            return Err("not valid yet");
        }
        Ok(())
    }

    fn meant(&self, rules: &Rules) -> Result<(), &'static str> {
        let listed = |value: &Value, list: &[String]| {
            let text = value.as_str();
            text.is_some_and(|text| list.iter().any(|listed| listed == text))
        };
        if !rules.issuers.is_empty() && !listed(&self.iss, &rules.issuers) {
            return Err("wrong issuer");
        }
        let ours = match &self.aud {
            Value::Array(many) => many.iter().any(|one| listed(one, &rules.audiences)),
            one => listed(one, &rules.audiences),
        };
        if !rules.audiences.is_empty() && !ours {
            return Err("wrong audience");
        }
        Ok(())
    }

    fn name(&self) -> Option<&str> {
        self.name.as_str().filter(|name| {
            !name.trim().is_empty()
                && name.chars().count() <= NAME_CHARS_MAX
                && !name.chars().any(char::is_control)
        })
    }

    fn picture(&self) -> Option<&str> {
        self.picture.as_str().filter(|picture| {
            let of_the_web = |url: reqwest::Url| matches!(url.scheme(), "https" | "http");
            picture.len() <= PICTURE_BYTES_MAX
                && !picture.chars().any(|c| c.is_control() || c.is_whitespace())
                && reqwest::Url::parse(picture).is_ok_and(of_the_web)
        })
    }

    /// When the profile was said, for telling the newer of two tokens. A time in the future would outrank every later
    /// token, so it counts for nothing; so does none.
    fn said_at(&self, now: Timestamp) -> Timestamp {
        let said = match millis(&self.iat) {
            Some(_) => &self.iat,
            None => &self.nbf,
        };
        past(said, now).unwrap_or_default()
    }
}

/// What a value holds beside itself, in bytes. Values nest at most 128 deep: serde_json reads no more.
fn held(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(|it| size_of::<Value>() + held(it)).sum(),
        Value::Object(fields) => {
            let field =
                |(name, it): (&String, &Value)| 2 * size_of::<Value>() + name.len() + held(it);
            fields.iter().map(field).sum()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// A time that has come, by a clock that may be ahead by the leeway.
fn past(value: &Value, now: Timestamp) -> Option<Timestamp> {
    millis(value).filter(|at| at.0 >= 0 && at.0 <= now.0 + leeway_millis())
}

/// A NumericDate (RFC 7519, section 2): seconds, perhaps with a fraction.
fn millis(value: &Value) -> Option<Timestamp> {
    let secs = value.as_f64()?;
    // `as` saturates, and what comes before 1970 is past in any case.
    let millis = (secs * 1000.0) as i64;
    Some(Timestamp(millis.clamp(-1, END_OF_TIME)))
}

const fn leeway_millis() -> i64 {
    (Authenticator::LEEWAY_SECS * 1000) as i64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const NOW_SECS: i64 = 1_800_000_000;

    fn viewer(claims: Value) -> Result<Viewer, &'static str> {
        ruled(claims, &Rules::default())
    }

    fn ruled(mut claims: Value, rules: &Rules) -> Result<Viewer, &'static str> {
        let all = claims.as_object_mut().unwrap();
        all.entry("sub").or_insert(json!("ada"));
        all.entry("exp").or_insert(json!(NOW_SECS + 60));
        let claims: Claims = serde_json::from_value(claims).unwrap();
        claims.viewer(rules, NOW).map_err(|error| match error {
            Error::BadToken { why } => why,
            other => panic!("{other}"),
        })
    }

    fn why(claims: Value) -> &'static str {
        viewer(claims).unwrap_err()
    }

    #[test]
    fn a_token_holds_until_its_exp_and_the_leeway_are_over() {
        let at = |exp: i64| viewer(json!({ "exp": exp }));
        assert_eq!(at(NOW_SECS + 5).unwrap().expires_at.0, NOW.0 + 5000);
        assert!(at(NOW_SECS - 29).is_ok());
        assert_eq!(at(NOW_SECS - 30).unwrap_err(), "expired");
        assert_eq!(at(-1).unwrap_err(), "expired");
    }

    #[test]
    fn exp_and_sub_are_required() {
        assert_eq!(why(json!({ "exp": null })), "no exp");
        assert_eq!(why(json!({ "exp": "tomorrow" })), "no exp");
        assert_eq!(why(json!({ "sub": null })), "no sub");
        assert_eq!(why(json!({ "sub": 7 })), "no sub");
        assert_eq!(why(json!({ "sub": "" })), "sub is not a user id");
        assert_eq!(why(json!({ "sub": "a\nb" })), "sub is not a user id");
    }

    #[test]
    fn no_exp_is_so_large_that_a_deadline_overflows() {
        let expires_at = viewer(json!({ "exp": 1e300 })).unwrap().expires_at;
        assert_eq!(expires_at.to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn a_fraction_of_a_second_counts() {
        let expires_at = viewer(json!({ "exp": 1_800_000_001.25 }))
            .unwrap()
            .expires_at;
        assert_eq!(expires_at.0, 1_800_000_001_250);
    }

    #[test]
    fn a_token_does_not_hold_before_its_nbf() {
        assert!(viewer(json!({ "nbf": NOW_SECS + 30 })).is_ok());
        assert_eq!(why(json!({ "nbf": NOW_SECS + 31 })), "not valid yet");
        assert_eq!(why(json!({ "nbf": "soon" })), "malformed");
    }

    #[test]
    fn an_issuer_is_required_where_one_is_set() {
        let rules = Rules {
            issuers: vec!["https://id.example".into(), "other".into()],
            ..Rules::default()
        };
        let iss = |iss: Value| ruled(json!({ "iss": iss }), &rules).map(|_| ());
        assert_eq!(iss(json!("https://id.example")), Ok(()));
        assert_eq!(iss(json!("other")), Ok(()));
        for wrong in [json!("https://id.example/"), json!(null), json!(["other"])] {
            assert_eq!(iss(wrong), Err("wrong issuer"));
        }
        assert!(viewer(json!({ "iss": "anyone" })).is_ok());
    }

    #[test]
    fn an_audience_is_required_where_one_is_set() {
        let rules = Rules {
            audiences: vec!["chat".into()],
            ..Rules::default()
        };
        let aud = |aud: Value| ruled(json!({ "aud": aud }), &rules).map(|_| ());
        assert_eq!(aud(json!("chat")), Ok(()));
        assert_eq!(aud(json!(["mail", "chat"])), Ok(()));
        for wrong in [
            json!("mail"),
            json!(["mail"]),
            json!([]),
            json!(null),
            json!(1),
        ] {
            assert_eq!(aud(wrong), Err("wrong audience"));
        }
        assert!(viewer(json!({ "aud": "anyone" })).is_ok());
    }

    #[test]
    fn name_and_picture_make_the_profile() {
        let claims = json!({ "name": "Ada L.", "picture": "https://a.example/ada.png", "iat": NOW_SECS - 5 });
        let user = viewer(claims).unwrap().user;
        assert_eq!(&*user.name, "Ada L.");
        assert_eq!(
            user.avatar_url.as_deref(),
            Some("https://a.example/ada.png")
        );
        assert_eq!(user.profile_at.0, NOW.0 - 5000);
    }

    #[test]
    fn a_bad_name_or_picture_is_as_good_as_none() {
        let names = [
            json!(5),
            json!("  "),
            json!("a\u{7}b"),
            json!("a".repeat(201)),
        ];
        for name in names {
            assert_eq!(&*viewer(json!({ "name": name })).unwrap().user.name, "ada");
        }
        let long = format!("https://a.example/{}", "a".repeat(2048));
        for picture in [
            "javascript:alert(1)",
            "data:image/png;base64,",
            "/ada.png",
            &long,
        ] {
            let user = viewer(json!({ "picture": picture })).unwrap().user;
            assert_eq!(user.avatar_url, None, "{picture}");
        }
    }

    #[test]
    fn when_a_token_was_issued_is_its_iat_and_nothing_else() {
        let issued = |claims| viewer(claims).unwrap().issued_at.map(|at| at.0);
        assert_eq!(issued(json!({ "iat": NOW_SECS - 9 })), Some(NOW.0 - 9000));
        assert_eq!(
            issued(json!({ "iat": NOW_SECS + 30 })),
            Some(NOW.0 + 30_000)
        );
        for none in [
            json!({ "iat": NOW_SECS + 31 }),
            json!({ "iat": "x" }),
            json!({ "iat": -1 }),
        ] {
            assert_eq!(issued(none), None);
        }
        assert_eq!(issued(json!({ "nbf": NOW_SECS - 9 })), None);
    }

    #[test]
    fn a_profile_from_the_future_outranks_nobody() {
        let at = |claims| viewer(claims).unwrap().user.profile_at.0;
        assert_eq!(at(json!({ "iat": NOW_SECS + 3600 })), 0);
        assert_eq!(at(json!({})), 0);
        assert_eq!(at(json!({ "nbf": NOW_SECS - 9 })), NOW.0 - 9000);
    }
}
