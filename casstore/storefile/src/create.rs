//! Making a store.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use plyos_blockstore::layout::{MIN_STORE_LEN, UNIT};
use plyos_blockstore::{FormatOptions, OpenError, format, open};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::{Access, FileDevice, Result, Store, StoreDevice, StoreError};

/// What a new store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreateOptions {
    /// Bytes of the store, at least 1 MiB, rounded down to units of 4,096. A file is sparse: it takes room as it fills.
    /// 0 on a block device: all of it.
    pub size: u64,
    /// Whether this machine boots from it.
    pub boots: bool,
}

impl Store {
    /// Makes an empty store in a new file, or on a block device that holds none. The file appears whole or not at all.
    pub fn create(path: impl AsRef<Path>, options: &CreateOptions) -> Result<Self> {
        let path = path.as_ref();
        match std::fs::metadata(path) {
            Ok(about) if about.file_type().is_block_device() => create_on_block_device(path, options)?,
            Ok(_) => return Err(StoreError::Exists { path: path.into(), what: "something is there" }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => create_file(path, options)?,
            Err(error) => return Err(StoreError::io("looking at", path)(error)),
        }
        Self::open(path)
    }
}

impl<D: StoreDevice> Store<D> {
    /// Makes an empty store on a device. What was there is lost. `name` stands for it in messages.
    pub fn create_on_device(device: D, name: impl Into<PathBuf>, options: &CreateOptions) -> Result<Self> {
        let path = name.into();
        let size = if options.size == 0 { device.len() } else { options.size };
        if size < MIN_STORE_LEN || size > device.len() {
            let what = format!("a size of {size} bytes (at least {MIN_STORE_LEN}, at most {})", device.len());
            return Err(StoreError::Invalid { path, what });
        }
        let mut store_uuid = [0; 16];
        getrandom::fill(&mut store_uuid).map_err(|error| {
            StoreError::io("naming the store", &path)(std::io::Error::other(error.to_string()))
        })?;
        let options = FormatOptions { store_uuid, unit_count: size / UNIT, boots: options.boots };
        format(&device, &options).map_err(StoreError::io("making a store at", &path))?;
        Self::on_device(device, path)
    }
}

fn create_on_block_device(path: &Path, options: &CreateOptions) -> Result<()> {
    let device = FileDevice::open(path, Access::Write)?;
    match open(&device) {
        Ok(_)
        | Err(OpenError::TooNew(_) | OpenError::Truncated { .. } | OpenError::DirectoryTooLong { .. }) => {
            return Err(StoreError::Exists { path: path.into(), what: "there is a store already" });
        }
        Err(OpenError::NoValidCopy(_)) => {}
        Err(error @ OpenError::Io(_)) => return Err(StoreError::opening(path, error)),
    }
    Store::create_on_device(device, path, options).map(|_| ())
}

/// Makes the store under another name beside `path` and renames it, so that a cut leaves no half store at `path`.
fn create_file(path: &Path, options: &CreateOptions) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let temporary = path.with_file_name(name);
    let failed = |error| {
        let _ = std::fs::remove_file(&temporary);
        error
    };
    let mut open = OpenOptions::new();
    // Readable for all: what a store holds is public, and who may mount it is decided elsewhere.
    open.read(true).write(true).create(true).truncate(true).mode(0o644);
    let file = open.open(&temporary).map_err(StoreError::io("making", &temporary))?;
    file.set_len(options.size).map_err(StoreError::io("making", &temporary)).map_err(failed)?;
    let device = FileDevice::new(file, path).map_err(failed)?;
    let store = Store::create_on_device(device, path, options).map_err(failed)?;
    store.device.file().sync_all().map_err(StoreError::io("making", path)).map_err(failed)?;
    renameat_with(CWD, &temporary, CWD, path, RenameFlags::NOREPLACE)
        .map_err(|error| failed(StoreError::io("making", path)(error.into())))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|folder| folder.sync_all()).map_err(StoreError::io("making", path))
}
