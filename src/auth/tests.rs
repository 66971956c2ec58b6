use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::*;

const SECRET: &str = "a secret of thirty-two bytes or more";
const RSA: &str = include_str!("../../tests/keys/rsa.public.pem");
const P256: &str = include_str!("../../tests/keys/p256.public.pem");
const ED25519: &str = include_str!("../../tests/keys/ed25519.public.pem");

fn trusting(source: KeySource) -> Authenticator {
    Authenticator::new(source, Rules::default()).unwrap()
}

fn secret() -> Authenticator {
    trusting(KeySource::Secret(Secret::parse(SECRET).unwrap()))
}

fn public(pem: &str) -> Authenticator {
    trusting(KeySource::PublicKey(PublicKey::from_pem(pem).unwrap()))
}

fn claims() -> serde_json::Value {
    json!({ "sub": "ada", "name": "Ada", "exp": Timestamp::now().0 / 1000 + 60 })
}

fn signed(header: &Header, key: &EncodingKey) -> String {
    jsonwebtoken::encode(header, &claims(), key).unwrap()
}

fn hs256(secret: &[u8]) -> String {
    signed(
        &Header::new(Algorithm::HS256),
        &EncodingKey::from_secret(secret),
    )
}

async fn why(authenticator: &Authenticator, token: &str) -> &'static str {
    match authenticator.authenticate(token).await {
        Err(Error::BadToken { why }) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_kind_of_key_accepts_what_its_owner_signed() {
    let ec = include_bytes!("../../tests/keys/p256.private.pem");
    let ed = include_bytes!("../../tests/keys/ed25519.private.pem");
    let rsa = include_bytes!("../../tests/keys/rsa.private.pem");
    for (authenticator, algorithm, key) in [
        (
            secret(),
            Algorithm::HS256,
            EncodingKey::from_secret(SECRET.as_bytes()),
        ),
        (
            public(RSA),
            Algorithm::RS256,
            EncodingKey::from_rsa_pem(rsa).unwrap(),
        ),
        (
            public(P256),
            Algorithm::ES256,
            EncodingKey::from_ec_pem(ec).unwrap(),
        ),
        (
            public(ED25519),
            Algorithm::EdDSA,
            EncodingKey::from_ed_pem(ed).unwrap(),
        ),
    ] {
        let token = signed(&Header::new(algorithm), &key);
        let viewer = authenticator.authenticate(&token).await.unwrap();
        assert_eq!(viewer.user.id.as_str(), "ada", "{algorithm:?}");
        assert_eq!(&*viewer.user.name, "Ada");
    }
}

#[tokio::test]
async fn a_token_signed_with_the_text_of_a_public_key_is_refused() {
    for pem in [RSA, P256, ED25519] {
        let forged = hs256(pem.as_bytes());
        assert_eq!(why(&public(pem), &forged).await, "wrong algorithm");
    }
}

#[tokio::test]
async fn another_algorithm_of_the_same_key_is_refused() {
    let rsa = include_bytes!("../../tests/keys/rsa.private.pem");
    let rsa = EncodingKey::from_rsa_pem(rsa).unwrap();
    for algorithm in [Algorithm::RS384, Algorithm::PS256] {
        let token = signed(&Header::new(algorithm), &rsa);
        assert_eq!(why(&public(RSA), &token).await, "wrong algorithm");
    }
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let token = signed(&Header::new(Algorithm::HS512), &key);
    assert_eq!(why(&secret(), &token).await, "wrong algorithm");
}

#[tokio::test]
async fn a_token_that_nobody_signed_is_refused() {
    let token = hs256(SECRET.as_bytes());
    let payload = token.split('.').nth(1).unwrap();
    // {"alg":"none"}, {"alg":"None","typ":"JWT"}
    for header in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJOb25lIiwidHlwIjoiSldUIn0"] {
        for signature in ["", "AAAA"] {
            let unsigned = format!("{header}.{payload}.{signature}");
            assert_eq!(why(&secret(), &unsigned).await, "malformed");
            assert_eq!(why(&public(RSA), &unsigned).await, "malformed");
        }
    }
    let cut = &token[..token.rfind('.').unwrap() + 1];
    assert_eq!(why(&secret(), cut).await, "bad signature");
}

#[tokio::test]
async fn a_token_of_another_secret_or_with_other_claims_is_refused() {
    let other = hs256(b"another secret of thirty-two bytes and more");
    assert_eq!(why(&secret(), &other).await, "bad signature");
    let ours = hs256(SECRET.as_bytes());
    let [header, _, signature] = ours.split('.').collect::<Vec<_>>()[..] else {
        panic!("{ours}")
    };
    // {"sub":"eve","exp":9999999999}
    let changed = format!("{header}.eyJzdWIiOiJldmUiLCJleHAiOjk5OTk5OTk5OTl9.{signature}");
    assert_eq!(why(&secret(), &changed).await, "bad signature");
}

#[tokio::test]
async fn a_header_that_must_be_understood_is_refused() {
    let mut header = Header::new(Algorithm::HS256);
    header.crit = Some(vec!["exp".to_owned()]);
    let token = signed(&header, &EncodingKey::from_secret(SECRET.as_bytes()));
    assert_eq!(why(&secret(), &token).await, "malformed");
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    for text in [
        "",
        ".",
        "..",
        "a.b.c",
        "a.b",
        "a.b.c.d.e",
        "Bearer x",
        "\u{0}",
        "💥.💥.💥",
    ] {
        assert_eq!(why(&secret(), text).await, "malformed", "{text:?}");
    }
    let long = "a".repeat(Authenticator::TOKEN_BYTES_MAX + 1);
    assert_eq!(why(&secret(), &long).await, "too long");
}

