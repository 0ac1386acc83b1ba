//! The recipe of a blob: its size, and its bytes or where they lie. The byte map is in docs/formats.md, "Blob recipe".
//!
//! A [`Recipe`] is valid by construction: its extents fill its size, none is empty, neighbours that follow each other in one
//! data object are one extent. Parsing what [`Recipe::emit`] gave gives the same recipe. Whole blobs, packed blobs and composed
//! blobs differ in their extents only. Pure: [`DataObjects`](crate::DataObjects) reads the bytes.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use plyos_bytemap::{Cursor, Layout, PREAMBLE_SIZE, Preamble, PreambleError, View, byte_map, put};

use crate::keys::DataId;

byte_map! {
    /// See docs/formats.md, "Blob recipe".
    pub mod recipe = "recipe", 64 {
        PREAMBLE: 0, 32;
        BLOB_SIZE: 32, 8;
        FORM: 40, 1;
        RESERVED: 41, 3;
        EXTENT_COUNT: 44, 4;
        CHECK: 48, 16;
    }
}

byte_map! {
    /// See docs/formats.md, "Blob recipe".
    pub mod recipe_extent = "recipe_extent", 32 {
        DATA: 0, 16;
        OFFSET: 16, 8;
        LENGTH: 24, 8;
    }
}

/// The byte maps of this file.
pub const LAYOUTS: [&Layout; 2] = [&recipe::LAYOUT, &recipe_extent::LAYOUT];

const MAGIC: [u8; 8] = *b"PLYRECIP";
const INLINE: u8 = 1;
const EXTENTS: u8 = 2;

/// Most bytes that a recipe holds itself: what a file system reads in one go, and well above a manifest or config. A reader takes
/// no more; changing it is a format break.
pub const MOST_INLINE: usize = 64 * 1024;
/// Most extents: 2 MiB of recipe. A reader takes no more; changing it is a format break.
pub const MOST_EXTENTS: usize = 65_536;
/// Longest recipe in bytes.
pub const LONGEST_RECIPE: usize = recipe::SIZE + MOST_EXTENTS * recipe_extent::SIZE;

/// Bytes of a blob that lie together in a data object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The data object.
    pub data: DataId,
    /// Where they start in it.
    pub offset: u64,
    /// How many they are, at least one.
    pub length: u64,
}

/// How a blob comes about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    size: u64,
    body: Body,
    /// Where in the blob each extent ends, for finding the first of a range. It follows from the extents.
    ends: Vec<u64>,
}

/// The bytes of a blob, or where they lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// All bytes, at most [`MOST_INLINE`].
    Inline(Bytes),
    /// Places, in the order of the blob.
    Extents(Vec<Extent>),
}

/// Why bytes are no recipe, or extents make none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// The preamble is not that of a recipe.
    #[error("{0}")]
    Preamble(PreambleError),
    /// Something was changed, or torn.
    #[error("its check does not hold")]
    Check,
    /// Fields that contradict each other.
    #[error("its fields contradict each other")]
    Malformed,
    /// More than [`MOST_INLINE`] bytes or [`MOST_EXTENTS`] extents.
    #[error("it is larger than a recipe may be")]
    TooLarge,
}

impl Recipe {
    /// The recipe of a small blob, which holds its bytes.
    pub fn inline(bytes: Bytes) -> Result<Self, RecipeError> {
        if bytes.len() > MOST_INLINE {
            return Err(RecipeError::TooLarge);
        }
        Ok(Self { size: bytes.len() as u64, body: Body::Inline(bytes), ends: Vec::new() })
    }

