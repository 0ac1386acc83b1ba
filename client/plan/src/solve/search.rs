//! The search: choose by preference, follow what it implies, learn from dead ends.
//!
//! 1. Literals of `preferences` are chosen first, in their order. As each choice is the first that is still open, the first
//!    solution is the best one in the lexical order of the preferences: what contradicts a preference follows from the ones
//!    before it alone.
//! 2. Then each need that has to be met and is not gets its best member that is left. What nobody needs stays out.
//!
//! Everything is a list in a fixed order, so the same problem has the same answer on every machine.

use super::derivation::{self, Cause, Fact};
use super::problem::{Atom, CandidateId, Literal, Meaning, NeedId, Problem};
use alloc::vec;
use alloc::vec::Vec;

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The candidates of the system, by number.
    Found(Vec<CandidateId>),
    /// There is no such system: these facts alone exclude it.
    Impossible(Vec<Fact>),
    /// The steps ran out.
    GaveUp,
}

/// Looks for the solution that is best by `preferences`, which comes first in its order. Each literal that is looked at takes
/// one of `steps`.
pub fn search(problem: &Problem, preferences: &[Literal], steps: &mut u64) -> Outcome {
    let mut search = Search::new(problem, preferences, steps);
    let mut met = search.begin();
    loop {
        match met.and_then(|()| search.propagate()) {
            Err(conflict) if search.marks.is_empty() => {
                return Outcome::Impossible(derivation::facts(&search, &conflict));
            }
            Err(conflict) => search.learn(conflict),
            Ok(()) if *search.steps == 0 => return Outcome::GaveUp,
            Ok(()) if search.choose() => {}
            Ok(()) => return Outcome::Found(search.chosen()),
        }
        if *search.steps == 0 {
            return Outcome::GaveUp;
        }
        met = Ok(());
    }
}

/// Why a literal is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// A need that has to be met.
    Root,
    /// It was chosen.
    Choice,
    /// This literal, which is true, implies it.
    Implied(Literal),
    /// All other literals of this clause are false.
    Clause(usize),
}

/// Literals of which one must be true: those of a need, or learned ones.
#[derive(Debug)]
pub(super) struct Clause {
    /// The first two are watched.
    pub(super) literals: Vec<Literal>,
    /// What a learned clause was derived from.
    pub(super) from: Vec<Cause>,
}

/// A clause whose literals are all false.
#[derive(Debug)]
pub(super) struct Conflict {
    pub(super) literals: Vec<Literal>,
    pub(super) cause: Cause,
}

/// What to return to when a choice is taken back.
#[derive(Debug, Clone, Copy)]
struct Mark {
    trail: usize,
    preference: usize,
    open: usize,
}

#[derive(Debug)]
pub(super) struct Search<'a> {
    pub(super) problem: &'a Problem,
    preferences: &'a [Literal],
    steps: &'a mut u64,
    /// By atom.
    values: Vec<Option<bool>>,
    pub(super) levels: Vec<usize>,
    pub(super) reasons: Vec<Reason>,
    /// True literals in the order in which they became true.
    pub(super) trail: Vec<Literal>,
    /// How far of the trail was propagated.
    head: usize,
    /// One for each choice.
    marks: Vec<Mark>,
    /// First preference that may be open.
    preference: usize,
    /// First place of the trail that may be an open need.
    open: usize,
    /// That of a need has the need's number; learned ones follow.
    pub(super) clauses: Vec<Clause>,
    /// Clauses that watch a literal, by literal.
    watches: Vec<Vec<usize>>,
}

impl<'a> Search<'a> {
    fn new(problem: &'a Problem, preferences: &'a [Literal], steps: &'a mut u64) -> Self {
        let atoms = problem.atoms();
        Self {
            problem,
            preferences,
            steps,
            values: vec![None; atoms],
            levels: vec![0; atoms],
            reasons: vec![Reason::Choice; atoms],
            trail: Vec::new(),
            head: 0,
            marks: Vec::new(),
            preference: 0,
            open: 0,
            clauses: Vec::new(),
            watches: vec![Vec::new(); 2 * atoms],
        }
    }

