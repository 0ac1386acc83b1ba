//! `plyos registry gc`: the clean-up that servers also do by the clock.

use super::time;
use clap::Args;
use plyos_blobs::{Cleaned, Policy, Storage};
use plyos_report::{ExitCode, Failure, OrFail, Progress, human, print_json, say};
use serde_json::json;
use std::time::Duration;

/// `plyos registry gc`
#[derive(Debug, Args)]
#[command(
    after_help = "Servers and pushes may go on. Blobs that no manifest names, manifests that --untagged lets go, and
what uploads left behind are deleted once they are older than the grace.
Examples:
  plyos registry gc --storage ./registry --dry-run
  plyos registry gc --storage s3://bucket/registry --grace 2h --untagged 30d
  plyos --json registry gc --storage ./registry | jq .bytes"
)]
pub struct Gc {
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
    /// Leave alone what is younger: the time that clients have between a blob and its manifest
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = time)]
    grace: Duration,
    /// Delete manifests, too, that no tag, index or subject has kept for so long
    #[arg(long, value_name = "TIME", value_parser = time)]
    untagged: Option<Duration>,
    /// Operations on the storage a second; else as many as it takes
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// How long pushes of what is just being deleted wait if this is killed over it
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time, hide = true)]
    patience: Duration,
}

/// Cleans up, and says what went.
pub async fn run(args: &Gc, storage: &Storage, progress: &Progress) -> Result<(), Failure> {
    let Gc { dry_run, grace, untagged, rate, patience } = *args;
    let usual = Policy::default();
    // Sessions are left to their servers unless they are old in any case.
    let sessions = usual.sessions.max(grace);
    let policy = Policy { dry_run, grace, untagged, rate, patience, sessions, ..usual };
    let cleaned = storage.clean(&policy).await;
    let cleaned = cleaned
        .or_fail(ExitCode::Store, "cleaning up; what went until then is gone rightly, run it again")?;
    for why in &cleaned.unjudged {
        progress.warn(&format!("{why}; what it may refer to was kept: run plyos registry fsck"));
    }
    if progress.json() {
        print_json(&facts(&cleaned, dry_run));
        return Ok(());
    }
    for key in &cleaned.gone {
        progress.detail(key);
    }
    report(&cleaned, dry_run);
    Ok(())
}

fn facts(cleaned: &Cleaned, dry_run: bool) -> serde_json::Value {
    json!({
        "dryRun": dry_run,
        "sessions": cleaned.sessions,
        "manifests": cleaned.manifests,
        "links": cleaned.links,
        "blobs": cleaned.blobs,
        "pieceLists": cleaned.pieces,
        "data": cleaned.data,
        "bytes": cleaned.bytes,
        "spared": cleaned.spared,
        "leftovers": cleaned.leftovers,
        "unjudged": cleaned.unjudged,
        "gone": cleaned.gone,
    })
}

fn report(cleaned: &Cleaned, dry_run: bool) {
    let Cleaned { manifests, links, blobs, data, bytes, spared, .. } = cleaned;
    let verb = if dry_run { "would delete" } else { "deleted" };
    say!(
        "{verb} {manifests} manifests, {links} links, {blobs} blobs and {data} data objects of {}",
        human(*bytes)
    );
    if dry_run && blobs + links > 0 {
        say!("what only these refer to goes with them");
    }
    if *spared > 0 {
        say!("{spared} were just being pushed and stay");
    }
}
