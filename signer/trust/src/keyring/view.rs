//! A keyring where it lies: every rule of the format is checked over the bytes, and nothing is copied.
//!
//! [`StatementView`] and [`KeyView`] are what loader and kernel judge by, so that a keyring costs them no memory beyond its
//! own bytes. [`super::Keyring`] is the same in values that can be changed; it is read through these views, so the format has
//! one parser.

use alloc::vec::Vec;
use core::iter;

use plyos_bytemap::{Cursor, View};
use plyos_ids::{KeyId, Kind, KindSet, LayerId, SignatureAlgorithm};

use super::statement::{is_name_prefix, keyring_key, revocation};
use super::{
    KeyringError, LayerKey, MAX_KEYS, MAX_PREFIXES, MAX_REVOCATIONS, Revocation, Statement, keyring,
};
use crate::key::PublicKey;

/// Bytes of a public key: room for post-quantum algorithms (ML-DSA-44 has 1,312). A format break to lower.
const MAX_KEY_LEN: usize = 4096;

/// A layer key in a keyring's bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyView<'a> {
    pub key_id: KeyId,
    pub algorithm: u16,
    pub key: &'a [u8],
    pub kinds: KindSet,
    /// Length byte and text, one after the other.
    prefixes: &'a [u8],
    pub least_epoch: u32,
}

impl<'a> KeyView<'a> {
    /// Cuts the next key out; [`Self::check`] says whether it keeps the rules.
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, KeyringError> {
        let head = cursor.take(keyring_key::SIZE).ok_or(KeyringError::Truncated)?;
        let view = View::new(head, &keyring_key::LAYOUT).ok_or(KeyringError::Truncated)?;
        let (key_len, prefix_count) = (view.u16(keyring_key::KEY_LEN), view.u16(keyring_key::PREFIX_COUNT));
        if !view.is_zero(keyring_key::RESERVED) || usize::from(key_len) > MAX_KEY_LEN {
            return Err(KeyringError::Malformed);
        }
        if usize::from(prefix_count) > MAX_PREFIXES {
            return Err(KeyringError::TooMany("name prefixes"));
        }
        let key = cursor.take(key_len.into()).ok_or(KeyringError::Truncated)?;
        let rest = cursor.remaining();
        let start = cursor.position();
        for _ in 0..prefix_count {
            let length = cursor.u8().ok_or(KeyringError::Truncated)?;
            cursor.take(length.into()).ok_or(KeyringError::Truncated)?;
        }
        let prefixes = rest.get(..cursor.position() - start).ok_or(KeyringError::Truncated)?;
        Ok(Self {
            key_id: KeyId::from_bytes(view.array(keyring_key::KEY_ID)),
            algorithm: view.u16(keyring_key::ALGORITHM),
            key,
            kinds: KindSet(view.u16(keyring_key::KINDS)),
            prefixes,
            least_epoch: view.u32(keyring_key::LEAST_EPOCH),
        })
    }

    fn check(&self) -> Result<(), KeyringError> {
        let usable = match SignatureAlgorithm::from_number(self.algorithm) {
            Some(_) => self.public_key().is_some(),
            None => self.algorithm != 0 && !self.key.is_empty(),
        };
        if !usable {
            return Err(KeyringError::Key);
        }
        if self.kinds.has_unknown() {
            return Err(KeyringError::Kinds(self.kinds.0));
        }
        if !self.raw_prefixes().all(|prefix| core::str::from_utf8(prefix).is_ok_and(is_name_prefix)) {
            return Err(KeyringError::Malformed);
        }
        if !self.raw_prefixes().is_sorted_by(|left, right| left < right) {
            return Err(KeyringError::DuplicateOrUnsorted("name prefixes"));
        }
        Ok(())
    }

    /// The key, if its algorithm is known here and its bytes and identity belong together.
    pub fn public_key(&self) -> Option<PublicKey> {
        match SignatureAlgorithm::from_number(self.algorithm)? {
            SignatureAlgorithm::Ed25519 => {
                PublicKey::ed25519(self.key).ok().filter(|key| key.key_id() == self.key_id)
            }
        }
    }

    /// Whether it may sign a layer of this kind.
    pub const fn may_sign_kind(&self, kind: Kind) -> bool {
        self.kinds.contains(kind)
    }

    /// Whether it may sign a layer of this name.
    pub fn may_sign_name(&self, name: &str) -> bool {
        self.prefixes.is_empty() || self.raw_prefixes().any(|prefix| name.as_bytes().starts_with(prefix))
    }

    fn raw_prefixes(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut cursor = Cursor::new(self.prefixes);
        iter::from_fn(move || {
            let length = cursor.u8()?;
            cursor.take(length.into())
        })
    }

