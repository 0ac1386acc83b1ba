//! Mistakes made on purpose, so that tests see what the kernel does about each (command line: `provoke=NAME`).

use core::arch::asm;
use core::hint::black_box;

use crate::memory;

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// Reads where nothing is mapped.
    NullRead,
    /// Writes to the kernel's own text.
    TextWrite,
    /// Writes to the kernel's own text where the direct map shows it.
    AliasWrite,
    /// Runs bytes of the heap.
    HeapRun,
    /// Calls itself without end.
    StackOverflow,
    /// An instruction that there is not.
    InvalidInstruction,
}

impl Mistake {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 6] = [
        ("null-read", Self::NullRead),
        ("text-write", Self::TextWrite),
        ("alias-write", Self::AliasWrite),
        ("heap-run", Self::HeapRun),
        ("stack-overflow", Self::StackOverflow),
        ("invalid-instruction", Self::InvalidInstruction),
    ];

    /// Makes it. Returns if nothing stopped it.
    pub fn make(self) {
        let text = (Self::make as fn(Self)) as *const () as *mut u8;
        match self {
            Self::NullRead => {
                let nowhere = black_box(core::ptr::null::<u64>()).wrapping_add(3);
                // SAFETY: I14: the fault that this raises is the purpose; nothing is there to be read.
                unsafe {
                    asm!("mov {0}, [{1}]", out(reg) _, in(reg) nowhere, options(nostack, readonly));
                }
            }
            Self::TextWrite => write(text),
            Self::AliasWrite => {
                if let Some(at) = memory::translate(text) {
                    write(memory::direct_map(at));
                }
            }
            Self::HeapRun => {
                // RET, so that a kernel without protection would go on.
                let code = black_box(alloc::boxed::Box::new([0xc3u8; 16]));
                // SAFETY: I14: without protection this is a function that returns at once.
                unsafe { asm!("call {}", in(reg) code.as_ptr(), clobber_abi("C")) };
            }
            Self::StackOverflow => {
                black_box(deeper(1));
            }
            // SAFETY: I14: the fault is the purpose.
            Self::InvalidInstruction => unsafe { asm!("ud2", options(nomem, nostack)) },
        }
    }
}

/// Puts a byte where it is already, so that a kernel without protection goes on.
fn write(at: *mut u8) {
    // SAFETY: I14: the byte is replaced by itself.
    unsafe { at.write_volatile(at.read_volatile()) };
}

#[expect(unconditional_recursion, reason = "the mistake that is to be seen")]
#[inline(never)]
fn deeper(depth: u64) -> u64 {
    let room = black_box([depth; 64]);
    deeper(depth + 1) + black_box(room[3])
}
