//! Where zstd frames end in a stream of bytes, told from frame and block headers alone (RFC 8878, 3.1).
//!
//! Nothing is decompressed and nothing is held but the header that is being read, so any stream can be walked, however
//! long its frames are. [`Frames`] is used by [`PieceCutter`](crate::cut::PieceCutter), to which a layer's frames are where a blob is best cut.

/// First bytes of a zstd frame.
const MAGIC: u32 = 0xFD2F_B528;
/// First bytes of a skippable frame; the low four bits are free.
const SKIPPABLE: u32 = 0x184D_2A50;
/// Longest block of a zstd frame, compressed or not ("Block_Maximum_Size").
const LONGEST_BLOCK: u32 = 128 * 1024;

/// What some bytes of the stream were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// All of them belong to a frame that goes on.
    Inside,
    /// A frame ended after so many of them, at least one.
    End(usize),
    /// So many of them, at least one, and then it was clear that these are no zstd frames.
    Lost(usize),
}

/// Walks a stream of zstd and skippable frames, in whatever pieces it comes. What it says depends on the bytes only, never on the
/// pieces.
#[derive(Clone, Debug)]
pub struct Frames {
    /// The header that comes after `skip` bytes.
    next: Header,
    /// What is there of it.
    held: u32,
    have: u32,
    /// Content to be passed over before.
    skip: u64,
    /// Whether the frame is over after that.
    last: bool,
    /// Whether a checksum follows the frame's last block.
    checksum: bool,
}

/// The headers that matter, each of at most four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    Magic,
    SkippableSize,
    Descriptor,
    Block,
}

impl Header {
    const fn size(self) -> u32 {
        match self {
            Self::Magic | Self::SkippableSize => 4,
            Self::Descriptor => 1,
            Self::Block => 3,
        }
    }
}

/// No zstd decoder would take this header.
struct Unknown;

impl Default for Frames {
    fn default() -> Self {
        Self::new()
    }
}

impl Frames {
    /// At the start of a stream.
    pub fn new() -> Self {
        Self { next: Header::Magic, held: 0, have: 0, skip: 0, last: false, checksum: false }
    }

    /// Whether the bytes so far are whole frames.
    pub fn is_between(&self) -> bool {
        self.next == Header::Magic && self.have == 0 && self.skip == 0
    }

    /// Looks at the next bytes, up to the end of a frame. After [`Step::Lost`] there is nothing more to ask.
    pub fn step(&mut self, bytes: &[u8]) -> Step {
        let mut rest = bytes;
        loop {
            let passed = usize::try_from(self.skip).unwrap_or(usize::MAX).min(rest.len());
            rest = rest.get(passed..).unwrap_or_default();
            self.skip -= passed as u64;
            if self.skip == 0 && self.last {
                *self = Self::new();
                return Step::End(bytes.len() - rest.len());
            }
            let Some((&byte, after)) = rest.split_first() else { return Step::Inside };
            rest = after;
            self.held |= u32::from(byte) << (8 * self.have);
            self.have += 1;
            if self.have == self.next.size() && self.read().is_err() {
                return Step::Lost(bytes.len() - rest.len());
            }
        }
    }

    /// Acts on a complete header.
    fn read(&mut self) -> Result<(), Unknown> {
        let value = std::mem::take(&mut self.held);
        self.have = 0;
        match self.next {
            Header::Magic if value == MAGIC => self.next = Header::Descriptor,
            Header::Magic if value & !0xf == SKIPPABLE => self.next = Header::SkippableSize,
            Header::Magic => return Err(Unknown),
            Header::SkippableSize => {
                self.skip = u64::from(value);
                self.last = true;
            }
            Header::Descriptor => self.read_descriptor(value)?,
            Header::Block => self.read_block(value)?,
        }
        Ok(())
    }

    /// 3.1.1.1.1: which fields the rest of the frame header has.
    fn read_descriptor(&mut self, value: u32) -> Result<(), Unknown> {
        let single_segment = value >> 5 & 1;
        if value >> 3 & 1 != 0 {
            return Err(Unknown);
        }
        self.checksum = value >> 2 & 1 != 0;
        let window = 1 - single_segment;
        let dictionary = [0, 1, 2, 4].get(value as usize & 3).copied().unwrap_or_default();
        let content_size = [single_segment, 2, 4, 8].get(value as usize >> 6).copied().unwrap_or_default();
        self.skip = u64::from(window + dictionary + content_size);
        self.next = Header::Block;
        Ok(())
    }

