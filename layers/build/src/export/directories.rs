//! The directories on the way to what is being written.
//!
//! Entries come parent before child, so the open directories are a stack. One that is left gets its final mode and times; one
//! that its own owner could not enter with that mode gets it at the very end, because a hard link may still lead there.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

use plyos_layer_format::entry::Entry;
use rustix::fs::{Mode, OFlags};

/// How a directory is opened: it must be one, and not be reached by a link.
const OPEN: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A directory that is being filled.
#[derive(Debug)]
pub(super) struct Open {
    pub handle: Rc<OwnedFd>,
    pub entry: Entry,
}

/// The open directories, the root at the bottom.
#[derive(Debug)]
pub(super) struct Directories {
    root: Rc<OwnedFd>,
    stack: Vec<Open>,
}

/// Makes a directory that did not exist and opens it.
pub(super) fn make(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<Rc<OwnedFd>> {
    rustix::fs::mkdirat(parent, name, Mode::RWXU)?;
    Ok(Rc::new(rustix::fs::openat(parent, name, OPEN, Mode::empty())?))
}

impl Directories {
    /// Makes the destination.
    pub(super) fn create(dest: &Path) -> io::Result<Self> {
        rustix::fs::mkdir(dest, Mode::RWXU)?;
        let root = rustix::fs::open(dest, OPEN, Mode::empty())?;
        Ok(Self { root: Rc::new(root), stack: Vec::new() })
    }

    pub(super) fn root(&self) -> Rc<OwnedFd> {
        Rc::clone(&self.root)
    }

    pub(super) fn push(&mut self, open: Open) {
        self.stack.push(open);
    }

    /// Takes the innermost open directory off when `path` does not lie in it; call until there is none. `None` for the path
    /// leaves all.
    pub(super) fn leave(&mut self, path: Option<&[u8]>) -> Option<Open> {
        self.stack.pop_if(|open| !path.is_some_and(|path| is_below(path, &open.entry.path)))
    }

    /// The innermost open directory, if it is the very parent of `path`.
    pub(super) fn parent_of(&self, path: &[u8]) -> Option<Rc<OwnedFd>> {
        let (parent, _) = split(path);
        self.stack.last().filter(|open| open.entry.path == parent).map(|open| Rc::clone(&open.handle))
    }

    /// Opens the directory `path`, component by component, links not followed.
    pub(super) fn open(&self, path: &[u8]) -> io::Result<Rc<OwnedFd>> {
        let mut handle = self.root();
        for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            handle = Rc::new(rustix::fs::openat(&handle, name, OPEN, Mode::empty())?);
        }
        Ok(handle)
    }
}

/// Path of the parent, and the name in it.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (path.get(..slash).unwrap_or_default(), path.get(slash + 1..).unwrap_or_default()),
        None => (&[], path),
    }
}

fn is_below(path: &[u8], directory: &[u8]) -> bool {
    directory.is_empty() || path.strip_prefix(directory).is_some_and(|rest| rest.starts_with(b"/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_is_by_components() {
        assert!(is_below(b"a/b", b"a"));
        assert!(is_below(b"a", b""));
        assert!(!is_below(b"ab", b"a"));
        assert!(!is_below(b"a", b"a"));
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split(b"c"), (&b""[..], &b"c"[..]));
    }
}
