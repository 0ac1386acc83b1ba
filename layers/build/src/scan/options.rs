//! What of an input becomes part of the layer, and how: the same rules for directories and for what `plyos-layer-import` reads.

use plyos_layer_format::index::MtimeRule;

use super::{Exclusions, Owner};

/// How to turn a directory (or an archive) into a tree.
#[derive(Debug, Clone)]
pub struct ScanOptions {
    /// Where modification times come from.
    pub mtime: MtimeRule,
    /// Whose the entries are.
    pub owner: Owner,
    /// What is left out.
    pub exclude: Exclusions,
    /// How many levels down the tree begins. On each level above there must be one directory and nothing else, but for what
    /// is left out: two directories are never mixed.
    pub strip: usize,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self { mtime: MtimeRule::Content, owner: Owner::default(), exclude: Exclusions::default(), strip: 0 }
    }
}
