//! Small trees for layers: contents that compress badly or well, the same on every run.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Bytes that do not compress; `seed` chooses which.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    // xorshift64*: good enough to defeat compression, and needs no crate.
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Lines of text.
pub fn prose(seed: u64, lines: usize) -> Vec<u8> {
    let line = |number: usize| format!("{seed}: line {number} of a text that compresses well\n");
    (0..lines).map(line).collect::<String>().into_bytes()
}

/// A tree to be pushed, removed when it is dropped.
#[derive(Debug)]
pub struct Tree {
    folder: TempDir,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// An empty tree.
    pub fn new() -> Self {
        let folder = TempDir::with_prefix("plyos-tree-").unwrap();
        // Temporary folders are closed to others; a layer's root is not.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where `path` of the tree lies.
    pub fn at(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }

    /// With a file; its folders are made.
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        self
    }

    /// With a file of this mode.
    pub fn mode(self, path: &str, mode: u32) -> Self {
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    /// With an empty folder.
    pub fn folder(self, path: &str) -> Self {
        fs::create_dir_all(self.at(path)).unwrap();
        self
    }

    /// With a symbolic link, dangling or not.
    pub fn link(self, path: &str, target: &str) -> Self {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
        self
    }

    /// With another name for a file.
    pub fn hard_link(self, path: &str, first: &str) -> Self {
        fs::hard_link(self.at(first), self.at(path)).unwrap();
        self
    }

    /// With an extended attribute, where the file system has them.
    pub fn attribute(self, path: &str, name: &str, value: &[u8]) -> Self {
        if let Err(error) = xattr::set(self.at(path), name, value) {
            assert_eq!(error.kind(), std::io::ErrorKind::Unsupported, "setting {name} of {path}");
        }
        self
    }
}

/// A base: a small root with a file that is looked at to see whether anything has changed.
pub fn base() -> Tree {
    Tree::new()
        .file(WITNESS.trim_start_matches('/'), "the base's own words\n")
        .file("usr/bin/sh", "#!/bin/true\n")
        .mode("usr/bin/sh", 0o755)
        .file("usr/share/words", prose(1, 400))
        .folder("var/empty")
        .link("bin", "usr/bin")
}

/// A file of [`base`].
pub const WITNESS: &str = "/etc/witness";

/// [`nasty`] with what a base may hold and a site may not.
pub fn nasty_base() -> Tree {
    nasty().file("modes/setuid", "x").mode("modes/setuid", 0o4755)
}

/// A tree with everything that is hard to carry and that any user may make and any site may hold.
pub fn nasty() -> Tree {
    let long = format!("{}/{}", "a-long-folder-name-to-go-past-one-hundred".repeat(3), "b".repeat(255));
    let tree = Tree::new()
        .file("plain", "plain\n")
        .file("empty", "")
        .folder("empty folder")
        .file("with space and\nnew line", "name\n")
        .file("ünïcödé", "name\n")
        .file(&long, "long\n")
        .link("dangling", "/nowhere/at/all")
        .link("long-link", &"../very-long/".repeat(100))
        .link("up", "../../../../etc/passwd")
        .file("links/first", noise(1, 70_000))
        .hard_link("links/second", "links/first")
        .hard_link("a-third", "links/first")
        .file("modes/secret", "x")
        .mode("modes/secret", 0o600)
        .folder("modes/sticky")
        .mode("modes/sticky", 0o1777)
        .file("sizes/65535", noise(2, 65_535))
        .file("sizes/65536", noise(3, 65_536))
        .file("sizes/512", noise(4, 512))
        .file("sizes/large", noise(5, 1_500_000))
        .file("sizes/holes", vec![0; 3_000_000])
        .attribute("plain", "user.plyos.word", b"value")
        .attribute("plain", "user.plyos.bytes", b"\0\xff=\n")
        .attribute("empty folder", "user.plyos.folder", b"too");
    fs::write(tree.path().join(OsStr::from_bytes(b"not-utf8-\xff\xfe")), "name\n").unwrap();
    tree
}
