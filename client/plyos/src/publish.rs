//! `plyos publish`: certify pushed layers, sign them into the catalog, upload the catalog.

use crate::catalog_upload;
use crate::cli::Publish;
use crate::passphrase::Source;
use crate::remote::Remote;
use crate::repo::catalog_of;
use crate::workspace::{self, failure, key_paths};
use plyos_custody::repository::LayerTarget;
use plyos_report::{Failure, Progress, human, print_json};
use plyos_transfer::{Http, Reference};
use plyos_trust::custom::Sizes;
use serde_json::json;

/// Each layer is fetched back and checked before anything vouches for it: its index by every rule, its tar headers against that.
pub async fn run(args: &Publish, passphrases: &Source, now: u64, progress: &Progress) -> Result<(), Failure> {
    let http = Http::new()?;
    let catalog = catalog_of(&args.repo, http.clone())?;
    let mut workspace = workspace::open(&args.repo, passphrases)?;
    if !args.no_upload {
        catalog_upload::check(&workspace, &catalog).await?;
    }
    let mut targets = Vec::new();
    for place in &args.places {
        let place = Reference::parse(place)?;
        let registry = args.blobs_in_registry.then(|| format!("{}/{}", place.host, place.repository));
        let remote = Remote::fetch(http.clone(), place).await?;
        remote.agree(&remote.checked()?, progress).await?;
        targets.push(LayerTarget { registry, ..target(&remote, args)? });
    }
    let keys = key_paths(&workspace, &args.key);
    let mut names = Vec::new();
    for target in targets {
        let name = workspace
            .add_layer_by(target, &keys, now)
            .map_err(|error| failure("signing the layer", error))?;
        names.push(name.as_str().to_owned());
    }
    if args.no_upload {
        let files = workspace.publish(now).map_err(|error| failure("signing the catalog", error))?;
        if progress.json() {
            let paths: Vec<_> = files.iter().map(|file| &file.path).collect();
            print_json(&json!({"catalog": null, "targets": names, "files": paths, "bytes": 0}));
        } else {
            names.iter().for_each(|name| progress.step(&format!("signed {name}")));
            progress.step("Nothing was uploaded; `plyos export-static` writes the files for a web server.");
        }
        return Ok(());
    }
    let files = catalog_upload::sign_and_upload(&mut workspace, &catalog, now).await?;
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
        registry: None,
    })
}
