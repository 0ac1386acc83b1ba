//! A header block: its checksum and its numbers.

use tar::Header;

use crate::error::Refusal;

/// Bytes of a block.
pub(super) const BLOCK: usize = 512;

/// One block of an archive, by the layout of the `tar` crate.
#[derive(Clone)]
pub(super) struct Block(pub [u8; BLOCK]);

impl Block {
    pub(super) fn header(&self) -> &Header {
        Header::from_byte_slice(&self.0)
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }

    /// Checks the sum of all bytes, the sum's own taken as blanks. Old writers added signed bytes.
    pub(super) fn check(&self, offset: u64) -> Result<(), Refusal> {
        const SUM: std::ops::Range<usize> = 148..156;
        let bytes = self.0.iter().enumerate().map(|(at, byte)| if SUM.contains(&at) { b' ' } else { *byte });
        let unsigned: u64 = bytes.clone().map(u64::from).sum();
        let signed: i64 = bytes.map(|byte| i64::from(byte as i8)).sum();
        let said = unsigned_number(&self.header().as_old().cksum, "checksum");
        if said == Ok(unsigned) || said.ok().map(u64::cast_signed) == Some(signed) {
            return Ok(());
        }
        Err(Refusal::Checksum(offset))
    }
}

/// A number that is never negative.
pub(super) fn unsigned_number(field: &[u8], what: &'static str) -> Result<u64, Refusal> {
    u64::try_from(number(field, what)?).map_err(|_| Refusal::Negative(what))
}

/// A 32-bit number that is never negative.
pub(super) fn small_number(field: &[u8], what: &'static str) -> Result<u32, Refusal> {
    u32::try_from(unsigned_number(field, what)?).map_err(|_| Refusal::TooGreat(what))
}

/// A number in octal digits, or (with the highest bit set) in base 256, two's complement. An empty field is 0.
pub(super) fn number(field: &[u8], what: &'static str) -> Result<i64, Refusal> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => base_256(field, what),
        _ => octal(field, what),
    }
}

fn octal(field: &[u8], what: &'static str) -> Result<i64, Refusal> {
    let start = field.iter().position(|byte| *byte != b' ').unwrap_or(field.len());
    let digits = field.get(start..).unwrap_or_default();
    let end = digits.iter().position(|byte| matches!(byte, b' ' | 0)).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at_checked(end).unwrap_or_default();
    // After the end mark anything may stand, as in some old archives; digits after it would be another number to others.
    if rest.iter().any(|byte| !matches!(byte, b' ' | 0)) {
        return Err(Refusal::Number(what));
    }
    let mut value: i64 = 0;
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 8).ok_or(Refusal::Number(what))?;
        // Twelve octal digits, the most that a field holds, are 36 bits.
        value = value * 8 + i64::from(digit);
    }
    Ok(value)
}

fn base_256(field: &[u8], what: &'static str) -> Result<i64, Refusal> {
    let (first, rest) = field.split_first().unwrap_or((&0, &[]));
    // The mark takes the highest bit; the next one is the sign.
    let negative = first & 0x40 != 0;
    let mut value = i128::from(first & 0x3f) - if negative { 0x40 } else { 0 };
    for byte in rest {
        value = value * 256 + i128::from(*byte);
        if i64::try_from(value).is_err() {
            return Err(if negative { Refusal::Negative(what) } else { Refusal::TooGreat(what) });
        }
    }
    i64::try_from(value).map_err(|_| Refusal::TooGreat(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_each_spelling() {
        for (field, value) in [
            (&b"0000644\0"[..], 0o644),
            (b"   644 \0", 0o644),
            (b"77777777777\0", 0o77_777_777_777),
            (b"777777777777", 0o777_777_777_777),
            (b"\0\0\0\0\0\0\0\0", 0),
            (b"        ", 0),
            (b"\x80\0\0\0\0\0\0\x03\0\0\0\0", 3 << 32),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", -2),
        ] {
            assert_eq!(number(field, "size"), Ok(value), "{field:?}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for field in [&b"12x4567\0"[..], b"8\0", b"-1\0", b"12\x0034\0\0", b"0x10\0"] {
            assert_eq!(number(field, "size"), Err(Refusal::Number("size")), "{field:?}");
        }
        assert_eq!(
            unsigned_number(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", "size"),
            Err(Refusal::Negative("size"))
        );
        assert_eq!(number(b"\x80\x01\0\0\0\0\0\0\0\0\0\0", "size"), Err(Refusal::TooGreat("size")));
        assert_eq!(small_number(b"77777777777\0", "uid"), Err(Refusal::TooGreat("uid")));
    }
}
