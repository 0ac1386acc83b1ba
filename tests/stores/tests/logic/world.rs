//! A store with a base, a package and a site of two versions, and a kernel's logic that boots it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;

use plyos_ids::Kind;
use plyos_kernel_logic::{Limits, NoneGood, Options, System, boot};
use plyos_layer_format::descriptor::Descriptor;
use plyos_namespace::generation::GenerationLayer;
use plyos_test_stores::maker::{As, NOW, ROOT, StoreMaker, pins};
use plyos_test_stores::means::{Lines, means};
use plyos_test_stores::memory::Memory;
use tempfile::TempDir;

/// Bytes that do not compress, the same for the same name.
pub fn noise(name: &str, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut out);
    out
}

/// Bytes that compress to about a half.
pub fn text(name: &str, len: usize) -> Vec<u8> {
    noise(name, len).iter().map(|byte| b"0123456789abcdef"[usize::from(byte & 15)]).collect()
}

pub fn write(root: &Path, path: &str, content: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// A base: small files, large ones, every kind of link, odd names, an empty directory, a set-id file.
pub fn base(root: &Path) {
    for number in 0..400 {
        write(
            root,
            &format!("usr/share/doc/{number:03}/copyright"),
            &text(&format!("doc {number}"), 50 + number * 7),
        );
    }
    write(root, "usr/lib/large.so", &text("large", 5 << 20));
    write(root, "usr/lib/noise.bin", &noise("noise", 1 << 20));
    write(root, "usr/bin/tool", &text("tool", 70_000));
    write(root, "etc/hostname", b"plyos\n");
    write(root, "etc/empty", b"");
    write(root, "opt/a name with spaces \u{e9}\n", b"odd");
    fs::create_dir_all(root.join("var/empty")).unwrap();
    fs::hard_link(root.join("usr/bin/tool"), root.join("usr/bin/tool-2")).unwrap();
    symlink("../lib/large.so", root.join("usr/bin/link")).unwrap();
    symlink("/etc/hostname", root.join("etc/name")).unwrap();
    fs::set_permissions(root.join("usr/bin/tool"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::set_permissions(root.join("var/empty"), fs::Permissions::from_mode(0o700)).unwrap();
}

pub fn descriptor(kind: Kind, name: &str, version: &str) -> Descriptor {
    Descriptor::new(kind, name, version, "any").unwrap()
}

/// A store, the trees that its layers were made of, and its layers.
pub struct World {
    pub maker: StoreMaker,
    pub trees: TempDir,
    pub base: GenerationLayer,
    pub package: GenerationLayer,
    pub site: GenerationLayer,
    pub next_site: GenerationLayer,
}

impl World {
    /// The layers, in no generation yet.
    pub fn new() -> Self {
        let trees = tempfile::tempdir().unwrap();
        let at = |name: &str| trees.path().join(name);
        fs::create_dir(at("base")).unwrap();
        base(&at("base"));
        write(&at("package"), "usr/bin/jq", &text("jq", 300_000));
        write(&at("package"), "usr/share/doc/jq/readme", b"jq\n");
        write(&at("site"), "index.html", b"<h1>one</h1>");
        write(&at("site"), "page.html", &text("page", 20_000));
        write(&at("next"), "index.html", b"<h1>two</h1>");
        write(&at("next"), "page.html", &text("page", 20_000));
        let mut maker = StoreMaker::new(12 << 20);
        let base = maker.layer(&at("base"), &descriptor(Kind::Base, "base", "1"));
        let package = maker.layer(&at("package"), &descriptor(Kind::Package, "jq", "1.7"));
        let site = maker.layer(&at("site"), &descriptor(Kind::Site, "docs", "1"));
        let next_site = maker.layer(&at("next"), &descriptor(Kind::Site, "docs", "2"));
        Self { maker, trees, base, package, site, next_site }
    }

    pub fn first(&self) -> Vec<GenerationLayer> {
        vec![self.base.clone(), self.package.clone(), self.site.clone()]
    }

    pub fn second(&self) -> Vec<GenerationLayer> {
        vec![self.base.clone(), self.package.clone(), self.next_site.clone()]
    }

    /// Generation 1 is good in slot A.
    pub fn one() -> Self {
        let mut world = Self::new();
        let layers = world.first();
        assert_eq!(world.maker.activate(&layers, As::Good), 1);
        world
    }

    /// Generation 1 is good in slot A, generation 2 in slot B and preferred.
    pub fn two() -> Self {
        let mut world = Self::one();
        let layers = world.second();
        assert_eq!(world.maker.activate(&layers, As::Good), 2);
        world
    }

    /// Generation 1 is good in slot A, generation 2 on trial in slot B.
    pub fn on_trial(tries: u8) -> Self {
        let mut world = Self::one();
        let layers = world.second();
        assert_eq!(world.maker.activate(&layers, As::Trial(tries)), 2);
        world
    }

    pub fn device(&self) -> Memory {
        self.maker.device()
    }
}

pub type Booted = (Result<System<Memory>, NoneGood>, Arc<Lines>);

/// Boots with the right roots.
pub fn start(device: Memory) -> Booted {
    start_with(device, &Options::default())
}

pub fn start_with(device: Memory, options: &Options) -> Booted {
    let (means, lines) = means();
    (boot(device, pins(&[ROOT]), means, options.clone(), NOW), lines)
}

pub fn limits(cache: u64) -> Options {
    Options { limits: Limits { cache, ..Limits::default() }, ..Options::default() }
}

/// The content of a file, read in pieces of `step` bytes.
pub fn content(system: &System<Memory>, path: &str, step: usize) -> Result<Vec<u8>, String> {
    let shown = system.shown();
    let found = shown.resolve(path.as_bytes()).map_err(|error| error.to_string())?;
    let found = found.ok_or_else(|| format!("{path} is not there"))?;
    let source = found.source.ok_or_else(|| format!("{path} is of no layer"))?;
    let mut all = Vec::new();
    let mut piece = vec![0; step];
    loop {
        let read = shown.read(source.layer, &found.entry, all.len() as u64, &mut piece);
        match read.map_err(|error| error.to_string())? {
            0 => return Ok(all),
            length => all.extend_from_slice(&piece[..length]),
        }
    }
}