    /// The recipe of a blob whose bytes lie at `extents`, one after the other. Empty ones are left out, neighbours joined.
    pub fn of_extents(extents: impl IntoIterator<Item = Extent>) -> Result<Self, RecipeError> {
        let mut joined: Vec<Extent> = Vec::new();
        let mut size = 0u64;
        for extent in extents.into_iter().filter(|extent| extent.length > 0) {
            size = size.checked_add(extent.length).ok_or(RecipeError::Malformed)?;
            extent.offset.checked_add(extent.length).ok_or(RecipeError::Malformed)?;
            let full = joined.len() == MOST_EXTENTS;
            match joined.last_mut() {
                Some(last) if last.data == extent.data && last.offset + last.length == extent.offset => {
                    last.length += extent.length;
                }
                _ if full => return Err(RecipeError::TooLarge),
                _ => joined.push(extent),
            }
        }
        let ends = joined.iter().scan(0u64, |end, extent| {
            *end += extent.length;
            Some(*end)
        });
        Ok(Self { size, ends: ends.collect(), body: Body::Extents(joined) })
    }

    /// Bytes of the blob.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its bytes, or where they lie.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The places of its bytes; none where it holds them itself.
    pub fn extents(&self) -> &[Extent] {
        match &self.body {
            Body::Inline(_) => &[],
            Body::Extents(extents) => extents,
        }
    }

    /// The bytes `range`, if the recipe holds them itself.
    pub fn inline_part(&self, range: Range<u64>) -> Option<Bytes> {
        let Body::Inline(bytes) = &self.body else { return None };
        let (start, end) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
        bytes.get(start..end).map(|part| bytes.slice_ref(part))
    }

    /// Bytes that it takes in memory, about.
    pub(crate) fn memory(&self) -> usize {
        match &self.body {
            Body::Inline(bytes) => recipe::SIZE + bytes.len(),
            Body::Extents(extents) => size_of_val(extents.as_slice()) + size_of_val(self.ends.as_slice()),
        }
    }

    /// The places of the bytes `range`, as far as the blob goes; none where it holds them itself.
    pub fn extents_of(&self, range: Range<u64>) -> Vec<Extent> {
        let first = self.ends.partition_point(|end| *end <= range.start);
        let mut at = first.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let mut found = Vec::new();
        for extent in self.extents().iter().skip(first) {
            let (start, end) = (range.start.max(at), range.end.min(at + extent.length));
            if start < end {
                let offset = extent.offset + (start - at);
                found.push(Extent { data: extent.data, offset, length: end - start });
            }
            at += extent.length;
            if at >= range.end {
                break;
            }
        }
        found
    }

    /// The recipe as bytes.
    pub fn emit(&self) -> Bytes {
        let (form, count, payload) = match &self.body {
            Body::Inline(bytes) => (INLINE, 0, bytes.len()),
            Body::Extents(extents) => (EXTENTS, extents.len(), extents.len() * recipe_extent::SIZE),
        };
        let total = recipe::SIZE + payload;
        let mut out = BytesMut::zeroed(recipe::SIZE);
        Preamble::v1(MAGIC, recipe::SIZE, total as u64).emit(&mut out);
        put(&mut out, recipe::BLOB_SIZE, &self.size.to_le_bytes());
        put(&mut out, recipe::FORM, &[form]);
        put(&mut out, recipe::EXTENT_COUNT, &(count as u32).to_le_bytes());
        match &self.body {
            Body::Inline(bytes) => out.extend_from_slice(bytes),
            Body::Extents(extents) => {
                for extent in extents {
                    out.extend_from_slice(extent.data.as_bytes());
                    out.extend_from_slice(&extent.offset.to_le_bytes());
                    out.extend_from_slice(&extent.length.to_le_bytes());
                }
            }
        }
        let check = check_of(&out);
        put(&mut out, recipe::CHECK, &check);
        out.freeze()
    }

