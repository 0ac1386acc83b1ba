//! Catalog files as they are sent compressed: made once for each content, and kept within a bound.
//!
//! The catalog's metadata is JSON that shrinks to a tenth, and thousands of targets ask for the same few files. The
//! key is the digest of the plain bytes, so an entry can never be out of date, and nothing is stored beside the file.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use plyos_blobs::Digest;
use tokio::sync::Semaphore;

use super::coding::Coding;

/// Files that are compressed at all, by size in bytes. Smaller ones fit a packet or two as they are; larger ones would
/// take too much memory for one answer.
const SIZES: std::ops::RangeInclusive<u64> = 1024..=8 * 1024 * 1024;
/// Bytes of compressed answers that are kept.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// Answers that are kept, those for "no gain" included.
const MOST_ANSWERS: usize = 4096;
/// Files compressed at a time: bounds memory, and leaves cores to those who only read.
const AT_A_TIME: usize = 1;
/// Paid once for each content, read by many.
const ZSTD_LEVEL: i32 = 12;

/// Compressed answers by content.
#[derive(Debug)]
pub(crate) struct Precompressed {
    kept: Mutex<Kept>,
    turns: Semaphore,
}

#[derive(Debug, Default)]
struct Kept {
    answers: HashMap<(Digest, Coding), Answer>,
    bytes: usize,
    clock: u64,
}

#[derive(Debug)]
struct Answer {
    /// `None`: compressing gains nothing.
    bytes: Option<Bytes>,
    used: u64,
}

impl Default for Precompressed {
    fn default() -> Self {
        Self { kept: Mutex::default(), turns: Semaphore::new(AT_A_TIME) }
    }
}

/// Whether a file of `size` bytes and this type may be sent compressed.
pub(crate) fn suits(size: u64, content_type: &str) -> bool {
    let text = content_type.starts_with("text/") || content_type.contains("json");
    text && SIZES.contains(&size)
}

impl Precompressed {
    /// The content of `digest` in this coding; `None` if that is no smaller. `read` gives the plain bytes, and is asked
    /// only when the answer is not known.
    pub(crate) async fn get<E>(
        &self,
        digest: &Digest,
        coding: Coding,
        read: impl AsyncFnOnce() -> Result<Option<Bytes>, E>,
    ) -> Result<Option<Bytes>, E> {
        if let Some(known) = self.kept().find(digest, coding) {
            return Ok(known);
        }
        // The semaphore is never closed.
        let _turn = self.turns.acquire().await;
        // Who waited for a turn mostly waited for just this answer.
        if let Some(known) = self.kept().find(digest, coding) {
            return Ok(known);
        }
        let Some(plain) = read().await? else { return Ok(None) };
        let made = tokio::task::spawn_blocking(move || compress(coding, &plain)).await.ok().flatten();
        self.kept().keep(digest, coding, made.clone());
        Ok(made)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Sound after any panic: at worst an answer is counted and not there.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn find(&mut self, digest: &Digest, coding: Coding) -> Option<Option<Bytes>> {
        self.clock += 1;
        let answer = self.answers.get_mut(&(*digest, coding))?;
        answer.used = self.clock;
        Some(answer.bytes.clone())
    }

    fn keep(&mut self, digest: &Digest, coding: Coding, bytes: Option<Bytes>) {
        let size = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        self.clock += 1;
        self.bytes += size(&bytes);
        if let Some(before) = self.answers.insert((*digest, coding), Answer { bytes, used: self.clock }) {
            self.bytes -= size(&before.bytes);
        }
        while self.bytes > MOST_BYTES || self.answers.len() > MOST_ANSWERS {
            let oldest = self.answers.iter().min_by_key(|(_, answer)| answer.used).map(|(key, _)| *key);
            let Some(gone) = oldest.and_then(|key| self.answers.remove(&key)) else { return };
            self.bytes -= size(&gone.bytes);
        }
    }
}

/// `None` unless an eighth is saved: below that the client's work is not worth it.
fn compress(coding: Coding, plain: &[u8]) -> Option<Bytes> {
    let made = match coding {
        Coding::Zstd => zstd::bulk::compress(plain, ZSTD_LEVEL).ok()?,
        Coding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(plain).ok()?;
            encoder.finish().ok()?
        }
    };
    (made.len() < plain.len() - plain.len() / 8).then(|| Bytes::from(made))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;

    use super::*;

    async fn ask(cache: &Precompressed, plain: &Bytes, coding: Coding, reads: &Cell<u32>) -> Option<Bytes> {
        let read = async || {
            reads.set(reads.get() + 1);
            Ok::<_, Infallible>(Some(plain.clone()))
        };
        cache.get(&Digest::of(plain), coding, read).await.unwrap()
    }

    #[tokio::test]
    async fn an_answer_is_made_once_for_each_coding() {
        let (cache, reads) = (Precompressed::default(), Cell::new(0));
        let plain = Bytes::from("the same words, again and again; ".repeat(1000));
        for _ in 0..3 {
            let zstd = ask(&cache, &plain, Coding::Zstd, &reads).await.unwrap();
            assert_eq!(zstd::bulk::decompress(&zstd, 1 << 20).unwrap(), plain);
            let gzip = ask(&cache, &plain, Coding::Gzip, &reads).await.unwrap();
            let mut back = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(gzip.as_ref()), &mut back).unwrap();
            assert_eq!(back, plain);
        }
        assert_eq!(reads.get(), 2);
    }

    #[tokio::test]
    async fn what_gains_nothing_is_remembered_too() {
        let (cache, reads) = (Precompressed::default(), Cell::new(0));
        // A counter run through a hash does not compress.
        let noise: Vec<u8> =
            (0..200u32).flat_map(|n| Digest::of(&n.to_le_bytes()).hex().into_bytes()).collect();
        let noise: Bytes = noise
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        for _ in 0..2 {
            assert_eq!(ask(&cache, &noise, Coding::Zstd, &reads).await, None);
        }
        assert_eq!(reads.get(), 1);
    }

    #[test]
    fn the_bound_holds_and_the_least_used_goes_first() {
        let mut kept = Kept::default();
        let digest = |n: u32| Digest::of(&n.to_le_bytes());
        let third = Some(Bytes::from(vec![0; MOST_BYTES / 3]));
        for n in 0..3 {
            kept.keep(&digest(n), Coding::Zstd, third.clone());
        }
        assert!(kept.find(&digest(0), Coding::Zstd).is_some());
        kept.keep(&digest(3), Coding::Zstd, third);
        assert!(kept.bytes <= MOST_BYTES);
        assert!(kept.find(&digest(0), Coding::Zstd).is_some());
        assert!(kept.find(&digest(1), Coding::Zstd).is_none(), "it was used least");
        for n in 0..MOST_ANSWERS as u32 + 10 {
            kept.keep(&digest(n), Coding::Gzip, None);
        }
        assert!(kept.answers.len() <= MOST_ANSWERS);
        let held: usize = kept.answers.values().filter_map(|a| a.bytes.as_ref()).map(Bytes::len).sum();
        assert_eq!(kept.bytes, held);
    }

    #[test]
    fn only_text_of_a_middling_size_suits() {
        for (size, content_type, expected) in [
            (1023, "application/json", false),
            (1024, "application/json", true),
            (5000, "application/vnd.oci.image.manifest.v1+json", true),
            (5000, "text/plain; charset=utf-8", true),
            (5000, "application/octet-stream", false),
            (9 << 20, "application/json", false),
        ] {
            assert_eq!(suits(size, content_type), expected, "{size} {content_type}");
        }
    }
}
