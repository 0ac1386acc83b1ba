//! `plyos push`: a directory, archive, package or image becomes a layer in a registry.

use crate::powers::{self, Allowed};
use crate::push_options::Push;
use crate::source::Input;
use crate::upload::{Shipment, Shipped};
use crate::{describe, entry_rules};
use plyos_layer_build::{BuildOptions, FrameCache, Tree};
use plyos_layer_format::descriptor::Descriptor;
use plyos_layer_format::frames::Form;
use plyos_namespace::layer::LayerInfo;
use plyos_namespace::rules;
use plyos_report::{Failure, Progress, human, percent, print_json};
use plyos_transfer::registry::Registry;
use plyos_transfer::{Http, Reference};
use serde_json::json;

/// Reads, builds and uploads the blob, then uploads config and manifest.
pub async fn run(args: &Push, progress: &Progress) -> Result<(), Failure> {
    let place = Reference::parse(&args.place)?;
    let rules = entry_rules::rules(&args.entries)?;
    let input = Input::parse(&args.source);
    let machine = plyos_plan::machine_arch(std::env::consts::ARCH);
    // Of an image for several architectures there is none for any.
    let wanted = args.description.arch.as_deref().filter(|arch| *arch != "any").unwrap_or(machine);
    let file = describe::from_file(args.description.manifest.as_deref(), input.path())?;
    let (tree, facts) = input.read(args, &rules, wanted, progress).await?;
    let descriptor = describe::descriptor(&args.description, file, &facts, machine)?;
    let allowed = Allowed { devices: args.entries.allow_devices, setuid: args.entries.allow_setuid };
    let mount_type = LayerInfo::of(&descriptor).mount.mount_type;
    powers::check(tree.entries(), descriptor.kind(), mount_type, allowed)?;
    warn_of_places(&tree, &descriptor, progress);

    let cache = if args.no_cache { None } else { args.cache.open(progress) };
    let form = if args.gzip { Form::Gzip } else { Form::Zstd };
    let options = BuildOptions { level: args.level, threads: 0, form, cache: cache.as_ref() };
    let registry = Registry::new(Http::new()?, place);
    let shipment =
        Shipment { registry: &registry, tree: &tree, descriptor: &descriptor, options: &options, progress };
    let Shipped { built, image, was_there, copied } = shipment.run().await?;
    if built.stale_pyc > 0 {
        progress.warn(&format!(
            "{} .pyc files are stale with content times; Python compiles those sources at each start (--mtime keep keeps them)",
            built.stale_pyc
        ));
    }
    let manifest = registry.push_manifest(&image.manifest).await?;

    let sent = if was_there { 0 } else { built.blob_len - copied };
    let frames = cache.as_ref().map(FrameCache::usage).unwrap_or_default();
    if progress.json() {
        print_json(&json!({
            "place": registry.place().to_string(), "layer": built.layer.to_string(), "manifest": manifest.to_string(),
            "blob": built.blob_sha256.to_string(), "entries": built.entries, "chunks": built.chunks,
            "bytes": {"content": built.content_len, "stream": built.stream_len, "blob": built.blob_len, "sent": sent,
                "index": built.index_place.stored},
            "frames": {"cached": frames.found, "made": built.chunks - frames.found.min(built.chunks)},
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
    if copied > 0 && !was_there {
        progress.step(&format!("{} sent; the registry had the rest", human(sent)));
    }
    let was = if was_there { "was there already" } else { "pushed" };
    progress.step(&format!("{was}: {} as {}", registry.place(), built.layer));
    Ok(())
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
