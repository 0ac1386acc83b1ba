//! Visiting every world that can be reached.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;

use super::cleaner::{self, Look, Rules};
use super::scenarios::Scenario;
use super::world::{Cleaner, KINDS, Life, MANIFESTS, Mistake, Step, World, Writer, each};
use super::writer::{self, Op, Outcome};

/// What was seen on the way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub states: usize,
    /// States in which nobody is at work and nothing is left behind.
    pub at_rest: usize,
    /// A manifest was published.
    pub published: bool,
    /// A writer was refused.
    pub refused: bool,
    /// Clean-ups deleted something of each kind.
    pub deleted: bool,
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Event {
    Writer(usize, Op, Outcome),
    WriterDies(usize),
    ClaimExpires(usize),
    CleanUpBegins { who: usize, kind: usize },
    CleanUp(usize, Step),
    CleanUpDies(usize),
    TombstonesExpire(usize),
    TheGracePasses,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Writer(who, op, outcome) => write!(f, "writer {who}: {op:x?}, {outcome:?}"),
            Self::WriterDies(who) => write!(f, "writer {who} dies"),
            Self::ClaimExpires(who) => write!(f, "the claim of writer {who} expires"),
            Self::CleanUpBegins { who, kind } => write!(f, "clean-up {who} begins with kind {kind}"),
            Self::CleanUp(who, step) => write!(f, "clean-up {who}: {step:?}"),
            Self::CleanUpDies(who) => write!(f, "clean-up {who} dies"),
            Self::TombstonesExpire(who) => write!(f, "the tombstones of clean-up {who} expire"),
            Self::TheGracePasses => f.write_str("the grace passes"),
        }
    }
}

fn start(scenario: &Scenario) -> World {
    let extents = [scenario.extents, 0];
    World { present: scenario.present, old: scenario.present, extents, ..World::default() }
}

fn rules(scenario: &Scenario) -> Rules<'_> {
    let (look, mistake) = (scenario.look, scenario.mistake);
    Rules { fixed: &scenario.fixed, used: scenario.used(), look, mistake }
}

/// All that can happen next.
fn steps(world: &World, scenario: &Scenario, rules: &Rules, mut add: impl FnMut(Event, World)) {
    for (who, program) in scenario.programs.iter().enumerate() {
        let op = program.get(usize::from(world.writers[who].at));
        let live = op.filter(|_| world.writers[who].life == Life::Running);
        if let Some(op) = live {
            writer::steps(world, who, *op, |outcome, next| add(Event::Writer(who, *op, outcome), next));
            let mut dead = *world;
            dead.writers[who].life = Life::Ended;
            add(Event::WriterDies(who), dead);
        }
        let expires = live.is_none() || scenario.mistake == Some(Mistake::LiveClaimExpires);
        if world.writers[who].claim != 0 && expires {
            let mut next = *world;
            next.writers[who].claim = 0;
            add(Event::ClaimExpires(who), next);
        }
    }
    let clean_ups = if rules.look == Look::AtNew { 0..1 } else { 0..2 };
    for who in clean_ups {
        let Cleaner { step, tombstones, .. } = world.cleaners[who];
        let live = step != Step::Idle;
        if live {
            add(Event::CleanUp(who, step), cleaner::step(world, who, rules));
            let mut dead = *world;
            dead.cleaners[who] = Cleaner { tombstones, ..Cleaner::default() };
            add(Event::CleanUpDies(who), dead);
        } else if tombstones == 0 {
            for kind in 0..KINDS.len() {
                add(Event::CleanUpBegins { who, kind }, cleaner::begin(world, who, kind, rules));
            }
        }
        if tombstones != 0 && (!live || scenario.mistake == Some(Mistake::LiveTombstoneExpires)) {
            let mut next = *world;
            next.cleaners[who].tombstones = 0;
            add(Event::TombstonesExpire(who), next);
        }
    }
    let mut older = *world;
    older.grow_old();
    add(Event::TheGracePasses, older);
}

