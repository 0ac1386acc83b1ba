//! What a server does for a push, one store operation at a time.

use super::world::{B, Life, Mistake, Names, World};

/// An operation of a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Remembers what a recipe refers to; refused if there is none.
    Read(Names),
    /// Writes the claim, with the data that were read in it if so said.
    Claim(Names, WhatWasRead),
    /// Goes on if nothing claimed is condemned; else waits or gives up.
    Look,
    /// Refused unless all this is there.
    Check(Names, WhatWasRead),
    /// Gives a data object its name. Its time of change is that of its first byte, perhaps, which may be long ago.
    Land(Names),
    /// A write begins: this moment will be its time of change.
    Start,
    /// The write ends: the object is there.
    Put(Names),
    /// The same for a recipe, with these data.
    PutRecipe(Names, Names, WhatWasRead),
    /// The same, or a recipe that is there is left as it is.
    KeepOrPutRecipe(Names, Names),
    /// Takes the claim away.
    Release,
    /// The client has its answer: the blob is here.
    Answer,
    /// A client deletes a manifest.
    Delete(Names),
}

/// Whether the data that the writer read are meant too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhatWasRead {
    Too,
    Not,
}

/// How an operation went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Refused,
    /// Refused, although the client was told that its blob is here.
    RefusedInVain,
}

/// One publication: the claim on `makes` and `needs`, the look, the check of `needs`, and what is written.
pub struct Publication<'a> {
    pub makes: Names,
    pub needs: Names,
    pub read: WhatWasRead,
    pub writes: &'a [Op],
}

impl Publication<'_> {
    /// Its operations in the order of the protocol, or in the wrong one.
    pub fn ops(&self, mistake: Option<Mistake>) -> Vec<Op> {
        let named = if mistake == Some(Mistake::OnlyReliedOnIsClaimed) { 0 } else { self.makes };
        let claim = Op::Claim(named | self.needs, self.read);
        let check = Op::Check(self.needs, self.read);
        let mut ops = match mistake {
            Some(Mistake::ClaimAfterCheck) => vec![Op::Look, check, claim],
            Some(Mistake::NobodyLooks) => vec![claim, check],
            Some(Mistake::ReleasedBeforePublishing) => vec![claim, Op::Look, check, Op::Release],
            _ => vec![claim, Op::Look, check],
        };
        // A check of nothing is no operation.
        ops.retain(|op| *op != Op::Check(0, WhatWasRead::Not));
        ops.extend(self.writes);
        ops.push(Op::Release);
        ops
    }
}

/// The worlds after the next operation of writer `who`.
pub fn steps(world: &World, who: usize, op: Op, mut add: impl FnMut(Outcome, World)) {
    let writer = world.writers[who];
    let named = |read: WhatWasRead| if read == WhatWasRead::Too { writer.read } else { 0 };
    let mut next = *world;
    let me = &mut next.writers[who];
    me.at += 1;

    let mut refused = *world;
    refused.writers[who].life = Life::Ended;
    refused.writers[who].claim = 0;
    match op {
        Op::Read(recipe) if world.present & recipe == 0 => return add(Outcome::Refused, refused),
        Op::Read(recipe) => me.read = world.extents[usize::from(recipe != B)],
        Op::Claim(names, read) => me.claim = names | named(read),
        Op::Look if world.condemned() & writer.claim != 0 => return add(Outcome::Refused, refused),
        Op::Look => {}
        Op::Check(names, read) if world.present & (names | named(read)) != names | named(read) => {
            let outcome = if writer.answered { Outcome::RefusedInVain } else { Outcome::Refused };
            return add(outcome, refused);
        }
        Op::Check(..) => {}
        Op::Land(data) => {
            me.stamp_old = true;
            me.stamp_fresh = false;
            let me = *me;
            next.land(data, &me);
        }
        Op::Start => {
            me.stamp_old = false;
            me.stamp_fresh = true;
        }
        Op::Put(name) => next.land(name, &writer),
        Op::PutRecipe(recipe, data, read) => next.put_recipe(recipe, data | named(read), &writer),
        Op::KeepOrPutRecipe(recipe, data) => {
            if world.present & recipe != 0 {
                add(Outcome::Done, next);
            }
            next.put_recipe(recipe, data, &writer);
        }
        Op::Release => me.claim = 0,
        Op::Answer => me.answered = !writer.stamp_old,
        Op::Delete(name) => next.remove(name),
    }
    add(Outcome::Done, next);
}
