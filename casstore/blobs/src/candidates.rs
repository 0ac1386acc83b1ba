//! What a clean-up may delete: marks of names, from which all that is claimed or referred to is struck. Pure.

use crate::marks::Mark;

/// Marks, each either struck or not.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    marks: Vec<Mark>,
    struck: Vec<bool>,
}

impl Candidates {
    /// At 17 bytes of memory each.
    pub(crate) fn new(mut marks: Vec<Mark>) -> Self {
        marks.sort_unstable();
        marks.dedup();
        Self { struck: vec![false; marks.len()], marks }
    }

    /// Takes a mark out; says whether it was in.
    pub(crate) fn strike(&mut self, mark: &Mark) -> bool {
        let Ok(at) = self.marks.binary_search(mark) else { return false };
        self.struck.get_mut(at).is_some_and(|struck| !std::mem::replace(struck, true))
    }

    /// Whether a mark is in and not struck.
    pub(crate) fn has(&self, mark: &Mark) -> bool {
        let at = self.marks.binary_search(mark);
        at.is_ok_and(|at| self.struck.get(at) == Some(&false))
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        !self.struck.contains(&false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::path::Path;

    #[test]
    fn what_is_struck_is_out() {
        let [a, b, c] = ["a", "b", "c"].map(|key| Mark::of(&Path::from(key)));
        let mut candidates = Candidates::new(vec![a, b, a]);
        assert!(candidates.has(&a) && candidates.has(&b) && !candidates.has(&c));
        assert!(candidates.strike(&a) && !candidates.strike(&a) && !candidates.strike(&c));
        assert!(!candidates.has(&a) && !candidates.is_empty());
        candidates.strike(&b);
        assert!(candidates.is_empty());
    }
}
