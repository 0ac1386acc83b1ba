//! The kernel's questions and their answers.
//!
//! What may be remembered: everything below the root, for as long as the kernel likes, because a directory node is of one
//! generation and a file node of one layer, and neither ever changes. What may not: the names in the root. Each path
//! that leads through the mount asks for one of them, and there the newest generation is looked for. Opening a
//! file is not asked for at all, for there is nothing to do.

use super::attributes::{self, BLOCK};
use super::caches::Caches;
use super::current::Current;
use super::keeper::Keeper;
use super::listing::{DOTS, Listing, Listings, Room};
use super::log::Log;
use super::mounted::Mounted;
use super::nodes::{Directory, KEEP, Node, Nodes, ROOT};
use super::reading;
use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyXattr, Request,
};
use plyos_layer_format::entry::{Entry, EntryKind};
use plyos_namespace::namespace::{Found, NamespaceError};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// How long the kernel may keep what never changes.
const EVER: Duration = Duration::from_secs(1 << 30);
/// How long it may keep a name in the root.
const NEVER: Duration = Duration::ZERO;
/// Requests of read-ahead that may wait at a time.
const BACKGROUND: u16 = 64;

/// The file system.
pub struct Tree {
    /// What is shown.
    pub current: Arc<Current>,
    /// What the kernel knows.
    pub nodes: Arc<Nodes>,
    /// Chunks and pages.
    pub caches: Arc<Caches>,
    /// Where damage is told.
    pub log: Arc<Log>,
    /// Gives files a second name.
    pub keeper: Keeper,
    /// Name of the keeper's folder in the root.
    pub keep: OsString,
    /// The mount's user.
    pub owner: (u32, u32),
    /// Directories that are open.
    pub listings: Listings,
}

/// A directory by number: the root has no generation of its own.
enum Place {
    Root,
    Keep,
    Inside(Arc<Directory>),
}

impl Tree {
    fn place(&self, number: INodeNo) -> Result<Place, Errno> {
        match number.0 {
            ROOT => Ok(Place::Root),
            KEEP => Ok(Place::Keep),
            number => match self.nodes.get(number) {
                Some(Node::Directory(directory)) => Ok(Place::Inside(directory)),
                Some(Node::File(_)) => Err(Errno::ENOTDIR),
                None => Err(Errno::ESTALE),
            },
        }
    }

    /// A node for what was found; an index that cannot be read is EIO and a line.
    fn enter(&self, mounted: &Arc<Mounted>, found: Found) -> Result<Node, Errno> {
        self.nodes.enter(mounted, found).map_err(|error| self.damaged(mounted, &error))
    }

    fn damaged(&self, mounted: &Mounted, error: &NamespaceError) -> Errno {
        self.log.line(&format!("generation {}: {error}", mounted.number));
        Errno::EIO
    }

    /// A node for what was looked for, if there is something.
    fn answer(
        &self,
        mounted: &Arc<Mounted>,
        found: Result<Option<Found>, NamespaceError>,
    ) -> Result<Option<Node>, Errno> {
        match found {
            Ok(Some(found)) => self.enter(mounted, found).map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(self.damaged(mounted, &error)),
        }
    }

    fn root_attributes(&self, mounted: &Mounted) -> FileAttr {
        attributes::of(ROOT, &mounted.root.entry)
    }

    /// The keeper's folder: the mount's user may look into it, nobody else.
    fn keep_attributes(&self) -> FileAttr {
        let (uid, gid) = self.owner;
        FileAttr {
            ino: INodeNo(KEEP),
            size: 0,
            blocks: 0,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: FileType::Directory,
            perm: 0o500,
            nlink: 1,
            uid,
            gid,
            rdev: 0,
            flags: 0,
            blksize: BLOCK,
        }
    }

    /// The entry of a node, to look at its extended attributes.
    fn with_entry<T>(&self, number: INodeNo, look: impl FnOnce(&Entry) -> T) -> Result<T, Errno> {
        match number.0 {
            ROOT => Ok(look(&self.current.present().root.entry)),
            KEEP => Err(Errno::NO_XATTR),
            number => self.nodes.get(number).map(|node| look(node.entry())).ok_or(Errno::ESTALE),
        }
    }
}

