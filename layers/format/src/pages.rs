//! Index pages and their hashes: a reader verifies any page alone.
//!
//! A page is 16 aligned BLAKE3 chunks, so it is a whole subtree of the hash of the index. [`PageHashes`] is the list of the
//! pages' chaining values: it is trusted once it merges to the layer's identity, and then each page costs one subtree
//! hash. [`PageSource`] is where a shell or kernel plugs in its storage and, if it wants one, its cache.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};
use plyos_ids::LayerId;

/// Bytes of an index page: 16 BLAKE3 chunks. Changing it is a format break.
pub const PAGE_SIZE: usize = 16_384;

/// The bytes of one page.
pub type Page = [u8; PAGE_SIZE];

/// The list of chaining values of an index's pages. A claim until [`PageHashes::verify_root`] said yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageHashes {
    list: Vec<[u8; 32]>,
    page_count: u32,
}

/// The number of page hashes does not fit the number of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an index of {pages} pages has {found} page hashes in its list; fetch the layer again")]
pub struct PageHashesError {
    /// Pages of the index.
    pub pages: u32,
    /// Hashes in the list.
    pub found: usize,
}

impl PageHashes {
    /// The hashes of an index at hand. Only meaningful for 1 to 2^32 - 1 pages; bytes beyond are not hashed.
    pub fn compute(index: &[u8]) -> Self {
        let mut page_count = 0u32;
        let mut list = Vec::new();
        for page in index.chunks(PAGE_SIZE).take(u32::MAX as usize) {
            list.push(chaining_value(page_count, page));
            page_count += 1;
        }
        if page_count <= 1 {
            list.clear();
        }
        Self { list, page_count }
    }

    /// A stored list: one hash for each page, none for an index of one page.
    pub fn from_list(list: Vec<[u8; 32]>, page_count: u32) -> Result<Self, PageHashesError> {
        let expected = if page_count == 1 { 0 } else { page_count as usize };
        if page_count == 0 || list.len() != expected {
            return Err(PageHashesError { pages: page_count, found: list.len() });
        }
        Ok(Self { list, page_count })
    }

    /// The list as it is stored.
    pub fn as_list(&self) -> &[[u8; 32]] {
        &self.list
    }

    /// Pages of the index.
    pub const fn page_count(&self) -> u32 {
        self.page_count
    }

    /// The identity that the list merges to; `None` for an index of one page (or none), whose identity is the page's hash.
    pub fn root(&self) -> Option<LayerId> {
        let (left, right) = split(&self.list)?;
        let root = merge_subtrees_root(&merge(left), &merge(right), Mode::Hash);
        Some(LayerId::from_bytes(*root.as_bytes()))
    }

    /// Whether this is the list of an index of `index_pages` pages with identity `id`. An index of one page has no list, so
    /// nothing is known of it before [`PageHashes::check`].
    pub fn verify_root(&self, index_pages: u32, id: &LayerId) -> bool {
        self.page_count == index_pages
            && match self.root() {
                Some(root) => root == *id,
                None => index_pages == 1,
            }
    }

    /// Whether `bytes` are page `page` of the index of identity `id`. Only meaningful after [`PageHashes::verify_root`].
    pub fn check(&self, page: u32, bytes: &[u8], id: &LayerId) -> bool {
        if bytes.len() != PAGE_SIZE || page >= self.page_count {
            return false;
        }
        match self.list.get(page as usize) {
            Some(expected) => chaining_value(page, bytes) == *expected,
            None => self.page_count == 1 && blake3::hash(bytes).as_bytes() == id.as_bytes(),
        }
    }
}

/// Hash of a subtree that is not finalised as root.
type ChainingValue = [u8; 32];

fn chaining_value(page: u32, bytes: &[u8]) -> ChainingValue {
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(u64::from(page) * PAGE_SIZE as u64).update(bytes).finalize_non_root()
}

/// A list of two or more as BLAKE3 splits it: left the largest power of two below its length.
fn split(list: &[ChainingValue]) -> Option<(&[ChainingValue], &[ChainingValue])> {
    let last = list.len().checked_sub(1)?;
    list.split_at_checked(1 << last.checked_ilog2()?)
}

/// Recursion is as deep as the list's length has bits.
fn merge(list: &[ChainingValue]) -> ChainingValue {
    match split(list) {
        Some((left, right)) => merge_subtrees_non_root(&merge(left), &merge(right), Mode::Hash),
        None => list.first().copied().unwrap_or_default(),
    }
}

/// Where index pages come from. What it reads is a claim; the index verifies each page before use.
pub trait PageSource {
    /// Why a page could not be read.
    type Error: core::fmt::Display;

