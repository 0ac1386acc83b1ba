//! Plans against brute force: every set of layers of small random catalogs is tried, and judged by rules that are written
//! down here a second time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests may panic"
)]

use plyos_ids::{Kind, LayerId};
use plyos_plan::dependency::{Dependency, Operator};
use plyos_plan::resolve::{self, Change, Facts, Installed, Machine, NoPlan, Plan};
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeSet;

const MACHINE: Machine<'_> = Machine { arch: "amd64", abis: &["linux"], compatible: &[] };
/// The last two are bases, of which a system has one.
const NAMES: [&str; 6] = ["a", "b", "c", "d", "base-x", "base-y"];
/// Names that are provided only.
const VIRTUAL: [&str; 2] = ["p", "q"];

type Relation = (usize, Option<(Operator, u8)>);

fn name(number: usize) -> &'static str {
    if number < NAMES.len() { NAMES[number] } else { VIRTUAL[number - NAMES.len()] }
}

fn dependency((number, version): Relation) -> Dependency {
    Dependency { name: name(number).into(), version: version.map(|(op, version)| (op, version.to_string())) }
}

fn number(version: &str) -> u8 {
    version.parse().unwrap()
}

fn holds((operator, wanted): (Operator, u8), version: u8) -> bool {
    match operator {
        Operator::Equal => version == wanted,
        Operator::NotEqual => version != wanted,
        Operator::Less => version < wanted,
        Operator::LessOrEqual => version <= wanted,
        Operator::Greater => version > wanted,
        Operator::GreaterOrEqual => version >= wanted,
    }
}

fn answers(facts: &Facts, need: &Dependency) -> bool {
    let wanted = need.version.as_ref().map(|(operator, version)| (*operator, number(version)));
    let own = facts.name == need.name && wanted.is_none_or(|wanted| holds(wanted, number(&facts.version)));
    own || facts.provides.iter().filter(|provided| provided.name == need.name).any(|provided| {
        match (wanted, &provided.version) {
            (None, _) => true,
            (Some(wanted), Some((Operator::Equal, version))) => holds(wanted, number(version)),
            _ => false,
        }
    })
}

/// Layers of which no need is open and no two stand against each other.
fn stands_together(set: &[&Facts]) -> bool {
    let bases = set.iter().filter(|facts| facts.kind == Kind::Base).count();
    bases <= 1
        && set.iter().all(|facts| {
            let met = facts.depends.iter().all(|need| set.iter().any(|other| answers(other, need)));
            let others = || set.iter().filter(|other| other.name != facts.name);
            met && !facts.conflicts.iter().any(|conflict| others().any(|other| answers(other, conflict)))
        })
}

/// All sets with at most one version of each name.
fn all_sets<'a>(candidates: &[&'a Facts]) -> Vec<Vec<&'a Facts>> {
    let mut sets = vec![Vec::new()];
    for name in NAMES {
        let before = sets.clone();
        for candidate in candidates.iter().filter(|candidate| candidate.name == name) {
            sets.extend(before.iter().map(|set| [set.as_slice(), &[*candidate]].concat()));
        }
    }
    sets
}

#[derive(Debug, Clone)]
struct Case {
    offers: Vec<Facts>,
    installed: Vec<Installed>,
    /// Name, and version limit.
    wanted: Vec<Relation>,
}

impl Case {
    fn texts(&self) -> Vec<String> {
        self.wanted.iter().map(|wanted| dependency(*wanted).to_string().replace(' ', "")).collect()
    }

    fn present(&self, name: &str) -> Option<&Installed> {
        self.installed.iter().find(|present| present.facts.name == name)
    }

    fn may_be_taken(&self, offer: &Facts) -> bool {
        if offer.arch != "amd64" {
            return false;
        }
        let Some(present) = self.present(&offer.name) else { return true };
        let (new, old) = (number(&offer.version), number(&present.facts.version));
        if new < old {
            let asks =
                |wanted: &&Relation| name(wanted.0) == offer.name && wanted.1.is_some_and(|w| holds(w, new));
            return self.wanted.iter().find(asks).is_some();
        }
        offer.upgrade_from.as_ref().is_none_or(|least| old >= number(least))
    }

    /// What may be chosen; one facts for each name and version.
    fn candidates(&self) -> Vec<&Facts> {
        let mut all: Vec<&Facts> = self.installed.iter().map(|present| &present.facts).collect();
        for offer in self.offers.iter().filter(|offer| self.may_be_taken(offer)) {
            if !all.iter().any(|known| known.layer == offer.layer) {
                all.push(offer);
            }
        }
        all
    }

