//! Paths of the shown generation: finding what is there, and reading it piece by piece.

use alloc::vec::Vec;
use core::ops::Range;

use plyos_layer_format::entry::EntryKind;
use plyos_namespace::namespace::{Found, NamespaceError, Source};

use crate::{
    failure::{Failure, said},
    system::Tree,
    words::shown,
};

/// Bytes that are read at once: enough that a device is asked seldom.
pub(crate) const PIECE: usize = 128 << 10;

/// A path of the namespace as it is shown: absolute, as one word.
pub(crate) fn absolute(path: &[u8]) -> alloc::string::String {
    let mut absolute = alloc::vec![b'/'];
    absolute.extend_from_slice(path.strip_prefix(b"/").unwrap_or(path));
    shown(&absolute)
}

/// An error of a generation's namespace, which is told in the log, too.
pub(crate) fn failed<T: Tree>(tree: &T) -> impl Fn(NamespaceError) -> Failure + '_ {
    |error| Failure::Said(tree.told(&error))
}

/// What a path leads to, all symbolic links followed.
pub(crate) fn resolve<T: Tree>(tree: &T, path: &[u8]) -> Result<Found, Failure> {
    tree.namespace().resolve(path).map_err(failed(tree))?.ok_or_else(|| missing(path))
}

/// What stands at a path: symbolic links on the way are followed, but not the last one.
pub(crate) fn at<T: Tree>(tree: &T, path: &[u8]) -> Result<Found, Failure> {
    let end = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let (above, name) = path.split_at_checked(end).unwrap_or_default();
    if matches!(name, b"" | b"." | b"..") {
        return resolve(tree, path);
    }
    let above = tree.namespace().resolve(above).map_err(failed(tree))?.ok_or_else(|| missing(path))?;
    tree.namespace().child(&above, name).map_err(failed(tree))?.ok_or_else(|| missing(path))
}

fn missing(path: &[u8]) -> Failure {
    said!(
        "cannot find {}: no such path in this generation; 'ls' shows what a directory holds",
        absolute(path)
    )
}

/// A regular file that can be read.
#[derive(Debug)]
pub(crate) struct File {
    found: Found,
    source: Source,
    /// Bytes of content.
    pub(crate) size: u64,
}

impl File {
    /// The file that a path leads to.
    pub(crate) fn open<T: Tree>(tree: &T, path: &[u8]) -> Result<Self, Failure> {
        let found = resolve(tree, path)?;
        match Self::of(tree, found)? {
            Some(file) => Ok(file),
            None => {
                Err(said!("cannot read {}: it is no regular file; 'stat' says what it is", absolute(path)))
            }
        }
    }

    /// The file that was found; `None` when it is something else.
    pub(crate) fn of<T: Tree>(tree: &T, found: Found) -> Result<Option<Self>, Failure> {
        let Some(source) = found.source else { return Ok(None) };
        let Some(layer) = tree.namespace().layers().get(source.layer) else { return Ok(None) };
        let first = layer.first_path(&found.entry).map_err(failed(tree))?;
        match first.as_ref().unwrap_or(&found.entry).kind {
            EntryKind::File { size, .. } => Ok(Some(Self { found, source, size })),
            _ => Ok(None),
        }
    }

    /// Reads from `offset` on as much as there is, at most a whole `out`.
    pub(crate) fn read<T: Tree>(&self, tree: &T, offset: u64, out: &mut [u8]) -> Result<usize, Failure> {
        tree.read(self.source.layer, &self.found.entry, offset, out).map_err(Failure::Said)
    }

    /// Hands out the content of a range piece by piece.
    pub(crate) fn each<T: Tree>(
        &self,
        tree: &T,
        range: Range<u64>,
        mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut piece: Vec<u8> = alloc::vec![0; PIECE];
        let (mut at, end) = (range.start, range.end.min(self.size));
        while at < end {
            let most = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
            let out = piece.get_mut(..most).unwrap_or_default();
            let read = self.read(tree, at, out)?;
            if read == 0 {
                let path = absolute(&self.found.entry.path);
                return Err(said!(
                    "cannot read {path}: it ends at byte {at}, before its size of {}",
                    self.size
                ));
            }
            take(out.get(..read).unwrap_or_default())?;
            at += read as u64;
        }
        Ok(())
    }
}
