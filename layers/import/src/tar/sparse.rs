//! Files with holes: where the bytes that are in the archive belong.
//!
//! GNU tar has four spellings. Read here are the old one (type `S`), pax 0.1 (the map in a pax record) and pax 1.0 (the map before
//! the content; GNU tar's and libarchive's present one). pax 0.0 says its map in repeated records and is refused with them.

use std::io::Read;

use super::header::{BLOCK, unsigned_number};
use super::pax::Records;
use crate::error::Refusal;

/// Most pieces of a file. A map is held in memory, 16 bytes a piece.
const MAX_PIECES: usize = 1 << 20;

/// A run of bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub offset: u64,
    pub length: u64,
}

/// The pieces of a file that are in the archive, one after the other; what lies between them is zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Map {
    pub pieces: Vec<Piece>,
    /// Bytes of the whole file.
    pub size: u64,
}

impl Map {
    /// A file without holes.
    pub(super) fn whole(size: u64) -> Self {
        Self { pieces: vec![Piece { offset: 0, length: size }], size }
    }

    /// Checks that pieces are in order, within the file, and together as long as what is `stored`.
    pub(super) fn new(pieces: Vec<Piece>, size: u64, stored: u64) -> Result<Self, Refusal> {
        let (mut end, mut sum) = (0u64, 0u64);
        for piece in &pieces {
            if piece.offset < end {
                return Err(Refusal::Sparse("pieces overlap or are not in order"));
            }
            end = piece.offset.checked_add(piece.length).ok_or(Refusal::Sparse("a piece has no end"))?;
            sum += piece.length;
        }
        if end > size {
            return Err(Refusal::Sparse("a piece lies after the end of the file"));
        }
        if sum != stored {
            return Err(Refusal::Sparse("the pieces are not as long as what is stored"));
        }
        Ok(Self { pieces, size })
    }

    /// Bytes of holes.
    pub(super) fn holes(&self) -> u64 {
        self.size - self.pieces.iter().map(|piece| piece.length).sum::<u64>()
    }
}

fn push(pieces: &mut Vec<Piece>, offset: u64, length: u64) -> Result<(), Refusal> {
    if pieces.len() >= MAX_PIECES {
        return Err(Refusal::Sparse("it has more than a million pieces"));
    }
    pieces.push(Piece { offset, length });
    Ok(())
}

/// The map of pax 0.1: `offset,length,…` in a record.
pub(super) fn in_record(text: &[u8], records: &Records) -> Result<Vec<Piece>, Refusal> {
    let numbers = text.split(|byte| *byte == b',').map(decimal).collect::<Result<Vec<_>, _>>()?;
    let mut pieces = Vec::new();
    for pair in numbers.chunks(2) {
        let [offset, length] = pair else { return Err(Refusal::Sparse("a piece without a length")) };
        push(&mut pieces, *offset, *length)?;
    }
    if records.number("GNU.sparse.numblocks", "number of pieces")? != Some(pieces.len() as u64) {
        return Err(Refusal::Sparse("its number of pieces is another one"));
    }
    Ok(pieces)
}

/// The map of pax 1.0: decimal lines in whole blocks before the content. Returns also how many bytes it took.
pub(super) fn before_content(mut input: impl Read, stored: u64) -> std::io::Result<(Vec<Piece>, u64)> {
    let mut taken = 0;
    let mut text: Vec<u8> = Vec::new();
    let mut numbers = Vec::new();
    // The first line counts the pieces, two lines for each follow.
    let mut wanted = 1;
    let refuse = std::io::Error::other::<Refusal>;
    while numbers.len() < wanted {
        if taken + BLOCK as u64 > stored {
            return Err(refuse(Refusal::Sparse("it runs over the end")));
        }
        let mut block = [0; BLOCK];
        input.read_exact(&mut block)?;
        taken += BLOCK as u64;
        for byte in block {
            if numbers.len() == wanted {
                break;
            }
            if byte != b'\n' {
                text.push(byte);
                continue;
            }
            numbers.push(decimal(&text).map_err(refuse)?);
            text.clear();
            if let [count] = numbers[..] {
                let count = usize::try_from(count).ok().filter(|count| *count <= MAX_PIECES);
                let count =
                    count.ok_or_else(|| refuse(Refusal::Sparse("it has more than a million pieces")))?;
                wanted = 1 + 2 * count;
            }
        }
        if text.len() > BLOCK {
            return Err(refuse(Refusal::Sparse("a number of many digits")));
        }
    }
    let pieces = numbers.get(1..).unwrap_or_default().chunks_exact(2).filter_map(|pair| match pair {
        [offset, length] => Some(Piece { offset: *offset, length: *length }),
        _ => None,
    });
    Ok((pieces.collect(), taken))
}

