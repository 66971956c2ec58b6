use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::auth::{Authenticator, KeySource, Keys, Rules};

/// Whoever publishes the keys: answers every request with what it was last told to say, and counts.
struct Publisher {
    url: reqwest::Url,
    answer: Arc<StdMutex<String>>,
    asked: Arc<AtomicUsize>,
}

impl Publisher {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let publisher = Self {
            url: url.parse().unwrap(),
            answer: Arc::default(),
            asked: Arc::default(),
        };
        let (answer, asked) = (publisher.answer.clone(), publisher.asked.clone());
        tokio::spawn(async move {
            while let Ok((mut tcp, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = tcp.read(&mut request).await;
                asked.fetch_add(1, Ordering::SeqCst);
                let answer = answer.lock().unwrap().clone();
                let _ = tcp.write_all(answer.as_bytes()).await;
            }
        });
        publisher
    }

    fn says(&self, status: &str, body: &str) {
        *self.answer.lock().unwrap() = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
    }

    fn publishes(&self, keys: &[serde_json::Value]) {
        self.says("200 OK", &json!({ "keys": keys }).to_string());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn jwks(&self, pause: Duration) -> Jwks {
        Jwks {
            pause,
            ..Jwks::new(self.url.clone())
        }
    }
}

/// The public half of the key that signs below.
fn ed25519(kid: &str) -> serde_json::Value {
    json!({
        "kty": "OKP", "crv": "Ed25519", "kid": kid, "alg": "EdDSA",
        "x": public_x(),
    })
}

fn public_x() -> String {
    use jsonwebtoken::jwk::AlgorithmParameters;
    let jwk = Jwk::from_encoding_key(&signing_key(), Algorithm::EdDSA).unwrap();
    match jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(pair) => pair.x,
        other => panic!("{other:?}"),
    }
}

fn signing_key() -> EncodingKey {
    let pem = include_bytes!("../../../tests/keys/ed25519.private.pem");
    EncodingKey::from_ed_pem(pem).unwrap()
}

fn token(kid: Option<&str>) -> String {
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = kid.map(str::to_owned);
    let claims = json!({ "sub": "ada", "exp": 9_999_999_999_u64 });
    jsonwebtoken::encode(&header, &claims, &signing_key()).unwrap()
}

async fn accepted(jwks: &Jwks, token: &str) -> Result<(), Error> {
    jwks.key_of(token).await?.0.verify(token).map(|_| ())
}

fn unknown(outcome: Result<(), Error>) -> bool {
    matches!(outcome, Err(Error::BadToken { why: "unknown key" }))
}

#[tokio::test]
async fn a_key_is_fetched_once_and_kept() {
    let publisher = Publisher::start().await;
    publisher.publishes(&[ed25519("a")]);
    let jwks = publisher.jwks(Duration::ZERO);
    for _ in 0..3 {
        accepted(&jwks, &token(Some("a"))).await.unwrap();
    }
    accepted(&jwks, &token(None)).await.unwrap();
    assert_eq!(publisher.asked(), 1);
}

#[tokio::test]
async fn an_unknown_kid_makes_it_fetch_again() {
    let publisher = Publisher::start().await;
    publisher.publishes(&[ed25519("a")]);
    let jwks = publisher.jwks(Duration::ZERO);
    jwks.warm().await;
    publisher.publishes(&[ed25519("a"), ed25519("b")]);
    accepted(&jwks, &token(Some("b"))).await.unwrap();
    assert_eq!(publisher.asked(), 2);
    assert!(unknown(accepted(&jwks, &token(Some("c"))).await));
    // Which of the two is meant?
    assert!(unknown(accepted(&jwks, &token(None)).await));
}

#[tokio::test]
async fn made_up_kids_do_not_make_it_fetch_without_end() {
    let publisher = Publisher::start().await;
    publisher.publishes(&[ed25519("a")]);
    let jwks = publisher.jwks(FETCH_PAUSE);
    let tokens: Vec<_> = (0..50).map(|n| token(Some(&n.to_string()))).collect();
    let asking = tokens.iter().map(|token| accepted(&jwks, token));
    let outcomes = futures_util::future::join_all(asking).await;
    assert!(outcomes.into_iter().all(unknown));
    assert_eq!(publisher.asked(), 1);
}

