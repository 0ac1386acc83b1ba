//! What of a blob is stored already, and what is worth writing anew: the deciding half of packing.
//!
//! A [`Reference`] is another blob of the repository with its pieces. [`plan`] compares and gives a [`Plan`]: parts that stay where
//! they lie, or lie where a reference has them, and parts to be written into a data object of the blob's own. Pure;
//! [`Packer`](crate::Packer) reads, writes, and checks the result by its digest.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use crate::keys::DataId;
use crate::pieces::Piece;
use crate::recipe::{Extent, Recipe, RecipeError};

/// Shorter runs of known pieces between new ones are written again: each costs readers a change of place, on a bucket a request.
const SHORTEST_RUN: u64 = 16 * 1024;
/// Least bytes to be saved.
const LEAST_SAVING: u64 = 1024 * 1024;
/// A blob is packed if one byte in so many of its own is saved.
const LEAST_SHARE: u64 = 4;

/// A blob that may share pieces.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    /// Its pieces in order.
    pub(crate) pieces: Vec<Piece>,
    /// Where its bytes lie.
    pub(crate) recipe: Arc<Recipe>,
}

/// Some bytes of the packed blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// They are there.
    Stored(Extent),
    /// They are to be written; where they stand in the blob.
    New(Range<u64>),
}

/// How a blob is to be packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    parts: Vec<Part>,
    /// Bytes that the blob holds alone today.
    pub(crate) held: u64,
    /// Bytes that are written, and that it will hold alone.
    pub(crate) written: u64,
}

/// A piece of a reference: which, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    reference: usize,
    index: usize,
    offset: u64,
}

/// Pieces that follow each other in the blob, and in a reference if they are known.
#[derive(Clone, Copy, Debug)]
struct Run {
    known: Option<Place>,
    length: u64,
}

/// Compares a blob with `references`, the first ones preferred.
pub(crate) fn plan(recipe: &Recipe, pieces: &[Piece], references: &[Reference]) -> Plan {
    let foreign: HashSet<DataId> = references
        .iter()
        .flat_map(|reference| reference.recipe.extents())
        .map(|extent| extent.data)
        .collect();
    let mut plan = Plan { parts: Vec::new(), held: 0, written: 0 };
    for extent in recipe.extents().iter().filter(|extent| !foreign.contains(&extent.data)) {
        plan.held += extent.length;
    }
    let mut at = 0;
    for run in long_runs(runs(pieces, references)) {
        let end = at + run.length;
        let place = run.known.and_then(|place| Some((place, references.get(place.reference)?)));
        if let Some((place, reference)) = place {
            let extents = reference.recipe.extents_of(place.offset..place.offset + run.length);
            plan.parts.extend(extents.into_iter().map(Part::Stored));
        } else {
            plan.keep_or_write(recipe, at..end, &foreign);
        }
        at = end;
    }
    plan
}

impl Plan {
    /// Bytes that are stored once less than before.
    pub(crate) fn saved(&self) -> u64 {
        self.held.saturating_sub(self.written)
    }

    /// Whether the saving is worth the writing and the more scattered reading.
    pub(crate) fn is_worth_it(&self) -> bool {
        self.saved() >= LEAST_SAVING && self.saved() >= self.held / LEAST_SHARE
    }

    /// What is to be written, in the order of the new data object.
    pub(crate) fn to_write(&self) -> impl Iterator<Item = Range<u64>> {
        self.parts.iter().filter_map(|part| match part {
            Part::Stored(_) => None,
            Part::New(range) => Some(range.clone()),
        })
    }

    /// The recipe, when what was to be written is the data object `own`.
    pub(crate) fn recipe(&self, own: DataId) -> Result<Recipe, RecipeError> {
        let mut offset = 0;
        Recipe::of_extents(self.parts.iter().map(|part| match part {
            Part::Stored(extent) => *extent,
            Part::New(range) => {
                let length = range.end - range.start;
                offset += length;
                Extent { data: own, offset: offset - length, length }
            }
        }))
    }

    /// Bytes that no reference has: those that lie in another blob's data stay there.
    fn keep_or_write(&mut self, recipe: &Recipe, range: Range<u64>, foreign: &HashSet<DataId>) {
        let mut at = range.start;
        for extent in recipe.extents_of(range) {
            let end = at + extent.length;
            if foreign.contains(&extent.data) {
                self.parts.push(Part::Stored(extent));
            } else {
                self.written += extent.length;
                match self.parts.last_mut() {
                    Some(Part::New(before)) if before.end == at => before.end = end,
                    _ => self.parts.push(Part::New(at..end)),
                }
            }
            at = end;
        }
    }
}

