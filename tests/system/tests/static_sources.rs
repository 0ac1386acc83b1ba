//! A catalog served by `plyos serve`, by a bucket and by nginx is the same to a target; and publishing it is one step.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use plyos_test_system::bucket::Bucket;
use plyos_test_system::nginx::Nginx;
use plyos_test_system::programs::{Ended, Running, built, command, run, wait_for};
use plyos_test_system::proxy::{Carried, Fault, Proxy, Rule};
use plyos_test_system::publisher::{Layer, Publisher};
use plyos_test_system::registry::Registry;
use plyos_test_system::target::Target;
use plyos_test_system::trees::{self, Tree, noise, prose};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A site of which most stays the same from one version to the next.
fn site(version: u64) -> Tree {
    (0..8)
        .fold(Tree::new(), |tree, n| tree.file(&format!("big/{n}"), noise(n, 300_000)))
        .file("index.html", prose(version, 300))
        .file("changed", noise(100 + version, 200_000))
}

/// The three ways.
struct Ways {
    registry: Registry,
    publisher: Publisher,
    bucket: Bucket,
    folder: TempDir,
    nginx: Option<Nginx>,
}

impl Ways {
    fn new() -> Self {
        let registry = Registry::start();
        let publisher = Publisher::new(&registry);
        let folder = TempDir::with_prefix("plyos-export-").unwrap();
        Self { registry, publisher, bucket: Bucket::new(), folder, nginx: None }
    }

    fn folder(&self) -> PathBuf {
        self.folder.path().join("public")
    }

    /// Exports to the folder and to the bucket; gives what was said of each.
    fn export(&self) -> [Value; 2] {
        let folder = self.folder();
        [folder.to_str().unwrap(), "s3://plyos/catalog/main"].map(|to| self.export_to(to).json())
    }

    fn export_to(&self, to: &str) -> Ended {
        let workspace = self.publisher.workspace();
        let mut plyos = command(built("plyos"), self.folder.path());
        plyos.envs(self.bucket.environment());
        run(plyos.args(["--json", "export-static", to, "--repo", workspace.to_str().unwrap()]))
    }

