//! Each reader: from our registry, or from the blob in its storage, to an inventory.

use super::{Case, Reader, Reading, python};
use crate::debian_registry::DebianRegistry;
use crate::inventory;
use crate::programs::{command, run};
use crate::publisher::Layer;
use crate::target::Target;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// All of them, in the order of the table.
pub const READERS: &[Reader] = &[
    Reader { name: "`zstd -dc \\| tar -x`", tools: &["zstd", "tar"], needs_root: false, read: gnu_tar },
    Reader { name: "bsdtar", tools: &["bsdtar"], needs_root: false, read: bsdtar },
    Reader { name: "Python zstandard, tarfile", tools: &["python3"], needs_root: false, read: python },
    Reader {
        name: "skopeo, our registry and back",
        tools: &["skopeo", "zstd", "tar"],
        needs_root: false,
        read: skopeo,
    },
    Reader {
        name: "skopeo, docker-registry and back",
        tools: &["skopeo", "docker-registry", "zstd", "tar"],
        needs_root: false,
        read: docker_registry,
    },
    Reader { name: "buildah (vfs)", tools: &["buildah"], needs_root: true, read: buildah },
    Reader { name: "umoci (gzip form)", tools: &["skopeo", "umoci"], needs_root: true, read: umoci },
    Reader { name: "`pkg export`", tools: &[], needs_root: false, read: pkg_export },
];

/// Unpacks `blob` with zstd and GNU tar.
fn unpacked(case: &Case<'_>, blob: &Path, name: &str) -> Reading {
    let out = case.folder(name);
    // POSIX's hdrcharset, which says that a name is not UTF-8, is news to GNU tar; it takes the name all the same.
    let line = "zstd -dc \"$1\" | tar -x -p --numeric-owner --xattrs '--xattrs-include=*' --delay-directory-restore \
        --warning=no-unknown-keyword -C \"$2\"";
    let ended = case.shell(line, &[blob, &out]);
    assert_eq!(ended.stderr, "", "tar had something to say");
    entries_of(&out, &out)
}

/// The inventory of `tree`; `folder` is removed.
fn entries_of(tree: &Path, folder: &Path) -> Reading {
    let found = inventory::of(tree);
    let _ = fs::remove_dir_all(folder);
    Reading::Entries(found)
}

fn gnu_tar(case: &Case<'_>) -> Reading {
    unpacked(case, &case.blob(), "tar")
}

fn bsdtar(case: &Case<'_>) -> Reading {
    let out = case.folder("bsdtar");
    let line = "bsdtar -x -p --numeric-owner --xattrs --acls -f \"$1\" -C \"$2\"";
    case.shell(line, &[&case.blob(), &out]);
    entries_of(&out, &out)
}

fn python(case: &Case<'_>) -> Reading {
    // Debian's package is for the system's Python; another may stand before it on the path.
    let able = ["/usr/bin/python3", "python3"].into_iter().find(|python| {
        let asked = command("sh", case.work.path())
            .args(["-c", "\"$1\" -c 'import zstandard'", "sh", python])
            .status();
        asked.is_ok_and(|status| status.success())
    });
    let Some(able) = able else { return Reading::Skipped("python3-zstandard is not installed".into()) };
    let listed = case.tool(able, &["-c", python::LISTING, case.blob().to_str().unwrap()]);
    Reading::Entries(python::inventory(&listed.text()))
}

/// Copies an image into an OCI layout and gives its manifest, and the file of its layer.
fn to_layout(case: &Case<'_>, from: &str, name: &str) -> (PathBuf, Value, PathBuf) {
    let layout = case.work.path().join(name);
    let to = format!("oci:{}:it", layout.display());
    case.tool("skopeo", &["--insecure-policy", "copy", "--src-tls-verify=false", from, &to]);
    let read = |path: &Path| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let blob = |digest: &Value| layout.join("blobs").join(digest.as_str().unwrap().replace(':', "/"));
    let manifest = read(&blob(&read(&layout.join("index.json"))["manifests"][0]["digest"]));
    let layer = blob(&manifest["layers"][0]["digest"]);
    (layout.clone(), manifest, layer)
}