/// Makes worlds equal that differ only in what nobody will look at.
fn canonical(mut world: World, scenario: &Scenario) -> World {
    for (writer, program) in world.writers.iter_mut().zip(&scenario.programs) {
        if writer.life != Life::Running || usize::from(writer.at) == program.len() {
            *writer = Writer { life: Life::Ended, claim: writer.claim, ..Writer::default() };
        }
    }
    // Only one clean-up looks at this, and the two are alike.
    if scenario.look == Look::AtAll || world.cleaners[0].step == Step::Idle {
        world.fresh = 0;
        for writer in &mut world.writers {
            writer.stamp_fresh = false;
        }
    }
    world.cleaners.sort();
    if scenario.look == Look::AtNew {
        world.cleaners.reverse();
    }
    world.old &= !MANIFESTS;
    world
}

/// The harm that was done, if any.
fn harm(event: &Event, world: &World, rules: &Rules) -> Option<String> {
    if let Event::Writer(_, _, Outcome::RefusedInVain) = event {
        return Some(String::from("a blob pushed within the grace was gone when its manifest came"));
    }
    each(world.present).find_map(|name| {
        let lost = world.refers(name, rules.fixed) & !world.present;
        (lost != 0).then(|| format!("object {name:#x} refers to {lost:#x}, which is gone"))
    })
}

fn is_at_rest(world: &World) -> bool {
    let still = world.writers.iter().all(|w| w.life == Life::Ended && w.claim == 0);
    still && world.cleaners == [Cleaner::default(); 2]
}

/// One full run with nobody else at work, after the grace, leaves exactly what manifests reach.
fn cleans_up(mut world: World, rules: &Rules) -> Result<(), String> {
    world.grow_old();
    for kind in 0..KINDS.len() {
        world = cleaner::begin(&world, 0, kind, rules);
        while world.cleaners[0].step != Step::Idle {
            world = cleaner::step(&world, 0, rules);
        }
    }
    let mut reached = world.present & MANIFESTS;
    loop {
        let more = each(reached).fold(reached, |all, name| all | world.refers(name, rules.fixed));
        if more == reached {
            break;
        }
        reached = more;
    }
    if world.present == reached {
        return Ok(());
    }
    Err(format!("after a full run {:#x} is there, of which {reached:#x} is reached", world.present))
}

/// Visits all that can be reached. The error is a broken property with the shortest way to it.
pub fn explore(scenario: &Scenario) -> Result<Seen, String> {
    let rules = rules(scenario);
    let mut seen = Seen::default();
    let first = start(scenario);
    let mut known: HashSet<World> = HashSet::from_iter([first]);
    let mut open = vec![first];
    while let Some(world) = open.pop() {
        seen.published |= world.present & MANIFESTS & !scenario.present != 0;
        let gone = scenario.present & !world.present;
        seen.deleted |= KINDS.iter().all(|kind| gone & kind != 0);
        if is_at_rest(&world) {
            seen.at_rest += 1;
            cleans_up(world, &rules)?;
        }
        let mut harmed = false;
        steps(&world, scenario, &rules, |event, next| {
            seen.refused |= matches!(event, Event::Writer(_, _, Outcome::Refused));
            harmed |= harm(&event, &next, &rules).is_some();
            let next = canonical(next, scenario);
            if known.insert(next) {
                open.push(next);
            }
        });
        if harmed {
            return Err(shortest_harm(scenario).unwrap_or_default());
        }
    }
    seen.states = known.len();
    Ok(seen)
}

/// The shortest way to a broken property, if there is one.
pub fn shortest_harm(scenario: &Scenario) -> Option<String> {
    let rules = rules(scenario);
    let first = start(scenario);
    let mut from: HashMap<World, Option<(World, Event)>> = HashMap::from_iter([(first, None)]);
    let mut queue = VecDeque::from([first]);
    while let Some(world) = queue.pop_front() {
        let mut found = None;
        steps(&world, scenario, &rules, |event, next| {
            if let Some(harm) = harm(&event, &next, &rules) {
                found.get_or_insert((harm, event));
            }
            let next = canonical(next, scenario);
            from.entry(next).or_insert_with(|| {
                queue.push_back(next);
                Some((world, event))
            });
        });
        if let Some((harm, event)) = found {
            let mut way = vec![event.to_string()];
            let mut at = world;
            while let Some((before, event)) = from[&at] {
                way.push(event.to_string());
                at = before;
            }
            way.reverse();
            return Some(format!("{harm}:\n  {}", way.join("\n  ")));
        }
    }
    None
}
