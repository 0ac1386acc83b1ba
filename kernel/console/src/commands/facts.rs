//! All that is known of a path without reading its content, and the line that `find -l` makes of it.
//!
//! The line is words with single blanks between them, each as [`crate::words::shown`] writes it, so that
//! [`crate::words::split`] gives them back: `TYPE MODE UID:GID SIZE MTIME PATH`, then as far as they apply `links=N inode=LAYER:ENTRY`
//! (several names of a file have one inode), `to=TARGET`, `device=MAJOR:MINOR`, and for each attribute `xattr=NAME value=VALUE`. TYPE is
//! as `ls` prints it, MODE four octal digits, MTIME seconds since 1970.

use alloc::{format, string::String, vec::Vec};

use plyos_layer_format::entry::{Entry, EntryKind};
use plyos_namespace::namespace::{Found, Source};

use crate::{
    commands::content::{absolute, failed},
    failure::Failure,
    system::Tree,
    words::shown,
};

/// The facts of a path. A name of a file that has several tells the facts of the file.
#[derive(Debug)]
pub(crate) struct Facts {
    /// The path, as it is shown.
    pub(crate) path: String,
    /// The layer that it comes from, and which.
    pub(crate) source: Option<Source>,
    /// Its own entry, or the one at the first path of a file.
    pub(crate) entry: Entry,
    /// Number of the entry that holds the content.
    pub(crate) inode: Option<Source>,
}

impl Facts {
    pub(crate) fn of<T: Tree>(tree: &T, found: &Found) -> Result<Self, Failure> {
        let path = absolute(&found.entry.path);
        let (mut entry, mut inode) = (found.entry.clone(), found.source);
        if let (EntryKind::HardLink { target }, Some(source)) = (&found.entry.kind, found.source) {
            let layer = tree.namespace().layers().get(source.layer);
            let first = layer.map(|layer| layer.first_path(&found.entry)).transpose();
            entry = first.map_err(failed(tree))?.flatten().unwrap_or(entry);
            inode = Some(Source { ordinal: *target, ..source });
        }
        Ok(Self { path, source: found.source, entry, inode })
    }

    /// What it is, in words.
    pub(crate) const fn kind(&self) -> &'static str {
        match self.entry.kind {
            EntryKind::Directory { .. } => "directory",
            EntryKind::File { .. } | EntryKind::HardLink { .. } => "regular file",
            EntryKind::Symlink { .. } => "symbolic link",
            EntryKind::CharDevice { .. } => "character device",
            EntryKind::BlockDevice { .. } => "block device",
            EntryKind::Fifo => "named pipe",
        }
    }

    /// Number of names of a file, 1 for all else.
    pub(crate) const fn links(&self) -> u32 {
        match self.entry.kind {
            EntryKind::File { links, .. } => links,
            _ => 1,
        }
    }

    /// Where a symbolic link points to, as it is shown.
    pub(crate) fn target(&self) -> Option<String> {
        match &self.entry.kind {
            EntryKind::Symlink { target } => Some(shown(target)),
            _ => None,
        }
    }

    /// Major and minor number of a device.
    pub(crate) const fn device(&self) -> Option<(u32, u32)> {
        match self.entry.kind {
            EntryKind::CharDevice { major, minor } | EntryKind::BlockDevice { major, minor } => {
                Some((major, minor))
            }
            _ => None,
        }
    }

    /// The mode as `ls -l` prints it.
    pub(crate) fn mode(&self) -> String {
        let mode = self.entry.mode;
        let mut out = String::from(self.entry.kind.letter());
        for (shift, special, sign) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
            let bits = mode >> shift;
            out.push(if bits & 4 == 0 { '-' } else { 'r' });
            out.push(if bits & 2 == 0 { '-' } else { 'w' });
            out.push(match (mode & special != 0, bits & 1 != 0) {
                (false, false) => '-',
                (false, true) => 'x',
                (true, true) => sign,
                (true, false) => sign.to_ascii_uppercase(),
            });
        }
        out
    }

    /// The line of `find -l`.
    pub(crate) fn line(&self) -> String {
        let Entry { mode, uid, gid, mtime, .. } = self.entry;
        let (sign, size) = (self.entry.kind.letter(), self.entry.size());
        let mut words: Vec<String> =
            alloc::vec![format!("{sign} {mode:04o} {uid}:{gid} {size} {mtime} {}", self.path)];
        if let (links @ 2.., Some(inode)) = (self.links(), self.inode) {
            words.push(format!("links={links} inode={}:{}", inode.layer, inode.ordinal));
        }
        if let EntryKind::Symlink { target } = &self.entry.kind {
            words.push(shown(&[b"to=", target.as_slice()].concat()));
        }
        if let Some((major, minor)) = self.device() {
            words.push(format!("device={major}:{minor}"));
        }
        for xattr in &self.entry.xattrs {
            words.push(shown(&[b"xattr=", xattr.name.as_slice()].concat()));
            words.push(shown(&[b"value=", xattr.value.as_slice()].concat()));
        }
        words.join(" ")
    }
}
