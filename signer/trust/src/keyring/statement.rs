//! What a keyring states: its version, the layer keys with their powers, and the revocations.

use alloc::{string::String, vec::Vec};

use plyos_bytemap::{byte_map, put};
use plyos_ids::{KeyId, Kind, KindSet, LayerId, SignatureAlgorithm};

use super::view::{Keys, StatementView};
use super::{DOMAIN, KeyringError, MAX_LEN, keyring};
use crate::key::PublicKey;

byte_map! {
    /// The fixed head of a key; the key and its prefixes follow. See docs/formats.md, "Keyring".
    pub mod keyring_key = "keyring_key", 48 {
        KEY_ID: 0, 32;
        ALGORITHM: 32, 2;
        KEY_LEN: 34, 2;
        KINDS: 36, 2;
        PREFIX_COUNT: 38, 2;
        LEAST_EPOCH: 40, 4;
        RESERVED: 44, 4;
    }
}

byte_map! {
    /// See docs/formats.md, "Keyring".
    pub mod revocation = "revocation", 40 {
        WHAT: 0, 1;
        RESERVED: 1, 7;
        ID: 8, 32;
    }
}

/// Name prefixes of one key. A format break to lower.
pub const MAX_PREFIXES: usize = 64;
/// Bytes of a layer's name, and so of a prefix.
const MAX_PREFIX_LEN: usize = 64;

/// A key that may sign certificates, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerKey {
    /// Identity of the key.
    pub key_id: KeyId,
    /// Number of its algorithm. A key of an algorithm that is not known here is kept, and accepts nothing.
    pub algorithm: u16,
    /// Its bytes.
    pub key: Vec<u8>,
    /// Kinds of layers it may sign.
    pub kinds: KindSet,
    /// Prefixes of the names it may sign, sorted; none: any name.
    pub prefixes: Vec<String>,
    /// Least security epoch it may sign.
    pub least_epoch: u32,
}

impl LayerKey {
    /// A key that may sign layers of `kinds`, of any name and epoch.
    pub fn new(key: &PublicKey, kinds: KindSet) -> Self {
        Self {
            key_id: key.key_id(),
            algorithm: key.algorithm() as u16,
            key: key.as_bytes().to_vec(),
            kinds,
            prefixes: Vec::new(),
            least_epoch: 0,
        }
    }

    /// The key, if its algorithm is known here and its bytes and identity belong together.
    pub fn public_key(&self) -> Option<PublicKey> {
        match SignatureAlgorithm::from_number(self.algorithm)? {
            SignatureAlgorithm::Ed25519 => {
                PublicKey::ed25519(&self.key).ok().filter(|key| key.key_id() == self.key_id)
            }
        }
    }

    /// Whether it may sign a layer of this kind.
    pub const fn may_sign_kind(&self, kind: Kind) -> bool {
        self.kinds.contains(kind)
    }

    /// Whether it may sign a layer of this name.
    pub fn may_sign_name(&self, name: &str) -> bool {
        self.prefixes.is_empty() || self.prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()))
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), KeyringError> {
        let mut head = [0; keyring_key::SIZE];
        let key_len = u16::try_from(self.key.len()).map_err(|_| KeyringError::Key)?;
        put(&mut head, keyring_key::KEY_ID, self.key_id.as_bytes());
        put(&mut head, keyring_key::ALGORITHM, &self.algorithm.to_le_bytes());
        put(&mut head, keyring_key::KEY_LEN, &key_len.to_le_bytes());
        put(&mut head, keyring_key::KINDS, &self.kinds.0.to_le_bytes());
        put(&mut head, keyring_key::PREFIX_COUNT, &count(self.prefixes.len(), "name prefixes")?);
        put(&mut head, keyring_key::LEAST_EPOCH, &self.least_epoch.to_le_bytes());
        out.extend_from_slice(&head);
        out.extend_from_slice(&self.key);
        for prefix in &self.prefixes {
            out.push(u8::try_from(prefix.len()).map_err(|_| KeyringError::Malformed)?);
            out.extend_from_slice(prefix.as_bytes());
        }
        Ok(())
    }
}

