//! What `-v` says of a plan, on stderr: who needs it, where it comes from, what else there was.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use plyos_test_system::publisher::Layer;
use plyos_test_system::trees::Tree;
use plyos_test_system::world::World;

#[test]
fn a_plan_is_told_in_full() {
    let world = World::new();
    let release = |layer: Layer, path: &str| {
        world.release(&Tree::new().file(path, path), &layer);
    };
    for version in ["1.0", "1.1", "2.0"] {
        release(Layer::package("libtool", version), "usr/lib/libtool");
    }
    let foreign = if cfg!(target_arch = "x86_64") { "arm64" } else { "amd64" };
    release(Layer::package("libtool", "3.0").with("--arch", foreign), "usr/lib/libtool");
    for name in ["a", "b", "c", "d", "e"] {
        release(Layer::package(name, "1").with("--depends", "libtool < 2"), &format!("usr/share/{name}"));
    }
    world.target.pkg(&["update"]).ok();
    let said = world.target.pkg(&["-v", "install", "a", "b", "c", "d", "e", "--dry-run"]).ok();
    let lines: Vec<&str> = said.stderr.lines().collect();
    println!("{}", said.stderr);
    for line in [
        "package/libtool 1.1: needed by a, b, c, d, e",
        "package/a 1: asked for",
        "  not taken: 2.0 is newer; the request or another layer keeps it out",
        "  not taken: older: 1.0",
    ] {
        assert!(lines.contains(&line), "{line}");
    }
    assert!(lines.iter().any(|line| line.starts_with(&format!("  not taken: 3.0 is for {foreign}"))));
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("  from 'main', channel stable: ")
                && line.ends_with(&world.catalog()))
    );
    assert!(lines.iter().any(|line| line.starts_with("  layer blake3:")));
    // The plan itself is the same without, and nothing of this is on stdout.
    assert!(said.text().contains("needed by a, b, c and 2 more") && !said.text().contains("not taken"));
    assert_eq!(world.target.pkg(&["install", "a", "--dry-run"]).ok().stderr, "");
}
