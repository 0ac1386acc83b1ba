//! What an entry may be: the rules of the canonical stream that one entry can break alone or towards its neighbours.

use super::names::{NameError, check_path};
use super::{EPOCH, MAX_DEVICE, MAX_MTIME, MAX_TARGET, MAX_XATTRS};
use crate::entry::{Entry, EntryKind};
use crate::xattrs::encoded_len;

/// Why an entry is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Its path.
    #[error("its path is refused: {0}")]
    Path(#[from] NameError),
    /// The root is not a directory, or the first entry not the root.
    #[error("the first entry, and only the first, must be the root directory")]
    Root,
    /// Mode of more than 12 bits.
    #[error("its mode has more than 12 bits")]
    Mode,
    /// mtime out of range.
    #[error("its mtime is before 1970 or after 2242; set another")]
    Mtime,
    /// mtime that the layer's mtime rule does not give.
    #[error("its mtime is not one that the layer's mtime rule gives")]
    MtimeRule,
    /// Symbolic link target.
    #[error("its link target is empty, longer than {MAX_TARGET} bytes or has a NUL byte")]
    Target,
    /// Encoded attributes are too long.
    #[error("its extended attributes are longer than {MAX_XATTRS} bytes")]
    XattrsTooLong,
    /// Attributes out of order or malformed.
    #[error("its extended attributes are malformed, unsorted or repeated")]
    Xattrs,
    /// An attribute that tar cannot spell.
    #[error("an extended attribute's name is empty, longer than 255 bytes or has `=` or a NUL byte")]
    XattrName,
    /// `trusted.overlay.*`.
    #[error("it has an attribute `trusted.overlay.*`, which a layer must not carry; remove it")]
    XattrOverlay,
    /// Attributes at a hard link.
    #[error("a hard link has no extended attributes of its own; its first path has them")]
    XattrsOfHardLink,
    /// Device numbers above what tar holds.
    #[error("its device numbers are greater than {MAX_DEVICE}")]
    Device,
    /// A file without a name count.
    #[error("a file has at least one name")]
    NoLinks,
    /// A kind of entry that is not known, or reserved bytes in use.
    #[error("its record is malformed ({0})")]
    Record(&'static str),
    /// Not after the entry before it.
    #[error("it is not sorted after the entry before it")]
    Unsorted,
    /// The same path twice.
    #[error("its path stands twice")]
    Duplicate,
    /// Its parent is not there, or is no directory.
    #[error("its parent is missing or no directory")]
    Parent,
    /// A directory's count of entries below it.
    #[error("the count of entries below it (or below a directory around it) is wrong")]
    Descendants,
    /// A hard link whose target is not a file that stands before it.
    #[error("it is a hard link to something that is no file with several names before it")]
    HardLinkTarget,
    /// A hard link that differs from its first path.
    #[error("it is a hard link with another mode, owner or mtime than its first path")]
    HardLinkDiffers,
    /// Fewer or more hard links than the file says.
    #[error("the number of its names is wrong")]
    LinkCount,
    /// Its content does not lie where the stream has it.
    #[error("its content lies elsewhere in the stream, outside of it or over another entry")]
    Slice,
}

/// Checks all that `docs/formats.md` asks of an entry alone. Order, parents, counts and links need its neighbours: see
/// [`crate::index::check`].
pub fn check_entry(entry: &Entry) -> Result<(), EntryError> {
    check_path(&entry.path)?;
    if entry.path.is_empty() && !entry.is_directory() {
        return Err(EntryError::Root);
    }
    check_numbers(entry.mode, entry.mtime)?;
    match &entry.kind {
        EntryKind::Symlink { target } => check_target(target)?,
        EntryKind::CharDevice { major, minor } | EntryKind::BlockDevice { major, minor } => {
            check_device(*major, *minor)?;
        }
        EntryKind::File { links: 0, .. } => return Err(EntryError::NoLinks),
        EntryKind::HardLink { .. } if !entry.xattrs.is_empty() => return Err(EntryError::XattrsOfHardLink),
        EntryKind::Directory { .. }
        | EntryKind::File { .. }
        | EntryKind::HardLink { .. }
        | EntryKind::Fifo => {}
    }
    if encoded_len(&entry.xattrs) > MAX_XATTRS {
        return Err(EntryError::XattrsTooLong);
    }
    let mut before = None;
    for xattr in &entry.xattrs {
        check_xattr_name(before, &xattr.name)?;
        before = Some(xattr.name.as_slice());
    }
    Ok(())
}

pub(crate) fn check_numbers(mode: u16, mtime: i64) -> Result<(), EntryError> {
    if mode > 0o7777 {
        return Err(EntryError::Mode);
    }
    if !(0..=MAX_MTIME).contains(&mtime) {
        return Err(EntryError::Mtime);
    }
    Ok(())
}

pub(crate) fn check_target(target: &[u8]) -> Result<(), EntryError> {
    if target.is_empty() || target.len() > MAX_TARGET || target.contains(&0) {
        return Err(EntryError::Target);
    }
    Ok(())
}

pub(crate) const fn check_device(major: u32, minor: u32) -> Result<(), EntryError> {
    if major > MAX_DEVICE || minor > MAX_DEVICE { Err(EntryError::Device) } else { Ok(()) }
}

/// Checks an attribute's name, which must sort after the one before it.
pub(crate) fn check_xattr_name(before: Option<&[u8]>, name: &[u8]) -> Result<(), EntryError> {
    if name.is_empty() || name.len() > 255 || name.contains(&b'=') || name.contains(&0) {
        return Err(EntryError::XattrName);
    }
    if name.starts_with(b"trusted.overlay.") {
        return Err(EntryError::XattrOverlay);
    }
    if before.is_some_and(|before| before >= name) {
        return Err(EntryError::Xattrs);
    }
    Ok(())
}

/// Whether `mtime` can come from mtime rule 1. That it is the one of the very content is seen only with the content at hand.
pub(crate) fn is_content_mtime(is_file: bool, mtime: i64) -> bool {
    let span = if is_file { super::CONTENT_MTIME_SPAN as i64 } else { 1 };
    (EPOCH..EPOCH + span).contains(&mtime)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Xattr;
    use alloc::vec;
    use alloc::vec::Vec;

    fn entry(path: &[u8], kind: EntryKind) -> Entry {
        Entry { path: path.to_vec(), kind, mode: 0o644, uid: 0, gid: 0, mtime: EPOCH, xattrs: Vec::new() }
    }

    fn with_xattrs(names: &[&[u8]], value_len: usize) -> Entry {
        let xattrs = names.iter().map(|name| Xattr { name: name.to_vec(), value: vec![0; value_len] });
        Entry { xattrs: xattrs.collect(), ..entry(b"a", EntryKind::Fifo) }
    }

    #[test]
    fn each_defect_has_its_error() {
        let file = EntryKind::File { size: 0, data_offset: 512, links: 1 };
        let good = entry(b"a", file.clone());
        assert_eq!(check_entry(&good), Ok(()));
        for (bad, error) in [
            (entry(b"../a", file.clone()), EntryError::Path(NameError::Dots)),
            (entry(b"", file), EntryError::Root),
            (Entry { mode: 0o10_000, ..good.clone() }, EntryError::Mode),
            (Entry { mtime: -1, ..good.clone() }, EntryError::Mtime),
            (Entry { mtime: MAX_MTIME + 1, ..good }, EntryError::Mtime),
            (entry(b"a", EntryKind::Symlink { target: vec![] }), EntryError::Target),
            (entry(b"a", EntryKind::Symlink { target: vec![b'a'; 4_096] }), EntryError::Target),
            (entry(b"a", EntryKind::Symlink { target: vec![b'a', 0] }), EntryError::Target),
            (entry(b"a", EntryKind::CharDevice { major: MAX_DEVICE + 1, minor: 0 }), EntryError::Device),
            (entry(b"a", EntryKind::BlockDevice { major: 0, minor: u32::MAX }), EntryError::Device),
            (entry(b"a", EntryKind::File { size: 0, data_offset: 0, links: 0 }), EntryError::NoLinks),
            (with_xattrs(&[b"user.a"], 7_991), EntryError::XattrsTooLong),
            (with_xattrs(&[b"user.b", b"user.a"], 0), EntryError::Xattrs),
            (with_xattrs(&[b"user.a", b"user.a"], 0), EntryError::Xattrs),
            (with_xattrs(&[b""], 0), EntryError::XattrName),
            (with_xattrs(&[b"user.a=b"], 0), EntryError::XattrName),
            (with_xattrs(&[b"user.\0"], 0), EntryError::XattrName),
            (with_xattrs(&[&[b'u'; 256]], 0), EntryError::XattrName),
            (with_xattrs(&[b"trusted.overlay.opaque"], 1), EntryError::XattrOverlay),
            (
                Entry { kind: EntryKind::HardLink { target: 0 }, ..with_xattrs(&[b"user.a"], 1) },
                EntryError::XattrsOfHardLink,
            ),
        ] {
            assert_eq!(check_entry(&bad), Err(error), "{bad:?}");
        }
        assert_eq!(check_entry(&with_xattrs(&[b"user.a"], 7_990)), Ok(()));
    }
}