#[tokio::test]
async fn the_last_good_set_is_kept_while_the_next_is_bad() {
    let publisher = Publisher::start().await;
    publisher.publishes(&[ed25519("a")]);
    let jwks = publisher.jwks(Duration::ZERO);
    jwks.warm().await;
    let too_large = format!("{{\"keys\":[]{}}}", " ".repeat(BYTES_MAX));
    for (status, body) in [
        ("500 Internal Server Error", ""),
        ("200 OK", "<html>"),
        ("200 OK", "{\"keys\":[]}"),
        ("200 OK", &too_large),
    ] {
        publisher.says(status, body);
        assert!(unknown(accepted(&jwks, &token(Some("b"))).await));
        accepted(&jwks, &token(Some("a"))).await.unwrap();
    }
    assert_eq!(publisher.asked(), 5);
}

#[tokio::test]
async fn without_any_set_the_client_is_told_to_try_again() {
    let publisher = Publisher::start().await;
    publisher.says("503 Service Unavailable", "");
    let jwks = publisher.jwks(Duration::ZERO);
    let outcome = accepted(&jwks, &token(Some("a"))).await;
    assert!(matches!(outcome, Err(Error::Busy)), "{outcome:?}");
    publisher.publishes(&[ed25519("a")]);
    accepted(&jwks, &token(Some("a"))).await.unwrap();
}

#[test]
fn keys_that_cannot_be_used_are_passed_over() {
    let keys = json!({ "keys": [
        { "kty": "new", "kid": "unheard-of" },
        { "kty": "oct", "kid": "symmetric", "alg": "HS256", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I" },
        { "kty": "RSA", "kid": "short", "n": "wJ", "e": "AQAB" },
        { "kty": "OKP", "crv": "Ed25519", "kid": "enc", "use": "enc", "x": public_x() },
        { "kty": "OKP", "crv": "Ed25519", "kid": "confused", "alg": "HS256", "x": public_x() },
        { "kty": "OKP", "crv": "Ed25519", "kid": "no alg", "x": public_x() },
    ]});
    let set = KeySet::parse(keys.to_string().as_bytes()).unwrap();
    let kids: Vec<_> = set.0.keys().flatten().collect();
    assert_eq!(kids, ["no alg"]);
}

#[tokio::test]
async fn what_a_key_has_signed_is_forgotten_when_the_set_changes() {
    let publisher = Publisher::start().await;
    publisher.publishes(&[ed25519("a")]);
    let mut authenticator =
        Authenticator::new(KeySource::Jwks(publisher.url.clone()), Rules::default()).unwrap();
    authenticator.keys = Keys::Set(publisher.jwks(Duration::ZERO));
    let (good, strange) = (token(Some("a")), token(Some("b")));
    authenticator.authenticate(&good).await.unwrap();
    // A token with an unknown key has the set fetched again; it is the same.
    authenticator.authenticate(&strange).await.unwrap_err();
    authenticator.authenticate(&good).await.unwrap();
    assert_eq!(publisher.asked(), 2);
    assert_eq!(authenticator.verified.len(), 1);
    // Another key under the same name: the old one is not trusted any more, nor what it has signed.
    let pem = include_bytes!("../../../tests/keys/p256.private.pem");
    let other = EncodingKey::from_ec_pem(pem).unwrap();
    let mut jwk = Jwk::from_encoding_key(&other, Algorithm::ES256).unwrap();
    jwk.common.key_id = Some("a".to_owned());
    publisher.publishes(&[serde_json::to_value(jwk).unwrap()]);
    authenticator.authenticate(&strange).await.unwrap_err();
    match authenticator.authenticate(&good).await {
        Err(Error::BadToken { why }) => assert_eq!(why, "wrong algorithm"),
        other => panic!("{other:?}"),
    }
    assert_eq!(authenticator.verified.len(), 0);
}