    fn addresses(&mut self) -> [(&'static str, String); 3] {
        let nginx = self.nginx.get_or_insert_with(|| Nginx::serve(&self.folder.path().join("public")));
        [
            ("plyos serve", self.registry.catalog()),
            ("a bucket", self.bucket.url("catalog/main")),
            ("nginx", format!("http://{}/catalog/main", nginx.address())),
        ]
    }
}

#[test]
fn a_target_lives_from_each_of_the_three() {
    let mut ways = Ways::new();
    let release = |ways: &Ways, version: u64| {
        let tree = site(version);
        let pushed = ways.publisher.push(
            &ways.registry,
            tree.path(),
            &Layer::new("site", "docs", &version.to_string()),
        );
        ways.publisher.publish(&[&pushed]);
    };
    let base = trees::base();
    let base = ways.publisher.push(&ways.registry, base.path(), &Layer::new("base", "plain", "1"));
    // A version that a URL has to escape: some servers read a plus as a space.
    let tools = Tree::new().file("usr/share/tool", "tool\n");
    let place = ways.registry.place("package/tools", "odd");
    let odd = [
        "--json",
        "push",
        tools.path().to_str().unwrap(),
        &place,
        "--kind",
        "package",
        "--name",
        "tools",
        "--version",
        "1:2+b1~3",
    ];
    ways.publisher.plyos(odd).ok();
    let workspace = ways.publisher.workspace();
    ways.publisher.plyos(["publish", "--repo", workspace.to_str().unwrap(), &base.place, &place]).ok();
    release(&ways, 1);
    ways.export();

    let targets: Vec<(&str, Target)> = ways
        .addresses()
        .into_iter()
        .map(|(name, url)| {
            let target = Target::new();
            target.trust(&url, ways.publisher.root_sha256());
            target.pkg(&["update"]).ok();
            target.pkg(&["install", "plain", "docs", "tools"]).ok();
            assert_eq!(target.installed(), ["docs 1", "plain 1", "tools 1:2+b1~3"], "{name}");
            assert_eq!(target.cat("/www/docs/index.html"), prose(1, 300), "{name}");
            assert_eq!(target.cat("/www/docs/big/3"), noise(3, 300_000), "{name}");
            (name, target)
        })
        .collect();

    release(&ways, 2);
    let [folder, bucket] = ways.export();
    for said in [&folder, &bucket] {
        // The new site's layer and config; the site's role, snapshot, timestamp and manifest.
        assert_eq!(said["blobs"]["written"], 2, "{said}");
        assert_eq!(said["files"]["written"], 4, "{said}");
        assert!(
            said["blobs"]["there"].as_u64().unwrap() >= 4 && said["files"]["there"].as_u64().unwrap() >= 6,
            "{said}"
        );
    }
    let [folder, bucket] = ways.export();
    for said in [folder, bucket] {
        assert_eq!((&said["blobs"]["written"], &said["files"]["written"]), (&json!(0), &json!(0)), "{said}");
    }
    for (name, target) in targets {
        target.pkg(&["update"]).ok();
        let said = target.json(&["upgrade"]);
        println!("{name}: {said}");
        assert_eq!(target.installed(), ["docs 2", "plain 1", "tools 1:2+b1~3"], "{name}");
        assert_eq!(target.cat("/www/docs/changed"), noise(102, 200_000), "{name}");
    }
}

/// Status and headers of an answer, and its body.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn get(folder: &Path, url: &str, headers: &[&str]) -> Self {
        let mut curl = command("curl", folder);
        curl.args(["--silent", "--include", "--http1.1"]);
        for header in headers {
            curl.args(["--header", header]);
        }
        let said = run(curl.arg(url)).ok().stdout;
        let end = said.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(said[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header =
            |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        Self { status, headers: lines.filter_map(header).collect(), body: said[end + 4..].to_vec() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[test]
fn all_three_send_the_same_headers() {
    let mut ways = Ways::new();
    let tree = site(1);
    let pushed = ways.publisher.push(&ways.registry, tree.path(), &Layer::new("site", "docs", "1"));
    let second = ways.publisher.push(&ways.registry, tree.path(), &Layer::new("site", "docs", "2"));
    // Two targets make a role long enough to be worth compressing.
    ways.publisher.publish(&[&pushed, &second]);
    ways.export();
    let workspace = ways.publisher.workspace();
    let manifest =
        fs::read_dir(workspace.join("targets/site/docs/1")).unwrap().next().unwrap().unwrap().file_name();
    let manifest = format!("targets/site/docs/1/{}", manifest.to_str().unwrap());
    let blob = format!("blobs/sha256/{}", pushed.text("blob").trim_start_matches("sha256:"));
    let here = ways.folder.path().to_owned();
    for (name, url) in ways.addresses() {
        for (path, content_type, cache_control) in [
            ("metadata/timestamp.json", "application/json", "no-cache"),
            ("metadata/1.site.json", "application/json", "max-age=31536000, immutable"),
            (manifest.as_str(), "application/vnd.oci.image.manifest.v1+json", "max-age=31536000, immutable"),
            (blob.as_str(), "application/octet-stream", "max-age=31536000, immutable"),
        ] {
            let url = format!("{url}/{path}");
            let plain = Answer::get(&here, &url, &[]);
            let what = format!("{name}: {path}: {:?}", plain.headers);
            assert_eq!(plain.status, 200, "{what}");
            assert_eq!(plain.header("content-type"), Some(content_type), "{what}");
            assert_eq!(plain.header("cache-control"), Some(cache_control), "{what}");
            assert_eq!(plain.header("content-encoding"), None, "{what}");
            let etag = plain.header("etag").unwrap_or_else(|| panic!("{what}")).to_owned();
            assert!(etag.starts_with('"'), "a strong one: {what}");
            // S3 answers conditional reads; the server of the tests does not know them.
            if name != "a bucket" {
                let same = Answer::get(&here, &url, &[&format!("If-None-Match: {etag}")]);
                assert_eq!((same.status, same.body.len()), (304, 0), "{what}");
            }
            let part = Answer::get(&here, &url, &["Range: bytes=10-19"]);
            assert_eq!((part.status, part.body.as_slice()), (206, &plain.body[10..20]), "{what}");

            // Compressed where the server can choose, with another ETag; never the layers.
            let gzip = Answer::get(&here, &url, &["Accept-Encoding: gzip"]);
            let shrinks = path.ends_with(".site.json") && name != "a bucket";
            assert_eq!(gzip.header("content-encoding").is_some(), shrinks, "{what}");
            if shrinks {
                assert!(
                    gzip.body.len() < plain.body.len() * 7 / 8 && gzip.header("etag") != Some(&etag),
                    "{what}"
                );
                assert!(
                    gzip.header("vary").is_some_and(|vary| vary.eq_ignore_ascii_case("accept-encoding")),
                    "{what}"
                );
            }
        }
    }
}

/// A publisher whose uploads go through a proxy.
fn behind(proxy: &Proxy, publisher: &Publisher) {
    let url = format!("http://{}/catalog/main", proxy.address());
    fs::write(publisher.workspace().join("catalog.json"), json!({ "url": url }).to_string()).unwrap();
}

fn start_publishing(workspace: &Path, home: &Path, place: &str) -> Running {
    Running::start(command(built("plyos"), home).args([
        "publish",
        "--repo",
        workspace.to_str().unwrap(),
        place,
    ]))
}

/// Waits until a PUT was carried that ended with `status`.
fn wait_for_put(proxy: &Proxy, status: u16) {
    let mut seen: Vec<Carried> = Vec::new();
    wait_for("the upload", || {
        seen.extend(proxy.take_carried());
        seen.iter().any(|carried| carried.method == "PUT" && carried.status == status).then_some(())
    });
}

#[test]
fn a_publisher_that_is_killed_leaves_the_old_catalog() {
    let registry = Registry::start();
    let publisher = Publisher::new(&registry);
    let (first, second) = (site(1), Tree::new().file("usr/share/tool", "tool\n"));
    let first = publisher.push(&registry, first.path(), &Layer::new("site", "docs", "1"));
    publisher.publish(&[&first]);
    let second = publisher.push(&registry, second.path(), &Layer::package("tools", "1"));
    let proxy = Proxy::to(registry.address());
    behind(&proxy, &publisher);
    let home = TempDir::new().unwrap();

    let target = Target::new();
    target.trust(&registry.catalog(), publisher.root_sha256());
    let offers = || {
        let said = target.json(&["update"]);
        said[0]["offers"].as_u64().unwrap()
    };
    let old = offers();
    // One more upload gets through each time; those of the run before count too.
    let mut killed = 0;
    for through in 0.. {
        proxy.take_carried();
        proxy.add(Rule::on("/catalog/", Fault::Silent).method("PUT").after(through));
        let mut publishing = Some(start_publishing(&publisher.workspace(), home.path(), &second.place));
        let mut seen: Vec<Carried> = Vec::new();
        let stopped = wait_for("an upload that got no answer, or the last one", || {
            seen.extend(proxy.take_carried());
            let silent = seen.iter().any(|carried| carried.method == "PUT" && carried.status == 0);
            let last = |carried: &&Carried| {
                carried.path.ends_with("timestamp.json") && (200..300).contains(&carried.status)
            };
            let done = seen.iter().filter(|carried| carried.method == "PUT").any(|carried| last(&carried));
            (silent || done).then_some(silent)
        });
        if !stopped {
            publishing.take().unwrap().end().ok();
            break;
        }
        publishing.take().unwrap().kill();
        proxy.heal();
        killed += 1;
        assert_eq!(offers(), old, "killed after {through} uploads");
    }
    proxy.heal();
    assert!(killed >= 4, "manifest, role, snapshot and timestamp at least: {killed}");
    assert_eq!(offers(), old + 1);
    assert_eq!(publisher.publish(&[])["files"], json!(["metadata/timestamp.json"]));
}

#[test]
fn of_two_publishers_at_once_one_is_told() {
    let registry = Registry::start();
    let publisher = Publisher::new(&registry);
    let (one, two) = (site(1), Tree::new().file("usr/share/tool", "tool\n"));
    let one = publisher.push(&registry, one.path(), &Layer::new("site", "docs", "1"));
    let two = publisher.push(&registry, two.path(), &Layer::package("tools", "1"));
    publisher.publish(&[]);
    let home = TempDir::new().unwrap();
    let copy = home.path().join("copy");
    let copied = run(command("cp", home.path()).arg("-a").arg(publisher.workspace()).arg(&copy));
    copied.ok();

    // The first stands still when all but its timestamp is uploaded. The second finds its names taken and steps over them.
    let proxy = Proxy::to(registry.address());
    behind(&proxy, &publisher);
    proxy.add(Rule::on("timestamp.json", Fault::Status(503)).method("PUT").times(1));
    let mut first = start_publishing(&publisher.workspace(), home.path(), &one.place);
    wait_for_put(&proxy, 503);
    first.signal("STOP");
    start_publishing(&copy, home.path(), &two.place).end().ok();
    first.signal("CONT");
    let line = first.end().refused(4);
    assert!(line.contains("another workspace has published"), "{line}");

    let target = Target::new();
    target.trust(&registry.catalog(), publisher.root_sha256());
    target.pkg(&["update"]).ok();
    target.pkg(&["install", "tools"]).ok();
    // Who lost is told again, before anything is signed; who won goes on.
    let again = start_publishing(&publisher.workspace(), home.path(), &one.place).end().refused(4);
    assert!(again.contains("another workspace has published"), "{again}");
    start_publishing(&copy, home.path(), &one.place).end().ok();
    target.pkg(&["update"]).ok();
    target.pkg(&["install", "docs"]).ok();
}

#[test]
fn an_older_export_does_not_undo_a_newer_one() {
    let ways = Ways::new();
    ways.publisher.publish(&[]);
    let older = ways.folder.path().join("older");
    run(command("cp", ways.folder.path()).arg("-a").arg(ways.publisher.workspace()).arg(&older)).ok();
    ways.publisher.publish(&[]);
    let folder = ways.folder();
    for to in [folder.to_str().unwrap(), "s3://plyos/catalog/main"] {
        ways.export_to(to).ok();
        let mut plyos = command(built("plyos"), ways.folder.path());
        plyos.envs(ways.bucket.environment()).args(["export-static", to, "--repo", older.to_str().unwrap()]);
        let line = run(&mut plyos).refused(4);
        assert!(line.contains("not older"), "{line}");
    }
    let newest = fs::read(ways.publisher.workspace().join("metadata/timestamp.json")).unwrap();
    assert_eq!(fs::read(folder.join("metadata/timestamp.json")).unwrap(), newest);
    let curl = Answer::get(
        ways.folder.path(),
        &format!("{}/metadata/timestamp.json", ways.bucket.url("catalog/main")),
        &[],
    );
    assert_eq!(curl.body, newest);
}

#[test]
fn what_is_exported_from_an_address_is_verified_first() {
    let ways = Ways::new();
    let tree = Tree::new().file("usr/share/tool", "tool\n");
    let pushed = ways.publisher.push(&ways.registry, tree.path(), &Layer::package("tools", "1"));
    ways.publisher.publish(&[&pushed]);
    let (folder, url) = (ways.folder(), ways.registry.catalog());
    let export = |root: &str| {
        let mut plyos = command(built("plyos"), ways.folder.path());
        run(plyos.args(["export-static", folder.to_str().unwrap(), "--from", &url, "--root", root]))
    };
    export(&"0".repeat(64)).refused(5);
    assert!(!folder.join("metadata").exists());
    export(ways.publisher.root_sha256()).ok();

    // A blob that is not what it is called is not exported.
    fs::remove_dir_all(&folder).unwrap();
    let blob = pushed.text("blob").to_owned();
    let _tampered = ways.registry.stored().flip(&blob, 20);
    export(ways.publisher.root_sha256()).refused(5);
    assert!(!folder.join("blobs/sha256").join(blob.trim_start_matches("sha256:")).exists());
    assert!(!folder.join("metadata/timestamp.json").exists());
}
