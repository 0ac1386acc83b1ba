//! Epoch floors: the least security epoch that is accepted for a layer name. They rise at promotion and never fall.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use plyos_bytemap::{View, put};
use plyos_ids::Kind;

use crate::ListError;
use crate::layout::{FLOORS_MAGIC, floor_entry};
use crate::list;

/// The floor of one layer name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FloorEntry {
    /// Kind of the layer.
    pub kind: Kind,
    /// Its name, 1 to 64 bytes.
    pub name: String,
    /// Least epoch accepted.
    pub epoch: u32,
}

/// All floors, with at most [`Floors::MAX`] entries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Floors {
    compat: u32,
    entries: BTreeMap<(Kind, String), u32>,
}

impl Floors {
    /// Most entries. A floor is never dropped to make room: that would lower it.
    pub const MAX: u32 = 65_536;

    /// Entries, sorted by kind and name.
    pub fn entries(&self) -> impl Iterator<Item = FloorEntry> {
        self.entries.iter().map(|((kind, name), epoch)| FloorEntry {
            kind: *kind,
            name: name.clone(),
            epoch: *epoch,
        })
    }

    /// The least epoch accepted for a layer name; 0 when there is no floor.
    pub fn get(&self, kind: Kind, name: &str) -> u32 {
        self.entries.get(&(kind, String::from(name))).copied().unwrap_or(0)
    }

    /// Raises the floor of a layer name to at least `epoch`.
    pub fn raise(&mut self, kind: Kind, name: &str, epoch: u32) -> Result<(), ListError> {
        if !is_name(name) {
            return Err(ListError::Malformed);
        }
        let full = self.entries.len() >= Self::MAX as usize;
        let key = (kind, String::from(name));
        match self.entries.get_mut(&key) {
            Some(floor) => *floor = epoch.max(*floor),
            None if full => return Err(ListError::Full),
            None => {
                self.entries.insert(key, epoch);
            }
        }
        Ok(())
    }

    /// Reads the list. `bytes` is the whole record and no more.
    pub fn parse(bytes: &[u8]) -> Result<Self, ListError> {
        let found = list::split(bytes, &FLOORS_MAGIC, floor_entry::SIZE, Self::MAX)?;
        if !found.heap.is_empty() {
            return Err(ListError::Malformed);
        }
        let mut floors = Self { compat: found.compat, ..Self::default() };
        for record in found.entries.chunks(floor_entry::SIZE) {
            let view = View::new(record, &floor_entry::LAYOUT).ok_or(ListError::Malformed)?;
            let number = view.u8(floor_entry::KIND);
            let kind = Kind::from_number(number).ok_or(ListError::Unknown(number))?;
            let (name, padding) = view
                .bytes(floor_entry::NAME)
                .split_at_checked(usize::from(view.u8(floor_entry::NAME_LEN)))
                .ok_or(ListError::Malformed)?;
            let name = core::str::from_utf8(name).map_err(|_| ListError::Malformed)?;
            let padded = padding.iter().all(|byte| *byte == 0);
            if !is_name(name) || !padded || !view.is_zero(floor_entry::RESERVED) {
                return Err(ListError::Malformed);
            }
            let key = (kind, String::from(name));
            if floors.entries.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(ListError::Order);
            }
            floors.entries.insert(key, view.u32(floor_entry::EPOCH));
        }
        Ok(floors)
    }

    /// The bytes of the record.
    pub fn emit(&self) -> Vec<u8> {
        let mut entries = Vec::new();
        for ((kind, name), epoch) in &self.entries {
            let mut out = [0; floor_entry::SIZE];
            put(&mut out, floor_entry::KIND, &[*kind as u8]);
            put(&mut out, floor_entry::NAME_LEN, &[name.len() as u8]);
            put(&mut out, floor_entry::EPOCH, &epoch.to_le_bytes());
            if let Some(place) = out.get_mut(floor_entry::NAME.offset..floor_entry::NAME.offset + name.len())
            {
                place.copy_from_slice(name.as_bytes());
            }
            entries.extend_from_slice(&out);
        }
        list::join(FLOORS_MAGIC, self.compat, self.entries.len(), &entries, &[])
    }
}

/// A name fits the field and has no NUL, so that its padding cannot be taken for it.
fn is_name(name: &str) -> bool {
    (1..=floor_entry::NAME.size).contains(&name.len()) && !name.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn floors() -> impl Strategy<Value = Floors> {
        proptest::collection::vec((1u8..=6, "[a-z0-9+._-]{1,64}", any::<u32>()), 0..8).prop_map(|all| {
            let mut floors = Floors::default();
            for (kind, name, epoch) in all {
                floors.raise(Kind::from_number(kind).unwrap(), &name, epoch).unwrap();
            }
            floors
        })
    }

    proptest! {
        #[test]
        fn value_round_trip(floors in floors()) {
            prop_assert_eq!(Floors::parse(&floors.emit()), Ok(floors));
        }

        #[test]
        fn mutated_bytes_are_refused_or_round_trip(
            floors in floors(), at in any::<prop::sample::Index>(), value: u8
        ) {
            let mut bytes = floors.emit();
            let at = at.index(bytes.len());
            bytes[at] = value;
            if let Ok(found) = Floors::parse(&bytes) {
                prop_assert_eq!(found.emit(), bytes);
            }
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Floors::parse(&bytes);
        }
    }

    #[test]
    fn a_floor_never_falls() {
        let mut floors = Floors::default();
        floors.raise(Kind::Base, "plyos", 4).unwrap();
        floors.raise(Kind::Base, "plyos", 2).unwrap();
        assert_eq!(floors.get(Kind::Base, "plyos"), 4);
        assert_eq!(floors.get(Kind::Kernel, "plyos"), 0);
        assert_eq!(floors.raise(Kind::Base, "", 1), Err(ListError::Malformed));
        assert_eq!(floors.raise(Kind::Base, &"x".repeat(65), 1), Err(ListError::Malformed));
    }

    #[test]
    fn name_with_dirty_padding_or_out_of_order_is_refused() {
        let mut floors = Floors::default();
        floors.raise(Kind::Package, "a", 1).unwrap();
        floors.raise(Kind::Package, "b", 1).unwrap();
        let mut bytes = floors.emit();
        bytes[64 + 8 + 1] = b'x';
        assert_eq!(Floors::parse(&bytes), Err(ListError::Malformed));
        bytes[64 + 8 + 1] = 0;
        bytes[64 + 72 + 8] = b'a';
        assert_eq!(Floors::parse(&bytes), Err(ListError::Order));
    }
}
