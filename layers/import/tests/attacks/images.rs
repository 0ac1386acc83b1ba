//! Attacks on images, and what layers on top of each other mean.

use std::fs;
use std::io::Write;

use plyos_layer_format::entry::EntryKind;
use plyos_layer_import::Source;
use serde_json::{Value, json};

use crate::archive::Archive;
use crate::image::{Layout, digest};
use crate::{paths, read, refused};

fn tar() -> Archive {
    Archive::new()
}

fn squashed(layers: &[Archive]) -> Vec<String> {
    let layers: Vec<Vec<u8>> = layers.iter().map(|layer| layer.clone().end()).collect();
    paths(&read(Layout::of(&layers).source(None)).unwrap())
}

#[test]
fn whiteouts_hide_lower_layers_only_wherever_they_stand() {
    let lower = tar().file("a/x", "").file("a/y", "").file("b/x", "").file("c", "").file("d/x", "");
    let upper = |before: bool| {
        let marks = |tar: Archive| {
            tar.file("a/.wh.x", "").file("b/.wh..wh..opq", "").file(".wh.c", "").file(".wh.d", "")
        };
        let files = |tar: Archive| tar.file("b/new", "").file("c", "new").file("d/new", "").file("a/new", "");
        if before { files(marks(tar())) } else { marks(files(tar())) }
    };
    for before in [true, false] {
        assert_eq!(
            squashed(&[lower.clone(), upper(before)]),
            ["", "a", "a/new", "a/y", "b", "b/new", "c", "d", "d/new"],
            "marks first: {before}"
        );
    }
    // A mark of the layer in which a file stands does not hide it; that of a later layer does.
    assert_eq!(squashed(&[tar().file("f", "").file(".wh.f", "")]), ["", "f"]);
    assert_eq!(squashed(&[tar().file("f", ""), tar().file("g", ""), tar().file(".wh.f", "")]), ["", "g"]);
    assert_eq!(squashed(&[tar().file("f", ""), tar().file(".wh.f", ""), tar().file("f", "")]), ["", "f"]);
}

#[test]
fn a_later_layer_replaces_whatever_was_there() {
    let lower = tar().file("dir/x", "").file("file", "").symlink("link", "dir");
    let upper = tar()
        .file("dir", "now a file")
        .directory("link")
        .file("link/x", "")
        .directory("file")
        .file("file/x", "");
    assert_eq!(squashed(&[lower, upper]), ["", "dir", "file", "file/x", "link", "link/x"]);
}

#[test]
fn hard_links_reach_into_lower_layers_and_names_may_begin_with_a_slash() {
    let layers = [tar().file("/f", "content").end(), tar().hard_link("./l", "/f").end()];
    let read = read(Layout::of(&layers).source(None)).unwrap();
    assert_eq!(paths(&read), ["", "f", "l"]);
    assert!(matches!(read.tree.entries()[1].kind, EntryKind::File { size: 7, links: 2, .. }));
    assert_eq!(read.facts.arch.as_deref(), Some("amd64"));
    assert_eq!(read.notes.len(), 1, "squashing is said");
}

#[test]
fn files_of_aufs_and_a_missing_end_mark_are_no_matter() {
    let layer = tar().file(".wh..wh.aufs", "").file(".wh..wh.plnk/1.2", "").file("f", "").cut();
    assert_eq!(paths(&read(Layout::of(&[layer]).source(None)).unwrap()), ["", "f"]);
}

#[test]
fn each_attack_is_refused_by_name() {
    let attacks: Vec<(&str, Vec<Archive>, &str)> = vec![
        ("layer-with-dot-dot", vec![tar().file("../x", "")], "`..`"),
        (
            "layer-with-file-below-a-lower-link",
            vec![tar().symlink("l", "/etc"), tar().file("l/passwd", "")],
            "link",
        ),
        (
            "whiteout-below-a-lower-link",
            vec![tar().symlink("l", "/etc"), tar().file("l/.wh.passwd", "")],
            "link",
        ),
        (
            "opaque-mark-below-a-lower-link",
            vec![tar().symlink("l", "/etc"), tar().file("l/.wh..wh..opq", "")],
            "link",
        ),
        ("whiteout-of-dot-dot", vec![tar().file("a/.wh...", "")], "whiteout of nothing"),
        ("whiteout-of-nothing", vec![tar().file("a/.wh.", "")], "whiteout of nothing"),
        ("whiteout-that-is-a-link", vec![tar().symlink("a/.wh.x", "/etc")], "whiteout of nothing"),
        ("whiteout-name-in-the-middle", vec![tar().file("a/.wh.b/c", "")], ".wh."),
        ("file-over-a-full-directory-of-one-layer", vec![tar().file("d/f", "").file("d", "")], "not empty"),
    ];
    for (attack, layers, expected) in attacks {
        let layers: Vec<Vec<u8>> = layers.into_iter().map(Archive::end).collect();
        refused(attack, read(Layout::of(&layers).source(None)), expected);
    }
}

