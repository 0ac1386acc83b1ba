//! What people ask for: `NAME`, `KIND/NAME`, `NAME=VERSION`, `NAME>=VERSION`; and what they meant when nothing is called so.

use super::facts::{Facts, Installed, Key, Machine, made_for};
use super::names::Names;
use super::refusal::NoPlan;
use crate::dependency::{Dependency, Operator};
use crate::version;
use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use plyos_ids::Kind;

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

/// Which version of which layer is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) kind: Kind,
    /// Name and versions.
    pub(super) which: Dependency,
}

impl Request {
    pub(super) fn key(&self) -> Key<'_> {
        (self.kind, &self.which.name)
    }

    pub(super) fn accepts(&self, facts: &Facts) -> bool {
        self.key() == facts.key() && self.which.accepts(&facts.version)
    }
}

/// Kind, name and versions as they were written.
fn read(text: &str) -> (Option<Kind>, Dependency) {
    let (kind, rest) = split_name(text);
    let Some(at) = rest.find(['<', '>', '=', '!']) else {
        return (kind, Dependency { name: rest.to_owned(), version: None });
    };
    let (name, condition) = rest.split_at(at);
    let end = condition.find(|c: char| !"<>=!".contains(c)).unwrap_or(condition.len());
    let (operator, version) = condition.split_at(end);
    let (name, version) = (name.trim_end(), version.trim_start());
    match Operator::parse(operator).filter(|_| !version.is_empty()) {
        Some(operator) => {
            (kind, Dependency { name: name.to_owned(), version: Some((operator, version.to_owned())) })
        }
        // No name has these characters, so nothing is called so.
        None => (kind, Dependency { name: rest.to_owned(), version: None }),
    }
}

/// What `text` asks for. A name that nothing has, but one layer provides, is that layer's.
pub(super) fn find(names: &Names<'_>, machine: Machine<'_>, text: &str) -> Result<Request, NoPlan> {
    let (kind, which) = read(text);
    let is_kind = |facts: &Facts| kind.is_none_or(|kind| kind == facts.kind);
    let answering: Vec<&Facts> =
        names.of(&which.name).map(|(_, facts)| facts).filter(|facts| is_kind(facts)).collect();
    let named: Vec<&Facts> = answering.iter().copied().filter(|facts| facts.name == which.name).collect();
    if answering.is_empty() {
        // The right name under the wrong kind is nearest of all.
        let elsewhere: BTreeSet<Key<'_>> = names.of(&which.name).map(|(_, facts)| facts.key()).collect();
        let mut near: Vec<String> =
            elsewhere.into_iter().map(|(kind, name)| alloc::format!("{kind}/{name}")).collect();
        if near.is_empty() {
            let all = names.all().filter(|(_, facts)| is_kind(facts)).map(|(name, _)| name);
            near = similar(all, &which.name);
        }
        return Err(NoPlan::NotFound { name: text.to_owned(), similar: near });
    }
    if named.is_empty() {
        return provided(&answering, machine, which, text);
    }
    let accepted: Vec<&Facts> = named.iter().copied().filter(|facts| which.accepts(&facts.version)).collect();
    let kinds: BTreeSet<Kind> = accepted.iter().map(|facts| facts.kind).collect();
    match kinds.iter().collect::<Vec<_>>().as_slice() {
        [] => Err(no_version(&named, text)),
        [kind] if accepted.iter().any(|facts| machine.takes(facts)) => Ok(Request { kind: **kind, which }),
        [_] => Err(wrong_machine(&accepted, machine, which.name)),
        several => {
            let choices = several.iter().map(|kind| alloc::format!("{kind}/{}", which.name)).collect();
            Err(NoPlan::Ambiguous { name: which.name, choices })
        }
    }
}

fn provided(
    answering: &[&Facts],
    machine: Machine<'_>,
    which: Dependency,
    text: &str,
) -> Result<Request, NoPlan> {
    let fitting = answering.iter().filter(|facts| facts.answers(&which) && machine.takes(facts));
    let providers: BTreeSet<Key<'_>> = fitting.map(|facts| facts.key()).collect();
    match providers.into_iter().collect::<Vec<_>>().as_slice() {
        [] => Err(NoPlan::NotFound { name: text.to_owned(), similar: Vec::new() }),
        [(kind, name)] => {
            Ok(Request { kind: *kind, which: Dependency { name: (*name).to_owned(), version: None } })
        }
        several => {
            let choices = several.iter().map(|(kind, name)| alloc::format!("{kind}/{name}")).collect();
            Err(NoPlan::Ambiguous { name: which.name, choices })
        }
    }
}

fn no_version(named: &[&Facts], text: &str) -> NoPlan {
    let mut offered: Vec<String> = named.iter().map(|facts| facts.version.clone()).collect();
    offered.sort_by(|a, b| version::compare(b, a).then_with(|| a.cmp(b)));
    offered.dedup();
    NoPlan::NoVersion { name: text.to_owned(), offered }
}

