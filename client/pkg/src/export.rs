//! `pkg export`: the active namespace as a plain tree, behind a link that is replaced atomically.
//!
//! The tree is written to `DIR/gen-N.part`, renamed to `DIR/gen-N` when it is complete, and only then `DIR/current` is
//! renamed over, so that whoever reads `DIR/current/…` sees one whole generation or another. `DIR/.gen-N.id` says which
//! generation a tree is of, because another store has other generations under the same numbers.

use crate::content::{Reader, View};
use crate::target::Target;
use plyos_layer_build::export::{ContentSource, ExportOptions, Exported, Owners, export};
use plyos_layer_format::entry::{Entry, EntryKind};
use plyos_namespace::namespace::{NamespaceError, Source};
use plyos_report::{ExitCode, Failure, OrFail, human, print_json};
use serde_json::json;
use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::fs::File;
use std::io;
use std::path::Path;

/// Writes the tree and switches the link.
pub fn run(target: &Target, dir: &Path) -> Result<(), Failure> {
    let view = View::open(target)?;
    std::fs::create_dir_all(dir).or_fail(ExitCode::Failure, format_args!("making {}", dir.display()))?;
    let _lock = lock(dir)?;
    let name = format!("gen-{}", view.number);
    let (tree, id) = (dir.join(&name), dir.join(format!(".{name}.id")));
    let written = if tree.exists() {
        check_identity(&view, &tree, &id)?;
        None
    } else {
        Some(write_tree(&view, &tree, &id)?)
    };
    switch(dir, &name)?;
    if target.progress.json() {
        print_json(&json!({
            "generation": view.number, "tree": tree, "link": dir.join("current"),
            "entries": written.map(|w| w.entries), "bytes": written.map(|w| w.content_len),
        }));
        return Ok(());
    }
    match written {
        Some(done) => {
            target.progress.step(&format!(
                "Wrote {} entries, {} to {}",
                done.entries,
                human(done.content_len),
                tree.display()
            ));
            if done.owners_lost > 0 {
                target.progress.warn(&format!(
                    "{} entries belong to you and not to their owner; run as root to keep owners",
                    done.owners_lost
                ));
            }
        }
        None => target.progress.step(&format!("{} is there already", tree.display())),
    }
    target.progress.step(&format!("{} -> {name}", dir.join("current").display()));
    Ok(())
}

/// One export at a time works in a folder: two would write and rename the same `.part`.
fn lock(dir: &Path) -> Result<File, Failure> {
    let doing = format!("locking {}", dir.display());
    let folder = File::open(dir).or_fail(ExitCode::Failure, &doing)?;
    folder.lock().or_fail(ExitCode::Failure, &doing)?;
    Ok(folder)
}

/// Refuses a tree of another generation that has the same number.
fn check_identity(view: &View, tree: &Path, id: &Path) -> Result<(), Failure> {
    let known = std::fs::read_to_string(id).unwrap_or_default();
    if known.trim_end() == view.id.to_string() {
        return Ok(());
    }
    let line = format!(
        "{} was not exported from this store's generation {}; remove it, or export to another folder",
        tree.display(),
        view.number
    );
    Err(Failure::new(ExitCode::Store, line))
}

fn write_tree(view: &View, tree: &Path, id: &Path) -> Result<Exported, Failure> {
    let part = tree.with_extension("part");
    if part.exists() {
        // Left by an export that was interrupted.
        std::fs::remove_dir_all(&part)
            .or_fail(ExitCode::Failure, format_args!("removing {}", part.display()))?;
    }
    let current = Cell::new(0);
    let entries = entries(view, &current);
    let mut readers: HashMap<usize, Reader<'_>> = HashMap::new();
    let mut content = |offset: u64, out: &mut [u8]| -> io::Result<()> {
        let reader = match readers.entry(current.get()) {
            Slot::Occupied(known) => known.into_mut(),
            Slot::Vacant(new) => {
                let layer = *new.key();
                new.insert(view.reader(layer).map_err(io::Error::other)?)
            }
        };
        reader.read(offset, out)
    };
    let options = ExportOptions { owners: Owners::Keep };
    let done = export(entries, &mut content, &part, &options)
        .or_fail(ExitCode::Store, format_args!("exporting to {}", part.display()))?;
    std::fs::write(id, format!("{}\n", view.id))
        .or_fail(ExitCode::Failure, format_args!("writing {}", id.display()))?;
    std::fs::rename(&part, tree).or_fail(ExitCode::Failure, format_args!("renaming {}", part.display()))?;
    Ok(done)
}

/// Entries of the whole namespace. `current` is set to the layer of each entry as it is handed out, because offsets
/// count in their own layer's stream; hard links are numbered anew, because other layers' entries stand between.
fn entries<'a>(
    view: &'a View,
    current: &'a Cell<usize>,
) -> impl Iterator<Item = Result<Entry, NamespaceError>> + 'a {
    let mut numbers: HashMap<Source, u64> = HashMap::new();
    view.namespace.walk().enumerate().map(move |(number, found)| {
        let found = found?;
        let mut entry = found.entry;
        let Some(source) = found.source else { return Ok(entry) };
        current.set(source.layer);
        match entry.kind {
            EntryKind::File { links, .. } if links > 1 => {
                numbers.insert(source, number as u64);
            }
            EntryKind::HardLink { target } => {
                let first = Source { layer: source.layer, ordinal: target };
                entry.kind = match numbers.get(&first) {
                    Some(number) => EntryKind::HardLink { target: *number },
                    // The first path is not seen here: another layer's file stands there. This path holds the data.
                    None => {
                        numbers.insert(first, number as u64);
                        first_kind(view, first)?.unwrap_or(EntryKind::HardLink { target })
                    }
                };
            }
            _ => {}
        }
        Ok(entry)
    })
}

fn first_kind(view: &View, first: Source) -> Result<Option<EntryKind>, NamespaceError> {
    let Some(layer) = view.namespace.layers().get(first.layer) else { return Ok(None) };
    let entry = layer
        .index
        .entry(first.ordinal)
        .map_err(|source| NamespaceError::Index { layer: layer.info.name.clone(), source })?;
    Ok(Some(entry.kind))
}

/// Points `DIR/current` at a tree by renaming a new link over the old one.
fn switch(dir: &Path, name: &str) -> Result<(), Failure> {
    let link = dir.join("current");
    let new = dir.join(format!(".current.{}", std::process::id()));
    let doing = format!("switching {}", link.display());
    let _ = std::fs::remove_file(&new);
    std::os::unix::fs::symlink(name, &new).or_fail(ExitCode::Failure, &doing)?;
    std::fs::rename(&new, &link).or_fail(ExitCode::Failure, &doing)?;
    // So that the link survives a power cut.
    std::fs::File::open(dir).and_then(|dir| dir.sync_all()).or_fail(ExitCode::Failure, &doing)
}
