//! A real base, as Debian makes it: every path of it is shown as the Linux mount shows it.
//!
//! The tree is the first that is there of `base-min` of the corpus (`PLYOS_CORPUS`, `.cache/corpus`: what `make bench` uses) and the base of
//! the demo (`.cache/demo`). Where neither was made, as in CI, it is what some packages of this host have installed: thousands of real
//! paths too. On a host that is no Debian nothing is compared, and that is said.

use std::path::{Path, PathBuf};
use std::process::Command;

use plyos_test_system::publisher::Layer;
use plyos_test_system::trees::Tree;
use plyos_test_system::world::World;

use crate::same::shows_the_same;

/// Packages that every Debian has, with links, owners and modes of all kinds.
const PACKAGES: &[&str] = &[
    "apt",
    "base-files",
    "base-passwd",
    "bash",
    "coreutils",
    "debconf",
    "dpkg",
    "e2fsprogs",
    "gpgv",
    "libc-bin",
    "libc6",
    "login",
    "mount",
    "ncurses-base",
    "passwd",
    "perl-base",
    "sysvinit-utils",
    "tar",
    "tzdata",
    "util-linux",
];

/// A tree that was made for other purposes.
fn made() -> Option<PathBuf> {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache");
    let corpus = std::env::var_os("PLYOS_CORPUS").map(PathBuf::from);
    let corpora = corpus.into_iter().chain([cache.join("corpus")]).map(|corpus| corpus.join("base-min/v1"));
    corpora.chain([cache.join("demo/base")]).find(|tree| tree.join("etc/debian_version").is_file())
}

/// The files of [`PACKAGES`] as they lie on this host; `None` on one that is no Debian.
fn installed() -> Option<Tree> {
    let tree = Tree::new();
    // A package that is not installed, and a file that was removed since, are words on stderr. Where /bin leads to /usr/bin the packages
    // still say /bin, and the same of its likes.
    let copy = r##"command -v dpkg-query >/dev/null || exit 3
        merged='s#^/\(s\?bin\|lib[^/]*\)/#/usr&#'
        [ -L /bin ] || merged=
        dpkg-query -L -- $PACKAGES 2>/dev/null | sed "$merged" | sort -u >list
        tar -c --no-recursion --ignore-failed-read -T list -C / 2>/dev/null | tar -x -p -C $TREE"##;
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", copy]).env("PACKAGES", PACKAGES.join(" ")).env("TREE", tree.path());
    match command.current_dir(folder.path()).status().unwrap().code() {
        Some(0) => Some(tree),
        Some(3) => None,
        other => panic!("copying what is installed here ended with {other:?}"),
    }
}

#[test]
fn a_base_of_debian_is_shown_as_the_linux_mount_shows_it() {
    let installed = if made().is_some() { None } else { installed() };
    let Some(path) = made().or_else(|| Some(installed.as_ref()?.path().to_owned())) else {
        eprintln!("SKIPPED: there is no tree of Debian's here, and this host is none");
        return;
    };
    println!("the tree is {}", if installed.is_some() { "this host's packages" } else { "a whole base" });
    let world = World::empty();
    world.target.pkg(&["init", "--size", "512M"]).ok();
    let layer = Layer::new("base", "debian", "12").with("--level", "3");
    let pushed = world.publisher.push(&world.registry, &path, &layer);
    world.publisher.publish(&[&pushed]);
    world.target.trust(&world.catalog(), world.publisher.root_sha256());
    world.target.pkg(&["update"]).ok();
    world.target.pkg(&["install", "debian"]).ok();
    shows_the_same(&world, 2_000);
}
