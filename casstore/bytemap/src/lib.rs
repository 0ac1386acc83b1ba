//! Byte maps: how a fixed binary layout is declared once and read without panics.
//!
//! A layout is declared with [`byte_map!`]; the macro proves at compile time that the fields follow each other without
//! gap or overlap and fill the layout. A test compares every declared layout with the table of the same name in
//! `docs/formats.md`, which is the one description for people. [`View`] reads the fields of a slice whose length was
//! checked once; [`Preamble`] is the 32-byte head that every Plyos object starts with.
//!
//! All integers are little-endian.
#![no_std]
#![forbid(unsafe_code)]

mod cursor;
pub mod preamble;

pub use cursor::Cursor;
pub use preamble::{PREAMBLE_SIZE, Preamble, PreambleError};

/// One field of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Name as it stands in `docs/formats.md`.
    pub name: &'static str,
    /// First byte.
    pub offset: usize,
    /// Bytes.
    pub size: usize,
}

/// A declared layout; `name` is the marker of its table in `docs/formats.md`.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// Marker name.
    pub name: &'static str,
    /// Bytes in all.
    pub size: usize,
    /// Fields in order of offset.
    pub fields: &'static [Field],
}

/// Whether the fields follow each other without a gap and fill `size`. Used in constant assertions.
pub const fn fills(fields: &[Field], size: usize) -> bool {
    let mut rest = fields;
    let mut at = 0;
    while let [first, tail @ ..] = rest {
        if first.offset != at || first.size == 0 {
            return false;
        }
        at += first.size;
        rest = tail;
    }
    at == size
}

/// Declares a fixed layout as a module of [`Field`] constants, with `SIZE` and `LAYOUT`.
///
/// ```
/// plyos_bytemap::byte_map! {
///     /// A point.
///     pub mod point = "point", 8 { X: 0, 4; Y: 4, 4; }
/// }
/// assert_eq!(point::SIZE, 8);
/// let mut bytes = [0u8; 8];
/// plyos_bytemap::put(&mut bytes, point::Y, &7u32.to_le_bytes());
/// assert_eq!(plyos_bytemap::View::new(&bytes, &point::LAYOUT).unwrap().u32(point::Y), 7);
/// ```
#[macro_export]
macro_rules! byte_map {
    ($(#[$meta:meta])* $vis:vis mod $module:ident = $name:literal, $size:literal
     { $( $field:ident : $offset:literal, $len:literal ; )* }) => {
        $(#[$meta])*
        $vis mod $module {
            /// Bytes in all; changing it is a format break.
            pub const SIZE: usize = $size;
            $(
                #[doc = concat!("Field `", stringify!($field), "`: see docs/formats.md.")]
                pub const $field: $crate::Field =
                    $crate::Field { name: stringify!($field), offset: $offset, size: $len };
            )*
            /// The whole layout, for the check against docs/formats.md.
            pub const LAYOUT: $crate::Layout =
                $crate::Layout { name: $name, size: $size, fields: &[$($field),*] };
            const _: () = assert!($crate::fills(LAYOUT.fields, SIZE), "fields must follow each other and fill the layout");
        }
    };
}

/// A slice that is at least as long as its layout: reading a declared field cannot fail.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    bytes: &'a [u8],
}

impl<'a> View<'a> {
    /// `None` when `bytes` is shorter than the layout.
    pub fn new(bytes: &'a [u8], layout: &Layout) -> Option<Self> {
        bytes.get(..layout.size).map(|bytes| Self { bytes })
    }

    /// The field's bytes. A field of another layout that lies outside gives an empty slice.
    pub fn bytes(&self, field: Field) -> &'a [u8] {
        self.bytes.get(field.offset..field.offset + field.size).unwrap_or(&[])
    }

    /// The field as an array of its size; zeroes where the sizes differ.
    pub fn array<const N: usize>(&self, field: Field) -> [u8; N] {
        self.bytes(field).try_into().unwrap_or([0; N])
    }

    /// The first byte of the field.
    pub fn u8(&self, field: Field) -> u8 {
        u8::from_le_bytes(self.array(field))
    }

    /// A 16-bit field.
    pub fn u16(&self, field: Field) -> u16 {
        u16::from_le_bytes(self.array(field))
    }

    /// A 32-bit field.
    pub fn u32(&self, field: Field) -> u32 {
        u32::from_le_bytes(self.array(field))
    }

    /// A 64-bit field.
    pub fn u64(&self, field: Field) -> u64 {
        u64::from_le_bytes(self.array(field))
    }

    /// Whether every byte of a reserved field is zero. Readers refuse reserved bytes in use.
    pub fn is_zero(&self, field: Field) -> bool {
        self.bytes(field).iter().all(|byte| *byte == 0)
    }
}

/// Writes `value` into `field` of `out`; does nothing when it does not fit, which the round-trip tests would show.
pub fn put(out: &mut [u8], field: Field, value: &[u8]) {
    if value.len() == field.size
        && let Some(place) = out.get_mut(field.offset..field.offset + field.size)
    {
        place.copy_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    byte_map! {
        /// Test layout.
        mod sample = "sample", 16 { MAGIC: 0, 8; COUNT: 8, 4; KIND: 12, 1; RESERVED: 13, 3; }
    }

    #[test]
    fn fields_round_trip() {
        let mut bytes = [0u8; sample::SIZE];
        put(&mut bytes, sample::MAGIC, b"ABCDEFGH");
        put(&mut bytes, sample::COUNT, &0x0102_0304u32.to_le_bytes());
        put(&mut bytes, sample::KIND, &[9]);
        let view = View::new(&bytes, &sample::LAYOUT).unwrap();
        assert_eq!(view.bytes(sample::MAGIC), b"ABCDEFGH");
        assert_eq!(view.u32(sample::COUNT), 0x0102_0304);
        assert_eq!(view.u8(sample::KIND), 9);
        assert!(view.is_zero(sample::RESERVED));
        assert_eq!(bytes[8], 4, "little-endian");
    }

    #[test]
    fn short_slice_is_refused() {
        assert!(View::new(&[0; 15], &sample::LAYOUT).is_none());
    }

    #[test]
    fn gaps_and_overlaps_are_seen() {
        let field = |offset, size| Field { name: "F", offset, size };
        assert!(fills(&[field(0, 4), field(4, 4)], 8));
        assert!(!fills(&[field(0, 4), field(5, 3)], 8));
        assert!(!fills(&[field(0, 4), field(3, 5)], 8));
        assert!(!fills(&[field(0, 4)], 8));
    }
}
