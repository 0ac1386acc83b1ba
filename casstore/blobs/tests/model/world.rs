//! What is in the store and in the minds of those who work on it, small enough to remember millions of.

/// A set of objects, one bit each.
pub type Names = u16;

/// Two manifests.
pub const M1: Names = 1;
pub const M2: Names = 1 << 1;
/// The links of two repositories to a blob.
pub const L1: Names = 1 << 2;
pub const L2: Names = 1 << 3;
/// The recipes of two blobs.
pub const B: Names = 1 << 4;
pub const C: Names = 1 << 5;
/// Data objects.
pub const D1: Names = 1 << 6;
pub const D2: Names = 1 << 7;
pub const D3: Names = 1 << 8;

pub const MANIFESTS: Names = M1 | M2;
/// What a clean-up looks after: links, recipes, data.
pub const KINDS: [Names; 3] = [L1 | L2, B | C, D1 | D2 | D3];

/// The names in a set, one at a time.
pub fn each(names: Names) -> impl Iterator<Item = Names> {
    let lowest = |names: Names| (names != 0).then(|| 1 << names.trailing_zeros());
    std::iter::successors(lowest(names), move |last| lowest(names & !(last | (last - 1))))
}

/// A rule of the protocol that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A writer looks and checks, and claims only then.
    ClaimAfterCheck,
    /// A writer does not look whether a name of its claim is condemned.
    NobodyLooks,
    /// A writer gives its claim up before it publishes.
    ReleasedBeforePublishing,
    /// A claim names what it relies on, but not what it makes.
    OnlyReliedOnIsClaimed,
    /// A clean-up looks for references first and for claims then.
    ReferencesBeforeClaims,
    /// A clean-up takes its tombstones away before it deletes.
    TombstoneGoneFirst,
    /// A clean-up does not look again whether what it condemned has become young.
    RenewalNotSeen,
    /// A clean-up, which looks the second time only at references written since it began, does not read the claims of that time.
    FirstClaimsNotRead,
    /// A claim counts as left by the dead while its owner goes on.
    LiveClaimExpires,
    /// A tombstone counts as left by the dead while its owner goes on.
    LiveTombstoneExpires,
}

impl Mistake {
    pub const ALL: [Self; 10] = [
        Self::ClaimAfterCheck,
        Self::NobodyLooks,
        Self::ReleasedBeforePublishing,
        Self::OnlyReliedOnIsClaimed,
        Self::ReferencesBeforeClaims,
        Self::TombstoneGoneFirst,
        Self::RenewalNotSeen,
        Self::FirstClaimsNotRead,
        Self::LiveClaimExpires,
        Self::LiveTombstoneExpires,
    ];
}

/// A server on behalf of a client.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Writer {
    pub life: Life,
    /// Its next operation.
    pub at: u8,
    /// `claims/ID`: it outlives its owner.
    pub claim: Names,
    /// Data that a recipe referred to when it was read.
    pub read: Names,
    /// A write under way took its time of change, and that is after the clean-up began.
    pub stamp_fresh: bool,
    /// The grace has passed since that time.
    pub stamp_old: bool,
    /// Its blob was answered with success, and the grace has not passed since it was written.
    pub answered: bool,
}

/// How a writer stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Life {
    #[default]
    Running,
    /// It has finished, was refused, or died.
    Ended,
}

/// A clean-up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Cleaner {
    pub step: Step,
    /// Which of [`KINDS`].
    pub kind: u8,
    /// The next one of what a step goes through one by one.
    pub turn: u8,
    pub candidates: Names,
    /// `condemned/RUN`: it outlives its owner.
    pub tombstones: Names,
}

/// What a clean-up does next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Step {
    /// Nothing, or it is dead. It may begin again with any kind once nothing is left of its former life.
    #[default]
    Idle,
    List,
    FirstClaims,
    FirstReferences,
    Condemn,
    Claims,
    Renewed,
    References,
    Delete,
    Absolve,
}

/// Everything.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct World {
    pub present: Names,
    /// What is older than the grace, by its time of change.
    pub old: Names,
    /// What was written since the (one) clean-up began, by its time of change.
    pub fresh: Names,
    /// The data that the recipes of B and C refer to.
    pub extents: [Names; 2],
    pub writers: [Writer; 2],
    pub cleaners: [Cleaner; 2],
}

impl World {
    /// What `name` refers to.
    pub fn refers(&self, name: Names, fixed: &[(Names, Names)]) -> Names {
        match name {
            B => self.extents[0],
            C => self.extents[1],
            name => fixed.iter().filter(|(from, _)| *from == name).fold(0, |all, (_, to)| all | to),
        }
    }

    /// Puts an object there, with the time of change that its writer took when it began to write.
    pub fn land(&mut self, name: Names, by: &Writer) {
        let with = |set: Names, on: bool| if on { set | name } else { set & !name };
        self.present |= name;
        self.old = with(self.old, by.stamp_old);
        self.fresh = with(self.fresh, by.stamp_fresh);
    }

    pub fn put_recipe(&mut self, recipe: Names, data: Names, by: &Writer) {
        self.land(recipe, by);
        self.extents[usize::from(recipe != B)] = data;
    }

    pub fn remove(&mut self, names: Names) {
        self.present &= !names;
        self.old &= !names;
        self.fresh &= !names;
        for (extents, recipe) in self.extents.iter_mut().zip([B, C]) {
            if names & recipe != 0 {
                *extents = 0;
            }
        }
    }

    pub fn condemned(&self) -> Names {
        self.cleaners.iter().fold(0, |all, cleaner| all | cleaner.tombstones)
    }

    /// The grace passes: all that is there has become old.
    pub fn grow_old(&mut self) {
        self.old = self.present;
        for writer in &mut self.writers {
            writer.stamp_old = true;
            writer.answered = false;
        }
    }
}
