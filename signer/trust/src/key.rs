//! Public keys and signatures, each naming its algorithm.
//!
//! A [`PublicKey`] is usable by construction: its bytes are a point of the curve and not a weak one. Its [`KeyId`] is
//! the one of TUF, so that the same key has one name in the catalog, the keyring and certificates.

use alloc::{format, string::String, vec::Vec};
use core::fmt::Write as _;

use ed25519_dalek::VerifyingKey;
use plyos_ids::{KeyId, SignatureAlgorithm};
use sha2::{Digest, Sha256};

/// Bytes of an Ed25519 public key (RFC 8032).
pub const ED25519_KEY_LEN: usize = 32;
/// Bytes of an Ed25519 signature (RFC 8032).
pub const ED25519_SIGNATURE_LEN: usize = 64;

/// Why bytes are not a usable public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a point of the curve, or of another length.
    #[error("the bytes are not an Ed25519 public key")]
    NotAKey,
    /// A point of small order: signatures by it prove nothing.
    #[error("the Ed25519 public key is weak: signatures by it prove nothing; make another key")]
    Weak,
}

/// The signature does not belong to this key and message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not belong to this key and message")]
pub struct BadSignature;

/// A public key that signatures can be checked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey {
    algorithm: SignatureAlgorithm,
    bytes: [u8; ED25519_KEY_LEN],
}

impl PublicKey {
    /// An Ed25519 key from its 32 bytes.
    ///
    /// # Errors
    /// When the bytes are no point of the curve, or one of small order.
    pub fn ed25519(bytes: &[u8]) -> Result<Self, KeyError> {
        let bytes: [u8; ED25519_KEY_LEN] = bytes.try_into().map_err(|_| KeyError::NotAKey)?;
        let point = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::NotAKey)?;
        if point.is_weak() {
            return Err(KeyError::Weak);
        }
        Ok(Self { algorithm: SignatureAlgorithm::Ed25519, bytes })
    }

    /// How this key signs.
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// The key's bytes (32 for Ed25519).
    pub const fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The TUF key object in canonical JSON; its SHA-256 is the key's identity.
    pub fn to_json(&self) -> String {
        let public = to_hex(&self.bytes);
        format!(r#"{{"keytype":"ed25519","keyval":{{"public":"{public}"}},"scheme":"ed25519"}}"#)
    }

    /// SHA-256 of [`Self::to_json`].
    pub fn key_id(&self) -> KeyId {
        KeyId::from_bytes(Sha256::digest(self.to_json()).into())
    }

    /// Checks `signature` (64 bytes) over `message`, strictly: one signature has one spelling, and no weak point is
    /// taken (`verify_strict`).
    ///
    /// # Errors
    /// [`BadSignature`] whatever the reason, so that nobody acts on the difference.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        let bytes: [u8; ED25519_SIGNATURE_LEN] = signature.try_into().map_err(|_| BadSignature)?;
        let point = VerifyingKey::from_bytes(&self.bytes).map_err(|_| BadSignature)?;
        let signature = ed25519_dalek::Signature::from_bytes(&bytes);
        point.verify_strict(message, &signature).map_err(|_| BadSignature)
    }
}

/// A signature as certificates and keyrings carry it: a claim until [`PublicKey::verify`] has taken it.
///
/// The algorithm is the bare number, because a signature of an algorithm that is not known here is kept and not
/// counted: statements may be signed in two algorithms while one replaces the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature {
    /// Which key is said to have made it.
    pub key_id: KeyId,
    /// Number of the algorithm, see [`SignatureAlgorithm`].
    pub algorithm: u16,
    /// The signature's bytes (64 for Ed25519).
    pub bytes: Vec<u8>,
}

/// Lower-case hexadecimal digits.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer as _, SigningKey};

    /// RFC 8032, 7.1, test 2.
    const SECRET: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
    const PUBLIC: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    const SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

    #[test]
    fn rfc_8032_vector_verifies_and_its_neighbours_do_not() {
        let key = PublicKey::ed25519(&plyos_ids::decode_hex::<32>(PUBLIC).unwrap()).unwrap();
        let signature: [u8; 64] = plyos_ids::decode_hex(SIGNATURE).unwrap();
        assert_eq!(key.verify(&[0x72], &signature), Ok(()));
        assert_eq!(key.verify(&[0x73], &signature), Err(BadSignature));
        assert_eq!(key.verify(&[0x72], &signature[..63]), Err(BadSignature));
        for at in 0..64 {
            let mut other = signature;
            other[at] ^= 1;
            assert_eq!(key.verify(&[0x72], &other), Err(BadSignature), "byte {at}");
        }
        let secret = SigningKey::from_bytes(&plyos_ids::decode_hex(SECRET).unwrap());
        assert_eq!(secret.sign(&[0x72]).to_bytes(), signature);
    }

    #[test]
    fn weak_and_impossible_keys_are_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(PublicKey::ed25519(&identity), Err(KeyError::Weak));
        assert_eq!(PublicKey::ed25519(&[0; 31]), Err(KeyError::NotAKey));
        let mut off_curve = [0; 32];
        off_curve[0] = 2;
        assert_eq!(PublicKey::ed25519(&off_curve), Err(KeyError::NotAKey));
    }

    #[test]
    fn key_id_is_that_of_the_canonical_json() {
        let key = PublicKey::ed25519(&plyos_ids::decode_hex::<32>(PUBLIC).unwrap()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&key.to_json()).unwrap();
        assert_eq!(crate::canonical::to_vec(&value).unwrap(), key.to_json().as_bytes());
        assert_eq!(key.key_id().as_bytes()[..], Sha256::digest(key.to_json())[..]);
    }
}
