//! Signatures of tokens: the algorithms of RFC 7518 and RFC 8037 that take a public key.

use p256::ecdsa::signature::Verifier;
use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::{BoxedUint, Pss};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256, Sha384, Sha512};

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the names of RFC 7518")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    EdDSA,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Algorithm; 8] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::EdDSA,
    ];

    /// The name that tokens have for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::EdDSA => "EdDSA",
        }
    }

    /// The algorithm of a name. `none` is no algorithm, and those with shared secrets are none of these.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }
}

/// A public key of an issuer of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key {
    /// `kid`, by which tokens name it.
    pub id: Option<String>,
    /// The only algorithm it may be used with; absent = each that its material fits.
    pub algorithm: Option<Algorithm>,
    /// The key itself.
    pub material: KeyMaterial,
}

/// What a key consists of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KeyMaterial {
    /// Modulus and exponent, most significant byte first.
    Rsa {
        /// Of 2048 to 4096 bits.
        #[serde(with = "serde_bytes")]
        modulus: Vec<u8>,
        /// Public exponent.
        #[serde(with = "serde_bytes")]
        exponent: Vec<u8>,
    },
    /// A point of P-256: `x`, then `y`.
    P256(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A point of Ed25519.
    Ed25519(#[serde(with = "serde_bytes")] Vec<u8>),
}

/// A key that is ready for use.
#[derive(Clone, Debug)]
pub(crate) enum ReadyKey {
    Rsa(Box<rsa::PublicKey>),
    P256(Box<p256::ecdsa::VerifyingKey>),
    Ed25519(Box<ed25519_dalek::VerifyingKey>),
}

impl Key {
    /// Whether it is a key that signatures can be verified with.
    pub fn is_sound(&self) -> bool {
        self.ready().is_some()
            && self
                .algorithm
                .is_none_or(|algorithm| self.material.fits(algorithm))
    }

    /// Whether a signature may be verified with it: the algorithm fits its kind, and is the one it is meant for.
    pub(crate) fn is_for(&self, algorithm: Algorithm) -> bool {
        self.material.fits(algorithm) && self.algorithm.is_none_or(|only| only == algorithm)
    }

    pub(crate) fn ready(&self) -> Option<ReadyKey> {
        const MIN_BITS: usize = 2048;
        const MAX_BITS: usize = 4096;
        Some(match &self.material {
            KeyMaterial::Rsa { modulus, exponent } => {
                let modulus = BoxedUint::from_be_slice_vartime(modulus);
                let exponent = BoxedUint::from_be_slice_vartime(exponent);
                let key =
                    rsa::PublicKey::new_with_size_limits(modulus, exponent, MIN_BITS..=MAX_BITS);
                ReadyKey::Rsa(Box::new(key.ok()?))
            }
            KeyMaterial::P256(point) => {
                let point = [b"\x04", point.as_slice()].concat();
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point);
                ReadyKey::P256(Box::new(key.ok()?))
            }
            KeyMaterial::Ed25519(point) => {
                let point = point.as_slice().try_into().ok()?;
                let key = ed25519_dalek::VerifyingKey::from_bytes(point).ok()?;
                ReadyKey::Ed25519(Box::new((!key.is_weak()).then_some(key)?))
            }
        })
    }
}

impl KeyMaterial {
    fn fits(&self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512 => matches!(self, Self::Rsa { .. }),
            Algorithm::ES256 => matches!(self, Self::P256(_)),
            Algorithm::EdDSA => matches!(self, Self::Ed25519(_)),
        }
    }
}

impl ReadyKey {
    /// Whether a signature of a message is by this key.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa(key) => {
                let is_signed = match algorithm {
                    Algorithm::RS256 => {
                        let digest = Sha256::digest(message);
                        key.verify(Pkcs1v15Sign::new::<Sha256>(), &digest, signature)
                    }
                    Algorithm::RS384 => {
                        let digest = Sha384::digest(message);
                        key.verify(Pkcs1v15Sign::new::<Sha384>(), &digest, signature)
                    }
                    Algorithm::RS512 => {
                        let digest = Sha512::digest(message);
                        key.verify(Pkcs1v15Sign::new::<Sha512>(), &digest, signature)
                    }
                    Algorithm::PS256 => {
                        let digest = Sha256::digest(message);
                        key.verify(Pss::<Sha256>::new(), &digest, signature)
                    }
                    Algorithm::PS384 => {
                        let digest = Sha384::digest(message);
                        key.verify(Pss::<Sha384>::new(), &digest, signature)
                    }
                    Algorithm::PS512 => {
                        let digest = Sha512::digest(message);
                        key.verify(Pss::<Sha512>::new(), &digest, signature)
                    }
                    Algorithm::ES256 | Algorithm::EdDSA => return false,
                };
                is_signed.is_ok()
            }
            Self::P256(key) => {
                let signature = p256::ecdsa::Signature::from_slice(signature);
                algorithm == Algorithm::ES256
                    && signature.is_ok_and(|signature| key.verify(message, &signature).is_ok())
            }
            Self::Ed25519(key) => {
                let signature = ed25519_dalek::Signature::from_slice(signature);
                algorithm == Algorithm::EdDSA
                    && signature
                        .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
            }
        }
    }
}
