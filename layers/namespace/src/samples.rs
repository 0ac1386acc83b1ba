//! Entries and layers for the tests of this crate.

use alloc::{string::ToString, vec::Vec};

use plyos_ids::{Kind, Mount};
use plyos_layer_format::entry::{Entry, EntryKind};

use crate::layer::LayerInfo;

pub mod index;

fn entry(path: &str, mode: u16, kind: EntryKind) -> Entry {
    Entry { path: path.into(), kind, mode, uid: 0, gid: 0, mtime: 1_577_836_800, xattrs: Vec::new() }
}

/// A directory whose count of descendants is not set.
pub fn directory(path: &str) -> Entry {
    entry(path, 0o755, EntryKind::Directory { descendants: 0 })
}

/// A file of `size` bytes at no particular place.
pub fn file(path: &str, size: u64) -> Entry {
    entry(path, 0o644, EntryKind::File { size, data_offset: 0, links: 1 })
}

/// A symbolic link.
pub fn symlink(path: &str, target: &str) -> Entry {
    entry(path, 0o777, EntryKind::Symlink { target: target.into() })
}

/// A layer's facts.
pub fn info(kind: Kind, name: &str, replaces: &[&str]) -> LayerInfo {
    LayerInfo {
        name: name.to_string(),
        kind,
        mount: Mount::of(kind, name),
        replaces: replaces.iter().map(ToString::to_string).collect(),
    }
}

/// The base, called `base`.
pub fn base() -> LayerInfo {
    info(Kind::Base, "base", &[])
}

/// A package.
pub fn package(name: &str, replaces: &[&str]) -> LayerInfo {
    info(Kind::Package, name, replaces)
}
