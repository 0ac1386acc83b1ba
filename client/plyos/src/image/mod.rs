//! `plyos image store`: a disk that the kernel boots from, made of published layers.
//!
//! `options` is the command line, `fetched` lets `pkg` bring layers from a repository into a store of its own for the time being,
//! `generations` chooses what of a store goes in, `admission` asks of each layer what the kernel will ask, `contents` puts it all
//! together for `plyos_disk_image`, and `output` writes the files.

mod admission;
mod contents;
mod fetched;
mod generations;
mod options;
mod output;
mod roots;

use clap::Subcommand;
use contents::Gathered;
use generations::Chosen;
use options::StoreImage;
use plyos_report::{ExitCode, Failure, OrFail, Progress, human, print_json};
use plyos_storefile::{Store, StoreError};
use serde_json::json;
use std::path::Path;

/// `plyos image`
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Make a disk that holds a store
    Store(Box<StoreImage>),
}

/// Makes an image.
pub fn run(command: &ImageCommand, progress: &Progress) -> Result<(), Failure> {
    let ImageCommand::Store(args) = command;
    args.check()?;
    output::must_be_free(&args.out)?;
    output::must_be_free(&args.roots_path())?;
    match (&args.from, &args.repo) {
        (Some(from), _) => make(args, &open(from)?, None, progress),
        (None, Some(url)) => {
            // Gone when this ends, however it ends.
            let fetched = fetched::fetch(args, url, progress)?;
            make(args, &open(&fetched.store())?, Some(url), progress)
        }
        (None, None) => Err(Failure::new(ExitCode::Usage, "give --from STORE, or --repo CATALOG")),
    }
}

fn open(path: &Path) -> Result<Store, Failure> {
    if !path.exists() {
        let line = format!("there is no store at {}; `pkg --store` says where one is", path.display());
        return Err(Failure::new(ExitCode::NotFound, line));
    }
    Store::open(path).map_err(|error| failure(&error))
}

fn failure(error: &StoreError) -> Failure {
    Failure::new(ExitCode::Store, error.to_string())
}

/// Makes the image from a store; `fresh` is the repository that the store was filled from for this.
fn make(args: &StoreImage, store: &Store, fresh: Option<&str>, progress: &Progress) -> Result<(), Failure> {
    let chosen = Chosen::of(args, store, fresh)?;
    let gathered = Gathered::of(args, store, &chosen)?;
    let plan = plyos_disk_image::Plan::new(&gathered.contents, args.size)
        .or_fail(ExitCode::Usage, format_args!("making {}", args.out.display()))?;
    let file_len = output::write(args, &gathered, &plan, progress)?;

    let slots = &gathered.contents.slots;
    let generations: Vec<_> = chosen.generations.iter().map(|generation| {
        let name =
            plyos_slots::SlotName::BOTH.into_iter().find(|name| slots.get(*name).number == generation.number);
        let slot = name.map(|name| (name.to_string(), slots.get(name).state.to_string()));
        let (slot, state) = slot.unwrap_or_default();
        json!({"number": generation.number, "id": generation.id().to_string(), "slot": slot, "state": state,
               "layers": generation.layers.len()})
    });
    let generations: Vec<_> = generations.collect();
    if progress.json() {
        print_json(&json!({
            "image": args.out.display().to_string(), "format": args.format.as_str(), "bytes": plan.len(), "file_bytes": file_len,
            "roots": args.roots_path().display().to_string(), "generations": generations,
            "layers": gathered.contents.layers.len(), "chunks": plan.chunk_count(), "chunk_bytes": plan.stored_bytes(),
        }));
        return Ok(());
    }
    for generation in &generations {
        let text = |name: &str| generation.get(name).map(|value| value.to_string()).unwrap_or_default();
        progress.step(&format!(
            "Generation {}: slot {}, {}, {} layers",
            text("number"),
            text("slot").trim_matches('"'),
            text("state").trim_matches('"'),
            text("layers")
        ));
    }
    progress.step(&format!(
        "{}: a disk of {} with {} chunks ({}), {}",
        args.out.display(),
        human(plan.len()),
        plan.chunk_count(),
        human(plan.stored_bytes()),
        args.format.as_str()
    ));
    progress.step(&format!("{}: whom the kernel trusts", args.roots_path().display()));
    Ok(())
}
