//! Pinned roots: whom a kernel or loader trusts from the start, as one small object beside it.
//!
//! [`Pins`] holds 1 to 16 sets of root keys, each with its threshold ([`PinnedSet`]): one for each repository that the machine
//! takes layers from. Sets have no names, for what a store says of repositories is a claim: a keyring is trusted when any of the
//! sets signed it ([`Pins::trust`]), and a layer when such a keyring admits it ([`crate::admission`]). The object is not signed;
//! whoever gives it to the kernel is the one who is trusted.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use plyos_bytemap::{Cursor, Preamble, PreambleError, View, byte_map, put};
use plyos_ids::SignatureAlgorithm;

use crate::admission::{PinnedRoots, TrustedKeyring};
use crate::key::{KeyError, PublicKey};
use crate::keyring::Refusal;
use crate::tuf::Root;

byte_map! {
    /// See docs/formats.md, "Pinned roots".
    pub mod pins = "pins", 40 {
        PREAMBLE: 0, 32;
        SET_COUNT: 32, 2;
        RESERVED: 34, 6;
    }
}

byte_map! {
    /// The head of a set; its keys follow.
    pub mod pinned_set = "pinned_set", 8 {
        THRESHOLD: 0, 4;
        KEY_COUNT: 4, 2;
        RESERVED: 6, 2;
    }
}

byte_map! {
    /// The head of a key; its bytes follow.
    pub mod pinned_key = "pinned_key", 8 {
        ALGORITHM: 0, 2;
        KEY_LEN: 2, 2;
        RESERVED: 4, 4;
    }
}

/// What every object of pinned roots starts with.
pub const MAGIC: [u8; 8] = *b"PLYROOTS";
/// Sets in one object: each keyring is tried against each of them. A format break to lower.
pub const MAX_SETS: usize = 16;
/// Keys in one set: each costs a check of a signature for each keyring. A format break to lower.
pub const MAX_KEYS: usize = 16;
/// Bytes of an object that a reader must take: every set full, and room for keys of algorithms to come.
pub const MAX_LEN: usize = 1 << 20;

/// Why bytes, or sets, are not pinned roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PinsError {
    /// The 32 bytes at its start.
    #[error("cannot read the pinned roots: {0}")]
    Preamble(#[from] PreambleError),
    /// It ends before its sets or keys do.
    #[error("cannot read the pinned roots: they end too early")]
    Truncated,
    /// A key that signatures cannot be checked with.
    #[error("a pinned root key is not usable: {0}")]
    Key(#[from] KeyError),
    /// An algorithm that is not known here.
    #[error("a pinned root key is of algorithm {0}, which is not known here; update this program")]
    Algorithm(u16),
    /// No set, or more than [`MAX_SETS`].
    #[error("{0} sets of root keys where 1 to 16 are allowed")]
    Sets(usize),
    /// No key in a set, or more than [`MAX_KEYS`].
    #[error("a set of {0} root keys where 1 to 16 are allowed")]
    Keys(usize),
    /// A threshold of 0, or above the number of keys.
    #[error(
        "a threshold of {threshold} over {keys} root keys; it must be at least 1 and at most their number"
    )]
    Threshold {
        /// The threshold.
        threshold: u32,
        /// The keys of the set.
        keys: usize,
    },
    /// Sets or keys that are not sorted, or twice there.
    #[error("the pinned roots are not sorted, or one is there twice")]
    DuplicateOrUnsorted,
    /// Reserved bytes in use, or a wrong length.
    #[error("the pinned roots are malformed")]
    Malformed,
}

/// Root keys of one repository, and how many of them must sign. Sets are ordered by threshold, then by keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PinnedSet {
    threshold: u32,
    keys: Vec<PublicKey>,
}

impl PinnedSet {
    /// A set; a key that is given twice counts once.
    ///
    /// # Errors
    /// [`PinsError::Keys`], [`PinsError::Threshold`].
    pub fn new(threshold: u32, keys: impl IntoIterator<Item = PublicKey>) -> Result<Self, PinsError> {
        let keys: Vec<PublicKey> = keys.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        if !(1..=MAX_KEYS).contains(&keys.len()) {
            return Err(PinsError::Keys(keys.len()));
        }
        if threshold == 0 || u64::from(threshold) > keys.len() as u64 {
            return Err(PinsError::Threshold { threshold, keys: keys.len() });
        }
        Ok(Self { threshold, keys })
    }

    /// The keys and threshold of a repository's root role. Whoever calls it has reason to trust that root file.
    ///
    /// # Errors
    /// [`PinsError::Keys`], [`PinsError::Threshold`]: of keys of other algorithms too few are left.
    pub fn of_root(root: &Root) -> Result<Self, PinsError> {
        Self::new(root.root().threshold(), root.root().keys())
    }

    /// How many of the keys must sign.
    pub const fn threshold(&self) -> u32 {
        self.threshold
    }

