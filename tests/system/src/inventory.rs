//! What is in a folder, to be compared with another: types, modes, owners, sizes, link targets, bytes, which names are one
//! file, extended attributes.

use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `-dlcbps`
    pub kind: char,
    /// Low 12 bits; of a symbolic link they mean nothing and are 0.
    pub mode: u32,
    /// Owner and group; only root can compare them.
    pub owner: Option<(u32, u32)>,
    /// Bytes of a file, device number of a device, else 0.
    pub size: u64,
    /// Target of a symbolic link.
    pub target: Option<PathBuf>,
    /// SHA-256 of a file's bytes.
    pub content: Option<[u8; 32]>,
    /// The first path of the file, when it has several names.
    pub first_name: Option<PathBuf>,
    /// Extended attributes, but those of security modules.
    pub attributes: BTreeMap<OsString, Vec<u8>>,
}

/// Entries by path; the root's is empty.
pub type Inventory = BTreeMap<PathBuf, Entry>;

/// Everything below `folder`, and the folder itself.
pub fn of(folder: &Path) -> Inventory {
    let mut found = Inventory::new();
    let mut first_names = HashMap::new();
    visit(folder, Path::new(""), &mut first_names, &mut found);
    found
}

fn visit(top: &Path, path: &Path, first_names: &mut HashMap<(u64, u64), PathBuf>, found: &mut Inventory) {
    let full = if path.as_os_str().is_empty() { top.to_owned() } else { top.join(path) };
    let metadata = fs::symlink_metadata(&full).unwrap();
    let file_type = metadata.file_type();
    let kinds = [
        ('d', file_type.is_dir()),
        ('l', file_type.is_symlink()),
        ('c', file_type.is_char_device()),
        ('b', file_type.is_block_device()),
        ('p', file_type.is_fifo()),
        ('s', file_type.is_socket()),
    ];
    let kind = kinds.into_iter().find(|(_, is)| *is).map_or('-', |(kind, _)| kind);
    let first_name = (kind != 'd' && metadata.nlink() > 1).then(|| {
        first_names.entry((metadata.dev(), metadata.ino())).or_insert_with(|| path.to_owned()).clone()
    });
    let entry = Entry {
        kind,
        mode: if kind == 'l' { 0 } else { metadata.mode() & 0o7777 },
        owner: is_root().then(|| (metadata.uid(), metadata.gid())),
        size: match kind {
            '-' => metadata.len(),
            'c' | 'b' => metadata.rdev(),
            _ => 0,
        },
        target: (kind == 'l').then(|| fs::read_link(&full).unwrap()),
        content: (kind == '-').then(|| Sha256::digest(fs::read(&full).unwrap()).into()),
        first_name,
        attributes: attributes(&full),
    };
    found.insert(path.to_owned(), entry);
    if kind == 'd' {
        // In byte order, so that the first name of a file is the same in every folder.
        let mut names: Vec<OsString> =
            fs::read_dir(&full).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        for name in names {
            visit(top, &path.join(name), first_names, found);
        }
    }
}

/// Whether this runs as root, which keeps owners and may make devices.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

fn attributes(path: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let Ok(names) = xattr::list(path) else { return BTreeMap::new() };
    names
        .filter(|name| !name.as_bytes().starts_with(b"security.selinux"))
        .map(|name| (name.clone(), xattr::get(path, &name).unwrap().unwrap_or_default()))
        .collect()
}

/// Where two inventories are not equal, a line for each entry.
///
/// # Panics
/// When there is nothing to compare with.
pub fn differences(expected: &Inventory, found: &Inventory) -> Vec<String> {
    assert!(expected.len() > 1, "nothing to compare");
    let mut differences = Vec::new();
    for (path, entry) in expected {
        match found.get(path) {
            None => differences.push(format!("{} is missing", path.display())),
            Some(other) if other != entry => {
                differences.push(format!("{}: expected {entry:?}, found {other:?}", path.display()));
            }
            Some(_) => {}
        }
    }
    let unexpected = found.keys().filter(|path| !expected.contains_key(*path));
    differences.extend(unexpected.map(|path| format!("{} was not expected", path.display())));
    differences
}

/// Asserts that two inventories are equal, and says where they are not.
pub fn assert_equal(what: &str, expected: &Inventory, found: &Inventory) {
    let mut differences = differences(expected, found);
    differences.truncate(10);
    assert!(differences.is_empty(), "{what}:\n{}", differences.join("\n"));
}
