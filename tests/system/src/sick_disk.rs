//! A disk with places that it cannot read: a file system of one file, which passes everything on to a file below and
//! answers EIO where it was told to. Programs meet it as any other file; nothing is cached, so that each read comes here.

use crate::target::Target;
use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite,
    Request, WriteFlags,
};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::{FileExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

const NAME: &str = "disk";
const FILE: INodeNo = INodeNo(2);

/// Byte ranges that cannot be read.
type Sick = Arc<Mutex<Vec<Range<u64>>>>;

/// The disk below a target's store, until it is dropped.
#[derive(Debug)]
pub struct SickDisk {
    sick: Sick,
    below: PathBuf,
    mounted: PathBuf,
    _session: BackgroundSession,
}

impl SickDisk {
    /// Puts a disk, healthy as yet, below the store of a target. `None`, said on stderr, where FUSE cannot be used: the
    /// test does nothing then.
    pub fn below(target: &Target) -> Option<Self> {
        let (below, mounted) = (target.beside("below"), target.beside("mounted"));
        fs::create_dir(&mounted).unwrap();
        fs::rename(target.store(), &below).unwrap();
        let file = File::options().read(true).write(true).open(&below).unwrap();
        let sick = Sick::default();
        let disk = Disk { file, sick: Arc::clone(&sick) };
        match fuser::spawn_mount(disk, &mounted, &Config::default()) {
            Ok(session) => {
                symlink(mounted.join(NAME), target.store()).unwrap();
                Some(Self { sick, below, mounted, _session: session })
            }
            Err(error) => {
                eprintln!("SKIPPED: no disk is made unreadable here, for FUSE cannot be used: {error}");
                None
            }
        }
    }

    /// From now on these bytes cannot be read. They can be written, which does not heal them.
    pub fn lose(&self, bytes: Range<u64>) {
        self.sick.lock().unwrap().push(bytes);
    }

    /// From now on everything can be read.
    pub fn heal(&self) {
        self.sick.lock().unwrap().clear();
    }

    /// What the disk holds, whether it can be read or not.
    pub fn content(&self) -> Vec<u8> {
        fs::read(&self.below).unwrap()
    }
}

impl Drop for SickDisk {
    fn drop(&mut self) {
        // A program that is just ending may have it open: it goes out of the tree nevertheless. Who may not do this has the session's own end.
        let _ = Command::new("umount").arg("-l").arg(&self.mounted).stderr(Stdio::null()).status();
    }
}

struct Disk {
    file: File,
    sick: Sick,
}

impl Disk {
    fn attributes(&self, inode: INodeNo) -> FileAttr {
        let is_file = inode == FILE;
        let size = if is_file { self.file.metadata().map_or(0, |about| about.len()) } else { 0 };
        FileAttr {
            ino: inode,
            size,
            blocks: size.div_ceil(512),
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if is_file { FileType::RegularFile } else { FileType::Directory },
            perm: if is_file { 0o644 } else { 0o755 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            flags: 0,
            blksize: 4096,
        }
    }
}

impl Filesystem for Disk {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if parent == INodeNo::ROOT && name == NAME {
            reply.entry(&Duration::ZERO, &self.attributes(FILE), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&Duration::ZERO, &self.attributes(inode));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let end = offset + u64::from(size);
        if self.sick.lock().unwrap().iter().any(|sick| sick.start < end && offset < sick.end) {
            return reply.error(Errno::EIO);
        }
        let mut bytes = vec![0; size as usize];
        match self.file.read_at(&mut bytes, offset) {
            Ok(count) => reply.data(bytes.get(..count).unwrap_or_default()),
            Err(_) => reply.error(Errno::EIO),
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.file.write_all_at(data, offset) {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(_) => reply.error(Errno::EIO),
        }
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        match self.file.sync_data() {
            Ok(()) => reply.ok(),
            Err(_) => reply.error(Errno::EIO),
        }
    }
}
