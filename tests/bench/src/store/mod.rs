//! Stores that the bench makes, looks into or writes to by itself, where a figure needs more than `pkg` does in a run.
//!
//! | module | what |
//! | --- | --- |
//! | [`synthetic`] | generations of many layers, made by code in the real formats |
//! | [`sparse`] | a store of 4 GiB that takes little room on the disk |
//! | [`timed`] | a device that tells writing from flushing |
//! | [`content`] | which stored chunks a store holds, and what space is left between them |
//! | [`many_blobs`] | a registry's storage with very many blobs |
//! | [`loop_device`] | a file as a block device, whose writes the kernel counts |

pub mod content;
pub mod loop_device;
pub mod many_blobs;
pub mod sparse;
pub mod synthetic;
pub mod timed;
