//! From a request to the changes of a generation.
//!
//! Names are resolved to the newest offer that fits the machine; dependencies are followed by name (or by what a layer
//! provides) with their version limits, without going back on a choice: the solver that does is issue 6's. What is
//! installed already and good enough stays as it is.

use crate::dependency::Dependency;
use crate::version;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use plyos_ids::{Kind, LayerId};

/// Kinds of which a generation holds at most one layer (docs/formats.md, "Generation").
const SINGLE: [Kind; 2] = [Kind::Kernel, Kind::Base];

/// What a layer says that matters to a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Kind; with the name it is what a generation holds at most once.
    pub kind: Kind,
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Architecture, or `any`.
    pub arch: String,
    /// ABI of the programs inside, if any.
    pub abi: Option<String>,
    /// Other names it answers to.
    pub provides: Vec<String>,
    /// What it needs.
    pub depends: Vec<Dependency>,
    /// What it cannot stand beside.
    pub conflicts: Vec<Dependency>,
    /// Identity.
    pub layer: LayerId,
}

impl Facts {
    fn key(&self) -> (Kind, &str) {
        (self.kind, &self.name)
    }

    fn answers(&self, need: &Dependency) -> bool {
        (self.name == need.name && need.accepts(&self.version))
            || (need.version.is_none() && self.provides.contains(&need.name))
    }
}

/// A layer of the present generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Its facts.
    pub facts: Facts,
    /// Whether it was asked for by name.
    pub asked: bool,
}

/// What the machine can use.
#[derive(Debug, Clone, Copy)]
pub struct Machine<'a> {
    /// Architecture in OCI's names.
    pub arch: &'a str,
    /// ABIs that it runs.
    pub abis: &'a [&'a str],
}

impl Machine<'_> {
    fn takes(&self, offer: &Facts) -> bool {
        (offer.arch == "any" || offer.arch == self.arch)
            && offer.abi.as_deref().is_none_or(|abi| self.abis.contains(&abi))
    }
}

/// A change to the generation; the number is that of the offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A layer that was not there.
    Add {
        /// Number of the offer.
        offer: usize,
        /// Asked for, or needed by another.
        asked: bool,
    },
    /// Another version in place of the one that is there.
    Replace {
        /// Number of the offer.
        offer: usize,
        /// Version that goes.
        from: String,
        /// Asked for, or needed by another.
        asked: bool,
    },
    /// A layer that goes.
    Remove {
        /// Kind.
        kind: Kind,
        /// Name.
        name: String,
    },
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoPlan {
    /// Nothing has this name.
    NotFound {
        /// The name as given.
        name: String,
        /// Names that look like it.
        similar: Vec<String>,
    },
    /// Several kinds have it.
    Ambiguous {
        /// The name as given.
        name: String,
        /// `KIND/NAME` of each.
        choices: Vec<String>,
    },
    /// It is offered, but not for this machine.
    WrongMachine {
        /// The name.
        name: String,
        /// What it is offered for.
        offered: Vec<String>,
        /// What this machine is.
        machine: String,
    },
    /// A dependency that nothing offers.
    Unmet {
        /// Who needs it.
        needed_by: String,
        /// What it needs.
        need: String,
    },
    /// Two layers that cannot stand together.
    Conflict {
        /// One.
        first: String,
        /// The other.
        second: String,
    },
    /// A layer that cannot go, because another needs it.
    StillNeeded {
        /// The layer.
        name: String,
        /// Who needs it.
        needed_by: String,
    },
}

impl fmt::Display for NoPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { name, similar } if similar.is_empty() => {
                write!(
                    f,
                    "nothing is called '{name}'; `pkg update` fetches the newest catalog, `pkg search` looks in it"
                )
            }
            Self::NotFound { name, similar } => {
                write!(f, "nothing is called '{name}'; did you mean {}?", similar.join(", "))
            }
            Self::Ambiguous { name, choices } => {
                write!(f, "several layers are called '{name}'; say which: {}", choices.join(", "))
            }
            Self::WrongMachine { name, offered, machine } => {
                write!(
                    f,
                    "'{name}' is offered for {} only, and this machine is {machine}",
                    offered.join(", ")
                )
            }
            Self::Unmet { needed_by, need } => {
                write!(f, "{needed_by} needs '{need}', which nothing offers here")
            }
            Self::Conflict { first, second } => {
                write!(f, "{first} and {second} cannot be installed together; remove one of them first")
            }
            Self::StillNeeded { name, needed_by } => {
                write!(f, "'{name}' is needed by {needed_by}; remove that too, or keep both")
            }
        }
    }
}

impl core::error::Error for NoPlan {}

/// Splits `KIND/NAME`; a bare name has no kind.
pub fn split_name(text: &str) -> (Option<Kind>, &str) {
    match text.split_once('/') {
        Some((kind, name)) => match Kind::parse(kind) {
            Some(kind) => (Some(kind), name),
            None => (None, text),
        },
        None => (None, text),
    }
}

