//! Trusting a keyring by the root keys, and certificates by the keyring.

use alloc::vec::Vec;

use plyos_ids::{KeyId, Kind, LayerId, SignatureAlgorithm};

use super::{Keyring, KeyringView, Refusal, Revocation, Statement, view::StatementView};
use crate::certificate::{Certificate, CertificateView};
use crate::key::PublicKey;
use crate::signatures::SignatureView;

/// A keyring that enough root keys signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedKeyring {
    keyring: Keyring,
    bytes: Vec<u8>,
}

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
    let bytes = keyring.emit()?;
    signed_by_roots(&KeyringView::parse(&bytes)?, root_keys, threshold)?;
    Ok(VerifiedKeyring { keyring: keyring.clone(), bytes })
}

/// Refuses a keyring that fewer than `threshold` different keys of `root_keys` signed.
pub(crate) fn signed_by_roots(
    keyring: &KeyringView<'_>,
    root_keys: &[PublicKey],
    threshold: u32,
) -> Result<(), Refusal> {
    if threshold == 0 {
        return Err(Refusal::NoThreshold);
    }
    let message = keyring.message();
    let signed_by = |key: &PublicKey| {
        let id = key.key_id();
        keyring.claims.signatures.iter().any(|signature| {
            signature.key_id == id
                && signature.algorithm == key.algorithm() as u16
                && key.verify(&message, signature.bytes).is_ok()
        })
    };
    // A key that the caller lists twice counts once.
    let first_time =
        |(at, key): &(usize, &PublicKey)| !root_keys.iter().take(*at).any(|before| before == *key);
    let signers = root_keys.iter().enumerate().filter(first_time).filter(|(_, key)| signed_by(key)).count();
    if u32::try_from(signers).is_ok_and(|found| found >= threshold) {
        Ok(())
    } else {
        Err(Refusal::TooFewRootSignatures { found: signers, needed: threshold })
    }
}

impl VerifiedKeyring {
    /// The keyring, if it is not older than version `held` (0 when none was seen).
    ///
    /// # Errors
    /// [`Refusal::KeyringRollback`].
    pub fn at_least(self, held: u64) -> Result<Self, Refusal> {
        let offered = self.keyring.version();
        if offered < held { Err(Refusal::KeyringRollback { offered, held }) } else { Ok(self) }
    }

    /// What the keyring states.
    pub const fn statement(&self) -> &Statement {
        self.keyring.statement()
    }

    /// The keyring as it was verified.
    pub const fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Its bytes, for [`crate::admission::admit`].
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
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
        let (keyring, certificate) = (KeyringView::parse(&self.bytes)?, certificate.emit());
        accept(&keyring.claims.statement, &CertificateView::parse(&certificate)?, layer, kind, name, floor)
    }
}

/// As [`VerifiedKeyring::accept`], over a keyring whose signatures were checked.
pub(crate) fn accept(
    keyring: &StatementView<'_>,
    certificate: &CertificateView<'_>,
    layer: LayerId,
    kind: Kind,
    name: &str,
    floor: u32,
) -> Result<Accepted, Refusal> {
    let statement = certificate.statement;
    if statement.layer != layer {
        return Err(Refusal::OtherLayer { found: statement.layer, wanted: layer });
    }
    if keyring.is_revoked(Revocation::Layer(layer)) {
        return Err(Refusal::RevokedLayer(layer));
    }
    if statement.epoch < floor {
        return Err(Refusal::BelowFloor { epoch: statement.epoch, floor });
    }
    let message = statement.message();
    let mut refusal = Refusal::UnknownKey;
    for signature in certificate.signatures.iter() {
        match judge(keyring, &signature, &message, kind, name, statement.epoch) {
            Ok(key_id) => return Ok(Accepted { epoch: statement.epoch, key_id }),
            Err(reason) if nearness(&reason) > nearness(&refusal) => refusal = reason,
            Err(_) => {}
        }
    }
    Err(refusal)
}

fn judge(
    keyring: &StatementView<'_>,
    signature: &SignatureView<'_>,
    message: &[u8],
    kind: Kind,
    name: &str,
    epoch: u32,
) -> Result<KeyId, Refusal> {
    let key_id = signature.key_id;
    let key = keyring.key(key_id).ok_or(Refusal::UnknownKey)?;
    if keyring.is_revoked(Revocation::Key(key_id)) {
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
        Some(public) if public.verify(message, signature.bytes).is_ok() => Ok(key_id),
        _ => Err(Refusal::BadSignature(key_id)),
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
