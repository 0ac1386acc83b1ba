//! `plyos registry`: looking after a registry's storage, beside running servers or without one.

mod fsck;
mod gc;
mod pack;

use clap::{Args, Subcommand};
use plyos_blobs::{Settings, Storage};
use plyos_report::{ExitCode, Failure, OrFail, Progress};
use std::collections::BTreeMap;
use std::time::Duration;

/// `plyos registry`
#[derive(Debug, Args)]
pub struct Registry {
    /// The registry's storage: a folder, or a bucket as s3://BUCKET/PREFIX with the usual AWS_… variables
    #[arg(long, global = true, value_name = "PLACE")]
    storage: Option<String>,
    /// An option of the bucket, as NAME=VALUE, before the variables; may be repeated
    #[arg(long, global = true, value_name = "NAME=VALUE", value_parser = option)]
    storage_option: Vec<(String, String)>,
    /// What to do
    #[command(subcommand)]
    command: RegistryCommand,
}

/// What `plyos registry` does.
#[derive(Debug, Subcommand)]
pub enum RegistryCommand {
    /// Delete what nothing refers to, while servers and pushes go on
    Gc(gc::Gc),
    /// See that every tag, manifest and blob is whole
    Fsck(fsck::Fsck),
    /// Let blobs that are here share what they have in common
    Pack(pack::Pack),
}

/// Opens the storage and does what is asked.
pub async fn run(args: &Registry, progress: &Progress) -> Result<(), Failure> {
    let line = "there is no storage to look after; give --storage FOLDER or --storage s3://BUCKET/PREFIX";
    let place = args.storage.as_deref().ok_or_else(|| Failure::new(ExitCode::Usage, line))?;
    let bucket = place.contains("://");
    if !bucket && !std::path::Path::new(place).join("layout").is_file() {
        let line = format!(
            "opening {place}: it is no registry's storage; give the folder that plyos serve has as --storage"
        );
        return Err(Failure::new(ExitCode::NotFound, line));
    }
    let options: BTreeMap<_, _> = args.storage_option.iter().cloned().collect();
    let storage = Storage::open(place, &options, &Settings::default()).await;
    let storage = storage.or_fail(ExitCode::Store, format_args!("opening the storage {place}"))?;
    match &args.command {
        RegistryCommand::Gc(args) => gc::run(args, &storage, progress).await,
        RegistryCommand::Fsck(args) => fsck::run(args, place, &storage, progress).await,
        RegistryCommand::Pack(args) => pack::run(args, &storage, progress).await,
    }
}

fn option(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Reads a time as `30s`, `15m`, `24h` or `7d`.
fn time(text: &str) -> Result<Duration, String> {
    const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86400)];
    let read = UNITS.iter().find_map(|(unit, seconds)| {
        let number = text.strip_suffix(*unit)?;
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        // No more than a century, so that it can be taken from any time.
        let seconds = number.parse::<u64>().ok().filter(|_| digits)?.checked_mul(*seconds)?;
        u32::try_from(seconds).ok()
    });
    let read = read.ok_or("write a time with its unit: s, m, h or d, as in 24h")?;
    Ok(Duration::from_secs(read.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(time("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(time("2d"), Ok(Duration::from_secs(172_800)));
        assert_eq!(time("0s"), Ok(Duration::ZERO));
        for bad in ["", "1", "h", "-1h", "+1h", "1.5h", "99999999999999999999h", "99999999h", "1w"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
