//! `plyos push`: a directory becomes a layer in a registry.

use crate::cli::{MtimeChoice, OwnerRule, Push};
use plyos_ids::Kind;
use plyos_layer_build::{BuildOptions, Built, Owner, ScanOptions, Tree, build, oci, scan};
use plyos_layer_format::descriptor::{Descriptor, DescriptorError};
use plyos_layer_format::index::MtimeRule;
use plyos_namespace::layer::LayerInfo;
use plyos_namespace::rules;
use plyos_report::{ExitCode, Failure, OrFail, Progress, human, percent, print_json};
use plyos_transfer::registry::{BlobSource, Registry};
use plyos_transfer::{Http, Reference};
use serde_json::json;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// Scans, builds into a temporary file, uploads blob, config and manifest.
pub async fn run(args: &Push, progress: &Progress) -> Result<(), Failure> {
    let place = Reference::parse(&args.place)?;
    let descriptor = descriptor(args)
        .map_err(|error| Failure::new(ExitCode::Usage, format!("describing the layer: {error}")))?;
    let doing = format!("reading {}", args.dir.display());
    let options = ScanOptions {
        mtime: match args.mtime {
            MtimeChoice::Content => MtimeRule::Content,
            MtimeChoice::Keep => MtimeRule::Kept,
        },
        owner: match args.owner {
            OwnerRule::Root => Owner::Root,
            OwnerRule::Keep => Owner::Keep,
        },
        exclude: args.exclude.iter().map(PathBuf::from).collect(),
    };
    let tree = scan(&args.dir, &options).or_fail(ExitCode::Failure, &doing)?;
    warn_of_places(&tree, &descriptor, progress);

    let file =
        tempfile::NamedTempFile::new().or_fail(ExitCode::Failure, "making a temporary file for the blob")?;
    let built = build_into(&file, &tree, &descriptor, args.level, progress)?;
    if built.stale_pyc > 0 {
        progress.warn(&format!(
            "{} .pyc files are stale with content times; Python compiles those sources at each start (--mtime keep keeps them)",
            built.stale_pyc
        ));
    }
    let image = oci::image(&built, &descriptor).or_fail(ExitCode::Failure, "making the manifest")?;

    let registry = Registry::new(Http::new()?, place);
    let bar = progress.bytes("uploading", built.blob_len);
    let shown = bar.clone();
    let sent = registry
        .push_blob(
            &built.blob_sha256,
            built.blob_len,
            BlobSource::File(file.path()),
            Arc::new(move |bytes| shown.inc(bytes)),
        )
        .await?;
    bar.finish_and_clear();
    let config = BlobSource::Bytes(&image.config);
    registry.push_blob(&image.config_digest, image.config.len() as u64, config, Arc::new(|_| {})).await?;
    let manifest = registry.push_manifest(&image.manifest).await?;

    if progress.json() {
        print_json(&json!({
            "place": registry.place().to_string(), "layer": built.layer.to_string(), "manifest": manifest.to_string(),
            "blob": built.blob_sha256.to_string(), "entries": built.entries, "chunks": built.chunks,
            "bytes": {"content": built.content_len, "stream": built.stream_len, "blob": built.blob_len, "sent": sent},
        }));
        return Ok(());
    }
    progress.step(&format!(
        "{}/{} {}: {} entries, {} in {} chunks, {} as blob ({})",
        descriptor.kind(),
        descriptor.name(),
        descriptor.version(),
        built.entries,
        human(built.content_len),
        built.chunks,
        human(built.blob_len),
        percent(built.blob_len, built.stream_len)
    ));
    let was = if sent == 0 { "was there already" } else { "pushed" };
    progress.step(&format!("{was}: {} as {}", registry.place(), built.layer));
    Ok(())
}

fn build_into(
    file: &tempfile::NamedTempFile,
    tree: &Tree,
    descriptor: &Descriptor,
    level: i32,
    progress: &Progress,
) -> Result<Built, Failure> {
    let bar = progress.bytes("compressing", 0);
    let mut out = BufWriter::with_capacity(1 << 20, file.as_file());
    let options = BuildOptions { level, threads: 0 };
    let built = build(tree, descriptor, &options, &mut out, &|at| {
        bar.set_length(at.stream_len);
        bar.set_position(at.stream_done);
    })
    .or_fail(ExitCode::Failure, "building the layer")?;
    out.flush().or_fail(ExitCode::Failure, "writing the blob")?;
    bar.finish_and_clear();
    Ok(built)
}

fn descriptor(args: &Push) -> Result<Descriptor, String> {
    let kind = Kind::parse(&args.kind)
        .filter(|kind| *kind != Kind::Config)
        .ok_or_else(|| format!("--kind {} is not one of base, package, model, site, kernel", args.kind))?;
    let text = |error: DescriptorError| error.to_string();
    let mut descriptor = Descriptor::new(kind, &args.name, &args.layer_version, &args.arch).map_err(text)?;
    descriptor.set_abi(args.abi.as_deref()).map_err(text)?;
    descriptor.set_summary(args.summary.as_deref().unwrap_or_default()).map_err(text)?;
    descriptor.set_license(args.license.as_deref().unwrap_or_default()).map_err(text)?;
    descriptor.set_homepage(args.homepage.as_deref().unwrap_or_default()).map_err(text)?;
    descriptor.set_depends(args.depends.clone()).map_err(text)?;
    descriptor.set_provides(args.provides.clone()).map_err(text)?;
    descriptor.set_conflicts(args.conflicts.clone()).map_err(text)?;
    descriptor.set_replaces(args.replaces.clone()).map_err(text)?;
    Ok(descriptor)
}

/// Says now what an activation would refuse later.
fn warn_of_places(tree: &Tree, descriptor: &Descriptor, progress: &Progress) {
    let mount = LayerInfo::of(descriptor).mount.mount_type;
    let outside: Vec<_> = tree
        .entries()
        .iter()
        .filter(|entry| !rules::allowed(mount, &entry.path, entry.is_directory()))
        .collect();
    if let Some(first) = outside.first() {
        progress.warn(&format!(
            "{} paths stand where a {} may not put files (first: /{}); targets will refuse to activate the layer. \
             A package's files belong below usr/ or etc/pkg/defaults/",
            outside.len(),
            descriptor.kind(),
            String::from_utf8_lossy(&first.path)
        ));
    }
}
