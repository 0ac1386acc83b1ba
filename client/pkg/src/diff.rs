//! `pkg diff`: what is different between two generations, from the store alone.
//!
//! Paths are compared as they are seen in each namespace, by `plyos-namespace`'s diff; small files whose chunks leave it open
//! are read and compared. What had to be fetched for the one is what chunks the layers of the other do not have.

use crate::cli::DiffArgs;
use crate::content::{Readers, Stopped, View};
use crate::rollback;
use crate::target::Target;
use crate::view::shown;
use plyos_ids::ChunkId;
use plyos_namespace::diff::sides::Namespaces;
use plyos_namespace::diff::{Change, Count, Diff, Summary};
use plyos_namespace::generation::GenerationLayer;
use plyos_namespace::namespace::{Found, Sameness};
use plyos_report::{ExitCode, Failure, OrFail, human, print_json, say};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};

/// Compares and prints.
pub fn run(target: &Target, args: &DiffArgs) -> Result<(), Failure> {
    let after = match args.to {
        Some(number) => View::open_number(target, number)?,
        None => View::open(target)?,
    };
    let from = match args.from {
        Some(number) => number,
        None => before(target, after.number)?,
    };
    let before = View::open_number(target, from)?;
    let layers = layer_changes(&before, &after);
    let mut differences = Differences::default();
    differences.find(&before, &after, args.files)?;
    let bytes = chunk_bytes(target, &before, &after)?;
    if target.progress.json() {
        print_json(&to_json(&before, &after, &layers, &differences, bytes, args));
    } else {
        print(&before, &after, &layers, &differences, bytes, args);
    }
    Ok(())
}

/// Number of the generation that was active before another became so.
fn before(target: &Target, number: u64) -> Result<u64, Failure> {
    let history = crate::activate::history(&target.store()?)?;
    rollback::before(&history, number).map(|entry| entry.number).ok_or_else(|| {
        let line = format!("there is no generation before {number}; `pkg history` lists them");
        Failure::new(ExitCode::NotFound, line)
    })
}

/// A layer that only one generation has, or another in each.
struct LayerChange<'a> {
    before: Option<&'a GenerationLayer>,
    after: Option<&'a GenerationLayer>,
}

fn layer_changes<'a>(before: &'a View, after: &'a View) -> Vec<LayerChange<'a>> {
    let mut all: BTreeMap<_, LayerChange<'a>> = BTreeMap::new();
    for layer in &before.generation.layers {
        all.insert((layer.kind, &layer.name), LayerChange { before: Some(layer), after: None });
    }
    for layer in &after.generation.layers {
        let change = all.entry((layer.kind, &layer.name));
        change.or_insert(LayerChange { before: None, after: None }).after = Some(layer);
    }
    let id = |layer: Option<&GenerationLayer>| layer.map(|layer| layer.id);
    all.into_values().filter(|change| id(change.before) != id(change.after)).collect()
}

/// What is different in the tree.
#[derive(Default)]
struct Differences {
    summary: Summary,
    /// By the layer whose entry it is, or was.
    by_layer: BTreeMap<String, Summary>,
    listed: Vec<(char, Vec<u8>)>,
}

impl Differences {
    fn find(&mut self, before: &View, after: &View, list: bool) -> Result<(), Failure> {
        let (mut old, mut new) = (Readers::default(), Readers::default());
        let read = |a: &Found, b: &Found| {
            let same = whole(before, &mut old, a)? == whole(after, &mut new, b)?;
            Ok::<_, Stopped>(if same { Sameness::Same } else { Sameness::Different })
        };
        let compare = Namespaces::new(&before.namespace, &after.namespace, read);
        for change in Diff::new(before.namespace.walk(), after.namespace.walk(), compare) {
            let change = change?;
            self.summary.add(&change);
            let view = if matches!(change, Change::Removed(_)) { before } else { after };
            let layer = change.item().source.and_then(|source| view.namespace.layers().get(source.layer));
            let name = layer.map_or_else(
                || "(no layer)".to_owned(),
                |layer| format!("{}/{}", layer.info.kind, layer.info.name),
            );
            self.by_layer.entry(name).or_default().add(&change);
            if list {
                self.listed.push((change.letter(), change.item().entry.path.clone()));
            }
        }
        Ok(())
    }
}

/// Bytes of a small file.
fn whole<'a>(view: &'a View, readers: &mut Readers<'a>, found: &Found) -> Result<Vec<u8>, Failure> {
    let doing = format!("reading /{} of generation {}", shown(&found.entry.path), view.number);
    let Some(source) = found.source else { return Ok(Vec::new()) };
    let Some(layer) = view.namespace.layers().get(source.layer) else { return Ok(Vec::new()) };
    let first = layer.first_path(&found.entry).or_fail(ExitCode::Store, &doing)?;
    let reader = readers.of(source.layer, || view.reader(source.layer))?;
    reader.whole(first.as_ref().unwrap_or(&found.entry)).or_fail(ExitCode::Store, &doing)
}

