//! `plyos repo`: the publisher's workspace.

use crate::cli::RepoCommand;
use crate::passphrase::Source;
use plyos_custody::repository::{InitOptions, Workspace};
use plyos_report::{ExitCode, Failure, OrFail, Progress, print_json, say};
use plyos_transfer::Http;
use plyos_transfer::catalog::Catalog;
use serde_json::{Value, json};
use std::path::Path;

/// File in the workspace that says where its catalog is published.
const PLACE: &str = "catalog.json";

/// Runs one of them.
pub fn run(
    command: &RepoCommand,
    passphrases: &Source,
    now: u64,
    progress: &Progress,
) -> Result<(), Failure> {
    let RepoCommand::Init { dir, catalog, root_keys, root_threshold, encrypt } = command;
    let passphrase = encrypt.then(|| passphrases.for_new("the keys of the repository")).transpose()?;
    let (root_keys, root_threshold) = (*root_keys, *root_threshold);
    let options = InitOptions { root_keys, root_threshold, passphrase, ..InitOptions::new(now) };
    init(dir, catalog, &options, progress)
}

/// Makes a workspace.
fn init(dir: &Path, catalog: &str, options: &InitOptions, progress: &Progress) -> Result<(), Failure> {
    let catalog = Catalog::new(Http::new()?, catalog)?;
    let workspace = Workspace::init(dir, options).or_fail(ExitCode::Failure, "making the repository")?;
    let place = dir.join(PLACE);
    std::fs::write(&place, format!("{}\n", json!({"url": catalog.url()})))
        .or_fail(ExitCode::Failure, format_args!("writing {}", place.display()))?;
    let root = dir.join("metadata/1.root.json");
    let sha256 = workspace.root_sha256().or_fail(ExitCode::Failure, "reading the root")?.to_hex();
    if progress.json() {
        print_json(&json!({"workspace": dir, "catalog": catalog.url(), "root": root, "root_sha256": sha256}));
    } else {
        say!(
            "Made {} with new keys in {}; keep it off the registry.",
            dir.display(),
            dir.join("keys").display()
        );
        if options.root_keys > 1 {
            say!(
                "Give the root keys (keys/root-N.key) to their holders, and keep none here that is not yours."
            );
        }
        say!("Targets need the root:\n  {}\n  sha256 {sha256}", root.display());
        say!("Next: plyos push …, then plyos publish --repo {} PLACE…", dir.display());
    }
    Ok(())
}

/// Where the catalog of a workspace is published.
pub fn catalog_of(dir: &Path, http: Http) -> Result<Catalog, Failure> {
    let place = dir.join(PLACE);
    let doing = format!("reading {} (made by `plyos repo init`)", place.display());
    let bytes = std::fs::read(&place).or_fail(ExitCode::NotFound, &doing)?;
    let value: Value = serde_json::from_slice(&bytes).or_fail(ExitCode::Failure, &doing)?;
    let url = value
        .get("url")
        .and_then(Value::as_str)
        .ok_or_else(|| Failure::new(ExitCode::Failure, format!("{doing}: it has no 'url'")))?;
    Ok(Catalog::new(http, url)?)
}
