//! Reading an index page by page.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use plyos_ids::LayerId;

use super::directory::{self, Run};
use super::header::IndexHeader;
use super::iterate::{Children, Chunks, Entries};
use super::page::{ChunkWalk, EntryWalk, Step};
use super::{Chunk, IndexError, MAX_INDEX};
use crate::descriptor::Descriptor;
use crate::entry::{Entry, EntryKind, compare_paths};
use crate::layouts::index as map;
use crate::pages::{PAGE_SIZE, Page, PageHashes, PageSource, zeroed};

/// An index whose head is verified and parsed; its other pages are read, and verified, when they are asked for.
///
/// A lookup reads about log2(pages) pages, each once. A source that keeps pages ([`PageSource::keep`]) saves reading and hashing
/// them again.
#[derive(Debug)]
pub struct Index<S> {
    id: LayerId,
    header: IndexHeader,
    descriptor: Descriptor,
    pub(super) entry_run: Run,
    pub(super) chunk_run: Run,
    hashes: PageHashes,
    source: S,
    /// The whole index lies in memory that cannot change and was hashed: set by `check` alone.
    pub(super) is_hashed: bool,
}

impl<S: PageSource> Index<S> {
    /// Verifies the page hashes against `id`, then reads, verifies and parses the head. The length of the index is that of the list.
    pub fn open(id: LayerId, hashes: PageHashes, source: S) -> Result<Self, IndexError> {
        Self::open_with(id, hashes, source, false)
    }

    pub(super) fn open_with(
        id: LayerId,
        hashes: PageHashes,
        source: S,
        is_hashed: bool,
    ) -> Result<Self, IndexError> {
        let page_count = hashes.page_count();
        let length = u64::from(page_count) * PAGE_SIZE as u64;
        if length > MAX_INDEX {
            return Err(IndexError::Length { length, limit: MAX_INDEX });
        }
        if !is_hashed && !hashes.verify_root(page_count, &id) {
            return Err(IndexError::Root);
        }
        let page = |number| verified_page(&source, &hashes, &id, is_hashed, number);
        let first = page(0)?;
        let header = IndexHeader::parse(first.as_slice(), page_count)?;
        // The header bounds the head by the page counts, and those by the list of hashes that is at hand.
        let mut head = Vec::with_capacity(header.head_pages as usize * PAGE_SIZE);
        head.extend_from_slice(first.as_slice());
        for number in 1..header.head_pages {
            head.extend_from_slice(page(number)?.as_slice());
        }
        let part = |from: u64, to: u64| {
            head.get(from as usize..to as usize).ok_or(IndexError::Header("its head is too short"))
        };
        let descriptor_end = map::SIZE as u64 + u64::from(header.descriptor_len);
        let descriptor =
            Descriptor::parse(part(map::SIZE as u64, descriptor_end)?).map_err(IndexError::Descriptor)?;
        let (entry_run, chunk_run) =
            directory::parse(&header, part(header.directory_offset(), header.head_len())?)?;
        let gap = part(descriptor_end, header.directory_offset())?;
        let tail = part(header.head_len(), head.len() as u64)?;
        if gap.iter().chain(tail).any(|byte| *byte != 0) {
            return Err(IndexError::Header("bytes that it does not use are not zero"));
        }
        Ok(Self { id, header, descriptor, entry_run, chunk_run, hashes, source, is_hashed })
    }

    /// The layer's identity.
    pub const fn id(&self) -> LayerId {
        self.id
    }

    /// The numbers at the start.
    pub const fn header(&self) -> &IndexHeader {
        &self.header
    }

    /// What the publisher says of the layer.
    pub const fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The hashes of the pages, verified.
    pub const fn hashes(&self) -> &PageHashes {
        &self.hashes
    }

    /// Where the pages come from.
    pub const fn source(&self) -> &S {
        &self.source
    }