    fn to_owned(self) -> LayerKey {
        // Checked to be UTF-8 before; nothing is lost.
        let prefixes =
            self.raw_prefixes().map(|prefix| alloc::string::String::from_utf8_lossy(prefix).into_owned());
        LayerKey {
            key_id: self.key_id,
            algorithm: self.algorithm,
            key: self.key.to_vec(),
            kinds: self.kinds,
            prefixes: prefixes.collect(),
            least_epoch: self.least_epoch,
        }
    }
}

/// Whether the keys of a keyring's bytes were checked before: that they are points of the curve is most of the cost of reading one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    /// These bytes were never looked at.
    Unknown,
    /// The very same bytes passed every rule.
    Checked,
}

/// The signed part of a keyring's bytes, every rule checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StatementView<'a> {
    pub version: u64,
    issued_at: u64,
    keys: &'a [u8],
    revocations: &'a [u8],
}

impl<'a> StatementView<'a> {
    /// Reads header, keys and revocations of a keyring; returns the offset at which they end.
    pub fn read(object: &'a [u8], keys_are: Keys) -> Result<(Self, usize), KeyringError> {
        let view = View::new(object, &keyring::LAYOUT).ok_or(KeyringError::Truncated)?;
        if !view.is_zero(keyring::RESERVED) {
            return Err(KeyringError::Malformed);
        }
        let (key_count, revocation_count) =
            (view.u16(keyring::KEY_COUNT), view.u16(keyring::REVOCATION_COUNT));
        if usize::from(key_count) > MAX_KEYS {
            return Err(KeyringError::TooMany("keys"));
        }
        if usize::from(revocation_count) > MAX_REVOCATIONS {
            return Err(KeyringError::TooMany("revocations"));
        }
        let mut cursor = Cursor::new(object);
        cursor.take(keyring::SIZE).ok_or(KeyringError::Truncated)?;
        let after_head = cursor.remaining();
        for _ in 0..key_count {
            let key = KeyView::read(&mut cursor)?;
            if keys_are == Keys::Unknown {
                key.check()?;
            }
        }
        let keys = after_head.get(..cursor.position() - keyring::SIZE).ok_or(KeyringError::Truncated)?;
        let revocations =
            cursor.take(usize::from(revocation_count) * revocation::SIZE).ok_or(KeyringError::Truncated)?;
        let read = Self {
            version: view.u64(keyring::VERSION),
            issued_at: view.u64(keyring::ISSUED_AT),
            keys,
            revocations,
        };
        if !read.keys().is_sorted_by(|left, right| left.key_id < right.key_id) {
            return Err(KeyringError::DuplicateOrUnsorted("keys"));
        }
        if read.revocations().any(|entry| entry.is_none()) || read.version == 0 {
            return Err(KeyringError::Malformed);
        }
        if !read.revocations().is_sorted_by(|left, right| left < right) {
            return Err(KeyringError::DuplicateOrUnsorted("revocations"));
        }
        let end = cursor.position();
        if usize::try_from(view.u32(keyring::SIGNED_LEN)) != Ok(end - keyring::VERSION.offset) {
            return Err(KeyringError::Malformed);
        }
        Ok((read, end))
    }

    fn keys(&self) -> impl Iterator<Item = KeyView<'a>> {
        let mut cursor = Cursor::new(self.keys);
        iter::from_fn(move || KeyView::read(&mut cursor).ok())
    }

    /// The key of this identity.
    pub fn key(&self, key_id: KeyId) -> Option<KeyView<'a>> {
        self.keys().find(|key| key.key_id == key_id)
    }

    /// Whether this is revoked.
    pub fn is_revoked(&self, what: Revocation) -> bool {
        self.revocations().any(|entry| entry == Some(what))
    }

    fn revocations(&self) -> impl Iterator<Item = Option<Revocation>> {
        self.revocations.chunks_exact(revocation::SIZE).map(|bytes| {
            let view = View::new(bytes, &revocation::LAYOUT)?;
            let id = view.array(revocation::ID);
            match (view.u8(revocation::WHAT), view.is_zero(revocation::RESERVED)) {
                (1, true) => Some(Revocation::Key(KeyId::from_bytes(id))),
                (2, true) => Some(Revocation::Layer(LayerId::from_bytes(id))),
                _ => None,
            }
        })
    }

    pub fn to_owned(self) -> Statement {
        Statement {
            version: self.version,
            issued_at: self.issued_at,
            keys: self.keys().map(KeyView::to_owned).collect::<Vec<_>>(),
            revocations: self.revocations().flatten().collect(),
        }
    }
}