    /// The keys, sorted, none twice.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// The set as the check of layers takes it.
    pub fn roots(&self) -> PinnedRoots<'_> {
        PinnedRoots { keys: &self.keys, threshold: self.threshold }
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, PinsError> {
        let head = cursor.take(pinned_set::SIZE).ok_or(PinsError::Truncated)?;
        let view = View::new(head, &pinned_set::LAYOUT).ok_or(PinsError::Truncated)?;
        let count = usize::from(view.u16(pinned_set::KEY_COUNT));
        if !view.is_zero(pinned_set::RESERVED) {
            return Err(PinsError::Malformed);
        }
        if count > MAX_KEYS {
            return Err(PinsError::Keys(count));
        }
        let keys = (0..count).map(|_| read_key(cursor)).collect::<Result<Vec<_>, _>>()?;
        if !keys.is_sorted_by(|left, right| left < right) {
            return Err(PinsError::DuplicateOrUnsorted);
        }
        Self::new(view.u32(pinned_set::THRESHOLD), keys)
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut head = [0; pinned_set::SIZE];
        put(&mut head, pinned_set::THRESHOLD, &self.threshold.to_le_bytes());
        put(&mut head, pinned_set::KEY_COUNT, &(self.keys.len() as u16).to_le_bytes());
        out.extend_from_slice(&head);
        for key in &self.keys {
            let mut head = [0; pinned_key::SIZE];
            put(&mut head, pinned_key::ALGORITHM, &(key.algorithm() as u16).to_le_bytes());
            put(&mut head, pinned_key::KEY_LEN, &(key.as_bytes().len() as u16).to_le_bytes());
            out.extend_from_slice(&head);
            out.extend_from_slice(key.as_bytes());
        }
    }
}

fn read_key(cursor: &mut Cursor<'_>) -> Result<PublicKey, PinsError> {
    let head = cursor.take(pinned_key::SIZE).ok_or(PinsError::Truncated)?;
    let view = View::new(head, &pinned_key::LAYOUT).ok_or(PinsError::Truncated)?;
    if !view.is_zero(pinned_key::RESERVED) {
        return Err(PinsError::Malformed);
    }
    let bytes = cursor.take(view.u16(pinned_key::KEY_LEN).into()).ok_or(PinsError::Truncated)?;
    let algorithm = view.u16(pinned_key::ALGORITHM);
    match SignatureAlgorithm::from_number(algorithm).ok_or(PinsError::Algorithm(algorithm))? {
        SignatureAlgorithm::Ed25519 => Ok(PublicKey::ed25519(bytes)?),
    }
}

/// Whom to trust: 1 to 16 sets, sorted, none twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pins {
    compat: u32,
    sets: Vec<PinnedSet>,
}

impl Pins {
    /// Pins of these sets; a set that is given twice counts once.
    ///
    /// # Errors
    /// [`PinsError::Sets`].
    pub fn new(sets: impl IntoIterator<Item = PinnedSet>) -> Result<Self, PinsError> {
        let sets: Vec<PinnedSet> = sets.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        if (1..=MAX_SETS).contains(&sets.len()) {
            Ok(Self { compat: 0, sets })
        } else {
            Err(PinsError::Sets(sets.len()))
        }
    }

    /// The sets, sorted, none twice.
    pub fn sets(&self) -> &[PinnedSet] {
        &self.sets
    }

    /// Trusts a keyring that one of the sets signed and whose version is not below `floor`.
    ///
    /// # Errors
    /// A [`Refusal`]: of several sets, the one of which most keys signed gives the reason.
    pub fn trust<B: AsRef<[u8]>>(&self, keyring: B, floor: u64) -> Result<TrustedKeyring<B>, Refusal> {
        TrustedKeyring::check_any(keyring, self.sets.iter().map(PinnedSet::roots), floor)
    }

    /// Reads pinned roots; `bytes` must hold them and nothing more.
    ///
    /// # Errors
    /// Any spelling that [`Self::emit`] would not write.
    pub fn parse(bytes: &[u8]) -> Result<Self, PinsError> {
        if bytes.len() > MAX_LEN {
            return Err(PinsError::Malformed);
        }
        let (preamble, object) = Preamble::parse(bytes, &MAGIC, pins::SIZE, 0)?;
        let view = View::new(object, &pins::LAYOUT).ok_or(PinsError::Truncated)?;
        if object.len() != bytes.len() || !view.is_zero(pins::RESERVED) {
            return Err(PinsError::Malformed);
        }
        let count = usize::from(view.u16(pins::SET_COUNT));
        if !(1..=MAX_SETS).contains(&count) {
            return Err(PinsError::Sets(count));
        }
        let mut cursor = Cursor::new(object);
        cursor.take(pins::SIZE).ok_or(PinsError::Truncated)?;
        let sets = (0..count).map(|_| PinnedSet::read(&mut cursor)).collect::<Result<Vec<_>, _>>()?;
        if !sets.is_sorted_by(|left, right| left < right) {
            return Err(PinsError::DuplicateOrUnsorted);
        }
        if !cursor.remaining().is_empty() {
            return Err(PinsError::Malformed);
        }
        Ok(Self { compat: preamble.compat, sets })
    }

    /// The one spelling of these pins.
    pub fn emit(&self) -> Vec<u8> {
        let mut out = alloc::vec![0; pins::SIZE];
        put(&mut out, pins::SET_COUNT, &(self.sets.len() as u16).to_le_bytes());
        for set in &self.sets {
            set.write(&mut out);
        }
        let total = out.len() as u64;
        Preamble { compat: self.compat, ..Preamble::v1(MAGIC, pins::SIZE, total) }.emit(&mut out);
        out
    }
}

#[cfg(test)]
#[path = "pins_tests.rs"]
mod tests;
