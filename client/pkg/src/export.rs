//! `pkg export`: the active namespace as a plain tree, behind a link that is replaced atomically.
//!
//! The tree is written to `DIR/gen-N.part`, renamed to `DIR/gen-N` when it is complete, and only then `DIR/current` is
//! renamed over, so that whoever reads `DIR/current/…` sees one whole generation or another. Files that an earlier tree has too are
//! not written again, where the file system can share them or the user lets trees share names.
//!
//! | module | what |
//! | --- | --- |
//! | `cli` | its options |
//! | `folder` | the folder with its trees |
//! | `walk` | the entries of a namespace |
//! | `earlier` | which file of an earlier tree may be taken |
//! | `ledger` | what the files of a tree were when they were written |

pub mod cli;
mod earlier;
mod folder;
mod ledger;
mod walk;

use crate::content::{Readers, View};
use crate::target::Target;
use cli::{ExportArgs, Share};
use earlier::{Beside, Known, Use};
use folder::Folder;
use plyos_layer_build::export::{ContentSource, ExportOptions, Exported, Owners, can_clone, export_beside};
use plyos_report::{ExitCode, Failure, OrFail, human, print_json};
use serde_json::{Value, json};
use std::cell::Cell;
use std::io;
use std::path::PathBuf;

/// What was written, and what was found on the way.
struct Written {
    done: Exported,
    changed: u64,
    shown: Vec<PathBuf>,
    alike: (u64, u64),
}

/// Writes the tree and switches the link.
pub fn run(target: &Target, args: &ExportArgs) -> Result<(), Failure> {
    let view = View::open(target)?;
    let folder = Folder::open(&args.dir)?;
    let tree = folder.tree(view.number);
    let is_there = tree.exists();
    if is_there {
        folder.check_identity(&view)?;
    }
    let written = if is_there && !args.verify { None } else { Some(write(&view, &folder, args)?) };
    folder.switch(view.number)?;
    let removed = args.keep.map_or(Ok(Vec::new()), |keep| folder.drop_old(view.number, keep))?;
    if target.progress.json() {
        print_json(&facts(&view, args, written.as_ref(), &removed));
        return Ok(());
    }
    match written {
        Some(written) => tell(target, &tree.display().to_string(), &written),
        None => target.progress.step(&format!("{} is there already", tree.display())),
    }
    target.progress.step(&format!("{} -> gen-{}", args.dir.join("current").display(), view.number));
    for number in removed {
        target.progress.step(&format!("Removed gen-{number}"));
    }
    Ok(())
}

fn write(view: &View, folder: &Folder<'_>, args: &ExportArgs) -> Result<Written, Failure> {
    let allowed = Use {
        links: args.share == Share::Link,
        clones: args.share != Share::None && can_clone(folder.handle()),
        compare: args.verify,
    };
    let part = folder.part(view.number);
    let layer = Cell::new(0);
    let mut beside = Beside::new(view, &layer, Known::read(folder.ledgers()?), allowed);
    let mut readers = Readers::default();
    let mut content = |offset: u64, out: &mut [u8]| -> io::Result<()> {
        let number = layer.get();
        let reader = readers.of(number, || view.reader(number)).map_err(io::Error::other)?;
        reader.read(offset, out)
    };
    let options = ExportOptions { owners: Owners::Keep };
    let done = export_beside(walk::entries(view, &layer), &mut content, &part, &options, &mut beside)
        .or_fail(ExitCode::Store, format_args!("exporting to {}", part.display()))?;
    folder.complete(view, &beside.rows)?;
    let Beside { changed, shown, alike, .. } = beside;
    Ok(Written { done, changed, shown, alike })
}

fn facts(view: &View, args: &ExportArgs, written: Option<&Written>, removed: &[u64]) -> Value {
    let of = |count: fn(&Exported) -> u64| written.map(|written| count(&written.done));
    json!({
        "generation": view.number,
        "tree": args.dir.join(format!("gen-{}", view.number)),
        "link": args.dir.join("current"),
        "entries": of(|done| done.entries),
        "files": of(|done| done.files),
        "bytes": of(|done| done.content_len),
        "linked": written.map(|written| json!({
            "files": written.done.linked.files, "bytes": written.done.linked.len,
        })),
        "cloned": written.map(|written| json!({
            "files": written.done.cloned.files, "bytes": written.done.cloned.len,
        })),
        "changed": written.map(|written| written.changed),
        "removed": removed,
    })
}

fn tell(target: &Target, tree: &str, written: &Written) {
    let Written { done, changed, shown, alike } = written;
    let mut line = format!("Wrote {} entries, {} to {tree}", done.entries, human(done.content_len));
    for (taken, how) in [(done.linked, "linked"), (done.cloned, "cloned")] {
        if taken.files > 0 {
            line.push_str(&format!("; {how} {} files, {}", taken.files, human(taken.len)));
        }
    }
    target.progress.step(&line);
    if alike.0 > 0 {
        target.progress.step(&format!(
            "{} files, {} are those of an earlier tree, and this file system cannot clone them; `--share link` makes \
             them further names of the same files (see `pkg export --help`)",
            alike.0,
            human(alike.1)
        ));
    }
    if *changed > 0 {
        let names: Vec<_> = shown.iter().map(|path| path.display().to_string()).collect();
        let more = if *changed > shown.len() as u64 { " and others" } else { "" };
        target.progress.warn(&format!(
            "{changed} exported files were changed since ({}{more}); here they are written anew",
            names.join(", ")
        ));
    }
    if done.owners_lost > 0 {
        target.progress.warn(&format!(
            "{} entries belong to you and not to their owner; run as root to keep owners",
            done.owners_lost
        ));
    }
}
