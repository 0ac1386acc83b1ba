//! What a whole download weighs.

use super::{mebibytes, met, ratio_of_bytes};
use crate::ours::{Layer, Plyos, Registry, number};
use crate::report::{Section, Table};
use crate::rivals;
use crate::settings::Settings;
use anyhow::{Context, Result};
use std::path::Path;

/// Levels, and what the geometric mean over all trees may be against `zstd -3` of the same stream.
const LEVELS: [(u8, Option<f64>); 3] = [(3, None), (9, Some(1.07)), (19, Some(0.99))];

/// Blobs beside archives of the same stream, for every tree of the corpus.
pub fn measure(settings: &Settings, work: &Path) -> Result<Section> {
    let mut section = Section::new(
        "Blob sizes",
        "The whole blob of version 1, index and tables included, beside its own stream in one piece under `zstd -3`. One run each; the \
         mean is the geometric one.",
    );
    let mut headings = vec![String::new(), "stream, zstd -3".into()];
    headings.extend(LEVELS.map(|(level, _)| format!("blob, level {level}")));
    headings.extend(LEVELS.map(|(level, _)| format!("{level} ÷ zstd -3")));
    let mut table = Table::new(headings);
    let mut logarithms = [0.0_f64; LEVELS.len()];
    let names = settings.trees()?;
    for name in &names {
        eprintln!("bench: sizes of {name}");
        let plyos = Plyos::new(settings, work.join("size"))?;
        let storage = work.join("size-registry");
        let registry = Registry::start(settings, &storage)?;
        let mut archived = 0;
        let mut blobs = [0; LEVELS.len()];
        for ((level, _), blob) in LEVELS.iter().zip(&mut blobs) {
            let layer = Layer { name, version: "v1", level: Some(*level) };
            let (_, report) = plyos.push(&registry, layer)?;
            *blob = number(&report, "/bytes/blob")?;
            if archived == 0 {
                let digest = report
                    .pointer("/blob")
                    .and_then(|blob| blob.as_str())
                    .context("no digest of the blob")?;
                archived = rivals::stream_zstd(
                    &storage.join("blobs/sha256").join(digest.trim_start_matches("sha256:")),
                )?;
            }
        }
        for (logarithm, blob) in logarithms.iter_mut().zip(blobs) {
            *logarithm += (blob as f64 / archived as f64).ln();
        }
        let mut row = vec![name.clone(), mebibytes(archived)];
        row.extend(blobs.map(mebibytes));
        row.extend(blobs.map(|blob| ratio_of_bytes(blob, archived)));
        table.add(row);
    }
    let means = logarithms.map(|sum| (sum / names.len() as f64).exp());
    let mut row = vec!["**mean**".to_owned()];
    row.extend(std::iter::repeat_n(String::new(), LEVELS.len() + 1));
    row.extend(means.map(|mean| format!("{mean:.3}")));
    table.add(row);
    section.add(String::new(), table);
    let mut bars = Table::new(["", "bar", "measured", ""].map(str::to_owned).to_vec());
    for ((level, bar), mean) in LEVELS.iter().zip(means) {
        if let Some(bar) = bar {
            let what = format!("mean at level {level}");
            bars.add(vec![what, format!("≤ {bar}"), format!("{mean:.3}"), met(mean <= *bar).to_owned()]);
        }
    }
    section.add("Bars".into(), bars);
    Ok(section)
}
