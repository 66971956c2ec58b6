//! Keys, each with exactly one algorithm: what a token's header says about algorithms is only ever compared.

use std::fmt;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rand::RngCore;

use super::claims::Claims;
use crate::error::Error;

/// Bytes of an RSA modulus: 2048 bits, as RFC 7518 (section 3.3) demands.
const RSA_BYTES_MIN: usize = 256;

/// A secret that signs and checks tokens. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// As long as the hash: RFC 7518, section 3.2.
    pub const BYTES_MIN: usize = 32;

    /// Takes a secret, byte for byte.
    ///
    /// # Errors
    /// A sentence with its length when it is too short.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() < Self::BYTES_MIN {
            let (bytes, min) = (text.len(), Self::BYTES_MIN);
            return Err(format!(
                "{bytes} bytes are too few for a secret; {min} or more are needed"
            ));
        }
        Ok(Self(text.as_bytes().to_vec()))
    }

    /// A new one.
    pub(super) fn random() -> Self {
        let mut bytes = [0; Self::BYTES_MIN];
        rand::rng().fill_bytes(&mut bytes);
        Self(blake3::Hash::from_bytes(bytes).to_hex().as_bytes().to_vec())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The public half of the key that signs tokens.
#[derive(Clone, Debug)]
pub struct PublicKey(pub(super) Key);

impl PublicKey {
    /// Reads a PEM file: RSA for RS256, P-256 for ES256, Ed25519 for EdDSA.
    ///
    /// # Errors
    /// A sentence that says what it is instead.
    pub fn from_pem(pem: &str) -> Result<Self, &'static str> {
        if pem.contains("PRIVATE KEY-----") {
            return Err("holds a private key; give the public one");
        }
        if !pem.contains("PUBLIC KEY-----") {
            return Err("not a public key in PEM (-----BEGIN PUBLIC KEY-----)");
        }
        let pem = pem.as_bytes();
        let kinds = [
            (Algorithm::RS256, DecodingKey::from_rsa_pem(pem)),
            (Algorithm::ES256, DecodingKey::from_ec_pem(pem)),
            (Algorithm::EdDSA, DecodingKey::from_ed_pem(pem)),
        ];
        for (algorithm, key) in kinds {
            if let Ok(decoding) = key {
                return Key::checked(algorithm, decoding).map(Self);
            }
        }
        Err("not an RSA, P-256 or Ed25519 public key")
    }
}

/// A key that checks tokens.
#[derive(Clone)]
pub(super) struct Key {
    algorithm: Algorithm,
    decoding: DecodingKey,
    validation: Validation,
}

impl Key {
    pub(super) fn symmetric(secret: &Secret) -> Self {
        Self::new(Algorithm::HS256, DecodingKey::from_secret(secret.bytes()))
    }

    /// A key of a set (RFC 7517), with its own `alg`, or the usual one of its kind where it has none. `None` for keys
    /// that encrypt, that are symmetric (the set is public), or of a kind that is not known here.
    pub(super) fn from_jwk(jwk: &Jwk) -> Option<Self> {
        if matches!(&jwk.common.public_key_use, Some(usage) if *usage != PublicKeyUse::Signature) {
            return None;
        }
        let usual = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
                Algorithm::ES256
            }
            AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P384 => {
                Algorithm::ES384
            }
            AlgorithmParameters::OctetKeyPair(_) => Algorithm::EdDSA,
            _ => return None,
        };
        let algorithm = match jwk.common.key_algorithm {
            Some(own) => Algorithm::try_from(own).ok()?,
            None => usual,
        };
        let decoding = DecodingKey::from_jwk(jwk).ok()?;
        let fits = decoding.family().algorithms().contains(&algorithm);
        let curve_fits =
            !matches!(usual, Algorithm::ES256 | Algorithm::ES384) || algorithm == usual;
        (fits && curve_fits)
            .then(|| Self::checked(algorithm, decoding).ok())
            .flatten()
    }

    /// Refuses a key that could never check anything, now rather than when the first token comes.
    fn checked(algorithm: Algorithm, decoding: DecodingKey) -> Result<Self, &'static str> {
        if modulus_bytes(&decoding).is_some_and(|bytes| bytes < RSA_BYTES_MIN) {
            return Err("an RSA key of fewer than 2048 bits, which RS256 must not use");
        }
        // Any signature will do: the key is read before the signature is looked at.
        jsonwebtoken::crypto::verify("AAAA", b"", &decoding, algorithm)
            .map_err(|_| "not an RSA, P-256 or Ed25519 public key")?;
        Ok(Self::new(algorithm, decoding))
    }

    /// Claims are checked by [`Claims::viewer`]; the library's own checks are all off.
    fn new(algorithm: Algorithm, decoding: DecodingKey) -> Self {
        let mut validation = Validation::new(algorithm);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        Self {
            algorithm,
            decoding,
            validation,
        }
    }

    /// What a token says, once its signature is this key's.
    pub(super) fn verify(&self, token: &str) -> Result<Claims, Error> {
        let refuse = |why| Error::BadToken { why };
        let data = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation)
            .map_err(|error| refuse(why(error.kind())))?;
        // RFC 7515, section 4.1.11: a header that must be understood and is not.
        if data.header.crit.is_some() {
            return Err(refuse("malformed"));
        }
        Ok(data.claims)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.algorithm)
    }
}

/// `None` for keys that are not RSA. A PKCS#1 file is a little longer than its modulus, which is all that is needed to
/// tell 1024 bits from 2048.
fn modulus_bytes(key: &DecodingKey) -> Option<usize> {
    use jsonwebtoken::DecodingKeyKind::{RsaModulusExponent, SecretOrDer};
    let is_rsa = key.family().algorithms().contains(&Algorithm::RS256);
    is_rsa.then(|| match key.kind() {
        RsaModulusExponent { n, .. } => n.len(),
        SecretOrDer(der) => der.len(),
    })
}

fn why(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidSignature => "bad signature",
        ErrorKind::InvalidAlgorithm => "wrong algorithm",
        _ => "malformed",
    }
}
