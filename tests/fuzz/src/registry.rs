//! What a registry is sent and keeps: compose instructions, recipes, and blobs that are cut into pieces.

use std::convert::Infallible;

use plyos_blobs::{Instruction, Instructions, Piece, PieceCutter, PieceList, Recipe};

/// Bytes of a portion in which a stream arrives in the second run; a prime, so that no head ends with it for long.
const PORTION: usize = 7;

/// A stream of instructions is read alike in whatever portions it comes; what was read is written and read again; no instruction
/// is empty or leads beyond `u64`.
pub fn compose(data: &[u8]) {
    let whole = instructions(data, data.len().max(1));
    assert_eq!(whole, instructions(data, PORTION), "portions must not matter");
    let Some(found) = whole else { return };
    let mut again = Vec::new();
    for instruction in &found {
        match instruction {
            Instruction::Copy(copy) => {
                assert!(copy.length > 0 && copy.offset.checked_add(copy.length).is_some());
            }
            Instruction::Bytes(bytes) => assert!(!bytes.is_empty()),
        }
        instruction.emit(&mut again);
    }
    assert_eq!(instructions(&again, PORTION), Some(found), "parse(emit(x)) must be x");
}

/// All instructions, bytes that follow each other as one; `None` if these are none.
fn instructions(data: &[u8], portions: usize) -> Option<Vec<Instruction>> {
    let (mut parser, mut found) = (Instructions::new(), Vec::new());
    for portion in data.chunks(portions) {
        let mut portion = portion.to_vec().into();
        while let Some(next) = parser.next(&mut portion).ok()? {
            match (found.last_mut(), next) {
                (Some(Instruction::Bytes(before)), Instruction::Bytes(more)) => {
                    *before = [&before[..], &more].concat().into();
                }
                (_, next) => found.push(next),
            }
        }
    }
    parser.finish().ok()?;
    Some(found)
}

/// Pieces are a blob's bytes in order, none empty or too long, and the same in whatever portions the blob comes.
pub fn pieces(data: &[u8]) {
    let whole = cut(data, data.len().max(1));
    assert_eq!(whole, cut(data, PORTION), "portions must not matter");
    assert_eq!(whole.iter().map(|piece| piece.length as usize).sum::<usize>(), data.len());
    let list = PieceList { pieces: whole };
    assert_eq!(PieceList::parse(&list.emit()), Ok(list), "parse(emit(x)) must be x");
}

fn cut(data: &[u8], portions: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut sink = |piece: &[u8]| -> Result<(), Infallible> {
        assert!(!piece.is_empty() && piece.len() <= 256 << 10);
        pieces.push(Piece::of(piece));
        Ok(())
    };
    let mut cutter = PieceCutter::new();
    for portion in data.chunks(portions) {
        let Ok(()) = cutter.feed(portion, &mut sink);
    }
    let Ok(()) = cutter.finish(&mut sink);
    pieces
}

/// Piece lists and recipes have one spelling, and their lengths sum to what they say.
pub fn lists(data: &[u8]) {
    if let Ok(list) = PieceList::parse(data) {
        assert_eq!(list.emit(), data, "emit(parse(x)) must be x");
    }
    if let Ok(recipe) = Recipe::parse(&data.to_vec().into()) {
        assert_eq!(recipe.emit(), data, "emit(parse(x)) must be x");
        let extents = recipe.extents();
        let sum: u64 = extents.iter().map(|extent| extent.length).sum();
        assert!(extents.is_empty() || sum == recipe.size());
    }
}