#[tokio::test]
async fn a_minted_token_is_accepted_where_it_was_minted() {
    let rules = Rules {
        issuers: vec!["https://id.example".to_owned()],
        audiences: vec!["chat".to_owned()],
    };
    let source = KeySource::Secret(Secret::parse(SECRET).unwrap());
    let authenticator = Authenticator::new(source, rules).unwrap();
    let minter = authenticator.minter().unwrap();
    let user = crate::model::UserId::parse("user", "ada").unwrap();
    let hour = std::time::Duration::from_secs(3600);
    let token = minter.mint(&user, Some("Ada"), hour).unwrap();
    let viewer = authenticator.authenticate(&token).await.unwrap();
    assert_eq!(viewer.user.id, user);
    let left = viewer.expires_at.0 - Timestamp::now().0;
    assert!((3_590_000..=3_600_000).contains(&left), "{left}");
}

#[test]
fn tokens_are_minted_only_where_the_key_is_symmetric() {
    assert!(public(RSA).minter().is_none());
    assert!(secret().minter().is_some());
}

#[test]
fn a_secret_shorter_than_its_hash_is_refused() {
    assert!(Secret::parse(&"a".repeat(31)).is_err());
    assert!(Secret::parse(&"a".repeat(32)).is_ok());
}

#[test]
fn a_key_that_cannot_be_trusted_is_refused() {
    let refused = |pem| PublicKey::from_pem(pem).unwrap_err();
    let private = include_str!("../../tests/keys/rsa.private.pem");
    assert!(refused(private).contains("private"));
    let short = include_str!("../../tests/keys/rsa1024.public.pem");
    assert!(refused(short).contains("2048"));
    let p384 = include_str!("../../tests/keys/p384.public.pem");
    assert!(refused(p384).contains("P-256"));
    for text in [
        "",
        "ssh-ed25519 AAAA",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
    ] {
        refused(text);
    }
}

#[test]
fn keys_do_not_show_in_debug_output() {
    let shown = format!(
        "{:?} {:?}",
        KeySource::Secret(Secret::parse(SECRET).unwrap()),
        PublicKey::from_pem(RSA).unwrap(),
    );
    assert_eq!(shown, "Secret(Secret(..)) PublicKey(Key(RS256))");
}

fn rs256(claims: &serde_json::Value) -> String {
    let key = include_bytes!("../../tests/keys/rsa.private.pem");
    let key = EncodingKey::from_rsa_pem(key).unwrap();
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), claims, &key).unwrap()
}

impl Authenticator {
    /// Has it take for good whatever text this is.
    fn remember(&self, text: &str, claims: serde_json::Value) {
        let Keys::Public(_, edition) = &self.keys else {
            panic!("not a public key");
        };
        let claims = serde_json::from_value(claims).unwrap();
        self.verified
            .put(*edition, blake3::hash(text.as_bytes()), claims);
    }
}

#[tokio::test]
async fn a_signature_by_a_public_key_is_checked_once() {
    let authenticator = public(RSA);
    let token = rs256(&claims());
    for _ in 0..3 {
        authenticator.authenticate(&token).await.unwrap();
        assert_eq!(authenticator.verified.len(), 1);
    }
    // What is remembered is believed, so the signature is not looked at again; and it is the whole token that is.
    authenticator.remember("no token at all", claims());
    let viewer = authenticator.authenticate("no token at all").await.unwrap();
    assert_eq!(viewer.user.id.as_str(), "ada");
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let other = signature.replace(|c: char| c.is_ascii_lowercase(), "A");
    let forged = format!("{signed}.{other}");
    assert_eq!(why(&authenticator, &forged).await, "bad signature");
    assert_eq!(authenticator.verified.len(), 2, "what is refused is not");
    let own = secret();
    own.authenticate(&hs256(SECRET.as_bytes())).await.unwrap();
    assert_eq!(own.verified.len(), 0, "nor what costs nothing");
}

#[tokio::test]
async fn a_token_that_is_remembered_is_judged_each_time() {
    let authenticator = public(RSA);
    let now = Timestamp::now().0 / 1000;
    let leeway = Authenticator::LEEWAY_SECS.cast_signed();
    authenticator.remember("held", json!({ "sub": "ada", "exp": now - leeway - 1 }));
    authenticator.remember("holds", json!({ "sub": "ada", "exp": now - leeway + 60 }));
    assert_eq!(why(&authenticator, "held").await, "expired");
    assert_eq!(authenticator.verified.len(), 1, "it will not come back");
    authenticator.authenticate("holds").await.unwrap();

    let token = rs256(&json!({ "sub": "ada", "iat": now, "exp": now + 60 }));
    authenticator.authenticate(&token).await.unwrap();
    let ada = crate::model::UserId::parse("id", "ada").unwrap();
    let withdrawn = |up_to| [(ada.clone(), up_to)].into();
    authenticator.revocations().replace(withdrawn(now));
    assert_eq!(why(&authenticator, &token).await, "withdrawn");
    authenticator.revocations().replace(withdrawn(now - 1));
    authenticator.authenticate(&token).await.unwrap();
}
