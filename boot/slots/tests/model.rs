//! A model check of the slots: `pkg` and init (or the loader) plan and commit in every order, with power cuts between, and
//! every state that can be reached with a few generations is visited (breadth first, so a counterexample is shortest).
//!
//! Held in every state and on every step:
//! - the preferred good slot is always bootable: a boot picks it or a trial, and whatever the trial does, cut after cut,
//!   ends there; once a generation was preferred, one always is;
//! - a good slot never loses a try: what loader and init do leaves good slots as they are;
//! - a promotion is never lost to a concurrent commit: what was planned before it is refused after it, so each commit does
//!   what its event does to the slots that are there.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};

use plyos_ids::{GenerationId, LayerSetId};
use plyos_slots::{BadReason, BootChoice, Candidate, Event, SlotName, Slots, boot_choice};

/// Generations that `pkg` makes; enough to fill both slots and to replace each of them on the way.
const GENERATIONS: u64 = 4;

/// Whether a commit compares the slots with those that its plan was made from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Commit {
    CompareAndSwap,
    Blind,
}

/// A change that was planned and not yet committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Plan {
    event: Event,
    seen: Slots,
    new: Slots,
    /// Promotions that had happened when it was made.
    promotions: u8,
}

/// Everything: the slots on the medium, what two programs have in mind, and what happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct World {
    slots: Slots,
    /// `pkg`, which holds the writer lock; then init or the loader.
    plans: [Option<Plan>; 2],
    /// Generations made so far.
    made: u64,
    /// Which of them were good at some time: bit n is generation n.
    were_good: u8,
    promotions: u8,
}

fn candidate(number: u64) -> Candidate {
    let id = [number as u8; 32];
    Candidate { number, generation: GenerationId::from_bytes(id), layer_set: LayerSetId::from_bytes(id) }
}

/// An event for people.
fn shown(event: &Event) -> String {
    match event {
        Event::Stage(new) => format!("stage {}", new.number),
        Event::Activate(new) => format!("activate {}", new.number),
        Event::ActivateTrial(new, tries) => format!("trial of {} with {tries} tries", new.number),
        Event::Rollback(former) => format!("rollback to {}", former.number),
        other => format!("{other:?}"),
    }
}

/// A world in few bytes, to remember it.
fn key(world: &World) -> Vec<u8> {
    let mut key = vec![world.made as u8, world.were_good, world.promotions];
    let slots = |slots: &Slots, key: &mut Vec<u8>| {
        key.push(slots.preferred_number());
        for slot in [&slots.a, &slots.b] {
            key.extend_from_slice(&slot.emit()[..9]);
        }
    };
    slots(&world.slots, &mut key);
    for plan in &world.plans {
        key.push(u8::from(plan.is_some()));
        if let Some(plan) = plan {
            slots(&plan.seen, &mut key);
            slots(&plan.new, &mut key);
            key.push(plan.promotions);
            key.extend(shown(&plan.event).bytes());
        }
    }
    key
}

fn events(world: &World, program: usize) -> Vec<Event> {
    if program == 1 {
        let bad = BadReason::HealthCheck;
        return vec![Event::BootPicked, Event::Promote, Event::FailHealth(bad), Event::TriesUsedUp];
    }
    let former = (1..=world.made).filter(|number| world.were_good & (1 << number) != 0);
    let mut all: Vec<Event> = former.map(|number| Event::Rollback(candidate(number))).collect();
    if world.made < GENERATIONS {
        let new = candidate(world.made + 1);
        all.extend([Event::Stage(new), Event::Activate(new)]);
        all.extend([1, 2].map(|tries| Event::ActivateTrial(new, tries)));
    }
    all
}

/// What can happen next: the step for people, and the world after it or the property that it breaks.
fn steps(world: &World, how: Commit) -> Vec<(String, Result<World, String>)> {
    let mut found = Vec::new();
    for program in [0, 1] {
        let name = ["pkg", "init"][program];
        let mut next = *world;
        let Some(plan) = next.plans[program].take() else {
            for event in events(world, program) {
                if let Ok(new) = world.slots.apply(event, 0) {
                    let plan = Plan { event, seen: world.slots, new, promotions: world.promotions };
                    next.plans[program] = Some(plan);
                    found.push((format!("{name} plans: {}", shown(&event)), Ok(next)));
                }
            }
            continue;
        };
        if how == Commit::CompareAndSwap && plan.seen != world.slots {
            found.push((format!("{name} is refused"), Ok(next)));
        } else {
            found.push((format!("{name} commits: {}", shown(&plan.event)), commit(next, &plan, how)));
        }
    }
    if world.plans != [None; 2] {
        found.push((String::from("the power goes"), Ok(World { plans: [None; 2], ..*world })));
    }
    found
}