/// The map of the old form: four pieces in the header, 21 in each block after it as long as there is one.
pub(super) fn in_blocks(
    header: &tar::GnuHeader,
    mut next: impl FnMut() -> std::io::Result<[u8; BLOCK]>,
) -> std::io::Result<Vec<Piece>> {
    let refuse = std::io::Error::other::<Refusal>;
    let mut pieces = Vec::new();
    let mut add = |offset: &[u8], length: &[u8]| -> Result<(), Refusal> {
        if offset.first() == Some(&0) || length.first() == Some(&0) {
            return Ok(());
        }
        push(&mut pieces, unsigned_number(offset, "hole")?, unsigned_number(length, "hole")?)
    };
    for piece in &header.sparse {
        add(&piece.offset, &piece.numbytes).map_err(refuse)?;
    }
    let mut more = header.isextended == [1];
    while more {
        const PIECE: usize = 24;
        const PIECES: usize = 21 * PIECE;
        let block = next()?;
        let (list, rest) = block.split_at_checked(PIECES).unwrap_or_default();
        for piece in list.chunks_exact(PIECE) {
            let (offset, length) = piece.split_at_checked(PIECE / 2).unwrap_or_default();
            add(offset, length).map_err(refuse)?;
        }
        more = rest.first() == Some(&1);
    }
    Ok(pieces)
}

fn decimal(digits: &[u8]) -> Result<u64, Refusal> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.and_then(|text| text.parse().ok()).ok_or(Refusal::Sparse("a number is none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pieces: &[(u64, u64)], size: u64, stored: u64) -> Result<Map, Refusal> {
        Map::new(
            pieces.iter().map(|(offset, length)| Piece { offset: *offset, length: *length }).collect(),
            size,
            stored,
        )
    }

    #[test]
    fn a_map_is_in_order_within_the_file_and_complete() {
        assert_eq!(map(&[(0, 5), (10, 5), (20, 0)], 20, 10).unwrap().holes(), 10);
        assert!(map(&[], 20, 0).is_ok());
        for (pieces, size, stored) in [
            (&[(0, 5), (4, 5)][..], 20, 10),
            (&[(10, 5), (0, 5)], 20, 10),
            (&[(10, 11)], 20, 11),
            (&[(u64::MAX, 2)], 20, 2),
            (&[(0, 5)], 20, 6),
        ] {
            assert!(matches!(map(pieces, size, stored), Err(Refusal::Sparse(_))), "{pieces:?}");
        }
    }

    #[test]
    fn a_map_before_the_content_takes_whole_blocks() {
        let mut block = b"2\n0\n5\n10\n7\n".to_vec();
        block.resize(BLOCK, 0);
        let (pieces, taken) = before_content(&block[..], 2000).unwrap();
        assert_eq!((pieces.len(), taken), (2, 512));
        assert_eq!(pieces[1], Piece { offset: 10, length: 7 });
        for bad in ["x\n", "9999999\n", "1\n-1\n1\n"] {
            let mut block = bad.as_bytes().to_vec();
            block.resize(BLOCK, 0);
            assert!(before_content(&block[..], 2000).is_err(), "{bad}");
        }
        assert!(before_content(&block[..], 100).is_err());
    }
}
