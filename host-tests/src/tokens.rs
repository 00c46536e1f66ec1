//! Tokens for tests and examples, signed with keys that everybody knows.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ed25519_dalek::Signer;
use rsa::{BoxedUint, Pkcs1v15Sign, PrivateKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The modulus, the private exponent and the primes of the RSA key.
const RSA: [&str; 4] = [
    "u9YUd7BHaPoqGCBSecRwsxVDJjCC-GP5PYldimCSlP6-AMzPFsx_vBo3gxWI1fUNuHEnw4GxA8g3-3qfUnzt-SLIO4WghHqMV1sm\
    DBZ3ahlYPgC4q2khg_6ODe32dMojwQ8zpapI3DMktzFgIU4QeAn8myRxiV2YWJsPxjDCLCLvF7CbfFHGx-gv4B-UNXAkqyJqfU89\
    5qkjYKkt1Dm8YqOA7PG-nDj-DOpON2Tj48HEUSulXyKVDWdITMF8E4NawQ-SlKL9o-Ri8ABhJhzqfzISd1TiyTNNJVcX874KQhqs\
    GZ1mODFyISoemi_HBah1PXTzaycNcxkl4IqE02WY3Q",
    "T-oQUi2u7ARG5XXW8RR46FAa_gP0rM4H67zmDanxoy9QUhHQ53_Atpwm0v_V9EVqfXay9rRWRegonTb50sPxESZRrzU2ajajP8U5\
    RjpGut6mktaGuvKi_j_OWzHLQbwAgzI_BHQSxJCDxebdYb4PNqr1DGJwZYNq_gOWrfjvm4vUTJA0ffRlYmHIP4sTor1AQ5P7RZxM\
    x56P613Z_7heIPzedVLxsYSeLX7Umb-pztBD6OSPyrs6j14aBAJHqf9eUgDzk_Rg94PSLgYr5WikBlvUQRFcMpoLSm8JbP9_iP7Z\
    mpVFpYNpd75LjHNmBHTFDIncYAYeBpm4ar9_Z35dVw",
    "6rKVYjzeonxCaaiRy1CfcxAgfhBd6bfP8fHFsmF1gtJ_JIZghS3ShODwdcMpH3Zr8r0pJv__CLcXiSheRJdBjCmnNfLCmsi5QMeq\
    V4E8UMZ9sKHfG3EWZjI2SCMV8aOFq6xxoRdIt2rNrnwg25DhIpk3Fo9KMuX1HnDY5SZrqTM",
    "zOKhLyM-3nkcvH7af4gZF_O05c4QD1inGDG15dr2csvq30eQCQJLuLg-mEjbsVgCwwUGEEGvTfjBnFWhFE8WxC5QpURjL1Xz_1at\
    CDOrput0wQ4P8N84KHfiJ5pB8sdHkvnLUnIhtrsVHm2pUHGNpTKgnlbY8lMUecI1LrLlVa8",
];

/// A key pair for tests; one of each kind.
pub enum TestKey {
    /// `RS256`, with a key of 2048 bits.
    Rsa(Box<PrivateKey>),
    /// `ES256`.
    P256(Box<p256::ecdsa::SigningKey>),
    /// `EdDSA`.
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

impl fmt::Debug for TestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.algorithm())
    }
}

impl TestKey {
    /// The key for an algorithm: `RS256`, `ES256` or `EdDSA`.
    pub fn of(algorithm: &str) -> Option<TestKey> {
        Some(match algorithm {
            "RS256" => {
                let [n, d, p, q] = RSA.map(number);
                let e = BoxedUint::from(65_537_u64);
                let key = PrivateKey::from_components(n?, e, d?, vec![p?, q?]);
                TestKey::Rsa(Box::new(key.ok()?))
            }
            "ES256" => {
                let key = p256::ecdsa::SigningKey::from_slice(&[7; 32]);
                TestKey::P256(Box::new(key.ok()?))
            }
            "EdDSA" => {
                let key = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
                TestKey::Ed25519(Box::new(key))
            }
            _ => return None,
        })
    }

    /// What it signs with.
    pub fn algorithm(&self) -> &'static str {
        match self {
            TestKey::Rsa(_) => "RS256",
            TestKey::P256(_) => "ES256",
            TestKey::Ed25519(_) => "EdDSA",
        }
    }

    /// Its public part as a JWK; `kid` is its algorithm in lower case.
    pub fn jwk(&self) -> Value {
        let kid = self.algorithm().to_ascii_lowercase();
        match self {
            TestKey::Rsa(_) => json!({"kty": "RSA", "kid": kid, "n": RSA[0], "e": "AQAB"}),
            TestKey::P256(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                let coordinate = |bytes: Option<&[u8]>| BASE64.encode(bytes.unwrap_or_default());
                let (x, y) = (point.x().map(|x| &**x), point.y().map(|y| &**y));
                json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": coordinate(x), "y": coordinate(y)})
            }
            TestKey::Ed25519(key) => {
                let x = BASE64.encode(key.verifying_key().as_bytes());
                json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x})
            }
        }
    }

    /// The signature of a message.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            TestKey::Rsa(key) => {
                let digest = Sha256::digest(message);
                key.sign(Pkcs1v15Sign::new::<Sha256>(), &digest)
                    .unwrap_or_default()
            }
            TestKey::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
            TestKey::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
        }
    }

    /// A token with its own header.
    pub fn token(&self, claims: &Value) -> String {
        let algorithm = self.algorithm();
        let header = json!({"alg": algorithm, "kid": algorithm.to_ascii_lowercase()});
        self.token_with(&header.to_string(), claims)
    }

    /// A token with any header.
    pub fn token_with(&self, header: &str, claims: &Value) -> String {
        let signed = format!(
            "{}.{}",
            BASE64.encode(header),
            BASE64.encode(claims.to_string())
        );
        let signature = BASE64.encode(self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

/// A set of the public keys of all test keys.
pub fn jwks() -> Value {
    let keys = ["RS256", "ES256", "EdDSA"]
        .into_iter()
        .filter_map(TestKey::of);
    json!({"keys": keys.map(|key| key.jwk()).collect::<Vec<_>>()})
}

fn number(text: &str) -> Option<BoxedUint> {
    let bytes = BASE64.decode(text).ok()?;
    Some(BoxedUint::from_be_slice_vartime(&bytes))
}
