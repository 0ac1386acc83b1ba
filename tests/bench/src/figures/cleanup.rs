//! Memory of a clean-up.

use super::{mebibytes, met, milliseconds};
use crate::aside;
use crate::contest::median;
use crate::process;
use crate::report::{Section, Table};
use crate::settings::Settings;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const BAR: u64 = 64 << 20;

/// `pkg clean --all` in a full store of 4 GiB.
pub fn measure(settings: &Settings, work: &Path) -> Result<Section> {
    let mut section = Section::new(
        "Clean-up of 4 GiB",
        "A full store of 4 GiB: 24 layers in 12 generations, their chunks of 60,000 bytes lying between each other so that \
         each is a run of its own, indexes of 4 MiB. `pkg clean --all` leaves the two generations in the slots. Peak \
         resident memory of the process; medians. Bar: 64 MiB.",
    );
    let headings = ["", "wall", "CPU", "peak memory", "freed", "bar"].map(str::to_owned);
    let mut table = Table::new(headings.to_vec());
    let store = work.join("cleanup.store");
    let (mut usages, mut freed, mut chunks) = (Vec::new(), 0, Value::Null);
    for _ in 0..settings.rounds {
        eprintln!("bench: cleaning up a store of 4 GiB");
        if store.exists() {
            std::fs::remove_file(&store).context("removing the last round's store")?;
        }
        chunks = aside::start("fill-full", &[store.as_os_str()])?;
        let mut command = Command::new(settings.programs.join("pkg"));
        let (usage, output) =
            process::run(command.arg("--store").arg(&store).args(["--json", "clean", "--all"]))?;
        freed = crate::ours::number(&crate::ours::document(&output)?, "/freed_bytes")?;
        usages.push(usage);
    }
    std::fs::remove_file(&store).context("removing the store")?;
    let peak = median(usages.iter().map(|usage| usage.peak).collect()).unwrap_or_default();
    table.add(vec![
        format!("pkg clean --all, {chunks} chunks"),
        milliseconds(median(usages.iter().map(|usage| usage.wall).collect()).unwrap_or_default()),
        milliseconds(median(usages.iter().map(|usage| usage.cpu).collect()).unwrap_or_default()),
        mebibytes(peak),
        mebibytes(freed),
        format!("{} {}", mebibytes(BAR), met(peak < BAR)),
    ]);
    section.add(String::new(), table);
    Ok(section)
}