    /// Reads page `page` (0 is the first of the head) of the index.
    fn read_page(&self, page: u32, out: &mut Page) -> Result<(), Self::Error>;

    /// A page that was given to [`PageSource::keep`] and is still held. It is used without a further check.
    fn kept(&self, _page: u32) -> Option<Arc<Page>> {
        None
    }

    /// Offers a page that was just verified to the source's cache, if it has one.
    fn keep(&self, _page: u32, _bytes: &Arc<Page>) {}
}

impl<S: PageSource + ?Sized> PageSource for &S {
    type Error = S::Error;

    fn read_page(&self, page: u32, out: &mut Page) -> Result<(), Self::Error> {
        (**self).read_page(page, out)
    }

    fn kept(&self, page: u32) -> Option<Arc<Page>> {
        (**self).kept(page)
    }

    fn keep(&self, page: u32, bytes: &Arc<Page>) {
        (**self).keep(page, bytes);
    }
}

/// An index that lies in memory as a whole.
#[derive(Debug, Clone, Copy)]
pub struct SlicePages<'a>(pub &'a [u8]);

/// The slice ends before the page does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the index at hand ends before this page")]
pub struct PageBeyondEnd;

impl PageSource for SlicePages<'_> {
    type Error = PageBeyondEnd;

    fn read_page(&self, page: u32, out: &mut Page) -> Result<(), PageBeyondEnd> {
        let pages = self.0.as_chunks::<PAGE_SIZE>().0;
        *out = *pages.get(page as usize).ok_or(PageBeyondEnd)?;
        Ok(())
    }
}

/// A zeroed page on the heap; never on the stack, which is small in a kernel.
pub(crate) fn zeroed() -> Box<Page> {
    let bytes = alloc::vec![0u8; PAGE_SIZE].into_boxed_slice();
    // The length is PAGE_SIZE by the line above, so the fallback is never taken.
    bytes.try_into().unwrap_or_else(|_| Box::new([0; PAGE_SIZE]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(pages: usize) -> Vec<u8> {
        (0..pages * PAGE_SIZE).map(|i| (i * 31 + i / 977) as u8).collect()
    }

    #[test]
    fn lists_merge_to_the_hash_of_the_whole() {
        for pages in [1, 2, 3, 4, 5, 7, 8, 9, 33] {
            let index = sample(pages);
            let id = LayerId::from_bytes(*blake3::hash(&index).as_bytes());
            let hashes = PageHashes::compute(&index);
            assert_eq!(hashes.as_list().len(), if pages == 1 { 0 } else { pages });
            assert!(hashes.verify_root(pages as u32, &id), "{pages}");
            assert!(!hashes.verify_root(pages as u32 + 1, &id));
            for (number, page) in index.chunks(PAGE_SIZE).enumerate() {
                assert!(hashes.check(number as u32, page, &id), "{number} of {pages}");
                let mut flipped = page.to_vec();
                flipped[PAGE_SIZE - 1] ^= 1;
                assert!(!hashes.check(number as u32, &flipped, &id));
            }
            assert!(!hashes.check(pages as u32, &index[..PAGE_SIZE], &id), "beyond the end");
            let stored = PageHashes::from_list(hashes.as_list().to_vec(), pages as u32).unwrap();
            assert_eq!(stored, hashes);
        }
    }

    #[test]
    fn another_list_or_another_identity_is_refused() {
        let index = sample(5);
        let id = LayerId::from_bytes(*blake3::hash(&index).as_bytes());
        let mut list = PageHashes::compute(&index).as_list().to_vec();
        assert!(!PageHashes::from_list(list.clone(), 5).unwrap().verify_root(5, &LayerId::default()));
        list.swap(1, 2);
        assert!(!PageHashes::from_list(list, 5).unwrap().verify_root(5, &id));
    }

    #[test]
    fn a_page_is_good_only_at_its_own_place() {
        let index: Vec<u8> = core::iter::repeat_n(7u8, 4 * PAGE_SIZE).collect();
        let id = LayerId::from_bytes(*blake3::hash(&index).as_bytes());
        let hashes = PageHashes::compute(&index);
        let mut list = hashes.as_list().to_vec();
        list.dedup();
        assert_eq!(list.len(), 4, "equal pages at other offsets have other chaining values");
        assert!(hashes.check(2, &index[..PAGE_SIZE], &id));
    }

    #[test]
    fn list_lengths_are_checked() {
        for (length, pages) in [(0, 0), (1, 1), (0, 2), (3, 2), (1, 2)] {
            let list = alloc::vec![[0; 32]; length];
            assert_eq!(
                PageHashes::from_list(list, pages),
                Err(PageHashesError { pages, found: length }),
                "{length} {pages}"
            );
        }
    }
}