/// Joins pieces to runs. Where a piece is known in several places, the one that goes on with the run is taken.
fn runs(pieces: &[Piece], references: &[Reference]) -> Vec<Run> {
    let mut known: Vec<(Piece, Place)> = Vec::new();
    for (number, reference) in references.iter().enumerate() {
        let mut offset = 0;
        for (index, piece) in reference.pieces.iter().enumerate() {
            known.push((*piece, Place { reference: number, index, offset }));
            offset += u64::from(piece.length);
        }
    }
    // Stable: the first of equal pieces is that of the first reference.
    known.sort_by_key(|(piece, _)| *piece);
    known.dedup_by_key(|(piece, _)| *piece);
    let find = |piece: &Piece| {
        let at = known.binary_search_by_key(piece, |(known, _)| *known).ok()?;
        known.get(at).map(|(_, place)| *place)
    };
    let mut runs: Vec<Run> = Vec::new();
    // The place in a reference that would go on with the last run.
    let mut following: Option<Place> = None;
    for piece in pieces {
        let length = u64::from(piece.length);
        let expected = following.filter(|place| {
            references.get(place.reference).and_then(|r| r.pieces.get(place.index)) == Some(piece)
        });
        let found = expected.or_else(|| find(piece));
        match runs.last_mut() {
            Some(run) if run.known.is_some() == found.is_some() && expected.is_some() == found.is_some() => {
                run.length += length;
            }
            _ => runs.push(Run { known: found, length }),
        }
        following =
            found.map(|place| Place { index: place.index + 1, offset: place.offset + length, ..place });
    }
    runs
}

