//! A segment: `TIME-PROCESS-NUMBER.frames` with frames one after the other, and `….keys` with a record for each.
//!
//! Names begin with the time of making, so that sorting them puts the oldest first. A frame is written before its record. A segment that
//! lost one of its files holds nothing and goes with the next clean-up.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use plyos_layer_format::frames::MAX_FRAME;

use super::record::{Check, Key, RECORD, Record};

/// First bytes of a file of keys. Another layout of records is another text.
const MAGIC: [u8; 8] = *b"PLYFRKY1";
const FRAMES: &str = "frames";
const KEYS: &str = "keys";
/// Bytes of records that are held back and written together; what a killed process loses.
const HELD: usize = 64 * RECORD;

/// One segment, to be read.
#[derive(Debug)]
pub(super) struct Segment {
    /// Without the ending.
    path: PathBuf,
    frames: OnceLock<Option<File>>,
}

impl Segment {
    fn new(path: PathBuf) -> Self {
        Self { path, frames: OnceLock::new() }
    }

    /// Bytes of both files.
    pub(super) fn bytes(&self) -> u64 {
        let length = |ending| fs::metadata(self.path.with_extension(ending)).map_or(0, |at| at.len());
        length(FRAMES) + length(KEYS)
    }

    /// All whole records, in the order in which they were written; none of a file that is not one of ours.
    pub(super) fn records(&self) -> Vec<(Key, Record)> {
        let bytes = fs::read(self.path.with_extension(KEYS)).unwrap_or_default();
        let records = bytes.strip_prefix(&MAGIC).unwrap_or_default();
        records.as_chunks().0.iter().filter_map(Record::parse).collect()
    }

    /// The bytes that a record names, if they are there.
    pub(super) fn read(&self, record: &Record) -> Option<Vec<u8>> {
        if record.length > u64::from(MAX_FRAME) {
            return None;
        }
        let open = || File::open(self.path.with_extension(FRAMES)).ok();
        let file = self.frames.get_or_init(open).as_ref()?;
        let mut frame = vec![0; usize::try_from(record.length).ok()?];
        file.read_exact_at(&mut frame, record.offset).ok()?;
        Some(frame)
    }
}

/// One segment, to be appended to by this process.
#[derive(Debug)]
pub(super) struct SegmentWriter {
    segment: Arc<Segment>,
    frames: File,
    keys: File,
    held: Vec<u8>,
    length: u64,
}

impl SegmentWriter {
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        /// Tells apart the segments that one process makes in one millisecond.
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{now:015}-{}-{number}", std::process::id()));
        let create = |ending| {
            OpenOptions::new().read(true).write(true).create_new(true).open(path.with_extension(ending))
        };
        let frames = create(FRAMES)?;
        let mut keys = create(KEYS)?;
        keys.write_all(&MAGIC)?;
        let segment = Arc::new(Segment { path, frames: OnceLock::from(Some(frames.try_clone()?)) });
        Ok(Self { segment, frames, keys, held: Vec::with_capacity(HELD), length: 0 })
    }

    /// What is written, to be read; also what is not yet on file of its records.
    pub(super) fn segment(&self) -> Arc<Segment> {
        Arc::clone(&self.segment)
    }

    /// Bytes of frames.
    pub(super) const fn bytes(&self) -> u64 {
        self.length
    }

    pub(super) fn append(&mut self, key: &Key, frame: &[u8], check: Check) -> io::Result<Record> {
        let record = Record { offset: self.length, length: frame.len() as u64, check };
        self.frames.write_all(frame)?;
        self.length += record.length;
        record.emit(key, &mut self.held);
        if self.held.len() >= HELD {
            self.flush()?;
        }
        Ok(record)
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = self.keys.write_all(&self.held);
        self.held.clear();
        written
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        // Records that are lost are frames that are made again.
        let _ = self.flush();
    }
}

/// All segments of a folder, the oldest first. Files of other names are not looked at.
pub(super) fn list(folder: &Path) -> io::Result<Vec<Segment>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if is_name(&path) {
            paths.push(path.with_extension(""));
        }
    }
    paths.sort();
    paths.dedup();
    Ok(paths.into_iter().map(Segment::new).collect())
}

/// Whether a file is one of ours: three numbers and one of the two endings.
fn is_name(path: &Path) -> bool {
    let ending = path.extension().and_then(OsStr::to_str);
    let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    matches!(ending, Some(FRAMES | KEYS)) && stem.split('-').count() == 3 && stem.split('-').all(is_number)
}

/// Deletes the oldest segments until `limit` bytes are left at most. Who reads one of them keeps what is open.
pub(super) fn drop_oldest(folder: &Path, limit: u64) -> io::Result<()> {
    let segments = list(folder)?;
    let mut left: u64 = segments.iter().map(Segment::bytes).sum();
    for segment in segments {
        if left <= limit {
            break;
        }
        left = left.saturating_sub(segment.bytes());
        for ending in [KEYS, FRAMES] {
            match fs::remove_file(segment.path.with_extension(ending)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}
