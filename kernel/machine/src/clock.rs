//! Time: the time-stamp counter, calibrated against the 8254 timer, which also gives a tick of 100 Hz.
//!
//! Under emulation the counter is the host's. A measurement can only be too long (the emulator was stopped in between), so the
//! least of several counts. Where the timer cannot be measured the processor is asked, and last a frequency is assumed
//! ([`Frequency`]). The time of day comes from the CMOS clock, once.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use plyos_kernel_logic::frequency;

use crate::port::Port;
use crate::{cpu, interrupts};

/// IRQ of the tick.
pub(crate) const IRQ: u8 = 0;

/// Hertz of the timer's input.
const INPUT: u64 = 1_193_182;
/// Input cycles of one tick: 100 Hz.
const DIVISOR: u16 = 11_932;
/// Input cycles of one measurement: about 2 ms.
const SPAN: u16 = 2_400;
const MEASUREMENTS: u32 = 5;

const COUNTER: Port = Port::new(0x40);
const COMMAND: Port = Port::new(0x43);
const CMOS_INDEX: Port = Port::new(0x70);
const CMOS_DATA: Port = Port::new(0x71);

/// What is assumed when nothing tells.
const ASSUMED: u64 = 1_000_000_000;

/// How the counter's frequency is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frequency {
    /// Measured against the timer.
    Measured,
    /// The timer could not be measured; the processor or its hypervisor told it.
    Told,
    /// Neither: every time is wrong by some factor.
    Assumed,
}

/// Counter at the start, and its cycles for each second.
static START: AtomicU64 = AtomicU64::new(0);
static HERTZ: AtomicU64 = AtomicU64::new(ASSUMED);
/// Seconds since 1970 at the start; 0: not known.
static DAY: AtomicU64 = AtomicU64::new(0);

/// Starts the timer and calibrates; says how.
pub(crate) fn start() -> Frequency {
    START.store(cpu::timestamp(), Ordering::Relaxed);
    // Channel 0, both bytes, rate generator.
    COMMAND.write8(0x34);
    let [low, high] = DIVISOR.to_le_bytes();
    COUNTER.write8(low);
    COUNTER.write8(high);
    let measured = (0..MEASUREMENTS).filter_map(|_| measure()).min();
    let (hertz, known) = match (measured, frequency::told(leaf)) {
        (Some(hertz), _) => (hertz, Frequency::Measured),
        (None, Some(hertz)) => (hertz, Frequency::Told),
        (None, None) => (ASSUMED, Frequency::Assumed),
    };
    HERTZ.store(hertz, Ordering::Relaxed);
    DAY.store(read_day().unwrap_or_default(), Ordering::Relaxed);
    interrupts::rearm(IRQ);
    known
}

fn leaf(number: u32) -> Option<frequency::Leaf> {
    cpu::leaf(number).map(|leaf| [leaf.eax, leaf.ebx, leaf.ecx, leaf.edx])
}

/// Cycles of the counter for each second, by one measurement.
fn measure() -> Option<u64> {
    // The counter is read outside of both readings of the timer: a stop between two instructions can only make the measurement
    // too long.
    let begin = cpu::timestamp();
    let first = latch();
    // A timer that stands still is given up: 2 ms are some 10,000 reads.
    for _ in 0..1_000_000 {
        let passed = elapsed(first, latch())?;
        let now = cpu::timestamp();
        if passed >= SPAN {
            return Some(now.checked_sub(begin)?.checked_mul(INPUT)? / u64::from(passed));
        }
    }
    None
}

/// Input cycles from one reading of the counter, which counts down from [`DIVISOR`], to the next. `None` when it shows more than
/// that: the timer is not what it was set up to be.
fn elapsed(first: u16, now: u16) -> Option<u16> {
    let _ = DIVISOR.checked_sub(first.max(now))?;
    Some(if now <= first { first - now } else { first + (DIVISOR - now) })
}

fn latch() -> u16 {
    COMMAND.write8(0);
    let low = COUNTER.read8();
    u16::from_le_bytes([low, COUNTER.read8()])
}

/// Since the start.
pub fn uptime() -> Duration {
    let cycles = cpu::timestamp().saturating_sub(START.load(Ordering::Relaxed));
    let hertz = HERTZ.load(Ordering::Relaxed).max(1);
    let nanos = u128::from(cycles) * 1_000_000_000 / u128::from(hertz);
    Duration::from_nanos(nanos as u64)
}

/// Cycles of the time-stamp counter for each second.
pub fn hertz() -> u64 {
    HERTZ.load(Ordering::Relaxed)
}

/// Seconds since 1970-01-01 UTC, if the machine's clock told a date.
pub fn now() -> Option<u64> {
    let day = DAY.load(Ordering::Relaxed);
    (day != 0).then(|| day + uptime().as_secs())
}

/// The CMOS clock (MC146818): read twice until two readings are equal, so that none is of the middle of a change.
fn read_day() -> Option<u64> {
    let mut last = registers();
    for _ in 0..10 {
        let next = registers();
        if next == last {
            return seconds(last);
        }
        last = next;
    }
    None
}

/// Second, minute, hour, day, month, year, and the register that says how they are written.
fn registers() -> [u8; 7] {
    [0x00, 0x02, 0x04, 0x07, 0x08, 0x09, 0x0b].map(|index| {
        CMOS_INDEX.write8(index);
        CMOS_DATA.read8()
    })
}

fn seconds([second, minute, hour, day, month, year, format]: [u8; 7]) -> Option<u64> {
    let number = |value: u8| if format & 4 != 0 { value } else { (value >> 4) * 10 + (value & 15) };
    // A clock of twelve hours sets bit 7 for the afternoon; none of the machines that are known does.
    if format & 2 == 0 || hour & 0x80 != 0 {
        return None;
    }
    let [second, minute, hour, day, month, year] =
        [second, minute, hour, day, month, year].map(number).map(u64::from);
    if second > 59
        || minute > 59
        || hour > 23
        || !(1..=31).contains(&day)
        || !(1..=12).contains(&month)
        || year > 99
    {
        return None;
    }
    // Days since 1970-03-01 by the months that begin in March, the leap day last.
    let (year, month) = if month < 3 { (2000 + year - 1, month + 9) } else { (2000 + year, month - 3) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + (day - 1) - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}
