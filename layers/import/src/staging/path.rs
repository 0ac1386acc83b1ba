//! Entry paths in stream order: what lies in a directory stands directly after it.

use std::cmp::Ordering;

use plyos_layer_format::entry::compare_paths;

/// A path as the key of an ordered map.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct TreePath(Box<[u8]>);

impl TreePath {
    pub(super) fn new(path: &[u8]) -> Self {
        Self(path.into())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this lies in `directory` at any depth.
    pub(super) fn is_below(&self, directory: &Self) -> bool {
        if directory.0.is_empty() {
            return !self.0.is_empty();
        }
        self.0.strip_prefix(&*directory.0).is_some_and(|rest| rest.first() == Some(&b'/'))
    }
}

impl Ord for TreePath {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_paths(&self.0, &other.0)
    }
}

impl PartialOrd for TreePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