fn commit(mut next: World, plan: &Plan, how: Commit) -> Result<World, String> {
    let before = next.slots;
    next.slots = plan.new;
    if plan.promotions != next.promotions {
        return Err(String::from("a promotion was lost: the plan was made before it"));
    }
    // Blind commits break more than this; the promotion is what is asked for.
    if how == Commit::CompareAndSwap {
        keeps(&before, plan)?;
    }
    if plan.event == Event::Promote {
        next.promotions += 1;
    }
    for slot in [&plan.new.a, &plan.new.b] {
        next.made = next.made.max(slot.number);
        if slot.is_good() {
            next.were_good |= 1 << slot.number;
        }
    }
    Ok(next)
}

/// What a commit may do to the slots that are there.
fn keeps(before: &Slots, plan: &Plan) -> Result<(), String> {
    if before.apply(plan.event, 0) != Ok(plan.new) {
        return Err(String::from("the commit did not do what its event does to these slots"));
    }
    if before.preferred.is_some() && plan.new.preferred.is_none() {
        return Err(String::from("no generation is preferred any more"));
    }
    let after_boot =
        matches!(plan.event, Event::BootPicked | Event::Promote | Event::FailHealth(_) | Event::TriesUsedUp);
    for name in SlotName::BOTH.into_iter().filter(|name| before.get(*name).is_good()) {
        let kept = before.get(name) == plan.new.get(name);
        if !kept && (after_boot || before.preferred == Some(name)) {
            return Err(format!("{:?} changed good slot {name}", plan.event));
        }
    }
    Ok(())
}

/// Boots over and over with a cut before any health check: which slot comes up in the end.
fn booted_in_the_end(mut slots: Slots) -> BootChoice {
    for _ in 0..10 {
        let event = match boot_choice(&slots) {
            BootChoice::Trial(_) => Event::BootPicked,
            BootChoice::TriesUsedUp(_) => Event::TriesUsedUp,
            settled => return settled,
        };
        slots = slots.apply(event, 0).unwrap();
    }
    panic!("a boot never settles: {slots:?}");
}

fn check(world: &World) -> Result<(), String> {
    let slots = &world.slots;
    slots.check().map_err(|error| error.to_string())?;
    let Some(name) = slots.preferred else { return Ok(()) };
    let preferred = BootChoice::Good(name);
    let first = boot_choice(slots);
    if first != preferred
        && !matches!(first, BootChoice::Trial(other) | BootChoice::TriesUsedUp(other) if other != name)
    {
        return Err(format!("a boot picks {first:?}, where {name} is preferred"));
    }
    let failed = slots.apply(Event::FailHealth(BadReason::Panic), 0);
    for slots in [Ok(*slots), failed].into_iter().flatten() {
        let last = booted_in_the_end(slots);
        if last != preferred {
            return Err(format!("boots end with {last:?}, where {name} is preferred"));
        }
    }
    Ok(())
}

/// Visits all that can be reached. The answer is the number of worlds and the slot states and choices in them, or the
/// shortest way to a broken property.
fn explore(how: Commit) -> Result<(usize, BTreeSet<String>), String> {
    let mut reached = BTreeSet::new();
    let start = World::default();
    let mut from: HashMap<Vec<u8>, Option<(Vec<u8>, String)>> = HashMap::from([(key(&start), None)]);
    let mut queue = VecDeque::from([start]);
    while let Some(world) = queue.pop_front() {
        let here = key(&world);
        reached.extend([&world.slots.a, &world.slots.b].map(|slot| slot.state.to_string()));
        reached.insert(format!("{:?}", boot_choice(&world.slots)));
        for (step, next) in steps(&world, how) {
            let found = next.and_then(|next| check(&next).map(|()| next));
            let next = match found {
                Ok(next) => next,
                Err(error) => {
                    let mut way = vec![step];
                    let mut at = &here;
                    while let Some((before, step)) = &from[at] {
                        way.push(step.clone());
                        at = before;
                    }
                    way.reverse();
                    return Err(format!("{error}:\n  {}", way.join("\n  ")));
                }
            };
            if let Entry::Vacant(there) = from.entry(key(&next)) {
                there.insert(Some((here.clone(), step)));
                queue.push_back(next);
            }
        }
    }
    Ok((from.len(), reached))
}

#[test]
fn two_committers_in_every_order_keep_the_good_slot_and_the_promotion() {
    let (worlds, reached) = explore(Commit::CompareAndSwap).unwrap_or_else(|error| panic!("{error}"));
    println!("{worlds} worlds, with {reached:?}");
    assert!(worlds > 50_000, "{worlds} worlds");
    let expected = [
        "empty",
        "staged",
        "trial (2 of 2 tries left)",
        "trial (0 of 2 tries left)",
        "good",
        "unconfirmed",
        "bad (health check failed)",
        "Good(A)",
        "Good(B)",
        "Trial(A)",
        "Trial(B)",
        "TriesUsedUp(B)",
        "LastResort(A)",
        "Nothing",
    ];
    for expected in expected {
        assert!(reached.contains(expected), "{expected} was not reached");
    }
}

#[test]
fn without_compare_and_swap_the_model_loses_a_promotion() {
    let error = explore(Commit::Blind).unwrap_err();
    println!("{error}");
    assert!(error.contains("promotion was lost"), "{error}");
    assert!(error.lines().count() < 10, "the shortest way: {error}");
}
