//! `plyos cache`, and the options of `plyos push` that say where the frame cache is.

use crate::size_argument::parse_size;
use clap::{Args, Subcommand};
use plyos_layer_build::FrameCache;
use plyos_report::{ExitCode, Failure, OrFail, Progress, human, print_json, say};
use serde_json::json;
use std::path::PathBuf;

/// Where frames of chunks that were built before are kept.
#[derive(Debug, Args)]
pub struct CacheOptions {
    /// Folder of the frame cache; without it plyos/frames in $XDG_CACHE_HOME or ~/.cache
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Most bytes of the frame cache; K, M, G, T are binary
    #[arg(long, value_name = "SIZE", default_value = "4G", value_parser = parse_size)]
    pub cache_size: u64,
}

/// `plyos cache`
#[derive(Debug, Subcommand)]
#[command(after_help = "A frame cache may be deleted at any moment: frames that are gone are made again.")]
pub enum CacheCommand {
    /// What it holds
    Show(CacheOptions),
    /// Delete the oldest frames until it is no larger than --cache-size
    #[command(after_help = "Examples:
  plyos cache trim --cache-size 512M")]
    Trim(CacheOptions),
    /// Delete all frames
    Clear(CacheOptions),
}

impl CacheOptions {
    /// Opens the cache; none when there is no place for it. A push goes on without.
    pub fn open(&self, progress: &Progress) -> Option<FrameCache> {
        let Some(folder) = self.folder() else {
            progress.detail("no frame cache: set HOME, XDG_CACHE_HOME or --cache");
            return None;
        };
        FrameCache::open(&folder, self.cache_size)
            .inspect_err(|error| progress.detail(&format!("no frame cache in {}: {error}", folder.display())))
            .ok()
    }

    fn folder(&self) -> Option<PathBuf> {
        let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let usual = || variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
        self.cache.clone().or_else(|| Some(usual()?.join("plyos/frames")))
    }

    fn existing(&self) -> Result<PathBuf, Failure> {
        let line = "finding the frame cache: give --cache, or set HOME or XDG_CACHE_HOME";
        self.folder().ok_or_else(|| Failure::new(ExitCode::Usage, line))
    }
}

/// Looks at a cache or makes it smaller.
pub fn run(command: &CacheCommand, progress: &Progress) -> Result<(), Failure> {
    let (CacheCommand::Show(options) | CacheCommand::Trim(options) | CacheCommand::Clear(options)) = command;
    let folder = options.existing()?;
    let doing = |what: &str| format!("{what} the frame cache {}", folder.display());
    if !folder.is_dir() {
        return report(progress, &folder.display().to_string(), 0, 0);
    }
    if let CacheCommand::Clear(_) = command {
        FrameCache::clear(&folder).or_fail(ExitCode::Failure, doing("clearing"))?;
        return report(progress, &folder.display().to_string(), 0, 0);
    }
    // Looking takes nothing away: only `trim` has a limit.
    let limit = if let CacheCommand::Trim(_) = command { options.cache_size } else { u64::MAX };
    let cache = FrameCache::open(&folder, limit).or_fail(ExitCode::Failure, doing("opening"))?;
    cache.trim().or_fail(ExitCode::Failure, doing("trimming"))?;
    drop(cache);
    let cache = FrameCache::open(&folder, u64::MAX).or_fail(ExitCode::Failure, doing("opening"))?;
    let usage = cache.usage();
    report(progress, &folder.display().to_string(), usage.frames, usage.bytes)
}

fn report(progress: &Progress, folder: &str, frames: u64, bytes: u64) -> Result<(), Failure> {
    if progress.json() {
        print_json(&json!({"folder": folder, "frames": frames, "bytes": bytes}));
    } else {
        say!("{folder}: {frames} frames, {}", human(bytes));
    }
    Ok(())
}
