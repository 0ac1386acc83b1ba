//! What a directory on disk becomes: the index that `plyos push` builds, and where the chunker cuts.
//!
//! The blob of this layer is not kept: another zstd version may compress otherwise, and the format allows it. The test takes it
//! apart instead; the blob that is kept byte for byte is that of [`crate::blob`], whose frames need no compressor.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use anyhow::Result;
use plyos_chunker::{Cutter, Run};
use plyos_ids::Kind;
use plyos_layer_build::{BuildOptions, Built, Owner, ScanOptions, build, scan};
use plyos_layer_format::descriptor::Descriptor;

use crate::fixed::noise;
use crate::{Again, Golden, tree};

/// The golden files of this module.
pub const GOLDEN: &[Golden] = &[
    Golden {
        name: "built-layer-index.hex",
        section: "Layer index",
        what: "the index that plyos-layer-build makes of a directory with small files, links and a file of 600,000 bytes",
        make: || Ok(built(&mut std::io::sink())?.index),
        again: Again::Emit(tree::index_again),
    },
    Golden {
        name: "cut-points.txt",
        section: "Chunks and cut rules",
        what: "lengths of the chunks that plyos-chunker cuts of runs of fixed noise",
        make: || Ok(cut_points().into_bytes()),
        again: Again::Unread,
    },
];

/// Builds the layer of the fixed directory.
pub fn built(out: &mut impl Write) -> Result<Built> {
    let directory = tempfile::tempdir()?;
    fill(directory.path())?;
    let options = ScanOptions { owner: Owner::Root, ..ScanOptions::default() };
    let descriptor = Descriptor::new(Kind::Site, "built", "1.0", "any")?;
    let options =
        (scan(directory.path(), &options)?, BuildOptions { level: 3, threads: 1, ..BuildOptions::default() });
    Ok(build(&options.0, &descriptor, &options.1, out, &|_| {})?)
}

fn fill(root: &Path) -> Result<()> {
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    let file = |name: &str, bytes: &[u8], bits| -> Result<()> {
        fs::write(root.join(name), bytes)?;
        Ok(mode(&root.join(name), bits)?)
    };
    fs::create_dir(root.join("data"))?;
    file("data/large.bin", &noise("data/large.bin", 600_000), 0o644)?;
    file("data/just-large.bin", &noise("data/just-large.bin", 65_536), 0o600)?;
    file("data/small.bin", &noise("data/small.bin", 65_535), 0o644)?;
    file("index.html", b"<!doctype html>\n<title>golden</title>\n", 0o644)?;
    file("run.sh", b"#!/bin/sh\nexec true\n", 0o755)?;
    fs::hard_link(root.join("index.html"), root.join("z.html"))?;
    symlink("data/large.bin", root.join("newest"))?;
    mode(&root.join("data"), 0o2750)?;
    Ok(mode(root, 0o755)?)
}

const RUNS: &[(Run, usize)] = &[
    (Run::Small, 3_000_000),
    (Run::File, 65_536),
    (Run::Small, 512),
    (Run::File, 1_500_000),
    (Run::Small, 1_024),
];

/// A line for each run: what it is, its length, the lengths of its chunks.
fn cut_points() -> String {
    let line = |(number, (run, len)): (usize, &(Run, usize))| {
        let word = if *run == Run::File { "file" } else { "small" };
        let lengths = lengths(*run, &noise(&format!("run {number}"), *len));
        let listed: Vec<String> = lengths.iter().map(ToString::to_string).collect();
        format!("{word} {len}: {}\n", listed.join(" "))
    };
    RUNS.iter().enumerate().map(line).collect()
}

fn lengths(run: Run, bytes: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    let mut sink = |chunk: &[u8]| -> Result<(), std::convert::Infallible> {
        lengths.push(chunk.len());
        Ok(())
    };
    let mut cutter = Cutter::new();
    let Ok(()) = cutter.begin(run, &mut sink);
    let Ok(()) = cutter.feed(bytes, &mut sink);
    let Ok(()) = cutter.finish(&mut sink);
    lengths
}
