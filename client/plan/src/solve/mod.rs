//! Which candidates can stand together: the search, which knows nothing of layers.
//!
//! A [`Problem`] has candidates, of which each slot takes one at most, needs that one of their members must meet, and bans.
//! [`search`] finds a set of candidates for it or the facts that rule every set out. It is a solver with conflict-driven
//! clause learning (Marques-Silva and Sakallah, GRASP, 1999; watched literals as in MiniSat, 2003) whose choices are not
//! guessed: they follow preferences, so what it finds first is also what is wanted most.
//!
//! [`problem`] is the question, [`search`] the search, [`learn`] what a dead end teaches, [`derivation`] why there is no answer.

mod derivation;
mod learn;
mod problem;
mod search;

pub use derivation::{Fact, shrink};
pub use problem::{CandidateId, Literal, NeedId, Problem};
pub use search::{Outcome, search};

#[cfg(test)]
mod tests;