    /// 3.1.1.2: how long a block is, and whether it is the last.
    fn read_block(&mut self, value: u32) -> Result<(), Unknown> {
        let size = value >> 3;
        if size > LONGEST_BLOCK {
            return Err(Unknown);
        }
        self.skip = match value >> 1 & 3 {
            0 | 2 => u64::from(size),
            1 => 1,
            _ => return Err(Unknown),
        };
        if value & 1 != 0 {
            self.last = true;
            self.skip += if self.checksum { 4 } else { 0 };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    /// Ends of frames when the stream comes in pieces of these sizes, in turn; `None` at the end if it is not of frames.
    fn ends(stream: &[u8], pieces: &[usize]) -> Vec<Option<usize>> {
        let (mut frames, mut found, mut at) = (Frames::new(), Vec::new(), 0);
        let mut sizes = pieces.iter().cycle();
        while at < stream.len() {
            let piece = &stream[at..stream.len().min(at + sizes.next().unwrap())];
            match frames.step(piece) {
                Step::Inside => at += piece.len(),
                Step::End(taken) => {
                    assert!(taken > 0 && frames.is_between());
                    at += taken;
                    found.push(Some(at));
                }
                Step::Lost(taken) => {
                    assert!(taken > 0);
                    found.extend([Some(at + taken), None]);
                    return found;
                }
            }
        }
        found
    }

    /// The reference encoder's frames in all the forms that it writes.
    fn frame(content: &[u8], level: i32, checksum: bool, size: bool) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), level).unwrap();
        encoder.include_checksum(checksum).unwrap();
        encoder.include_contentsize(size).unwrap();
        if size {
            encoder.set_pledged_src_size(Some(content.len() as u64)).unwrap();
        }
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn skippable(content: &[u8]) -> Vec<u8> {
        [&0x184D_2A57u32.to_le_bytes()[..], &(content.len() as u32).to_le_bytes(), content].concat()
    }

    fn contents() -> Vec<Vec<u8>> {
        let noise = |len: u32| (0..len).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        vec![Vec::new(), vec![7], noise(200), vec![0; 70_000], noise(300_000), vec![1; 1 << 20]]
    }

    #[test]
    fn ends_are_where_the_encoder_ended_its_frames() {
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for content in contents() {
            for (level, checksum, size) in
                [(1, false, true), (9, true, true), (3, true, false), (1, false, false)]
            {
                stream.extend(frame(&content, level, checksum, size));
                expected.push(Some(stream.len()));
            }
            stream.extend(skippable(&content));
            expected.push(Some(stream.len()));
        }
        for pieces in [&[usize::MAX >> 1][..], &[1], &[3, 70_000, 11]] {
            assert_eq!(ends(&stream, pieces), expected);
        }
    }

    #[test]
    fn what_is_no_zstd_is_said_at_its_first_wrong_header() {
        for (stream, at) in [
            (&b"\x1f\x8b\x08\x00rest"[..], 4),
            (b"\x28\xb5\x2f\xfe", 4),
            // A reserved bit of the descriptor; a reserved kind of block; a block of 128 KiB and a byte.
            (b"\x28\xb5\x2f\xfd\x08", 5),
            (b"\x28\xb5\x2f\xfd\x20\x00\x07\x00\x00", 9),
            (b"\x28\xb5\x2f\xfd\x20\x00\x08\x00\x10", 9),
        ] {
            assert_eq!(ends(stream, &[100]), [Some(at), None], "{stream:x?}");
        }
        let tail = [frame(b"first", 3, false, true), b"tail".to_vec()].concat();
        assert_eq!(ends(&tail, &[100]), [Some(tail.len() - 4), Some(tail.len()), None]);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            stream in prop::collection::vec(any::<u8>(), 0..200),
            at in 0usize..400,
            pieces in prop::collection::vec(1usize..60, 1..5),
        ) {
            let mut bytes = frame(&contents()[2], 1, true, true);
            bytes.truncate(at);
            bytes.extend(stream);
            prop_assert_eq!(ends(&bytes, &pieces), ends(&bytes, &[1 << 20]));
        }
    }
}
