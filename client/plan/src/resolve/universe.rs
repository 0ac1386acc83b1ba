//! Everything that could take part in a plan, as a problem for the search.
//!
//! From what is installed and asked for, [`Universe`] follows the dependencies through the catalog and enters each layer
//! that could meet one as a candidate. An offer behind a [`Barrier`] is none; it is remembered for explanations.

use super::facts::{Facts, Key, Machine, SINGLE, made_for};
use super::names::{Names, Source};
use super::request::Request;
use crate::dependency::Dependency;
use crate::solve::{CandidateId, NeedId, Problem};
use crate::version;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::{Ordering, Reverse};

/// A layer that may be chosen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) facts: &'a Facts,
    /// Number of its offer, if it is on offer.
    pub(super) offer: Option<usize>,
    /// Number among the installed ones, if it is installed.
    pub(super) installed: Option<usize>,
}

/// What a need of the problem means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NeedOf<'a> {
    /// A layer declares it.
    Layer(&'a Dependency),
    /// This request, by its number.
    Request(usize),
    /// It was asked for before, so it stays.
    Asked,
    /// It is held in its version.
    Held,
    /// It is how a plan decided.
    Decided,
}

/// Why an offer is no candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Barrier<'a> {
    /// It is for other machines.
    Machine,
    /// It is older than what is installed, and nobody asked for that.
    Downgrade { from: &'a str },
    /// It does not take over from the installed version.
    TooFar { least: &'a str, from: &'a str },
}

impl Barrier<'_> {
    /// A sentence about the offer behind it.
    pub(super) fn sentence(&self, offer: &Facts, machine: Machine<'_>) -> String {
        let Facts { name, version, .. } = offer;
        match self {
            Self::Machine => {
                alloc::format!(
                    "{name} {version} is for {}, and this machine is {}",
                    made_for(offer),
                    machine.arch
                )
            }
            Self::Downgrade { from } => {
                alloc::format!(
                    "going back from {name} {from} to {version} has to be asked for ({name}={version})"
                )
            }
            Self::TooFar { least, from } => {
                alloc::format!(
                    "{name} {version} upgrades from {least} or newer only, and {from} is installed"
                )
            }
        }
    }
}

/// See the module.
pub(super) struct Universe<'a> {
    names: &'a Names<'a>,
    pub(super) machine: Machine<'a>,
    requests: &'a [Request],
    requested: BTreeSet<Key<'a>>,
    pub(super) problem: Problem,
    pub(super) entries: Vec<Entry<'a>>,
    meanings: Vec<NeedOf<'a>>,
    entered_offers: Vec<Option<CandidateId>>,
    entered_installed: Vec<Option<CandidateId>>,
    slots: BTreeMap<Key<'a>, usize>,
    needs: BTreeMap<&'a Dependency, NeedId>,
    /// How many layers may still be looked at for needs and bans.
    room: usize,
}

impl<'a> Universe<'a> {
    /// All that what is installed and asked for can lead to.
    pub(super) fn new(
        names: &'a Names<'a>,
        machine: Machine<'a>,
        requests: &'a [Request],
        room: usize,
    ) -> Self {
        let mut universe = Self {
            names,
            machine,
            requests,
            requested: requests.iter().map(Request::key).collect(),
            problem: Problem::default(),
            entries: Vec::new(),
            meanings: Vec::new(),
            entered_offers: vec![None; names.offers.len()],
            entered_installed: vec![None; names.installed.len()],
            slots: BTreeMap::new(),
            needs: BTreeMap::new(),
            room,
        };
        for present in names.installed {
            universe.versions(present.facts.key());
        }
        for request in requests {
            universe.versions(request.key());
        }
        universe.follow_needs();
        universe.add_bans();
        universe
    }

