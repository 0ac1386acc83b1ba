//! The page for people in a real browser: Debian's Chromium, headless. `PLYOS_SCREENSHOTS` names a folder that keeps the pictures.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use plyos_test_system::programs::{command, run};
use plyos_test_system::publisher::{Layer, Publisher};
use plyos_test_system::registry::Registry;
use plyos_test_system::trees::{self, Tree, noise, prose};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What the browser must do without: a sandbox (tests may run as root), a graphics card, and talking to anybody.
const QUIET: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

struct Browser {
    folder: TempDir,
}

impl Browser {
    fn new() -> Self {
        Self { folder: TempDir::with_prefix("plyos-browser-").unwrap() }
    }

    /// Runs Chromium on a page; gives what it wrote to stdout and to stderr.
    fn open(&self, url: &str, options: &[&str]) -> (String, String) {
        let profile = tempfile::tempdir_in(self.folder.path()).unwrap();
        let mut chromium = command("chromium", self.folder.path());
        chromium.args(QUIET).arg(format!("--user-data-dir={}", profile.path().display()));
        chromium.args(["--enable-logging=stderr", "--log-level=0"]).args(options).arg(url);
        let ended = run(&mut chromium).ok();
        (ended.text(), ended.stderr)
    }

    /// The document as the browser understood it. Nothing may have been refused on the way.
    fn document(&self, url: &str) -> String {
        let (document, log) = self.open(url, &["--dump-dom"]);
        for word in ["Refused to", "Content Security Policy", "ERR_"] {
            let console = log.lines().filter(|line| line.contains("CONSOLE"));
            let said: Vec<_> = console.filter(|line| line.contains(word)).collect();
            assert!(said.is_empty(), "{url}: {said:?}");
        }
        document
    }

    /// A picture of the page, as a PNG file.
    fn picture(&self, url: &str, name: &str, options: &[&str]) -> PathBuf {
        let kept = std::env::var_os("PLYOS_SCREENSHOTS").map(PathBuf::from);
        let folder = kept.unwrap_or_else(|| self.folder.path().to_owned());
        let file = folder.join(format!("{name}.png"));
        let save = format!("--screenshot={}", file.display());
        self.open(url, &[&[save.as_str()], options].concat());
        file
    }
}

/// Width and height that a PNG file states, and its length.
fn size(file: &Path) -> (u32, u32, usize) {
    let bytes = fs::read(file).unwrap();
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    (number(16), number(20), bytes.len())
}

fn docs(version: u64) -> Tree {
    (0..6)
        .fold(Tree::new(), |tree, n| tree.file(&format!("big/{n}"), noise(n, 400_000)))
        .file("index.html", prose(version, 300))
        .file("changed", noise(100 + version, 250_000 * version as usize))
}

fn filled() -> (Registry, Publisher) {
    let registry = Registry::start();
    let publisher = Publisher::new(&registry);
    let push = |tree: &Tree, layer: &Layer| publisher.push(&registry, tree.path(), layer);
    let mut pushed = vec![push(&trees::base(), &Layer::new("base", "plain", "1"))];
    for version in 1..=4 {
        pushed.push(push(&docs(version), &Layer::new("site", "docs", &format!("1.{}", version + 7))));
    }
    let tool = |n: u64| {
        Tree::new()
            .file("usr/bin/tool", noise(50, 900_000))
            .file("usr/share/tool/data", noise(60 + n, 90_000 * n as usize))
    };
    for version in 1..=2 {
        pushed.push(push(&tool(version), &Layer::package("tool", &version.to_string())));
    }
    pushed.push(push(
        &Tree::new().file("weights.safetensors", noise(70, 3_000_000)),
        &Layer::new("model", "tiny", "1"),
    ));
    publisher.publish(&pushed.iter().collect::<Vec<_>>());
    (registry, publisher)
}

#[test]
fn a_browser_shows_the_pages() {
    let (registry, _publisher) = filled();
    let browser = Browser::new();
    let at = |path: &str| format!("http://{}{path}", registry.address());
    for (path, name, expected) in [
        ("/", "overview", &["<h1>What this registry holds</h1>", "site/docs", "Saved by sharing"][..]),
        ("/ui/repository/site/docs", "repository", &["<svg", "docs 1.11", "since 1.10"]),
        ("/ui/image/site/docs?tag=1.11", "image", &["org.opencontainers.image.title", "plyos inspect"]),
        ("/ui/compare/site/docs?from=1.8&to=1.11", "compare", &["Kept once for both", "In the same pieces"]),
        ("/ui/catalog/main", "catalog", &["1 of 1 needed", "package/tool/2/amd64"]),
        ("/ui/nothing", "missing", &["<h1>Not found</h1>"]),
    ] {
        let document = browser.document(&at(path));
        for text in expected {
            assert!(document.contains(text), "{path}: no {text} in {document}");
        }
        // A page has one main landmark, one first heading, and headings that leave no level out.
        for (what, count) in [("<main", 1), ("<h1", 1), ("<header", 1), ("<footer", 1)] {
            assert_eq!(document.matches(what).count(), count, "{path}: {what}");
        }
        assert!(!document.contains("<h3") && !document.contains("<script"), "{path}");
        let picture = browser.picture(&at(path), name, &["--window-size=1280,1100"]);
        let (width, height, bytes) = size(&picture);
        assert_eq!((width, height), (1280, 1100), "{path}");
        assert!(bytes > 8_000, "{path}: a picture of {bytes} bytes shows nothing");
    }
    let dark = browser.picture(
        &at("/"),
        "overview-dark",
        &["--window-size=1280,1100", "--force-dark-mode", "--blink-settings=preferredColorScheme=0"],
    );
    assert!(size(&dark).2 > 8_000);
    let narrow =
        browser.picture(&at("/ui/repository/site/docs"), "repository-narrow", &["--window-size=500,1000"]);
    assert!(size(&narrow).2 > 8_000);
}
