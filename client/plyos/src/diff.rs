//! `plyos diff`: what is different between two pushed layers, by their indexes alone.
//!
//! No content is fetched. What an upgrade would move is counted as `pkg` would fetch it: manifest, index, frame table, and
//! the missing frames in merged ranges. Entries are compared by `plyos-namespace`'s diff, as in `pkg diff`.

use crate::cli::DiffArgs;
use crate::remote::Remote;
use plyos_ids::ChunkId;
use plyos_layer_format::pages::SlicePages;
use plyos_namespace::diff::sides::{LayerEntry, LayerTree, Layers};
use plyos_namespace::diff::{Change, Count, Diff, Summary};
use plyos_namespace::namespace::NamespaceLayer;
use plyos_plan::fetch::policy::SMALL_BLOB;
use plyos_plan::fetch::{Piece, Policy, spans};
use plyos_report::{ExitCode, Failure, OrFail, Progress, human, percent, print_json, say};
use plyos_transfer::{Http, Reference};
use serde_json::{Value, json};
use std::collections::HashSet;

/// Fetches both indexes, compares them, and prints.
pub async fn run(args: &DiffArgs, progress: &Progress) -> Result<(), Failure> {
    let http = Http::new()?;
    let before = Remote::fetch(http.clone(), Reference::parse(&args.from)?).await?;
    let after = Remote::fetch(http, Reference::parse(&args.to)?).await?;
    let old = NamespaceLayer::new(before.checked()?);
    let new = NamespaceLayer::new(after.checked()?);
    let mut summary = Summary::default();
    let mut listed = Vec::new();
    for change in Diff::new(LayerTree::new(&old), LayerTree::new(&new), Layers::new(&old, &new)) {
        let change = change.or_fail(ExitCode::Signature, "comparing the layers")?;
        summary.add(&change);
        if args.files {
            listed.push(change);
        }
    }
    let upgrade = Upgrade::plan(&old, &new, &after).await?;
    if progress.json() {
        print_json(&to_json(&old, &new, &summary, &upgrade, args.files.then_some(listed.as_slice())));
    } else {
        say!("{} -> {}", title(&old), title(&new));
        for change in &listed {
            say!("{} /{}", change.letter(), shown(change));
        }
        print(&summary, &upgrade);
    }
    Ok(())
}

type Layer<'a> = NamespaceLayer<SlicePages<'a>>;

/// What a target that has the one layer would fetch for the other.
#[derive(Debug, Default)]
struct Upgrade {
    /// Chunks of the new layer, each counted once.
    chunks: u64,
    shared: u64,
    /// Uncompressed bytes of the chunks that are missing.
    missing_bytes: u64,
    /// Ranges that would be asked for.
    requests: usize,
    /// Bytes of these, the gaps that are fetched along among them.
    range_bytes: u64,
    /// Manifest, index and frame table.
    table_bytes: u64,
    /// The whole blob.
    blob: u64,
}

impl Upgrade {
    async fn plan(old: &Layer<'_>, new: &Layer<'_>, remote: &Remote) -> Result<Self, Failure> {
        let mut known: HashSet<ChunkId> = HashSet::new();
        for chunk in old.index.chunks() {
            known.insert(chunk.or_fail(ExitCode::Signature, "reading the older chunk list")?.id);
        }
        let manifest = &remote.manifest;
        let mut plan = Self { blob: manifest.blob_len, ..Self::default() };
        if old.index.id() == new.index.id() {
            return Ok(plan);
        }
        let (mut seen, mut missing) = (HashSet::new(), Vec::new());
        for (ordinal, chunk) in (0u64..).zip(new.index.chunks()) {
            let chunk = chunk.or_fail(ExitCode::Signature, format_args!("reading {}", remote.what))?;
            if !seen.insert(chunk.id) {
                continue;
            }
            plan.chunks += 1;
            if known.contains(&chunk.id) {
                plan.shared += 1;
            } else {
                plan.missing_bytes += u64::from(chunk.length);
                missing.push(ordinal);
            }
        }
        if manifest.blob_len <= SMALL_BLOB {
            // It is fetched whole, before its index is known.
            plan.table_bytes = remote.manifest_bytes.len() as u64;
            (plan.requests, plan.range_bytes) = (1, manifest.blob_len);
            return Ok(plan);
        }
        plan.table_bytes = remote.manifest_bytes.len() as u64 + manifest.index.stored;
        if missing.is_empty() {
            return Ok(plan);
        }
        plan.table_bytes += manifest.table.stored;
        let table = remote.table(new.index.chunk_count()).await?;
        let mut wanted = missing.into_iter().peekable();
        let places = (0u64..).zip(table.places());
        let pieces: Vec<Piece> = places
            .filter(|(at, _)| wanted.next_if_eq(at).is_some())
            .map(|(ordinal, (offset, length))| Piece { offset, length, ordinal })
            .collect();
        let requests = spans::spans(&pieces, &Policy::default());
        plan.requests = requests.len();
        plan.range_bytes = requests.iter().map(|request| request.length).sum();
        Ok(plan)
    }

    const fn moved(&self) -> u64 {
        self.range_bytes + self.table_bytes
    }
}

fn title(layer: &Layer<'_>) -> String {
    let descriptor = layer.index.descriptor();
    format!("{}/{} {}", descriptor.kind(), descriptor.name(), descriptor.version())
}

/// A path for people; a layer's names must not steer the terminal.
fn shown(change: &Change<LayerEntry>) -> String {
    let path = String::from_utf8_lossy(&change.item().0.path);
    path.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn print(summary: &Summary, upgrade: &Upgrade) {
    for (name, count) in summary.rows().into_iter().filter(|(_, count)| count.number() > 0) {
        say!("  {name:<16} {} files, {} directories, {}", count.files, count.directories, human(count.bytes));
    }
    say!("  {:<16} {} of {} shared", "chunks", upgrade.shared, upgrade.chunks);
    say!(
        "  {:<16} {} in {} ranges, {} of index and tables: {} of the blob",
        "an upgrade moves",
        human(upgrade.range_bytes),
        upgrade.requests,
        human(upgrade.table_bytes),
        percent(upgrade.moved(), upgrade.blob)
    );
}

fn to_json(
    old: &Layer<'_>,
    new: &Layer<'_>,
    summary: &Summary,
    upgrade: &Upgrade,
    listed: Option<&[Change<LayerEntry>]>,
) -> Value {
    let side = |layer: &Layer<'_>| {
        let d = layer.index.descriptor();
        json!({"kind": d.kind().as_str(), "name": d.name(), "version": d.version(), "layer": layer.index.id().to_string()})
    };
    let row = |(name, count): (&str, Count)| {
        (
            name.to_owned(),
            json!({"files": count.files, "directories": count.directories, "bytes": count.bytes}),
        )
    };
    let mut value = json!({
        "from": side(old), "to": side(new),
        "tree": Value::Object(summary.rows().into_iter().map(row).collect()),
        "chunks": {"all": upgrade.chunks, "shared": upgrade.shared, "missing_bytes": upgrade.missing_bytes},
        "upgrade": {"requests": upgrade.requests, "range_bytes": upgrade.range_bytes, "table_bytes": upgrade.table_bytes,
                    "bytes": upgrade.moved(), "blob_bytes": upgrade.blob},
    });
    if let (Some(listed), Some(object)) = (listed, value.as_object_mut()) {
        let path = |change| format!("/{}", shown(change));
        let rows =
            listed.iter().map(|change| json!({"change": change.letter().to_string(), "path": path(change)}));
        object.insert("files".into(), rows.collect());
    }
    value
}
