//! `pkg grow`: a larger store in place.

use crate::target::{Act, Target};
use plyos_blockstore::BlockDevice;
use plyos_blockstore::layout::UNIT;
use plyos_report::{ExitCode, Failure, human, print_json};
use serde_json::json;

/// `pkg grow`. Without a size, all of the device that the store lies on.
pub fn run(target: &Target, size: Option<u64>, act: Act) -> Result<(), Failure> {
    // It writes nothing by being opened, and knows what is free.
    let mut writer = target.writer()?;
    let (before, device) = (writer.superblock().store_len(), writer.device().len());
    let size = size.unwrap_or(device) / UNIT * UNIT;
    if size < before {
        let line =
            format!("the store has {} ({before} bytes) already, and a store never shrinks", human(before));
        return Err(Failure::new(ExitCode::Usage, line));
    }
    if size > before && act == Act::Now {
        writer.grow(size).map_err(|error| target.fail(&error))?;
    }
    let free = match act {
        Act::Now => writer.free_bytes(),
        Act::DryRun => writer.free_bytes().saturating_add(size - before),
    };
    if target.progress.json() {
        print_json(&json!({
            "store": target.path(), "bytes": size, "bytes_before": before, "free_bytes": free, "dry_run": act == Act::DryRun,
        }));
    } else if size == before {
        target.progress.step(&format!("Nothing to do: the store has {} already.", human(before)));
    } else {
        let (size, before, free) = (human(size), human(before), human(free));
        target.progress.step(&match act {
            Act::Now => format!("The store has {size} now (was {before}), {free} free."),
            Act::DryRun => format!("The store would have {size} (has {before}), {free} free."),
        });
    }
    Ok(())
}
