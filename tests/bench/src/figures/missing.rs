//! What an update moves.

use super::{mebibytes, met, ratio_of_bytes};
use crate::ours::{Layer, Plyos, Registry, number};
use crate::report::{Section, Table};
use crate::rivals;
use crate::settings::Settings;
use anyhow::Result;
use std::path::Path;

const TREES: [&str; 4] = ["base-min", "site-pydoc", "model", "pkg-openssl"];

/// Bytes fetched by `pkg upgrade` from version 1 to version 2, beside the new chunks of casync.
pub fn measure(settings: &Settings, work: &Path) -> Result<Section> {
    let mut section = Section::new(
        "Bytes missing from version 1 to version 2",
        "What `pkg upgrade` downloads when version 1 is in the store: manifest, index, frame table and missing chunks; for casync, the \
         compressed size of the chunks that version 2 adds to a store with version 1, its index apart. Level 9, and \
         casync's defaults.",
    );
    let headings = [
        "",
        "tar, zstd -3 of v2",
        "blob of v2",
        "casync: new chunks",
        "pkg upgrade: moved",
        "moved ÷ blob",
        "moved ÷ tar, zstd -3",
        "moved ÷ casync",
        "pkg upgrade: wall",
    ];
    let mut table = Table::new(headings.map(str::to_owned).to_vec());
    let mut bars = Table::new(["", "bar", "measured", ""].map(str::to_owned).to_vec());
    for name in TREES {
        eprintln!("bench: missing bytes of {name}");
        let (store, index) = (work.join("missing.castr"), work.join("missing.caidx"));
        rivals::remove(&store)?;
        rivals::casync_make(&settings.tree(name, "v1"), &store, &index)?;
        let before = rivals::bytes(&store)?;
        rivals::casync_make(&settings.tree(name, "v2"), &store, &index)?;
        let casync = rivals::bytes(&store)?.saturating_sub(before);
        let archive = work.join("missing.tar.zst");
        rivals::tar_zstd(&settings.tree(name, "v2"), 3, &archive)?;
        let archived = rivals::bytes(&archive)?;

        let plyos = Plyos::new(settings, work.join("missing"))?;
        let registry = Registry::start(settings, &work.join("missing-registry"))?;
        let old = Layer { name, version: "v1", level: None };
        let new = Layer { version: "v2", ..old };
        plyos.found_repository(&registry)?;
        plyos.push(&registry, old)?;
        plyos.publish(&registry, &[old])?;
        plyos.new_target(&registry)?;
        plyos.install(name)?;
        let (_, pushed) = plyos.push(&registry, new)?;
        plyos.publish(&registry, &[new])?;
        plyos.update()?;
        let (usage, report) = plyos.upgrade()?;
        let moved = number(&report, "/downloaded_bytes")?;
        let blob = number(&pushed, "/bytes/blob")?;
        let mut row = vec![name.to_owned()];
        row.extend([archived, blob, casync, moved].map(mebibytes));
        row.extend([blob, archived, casync].map(|reference| ratio_of_bytes(moved, reference)));
        row.push(format!("{:.2} s", usage.wall.as_secs_f64()));
        table.add(row);
        let mut bar = |what: &str, bar: f64, reference: u64| {
            let kept = moved as f64 <= bar * reference as f64;
            let row =
                [format!("{name}: moved ÷ {what}"), format!("≤ {bar}"), ratio_of_bytes(moved, reference)];
            bars.add(row.into_iter().chain([met(kept).to_owned()]).collect());
        };
        bar("blob", 1.0, blob);
        if name == "base-min" {
            bar("casync at 64 KiB, its default", 0.5, casync);
        }
    }
    section.add(String::new(), table);
    section.add("Bars".into(), bars);
    Ok(section)
}
