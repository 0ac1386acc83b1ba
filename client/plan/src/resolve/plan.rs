//! The wishes of a request in their order, and the changes that follow from what the search found.

use super::explain::Explanation;
use super::facts::{Installed, Key, Machine};
use super::names::Names;
use super::refusal::NoPlan;
use super::request::Request;
use super::universe::{NeedOf, Universe};
use super::{Change, KeptBack, Plan};
use crate::solve::{CandidateId, Literal, Outcome, Problem, search};
use crate::version;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::vec::Vec;

/// How many layers that are kept back are explained: each takes a search.
const EXPLAINED: usize = 5;

/// How many layers are looked at to find who meets which need: for 10,000 packages of Debian in two versions fewer than
/// 400,000. Each takes some bytes when it does, this many some 100 MB.
const ROOM: usize = 16_000_000;

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Goal {
    /// The requests.
    Install,
    /// Newer versions of installed layers, by number.
    Upgrade(Vec<usize>),
}

/// See the module.
pub(super) struct Planner<'a> {
    universe: Universe<'a>,
    installed: &'a [Installed],
    requests: &'a [Request],
    goal: Goal,
    /// Candidates that may take an installed layer's place.
    displacers: BTreeMap<usize, Vec<CandidateId>>,
}

impl<'a> Planner<'a> {
    /// Everything that has to be decided.
    pub(super) fn new(
        names: &'a Names<'a>,
        machine: Machine<'a>,
        requests: &'a [Request],
        goal: Goal,
    ) -> Self {
        let universe = Universe::new(names, machine, requests, ROOM);
        let displacers = universe.displacers();
        Self { universe, installed: names.installed, requests, goal, displacers }
    }

    /// Decides.
    pub(super) fn plan(mut self, effort: u64) -> Result<Plan, NoPlan> {
        if self.universe.is_cut() {
            return Err(NoPlan::TooHard);
        }
        self.require();
        let wishes = self.wishes();
        let mut steps = effort;
        match search(&self.universe.problem, &wishes, &mut steps) {
            Outcome::GaveUp => Err(NoPlan::TooHard),
            Outcome::Impossible(facts) => {
                let Explanation { because, advice } = Explanation::of(&self.universe, facts, &mut steps);
                let wanted = self.requests.iter().map(|request| request.which.to_string()).collect();
                Err(NoPlan::Impossible { wanted, because, advice })
            }
            Outcome::Found(chosen) => {
                let chosen = self.without_superfluous(chosen, &mut steps)?;
                let changes = self.changes(&chosen);
                let kept_back = self.kept_back(&chosen, &wishes, effort);
                Ok(Plan { changes, kept_back })
            }
        }
    }

    /// What has to be, whatever else is wished.
    fn require(&mut self) {
        for (number, request) in (0..).zip(self.requests) {
            let members = self.requested(request);
            self.root(members, NeedOf::Request(number));
        }
        for (number, present) in (0..).zip(self.installed) {
            let current: Vec<CandidateId> = self.universe.current(number).into_iter().collect();
            if present.held {
                self.root(current, NeedOf::Held);
            } else if present.asked {
                let mut members = self.universe.versions(present.facts.key());
                members.extend(self.displacers.get(&number).into_iter().flatten());
                self.root(members, NeedOf::Asked);
            }
        }
    }

    fn root(&mut self, members: Vec<CandidateId>, meaning: NeedOf<'a>) {
        let need = self.universe.add_need(members, meaning);
        self.universe.problem.require(need);
    }

    /// The versions that a request accepts, the newest first.
    fn requested(&mut self, request: &Request) -> Vec<CandidateId> {
        let mut versions = self.universe.versions(request.key());
        versions.retain(|id| self.universe.entry(*id).is_some_and(|entry| request.accepts(entry.facts)));
        versions
    }

