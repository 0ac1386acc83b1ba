//! The layer's bytes: a small tree with every kind of entry, and a longer index of several pages.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use plyos_ids::Kind;
use plyos_layer_format::descriptor::{Descriptor, Service};
use plyos_layer_format::entry::{Entry, EntryKind, Xattr};
use plyos_layer_format::stream::{self, END, EPOCH};

use crate::fixed::noise;
use crate::tree::{self, Layer, Node, What};
use crate::{Again, Golden, listing};

/// The golden files of this module.
pub const GOLDEN: &[Golden] = &[
    Golden {
        name: "canonical-stream.tar",
        section: "Canonical stream",
        what: "a tree with every entry type and every reason for a pax header but its size",
        make: || Ok(small()?.stream),
        again: Again::Emit(stream_again),
    },
    Golden {
        name: "canonical-stream.listing.txt",
        section: "Canonical stream",
        what: "the same tree as GNU tar 1.34 and later lists it, written from the entries",
        make: || listing::write(&small()?.index),
        again: Again::Unread,
    },
    Golden {
        name: "header-of-8-gib.bin",
        section: "Canonical stream",
        what: "the headers of a file of 8,589,934,592 bytes, the least that stands in a pax record",
        make: || Ok(header_of_size(8_589_934_592)),
        again: Again::Unread,
    },
    Golden {
        name: "layer-index.hex",
        section: "Layer index",
        what: "the index of canonical-stream.tar with descriptor.json: three pages",
        make: || Ok(small()?.index),
        again: Again::Emit(tree::index_again),
    },
    Golden {
        name: "layer-index-pages.hex",
        section: "Layer index",
        what: "230 files, so two pages of entries (the first ended by content), and a descriptor with the required members",
        make: || Ok(paged()?.index),
        again: Again::Emit(tree::index_again),
    },
    Golden {
        name: "descriptor.json",
        section: "Descriptor",
        what: "a descriptor with every member",
        make: || Ok(descriptor()?.emit()),
        again: Again::Emit(|bytes| Ok(Descriptor::parse(bytes)?.emit())),
    },
];

/// The small layer.
pub fn small() -> Result<Layer> {
    tree::layer(small_tree(), descriptor()?)
}

/// The layer of several pages.
pub fn paged() -> Result<Layer> {
    tree::layer(many(), Descriptor::new(Kind::Site, "pages", "1", "any")?)
}

fn small_tree() -> Vec<Node> {
    let long = [b'l'; 101];
    let other = |path: &[u8], kind| Node::new(path, What::Other(kind));
    let link = |path: &[u8], target: &[u8]| other(path, EntryKind::Symlink { target: target.to_vec() });
    let hard_link = |path: &str, first: &[u8]| Node::new(path, What::HardLink(first.to_vec()));
    let xattr = |name: &str, value: &[u8]| Xattr { name: name.into(), value: value.into() };
    vec![
        Node::directory(""),
        Node::directory("bin"),
        Node { mode: 0o755, ..Node::file("bin/sh", "#!/bin/echo\n") },
        Node { mode: 0o4755, ..Node::file("bin/setuid", "x") },
        Node::directory("dev"),
        Node { mode: 0o600, ..other(b"dev/console", EntryKind::CharDevice { major: 5, minor: 1 }) },
        Node { gid: 6, ..other(b"dev/disk", EntryKind::BlockDevice { major: 259, minor: 1_048_575 }) },
        Node { mode: 0o1777, ..Node::directory("tmp") },
        other(b"tmp/pipe", EntryKind::Fifo),
        Node::file("block", [b'b'; 512]),
        Node::file("empty", ""),
        Node { uid: 2_097_151, gid: 2_097_151, ..Node::file("ids-fit", "1") },
        Node { uid: 2_097_152, gid: u32::MAX, ..Node::file("ids-in-pax", "2") },
        link(b"link", b"bin/sh"),
        link(b"link-long", &long),
        link(b"link-raw", b"\xff"),
        Node::file(long, "a path in pax"),
        Node::file([b'n'; 100], "a path that fits"),
        Node::file(b"raw-\xff\xfe", "a path that is not UTF-8"),
        Node::file("utf8-\u{e9}", "a path that is"),
        Node {
            xattrs: vec![xattr("security.capability", b"\x01\x00\n=\xff"), xattr("user.empty", b"")],
            ..Node::file("with-xattrs", "x")
        },
        Node { mode: 0o755, ..hard_link("z-sh", b"bin/sh") },
        hard_link("z-long", &long),
    ]
}

