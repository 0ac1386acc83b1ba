//! What the tests of this crate put a console before: a system in memory, a machine that remembers nothing, a terminal.
//!
//! | module | idea |
//! | --- | --- |
//! | `layer` | a layer's index and stream, made of names and contents |
//! | `system` | generations of such layers, and what a store says of them |
//! | `machine` | a machine with made-up figures |
//! | `desk` | a console with all that it needs, and somebody who types |

mod desk;
mod layer;
mod machine;
mod system;

pub(crate) use desk::{Desk, FakeTerminal};
pub(crate) use machine::FakeMachine;
pub(crate) use system::{FakeSystem, large, many};
