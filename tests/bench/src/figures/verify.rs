//! `pkg verify` beside the least that anybody could do: read, decompress and hash the same stored chunks.

use super::{mebibytes, medians, met, milliseconds, nanoseconds, ratio};
use crate::aside;
use crate::contest::median;
use crate::ours::{Layer, Plyos, Registry};
use crate::process;
use crate::report::{Section, Table};
use crate::settings::Settings;
use crate::store::content;
use anyhow::{Context, Result, ensure};
use plyos_ids::Codec;
use plyos_layer_format::index::Chunk;
use plyos_storefile::{Place, Store};
use serde_json::{Value, json};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const TREES: [&str; 3] = ["base-min", "model", "site-pydoc"];
/// Least part of the loop's speed.
const BAR: f64 = 0.8;

/// A store of a base image, a model and a site.
pub fn measure(settings: &Settings, work: &Path) -> Result<Section> {
    let mut section = Section::new(
        "Verify",
        "A store with base-min, model and site-pydoc. The rival is a loop in the bench that knows all places beforehand: on \
         all cores it reads each stored chunk from the same file into a buffer that it keeps, decompresses it with zstd and \
         hashes it with BLAKE3. `pkg verify` is a whole process that reads superblocks, records, maps and indexes as well. \
         Turns taken, from the page cache; medians. Bar: 0.8 of the loop's speed.",
    );
    let plyos = Plyos::new(settings, work.join("verify"))?;
    let registry = Registry::start(settings, &work.join("verify-registry"))?;
    plyos.found_repository(&registry)?;
    let layers = TREES.map(|name| Layer { name, version: "v1", level: None });
    for layer in layers {
        plyos.push(&registry, layer)?;
    }
    plyos.publish(&registry, &layers)?;
    plyos.new_target(&registry)?;
    for name in TREES {
        plyos.install(name)?;
    }
    registry.end()?;

    let (mut loops, mut ours) = (Vec::new(), Vec::new());
    for round in 1..=settings.rounds * 3 {
        loops.push(aside::start("read-all", &[plyos.store().as_os_str()])?);
        let (usage, _) = process::run(plyos.pkg().args(["--json", "verify"]))?;
        eprintln!("bench: round {round}: pkg verify: {:.2} s", usage.wall.as_secs_f64());
        ours.push(usage);
    }
    let loops = Value::Array(loops);
    let of = |times: Vec<Duration>| median(times).unwrap_or_default();
    let least = Duration::from_nanos(medians(&loops, 0)?);
    let own = of(ours.iter().map(|usage| usage.wall).collect());
    let (chunks, stored, content) = (medians(&loops, 1)?, medians(&loops, 2)?, medians(&loops, 3)?);
    let speed = |time: Duration| format!("{}/s", mebibytes((content as f64 / time.as_secs_f64()) as u64));
    let kept = least.as_secs_f64() >= BAR * own.as_secs_f64();
    let headings = ["", "wall", "content", "÷ loop's speed", "CPU", "peak memory", "bar"];
    let mut table = Table::new(headings.map(str::to_owned).to_vec());
    let name = format!("read, zstd, BLAKE3: {chunks} chunks, {} stored", mebibytes(stored));
    table.add(vec![
        name,
        milliseconds(least),
        speed(least),
        "1.00".to_owned(),
        String::new(),
        String::new(),
        String::new(),
    ]);
    table.add(vec![
        "pkg verify".to_owned(),
        milliseconds(own),
        speed(own),
        ratio(least.as_secs_f64(), own.as_secs_f64()),
        milliseconds(of(ours.iter().map(|usage| usage.cpu).collect())),
        mebibytes(median(ours.iter().map(|usage| usage.peak).collect()).unwrap_or_default()),
        format!("{BAR} {}", met(kept)),
    ]);
    section.add(String::new(), table);
    Ok(section)
}

/// [`least`] for a store; nanoseconds, chunks, their stored bytes and their content.
pub fn read_all(path: &Path) -> Result<Value> {
    let chunks: Vec<(Place, Chunk)> = content::chunks(&Store::open(path)?)?.into_values().collect();
    let time = least(&File::open(path).context("opening the store")?, &chunks)?;
    let stored: u64 = chunks.iter().map(|(place, _)| u64::from(place.length)).sum();
    let content: u64 = chunks.iter().map(|(_, chunk)| u64::from(chunk.length)).sum();
    Ok(json!([nanoseconds(time), chunks.len(), stored, content]))
}

/// Reads, decompresses and hashes every chunk on all cores; how long it took.
fn least(file: &File, chunks: &[(Place, Chunk)]) -> Result<Duration> {
    let threads = std::thread::available_parallelism()?.get();
    let next = AtomicUsize::new(0);
    let begin = Instant::now();
    let work = || -> Result<()> {
        let mut zstd = zstd::bulk::Decompressor::new()?;
        let (mut stored, mut out) = (Vec::new(), Vec::with_capacity(1 << 20));
        while let Some((place, chunk)) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
            stored.resize(place.length as usize, 0);
            file.read_exact_at(&mut stored, place.offset)?;
            let bytes = match place.codec {
                Codec::Raw => &stored,
                _ => {
                    out.clear();
                    zstd.decompress_to_buffer(&stored, &mut out)?;
                    &out
                }
            };
            ensure!(blake3::hash(bytes).as_bytes() == chunk.id.as_bytes(), "a chunk of the store is damaged");
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().try_for_each(|thread| {
            thread.join().map_err(|_| anyhow::anyhow!("a thread of the loop broke off"))?
        })
    })?;
    Ok(begin.elapsed())
}
