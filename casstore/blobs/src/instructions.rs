//! How a client says of what a blob is made: the body of a compose request (docs/formats.md, "Compose instructions").
//!
//! A stream of instructions, each either a copy of bytes of a blob that is already there or bytes that follow. Pure: who
//! may copy what, and the copying, are [`Composer`](crate::Composer)'s.

use bytes::{Buf, Bytes};

use crate::digest::{Algorithm, Digest};

/// Instruction: copy.
const COPY: u8 = 1;
/// Instruction: bytes that follow.
const BYTES: u8 = 2;
/// The number of SHA-256 in instructions.
const SHA256: u8 = 1;
/// The number of SHA-512 in instructions.
const SHA512: u8 = 2;
/// Longest head of an instruction: a copy by SHA-512.
const LONGEST_HEAD: usize = 1 + 1 + 64 + 8 + 8;

/// One step of making a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// Bytes of another blob come next.
    Copy(BlobRange),
    /// These bytes come next; at least one, and perhaps not all that the instruction announced: the rest follows.
    Bytes(Bytes),
}

/// Some bytes of a blob: at least one, and their end is a `u64`. Whether the blob has them is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobRange {
    /// Which blob.
    pub digest: Digest,
    /// Where the bytes start in it.
    pub offset: u64,
    /// How many they are.
    pub length: u64,
}

/// The stream is none of instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstructionError {
    /// An instruction that is not defined.
    #[error("instruction {0} is not known; 1 is copy, 2 is bytes")]
    Unknown(u8),
    /// A digest algorithm that is not defined.
    #[error("digest algorithm {0} is not known; 1 is sha256, 2 is sha512")]
    Algorithm(u8),
    /// Instructions that do nothing would be work without an end.
    #[error("an instruction has a length of zero")]
    Empty,
    /// Offset and length lead beyond what a number can say.
    #[error("a copy ends beyond 2^64")]
    Overflow,
    /// The stream ended within an instruction.
    #[error("the last instruction is not complete")]
    Truncated,
}

/// Reads instructions from a stream, in whatever portions it comes; holds the head of one instruction at most.
#[derive(Clone, Debug, Default)]
pub struct Instructions {
    head: Vec<u8>,
    /// Announced bytes that have not come yet.
    bytes_left: u32,
}

impl Instructions {
    /// At the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next instruction of `portion`, which is taken from its start; `None` when it is used up.
    ///
    /// # Errors
    ///
    /// [`InstructionError`] for what is no instruction. The stream cannot be gone on with.
    pub fn next(&mut self, portion: &mut Bytes) -> Result<Option<Instruction>, InstructionError> {
        loop {
            if self.bytes_left > 0 && !portion.is_empty() {
                let now = portion.len().min(self.bytes_left as usize);
                self.bytes_left -= now as u32;
                return Ok(Some(Instruction::Bytes(portion.split_to(now))));
            }
            if portion.is_empty() {
                return Ok(None);
            }
            let needed = head_size(&self.head)?;
            let now = (needed - self.head.len()).min(portion.len());
            self.head.extend_from_slice(&portion.split_to(now));
            // A head may say of itself that it is longer, once there is more of it.
            if self.head.len() == head_size(&self.head)? {
                let head = std::mem::take(&mut self.head);
                if let Some(copy) = self.read(&head)? {
                    return Ok(Some(Instruction::Copy(copy)));
                }
            }
        }
    }

    /// Says whether the stream may end here.
    ///
    /// # Errors
    ///
    /// [`InstructionError::Truncated`] within an instruction.
    pub fn finish(&self) -> Result<(), InstructionError> {
        let complete = self.head.is_empty() && self.bytes_left == 0;
        if complete { Ok(()) } else { Err(InstructionError::Truncated) }
    }

    /// Acts on a complete head: a copy, or bytes that are to follow.
    fn read(&mut self, head: &[u8]) -> Result<Option<BlobRange>, InstructionError> {
        let truncated = |_| InstructionError::Truncated;
        let mut rest = head;
        if rest.try_get_u8().map_err(truncated)? == BYTES {
            self.bytes_left = rest.try_get_u32_le().map_err(truncated)?;
            return if self.bytes_left > 0 { Ok(None) } else { Err(InstructionError::Empty) };
        }
        let algorithm = algorithm(rest.try_get_u8().map_err(truncated)?)?;
        let digest = match algorithm {
            Algorithm::Sha256 => Digest::Sha256(array(&mut rest)?),
            Algorithm::Sha512 => Digest::Sha512(array(&mut rest)?),
        };
        let offset = rest.try_get_u64_le().map_err(truncated)?;
        let length = rest.try_get_u64_le().map_err(truncated)?;
        if length == 0 {
            return Err(InstructionError::Empty);
        }
        offset.checked_add(length).ok_or(InstructionError::Overflow)?;
        Ok(Some(BlobRange { digest, offset, length }))
    }
}

impl Instruction {
    /// Writes the instruction at the end of `out`. Bytes of 4 GiB and more become several instructions.
    pub fn emit(&self, out: &mut Vec<u8>) {
        match self {
            Self::Copy(BlobRange { digest, offset, length }) => {
                let algorithm = match digest.algorithm() {
                    Algorithm::Sha256 => SHA256,
                    Algorithm::Sha512 => SHA512,
                };
                out.extend_from_slice(&[COPY, algorithm]);
                out.extend_from_slice(digest.as_bytes());
                out.extend_from_slice(&offset.to_le_bytes());
                out.extend_from_slice(&length.to_le_bytes());
            }
            Self::Bytes(bytes) => {
                for portion in bytes.chunks(u32::MAX as usize) {
                    out.push(BYTES);
                    out.extend_from_slice(&(portion.len() as u32).to_le_bytes());
                    out.extend_from_slice(portion);
                }
            }
        }
    }
}

