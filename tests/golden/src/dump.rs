//! Sparse bytes as text: the rows of 16 bytes that are not all zero, in the form of `xxd`, after a line with the length.
//!
//! Indexes and stores are mostly zeroes. As text they are small, and a change of a field is one line of a difference.
//! `xxd -r FILE.hex OUT` gives the bytes back, but for zeroes at the end.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};

const ROW: usize = 16;
/// Longest dump that is read: a bound for a mistyped length.
const MAX_LEN: usize = 64 << 20;

/// The dump of `bytes`.
pub fn write(bytes: &[u8]) -> String {
    let mut out = format!("length {}\n", bytes.len());
    for (number, row) in bytes.chunks(ROW).enumerate() {
        if row.iter().any(|byte| *byte != 0) {
            push_row(&mut out, number * ROW, row);
        }
    }
    out
}

fn push_row(out: &mut String, offset: usize, row: &[u8]) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{offset:08x}:");
    for at in 0..ROW {
        let space = if at % 2 == 0 { " " } else { "" };
        let _ = match row.get(at) {
            Some(byte) => write!(out, "{space}{byte:02x}"),
            None => write!(out, "{space}  "),
        };
    }
    let printable = |byte: &u8| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '.' };
    let _ = writeln!(out, "  {}", row.iter().map(printable).collect::<String>());
}

/// The bytes of a dump.
pub fn read(text: &str) -> Result<Vec<u8>> {
    let mut lines = text.lines();
    let length = lines.next().and_then(|line| line.strip_prefix("length ")).context("no length")?;
    let length: usize = length.parse()?;
    ensure!(length <= MAX_LEN, "a length of {length}");
    let mut out = vec![0; length];
    for line in lines {
        let bytes = read_row(line).with_context(|| format!("malformed row: {line}"))?;
        let place = out.get_mut(bytes.0..bytes.0 + bytes.1.len());
        place.with_context(|| format!("row outside: {line}"))?.copy_from_slice(&bytes.1);
    }
    Ok(out)
}

fn read_row(line: &str) -> Option<(usize, Vec<u8>)> {
    let (offset, rest) = line.split_once(": ")?;
    let digits: String = rest.split("  ").next()?.split(' ').collect();
    let pairs = digits.as_bytes().as_chunks::<2>().0;
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    Some((usize::from_str_radix(offset, 16).ok()?, pairs.iter().map(byte).collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_rows_are_left_out_and_come_back() {
        let mut bytes = vec![0; 50];
        bytes[17] = b'A';
        bytes[49] = 0xff;
        let text = write(&bytes);
        assert_eq!(
            text,
            "length 50\n\
             00000010: 0041 0000 0000 0000 0000 0000 0000 0000  .A..............\n\
             00000030: 00ff                                     ..\n"
        );
        assert_eq!(read(&text).unwrap(), bytes);
        assert!(read(&write(&[])).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_dump_is_refused() {
        for bad in [
            "",
            "length x",
            "length 99999999999",
            "length 1\n00000010: 41  A",
            "length 1\nzz: 41  A",
            "length 1\n41",
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