    /// Whether a set is a plan for the request at all.
    fn is_possible(&self, set: &[&Facts], wanted: &[Relation]) -> bool {
        let has = |relation: &Relation| {
            set.iter().any(|facts| {
                facts.name == name(relation.0) && relation.1.is_none_or(|w| holds(w, number(&facts.version)))
            })
        };
        let stays = |present: &Installed| {
            let displaced = set.iter().any(|facts| {
                let known =
                    self.present(&facts.name).is_some() || wanted.iter().any(|w| name(w.0) == facts.name);
                facts.name != present.facts.name
                    && known
                    && facts.conflicts.iter().any(|conflict| answers(&present.facts, conflict))
                    && facts.replaces.iter().any(|replaced| {
                        replaced.name == present.facts.name && answers(&present.facts, replaced)
                    })
            });
            let same = set.iter().find(|facts| facts.name == present.facts.name);
            match (present.held, present.asked) {
                (true, _) => same.is_some_and(|facts| facts.layer == present.facts.layer),
                (false, true) => same.is_some() || displaced,
                (false, false) => true,
            }
        };
        stands_together(set) && wanted.iter().all(has) && self.installed.iter().all(stays)
    }

    /// What a set fulfils of what is wished, the most important first.
    fn fulfilled(&self, set: &[&Facts], wanted: &[Relation], upgraded: &[String]) -> Vec<bool> {
        let candidates = self.candidates();
        let versions = |name: &str| {
            let mut found: Vec<&Facts> =
                candidates.iter().copied().filter(|facts| facts.name == name).collect();
            found.sort_by_key(|facts| std::cmp::Reverse(number(&facts.version)));
            found
        };
        let has = |facts: &Facts| set.iter().any(|chosen| chosen.layer == facts.layer);
        let mut order: Vec<&Installed> = self.installed.iter().collect();
        order.sort_by_key(|present| (!present.asked, present.facts.kind, present.facts.name.clone()));
        let mut wishes = Vec::new();
        for relation in wanted {
            let accepted = |facts: &&Facts| relation.1.is_none_or(|w| holds(w, number(&facts.version)));
            wishes.extend(versions(name(relation.0)).into_iter().filter(accepted).map(has));
        }
        for present in order.iter().filter(|present| upgraded.contains(&present.facts.name)) {
            let old = number(&present.facts.version);
            let newer =
                versions(&present.facts.name).into_iter().filter(|facts| number(&facts.version) > old);
            wishes.extend(newer.map(has));
            wishes.push(has(&present.facts));
        }
        wishes.extend(order.iter().map(|present| has(&present.facts)));
        wishes.extend(order.iter().flat_map(|present| versions(&present.facts.name)).map(has));
        wishes
    }

    /// The layers after a plan.
    fn after(&self, plan: &Plan) -> Vec<&Facts> {
        let mut set: Vec<&Facts> = self.installed.iter().map(|present| &present.facts).collect();
        for change in &plan.changes {
            match change {
                Change::Add { offer, .. } => {
                    assert!(self.present(&self.offers[*offer].name).is_none());
                    set.push(&self.offers[*offer]);
                }
                Change::Replace { offer, from, .. } => {
                    let offer = &self.offers[*offer];
                    let old = set.iter().position(|facts| facts.name == offer.name).unwrap();
                    assert_eq!(*from, set[old].version);
                    set[old] = offer;
                }
                Change::Remove { name, .. } => {
                    assert!(!self.present(name).unwrap().held);
                    set.retain(|facts| facts.name != *name);
                }
                Change::Ask { name, .. } => assert!(!self.present(name).unwrap().asked),
            }
        }
        set
    }

    fn judge(&self, outcome: &Result<Plan, NoPlan>, wanted: &[Relation], upgraded: &[String]) {
        let candidates = self.candidates();
        let sets = all_sets(&candidates);
        let possible: Vec<&Vec<&Facts>> = sets.iter().filter(|set| self.is_possible(set, wanted)).collect();
        let plan = match outcome {
            Err(NoPlan::TooHard) => panic!("gave up"),
            Err(error) => {
                assert!(possible.is_empty(), "{error}, but there is {:?}", possible[0]);
                if let NoPlan::Impossible { because, .. } = error {
                    assert!(!because.is_empty());
                }
                return;
            }
            Ok(plan) => plan,
        };
        let set = self.after(plan);
        assert!(self.is_possible(&set, wanted), "{set:?}");
        let best = possible.iter().map(|set| self.fulfilled(set, wanted, upgraded)).max().unwrap();
        assert_eq!(self.fulfilled(&set, wanted, upgraded), best);
        // Nothing that was added could be left out.
        let is_added = |facts: &&&Facts| {
            self.present(&facts.name).is_none() && !wanted.iter().any(|w| name(w.0) == facts.name)
        };
        let ids = |set: &[&Facts]| set.iter().map(|facts| facts.layer).collect::<BTreeSet<_>>();
        let (mine, kept) = (ids(&set), set.iter().filter(|f| !is_added(f)).map(|f| f.layer).collect());
        for other in &possible {
            let others = ids(other);
            let fewer = others.is_subset(&mine) && others.is_superset(&kept) && others != mine;
            assert!(!fewer, "{other:?} would do");
        }
        // What could have been newer is said to be kept back, with reasons.
        for kept in &plan.kept_back {
            assert!(!kept.because.is_empty(), "{kept}");
        }
    }
}

