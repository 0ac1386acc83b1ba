//! How many machines run at once on this host, over all test programs: files in the temporary folder, one to be locked by each.

use std::fs::File;

use plyos_test_system::programs::LOOK;

/// Most machines: as many as the project's own hosts have processors.
pub const MOST: u32 = 2;

/// Waits for a turn, which lasts as long as the file is open. A test has one machine at a time, or tests could wait for each
/// other for ever.
pub fn take() -> File {
    let path = |number| std::env::temp_dir().join(format!("plyos-vm-turn-{number}"));
    let open = |number| File::options().create(true).truncate(false).write(true).open(path(number)).unwrap();
    let turns: Vec<File> = (0..MOST).map(open).collect();
    loop {
        for turn in &turns {
            if turn.try_lock().is_ok() {
                return turn.try_clone().unwrap();
            }
        }
        std::thread::sleep(LOOK);
    }
}