    /// What keeps an offer out.
    pub(super) fn barrier(&self, offer: &'a Facts) -> Option<Barrier<'a>> {
        if !self.machine.takes(offer) {
            return Some(Barrier::Machine);
        }
        let from = &self.names.installed.get(self.names.present(offer.key())?)?.facts.version;
        let asked =
            || self.requests.iter().any(|request| request.which.version.is_some() && request.accepts(offer));
        if version::compare(&offer.version, from).is_lt() {
            return (!asked()).then_some(Barrier::Downgrade { from });
        }
        let least = offer.upgrade_from.as_deref()?;
        version::compare(from, least).is_lt().then_some(Barrier::TooFar { least, from })
    }

    /// Everything that answers to `need`, the best first: its own name before names that others provide, newer before older.
    fn answers(&self, need: &Dependency, looked_at: &mut usize) -> Vec<(Source, &'a Facts)> {
        let sources = self.names.of(&need.name).inspect(|_| *looked_at += 1);
        let mut found: Vec<_> = sources.filter(|(_, facts)| facts.answers(need)).collect();
        found.sort_by(|(left_source, left), (right_source, right)| {
            let by_name = |facts: &Facts| facts.name != need.name;
            (by_name(left), left.key())
                .cmp(&(by_name(right), right.key()))
                .then_with(|| self.newer_first((*left_source, left), (*right_source, right)))
        });
        found
    }

    /// Newer before older. Of one version, what is on offer (the publisher may have replaced it) and made for this machine.
    fn newer_first(&self, left: (Source, &Facts), right: (Source, &Facts)) -> Ordering {
        let rest = |(source, facts): (Source, &Facts)| {
            let offer = self.names.offer_of(source);
            (offer.is_none(), facts.arch == "any", offer, source)
        };
        version::compare(&right.1.version, &left.1.version).then_with(|| rest(left).cmp(&rest(right)))
    }

    /// Whether the room ended before everything was entered.
    pub(super) fn is_cut(&self) -> bool {
        self.room == 0
    }

    /// Everything that answers to `need`, as long as there is room to look at it.
    fn listed(&mut self, need: &Dependency) -> Vec<(Source, &'a Facts)> {
        let mut looked_at = 1;
        let found = if self.is_cut() { Vec::new() } else { self.answers(need, &mut looked_at) };
        self.room = self.room.saturating_sub(looked_at);
        found
    }

    fn admits(&self, source: Source, facts: &'a Facts) -> bool {
        matches!(source, Source::Installed(_)) || self.barrier(facts).is_none()
    }

    /// All candidates of a kind and name, the newest first.
    pub(super) fn versions(&mut self, (kind, name): Key<'_>) -> Vec<CandidateId> {
        let mut found: Vec<(Source, &Facts)> = self
            .names
            .of(name)
            .filter(|(source, facts)| facts.key() == (kind, name) && self.admits(*source, facts))
            .collect();
        found.sort_by(|left, right| self.newer_first(*left, *right));
        found.into_iter().filter_map(|(source, _)| self.enter(source)).collect()
    }

    /// Makes a candidate of a source, once.
    fn enter(&mut self, source: Source) -> Option<CandidateId> {
        let facts = self.names.facts(source)?;
        let offer = self.names.offer_of(source);
        let (known, installed) = match source {
            Source::Offer(number) => (self.entered_offers.get_mut(number)?, None),
            Source::Installed(number) => (self.entered_installed.get_mut(number)?, Some(number)),
        };
        if let Some(id) = *known {
            return Some(id);
        }
        let slot_key = if SINGLE.contains(&facts.kind) { (facts.kind, "") } else { facts.key() };
        let next = self.slots.len();
        let id = self.problem.add_candidate(*self.slots.entry(slot_key).or_insert(next));
        *known = Some(id);
        self.entries.push(Entry { facts, offer, installed });
        Some(id)
    }

    fn follow_needs(&mut self) {
        let mut next = 0;
        while let Some(Entry { facts, .. }) = self.entries.get(next).copied() {
            let id = CandidateId(u32::try_from(next).unwrap_or(u32::MAX));
            for dependency in &facts.depends {
                let need = match self.needs.get(dependency) {
                    Some(need) => *need,
                    None => {
                        let mut members = Vec::new();
                        for (source, facts) in self.listed(dependency) {
                            if self.admits(source, facts) {
                                members.extend(self.enter(source));
                            }
                        }
                        let need = self.add_need(members, NeedOf::Layer(dependency));
                        self.needs.insert(dependency, need);
                        need
                    }
                };
                self.problem.depend(id, need);
            }
            next += 1;
        }
    }

    fn add_bans(&mut self) {
        let mut bans: BTreeMap<&Dependency, usize> = BTreeMap::new();
        for (id, entry) in (0..).map(CandidateId).zip(self.entries.clone()) {
            for conflict in &entry.facts.conflicts {
                let ban = match bans.get(conflict) {
                    Some(ban) => *ban,
                    None => {
                        let members =
                            self.listed(conflict).into_iter().filter_map(|(source, _)| self.known(source));
                        let ban = self.problem.add_ban(members.collect());
                        bans.insert(conflict, ban);
                        ban
                    }
                };
                self.problem.declare(id, ban);
            }
        }
    }

    fn known(&self, source: Source) -> Option<CandidateId> {
        match source {
            Source::Offer(number) => self.entered_offers.get(number).copied().flatten(),
            Source::Installed(number) => self.entered_installed.get(number).copied().flatten(),
        }
    }

    /// Adds a need of the given meaning.
    pub(super) fn add_need(&mut self, members: Vec<CandidateId>, meaning: NeedOf<'a>) -> NeedId {
        self.meanings.push(meaning);
        self.problem.add_need(members)
    }

    /// The requests.
    pub(super) fn requests(&self) -> &'a [Request] {
        self.requests
    }

