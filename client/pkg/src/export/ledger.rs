//! The ledger of an exported tree, `DIR/.gen-N.files`: what each file was when it was written, so that the next export can tell
//! which of them still are that.
//!
//! It is a list of rows `CONTENT ATTRIBUTES INODE SECONDS NANOSECONDS PATH`, each ended by a NUL byte, after a first line that names
//! the version. A ledger is no authority: one that cannot be read costs only that files are written again, and what a
//! row says of a file holds as long as the system's own time of change (ctime) is the one of the row. No program can set
//! that time. Before Linux 6.13 it counts in steps of a clock tick: a write in the same 4 ms as the export is not seen.

use plyos_layer_build::export::Stat;
use plyos_report::{ExitCode, Failure, OrFail};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::str::FromStr;

const HEADER: &[u8] = b"plyos export 1\n";
/// Bytes that are read of a ledger: rows of a million files. What is longer was not written by an export.
const LIMIT: u64 = 256 << 20;

/// What an exported file was when it was complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where its bytes come from; see [`super::earlier::Keys`].
    pub content: blake3::Hash,
    /// What else it has, and who exported it.
    pub attributes: blake3::Hash,
    /// Its number in the file system.
    pub inode: u64,
    /// When it was changed last, seconds and nanoseconds.
    pub changed: (i64, u64),
    /// Where it lies in the tree.
    pub path: Vec<u8>,
}

impl Row {
    /// Whether nothing was done to the file since.
    pub fn is_untouched(&self, stat: &Stat) -> bool {
        (stat.st_ino, changed(stat)) == (self.inode, self.changed)
    }

    /// The row's file, by its name.
    pub fn stat(&self, tree: &Path) -> Option<std::fs::Metadata> {
        std::fs::symlink_metadata(tree.join(std::ffi::OsStr::from_bytes(&self.path))).ok()
    }

    fn parse(row: &[u8]) -> Option<Self> {
        let mut fields = row.splitn(6, |byte| *byte == b' ');
        let mut hash = || blake3::Hash::from_hex(fields.next()?).ok();
        let (content, attributes) = (hash()?, hash()?);
        let (inode, seconds) = (number(fields.next()?)?, number(fields.next()?)?);
        let nanoseconds = number(fields.next()?)?;
        let path = fields.next().filter(|path| is_inside(path))?.to_vec();
        Some(Self { content, attributes, inode, changed: (seconds, nanoseconds), path })
    }
}

/// When a file was changed last.
pub fn changed(stat: &Stat) -> (i64, u64) {
    (stat.st_ctime, stat.st_ctime_nsec)
}

fn number<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Whether a path leads to something below where it begins.
fn is_inside(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').all(|name| !matches!(name, b"" | b"." | b".."))
}

/// Reads a ledger; empty when there is none, or none that can be read.
pub fn read(path: &Path) -> Vec<Row> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes));
    if read.is_err() || bytes.len() as u64 > LIMIT {
        return Vec::new();
    }
    parse(&bytes).unwrap_or_default()
}

fn parse(bytes: &[u8]) -> Option<Vec<Row>> {
    let rows = bytes.strip_prefix(HEADER)?;
    let Some(rows) = rows.strip_suffix(&[0]) else { return rows.is_empty().then(Vec::new) };
    rows.split(|byte| *byte == 0).map(Row::parse).collect()
}

/// Writes a ledger where none is, or over one.
pub fn write(path: &Path, rows: &[Row]) -> Result<(), Failure> {
    let new = path.with_extension("files.new");
    let written = File::create(&new).and_then(|file| {
        let mut out = BufWriter::new(file);
        emit(rows, &mut out)?;
        out.flush()?;
        std::fs::rename(&new, path)
    });
    written.or_fail(ExitCode::Failure, format_args!("writing {}", path.display()))
}

fn emit(rows: &[Row], out: &mut impl Write) -> std::io::Result<()> {
    out.write_all(HEADER)?;
    for Row { content, attributes, inode, changed: (seconds, nanoseconds), path } in rows {
        write!(out, "{content} {attributes} {inode} {seconds} {nanoseconds} ")?;
        out.write_all(path)?;
        out.write_all(&[0])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        let row = |path: &[u8], seconds| Row {
            content: blake3::hash(path),
            attributes: blake3::hash(b"attributes"),
            inode: 7,
            changed: (seconds, 999_999_999),
            path: path.to_vec(),
        };
        vec![row(b"usr/bin/tool", 5), row(b"a b\n\xff", -3)]
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".gen-1.files");
        assert_eq!(read(&path), []);
        for rows in [rows(), Vec::new()] {
            write(&path, &rows).unwrap();
            assert_eq!(read(&path), rows);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_ledger_is_none() {
        let mut whole = Vec::new();
        emit(&rows(), &mut whole).unwrap();
        assert_eq!(parse(&whole).unwrap().len(), 2);
        assert_eq!(parse(&whole[..whole.len() - 1]), None);
        assert_eq!(parse(&whole[1..]), None);
        for path in ["../x", "/etc/x", "a//b", "a/./b", "", ".."] {
            let mut rows = rows();
            rows[0].path = path.into();
            let mut bytes = Vec::new();
            emit(&rows, &mut bytes).unwrap();
            assert_eq!(parse(&bytes), None, "{path}");
        }
    }
}
