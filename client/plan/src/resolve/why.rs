//! Why each change of a plan is made, told from what is there before and after it.

use super::facts::{Facts, Installed, Key, SINGLE};
use super::{Change, Plan};
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Names that are told one by one.
const NAMED: usize = 3;

/// Why a change is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The command asks for it.
    Asked,
    /// A newer version, and all are to be as new as can be.
    Newer,
    /// These layers need it (in this version).
    NeededBy(Vec<String>),
    /// It cannot stand beside this layer.
    InTheWayOf(String),
    /// What it needs goes or changes.
    Lacks(String),
    /// It came with others, and nothing needs it any more.
    Unneeded,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("asked for"),
            Self::Newer => f.write_str("newer version"),
            Self::NeededBy(names) => {
                let told: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
                write!(f, "needed by {}", told.join(", "))?;
                match names.len().checked_sub(NAMED) {
                    Some(more @ 1..) => write!(f, " and {more} more"),
                    _ => Ok(()),
                }
            }
            Self::InTheWayOf(name) => write!(f, "in the way of {name}"),
            Self::Lacks(need) => write!(f, "needs {need}, which goes"),
            Self::Unneeded => f.write_str("nothing needs it any more"),
        }
    }
}

/// The reason of each change of `plan`, in its order. `usual` is that of a change that no other layer calls for:
/// [`Why::Asked`] of an installation or removal, [`Why::Newer`] of an upgrade.
pub fn why(plan: &Plan, offers: &[Facts], installed: &[Installed], usual: &Why) -> Vec<Why> {
    let before: BTreeMap<Key<'_>, &Installed> =
        installed.iter().map(|present| (present.facts.key(), present)).collect();
    let mut after: BTreeMap<Key<'_>, &Facts> =
        installed.iter().map(|present| (present.facts.key(), &present.facts)).collect();
    for change in &plan.changes {
        match change {
            Change::Add { offer, .. } | Change::Replace { offer, .. } => {
                after.extend(offers.get(*offer).map(|facts| (facts.key(), facts)));
            }
            Change::Remove { kind, name } => {
                after.remove(&(*kind, name.as_str()));
            }
            Change::Ask { .. } => {}
        }
    }
    let outcome = Outcome { after };
    let reason = |change: &Change| match change {
        Change::Add { asked: true, .. } | Change::Ask { .. } => Why::Asked,
        Change::Add { offer, .. } => {
            let needing = offers.get(*offer).map(|facts| outcome.needing(facts, None)).unwrap_or_default();
            if needing.is_empty() { usual.clone() } else { Why::NeededBy(needing) }
        }
        Change::Replace { offer, asked, .. } => {
            let Some(facts) = offers.get(*offer) else { return usual.clone() };
            let old = before.get(&facts.key()).copied();
            if *asked && old.is_some_and(|old| !old.asked) {
                return Why::Asked;
            }
            let needing = outcome.needing(facts, old.map(|old| &old.facts));
            if needing.is_empty() { usual.clone() } else { Why::NeededBy(needing) }
        }
        Change::Remove { kind, name } => before
            .get(&(*kind, name.as_str()))
            .and_then(|old| outcome.against(&old.facts))
            .unwrap_or_else(|| usual.clone()),
    };
    plan.changes.iter().map(reason).collect()
}

struct Outcome<'a> {
    after: BTreeMap<Key<'a>, &'a Facts>,
}

impl<'a> Outcome<'a> {
    fn others(&self, facts: &'a Facts) -> impl Iterator<Item = &'a Facts> {
        self.after.values().copied().filter(move |other| other.key() != facts.key())
    }

    /// Who needs a layer as it is; with its former version, who could not have done with that.
    fn needing(&self, facts: &'a Facts, former: Option<&'a Facts>) -> Vec<String> {
        let calls = |other: &&Facts| {
            other
                .depends
                .iter()
                .any(|need| facts.answers(need) && former.is_none_or(|former| !former.answers(need)))
                || former.is_some_and(|former| {
                    other.conflicts.iter().any(|ban| former.answers(ban) && !facts.answers(ban))
                })
        };
        self.others(facts).filter(calls).map(|other| other.name.clone()).collect()
    }

    /// What of the outcome a layer that is gone could not have stood with.
    fn against(&self, gone: &'a Facts) -> Option<Why> {
        let stands_against = |other: &&Facts| {
            other.conflicts.iter().any(|ban| gone.answers(ban))
                || gone.conflicts.iter().any(|ban| other.answers(ban))
                || (SINGLE.contains(&gone.kind) && other.kind == gone.kind)
        };
        if let Some(other) = self.others(gone).find(stands_against) {
            return Some(Why::InTheWayOf(other.name.to_owned()));
        }
        let lacks = gone.depends.iter().find(|need| !self.others(gone).any(|other| other.answers(need)));
        lacks.map(|need| Why::Lacks(alloc::format!("{need}")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{MACHINE, against, facts, installed, relations};
    use super::super::{install, remove, upgrade};
    use super::*;

    fn told(plan: &Plan, offers: &[Facts], present: &[Installed], usual: &Why) -> Vec<String> {
        let reasons = why(plan, offers, present, usual);
        assert_eq!(reasons.len(), plan.changes.len());
        reasons.iter().map(|reason| alloc::format!("{reason}")).collect()
    }

    #[test]
    fn what_comes_along_names_who_needs_it() {
        let offers = [facts("app", "1", &["lib"]), facts("lib", "1", &[]), facts("tool", "1", &["lib"])];
        let plan = install(&offers, &[], MACHINE, &["app".into(), "tool".into()]).unwrap();
        let reasons = told(&plan, &offers, &[], &Why::Asked);
        assert_eq!(reasons, ["asked for", "needed by app, tool", "asked for"]);
    }

    #[test]
    fn a_layer_that_another_makes_newer_names_that_one() {
        let offers = [facts("app", "1", &["lib >= 2"]), facts("lib", "2", &[])];
        let present = [installed(facts("lib", "1", &[]), true)];
        let plan = install(&offers, &present, MACHINE, &["app".into()]).unwrap();
        assert_eq!(told(&plan, &offers, &present, &Why::Asked), ["asked for", "needed by app"]);
        let plan = upgrade(&offers, &present, MACHINE, &[]).unwrap();
        assert_eq!(told(&plan, &offers, &present, &Why::Newer), ["newer version"]);
    }

    #[test]
    fn what_gives_way_names_what_it_gives_way_to() {
        let next = Facts { replaces: relations(&["old"]), ..against(facts("next", "1", &[]), &["old"]) };
        let offers = [next];
        let present = [installed(facts("old", "1", &[]), true)];
        let plan = install(&offers, &present, MACHINE, &["next".into()]).unwrap();
        assert_eq!(told(&plan, &offers, &present, &Why::Asked), ["asked for", "in the way of next"]);
    }

    #[test]
    fn many_names_are_counted() {
        let names = (0..5).map(|number| alloc::format!("n{number}")).collect();
        assert_eq!(alloc::format!("{}", Why::NeededBy(names)), "needed by n0, n1, n2 and 2 more");
    }

    #[test]
    fn what_is_removed_by_name_was_asked_for() {
        let present = [installed(facts("jq", "1", &[]), true)];
        let plan = Plan { changes: remove(&present, &["jq".into()]).unwrap(), ..Plan::default() };
        assert_eq!(told(&plan, &[], &present, &Why::Asked), ["asked for"]);
    }
}
