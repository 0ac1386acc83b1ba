//! Objects that are published together, in an order: whoever sees one of them sees all before it, also after a power cut.
//!
//! A bucket is told one after the other. In a local directory each of them would wait for the disk twice, for its bytes and for its name. So all
//! bytes are written under other names and flushed side by side; then come the renames, in the order; then each directory is flushed, in the order
//! again, for not every file system keeps renames in order by itself. When the first directory is flushed, journals have mostly taken along
//! the others.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use object_store::path::Path;

use crate::error::StoreError;
use crate::objects::Objects;
use crate::upload::blocking;

/// One of several objects. What belongs into one directory must follow each other.
#[derive(Debug)]
pub(crate) enum Part {
    /// Bytes in memory, whatever stood there.
    Bytes { to: Path, bytes: Bytes },
    /// A file of the local storage, of which the first `length` bytes count.
    File { to: Path, file: Arc<File>, from: PathBuf, length: u64 },
}

impl Objects {
    /// Writes all of them. After a failure the first few may have been written.
    pub(crate) async fn write_in_order(&self, parts: Vec<Part>) -> Result<(), StoreError> {
        if let Some(directory) = self.directory() {
            let obstructed = parts.first().map(Part::to).cloned().unwrap_or_default();
            let written = blocking("publish", move || write_locally(&directory, parts)).await;
            return written.map_err(|e| e.sorted(&obstructed));
        }
        for part in parts {
            match part {
                Part::Bytes { to, bytes } => self.write_small(&to, bytes).await?,
                Part::File { .. } => {
                    let source = io::Error::other("a bucket takes no local file");
                    return Err(StoreError::Staging { doing: "publish", source });
                }
            }
        }
        Ok(())
    }
}

impl Part {
    const fn to(&self) -> &Path {
        match self {
            Self::Bytes { to, .. } | Self::File { to, .. } => to,
        }
    }
}

/// A file that lies under another name until it is complete.
struct Staged {
    from: PathBuf,
    to: PathBuf,
    file: Arc<File>,
    /// Cut to so many bytes: a failed append may have left a tail.
    length: Option<u64>,
}

fn write_locally(root: &FilePath, parts: Vec<Part>) -> io::Result<()> {
    let mut staged = Vec::with_capacity(parts.len());
    let mut folders = Vec::new();
    let written = parts.into_iter().try_for_each(|part| {
        let to = root.join(part.to().as_ref());
        make_folders(&to, &mut folders)?;
        match part {
            Part::Bytes { bytes, .. } => {
                let (mut file, from) = create_beside(&to)?;
                let written = file.write_all(&bytes);
                staged.push(Staged { from, to, file: Arc::new(file), length: None });
                written
            }
            Part::File { file, from, length, .. } => {
                staged.push(Staged { from, to, file, length: Some(length) });
                Ok(())
            }
        }
    });
    let published = written.and_then(|()| flush(&staged)).and_then(|()| {
        for Staged { from, to, length, .. } in &staged {
            std::fs::rename(from, to)?;
            if length.is_some() {
                // It went away from there, which is of no use to anybody who does not see it here.
                folders.extend(from.parent().map(FilePath::to_owned));
            }
        }
        folders.dedup();
        folders.iter().try_for_each(|folder| File::open(folder)?.sync_all())
    });
    if published.is_err() {
        for Staged { from, .. } in staged.iter().filter(|staged| staged.length.is_none()) {
            // Those that were renamed are not there any more.
            let _ = std::fs::remove_file(from);
        }
    }
    published
}

/// Makes the directory of `file` if need be, and adds those to flush: it and, if it is new, all up to one that was there.
fn make_folders(file: &FilePath, flush: &mut Vec<PathBuf>) -> io::Result<()> {
    let Some(folder) = file.parent() else { return Ok(()) };
    let is_new = !folder.is_dir();
    flush.push(folder.to_owned());
    if is_new {
        let mut above = folder;
        while !above.is_dir() {
            let Some(next) = above.parent() else { break };
            above = next;
            flush.push(above.to_owned());
        }
        std::fs::create_dir_all(folder)?;
    }
    Ok(())
}

