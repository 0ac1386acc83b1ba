//! What the kernel decides, without the machine: which slot to boot, whether to trust it, what its files hold.
//!
//! Everything lies over a [`BlockDevice`](plyos_blockstore::BlockDevice) that is not trusted, and roots that are
//! ([`plyos_trust::pins::Pins`]). Time, decompression and where lines go are given as arguments ([`Means`]); nothing here does I/O of its own or
//! has a clock. No byte of the store is used before its hash was checked, no layer before its certificate.
//!
//! | module | idea |
//! | --- | --- |
//! | `boot` | which slot: [`boot`] counts a trial's try, mounts, and passes over what gives any doubt |
//! | `system` | [`System`]: the generation that is shown, live switches, who holds which generation |
//! | `generations` | which generations a store has, and which may be gone back to |
//! | `mount`, `gate`, `records` | a generation's layers opened and admitted; certificates against the pinned roots; small records of the store |
//! | `mounted` | [`Mounted`]: one generation's namespace, and its files' bytes |
//! | `chunks`, `places`, `pages` | from a chunk's identity to verified bytes; where it lies; pages of an index |
//! | `read_ahead` | when to fetch neighbours with one read |
//! | `cache`, `kept` | what was read and verified, bounded by bytes |
//! | `faults` | damage is told once, not at each read |
//! | `log`, `log_ring` | lines with levels; the last of them |
//! | `frequency` | how fast the time-stamp counter runs by the processor's word |
//! | `frames` | which frames of physical memory are free |
//! | `roots` | [`Roots`]: whom this kernel trusts, by its build or by the boot module |
//! | `command_line` | what the machine was started with |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod boot;
mod cache;
mod chunks;
pub mod command_line;
mod decompress;
mod faults;
pub mod frames;
pub mod frequency;
mod gate;
mod generations;
mod kept;
mod log;
mod log_ring;
mod mount;
mod mounted;
mod pages;
mod places;
mod read_ahead;
mod records;
mod roots;
mod store;
mod system;

pub use boot::{NoneGood, Passed, Why, boot};
pub use cache::{CacheStatistics, Counts};
pub use chunks::ChunkFault;
pub use decompress::{BadFrame, Decompress};
pub use gate::GateError;
pub use generations::{GenerationInfo, ListError};
pub use log::{Level, Log};
pub use log_ring::{Line, LogRing};
pub use mount::{LayerError, MountError};
pub use mounted::{Mounted, ReadFault};
pub use pages::Pages;
pub use records::RecordError;
pub use roots::{Origin, Roots, RootsError, Trusted};
pub use store::{Device, Limits, Machine, Means, Options};
pub use system::{Held, Lease, SwitchError, System};
