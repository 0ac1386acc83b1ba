//! Certificate and keyring, signed by keys of fixed seeds, and root keys that are pinned.

use anyhow::Result;
use plyos_custody::Signer as _;
use plyos_ids::{Kind, KindSet, LayerId};
use plyos_layer_format::index::layer_id;
use plyos_trust::certificate::{Certificate, Statement};
use plyos_trust::keyring::{self, Keyring, LayerKey, Revocation};
use plyos_trust::pins::{PinnedSet, Pins};
use plyos_trust::signatures::Signatures;

use crate::fixed::{NOW, hash, key};
use crate::layer::small;
use crate::{Again, Golden};

/// The golden files of this module.
pub const GOLDEN: &[Golden] = &[
    Golden {
        name: "certificate.bin",
        section: "Certificate",
        what: "the small layer at epoch 3, signed by the keys of seeds 11 and 12",
        make: || Ok(certificate()?.emit()),
        again: Again::Emit(|bytes| Ok(Certificate::parse(bytes)?.emit())),
    },
    Golden {
        name: "keyring.bin",
        section: "Keyring",
        what: "version 7: the key of seed 11 for two prefixes from epoch 2 on, that of seed 12 for models, three revocations; signed by the root keys of seeds 1 and 2",
        make: || Ok(keyring()?.emit()?),
        again: Again::Emit(|bytes| Ok(Keyring::parse(bytes)?.emit()?)),
    },
    Golden {
        name: "pinned-roots.bin",
        section: "Pinned roots",
        what: "two sets: the root key of seed 6 alone, and two of those of seeds 1, 2 and 7",
        make: || Ok(pins()?.emit()),
        again: Again::Emit(|bytes| Ok(Pins::parse(bytes)?.emit())),
    },
];

/// Seeds of the layer keys.
pub const LAYER_KEYS: [u8; 2] = [11, 12];
/// Seeds of the root keys.
pub const ROOT_KEYS: [u8; 2] = [1, 2];

fn sign(message: &[u8], seeds: &[u8]) -> Result<Signatures> {
    let sign = |seed: &u8| Ok(key(*seed)?.sign(message)?);
    Ok(Signatures::new(seeds.iter().map(sign).collect::<Result<_>>()?)?)
}

/// The certificate.
pub fn certificate() -> Result<Certificate> {
    let statement = Statement { layer: layer_id(&small()?.index), issued_at: NOW, epoch: 3 };
    Ok(Certificate::new(statement, sign(&statement.message(), &LAYER_KEYS)?))
}

/// The keyring.
pub fn keyring() -> Result<Keyring> {
    let [packages, models] = LAYER_KEYS;
    let kinds = KindSet::default().with(Kind::Package).with(Kind::Base);
    let mut statement = keyring::Statement {
        version: 7,
        issued_at: NOW,
        keys: vec![
            LayerKey {
                prefixes: vec!["sam".into(), "lib".into()],
                least_epoch: 2,
                ..LayerKey::new(key(packages)?.public(), kinds)
            },
            LayerKey::new(key(models)?.public(), KindSet::default().with(Kind::Model)),
        ],
        revocations: vec![
            Revocation::Layer(LayerId::from_bytes(hash("a revoked layer"))),
            Revocation::Key(key(13)?.public().key_id()),
            Revocation::Layer(LayerId::from_bytes(hash("another revoked layer"))),
        ],
    };
    statement.normalise();
    let signatures = sign(&statement.message()?, &ROOT_KEYS)?;
    Ok(Keyring::new(statement, signatures)?)
}

/// The pinned roots: two sets, one of which trusts the keyring.
pub fn pins() -> Result<Pins> {
    let set = |threshold, seeds: &[u8]| -> Result<PinnedSet> {
        let keys = seeds.iter().map(|seed| Ok(*key(*seed)?.public())).collect::<Result<Vec<_>>>()?;
        Ok(PinnedSet::new(threshold, keys)?)
    };
    Ok(Pins::new([set(2, &[1, 2, 7])?, set(1, &[6])?])?)
}
