//! The lines of the console's `find -l -s`, as entries that can be compared with those of a folder.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use plyos_kernel_console::words;

/// What a line tells of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// `-dlcbp`
    pub kind: char,
    /// Low 12 bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Bytes of a file, 0 for all else.
    pub size: u64,
    /// Seconds since 1970.
    pub mtime: i64,
    /// How many names a file has; 1 for all else.
    pub links: u32,
    /// The first path, in their order, of a file that has several.
    pub first_name: Option<PathBuf>,
    /// Target of a symbolic link.
    pub target: Option<PathBuf>,
    /// Major and minor number of a device.
    pub device: Option<(u32, u32)>,
    /// Extended attributes.
    pub attributes: BTreeMap<OsString, Vec<u8>>,
    /// SHA-256 of a file's bytes in hexadecimal, or why there is none.
    pub content: Option<Result<String, String>>,
}

/// Rows by path, absolute.
pub type Listing = BTreeMap<PathBuf, Row>;

/// Reads the lines.
///
/// # Panics
/// When one is not as `find -l` writes it.
pub fn parse(lines: &[String]) -> Listing {
    let rows = lines.iter().map(|line| row(line).unwrap_or_else(|| panic!("not a line of find -l: {line}")));
    let mut listing = Listing::new();
    for (path, row) in rows {
        assert!(listing.insert(path.clone(), row).is_none(), "{} twice", path.display());
    }
    with_first_names(listing)
}

/// With the first path of a file in the place of what its names have in common.
fn with_first_names(mut listing: Listing) -> Listing {
    let mut first_names = BTreeMap::new();
    for (path, row) in &mut listing {
        if let Some(common) = row.first_name.take() {
            row.first_name = Some(first_names.entry(common).or_insert_with(|| path.clone()).clone());
        }
    }
    listing
}

fn row(line: &str) -> Option<(PathBuf, Row)> {
    let mut words = words::split(line.as_bytes()).ok()?.into_iter();
    let text = |word: Option<Vec<u8>>| String::from_utf8(word?).ok();
    let numbers = |text: String| {
        let (a, b) = text.split_once(':')?;
        Some((a.parse().ok()?, b.parse().ok()?))
    };
    let kind = text(words.next())?.parse().ok()?;
    let mode = u32::from_str_radix(&text(words.next())?, 8).ok()?;
    let owner = numbers(text(words.next())?)?;
    let size = text(words.next())?.parse().ok()?;
    let mtime = text(words.next())?.parse().ok()?;
    let path = PathBuf::from(OsString::from_vec(words.next()?));
    let mut row = Row {
        kind,
        mode,
        owner,
        size,
        mtime,
        links: 1,
        first_name: None,
        target: None,
        device: None,
        attributes: BTreeMap::new(),
        content: None,
    };
    let mut name = None;
    for word in words {
        let at = word.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (&word[..at], word[at + 1..].to_vec());
        match key {
            b"links" => row.links = text(Some(value))?.parse().ok()?,
            // For now what all names of a file have in common.
            b"inode" => row.first_name = Some(PathBuf::from(OsString::from_vec(value))),
            b"to" => row.target = Some(PathBuf::from(OsString::from_vec(value))),
            b"device" => row.device = Some(numbers(text(Some(value))?)?),
            b"xattr" => name = Some(OsString::from_vec(value)),
            b"value" => _ = row.attributes.insert(name.take()?, value),
            b"sha256" => row.content = Some(Ok(text(Some(value))?)),
            b"error" => row.content = Some(Err(text(Some(value))?)),
            _ => return None,
        }
    }
    Some((path, row))
}

/// The same of a folder of this host, its root as `/`, as it would be listed. Modes of symbolic links and times are the host's.
pub fn of_folder(folder: &Path) -> Listing {
    use plyos_test_system::inventory;
    use std::os::unix::fs::MetadataExt as _;
    let mut listing = Listing::new();
    for (path, entry) in inventory::of(folder) {
        let metadata = std::fs::symlink_metadata(folder.join(&path)).unwrap();
        let is_device = matches!(entry.kind, 'c' | 'b');
        let row = Row {
            kind: entry.kind,
            mode: metadata.mode() & 0o7777,
            owner: (metadata.uid(), metadata.gid()),
            size: if is_device { 0 } else { entry.size },
            mtime: metadata.mtime(),
            links: if entry.kind == '-' { u32::try_from(metadata.nlink()).unwrap() } else { 1 },
            first_name: entry.first_name,
            target: entry.target,
            device: is_device.then(|| {
                let device = metadata.rdev();
                (major(device), minor(device))
            }),
            attributes: entry.attributes,
            content: entry.content.map(|sum| Ok(sum.iter().map(|byte| format!("{byte:02x}")).collect())),
        };
        listing.insert(Path::new("/").join(path), row);
    }
    with_first_names(listing)
}

/// Linux's way to put both numbers into one.
const fn major(device: u64) -> u32 {
    ((device >> 8) & 0xfff) as u32 | ((device >> 32) & 0xffff_f000) as u32
}

const fn minor(device: u64) -> u32 {
    (device & 0xff) as u32 | ((device >> 12) & 0xffff_ff00) as u32
}
