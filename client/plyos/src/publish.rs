//! `plyos publish`: certify pushed layers, sign them into the catalog, upload the catalog.

use crate::cli::Publish;
use crate::passphrase::Source;
use crate::remote::Remote;
use crate::repo::catalog_of;
use crate::workspace::{self, failure, key_paths};
use plyos_custody::repository::{LayerTarget, PublishFile, Workspace};
use plyos_report::{ExitCode, Failure, OrFail, Progress, human, print_json};
use plyos_transfer::catalog::{Catalog, Replace};
use plyos_transfer::{Http, Reference, TransferError};
use plyos_trust::custom::Sizes;
use serde_json::json;

/// Each layer is fetched back and checked before anything vouches for it: its index by every rule, its tar headers against that.
pub async fn run(args: &Publish, passphrases: &Source, now: u64, progress: &Progress) -> Result<(), Failure> {
    let http = Http::new()?;
    let catalog = catalog_of(&args.repo, http.clone())?;
    let mut targets = Vec::new();
    for place in &args.places {
        let remote = Remote::fetch(http.clone(), Reference::parse(place)?).await?;
        remote.agree(&remote.checked()?, progress).await?;
        targets.push(target(&remote, args)?);
    }
    let mut workspace = workspace::open(&args.repo, passphrases)?;
    let keys = key_paths(&workspace, &args.key);
    let mut names = Vec::new();
    for target in targets {
        let name = workspace
            .add_layer_by(target, &keys, now)
            .map_err(|error| failure("signing the layer", error))?;
        names.push(name.as_str().to_owned());
    }
    let files = sign_and_upload(&mut workspace, &catalog, now).await?;
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    if progress.json() {
        let paths: Vec<_> = files.iter().map(|file| &file.path).collect();
        print_json(&json!({"catalog": catalog.url(), "targets": names, "files": paths, "bytes": bytes}));
    } else {
        names.iter().for_each(|name| progress.step(&format!("signed {name}")));
        progress.step(&format!("published {} files ({}) to {}", files.len(), human(bytes), catalog.url()));
    }
    Ok(())
}

/// A file that was uploaded.
#[derive(Debug)]
pub struct Uploaded {
    /// Path below the catalog's URL.
    pub path: String,
    /// Its length.
    pub bytes: u64,
}

/// Signs what differs from the offer and puts it where targets fetch it.
pub async fn sign_and_upload(
    workspace: &mut Workspace,
    catalog: &Catalog,
    now: u64,
) -> Result<Vec<Uploaded>, Failure> {
    let files = workspace.publish(now).map_err(|error| failure("signing the catalog", error))?;
    upload(catalog, &files).await?;
    workspace.mark_published(&files).or_fail(ExitCode::Failure, "noting what was uploaded")?;
    let uploaded = |file: PublishFile| Uploaded { bytes: file.bytes.len() as u64, path: file.path };
    Ok(files.into_iter().map(uploaded).collect())
}

fn target(remote: &Remote, args: &Publish) -> Result<LayerTarget, Failure> {
    let index = remote.checked()?;
    let descriptor = index.descriptor();
    Ok(LayerTarget {
        descriptor: descriptor.to_json(),
        kind: descriptor.kind(),
        name: descriptor.name().to_owned(),
        version: descriptor.version().to_owned(),
        arch: descriptor.arch().to_owned(),
        layer: remote.manifest.layer,
        manifest: remote.manifest_bytes.clone(),
        sizes: Sizes {
            blob: remote.manifest.blob_len,
            index: remote.manifest.index.stored,
            content: index.header().content_len,
        },
        channels: args.channel.clone(),
        epoch: args.epoch,
    })
}

/// Uploads in the given order, which puts what is referred to before what refers to it and `timestamp.json` last.
async fn upload(catalog: &Catalog, files: &[PublishFile]) -> Result<(), Failure> {
    for file in files {
        let replace = if file.path.ends_with("/timestamp.json") { Replace::Allowed } else { Replace::Never };
        catalog.put(&file.path, &file.bytes, replace).await.map_err(|error| match error {
            TransferError::Refused { status: 409, .. } => Failure::new(
                ExitCode::Conflict,
                format!(
                    "{error}; another workspace has published there: use the one that did, or another catalog"
                ),
            ),
            other => other.into(),
        })?;
    }
    Ok(())
}
