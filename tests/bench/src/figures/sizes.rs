//! What a whole download weighs.

use super::{mebibytes, ratio_of_bytes};
use crate::ours::{Layer, Plyos, Registry, number};
use crate::report::{Section, Table};
use crate::rivals;
use crate::settings::Settings;
use anyhow::Result;
use std::path::Path;

/// Blobs beside archives, for every tree of the corpus.
pub fn measure(settings: &Settings, work: &Path) -> Result<Section> {
    let mut section = Section::new(
        "Blob sizes",
        "The whole blob of version 1, index and tables included, beside archives of the same tree. One run each.",
    );
    let headings = [
        "",
        "tar",
        "tar, zstd -3",
        "tar, zstd -9",
        "blob, level 3",
        "blob, level 9",
        "3 ÷ zstd -3",
        "9 ÷ zstd -3",
    ];
    let mut table = Table::new(headings.map(str::to_owned).to_vec());
    let mut totals = [0_u64; 4];
    for name in settings.trees()? {
        eprintln!("bench: sizes of {name}");
        let tree = settings.tree(&name, "v1");
        let archive = work.join("size.tar.zst");
        let archived = |level| -> Result<u64> {
            rivals::tar_zstd(&tree, level, &archive)?;
            rivals::bytes(&archive)
        };
        let plain =
            crate::process::run(&mut crate::process::pipeline("tar -c -C \"$1\" . | wc -c", &[&tree]))?.1;
        let plain = String::from_utf8_lossy(&plain).trim().parse()?;
        let (quick, strong) = (archived(3)?, archived(9)?);
        let blob = |level| -> Result<u64> {
            let plyos = Plyos::new(settings, work.join("size"))?;
            let registry = Registry::start(settings, &work.join("size-registry"))?;
            let (_, report) =
                plyos.push(&registry, Layer { name: &name, version: "v1", level: Some(level) })?;
            number(&report, "/bytes/blob")
        };
        let (quick_blob, strong_blob) = (blob(3)?, blob(9)?);
        for (total, value) in totals.iter_mut().zip([quick, strong, quick_blob, strong_blob]) {
            *total += value;
        }
        let mut row = vec![name];
        row.extend([plain, quick, strong, quick_blob, strong_blob].map(mebibytes));
        row.extend([ratio_of_bytes(quick_blob, quick), ratio_of_bytes(strong_blob, quick)]);
        table.add(row);
    }
    let [quick, strong, quick_blob, strong_blob] = totals;
    let mut row = vec!["**all**".to_owned(), String::new()];
    row.extend([quick, strong, quick_blob, strong_blob].map(mebibytes));
    row.extend([ratio_of_bytes(quick_blob, quick), ratio_of_bytes(strong_blob, quick)]);
    table.add(row);
    section.add(String::new(), table);
    Ok(section)
}
