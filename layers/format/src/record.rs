//! The entry record: 48 fixed bytes, then path suffix, link target and attributes.
//!
//! [`Record`] is the checked view; its borrowed parts cost nothing, so that a whole index can be walked in time linear in its
//! size although paths are prefix-compressed. [`Record::entry`] makes the value.

use alloc::vec::Vec;

use plyos_bytemap::{Cursor, View, put};

use crate::entry::{Entry, EntryKind, Xattr};
use crate::layouts::entry as map;
use crate::stream::{EntryError, MAX_XATTRS, rules};
use crate::xattrs::{self, XattrList};

/// Numbers of entry types. Frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum EntryType {
    Directory = 1,
    File = 2,
    Symlink = 3,
    HardLink = 4,
    CharDevice = 5,
    BlockDevice = 6,
    Fifo = 7,
}

impl EntryType {
    const ALL: [Self; 7] = [
        Self::Directory,
        Self::File,
        Self::Symlink,
        Self::HardLink,
        Self::CharDevice,
        Self::BlockDevice,
        Self::Fifo,
    ];

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|known| *known as u8 == number)
    }
}

/// A record whose fields are in range and fit its type. Path, order and places are not checked here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    pub entry_type: EntryType,
    pub mode: u16,
    pub prefix_len: usize,
    pub uid: u32,
    pub gid: u32,
    pub mtime: i64,
    /// As the type has it: bytes, entries below, or device numbers.
    pub size: u64,
    /// From the page's stream base.
    pub data_offset: u64,
    /// Names of a file, or how far back a hard link's first path stands.
    pub link: u32,
    pub suffix: &'a [u8],
    pub target: &'a [u8],
    xattrs: &'a [u8],
}

impl<'a> Record<'a> {
    /// Takes the next record. Its attributes are checked as well.
    pub(crate) fn take(cursor: &mut Cursor<'a>) -> Result<Self, EntryError> {
        const CUT: EntryError = EntryError::Record("it ends beyond its page");
        let fixed = cursor.take(map::SIZE).ok_or(CUT)?;
        let view = View::new(fixed, &map::LAYOUT).ok_or(CUT)?;
        let record = Self {
            entry_type: EntryType::from_number(view.u8(map::ENTRY_TYPE))
                .ok_or(EntryError::Record("its type is not known"))?,
            mode: view.u16(map::MODE),
            prefix_len: view.u16(map::PREFIX_LEN).into(),
            uid: view.u32(map::UID),
            gid: view.u32(map::GID),
            mtime: i64::from_le_bytes(view.array(map::MTIME)),
            size: view.u64(map::CONTENT_SIZE),
            data_offset: view.u64(map::DATA_OFFSET),
            link: view.u32(map::LINK),
            suffix: cursor.take(view.u16(map::SUFFIX_LEN).into()).ok_or(CUT)?,
            target: cursor.take(view.u16(map::TARGET_LEN).into()).ok_or(CUT)?,
            xattrs: cursor.take(view.u16(map::XATTR_LEN).into()).ok_or(CUT)?,
        };
        if !view.is_zero(map::RESERVED) {
            return Err(EntryError::Record("reserved bytes are in use"));
        }
        record.check_type()?;
        record.check_xattrs()?;
        Ok(record)
    }

    fn check_type(&self) -> Result<(), EntryError> {
        rules::check_numbers(self.mode, self.mtime)?;
        let is_file = self.entry_type == EntryType::File;
        let has = |number: u64| number != 0;
        let (size, link, target) = match self.entry_type {
            EntryType::Directory => (true, false, false),
            EntryType::File => (true, true, false),
            EntryType::Symlink => (false, false, true),
            EntryType::HardLink => (false, true, false),
            EntryType::CharDevice | EntryType::BlockDevice => (true, false, false),
            EntryType::Fifo => (false, false, false),
        };
        if (has(self.size) && !size)
            || (has(self.data_offset) && !is_file)
            || (has(self.link.into()) != link)
            || (self.target.is_empty() == target)
        {
            return Err(EntryError::Record("a field does not fit its type"));
        }
        match self.entry_type {
            EntryType::Symlink => rules::check_target(self.target),
            EntryType::CharDevice | EntryType::BlockDevice => {
                let (major, minor) = self.device();
                rules::check_device(major, minor)
            }
            EntryType::HardLink if !self.xattrs.is_empty() => Err(EntryError::XattrsOfHardLink),
            _ => Ok(()),
        }
    }

    fn check_xattrs(&self) -> Result<(), EntryError> {
        if self.xattrs.len() > MAX_XATTRS {
            return Err(EntryError::XattrsTooLong);
        }
        let mut before = None;
        for item in XattrList::new(self.xattrs) {
            let (name, _) = item.map_err(|_| EntryError::Xattrs)?;
            rules::check_xattr_name(before, name)?;
            before = Some(name);
        }
        Ok(())
    }

    /// Names and values of the attributes.
    pub(crate) fn xattrs(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        XattrList::new(self.xattrs).filter_map(Result::ok)
    }

