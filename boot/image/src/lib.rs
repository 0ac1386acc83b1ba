//! Disk images that hold a store: what a kernel or loader boots from.
//!
//! A store that `pkg` keeps has a history: gaps, a random name, the time of each download. An image has none of it. Equal
//! [`Contents`] give equal bytes: chunks lie in the order of the layers' indexes, so that reading a layer from its start to its
//! end is reading the disk in order; times and the name follow from the content; and the image is as long as what it holds
//! plus the reserve, for a store can grow.
//!
//! The store is made by the same code as any other, `plyos_blockstore::format` and `commit`. Nothing here opens a file or
//! judges a signature: whoever fills [`Contents`] has checked what goes in, and gives the device.
//!
//! | module | idea |
//! | --- | --- |
//! | [`Contents`], [`Source`] | what goes into an image, and who has its bytes |
//! | [`Plan`] | where everything will lie, before a byte is written |
//! | [`write`] | format, append, commit |
//! | [`qcow2`] | the image as QEMU's own format, which is short where the store is empty |
#![forbid(unsafe_code)]

mod contents;
mod plan;
pub mod qcow2;
mod write;

pub use contents::{Contents, ImageLayer, Source, StoredChunk};
pub use plan::{Plan, PlanError};
pub use write::{WriteError, write};

#[cfg(test)]
mod tests;
