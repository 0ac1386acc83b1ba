//! `plyos inspect`: what a pushed layer is, its tree, its chunks, its sizes.

use crate::cli::Inspect;
use crate::remote::Remote;
use plyos_layer_format::entry::{Entry, EntryKind};
use plyos_layer_format::frames::FrameTable;
use plyos_layer_format::index::Index;
use plyos_layer_format::pages::SlicePages;
use plyos_report::{ExitCode, Failure, OrFail, Progress, human, percent, print_json, say};
use plyos_transfer::{Http, Reference};
use serde_json::{Value, json};
use std::collections::HashSet;

/// Fetches manifest, index and frame table, checks them, and prints what was asked for.
pub async fn run(args: &Inspect, progress: &Progress) -> Result<(), Failure> {
    let remote = Remote::fetch(Http::new()?, Reference::parse(&args.place)?).await?;
    let index = remote.checked()?;
    if args.descriptor {
        print_json(&index.descriptor().to_json());
        return Ok(());
    }
    let chunks = index.header().chunk_count;
    let table = remote.table(chunks).await?;
    let facts = Facts::gather(&remote, &index, &table)?;
    if progress.json() {
        print_json(&facts.to_json(args));
    } else {
        facts.print(args);
    }
    Ok(())
}

struct Facts {
    summary: Value,
    title: String,
    lines: Vec<(&'static str, String)>,
    tree: Vec<Entry>,
    chunks: Vec<ChunkRow>,
}

struct ChunkRow {
    id: String,
    length: u32,
    offset: u64,
    stored: u32,
}

impl Facts {
    fn gather(remote: &Remote, index: &Index<SlicePages<'_>>, table: &FrameTable) -> Result<Self, Failure> {
        let damaged = |error: &dyn std::fmt::Display| {
            Failure::new(ExitCode::Signature, format!("reading the index of {}: {error}", remote.what))
        };
        let tree: Vec<Entry> = index.entries().collect::<Result<_, _>>().map_err(|error| damaged(&error))?;
        let mut chunks = Vec::new();
        let mut distinct = HashSet::new();
        for (chunk, (offset, stored)) in index.chunks().zip(table.places()) {
            let chunk = chunk.or_fail(ExitCode::Signature, "reading the chunk list")?;
            distinct.insert(chunk.id);
            chunks.push(ChunkRow { id: chunk.id.to_hex(), length: chunk.length, offset, stored });
        }
        let header = index.header();
        let manifest = &remote.manifest;
        let descriptor = index.descriptor();
        let files = tree.iter().filter(|entry| matches!(entry.kind, EntryKind::File { .. })).count();
        let summary = json!({
            "place": remote.what,
            "descriptor": descriptor.to_json(),
            "layer": manifest.layer.to_string(),
            "manifest": manifest.digest.to_string(),
            "blob": manifest.blob.to_string(),
            "entries": header.entry_count,
            "files": files,
            "chunks": header.chunk_count,
            "distinct_chunks": distinct.len(),
            "bytes": {
                "content": header.content_len,
                "stream": header.stream_len,
                "blob": manifest.blob_len,
                "frames": table.frames_len(),
                "index": manifest.index.length,
                "index_stored": manifest.index.stored,
                "frame_table": manifest.table.length,
                "frame_table_stored": manifest.table.stored,
            },
        });
        let lines = vec![
            ("layer", manifest.layer.to_string()),
            ("manifest", manifest.digest.to_string()),
            ("blob", manifest.blob.to_string()),
            ("entries", format!("{} ({files} files)", header.entry_count)),
            ("content", human(header.content_len)),
            (
                "blob size",
                format!(
                    "{} ({} of the stream)",
                    human(manifest.blob_len),
                    percent(manifest.blob_len, header.stream_len)
                ),
            ),
            (
                "index",
                format!(
                    "{}, as sent {} ({} of the blob)",
                    human(manifest.index.length),
                    human(manifest.index.stored),
                    percent(manifest.index.stored, manifest.blob_len)
                ),
            ),
            (
                "frame table",
                format!("{}, as sent {}", human(manifest.table.length), human(manifest.table.stored)),
            ),
            ("chunks", format!("{} ({} distinct)", header.chunk_count, distinct.len())),
        ];
        let title = format!(
            "{}/{} {} for {}",
            descriptor.kind(),
            descriptor.name(),
            descriptor.version(),
            descriptor.arch()
        );
        Ok(Self { summary, title, lines, tree, chunks })
    }

    fn print(&self, args: &Inspect) {
        say!("{}", self.title);
        for (name, value) in &self.lines {
            say!("  {name:<12} {value}");
        }
        if args.tree {
            say!("");
            for entry in &self.tree {
                say!("{}", tree_line(entry));
            }
        }
        if args.chunks {
            say!("");
            for chunk in &self.chunks {
                say!("{} {:>8} at {:>12} stored {:>8}", chunk.id, chunk.length, chunk.offset, chunk.stored);
            }
        }
    }

    fn to_json(&self, args: &Inspect) -> Value {
        let mut value = self.summary.clone();
        if let (true, Some(object)) = (args.tree, value.as_object_mut()) {
            object.insert("tree".into(), self.tree.iter().map(tree_json).collect());
        }
        if let (true, Some(object)) = (args.chunks, value.as_object_mut()) {
            let rows = self.chunks.iter().map(|chunk| {
                json!({"id": chunk.id, "length": chunk.length, "offset": chunk.offset, "stored": chunk.stored})
            });
            object.insert("chunk_list".into(), rows.collect());
        }
        value
    }
}

/// As in the layer's stream, where another name of a file is an entry of its own kind.
fn letter(kind: &EntryKind) -> char {
    match kind {
        EntryKind::HardLink { .. } => 'h',
        kind => kind.letter(),
    }
}

fn tree_line(entry: &Entry) -> String {
    let path = String::from_utf8_lossy(&entry.path);
    let target = match &entry.kind {
        EntryKind::Symlink { target } => format!(" -> {}", String::from_utf8_lossy(target)),
        _ => String::new(),
    };
    format!(
        "{}{:04o} {:>5}:{:<5} {:>11} /{path}{target}",
        letter(&entry.kind),
        entry.mode,
        entry.uid,
        entry.gid,
        entry.size()
    )
}

fn tree_json(entry: &Entry) -> Value {
    let target = match &entry.kind {
        EntryKind::Symlink { target } => Some(String::from_utf8_lossy(target).into_owned()),
        _ => None,
    };
    json!({
        "path": format!("/{}", String::from_utf8_lossy(&entry.path)),
        "type": letter(&entry.kind).to_string(),
        "mode": format!("{:04o}", entry.mode),
        "uid": entry.uid,
        "gid": entry.gid,
        "size": entry.size(),
        "mtime": entry.mtime,
        "target": target,
    })
}
