//! Random problems against brute force: answers where there are any, and facts that are enough and needed where there is none.

use super::*;
use alloc::vec::Vec;
use proptest::prelude::*;

/// Candidates; slots; members and dependents of needs, and whether each has to be met; members and owners of bans.
#[derive(Debug, Clone)]
struct Case {
    slots: Vec<usize>,
    needs: Vec<(Vec<u32>, Vec<u32>, bool)>,
    bans: Vec<(Vec<u32>, Vec<u32>)>,
}

const CANDIDATES: u32 = 9;

impl Case {
    fn problem(&self) -> Problem {
        let ids = |numbers: &[u32]| numbers.iter().copied().map(CandidateId).collect::<Vec<_>>();
        let mut problem = Problem::default();
        for slot in &self.slots {
            problem.add_candidate(*slot);
        }
        for (members, dependents, root) in &self.needs {
            let need = problem.add_need(ids(members));
            ids(dependents).into_iter().for_each(|dependent| problem.depend(dependent, need));
            if *root {
                problem.require(need);
            }
        }
        for (members, owners) in &self.bans {
            let ban = problem.add_ban(ids(members));
            ids(owners).into_iter().for_each(|owner| problem.declare(owner, ban));
        }
        problem
    }

    /// All facts, spelled out.
    fn facts(&self) -> Vec<Fact> {
        let apart = |a: u32, b: u32| Fact::Apart(CandidateId(a.min(b)), CandidateId(a.max(b)));
        let mut facts = Vec::new();
        for (number, (_, dependents, root)) in (0..).zip(&self.needs) {
            facts.push(Fact::Members(NeedId(number)));
            facts.extend(dependents.iter().map(|d| Fact::Needs(CandidateId(*d), NeedId(number))));
            facts.extend(root.then_some(Fact::Root(NeedId(number))));
        }
        for (a, slot) in (0..).zip(&self.slots) {
            let mates = (0..a).filter(|b| self.slots[*b as usize] == *slot);
            facts.extend(mates.map(|b| apart(a, b)));
        }
        for (members, owners) in &self.bans {
            let pairs = owners.iter().flat_map(|owner| members.iter().map(move |member| (*owner, *member)));
            facts.extend(
                pairs.filter(|(owner, member)| owner != member).map(|(owner, member)| apart(owner, member)),
            );
        }
        facts
    }

    /// Whether a set of candidates, as bits, agrees with facts.
    fn agrees(&self, set: u32, facts: &[Fact]) -> bool {
        let has = |id: CandidateId| set & (1 << id.0) != 0;
        let met = |need: NeedId| {
            !facts.contains(&Fact::Members(need))
                || self.needs[need.0 as usize].0.iter().any(|m| has(CandidateId(*m)))
        };
        facts.iter().all(|fact| match *fact {
            Fact::Root(need) => met(need),
            Fact::Needs(candidate, need) => !has(candidate) || met(need),
            Fact::Apart(one, other) => !(has(one) && has(other)),
            Fact::Members(_) => true,
        })
    }

    fn is_possible(&self, facts: &[Fact]) -> bool {
        (0..1 << CANDIDATES).any(|set| self.agrees(set, facts))
    }
}

fn numbers(most: usize) -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::btree_set(0..CANDIDATES, 0..=most).prop_map(|set| set.into_iter().collect())
}

fn cases() -> impl Strategy<Value = Case> {
    let need = (numbers(3), numbers(2), proptest::bool::weighted(0.4));
    (
        proptest::collection::vec(0usize..6, CANDIDATES as usize),
        proptest::collection::vec(need, 1..16),
        proptest::collection::vec((numbers(3), numbers(2)), 0..6),
    )
        .prop_map(|(slots, needs, bans)| Case { slots, needs, bans })
}

fn wishes() -> impl Strategy<Value = Vec<Literal>> {
    let wish = (0..CANDIDATES, any::<bool>()).prop_map(|(number, with)| {
        if with { Literal::with(CandidateId(number)) } else { Literal::without(CandidateId(number)) }
    });
    proptest::collection::vec(wish, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_best_set_is_found_or_what_rules_all_out(case in cases(), wishes in wishes()) {
        let problem = case.problem();
        let all = case.facts();
        let mut steps = 1_000_000;
        match search(&problem, &wishes, &mut steps) {
            Outcome::GaveUp => prop_assert!(false, "gave up"),
            Outcome::Found(chosen) => {
                let set = chosen.iter().fold(0, |set, id| set | 1 << id.0);
                prop_assert!(case.agrees(set, &all), "{:b}", set);
                let fulfilled = |set: u32| {
                    let is = |number: u32, wish: &Literal| {
                        (*wish == Literal::with(CandidateId(number)) && set & (1 << number) != 0)
                            || (*wish == Literal::without(CandidateId(number)) && set & (1 << number) == 0)
                    };
                    wishes.iter().map(|wish| (0..CANDIDATES).any(|number| is(number, wish))).collect::<Vec<_>>()
                };
                let best = (0..1 << CANDIDATES).filter(|set| case.agrees(*set, &all)).map(fulfilled).max();
                prop_assert_eq!(Some(fulfilled(set)), best);
            }
            Outcome::Impossible(facts) => {
                prop_assert!(!case.is_possible(&all));
                prop_assert!(facts.iter().all(|fact| all.contains(fact)), "{:?}", facts);
                prop_assert!(!case.is_possible(&facts), "{:?} is not enough", facts);
                let few = shrink(&problem, facts, |_| 0, &mut steps);
                prop_assert!(!case.is_possible(&few), "{:?} is not enough", few);
                for fact in few.iter().filter(|fact| !matches!(fact, Fact::Members(_))) {
                    let fewer: Vec<Fact> = few.iter().copied().filter(|other| other != fact).collect();
                    prop_assert!(case.is_possible(&fewer), "{:?} is not needed in {:?}", fact, few);
                }
            }
        }
    }
}