    /// Entries, the root included.
    pub const fn entry_count(&self) -> u64 {
        self.header.entry_count
    }

    /// Chunks of the stream, repetitions included.
    pub const fn chunk_count(&self) -> u64 {
        self.header.chunk_count
    }

    /// Entry number `ordinal` (0 is the root).
    pub fn entry(&self, ordinal: u64) -> Result<Entry, IndexError> {
        let mut walk = self.walk_at(ordinal)?;
        match walk.seek(ordinal)? {
            Some(step) => step.entry(),
            None => Err(self.no_entry(ordinal)),
        }
    }

    /// The entry at `path` (no leading or trailing `/`, empty for the root) and its number.
    pub fn lookup(&self, path: &[u8]) -> Result<Option<(u64, Entry)>, IndexError> {
        match self.search(path, |step| step.entry())? {
            Search::Found(ordinal, entry) => Ok(Some((ordinal, entry))),
            Search::Missing(_) => Ok(None),
        }
    }

    /// Number of the first entry that stands after `path` and everything below it.
    pub(super) fn position_after(&self, path: &[u8]) -> Result<u64, IndexError> {
        match self.search(path, |step| Ok(step.after_subtree()))? {
            Search::Found(_, after) | Search::Missing(after) => Ok(after),
        }
    }

    fn search<T>(
        &self,
        path: &[u8],
        take: impl Fn(&Step<'_>) -> Result<T, IndexError>,
    ) -> Result<Search<T>, IndexError> {
        // The last page whose first path is not after `path`. The page found is the walk at hand: none is read twice.
        let (mut low, mut high) = (0, self.entry_run.len());
        let mut found = None;
        while low < high {
            let middle = low + (high - low) / 2;
            let mut walk = self.entry_page(middle)?;
            let Some(step) = walk.advance()? else { return Ok(Search::Missing(walk.end_ordinal())) };
            match compare_paths(step.path, path) {
                core::cmp::Ordering::Equal => return Ok(Search::Found(step.ordinal, take(&step)?)),
                core::cmp::Ordering::Less => {
                    low = middle + 1;
                    found = Some(walk);
                }
                core::cmp::Ordering::Greater => high = middle,
            }
        }
        let Some(mut walk) = found else { return Ok(Search::Missing(0)) };
        while let Some(step) = walk.advance()? {
            match compare_paths(step.path, path) {
                core::cmp::Ordering::Equal => return Ok(Search::Found(step.ordinal, take(&step)?)),
                core::cmp::Ordering::Less => {}
                core::cmp::Ordering::Greater => return Ok(Search::Missing(step.ordinal)),
            }
        }
        Ok(Search::Missing(walk.end_ordinal()))
    }

    /// The entries directly in directory `ordinal`, with their numbers, in order. Subtrees are jumped over, so the pages read are those in
    /// which a child stands. Nothing is yielded for what is no directory.
    pub fn children(&self, ordinal: u64) -> Children<'_, S> {
        Children::new(self, ordinal)
    }

