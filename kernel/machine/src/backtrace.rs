//! Who called whom, by frame pointers, with names where the image has them.
//!
//! `make kernel` writes the names of functions into the section `.symbols` (lines `ADDRESS NAME`, sorted); a kernel that was built
//! by cargo alone has none, and shows addresses.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::processor;

/// Callers that are shown; a function that calls itself counts once.
const DEPTH: usize = 32;
/// Callers that are followed.
const MOST: usize = 10_000;
/// Bytes kept for names.
const SYMBOLS_SIZE: usize = 224 * 1024;

/// Filled after linking.
#[unsafe(link_section = ".symbols")]
#[used]
static SYMBOLS: [u8; SYMBOLS_SIZE] = [0; SYMBOLS_SIZE];

/// Instruction and frame pointer of a trap, if one led here.
static AT: AtomicU64 = AtomicU64::new(0);
static FRAME: AtomicU64 = AtomicU64::new(0);

/// The next backtrace begins here.
pub(crate) fn begin_at(instruction: u64, frame: u64) {
    AT.store(instruction, Ordering::Relaxed);
    FRAME.store(frame, Ordering::Relaxed);
}

/// Writes the callers of this function, or, after a trap, of the code that trapped.
pub fn write(out: &mut impl fmt::Write) -> fmt::Result {
    let mut frame = FRAME.load(Ordering::Relaxed);
    let at = AT.load(Ordering::Relaxed);
    if at == 0 {
        // SAFETY: I2: reads a register.
        unsafe { core::arch::asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    } else {
        line(out, 0, at)?;
    }
    let (mut number, mut last, mut repeated) = (0, 0, 0u32);
    for _ in 0..MOST {
        let Some([next, caller]) = read(frame) else { break };
        if caller == last {
            repeated += 1;
        } else {
            if repeated > 0 {
                writeln!(out, "      the same {repeated} times more")?;
            }
            repeated = 0;
            number += 1;
            // The return address stands behind the call.
            line(out, number, caller.wrapping_sub(1))?;
        }
        last = caller;
        // Frames lie higher and higher; anything else is no chain.
        if next <= frame || number == DEPTH {
            break;
        }
        frame = next;
    }
    Ok(())
}

fn line(out: &mut impl fmt::Write, number: usize, at: u64) -> fmt::Result {
    write!(out, "  {number:2}: {at:#018x}")?;
    match name(at) {
        Some((name, offset)) => writeln!(out, " {name} + {offset:#x}"),
        None => writeln!(out),
    }
}

/// The frame at an address: the next frame and the return address. No lock is taken for it: the code that panics may hold it.
fn read(frame: u64) -> Option<[u64; 2]> {
    let at = core::ptr::with_exposed_provenance::<u64>(frame as usize);
    if !frame.is_multiple_of(8) || !processor::on_a_stack(frame..frame.checked_add(16)?) {
        return None;
    }
    // SAFETY: I12: on one of the kernel's stacks, as was just looked up; whatever is there is only shown.
    let (next, caller) = unsafe { (at.read_volatile(), at.wrapping_add(1).read_volatile()) };
    (caller != 0).then_some([next, caller])
}

/// The function that an address lies in, and how far.
fn name(at: u64) -> Option<(&'static str, u64)> {
    // Read as if anybody could have written it, for after linking somebody did.
    let symbols = core::hint::black_box(&SYMBOLS);
    let end = symbols.iter().position(|byte| *byte == 0).unwrap_or(symbols.len());
    let text = core::str::from_utf8(symbols.get(..end)?).ok()?;
    let mut found = None;
    for line in text.lines() {
        let (address, name) = line.split_once(' ')?;
        let address = u64::from_str_radix(address, 16).ok()?;
        if address > at {
            break;
        }
        found = Some((name, at - address));
    }
    found
}
