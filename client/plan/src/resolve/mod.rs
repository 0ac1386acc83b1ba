//! From a request to the changes of a generation.
//!
//! [`install`] and [`upgrade`] find, of all sets of layers in which every need is met and no two stand against each other, the
//! one that suits best. What suits better, the most important first:
//!
//! 1. What was asked for before stays, in some version; what is held stays in its own. These are no wishes: without them there
//!    is no plan. Only a layer that is asked for now or there already, and that both conflicts with and replaces another, may
//!    take its place.
//! 2. What is asked for now is as new as can be, in the order of the request.
//! 3. What is installed stays as it is: first what was asked for, then what came with it.
//! 4. What cannot stay as it is gets the newest version that can be, and goes only when none can.
//! 5. Only what is needed is added: of several layers that would do, the one of that name before those that provide it, the
//!    newest before older ones.
//!
//! A version goes back only when the request says so (`NAME=VERSION`), and over no `upgrade-from`. Where there is no such
//! set, [`NoPlan::Impossible`] says why in sentences of which each is needed.
//!
//! [`facts`] is what is known of layers, [`names`] what answers to a name, [`request`] what people write, [`universe`] the catalog as a problem of
//! [`crate::solve`], [`plan`] the wishes and the outcome, [`explain`] the sentences, [`removal`] the simple case, [`mod@why`] the reason of each change,
//! [`mod@passed_over`] what else there was.

mod explain;
mod facts;
mod names;
mod passed_over;
mod plan;
mod refusal;
mod removal;
mod request;
mod sentence;
mod universe;
mod why;

pub use facts::{Facts, Installed, Machine};
pub use passed_over::passed_over;
pub use refusal::NoPlan;
pub use removal::{installed_layer, missed, remove, superfluous};
pub use request::{choose, similar, split_name};
pub use why::{Why, why};

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use names::Names;
use plan::{Goal, Planner};
use plyos_ids::Kind;

/// Steps of a search before it is given up, and again for its explanation. A step is one literal looked at, some nanoseconds: a
/// request for all of 10,000 packages takes fewer than 300,000, an adversary's ends within seconds.
const EFFORT: u64 = 100_000_000;

/// A change to the generation; the number is that of the offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A layer that was not there.
    Add {
        /// Number of the offer.
        offer: usize,
        /// Asked for, or needed by another.
        asked: bool,
    },
    /// Another version in place of the one that is there.
    Replace {
        /// Number of the offer.
        offer: usize,
        /// Version that goes.
        from: String,
        /// Asked for, or needed by another.
        asked: bool,
    },
    /// A layer that stays as it is and was not asked for until now.
    Ask {
        /// Kind.
        kind: Kind,
        /// Name.
        name: String,
    },
    /// A layer that goes.
    Remove {
        /// Kind.
        kind: Kind,
        /// Name.
        name: String,
    },
}

/// Something newer that was wanted and cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptBack {
    /// Kind.
    pub kind: Kind,
    /// Name.
    pub name: String,
    /// The version that was wanted.
    pub version: String,
    /// Sentences that say why; none where nobody looked.
    pub because: Vec<String>,
}

impl fmt::Display for KeptBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} is kept back", self.name, self.version)?;
        match self.because.as_slice() {
            [] => Ok(()),
            because => write!(f, ": {}", because.join("; ")),
        }
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// By kind and name.
    pub changes: Vec<Change>,
    /// What stays older than it could be.
    pub kept_back: Vec<KeptBack>,
}

/// Plans an installation of `wanted` (`NAME`, `KIND/NAME`, each with a version limit as in `NAME=VERSION`) with all they need.
///
/// # Errors
/// See [`NoPlan`]; the first name that is wrong decides.
pub fn install(
    offers: &[Facts],
    installed: &[Installed],
    machine: Machine<'_>,
    wanted: &[String],
) -> Result<Plan, NoPlan> {
    let names = Names::new(offers, installed);
    let found = wanted.iter().map(|text| request::find(&names, machine, text));
    let requests = found.collect::<Result<Vec<_>, _>>()?;
    Planner::new(&names, machine, &requests, Goal::Install).plan(EFFORT)
}

/// Plans the newest versions of `names`, or of all that is installed. What cannot be newer is kept back and said.
///
/// # Errors
/// See [`NoPlan`].
pub fn upgrade(
    offers: &[Facts],
    installed: &[Installed],
    machine: Machine<'_>,
    names: &[String],
) -> Result<Plan, NoPlan> {
    let mut chosen = Vec::new();
    for text in names {
        chosen.extend(request::find_installed(installed, text)?);
    }
    if names.is_empty() {
        chosen.extend(0..installed.len());
    }
    Planner::new(&Names::new(offers, installed), machine, &[], Goal::Upgrade(chosen)).plan(EFFORT)
}

#[cfg(test)]
mod tests;
