//! What 200 upgrades leave of a store's order.

use super::{mebibytes, ratio};
use crate::contest::median;
use crate::ours::{Layer, Plyos, Registry};
use crate::process;
use crate::report::{Section, Table};
use crate::settings::Settings;
use crate::store::content;
use anyhow::{Context, Result};
use plyos_blockstore::layout::UNIT;
use plyos_namespace::generation::{Generation, GenerationLayer};
use plyos_storefile::{Extent, RecordType, Store};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Layers of 2 to 23 MiB, about 80 MiB together.
const TREES: [&str; 8] = [
    "pkg-openssl",
    "site-pydoc",
    "pkg-pydantic",
    "pkg-numpy",
    "site-pgdoc",
    "pkg-postgres",
    "pkg-python",
    "pkg-ruff",
];
const CYCLES: usize = 200;
/// Cycles between two rows of the table.
const EVERY: usize = 20;
/// In every so many-th cycle the layer is removed, its room cleaned up, and the other version installed anew.
const REMOVED_EVERY: usize = 7;
/// Bytes of the store: what is active, what the generation before had, and room for the largest layer.
const STORE: &str = "120M";
/// Times that everything is read in each round of `ROUNDS`.
const READS: usize = 3;
/// Bytes read at a time.
const PIECE: u64 = 1 << 20;

/// 200 cycles of upgrade and clean-up in a store that is three quarters full.
pub fn measure(settings: &Settings, work: &Path) -> Result<Section> {
    let mut section = Section::new(
        "Fragmentation over 200 upgrade cycles",
        "A store of 120 MiB with eight layers of the corpus, 2 to 23 MiB each. Each cycle brings the next of them to its \
         other version (`pkg install NAME=VERSION`) and cleans up (`pkg clean --keep 2`); by its next turn, what only its \
         other version had is gone, so its chunks come again. After 8 cycles every layer has met its other version once, whose new chunks lie apart \
         from the shared ones: what the rows after that one add comes from space that is used again. Every seventh cycle removes the layer, cleans up and installs it \
         anew. A run is a row of chunks of a layer that lie behind each other. Reading: all chunks of the active layers in \
         order, runs in pieces of at most 1 MiB, not from the page cache, medians, by the MiB, relative to the first row. \
         An install that failed for lack of room *should have fitted* when as many bytes were free as it has to fetch.",
    );
    let headings = [
        "cycles",
        "free",
        "free extents",
        "largest",
        "median",
        "runs of a layer, mean",
        "most",
        "mean run",
        "reading ÷ first",
        "failed",
        "should have fitted",
    ];
    let mut table = Table::new(headings.map(str::to_owned).to_vec());
    let plyos = Plyos::new(settings, work.join("fragmentation"))?;
    let registry = Registry::start(settings, &work.join("fragmentation-registry"))?;
    plyos.found_repository(&registry)?;
    for version in ["v1", "v2"] {
        let layers = TREES.map(|name| Layer { name, version, level: None });
        for layer in layers {
            plyos.push(&registry, layer)?;
        }
        plyos.publish(&registry, &layers)?;
    }
    process::run(plyos.pkg().args(["init", "--size", STORE]))?;
    plyos.trust(&registry)?;
    for name in TREES {
        plyos.install(&format!("{name}=v1"))?;
        clean(&plyos)?;
    }
    let mut failures = Failures::default();
    let first = reading(&plyos.store(), settings.rounds)?;
    table.add(row(0, &plyos.store(), 1.0, &failures)?);
    for cycle in 1..=CYCLES {
        let turn = cycle - 1;
        let name = TREES.get(turn % TREES.len()).copied().context("no tree")?;
        let version = if (turn / TREES.len()).is_multiple_of(2) { "v2" } else { "v1" };
        if cycle.is_multiple_of(REMOVED_EVERY) {
            process::run(plyos.pkg().args(["remove", "--yes", name]))?;
            clean(&plyos)?;
        }
        failures.install(&plyos, &format!("{name}={version}"))?;
        clean(&plyos)?;
        if cycle == TREES.len() || cycle.is_multiple_of(EVERY) {
            eprintln!("bench: {cycle} upgrade cycles");
            let time = reading(&plyos.store(), settings.rounds)? / first;
            table.add(row(cycle, &plyos.store(), time, &failures)?);
        }
    }
    process::run(plyos.pkg().arg("verify"))?;
    section.add(String::new(), table);
    Ok(section)
}

