//! Changes of the keyring and of the root metadata, as values that are checked when they are applied.

use plyos_ids::{KeyId, KindSet, LayerId};
use plyos_trust::{
    key::PublicKey,
    keyring::{LayerKey, Revocation, Statement},
};

use super::document::TopLevel;
use crate::keys::Role;

/// Why a change makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The key is there.
    #[error("key {0} is there already; change its powers with `plyos keyring set`")]
    KeyThere(KeyId),
    /// The key is not there.
    #[error("key {0} is not there; `plyos keyring show` lists the keys")]
    NoKey(KeyId),
    /// It is revoked.
    #[error("{0} is revoked already")]
    Revoked(String),
    /// A revoked key stays so: its certificates may be anywhere.
    #[error("key {0} is revoked and cannot come back; make another key")]
    WasRevoked(KeyId),
    /// A role's threshold is out of bounds.
    #[error(
        "role {role} would have {keys} keys and need {threshold} of them; add keys or choose another threshold"
    )]
    Threshold {
        /// The role.
        role: Role,
        /// Keys it would have.
        keys: usize,
        /// Its threshold.
        threshold: u32,
    },
    /// Layer keys stand in the keyring.
    #[error("layer keys stand in the keyring, not in the root metadata; use `plyos keyring`")]
    LayerKeysElsewhere,
}

/// New powers of a layer key; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Powers {
    /// Kinds that it may sign.
    pub kinds: Option<KindSet>,
    /// Prefixes of names that it may sign; empty: any name.
    pub prefixes: Option<Vec<String>>,
    /// Least security epoch that it may sign.
    pub least_epoch: Option<u32>,
}

/// One change of the keyring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyringEdit {
    /// A new key.
    Add(LayerKey),
    /// Other powers of a key.
    Set(KeyId, Powers),
    /// The new key gets the powers of the old one, which stays valid until it is revoked or removed.
    Rotate {
        /// The key there is.
        old: KeyId,
        /// The key to come.
        new: PublicKey,
    },
    /// The key goes; its certificates are then by an unknown key.
    Remove(KeyId),
    /// Certificates by this key are refused for ever.
    RevokeKey(KeyId),
    /// This layer is refused, whoever signed it.
    RevokeLayer(LayerId),
}

impl KeyringEdit {
    /// Makes the change.
    ///
    /// # Errors
    /// When it makes no sense; the statement is as it was then.
    pub fn apply(&self, statement: &mut Statement) -> Result<(), EditError> {
        match self {
            Self::Add(key) => add(statement, key.clone()),
            Self::Set(id, powers) => {
                let key = find(statement, *id)?;
                if let Some(kinds) = powers.kinds {
                    key.kinds = kinds;
                }
                if let Some(prefixes) = &powers.prefixes {
                    key.prefixes.clone_from(prefixes);
                }
                if let Some(least) = powers.least_epoch {
                    key.least_epoch = least;
                }
                Ok(())
            }
            Self::Rotate { old, new } => {
                let powers = find(statement, *old)?.clone();
                let (kinds, prefixes, least_epoch) = (powers.kinds, powers.prefixes, powers.least_epoch);
                add(statement, LayerKey { prefixes, least_epoch, ..LayerKey::new(new, kinds) })
            }
            Self::Remove(id) => {
                find(statement, *id)?;
                statement.keys.retain(|key| key.key_id != *id);
                Ok(())
            }
            Self::RevokeKey(id) => revoke(statement, Revocation::Key(*id), format!("key {id}")),
            Self::RevokeLayer(id) => revoke(statement, Revocation::Layer(*id), format!("layer {id}")),
        }
    }
}

fn find(statement: &mut Statement, id: KeyId) -> Result<&mut LayerKey, EditError> {
    statement.keys.iter_mut().find(|key| key.key_id == id).ok_or(EditError::NoKey(id))
}

fn add(statement: &mut Statement, key: LayerKey) -> Result<(), EditError> {
    if statement.revocations.contains(&Revocation::Key(key.key_id)) {
        return Err(EditError::WasRevoked(key.key_id));
    }
    if statement.keys.iter().any(|there| there.key_id == key.key_id) {
        return Err(EditError::KeyThere(key.key_id));
    }
    statement.keys.push(key);
    Ok(())
}

fn revoke(statement: &mut Statement, what: Revocation, text: String) -> Result<(), EditError> {
    if statement.revocations.contains(&what) {
        return Err(EditError::Revoked(text));
    }
    statement.revocations.push(what);
    Ok(())
}

/// One change of the root metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootEdit {
    /// Another key may sign for the role.
    Add(Role, PublicKey),
    /// A key may no longer.
    Remove(Role, KeyId),
    /// How many must sign.
    Threshold(Role, u32),
}

impl RootEdit {
    pub(super) fn apply(&self, roles: &mut TopLevel) -> Result<(), EditError> {
        let (Self::Add(role, _) | Self::Remove(role, _) | Self::Threshold(role, _)) = self;
        let holders = roles.role_mut(*role).ok_or(EditError::LayerKeysElsewhere)?;
        match self {
            Self::Add(_, key) if holders.keys.contains(key) => Err(EditError::KeyThere(key.key_id())),
            Self::Add(_, key) => {
                holders.keys.push(*key);
                Ok(())
            }
            Self::Remove(_, id) => {
                let before = holders.keys.len();
                holders.keys.retain(|key| key.key_id() != *id);
                if holders.keys.len() < before { Ok(()) } else { Err(EditError::NoKey(*id)) }
            }
            Self::Threshold(_, threshold) => {
                holders.threshold = *threshold;
                Ok(())
            }
        }
    }
}

/// Whether every role can still sign.
pub(super) fn check_thresholds(roles: &TopLevel) -> Result<(), EditError> {
    for (role, holders) in roles.roles() {
        let (keys, threshold) = (holders.keys.len(), holders.threshold);
        if threshold == 0 || usize::try_from(threshold).is_ok_and(|needed| needed > keys) {
            return Err(EditError::Threshold { role, keys, threshold });
        }
    }
    Ok(())
}
