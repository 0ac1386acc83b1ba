//! Traps: faults of the processor and interrupts of devices.
//!
//! Each vector has a stub of 16 bytes that leads to one common path, which saves all registers, the SSE state too (the
//! precompiled `core` uses it), and calls [`on_trap`]. A fault of the kernel is the end: a panic with the registers and a backtrace of what
//! faulted.

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::fmt;

use crate::processor::{CODE, InterruptStack, TablePointer};
use crate::{backtrace, cpu, interrupts};

/// Vectors that have a stub: 32 faults, 16 interrupts.
const VECTORS: usize = 48;
/// The vector of IRQ 0.
pub(crate) const FIRST_IRQ: u8 = 32;

global_asm!(
    r#"
.section .text.traps, "ax", @progbits
    .balign 16
trap_stubs:
    .set vector, 0
    .rept 48
        .balign 16
        // These push an error code themselves (Intel SDM volume 3, table 7-1).
        .if !((vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30))
            push 0
        .endif
        push vector
        jmp trap_common
        .set vector, vector + 1
    .endr

trap_common:
    push rax
    push rbx
    push rcx
    push rdx
    push rsi
    push rdi
    push rbp
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    cld
    // The processor aligned the stack to 16 before it pushed five words; 17 more follow: aligned again.
    sub rsp, 512
    fxsave64 [rsp]
    lea rdi, [rsp + 512]
    call {on_trap}
    fxrstor64 [rsp]
    add rsp, 512
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rbp
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    pop rbx
    pop rax
    add rsp, 16
    iretq
"#,
    on_trap = sym on_trap,
);

/// What `trap_common` left on the stack, lowest address first.
#[repr(C)]
#[derive(Debug)]
struct Frame {
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    rbp: u64,
    rdi: u64,
    rsi: u64,
    rdx: u64,
    rcx: u64,
    rbx: u64,
    rax: u64,
    vector: u64,
    error: u64,
    rip: u64,
    cs: u64,
    flags: u64,
    rsp: u64,
    ss: u64,
}

impl fmt::Display for Frame {
    /// The general registers, four to a line.
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, .. } = self;
        writeln!(to, "  rax {rax:#018x}  rbx {rbx:#018x}  rcx {rcx:#018x}  rdx {rdx:#018x}")?;
        writeln!(to, "  rsi {rsi:#018x}  rdi {rdi:#018x}  rbp {rbp:#018x}  rsp {rsp:#018x}")?;
        writeln!(to, "  r8  {r8:#018x}  r9  {r9:#018x}  r10 {r10:#018x}  r11 {r11:#018x}")?;
        write!(to, "  r12 {r12:#018x}  r13 {r13:#018x}  r14 {r14:#018x}  r15 {r15:#018x}")
    }
}

/// An interrupt gate (Intel SDM volume 3, 7.14.1), as two words.
type Gate = [u64; 2];

struct Table(UnsafeCell<[Gate; VECTORS]>);

// SAFETY: I11: written once, in `start`, by the only processor, before it is loaded; then read by the hardware alone.
unsafe impl Sync for Table {}

static TABLE: Table = Table(UnsafeCell::new([[0; 2]; VECTORS]));

/// Loads the interrupt descriptors.
pub(crate) fn start() {
    unsafe extern "C" {
        /// The first stub, above.
        static trap_stubs: u8;
    }
    let first = (&raw const trap_stubs).addr() as u64;
    // SAFETY: I11: the only processor, at the start; nothing reads it before LIDT.
    let gates = unsafe { &mut *TABLE.0.get() };
    for (vector, gate) in (0u64..).zip(gates.iter_mut()) {
        let at = first + vector * 16;
        let stack = match vector {
            2 => InterruptStack::NonMaskable,
            8 => InterruptStack::DoubleFault,
            18 => InterruptStack::MachineCheck,
            0..32 => InterruptStack::Fault,
            _ => InterruptStack::Device,
        };
        // Present, ring 0, interrupt gate: interrupts are off in the handler.
        let flags = 0x8e00 | stack as u64;
        *gate = [at & 0xffff | u64::from(CODE) << 16 | flags << 32 | (at >> 16 & 0xffff) << 48, at >> 32];
    }
    let pointer =
        TablePointer { limit: size_of::<[Gate; VECTORS]>() as u16 - 1, base: TABLE.0.get().addr() as u64 };
    // SAFETY: I11: the table is static and each gate leads to a stub.
    unsafe { asm!("lidt [{}]", in(reg) &raw const pointer, options(nostack, readonly)) };
}

extern "C" fn on_trap(frame: &Frame) {
    let irq = frame.vector.wrapping_sub(u64::from(FIRST_IRQ));
    if irq < 16 {
        interrupts::on_irq(irq as u8);
        return;
    }
    let name = match frame.vector {
        0 => "division by zero",
        1 => "debug",
        2 => "interrupt that cannot be masked",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range",
        6 => "invalid instruction",
        7 => "no floating-point unit",
        8 => "double fault",
        10 => "invalid task state",
        11 => "segment not present",
        12 => "stack segment",
        13 => "general protection",
        14 => "page fault",
        16 => "floating point",
        17 => "alignment",
        18 => "machine check",
        19 => "SIMD floating point",
        21 => "control protection",
        _ => "unknown trap",
    };
    backtrace::begin_at(frame.rip, frame.rbp);
    if frame.vector == 14 {
        let at = cpu::fault_address();
        let how = match frame.error {
            code if code & 16 != 0 => "executing",
            code if code & 2 != 0 => "writing",
            _ => "reading",
        };
        let why = if frame.error & 1 == 0 { "nothing is mapped there" } else { "it is not allowed" };
        panic!(
            "{name}: {how} at {at:#x}: {why}; at instruction {:#x}, stack {:#x}\n{frame}",
            frame.rip, frame.rsp
        );
    }
    panic!(
        "{name} (vector {}, error code {:#x}) at instruction {:#x}, stack {:#x}, flags {:#x}\n{frame}",
        frame.vector, frame.error, frame.rip, frame.rsp, frame.flags
    );
}