fn many() -> Vec<Node> {
    let folder = |number: usize| format!("directory-{:02}", number / 50);
    let mut nodes = vec![Node::directory("")];
    for number in 0..230 {
        if number % 50 == 0 {
            nodes.push(Node::directory(&folder(number)));
        }
        let path = format!("{}/file-{number:03}.txt", folder(number));
        // Some of 64 KiB and more, which are cut by themselves.
        let size = if number % 100 == 7 { 300_000 } else { number * 4 };
        nodes.push(Node::file(&path, noise(&path, size)));
    }
    nodes
}

/// A descriptor with every member.
pub fn descriptor() -> Result<Descriptor> {
    let words = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut said = Descriptor::new(Kind::Package, "sample", "1.2.3~rc1+b4", "amd64")?;
    said.set_abi(Some("plyos-0"))?;
    said.set_summary("Quotes \" and \\, a\ttab, \u{1}, caf\u{e9} \u{1f600}")?;
    said.set_license("Apache-2.0 OR MIT")?;
    said.set_homepage("https://example.org/sample")?;
    said.set_compatible(words(&["qemu,q35", "raspberrypi,4"]))?;
    said.set_provides(words(&["shell", "sh = 1.2"]))?;
    said.set_depends(words(&["base >= 2027.1", "libsample != 3"]))?;
    said.set_conflicts(words(&["other-sample"]))?;
    said.set_replaces(words(&["old-sample < 1"]))?;
    said.set_upgrade_from(Some("1.0"))?;
    said.set_state_versions(Some(2), Some(9_007_199_254_740_991))?;
    said.set_capabilities(words(&["net.listen", "fs.data"]))?;
    said.set_services(vec![
        Service { name: "sampled".into(), exec: "/usr/bin/sampled".into(), ..Service::default() },
        Service {
            name: "web".into(),
            exec: "/usr/bin/web".into(),
            args: words(&["--port", "80"]),
            principal: "web".into(),
            capabilities: words(&["net.listen"]),
            restart: "always".into(),
        },
    ])?;
    said.set_reads(BTreeMap::from([("store".into(), 0), ("index".into(), 5)]))?;
    said.set_extension("x-build", "42")?;
    Ok(said)
}

fn header_of_size(size: u64) -> Vec<u8> {
    let kind = EntryKind::File { size, data_offset: 0, links: 1 };
    let path = b"large".to_vec();
    stream::header(&Entry { path, kind, mode: 0o644, uid: 0, gid: 0, mtime: EPOCH, xattrs: Vec::new() }, None)
}

/// The stream written again: the headers of the entries of its index (layer-index.hex describes it), the contents from where the
/// index says that they are. Nothing reads the headers of a stream, so they are compared here.
fn stream_again(bytes: &[u8]) -> Result<Vec<u8>> {
    let entries = tree::take_apart(&small()?.index)?.entries;
    let mut out = Vec::new();
    for entry in &entries {
        let header = stream::header(entry, tree::first_path(&entries, entry));
        let found = bytes.get(out.len()..out.len() + header.len());
        ensure!(found == Some(&header[..]), "another header than the index describes at {}", out.len());
        out.extend_from_slice(&header);
        if let EntryKind::File { size, data_offset, .. } = entry.kind {
            let start = data_offset as usize;
            out.extend_from_slice(bytes.get(start..start + size as usize).context("content outside")?);
            out.resize(out.len() + stream::padding(size), 0);
        }
    }
    out.extend_from_slice(&END);
    Ok(out)
}
