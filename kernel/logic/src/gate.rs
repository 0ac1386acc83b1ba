//! Which layers come in: certificates against the keyrings of the store, and those against the pinned roots.
//!
//! The store says which repository a layer came from; that is a hint where to look first and no more. A layer is admitted when
//! some keyring that the pins trust admits it, and none of them revokes it. So a keyring that cannot be read is no keyring that is
//! not there: it may be the one that revokes, and nothing is admitted without it.

use alloc::vec::Vec;

use plyos_blockstore::{Directory, Floors, RecordType, StoreCopy};
use plyos_layer_format::descriptor::Descriptor;
use plyos_namespace::generation::GenerationLayer;
use plyos_trust::admission::{self, LayerFacts, TrustedKeyring};
use plyos_trust::keyring::{MAX_LEN, Refusal};
use plyos_trust::pins::Pins;

use crate::Level;
use crate::records::{self, LONGEST_CERTIFICATE, RecordError};
use crate::store::{Device, Machine, Store};

/// Keyrings that one store may have: each costs checks of signatures. A machine has one for each of its repositories.
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
    /// The store has more keyrings than are looked at, and one of the others might revoke.
    #[error(
        "the store has more than {MAX_KEYRINGS} keyrings; `pkg repo remove` takes those away that are not used"
    )]
    TooManyKeyrings,
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
    /// Reads and checks the keyrings.
    pub fn new(
        store: &'a Store<D>,
        copy: &'a StoreCopy,
        pins: &Pins,
        machine: &'a Machine,
    ) -> Result<Self, GateError> {
        let (device, directory) = (&store.device, &copy.directory);
        let floors = records::floors(device, directory, store.limits.lists)?;
        let (mut trusted, mut untrusted) = (Vec::new(), None);
        let every = (RecordType::Keyring, [0; 32])..=(RecordType::Keyring, [0xff; 32]);
        let keyrings = directory.records.range(every).map(|(key, _)| *key);
        let count = keyrings.clone().take(MAX_KEYRINGS + 1).count();
        if count > MAX_KEYRINGS {
            return Err(GateError::TooManyKeyrings);
        }
        // The store has one floor, and repositories count their versions each for itself: it says something of a single keyring.
        let floor = if count == 1 { copy.superblock.keyring_floor } else { 0 };
        for key in keyrings {
            let Some(bytes) = records::record(device, directory, key, MAX_LEN as u64)? else { continue };
            // One that the pins do not trust is somebody else's: it speaks for nobody here and revokes nothing.
            match pins.trust(bytes, floor) {
                Ok(keyring) => trusted.push((key.1, keyring)),
                Err(refusal) => {
                    store.log(
                        Level::Warning,
                        format_args!("a keyring of the store does not count: {refusal}"),
                    );
                    untrusted = untrusted.or(Some(GateError::Keyring(refusal)));
                }
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