    /// [`Index::children`] from the first one whose name stands after `name`, which need not be there: a listing that was
    /// interrupted goes on with it. Costs a lookup.
    pub fn children_after(&self, ordinal: u64, name: &[u8]) -> Result<Children<'_, S>, IndexError> {
        Children::after(self, ordinal, name)
    }

    /// Every entry in order, the root first.
    pub fn entries(&self) -> Entries<'_, S> {
        Entries::new(self)
    }

    /// Every chunk in order of the stream.
    pub fn chunks(&self) -> Chunks<'_, S> {
        Chunks::new(self, 0)
    }

    /// The chunks from the one that holds stream offset `offset`. See [`Chunks::next_placed`] for numbers and offsets.
    pub fn chunks_from(&self, offset: u64) -> Result<Chunks<'_, S>, IndexError> {
        let (page, walk) = self.walk_to(offset)?;
        Ok(Chunks::going_on(self, page + 1, walk))
    }

    /// The chunk that holds stream offset `offset`: its number, the stream offset at which it starts, itself.
    pub fn chunk_at(&self, offset: u64) -> Result<(u64, u64, Chunk), IndexError> {
        let step = self.walk_to(offset)?.1.advance()?.ok_or_else(|| self.no_byte(offset))?;
        Ok((step.ordinal, step.start, step.chunk))
    }

    /// A walk that stands before the chunk that holds stream offset `offset`, and its page among those of chunks.
    fn walk_to(&self, offset: u64) -> Result<(usize, ChunkWalk), IndexError> {
        let page = self.chunk_run.of_offset(offset).filter(|_| offset < self.header.stream_len);
        let page = page.ok_or_else(|| self.no_byte(offset))?;
        let mut walk = self.chunk_page(page)?;
        if walk.skip_before(offset)? { Ok((page, walk)) } else { Err(self.no_byte(offset)) }
    }

    const fn no_byte(&self, offset: u64) -> IndexError {
        IndexError::Beyond { what: "stream byte", number: offset, count: self.header.stream_len }
    }

    /// Inode number of an entry of this index: its number plus 1, for a hard link that of its first path.
    pub const fn inode(&self, ordinal: u64, entry: &Entry) -> u64 {
        match entry.kind {
            EntryKind::HardLink { target } => target.saturating_add(1),
            _ => ordinal.saturating_add(1),
        }
    }

    /// A walk over the page that holds entry `ordinal`, from the start of the page.
    pub(super) fn walk_at(&self, ordinal: u64) -> Result<EntryWalk, IndexError> {
        let at = self.entry_run.of_ordinal(ordinal).ok_or_else(|| self.no_entry(ordinal))?;
        self.entry_page(at)
    }

    pub(super) fn no_entry(&self, ordinal: u64) -> IndexError {
        IndexError::Beyond { what: "entry", number: ordinal, count: self.header.entry_count }
    }

    pub(super) fn entry_page(&self, at: usize) -> Result<EntryWalk, IndexError> {
        let place = self.entry_run.place(at);
        let place = place.ok_or(IndexError::Beyond {
            what: "page of entries",
            number: at as u64,
            count: self.entry_run.len() as u64,
        })?;
        EntryWalk::new(self.page(place.page)?, place)
    }

    pub(super) fn chunk_page(&self, at: usize) -> Result<ChunkWalk, IndexError> {
        let place = self.chunk_run.place(at);
        let place = place.ok_or(IndexError::Beyond {
            what: "page of chunks",
            number: at as u64,
            count: self.chunk_run.len() as u64,
        })?;
        ChunkWalk::new(self.page(place.page)?, place, self.header.max_chunk_len)
    }

    fn page(&self, number: u32) -> Result<Arc<Page>, IndexError> {
        verified_page(&self.source, &self.hashes, &self.id, self.is_hashed, number)
    }
}

/// Where a path stands among the entries.
enum Search<T> {
    /// Number of its entry, and what was taken of it.
    Found(u64, T),
    /// Number of the first entry after where it would stand.
    Missing(u64),
}

/// Page `number`, verified; the only way by which bytes of an index come to be read.
fn verified_page<S: PageSource>(
    source: &S,
    hashes: &PageHashes,
    id: &LayerId,
    is_hashed: bool,
    number: u32,
) -> Result<Arc<Page>, IndexError> {
    if let Some(kept) = source.kept(number) {
        return Ok(kept);
    }
    let mut bytes = zeroed();
    source
        .read_page(number, &mut bytes)
        .map_err(|error| IndexError::Read { page: number, reason: error.to_string() })?;
    if !is_hashed && !hashes.check(number, bytes.as_slice(), id) {
        return Err(IndexError::Hash { page: number });
    }
    let bytes = Arc::from(bytes);
    source.keep(number, &bytes);
    Ok(bytes)
}