    /// Reads a recipe. Bytes that it holds stay a part of `bytes`.
    pub fn parse(bytes: &Bytes) -> Result<Self, RecipeError> {
        if bytes.len() > LONGEST_RECIPE {
            return Err(RecipeError::TooLarge);
        }
        let (_, object) = Preamble::parse(bytes, &MAGIC, recipe::SIZE, 0).map_err(RecipeError::Preamble)?;
        let view = View::new(object, &recipe::LAYOUT).ok_or(RecipeError::Malformed)?;
        if object.len() != bytes.len() || !view.is_zero(recipe::RESERVED) {
            return Err(RecipeError::Malformed);
        }
        if view.array(recipe::CHECK) != check_of(object) {
            return Err(RecipeError::Check);
        }
        let count = view.u32(recipe::EXTENT_COUNT) as usize;
        let parsed = match (view.u8(recipe::FORM), count) {
            (INLINE, 0) => Self::inline(bytes.slice(recipe::SIZE..))?,
            (EXTENTS, _) => {
                let payload = object.get(recipe::SIZE..).unwrap_or_default();
                let parsed = Self::of_extents(parse_extents(payload).ok_or(RecipeError::Malformed)?)?;
                // Fewer than stated: some were empty, or two should have been one.
                if parsed.extents().len() != count {
                    return Err(RecipeError::Malformed);
                }
                parsed
            }
            _ => return Err(RecipeError::Malformed),
        };
        if parsed.size == view.u64(recipe::BLOB_SIZE) { Ok(parsed) } else { Err(RecipeError::Malformed) }
    }
}

fn parse_extents(payload: &[u8]) -> Option<Vec<Extent>> {
    let mut cursor = Cursor::new(payload);
    let mut extents = Vec::with_capacity(payload.len() / recipe_extent::SIZE);
    while !cursor.remaining().is_empty() {
        let data = DataId::from_bytes(cursor.array()?);
        extents.push(Extent { data, offset: cursor.u64()?, length: cursor.u64()? });
    }
    Some(extents)
}

/// The first bytes of the BLAKE3 of all but the check itself.
fn check_of(object: &[u8]) -> [u8; 16] {
    let (before, rest) = object.split_at(recipe::CHECK.offset.min(object.len()));
    let after = rest.get(recipe::CHECK.size..).unwrap_or_default();
    let mut hasher = blake3::Hasher::new();
    hasher.update(before).update(after);
    let mut check = [0; 16];
    hasher.finalize_xof().fill(&mut check);
    check
}