/// `pkg clean --keep 2`: the active generation and the one before stay.
fn clean(plyos: &Plyos<'_>) -> Result<()> {
    process::run(plyos.pkg().args(["clean", "--keep", "2"])).map(drop)
}

/// Installs that failed.
#[derive(Default)]
struct Failures {
    all: usize,
    /// Of these, the ones for which as many bytes were free as they have to fetch.
    unfair: usize,
}

impl Failures {
    /// Installs; a failure for lack of room is counted, any other ends the run.
    fn install(&mut self, plyos: &Plyos<'_>, what: &str) -> Result<()> {
        let Err(error) = plyos.install(what) else { return Ok(()) };
        let said = error.to_string();
        if !said.contains("nothing was downloaded") {
            return Err(error);
        }
        eprintln!("bench: {said}");
        let free: u64 = content::gaps(&Store::open(plyos.store())?)?.iter().sum();
        self.all += 1;
        self.unfair += usize::from(free >= plyos.to_fetch(what)?);
        Ok(())
    }
}

fn row(cycles: usize, store: &Path, time: f64, failures: &Failures) -> Result<Vec<String>> {
    let store = Store::open(store)?;
    let gaps = content::gaps(&store)?;
    let layers = active_runs(&store)?;
    let runs: Vec<usize> = layers.iter().map(Vec::len).collect();
    let bytes: u64 = layers.iter().flatten().map(|run| run.len).sum();
    let all: usize = runs.iter().sum();
    Ok(vec![
        cycles.to_string(),
        mebibytes(gaps.iter().sum()),
        gaps.len().to_string(),
        mebibytes(gaps.iter().copied().max().unwrap_or_default()),
        format!("{} KiB", median(gaps).unwrap_or_default() / 1024),
        ratio(all as f64, runs.len() as f64),
        runs.iter().max().copied().unwrap_or_default().to_string(),
        format!("{} KiB", bytes / 1024 / all.max(1) as u64),
        format!("{time:.2}"),
        failures.all.to_string(),
        failures.unfair.to_string(),
    ])
}

/// The runs of each layer of the active generation.
fn active_runs(store: &Store) -> Result<Vec<Vec<Extent>>> {
    let slot = store.slots().active().context("nothing is active")?;
    let bytes = store.record(RecordType::Generation, slot.generation.as_bytes())?;
    let generation = Generation::parse(&bytes.context("the active generation has no record")?)?;
    let runs = |layer: &GenerationLayer| {
        let stored = store.layer(&layer.id)?.context("a layer is missing")?;
        Ok(content::runs(stored.places()))
    };
    generation.layers.iter().map(runs).collect()
}

/// Seconds that reading a MiB of the active layers takes, when nothing of the store is in the page cache.
fn reading(path: &Path, rounds: usize) -> Result<f64> {
    let store = Store::open(path)?;
    let runs = active_runs(&store)?.concat();
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    process::run(&mut Command::new("sync"))?;
    let mut piece = vec![0; PIECE as usize];
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..rounds * READS {
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)
            .context("dropping the page cache")?;
        let begin = Instant::now();
        for run in &runs {
            let mut done = 0;
            while done < run.len {
                let count = (run.len - done).min(PIECE);
                file.read_exact_at(piece.get_mut(..count as usize).unwrap_or_default(), run.offset + done)?;
                done += count;
            }
        }
        times.push(begin.elapsed());
    }
    let bytes: u64 = runs.iter().map(|run| run.len).sum();
    Ok(median(times).unwrap_or_default().as_secs_f64() / (bytes.max(UNIT) as f64 / 1_048_576.0))
}
