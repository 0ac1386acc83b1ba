//! The global allocator: two-level segregated fit (crate rlsf), constant time whatever lies on the heap.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use rlsf::Tlsf;
use spin::Mutex;

use super::heap::HeapCounts;
use crate::cpu;

/// Size classes up to 2^(4 + 28) bytes, each cut into 16.
type Pool = Tlsf<'static, u32, u16, 28, 16>;

#[global_allocator]
pub(super) static ALLOCATOR: Allocator = Allocator(Mutex::new(State {
    pool: Pool::new(),
    counts: HeapCounts { total: 0, used: 0, blocks: 0, peak: 0 },
}));

/// The heap behind its lock. Interrupt handlers do not allocate (I5), but are kept out all the same: they might panic, and a panic's
/// text must not wait for a lock that it holds itself.
pub(super) struct Allocator(Mutex<State>);

struct State {
    pool: Pool,
    counts: HeapCounts,
}

impl Allocator {
    /// Makes memory part of the heap.
    ///
    /// # Safety
    /// Nobody else may use it, ever: I7.
    pub(super) unsafe fn give(&self, at: *mut u8, len: usize) {
        let Some(start) = NonNull::new(at) else { return };
        let mut state = self.0.lock();
        // SAFETY: I7, as the caller vouches.
        let taken = unsafe { state.pool.insert_free_block_ptr(NonNull::slice_from_raw_parts(start, len)) };
        state.counts.total += taken.map_or(0, |taken| taken.get() as u64);
    }

    pub(super) fn counts(&self) -> HeapCounts {
        cpu::without_interrupts(|| self.0.lock().counts)
    }
}

// SAFETY: I10: rlsf gives blocks of the layout asked for, apart from all others in use, out of memory that is its own.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        cpu::without_interrupts(|| {
            let mut state = self.0.lock();
            let Some(block) = state.pool.allocate(layout) else { return ptr::null_mut() };
            let counts = &mut state.counts;
            counts.used += layout.size() as u64;
            counts.blocks += 1;
            counts.peak = counts.peak.max(counts.used);
            block.as_ptr()
        })
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        let Some(block) = NonNull::new(at) else { return };
        cpu::without_interrupts(|| {
            let mut state = self.0.lock();
            // SAFETY: I10: the caller got it from `alloc` with this layout, as GlobalAlloc asks.
            unsafe { state.pool.deallocate(block, layout.align()) };
            state.counts.used -= layout.size() as u64;
            state.counts.blocks -= 1;
        });
    }
}
