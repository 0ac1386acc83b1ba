//! A model check of the registry's clean-up, as docs/registry-cleanup.md describes it: two writers and clean-ups, which come again and
//! again, take their steps in every order. Each step is one operation on the store; between any two of them a process may die, a claim
//! or a tombstone of the dead expire, or the grace pass. Every state that can be reached is visited.
//!
//! Held in every state:
//! - safety: what is there has all that it refers to: a manifest its links, a link its recipe, a recipe its data;
//! - nobody is sent back in vain: a blob whose push was answered is there when its manifest comes within the grace;
//! - liveness: from every state at rest, one full undisturbed run leaves exactly what manifests reach.
//!
//! Each rule of the protocol is then left out in turn, and the model must find the harm.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod cleaner;
mod explore;
mod scenarios;
mod world;
mod writer;

use explore::{explore, shortest_harm};
use world::Mistake;

#[test]
fn no_order_of_steps_and_deaths_loses_what_is_referred_to() {
    visit(scenarios::all(None));
}

#[test]
#[ignore = "eight million states take minutes"]
fn no_order_of_the_steps_of_two_clean_ups_and_a_pack_loses_anything() {
    visit(scenarios::long());
}

fn visit(scenarios: Vec<scenarios::Scenario>) {
    for scenario in scenarios {
        let seen = explore(&scenario).unwrap_or_else(|harm| panic!("{}: {harm}", scenario.name));
        println!("{} ({:?}): {seen:?}", scenario.name, scenario.look);
        assert!(seen.states > 10_000, "{}: only {} states", scenario.name, seen.states);
        // The scenarios do what they are for: work is finished, refused, and cleaned up, in some order each.
        assert!(seen.published && seen.refused && seen.deleted, "{}: {seen:?}", scenario.name);
    }
}

#[test]
fn the_model_sees_each_rule_that_is_left_out() {
    for mistake in Mistake::ALL {
        let found = scenarios::all(Some(mistake)).into_iter().find_map(|scenario| {
            let harm = shortest_harm(&scenario)?;
            Some(format!("{} ({:?}): {harm}", scenario.name, scenario.look))
        });
        let harm = found.unwrap_or_else(|| panic!("{mistake:?} does no harm that the model sees"));
        println!("{mistake:?}: in {harm}\n");
    }
}
