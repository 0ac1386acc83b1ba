//! What of a directory becomes part of the layer, and how.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, PathBuf};

use plyos_layer_format::index::MtimeRule;

use crate::error::BuildError;

/// Whose the entries are in the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Owner {
    /// Owner and group numbers as they are on disk.
    #[default]
    Keep,
    /// All belong to 0:0, whoever built the tree.
    Root,
}

/// How to scan a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanOptions {
    /// Where modification times come from.
    pub mtime: MtimeRule,
    /// Whose the entries are.
    pub owner: Owner,
    /// Paths inside the directory that are left out, each with all below it.
    pub exclude: Vec<PathBuf>,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self { mtime: MtimeRule::Content, owner: Owner::default(), exclude: Vec::new() }
    }
}

/// The exclusions as entry paths.
pub(super) fn excluded_paths(options: &ScanOptions) -> Result<Vec<Vec<u8>>, BuildError> {
    let entry_path = |given: &PathBuf| {
        let mut names = Vec::new();
        for component in given.components() {
            match component {
                Component::Normal(name) => names.push(name.as_bytes()),
                Component::RootDir | Component::CurDir => {}
                Component::ParentDir | Component::Prefix(_) => return None,
            }
        }
        (!names.is_empty()).then(|| names.join(&b'/'))
    };
    let refused = |given: &PathBuf| BuildError::Exclude { path: given.clone() };
    options.exclude.iter().map(|given| entry_path(given).ok_or_else(|| refused(given))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluded(given: &str) -> Result<Vec<Vec<u8>>, BuildError> {
        excluded_paths(&ScanOptions { exclude: vec![given.into()], ..ScanOptions::default() })
    }

    #[test]
    fn spellings_of_one_path_are_one() {
        for given in ["var/cache", "/var/cache/", "./var//cache", "var/./cache"] {
            assert_eq!(excluded(given).unwrap(), [b"var/cache".to_vec()], "{given}");
        }
    }

    #[test]
    fn what_names_nothing_inside_is_refused() {
        for given in ["", "/", ".", "..", "a/../b", "../a"] {
            assert!(matches!(excluded(given), Err(BuildError::Exclude { .. })), "{given}");
        }
    }
}
