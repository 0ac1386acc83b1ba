//! The first step of the pipeline: from the tree to the canonical stream, cut into chunks.

use plyos_chunker::{Cutter, Run};
use plyos_layer_format::entry::{Entry, EntryKind};
use plyos_layer_format::index::MtimeRule;
use plyos_layer_format::stream::{self, END};

use crate::ahead::{Ahead, Ready, is_large};
use crate::content::{Content, READ};
use crate::error::BuildError;
use crate::scan::shown;
use crate::stale::{self, Timed};
use crate::tree::Tree;

/// Why the stream ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Something is wrong with the tree.
    Failed(BuildError),
    /// Nobody takes chunks any more: a later step failed, and says why.
    Unwanted,
}

impl From<BuildError> for Stop {
    fn from(error: BuildError) -> Self {
        Self::Failed(error)
    }
}

/// What is known once the whole stream has been handed out.
#[derive(Debug)]
pub(crate) struct Produced {
    /// The entries with offsets and times.
    pub entries: Vec<Entry>,
    /// Stream offset of each entry's first header.
    pub header_offsets: Vec<u64>,
    pub stream_len: u64,
    pub stale_pyc: u64,
}

/// Bytes of the stream that the tree will become.
pub(crate) fn stream_len(entries: &[Entry]) -> u64 {
    let entry_len = |entry| {
        let size = Entry::size(entry);
        stream::header_len(entry, first_path(entries, entry)) + size + stream::padding(size) as u64
    };
    entries.iter().map(entry_len).sum::<u64>() + END.len() as u64
}

/// The path that a hard link is another name of.
fn first_path<'a>(entries: &'a [Entry], entry: &Entry) -> Option<&'a [u8]> {
    first(entries, entry).map(|first| &first.path[..])
}

fn first<'a>(entries: &'a [Entry], entry: &Entry) -> Option<&'a Entry> {
    match entry.kind {
        EntryKind::HardLink { target } => entries.get(usize::try_from(target).ok()?),
        _ => None,
    }
}

/// Writes the stream of `tree` and hands it out in chunks. `ahead` yields what was read ahead of each file.
pub(crate) fn produce(
    tree: &Tree,
    ahead: &mut Ahead,
    sink: impl FnMut(&[u8]) -> Result<(), Stop>,
) -> Result<Produced, Stop> {
    let mut stream = Stream { cutter: Cutter::new(), sink, offset: 0 };
    let mut files = Files { tree, ahead, buffer: vec![0; READ], timed: Vec::new() };
    let mut entries: Vec<Entry> = Vec::with_capacity(tree.entries.len());
    let mut header_offsets = Vec::with_capacity(tree.entries.len());
    for (ordinal, entry) in tree.entries.iter().enumerate() {
        let mut entry = entry.clone();
        header_offsets.push(stream.offset);
        if let EntryKind::File { .. } = entry.kind {
            files.write(&mut stream, ordinal, &mut entry)?;
        } else {
            let first = first(&entries, &entry);
            entry.mtime = first.map_or(entry.mtime, |first| first.mtime);
            stream.write(&stream::header(&entry, first.map(|first| &first.path[..])))?;
        }
        entries.push(entry);
    }
    stream.write(&END)?;
    let stale_pyc = stale::count(&files.timed, &entries);
    let stream_len = stream.offset;
    stream.finish()?;
    Ok(Produced { entries, header_offsets, stream_len, stale_pyc })
}

/// The stream as it is written: bytes go to the cutter, chunks to the sink.
struct Stream<S> {
    cutter: Cutter,
    sink: S,
    /// Bytes written.
    offset: u64,
}

impl<S: FnMut(&[u8]) -> Result<(), Stop>> Stream<S> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.offset += bytes.len() as u64;
        self.cutter.feed(bytes, &mut self.sink)
    }

    fn pad(&mut self, size: u64) -> Result<(), Stop> {
        self.write(END.get(..stream::padding(size)).unwrap_or_default())
    }

    fn begin(&mut self, run: Run) -> Result<(), Stop> {
        self.cutter.begin(run, &mut self.sink)
    }

    fn finish(mut self) -> Result<(), Stop> {
        self.cutter.finish(&mut self.sink)
    }
}

/// What is needed to write files.
struct Files<'a> {
    tree: &'a Tree,
    ahead: &'a mut Ahead,
    buffer: Vec<u8>,
    timed: Vec<Timed>,
}

impl Files<'_> {
    /// Writes header, content and padding of a file, and completes its entry.
    fn write<S: FnMut(&[u8]) -> Result<(), Stop>>(
        &mut self,
        stream: &mut Stream<S>,
        ordinal: usize,
        entry: &mut Entry,
    ) -> Result<(), Stop> {
        // Reading ahead ends early only after a failure, which was handed over and taken before.
        let ready = self.ahead.take().ok_or_else(|| BuildError::Changed { path: shown(&entry.path) })?;
        match ready? {
            Ready::Huge { hash } => {
                let content = Content::open(self.tree, ordinal)?;
                self.write_header(stream, entry, hash)?;
                stream.begin(Run::File)?;
                self.write_huge(stream, entry, content, hash)?;
                stream.begin(Run::Small)?;
            }
            Ready::Whole { bytes, hash } => {
                self.timed.extend(stale::look(&entry.path, &bytes));
                self.write_header(stream, entry, hash)?;
                if is_large(&entry.kind) {
                    stream.begin(Run::File)?;
                    stream.write(&bytes)?;
                    stream.begin(Run::Small)?;
                } else {
                    stream.write(&bytes)?;
                }
            }
        }
        stream.pad(entry.size())
    }

    fn write_header<S: FnMut(&[u8]) -> Result<(), Stop>>(
        &self,
        stream: &mut Stream<S>,
        entry: &mut Entry,
        hash: Option<[u8; 32]>,
    ) -> Result<(), Stop> {
        if let (MtimeRule::Content, Some(hash)) = (self.tree.mtime_rule, hash) {
            entry.mtime = stream::content_mtime(&hash);
        }
        stream.write(&stream::header(entry, None))?;
        if let EntryKind::File { data_offset, .. } = &mut entry.kind {
            *data_offset = stream.offset;
        }
        Ok(())
    }

    /// Writes a huge file's content, which must still have the hash that its time was made from.
    fn write_huge<S: FnMut(&[u8]) -> Result<(), Stop>>(
        &mut self,
        stream: &mut Stream<S>,
        entry: &Entry,
        content: Content<'_>,
        expected: Option<[u8; 32]>,
    ) -> Result<(), Stop> {
        let mut hasher = expected.map(|_| blake3::Hasher::new());
        let mut at_start = true;
        content.read_pieces(&mut self.buffer, |piece| {
            if std::mem::take(&mut at_start) {
                self.timed.extend(stale::look(&entry.path, piece));
            }
            if let Some(hasher) = &mut hasher {
                hasher.update(piece);
            }
            stream.write(piece)
        })?;
        if hasher.map(|hasher| *hasher.finalize().as_bytes()) != expected {
            return Err(BuildError::Changed { path: shown(&entry.path) }.into());
        }
        Ok(())
    }
}
