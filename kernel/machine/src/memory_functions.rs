//! The memory functions that the compiler and C code call by name.
//!
//! Under emulation string instructions are slow (`rep movsb` ran at 43 MB/s, unrolled SSE moves at 1,400), so runs of 64 bytes
//! and more go by 16-byte registers. Loads and stores are volatile, so that the compiler does not make calls of these very
//! functions out of the loops.

use core::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_set1_epi8, _mm_storeu_si128};

/// Bytes of one turn of an unrolled loop.
const TURN: usize = 64;

/// # Safety
/// As C's `memcpy`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    let mut at = 0;
    // SAFETY: I13: the caller vouches for `length` bytes behind both pointers; `at` + TURN never goes beyond.
    unsafe {
        while length - at >= TURN {
            let [a, b, c, d] = load(from.add(at));
            store(to.add(at), [a, b, c, d]);
            at += TURN;
        }
        forward(to.add(at), from.add(at), length - at);
    }
    to
}

/// # Safety
/// As C's `memmove`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    // SAFETY: I13: the caller vouches for `length` bytes behind both pointers. A turn is loaded whole before it is stored. Going up
    // is right when the target lies lower, or they do not meet; going down when it lies higher.
    unsafe {
        if to.addr().wrapping_sub(from.addr()) >= length {
            return memcpy(to, from, length);
        }
        let mut left = length;
        while left >= TURN {
            left -= TURN;
            let turn = load(from.add(left));
            store(to.add(left), turn);
        }
        while left >= 8 {
            left -= 8;
            let word = from.add(left).cast::<u64>().read_unaligned();
            to.add(left).cast::<[u8; 8]>().write_volatile(word.to_ne_bytes());
        }
        while left > 0 {
            left -= 1;
            to.add(left).write_volatile(from.add(left).read_volatile());
        }
    }
    to
}

/// # Safety
/// As C's `memset`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, length: usize) -> *mut u8 {
    let mut at = 0;
    // SAFETY: I13: the caller vouches for `length` bytes behind the pointer; SSE2 is part of x86-64.
    unsafe {
        let wide = _mm_set1_epi8(value as i8);
        while length - at >= TURN {
            store(to.add(at), [wide; 4]);
            at += TURN;
        }
        while at < length {
            to.add(at).write_volatile(value as u8);
            at += 1;
        }
    }
    to
}

/// # Safety
/// As C's `memcmp`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
    let mut at = 0;
    // SAFETY: I13: the caller vouches for `length` bytes behind both pointers.
    unsafe {
        while length - at >= 8 {
            let a = left.add(at).cast::<u64>().read_unaligned();
            let b = right.add(at).cast::<u64>().read_unaligned();
            if a != b {
                // The first byte in memory weighs most.
                return if a.swap_bytes() < b.swap_bytes() { -1 } else { 1 };
            }
            at += 8;
        }
        while at < length {
            let (a, b) = (left.add(at).read_volatile(), right.add(at).read_volatile());
            if a != b {
                return i32::from(a) - i32::from(b);
            }
            at += 1;
        }
    }
    0
}

/// # Safety
/// As `bcmp` of POSIX.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
    // SAFETY: I13: bcmp asks of its caller what memcmp asks.
    unsafe { memcmp(left, right, length) }
}

/// # Safety
/// As C's `strlen`.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: I13: the caller vouches for a zero byte at the end.
    while unsafe { text.add(length).read_volatile() } != 0 {
        length += 1;
    }
    length
}

/// Named by the precompiled `core` and `alloc`, which are built for unwinding; never called.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// The same: a panic here never unwinds.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    crate::power::halt()
}

/// Copies fewer bytes than a turn, upwards.
unsafe fn forward(to: *mut u8, from: *const u8, length: usize) {
    let mut at = 0;
    // SAFETY: I13, by the caller.
    unsafe {
        while length - at >= 8 {
            let word = from.add(at).cast::<u64>().read_unaligned();
            to.add(at).cast::<[u8; 8]>().write_volatile(word.to_ne_bytes());
            at += 8;
        }
        while at < length {
            to.add(at).write_volatile(from.add(at).read_volatile());
            at += 1;
        }
    }
}

/// One turn, loaded whole.
unsafe fn load(from: *const u8) -> [__m128i; 4] {
    let from = from.cast::<__m128i>();
    // SAFETY: I13: 64 bytes are there, by the caller; unaligned loads.
    unsafe { [0, 1, 2, 3].map(|number| _mm_loadu_si128(from.add(number))) }
}

/// One turn, stored.
unsafe fn store(to: *mut u8, turn: [__m128i; 4]) {
    let to = to.cast::<__m128i>();
    for (number, part) in turn.into_iter().enumerate() {
        // SAFETY: I13: 64 bytes are there, by the caller; unaligned stores.
        unsafe { _mm_storeu_si128(to.add(number), part) };
    }
}