/// Takes short known runs beside new ones for new.
fn long_runs(mut runs: Vec<Run>) -> Vec<Run> {
    let new: Vec<bool> = runs.iter().map(|run| run.known.is_none()).collect();
    let is_new = |at: Option<usize>| at.and_then(|at| new.get(at)).copied().unwrap_or(false);
    for (at, run) in runs.iter_mut().enumerate() {
        if run.length < SHORTEST_RUN && (is_new(at.checked_sub(1)) || is_new(at.checked_add(1))) {
            run.known = None;
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pieces::PieceId;

    fn data(id: u8) -> DataId {
        DataId::from_bytes([id; 16])
    }

    fn piece(id: u32, length: u32) -> Piece {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&id.to_le_bytes());
        Piece { id: PieceId(bytes), length }
    }

    fn whole(id: u8, pieces: &[Piece]) -> Reference {
        let length = pieces.iter().map(|piece| u64::from(piece.length)).sum();
        let recipe = Recipe::of_extents([Extent { data: data(id), offset: 0, length }]).unwrap();
        Reference { pieces: pieces.to_vec(), recipe: Arc::new(recipe) }
    }

    fn pieces(ids: impl IntoIterator<Item = u32>) -> Vec<Piece> {
        ids.into_iter().map(|id| piece(id, 200_000)).collect()
    }

    #[test]
    fn what_a_reference_has_is_not_written() {
        let old = whole(1, &pieces(0..20));
        let changed = pieces((0..10).chain([99]).chain(11..20));
        let new = whole(2, &changed);
        let plan = plan(&new.recipe, &changed, &[old]);
        assert_eq!((plan.held, plan.written, plan.saved()), (4_000_000, 200_000, 3_800_000));
        assert!(plan.is_worth_it());
        assert_eq!(plan.to_write().collect::<Vec<_>>(), vec![2_000_000..2_200_000]);
        assert_eq!(
            plan.recipe(data(9)).unwrap().extents(),
            [
                Extent { data: data(1), offset: 0, length: 2_000_000 },
                Extent { data: data(9), offset: 0, length: 200_000 },
                Extent { data: data(1), offset: 2_200_000, length: 1_800_000 },
            ]
        );
    }

    #[test]
    fn a_small_saving_is_none() {
        let old = whole(1, &pieces(0..5));
        let blob = whole(2, &pieces((0..5).chain(50..70)));
        let plan_of = |old: &Reference| plan(&blob.recipe, &blob.pieces, std::slice::from_ref(old));
        // A fifth of it; three of 20 are less than a MiB.
        assert!(!plan_of(&old).is_worth_it());
        assert!(!plan(&blob.recipe, &blob.pieces, &[]).is_worth_it());
        let small = whole(3, &pieces(0..6));
        assert_eq!(plan(&old.recipe, &old.pieces, std::slice::from_ref(&small)).written, 0);
        assert!(
            !plan(&old.recipe, &old.pieces, &[small]).is_worth_it(),
            "1,000,000 bytes are less than a MiB"
        );
    }

    #[test]
    fn what_is_packed_is_not_packed_again() {
        let old = whole(1, &pieces(0..20));
        let packed = |new: u32| {
            let pieces = pieces((0..10).chain([new]).chain(11..20));
            let before = whole(2, &pieces);
            let recipe = plan(&before.recipe, &pieces, std::slice::from_ref(&old)).recipe(data(9)).unwrap();
            Reference { pieces, recipe: Arc::new(recipe) }
        };
        let once = packed(99);
        let again = plan(&once.recipe, &once.pieces, std::slice::from_ref(&old));
        assert_eq!((again.held, again.written), (200_000, 200_000));
        assert!(!again.is_worth_it());
        // A composed blob whose forebear has no list: its bytes stay where they are.
        let unlisted = Reference { pieces: Vec::new(), ..old.clone() };
        let again = plan(&once.recipe, &once.pieces, &[unlisted]);
        assert_eq!(again.recipe(data(9)).unwrap(), *once.recipe);
    }

    #[test]
    fn runs_go_on_in_one_reference() {
        // Piece 7 stands in both; after 6 the one of the second reference goes on.
        let (first, second) = (whole(1, &pieces([7, 1, 2])), whole(2, &pieces(3..12)));
        let blob = whole(3, &pieces(3..12));
        let plan = plan(&blob.recipe, &blob.pieces, &[first, second]);
        assert_eq!(
            plan.recipe(data(9)).unwrap().extents(),
            [Extent { data: data(2), offset: 0, length: 1_800_000 }]
        );
    }

    #[test]
    fn a_short_run_between_new_ones_is_written_again() {
        let old = whole(1, &[piece(1, 5_000), piece(2, 300_000), piece(3, 20_000)]);
        let blob =
            [piece(70, 300_000), piece(1, 5_000), piece(71, 300_000), piece(3, 20_000), piece(72, 300_000)];
        let new = whole(2, &blob);
        let plan = plan(&new.recipe, &blob, &[old]);
        assert_eq!(plan.to_write().collect::<Vec<_>>(), [0..605_000, 625_000..925_000]);
    }

    proptest! {
        /// Whatever is shared: the packed blob's pieces are the blob's, in order.
        #[test]
        fn a_packed_blob_has_the_same_pieces(
            old in prop::collection::vec(prop::collection::vec(0u32..40, 0..30), 0..4),
            ids in prop::collection::vec(0u32..60, 1..60),
        ) {
            let sized = |id: u32| piece(id, 1_000 + id * 977);
            let references: Vec<Reference> = old.iter().enumerate()
                .map(|(i, ids)| whole(i as u8, &ids.iter().map(|id| sized(*id)).collect::<Vec<_>>()))
                .collect();
            let blob: Vec<Piece> = ids.iter().map(|id| sized(*id)).collect();
            let own = whole(100, &blob);
            let plan = plan(&own.recipe, &blob, &references);
            let recipe = plan.recipe(data(200)).unwrap();
            // Each byte of each data object, named by its piece and its place in it.
            let spell = |pieces: &[Piece]| -> Vec<(Piece, u32)> {
                pieces.iter().flat_map(|piece| (0..piece.length).map(|at| (*piece, at))).collect()
            };
            let blob_bytes = spell(&blob);
            let written: Vec<_> = plan.to_write()
                .flat_map(|range| blob_bytes[range.start as usize..range.end as usize].to_vec())
                .collect();
            prop_assert_eq!(written.len() as u64, plan.written);
            let stored: Vec<_> = references.iter().map(|reference| spell(&reference.pieces)).collect();
            let read: Vec<_> = recipe.extents().iter().flat_map(|extent| {
                let range = extent.offset as usize..(extent.offset + extent.length) as usize;
                match extent.data.as_bytes()[0] {
                    200 => written[range].to_vec(),
                    number => stored[number as usize][range].to_vec(),
                }
            }).collect();
            prop_assert!(read == blob_bytes, "the bytes differ");
            prop_assert!(plan.written <= plan.held && plan.held == recipe.size());
        }
    }
}
