//! What must hold for any bytes that meet a parser. Errors are fine; panics, hangs and unbounded memory are defects.
//!
//! Each function of [`TARGETS`] takes arbitrary bytes and asserts its invariants. libFuzzer drives them with coverage
//! (`make fuzz`, `tests/fuzz/libfuzzer`); `cargo test` drives them with the golden files and mutations of these.
#![forbid(unsafe_code)]
// An invariant that does not hold must stop the run.
#![allow(clippy::panic, clippy::missing_panics_doc)]

mod archives;
pub mod kernel;
mod layers;
pub mod network;
mod pci;
mod pulls;
mod registry;
mod store;
mod trust;

/// A target's name and what it asserts.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("layer_index", layers::layer_index),
    ("layer_index_pages", layers::layer_index_pages),
    ("descriptor", layers::descriptor),
    ("frame_table", layers::frame_table),
    ("footer", layers::footer),
    ("blob", layers::blob),
    ("agreement", layers::agreement),
    ("archive", archives::archive),
    ("manifest", layers::manifest),
    ("generation", layers::generation),
    ("content_range", pulls::content_range),
    ("pull", pulls::pull),
    ("compose", registry::compose),
    ("pieces", registry::pieces),
    ("registry_lists", registry::lists),
    ("kernel_store", kernel::store),
    ("kernel_network", network::network),
    ("kernel_pci", pci::pci),
    ("superblock", store::superblock),
    ("directory", store::directory),
    ("layer_map", store::layer_map),
    ("store_lists", store::lists),
    ("certificate", trust::certificate),
    ("keyring", trust::keyring),
    ("pins", trust::pins),
    ("tuf", trust::tuf),
];

/// Runs the target of this name; used by the libFuzzer programs.
pub fn run(name: &str, data: &[u8]) {
    match TARGETS.iter().find(|(known, _)| *known == name) {
        Some((_, target)) => target(data),
        None => panic!("no target is called {name}"),
    }
}
