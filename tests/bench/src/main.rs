//! True figures, side by side: what `plyos` and `pkg` take in time, memory and bytes, beside `tar`, `zstd` and `casync`
//! doing the like with the same trees in the same run; and where nobody does the like, beside the bar that was set.
//!
//! Nothing is asserted: a figure is a fact of one machine and one day. The report, Markdown with the command and the
//! machine, goes to `target/bench/performance.md` and to stdout. Every contender runs as a process of its own, from a
//! state made anew and outside the measured time; the contenders of a table take turns, and medians are reported.
//!
//! | module | what |
//! | --- | --- |
//! | [`settings`] | where the corpus and the programs are, how many rounds |
//! | [`process`] | a process run to its end, with its time and memory |
//! | [`aside`] | work of the bench's own that needs memory, in processes of its own |
//! | [`contest`] | contenders taking turns, and their medians |
//! | [`rivals`] | the command lines of `tar`, `zstd`, `casync` |
//! | [`ours`] | a registry, a publisher and a target of Plyos |
//! | [`images`] | images of random bytes, for registries |
//! | [`linux_guest`] | Debian's cloud kernel in QEMU, reading the same trees from squashfs and erofs |
//! | [`servers`] | docker-registry and nginx |
//! | [`load`] | what `wrk` and `curl` measure of a server |
//! | [`store`] | stores that are made or looked into by the bench itself |
//! | [`figures`] | the tables, one module each |
//! | [`report`] | Markdown |

mod aside;
mod contest;
mod figures;
mod images;
mod linux_guest;
mod load;
mod ours;
mod process;
mod report;
mod rivals;
mod servers;
mod settings;
mod store;

use anyhow::{Context, Result};
use report::Report;
use settings::Settings;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    if let Some(work) = arguments.next() {
        return aside::run(&work, &arguments.collect::<Vec<_>>());
    }
    let settings = Settings::from_environment()?;
    let folder = settings.output.parent().context("the report's path has no folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    // Beside the report, so on a disk: a system's temporary folder may be memory.
    let work = tempfile::Builder::new()
        .prefix("work.")
        .tempdir_in(folder)
        .context("making a folder for the runs")?;
    let mut report = Report::new(&settings)?;
    for (name, measure) in figures::SECTIONS {
        if settings.is_wanted(name) {
            report.add(measure(&settings, work.path()).with_context(|| format!("measuring '{name}'"))?);
        }
    }
    let text = report.markdown();
    std::fs::write(&settings.output, &text)
        .with_context(|| format!("writing the report to {}", settings.output.display()))?;
    println!("{text}");
    eprintln!("bench: written to {}", settings.output.display());
    Ok(())
}