/// How long a head is that starts like this; more than is there, or just that.
fn head_size(head: &[u8]) -> Result<usize, InstructionError> {
    match head {
        [] => Ok(1),
        [BYTES, ..] => Ok(5),
        [COPY] => Ok(2),
        [COPY, number, ..] => Ok(match algorithm(*number)? {
            Algorithm::Sha256 => LONGEST_HEAD - 32,
            Algorithm::Sha512 => LONGEST_HEAD,
        }),
        [unknown, ..] => Err(InstructionError::Unknown(*unknown)),
    }
}

fn algorithm(number: u8) -> Result<Algorithm, InstructionError> {
    match number {
        SHA256 => Ok(Algorithm::Sha256),
        SHA512 => Ok(Algorithm::Sha512),
        number => Err(InstructionError::Algorithm(number)),
    }
}

fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], InstructionError> {
    let mut array = [0; N];
    rest.try_copy_to_slice(&mut array).map_err(|_| InstructionError::Truncated)?;
    Ok(array)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All instructions of a stream that comes in portions of these sizes, in turn; bytes that follow each other are one.
    fn read(stream: &[u8], portions: &[usize]) -> Result<Vec<Instruction>, InstructionError> {
        let (mut parser, mut found, mut rest) =
            (Instructions::new(), Vec::new(), Bytes::copy_from_slice(stream));
        for size in portions.iter().cycle() {
            let mut portion = rest.split_to((*size).min(rest.len()));
            while let Some(next) = parser.next(&mut portion)? {
                match (found.last_mut(), next) {
                    (Some(Instruction::Bytes(before)), Instruction::Bytes(more)) => {
                        assert!(!more.is_empty());
                        *before = [&before[..], &more].concat().into();
                    }
                    (_, next) => found.push(next),
                }
            }
            assert!(portion.is_empty() && parser.head.capacity() <= 2 * LONGEST_HEAD);
            if rest.is_empty() {
                break;
            }
        }
        parser.finish().map(|()| found)
    }

    fn copy(digest: Digest, offset: u64, length: u64) -> Instruction {
        Instruction::Copy(BlobRange { digest, offset, length })
    }

    fn sample() -> Vec<Instruction> {
        vec![
            copy(Digest::of(b"one"), 5, 1),
            Instruction::Bytes(Bytes::from_static(b"some bytes")),
            copy(Algorithm::Sha512.digest(b"two"), 0, u64::MAX),
            Instruction::Bytes(Bytes::from_static(b"x")),
        ]
    }

    fn emit(instructions: &[Instruction]) -> Vec<u8> {
        let mut out = Vec::new();
        instructions.iter().for_each(|instruction| instruction.emit(&mut out));
        out
    }

    #[test]
    fn the_bytes_are_those_of_formats_md() {
        let digest = Digest::of(b"one");
        let golden = [&[1, 1][..], digest.as_bytes(), &[5, 0, 0, 0, 0, 0, 0, 0], &[1, 0, 0, 0, 0, 0, 0, 0]];
        assert_eq!(emit(&sample()[..1]), golden.concat());
        assert_eq!(emit(&sample()[1..2]), b"\x02\x0a\x00\x00\x00some bytes");
        assert_eq!(emit(&sample()[2..3]).len(), 82);
    }

    #[test]
    fn what_was_written_is_read() {
        let stream = emit(&sample());
        for portions in [&[1][..], &[3, 50, 7], &[1000]] {
            assert_eq!(read(&stream, portions), Ok(sample()));
        }
        assert_eq!(read(&[], &[1]), Ok(Vec::new()));
        for cut in 1..stream.len() {
            let result = read(&stream[..cut], &[9]);
            let whole = [50, 65, 147].contains(&cut);
            assert_eq!(result.is_ok(), whole, "cut at {cut}: {result:?}");
        }
    }

    #[test]
    fn each_wrong_instruction_has_its_error() {
        let with = |at: usize, bytes: &[u8]| {
            let mut stream = emit(&sample()[..1]);
            stream[at..at + bytes.len()].copy_from_slice(bytes);
            read(&stream, &[1])
        };
        assert_eq!(with(0, &[0]), Err(InstructionError::Unknown(0)));
        assert_eq!(with(0, &[3]), Err(InstructionError::Unknown(3)));
        assert_eq!(with(1, &[0]), Err(InstructionError::Algorithm(0)));
        assert_eq!(with(1, &[3]), Err(InstructionError::Algorithm(3)));
        assert_eq!(with(42, &[0; 8]), Err(InstructionError::Empty));
        assert_eq!(with(42, &[0xff; 8]), Err(InstructionError::Overflow));
        assert_eq!(read(b"\x02\0\0\0\0\x02\0\0\0\0", &[9]), Err(InstructionError::Empty));
    }

    proptest! {
        #[test]
        fn any_stream_is_read_alike_in_any_portions(
            mut stream in prop::collection::vec(0u8..4, 0..300),
            keep in 0usize..200,
            portions in prop::collection::vec(1usize..40, 1..5),
        ) {
            let good = emit(&sample());
            stream.splice(0..0, good.into_iter().take(keep));
            let whole = read(&stream, &[1000]);
            prop_assert_eq!(read(&stream, &portions), whole.clone());
            if let Ok(instructions) = whole {
                prop_assert_eq!(read(&emit(&instructions), &[1000]), Ok(instructions));
            }
        }
    }
}
