//! Python's compiled files that the layer's modification times make stale.
//!
//! A `.pyc` (PEP 552) either names a hash of its source or, by default, the source's size and modification time; in the second case
//! Python compiles again, in vain on a read-only mount, when they differ. They are counted so that the publisher can be told
//! to compile with `--invalidation-mode unchecked-hash` or to push with kept times.

use plyos_layer_format::entry::{Entry, compare_paths};

/// Bytes of a `.pyc` that are looked at: magic, flags, time, size.
const HEAD: usize = 16;

/// A `.pyc` that trusts the time and size of its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Timed {
    /// Entry path of the source it was compiled from.
    source: Vec<u8>,
    mtime: u32,
    size: u32,
}

/// Looks at the path and first bytes of a file; `None` when it is no `.pyc` or trusts a hash.
pub(crate) fn look(path: &[u8], content: &[u8]) -> Option<Timed> {
    let stem = path.strip_suffix(b".pyc")?;
    let head: &[u8; HEAD] = content.first_chunk()?;
    let [_, _, _, _, f0, f1, f2, f3, t0, t1, t2, t3, s0, s1, s2, s3] = *head;
    if u32::from_le_bytes([f0, f1, f2, f3]) != 0 {
        return None;
    }
    Some(Timed {
        source: source_path(stem)?,
        mtime: u32::from_le_bytes([t0, t1, t2, t3]),
        size: u32::from_le_bytes([s0, s1, s2, s3]),
    })
}

/// `DIR/__pycache__/NAME.TAG` comes from `DIR/NAME.py`; `DIR/NAME` elsewhere from `DIR/NAME.py`.
fn source_path(stem: &[u8]) -> Option<Vec<u8>> {
    let (directory, name) = match stem.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => stem.split_at(slash + 1),
        None => stem.split_at(0),
    };
    let (directory, name) = match directory.strip_suffix(b"__pycache__/") {
        // With an optimised one the tag is `cpython-313.opt-1`: the name ends at the first dot after it began.
        Some(parent) => (parent, name.split(|byte| *byte == b'.').next()?),
        None => (directory, name),
    };
    Some([directory, name, b".py"].concat())
}

/// How many of `found` do not fit the source in `entries` (in stream order, with final times). One whose source is not in the
/// layer is not stale.
pub(crate) fn count(found: &[Timed], entries: &[Entry]) -> u64 {
    let is_stale = |timed: &&Timed| {
        let source = entries
            .binary_search_by(|entry| compare_paths(&entry.path, &timed.source))
            .ok()
            .and_then(|at| entries.get(at));
        // Python compares the low 32 bits of both. A hard link has no size of its own: its time decides.
        source.is_some_and(|source| {
            source.mtime as u32 != timed.mtime || (source.size() != 0 && source.size() as u32 != timed.size)
        })
    };
    found.iter().filter(is_stale).count() as u64
}

#[cfg(test)]
mod tests {
    use plyos_layer_format::entry::EntryKind;

    use super::*;

    fn pyc(flags: u8, mtime: u32, size: u32) -> Vec<u8> {
        [&[1, 2, 3, 4, flags, 0, 0, 0][..], &mtime.to_le_bytes(), &size.to_le_bytes(), b"code"].concat()
    }

    fn source(path: &str, mtime: i64, size: u64) -> Entry {
        let kind = EntryKind::File { size, data_offset: 0, links: 1 };
        Entry { path: path.into(), kind, mode: 0o644, uid: 0, gid: 0, mtime, xattrs: Vec::new() }
    }

    #[test]
    fn each_place_of_a_compiled_file_has_its_source() {
        for (compiled, source) in [
            ("a/__pycache__/b.cpython-313.pyc", "a/b.py"),
            ("__pycache__/b.cpython-313.opt-2.pyc", "b.py"),
            ("a/b.pyc", "a/b.py"),
            ("b.pyc", "b.py"),
        ] {
            let found = look(compiled.as_bytes(), &pyc(0, 1, 2)).unwrap();
            assert_eq!(found.source, source.as_bytes(), "{compiled}");
        }
    }

    #[test]
    fn only_timed_ones_that_differ_from_their_source_are_stale() {
        let entries = [source("a.py", 1000, 20)];
        let stale = |content: &[u8]| {
            let found: Vec<_> = look(b"__pycache__/a.cpython-313.pyc", content).into_iter().collect();
            count(&found, &entries)
        };
        assert_eq!(stale(&pyc(0, 1000, 20)), 0);
        assert_eq!(stale(&pyc(0, 1001, 20)), 1);
        assert_eq!(stale(&pyc(0, 1000, 21)), 1);
        assert_eq!(stale(&pyc(3, 1001, 20)), 0, "by hash");
        assert_eq!(stale(b"short"), 0);
        assert_eq!(count(&look(b"gone.pyc", &pyc(0, 1, 2)).into_iter().collect::<Vec<_>>(), &entries), 0);
    }
}
