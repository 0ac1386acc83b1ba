//! A secret key in memory, and what can sign.

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey};
use plyos_ids::SignatureAlgorithm;
use plyos_trust::key::{ED25519_KEY_LEN, KeyError, PublicKey, Signature};
use zeroize::Zeroizing;

/// Why nothing was signed. A key in memory always signs; a token or a remote signer may not.
#[derive(Debug, thiserror::Error)]
#[error("cannot sign with key {key}: {reason}")]
pub struct SignError {
    /// Identity of the key.
    pub key: plyos_ids::KeyId,
    /// What the signer says.
    pub reason: String,
}

/// Why a key could not be made.
#[derive(Debug, thiserror::Error)]
pub enum NewKeyError {
    /// The operating system has no randomness to give.
    #[error("cannot make a key: no randomness from the operating system ({0})")]
    Randomness(getrandom::Error),
    /// The bytes make no usable key; practically impossible for random ones.
    #[error("cannot make a key: {0}")]
    Key(#[from] KeyError),
}

/// What can sign: a key in memory today, a token or a remote signer later.
pub trait Signer {
    /// The public half.
    fn public(&self) -> &PublicKey;

    /// Signs `message`, which already names what it is for.
    ///
    /// # Errors
    /// When the signer cannot be reached or refuses.
    fn sign(&self, message: &[u8]) -> Result<Signature, SignError>;
}

/// An Ed25519 secret key; its memory is cleared when it is dropped.
pub struct SecretKey {
    key: SigningKey,
    public: PublicKey,
}

impl SecretKey {
    /// A new key from the operating system's randomness.
    ///
    /// # Errors
    /// When there is none.
    pub fn generate() -> Result<Self, NewKeyError> {
        let mut seed = Zeroizing::new([0; ED25519_KEY_LEN]);
        getrandom::fill(&mut *seed).map_err(NewKeyError::Randomness)?;
        Ok(Self::from_seed(&seed)?)
    }

    /// The key of a seed (RFC 8032: the 32 secret bytes).
    ///
    /// # Errors
    /// When its public half is not usable.
    pub fn from_seed(seed: &[u8; ED25519_KEY_LEN]) -> Result<Self, KeyError> {
        let key = SigningKey::from_bytes(seed);
        let public = PublicKey::ed25519(key.verifying_key().as_bytes())?;
        Ok(Self { key, public })
    }

    /// The 32 secret bytes.
    pub(crate) fn seed(&self) -> &[u8; ED25519_KEY_LEN] {
        self.key.as_bytes()
    }
}

impl Signer for SecretKey {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(Signature {
            key_id: self.public.key_id(),
            algorithm: SignatureAlgorithm::Ed25519 as u16,
            bytes: self.key.sign(message).to_bytes().to_vec(),
        })
    }
}

/// Shows the identity, never the secret.
impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").field("key_id", &self.public.key_id()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_and_their_signatures_hold() {
        let (one, two) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        assert_ne!(one.public(), two.public());
        let signature = one.sign(b"message").unwrap();
        assert_eq!(signature.key_id, one.public().key_id());
        assert!(one.public().verify(b"message", &signature.bytes).is_ok());
        assert!(two.public().verify(b"message", &signature.bytes).is_err());
    }

    #[test]
    fn debug_output_does_not_show_the_secret() {
        let key = SecretKey::from_seed(&[7; 32]).unwrap();
        let shown = format!("{key:?}");
        assert!(shown.contains(&key.public().key_id().to_hex()) && !shown.contains("0707"), "{shown}");
    }
}