    /// Sets what has to be, and what nothing can meet.
    fn begin(&mut self) -> Result<(), Conflict> {
        for (number, need) in (0..).zip(&self.problem.needs) {
            let unmet = Literal::is(Atom::need(NeedId(number))).opposite();
            let members = need.members.iter().map(|member| Literal::with(*member));
            self.add_clause(core::iter::once(unmet).chain(members).collect(), Vec::new());
        }
        for root in &self.problem.roots {
            let literal = Literal::is(Atom::need(*root));
            if self.value(literal).is_none() {
                self.set(literal, Reason::Root);
            }
        }
        for number in 0..self.clauses.len() {
            let only = match self.clauses.get(number).map(|clause| clause.literals.as_slice()) {
                Some([only]) => *only,
                _ => continue,
            };
            match self.value(only) {
                Some(true) => {}
                Some(false) => {
                    return Err(Conflict { literals: vec![only], cause: Cause::Clause(number) });
                }
                None => self.set(only, Reason::Clause(number)),
            }
        }
        Ok(())
    }

    pub(super) fn add_clause(&mut self, literals: Vec<Literal>, from: Vec<Cause>) -> usize {
        let number = self.clauses.len();
        if literals.len() > 1 {
            for literal in literals.iter().take(2) {
                if let Some(watching) = self.watches.get_mut(literal.index()) {
                    watching.push(number);
                }
            }
        }
        self.clauses.push(Clause { literals, from });
        number
    }

    pub(super) fn spend(&mut self, steps: usize) {
        *self.steps = self.steps.saturating_sub(steps as u64);
    }

    pub(super) fn level(&self) -> usize {
        self.marks.len()
    }

    fn value(&self, literal: Literal) -> Option<bool> {
        let value = self.values.get(literal.atom().index()).copied().flatten();
        value.map(|value| value == literal.is_positive())
    }

    /// The literal of an atom that is true.
    pub(super) fn literal_of(&self, atom: Atom) -> Option<Literal> {
        let literal = Literal::is(atom);
        self.value(literal).map(|value| if value { literal } else { literal.opposite() })
    }

    pub(super) fn set(&mut self, literal: Literal, reason: Reason) {
        let at = literal.atom().index();
        let level = self.level();
        if let (Some(value), Some(level_of), Some(reason_of)) =
            (self.values.get_mut(at), self.levels.get_mut(at), self.reasons.get_mut(at))
        {
            *value = Some(literal.is_positive());
            *level_of = level;
            *reason_of = reason;
            self.trail.push(literal);
        }
    }

    /// Follows everything that is true to what it implies.
    fn propagate(&mut self) -> Result<(), Conflict> {
        while let Some(literal) = self.trail.get(self.head).copied() {
            self.head += 1;
            if *self.steps == 0 {
                return Ok(());
            }
            self.follow(literal)?;
            self.wake(literal.opposite())?;
        }
        Ok(())
    }

    /// What a literal implies by itself.
    fn follow(&mut self, literal: Literal) -> Result<(), Conflict> {
        let problem = self.problem;
        match (literal.atom().meaning(), literal.is_positive()) {
            (Meaning::Candidate(id), true) => {
                let Some(candidate) = problem.candidates.get(id.0 as usize) else { return Ok(()) };
                for need in &candidate.needs {
                    self.imply(literal, Literal::is(Atom::need(*need)))?;
                }
                self.exclude(literal, id, problem.slots.get(candidate.slot).map_or(&[], Vec::as_slice))?;
                for ban in candidate.bans.iter().filter_map(|ban| problem.bans.get(*ban)) {
                    self.exclude(literal, id, &ban.members)?;
                }
                for ban in candidate.banned.iter().filter_map(|ban| problem.bans.get(*ban)) {
                    self.exclude(literal, id, &ban.owners)?;
                }
                Ok(())
            }
            (Meaning::Need(id), false) => {
                let Some(need) = problem.needs.get(id.0 as usize) else { return Ok(()) };
                need.dependents
                    .iter()
                    .try_for_each(|dependent| self.imply(literal, Literal::without(*dependent)))
            }
            _ => Ok(()),
        }
    }

    fn exclude(
        &mut self,
        because: Literal,
        own: CandidateId,
        others: &[CandidateId],
    ) -> Result<(), Conflict> {
        let mut others = others.iter().filter(|other| **other != own);
        others.try_for_each(|other| self.imply(because, Literal::without(*other)))
    }

