//! `plyos registry fsck`: whether all that a registry keeps is whole, and who misses what is not.

use clap::Args;
use plyos_blobs::{Checked, Depth, Finding, Storage};
use plyos_report::{ExitCode, Failure, OrFail, Progress, human, print_json, say};
use serde_json::json;

/// `plyos registry fsck`
#[derive(Debug, Args)]
#[command(
    after_help = "Servers and pushes may go on. With --repair, what cannot be had is not said to be there any more,
so that pushing it again brings it back; manifests that miss something stay and are whole once it
was pushed.
Examples:
  plyos registry fsck --storage ./registry
  plyos registry fsck --storage ./registry --full --repair
  plyos --json registry fsck --storage s3://bucket/registry | jq '.findings[].neededBy'

Exit codes: 0 all is whole, 7 something is damaged or missing, or the storage failed."
)]
pub struct Fsck {
    /// Read and hash every byte, not only small blobs and manifests
    #[arg(long)]
    full: bool,
    /// Take away what leads to what cannot be had
    #[arg(long)]
    repair: bool,
}

/// Checks, and says what is not as it should be.
pub async fn run(args: &Fsck, place: &str, storage: &Storage, progress: &Progress) -> Result<(), Failure> {
    let depth = if args.full { Depth::Bytes } else { Depth::Lengths };
    let bar = progress.bytes("checking", 0);
    let tell = |bytes| {
        bar.set_length(bytes);
        bar.set_position(bytes);
    };
    let checked =
        if args.repair { storage.repair(depth, tell).await } else { storage.check(depth, tell).await };
    bar.finish_and_clear();
    let checked = checked.or_fail(ExitCode::Store, format_args!("checking the storage {place}"))?;
    if progress.json() {
        print_json(&facts(&checked));
    } else {
        checked.findings.iter().for_each(show);
        let Checked { blobs, bytes, repositories, manifests, tags, .. } = &checked;
        let line = format!(
            "{repositories} repositories, {tags} tags, {manifests} manifests, {blobs} blobs of {}",
            human(*bytes)
        );
        progress.step(&line);
    }
    let bad = checked.findings.len() as u64 + checked.more;
    if bad == 0 {
        return Ok(());
    }
    let next = if args.repair {
        "push what is named again"
    } else {
        "run it with --repair, then push what is named again"
    };
    Err(Failure::new(ExitCode::Store, format!("checking {place}: damaged or missing: {bad}; {next}")))
}

fn show(finding: &Finding) {
    let Finding { what, why, needed_by, removed } = finding;
    let removed = if *removed { " (removed)" } else { "" };
    say!("{what}: {why}{removed}");
    for by in needed_by {
        say!("  needed by {by}");
    }
}

fn facts(checked: &Checked) -> serde_json::Value {
    let finding = |finding: &Finding| {
        json!({
            "what": finding.what,
            "why": finding.why,
            "neededBy": finding.needed_by,
            "removed": finding.removed,
        })
    };
    json!({
        "repositories": checked.repositories,
        "tags": checked.tags,
        "manifests": checked.manifests,
        "blobs": checked.blobs,
        "bytes": checked.bytes,
        "findings": checked.findings.iter().map(finding).collect::<Vec<_>>(),
        "more": checked.more,
    })
}