/// The newest offer for the machine that `wanted` names, by its number.
pub fn choose(offers: &[Facts], machine: Machine<'_>, text: &str) -> Result<usize, NoPlan> {
    let (kind, name) = split_name(text);
    let (name, exact) = name.split_once('=').map_or((name, None), |(name, version)| (name, Some(version)));
    let named: Vec<(usize, &Facts)> = offers
        .iter()
        .enumerate()
        .filter(|(_, offer)| offer.name == name && kind.is_none_or(|kind| offer.kind == kind))
        .filter(|(_, offer)| exact.is_none_or(|version| offer.version == version))
        .collect();
    if named.is_empty() {
        return Err(NoPlan::NotFound { name: text.to_string(), similar: similar(offers, name) });
    }
    let kinds: BTreeSet<Kind> = named.iter().map(|(_, offer)| offer.kind).collect();
    if kinds.len() > 1 {
        let choices = kinds.iter().map(|kind| alloc::format!("{kind}/{name}")).collect();
        return Err(NoPlan::Ambiguous { name: name.to_string(), choices });
    }
    newest(named.iter().copied().filter(|(_, offer)| machine.takes(offer))).ok_or_else(|| {
        NoPlan::WrongMachine {
            name: name.to_string(),
            offered: named
                .iter()
                .map(|(_, offer)| for_machine(offer))
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            machine: machine.arch.to_string(),
        }
    })
}

fn for_machine(offer: &Facts) -> String {
    match &offer.abi {
        Some(abi) => alloc::format!("{} ({abi})", offer.arch),
        None => offer.arch.clone(),
    }
}

fn newest<'a>(offers: impl Iterator<Item = (usize, &'a Facts)>) -> Option<usize> {
    offers.max_by(|(_, a), (_, b)| version::compare(&a.version, &b.version)).map(|(number, _)| number)
}

/// Names within two edits, best first, at most three.
fn similar(offers: &[Facts], name: &str) -> Vec<String> {
    let names: BTreeSet<&str> = offers.iter().map(|offer| offer.name.as_str()).collect();
    let mut near: Vec<(usize, &str)> =
        names.into_iter().map(|other| (distance(name, other), other)).filter(|(d, _)| *d <= 2).collect();
    near.sort_unstable();
    near.into_iter().take(3).map(|(_, other)| other.to_string()).collect()
}

