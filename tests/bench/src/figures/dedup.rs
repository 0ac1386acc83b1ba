//! What ten versions of a layer cost a registry that lets blobs share.

use super::{mebibytes, ratio_of_bytes};
use crate::load;
use crate::ours::{Layer, Plyos, Registry, number};
use crate::process::{self, Usage};
use crate::report::{Section, Table};
use crate::rivals;
use crate::settings::Settings;
use anyhow::{Context, Result, ensure};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const TREES: [&str; 3] = ["base-min", "site-pydoc", "model"];
const VERSIONS: u64 = 10;
/// From the third version on, one file in so many gets a line more.
const EDITED: usize = 211;
/// Longest file that is edited.
const EDITABLE: u64 = 1 << 20;
/// Bytes of the file that each of these versions adds.
const ADDED: u64 = 100_000;
/// Bytes of a range that is compared, of as many ranges of each blob.
const RANGE: u64 = 70_000;
const RANGES: u64 = 5;

/// What a layer is pushed as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Layer,
    Gzip,
    Zstd,
    Tar,
}

impl Form {
    const ALL: [Self; 4] = [Self::Layer, Self::Gzip, Self::Zstd, Self::Tar];

    const fn name(self) -> &'static str {
        match self {
            Self::Layer => "plyos push",
            Self::Gzip => "tar, gzip -6",
            Self::Zstd => "tar, zstd -3",
            Self::Tar => "tar",
        }
    }

    /// The pipeline of a form that is not ours, from `$1` to `$2`.
    const fn pipeline(self) -> &'static str {
        match self {
            Self::Gzip => "tar --sort=name -c -C \"$1\" . | gzip -n -6 >\"$2\"",
            Self::Zstd => "tar --sort=name -c -C \"$1\" . | zstd -q -3 -T2 >\"$2\"",
            Self::Layer | Self::Tar => "tar --sort=name -c -C \"$1\" . >\"$2\"",
        }
    }
}

/// Ten versions of a tree, in every form, each form in a registry of its own.
pub fn measure(settings: &Settings, work: &Path) -> Result<Section> {
    let mut section = Section::new(
        "Ten versions of a layer",
        "Version 1 and 2 of the corpus, then eight times version 2 with one file in 211 changed by a line and one of 100,000 bytes added. Each version is \
         pushed as one layer: by `plyos push`, and as other tools make layers. Then `plyos registry pack`; *stored* are the data objects that blobs need. \
         Each blob is fetched and its SHA-256 compared, and five ranges with the same bytes of the whole.",
    );
    let headings = [
        "",
        "form",
        "first version",
        "ten versions",
        "stored",
        "÷ ten",
        "÷ first",
        "packing",
        "of it CPU",
        "peak memory",
    ];
    let mut table = Table::new(headings.map(str::to_owned).to_vec());
    for name in TREES {
        let storages =
            Form::ALL.map(|form| (form, work.join(format!("dedup-{}", form.name().replace(' ', "-")))));
        let pushed = push_all(settings, work, name, &storages)?;
        for ((form, storage), blobs) in storages.iter().zip(&pushed) {
            eprintln!("bench: ten versions of {name}, {}", form.name());
            let (usage, report) = pack(settings, storage)?;
            let sum: u64 = blobs.iter().map(|(_, size)| size).sum();
            let first = blobs.first().map_or(0, |(_, size)| *size);
            let stored = number(&report, "/stored")?;
            compare(settings, work, storage, name, blobs)?;
            table.add(vec![
                name.to_owned(),
                form.name().to_owned(),
                mebibytes(first),
                mebibytes(sum),
                mebibytes(stored),
                ratio_of_bytes(stored, sum),
                ratio_of_bytes(stored, first),
                format!("{:.2} s", usage.wall.as_secs_f64()),
                format!("{:.2} s", usage.cpu.as_secs_f64()),
                mebibytes(usage.peak),
            ]);
            rivals::remove(storage)?;
        }
    }
    section.add(String::new(), table);
    Ok(section)
}

