//! `plyos publish`: certify pushed layers, sign them into the catalog, upload the catalog.

use crate::cli::Publish;
use crate::remote::Remote;
use crate::repo::catalog_of;
use plyos_custody::repository::{LayerTarget, PublishFile, Workspace};
use plyos_report::{ExitCode, Failure, OrFail, Progress, human, print_json};
use plyos_transfer::catalog::{Catalog, Replace};
use plyos_transfer::{Http, Reference, TransferError};
use plyos_trust::custom::Sizes;
use serde_json::json;

/// Each layer is fetched back and checked whole before anything vouches for it.
pub async fn run(args: &Publish, now: u64, progress: &Progress) -> Result<(), Failure> {
    let http = Http::new()?;
    let catalog = catalog_of(&args.repo, http.clone())?;
    let mut targets = Vec::new();
    for place in &args.places {
        let remote = Remote::fetch(http.clone(), Reference::parse(place)?).await?;
        targets.push(target(&remote, args)?);
    }
    let mut workspace = Workspace::open(&args.repo).or_fail(ExitCode::Failure, "opening the repository")?;
    let mut names = Vec::new();
    for target in targets {
        let name = workspace.add_layer(target, now).or_fail(ExitCode::Failure, "signing the layer")?;
        names.push(name.as_str().to_owned());
    }
    let files = workspace.publish(now).or_fail(ExitCode::Failure, "signing the catalog")?;
    upload(&catalog, &files).await?;
    workspace.mark_published(&files).or_fail(ExitCode::Failure, "noting what was uploaded")?;

    let bytes: u64 = files.iter().map(|file| file.bytes.len() as u64).sum();
    if progress.json() {
        let paths: Vec<_> = files.iter().map(|file| &file.path).collect();
        print_json(&json!({"catalog": catalog.url(), "targets": names, "files": paths, "bytes": bytes}));
    } else {
        names.iter().for_each(|name| progress.step(&format!("signed {name}")));
        progress.step(&format!("published {} files ({}) to {}", files.len(), human(bytes), catalog.url()));
    }
    Ok(())
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
