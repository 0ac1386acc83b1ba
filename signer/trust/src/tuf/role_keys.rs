//! The keys that may sign for a role, and how many of them must.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use plyos_ids::{KeyId, decode_hex};
use sha2::{Digest, Sha256};

use super::{Envelope, TufError, fields::Fields, fields::key_id};
use crate::{canonical, key::PublicKey};

/// Keys of a role with its threshold (section 4.3, ROLE).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleKeys {
    key_ids: BTreeSet<KeyId>,
    keys: BTreeMap<KeyId, PublicKey>,
    threshold: u32,
}

/// Every key object of a file (`keys`), those of unknown types as `None`.
pub(super) type KeyTable = BTreeMap<KeyId, Option<PublicKey>>;

/// Reads `keys` and checks that each stands under its own identity.
pub(super) fn read_keys(fields: &Fields<'_>) -> Result<KeyTable, TufError> {
    let role = fields.role();
    fields
        .object("keys", "it has no keys")?
        .iter()
        .map(|(id, object)| {
            let id = key_id(role, id)?;
            // "Clients MUST calculate each KEYID to verify this is correct for the associated key."
            let canonical = canonical::to_vec(object)
                .map_err(|_| fields.error("a key has a number that is no integer"))?;
            if Sha256::digest(&canonical)[..] != id.as_bytes()[..] {
                return Err(TufError::KeyId { role: role.into(), key_id: id });
            }
            let key = Fields::of(role, object, "a key is not an object")?;
            let kind = key.text("keytype", "a key has no type")?;
            let scheme = key.text("scheme", "a key has no scheme")?;
            let value = key.object("keyval", "a key has no value")?;
            // A key of another type is kept in the file and counts towards no threshold.
            if (kind, scheme) != ("ed25519", "ed25519") {
                return Ok((id, None));
            }
            let public = value.text("public", "an Ed25519 key has no bytes")?;
            let bytes: [u8; 32] = decode_hex(public)
                .map_err(|_| fields.error("an Ed25519 key is not 64 hexadecimal digits"))?;
            let public =
                PublicKey::ed25519(&bytes).map_err(|_| fields.error("an Ed25519 key is not usable"))?;
            Ok((id, Some(public)))
        })
        .collect()
}

impl RoleKeys {
    /// Reads `keyids` and `threshold` of a role or delegation.
    pub(super) fn read(fields: &Fields<'_>, table: &KeyTable) -> Result<Self, TufError> {
        let key_ids = fields
            .texts("keyids", "a role has no list of key ids")?
            .into_iter()
            .map(|text| key_id(fields.role(), text))
            .collect::<Result<BTreeSet<_>, _>>()?;
        let threshold = fields.positive("threshold", "a role's threshold is not a number from 1 on")?;
        let threshold = u32::try_from(threshold)
            .map_err(|_| fields.error("a role's threshold is higher than any number of keys"))?;
        let keys = key_ids.iter().filter_map(|id| Some((*id, (*table.get(id)?)?))).collect();
        Ok(Self { key_ids, keys, threshold })
    }

    /// Checks for an arbitrary software attack: enough different keys must have signed the file.
    ///
    /// # Errors
    /// [`TufError::Threshold`].
    pub fn verify(&self, envelope: &Envelope) -> Result<(), TufError> {
        // "Each KEY MUST only contribute one SIGNATURE".
        // Off-spec: counted by the key itself, not by key id, because an extra member in a key object gives the same
        // key a second id. A signature that counts here counts in the specification too.
        let mut signers = BTreeSet::new();
        for (id, signature) in envelope.signatures() {
            if let Some(key) = self.keys.get(id)
                && !signers.contains(key)
                && key.verify(envelope.message(), signature).is_ok()
            {
                signers.insert(*key);
            }
        }
        if u32::try_from(signers.len()).is_ok_and(|found| found >= self.threshold) {
            return Ok(());
        }
        let role = envelope.role().into();
        Err(TufError::Threshold { role, found: signers.len(), needed: self.threshold })
    }

    /// The role's keys of known types, in order of key id.
    pub fn keys(&self) -> Vec<PublicKey> {
        self.keys.values().copied().collect()
    }

    /// How many of them must sign.
    pub const fn threshold(&self) -> u32 {
        self.threshold
    }

    /// Whether the role's keys are others than those of `before` (step 5.3.11).
    pub(super) fn rotated_since(&self, before: &Self) -> bool {
        self.key_ids != before.key_ids
    }
}
