//! The question: candidates, slots, needs and bans.
//!
//! Each candidate and each need is an *atom*: "it is in the system", "it has to be met". What holds between two atoms
//! (a candidate has needs, shares its slot, bans others) is kept as lists, so that a problem takes as much memory as the
//! catalog it comes from and never the square of it.

use alloc::vec::Vec;

/// Number of a candidate in its problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CandidateId(pub u32);

/// Number of a need in its problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NeedId(pub u32);

/// Something that is true or false: even numbers are candidates, odd ones are needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Atom(u32);

/// What an atom stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Candidate(CandidateId),
    Need(NeedId),
}

impl Atom {
    pub(super) fn candidate(id: CandidateId) -> Self {
        Self(id.0 * 2)
    }

    pub(super) fn need(id: NeedId) -> Self {
        Self(id.0 * 2 + 1)
    }

    pub(super) fn meaning(self) -> Meaning {
        match self.0 % 2 {
            0 => Meaning::Candidate(CandidateId(self.0 / 2)),
            _ => Meaning::Need(NeedId(self.0 / 2)),
        }
    }

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// An atom or its opposite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Literal(u32);

impl Literal {
    /// The candidate is in the system.
    pub fn with(candidate: CandidateId) -> Self {
        Self::is(Atom::candidate(candidate))
    }

    /// The candidate is not in the system.
    pub fn without(candidate: CandidateId) -> Self {
        Self::with(candidate).opposite()
    }

    pub(super) fn is(atom: Atom) -> Self {
        Self(atom.0 * 2)
    }

    pub(super) fn opposite(self) -> Self {
        Self(self.0 ^ 1)
    }

    pub(super) fn atom(self) -> Atom {
        Atom(self.0 / 2)
    }

    pub(super) fn is_positive(self) -> bool {
        self.0.is_multiple_of(2)
    }

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Debug, Default)]
pub(super) struct Candidate {
    pub(super) slot: usize,
    pub(super) needs: Vec<NeedId>,
    /// Numbers of the bans that it declares.
    pub(super) bans: Vec<usize>,
    /// Numbers of the bans that it falls under.
    pub(super) banned: Vec<usize>,
}

#[derive(Debug, Default)]
pub(super) struct Need {
    /// Who meets it, the best first.
    pub(super) members: Vec<CandidateId>,
    /// Who has it.
    pub(super) dependents: Vec<CandidateId>,
}

#[derive(Debug, Default)]
pub(super) struct Ban {
    pub(super) members: Vec<CandidateId>,
    pub(super) owners: Vec<CandidateId>,
}

/// The question.
#[derive(Debug, Default)]
pub struct Problem {
    pub(super) candidates: Vec<Candidate>,
    pub(super) needs: Vec<Need>,
    pub(super) bans: Vec<Ban>,
    pub(super) slots: Vec<Vec<CandidateId>>,
    pub(super) roots: Vec<NeedId>,
}

impl Problem {
    /// Adds a candidate to a slot; slots count from 0. Candidates are numbered in the order in which they are added.
    pub fn add_candidate(&mut self, slot: usize) -> CandidateId {
        let id = CandidateId(u32::try_from(self.candidates.len()).unwrap_or(u32::MAX));
        self.candidates.push(Candidate { slot, ..Candidate::default() });
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, Vec::new);
        }
        if let Some(mates) = self.slots.get_mut(slot) {
            mates.push(id);
        }
        id
    }

    /// Adds a need that one of `members` meets, the best first. Without [`Problem::require`] or a candidate that has it it
    /// asks for nothing.
    pub fn add_need(&mut self, members: Vec<CandidateId>) -> NeedId {
        let id = NeedId(u32::try_from(self.needs.len()).unwrap_or(u32::MAX));
        self.needs.push(Need { members, dependents: Vec::new() });
        id
    }

    /// The candidate has the need.
    pub fn depend(&mut self, candidate: CandidateId, need: NeedId) {
        if let (Some(owner), Some(need_of)) =
            (self.candidates.get_mut(candidate.0 as usize), self.needs.get_mut(need.0 as usize))
        {
            owner.needs.push(need);
            need_of.dependents.push(candidate);
        }
    }

    /// Adds a ban on `members`: whoever declares it stands beside none of them but itself. Gives its number.
    pub fn add_ban(&mut self, members: Vec<CandidateId>) -> usize {
        let number = self.bans.len();
        for member in &members {
            if let Some(candidate) = self.candidates.get_mut(member.0 as usize) {
                candidate.banned.push(number);
            }
        }
        self.bans.push(Ban { members, owners: Vec::new() });
        number
    }

    /// The candidate declares the ban.
    pub fn declare(&mut self, candidate: CandidateId, ban: usize) {
        if let (Some(owner), Some(declared)) =
            (self.candidates.get_mut(candidate.0 as usize), self.bans.get_mut(ban))
        {
            owner.bans.push(ban);
            declared.owners.push(candidate);
        }
    }

    /// The need has to be met whatever is chosen.
    pub fn require(&mut self, need: NeedId) {
        self.roots.push(need);
    }

    /// Takes the last requirement back.
    pub fn release(&mut self) {
        self.roots.pop();
    }

    /// Who meets a need, the best first.
    pub fn members(&self, need: NeedId) -> &[CandidateId] {
        self.needs.get(need.0 as usize).map_or(&[], |need| &need.members)
    }

    /// What a candidate needs.
    pub fn needs_of(&self, candidate: CandidateId) -> &[NeedId] {
        self.candidates.get(candidate.0 as usize).map_or(&[], |candidate| &candidate.needs)
    }

    /// Whether both stand in one slot.
    pub fn share_slot(&self, one: CandidateId, other: CandidateId) -> bool {
        let slot = |id: CandidateId| self.candidates.get(id.0 as usize).map(|candidate| candidate.slot);
        slot(one) == slot(other)
    }

    /// How many atoms there are room for.
    pub(super) fn atoms(&self) -> usize {
        2 * self.candidates.len().max(self.needs.len())
    }
}
