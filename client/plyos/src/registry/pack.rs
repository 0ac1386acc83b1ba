//! `plyos registry pack`: blobs that share content give up their own copies of it.
//!
//! A server packs what it takes in; this goes through everything that is there already, or that its queue had no room for.

use clap::Args;
use plyos_blobs::{Packer, Packing, RepositoryName, Sharing, Storage, StoreError};
use plyos_report::{ExitCode, Failure, OrFail, Progress, human, percent, print_json, say};
use serde_json::json;

/// Repositories that are asked for at a time.
const PAGE: usize = 1000;

/// `plyos registry pack`
#[derive(Debug, Args)]
#[command(
    after_help = "A server that runs on the storage may go on. What blobs do not need any more is deleted by `plyos
registry gc`.
Examples:
  plyos registry pack --storage ./registry
  plyos registry pack --storage s3://bucket/registry hello library/debian
  plyos --json registry pack --storage ./registry | jq .stored"
)]
pub struct Pack {
    /// The repositories to pack; else all
    #[arg(value_name = "REPOSITORY")]
    pub repositories: Vec<String>,
}

/// What was done with the blobs of all repositories.
#[derive(Debug, Default)]
struct Tally {
    packed: u64,
    kept: u64,
    unsuited: u64,
    misled: u64,
    saved: u64,
}

impl Tally {
    fn count(&mut self, packing: Packing) {
        match packing {
            Packing::Packed { held, holds } => {
                self.packed += 1;
                self.saved += held - holds;
            }
            Packing::Kept => self.kept += 1,
            Packing::Misled => self.misled += 1,
            Packing::Unsuited | Packing::Gone => self.unsuited += 1,
        }
    }
}

/// Packs, and says how much is shared then.
pub async fn run(args: &Pack, storage: &Storage, progress: &Progress) -> Result<(), Failure> {
    let (packer, mut tally) = (storage.packer(), Tally::default());
    let failed = |name: &RepositoryName| format!("packing the blobs of {name}; run it again");
    if args.repositories.is_empty() {
        let mut last: Option<RepositoryName> = None;
        loop {
            let after = last.as_ref().map(RepositoryName::as_str);
            let names = storage.repositories.names(after, PAGE).await;
            let names = names.or_fail(ExitCode::Store, "listing the repositories")?;
            let Some(end) = names.last() else { break };
            last = Some(end.clone());
            for name in &names {
                pack(&packer, name, &mut tally, progress).await.or_fail(ExitCode::Store, failed(name))?;
            }
        }
    }
    for name in &args.repositories {
        let name: RepositoryName =
            name.parse().or_fail(ExitCode::Usage, format!("reading the name '{name}'"))?;
        pack(&packer, &name, &mut tally, progress).await.or_fail(ExitCode::Store, failed(&name))?;
    }
    let sharing = storage.sharing().await.or_fail(ExitCode::Store, "adding up what is stored")?;
    report(&tally, &sharing, progress);
    Ok(())
}

async fn pack(
    packer: &Packer,
    name: &RepositoryName,
    tally: &mut Tally,
    progress: &Progress,
) -> Result<(), StoreError> {
    progress.step(&format!("packing {name}"));
    for digest in packer.oldest_first(name).await? {
        let packing = packer.pack(name, &digest).await?;
        match packing {
            Packing::Packed { held, holds } => {
                progress.detail(&format!("{name}@{digest}: {} became {}", human(held), human(holds)));
            }
            Packing::Misled => {
                progress
                    .warn(&format!("{name}@{digest} stays whole: a piece list of this repository is wrong"));
            }
            Packing::Gone | Packing::Unsuited | Packing::Kept => {}
        }
        tally.count(packing);
    }
    Ok(())
}

fn report(tally: &Tally, sharing: &Sharing, progress: &Progress) {
    if progress.json() {
        print_json(&json!({
            "packed": tally.packed, "kept": tally.kept, "unsuited": tally.unsuited, "misled": tally.misled,
            "saved": tally.saved, "blobs": sharing.blobs, "bytes": sharing.bytes, "stored": sharing.stored,
            "unused": sharing.unused,
        }));
        return;
    }
    say!("packed {} blobs, which saved {}", tally.packed, human(tally.saved));
    say!(
        "{} blobs of {} are stored in {} ({})",
        sharing.blobs,
        human(sharing.bytes),
        human(sharing.stored),
        percent(sharing.stored, sharing.bytes)
    );
    if sharing.unused > 0 {
        say!("{} are not needed any more; `plyos registry gc` deletes them", human(sharing.unused));
    }
}