    /// Numbers of the installed layers, those first that were asked for.
    fn by_weight(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.installed.len()).collect();
        order.sort_by_key(|number| self.installed.get(*number).map(|i| (!i.asked, i.facts.key())));
        order
    }

    /// What is wished, the most important first.
    fn wishes(&mut self) -> Vec<Literal> {
        let mut wishes = Vec::new();
        for request in self.requests {
            wishes.extend(self.requested(request));
        }
        let order = self.by_weight();
        if let Goal::Upgrade(numbers) = &self.goal {
            let chosen: BTreeSet<usize> = numbers.iter().copied().collect();
            for number in order.iter().filter(|number| chosen.contains(number)) {
                let Some(present) = self.installed.get(*number).map(|present| &present.facts) else {
                    continue;
                };
                let versions = self.universe.versions(present.key());
                let newer = |id: &CandidateId| {
                    self.universe
                        .entry(*id)
                        .is_some_and(|entry| version::compare(&entry.facts.version, &present.version).is_gt())
                };
                wishes.extend(versions.into_iter().filter(newer));
                wishes.extend(self.universe.current(*number));
            }
        }
        wishes.extend(order.iter().filter_map(|number| self.universe.current(*number)));
        for number in &order {
            if let Some(present) = self.installed.get(*number) {
                wishes.extend(self.universe.versions(present.facts.key()));
            }
        }
        wishes.into_iter().map(Literal::with).collect()
    }

    /// The search adds the best for each need in turn; what it added for one may meet another later. Here everything that is
    /// new and was not asked for would rather stay out, the last first, among what was chosen.
    fn without_superfluous(
        &self,
        chosen: Vec<CandidateId>,
        steps: &mut u64,
    ) -> Result<Vec<CandidateId>, NoPlan> {
        let needed: BTreeSet<CandidateId> = chosen.iter().copied().filter(|id| self.is_known(*id)).collect();
        if needed.len() == chosen.len() {
            return Ok(chosen);
        }
        let numbers: BTreeMap<CandidateId, CandidateId> =
            chosen.iter().copied().zip((0..).map(CandidateId)).collect();
        let mut among = Problem::default();
        for slot in 0..chosen.len() {
            among.add_candidate(slot);
        }
        let mut dropped = Vec::new();
        for (id, small) in &numbers {
            if needed.contains(id) {
                let need = among.add_need(Vec::from([*small]));
                among.require(need);
            } else {
                dropped.push(Literal::without(*small));
            }
            for need in self.universe.problem.needs_of(*id) {
                let members = self.universe.problem.members(*need).iter();
                let need =
                    among.add_need(members.filter_map(|member| numbers.get(member).copied()).collect());
                among.depend(*small, need);
            }
        }
        dropped.reverse();
        match search(&among, &dropped, steps) {
            Outcome::Found(kept) => {
                Ok(kept.iter().filter_map(|id| chosen.get(id.0 as usize).copied()).collect())
            }
            // What was found meets all its needs.
            Outcome::Impossible(_) => Ok(chosen),
            Outcome::GaveUp => Err(NoPlan::TooHard),
        }
    }

    /// Whether a candidate is asked for now, or there in some version.
    fn is_known(&self, id: CandidateId) -> bool {
        self.universe.entry(id).is_some_and(|entry| {
            let key = entry.facts.key();
            self.universe.present(key).is_some() || self.universe.is_requested(key)
        })
    }

    /// Whether a chosen candidate counts as asked for: now, before, or in the place of one that was and is gone.
    fn is_asked(&self, id: CandidateId, key: Key<'_>, gone: &BTreeSet<usize>) -> bool {
        let was_asked = |number: &usize| self.installed.get(*number).is_some_and(|present| present.asked);
        let mut places = self
            .displacers
            .iter()
            .filter(|(number, members)| gone.contains(number) && was_asked(number) && members.contains(&id));
        self.universe.is_requested(key)
            || self.universe.present(key).as_ref().is_some_and(was_asked)
            || places.next().is_some()
    }

    fn changes(&self, chosen: &[CandidateId]) -> Vec<Change> {
        let mut changes: BTreeMap<Key<'_>, Change> = BTreeMap::new();
        let mut gone: BTreeSet<usize> = (0..self.installed.len()).collect();
        for entry in chosen.iter().filter_map(|id| self.universe.entry(*id)) {
            self.universe.present(entry.facts.key()).inspect(|number| {
                gone.remove(number);
            });
        }
        for id in chosen {
            let Some(entry) = self.universe.entry(*id) else { continue };
            let key = entry.facts.key();
            let asked = self.is_asked(*id, key, &gone);
            let present = self.universe.present(key);
            let before = present.and_then(|number| self.installed.get(number));
            let change = match (before, entry.offer) {
                (Some(before), _) if entry.installed == present => {
                    (asked && !before.asked).then(|| Change::Ask { kind: key.0, name: key.1.into() })
                }
                (Some(before), Some(offer)) => {
                    Some(Change::Replace { offer, from: before.facts.version.clone(), asked })
                }
                (None, Some(offer)) => Some(Change::Add { offer, asked }),
                (_, None) => None,
            };
            changes.extend(change.map(|change| (key, change)));
        }
        for present in gone.into_iter().filter_map(|number| self.installed.get(number)) {
            let (kind, name) = present.facts.key();
            changes.insert((kind, name), Change::Remove { kind, name: name.into() });
        }
        changes.into_values().collect()
    }

    /// What was to be newer and is not, and why.
    fn kept_back(&mut self, chosen: &[CandidateId], wishes: &[Literal], effort: u64) -> Vec<KeptBack> {
        let mut keys: Vec<Key<'a>> = match &self.goal {
            Goal::Install => {
                let open = self.requests.iter().filter(|request| request.which.version.is_none());
                open.map(Request::key).collect()
            }
            Goal::Upgrade(numbers) => numbers
                .iter()
                .filter_map(|number| self.installed.get(*number))
                .map(|i| i.facts.key())
                .collect(),
        };
        keys.sort_unstable();
        keys.dedup();
        let versions: BTreeMap<Key<'a>, &'a str> = chosen
            .iter()
            .filter_map(|id| self.universe.entry(*id))
            .map(|entry| (entry.facts.key(), entry.facts.version.as_str()))
            .collect();
        let mut found = Vec::new();
        let mut steps = effort;
        for key in keys {
            let Some(version) = versions.get(&key) else { continue };
            let Some((newer, candidate)) = self.universe.newer_offer(key, version) else { continue };
            let because = match (self.universe.barrier(newer), candidate) {
                (Some(barrier), _) => Vec::from([barrier.sentence(newer, self.universe.machine)]),
                (None, Some(id)) if found.len() < EXPLAINED => self.why_not(id, chosen, wishes, &mut steps),
                (None, _) => Vec::new(),
            };
            let (kind, name) = (key.0, key.1.into());
            found.push(KeptBack { kind, name, version: newer.version.clone(), because });
        }
        found
    }

    /// Why a candidate cannot be, at first by itself, then with all that was wished before it and came true.
    fn why_not(
        &mut self,
        id: CandidateId,
        chosen: &[CandidateId],
        wishes: &[Literal],
        steps: &mut u64,
    ) -> Vec<alloc::string::String> {
        self.root(Vec::from([id]), NeedOf::Decided);
        let mut roots = 1;
        let mut outcome = search(&self.universe.problem, &[], steps);
        if let Outcome::Found(_) = outcome {
            let before = wishes.iter().take_while(|wish| **wish != Literal::with(id));
            let true_before: Vec<CandidateId> = chosen
                .iter()
                .copied()
                .filter(|other| before.clone().any(|wish| *wish == Literal::with(*other)))
                .collect();
            roots += true_before.len();
            for other in true_before {
                self.root(Vec::from([other]), NeedOf::Decided);
            }
            outcome = search(&self.universe.problem, &[], steps);
        }
        let because = match outcome {
            Outcome::Impossible(facts) => Explanation::of(&self.universe, facts, steps).because,
            Outcome::Found(_) | Outcome::GaveUp => Vec::new(),
        };
        for _ in 0..roots {
            self.universe.problem.release();
        }
        because
    }
}
