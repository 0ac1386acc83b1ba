//! The walk over an index's entries as a tree: parents, counts, links, and where each content must lie in the stream.
//!
//! It holds the stack of open directories and the files with several names; both are bounded by the entries that were read.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::page::Step;
use super::{IndexError, IndexHeader, MtimeRule};
use crate::record::{EntryType, Record};
use crate::stream::{END, EntryError, MAX_DEPTH, NameError, Shape, padding, rules, xattr_record_len};

/// A directory whose entries are being walked over. Its path is what the path of the last entry starts with.
struct Open {
    /// Last ordinal below it.
    last: u64,
    /// Bytes of its path.
    path_len: usize,
    is_utf8: bool,
}

impl Open {
    /// Whether `path` is below, when it shares its first `shared` bytes with the path before it.
    fn holds(&self, path: &[u8], shared: usize) -> bool {
        self.path_len == 0 || (shared >= self.path_len && path.get(self.path_len) == Some(&b'/'))
    }
}

/// A file with several names.
struct Linked {
    names_left: u32,
    path_len: usize,
    is_utf8: bool,
    /// Mode, uid, gid, mtime: the same at each name.
    attributes: (u16, u32, u32, i64),
}

/// What the walk knows.
pub(super) struct Tree {
    mtime_rule: MtimeRule,
    entry_count: u64,
    open: Vec<Open>,
    linked: BTreeMap<u64, Linked>,
    offset: u64,
    content_len: u64,
}

impl Tree {
    pub(super) const fn new(header: &IndexHeader) -> Self {
        Self {
            mtime_rule: header.mtime_rule,
            entry_count: header.entry_count,
            open: Vec::new(),
            linked: BTreeMap::new(),
            offset: 0,
            content_len: 0,
        }
    }

    /// Stream offset of the next entry's first header.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes the next entry; `shared` bytes of its path are those of the entry before it, and no more.
    pub(super) fn add(&mut self, step: &Step<'_>, shared: usize) -> Result<(), EntryError> {
        let Step { ordinal, record, path, .. } = step;
        let is_utf8 = self.enter(*ordinal, path, shared)?;
        let is_file = matches!(record.entry_type, EntryType::File | EntryType::HardLink);
        if self.mtime_rule == MtimeRule::Content && !rules::is_content_mtime(is_file, record.mtime) {
            return Err(EntryError::MtimeRule);
        }
        let (link_len, link_is_utf8) = self.link(*ordinal, record, path.len(), is_utf8)?;
        self.place(step, link_len, is_utf8 && link_is_utf8)?;
        if record.entry_type == EntryType::Directory {
            self.open_directory(*ordinal, record.size, path.len(), is_utf8)?;
        }
        Ok(())
    }

    /// Checks that the parent is the innermost open directory. Says whether the path is UTF-8.
    fn enter(&mut self, ordinal: u64, path: &[u8], shared: usize) -> Result<bool, EntryError> {
        // The root is the first entry and no other has an empty path: the walk over the page sees to that.
        if ordinal == 0 {
            return Ok(true);
        }
        while let Some(closed) = self.open.pop_if(|open| open.last < ordinal) {
            if closed.holds(path, shared) {
                return Err(EntryError::Descendants);
            }
        }
        let parent = self.open.last().filter(|open| open.holds(path, shared));
        let parent = parent.ok_or(EntryError::Descendants)?;
        let start = if parent.path_len == 0 { 0 } else { parent.path_len + 1 };
        let name = path.get(start..).unwrap_or_default();
        if name.contains(&b'/') {
            return Err(EntryError::Parent);
        }
        if self.open.len() > MAX_DEPTH {
            return Err(EntryError::Path(NameError::TooDeep));
        }
        Ok(parent.is_utf8 && core::str::from_utf8(name).is_ok())
    }

    /// Counts names. Gives the length of the link target as the stream has it, and whether it is UTF-8.
    fn link(
        &mut self,
        ordinal: u64,
        record: &Record<'_>,
        path_len: usize,
        is_utf8: bool,
    ) -> Result<(usize, bool), EntryError> {
        let attributes = (record.mode, record.uid, record.gid, record.mtime);
        match record.entry_type {
            EntryType::Symlink => Ok((record.target.len(), core::str::from_utf8(record.target).is_ok())),
            EntryType::File if record.link > 1 => {
                let names_left = record.link - 1;
                self.linked.insert(ordinal, Linked { names_left, path_len, is_utf8, attributes });
                Ok((0, true))
            }
            EntryType::HardLink => {
                let target = record.link_target(ordinal)?;
                let first = self.linked.get_mut(&target).ok_or(EntryError::HardLinkTarget)?;
                if first.attributes != attributes {
                    return Err(EntryError::HardLinkDiffers);
                }
                first.names_left = first.names_left.checked_sub(1).ok_or(EntryError::LinkCount)?;
                Ok((first.path_len, first.is_utf8))
            }
            _ => Ok((0, true)),
        }
    }

    /// Moves over the entry's headers and content; a file's content must lie just there.
    fn place(&mut self, step: &Step<'_>, link_len: usize, is_utf8: bool) -> Result<(), EntryError> {
        let record = &step.record;
        let is_file = record.entry_type == EntryType::File;
        let size = if is_file { record.size } else { 0 };
        let (mut xattr_records, mut is_binary) = (0, !is_utf8);
        for (name, value) in record.xattrs() {
            xattr_records += xattr_record_len(name.len(), value.len());
            is_binary |= core::str::from_utf8(name).is_err();
        }
        let shape = Shape {
            path_len: step.path.len(),
            is_directory: record.entry_type == EntryType::Directory,
            link_len,
            size,
            uid: record.uid,
            gid: record.gid,
            is_binary,
            xattr_records,
        };
        let content = self.offset.checked_add(shape.header_len()).ok_or(EntryError::Slice)?;
        if is_file && step.base.checked_add(record.data_offset) != Some(content) {
            return Err(EntryError::Slice);
        }
        let end = content.checked_add(size).and_then(|end| end.checked_add(padding(size) as u64));
        self.offset = end.ok_or(EntryError::Slice)?;
        self.content_len = self.content_len.checked_add(size).ok_or(EntryError::Slice)?;
        Ok(())
    }

    fn open_directory(
        &mut self,
        ordinal: u64,
        descendants: u64,
        path_len: usize,
        is_utf8: bool,
    ) -> Result<(), EntryError> {
        let last = ordinal.checked_add(descendants).ok_or(EntryError::Descendants)?;
        let fits = match self.open.last() {
            Some(parent) => last <= parent.last,
            None => Some(last) == self.entry_count.checked_sub(1),
        };
        if !fits {
            return Err(EntryError::Descendants);
        }
        self.open.push(Open { last, path_len, is_utf8 });
        Ok(())
    }

    /// Checks the sums of the header after the last entry.
    pub(super) fn finish(self, header: &IndexHeader) -> Result<(), IndexError> {
        if let Some((ordinal, _)) = self.linked.iter().find(|(_, file)| file.names_left != 0) {
            return Err(IndexError::entry(*ordinal, &[], EntryError::LinkCount));
        }
        if self.offset.checked_add(END.len() as u64) != Some(header.stream_len) {
            return Err(IndexError::Header("its stream length is not that of its entries"));
        }
        if self.content_len != header.content_len {
            return Err(IndexError::Header("its content length is not that of its entries"));
        }
        Ok(())
    }
}
