//! `sum`: the two hashes of a file's content, or of a part of it.

use alloc::string::String;
use core::{fmt::Write, ops::Range};

use sha2::{Digest, Sha256};

use super::content::File;
use crate::{
    failure::{Failure, said},
    system::Tree,
    terminal::{Out, Terminal},
};

/// `sum`: a line for each hash.
pub(crate) fn tell<T: Tree>(
    tree: &T,
    path: &[u8],
    range: Range<u64>,
    out: &mut Out<'_, impl Terminal>,
) -> Result<(), Failure> {
    let file = File::open(tree, path)?;
    if range.start > file.size {
        return Err(said!("cannot sum from byte {}: the file has {} bytes", range.start, file.size));
    }
    let (mut blake3, mut sha256) = (blake3::Hasher::new(), Sha256::new());
    file.each(tree, range, |piece| {
        blake3.update(piece);
        sha256.update(piece);
        Ok(out.breathe()?)
    })?;
    out.line(format_args!("blake3 {}", blake3.finalize().to_hex()))?;
    Ok(out.line(format_args!("sha256 {}", hex(&sha256.finalize())))?)
}

/// The SHA-256 of a whole file in hexadecimal.
pub(crate) fn sha256<T: Tree>(
    tree: &T,
    file: &File,
    out: &mut Out<'_, impl Terminal>,
) -> Result<String, Failure> {
    let mut hasher = Sha256::new();
    file.each(tree, 0..file.size, |piece| {
        hasher.update(piece);
        Ok(out.breathe()?)
    })?;
    Ok(hex(&hasher.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}