#[test]
fn bytes_that_are_not_those_of_their_digest_are_refused() {
    let layer = tar().file("f", "content").end();
    let spoil = |change: &dyn Fn(&Layout, &mut Value, &mut Value)| {
        let mut layout = Layout::new();
        let image =
            layout.image(std::slice::from_ref(&layer), |manifest, config| change(&layout, manifest, config));
        layout.manifests.push(image);
        layout
    };
    let layout = spoil(&|_, _, _| {});
    fs::write(layout.path(&digest(&layer)), tar().file("f", "CONTENT").end()).unwrap();
    refused("layer-altered", read(layout.source(None)), "not those of sha256:");

    let layout = spoil(&|_, manifest, _| manifest["layers"][0]["size"] = json!(5));
    refused("layer-longer-than-stated", read(layout.source(None)), "not those of sha256:");

    let layout = spoil(&|_, _, config| config["rootfs"]["diff_ids"][0] = json!(digest(b"other")));
    refused("diff-id-of-something-else", read(layout.source(None)), "diff id");

    let layout = spoil(&|_, _, config| config["rootfs"]["diff_ids"] = json!([]));
    refused("diff-id-missing", read(layout.source(None)), "names 0 layers");

    let layout =
        spoil(&|_, manifest, _| manifest["layers"][0]["mediaType"] = json!("application/x+encrypted"));
    refused("media-type-unknown", read(layout.source(None)), "media type");

    let layout =
        spoil(&|_, manifest, _| manifest["layers"][0]["digest"] = json!("sha256:../../../etc/passwd"));
    assert!(read(layout.source(None)).is_err(), "digest-that-is-a-path");

    let layout = spoil(&|_, _, _| {});
    let digest = layout.manifests[0]["digest"].as_str().unwrap().to_owned();
    let altered = fs::read_to_string(layout.path(&digest)).unwrap().replace("schemaVersion", "schemaVersioN");
    fs::write(layout.path(&digest), altered).unwrap();
    refused("manifest-altered", read(layout.source(None)), "not those of sha256:");
}

#[test]
fn the_image_is_chosen_by_tag_and_architecture() {
    let mut layout = Layout::new();
    for (name, arch, tag) in
        [("a", "amd64", Some("one")), ("b", "arm64", Some("two")), ("c", "amd64", Some("three"))]
    {
        let mut image = layout.image(&[tar().file(name, "").end()], |_, _| {});
        image["platform"] = json!({"os": "linux", "architecture": arch});
        image["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
        layout.manifests.push(image);
    }
    assert_eq!(paths(&read(layout.source(Some("two"))).unwrap()), ["", "b"]);
    refused("no-such-tag", read(layout.source(Some("four"))), "it has one, two, three");
    refused("several-images", read(layout.source(None)), "say which: one, two, three");
    // An index in the index: the one for the architecture that was asked for.
    let inner = json!({"schemaVersion": 2, "manifests": &layout.manifests[1..]});
    let inner = layout.blob(inner.to_string().as_bytes(), "application/vnd.oci.image.index.v1+json");
    layout.manifests = vec![inner];
    assert_eq!(paths(&read(layout.source(None)).unwrap()), ["", "c"]);
}

#[test]
fn an_index_of_itself_ends() {
    // No digest can be that of itself; but indexes may lie in each other as deep as one likes.
    let mut layout = Layout::of(&[tar().file("f", "").end()]);
    for _ in 0..5 {
        let inner = json!({"schemaVersion": 2, "manifests": layout.manifests});
        layout.manifests =
            vec![layout.blob(inner.to_string().as_bytes(), "application/vnd.oci.image.index.v1+json")];
    }
    refused("indexes-in-indexes", read(layout.source(None)), "too deep");
}

#[test]
fn a_layout_in_a_tar_is_the_same() {
    let compressed = {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        out.write_all(&tar().file("f", "content").end()).unwrap();
        out.finish().unwrap()
    };
    let mut layout = Layout::new();
    let image = layout.image(&[tar().file("f", "content").end()], |manifest, _| {
        manifest["layers"][0] = layout.blob(&compressed, "application/vnd.oci.image.layer.v1.tar+gzip");
    });
    layout.manifests.push(image);
    drop(layout.source(None));
    let mut archive = tar().directory("blobs");
    for folder in ["", "blobs/sha256"] {
        for file in fs::read_dir(layout.folder().join(folder)).unwrap().map(Result::unwrap) {
            if file.path().is_file() {
                let name = format!("./{folder}/{}", file.file_name().to_str().unwrap());
                archive = archive.entry(b'0', name, &fs::read(file.path()).unwrap());
            }
        }
    }
    let read_archive = |bytes: &[u8]| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        read(Source::LayoutArchive { file, what: "input".into(), tag: None })
    };
    assert_eq!(paths(&read_archive(&archive.clone().end()).unwrap()), ["", "f"]);
    let twice = archive.clone().file("index.json", "{}").end();
    refused("index-that-stands-twice", read_archive(&twice), "twice");
    refused(
        "compressed-layout",
        read_archive(&zstd::encode_all(&archive.end()[..], 1).unwrap()),
        "decompress it",
    );
}
