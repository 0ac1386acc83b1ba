//! The whole system from outside: the real `plyos` and `pkg` as processes, a registry on a free port, small real trees.
//!
//! [`world::World`] is what a test begins with: a registry, a publisher's repository, and a target that reaches the
//! registry through a [`proxy::Proxy`] which can be told to misbehave. Tests change one thing ([`registry::Tampered`],
//! [`proxy::Fault`], [`publisher::Publisher::sign_at`]) and say with [`target::Target::refuses`] how the command must end:
//! exit code, one line, and nothing changed.
//!
//! Every wait has an end, every process ends by its own id when its value is dropped, and every folder goes with it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of this is test code: it asserts by panicking"
)]

pub mod block_log;
pub mod bucket;
pub mod debian_registry;
pub mod forge;
pub mod inventory;
pub mod mounted;
pub mod nginx;
pub mod oracles;
pub mod programs;
pub mod proxy;
pub mod publisher;
pub mod recorded_disk;
pub mod registry;
pub mod scripted;
pub mod sick_disk;
pub mod site_world;
pub mod standing;
pub mod stored;
pub mod strace;
pub mod target;
pub mod trees;
pub mod world;
