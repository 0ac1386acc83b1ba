//! What the rules of a namespace need to know of a layer, without its files.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use plyos_ids::{Kind, Mount, MountType};
use plyos_layer_format::descriptor::Descriptor;

/// A layer's place and rank in a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerInfo {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// Where it stands.
    pub mount: Mount,
    /// Names of layers whose files it may take the place of.
    pub replaces: Vec<String>,
}

impl LayerInfo {
    /// What a descriptor says. A version behind a name in `replaces` is ignored: it tells the solver which upgrades to
    /// choose; which file is seen must not depend on how versions compare.
    pub fn of(descriptor: &Descriptor) -> Self {
        let names = descriptor.replaces().iter().filter_map(|text| text.split(' ').next());
        Self {
            name: descriptor.name().to_string(),
            kind: descriptor.kind(),
            mount: Mount::of(descriptor.kind(), descriptor.name()),
            replaces: names.map(ToString::to_string).collect(),
        }
    }

    /// Order of layers in a generation.
    pub(crate) fn sort_key(&self) -> (MountType, Kind, &str) {
        (self.mount.mount_type, self.kind, &self.name)
    }

    /// Whether the layer's files are part of the tree; a kernel's are not.
    pub const fn is_mounted(&self) -> bool {
        !matches!(self.mount.mount_type, MountType::None | MountType::State)
    }

    /// Whether it is the base, whose files are seen unless another layer replaces them.
    pub(crate) const fn is_base(&self) -> bool {
        matches!(self.mount.mount_type, MountType::Root)
    }

    pub(crate) fn replaces(&self, other: &Self) -> bool {
        self.replaces.contains(&other.name)
    }

    /// Path of the layer's root as namespace paths are written: without leading `/`, empty for `/`.
    pub(crate) fn prefix(&self) -> &[u8] {
        self.mount.path.trim_matches('/').as_bytes()
    }
}