/// Answers a question about extended attributes, which has a first round that asks for the size.
fn answer(bytes: &[u8], size: u32, reply: ReplyXattr) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    if size == 0 {
        reply.size(length);
    } else if size < length {
        reply.error(Errno::ERANGE);
    } else {
        reply.data(bytes);
    }
}

const fn type_of(kind: &EntryKind) -> FileType {
    match kind {
        EntryKind::Directory { .. } => FileType::Directory,
        EntryKind::File { .. } | EntryKind::HardLink { .. } => FileType::RegularFile,
        EntryKind::Symlink { .. } => FileType::Symlink,
        EntryKind::CharDevice { .. } => FileType::CharDevice,
        EntryKind::BlockDevice { .. } => FileType::BlockDevice,
        EntryKind::Fifo => FileType::NamedPipe,
    }
}

impl Filesystem for Tree {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Each is faster where the kernel has it, and the answers are right without.
        for wanted in [
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_CACHE_SYMLINKS,
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_READDIRPLUS_AUTO,
        ] {
            let _ = config.add_capabilities(wanted);
        }
        let _ = config.set_max_background(BACKGROUND);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let (found, keeps) = match self.place(parent) {
            Ok(Place::Root) if name == self.keep => {
                return reply.entry(&EVER, &self.keep_attributes(), Generation(0));
            }
            Ok(Place::Root) => {
                let mounted = self.current.newest();
                (self.answer(&mounted, mounted.in_root(name.as_bytes())), NEVER)
            }
            Ok(Place::Keep) => {
                // Not of a generation that was replaced meanwhile: the name would keep its lease.
                let shown = self.current.present().id;
                let number = name.to_str().and_then(|name| name.parse().ok());
                (Ok(number.and_then(|number| self.nodes.again_if_in(number, &shown))), NEVER)
            }
            Ok(Place::Inside(directory)) => {
                let Directory { mounted, found, .. } = &*directory;
                (self.answer(mounted, mounted.namespace.child(found, name.as_bytes())), EVER)
            }
            Err(error) => (Err(error), NEVER),
        };
        match found {
            Ok(Some(node)) => {
                let keeps = if parent.0 == KEEP { EVER } else { keeps };
                reply.entry_with_ttls(&EVER, &keeps, &node.attributes(), Generation(0));
            }
            Ok(None) if keeps == EVER => {
                // Node 0 with a time: the kernel remembers that there is nothing.
                let nothing = FileAttr { ino: INodeNo(0), ..self.keep_attributes() };
                reply.entry(&EVER, &nothing, Generation(0));
            }
            Ok(None) => reply.error(Errno::ENOENT),
            Err(error) => reply.error(error),
        }
    }

    fn forget(&self, _: &Request, number: INodeNo, lookups: u64) {
        self.nodes.forget(number.0, lookups);
    }

    fn getattr(&self, _: &Request, number: INodeNo, handle: Option<FileHandle>, reply: ReplyAttr) {
        match number.0 {
            ROOT => {
                let opened = handle.and_then(|handle| self.listings.get(handle.0));
                let mounted = opened.map_or_else(|| self.current.newest(), |open| Arc::clone(&open.mounted));
                reply.attr(&EVER, &self.root_attributes(&mounted));
            }
            KEEP => reply.attr(&EVER, &self.keep_attributes()),
            number => match self.nodes.get(number) {
                Some(node) => reply.attr(&EVER, &node.attributes()),
                None => reply.error(Errno::ESTALE),
            },
        }
    }

    fn readlink(&self, _: &Request, number: INodeNo, reply: ReplyData) {
        match self.nodes.get(number.0).as_ref().map(|node| &node.entry().kind) {
            Some(EntryKind::Symlink { target }) => reply.data(target),
            Some(_) => reply.error(Errno::EINVAL),
            None => reply.error(Errno::ESTALE),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // The kernel understands: it opens by itself from now on, and keeps the pages.
        reply.error(Errno::ENOSYS);
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let file = match self.nodes.get(number.0) {
            Some(Node::File(file)) => file,
            Some(Node::Directory(_)) => return reply.error(Errno::EISDIR),
            None => return reply.error(Errno::ESTALE),
        };
        if file.is_first_read() {
            self.keeper.keep(file.number);
        }
        match reading::read(&file, &self.caches, &self.log, offset, size) {
            Some(bytes) => reply.data(&bytes),
            None => reply.error(Errno::EIO),
        }
    }

    fn opendir(&self, _: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let (listing, flags) = match self.place(number) {
            Ok(Place::Root) => {
                let mounted = self.current.newest();
                let root = mounted.root.clone();
                (Listing::new(mounted, root, ROOT), FopenFlags::empty())
            }
            Ok(Place::Inside(directory)) => {
                let (mounted, found) = (Arc::clone(&directory.mounted), directory.found.clone());
                // Never changes: its names may stay with the kernel.
                let flags = FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE;
                (Listing::new(mounted, found, number.0), flags)
            }
            Ok(Place::Keep) => return reply.error(Errno::EACCES),
            Err(error) => return reply.error(error),
        };
        reply.opened(FileHandle(self.listings.open(listing)), flags);
    }

    fn readdir(&self, _: &Request, _: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let Some(open) = self.listings.get(handle.0) else { return reply.error(Errno::ESTALE) };
        for (at, name) in [".", ".."].into_iter().enumerate().skip(offset.min(DOTS) as usize) {
            if reply.add(INodeNo(open.number), at as u64 + 1, FileType::Directory, name) {
                return reply.ok();
            }
        }
        let listed = open.from(offset, |next, found| {
            let name = OsStr::from_bytes(found.entry.name());
            let number = INodeNo(self.nodes.number(&open.mounted, &found));
            let full = reply.add(number, next, type_of(&found.entry.kind), name);
            Ok(if full { Room::Full } else { Room::Some })
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(self.damaged(&open.mounted, &error)),
        }
    }

    fn readdirplus(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let Some(open) = self.listings.get(handle.0) else { return reply.error(Errno::ESTALE) };
        let this = attributes::of(open.number, &open.found.entry);
        for (at, name) in [".", ".."].into_iter().enumerate().skip(offset.min(DOTS) as usize) {
            // The kernel makes no node of these two.
            if reply.add(this.ino, at as u64 + 1, name, &NEVER, &this, Generation(0)) {
                return reply.ok();
            }
        }
        let keeps = if open.number == ROOT { NEVER } else { EVER };
        let listed = open.from(offset, |next, found| {
            let name = found.entry.name().to_vec();
            let node = self.nodes.enter(&open.mounted, found)?;
            let number = INodeNo(node.number());
            let name = OsStr::from_bytes(&name);
            if reply.add(number, next, name, &keeps, &node.attributes(), Generation(0)) {
                self.nodes.forget(number.0, 1);
                return Ok(Room::Full);
            }
            Ok(Room::Some)
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(self.damaged(&open.mounted, &error)),
        }
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.listings.close(handle.0);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let (entries, bytes) = self.current.present().size();
        let longest_name = 255;
        reply.statfs(bytes / u64::from(BLOCK), 0, 0, entries, 0, BLOCK, longest_name, BLOCK);
    }

    fn getxattr(&self, _: &Request, number: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let value = self.with_entry(number, |entry| {
            let xattr = entry.xattrs.iter().find(|xattr| xattr.name == name.as_bytes());
            xattr.map(|xattr| xattr.value.clone())
        });
        match value {
            Ok(Some(value)) => answer(&value, size, reply),
            Ok(None) => reply.error(Errno::NO_XATTR),
            Err(error) => reply.error(error),
        }
    }

    fn listxattr(&self, _: &Request, number: INodeNo, size: u32, reply: ReplyXattr) {
        let names = self.with_entry(number, |entry| {
            let mut names = Vec::new();
            for xattr in &entry.xattrs {
                names.extend_from_slice(&xattr.name);
                names.push(0);
            }
            names
        });
        match names {
            Ok(names) => answer(&names, size, reply),
            Err(error) => reply.error(error),
        }
    }
}