/// Pushes every version in every form; the digests and sizes of the layers' blobs, form by form.
fn push_all(
    settings: &Settings,
    work: &Path,
    name: &str,
    storages: &[(Form, PathBuf)],
) -> Result<Vec<Vec<(String, u64)>>> {
    let (tree, blob) = (work.join("dedup-tree"), work.join("dedup-blob"));
    let plyos = Plyos::new(settings, work.join("dedup"))?;
    let mut pushed = vec![Vec::new(); storages.len()];
    for (_, storage) in storages {
        rivals::empty(storage)?;
    }
    for version in 1..=VERSIONS {
        match version {
            1 => copy(&settings.tree(name, "v1"), &tree)?,
            2 => copy(&settings.tree(name, "v2"), &tree)?,
            _ => edit(&tree, version)?,
        }
        for ((form, storage), pushed) in storages.iter().zip(&mut pushed) {
            let registry = Registry::over(settings, storage)?;
            if *form == Form::Layer {
                let tag = format!("v{version}");
                let layer = Layer { name, version: &tag, level: None };
                let (_, report) = plyos.push_tree(&registry, layer, &tree)?;
                let manifest = load::content(registry.address(), &format!("/v2/{name}/manifests/{tag}"))?;
                let manifest: serde_json::Value = serde_json::from_slice(&manifest)?;
                let digest = manifest.pointer("/layers/0/digest").and_then(|digest| digest.as_str());
                let digest = digest.context("a manifest without a layer")?.to_owned();
                pushed.push((digest, number(&report, "/bytes/blob")?));
            } else {
                process::run(&mut process::pipeline(form.pipeline(), &[&tree, &blob]))?;
                let digest = digest_of(&mut File::open(&blob)?)?;
                load::push(registry.address(), name, &blob, &digest)?;
                pushed.push((digest, rivals::bytes(&blob)?));
            }
            registry.end()?;
        }
    }
    std::fs::remove_file(&blob).context("removing a blob")?;
    rivals::remove(&tree)?;
    Ok(pushed)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    rivals::remove(to)?;
    process::run(&mut process::pipeline("cp -a \"$1\" \"$2\"", &[from, to])).map(drop)
}

/// Changes some files and adds one.
fn edit(tree: &Path, version: u64) -> Result<()> {
    let mut files = Vec::new();
    list(tree, &mut files)?;
    files.sort();
    let first = usize::try_from(version * 17).unwrap_or_default() % EDITED;
    for file in files.iter().skip(first).step_by(EDITED) {
        let mut file = std::fs::OpenOptions::new().append(true).open(file)?;
        writeln!(file, "version {version}")?;
    }
    let mut bytes = Vec::new();
    let mut source = blake3::Hasher::new().update(&version.to_le_bytes()).finalize_xof().take(ADDED);
    source.read_to_end(&mut bytes)?;
    std::fs::write(tree.join(format!("added-{version}")), bytes).context("adding a file")
}

/// All regular files that may be edited.
fn list(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(&entry.path(), found)?;
        } else if kind.is_file() && entry.metadata()?.len() <= EDITABLE {
            found.push(entry.path());
        }
    }
    Ok(())
}

fn pack(settings: &Settings, storage: &Path) -> Result<(Usage, serde_json::Value)> {
    let mut command = Command::new(settings.programs.join("plyos"));
    command.args(["--json", "registry", "pack", "--storage"]).arg(storage);
    // Blobs without a manifest make no repository that is listed.
    command.args(TREES);
    let (usage, output) = process::run(&mut command)?;
    Ok((usage, serde_json::from_slice(&output)?))
}

/// Fetches each blob, whole and in ranges.
fn compare(
    settings: &Settings,
    work: &Path,
    storage: &Path,
    name: &str,
    blobs: &[(String, u64)],
) -> Result<()> {
    let (registry, copy) = (Registry::over(settings, storage)?, work.join("dedup-copy"));
    for (digest, size) in blobs {
        let path = format!("/v2/{name}/blobs/{digest}");
        load::save(registry.address(), &path, &copy)?;
        let mut whole = File::open(&copy)?;
        ensure!(digest_of(&mut whole)? == *digest, "{digest} came back as something else");
        for number in 0..RANGES {
            let start = size * number / RANGES;
            let end = (start + RANGE).min(*size);
            let part = load::range(registry.address(), &path, start..end)?;
            let mut expected = vec![0; usize::try_from(end - start)?];
            whole.read_exact_at(&mut expected, start)?;
            ensure!(part == expected, "bytes {start} to {end} of {digest} came back as others");
        }
    }
    std::fs::remove_file(&copy).context("removing a blob")?;
    registry.end().map(drop)
}

fn digest_of(bytes: &mut impl Read) -> Result<String> {
    let (mut hasher, mut piece) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        let read = bytes.read(&mut piece)?;
        let Some(piece) = piece.get(..read).filter(|piece| !piece.is_empty()) else { break };
        hasher.update(piece);
    }
    let hex: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("sha256:{hex}"))
}
