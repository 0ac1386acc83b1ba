//! What a registry keeps and is sent: recipes, a piece list and compose instructions.

use anyhow::{Result, ensure};
use plyos_blobs::{
    Algorithm, BlobRange, DataId, Digest, Extent, Instruction, Instructions, Piece, PieceCutter, PieceList,
    Recipe,
};

use crate::{Again, Golden};

/// The golden files of this module.
pub const GOLDEN: &[Golden] = &[
    Golden {
        name: "recipe-inline.bin",
        section: "Blob recipe",
        what: "the recipe of a small blob, which holds its bytes",
        make: || Ok(Recipe::inline("a small blob".into())?.emit().to_vec()),
        again: Again::Emit(emit_recipe),
    },
    Golden {
        name: "recipe-extents.bin",
        section: "Blob recipe",
        what: "the recipe of a blob in three places of two data objects",
        make: || Ok(Recipe::of_extents(extents())?.emit().to_vec()),
        again: Again::Emit(emit_recipe),
    },
    Golden {
        name: "piece-list.bin",
        section: "Piece list",
        what: "the pieces of two zstd frames, one long and one short, and 600,000 bytes that are none",
        make: || pieces().map(|list| list.emit()),
        again: Again::Emit(|bytes| Ok(PieceList::parse(bytes)?.emit())),
    },
    Golden {
        name: "compose.bin",
        section: "Compose instructions",
        what: "a copy of each digest algorithm, and bytes between",
        make: || Ok(emit(&instructions())),
        again: Again::Emit(|bytes| Ok(emit(&read(bytes)?))),
    },
];

fn extents() -> [Extent; 3] {
    let [one, two] = [[1; 16], [2; 16]].map(DataId::from_bytes);
    [(one, 0, 1 << 20), (two, 4096, 65_537), (one, 1 << 33, 1)].map(|(data, offset, length)| Extent {
        data,
        offset,
        length,
    })
}

fn emit_recipe(bytes: &[u8]) -> Result<Vec<u8>> {
    Ok(Recipe::parse(&bytes.to_vec().into())?.emit().to_vec())
}

/// Bytes of a repeated count, compressible or not by how it is multiplied.
fn run(len: u32, factor: u32) -> Vec<u8> {
    (0..len).map(|i| (i.wrapping_mul(factor) >> 11) as u8).collect()
}

/// A zstd frame of one raw block, written by hand so that no encoder's version changes it.
fn frame(content: &[u8]) -> Vec<u8> {
    let size = content.len() as u32;
    let block = (size << 3 | 1).to_le_bytes();
    let head: &[&[u8]] =
        &[&0xFD2F_B528u32.to_le_bytes(), &[0xA0], &size.to_le_bytes(), block.get(..3).unwrap_or_default()];
    [&head.concat()[..], content].concat()
}

fn pieces() -> Result<PieceList> {
    let blob = [frame(&run(40_000, 7)), frame(&run(900, 11)), run(600_000, 2_654_435_761)].concat();
    let mut list = PieceList::default();
    let mut sink = |piece: &[u8]| -> Result<()> {
        list.pieces.push(Piece::of(piece));
        Ok(())
    };
    let mut cutter = PieceCutter::new();
    cutter.feed(&blob, &mut sink)?;
    cutter.finish(&mut sink)?;
    ensure!(list.blob_size() == blob.len() as u64, "pieces are missing");
    Ok(list)
}

fn instructions() -> Vec<Instruction> {
    vec![
        Instruction::Copy(BlobRange { digest: Digest::of(b"a base"), offset: 4096, length: 1 << 33 }),
        Instruction::Bytes("what is new".into()),
        Instruction::Copy(BlobRange { digest: Algorithm::Sha512.digest(b"another"), offset: 0, length: 1 }),
    ]
}

fn emit(instructions: &[Instruction]) -> Vec<u8> {
    let mut out = Vec::new();
    instructions.iter().for_each(|instruction| instruction.emit(&mut out));
    out
}

fn read(bytes: &[u8]) -> Result<Vec<Instruction>> {
    let (mut parser, mut portion, mut found) = (Instructions::new(), bytes.to_vec().into(), Vec::new());
    while let Some(instruction) = parser.next(&mut portion)? {
        found.push(instruction);
    }
    parser.finish()?;
    Ok(found)
}
