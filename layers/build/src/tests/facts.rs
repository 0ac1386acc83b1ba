//! What is true of a directory on disk, found without the code under test.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Facts of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    pub what: What,
    pub mode: u32,
    pub mtime: i64,
    pub owner: (u32, u32),
    pub links: u64,
    pub attributes: BTreeMap<Vec<u8>, Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Directory,
    /// Content by its hash, and the first path in order that is the same inode.
    File {
        size: u64,
        hash: blake3::Hash,
        first_path: Vec<u8>,
    },
    Symlink(Vec<u8>),
    Fifo,
    Device(u64),
}

pub(super) type Facts = BTreeMap<Vec<u8>, Fact>;

pub(super) fn of(root: &Path) -> Facts {
    let mut facts = Facts::new();
    let mut inodes = BTreeMap::new();
    // Sorted by components: so the first path of an inode is the one that a layer has first.
    let mut paths = vec![PathBuf::new()];
    list(root, Path::new(""), &mut paths);
    for path in paths {
        let full = root.join(&path);
        let meta = fs::symlink_metadata(&full).unwrap();
        let name = path.as_os_str().as_bytes().to_vec();
        let kind = meta.file_type();
        let what = if kind.is_dir() {
            What::Directory
        } else if kind.is_symlink() {
            What::Symlink(fs::read_link(&full).unwrap().into_os_string().into_vec())
        } else if kind.is_fifo() {
            What::Fifo
        } else if kind.is_file() {
            let first_path = inodes.entry(meta.ino()).or_insert_with(|| name.clone()).clone();
            What::File { size: meta.len(), hash: blake3::hash(&fs::read(&full).unwrap()), first_path }
        } else {
            What::Device(meta.rdev())
        };
        let attributes = xattr::list(&full).unwrap().filter(|name| name != "security.selinux");
        let attributes = attributes
            .map(|name| (name.as_bytes().to_vec(), xattr::get(&full, &name).unwrap().unwrap()))
            .collect();
        let links = if kind.is_dir() { 0 } else { meta.nlink() };
        let owner = (meta.uid(), meta.gid());
        let fact = Fact { what, mode: meta.mode() & 0o7777, mtime: meta.mtime(), owner, links, attributes };
        facts.insert(name, fact);
    }
    facts
}

fn list(root: &Path, below: &Path, paths: &mut Vec<PathBuf>) {
    let mut names: Vec<_> =
        fs::read_dir(root.join(below)).unwrap().map(|item| item.unwrap().file_name()).collect();
    names.sort();
    for name in names {
        let path = below.join(name);
        let is_directory = fs::symlink_metadata(root.join(&path)).unwrap().is_dir();
        paths.push(path.clone());
        if is_directory {
            list(root, &path, paths);
        }
    }
}

/// Compares path by path, so that a failure names the path and not two whole trees.
#[track_caller]
pub(super) fn assert_same(left: &Facts, right: &Facts) {
    assert_eq!(left.keys().collect::<Vec<_>>(), right.keys().collect::<Vec<_>>());
    for (path, fact) in left {
        assert_eq!(Some(fact), right.get(path), "{}", path.escape_ascii());
    }
}
