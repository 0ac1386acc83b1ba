//! What the compiler and `alloc` expect of their surroundings: an allocator, and the memory functions of C.
//!
//! Plain byte loops: nothing here is run. They stand in for what the kernel brings itself (`kernel/machine`, no core: linked here it would
//! hide what the cores need). `volatile` keeps the
//! compiler from turning a loop back into a call of the function that it is in.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr;

struct NoMemory;

#[global_allocator]
static ALLOCATOR: NoMemory = NoMemory;

// SAFETY: `alloc` always reports exhaustion, which the trait allows; so no block exists that `dealloc` could meet.
unsafe impl GlobalAlloc for NoMemory {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    for at in 0..length {
        // SAFETY: the caller of C's memcpy vouches for `length` bytes behind both pointers.
        unsafe { to.add(at).write_volatile(from.add(at).read_volatile()) };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    if to.cast_const() <= from {
        // SAFETY: as for memcpy; going up, a byte is read before it is written over.
        return unsafe { memcpy(to, from, length) };
    }
    for at in (0..length).rev() {
        // SAFETY: as for memcpy; going down, a byte is read before it is written over.
        unsafe { to.add(at).write_volatile(from.add(at).read_volatile()) };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, length: usize) -> *mut u8 {
    for at in 0..length {
        // SAFETY: the caller of C's memset vouches for `length` bytes behind the pointer.
        unsafe { to.add(at).write_volatile(value as u8) };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
    for at in 0..length {
        // SAFETY: the caller of C's memcmp vouches for `length` bytes behind both pointers.
        let (a, b) = unsafe { (left.add(at).read_volatile(), right.add(at).read_volatile()) };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
    // SAFETY: bcmp asks of its caller what memcmp asks.
    unsafe { memcmp(left, right, length) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: the caller of C's strlen vouches for a zero byte at the end of the run.
    while unsafe { text.add(length).read_volatile() } != 0 {
        length += 1;
    }
    length
}
