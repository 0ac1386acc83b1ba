//! Damage is told once, and then ever more seldom: a program that reads a bad file in a loop must not fill the log.

use alloc::collections::VecDeque;

/// How many different things are remembered; the one that was remembered first is forgotten first, and told again.
const REMEMBERED: usize = 64;

/// What was damaged, by the identity of a chunk or layer, and how often it was met.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    met: VecDeque<([u8; 32], u64)>,
    total: u64,
}

impl Faults {
    /// Counts one more. `Some(times)` when it is to be told: the first time, the tenth, the hundredth.
    pub fn meet(&mut self, what: &[u8; 32]) -> Option<u64> {
        self.total += 1;
        if let Some((_, times)) = self.met.iter_mut().find(|(known, _)| known == what) {
            *times = times.saturating_add(1);
            return is_power_of_ten(*times).then_some(*times);
        }
        if self.met.len() >= REMEMBERED {
            self.met.pop_front();
        }
        self.met.push_back((*what, 1));
        Some(1)
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
        let told: Vec<u64> = (0..1000).filter_map(|_| faults.meet(&[1; 32])).collect();
        assert_eq!(told, [1, 10, 100, 1000]);
        assert_eq!(faults.meet(&[2; 32]), Some(1), "another one is told at once");
        assert_eq!(faults.total(), 1001);
    }

    #[test]
    fn memory_is_bounded() {
        let mut faults = Faults::default();
        for number in 0..1000u16 {
            let mut id = [0; 32];
            id[..2].copy_from_slice(&number.to_le_bytes());
            assert_eq!(faults.meet(&id), Some(1));
        }
        assert_eq!(faults.met.len(), REMEMBERED);
    }
}
