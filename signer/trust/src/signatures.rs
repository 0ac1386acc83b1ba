//! The list of signatures that ends certificates and keyrings: 1 to 16, sorted by key id, no key id twice.

use alloc::vec::Vec;

use plyos_bytemap::{Cursor, View, byte_map, put};
use plyos_ids::{KeyId, SignatureAlgorithm};

use crate::key::{ED25519_SIGNATURE_LEN, Signature};

byte_map! {
    /// The fixed head of a signature; its bytes follow. See docs/formats.md, "Certificate".
    pub mod signature = "signature", 40 {
        KEY_ID: 0, 32;
        ALGORITHM: 32, 2;
        SIGNATURE_LEN: 34, 2;
        RESERVED: 36, 4;
    }
}

/// Signatures under one statement: bounds the work that a claim can ask for. A format break to lower.
pub const MAX_SIGNATURES: usize = 16;
/// Bytes of one signature: room for post-quantum algorithms (ML-DSA-44 has 2,420). A format break to lower.
pub const MAX_SIGNATURE_LEN: usize = 4096;

/// Why a list of signatures was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignaturesError {
    /// The bytes end before the list does.
    #[error("its signatures end too early")]
    Truncated,
    /// None, or more than [`MAX_SIGNATURES`].
    #[error("it has {0} signatures where 1 to 16 are allowed")]
    Count(usize),
    /// Two by one key, or not sorted by key id.
    #[error("two of its signatures name the same key, or they are not sorted")]
    DuplicateOrUnsorted,
    /// A length that its algorithm does not have, algorithm 0, or reserved bytes in use.
    #[error("one of its signatures is malformed")]
    Malformed,
}

/// A list that keeps the rules of this module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signatures(Vec<Signature>);

impl Signatures {
    /// Sorts the list and checks it.
    ///
    /// # Errors
    /// When the count, a length or an algorithm is out of bounds, or one key signed twice.
    pub fn new(mut list: Vec<Signature>) -> Result<Self, SignaturesError> {
        list.sort();
        let list = Self(list);
        list.check()?;
        Ok(list)
    }

    /// The signatures in order of key id.
    pub fn iter(&self) -> core::slice::Iter<'_, Signature> {
        self.0.iter()
    }

    /// How many there are, at most [`MAX_SIGNATURES`].
    pub fn count(&self) -> u16 {
        self.0.len() as u16
    }

    /// Reads `count` signatures.
    pub(crate) fn read(cursor: &mut Cursor<'_>, count: u16) -> Result<Self, SignaturesError> {
        if !(1..=MAX_SIGNATURES).contains(&usize::from(count)) {
            return Err(SignaturesError::Count(count.into()));
        }
        let mut list = Vec::with_capacity(count.into());
        for _ in 0..count {
            let head = cursor.take(signature::SIZE).ok_or(SignaturesError::Truncated)?;
            let view = View::new(head, &signature::LAYOUT).ok_or(SignaturesError::Truncated)?;
            if !view.is_zero(signature::RESERVED) {
                return Err(SignaturesError::Malformed);
            }
            let length = view.u16(signature::SIGNATURE_LEN);
            if usize::from(length) > MAX_SIGNATURE_LEN {
                return Err(SignaturesError::Malformed);
            }
            list.push(Signature {
                key_id: KeyId::from_bytes(view.array(signature::KEY_ID)),
                algorithm: view.u16(signature::ALGORITHM),
                bytes: cursor.take(length.into()).ok_or(SignaturesError::Truncated)?.to_vec(),
            });
        }
        let list = Self(list);
        list.check()?;
        Ok(list)
    }

    /// Writes the list, without its count.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for entry in &self.0 {
            let mut head = [0; signature::SIZE];
            put(&mut head, signature::KEY_ID, entry.key_id.as_bytes());
            put(&mut head, signature::ALGORITHM, &entry.algorithm.to_le_bytes());
            put(&mut head, signature::SIGNATURE_LEN, &(entry.bytes.len() as u16).to_le_bytes());
            out.extend_from_slice(&head);
            out.extend_from_slice(&entry.bytes);
        }
    }

    fn check(&self) -> Result<(), SignaturesError> {
        if !(1..=MAX_SIGNATURES).contains(&self.0.len()) {
            return Err(SignaturesError::Count(self.0.len()));
        }
        if !self.0.is_sorted_by(|left, right| left.key_id < right.key_id) {
            return Err(SignaturesError::DuplicateOrUnsorted);
        }
        let well_formed = |entry: &Signature| match SignatureAlgorithm::from_number(entry.algorithm) {
            Some(SignatureAlgorithm::Ed25519) => entry.bytes.len() == ED25519_SIGNATURE_LEN,
            None => entry.algorithm != 0 && (1..=MAX_SIGNATURE_LEN).contains(&entry.bytes.len()),
        };
        if self.0.iter().all(well_formed) { Ok(()) } else { Err(SignaturesError::Malformed) }
    }
}
