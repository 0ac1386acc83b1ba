//! `plyos image store`: a disk that the kernel boots from, made of published layers.
//!
//! `options` is the command line, `fetched` lets `pkg` bring layers from a repository into a store of its own for the time being,
//! `generations` chooses what of a store goes in, `admission` asks of each layer what the kernel will ask, `contents` puts it all
//! together for `plyos_disk_image`, `output` writes the files, and `report` tells what became of it.

mod admission;
mod contents;
mod fetched;
mod generations;
mod options;
mod output;
mod report;
mod roots;

use clap::Subcommand;
use contents::Gathered;
use generations::Chosen;
use options::StoreImage;
use plyos_report::{ExitCode, Failure, OrFail, Progress};
use plyos_storefile::{Store, StoreError};
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
    report::tell(
        &report::Made { args, chosen: &chosen, contents: &gathered.contents, plan: &plan, file_len },
        progress,
    );
    Ok(())
}
