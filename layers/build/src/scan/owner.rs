//! Whose the entries are in the layer.

/// A rule for owner and group numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Owner {
    /// As they are in the input.
    #[default]
    Keep,
    /// All belong to 0:0, whoever built the tree.
    Root,
    /// All belong to one owner and group.
    Fixed {
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// Each number becomes another.
    Map {
        /// Of owners.
        users: IdMap,
        /// Of groups.
        groups: IdMap,
    },
}

impl Owner {
    /// Owner and group in the layer; the number for which a map has no answer otherwise.
    pub fn apply(&self, uid: u32, gid: u32) -> Result<(u32, u32), u32> {
        match self {
            Self::Keep => Ok((uid, gid)),
            Self::Root => Ok((0, 0)),
            Self::Fixed { uid, gid } => Ok((*uid, *gid)),
            Self::Map { users, groups } => Ok((users.apply(uid).ok_or(uid)?, groups.apply(gid).ok_or(gid)?)),
        }
    }
}

/// Which numbers become which.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdMap {
    /// The first that holds a number says what becomes of it.
    pub ranges: Vec<IdRange>,
    /// What becomes of a number in no range.
    pub others: Others,
}

/// Numbers that move together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// Lowest number.
    pub first: u32,
    /// Highest number.
    pub last: u32,
    /// What the lowest becomes; the others follow in order.
    pub to: u32,
}

/// What becomes of numbers that a map does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Others {
    /// They stay.
    #[default]
    Keep,
    /// The tree is refused.
    Refuse,
    /// All become this one.
    To(u32),
}

impl IdMap {
    fn apply(&self, id: u32) -> Option<u32> {
        match self.ranges.iter().find(|range| (range.first..=range.last).contains(&id)) {
            Some(range) => range.to.checked_add(id - range.first),
            None => match self.others {
                Others::Keep => Some(id),
                Others::Refuse => None,
                Others::To(id) => Some(id),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_gives_its_owner() {
        let users = IdMap {
            ranges: vec![
                IdRange { first: 1000, last: 1000, to: 0 },
                IdRange { first: 100_000, last: 165_535, to: 0 },
            ],
            others: Others::Refuse,
        };
        let map = Owner::Map { users, groups: IdMap { ranges: Vec::new(), others: Others::To(7) } };
        assert_eq!(Owner::Keep.apply(5, 6), Ok((5, 6)));
        assert_eq!(Owner::Root.apply(5, 6), Ok((0, 0)));
        assert_eq!(Owner::Fixed { uid: 1, gid: 2 }.apply(5, 6), Ok((1, 2)));
        assert_eq!(map.apply(1000, 6), Ok((0, 7)));
        assert_eq!(map.apply(100_033, 6), Ok((33, 7)));
        assert_eq!(map.apply(5, 6), Err(5));
        assert_eq!(Owner::Map { users: IdMap::default(), groups: IdMap::default() }.apply(5, 6), Ok((5, 6)));
    }

    #[test]
    fn a_range_that_runs_past_the_last_number_has_no_answer() {
        let range = IdRange { first: 0, last: u32::MAX, to: u32::MAX };
        let map = IdMap { ranges: vec![range], others: Others::Keep };
        assert_eq!(map.apply(0), Some(u32::MAX));
        assert_eq!(map.apply(1), None);
    }
}