/// Levenshtein distance over bytes.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.bytes().enumerate() {
        let mut diagonal = i;
        let mut last = i + 1;
        let mut next = Vec::with_capacity(row.len());
        next.push(last);
        for (above, r) in row.iter().skip(1).zip(right.bytes()) {
            let cost = diagonal + usize::from(l != r);
            last = cost.min(above + 1).min(last + 1);
            diagonal = *above;
            next.push(last);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

/// Plans an installation of `wanted` (names, `KIND/NAME`, `NAME=VERSION`) with all they need.
pub fn install(
    offers: &[Facts],
    installed: &[Installed],
    machine: Machine<'_>,
    wanted: &[String],
) -> Result<Vec<Change>, NoPlan> {
    let mut plan = Planner::new(offers, installed, machine);
    for text in wanted {
        let offer = choose(offers, machine, text)?;
        plan.take(offer, true);
    }
    plan.finish()
}

/// Plans the newest versions of `names`, or of all that is installed.
pub fn upgrade(
    offers: &[Facts],
    installed: &[Installed],
    machine: Machine<'_>,
    names: &[String],
) -> Result<Vec<Change>, NoPlan> {
    let mut plan = Planner::new(offers, installed, machine);
    for text in names {
        let (kind, name) = split_name(text);
        if !installed.iter().any(|i| i.facts.name == name && kind.is_none_or(|kind| kind == i.facts.kind)) {
            let similar = similar(&installed.iter().map(|i| i.facts.clone()).collect::<Vec<_>>(), name);
            return Err(NoPlan::NotFound { name: text.clone(), similar });
        }
    }
    for present in installed {
        let facts = &present.facts;
        let chosen = names.is_empty()
            || names.iter().any(|text| {
                let (kind, name) = split_name(text);
                name == facts.name && kind.is_none_or(|kind| kind == facts.kind)
            });
        let newer = newest(offers.iter().enumerate().filter(|(_, offer)| {
            offer.key() == facts.key()
                && machine.takes(offer)
                && version::compare(&offer.version, &facts.version).is_gt()
        }));
        if let (true, Some(offer)) = (chosen, newer) {
            plan.take(offer, present.asked);
        }
    }
    plan.finish()
}

/// Plans a removal; what is removed may not be needed by what stays.
pub fn remove(installed: &[Installed], names: &[String]) -> Result<Vec<Change>, NoPlan> {
    let mut gone: Vec<&Facts> = Vec::new();
    for text in names {
        let (kind, name) = split_name(text);
        let found: Vec<&Facts> = installed
            .iter()
            .map(|i| &i.facts)
            .filter(|facts| facts.name == name && kind.is_none_or(|kind| kind == facts.kind))
            .collect();
        match found.as_slice() {
            [] => {
                let all: Vec<Facts> = installed.iter().map(|i| i.facts.clone()).collect();
                return Err(NoPlan::NotFound { name: text.clone(), similar: similar(&all, name) });
            }
            [one] => gone.push(one),
            several => {
                let choices = several.iter().map(|facts| alloc::format!("{}/{name}", facts.kind)).collect();
                return Err(NoPlan::Ambiguous { name: text.clone(), choices });
            }
        }
    }
    let stays: Vec<&Facts> = installed
        .iter()
        .map(|i| &i.facts)
        .filter(|facts| !gone.iter().any(|g| g.key() == facts.key()))
        .collect();
    for facts in &stays {
        for need in &facts.depends {
            let met = stays.iter().any(|other| other.answers(need));
            if let (false, Some(lost)) = (met, gone.iter().find(|g| g.answers(need))) {
                return Err(NoPlan::StillNeeded { name: lost.name.clone(), needed_by: facts.name.clone() });
            }
        }
    }
    gone.sort_by_key(|facts| facts.key());
    gone.dedup_by_key(|facts| facts.key());
    Ok(gone.into_iter().map(|facts| Change::Remove { kind: facts.kind, name: facts.name.clone() }).collect())
}

/// Collects choices until nothing more is needed.
struct Planner<'a> {
    offers: &'a [Facts],
    installed: &'a [Installed],
    machine: Machine<'a>,
    chosen: BTreeMap<(Kind, &'a str), (usize, bool)>,
    open: Vec<usize>,
}

impl<'a> Planner<'a> {
    fn new(offers: &'a [Facts], installed: &'a [Installed], machine: Machine<'a>) -> Self {
        Self { offers, installed, machine, chosen: BTreeMap::new(), open: Vec::new() }
    }

    fn take(&mut self, number: usize, asked: bool) {
        let Some(offer) = self.offers.get(number) else { return };
        let before = self.chosen.get(&offer.key()).is_some_and(|(_, asked)| *asked);
        self.chosen.insert(offer.key(), (number, asked || before));
        self.open.push(number);
    }

    /// The layers as they would be.
    fn future(&self) -> Vec<&'a Facts> {
        let kept =
            self.installed.iter().map(|i| &i.facts).filter(|facts| !self.chosen.contains_key(&facts.key()));
        let new = self.chosen.values().filter_map(|(number, _)| self.offers.get(*number));
        kept.chain(new).collect()
    }

    fn finish(mut self) -> Result<Vec<Change>, NoPlan> {
        while let Some(number) = self.open.pop() {
            let Some(offer) = self.offers.get(number) else { continue };
            for need in &offer.depends {
                if self.future().iter().any(|facts| facts.answers(need)) {
                    continue;
                }
                let fits = self
                    .offers
                    .iter()
                    .enumerate()
                    .filter(|(_, other)| other.answers(need) && self.machine.takes(other));
                let found = newest(fits)
                    .ok_or_else(|| NoPlan::Unmet { needed_by: offer.name.clone(), need: need.to_string() })?;
                self.take(found, false);
            }
        }
        let future = self.future();
        for kind in SINGLE {
            let mut all = future.iter().filter(|facts| facts.kind == kind);
            if let (Some(first), Some(second)) = (all.next(), all.next()) {
                return Err(NoPlan::Conflict { first: first.name.clone(), second: second.name.clone() });
            }
        }
        for facts in &future {
            for need in &facts.depends {
                if !future.iter().any(|other| other.answers(need)) {
                    return Err(NoPlan::Unmet { needed_by: facts.name.clone(), need: need.to_string() });
                }
            }
            for conflict in &facts.conflicts {
                if let Some(other) = future.iter().find(|o| o.key() != facts.key() && o.answers(conflict)) {
                    return Err(NoPlan::Conflict { first: facts.name.clone(), second: other.name.clone() });
                }
            }
        }
        Ok(self.changes())
    }

    fn changes(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (key, (number, asked)) in &self.chosen {
            let present = self.installed.iter().find(|i| i.facts.key() == *key);
            let Some(offer) = self.offers.get(*number) else { continue };
            match present {
                None => changes.push(Change::Add { offer: *number, asked: *asked }),
                Some(present) if present.facts.layer == offer.layer && (present.asked || !*asked) => {}
                Some(present) => changes.push(Change::Replace {
                    offer: *number,
                    from: present.facts.version.clone(),
                    asked: *asked || present.asked,
                }),
            }
        }
        changes
    }
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
