//! Instructions of the processor that Rust has no words for.

use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count, _rdtsc, CpuidResult};

/// The time-stamp counter.
pub fn timestamp() -> u64 {
    // SAFETY: I2: RDTSC is allowed in ring 0 and changes nothing.
    unsafe { _rdtsc() }
}

// What lets interrupts in or keeps them out is not `nomem`: handlers write to what others read, so no access to memory may be
// moved over these instructions.

/// Stops until an interrupt comes.
pub fn halt() {
    // SAFETY: I2: HLT changes no memory of ours; interrupt handlers keep to I5.
    unsafe { asm!("hlt", options(nostack, preserves_flags)) };
}

/// Lets interrupts in and stops until one comes; afterwards none come. One that is pending when this is called ends it at once,
/// for STI takes effect after the next instruction.
pub fn enable_interrupts_and_halt() {
    // SAFETY: I2, I5: descriptors and interrupt stacks stand before anybody waits.
    unsafe { asm!("sti", "hlt", "cli", options(nostack)) };
}

/// Interrupts may come from now on.
pub(crate) fn enable_interrupts() {
    // SAFETY: I5: called when descriptors and interrupt stacks stand.
    unsafe { asm!("sti", options(nostack)) };
}

/// No interrupts from now on.
pub fn disable_interrupts() {
    // SAFETY: I2: clearing the flag can only defer what would happen.
    unsafe { asm!("cli", options(nostack)) };
}

/// Runs `work` without interrupts, and puts the flag back as it was.
pub fn without_interrupts<T>(work: impl FnOnce() -> T) -> T {
    let flags: u64;
    // SAFETY: I2: pushes and pops one word of the stack in use; no red zone lies below it (I4).
    unsafe { asm!("pushfq", "pop {}", out(reg) flags, options(preserves_flags)) };
    disable_interrupts();
    let result = work();
    if flags & (1 << 9) != 0 {
        enable_interrupts();
    }
    result
}

/// What this processor can do of what the kernel would use.
#[derive(Debug, Clone, Copy)]
pub struct Features {
    /// User pages cannot be run by the kernel.
    pub smep: bool,
    /// User pages cannot be touched by the kernel but where it says so.
    pub smap: bool,
    /// User code cannot read descriptor tables' places.
    pub umip: bool,
    /// Pages of 1 GiB.
    pub gigabyte_pages: bool,
    /// Pages that cannot be executed. The kernel needs them: [`Features::require`].
    pub no_execute: bool,
    /// Registers of 256 bits (AVX), which BLAKE3 is half as fast without.
    pub wide_registers: bool,
}

/// Bits of a physical address that the kernel uses at most: so much lies between the direct map and what comes behind it.
const MOST_PHYSICAL_BITS: u32 = 46;
/// What processors have that do not tell.
const LEAST_PHYSICAL_BITS: u32 = 36;

/// The end of physical memory that this processor can reach and the kernel has room for: page tables that map an address from here
/// on are faults.
pub fn physical_end() -> u64 {
    let told = (__cpuid(0x8000_0000).eax >= 0x8000_0008).then(|| __cpuid(0x8000_0008).eax & 0xff);
    1 << told.unwrap_or(LEAST_PHYSICAL_BITS).min(MOST_PHYSICAL_BITS)
}

/// A leaf of CPUID, where it is one that the processor, or the hypervisor below it (from 0x4000_0000 on), has.
pub(crate) fn leaf(number: u32) -> Option<CpuidResult> {
    // The first of each range tells the last. Without a hypervisor its range gives something that means nothing.
    let is_known = number >> 28 != 4 || __cpuid(1).ecx & (1 << 31) != 0;
    (is_known && __cpuid(number & 0xf000_0000).eax >= number).then(|| __cpuid_count(number, 0))
}

impl Features {
    /// Asks the processor.
    pub fn read() -> Self {
        let (one, seven, extended) = (leaf(1), leaf(7), leaf(0x8000_0001));
        let bit = |register: Option<u32>, bit: u32| register.is_some_and(|bits| bits & (1 << bit) != 0);
        Self {
            smep: bit(seven.map(|leaf| leaf.ebx), 7),
            smap: bit(seven.map(|leaf| leaf.ebx), 20),
            umip: bit(seven.map(|leaf| leaf.ecx), 2),
            gigabyte_pages: bit(extended.map(|leaf| leaf.edx), 26),
            no_execute: bit(extended.map(|leaf| leaf.edx), 20),
            // XSAVE, by which they are switched on, and AVX itself.
            wide_registers: bit(one.map(|leaf| leaf.ecx), 26) && bit(one.map(|leaf| leaf.ecx), 28),
        }
    }
}

impl Features {
    /// Ends the start on a processor that the kernel cannot protect itself on.
    pub(crate) fn require(&self) {
        assert!(
            self.no_execute,
            "this processor does not forbid to execute data (NX), and the kernel relies on it: switch it on in the firmware \
             (NX, XD, Execute Disable), or give the virtual machine another processor"
        );
    }
}

/// Turns on the protections that the processor has.
pub(crate) fn protect(features: &Features) {
    let mut bits = 0u64;
    for (has, bit) in [(features.umip, 11), (features.smep, 20), (features.smap, 21)] {
        bits |= u64::from(has) << bit;
    }
    // SAFETY: I2: these bits of CR4 only forbid; the kernel has no user pages, so nothing that it does is forbidden.
    unsafe {
        asm!("mov {old}, cr4", "or {old}, {bits}", "mov cr4, {old}", old = out(reg) _, bits = in(reg) bits,
             options(nomem, nostack));
    };
}

/// Switches on the registers of 256 bits. Crates that look for them (blake3) use them from now on; interrupt handlers do not (I5).
pub(crate) fn widen_registers(features: &Features) {
    /// CR4: the processor has been told which registers there are (Intel SDM volume 3, 2.6).
    const OSXSAVE: u64 = 1 << 18;
    /// XCR0: x87, SSE, AVX (volume 1, 13.3).
    const X87_SSE_AVX: u32 = 0b111;
    if !features.wide_registers {
        return;
    }
    // SAFETY: I2: registers that nothing has used so far. What an interrupt finds in their upper halves it leaves there (I5).
    unsafe {
        asm!("mov {old}, cr4", "or {old}, {bits}", "mov cr4, {old}", old = out(reg) _, bits = in(reg) OSXSAVE,
             options(nomem, nostack));
        asm!("xsetbv", in("ecx") 0, in("eax") X87_SSE_AVX, in("edx") 0, options(nomem, nostack, preserves_flags));
    }
}

/// The address of the last page fault.
pub(crate) fn fault_address() -> u64 {
    let address;
    // SAFETY: I2: reads a register.
    unsafe { asm!("mov {}, cr2", out(reg) address, options(nomem, nostack, preserves_flags)) };
    address
}

/// Ends everything by a fault while there are no descriptors for it: the processor resets.
pub(crate) fn triple_fault() -> ! {
    let none = [0u8; 10];
    // SAFETY: I2: nothing runs after this: the empty descriptor table makes the next trap reset the processor.
    unsafe {
        asm!("lidt [{}]", "int3", "2: hlt", "jmp 2b", in(reg) none.as_ptr(), options(noreturn));
    }
}
