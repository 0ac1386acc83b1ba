//! What a stream is, told by its first bytes, and what comes out of it.

use std::io::{self, Read};

use crate::bounds::Meter;
use crate::error::ImportError;

/// Bytes that tell.
const HEAD: usize = 8;
/// Memory that an xz stream may ask for: what `xz -9` needs to decompress, and as much again.
const XZ_MEMORY: u64 = 128 << 20;

/// What the first bytes of a file say that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Gzip,
    Zstd,
    Xz,
    Bzip2,
    /// An `ar` archive: a Debian package.
    Ar,
    /// A zip archive: a wheel.
    Zip,
    /// Anything else: a plain tar, if anything.
    Plain,
}

impl Shape {
    pub(crate) fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or a skippable frame before it.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..] => Self::Bzip2,
            [b'!', b'<', b'a', b'r', b'c', b'h', b'>', b'\n', ..] => Self::Ar,
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Self::Zip,
            _ => Self::Plain,
        }
    }
}

/// A stream whose first bytes were looked at.
pub(crate) type Peeked<R> = io::Chain<io::Cursor<Vec<u8>>, R>;

/// Looks at the first bytes of `input`, and gives it back whole.
pub(crate) fn peek<R: Read>(mut input: R) -> io::Result<(Shape, Peeked<R>)> {
    let mut head = Vec::with_capacity(HEAD);
    input.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    Ok((Shape::of(&head), io::Cursor::new(head).chain(input)))
}

/// Decompresses `input` if it is compressed. What goes in and what comes out is counted by `meter`.
pub(crate) fn decompress<'a>(
    input: impl Read + 'a,
    meter: &Meter,
    what: &str,
) -> Result<Box<dyn Read + 'a>, ImportError> {
    let failed = |source| ImportError::read(what, source);
    let (shape, input) = peek(meter.input(input)).map_err(failed)?;
    let unsupported = |hint: &str| failed(io::Error::new(io::ErrorKind::Unsupported, hint.to_owned()));
    let output: Box<dyn Read> = match shape {
        Shape::Gzip => Box::new(flate2::read::MultiGzDecoder::new(input)),
        Shape::Zstd => Box::new(zstd::stream::read::Decoder::new(input).map_err(failed)?),
        Shape::Xz => {
            let stream =
                liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED);
            let stream = stream.map_err(|error| failed(error.into()))?;
            Box::new(liblzma::read::XzDecoder::new_stream(input, stream))
        }
        Shape::Plain => Box::new(input),
        Shape::Bzip2 => return Err(unsupported("it is bzip2; give `bzip2 -dc FILE` on standard input")),
        Shape::Ar | Shape::Zip => {
            return Err(unsupported("it is an ar or zip archive, expected a tar; give a package as a file"));
        }
    };
    Ok(Box::new(meter.output(output)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::bounds::Limits;
    use crate::error::Refusal;

    fn through(compressed: &[u8], limits: Limits) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let meter = Meter::new(limits);
        decompress(compressed, &meter, "test").unwrap().read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn each_compression_is_told_by_its_content() {
        let text = b"text that is compressed ".repeat(100);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        gzip.write_all(&text).unwrap();
        let gzip = gzip.finish().unwrap();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
        xz.write_all(&text).unwrap();
        let xz = xz.finish().unwrap();
        let zstd = zstd::encode_all(&text[..], 3).unwrap();
        for compressed in [&gzip, &xz, &zstd] {
            assert_eq!(through(compressed, Limits::default()).unwrap(), text);
            // Parts one after the other are one stream.
            let twice = through(&compressed.repeat(2), Limits::default()).unwrap();
            assert_eq!(twice, text.repeat(2));
            assert!(through(&compressed[..compressed.len() - 9], Limits::default()).is_err(), "cut");
        }
        assert_eq!(through(&text, Limits::default()).unwrap(), text);
        let meter = Meter::new(Limits::default());
        assert!(decompress(&b"BZh91AY&SY"[..], &meter, "test").is_err());
    }

    #[test]
    fn a_bomb_is_stopped() {
        let bomb = zstd::encode_all(io::repeat(0).take(50 << 20), 3).unwrap();
        let limits = Limits { expanded: Some(1 << 20), ..Limits::default() };
        let stopped = through(&bomb, limits).unwrap_err().downcast::<Refusal>().unwrap();
        assert_eq!(stopped, Refusal::Expansion(1 << 20));
    }
}
