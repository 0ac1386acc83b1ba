//! A machine with made-up figures.

use alloc::{string::ToString, vec, vec::Vec};
use core::{cell::Cell, time::Duration};

use plyos_kernel_logic::{Level, Line, Origin, Trusted};

use crate::machine::{Disk, Machine, Memory, Network};

/// A machine whose clock goes on by a millisecond whenever somebody looks.
#[derive(Default)]
pub(crate) struct FakeMachine {
    looks: Cell<u64>,
    pub(crate) clock: Option<u64>,
    pub(crate) network: Option<Network>,
}

impl Machine for FakeMachine {
    fn uptime(&self) -> Duration {
        self.looks.set(self.looks.get() + 1);
        Duration::from_millis(self.looks.get())
    }

    fn wall_clock(&self) -> Option<u64> {
        self.clock
    }

    fn trusted(&self) -> Option<Trusted> {
        Some(Trusted { origin: Origin::BuiltIn, sets: 2, digest: [0xab; 32] })
    }

    fn memory(&self) -> Memory {
        Memory { total: 64 << 20, free: 40 << 20, ..Memory::default() }
    }

    fn disks(&self) -> Vec<Disk> {
        vec![Disk {
            name: "vda".to_string(),
            bytes: 3 << 20,
            requests: 9,
            read_bytes: 1 << 20,
            ..Disk::default()
        }]
    }

    fn decompression(&self) -> (Duration, u64) {
        (Duration::from_millis(3), 3 << 20)
    }

    fn network(&self) -> Option<Network> {
        self.network.clone()
    }

    fn log(&self, least: Level, last: usize) -> Vec<Line> {
        let line = |level, text: &str| Line { sequence: 0, at: 1_500_001, level, text: text.to_string() };
        let mut lines = vec![line(Level::Info, "started"), line(Level::Error, "disk\x1b[2J\nfailed")];
        lines.retain(|line| line.level <= least);
        lines.split_off(lines.len().saturating_sub(last))
    }
}