/// A new file beside the one that it will become. Names that end in `#` and a number are not listed.
fn create_beside(file: &FilePath) -> io::Result<(File, PathBuf)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let mut name = file.as_os_str().to_owned();
        name.push(format!("#{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        match OpenOptions::new().write(true).create_new(true).open(&name) {
            // Left by a process that was killed, or being written beside this.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            file => return Ok((file?, name.into())),
        }
    }
}

/// Flushes all files, side by side: the disk then does in one go what it would do one after the other.
fn flush(staged: &[Staged]) -> io::Result<()> {
    let flush = |Staged { file, length, .. }: &Staged| {
        if let Some(length) = *length {
            file.set_len(length)?;
        }
        file.sync_all()
    };
    let Some((first, others)) = staged.split_first() else { return Ok(()) };
    std::thread::scope(|scope| {
        let others: Vec<_> = others
            .iter()
            .map(|one| std::thread::Builder::new().spawn_scoped(scope, move || flush(one)))
            .collect();
        let mut flushed = flush(first);
        for other in others {
            let stopped = |_| Err(io::Error::other("a thread that flushes has stopped"));
            flushed = flushed.and(other?.join().unwrap_or_else(stopped));
        }
        flushed
    })
}

#[cfg(test)]
mod tests {
    use object_store::local::LocalFileSystem;

    use super::*;

    fn objects(root: &FilePath) -> Objects {
        let store = LocalFileSystem::new_with_prefix(root).unwrap();
        Objects::new(Arc::new(store), Some(root.to_owned()))
    }

    fn bytes(to: &str, bytes: &'static [u8]) -> Part {
        Part::Bytes { to: Path::from(to), bytes: Bytes::from_static(bytes) }
    }

    fn files(root: &FilePath) -> Vec<String> {
        let mut all = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    all.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        all.sort();
        all
    }

    #[tokio::test]
    async fn all_are_there_under_their_names_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("uploads/session");
        std::fs::create_dir(dir.path().join("uploads")).unwrap();
        std::fs::write(&from, b"data and a tail").unwrap();
        let file = Arc::new(OpenOptions::new().write(true).open(&from).unwrap());
        let data = Part::File { to: Path::from("data/d"), file, from, length: 4 };
        let parts = vec![data, bytes("a/b/recipe", b"recipe"), bytes("a/b/other", b""), bytes("tag", b"new")];
        std::fs::write(dir.path().join("tag"), b"old").unwrap();
        // What a killed process left.
        std::fs::write(dir.path().join("tag#0"), b"half").unwrap();
        objects(dir.path()).write_in_order(parts).await.unwrap();
        assert_eq!(files(dir.path()), ["a/b/other", "a/b/recipe", "data/d", "tag", "tag#0"]);
        let read = |path: &str| std::fs::read(dir.path().join(path)).unwrap();
        assert_eq!(
            (read("data/d"), read("a/b/recipe"), read("tag")),
            (b"data".into(), b"recipe".into(), b"new".into())
        );
    }

    #[tokio::test]
    async fn after_a_failure_there_is_nothing_without_what_comes_before_it() {
        let dir = tempfile::tempdir().unwrap();
        // A directory stands where the second one should be.
        std::fs::create_dir_all(dir.path().join("b/second/x")).unwrap();
        let parts = vec![bytes("a/first", b"1"), bytes("b/second", b"2"), bytes("c/third", b"3")];
        let error = objects(dir.path()).write_in_order(parts).await.unwrap_err();
        assert!(matches!(error, StoreError::Obstructed { .. }), "{error}");
        assert_eq!(files(dir.path()), ["a/first"]);
    }

    #[tokio::test]
    async fn before_all_is_flushed_nothing_has_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = Arc::new(File::open("/dev/full").unwrap());
        // It cannot be cut to a length.
        let unflushable = Part::File { to: Path::from("data/d"), file, from: "/dev/full".into(), length: 1 };
        let parts = vec![bytes("a/first", b"1"), unflushable];
        objects(dir.path()).write_in_order(parts).await.unwrap_err();
        assert_eq!(files(dir.path()), [""; 0]);
    }
}
