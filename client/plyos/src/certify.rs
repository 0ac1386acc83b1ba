//! `plyos certify`: new certificates for layers on offer. Layer, manifest and blob stay what they are.

use crate::catalog_upload::sign_and_upload;
use crate::passphrase::Source;
use crate::repo::catalog_of;
use crate::workspace::{self, failure, key_paths};
use clap::Args;
use plyos_custody::repository::Workspace;
use plyos_ids::Kind;
use plyos_report::{ExitCode, Failure, Progress, print_json};
use plyos_transfer::registry::Registry;
use plyos_transfer::{Http, Reference};
use plyos_trust::tuf::TargetName;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// `plyos certify`
#[derive(Debug, Args)]
#[command(after_help = "Without --key every layer key of the workspace signs that the keyring lets.
Examples:
  plyos certify --repo ./repo 127.0.0.1:5000/hello:1 --epoch 2
  plyos certify --repo ./repo package/hello/1/amd64 --key layer-2
  plyos certify --repo ./repo --all            # after a key was replaced")]
pub struct Certify {
    /// Layers on offer: HOST:PORT/REPO:TAG, or KIND/NAME/VERSION/ARCH
    #[arg(required_unless_present = "all")]
    layers: Vec<String>,
    /// Every layer on offer
    #[arg(long, conflicts_with = "layers")]
    all: bool,
    /// The workspace made by `plyos repo init`
    #[arg(long)]
    repo: PathBuf,
    /// Security epoch; without it each keeps its own
    #[arg(long)]
    epoch: Option<u32>,
    /// Layer key to sign with: a .key file, or its name in the workspace; may be repeated
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
}

/// Certifies and publishes.
pub async fn run(args: &Certify, passphrases: &Source, now: u64, progress: &Progress) -> Result<(), Failure> {
    let http = Http::new()?;
    let catalog = catalog_of(&args.repo, http.clone())?;
    let mut workspace = workspace::open(&args.repo, passphrases)?;
    let mut names: Vec<TargetName> = Vec::new();
    if args.all {
        names.extend(workspace.offered().keys().cloned());
    }
    for layer in &args.layers {
        names.push(target(&workspace, layer, &http).await?);
    }
    let keys = key_paths(&workspace, &args.key);
    let mut rows = Vec::new();
    for name in &names {
        let done = workspace
            .certify(name, args.epoch, &keys, now)
            .map_err(|error| failure(&format!("certifying {name}"), error))?;
        rows.push((name.as_str().to_owned(), done));
    }
    let files = sign_and_upload(&mut workspace, &catalog, now).await?;
    if progress.json() {
        let rows: Vec<_> = rows
            .iter()
            .map(|(name, done)| {
                json!({
                    "target": name, "layer": done.layer.to_string(), "epoch": done.epoch,
                    "epoch_before": done.epoch_before, "signatures": done.signatures,
                })
            })
            .collect();
        let files: Vec<_> = files.iter().map(|file| &file.path).collect();
        print_json(&json!({"certified": rows, "catalog": catalog.url(), "files": files}));
        return Ok(());
    }
    for (name, done) in &rows {
        progress.step(&format!("certified {name}: epoch {}, {} signatures", done.epoch, done.signatures));
    }
    progress.step(&format!("published {} files to {}", files.len(), catalog.url()));
    Ok(())
}

/// The target that an argument names.
async fn target(workspace: &Workspace, text: &str, http: &Http) -> Result<TargetName, Failure> {
    if let Some(name) = workspace.offered().keys().find(|name| name.as_str() == text) {
        return Ok(name.clone());
    }
    let missing = || {
        Failure::new(
            ExitCode::NotFound,
            format!("{text} is not on offer; `plyos publish` offers what was pushed"),
        )
    };
    let parts: Vec<&str> = text.split('/').collect();
    let target_name = parts.len() == 4 && parts.first().is_some_and(|kind| Kind::parse(kind).is_some());
    let Ok(place) = Reference::parse(text) else { return Err(missing()) };
    if target_name {
        return Err(missing());
    }
    let manifest = Registry::new(http.clone(), place).manifest().await?;
    let digest: [u8; 32] = Sha256::digest(&manifest).into();
    let found = workspace.offered().iter().find(|(_, file)| *file.sha256.as_bytes() == digest);
    found.map(|(name, _)| name.clone()).ok_or_else(missing)
}