    fn imply(&mut self, because: Literal, implied: Literal) -> Result<(), Conflict> {
        self.spend(1);
        match self.value(implied) {
            Some(true) => Ok(()),
            None => {
                self.set(implied, Reason::Implied(because));
                Ok(())
            }
            Some(false) => Err(Conflict {
                literals: vec![because.opposite(), implied],
                cause: Cause::Implied(because, implied),
            }),
        }
    }

    /// Looks at the clauses that watch a literal, which became false.
    fn wake(&mut self, lost: Literal) -> Result<(), Conflict> {
        let Some(watching) = self.watches.get_mut(lost.index()).map(core::mem::take) else { return Ok(()) };
        let mut stay = Vec::with_capacity(watching.len());
        let mut outcome = Ok(());
        for number in watching {
            if outcome.is_err() {
                stay.push(number);
                continue;
            }
            let Some(left) = self.watch_another(number, lost) else { continue };
            stay.push(number);
            match self.value(left) {
                Some(true) => {}
                None => self.set(left, Reason::Clause(number)),
                Some(false) => {
                    let literals = self.clauses.get(number).map(|c| c.literals.clone()).unwrap_or_default();
                    outcome = Err(Conflict { literals, cause: Cause::Clause(number) });
                }
            }
        }
        if let Some(list) = self.watches.get_mut(lost.index()) {
            *list = stay;
        }
        outcome
    }

    /// Lets a clause watch another literal than `lost`. If none is left: the other watched one, on which it depends now.
    fn watch_another(&mut self, number: usize, lost: Literal) -> Option<Literal> {
        let Self { clauses, values, watches, steps, .. } = self;
        let literals = &mut clauses.get_mut(number)?.literals;
        let is = |literal: &Literal| {
            let value = values.get(literal.atom().index()).copied().flatten();
            value.map(|value| value == literal.is_positive())
        };
        if literals.first() == Some(&lost) {
            literals.swap(0, 1);
        }
        let other = literals.first().copied()?;
        if is(&other) == Some(true) {
            return Some(other);
        }
        let found = literals.iter().enumerate().skip(2).find(|(_, literal)| is(literal) != Some(false));
        let Some((at, found)) = found.map(|(at, found)| (at, *found)) else {
            **steps = steps.saturating_sub(literals.len() as u64);
            return Some(other);
        };
        **steps = steps.saturating_sub(at as u64);
        literals.swap(1, at);
        if let Some(watching) = watches.get_mut(found.index()) {
            watching.push(number);
        }
        None
    }

    /// Chooses the next literal; `false` when nothing is left to be chosen.
    fn choose(&mut self) -> bool {
        while let Some(wanted) = self.preferences.get(self.preference).copied() {
            if self.value(wanted).is_none() {
                self.decide(wanted);
                return true;
            }
            self.preference += 1;
        }
        while let Some(literal) = self.trail.get(self.open).copied() {
            if let (Meaning::Need(need), true) = (literal.atom().meaning(), literal.is_positive()) {
                let members = self.problem.members(need).iter().map(|member| Literal::with(*member));
                let is_met = members.clone().any(|member| self.value(member) == Some(true));
                let best = members.clone().find(|member| self.value(*member).is_none());
                self.spend(members.len());
                if let (false, Some(best)) = (is_met, best) {
                    self.decide(best);
                    return true;
                }
            }
            self.open += 1;
        }
        false
    }

    fn decide(&mut self, literal: Literal) {
        self.marks.push(Mark { trail: self.trail.len(), preference: self.preference, open: self.open });
        self.set(literal, Reason::Choice);
    }

    /// Takes all choices after the first `level` back.
    pub(super) fn return_to(&mut self, level: usize) {
        let Some(mark) = self.marks.get(level).copied() else { return };
        for literal in self.trail.drain(mark.trail..) {
            if let Some(value) = self.values.get_mut(literal.atom().index()) {
                *value = None;
            }
        }
        self.marks.truncate(level);
        (self.head, self.preference, self.open) = (mark.trail, mark.preference, mark.open);
    }

    fn chosen(&self) -> Vec<CandidateId> {
        let mut chosen: Vec<CandidateId> = self
            .trail
            .iter()
            .filter_map(|literal| match (literal.atom().meaning(), literal.is_positive()) {
                (Meaning::Candidate(id), true) => Some(id),
                _ => None,
            })
            .collect();
        chosen.sort_unstable();
        chosen
    }
}