// The preamble is written by its own code, and the head ends where the payload begins.
const _: () = assert!(recipe::PREAMBLE.size == PREAMBLE_SIZE && recipe::CHECK.offset + 16 == recipe::SIZE);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn extent(data: u8, offset: u64, length: u64) -> Extent {
        Extent { data: DataId::from_bytes([data; 16]), offset, length }
    }

    fn changed(bytes: &Bytes, field: plyos_bytemap::Field, value: &[u8]) -> Bytes {
        let mut bytes = bytes.to_vec();
        put(&mut bytes, field, value);
        let check = check_of(&bytes);
        put(&mut bytes, recipe::CHECK, &check);
        Bytes::from(bytes)
    }

    #[test]
    fn neighbours_are_joined_and_nothing_is_left_out() {
        let parts = [extent(1, 0, 5), extent(1, 5, 5), extent(2, 0, 0), extent(1, 11, 1), extent(2, 12, 1)];
        let recipe = Recipe::of_extents(parts).unwrap();
        assert_eq!(recipe.size(), 12);
        assert_eq!(recipe.extents(), [extent(1, 0, 10), extent(1, 11, 1), extent(2, 12, 1)]);
        assert_eq!(recipe.extents_of(9..11), [extent(1, 9, 1), extent(1, 11, 1)]);
        assert_eq!(recipe.extents_of(11..99), [extent(2, 12, 1)]);
        assert_eq!(recipe.extents_of(12..12), []);
    }

    #[test]
    fn too_much_is_refused() {
        assert_eq!(Recipe::inline(Bytes::from(vec![0; MOST_INLINE + 1])), Err(RecipeError::TooLarge));
        let apart = |n: u64| extent(1, n * 2, 1);
        assert!(Recipe::of_extents((0..MOST_EXTENTS as u64).map(apart)).is_ok());
        assert_eq!(Recipe::of_extents((0..=MOST_EXTENTS as u64).map(apart)), Err(RecipeError::TooLarge));
        assert_eq!(Recipe::of_extents([extent(1, u64::MAX, 1)]), Err(RecipeError::Malformed));
        let both = [extent(1, 0, u64::MAX), extent(2, 0, 1)];
        assert_eq!(Recipe::of_extents(both), Err(RecipeError::Malformed));
    }

    #[test]
    fn each_defect_is_seen() {
        let extents = Recipe::of_extents([extent(1, 0, 5), extent(1, 7, 5)]).unwrap().emit();
        let inline = Recipe::inline(Bytes::from_static(b"content")).unwrap().emit();
        for whole in [&extents, &inline] {
            for end in 0..whole.len() {
                assert!(Recipe::parse(&whole.slice(..end)).is_err(), "cut to {end}");
            }
            for at in 0..whole.len() {
                let mut bytes = whole.to_vec();
                bytes[at] ^= 1;
                assert!(Recipe::parse(&Bytes::from(bytes)).is_err(), "byte {at} changed");
            }
        }
        let longer = Bytes::from([&extents[..], &[0]].concat());
        assert_eq!(Recipe::parse(&longer), Err(RecipeError::Malformed));
        for (field, value) in [
            (recipe::BLOB_SIZE, &11u64.to_le_bytes()[..]),
            (recipe::FORM, &[3]),
            (recipe::FORM, &[INLINE]),
            (recipe::RESERVED, &[0, 0, 1]),
            (recipe::EXTENT_COUNT, &3u32.to_le_bytes()),
        ] {
            let bytes = changed(&extents, field, value);
            assert_eq!(Recipe::parse(&bytes), Err(RecipeError::Malformed), "{}", field.name);
        }
    }

    #[test]
    fn extents_that_should_be_one_are_no_recipe() {
        let apart = Recipe::of_extents([extent(1, 0, 5), extent(1, 7, 5)]).unwrap().emit();
        let second = recipe::SIZE + recipe_extent::SIZE + recipe_extent::OFFSET.offset;
        let field = plyos_bytemap::Field { name: "offset of the second", offset: second, size: 8 };
        assert_eq!(Recipe::parse(&changed(&apart, field, &5u64.to_le_bytes())), Err(RecipeError::Malformed));
    }

    proptest! {
        #[test]
        fn emitted_extents_come_back(parts in prop::collection::vec((0u8..3, 0u64..20, 0u64..9), 0..40)) {
            let recipe = Recipe::of_extents(parts.into_iter().map(|(d, o, l)| extent(d, o, l))).unwrap();
            prop_assert_eq!(Recipe::parse(&recipe.emit()), Ok(recipe));
        }

        #[test]
        fn emitted_bytes_come_back(content in prop::collection::vec(any::<u8>(), 0..300)) {
            let recipe = Recipe::inline(Bytes::from(content)).unwrap();
            prop_assert_eq!(Recipe::parse(&recipe.emit()), Ok(recipe));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(content in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Recipe::parse(&Bytes::from(content)).is_err());
        }

        #[test]
        fn a_range_is_what_lies_in_it(parts in prop::collection::vec((0u8..3, 0u64..20, 1u64..9), 1..20),
                                      start in 0u64..100, length in 0u64..100) {
            let recipe = Recipe::of_extents(parts.into_iter().map(|(d, o, l)| extent(d, o, l))).unwrap();
            let bytes = |extents: &[Extent]| extents.iter()
                .flat_map(|e| (e.offset..e.offset + e.length).map(|at| (e.data, at))).collect::<Vec<_>>();
            let (start, end) = (start.min(recipe.size()), (start + length).min(recipe.size()));
            let all = bytes(recipe.extents());
            prop_assert_eq!(bytes(&recipe.extents_of(start..end)), &all[start as usize..end as usize]);
        }
    }
}
