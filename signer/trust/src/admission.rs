//! May this layer be used on this machine? The one check of `pkg`, loader and kernel.
//!
//! [`admit`] takes everything as bytes and facts ([`Admission`]) and gives a verdict: [`Admitted`], or the [`Refusal`] with
//! its reason. Bytes are judged where they lie: what is allocated is the signed messages and texts of refusals, each smaller
//! than the bytes it is made of. All of it is public, so nothing needs to take the same time whatever it holds; signatures are
//! checked strictly ([`PublicKey::verify`]).
//!
//! The facts of the layer must come from an index that was opened by its identity: then an altered descriptor is another
//! identity, for which there is no certificate.

use alloc::string::String;

use plyos_ids::{KeyId, Kind, LayerId};

use crate::certificate::CertificateView;
use crate::key::PublicKey;
pub use crate::keyring::Refusal;
use crate::keyring::{self, KeyringView, Revocation};

/// What a layer says of itself, from its verified index.
#[derive(Debug, Clone, Copy)]
pub struct LayerFacts<'a> {
    /// Its identity: the BLAKE3 of the index that the rest comes from.
    pub id: LayerId,
    /// Kind.
    pub kind: Kind,
    /// Name.
    pub name: &'a str,
    /// Architecture in OCI's names, or `any`.
    pub arch: &'a str,
    /// ABI of its programs, if it has any.
    pub abi: Option<&'a str>,
    /// Hardware it is for; none: all.
    pub compatible: &'a [String],
}

/// What the machine is.
#[derive(Debug, Clone, Copy)]
pub struct Machine<'a> {
    /// Architecture in OCI's names.
    pub arch: &'a str,
    /// ABIs that it runs.
    pub abis: &'a [&'a str],
    /// Names of its hardware, the most special first, as a device tree has them.
    pub compatible: &'a [String],
}

/// Who is trusted from the start: built into loader and kernel, kept by `pkg` from the repository's root metadata.
#[derive(Debug, Clone, Copy)]
pub struct PinnedRoots<'a> {
    /// The root keys.
    pub keys: &'a [PublicKey],
    /// How many of them must have signed the keyring.
    pub threshold: u32,
}

/// The least that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Floors {
    /// Version of the newest keyring seen; 0: none.
    pub keyring: u64,
    /// Least security epoch for the layer's kind and name.
    pub epoch: u32,
}

/// The question.
#[derive(Debug, Clone, Copy)]
pub struct Admission<'a> {
    /// A keyring, not checked.
    pub keyring: &'a [u8],
    /// A certificate, not checked.
    pub certificate: &'a [u8],
    /// The layer.
    pub layer: LayerFacts<'a>,
    /// Who is trusted.
    pub roots: PinnedRoots<'a>,
    /// The least that is accepted.
    pub floors: Floors,
    /// The machine.
    pub machine: Machine<'a>,
}

/// A layer that may be used on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// The layer.
    pub layer: LayerId,
    /// Security epoch of its certificate.
    pub epoch: u32,
    /// The key whose signature decided.
    pub key_id: KeyId,
    /// Version of the keyring: the next floor.
    pub keyring_version: u64,
}

/// Answers the question. Signatures come first, so that what is said of a layer that nobody vouches for is never believed.
///
/// # Errors
/// A [`Refusal`]; [`Refusal::is_of_the_machine`] tells those of the machine from those of trust.
pub fn admit(asked: &Admission<'_>) -> Result<Admitted, Refusal> {
    let Admission { keyring, certificate, layer, roots, floors, machine } = *asked;
    TrustedKeyring::check(keyring, roots, floors.keyring)?.admit(certificate, &layer, floors.epoch, &machine)
}

/// A keyring that enough root keys signed: the part of the question that is the same for all layers of a repository, so that a
/// mount of many layers checks it once.
#[derive(Debug, Clone)]
pub struct TrustedKeyring<B>(B);

impl<B: AsRef<[u8]>> TrustedKeyring<B> {
    /// 1. Who may sign: enough root keys say so, and not in an older keyring than the newest one seen (`floor`, a version).
    pub fn check(bytes: B, roots: PinnedRoots<'_>, floor: u64) -> Result<Self, Refusal> {
        Self::check_any(bytes, core::iter::once(roots), floor)
    }

    /// The same where any of several sets of roots may have signed. Of their refusals the one under which the keyring came
    /// farthest is given.
    pub(crate) fn check_any<'a>(
        bytes: B,
        sets: impl Iterator<Item = PinnedRoots<'a>>,
        floor: u64,
    ) -> Result<Self, Refusal> {
        let keyring = KeyringView::parse(bytes.as_ref())?;
        let mut refusal = Refusal::NoThreshold;
        for roots in sets {
            match keyring::signed_by_roots(&keyring, roots.keys, roots.threshold) {
                Ok(()) => {
                    let offered = keyring.claims.statement.version;
                    if offered < floor {
                        return Err(Refusal::KeyringRollback { offered, held: floor });
                    }
                    return Ok(Self(bytes));
                }
                Err(reason) if signers(&reason) >= signers(&refusal) => refusal = reason,
                Err(_) => {}
            }
        }
        Err(refusal)
    }

    /// Whether this keyring revokes the layer. Who trusts several keyrings asks all of them.
    pub fn revokes(&self, layer: LayerId) -> bool {
        // One that was checked parses again.
        KeyringView::parse_again(self.0.as_ref())
            .map_or(true, |keyring| keyring.claims.statement.is_revoked(Revocation::Layer(layer)))
    }

    /// The rest of the question, for one layer. `floor` is the least security epoch for its kind and name.
    pub fn admit(
        &self,
        certificate: &[u8],
        layer: &LayerFacts<'_>,
        floor: u32,
        machine: &Machine<'_>,
    ) -> Result<Admitted, Refusal> {
        let keyring = KeyringView::parse_again(self.0.as_ref())?;
        // 2. Whether one of them signed this very layer.
        let certificate = CertificateView::parse(certificate)?;
        let LayerFacts { id, kind, name, .. } = *layer;
        let statement = &keyring.claims.statement;
        let accepted = keyring::accept(statement, &certificate, id, kind, name, floor)?;
        // 3. Whether this machine can run it.
        fits(layer, machine)?;
        let keyring_version = statement.version;
        Ok(Admitted { layer: id, epoch: accepted.epoch, key_id: accepted.key_id, keyring_version })
    }
}

/// How many roots signed a keyring that was refused for having too few.
const fn signers(refusal: &Refusal) -> usize {
    match refusal {
        Refusal::TooFewRootSignatures { found, .. } => *found,
        _ => 0,
    }
}

fn fits(layer: &LayerFacts<'_>, machine: &Machine<'_>) -> Result<(), Refusal> {
    if layer.arch != "any" && layer.arch != machine.arch {
        return Err(Refusal::WrongArchitecture { found: layer.arch.into(), machine: machine.arch.into() });
    }
    if let Some(abi) = layer.abi.filter(|abi| !machine.abis.contains(abi)) {
        return Err(Refusal::WrongAbi { found: abi.into(), machine: machine.abis.join(", ") });
    }
    let all = layer.compatible.is_empty();
    if !all && !layer.compatible.iter().any(|name| machine.compatible.contains(name)) {
        let machine = match machine.compatible {
            [] => "of no known model".into(),
            names => names.join(", "),
        };
        return Err(Refusal::NotCompatible { found: layer.compatible.join(", "), machine });
    }
    Ok(())
}
