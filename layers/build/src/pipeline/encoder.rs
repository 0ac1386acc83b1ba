//! From a chunk to the frame that is stored: a zstd frame or a gzip member, by the form of the blob.

use std::io::{self, Write};

use flate2::{Compression, GzBuilder};
use plyos_layer_format::frames::{Form, MAX_FRAME};
use zstd::bulk::Compressor;

/// Raised whenever the gzip encoder gives other bytes than before: a part of the key by which frames are cached. (zstd says its own
/// version.)
const GZIP_VERSION: u32 = 1;

/// The greatest level of gzip; greater ones of zstd mean the same.
const GZIP_LEVELS: i32 = 9;

/// How chunks become frames. With the chunk itself it is all that a frame depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Coding {
    pub form: Form,
    pub level: i32,
}

impl Coding {
    /// A number for this coding by this program: form, level and version of the encoder.
    pub(crate) fn number(self) -> u64 {
        let version = match self.form {
            Form::Zstd => zstd::zstd_safe::version_number(),
            Form::Gzip => GZIP_VERSION,
        };
        u64::from(version) << 16 | u64::from(self.level as u8) << 8 | self.form as u64
    }
}

/// Makes frames, one after the other.
pub(crate) struct Encoder {
    coding: Coding,
    zstd: Option<Compressor<'static>>,
    buffer: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new(coding: Coding) -> io::Result<Self> {
        let zstd = match coding.form {
            Form::Zstd => Some(compressor(coding.level)?),
            Form::Gzip => None,
        };
        Ok(Self { coding, zstd, buffer: Vec::with_capacity(MAX_FRAME as usize) })
    }

    /// The frame of a chunk.
    pub(crate) fn encode(&mut self, chunk: &[u8]) -> io::Result<&[u8]> {
        self.buffer.clear();
        match &mut self.zstd {
            Some(compressor) => {
                compressor.compress_to_buffer(chunk, &mut self.buffer)?;
            }
            None => {
                // Without time and name, as by `gzip -n`: the same chunk gives the same member.
                let level = Compression::new(self.coding.level.clamp(1, GZIP_LEVELS) as u32);
                let mut member = GzBuilder::new().write(&mut self.buffer, level);
                member.write_all(chunk)?;
                member.finish()?;
            }
        }
        Ok(&self.buffer)
    }
}

/// A compressor that writes frames as docs/formats.md, "Blob and footer", has them: content size, no checksum, no dictionary.
/// The window is never larger than the chunk, since each chunk is compressed in one step.
pub(crate) fn compressor(level: i32) -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(level)?;
    compressor.include_contentsize(true)?;
    compressor.include_checksum(false)?;
    compressor.include_dictid(false)?;
    Ok(compressor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_coding_has_its_number() {
        let mut numbers: Vec<u64> = Vec::new();
        for form in [Form::Zstd, Form::Gzip] {
            numbers.extend((1..=22).map(|level| Coding { form, level }.number()));
        }
        let count = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), count);
    }

    #[test]
    fn chunks_that_do_not_compress_stay_within_the_longest_frame() {
        let mut chunk = vec![0; 1 << 20];
        blake3::Hasher::new().finalize_xof().fill(&mut chunk);
        for form in [Form::Zstd, Form::Gzip] {
            for level in [1, 3, 9] {
                let length = Encoder::new(Coding { form, level }).unwrap().encode(&chunk).unwrap().len();
                assert!(length <= MAX_FRAME as usize, "{form:?} {level}: {length}");
            }
        }
    }
}
