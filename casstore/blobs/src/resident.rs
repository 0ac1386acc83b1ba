//! Reading local files where the request is answered, if the system has them in memory.
//!
//! A visit to a thread that may block costs more than reading what is in the page cache, and what is asked for often is there.
//! So [`read`] asks for the file under the condition that nothing waits for the disk: `openat2` with
//! `RESOLVE_CACHED` (Linux 5.12) and `preadv2` with `RWF_NOWAIT` (Linux 4.14). Where the system cannot promise that, or does
//! not know the calls, it says so, and the caller goes the long way.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::path::Path;

use bytes::Bytes;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::ReadWriteFlags;

/// Longest file that is read this way: for longer ones the visit is worth its price.
const LONGEST: usize = 128 * 1024;

/// What is at a path, as far as it can be told without waiting.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resident {
    /// The whole file.
    Here(Bytes),
    /// There is no such file.
    Nothing,
    /// To be asked again where waiting is fine.
    Unknown,
}

/// Reads a whole file of at most `limit` bytes. A longer one is [`Resident::Unknown`], like whatever else needs a closer look.
pub(crate) fn read(path: &Path, limit: usize) -> Resident {
    match read_now(path, limit.min(LONGEST)) {
        Ok(Some(bytes)) => Resident::Here(bytes),
        // The name is known not to be there. A wrong kind of file on the way is left to the long way too.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Resident::Nothing,
        Ok(None) | Err(_) => Resident::Unknown,
    }
}

/// Reads into `room` what is in memory of an open file at `start`, at least one byte. `None` says nothing: the long way knows more.
pub(crate) fn read_at(file: &File, room: &mut [u8], start: u64) -> Option<usize> {
    let read = rustix::io::preadv2(file, &mut [IoSliceMut::new(room)], start, ReadWriteFlags::NOWAIT);
    read.ok().filter(|read| *read > 0)
}

fn read_now(path: &Path, limit: usize) -> io::Result<Option<Bytes>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED)?;
    let status = rustix::fs::fstat(&file)?;
    let Some(size) = usize::try_from(status.st_size).ok().filter(|size| *size <= limit) else {
        return Ok(None);
    };
    if !FileType::from_raw_mode(status.st_mode).is_file() {
        return Ok(None);
    }
    // One byte more shows that the end was reached. A short read is the end, or what was not in memory.
    let mut bytes = vec![0; size + 1];
    let read = rustix::io::preadv2(&file, &mut [IoSliceMut::new(&mut bytes)], 0, ReadWriteFlags::NOWAIT)?;
    bytes.truncate(read);
    Ok((read == size).then(|| Bytes::from(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_just_written_is_here_where_the_system_knows_the_calls() {
        let folder = tempfile::tempdir().unwrap();
        for size in [0, 1, 4096, 70_000] {
            let path = folder.path().join(size.to_string());
            std::fs::write(&path, vec![7; size]).unwrap();
            match read(&path, 70_000) {
                Resident::Here(bytes) => assert_eq!(bytes, vec![7; size]),
                Resident::Unknown => {}
                Resident::Nothing => panic!("{size}: it is there"),
            }
            assert!(
                !matches!(read(&path, size.saturating_sub(1)), Resident::Here(bytes) if bytes.len() != size)
            );
        }
    }

    #[test]
    fn what_needs_a_closer_look_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "0123456789").unwrap();
        assert_eq!(read(&file, 9), Resident::Unknown, "too long");
        assert_eq!(read(folder.path(), 9), Resident::Unknown, "a folder");
        assert_eq!(read(&file.join("below"), 9), Resident::Unknown, "below a file");
        assert!(!matches!(read(&folder.path().join("none"), 9), Resident::Here(_)));
    }
}
