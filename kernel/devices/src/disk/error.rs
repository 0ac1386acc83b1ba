//! What goes wrong with a disk, told in one line.

use alloc::string::String;
use core::fmt;

use super::pieces::LARGEST_BLOCK;
use crate::Fault;

/// What the disk was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Bringing what was written to the medium.
    Flush,
    /// Being set up.
    Start,
}

impl fmt::Display for Activity {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Read => "reading",
            Self::Write => "writing",
            Self::Flush => "flushing",
            Self::Start => "starting",
        })
    }
}

/// Why it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The range ends beyond the disk's end, which is at this byte.
    Beyond(u64),
    /// The device takes no writes.
    ReadOnly,
    /// The device says that it could not: its status byte.
    Failed(u8),
    /// The device said that it was done and had written less than was asked.
    Short,
    /// No answer for as long as a device may take.
    Silent,
    /// A write that was given up may still reach the medium: nothing is written after it before it has ended.
    Unfinished,
    /// The device has blocks of so many bytes, which are not used here.
    Blocks(u32),
    /// The disk is asked from inside a request.
    Busy,
    /// The device's settings make no sense.
    Settings,
    /// It could not be spoken to.
    Fault(Fault),
}

impl fmt::Display for Reason {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beyond(end) => write!(to, "the disk ends at {end}"),
            Self::ReadOnly => to.write_str("the disk is read-only"),
            Self::Failed(status) => write!(to, "the device reports an error (status {status})"),
            Self::Short => to.write_str("the device gave less than it was asked for"),
            Self::Silent => to.write_str("the device does not answer"),
            Self::Unfinished => to.write_str("an earlier write is still under way; try again"),
            Self::Blocks(size) => {
                write!(
                    to,
                    "its blocks have {size} bytes; powers of two from 512 to {LARGEST_BLOCK} can be used"
                )
            }
            Self::Busy => to.write_str("another request of this processor is not over"),
            Self::Settings => to.write_str("the device's settings make no sense"),
            Self::Fault(fault) => fault.fmt(to),
        }
    }
}

/// A failed request: to which disk, for what range, why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{disk}: {activity} {length} bytes at {at}: {reason}")]
pub struct DiskError {
    /// Name of the disk, `vda` for the first.
    pub disk: String,
    /// What it was asked for.
    pub activity: Activity,
    /// First byte of the range.
    pub at: u64,
    /// Its length in bytes.
    pub length: u64,
    /// What went wrong.
    pub reason: Reason,
}
