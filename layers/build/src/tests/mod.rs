//! Tests of the crate as a whole: directory -> layer -> directory, and the judgement of other people's tools.

mod beside;
mod damage;
mod extremes;
mod facts;
mod failures;
mod foreign;
mod gzip_form;
mod hostile_entries;
mod moving;
mod nasty;
mod round_trip;
mod same_blob;
mod same_layer;
mod speed;

use std::io::Cursor;
use std::path::Path;

use plyos_ids::Kind;
use plyos_layer_format::descriptor::Descriptor;
use plyos_layer_format::entry::Entry;
use plyos_layer_format::index::{self, Limits, MtimeRule};

use crate::export::{ExportOptions, Exported, Owners, export};
use crate::reader::{Blob, StreamReader};
use crate::{BuildOptions, Built, ScanOptions, Tree, build, scan};

fn descriptor() -> Descriptor {
    Descriptor::new(Kind::Package, "sample", "1.0", "any").unwrap()
}

fn keep_times() -> ScanOptions {
    ScanOptions { mtime: MtimeRule::Kept, ..ScanOptions::default() }
}

/// Level 3 on two threads.
fn quick() -> BuildOptions<'static> {
    BuildOptions { level: 3, threads: 2, ..BuildOptions::default() }
}

fn build_tree(tree: &Tree, options: &BuildOptions<'_>) -> (Built, Vec<u8>) {
    let mut blob = Vec::new();
    let built = build(tree, &descriptor(), options, &mut blob, &|_| {}).unwrap();
    (built, blob)
}

fn build_dir(dir: &Path, options: &ScanOptions) -> (Built, Vec<u8>) {
    build_tree(
        &scan(dir, options).unwrap(),
        &BuildOptions { level: 3, threads: 2, ..BuildOptions::default() },
    )
}

/// The entries that an index holds, checked.
fn entries(index: &[u8]) -> Vec<Entry> {
    let index = index::check(index, &Limits::default()).unwrap();
    index.entries().map(Result::unwrap).collect()
}

fn export_blob(blob: &[u8], dest: &Path, owners: Owners) -> Exported {
    let mut blob = Blob::open(Cursor::new(blob), &Limits::default()).unwrap();
    let (index, frames) = blob.parts().unwrap();
    let mut content = StreamReader::new(&index, frames);
    export(index.entries(), &mut content, dest, &ExportOptions { owners }).unwrap()
}

/// Bytes that are the same each time and do not compress.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}
