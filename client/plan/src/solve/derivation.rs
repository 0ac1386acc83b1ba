//! Why there is no answer: the facts of the problem from which the contradiction was derived.
//!
//! Every learned clause remembers what it was resolved from. [`facts`] follows these threads from the last contradiction
//! down to the problem; [`shrink`] then leaves facts out, one after the other, as long as the rest still contradicts
//! itself: each one that is left is needed.

use super::problem::{Atom, CandidateId, Literal, Meaning, NeedId, Problem};
use super::search::{Conflict, Outcome, Reason, Search, search};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// A fact of the problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// The need has to be met.
    Root(NeedId),
    /// The candidate has the need.
    Needs(CandidateId, NeedId),
    /// They do not stand together: one slot, or a ban. The lower number comes first.
    Apart(CandidateId, CandidateId),
    /// Only the members of the need meet it.
    Members(NeedId),
}

/// What a clause was derived from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The first implies the second.
    Implied(Literal, Literal),
    /// A clause.
    Clause(usize),
    /// What holds whatever is chosen.
    Fixed(Atom),
}

/// The facts behind a conflict that no choice is to blame for.
pub(super) fn facts(search: &Search<'_>, conflict: &Conflict) -> Vec<Fact> {
    let mut found = BTreeSet::new();
    let mut clauses = BTreeSet::new();
    let mut fixed = BTreeSet::new();
    let mut open: Vec<Cause> = conflict.literals.iter().map(|literal| Cause::Fixed(literal.atom())).collect();
    open.push(conflict.cause);
    while let Some(cause) = open.pop() {
        match cause {
            Cause::Implied(because, implied) => found.extend(fact_of(because.atom(), implied.atom())),
            Cause::Clause(number) if !clauses.insert(number) => {}
            Cause::Clause(number) if number < search.problem.needs.len() => {
                found.insert(Fact::Members(NeedId(u32::try_from(number).unwrap_or(u32::MAX))));
            }
            Cause::Clause(number) => {
                open.extend(search.clauses.get(number).into_iter().flat_map(|clause| clause.from.iter()));
            }
            Cause::Fixed(atom) if !fixed.insert(atom) => {}
            Cause::Fixed(atom) => {
                if let (Reason::Root, Meaning::Need(need)) = (search.reason(atom), atom.meaning()) {
                    found.insert(Fact::Root(need));
                }
                let (others, cause) =
                    search.literal_of(atom).map(|literal| search.reason_of(literal)).unwrap_or_default();
                open.extend(others.into_iter().map(|literal| Cause::Fixed(literal.atom())));
                open.extend(cause);
            }
        }
    }
    found.into_iter().collect()
}

fn fact_of(one: Atom, other: Atom) -> Option<Fact> {
    match (one.meaning(), other.meaning()) {
        (Meaning::Candidate(one), Meaning::Candidate(other)) => {
            Some(Fact::Apart(one.min(other), one.max(other)))
        }
        (Meaning::Candidate(candidate), Meaning::Need(need))
        | (Meaning::Need(need), Meaning::Candidate(candidate)) => Some(Fact::Needs(candidate, need)),
        (Meaning::Need(_), Meaning::Need(_)) => None,
    }
}

/// Leaves out what a contradiction does not need, those that `rank` puts first before others, while `steps` last.
pub fn shrink(
    problem: &Problem,
    mut facts: Vec<Fact>,
    rank: impl Fn(&Fact) -> u32,
    steps: &mut u64,
) -> Vec<Fact> {
    let mut order: Vec<Fact> =
        facts.iter().copied().filter(|fact| !matches!(fact, Fact::Members(_))).collect();
    order.sort_by_key(|fact| (rank(fact), core::cmp::Reverse(*fact)));
    for fact in order {
        if !facts.contains(&fact) || *steps == 0 {
            continue;
        }
        let fewer: Vec<Fact> = facts.iter().copied().filter(|other| *other != fact).collect();
        *steps = steps.saturating_sub(fewer.len() as u64);
        if let Some(enough) = contradiction(problem, &fewer, steps) {
            facts = enough;
        }
    }
    facts
}

/// The facts of these that contradict each other, if they do.
fn contradiction(problem: &Problem, facts: &[Fact], steps: &mut u64) -> Option<Vec<Fact>> {
    let mut small = Small::default();
    for fact in facts {
        match *fact {
            Fact::Root(need) => {
                let need = small.need(problem, need);
                small.problem.require(need);
            }
            Fact::Needs(candidate, need) => {
                let (candidate, need) = (small.candidate(candidate), small.need(problem, need));
                small.problem.depend(candidate, need);
            }
            Fact::Apart(one, other) => {
                let (one, other) = (small.candidate(one), small.candidate(other));
                let ban = small.problem.add_ban(Vec::from([other]));
                small.problem.declare(one, ban);
            }
            Fact::Members(_) => {}
        }
    }
    match search(&small.problem, &[], steps) {
        Outcome::Impossible(facts) => {
            Some(facts.into_iter().filter_map(|fact| small.original(fact)).collect())
        }
        Outcome::Found(_) | Outcome::GaveUp => None,
    }
}

/// A problem of some facts of a larger one, with numbers of its own.
#[derive(Default)]
struct Small {
    problem: Problem,
    candidates: BTreeMap<CandidateId, CandidateId>,
    needs: BTreeMap<NeedId, NeedId>,
    candidates_back: Vec<CandidateId>,
    needs_back: Vec<NeedId>,
}

impl Small {
    fn candidate(&mut self, id: CandidateId) -> CandidateId {
        if let Some(known) = self.candidates.get(&id) {
            return *known;
        }
        // Slots became facts of their own.
        let new = self.problem.add_candidate(self.candidates_back.len());
        self.candidates_back.push(id);
        self.candidates.insert(id, new);
        new
    }

    fn need(&mut self, problem: &Problem, id: NeedId) -> NeedId {
        if let Some(known) = self.needs.get(&id) {
            return *known;
        }
        let members = problem.members(id).iter().map(|member| self.candidate(*member)).collect();
        let new = self.problem.add_need(members);
        self.needs_back.push(id);
        self.needs.insert(id, new);
        new
    }

    fn original(&self, fact: Fact) -> Option<Fact> {
        let candidate = |id: CandidateId| self.candidates_back.get(id.0 as usize).copied();
        let need = |id: NeedId| self.needs_back.get(id.0 as usize).copied();
        Some(match fact {
            Fact::Root(id) => Fact::Root(need(id)?),
            Fact::Members(id) => Fact::Members(need(id)?),
            Fact::Needs(owner, id) => Fact::Needs(candidate(owner)?, need(id)?),
            Fact::Apart(one, other) => {
                let (one, other) = (candidate(one)?, candidate(other)?);
                Fact::Apart(one.min(other), one.max(other))
            }
        })
    }
}