fn copy_through(case: &Case<'_>, place: &str, name: &str) -> Reading {
    let from = format!("docker://{}", case.pushed.place);
    let options = ["--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false"];
    case.tool("skopeo", &[&options[..], &[&from, place]].concat());
    let (layout, manifest, layer) = to_layout(case, place, name);
    assert_eq!(manifest["layers"][0]["digest"], case.pushed.text("blob"), "the layer changed on its way");
    let reading = unpacked(case, &layer, &format!("{name}-tree"));
    let _ = fs::remove_dir_all(layout);
    reading
}

fn skopeo(case: &Case<'_>) -> Reading {
    let place = format!("docker://{}", case.registry.place(&format!("copied/{}", case.name), "1"));
    copy_through(case, &place, "skopeo")
}

fn docker_registry(case: &Case<'_>) -> Reading {
    let folder = case.folder("docker-registry");
    let registry = DebianRegistry::start(&folder);
    let reading = copy_through(case, &registry.place(&case.name), "from-docker-registry");
    drop(registry);
    let _ = fs::remove_dir_all(folder);
    reading
}

fn buildah(case: &Case<'_>) -> Reading {
    let folder = case.folder("buildah");
    let (root, state) = (folder.join("root"), folder.join("state"));
    let global =
        ["--storage-driver", "vfs", "--root", root.to_str().unwrap(), "--runroot", state.to_str().unwrap()];
    let policy = folder.join("policy.json");
    fs::write(&policy, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
    let from = format!("docker://{}", case.pushed.place);
    let options =
        ["--tls-verify=false", "--isolation", "chroot", "--signature-policy", policy.to_str().unwrap()];
    case.tool("buildah", &[&global[..], &["from", "--name", "it"], &options, &[&from]].concat());
    let mounted = case.tool("buildah", &[&global[..], &["mount", "it"]].concat()).text();
    let tree = PathBuf::from(mounted.trim_end());
    let found = inventory::of(&tree);
    case.tool("buildah", &[&global[..], &["umount", "it"]].concat());
    let _ = fs::remove_dir_all(folder);
    Reading::Entries(found)
}

fn umoci(case: &Case<'_>) -> Reading {
    let layer = Layer::new(case.kind, &case.name, "1-gzip").with("--owner", "keep").flag("--gzip");
    let pushed = case.publisher.push(case.registry, &case.source, &layer);
    let (layout, _, _) = to_layout(case, &format!("docker://{}", pushed.place), "gzip");
    let bundle = case.work.path().join("bundle");
    let image = format!("{}:it", layout.display());
    case.tool("umoci", &["unpack", "--image", &image, bundle.to_str().unwrap()]);
    let _ = fs::remove_dir_all(layout);
    entries_of(&bundle.join("rootfs"), &bundle)
}

fn pkg_export(case: &Case<'_>) -> Reading {
    case.publisher.publish(&[&case.pushed]);
    let target = Target::new();
    target.trust(&case.registry.catalog(), case.publisher.root_sha256());
    target.pkg(&["update"]).ok();
    target.pkg(&["install", &format!("{}/{}", case.kind, case.name)]).ok();
    let out = target.beside("out");
    run(&mut target.command(&["export", out.to_str().unwrap()])).ok();
    let tree = out.join("current");
    let tree = if case.kind == "base" { tree } else { tree.join("www").join(&case.name) };
    // Through the link to the folder itself.
    let mut found = inventory::of(&tree.canonicalize().unwrap());
    // A namespace has these whether or not its base has.
    found.retain(|path, _| {
        case.expected.contains_key(path) || !MOUNT_POINTS.iter().any(|point| path == Path::new(point))
    });
    Reading::Entries(found)
}

/// Directories of every generation, in which layers are mounted.
const MOUNT_POINTS: [&str; 3] = ["models", "usr", "www"];
