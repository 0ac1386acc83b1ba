//! A store in a file or on a block device.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use plyos_blockstore::BlockDevice;

use crate::{LockMode, Result, StoreDevice, StoreError};

/// Whether a device is opened for reading only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading only; works on a read-only file system.
    Read,
    /// Reading and writing.
    Write,
}

/// A file or block device. Its length is looked up each time, for somebody else may make the store grow.
#[derive(Debug)]
pub struct FileDevice {
    file: File,
    path: PathBuf,
    is_block: bool,
}

impl FileDevice {
    /// Opens a file or block device that is there.
    pub fn open(path: &Path, access: Access) -> Result<Self> {
        let write = access == Access::Write;
        let file =
            OpenOptions::new().read(true).write(write).open(path).map_err(StoreError::io("opening", path))?;
        Self::new(file, path)
    }

    /// Wraps an open file or block device.
    pub(crate) fn new(file: File, path: &Path) -> Result<Self> {
        let about = file.metadata().map_err(StoreError::io("looking at", path))?;
        let is_block = about.file_type().is_block_device();
        if !is_block && !about.is_file() {
            let why = String::from("it is neither a file nor a block device");
            return Err(StoreError::NotOpened { path: path.into(), why });
        }
        let device = Self { file, path: path.into(), is_block };
        device.measure().map_err(StoreError::io("taking the size of", path))?;
        Ok(device)
    }

    fn measure(&self) -> io::Result<u64> {
        // Reading and writing name their offsets, so nothing depends on where the file stands.
        if self.is_block { (&self.file).seek(SeekFrom::End(0)) } else { Ok(self.file.metadata()?.len()) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) const fn file(&self) -> &File {
        &self.file
    }

    fn set_lock(&self, byte: u64, kind: libc::c_int) -> nix::Result<()> {
        let whole = libc::flock {
            l_type: kind as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: byte as libc::off_t,
            l_len: 1,
            l_pid: 0,
        };
        fcntl(&self.file, FcntlArg::F_OFD_SETLK(&whole)).map(|_| ())
    }
}

impl BlockDevice for FileDevice {
    type Error = io::Error;

    fn len(&self) -> u64 {
        // What cannot be measured has nothing that could be read.
        self.measure().unwrap_or(0)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        // A file must not grow by a write, but by `reach` alone.
        let len = self.measure()?;
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > len) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.file.write_all_at(bytes, offset)
    }

    fn flush(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

impl StoreDevice for FileDevice {
    fn try_lock(&self, byte: u64, mode: LockMode) -> io::Result<bool> {
        let kind = match mode {
            LockMode::Shared => libc::F_RDLCK,
            LockMode::Exclusive => libc::F_WRLCK,
        };
        match self.set_lock(byte, kind as libc::c_int) {
            Ok(()) => Ok(true),
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EACCES) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn unlock(&self, byte: u64) -> io::Result<()> {
        Ok(self.set_lock(byte, libc::F_UNLCK as libc::c_int)?)
    }

    fn reach(&self, len: u64) -> io::Result<()> {
        if len > self.measure()? {
            if self.is_block {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            self.file.set_len(len)?;
        }
        self.file.sync_all()
    }
}
