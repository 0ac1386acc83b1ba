//! Trusting a keyring by the root keys, and certificates by the keyring.

use alloc::{collections::BTreeSet, string::String};

use plyos_ids::{KeyId, Kind, LayerId, SignatureAlgorithm};

use super::{Keyring, LayerKey, Revocation, Statement};
use crate::{certificate::Certificate, key::PublicKey, key::Signature};

/// Why a keyring or a certificate was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not enough root keys signed the keyring; several signatures by one key count once.
    #[error(
        "the keyring is signed by {found} of the root keys and {needed} are needed; run `pkg update`, or fetch it again"
    )]
    TooFewRootSignatures {
        /// Different root keys whose signatures hold.
        found: usize,
        /// The threshold of the root role.
        needed: u32,
    },
    /// A threshold of 0 would trust everybody.
    #[error("the root role asks for no signature at all; its root metadata must not be used")]
    NoThreshold,
    /// An older keyring than the newest one seen.
    #[error(
        "the keyring has version {offered}, older than version {held} which was seen before; fetch it again"
    )]
    KeyringRollback {
        /// Version that was offered.
        offered: u64,
        /// Version that is known.
        held: u64,
    },
    /// The certificate speaks of another layer.
    #[error("the certificate is for layer {found}, not for {wanted}")]
    OtherLayer {
        /// Layer of the certificate.
        found: LayerId,
        /// Layer to be accepted.
        wanted: LayerId,
    },
    /// The layer was revoked.
    #[error("layer {0} was revoked by its publisher; update to a newer version")]
    RevokedLayer(LayerId),
    /// Its security epoch is below the floor of its name.
    #[error(
        "the layer's security epoch {epoch} is below {floor}, the least one accepted here; use a newer version"
    )]
    BelowFloor {
        /// Epoch of the certificate.
        epoch: u32,
        /// Least epoch for this (kind, name).
        floor: u32,
    },
    /// No signature is by a key of the keyring.
    #[error("no key of the keyring signed the layer; run `pkg update` if its publisher has a new key")]
    UnknownKey,
    /// Signed in an algorithm that is not known here.
    #[error("the layer is signed in algorithm {0}, which is not known here; update this program")]
    UnknownAlgorithm(u16),
    /// The key was revoked.
    #[error("key {0} which signed the layer was revoked")]
    RevokedKey(KeyId),
    /// The key may not sign this kind.
    #[error("key {key} which signed the layer may not sign layers of kind {kind}")]
    WrongKind {
        /// The key.
        key: KeyId,
        /// Kind of the layer.
        kind: Kind,
    },
    /// The key may not sign this name.
    #[error("key {key} which signed the layer may not sign layers named {name:?}")]
    WrongPrefix {
        /// The key.
        key: KeyId,
        /// Name of the layer.
        name: String,
    },
    /// The key may sign newer epochs only.
    #[error(
        "key {key} may sign from security epoch {least} on, and the layer has {epoch}; use a newer version"
    )]
    BelowLeastEpoch {
        /// The key.
        key: KeyId,
        /// Epoch of the certificate.
        epoch: u32,
        /// Least epoch of the key.
        least: u32,
    },
    /// The signature does not belong to the certificate.
    #[error("the signature by key {0} does not belong to this certificate; fetch it again")]
    BadSignature(KeyId),
}

/// A keyring that enough root keys signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedKeyring(Keyring);

/// A layer that may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Security epoch of the certificate.
    pub epoch: u32,
    /// The key whose signature decided.
    pub key_id: KeyId,
}

/// Trusts `keyring` when at least `threshold` different keys of `root_keys` signed it.
///
/// # Errors
/// [`Refusal::TooFewRootSignatures`], [`Refusal::NoThreshold`].
pub fn verify(
    keyring: &Keyring,
    root_keys: &[PublicKey],
    threshold: u32,
) -> Result<VerifiedKeyring, Refusal> {
    if threshold == 0 {
        return Err(Refusal::NoThreshold);
    }
    let too_few = |found| Refusal::TooFewRootSignatures { found, needed: threshold };
    let message = keyring.message().map_err(|_| too_few(0))?;
    let signed_by = |key: &&PublicKey| {
        let id = key.key_id();
        let by_key =
            |signature: &&Signature| signature.key_id == id && signature.algorithm == key.algorithm() as u16;
        keyring
            .signatures()
            .iter()
            .filter(by_key)
            .any(|signature| key.verify(&message, &signature.bytes).is_ok())
    };
    // A set, so that a key that the caller lists twice counts once.
    let signers: BTreeSet<&PublicKey> = root_keys.iter().filter(signed_by).collect();
    if u32::try_from(signers.len()).is_ok_and(|found| found >= threshold) {
        Ok(VerifiedKeyring(keyring.clone()))
    } else {
        Err(too_few(signers.len()))
    }
}

