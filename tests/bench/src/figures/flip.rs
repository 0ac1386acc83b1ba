//! The flip: one commit that makes another generation the active one.

use super::{medians, met, milliseconds, nanoseconds, ratio};
use crate::aside;
use crate::ours::REPOSITORY;
use crate::report::{Section, Table};
use crate::settings::Settings;
use crate::store::synthetic::{self, Shape};
use crate::store::timed::TimedDevice;
use anyhow::{Context, Result};
use plyos_custody::SecretKey;
use plyos_storefile::{Access, CreateOptions, FileDevice, Store, Writer};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

const LAYERS: usize = 100;
/// Small and large layers, by their chunks.
const CHUNKS: [u64; 2] = [64, 10_000];
/// Flips in each round of `ROUNDS`: one takes a millisecond, so that many are needed for a steady median.
const FLIPS: usize = 10;
/// A file system in memory, as second judge.
const MEMORY: &str = "/dev/shm";
const BAR: Duration = Duration::from_millis(10);

/// Commits of a new generation of 100 layers, small and large ones.
pub fn measure(settings: &Settings, work: &Path) -> Result<Section> {
    let mut section = Section::new(
        "Flip",
        "One commit makes a new generation of 100 layers the active one: the store is looked at again, the generation's \
         record, the history and the directory are appended, flushed, and the superblock is replaced and flushed. Time of \
         the whole call but its two flushes, then that of the flushes; medians. Bar: under 10 ms without the flushes, \
         whatever the layers' size.",
    );
    let headings = ["", "commit without flushes", "÷ small layers", "its flushes", "bytes written", "bar"];
    let mut table = Table::new(headings.map(str::to_owned).to_vec());
    let memory = Path::new(MEMORY);
    let places = [("disk", work), ("memory", memory)];
    for (place, folder) in places.into_iter().filter(|(_, folder)| folder.is_dir()) {
        let mut small = None;
        for chunks in CHUNKS {
            eprintln!("bench: flips on {place}, {LAYERS} layers of {chunks} chunks");
            let folder = tempfile::tempdir_in(folder).context("making a folder for a store")?;
            let store = folder.path().join("store");
            let arguments = [chunks.to_string(), (settings.rounds * FLIPS).to_string()];
            let [chunks_text, count] = &arguments;
            let flips = aside::start("flips", &[store.as_os_str(), chunks_text.as_ref(), count.as_ref()])?;
            let middle = |field| medians(&flips, field);
            let (own, flushing) = (Duration::from_nanos(middle(0)?), Duration::from_nanos(middle(1)?));
            let reference = *small.get_or_insert(own);
            table.add(vec![
                format!("{place}, {LAYERS} layers of {chunks} chunks"),
                milliseconds(own),
                ratio(own.as_secs_f64(), reference.as_secs_f64()),
                milliseconds(flushing),
                middle(2)?.to_string(),
                format!("{} {}", milliseconds(BAR), met(own < BAR)),
            ]);
        }
    }
    section.add(String::new(), table);
    Ok(section)
}

/// Makes `count` flips in a new store with layers of `chunks` chunks; for each the nanoseconds of the call, of its flushes,
/// and the bytes written.
pub fn flips(path: &Path, chunks: u64, count: usize) -> Result<Value> {
    Store::create(path, &CreateOptions { size: 1 << 30, boots: false })?;
    let device = TimedDevice::new(FileDevice::open(path, Access::Write)?);
    let mut writer = Writer::on_device(device, path, Duration::ZERO)?;
    let shape = Shape { layers: LAYERS, chunks };
    let all = synthetic::fill(&mut writer, shape, &SecretKey::generate()?, REPOSITORY)?.into_parts().layers;
    let mut done = Vec::with_capacity(count);
    for _ in 0..count {
        let (flushing, written) = (writer.device().flushing(), writer.device().written());
        let begin = Instant::now();
        synthetic::activate(&mut writer, all.clone())?;
        let whole = begin.elapsed();
        let flushing = writer.device().flushing() - flushing;
        let own = whole.saturating_sub(flushing);
        done.push(json!([nanoseconds(own), nanoseconds(flushing), writer.device().written() - written]));
    }
    Ok(Value::Array(done))
}
