//! `pkg grow`: a larger store in place.

use crate::target::Target;
use plyos_blockstore::BlockDevice;
use plyos_blockstore::layout::UNIT;
use plyos_report::{ExitCode, Failure, human, print_json};
use serde_json::json;

/// `pkg grow`. Without a size, all of the device that the store lies on.
pub fn run(target: &Target, size: Option<u64>) -> Result<(), Failure> {
    let mut writer = target.writer()?;
    let (before, device) = (writer.superblock().store_len(), writer.device().len());
    let size = size.unwrap_or(device) / UNIT * UNIT;
    if size < before {
        let line =
            format!("the store has {} ({before} bytes) already, and a store never shrinks", human(before));
        return Err(Failure::new(ExitCode::Usage, line));
    }
    if size > before {
        writer.grow(size).map_err(|error| target.fail(&error))?;
    }
    if target.progress.json() {
        print_json(
            &json!({"store": target.path(), "bytes": size, "bytes_before": before, "free_bytes": writer.free_bytes()}),
        );
    } else if size == before {
        target.progress.step(&format!("Nothing to do: the store has {} already.", human(before)));
    } else {
        let free = human(writer.free_bytes());
        target.progress.step(&format!(
            "The store has {} now (was {}), {free} free.",
            human(size),
            human(before)
        ));
    }
    Ok(())
}
