//! What belongs to a processor: descriptors, the task state with its interrupt stacks. One processor runs, so there is one.

use core::arch::asm;
use core::cell::UnsafeCell;
use core::mem::size_of;
use core::ops::Range;

/// Which interrupt stack a trap uses. Traps of different stacks may meet; two of one stack cannot (I5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum InterruptStack {
    /// Devices. They come one at a time, for interrupts are off in their handler.
    Device = 1,
    /// Faults of the kernel's own code. None comes back, so none needs the stack twice.
    Fault = 2,
    /// A fault while a fault was being raised.
    DoubleFault = 3,
    /// Not maskable.
    NonMaskable = 4,
    /// Broken hardware.
    MachineCheck = 5,
}

const STACKS: usize = 5;
const STACK_SIZE: usize = 16 * 1024;
const PAGE: usize = 4096;

/// A stack with a page below it that is never mapped.
#[repr(C, align(4096))]
struct GuardedStack {
    guard: [u8; PAGE],
    stack: [u8; STACK_SIZE],
}

/// Task state segment (Intel SDM volume 3, 9.7): only its stacks are used.
#[repr(C, packed(4))]
struct TaskState {
    reserved: u32,
    ring_stacks: [u64; 3],
    reserved2: u64,
    interrupt_stacks: [u64; 7],
    reserved3: u64,
    reserved4: u16,
    io_map: u16,
}

const _: () = assert!(size_of::<TaskState>() == 104);

/// Selector of the kernel's code.
pub(crate) const CODE: u16 = 8;
const DATA: u16 = 16;
const TASK: u16 = 24;

/// The state of one processor.
#[repr(C)]
struct Processor {
    stacks: [GuardedStack; STACKS],
    task: TaskState,
    /// Null, code, data, task state (two words).
    descriptors: [u64; 5],
}

struct Cell(UnsafeCell<Processor>);

// SAFETY: I11: written once, in `start`, by the only processor, before anything reads it; then by the hardware alone.
unsafe impl Sync for Cell {}

static PROCESSOR: Cell = Cell(UnsafeCell::new(Processor {
    stacks: [const { GuardedStack { guard: [0; PAGE], stack: [0; STACK_SIZE] } }; STACKS],
    task: TaskState {
        reserved: 0,
        ring_stacks: [0; 3],
        reserved2: 0,
        interrupt_stacks: [0; 7],
        reserved3: 0,
        reserved4: 0,
        io_map: 0,
    },
    descriptors: [0; 5],
}));

/// What LGDT and LIDT read.
#[repr(C, packed(2))]
pub(crate) struct TablePointer {
    pub(crate) limit: u16,
    pub(crate) base: u64,
}

/// Loads the descriptors.
pub(crate) fn start() {
    let processor = PROCESSOR.0.get();
    // SAFETY: I11: the only processor, at the start; nothing else refers to it yet.
    let Processor { stacks, task, descriptors } = unsafe { &mut *processor };
    // No ports for rings above 0. Here, not above, so that the whole lies in zeroed memory and not in the image.
    task.io_map = size_of::<TaskState>() as u16;
    let mut tops = [0; 7];
    for (top, stack) in tops.iter_mut().zip(stacks.iter()) {
        *top = (&raw const stack.stack).addr() as u64 + STACK_SIZE as u64;
    }
    task.interrupt_stacks = tops;
    let base = (&raw const *task).addr() as u64;
    let limit = size_of::<TaskState>() as u64 - 1;
    let task_low = limit | (base & 0xff_ffff) << 16 | 0x89 << 40 | (base >> 24 & 0xff) << 56;
    *descriptors = [0, 0x00af_9a00_0000_ffff, 0x00cf_9200_0000_ffff, task_low, base >> 32];
    let pointer = TablePointer {
        limit: size_of::<[u64; 5]>() as u16 - 1,
        base: (&raw const *descriptors).addr() as u64,
    };
    // SAFETY: I11: the table is static, and its code segment is the one that runs already (64-bit, ring 0). The far return
    // pushes and pops two words of this stack (I4).
    unsafe {
        asm!(
            "lgdt [{pointer}]",
            "push {code}",
            "lea {at}, [rip + 2f]",
            "push {at}",
            "retfq",
            "2:",
            "mov ss, {data:x}",
            "ltr {task:x}",
            pointer = in(reg) &raw const pointer,
            code = in(reg) u64::from(CODE),
            data = in(reg) u64::from(DATA),
            task = in(reg) u64::from(TASK),
            at = out(reg) _,
        );
    }
}

unsafe extern "C" {
    /// From start.s: the page below the main stack, and its end.
    static boot_stack_guard: u8;
    static boot_stack_end: u8;
}

/// Whether these addresses lie on one stack of the kernel: the main one, or one for interrupts.
pub(crate) fn on_a_stack(range: Range<u64>) -> bool {
    let [interrupts @ .., main] = guard_pages();
    let inside = |guard: u64, end: u64| guard + PAGE as u64 <= range.start && range.end <= end;
    inside(main, (&raw const boot_stack_end).addr() as u64)
        || interrupts.iter().any(|guard| inside(*guard, guard + size_of::<GuardedStack>() as u64))
}

/// Addresses of the pages below stacks, which are never mapped; the main stack's is the last.
pub(crate) fn guard_pages() -> [u64; STACKS + 1] {
    let mut pages = [(&raw const boot_stack_guard).addr() as u64; STACKS + 1];
    let first = PROCESSOR.0.get().addr() as u64;
    for (number, page) in pages.iter_mut().take(STACKS).enumerate() {
        *page = first + (number * size_of::<GuardedStack>()) as u64;
    }
    pages
}