fn wrong_machine(offers: &[&Facts], machine: Machine<'_>, name: String) -> NoPlan {
    let offered: BTreeSet<String> = offers.iter().map(|offer| made_for(offer)).collect();
    NoPlan::WrongMachine { name, offered: offered.into_iter().collect(), machine: machine.arch.to_string() }
}

/// The newest offer for the machine that `text` names, by its number.
pub fn choose(offers: &[Facts], machine: Machine<'_>, text: &str) -> Result<usize, NoPlan> {
    let request = find(&Names::new(offers, &[]), machine, text)?;
    let fitting =
        offers.iter().enumerate().filter(|(_, offer)| request.accepts(offer) && machine.takes(offer));
    // Of equal ones the first.
    fitting
        .rev()
        .max_by(|(_, a), (_, b)| version::compare(&a.version, &b.version))
        .map(|(number, _)| number)
        .ok_or_else(|| NoPlan::NotFound { name: text.to_owned(), similar: Vec::new() })
}

/// The installed layers that a text names, by number; at least one.
pub(super) fn find_installed(installed: &[Installed], text: &str) -> Result<Vec<usize>, NoPlan> {
    let (kind, name) = split_name(text);
    let found: Vec<usize> = (0..)
        .zip(installed)
        .filter(|(_, present)| {
            present.facts.name == name && kind.is_none_or(|kind| kind == present.facts.kind)
        })
        .map(|(number, _)| number)
        .collect();
    if found.is_empty() {
        let similar = similar(installed.iter().map(|present| present.facts.name.as_str()), name);
        return Err(NoPlan::NotFound { name: text.to_owned(), similar });
    }
    Ok(found)
}

/// Names that look like `name`, the best first, at most three: one edit away (two when it is long enough for that to mean
/// something), or beginning with it.
pub fn similar<'a>(names: impl Iterator<Item = &'a str>, name: &str) -> Vec<String> {
    let names: BTreeSet<&str> = names.collect();
    let most = if name.len() > 4 { 2 } else { 1 };
    let begins = |other: &str| name.len() > 2 && other.starts_with(name);
    let rank = |other: &str| match distance(name, other) {
        near if near <= most => Some(near),
        _ => begins(other).then_some(most + 1),
    };
    let mut near: Vec<(usize, &str)> =
        names.into_iter().filter_map(|other| Some((rank(other)?, other))).collect();
    near.sort_unstable();
    near.into_iter().take(3).map(|(_, other)| other.to_string()).collect()
}

/// Edits between two names, over bytes: one written, left out, put in, or exchanged with its neighbour.
fn distance(left: &str, right: &str) -> usize {
    let mut before: Option<(u8, Vec<usize>)> = None;
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.bytes().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        let mut last = i + 1;
        next.push(last);
        let mut previous: Option<u8> = None;
        for (j, r) in right.bytes().enumerate() {
            let at = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX - 1);
            let mut cost = at(&row, j) + usize::from(l != r);
            cost = cost.min(at(&row, j + 1) + 1).min(last + 1);
            if let (Some((above, two_up)), Some(left_of)) = (&before, previous)
                && *above == r
                && left_of == l
            {
                cost = cost.min(at(two_up, j - 1) + 1);
            }
            last = cost;
            next.push(last);
            previous = Some(r);
        }
        before = Some((l, core::mem::replace(&mut row, next)));
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_as_people_write_them() {
        let spelled = |text: &str| {
            let (kind, which) = read(text);
            alloc::format!("{kind:?} {which}")
        };
        assert_eq!(spelled("jq"), "None jq");
        assert_eq!(spelled("site/docs"), "Some(Site) docs");
        assert_eq!(spelled("jq=1.6"), "None jq = 1.6");
        assert_eq!(spelled("package/jq>=1.6"), "Some(Package) jq >= 1.6");
        assert_eq!(spelled("jq != 1:2-3"), "None jq != 1:2-3");
        for odd in ["jq=", "jq=>1", "jq<<1"] {
            assert_eq!(spelled(odd), alloc::format!("None {odd}"));
        }
    }

    #[test]
    fn edits_are_counted() {
        assert_eq!(distance("curl", "crul"), 1);
        assert_eq!(distance("ab", "cd"), 2);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        let names = ["jq", "jo", "postgres", "postfix", "curl", "python"];
        let near = |name: &str| similar(names.into_iter(), name);
        assert_eq!(near("jqq"), ["jq"]);
        assert_eq!(near("crul"), ["curl"]);
        assert_eq!(near("post"), ["postfix", "postgres"]);
        assert_eq!(near("pyhton3"), ["python"]);
        assert_eq!(near("xy"), [""; 0]);
    }
}
