//! What a clean-up does, one store operation at a time.
//!
//! It goes through the references twice: first through all of them, which takes long, with nothing condemned; then, having
//! condemned what was found unused, through those written since it began. A clean-up that looks at all of them the second time needs no first time,
//! so what it does includes all that the other does but for this saving; two of those make fewer states.

use super::world::{Cleaner, KINDS, MANIFESTS, Mistake, Names, Step, World, each};

/// What may refer to objects of each of the [`KINDS`].
const REFERRERS: [Names; 3] = [MANIFESTS, KINDS[0], KINDS[1]];

/// Which references a clean-up looks at once it has condemned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// All; two clean-ups.
    AtAll,
    /// Those written since it began, by their time of change; one clean-up.
    AtNew,
}

/// What the steps need to know besides the world.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    pub fixed: &'a [(Names, Names)],
    /// Which of the objects the scenario uses.
    pub used: Names,
    pub look: Look,
    pub mistake: Option<Mistake>,
}

/// Clean-up `who` begins to look after a kind.
pub fn begin(world: &World, who: usize, kind: usize, rules: &Rules) -> World {
    let mut next = *world;
    let candidates = KINDS[kind] & rules.used;
    next.cleaners[who] = Cleaner { step: Step::List, kind: kind as u8, candidates, ..Cleaner::default() };
    next.fresh = 0;
    for writer in &mut next.writers {
        writer.stamp_fresh = false;
    }
    next
}

/// The world after the next operation of clean-up `who`, which has begun.
pub fn step(world: &World, who: usize, rules: &Rules) -> World {
    let cleaner = world.cleaners[who];
    let kind = usize::from(cleaner.kind);
    let objects = KINDS[kind] & rules.used;
    let mut next = *world;
    let me = &mut next.cleaners[who];
    me.turn += 1;
    let turn = usize::from(cleaner.turn);
    // The object that a step which goes one by one is at, and whether it is the last.
    let at = |names: Names| (each(names).nth(turn).unwrap_or_default(), each(names).nth(turn + 1).is_none());
    let mut last = true;
    match cleaner.step {
        Step::Idle => {}
        Step::FirstClaims if rules.mistake == Some(Mistake::FirstClaimsNotRead) => {}
        Step::FirstClaims | Step::Claims => {
            me.candidates &= !world.writers[turn].claim;
            last = turn == 1;
        }
        Step::List => me.candidates &= world.present & world.old,
        Step::FirstReferences | Step::References => {
            let (from, is_last) = at(REFERRERS[kind] & rules.used);
            let new_only = cleaner.step == Step::References && rules.look == Look::AtNew;
            let seen = if new_only { world.present & world.fresh } else { world.present };
            if seen & from != 0 {
                me.candidates &= !world.refers(from, rules.fixed);
            }
            last = is_last;
        }
        Step::Condemn => me.tombstones = cleaner.candidates,
        Step::Renewed => {
            let (name, is_last) = at(objects);
            if rules.mistake != Some(Mistake::RenewalNotSeen) && world.old & name == 0 {
                me.candidates &= !name;
            }
            last = is_last;
        }
        Step::Delete => {
            let (name, is_last) = at(objects);
            let doomed = name & cleaner.candidates;
            last = is_last;
            next.remove(doomed);
        }
        Step::Absolve => me.tombstones = 0,
    }
    if last {
        advance(&mut next.cleaners[who], rules);
    }
    next
}

fn advance(me: &mut Cleaner, rules: &Rules) {
    me.turn = 0;
    me.step = match (me.step, rules.mistake) {
        (Step::Idle, _) => Step::Idle,
        (Step::List, _) if rules.look == Look::AtNew => Step::FirstClaims,
        (Step::FirstClaims, _) => Step::FirstReferences,
        (Step::List | Step::FirstReferences, _) => Step::Condemn,
        (Step::Condemn, Some(Mistake::ReferencesBeforeClaims)) => Step::Renewed,
        (Step::Condemn, _) => Step::Claims,
        (Step::Claims, Some(Mistake::ReferencesBeforeClaims)) => Step::Delete,
        (Step::Claims, _) => Step::Renewed,
        (Step::Renewed, _) => Step::References,
        (Step::References, Some(Mistake::ReferencesBeforeClaims)) => Step::Claims,
        (Step::References, Some(Mistake::TombstoneGoneFirst)) => Step::Absolve,
        (Step::References, _) => Step::Delete,
        (Step::Delete, Some(Mistake::TombstoneGoneFirst)) => Step::Idle,
        (Step::Delete, _) => Step::Absolve,
        (Step::Absolve, Some(Mistake::TombstoneGoneFirst)) => Step::Delete,
        (Step::Absolve, _) => Step::Idle,
    };
    // With nothing left to delete, what is between would do nothing.
    if me.candidates == 0 {
        me.step = if me.tombstones == 0 { Step::Idle } else { Step::Absolve };
    }
    if me.step == Step::Idle {
        *me = Cleaner::default();
    }
}
