//! What a layer may hold, by its mount type: which paths, and what gives powers.
//!
//! A package shares `/` with the base and other packages, so it is kept to `usr` and `etc/pkg/defaults`; a model or site has
//! its own directory and is free below it. Device nodes come from a base alone, and files that run with other rights than those of who
//! starts them from a base or a package: content must not become a power because it was installed. The rule is checked
//! when a layer is made and again before it is mounted.

use alloc::{string::String, vec::Vec};

use plyos_ids::MountType;
use plyos_layer_format::entry::{Entry, EntryKind};

/// Bits of a mode by which a file runs as its owner or group.
const SET_ID: u16 = 0o6000;

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    /// It stands where the mount type allows nothing.
    Place,
    /// A file that runs with rights of its own: set-user-id, set-group-id, or capabilities.
    Rights,
    /// A device node.
    Device,
}

/// An entry that a layer of this mount type may not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot accept {:?}: {}; {}", String::from_utf8_lossy(path), reason(*breach, *mount_type), remedy(*breach))]
pub struct RuleViolation {
    /// The path of the first such entry, as in the index.
    pub path: Vec<u8>,
    /// The layer's mount type.
    pub mount_type: MountType,
    /// What is wrong with it.
    pub breach: Breach,
}

/// Why [`check_entries`] did not accept a layer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError<E> {
    /// An entry is none that the layer may hold.
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

const fn reason(breach: Breach, mount_type: MountType) -> &'static str {
    match breach {
        Breach::Rights => "only a base or a package may hold set-id files and files with capabilities",
        Breach::Device => "only a base may hold device nodes",
        Breach::Place => reason_of_place(mount_type),
    }
}

const fn remedy(breach: Breach) -> &'static str {
    match breach {
        Breach::Place | Breach::Device => "move or leave out the file",
        Breach::Rights => "take the bits or the capabilities away",
    }
}

const fn reason_of_place(mount_type: MountType) -> &'static str {
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

/// What is wrong with `entry` in a layer of `mount_type`, if anything is.
pub fn breach(mount_type: MountType, entry: &Entry) -> Option<Breach> {
    let misplaced = !allowed(mount_type, &entry.path, entry.is_directory());
    if misplaced { Some(Breach::Place) } else { power(mount_type, entry) }
}

/// Which power `entry` would give that a layer of `mount_type` may not, wherever it stands.
pub fn power(mount_type: MountType, entry: &Entry) -> Option<Breach> {
    let is_device = matches!(entry.kind, EntryKind::CharDevice { .. } | EntryKind::BlockDevice { .. });
    // On a directory the bits are about the group of new files.
    let has_rights = !entry.is_directory()
        && (entry.mode & SET_ID != 0
            || entry.xattrs.iter().any(|xattr| xattr.name == b"security.capability"));
    let (may_hold_devices, may_hold_rights) = match mount_type {
        MountType::Root | MountType::None => (true, true),
        MountType::Overlay => (false, true),
        MountType::Subtree | MountType::Config | MountType::State => (false, false),
    };
    if is_device && !may_hold_devices {
        Some(Breach::Device)
    } else if has_rights && !may_hold_rights {
        Some(Breach::Rights)
    } else {
        None
    }
}

/// Checks every entry of a layer.
pub fn check_entries<E>(
    mount_type: MountType,
    entries: impl IntoIterator<Item = Result<Entry, E>>,
) -> Result<(), CheckError<E>> {
    for entry in entries {
        let entry = entry.map_err(CheckError::Read)?;
        if let Some(breach) = breach(mount_type, &entry) {
            return Err(CheckError::Rule(RuleViolation { path: entry.path, mount_type, breach }));
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
    use plyos_layer_format::entry::Xattr;

    fn check(mount_type: MountType, entries: Vec<Entry>) -> Result<(), CheckError<Infallible>> {
        check_entries(mount_type, entries.into_iter().map(Ok))
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
    fn set_id_files_and_capabilities_outside_of_base_and_package() {
        let capability = Xattr { name: b"security.capability".to_vec(), value: alloc::vec![1] };
        let plain = || file("usr/x", 1);
        for (what, entry) in [
            ("setuid", Entry { mode: 0o4755, ..plain() }),
            ("setgid", Entry { mode: 0o2755, ..plain() }),
            ("capability", Entry { xattrs: alloc::vec![capability], ..plain() }),
        ] {
            let types = (0..6).filter_map(MountType::from_number);
            let found: Vec<_> = types.map(|mount_type| (mount_type, breach(mount_type, &entry))).collect();
            assert_eq!(found.len(), 6);
            for (mount_type, found) in found {
                let expected = match mount_type {
                    MountType::None | MountType::Root | MountType::Overlay => None,
                    MountType::Subtree => Some(Breach::Rights),
                    MountType::Config | MountType::State => Some(Breach::Place),
                };
                assert_eq!(found, expected, "{what} {mount_type:?}");
            }
        }
        let below_etc = Entry { mode: 0o4755, ..file("etc/x", 1) };
        assert_eq!(breach(MountType::Config, &below_etc), Some(Breach::Rights));
        let shared = Entry { mode: 0o2775, ..directory("usr") };
        assert_eq!(breach(MountType::Subtree, &shared), None, "a directory that hands on its group");
    }

    #[test]
    fn device_nodes_outside_of_a_base() {
        for kind in
            [EntryKind::CharDevice { major: 1, minor: 3 }, EntryKind::BlockDevice { major: 8, minor: 0 }]
        {
            let node = Entry { kind, ..file("usr/node", 0) };
            assert_eq!(breach(MountType::Root, &node), None);
            for mount_type in [MountType::Overlay, MountType::Subtree] {
                assert_eq!(breach(mount_type, &node), Some(Breach::Device));
            }
        }
        let fifo = Entry { kind: EntryKind::Fifo, ..file("usr/pipe", 0) };
        assert_eq!(breach(MountType::Subtree, &fifo), None);
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
        assert_eq!((violation.path.as_slice(), violation.breach), (&b"etc/passwd"[..], Breach::Place));
        for free in [MountType::Root, MountType::Subtree, MountType::None] {
            assert_eq!(check(free, entries.clone()), Ok(()));
        }
    }
}
