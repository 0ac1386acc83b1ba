//! A second `pkg export` beside the first.

use super::{mebibytes, milliseconds, warm_up};
use crate::contest::median;
use crate::ours::{Layer, Plyos, Registry, document, number};
use crate::process;
use crate::report::{Section, Table};
use crate::settings::Settings;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// base-min in version 1, then in version 2 a month on, written, linked, and linked with every file compared.
pub fn measure(settings: &Settings, work: &Path) -> Result<Section> {
    let mut section = Section::new(
        "Export beside an export",
        "`pkg export` of base-min in version 1 into an empty folder, then of version 2, a month on, into the same one. Everything \
         is on the disk when it ends. Disk: what the folder takes more than before. `cp -al` makes the links alone, of a whole \
         tree, which is what `ostree checkout` does of a repository of plain files; `cp -a` writes it.",
    );
    let plyos = Plyos::new(settings, work.join("beside"))?;
    let registry = Registry::start(settings, &work.join("beside-registry"))?;
    let layers = ["v1", "v2"].map(|version| Layer { name: "base-min", version, level: None });
    plyos.found_repository(&registry)?;
    for layer in layers {
        plyos.push(&registry, layer)?;
        plyos.publish(&registry, &[layer])?;
        if layer.version == "v1" {
            plyos.new_target(&registry)?;
            plyos.install(layer.name)?;
        }
    }
    plyos.update()?;
    plyos.upgrade()?;
    registry.end()?;
    let folder = work.join("beside-export");
    let ways = [
        ("first", "1", &["--share", "none"][..]),
        ("second, written", "2", &["--share", "none"]),
        ("second, linked", "2", &["--share", "link"]),
        ("second, linked, --verify", "2", &["--share", "link", "--verify"]),
    ];
    let headings =
        ["", "wall", "CPU", "peak memory", "disk", "files written", "files linked"].map(str::to_owned);
    let mut table = Table::new(headings.to_vec());
    for (name, generation, options) in ways {
        let (mut walls, mut cpus) = (Vec::new(), Vec::new());
        let mut last = (0, 0, 0, 0);
        for _ in 0..settings.rounds {
            crate::rivals::remove(&folder)?;
            show(&plyos, "1")?;
            if generation != "1" {
                process::run(plyos.pkg().arg("export").arg(&folder))?;
                show(&plyos, generation)?;
            }
            let before = disk(&folder)?;
            process::run(&mut Command::new("sync"))?;
            let mut command = plyos.pkg();
            command.args(["--json", "export"]).arg(&folder).args(options);
            let (usage, output) = process::run(&mut command)?;
            let facts = document(&output)?;
            walls.push(usage.wall);
            cpus.push(usage.cpu);
            let (files, linked) = (number(&facts, "/files")?, number(&facts, "/linked/files")?);
            last = (usage.peak, disk(&folder)?.saturating_sub(before), files, linked);
        }
        let middle = |times: Vec<Duration>| median(times).map(milliseconds).context("no rounds");
        let (peak, disk, files, linked) = last;
        table.add(vec![
            name.to_owned(),
            middle(walls)?,
            middle(cpus)?,
            mebibytes(peak),
            mebibytes(disk),
            files.to_string(),
            linked.to_string(),
        ]);
    }
    crate::rivals::remove(&folder)?;
    let tree = settings.tree("base-min", "v1");
    warm_up(&tree)?;
    for (name, option) in [("cp -al, sync", "-al"), ("cp -a, sync", "-a")] {
        let copy = work.join("copied");
        crate::rivals::remove(&copy)?;
        let line = format!("cp {option} \"$1\" \"$2\" && sync -f \"$2\"");
        process::run(&mut Command::new("sync"))?;
        let (usage, _) = process::run(&mut process::pipeline(&line, &[&tree, &copy]))?;
        let (wall, cpu) = (milliseconds(usage.wall), milliseconds(usage.cpu));
        let nothing = String::new;
        table.add(vec![name.to_owned(), wall, cpu, mebibytes(usage.peak), nothing(), nothing(), nothing()]);
        crate::rivals::remove(&copy)?;
    }
    section.add("base-min".to_owned(), table);
    Ok(section)
}

/// Makes a generation the active one, unless it is.
fn show(plyos: &Plyos<'_>, generation: &str) -> Result<()> {
    let (_, output) = process::run(plyos.pkg().args(["--json", "status"]))?;
    if number(&document(&output)?, "/active")?.to_string() == generation {
        return Ok(());
    }
    process::run(plyos.pkg().args(["rollback", generation])).map(drop)
}

/// Bytes that a folder takes on the disk.
fn disk(folder: &Path) -> Result<u64> {
    if !folder.exists() {
        return Ok(0);
    }
    let (_, output) = process::run(Command::new("du").args(["-s", "-B1"]).arg(folder))?;
    let text = String::from_utf8_lossy(&output);
    let bytes = text.split_whitespace().next().and_then(|bytes| bytes.parse().ok());
    bytes.with_context(|| format!("what du says of {}: {text}", folder.display()))
}
