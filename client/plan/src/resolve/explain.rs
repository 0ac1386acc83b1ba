//! From the facts of a contradiction to sentences for people.
//!
//! The facts are made few first ([`shrink`]); then they are told in the order in which one asks: what is wanted, what it
//! needs, what stands against that, who wanted that.

use super::facts::Key;
use super::sentence::{Role, Said, Sentences};
use super::universe::{NeedOf, Universe};
use crate::solve::{CandidateId, Fact, NeedId, shrink};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use plyos_ids::Kind;

/// Why there is no plan.
pub(super) struct Explanation {
    /// Sentences without capital or full stop.
    pub(super) because: Vec<String>,
    /// What would help.
    pub(super) advice: Option<String>,
}

impl Explanation {
    /// Explains a contradiction in the universe's problem.
    pub(super) fn of(universe: &Universe<'_>, facts: Vec<Fact>, steps: &mut u64) -> Self {
        // What people did before is brought in only when it must be, what they ask for now is left out last.
        let rank = |fact: &Fact| match fact {
            Fact::Root(need) => match universe.meaning(*need) {
                Some(NeedOf::Decided) => 0,
                Some(NeedOf::Asked | NeedOf::Held) => 1,
                _ => 4,
            },
            Fact::Apart(..) => 2,
            Fact::Needs(..) | Fact::Members(_) => 3,
        };
        let facts = shrink(&universe.problem, facts, rank, steps);
        Teller::new(universe, &facts).tell()
    }
}

struct Teller<'u, 'a> {
    universe: &'u Universe<'a>,
    roots: Vec<NeedId>,
    needs: BTreeMap<CandidateId, Vec<NeedId>>,
    apart: BTreeMap<CandidateId, Vec<CandidateId>>,
    told: BTreeSet<(CandidateId, CandidateId)>,
    sentences: Sentences<'a>,
}

impl<'u, 'a> Teller<'u, 'a> {
    fn new(universe: &'u Universe<'a>, facts: &[Fact]) -> Self {
        let mut roots = Vec::new();
        let mut needs: BTreeMap<CandidateId, Vec<NeedId>> = BTreeMap::new();
        let mut apart: BTreeMap<CandidateId, Vec<CandidateId>> = BTreeMap::new();
        for fact in facts {
            match *fact {
                Fact::Root(need) => roots.push(need),
                Fact::Needs(candidate, need) => needs.entry(candidate).or_default().push(need),
                Fact::Apart(one, other) => {
                    apart.entry(one).or_default().push(other);
                    apart.entry(other).or_default().push(one);
                }
                Fact::Members(_) => {}
            }
        }
        // What is asked for now begins the story.
        roots.sort_by_key(|root| match universe.meaning(*root) {
            Some(NeedOf::Request(_)) => 0,
            Some(NeedOf::Decided) => 1,
            _ => 2,
        });
        let mut sentences = Sentences::default();
        for root in &roots {
            let role = match universe.meaning(*root) {
                Some(NeedOf::Asked) => Role::Asked,
                Some(NeedOf::Held) => Role::Held,
                _ => continue,
            };
            let installed = universe.problem.members(*root).iter().filter_map(|id| universe.entry(*id));
            for entry in installed.filter(|entry| entry.installed.is_some()) {
                sentences.has_role(entry.facts, role);
            }
        }
        Self { universe, roots, needs, apart, told: BTreeSet::new(), sentences }
    }

    fn tell(mut self) -> Explanation {
        let mut seen = BTreeSet::new();
        let mut open: VecDeque<CandidateId> = VecDeque::new();
        for root in self.roots.clone() {
            open.extend(self.universe.problem.members(root));
            if self.universe.problem.members(root).is_empty() {
                self.tell_absence(root);
            }
            while let Some(id) = open.pop_front() {
                if seen.insert(id) {
                    self.tell_needs(id, &mut open);
                    self.tell_apart(id, &mut open);
                }
            }
        }
        let advice = self.advice();
        Explanation { because: self.sentences.texts(), advice }
    }

    fn tell_needs(&mut self, id: CandidateId, open: &mut VecDeque<CandidateId>) {
        let universe = self.universe;
        let Some(entry) = universe.entry(id) else { return };
        for need in self.needs.get(&id).cloned().unwrap_or_default() {
            let Some(NeedOf::Layer(dependency)) = universe.meaning(need) else { continue };
            let members = universe.problem.members(need);
            let kept_out = universe.kept_out(dependency);
            let absence = match (members, kept_out.as_slice()) {
                ([], []) => ", which nothing offers",
                ([], _) => ", which nothing offers that could be taken",
                _ => "",
            };
            self.sentences.say(entry.facts, Said::Needs(alloc::format!("{dependency}{absence}")));
            if let Some((offer, barrier)) = kept_out.first() {
                self.sentences.remark(barrier.sentence(offer, universe.machine));
            }
            // Straight after who needs them.
            members.iter().rev().for_each(|member| open.push_front(*member));
        }
    }

    fn tell_apart(&mut self, id: CandidateId, open: &mut VecDeque<CandidateId>) {
        let universe = self.universe;
        for other in self.apart.get(&id).cloned().unwrap_or_default() {
            open.push_back(other);
            if !self.told.insert((id.min(other), id.max(other))) {
                continue;
            }
            let (Some(one), Some(two)) = (universe.entry(id), universe.entry(other)) else { continue };
            let (one, two) = (one.facts, two.facts);
            if one.key() == two.key() {
                self.sentences.conclude(alloc::format!("only one version of {} can be there", one.name));
            } else if universe.problem.share_slot(id, other) {
                self.sentences.say(one, Said::Shares(two.key()));
            } else if one.conflicts.iter().any(|conflict| two.answers(conflict)) {
                self.sentences.say(one, Said::Conflicts(two.key(), Vec::from([two.version.as_str()])));
            } else {
                self.sentences.say(two, Said::Conflicts(one.key(), Vec::from([one.version.as_str()])));
            }
        }
    }

    /// A request that only offers behind barriers would meet.
    fn tell_absence(&mut self, root: NeedId) {
        let Some(NeedOf::Request(number)) = self.universe.meaning(root) else { return };
        let Some(request) = self.universe.requests().get(number) else { return };
        let kept_out = self.universe.kept_out(&request.which);
        for (offer, barrier) in kept_out.iter().filter(|(offer, _)| offer.key() == request.key()) {
            self.sentences.remark(barrier.sentence(offer, self.universe.machine));
        }
    }

    /// The first thing that was asked for before and stands in the way.
    fn advice(&self) -> Option<String> {
        let asked_now: BTreeSet<Key<'_>> = self
            .roots
            .iter()
            .filter(|root| matches!(self.universe.meaning(**root), Some(NeedOf::Request(_))))
            .flat_map(|root| self.universe.problem.members(*root))
            .filter_map(|id| self.universe.entry(*id).map(|entry| entry.facts.key()))
            .collect();
        let mut blocking = self.sentences.roles().filter(|(key, _)| !asked_now.contains(key));
        let ((kind, name), role) = blocking.next()?;
        let name = if kind == Kind::Package { name.to_string() } else { alloc::format!("{kind}/{name}") };
        Some(match role {
            Role::Asked => alloc::format!("`pkg remove {name}` would make room"),
            Role::Held => alloc::format!("`pkg unhold {name}` would release it"),
        })
    }
}