    /// Bytes of the record if its path had `path_len` bytes of which `prefix_len` are not repeated.
    pub(crate) const fn len_with(&self, path_len: usize, prefix_len: usize) -> usize {
        map::SIZE + (path_len - prefix_len) + self.target.len() + self.xattrs.len()
    }

    const fn device(&self) -> (u32, u32) {
        ((self.size >> 32) as u32, self.size as u32)
    }

    /// The entry of number `ordinal` with this record, in a page whose stream base is `base`.
    pub(crate) fn entry(&self, ordinal: u64, path: &[u8], base: u64) -> Result<Entry, EntryError> {
        let (major, minor) = self.device();
        let kind = match self.entry_type {
            EntryType::Directory => EntryKind::Directory { descendants: self.size },
            EntryType::File => EntryKind::File {
                size: self.size,
                data_offset: base.checked_add(self.data_offset).ok_or(EntryError::Slice)?,
                links: self.link,
            },
            EntryType::Symlink => EntryKind::Symlink { target: self.target.to_vec() },
            EntryType::HardLink => EntryKind::HardLink { target: self.link_target(ordinal)? },
            EntryType::CharDevice => EntryKind::CharDevice { major, minor },
            EntryType::BlockDevice => EntryKind::BlockDevice { major, minor },
            EntryType::Fifo => EntryKind::Fifo,
        };
        let xattrs = self.xattrs().map(|(name, value)| Xattr { name: name.to_vec(), value: value.to_vec() });
        Ok(Entry {
            path: path.to_vec(),
            kind,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            mtime: self.mtime,
            xattrs: xattrs.collect(),
        })
    }

    /// Ordinal of a hard link's first path.
    pub(crate) fn link_target(&self, ordinal: u64) -> Result<u64, EntryError> {
        ordinal.checked_sub(self.link.into()).ok_or(EntryError::HardLinkTarget)
    }
}

/// Bytes of the record of `entry` when `prefix_len` bytes of its path are not repeated.
pub(crate) fn record_len(entry: &Entry, prefix_len: usize) -> usize {
    let target = if let EntryKind::Symlink { target } = &entry.kind { target.len() } else { 0 };
    map::SIZE + (entry.path.len() - prefix_len) + target + xattrs::encoded_len(&entry.xattrs)
}

/// Appends the record of entry number `ordinal`, which has passed [`crate::stream::check_entry`]; `base` is its page's stream
/// base.
pub(crate) fn emit(
    entry: &Entry,
    ordinal: u64,
    prefix_len: usize,
    base: u64,
    out: &mut Vec<u8>,
) -> Result<(), EntryError> {
    let device = |major: u32, minor: u32| u64::from(major) << 32 | u64::from(minor);
    let (entry_type, size, data_offset, link, target): (_, u64, u64, u32, &[u8]) = match &entry.kind {
        EntryKind::Directory { descendants } => (EntryType::Directory, *descendants, 0, 0, &[]),
        EntryKind::File { size, data_offset, links } => {
            let offset = data_offset.checked_sub(base).ok_or(EntryError::Slice)?;
            (EntryType::File, *size, offset, *links, &[])
        }
        EntryKind::Symlink { target } => (EntryType::Symlink, 0, 0, 0, target),
        EntryKind::HardLink { target } => {
            let back = ordinal.checked_sub(*target).and_then(|back| u32::try_from(back).ok());
            (EntryType::HardLink, 0, 0, back.ok_or(EntryError::HardLinkTarget)?, &[])
        }
        EntryKind::CharDevice { major, minor } => (EntryType::CharDevice, device(*major, *minor), 0, 0, &[]),
        EntryKind::BlockDevice { major, minor } => {
            (EntryType::BlockDevice, device(*major, *minor), 0, 0, &[])
        }
        EntryKind::Fifo => (EntryType::Fifo, 0, 0, 0, &[]),
    };
    let suffix = entry.path.get(prefix_len..).unwrap_or_default();
    let mut fixed = [0u8; map::SIZE];
    // check_entry bounds each of these lengths below 65,536.
    let short = |number: usize| (number as u16).to_le_bytes();
    put(&mut fixed, map::ENTRY_TYPE, &[entry_type as u8]);
    put(&mut fixed, map::MODE, &entry.mode.to_le_bytes());
    put(&mut fixed, map::PREFIX_LEN, &short(prefix_len));
    put(&mut fixed, map::SUFFIX_LEN, &short(suffix.len()));
    put(&mut fixed, map::UID, &entry.uid.to_le_bytes());
    put(&mut fixed, map::GID, &entry.gid.to_le_bytes());
    put(&mut fixed, map::MTIME, &entry.mtime.to_le_bytes());
    put(&mut fixed, map::CONTENT_SIZE, &size.to_le_bytes());
    put(&mut fixed, map::DATA_OFFSET, &data_offset.to_le_bytes());
    put(&mut fixed, map::LINK, &link.to_le_bytes());
    put(&mut fixed, map::TARGET_LEN, &short(target.len()));
    put(&mut fixed, map::XATTR_LEN, &short(xattrs::encoded_len(&entry.xattrs)));
    out.extend_from_slice(&fixed);
    out.extend_from_slice(suffix);
    out.extend_from_slice(target);
    xattrs::emit(&entry.xattrs, out);
    Ok(())
}
