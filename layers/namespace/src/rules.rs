//! Which paths a layer may hold, by its mount type.
//!
//! A package shares `/` with the base and other packages, so it is kept to `usr` and `etc/pkg/defaults`; a model or site has
//! its own directory and is free below it. The rule is checked when a layer is made and again before it is mounted.

use alloc::{string::String, vec::Vec};

use plyos_ids::MountType;
use plyos_layer_format::entry::Entry;

/// A path that a layer of this mount type may not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot accept {:?}: {}; move or leave out the file", String::from_utf8_lossy(path), reason(*mount_type))]
pub struct RuleViolation {
    /// The first such path, as in the index.
    pub path: Vec<u8>,
    /// The layer's mount type.
    pub mount_type: MountType,
}

/// Why [`check_paths`] did not accept a layer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError<E> {
    /// A path is outside of what the layer may hold.
    #[error(transparent)]
    Rule(RuleViolation),
    /// Its index could not be read.
    #[error("{0}")]
    Read(E),
}

/// Directories below which anything may stand; `None`: anywhere.
const fn homes(mount_type: MountType) -> Option<&'static [&'static [u8]]> {
    match mount_type {
        MountType::None | MountType::Root | MountType::Subtree => None,
        MountType::Overlay => Some(&[b"usr", b"etc/pkg/defaults"]),
        MountType::Config => Some(&[b"etc"]),
        // State is no layer: nothing may stand in one.
        MountType::State => Some(&[]),
    }
}

const fn reason(mount_type: MountType) -> &'static str {
    match mount_type {
        MountType::Overlay => "a package may hold files only below usr and etc/pkg/defaults",
        MountType::Config => "configuration may hold files only below etc",
        MountType::State => "state is not shipped in layers",
        MountType::None | MountType::Root | MountType::Subtree => "its place is not allowed",
    }
}

/// Whether a layer of `mount_type` may hold `path` (as in an index: relative, the root empty). `directory` says whether it
/// is one: the directories that lead to the allowed places are allowed, files in their stead are not.
pub fn allowed(mount_type: MountType, path: &[u8], directory: bool) -> bool {
    let Some(homes) = homes(mount_type) else { return true };
    homes.iter().any(|home| is_below(path, home) || (directory && (path == *home || is_below(home, path))))
}

/// Checks every entry of a layer.
pub fn check_paths<E>(
    mount_type: MountType,
    entries: impl IntoIterator<Item = Result<Entry, E>>,
) -> Result<(), CheckError<E>> {
    if homes(mount_type).is_none() {
        return Ok(());
    }
    for entry in entries {
        let entry = entry.map_err(CheckError::Read)?;
        if !allowed(mount_type, &entry.path, entry.is_directory()) {
            return Err(CheckError::Rule(RuleViolation { path: entry.path, mount_type }));
        }
    }
    Ok(())
}

/// Whether `path` lies below directory `above`; everything else lies below the root.
pub(crate) fn is_below(path: &[u8], above: &[u8]) -> bool {
    if above.is_empty() {
        return !path.is_empty();
    }
    path.strip_prefix(above).is_some_and(|rest| rest.first() == Some(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{directory, file};
    use alloc::string::ToString;
    use core::convert::Infallible;

    fn check(mount_type: MountType, entries: Vec<Entry>) -> Result<(), CheckError<Infallible>> {
        check_paths(mount_type, entries.into_iter().map(Ok))
    }

    #[test]
    fn a_package_is_kept_to_its_places() {
        for path in ["usr/bin/jq", "usr/x", "etc/pkg/defaults/jq.conf"] {
            assert!(allowed(MountType::Overlay, path.as_bytes(), false), "{path}");
        }
        for path in ["", "usr", "etc", "etc/pkg", "etc/pkg/defaults", "usr/share"] {
            assert!(allowed(MountType::Overlay, path.as_bytes(), true), "{path}");
        }
        for path in [
            "bin",
            "usrx",
            "usr-local/x",
            "etc/passwd",
            "etc/pkg/repos",
            "etc/pkg/defaultsx",
            "var",
            "models",
        ] {
            assert!(!allowed(MountType::Overlay, path.as_bytes(), true), "{path}");
            assert!(!allowed(MountType::Overlay, path.as_bytes(), false), "{path}");
        }
    }

    #[test]
    fn package_with_a_file_in_the_place_of_a_shared_directory() {
        for path in ["", "usr", "etc", "etc/pkg", "etc/pkg/defaults"] {
            assert!(!allowed(MountType::Overlay, path.as_bytes(), false), "{path}");
        }
        let symlink = crate::samples::symlink("usr", "/var/lib/elsewhere");
        let error = check(MountType::Overlay, alloc::vec![directory(""), symlink]).unwrap_err();
        assert!(error.to_string().contains("\"usr\": a package may hold files only below usr"), "{error}");
    }

    #[test]
    fn config_and_state() {
        assert!(allowed(MountType::Config, b"etc/hosts", false) && allowed(MountType::Config, b"etc", true));
        assert!(
            !allowed(MountType::Config, b"usr/bin/x", false) && !allowed(MountType::Config, b"etcx", true)
        );
        assert!(!allowed(MountType::State, b"", true) && !allowed(MountType::State, b"var", true));
    }

    #[test]
    fn the_first_violation_is_named() {
        let entries = alloc::vec![
            directory(""),
            directory("etc"),
            file("etc/passwd", 1),
            directory("opt"),
            file("opt/x", 1)
        ];
        let Err(CheckError::Rule(violation)) = check(MountType::Overlay, entries.clone()) else {
            panic!("accepted")
        };
        assert_eq!(violation.path, b"etc/passwd");
        for free in [MountType::Root, MountType::Subtree, MountType::None] {
            assert_eq!(check(free, entries.clone()), Ok(()));
        }
    }
}
