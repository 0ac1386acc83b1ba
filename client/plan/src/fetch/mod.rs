//! Which bytes to ask of whom, in what order, and what to do with the answers: the pull engine without its sockets.
//!
//! [`Pull`] is a value that is asked and told, never one that waits. A shell gives it the missing frames of one or more blobs
//! ([`Pull::add`]), takes requests ([`Pull::next_ask`]), and tells what came: the head of an answer ([`Pull::answered`]), bytes
//! ([`Pull::arrived`]), the end ([`Pull::ended`]) or a fault ([`Pull::failed`]). Frames come out as soon as their last byte is
//! there, to be verified and stored ([`Pull::stored`], [`Pull::refused`]). It opens nothing and has no clock: where time matters
//! it says how many milliseconds to wait.
//!
//! | module | idea |
//! | --- | --- |
//! | [`spans`] | missing frames become few ranges |
//! | [`head`] | what an answer's head promises, judged before its body |
//! | [`policy`] | how much at once, how often again |
//! | [`rate`] | how fast |
//! | [`reason`] | why a pull ends early |
//! | `lane` | one request and what is still to come by it |
//! | [`pull`] | all of it together |
//!
//! What holds, whatever servers answer: a frame is given out once; no byte of a frame that was given out is asked for again (a
//! server that ignores ranges sends what it likes); never more bytes are held than the budget; every lane ends, by all of its
//! frames or by a [`Reason`].

pub mod head;
mod lane;
pub mod policy;
pub mod pull;
pub mod rate;
pub mod reason;
pub mod spans;

#[cfg(test)]
mod simulation;

pub use head::{ContentRange, Head};
pub use policy::Policy;
pub use pull::{Ask, Frame, LaneId, Next, Pull, Taken, Then};
pub use reason::{Fault, Reason};
pub use spans::{Piece, PieceError, Span};
