//! What a dead end teaches: the first unique implication point, as in GRASP and Chaff.
//!
//! The clause whose literals are all false is resolved with the reasons of the newest of them until one literal of the newest
//! choice is left. The clause that comes out follows from the problem, is false now, and implies the opposite of that
//! literal as soon as the choices after the next older one are taken back.

use super::derivation::Cause;
use super::problem::{Atom, Literal};
use super::search::{Conflict, Reason, Search};
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

/// Steps for each thing that is kept for good, so that the steps bound the memory as well.
const KEPT: usize = 16;

impl Search<'_> {
    /// Learns from a conflict after at least one choice, and goes back as far as it reaches.
    pub(super) fn learn(&mut self, conflict: Conflict) {
        let level = self.level();
        let mut seen = BTreeSet::new();
        let mut older: Vec<Literal> = Vec::new();
        let mut from = vec![conflict.cause];
        let mut literals = conflict.literals;
        // Literals of the newest choice that are still to be resolved.
        let mut newest = 0usize;
        let mut at = self.trail.len();
        let turning = loop {
            for literal in literals.drain(..) {
                let atom = literal.atom();
                if !seen.insert(atom) {
                    continue;
                }
                match self.levels.get(atom.index()).copied().unwrap_or_default() {
                    0 => from.push(Cause::Fixed(atom)),
                    found if found == level => newest += 1,
                    _ => older.push(literal),
                }
            }
            let Some(literal) = self.previous(&mut at, &seen) else { return };
            newest = newest.saturating_sub(1);
            if newest == 0 {
                break literal;
            }
            let (others, cause) = self.reason_of(literal);
            literals = others;
            from.extend(cause);
        };
        let level_of = |literal: &Literal| self.levels.get(literal.atom().index()).copied().unwrap_or(0);
        older.sort_by_key(|literal| core::cmp::Reverse(level_of(literal)));
        let back = older.first().map_or(0, level_of);
        self.return_to(back);
        self.spend(seen.len() + KEPT * (older.len() + from.len()));
        let implied = turning.opposite();
        let clause = core::iter::once(implied).chain(older).collect();
        let number = self.add_clause(clause, from);
        self.set(implied, Reason::Clause(number));
    }

    /// The next older literal of the trail that was seen and belongs to the newest choice.
    fn previous(&self, at: &mut usize, seen: &BTreeSet<Atom>) -> Option<Literal> {
        loop {
            *at = at.checked_sub(1)?;
            let literal = self.trail.get(*at).copied()?;
            if seen.contains(&literal.atom()) {
                return Some(literal);
            }
        }
    }

    /// The false literals because of which `literal` is true, and what says so.
    pub(super) fn reason_of(&self, literal: Literal) -> (Vec<Literal>, Option<Cause>) {
        match self.reason(literal.atom()) {
            Reason::Root | Reason::Choice => (Vec::new(), None),
            Reason::Implied(because) => (vec![because.opposite()], Some(Cause::Implied(because, literal))),
            Reason::Clause(number) => {
                let literals = self.clauses.get(number).map_or(&[][..], |clause| &clause.literals);
                let others = literals.iter().copied().filter(|other| *other != literal).collect();
                (others, Some(Cause::Clause(number)))
            }
        }
    }

    pub(super) fn reason(&self, atom: Atom) -> Reason {
        self.reasons.get(atom.index()).copied().unwrap_or(Reason::Choice)
    }
}
