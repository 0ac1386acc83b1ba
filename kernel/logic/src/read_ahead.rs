//! When to fetch neighbours with one read.
//!
//! A request costs a virtual disk about the same whatever its size, so who reads in order is served best by few long reads; who reads here
//! and there must not pay for bytes that nobody wants. [`Flows`] sees which chunks of a layer were missed: one that follows the last
//! one belongs to a reader that goes on. Its window then doubles with each fetch.

/// First window of a reader that goes on, in stored bytes.
pub(crate) const FIRST_WINDOW: u64 = 128 << 10;
/// Longest window, in stored bytes.
pub(crate) const LONGEST_WINDOW: u64 = 1 << 20;
/// Stored bytes between two wanted chunks that are read and thrown away rather than asked for twice.
pub(crate) const GAP: u64 = 32 << 10;
/// Readers of one layer that are told apart.
const FLOWS: usize = 4;

/// A reader, as far as it can be seen.
#[derive(Debug, Clone, Copy, Default)]
struct Flow {
    /// The chunk that it had to wait for last: from here on it lives on what came with it.
    from: u64,
    /// The chunk that it will have to wait for next.
    next: u64,
    /// 0: it was seen once, and may be no more than a jump.
    window: u64,
    /// When it was seen last.
    seen: u64,
}

/// The readers of one layer.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    flows: [Flow; FLOWS],
    now: u64,
}

impl Flows {
    /// Chunk `ordinal` was read from the cache.
    pub fn hit(&mut self, ordinal: u64) {
        let lives_on = |flow: &&mut Flow| flow.seen > 0 && (flow.from..=flow.next).contains(&ordinal);
        if let Some(flow) = self.flows.iter_mut().find(lives_on) {
            self.now += 1;
            flow.seen = self.now;
            if flow.next == ordinal {
                flow.next = ordinal.saturating_add(1);
            }
        }
    }

    /// Chunk `ordinal` must be fetched: how many stored bytes may be fetched with it; 0: it alone.
    pub fn miss(&mut self, ordinal: u64) -> u64 {
        self.now += 1;
        let (now, next) = (self.now, ordinal.saturating_add(1));
        if let Some(flow) = self.flows.iter_mut().find(|flow| flow.seen > 0 && flow.next == ordinal) {
            let window = (flow.window * 2).clamp(FIRST_WINDOW, LONGEST_WINDOW);
            *flow = Flow { from: ordinal, next, window, seen: now };
            return window;
        }
        if let Some(oldest) = self.flows.iter_mut().min_by_key(|flow| flow.seen) {
            *oldest = Flow { from: ordinal, next, window: 0, seen: now };
        }
        0
    }

    /// The chunks from `ordinal` to before `end` were fetched together.
    pub fn fetched(&mut self, ordinal: u64, end: u64) {
        let next = ordinal.saturating_add(1);
        if let Some(flow) = self.flows.iter_mut().find(|flow| flow.seen == self.now && flow.next == next) {
            flow.next = end.max(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_reader_that_goes_on_gets_ever_longer_windows() {
        let mut flows = Flows::default();
        let mut at = 100;
        let windows: Vec<u64> = (0..6)
            .map(|_| {
                let window = flows.miss(at);
                // Two chunks come with it.
                flows.fetched(at, at + 3);
                flows.hit(at + 1);
                flows.hit(at + 2);
                at += 3;
                window
            })
            .collect();
        assert_eq!(windows, [0, 128 << 10, 256 << 10, 512 << 10, 1 << 20, 1 << 20]);
    }

    #[test]
    fn who_jumps_pays_for_nothing() {
        let mut flows = Flows::default();
        assert!((0..1000u64).all(|step| flows.miss(step * 7919 % 100_000 * 2) == 0));
    }

    #[test]
    fn several_readers_at_once_are_told_apart() {
        let mut flows = Flows::default();
        for step in 0..10 {
            for reader in 0..FLOWS as u64 {
                let window = flows.miss(reader * 1_000_000 + step);
                assert_eq!(window == 0, step == 0, "{reader} {step}");
            }
        }
    }

    #[test]
    fn who_lives_on_what_was_read_ahead_is_not_forgotten_over_jumps() {
        let mut flows = Flows::default();
        flows.miss(0);
        assert_eq!(flows.miss(1), FIRST_WINDOW);
        flows.fetched(1, 41);
        for ordinal in 2..41 {
            flows.hit(ordinal);
            flows.miss(10_000 + ordinal * 1000);
        }
        assert_eq!(flows.miss(41), 2 * FIRST_WINDOW);
    }

    #[test]
    fn what_others_have_fetched_does_not_break_a_flow() {
        let mut flows = Flows::default();
        flows.miss(5);
        flows.hit(6);
        flows.hit(7);
        assert_eq!(flows.miss(8), FIRST_WINDOW);
        assert_eq!(Flows::default().miss(0), 0, "chunk 0 goes on with nothing");
    }
}
