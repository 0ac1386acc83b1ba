//! Which layers come in: certificates against the keyrings of the store, and those against the pinned roots.
//!
//! The store says which repository a layer came from; that is a hint where to look first and no more. A layer is admitted when
//! some keyring that the pins trust admits it, and none of them revokes it.

use alloc::vec::Vec;

use plyos_blockstore::{Directory, Floors, RecordType};
use plyos_layer_format::descriptor::Descriptor;
use plyos_namespace::generation::GenerationLayer;
use plyos_trust::admission::{self, LayerFacts, TrustedKeyring};
use plyos_trust::keyring::{MAX_LEN, Refusal};
use plyos_trust::pins::Pins;

use crate::records::{self, LONGEST_CERTIFICATE, RecordError};
use crate::store::{Device, Machine};

/// Keyrings of one store that are looked at: each costs checks of signatures. A machine has one for each of its repositories.
const MAX_KEYRINGS: usize = 64;

/// Why a layer was not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// It was accepted without a certificate, which this kernel never does.
    #[error("it is unsigned; only layers with a certificate are accepted here")]
    Unsigned,
    /// The store has no certificate of it.
    #[error("it has no certificate in the store")]
    NoCertificate,
    /// The store has no keyring at all.
    #[error("the store has no keyring that could speak for it")]
    NoKeyring,
    /// No keyring is signed by roots that are pinned here.
    #[error("no keyring of the store is signed by the pinned roots: {0}")]
    Keyring(Refusal),
    /// The keyrings do not admit it, or one revokes it.
    #[error("{0}")]
    Refused(Refusal),
    /// A record could not be used.
    #[error("{0}")]
    Record(#[from] RecordError),
}

/// The check of one generation's layers. Keyrings are checked once for all of them.
pub(crate) struct Gate<'a, D> {
    device: &'a D,
    directory: &'a Directory,
    machine: &'a Machine,
    floors: Floors,
    trusted: Vec<([u8; 32], TrustedKeyring<Vec<u8>>)>,
    /// Of the keyrings that are not trusted, why the first is not.
    untrusted: Option<GateError>,
}

impl<'a, D: Device> Gate<'a, D> {
    /// Reads and checks the keyrings. `keyring_floor` is the version of the newest one seen.
    pub fn new(
        device: &'a D,
        directory: &'a Directory,
        pins: &Pins,
        machine: &'a Machine,
        keyring_floor: u64,
    ) -> Result<Self, GateError> {
        let floors = records::floors(device, directory)?;
        let (mut trusted, mut untrusted) = (Vec::new(), None);
        let every = (RecordType::Keyring, [0; 32])..=(RecordType::Keyring, [0xff; 32]);
        for (key, _) in directory.records.range(every).take(MAX_KEYRINGS) {
            // One that cannot be read speaks for nobody; others may.
            let checked = records::record(device, directory, *key, MAX_LEN as u64)
                .map_err(GateError::Record)
                .and_then(|bytes| bytes.ok_or(GateError::NoKeyring))
                .and_then(|bytes| pins.trust(bytes, keyring_floor).map_err(GateError::Keyring));
            match checked {
                Ok(keyring) => trusted.push((key.1, keyring)),
                Err(reason) => untrusted = untrusted.or(Some(reason)),
            }
        }
        Ok(Self { device, directory, machine, floors, trusted, untrusted })
    }

    /// Whether the layer may be used here. `descriptor` is from an index that was opened by the layer's identity.
    pub fn admit(&self, layer: &GenerationLayer, descriptor: &Descriptor) -> Result<(), GateError> {
        if layer.unsigned {
            return Err(GateError::Unsigned);
        }
        let key = (RecordType::Certificate, *layer.id.as_bytes());
        let certificate = records::record(self.device, self.directory, key, LONGEST_CERTIFICATE)?
            .ok_or(GateError::NoCertificate)?;
        let facts = LayerFacts {
            id: layer.id,
            kind: descriptor.kind(),
            name: descriptor.name(),
            arch: descriptor.arch(),
            abi: descriptor.abi(),
            compatible: descriptor.compatible(),
        };
        let Machine { arch, abis, compatible } = self.machine;
        let machine = admission::Machine { arch, abis, compatible };
        let floor = self.floors.get(facts.kind, facts.name);
        if self.trusted.iter().any(|(_, keyring)| keyring.revokes(layer.id)) {
            return Err(GateError::Refused(Refusal::RevokedLayer(layer.id)));
        }
        let hint = *blake3::hash(layer.repo.as_bytes()).as_bytes();
        let (hinted, others): (Vec<_>, Vec<_>) = self.trusted.iter().partition(|(name, _)| *name == hint);
        let mut refusal = None;
        for (_, keyring) in hinted.into_iter().chain(others) {
            match keyring.admit(&certificate, &facts, floor, &machine) {
                Ok(_) => return Ok(()),
                Err(reason) => refusal = refusal.or(Some(GateError::Refused(reason))),
            }
        }
        Err(refusal.or_else(|| self.untrusted.clone()).unwrap_or(GateError::NoKeyring))
    }
}