/// Chunks of one generation that the other does not have, each counted once.
#[derive(Debug, Clone, Copy, Default)]
struct ChunkBytes {
    chunks: u64,
    /// Uncompressed.
    content: u64,
    /// As they lie in the store, which is as they were fetched.
    stored: u64,
}

fn chunk_bytes(target: &Target, before: &View, after: &View) -> Result<ChunkBytes, Failure> {
    let mut known: HashSet<ChunkId> = HashSet::new();
    let mut sum = ChunkBytes::default();
    let ids = |view: &View| view.generation.layers.iter().map(|layer| layer.id).collect::<HashSet<_>>();
    let (old, new) = (ids(before), ids(after));
    if new.is_subset(&old) {
        return Ok(sum);
    }
    for layer in before.namespace.layers() {
        for chunk in layer.index.chunks() {
            known.insert(chunk.or_fail(ExitCode::Store, format_args!("reading {}", layer.info.name))?.id);
        }
    }
    for layer in after.namespace.layers().iter().filter(|layer| !old.contains(&layer.index.id())) {
        let places = after.stored(&layer.index.id())?;
        for (ordinal, chunk) in (0..).zip(layer.index.chunks()) {
            let chunk = chunk.or_fail(ExitCode::Store, format_args!("reading {}", layer.info.name))?;
            if known.insert(chunk.id) {
                let place = places.place(ordinal).map_err(|error| target.fail(&error))?;
                sum.chunks += 1;
                sum.content += u64::from(chunk.length);
                sum.stored += place.map_or(0, |place| u64::from(place.length));
            }
        }
    }
    Ok(sum)
}

fn print(
    before: &View,
    after: &View,
    layers: &[LayerChange<'_>],
    differences: &Differences,
    bytes: ChunkBytes,
    args: &DiffArgs,
) {
    say!("generation {} -> {}", before.number, after.number);
    for LayerChange { before, after } in layers {
        match (before, after) {
            (Some(old), Some(new)) => {
                say!("  ~ {}/{} {} -> {}", new.kind, new.name, old.version, new.version);
            }
            (None, Some(new)) => say!("  + {}/{} {}", new.kind, new.name, new.version),
            (Some(old), None) => say!("  - {}/{} {}", old.kind, old.name, old.version),
            (None, None) => {}
        }
    }
    for (letter, path) in &differences.listed {
        // A layer's names must not steer the terminal.
        let path: String = shown(path).chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        say!("{letter} /{path}");
    }
    if args.stat {
        for (name, summary) in &differences.by_layer {
            say!("{name:<28} {}", line(summary));
        }
    }
    say!("{}", line(&differences.summary));
    say!(
        "{} of content in {} chunks that generation {} does not have; {} to fetch",
        human(bytes.content),
        bytes.chunks,
        before.number,
        human(bytes.stored)
    );
}

/// `added 3 (1.2 KiB), removed 0, …`: files and directories together.
fn line(summary: &Summary) -> String {
    let rows = summary.rows().into_iter().filter(|(name, count)| count.number() > 0 || *name == "changed");
    let text = |(name, count): (&str, Count)| match count.bytes {
        0 => format!("{name} {}", count.number()),
        bytes => format!("{name} {} ({})", count.number(), human(bytes)),
    };
    rows.map(text).collect::<Vec<_>>().join(", ")
}

fn to_json(
    before: &View,
    after: &View,
    layers: &[LayerChange<'_>],
    differences: &Differences,
    bytes: ChunkBytes,
    args: &DiffArgs,
) -> Value {
    let side = |view: &View| json!({"generation": view.number, "id": view.id.to_string()});
    let version = |layer: Option<&GenerationLayer>| layer.map(|layer| layer.version.clone());
    let rows = layers.iter().filter_map(|change| {
        let layer = change.after.or(change.before)?;
        Some(json!({"kind": layer.kind.as_str(), "name": layer.name, "from": version(change.before),
                    "to": version(change.after)}))
    });
    let mut value = json!({
        "from": side(before), "to": side(after), "layers": rows.collect::<Vec<_>>(),
        "tree": summary_json(&differences.summary),
        "missing": {"chunks": bytes.chunks, "bytes": bytes.content, "stored_bytes": bytes.stored},
    });
    if let Some(object) = value.as_object_mut() {
        if args.files {
            let rows = differences.listed.iter();
            let rows = rows.map(
                |(letter, path)| json!({"change": letter.to_string(), "path": format!("/{}", shown(path))}),
            );
            object.insert("files".into(), rows.collect());
        }
        if args.stat {
            let rows =
                differences.by_layer.iter().map(|(name, summary)| (name.clone(), summary_json(summary)));
            object.insert("stat".into(), Value::Object(rows.collect()));
        }
    }
    value
}

fn summary_json(summary: &Summary) -> Value {
    let row = |(name, count): (&str, Count)| {
        (
            name.to_owned(),
            json!({"files": count.files, "directories": count.directories, "bytes": count.bytes}),
        )
    };
    Value::Object(summary.rows().into_iter().map(row).collect())
}
