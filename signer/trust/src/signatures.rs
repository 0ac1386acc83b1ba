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
        check(self.0.iter().map(|entry| SignatureView {
            key_id: entry.key_id,
            algorithm: entry.algorithm,
            bytes: &entry.bytes,
        }))
    }
}

/// A signature where it lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignatureView<'a> {
    pub key_id: KeyId,
    pub algorithm: u16,
    pub bytes: &'a [u8],
}

impl<'a> SignatureView<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, SignaturesError> {
        let head = cursor.take(signature::SIZE).ok_or(SignaturesError::Truncated)?;
        let view = View::new(head, &signature::LAYOUT).ok_or(SignaturesError::Truncated)?;
        let length = view.u16(signature::SIGNATURE_LEN);
        if !view.is_zero(signature::RESERVED) || usize::from(length) > MAX_SIGNATURE_LEN {
            return Err(SignaturesError::Malformed);
        }
        Ok(Self {
            key_id: KeyId::from_bytes(view.array(signature::KEY_ID)),
            algorithm: view.u16(signature::ALGORITHM),
            bytes: cursor.take(length.into()).ok_or(SignaturesError::Truncated)?,
        })
    }
}

/// A list that keeps the rules of this module, where it lies: loader and kernel judge by it and copy nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignaturesView<'a>(&'a [u8]);

impl<'a> SignaturesView<'a> {
    /// Reads `count` signatures.
    pub fn read(cursor: &mut Cursor<'a>, count: u16) -> Result<Self, SignaturesError> {
        if !(1..=MAX_SIGNATURES).contains(&usize::from(count)) {
            return Err(SignaturesError::Count(count.into()));
        }
        let (rest, start) = (cursor.remaining(), cursor.position());
        for _ in 0..count {
            SignatureView::read(cursor)?;
        }
        let list = Self(rest.get(..cursor.position() - start).ok_or(SignaturesError::Truncated)?);
        check(list.iter())?;
        Ok(list)
    }

    /// The signatures in order of key id.
    pub fn iter(&self) -> impl Iterator<Item = SignatureView<'a>> + Clone + use<'a> {
        let mut cursor = Cursor::new(self.0);
        core::iter::from_fn(move || SignatureView::read(&mut cursor).ok())
    }

    /// The same in values that can be changed.
    pub fn to_owned(self) -> Signatures {
        let owned = |view: SignatureView<'_>| Signature {
            key_id: view.key_id,
            algorithm: view.algorithm,
            bytes: view.bytes.to_vec(),
        };
        Signatures(self.iter().map(owned).collect())
    }
}

/// The rules of a list.
fn check<'a>(mut list: impl Iterator<Item = SignatureView<'a>> + Clone) -> Result<(), SignaturesError> {
    let count = list.clone().count();
    if !(1..=MAX_SIGNATURES).contains(&count) {
        return Err(SignaturesError::Count(count));
    }
    if !list.clone().is_sorted_by(|left, right| left.key_id < right.key_id) {
        return Err(SignaturesError::DuplicateOrUnsorted);
    }
    let well_formed = |entry: SignatureView<'_>| match SignatureAlgorithm::from_number(entry.algorithm) {
        Some(SignatureAlgorithm::Ed25519) => entry.bytes.len() == ED25519_SIGNATURE_LEN,
        None => entry.algorithm != 0 && (1..=MAX_SIGNATURE_LEN).contains(&entry.bytes.len()),
    };
    if list.all(well_formed) { Ok(()) } else { Err(SignaturesError::Malformed) }
}