impl VerifiedKeyring {
    /// The keyring, if it is not older than version `held` (0 when none was seen).
    ///
    /// # Errors
    /// [`Refusal::KeyringRollback`].
    pub fn at_least(self, held: u64) -> Result<Self, Refusal> {
        let offered = self.0.version();
        if offered < held { Err(Refusal::KeyringRollback { offered, held }) } else { Ok(self) }
    }

    /// What the keyring states.
    pub const fn statement(&self) -> &Statement {
        self.0.statement()
    }

    /// The keyring as it was verified.
    pub const fn keyring(&self) -> &Keyring {
        &self.0
    }

    /// Accepts `layer`, of this kind and name, when the certificate is about it, at least one signature is by a key that
    /// may sign it, and its epoch is not below `floor`.
    ///
    /// # Errors
    /// A [`Refusal`]; of several signatures the one that came nearest to being accepted gives the reason.
    pub fn accept(
        &self,
        certificate: &Certificate,
        layer: LayerId,
        kind: Kind,
        name: &str,
        floor: u32,
    ) -> Result<Accepted, Refusal> {
        let statement = certificate.statement;
        if statement.layer != layer {
            return Err(Refusal::OtherLayer { found: statement.layer, wanted: layer });
        }
        if self.is_revoked(Revocation::Layer(layer)) {
            return Err(Refusal::RevokedLayer(layer));
        }
        if statement.epoch < floor {
            return Err(Refusal::BelowFloor { epoch: statement.epoch, floor });
        }
        let message = certificate.message();
        let mut refusal = Refusal::UnknownKey;
        for signature in certificate.signatures.iter() {
            match self.judge(signature, &message, kind, name, statement.epoch) {
                Ok(key_id) => return Ok(Accepted { epoch: statement.epoch, key_id }),
                Err(reason) if nearness(&reason) > nearness(&refusal) => refusal = reason,
                Err(_) => {}
            }
        }
        Err(refusal)
    }

    fn judge(
        &self,
        signature: &Signature,
        message: &[u8],
        kind: Kind,
        name: &str,
        epoch: u32,
    ) -> Result<KeyId, Refusal> {
        let key_id = signature.key_id;
        let key = self.key(key_id).ok_or(Refusal::UnknownKey)?;
        if self.is_revoked(Revocation::Key(key_id)) {
            return Err(Refusal::RevokedKey(key_id));
        }
        if SignatureAlgorithm::from_number(signature.algorithm).is_none() {
            return Err(Refusal::UnknownAlgorithm(signature.algorithm));
        }
        if !key.may_sign_kind(kind) {
            return Err(Refusal::WrongKind { key: key_id, kind });
        }
        if !key.may_sign_name(name) {
            return Err(Refusal::WrongPrefix { key: key_id, name: name.into() });
        }
        if epoch < key.least_epoch {
            return Err(Refusal::BelowLeastEpoch { key: key_id, epoch, least: key.least_epoch });
        }
        let public = key.public_key().filter(|_| key.algorithm == signature.algorithm);
        match public {
            Some(public) if public.verify(message, &signature.bytes).is_ok() => Ok(key_id),
            _ => Err(Refusal::BadSignature(key_id)),
        }
    }

    fn key(&self, key_id: KeyId) -> Option<&LayerKey> {
        self.statement().keys.iter().find(|key| key.key_id == key_id)
    }

    fn is_revoked(&self, what: Revocation) -> bool {
        self.statement().revocations.binary_search(&what).is_ok()
    }
}

/// How far a signature came before it was refused: the reason worth telling is that of the one that came farthest.
const fn nearness(refusal: &Refusal) -> u8 {
    match refusal {
        Refusal::RevokedKey(_) => 2,
        Refusal::UnknownAlgorithm(_) => 1,
        Refusal::WrongKind { .. } => 3,
        Refusal::WrongPrefix { .. } => 4,
        Refusal::BelowLeastEpoch { .. } => 5,
        Refusal::BadSignature(_) => 6,
        _ => 0,
    }
}
