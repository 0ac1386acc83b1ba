//! Why a keyring, a certificate or a layer was refused: one reason each, with what to do next.

use alloc::string::String;

use plyos_ids::{KeyId, Kind, LayerId};

use super::KeyringError;
use crate::certificate::CertificateError;

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
    #[error(
        "the certificate is for layer {found}, not for {wanted}: its index or descriptor was altered, or it is another layer's; fetch it again"
    )]
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
    /// The bytes are no keyring.
    #[error("{0}; run `pkg update`")]
    Keyring(#[from] KeyringError),
    /// The bytes are no certificate; two signatures by one key are none either.
    #[error("{0}; fetch it again")]
    Certificate(#[from] CertificateError),
    /// Made for another processor.
    #[error("the layer is for {found}, and this machine is {machine}; install the one for {machine}")]
    WrongArchitecture {
        /// Architecture of the layer.
        found: String,
        /// That of the machine.
        machine: String,
    },
    /// Its programs speak to another kernel.
    #[error(
        "the layer's programs need ABI {found}, and this machine has {machine}; install one built for that"
    )]
    WrongAbi {
        /// ABI of the layer.
        found: String,
        /// Those of the machine.
        machine: String,
    },
    /// Made for other hardware.
    #[error(
        "the layer is for hardware {found}, and this machine is {machine}; install one that is compatible with it"
    )]
    NotCompatible {
        /// What the layer is for.
        found: String,
        /// What the machine is.
        machine: String,
    },
}

impl Refusal {
    /// Whether the layer is trusted and fits this machine no more than that: another machine may take it.
    pub const fn is_of_the_machine(&self) -> bool {
        matches!(self, Self::WrongArchitecture { .. } | Self::WrongAbi { .. } | Self::NotCompatible { .. })
    }
}
