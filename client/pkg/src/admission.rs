//! Asking of a layer what loader and kernel ask too: [`plyos_trust::admission`], with this machine's facts.

use crate::target::ABIS;
use plyos_ids::LayerId;
use plyos_layer_format::descriptor::Descriptor;
use plyos_report::{ExitCode, Failure};
use plyos_trust::admission::{Admitted, LayerFacts, Machine, PinnedRoots, Refusal, TrustedKeyring};
use plyos_trust::tuf::RoleKeys;
use std::sync::OnceLock;

/// Where Linux shows the names of the hardware, if it was told them by a device tree: texts that end in NUL.
const DEVICE_TREE: &str = "/sys/firmware/devicetree/base/compatible";
/// Names of hardware that are looked at.
const MAX_NAMES: usize = 64;

/// A layer with what vouches for it.
pub struct Asked<'a, B> {
    /// `NAME VERSION is refused`, for messages.
    pub doing: &'a str,
    /// Its repository's keyring.
    pub keyring: &'a TrustedKeyring<B>,
    /// Its certificate.
    pub certificate: &'a [u8],
    /// Its identity.
    pub layer: LayerId,
    /// Its descriptor.
    pub descriptor: &'a Descriptor,
    /// Least security epoch for its name.
    pub floor: u32,
}

/// A keyring that the repository's root signed. Its age was checked when it was fetched, against the one before.
pub fn keyring<B: AsRef<[u8]>>(doing: &str, bytes: B, root: &RoleKeys) -> Result<TrustedKeyring<B>, Failure> {
    let roots = PinnedRoots { keys: &root.keys(), threshold: root.threshold() };
    TrustedKeyring::check(bytes, roots, 0).map_err(|refusal| refused(doing, &refusal))
}

/// Whether this machine may use the layer.
pub fn admit<B: AsRef<[u8]>>(asked: &Asked<'_, B>) -> Result<Admitted, Failure> {
    let Asked { doing, keyring, certificate, layer, descriptor, floor } = *asked;
    let layer = LayerFacts {
        id: layer,
        kind: descriptor.kind(),
        name: descriptor.name(),
        arch: descriptor.arch(),
        abi: descriptor.abi(),
        compatible: descriptor.compatible(),
    };
    let machine = Machine {
        arch: plyos_plan::machine_arch(std::env::consts::ARCH),
        abis: ABIS,
        compatible: hardware(),
    };
    keyring.admit(certificate, &layer, floor, &machine).map_err(|refusal| refused(doing, &refusal))
}

fn refused(doing: &str, refusal: &Refusal) -> Failure {
    let code = if refusal.is_of_the_machine() { ExitCode::Machine } else { ExitCode::Signature };
    Failure::new(code, format!("{doing}: {refusal}"))
}

/// Names of this hardware; none where nobody says.
pub fn hardware() -> &'static [String] {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    NAMES.get_or_init(|| names(&std::fs::read(DEVICE_TREE).unwrap_or_default()))
}

fn names(property: &[u8]) -> Vec<String> {
    let texts = property.split(|byte| *byte == 0).filter(|text| !text.is_empty());
    texts.filter_map(|text| String::from_utf8(text.to_vec()).ok()).take(MAX_NAMES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_trees_names() {
        assert_eq!(names(b"acme,board-2\0acme,board\0"), ["acme,board-2", "acme,board"]);
        assert_eq!(names(b"\xff\0acme\0\0"), ["acme"]);
        assert!(names(b"").is_empty());
        assert_eq!(names(&b"x\0".repeat(1000)).len(), MAX_NAMES);
    }
}