fn relation() -> impl Strategy<Value = Relation> {
    let operator = prop::sample::select(vec![
        Operator::Equal,
        Operator::NotEqual,
        Operator::Less,
        Operator::LessOrEqual,
        Operator::Greater,
        Operator::GreaterOrEqual,
    ]);
    (0..NAMES.len() + VIRTUAL.len(), prop::option::weighted(0.4, (operator, 1u8..4)))
}

fn relations(most: usize) -> impl Strategy<Value = Vec<Dependency>> {
    prop::collection::vec(relation().prop_map(dependency), 0..=most)
}

fn provided() -> impl Strategy<Value = Vec<Dependency>> {
    let one = (NAMES.len()..NAMES.len() + VIRTUAL.len(), prop::option::of((Just(Operator::Equal), 1u8..4)));
    prop::collection::vec(one.prop_map(dependency), 0..2)
}

fn offer() -> impl Strategy<Value = Facts> {
    let texts = (relations(2), relations(1), provided(), relations(1));
    let texts =
        texts.prop_map(|(d, c, p, r)| if d.len() == 2 { (d, Vec::new(), p, r) } else { (d, c, p, r) });
    (0..NAMES.len(), 1u8..4, texts, prop::option::weighted(0.2, 1u8..4), prop::bool::weighted(0.05)).prop_map(
        |(at, version, (depends, conflicts, provides, replaces), upgrade_from, foreign)| Facts {
            kind: if at < 4 { Kind::Package } else { Kind::Base },
            name: NAMES[at].into(),
            version: version.to_string(),
            arch: if foreign { "arm64" } else { "amd64" }.into(),
            abi: None,
            compatible: vec![],
            provides,
            depends,
            conflicts,
            replaces,
            upgrade_from: upgrade_from.map(|version| version.to_string()),
            layer: LayerId::from_bytes([u8::try_from(at).unwrap() * 8 + version; 32]),
        },
    )
}

prop_compose! {
    fn case()(
        mut offers in prop::collection::vec(offer(), 8..24),
        system in any::<Index>(),
        marks in prop::collection::vec((any::<bool>(), prop::bool::weighted(0.1), prop::bool::weighted(0.3)), 8),
        wanted in prop::collection::vec(relation(), 1..3),
    ) -> Case {
        offers.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
        offers.dedup_by(|a, b| a.layer == b.layer);
        let local: Vec<&Facts> = offers.iter().filter(|offer| offer.arch == "amd64").collect();
        let systems: Vec<Vec<&Facts>> = all_sets(&local).into_iter().filter(|set| stands_together(set)).collect();
        let chosen = system.get(&systems).clone();
        let installed: Vec<Installed> = chosen.iter().zip(&marks)
            .map(|(facts, (asked, held, _))| Installed { facts: (*facts).clone(), asked: *asked, held: *held })
            .collect();
        // Some of what is installed is not on offer any more.
        let gone: Vec<LayerId> = installed.iter().zip(&marks).filter(|(_, m)| m.2).map(|(i, _)| i.facts.layer).collect();
        offers.retain(|offer| !gone.contains(&offer.layer));
        let wanted = wanted.into_iter().filter(|wanted| wanted.0 < NAMES.len()).collect();
        Case { offers, installed, wanted }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_installation_is_found_if_there_is_one_and_changes_least(case in case()) {
        let outcome = resolve::install(&case.offers, &case.installed, MACHINE, &case.texts());
        case.judge(&outcome, &case.wanted, &[]);
        prop_assert_eq!(resolve::install(&case.offers, &case.installed, MACHINE, &case.texts()), outcome);
    }

    #[test]
    fn an_upgrade_is_the_best_that_is_possible(case in case(), all in any::<bool>()) {
        let case = Case { wanted: vec![], ..case };
        let names = |most: usize| case.installed.iter().take(most).map(|i| i.facts.name.clone()).collect::<Vec<_>>();
        let asked = if all { vec![] } else { names(2) };
        let upgraded = if asked.is_empty() { names(NAMES.len()) } else { asked.clone() };
        let outcome = resolve::upgrade(&case.offers, &case.installed, MACHINE, &asked);
        prop_assert!(outcome.is_ok(), "what is there may always stay");
        case.judge(&outcome, &[], &upgraded);
    }
}
