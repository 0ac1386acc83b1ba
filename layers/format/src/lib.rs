//! The bytes of a layer: canonical stream, index, descriptor, frame table, footer and annotations.
//!
//! A layer is a file tree as one canonical tar stream ([`stream`]), cut into [`chunks`]. Its [`index`] holds the tree, the
//! chunk list and the [`descriptor`]; the BLAKE3 of the index is the layer's identity, and any 16 KiB page of it is
//! verified alone through [`pages`]. The frame table ([`frames`]), the [`footer`] and the [`annotations`] say where
//! chunks lie in a blob and stand outside the identity. [`agreement`] says what the stream must hold so that foreign readers of
//! the tar see the tree of the index.
//!
//! Everything here is bytes in, values out: no file, no socket, no clock. The same code runs in `plyos`, `pkg`, the registry,
//! the boot loader and the kernel. `docs/formats.md` is the one description of the layouts.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod agreement;
pub mod annotations;
pub mod chunks;
pub mod descriptor;
pub mod entry;
pub mod footer;
pub mod frames;
pub mod gzip_members;
pub mod index;
mod layouts;
pub mod pages;
mod record;
#[cfg(test)]
mod samples;
pub mod stream;
mod xattrs;

pub use layouts::LAYOUTS;