    /// What a need means.
    pub(super) fn meaning(&self, need: NeedId) -> Option<NeedOf<'a>> {
        self.meanings.get(need.0 as usize).copied()
    }

    /// A candidate.
    pub(super) fn entry(&self, id: CandidateId) -> Option<&Entry<'a>> {
        self.entries.get(id.0 as usize)
    }

    /// Whether some version of a kind and name is asked for now.
    pub(super) fn is_requested(&self, key: Key<'_>) -> bool {
        self.requested.contains(&key)
    }

    /// The candidate that is installed layer `number`.
    pub(super) fn current(&self, number: usize) -> Option<CandidateId> {
        self.known(Source::Installed(number))
    }

    /// The number of the installed layer of a kind and name.
    pub(super) fn present(&self, key: Key<'_>) -> Option<usize> {
        self.names.present(key)
    }

    /// Candidates that may take the place of an installed layer: they both conflict with it and replace it, as Debian's policy
    /// has it, and are asked for or there in some version. Nothing else is brought in to drive a layer out.
    pub(super) fn displacers(&self) -> BTreeMap<usize, Vec<CandidateId>> {
        let mut found: BTreeMap<usize, Vec<CandidateId>> = BTreeMap::new();
        for (id, entry) in (0..).map(CandidateId).zip(&self.entries) {
            let key = entry.facts.key();
            if self.present(key).is_none() && !self.is_requested(key) {
                continue;
            }
            for replaced in &entry.facts.replaces {
                for (source, present) in self.names.of(&replaced.name) {
                    let Source::Installed(number) = source else { continue };
                    let conflicts = entry.facts.conflicts.iter().any(|conflict| present.answers(conflict));
                    if present.is_named(replaced) && conflicts && present.key() != key {
                        found.entry(number).or_default().push(id);
                    }
                }
            }
        }
        found
    }

    /// The newest offer of a kind and name that this machine takes, newer than `version`.
    pub(super) fn newer_offer(
        &self,
        key: Key<'_>,
        version: &str,
    ) -> Option<(&'a Facts, Option<CandidateId>)> {
        let newer = self.names.of(key.1).filter(|(source, offer)| {
            matches!(source, Source::Offer(_))
                && offer.key() == key
                && self.machine.takes(offer)
                && version::compare(&offer.version, version).is_gt()
        });
        newer
            .min_by(|left, right| self.newer_first(*left, *right))
            .map(|(source, offer)| (offer, self.known(source)))
    }

    /// Offers that would answer to `need` and are behind a barrier, the newest first.
    pub(super) fn kept_out(&self, need: &Dependency) -> Vec<(&'a Facts, Barrier<'a>)> {
        let answers =
            self.answers(need, &mut 0).into_iter().filter(|(source, _)| matches!(source, Source::Offer(_)));
        let mut found: Vec<_> =
            answers.filter_map(|(_, offer)| Some((offer, self.barrier(offer)?))).collect();
        found.sort_by_key(|(_, barrier)| Reverse(*barrier != Barrier::Machine));
        found
    }
}