/// What is no longer accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revocation {
    /// Every certificate by this key.
    Key(KeyId),
    /// This layer, whoever signed it.
    Layer(LayerId),
}

impl Revocation {
    fn write(&self, out: &mut Vec<u8>) {
        let (what, id) = match self {
            Self::Key(id) => (1, id.as_bytes()),
            Self::Layer(id) => (2, id.as_bytes()),
        };
        let mut bytes = [0; revocation::SIZE];
        put(&mut bytes, revocation::WHAT, &[what]);
        put(&mut bytes, revocation::ID, id);
        out.extend_from_slice(&bytes);
    }
}

/// The signed part of a keyring. [`super::Keyring`] holds one that keeps every rule of the format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// From 1; raised by each change.
    pub version: u64,
    /// When it was made: seconds since 1970.
    pub issued_at: u64,
    /// Layer keys, sorted by key id.
    pub keys: Vec<LayerKey>,
    /// Revocations: keys before layers, each sorted by id.
    pub revocations: Vec<Revocation>,
}

impl Statement {
    /// Puts keys, prefixes and revocations in the order that the format asks for, and drops repetitions.
    pub fn normalise(&mut self) {
        self.keys.sort_by_key(|key| key.key_id);
        for key in &mut self.keys {
            key.prefixes.sort();
            key.prefixes.dedup();
        }
        self.revocations.sort();
        self.revocations.dedup();
    }

    /// The bytes to be signed.
    ///
    /// # Errors
    /// When a count does not fit its field.
    pub fn message(&self) -> Result<Vec<u8>, KeyringError> {
        Ok([DOMAIN, &self.signed_bytes()?].concat())
    }

    /// The bytes of the keyring from `version` to the end of the revocations.
    pub(super) fn signed_bytes(&self) -> Result<Vec<u8>, KeyringError> {
        let mut out = alloc::vec![0; keyring::SIZE];
        for key in &self.keys {
            key.write(&mut out)?;
        }
        for entry in &self.revocations {
            entry.write(&mut out);
        }
        let signed_len =
            u32::try_from(out.len() - keyring::VERSION.offset).map_err(|_| KeyringError::TooMany("bytes"))?;
        put(&mut out, keyring::VERSION, &self.version.to_le_bytes());
        put(&mut out, keyring::ISSUED_AT, &self.issued_at.to_le_bytes());
        put(&mut out, keyring::SIGNED_LEN, &signed_len.to_le_bytes());
        put(&mut out, keyring::KEY_COUNT, &count(self.keys.len(), "keys")?);
        put(&mut out, keyring::REVOCATION_COUNT, &count(self.revocations.len(), "revocations")?);
        Ok(out.split_off(keyring::VERSION.offset))
    }

    /// Reads the signed part alone, as [`Self::to_bytes`] writes it: keyrings travel so before they are signed.
    ///
    /// # Errors
    /// Any spelling that [`Self::to_bytes`] would not write.
    pub fn parse(signed: &[u8]) -> Result<Self, KeyringError> {
        if signed.len() > MAX_LEN {
            return Err(KeyringError::TooMany("bytes"));
        }
        let object = [&[0; keyring::VERSION.offset], signed].concat();
        let (view, end) = StatementView::read(&object, Keys::Unknown)?;
        if end == object.len() { Ok(view.to_owned()) } else { Err(KeyringError::Malformed) }
    }

    /// The signed part, after a check of every rule of the format.
    ///
    /// # Errors
    /// When a rule is broken.
    pub fn to_bytes(&self) -> Result<Vec<u8>, KeyringError> {
        let signed = self.signed_bytes()?;
        Self::parse(&signed).map(|_| signed)
    }
}

/// A count as the two bytes of its field.
fn count(count: usize, what: &'static str) -> Result<[u8; 2], KeyringError> {
    u16::try_from(count).map(u16::to_le_bytes).map_err(|_| KeyringError::TooMany(what))
}

/// Whether a layer's name (`[a-z0-9][a-z0-9+._-]{0,63}`) may start with `text`.
pub(super) fn is_name_prefix(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=MAX_PREFIX_LEN).contains(&text.len())
        && text.bytes().next().is_some_and(letter)
        && text.bytes().all(|byte| letter(byte) || b"+._-".contains(&byte))
}
