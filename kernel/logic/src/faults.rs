//! A fault is told once, and then ever more seldom: a program that reads a bad file in a loop must not fill the log, nor one that walks
//! over a disk full of them.

use alloc::vec::Vec;
use core::fmt;

/// How many different things are told apart. All others are counted together.
const APART: usize = 64;

/// What was damaged, by the identity of a chunk or layer, and how often it was met.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    met: Vec<([u8; 32], u64)>,
    others: u64,
    total: u64,
}

/// Which time of a fault is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Telling {
    /// It is met for the first time.
    First,
    /// It was met so often: ten times, a hundred times.
    Again(u64),
    /// One of those that are no longer told apart, of which so many were met: one, ten, a hundred.
    Others(u64),
}

impl fmt::Display for Telling {
    /// What stands behind the fault in the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => Ok(()),
            Self::Again(times) => write!(f, " (for the {times}th time)"),
            Self::Others(1) => {
                write!(f, " (from here on only some are told: there are more than {APART} of this sort)")
            }
            Self::Others(count) => write!(f, " (one of {count} since not all of them are told)"),
        }
    }
}

impl Faults {
    /// Counts one more. `Some` when it is to be told: the first time, the tenth, the hundredth.
    pub fn meet(&mut self, what: &[u8; 32]) -> Option<Telling> {
        self.total = self.total.saturating_add(1);
        if let Some((_, times)) = self.met.iter_mut().find(|(known, _)| known == what) {
            *times = times.saturating_add(1);
            return is_power_of_ten(*times).then_some(Telling::Again(*times));
        }
        if self.met.len() < APART {
            self.met.push((*what, 1));
            return Some(Telling::First);
        }
        self.others = self.others.saturating_add(1);
        is_power_of_ten(self.others).then_some(Telling::Others(self.others))
    }

    /// All that were met since the start.
    pub const fn total(&self) -> u64 {
        self.total
    }
}

const fn is_power_of_ten(number: u64) -> bool {
    match number.checked_ilog10() {
        Some(digits) => 10u64.pow(digits) == number,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn the_same_fault_is_told_at_powers_of_ten() {
        let mut faults = Faults::default();
        let told: Vec<Telling> = (0..1000).filter_map(|_| faults.meet(&[1; 32])).collect();
        assert_eq!(told, [Telling::First, Telling::Again(10), Telling::Again(100), Telling::Again(1000)]);
        assert_eq!(faults.meet(&[2; 32]), Some(Telling::First), "another one is told at once");
        assert_eq!(faults.total(), 1001);
    }

    #[test]
    fn a_disk_full_of_damage_fills_neither_log_nor_memory() {
        let mut faults = Faults::default();
        let id = |number: u16| {
            let mut id = [0; 32];
            id[..2].copy_from_slice(&number.to_le_bytes());
            id
        };
        // Walked over twice.
        let told: Vec<Telling> =
            (0..1064).chain(0..1064).filter_map(|number| faults.meet(&id(number))).collect();
        assert_eq!(told[..64], [Telling::First; 64]);
        assert_eq!(told[64..], [1, 10, 100, 1000].map(Telling::Others));
        assert_eq!((faults.met.len(), faults.total()), (APART, 2128));
        assert_eq!(faults.meet(&id(3)), None);
    }
}
