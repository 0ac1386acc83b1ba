//! `plyos image store`: a disk that the kernel boots from, made of published layers.
//!
//! `options` is the command line, `workshop` the folder in which all is made, `fetched` lets `pkg` bring layers from a repository into
//! a store there, `generations` chooses what of a store goes in, `needs` asks whether what is left out is missed, `admission` asks of each layer what the kernel will ask, `contents` puts it all
//! together for `plyos_disk_image`, `output` writes the files, and `report` tells what became of it.

mod admission;
mod contents;
mod fetched;
mod generations;
mod needs;
mod options;
mod output;
mod report;
mod roots;
mod workshop;

use clap::Subcommand;
use contents::Gathered;
use generations::Chosen;
use options::StoreImage;
use plyos_report::{ExitCode, Failure, OrFail, Progress};
use plyos_storefile::{Store, StoreError};
use std::path::Path;
use workshop::Workshop;

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
    let workshop = || Workshop::new(output::folder_of(&args.out));
    match (&args.from, &args.repo) {
        (Some(from), _) => make(args, &open(from)?, None, &workshop()?, progress),
        (None, Some(url)) => {
            let workshop = workshop()?;
            let store = fetched::fetch(args, url, &workshop, progress)?;
            make(args, &open(&store)?, Some(url), &workshop, progress)
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
fn make(
    args: &StoreImage,
    store: &Store,
    fresh: Option<&str>,
    workshop: &Workshop,
    progress: &Progress,
) -> Result<(), Failure> {
    let chosen = Chosen::of(args, store, fresh)?;
    let gathered = Gathered::of(args, store, &chosen)?;
    let plan = plyos_disk_image::Plan::new(&gathered.contents, args.size)
        .or_fail(ExitCode::Usage, format_args!("making {}", args.out.display()))?;
    let file_len = output::write(args, &gathered, &plan, workshop, progress)?;
    report::tell(
        &report::Made { args, chosen: &chosen, contents: &gathered.contents, plan: &plan, file_len },
        progress,
    );
    Ok(())
}
